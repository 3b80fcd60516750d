/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-session-private.h"

#include "choir-chat.h"
#include "choir-clock.h"
#include "choir-close-code.h"
#include "choir-container.h"
#include "choir-error.h"
#include "choir-log.h"
#include "choir-names.h"
#include "choir-payload.h"
#include "choir-presence.h"

#include <string.h>

/* protocol.md: auth.expiring is sent this long before the token's end */
#define EXPIRY_WARNING_US (30 * G_USEC_PER_SEC)

G_DEFINE_FINAL_TYPE (ChoirSession, choir_session, G_TYPE_OBJECT)

static void
free_extra (ChoirSession *self)
{
  if (self->extra == NULL)
    return;

  choir_session_drop_held (self);
  for (guint i = 0; i < G_N_ELEMENTS (self->extra->class_meters); i++)
    choir_rate_meter_clear (&self->extra->class_meters[i]);

  g_free (self->extra->default_channel);
  g_free (self->extra->client_id);
  g_free (self->extra->resume_id);
  g_clear_object (&self->extra->successor);
  g_clear_pointer (&self->extra, g_free);
}

static void
choir_session_finalize (GObject *object)
{
  ChoirSession *self = CHOIR_SESSION (object);

  g_assert (self->n_subscriptions == 0);
  g_assert (self->extra == NULL || self->extra->opening.length == 0);

  choir_timer_disarm (&self->timer);
  choir_rate_meter_clear (&self->meter);
  free_extra (self);
  g_free (self->subscriptions);
  g_clear_pointer (&self->claims, choir_claims_unref);

  G_OBJECT_CLASS (choir_session_parent_class)->finalize (object);
}

static void
choir_session_class_init (ChoirSessionClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = choir_session_finalize;
}

static void
choir_session_init (ChoirSession *self)
{
  choir_id_generate (self->id);
}

/* Used by the session's other files: most sessions never need it */
ChoirSessionExtra *
choir_session_ensure_extra (ChoirSession *self)
{
  if (self->extra == NULL)
    {
      self->extra = g_new0 (ChoirSessionExtra, 1);
      g_queue_init (&self->extra->held);
      g_queue_init (&self->extra->opening);
      g_queue_init (&self->extra->requests);
    }

  return self->extra;
}

/**
 * choir_session_new:
 * @hub: where it belongs; must outlive it
 * @link: what carries it; must call choir_session_end() before it goes
 * @params: what the handshake has settled
 *
 * Returns: (transfer full): a session that the hub knows; nothing is sent before
 * choir_session_start()
 */
ChoirSession *
choir_session_new (ChoirHub *hub, ChoirLink *link, const ChoirSessionParams *params)
{
  ChoirSession *self = g_object_new (CHOIR_TYPE_SESSION, NULL);

  self->hub = hub;
  self->link = link;
  self->outbox = choir_link_get_outbox (link);
  self->dialect = params->dialect;
  self->opened_us = choir_clock_monotonic_us ();
  self->outbox->variant = choir_dialect_get_id (params->dialect) * CHOIR_N_VARIANTS +
                          self->outbox->variant % CHOIR_N_VARIANTS;

  if (params->claims != NULL)
    self->claims = choir_claims_ref (params->claims);

  if (params->default_channel != NULL || params->client_id != NULL || params->resume_id != NULL)
    {
      ChoirSessionExtra *extra = choir_session_ensure_extra (self);

      extra->default_channel = g_strdup (params->default_channel);
      extra->client_id = g_strdup (params->client_id);
      extra->resume_id = g_strdup (params->resume_id);
    }

  choir_hub_add_session (hub, self);

  return self;
}

/* When the token's time is over, wall clock; one that came within the leeway has the leeway's rest
 */
gint64
choir_session_get_expiry_us (ChoirSession *self)
{
  gint64 expiry_us = G_MAXINT64;

  if (self->claims != NULL)
    expiry_us = choir_claims_get_expiry_us (self->claims);
  if (expiry_us != G_MAXINT64 && (self->flags & CHOIR_SESSION_LATE))
    expiry_us += choir_hub_get_settings (self->hub)->leeway_us;

  return expiry_us;
}

static gint64
earliest_due (ChoirSession *self, gint64 now_us)
{
  const ChoirDialectSettings *settings = choir_session_get_settings (self);
  gint64 due_us = choir_session_get_held_due (self, now_us);

  if (self->flags & CHOIR_SESSION_WAITING)
    return choir_session_get_wait_due (self, now_us);

  if (self->claims == NULL)
    return MIN (due_us, self->opened_us + choir_hub_get_settings (self->hub)->auth_timeout_us);

  if (choir_session_get_expiry_us (self) != G_MAXINT64)
    {
      gint64 left_us = choir_session_get_expiry_us (self) - choir_clock_wall_us ();

      if (!(self->flags & CHOIR_SESSION_WARNED))
        left_us -= EXPIRY_WARNING_US;
      due_us = MIN (due_us, now_us + MAX (left_us, 0));
    }

  if (settings->heartbeat_us > 0 && choir_dialect_get_table (self->dialect)->heartbeat)
    due_us = MIN (due_us, self->heartbeat_due_us);

  return due_us;
}

static void
send_heartbeat (ChoirSession *self, gint64 now_us)
{
  const ChoirDialectSettings *settings = choir_session_get_settings (self);
  g_autoptr (GString) payload = g_string_new (NULL);

  if (settings->heartbeat_us <= 0 || now_us < self->heartbeat_due_us ||
      !choir_dialect_get_table (self->dialect)->heartbeat)
    return;

  self->heartbeat_due_us = now_us + settings->heartbeat_us;

  choir_payload_open (payload);
  choir_payload_add_time (payload, "timestamp", choir_clock_wall_us ());
  choir_payload_close (payload);
  choir_session_send (self, NULL, "heartbeat", choir_payload_as_slice (payload));
}

static void
check_expiry (ChoirSession *self)
{
  gint64 expiry_us = choir_session_get_expiry_us (self);
  gint64 left_us = expiry_us == G_MAXINT64 ? G_MAXINT64 : expiry_us - choir_clock_wall_us ();
  g_autoptr (GString) payload = NULL;

  if (left_us <= 0)
    {
      const ChoirDialectTable *table = choir_dialect_get_table (self->dialect);
      guint code = table->auth_close_code == CHOIR_CLOSE_POLICY ? CHOIR_CLOSE_POLICY
                                                                : CHOIR_CLOSE_TOKEN_EXPIRED;

      choir_session_close (self, code, "Token expired");
      return;
    }

  if (left_us > EXPIRY_WARNING_US || (self->flags & CHOIR_SESSION_WARNED))
    return;

  self->flags |= CHOIR_SESSION_WARNED;
  payload = g_string_new (NULL);
  choir_payload_open (payload);
  choir_payload_add_time (payload, "expires_at", expiry_us);
  choir_payload_close (payload);
  choir_session_send (self, NULL, "auth.expiring", choir_payload_as_slice (payload));
}

static void
check_authenticated (ChoirSession *self, gint64 now_us)
{
  gint64 deadline_us = self->opened_us + choir_hub_get_settings (self->hub)->auth_timeout_us;

  if (now_us >= deadline_us)
    choir_session_close (self, CHOIR_CLOSE_AUTH_TIMEOUT, "Not authenticated in time");
}

static void
timer_cb (ChoirTimer *timer)
{
  ChoirSession *self = CHOIR_CONTAINER_OF (timer, ChoirSession, timer);
  G_GNUC_UNUSED g_autoptr (ChoirSession) guard = g_object_ref (self);
  gint64 now_us = choir_clock_monotonic_us ();

  if (self->flags & CHOIR_SESSION_WAITING)
    choir_session_check_wait (self, now_us);
  else if (self->claims == NULL)
    check_authenticated (self, now_us);
  else
    {
      check_expiry (self);
      send_heartbeat (self, now_us);
    }

  choir_session_release_held (self);
  choir_rate_meter_trim (&self->meter, choir_session_get_settings (self)->rate, now_us);
  choir_session_arm_timer (self);
}

/* Sets the one timer to the earliest of all the session waits for */
void
choir_session_arm_timer (ChoirSession *self)
{
  gint64 now_us = choir_clock_monotonic_us ();
  gint64 due_us;

  if ((self->flags & CHOIR_SESSION_ENDED) ||
      (self->flags & (CHOIR_SESSION_CLOSING | CHOIR_SESSION_WAITING)) == CHOIR_SESSION_CLOSING)
    {
      choir_timer_disarm (&self->timer);
      return;
    }

  due_us = earliest_due (self, now_us);
  if (due_us == G_MAXINT64)
    choir_timer_disarm (&self->timer);
  else
    choir_timer_wheel_arm (choir_hub_get_wheel (self->hub), &self->timer, MAX (due_us - now_us, 0),
                           timer_cb);
}

/* Whether the client has its session back */
static gboolean
resume (ChoirSession *self, ChoirClaims *claims)
{
  const char *id = self->extra != NULL ? self->extra->resume_id : NULL;
  ChoirSession *lost = choir_session_resume (self, claims, id);

  if (lost == NULL)
    return FALSE;

  choir_session_send_established (lost, TRUE);
  choir_session_catch_up (lost);

  return TRUE;
}

/* Something may have been said against the token since the handshake was decided. FALSE: the
 * session has been closed */
static gboolean
is_welcome (ChoirSession *self, ChoirClaims *claims)
{
  const ChoirDialectTable *table = choir_dialect_get_table (self->dialect);
  g_autoptr (GError) error = NULL;

  if (choir_verifier_check (choir_hub_get_verifier (self->hub), claims, &error))
    return TRUE;

  choir_session_close (
    self, error->code == CHOIR_ERROR_BLOCKED ? CHOIR_CLOSE_KICKED : table->auth_close_code,
    error->message);

  return FALSE;
}

/**
 * choir_session_start:
 * @self: a new session
 *
 * Greets the client; joins its user and opens the end point's channel if it is authenticated. If
 * the client has come back for another session that one takes its place, and @self is over.
 */
void
choir_session_start (ChoirSession *self)
{
  const ChoirDialectSettings *settings = choir_session_get_settings (self);
  G_GNUC_UNUSED g_autoptr (ChoirSession) guard = g_object_ref (self);

  self->flags |= CHOIR_SESSION_STARTED;

  self->heartbeat_due_us = self->opened_us + settings->heartbeat_us;

  if (self->claims != NULL)
    {
      g_autoptr (ChoirClaims) claims = g_steal_pointer (&self->claims);
      g_autoptr (GError) error = NULL;

      if (!is_welcome (self, claims) || resume (self, claims))
        return;

      if (!choir_session_accept_claims (self, claims, &error))
        {
          choir_session_close (self, CHOIR_CLOSE_POLICY, error->message);
          return;
        }

      choir_session_send_established (self, FALSE);
      choir_session_open_default_channel (self);
      choir_tasks_greet (self->hub, self, NULL);
    }
  else if (choir_dialect_get_table (self->dialect)->auth_style != CHOIR_AUTH_BY_MESSAGE)
    choir_session_send_established (self, FALSE);

  choir_session_arm_timer (self);
}

/* Leaves every channel, the user and the hub */
void
choir_session_finish (ChoirSession *self)
{
  self->flags |= CHOIR_SESSION_ENDED | CHOIR_SESSION_CLOSING;
  choir_timer_disarm (&self->timer);
  choir_session_drop_held (self);

  choir_tasks_leave (self->hub, self);
  choir_session_unsubscribe_all (self);
  choir_chat_session_ended (choir_hub_get_chat (self->hub), self);

  if (self->user != NULL)
    choir_hub_leave_user (self->hub, g_steal_pointer (&self->user), self);

  choir_hub_remove_session (self->hub, self);
  self->link = NULL;
  self->outbox = NULL;
}

/**
 * choir_session_end:
 * @self: a session
 * @close_code: what the connection was closed with: by us, if we began it; else by the peer; 1006
 * if it was lost
 *
 * Called by the link when it is gone, or is going and will write no more. The session leaves
 * every channel, the user and the hub, unless it may wait for its client to come back; then it has
 * no more to do with this link, which has been told so.
 */
void
choir_session_end (ChoirSession *self, guint close_code)
{
  G_GNUC_UNUSED g_autoptr (ChoirSession) guard = g_object_ref (self);

  if ((self->flags & (CHOIR_SESSION_ENDED | CHOIR_SESSION_WAITING)) ||
      choir_session_wait (self, close_code))
    return;

  choir_hub_lose_connection (self->hub, self, close_code);
  self->link = NULL;
  choir_session_finish (self);
}

/* Where the hub keeps it */
guint
choir_session_get_hub_index (ChoirSession *self)
{
  return self->hub_index;
}

/**
 * choir_session_is_closing:
 * @self: a session
 *
 * Returns: whether it has been told to go
 */
gboolean
choir_session_is_closing (ChoirSession *self)
{
  return (self->flags & CHOIR_SESSION_CLOSING) != 0;
}

ChoirHub *
choir_session_get_hub (ChoirSession *self)
{
  return self->hub;
}

ChoirLink *
choir_session_get_link (ChoirSession *self)
{
  return self->link;
}

ChoirOutbox *
choir_session_get_outbox (ChoirSession *self)
{
  return self->outbox;
}

const ChoirDialect *
choir_session_get_dialect (ChoirSession *self)
{
  return self->dialect;
}

ChoirClaims *
choir_session_get_claims (ChoirSession *self)
{
  return self->claims;
}

const char *
choir_session_get_user_id (ChoirSession *self)
{
  return self->claims != NULL ? choir_claims_get_user_id (self->claims) : NULL;
}

const char *
choir_session_get_id (ChoirSession *self)
{
  return self->id;
}

const char *
choir_session_get_connection_id (ChoirSession *self)
{
  return self->link != NULL ? choir_link_get_id (self->link) : NULL;
}

const char *
choir_session_get_client_id (ChoirSession *self)
{
  return self->extra != NULL ? self->extra->client_id : NULL;
}

const char *
choir_session_get_default_channel (ChoirSession *self)
{
  return self->extra != NULL ? self->extra->default_channel : NULL;
}

gint64
choir_session_get_opened_us (ChoirSession *self)
{
  return self->opened_us;
}

gint64
choir_session_get_began_us (ChoirSession *self)
{
  if (self->extra != NULL && self->extra->began_us != 0)
    return self->extra->began_us;

  return self->opened_us;
}

guint64
choir_session_get_n_received (ChoirSession *self)
{
  return self->n_received;
}

guint64
choir_session_get_n_errors (ChoirSession *self)
{
  return self->n_errors;
}

/**
 * choir_session_close:
 * @self: a session
 * @code: close code
 * @reason: shown to the client
 *
 * Sends the client away; what was queued for it goes first. Nothing it still says is handled. One
 * that waits for its client waits no longer.
 */
void
choir_session_close (ChoirSession *self, guint code, const char *reason)
{
  if (self->flags & (CHOIR_SESSION_CLOSING | CHOIR_SESSION_ENDED))
    return;

  self->flags |= CHOIR_SESSION_CLOSING;
  if (self->link != NULL)
    choir_link_close (self->link, code, reason);
  else
    choir_session_arm_timer (self);
}

/**
 * choir_session_may:
 * @self: a session
 * @channel: a valid channel name
 * @wanted: reading or writing
 *
 * Returns: whether its client may
 */
gboolean
choir_session_may (ChoirSession *self, const char *channel, ChoirPermission wanted)
{
  return choir_namespace_allows (choir_hub_get_namespace (self->hub, channel), self->claims,
                                 self->id, channel, wanted);
}
