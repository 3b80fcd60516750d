/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-handlers.h"

#include "choir-error.h"
#include "choir-names.h"
#include "choir-payload.h"
#include "choir-session.h"

#include <string.h>

/* A publisher who waits for an answer: on the stack, unless the message has to be stored first */
typedef struct _ChoirPublisher Publisher;
struct _ChoirPublisher
{
  ChoirSession *session;        /* (owned) once it is kept */
  const ChoirEnvelope *message; /* as much as an answer needs; its own once it is kept */
  const char *message_id;       /* (nullable) likewise */
  ChoirEnvelope envelope;
  char *external_type;  /* (owned) (nullable) */
  char *correlation_id; /* (owned) (nullable) */
  gboolean is_kept;
};

static char *
dup_or_null (ChoirSlice slice)
{
  return slice.len > 0 ? choir_slice_dup (slice) : NULL;
}

static gpointer
publisher_keep (gpointer user_data)
{
  const Publisher *from = user_data;
  Publisher *self = g_new0 (Publisher, 1);

  self->session = g_object_ref (from->session);
  self->external_type = dup_or_null (from->message->external_type);
  self->correlation_id = dup_or_null (from->message->correlation_id);
  self->message_id = g_strdup (from->message_id);
  self->envelope.external_type = choir_slice (self->external_type);
  self->envelope.correlation_id = choir_slice (self->correlation_id);
  self->message = &self->envelope;
  self->is_kept = TRUE;

  return self;
}

/* Who is answered some time: (transfer full), for choir_handlers_answer_published(), which frees it
 */
ChoirPublisher *
choir_handlers_keep_publisher (ChoirSession *session,
                               const ChoirEnvelope *message,
                               const char *message_id)
{
  Publisher publisher = { .session = session, .message = message, .message_id = message_id };

  return publisher_keep (&publisher);
}

void
choir_publisher_free (ChoirPublisher *self)
{
  g_object_unref (self->session);
  g_free (self->external_type);
  g_free (self->correlation_id);
  g_free ((char *) self->message_id);
  g_free (self);
}

static void
send_published (const Publisher *self, const ChoirPublished *published)
{
  g_autoptr (GString) payload = g_string_sized_new (128);

  choir_payload_open (payload);
  choir_payload_add_string (payload, "channel", published->channel->name);
  choir_payload_add_string (payload, "epoch", published->channel->epoch);
  choir_payload_add_int (payload, "offset", published->offset);
  choir_payload_add_string (payload, "message_id", self->message_id);
  if (published->duplicate)
    choir_payload_add_boolean (payload, "duplicate", TRUE);
  choir_payload_close (payload);

  choir_session_send (self->session, self->message, "publish.ok", choir_payload_as_slice (payload));
}

static void
send_refusal (const Publisher *self, const GError *error)
{
  gint64 retry_us = 0;

  if (self->is_kept && (g_error_matches (error, CHOIR_ERROR, CHOIR_ERROR_UNAVAILABLE) ||
                        g_error_matches (error, CHOIR_ERROR, CHOIR_ERROR_RATE_LIMITED)))
    retry_us = G_USEC_PER_SEC;

  choir_session_send_error_later (self->session, self->message, error, retry_us);
}

/* A #ChoirPublishedFunc; @user_data: a #ChoirPublisher, which is freed if it is kept */
void
choir_handlers_answer_published (const ChoirPublished *published,
                                 const GError *error,
                                 gpointer user_data)
{
  Publisher *self = user_data;

  /* one that is over must not be asked for its hub, which may be gone */
  if (!self->is_kept || !choir_session_is_closing (self->session))
    {
      if (published != NULL)
        send_published (self, published);
      else
        send_refusal (self, error);
    }

  if (self->is_kept)
    choir_publisher_free (self);
}

/* Whether the session may publish there; refuses the message if not */
gboolean
choir_handlers_may_publish (ChoirSession *session,
                            const ChoirEnvelope *message,
                            const char *channel)
{
  if (choir_session_may (session, channel, CHOIR_PERMISSION_WRITE))
    return TRUE;

  choir_session_refuse (session, message, CHOIR_ERROR_PERMISSION_DENIED,
                        "You may not publish to this channel");

  return FALSE;
}

/*
 * Checks the permission, publishes in the session's name, and answers, now or when it is stored;
 * whatever is published by clients comes through here. @message_id: (nullable): said in the answer.
 */
void
choir_handlers_publish (ChoirSession *session,
                        const ChoirEnvelope *message,
                        const ChoirPublication *publication,
                        const char *message_id)
{
  Publisher publisher = { .session = session, .message = message, .message_id = message_id };
  ChoirPublication signed_by = *publication;

  if (!choir_handlers_may_publish (session, message, publication->channel))
    return;

  signed_by.user_id = choir_session_get_user_id (session);
  signed_by.session_id = choir_session_get_id (session);
  signed_by.keep = publisher_keep;
  choir_hub_publish_async (choir_session_get_hub (session), &signed_by,
                           choir_handlers_answer_published, &publisher);
}

/* @value: the payload's `idempotency_key`, with an empty `raw` if it has none. @key: (out)
 * (nullable) (transfer full): it, and whose it is. FALSE: the message was refused */
gboolean
choir_handlers_read_key (ChoirSession *session,
                         const ChoirEnvelope *message,
                         const ChoirJsonValue *value,
                         char **key)
{
  g_autofree char *text = NULL;
  const char *owner;

  *key = NULL;
  if (value->raw.len == 0)
    return TRUE;

  if (value->kind == CHOIR_JSON_STRING)
    text = choir_json_string_dup (value->raw, CHOIR_MESSAGE_ID_MAX);
  if (text == NULL || *text == '\0')
    {
      choir_session_refuse (session, message, CHOIR_ERROR_VALIDATION,
                            "Field \"idempotency_key\" must be a string of 1-%d bytes",
                            CHOIR_MESSAGE_ID_MAX);
      return FALSE;
    }

  owner = choir_session_get_user_id (session);
  *key = g_strconcat (owner != NULL ? owner : choir_session_get_id (session), "\n", text, NULL);

  return TRUE;
}

static gboolean
is_back_end (ChoirSession *session)
{
  const ChoirSettings *settings = choir_hub_get_settings (choir_session_get_hub (session));
  ChoirClaims *claims = choir_session_get_claims (session);

  return choir_claims_has_role (claims, settings->service_role) ||
         choir_claims_has_role (claims, "admin");
}

/* Whether the type may be published under; refuses the message if not */
static gboolean
check_publish_type (ChoirSession *session,
                    const ChoirEnvelope *message,
                    const ChoirJsonValue *value,
                    char type[CHOIR_TYPE_NAME_MAX + 1])
{
  ChoirSlice contents = choir_json_string_contents (value->raw);

  if (value->kind != CHOIR_JSON_STRING || contents.len == 0 || contents.len > CHOIR_TYPE_NAME_MAX ||
      !choir_name_is_identifier (contents.data, contents.len))
    {
      choir_session_refuse (session, message, CHOIR_ERROR_VALIDATION,
                            "Field \"type\" of the payload must be a name of 1-%d bytes",
                            CHOIR_TYPE_NAME_MAX);
      return FALSE;
    }

  memcpy (type, contents.data, contents.len);
  type[contents.len] = '\0';

  if (choir_router_is_reserved (type) && !is_back_end (session))
    {
      choir_session_refuse (session, message, CHOIR_ERROR_PERMISSION_DENIED,
                            "Messages of this type come from the service only");
      return FALSE;
    }

  /* what these say goes for the moment in which they are said */
  if (strcmp (type, "chat.chunk") == 0 || g_str_has_prefix (type, "chat.typing"))
    {
      choir_session_refuse (session, message, CHOIR_ERROR_VALIDATION,
                            "Messages of this type are not published, but said themselves");
      return FALSE;
    }

  return TRUE;
}

/* What others get: who says it goes with what is shown as somebody's. (nullable) (transfer full):
 * %NULL: refused */
static GString *
stamp (ChoirSession *session,
       const ChoirEnvelope *message,
       ChoirSlice payload,
       const ChoirPublication *publication,
       char **message_id)
{
  const char *type = publication->type;

  *message_id = NULL;
  if (strcmp (type, "chat.message") == 0)
    return choir_handlers_make_chat (session, message, payload, publication, message_id);

  if (g_str_has_prefix (type, "chat.") || g_str_has_prefix (type, "cursor.") ||
      g_str_has_prefix (type, "selection."))
    return choir_handlers_with_sender (session, payload);

  return g_string_new_len (payload.data, (gssize) payload.len);
}

/* publish {channel, type, payload, idempotency_key?} -> publish.ok */
static void
handle_publish (ChoirSession *session, const ChoirEnvelope *message)
{
  static const ChoirSlice keys[] = {
    CHOIR_SLICE_LITERAL ("channel"),         CHOIR_SLICE_LITERAL ("type"),
    CHOIR_SLICE_LITERAL ("payload"),         CHOIR_SLICE_LITERAL ("data"),
    CHOIR_SLICE_LITERAL ("idempotency_key"),
  };
  ChoirJsonValue values[G_N_ELEMENTS (keys)];
  g_autofree char *channel = NULL;
  g_autofree char *key = NULL;
  g_autofree char *message_id = NULL;
  g_autoptr (GString) stamped = NULL;
  char type[CHOIR_TYPE_NAME_MAX + 1];
  ChoirPublication publication;
  ChoirJsonValue payload;

  choir_json_slice_get_many (message->payload, keys, G_N_ELEMENTS (keys), values);
  channel = choir_handlers_dup_named_channel (session, message, &values[0], TRUE);
  if (channel == NULL || !check_publish_type (session, message, &values[1], type) ||
      !choir_handlers_read_key (session, message, &values[4], &key))
    return;

  payload = values[2].raw.len > 0 ? values[2] : values[3];
  if (payload.raw.len == 0)
    payload = (ChoirJsonValue){ CHOIR_SLICE_LITERAL ("{}"), CHOIR_JSON_OBJECT, 0 };

  if (payload.kind != CHOIR_JSON_OBJECT)
    {
      choir_session_refuse (session, message, CHOIR_ERROR_VALIDATION,
                            "Field \"payload\" of the payload must be an object");
      return;
    }

  publication = (ChoirPublication){ .channel = channel, .type = type, .key = key };
  stamped = stamp (session, message, payload.raw, &publication, &message_id);
  if (stamped == NULL)
    return;

  publication.payload = choir_payload_as_slice (stamped);
  choir_handlers_publish (session, message, &publication, message_id);
}

static const ChoirRoute routes[] = {
  { "publish", handle_publish, CHOIR_RATE_DEFAULT, CHOIR_ROUTE_SANITIZE },
};

void
choir_handlers_register_publish (ChoirRouter *router)
{
  choir_router_add (router, routes, G_N_ELEMENTS (routes));
}
