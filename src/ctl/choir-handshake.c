/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-handshake.h"

#include "choir-accept-key.h"
#include "choir-ctl-error.h"
#include "choir-id.h"
#include "choir-json-gate.h"

#include <glib/gi18n.h>
#include <string.h>

#define FIELDS_MAX 100
#define DETAIL_MAX 500
#define SHOWN_MAX 200

/**
 * choir_handshake_make_key:
 *
 * Returns: (transfer full): a fresh `Sec-WebSocket-Key`
 */
char *
choir_handshake_make_key (void)
{
  guint32 random[4];

  for (guint i = 0; i < G_N_ELEMENTS (random); i++)
    random[i] = choir_id_random ();

  return g_base64_encode ((const guchar *) random, sizeof random);
}

/**
 * choir_handshake_write:
 * @request: what is asked for
 * @key: from choir_handshake_make_key()
 *
 * Returns: (transfer full): the request
 */
char *
choir_handshake_write (const ChoirHandshakeRequest *request, const char *key)
{
  GString *out = g_string_new (NULL);

  g_string_append_printf (out, "GET %s HTTP/1.1\r\nHost: %s", request->target, request->host);
  if (request->port >= 0)
    g_string_append_printf (out, ":%d", request->port);
  g_string_append_printf (out,
                          "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                          "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n"
                          "User-Agent: choirctl/" PACKAGE_VERSION "\r\n",
                          key);
  if (request->token != NULL)
    g_string_append_printf (out, "Authorization: Bearer %s\r\n", request->token);
  if (request->protocol != NULL)
    g_string_append_printf (out, "Sec-WebSocket-Protocol: %s\r\n", request->protocol);
  if (request->origin != NULL)
    g_string_append_printf (out, "Origin: %s\r\n", request->origin);
  g_string_append (out, "\r\n");

  return g_string_free (out, FALSE);
}

/* "HTTP/1.1 101 Switching Protocols" */
static gboolean
read_status (const char *line, guint *status)
{
  if (!g_str_has_prefix (line, "HTTP/1.") || strlen (line) < 12 || line[8] != ' ' ||
      !g_ascii_isdigit (line[9]) || !g_ascii_isdigit (line[10]) || !g_ascii_isdigit (line[11]))
    return FALSE;

  *status =
    (guint) (line[9] - '0') * 100 + (guint) (line[10] - '0') * 10 + (guint) (line[11] - '0');

  return TRUE;
}

/**
 * choir_handshake_read:
 * @head: (array length=len): the answer up to its empty line
 * @len: bytes in @head
 *
 * Returns: (transfer full) (nullable): what it says; %NULL if that is no HTTP
 */
ChoirHandshakeReply *
choir_handshake_read (const char *head, gsize len)
{
  g_autofree char *text = g_strndup (head, len);
  g_auto (GStrv) lines = g_strsplit (text, "\n", FIELDS_MAX);
  g_autoptr (ChoirHandshakeReply) self = g_new0 (ChoirHandshakeReply, 1);

  self->fields = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  if (lines[0] == NULL || !read_status (lines[0], &self->status))
    return NULL;

  for (char **line = lines + 1; *line != NULL; line++)
    {
      char *colon = strchr (*line, ':');

      if (colon == NULL)
        continue;

      *colon = '\0';
      g_hash_table_insert (self->fields, g_ascii_strdown (*line, -1),
                           g_strdup (g_strstrip (colon + 1)));
    }

  return g_steal_pointer (&self);
}

/**
 * choir_handshake_reply_free:
 * @self: (transfer full): an answer
 */
void
choir_handshake_reply_free (ChoirHandshakeReply *self)
{
  g_hash_table_unref (self->fields);
  g_free (self);
}

/**
 * choir_handshake_reply_get:
 * @self: an answer
 * @name: a header field's name, in lower case
 *
 * Returns: (transfer none) (nullable): its value
 */
const char *
choir_handshake_reply_get (const ChoirHandshakeReply *self, const char *name)
{
  return g_hash_table_lookup (self->fields, name);
}

/**
 * choir_handshake_reply_dup:
 * @self: an answer
 * @name: a header field's name, in lower case
 *
 * Returns: (transfer full) (nullable): its value to be shown: UTF-8, no longer than anybody reads
 */
char *
choir_handshake_reply_dup (const ChoirHandshakeReply *self, const char *name)
{
  const char *value = choir_handshake_reply_get (self, name);
  const char *end = value;

  if (value == NULL)
    return NULL;

  /* it ends where a character does */
  g_utf8_validate (value, (gssize) MIN (strlen (value), SHOWN_MAX), &end);

  return end > value ? g_strndup (value, (gsize) (end - value)) : NULL;
}

/**
 * choir_handshake_reply_get_body_size:
 * @self: an answer
 *
 * Returns: how many bytes of its body are worth waiting for
 */
gsize
choir_handshake_reply_get_body_size (const ChoirHandshakeReply *self)
{
  const char *text = choir_handshake_reply_get (self, "content-length");
  guint64 size = text != NULL ? g_ascii_strtoull (text, NULL, 10) : 0;

  return (gsize) MIN (size, CHOIR_HANDSHAKE_BODY_MAX);
}

static gboolean
has_word (const char *value, const char *word)
{
  g_auto (GStrv) words = g_strsplit (value != NULL ? value : "", ",", -1);

  for (char **w = words; *w != NULL; w++)
    if (g_ascii_strcasecmp (g_strstrip (*w), word) == 0)
      return TRUE;

  return FALSE;
}

/**
 * choir_handshake_check:
 * @self: an answer with status 101
 * @key: the key of the request
 * @protocol: (nullable): what was offered
 * @error: return location, of %CHOIR_CTL_ERROR
 *
 * RFC 6455 section 4.1, what a client must hold against the answer.
 *
 * Returns: whether the connection is open
 */
gboolean
choir_handshake_check (const ChoirHandshakeReply *self,
                       const char *key,
                       const char *protocol,
                       GError **error)
{
  const char *accepted = choir_handshake_reply_get (self, "sec-websocket-accept");
  const char *chosen = choir_handshake_reply_get (self, "sec-websocket-protocol");
  char accept[CHOIR_ACCEPT_KEY_SIZE];

  choir_accept_key_make (key, strlen (key), accept);
  if (!has_word (choir_handshake_reply_get (self, "upgrade"), "websocket") ||
      !has_word (choir_handshake_reply_get (self, "connection"), "upgrade"))
    g_set_error_literal (error, CHOIR_CTL_ERROR, CHOIR_CTL_FAILED,
                         _ ("The answer lacks the header fields Upgrade and Connection: something "
                            "on the way removes them"));
  else if (g_strcmp0 (accepted, accept) != 0)
    g_set_error_literal (error, CHOIR_CTL_ERROR, CHOIR_CTL_FAILED,
                         _ ("The answer belongs to another request (Sec-WebSocket-Accept is "
                            "wrong): something on the way keeps answers"));
  else if (chosen != NULL && g_strcmp0 (chosen, protocol) != 0)
    g_set_error_literal (error, CHOIR_CTL_ERROR, CHOIR_CTL_FAILED,
                         _ ("The server chose a subprotocol that was not offered"));
  else if (chosen == NULL && protocol != NULL)
    g_set_error (error, CHOIR_CTL_ERROR, CHOIR_CTL_FAILED,
                 _ ("The server does not speak “%s”: it opened the connection without a "
                    "subprotocol"),
                 protocol);
  else
    return TRUE;

  return FALSE;
}

static const struct
{
  guint status;
  ChoirCtlExit exit;
  const char *sentence;
} refusals[] = {
  { 400, CHOIR_CTL_FAILED,
    N_ ("Refused with 400: the handshake did not arrive as it was sent; a proxy on the way may "
        "remove Upgrade and Connection, or not speak HTTP/1.1") },
  { 401, CHOIR_CTL_NOT_ALLOWED,
    N_ ("Refused with 401: the token is missing, has expired, or is not from a key the service "
        "knows") },
  { 403, CHOIR_CTL_NOT_ALLOWED,
    N_ ("Refused with 403: this user, address or Origin may not come in") },
  { 404, CHOIR_CTL_NOT_FOUND,
    N_ ("Refused with 404: nothing is at this path; the service’s own is /ws") },
  { 405, CHOIR_CTL_FAILED, N_ ("Refused with 405: this address is no WebSocket end point") },
  { 426, CHOIR_CTL_FAILED,
    N_ ("Refused with 426: the wish to upgrade did not arrive; a proxy on the way removes Upgrade "
        "and Connection") },
  { 429, CHOIR_CTL_FAILED,
    N_ ("Refused with 429: too many connections of this user or address, or too many attempts") },
  { 502, CHOIR_CTL_NO_SERVICE,
    N_ ("Refused with 502: the proxy gets no proper answer from the service behind it") },
  { 503, CHOIR_CTL_NO_SERVICE,
    N_ ("Refused with 503: the service is full, about to stop, or not there") },
  { 504, CHOIR_CTL_NO_SERVICE, N_ ("Refused with 504: the service behind the proxy is silent") },
};

static void
explain_status (const ChoirHandshakeReply *self, GString *out, ChoirCtlExit *status)
{
  g_autofree char *location = choir_handshake_reply_dup (self, "location");

  *status = CHOIR_CTL_FAILED;

  for (guint i = 0; i < G_N_ELEMENTS (refusals); i++)
    if (refusals[i].status == self->status)
      {
        *status = refusals[i].exit;
        g_string_append (out, _ (refusals[i].sentence));
        return;
      }

  if (self->status / 100 == 2)
    g_string_append_printf (
      out,
      _ ("Answered %u instead of 101: this is no WebSocket end point, or a proxy on the way does "
         "not pass the upgrade on (it needs HTTP/1.1, Upgrade and Connection)"),
      self->status);
  else if (self->status / 100 == 3 && location != NULL)
    g_string_append_printf (
      out, _ ("Sent elsewhere with %u, to %.200s, where WebSocket clients do not go"), self->status,
      location);
  else
    g_string_append_printf (out, _ ("Refused with %u"), self->status);
}

static char *
dup_member (const ChoirJsonObject *object, const char *name)
{
  const ChoirJsonMember *member = choir_json_object_find (object, name);

  if (member == NULL || member->value.kind != CHOIR_JSON_STRING)
    return NULL;

  return choir_json_string_dup (member->value.raw, DETAIL_MAX);
}

/* RFC 9457, as the service refuses */
static char *
read_problem (const char *body, gsize len, char **detail)
{
  static const ChoirJsonLimits limits = { 16, 4096, 100, 1 };
  ChoirJsonObject object;

  if (!choir_json_gate_scan (body, len, &limits, &object, NULL))
    return NULL;

  *detail = dup_member (&object, "detail");

  return dup_member (&object, "code");
}

/**
 * choir_handshake_explain:
 * @self: an answer with another status than 101
 * @body: (array length=len): its body, as far as there is one
 * @len: bytes in @body
 * @code: (out) (transfer full) (nullable): the service's name of the problem
 * @error: return location, of %CHOIR_CTL_ERROR
 *
 * Puts into words why there is no connection, and what the service itself says about it.
 */
void
choir_handshake_explain (const ChoirHandshakeReply *self,
                         const char *body,
                         gsize len,
                         char **code,
                         GError **error)
{
  const char *retry_after = choir_handshake_reply_get (self, "retry-after");
  g_autoptr (GString) out = g_string_new (NULL);
  g_autofree char *detail = NULL;
  ChoirCtlExit status;

  explain_status (self, out, &status);
  *code = read_problem (body, len, &detail);

  if (*code != NULL && detail != NULL)
    g_string_append_printf (out, _ (" (the service says %s: %s)"), *code, detail);
  else if (*code != NULL)
    g_string_append_printf (out, _ (" (the service says %s)"), *code);
  if (retry_after != NULL && g_ascii_isdigit (*retry_after))
    g_string_append_printf (out, _ ("; it may be asked again in %u s"),
                            (guint) MIN (g_ascii_strtoull (retry_after, NULL, 10), G_MAXINT));

  g_set_error_literal (error, CHOIR_CTL_ERROR, (int) status, out->str);
}
