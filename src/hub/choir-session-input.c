/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-session-private.h"

#include "choir-cbor.h"
#include "choir-clock.h"
#include "choir-error.h"
#include "choir-hub-private.h"
#include "choir-sanitizer.h"
#include "choir-subscribe-request.h"

#include <string.h>

/*
 * The way in: text -> gate and dialect -> rate -> permission to speak -> sanitizer -> handler.
 * Messages that have to wait are held as text, in order, within `burst-queue` and the outbox's
 * byte limit.
 */

/* While a token is verified, or while channels are joined, a client may go on talking, but not for
 * ever */
#define HELD_WHILE_VERIFYING 32
#define HELD_WHILE_JOINING 256
/* Of the past, under way at a time: each may hold megabytes */
#define READS_MAX 2

static ChoirRateRule *
get_rule (ChoirSession *self, ChoirRateClass rate_class)
{
  if (rate_class == CHOIR_RATE_NONE)
    return NULL;

  if (rate_class == CHOIR_RATE_DEFAULT)
    return choir_session_get_settings (self)->rate;

  return choir_hub_get_settings (self->hub)->class_rates[rate_class];
}

static ChoirRateMeter *
get_meter (ChoirSession *self, ChoirRateClass rate_class)
{
  if (rate_class != CHOIR_RATE_DEFAULT)
    return &choir_session_ensure_extra (self)->class_meters[rate_class];

  if (choir_session_get_settings (self)->rate_scope == CHOIR_SCOPE_USER && self->user != NULL)
    return &self->user->meter;

  return &self->meter;
}

static gint64
take_rate (ChoirSession *self, ChoirRateClass rate_class, gint64 now_us)
{
  ChoirRateRule *rule = get_rule (self, rate_class);

  if (rule == NULL)
    return 0;

  return choir_rate_meter_take (get_meter (self, rate_class), rule, now_us);
}

/**
 * choir_session_take_rate:
 * @self: a session
 * @rate_class: of what is to be done
 *
 * For handlers whose route has no rate because it depends on the message.
 *
 * Returns: 0 if it may be done now; else after how many microseconds
 */
gint64
choir_session_take_rate (ChoirSession *self, ChoirRateClass rate_class)
{
  return take_rate (self, rate_class, choir_clock_monotonic_us ());
}

/**
 * choir_session_begin_read:
 * @self: a session
 *
 * To be called before something of the past is read from the store for it.
 *
 * Returns: %FALSE if enough of that is under way; else choir_session_end_read() follows
 */
gboolean
choir_session_begin_read (ChoirSession *self)
{
  ChoirSessionExtra *extra = choir_session_ensure_extra (self);

  if (extra->n_reads >= READS_MAX)
    return FALSE;

  extra->n_reads++;

  return TRUE;
}

void
choir_session_end_read (ChoirSession *self)
{
  self->extra->n_reads--;
}

/* For a token to be verified, or for channels to be joined: nothing that comes later may be handled
 * before */
static gboolean
is_waiting (ChoirSession *self)
{
  return (self->flags & CHOIR_SESSION_VERIFYING) || choir_subscribe_request_is_waiting (self);
}

static gboolean
hold (ChoirSession *self, const char *text, gsize len)
{
  ChoirSessionExtra *extra = choir_session_ensure_extra (self);
  guint max = choir_session_get_settings (self)->burst_queue;
  ChoirHeldMessage *held;

  if (self->flags & CHOIR_SESSION_VERIFYING)
    max = MAX (max, HELD_WHILE_VERIFYING);
  else if (is_waiting (self))
    max = MAX (max, HELD_WHILE_JOINING);

  if (extra->held.length >= max ||
      extra->held_bytes + len > choir_hub_get_settings (self->hub)->outbox.max_bytes)
    return FALSE;

  held = g_malloc (sizeof *held + len);
  held->len = len;
  memcpy (held->text, text, len);
  g_queue_push_tail (&extra->held, held);
  extra->held_bytes += len;

  return TRUE;
}

/* Forgets what waits: the session is over */
void
choir_session_drop_held (ChoirSession *self)
{
  if (self->extra == NULL)
    return;

  g_queue_clear_full (&self->extra->held, g_free);
  self->extra->held_bytes = 0;
}

static gboolean
is_holding (ChoirSession *self)
{
  return (self->flags & CHOIR_SESSION_VERIFYING) ||
         (self->extra != NULL &&
          (self->extra->held.length > 0 || choir_subscribe_request_is_waiting (self)));
}

/* When the oldest held message may go, monotonic; G_MAXINT64: nothing waits for the time */
gint64
choir_session_get_held_due (ChoirSession *self, gint64 now_us)
{
  ChoirRateRule *rule = get_rule (self, CHOIR_RATE_DEFAULT);

  if (self->extra == NULL || self->extra->held.length == 0 || is_waiting (self))
    return G_MAXINT64;

  if (rule == NULL)
    return now_us;

  return now_us + choir_rate_meter_peek (get_meter (self, CHOIR_RATE_DEFAULT), rule, now_us);
}

static void
refuse_unrouted (ChoirSession *self, const ChoirEnvelope *message)
{
  if (choir_router_knows (choir_hub_get_router (self->hub), message->type))
    choir_session_refuse (self, message, CHOIR_ERROR_UNAVAILABLE,
                          "Nothing on this server handles %s at the moment", message->type);
  else
    choir_session_refuse (self, message, CHOIR_ERROR_INVALID_MESSAGE_TYPE,
                          "Unknown message type: %s", message->type);
}

static void
refuse_unauthenticated (ChoirSession *self, const ChoirEnvelope *message)
{
  const ChoirDialectTable *table = choir_dialect_get_table (self->dialect);

  if (table->auth_style == CHOIR_AUTH_BY_MESSAGE)
    {
      choir_session_send (self, message, "auth.failed",
                          CHOIR_SLICE_LITERAL ("{\"message\":\"Authentication required\"}"));
      choir_session_close (self, table->auth_close_code, "Authentication required");
      return;
    }

  choir_session_refuse (self, message, CHOIR_ERROR_AUTH, "Authenticate first");
}

static void
run_handler (ChoirSession *self, const ChoirRoute *route, ChoirEnvelope *message)
{
  const ChoirSanitizerRules *rules = &choir_hub_get_settings (self->hub)->sanitizer;
  g_autofree char *clean = NULL;

  if ((route->flags & CHOIR_ROUTE_SANITIZE) &&
      choir_sanitizer_needed (rules, message->payload_flags))
    {
      gsize len;

      clean = choir_sanitizer_run (rules, message->payload, &len);
      message->payload = (ChoirSlice){ clean, len };
    }

  route->handler (self, message);
}

static void
dispatch (ChoirSession *self,
          const ChoirRouteEntry *entry,
          ChoirEnvelope *message,
          gint64 arrived_us)
{
  const ChoirRoute *route = entry != NULL ? entry->route : NULL;
  ChoirTypeStats *stats = entry != NULL
                            ? entry->stats
                            : choir_stats_for_type (choir_hub_get_stats (self->hub), message->type);

  *stats->received += 1;
  choir_histogram_record (stats->size, message->payload.len);
  if (choir_hub_is_observed (self->hub))
    choir_hub_report_received (self->hub, self, message);

  if (self->claims == NULL && (route == NULL || !(route->flags & CHOIR_ROUTE_BEFORE_AUTH)))
    refuse_unauthenticated (self, message);
  else if (route == NULL)
    refuse_unrouted (self, message);
  else
    run_handler (self, route, message);

  choir_histogram_record (stats->latency,
                          (choir_clock_monotonic_us () - arrived_us) / (double) G_USEC_PER_SEC);
}

typedef enum
{
  HANDLED,
  MUST_WAIT,
} Outcome;

static Outcome
handle_text (ChoirSession *self, const char *text, gsize len, gboolean may_hold)
{
  gint64 now_us = choir_clock_monotonic_us ();
  g_auto (ChoirEnvelope) message = { 0 };
  g_autoptr (GError) error = NULL;
  const ChoirRouteEntry *entry = NULL;
  ChoirRateClass rate_class = CHOIR_RATE_DEFAULT;
  gint64 wait_us;

  if (choir_envelope_parse (self->dialect, text, len, &choir_hub_get_settings (self->hub)->json,
                            &message, &error))
    entry = choir_router_lookup (choir_hub_get_router (self->hub), message.type);

  if (entry != NULL)
    rate_class = entry->route->rate_class;

  wait_us = take_rate (self, rate_class, now_us);
  if (wait_us > 0)
    {
      if (may_hold && rate_class == CHOIR_RATE_DEFAULT && hold (self, text, len))
        return MUST_WAIT;

      choir_session_refuse_rate (self, &message, wait_us);
      return HANDLED;
    }

  self->n_received++;

  if (error != NULL)
    choir_session_send_error (self, &message, error);
  else
    dispatch (self, entry, &message, now_us);

  return HANDLED;
}

static void
refuse_overfull (ChoirSession *self)
{
  gint64 now_us = choir_clock_monotonic_us ();
  gint64 due_us = choir_session_get_held_due (self, now_us);

  /* waiting for something else gives no time: a second is as good as any */
  choir_session_refuse_rate (self, NULL,
                             due_us == G_MAXINT64 ? G_USEC_PER_SEC : MAX (due_us - now_us, 1));
}

static void
receive_one (ChoirSession *self, const char *text, gsize len)
{
  if (self->flags & CHOIR_SESSION_CLOSING)
    {
      /* what stands in one batch with the message that brought the client its session back */
      if (self->extra != NULL && self->extra->successor != NULL)
        receive_one (self->extra->successor, text, len);
      return;
    }

  if (is_holding (self))
    {
      if (!hold (self, text, len))
        refuse_overfull (self);
      return;
    }

  if (handle_text (self, text, len, TRUE) == MUST_WAIT)
    choir_session_arm_timer (self);
}

/* What can't be taken apart counts as one message */
static void
refuse_unread (ChoirSession *self, const GError *error)
{
  gint64 wait_us = take_rate (self, CHOIR_RATE_DEFAULT, choir_clock_monotonic_us ());

  if (wait_us > 0)
    choir_session_refuse_rate (self, NULL, wait_us);
  else
    choir_session_send_error (self, NULL, error);
}

static void
receive_batch (ChoirSession *self, const char *text, gsize len)
{
  const ChoirJsonLimits *limits = &choir_hub_get_settings (self->hub)->json;
  g_autofree ChoirSlice *elements = g_new (ChoirSlice, MAX (limits->max_batch, 1));
  g_autoptr (GError) error = NULL;
  guint n;

  if (!choir_json_gate_scan_batch (text, len, limits, elements, &n, &error))
    {
      refuse_unread (self, error);
      return;
    }

  for (guint i = 0; i < n; i++)
    receive_one (self, elements[i].data, elements[i].len);
}

/**
 * choir_session_receive:
 * @self: a session
 * @text: a text message, valid UTF-8; borrowed for the call
 * @len: its bytes
 *
 * Handles one message, or each of a batch (protocol.md, "Envelope"). Whatever is wrong with it is
 * answered in the dialect's error shape, and the session goes on.
 */
void
choir_session_receive (ChoirSession *self, const char *text, gsize len)
{
  G_GNUC_UNUSED g_autoptr (ChoirSession) guard = g_object_ref (self);

  if (choir_json_gate_is_batch (text, len))
    receive_batch (self, text, len);
  else
    receive_one (self, text, len);
}

/**
 * choir_session_receive_binary:
 * @self: a session whose dialect is binary
 * @data: (array length=len): a binary message; borrowed for the call
 * @len: its bytes
 *
 * choir_session_receive() for CBOR (protocol.md, "CBOR"). As JSON the message is held to the size
 * that text may have, and goes the same way as that from here on.
 */
void
choir_session_receive_binary (ChoirSession *self, const guint8 *data, gsize len)
{
  const ChoirCborLimits limits = {
    .max_depth = choir_hub_get_settings (self->hub)->json.max_depth,
    .max_bytes = choir_session_get_settings (self)->max_message_size,
  };
  g_autoptr (GString) text = g_string_sized_new (len + len / 4);
  g_autoptr (GError) error = NULL;

  if (self->flags & CHOIR_SESSION_CLOSING)
    return;

  if (choir_cbor_read (data, len, &limits, text, &error))
    choir_session_receive (self, text->str, text->len);
  else
    refuse_unread (self, error);
}

/* Handles what has waited, as far as the rate allows now */
void
choir_session_release_held (ChoirSession *self)
{
  gint64 now_us = choir_clock_monotonic_us ();

  /* a token among them ends here as well: the loop that is under way goes on */
  if (self->flags & CHOIR_SESSION_RELEASING)
    return;

  self->flags |= CHOIR_SESSION_RELEASING;

  while (!(self->flags & CHOIR_SESSION_CLOSING) &&
         choir_session_get_held_due (self, now_us) <= now_us)
    {
      g_autofree ChoirHeldMessage *held = g_queue_pop_head (&self->extra->held);

      self->extra->held_bytes -= held->len;
      handle_text (self, held->text, held->len, FALSE);
      now_us = choir_clock_monotonic_us ();
    }

  self->flags &= ~CHOIR_SESSION_RELEASING;
}
