/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-session-private.h"

#include "choir-chat.h"
#include "choir-clock.h"
#include "choir-close-code.h"
#include "choir-error.h"
#include "choir-handlers-document.h"
#include "choir-names.h"
#include "choir-payload.h"
#include "choir-subscribe-request.h"

#include <string.h>

/*
 * How a session comes to know its user: by a token in the handshake, by one in a message, or both,
 * the second to stay longer than the first.
 */

static void
add_features (GString *payload)
{
  choir_payload_add_raw (
    payload, "features",
    CHOIR_SLICE_LITERAL ("[\"heartbeat\",\"subscriptions\",\"rate_limiting\",\"presence\","
                         "\"history\",\"recovery\",\"batch\",\"compression\"]"));
}

/* First message out (protocol.md, "Messages") */
void
choir_session_send_established (ChoirSession *self, gboolean resumed)
{
  const ChoirDialectSettings *settings = choir_session_get_settings (self);
  g_autoptr (GString) payload = g_string_sized_new (512);

  choir_payload_open (payload);
  choir_payload_add_string (payload, "connection_id", choir_session_get_connection_id (self));
  choir_payload_add_string (payload, "session_id", self->id);
  choir_payload_add_string (payload, "user_id", choir_session_get_user_id (self));
  choir_payload_add_string (payload, "client_id", choir_session_get_client_id (self));
  choir_payload_add_time (payload, "server_time", choir_clock_wall_us ());
  choir_payload_add_string (payload, "node", choir_hub_get_node (self->hub));
  choir_payload_add_int (payload, "heartbeat_interval", settings->heartbeat_us / 1000);
  choir_payload_add_int (payload, "max_message_size", settings->max_message_size);
  add_features (payload);
  choir_payload_add_boolean (payload, "resumed", resumed);
  choir_payload_close (payload);

  choir_session_send (self, NULL, "connection.established", choir_payload_as_slice (payload));
}

/* Without a position to ask from, a client gets the newest messages when it joins */
static ChoirSubscribeItem *
add_replayed (ChoirSubscribeRequest *request, const char *name)
{
  ChoirSubscribeItem *item = choir_subscribe_request_add (request, g_strdup (name));

  if (!choir_dialect_get_table (request->session->dialect)->with_channel)
    item->flags |= CHOIR_SUBSCRIBE_REPLAY;

  return item;
}

/* FALSE: the item says why it is not joined */
static gboolean
join (ChoirSession *self, ChoirSubscribeItem *item)
{
  guint n_before = self->n_subscriptions;
  ChoirChannel *channel = choir_subscribe_item_join (item, self);

  if (channel == NULL)
    return FALSE;

  /* one who is in it already has had them */
  if (self->n_subscriptions > n_before)
    {
      if (item->flags & CHOIR_SUBSCRIBE_REPLAY)
        choir_subscribe_item_replay (item, self, channel);
      choir_chat_streams_send (self->hub, channel, self);
    }
  choir_hub_release_channel (self->hub, channel);

  return TRUE;
}

static void
join_default (ChoirSubscribeRequest *request, const ChoirEnvelope *message)
{
  ChoirSession *session = request->session;
  ChoirSubscribeItem *item = choir_subscribe_request_get (request, 0);

  if (join (session, item))
    return;

  choir_session_send_error (session, NULL, item->error);
  if (g_error_matches (item->error, CHOIR_ERROR, CHOIR_ERROR_PERMISSION_DENIED))
    choir_session_close (session, CHOIR_CLOSE_POLICY, "Unauthorized");
  else if (g_error_matches (item->error, CHOIR_ERROR, CHOIR_ERROR_UNAVAILABLE))
    choir_session_close (session, CHOIR_CLOSE_TRY_AGAIN_LATER, item->error->message);
  else
    choir_session_close (session, CHOIR_CLOSE_POLICY, item->error->message);
}

/* What the end point's address asks for; without it there is nothing to stay for */
void
choir_session_open_default_channel (ChoirSession *self)
{
  const char *name = choir_session_get_default_channel (self);
  g_autoptr (ChoirSubscribeRequest) request = NULL;

  if (name == NULL)
    return;

  if (choir_channel_kind_of (name) == CHOIR_CHANNEL_DOCUMENT)
    {
      choir_handlers_open_document (self, NULL, CHOIR_REQUEST_OPEN, name);
      return;
    }

  request = choir_subscribe_request_new (self, NULL, join_default);
  add_replayed (request, name);
  choir_subscribe_request_run (g_steal_pointer (&request));
}

/* A token under verification: the session, and what to answer */
typedef struct
{
  ChoirSession *session; /* (owned) */
  ChoirClaims *claims;   /* (owned) (nullable): verified, the directory is being asked */
  char *correlation_id;  /* (owned) (nullable): raw contents */
  char *external_type;   /* (owned) (nullable) */
  char **channels;       /* (owned) (nullable): to subscribe to afterwards */
  char *resume_id;       /* (owned) (nullable): the session the client says it had */
} Verification;

static void
verification_free (Verification *self)
{
  g_object_unref (self->session);
  g_clear_pointer (&self->claims, choir_claims_unref);
  g_free (self->correlation_id);
  g_free (self->external_type);
  g_strfreev (self->channels);
  g_free (self->resume_id);
  g_free (self);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Verification, verification_free)

static ChoirEnvelope
get_request (const Verification *self)
{
  return (ChoirEnvelope){
    .type = "auth",
    .external_type = choir_slice (self->external_type),
    .correlation_id = choir_slice (self->correlation_id),
  };
}

static void
fail (Verification *self, const GError *error)
{
  ChoirSession *session = self->session;
  const ChoirDialectTable *table = choir_dialect_get_table (session->dialect);
  ChoirEnvelope request = get_request (self);

  /* one whose first token still holds has lost nothing */
  if (session->claims != NULL)
    {
      choir_session_send_error (session, &request, error);
      return;
    }

  if (table->auth_style == CHOIR_AUTH_BY_MESSAGE)
    {
      g_autoptr (GString) payload = g_string_new (NULL);

      choir_payload_open (payload);
      choir_payload_add_string (payload, "message", error->message);
      choir_payload_close (payload);
      choir_session_send (session, &request, "auth.failed", choir_payload_as_slice (payload));
    }
  else
    choir_session_send_error (session, &request, error);

  choir_session_close (
    session, error->code == CHOIR_ERROR_BLOCKED ? CHOIR_CLOSE_KICKED : table->auth_close_code,
    error->message);
}

static void
join_channels (ChoirSubscribeRequest *request, const ChoirEnvelope *message)
{
  for (guint i = 0; i < request->items->len; i++)
    {
      ChoirSubscribeItem *item = choir_subscribe_request_get (request, i);

      if (!join (request->session, item))
        choir_session_send_error (request->session, message, item->error);
    }
}

static void
subscribe_channels (Verification *self)
{
  ChoirEnvelope message = get_request (self);
  g_autoptr (ChoirSubscribeRequest) request =
    choir_subscribe_request_new (self->session, &message, join_channels);

  for (char **name = self->channels; name != NULL && *name != NULL; name++)
    {
      ChoirSubscribeItem *item = add_replayed (request, *name);

      choir_handlers_may_subscribe (*name, &item->error);
    }

  choir_subscribe_request_run (g_steal_pointer (&request));
}

/* contracts.md E calls the end point's chat the session: its dialect takes that from the channel */
static void
send_ok (ChoirSession *session, const ChoirEnvelope *request, ChoirSlice payload)
{
  const ChoirDialectTable *table = choir_dialect_get_table (session->dialect);
  ChoirMessage message = {
    .type = "auth.ok",
    .payload = payload,
    .wall_us = choir_clock_wall_us (),
    .correlation_id = request->correlation_id,
    .user_id = choir_session_get_user_id (session),
    .session_id = session->id,
    .channel = table->with_channel ? NULL : choir_session_get_default_channel (session),
  };

  if (choir_session_send_message (session, &message))
    *choir_stats_for_type (choir_hub_get_stats (session->hub), message.type)->sent += 1;
}

static void
answer_ok (Verification *self, gboolean resumed)
{
  ChoirSession *session = self->session;
  ChoirEnvelope request = get_request (self);
  g_autoptr (GString) payload = g_string_new (NULL);

  choir_payload_open (payload);
  choir_payload_add_string (payload, "connection_id", choir_session_get_connection_id (session));
  choir_payload_add_string (payload, "session_id", session->id);
  choir_payload_add_string (payload, "user_id", choir_session_get_user_id (session));
  choir_payload_add_string (payload, "client_id", choir_session_get_client_id (session));
  if (choir_claims_get_expiry_us (session->claims) != G_MAXINT64)
    choir_payload_add_time (payload, "expires_at", choir_claims_get_expiry_us (session->claims));
  choir_payload_add_boolean (payload, "resumed", resumed);
  choir_payload_close (payload);
  send_ok (session, &request, choir_payload_as_slice (payload));
}

/* Whether the client has the session back that it had before; that is the verification's now */
static gboolean
resume (Verification *self)
{
  ChoirSession *session = self->session;
  const char *id = self->resume_id;
  ChoirSession *lost;

  if (session->claims != NULL && !choir_claims_is_guest (session->claims))
    return FALSE;

  if (id == NULL && session->extra != NULL)
    id = session->extra->resume_id;
  lost = choir_session_resume (session, self->claims, id);
  if (lost == NULL)
    return FALSE;

  g_set_object (&self->session, lost);
  answer_ok (self, TRUE);
  choir_session_catch_up (lost);

  return TRUE;
}

static void
succeed (Verification *self)
{
  ChoirSession *session = self->session;
  gboolean first = session->claims == NULL;
  g_autoptr (GError) error = NULL;

  if (resume (self))
    {
      subscribe_channels (self);
      return;
    }

  if (!choir_session_accept_claims (session, self->claims, &error))
    {
      fail (self, error);
      return;
    }

  answer_ok (self, FALSE);
  if (first)
    choir_session_open_default_channel (session);

  subscribe_channels (self);
  if (first)
    choir_tasks_greet (session->hub, session, NULL);
}

static void
finish (Verification *self, const GError *error)
{
  ChoirSession *session = self->session;

  session->flags &= ~CHOIR_SESSION_VERIFYING;
  if (session->flags & CHOIR_SESSION_CLOSING)
    return;

  if (error != NULL)
    fail (self, error);
  else
    succeed (self);

  /* another one perhaps */
  choir_session_release_held (self->session);
  choir_session_arm_timer (self->session);
}

static void
checked_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (Verification) self = user_data;
  g_autoptr (GError) error = NULL;

  if (choir_directory_check_finish (CHOIR_DIRECTORY (source), result, &error) &&
      !(self->session->flags & CHOIR_SESSION_CLOSING))
    choir_verifier_check (choir_hub_get_verifier (self->session->hub), self->claims, &error);
  finish (self, error);
}

/* Whether the token is one this session may go on with */
static gboolean
check_claims (ChoirSession *session, const ChoirClaims *claims, GError **error)
{
  const char *token_type = choir_dialect_get_table (session->dialect)->token_type;

  if (token_type != NULL && g_strcmp0 (choir_claims_get_token_type (claims), token_type) != 0)
    {
      g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_AUTH, "Invalid token");
      return FALSE;
    }

  if (session->claims != NULL && !choir_claims_is_guest (session->claims) &&
      strcmp (choir_claims_get_user_id (claims), choir_session_get_user_id (session)) != 0)
    {
      g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_AUTH, "The token is for another user");
      return FALSE;
    }

  return TRUE;
}

static void
check_user (Verification *verification)
{
  g_autoptr (Verification) self = verification;
  ChoirSession *session = self->session;
  g_autoptr (GError) error = NULL;
  ChoirDirectory *directory;
  const char *user_id;

  /* gone meanwhile, and perhaps its hub with it */
  if ((session->flags & CHOIR_SESSION_CLOSING) || !check_claims (session, self->claims, &error))
    {
      finish (self, error);
      return;
    }

  directory = choir_hub_get_directory (session->hub);
  if (directory == NULL)
    {
      finish (self, NULL);
      return;
    }

  user_id = choir_claims_get_user_id (self->claims);
  choir_directory_check_async (directory, user_id, NULL, checked_cb, g_steal_pointer (&self));
}

static void
verified_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (Verification) self = user_data;
  g_autoptr (GError) error = NULL;

  self->claims = choir_verifier_verify_finish (CHOIR_VERIFIER (source), result, &error);
  if (self->claims == NULL)
    finish (self, error);
  else
    check_user (g_steal_pointer (&self));
}

static char **
read_channels (const ChoirEnvelope *request, guint max)
{
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();
  ChoirJsonValue array, element;
  gsize cursor = 0;
  guint n = 0;

  if (!choir_json_slice_get (request->payload, "channels", &array) ||
      array.kind != CHOIR_JSON_ARRAY)
    return NULL;

  while (n < max && choir_json_slice_next_element (array.raw, &cursor, &element))
    {
      g_autofree char *name = NULL;

      if (element.kind == CHOIR_JSON_STRING)
        name = choir_json_string_dup (element.raw, CHOIR_CHANNEL_NAME_MAX);
      if (name == NULL || !choir_name_is_channel (name, strlen (name)))
        continue;

      g_strv_builder_add (builder, name);
      n++;
    }

  return g_strv_builder_end (builder);
}

/* (transfer full) (nullable) */
static char *
read_session_id (const ChoirEnvelope *request)
{
  ChoirJsonValue value;

  if (!choir_json_slice_get (request->payload, "session_id", &value) ||
      value.kind != CHOIR_JSON_STRING)
    return NULL;

  return choir_json_string_dup (value.raw, CHOIR_ID_SIZE - 1);
}

/**
 * choir_session_authenticate:
 * @self: a session
 * @token: a JWT
 * @request: (nullable): the message it came in
 *
 * Checks the token and the user, which may take a while: messages that come meanwhile wait. A
 * second call refreshes what the first one gave.
 */
void
choir_session_authenticate (ChoirSession *self, const char *token, const ChoirEnvelope *request)
{
  g_autoptr (Verification) verification = g_new0 (Verification, 1);
  ChoirVerifier *verifier = choir_hub_get_verifier (self->hub);
  g_autoptr (GError) error = NULL;

  verification->session = g_object_ref (self);
  self->flags |= CHOIR_SESSION_VERIFYING;

  if (request != NULL)
    {
      verification->correlation_id = choir_slice_dup (request->correlation_id);
      verification->external_type = choir_slice_dup (request->external_type);
      verification->resume_id = read_session_id (request);
      verification->channels =
        read_channels (request, choir_hub_get_settings (self->hub)->max_subscriptions);
    }

  switch (choir_verifier_try (verifier, token, &verification->claims, &error))
    {
    case CHOIR_VERIFY_OK:
      check_user (g_steal_pointer (&verification));
      break;

    case CHOIR_VERIFY_LATER:
      choir_verifier_verify_async (verifier, token, NULL, verified_cb,
                                   g_steal_pointer (&verification));
      break;

    case CHOIR_VERIFY_FAILED:
    default:
      finish (verification, error);
    }
}
