/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-chat-check.h"

#include "choir-chat.h"
#include "choir-error.h"
#include "choir-payload.h"
#include "choir-session.h"

#include <string.h>

#define ATTACHMENTS_MAX 16
#define URL_MAX 2048
#define NAME_MAX_BYTES 255

/* Members of a message that the service looks at */
typedef enum
{
  CONTENT,
  SEQ,
  COMPLETE,
  ABORTED,
  IS_TYPING,
  ROLE,
  MESSAGE_ID,
  ATTACHMENTS,
  USER_ID,
  SESSION_ID,
  IDEMPOTENCY_KEY,
  N_FIELDS
} Field;

static const char *const field_names[N_FIELDS] = {
  [CONTENT] = "content",
  [SEQ] = "seq",
  [COMPLETE] = "complete",
  [ABORTED] = "aborted",
  [IS_TYPING] = "is_typing",
  [ROLE] = "role",
  [MESSAGE_ID] = "message_id",
  [ATTACHMENTS] = "attachments",
  [USER_ID] = "user_id",
  [SESSION_ID] = "session_id",
  [IDEMPOTENCY_KEY] = "idempotency_key",
};

/* Whoever shows the message takes the last of two members of one name, and resolves escapes in
 * names: so does this, or it would look at something else than what is shown */
static Field
find_field (ChoirSlice key)
{
  Field field = 0;

  while (field < N_FIELDS && !choir_json_key_equals (key, choir_slice (field_names[field])))
    field++;

  return field;
}

static gboolean
invalid (GError **error, const char *text)
{
  g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION, text);

  return FALSE;
}

/* What browsers take out of an address, or see as another sign, may hide what it is */
static gboolean
has_odd_characters (const char *url)
{
  for (const char *p = url; *p != '\0'; p++)
    if ((guint8) *p <= ' ' || *p == '\x7f' || *p == '\\' || *p == '<' || *p == '>' || *p == '"')
      return TRUE;

  return FALSE;
}

/* https:, http:, or a path on the server the page came from */
static gboolean
is_reference (const char *url)
{
  g_autoptr (GUri) uri = NULL;
  const char *host;

  if (has_odd_characters (url))
    return FALSE;

  if (*url == '/')
    return url[1] != '/';

  if (g_ascii_strncasecmp (url, "https://", 8) != 0 && g_ascii_strncasecmp (url, "http://", 7) != 0)
    return FALSE;

  uri = g_uri_parse (url, G_URI_FLAGS_NONE, NULL);
  host = uri != NULL ? g_uri_get_host (uri) : NULL;

  return host != NULL && *host != '\0';
}

static gboolean
is_text (const ChoirJsonValue *value, gsize max)
{
  g_autofree char *text =
    value->kind == CHOIR_JSON_STRING ? choir_json_string_dup (value->raw, max) : NULL;

  return text != NULL && *text != '\0';
}

static gboolean
is_url (const ChoirJsonValue *value)
{
  g_autofree char *text =
    value->kind == CHOIR_JSON_STRING ? choir_json_string_dup (value->raw, URL_MAX) : NULL;

  return text != NULL && is_reference (text);
}

static gboolean
is_size (const ChoirJsonValue *value)
{
  gint64 size;

  return value->kind == CHOIR_JSON_NUMBER && choir_json_number_get_int (value->raw, &size) &&
         size >= 0;
}

/* The short form: an address, or an id, which has no sign that could make it one */
static gboolean
is_short_reference (const ChoirJsonValue *value)
{
  g_autofree char *text = choir_json_string_dup (value->raw, URL_MAX);

  if (text == NULL || *text == '\0')
    return FALSE;

  return strpbrk (text, ":/\\") != NULL
           ? is_reference (text)
           : strlen (text) <= NAME_MAX_BYTES && !has_odd_characters (text);
}

/* A reference has an address or an id, and nothing that could be the contents themselves */
static gboolean
check_object (const ChoirJsonValue *value, GError **error)
{
  gboolean refers = FALSE;
  ChoirJsonMember member;
  gsize cursor = 0;

  while (choir_json_slice_next_member (value->raw, &cursor, &member))
    {
      gboolean valid;

      if (choir_json_key_equals (member.key, CHOIR_SLICE_LITERAL ("url")))
        refers = valid = is_url (&member.value);
      else if (choir_json_key_equals (member.key, CHOIR_SLICE_LITERAL ("id")))
        refers = valid = is_text (&member.value, CHOIR_CHAT_ID_MAX);
      else if (choir_json_key_equals (member.key, CHOIR_SLICE_LITERAL ("size")))
        valid = is_size (&member.value);
      else
        valid = (choir_json_key_equals (member.key, CHOIR_SLICE_LITERAL ("name")) ||
                 choir_json_key_equals (member.key, CHOIR_SLICE_LITERAL ("type"))) &&
                is_text (&member.value, NAME_MAX_BYTES);

      if (!valid)
        return invalid (error, "An attachment is {url or id, name, type, size}, and its \"url\" an "
                               "https: or http: address or a path of at most 2048 bytes");
    }

  return refers || invalid (error, "An attachment must have a \"url\" or an \"id\"");
}

static gboolean
check_attachment (const ChoirJsonValue *value, GError **error)
{
  if (value->kind == CHOIR_JSON_OBJECT)
    return check_object (value, error);

  return (value->kind == CHOIR_JSON_STRING && is_short_reference (value)) ||
         invalid (error, "Each of \"attachments\" must be a reference");
}

static gboolean
check_attachments (const ChoirJsonValue *value, GError **error)
{
  ChoirJsonValue element;
  gsize cursor = 0;
  guint n = 0;

  if (value->kind != CHOIR_JSON_ARRAY)
    return invalid (error, "Field \"attachments\" must be an array");

  while (choir_json_slice_next_element (value->raw, &cursor, &element))
    {
      if (++n > ATTACHMENTS_MAX)
        return invalid (error, "At most 16 attachments");

      if (!check_attachment (&element, error))
        return FALSE;
    }

  return TRUE;
}

/**
 * choir_chat_is_back_end:
 * @session: an authenticated session
 *
 * Returns: whether it may speak as others than a user: a back end, a worker, an administrator
 */
gboolean
choir_chat_is_back_end (ChoirSession *session)
{
  const ChoirSettings *settings = choir_hub_get_settings (choir_session_get_hub (session));
  ChoirClaims *claims = choir_session_get_claims (session);

  return claims != NULL && (choir_claims_has_role (claims, settings->service_role) ||
                            choir_claims_has_role (claims, settings->worker_role) ||
                            choir_claims_has_role (claims, "admin"));
}

static gboolean
read_role (ChoirSession *session, const ChoirJsonValue *value, const char **role, GError **error)
{
  static const char *const roles[] = { "user", "assistant", "system", "tool" };
  g_autofree char *text =
    value->kind == CHOIR_JSON_STRING ? choir_json_string_dup (value->raw, 16) : NULL;
  guint i = 0;

  while (text != NULL && i < G_N_ELEMENTS (roles) && strcmp (text, roles[i]) != 0)
    i++;

  if (text == NULL || i == G_N_ELEMENTS (roles))
    return invalid (error,
                    "Field \"role\" must be \"user\", \"assistant\", \"system\" or \"tool\"");

  *role = roles[i];
  if (i == 0 || session == NULL || choir_chat_is_back_end (session))
    return TRUE;

  g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_PERMISSION_DENIED, "You may not speak as \"%s\"",
               *role);

  return FALSE;
}

static gboolean
read_id (const ChoirJsonValue *value, char **message_id, GError **error)
{
  if (value->kind == CHOIR_JSON_STRING)
    *message_id = choir_json_string_dup (value->raw, CHOIR_CHAT_ID_MAX);

  return (*message_id != NULL && **message_id != '\0') ||
         invalid (error, "Field \"message_id\" must be a string of 1-128 bytes");
}

static gboolean
read_field (ChoirSession *session,
            Field field,
            const ChoirJsonValue *value,
            ChoirChatMessage *out,
            GError **error)
{
  if (value->kind == CHOIR_JSON_NULL && field != CONTENT)
    return TRUE;

  switch (field)
    {
    case CONTENT:
      out->content = *value;
      return value->kind == CHOIR_JSON_STRING ||
             invalid (error, "Field \"content\" must be a string");

    case SEQ:
      out->seq = *value;
      return TRUE;

    case COMPLETE:
      out->complete = *value;
      return TRUE;

    case ABORTED:
      out->aborted = *value;
      return TRUE;

    case IS_TYPING:
      out->is_typing = *value;
      return TRUE;

    case ROLE:
      return read_role (session, value, &out->role, error);

    case MESSAGE_ID:
      return read_id (value, &out->message_id, error);

    case ATTACHMENTS:
      return check_attachments (value, error);

    case USER_ID:
    case SESSION_ID:
    case IDEMPOTENCY_KEY:
    case N_FIELDS:
    default:
      return TRUE;
    }
}

/**
 * choir_chat_read_message:
 * @session: (nullable): who says it; %NULL if the caller knows whether that one may speak as others
 * @payload: of a message, a chunk, or typing
 * @out: filled
 * @error: return location: %CHOIR_ERROR_VALIDATION, %CHOIR_ERROR_PERMISSION_DENIED for a role
 *
 * Checks everything but that something is missing.
 *
 * Returns: whether it may be said
 */
gboolean
choir_chat_read_message (ChoirSession *session,
                         ChoirSlice payload,
                         ChoirChatMessage *out,
                         GError **error)
{
  gboolean seen[N_FIELDS] = { FALSE };
  ChoirJsonMember member;
  gsize cursor = 0;

  *out = (ChoirChatMessage){ .role = "user" };

  while (choir_json_slice_next_member (payload, &cursor, &member))
    {
      Field field = find_field (member.key);

      if (field == N_FIELDS)
        continue;

      if (seen[field])
        {
          g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION, "Field \"%s\" is there twice",
                       field_names[field]);
          return FALSE;
        }

      seen[field] = TRUE;
      if (!read_field (session, field, &member.value, out, error))
        return FALSE;
    }

  return TRUE;
}

void
choir_chat_message_clear (ChoirChatMessage *self)
{
  g_clear_pointer (&self->message_id, g_free);
}

/**
 * choir_chat_stamp_message:
 * @session: who says it
 * @payload: of a message that choir_chat_read_message() has passed
 * @message: what that has read
 *
 * Returns: (transfer full): what the others get: who says it, as whom, and under which id
 */
GString *
choir_chat_stamp_message (ChoirSession *session,
                          ChoirSlice payload,
                          const ChoirChatMessage *message)
{
  GString *out = g_string_sized_new (payload.len + 192);
  ChoirJsonMember member;
  gsize cursor = 0;

  choir_payload_open (out);
  choir_payload_add_string (out, "user_id", choir_session_get_user_id (session));
  choir_payload_add_string (out, "session_id", choir_session_get_id (session));
  choir_payload_add_string (out, "message_id", message->message_id);
  choir_payload_add_string (out, "role", message->role);

  while (choir_json_slice_next_member (payload, &cursor, &member))
    {
      Field field = find_field (member.key);

      if (field == ROLE || field == MESSAGE_ID || field == USER_ID || field == SESSION_ID ||
          field == IDEMPOTENCY_KEY)
        continue;

      g_string_append (out, ",\"");
      g_string_append_len (out, member.key.data, (gssize) member.key.len);
      g_string_append (out, "\":");
      g_string_append_len (out, member.value.raw.data, (gssize) member.value.raw.len);
    }

  choir_payload_close (out);

  return out;
}

/**
 * choir_chat_check_kept:
 * @type: what somebody wants to publish
 * @error: return location: %CHOIR_ERROR_VALIDATION
 *
 * Returns: %FALSE if it means something only as long as somebody is there, or as a part of
 * something
 */
gboolean
choir_chat_check_kept (const char *type, GError **error)
{
  static const char *const transient[] = { "chat.typing", "chat.chunk", "cursor.position",
                                           "selection.change", NULL };

  if (!g_strv_contains (transient, type))
    return TRUE;

  g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION,
                       "Messages of this type are never kept: broadcast them");

  return FALSE;
}

/* What the service knows better. A back end speaks for others: it says who has sent a message */
static gboolean
is_replaced (ChoirSlice key, gboolean may_say, gboolean *says_user)
{
  static const ChoirSlice always[] = {
    CHOIR_SLICE_LITERAL ("role"),
    CHOIR_SLICE_LITERAL ("message_id"),
    CHOIR_SLICE_LITERAL ("idempotency_key"),
  };

  for (guint i = 0; i < G_N_ELEMENTS (always); i++)
    if (choir_json_key_equals (key, always[i]))
      return TRUE;

  if (choir_json_key_equals (key, CHOIR_SLICE_LITERAL ("user_id")))
    {
      *says_user = may_say;
      return !may_say;
    }

  return !may_say && choir_json_key_equals (key, CHOIR_SLICE_LITERAL ("session_id"));
}

static GString *
stamp_spoken (const ChoirChatSpeaker *speaker,
              ChoirSlice payload,
              const char *message_id,
              const char *role)
{
  GString *stamped = g_string_sized_new (payload.len + 192);
  gboolean says_user = FALSE;
  ChoirJsonMember member;
  gsize cursor = 0;

  choir_payload_open (stamped);
  choir_payload_add_string (stamped, "message_id", message_id);
  choir_payload_add_string (stamped, "role", role);
  while (choir_json_slice_next_member (payload, &cursor, &member))
    {
      if (is_replaced (member.key, speaker->is_back_end, &says_user))
        continue;

      g_string_append (stamped, ",\"");
      g_string_append_len (stamped, member.key.data, (gssize) member.key.len);
      g_string_append (stamped, "\":");
      g_string_append_len (stamped, member.value.raw.data, (gssize) member.value.raw.len);
    }
  if (!says_user)
    choir_payload_add_string (stamped, "user_id", speaker->user_id);
  choir_payload_close (stamped);

  return stamped;
}

/**
 * choir_chat_admit:
 * @speaker: who publishes without a session
 * @type: the message's type
 * @payload: (inout): a valid object; of a `chat.message` with what the service knows better
 * @stamped: (out) (transfer full) (nullable): what @payload points into then
 * @message_id: (out) (transfer full) (nullable): of a `chat.message`
 * @error: return location: %CHOIR_ERROR_VALIDATION, %CHOIR_ERROR_PERMISSION_DENIED
 *
 * Returns: whether a chat message is what it would have to be on a connection; others are
 */
gboolean
choir_chat_admit (const ChoirChatSpeaker *speaker,
                  const char *type,
                  ChoirSlice *payload,
                  GString **stamped,
                  char **message_id,
                  GError **error)
{
  g_auto (ChoirChatMessage) read = { 0 };

  if (strcmp (type, "chat.message") != 0)
    return TRUE;

  if (!choir_chat_read_message (NULL, *payload, &read, error))
    return FALSE;

  if (read.content.raw.len == 0)
    {
      g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION,
                           "A chat.message must have \"content\", a string");
      return FALSE;
    }

  if (strcmp (read.role, "user") != 0 && !speaker->is_back_end)
    {
      g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_PERMISSION_DENIED, "You may not speak as \"%s\"",
                   read.role);
      return FALSE;
    }

  if (read.message_id == NULL)
    {
      read.message_id = g_malloc (CHOIR_ID_SIZE);
      choir_id_generate (read.message_id);
    }

  *stamped = stamp_spoken (speaker, *payload, read.message_id, read.role);
  *payload = choir_payload_as_slice (*stamped);
  *message_id = g_steal_pointer (&read.message_id);

  return TRUE;
}
