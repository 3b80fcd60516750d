/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-http-head.h"

#include "choir-http-guard.h"

#include <string.h>

/* RFC 6455 4.1: 16 bytes in base64 */
#define KEY_LEN 24

typedef enum
{
  FIELD_FORBIDDEN, /* frames a body or changes the connection: no ordinary upgrade has it */
  FIELD_CONNECTION,
  FIELD_UPGRADE,
  FIELD_VERSION,
  FIELD_SINGLE,
  FIELD_PROTOCOL,
  FIELD_EXTENSIONS,
} FieldKind;

typedef struct
{
  const char *name; /* lower case */
  FieldKind kind;
  gsize offset; /* of a FIELD_SINGLE's slice */
} Field;

typedef struct
{
  ChoirHttpHead *head;
  gboolean has_upgrade_token;
  gboolean has_upgrade;
  gboolean has_version;
} Parser;

static const Field fields[] = {
  { "host", FIELD_SINGLE, G_STRUCT_OFFSET (ChoirHttpHead, host) },
  { "connection", FIELD_CONNECTION, 0 },
  { "upgrade", FIELD_UPGRADE, 0 },
  { "sec-websocket-version", FIELD_VERSION, 0 },
  { "sec-websocket-key", FIELD_SINGLE, G_STRUCT_OFFSET (ChoirHttpHead, key) },
  { "sec-websocket-protocol", FIELD_PROTOCOL, 0 },
  { "sec-websocket-extensions", FIELD_EXTENSIONS, 0 },
  { "origin", FIELD_SINGLE, G_STRUCT_OFFSET (ChoirHttpHead, origin) },
  { "authorization", FIELD_SINGLE, G_STRUCT_OFFSET (ChoirHttpHead, authorization) },
  { "x-forwarded-for", FIELD_SINGLE, G_STRUCT_OFFSET (ChoirHttpHead, x_forwarded_for) },
  { "forwarded", FIELD_SINGLE, G_STRUCT_OFFSET (ChoirHttpHead, forwarded) },
  { "user-agent", FIELD_SINGLE, G_STRUCT_OFFSET (ChoirHttpHead, user_agent) },
  { "content-length", FIELD_FORBIDDEN, 0 },
  { "transfer-encoding", FIELD_FORBIDDEN, 0 },
  { "te", FIELD_FORBIDDEN, 0 },
  { "trailer", FIELD_FORBIDDEN, 0 },
  { "expect", FIELD_FORBIDDEN, 0 },
  { "http2-settings", FIELD_FORBIDDEN, 0 },
  { "proxy-connection", FIELD_FORBIDDEN, 0 },
};

static gboolean
equals_nocase (ChoirSlice slice, const char *text)
{
  gsize len = strlen (text);

  return slice.len == len && g_ascii_strncasecmp (slice.data, text, len) == 0;
}

/* RFC 9110 5.5 without obs-text */
static gboolean
is_field_value (ChoirSlice slice)
{
  for (gsize i = 0; i < slice.len; i++)
    {
      guchar c = slice.data[i];

      if ((c < ' ' && c != '\t') || c >= 0x7f)
        return FALSE;
    }
  return TRUE;
}

static ChoirSlice
trim (ChoirSlice slice)
{
  while (slice.len > 0 && (slice.data[0] == ' ' || slice.data[0] == '\t'))
    slice = (ChoirSlice){ slice.data + 1, slice.len - 1 };
  while (slice.len > 0 && (slice.data[slice.len - 1] == ' ' || slice.data[slice.len - 1] == '\t'))
    slice.len--;
  return slice;
}

/* Takes the bytes before @end off the front of @rest, and @end too; all that is left if it's absent
 */
static ChoirSlice
take_until (ChoirSlice *rest, char end)
{
  const char *found = rest->len > 0 ? memchr (rest->data, end, rest->len) : NULL;
  ChoirSlice taken = { rest->data, found != NULL ? (gsize) (found - rest->data) : rest->len };
  gsize used = taken.len + (found != NULL ? 1 : 0);

  *rest = (ChoirSlice){ rest->data + used, rest->len - used };
  return taken;
}

/* RFC 3986 3.3; with '?' also 3.4 */
static gboolean
is_uri_part (ChoirSlice slice, const char *extra)
{
  for (gsize i = 0; i < slice.len; i++)
    {
      char c = slice.data[i];

      if (c == '%')
        {
          if (slice.len - i < 3 || !g_ascii_isxdigit (slice.data[i + 1]) ||
              !g_ascii_isxdigit (slice.data[i + 2]) || memcmp (slice.data + i, "%00", 3) == 0)
            return FALSE;
          i += 2;
        }
      else if (c == '\0' || (!g_ascii_isalnum (c) && strchr ("-._~!$&'()*+,;=:@/", c) == NULL &&
                             strchr (extra, c) == NULL))
        return FALSE;
    }
  return TRUE;
}

/* What a proxy might resolve and we would not, or the other way round */
static gboolean
has_odd_segment (ChoirSlice path)
{
  ChoirSlice rest = { path.data + 1, path.len - 1 };

  while (rest.len > 0)
    {
      ChoirSlice segment = take_until (&rest, '/');

      if ((segment.len == 0) || (segment.len == 1 && segment.data[0] == '.') ||
          (segment.len == 2 && memcmp (segment.data, "..", 2) == 0))
        return TRUE;
    }
  return FALSE;
}

static gboolean
parse_request_line (ChoirSlice line, ChoirHttpHead *head)
{
  static const char start[] = "GET ";
  static const char end[] = " HTTP/1.1";
  gsize fixed = strlen (start) + strlen (end);
  ChoirSlice target;
  const char *question;

  if (line.len <= fixed || memcmp (line.data, start, strlen (start)) != 0 ||
      memcmp (line.data + line.len - strlen (end), end, strlen (end)) != 0)
    return FALSE;
  target = (ChoirSlice){ line.data + strlen (start), line.len - fixed };
  question = memchr (target.data, '?', target.len);
  head->path = target;
  if (question != NULL)
    {
      head->path.len = question - target.data;
      head->query = (ChoirSlice){ question + 1, target.len - head->path.len - 1 };
    }
  return head->path.len > 0 && head->path.data[0] == '/' && is_uri_part (head->path, "") &&
         is_uri_part (head->query, "?") && !has_odd_segment (head->path);
}

/* RFC 9110 7.6.1 */
static gboolean
parse_connection (Parser *self, ChoirSlice value)
{
  while (value.len > 0)
    {
      ChoirSlice option = trim (take_until (&value, ','));

      if (option.len == 0)
        continue;
      if (!choir_http_is_token (option.data, option.len) || equals_nocase (option, "close"))
        return FALSE;
      if (equals_nocase (option, "upgrade"))
        self->has_upgrade_token = TRUE;
    }
  return TRUE;
}

static gboolean
set_once (gboolean *flag, gboolean condition)
{
  if (*flag || !condition)
    return FALSE;
  *flag = TRUE;
  return TRUE;
}

static gboolean
add_to_list (ChoirSlice *list, guint *n, ChoirSlice value)
{
  if (*n == CHOIR_HTTP_HEAD_LIST_MAX || value.len == 0)
    return FALSE;
  list[(*n)++] = value;
  return TRUE;
}

static gboolean
set_single (Parser *self, const Field *field, ChoirSlice value)
{
  ChoirSlice *slice = (gpointer) ((char *) self->head + field->offset);

  if (slice->data != NULL)
    return FALSE;
  *slice = value;
  return TRUE;
}

static gboolean
parse_known (Parser *self, const Field *field, ChoirSlice value)
{
  ChoirHttpHead *head = self->head;

  switch (field->kind)
    {
    case FIELD_CONNECTION:
      return parse_connection (self, value);
    case FIELD_UPGRADE:
      return set_once (&self->has_upgrade, equals_nocase (value, "websocket"));
    case FIELD_VERSION:
      return set_once (&self->has_version, equals_nocase (value, "13"));
    case FIELD_SINGLE:
      return set_single (self, field, value);
    case FIELD_PROTOCOL:
      return add_to_list (head->protocols, &head->n_protocols, value);
    case FIELD_EXTENSIONS:
      return add_to_list (head->extensions, &head->n_extensions, value);
    case FIELD_FORBIDDEN:
    default:
      return FALSE;
    }
}

/* A space before the colon or at the start of the line (obs-fold) is no token character */
static gboolean
parse_field (Parser *self, ChoirSlice line)
{
  const char *colon = memchr (line.data, ':', line.len);
  ChoirSlice name, value;

  if (colon == NULL)
    return FALSE;
  name = (ChoirSlice){ line.data, (gsize) (colon - line.data) };
  value = trim ((ChoirSlice){ colon + 1, line.len - name.len - 1 });
  if (!choir_http_is_token (name.data, name.len) || !is_field_value (value))
    return FALSE;
  for (guint i = 0; i < G_N_ELEMENTS (fields); i++)
    {
      if (equals_nocase (name, fields[i].name))
        return parse_known (self, &fields[i], value);
    }
  return TRUE;
}

static gboolean
is_host (ChoirSlice host)
{
  for (gsize i = 0; i < host.len; i++)
    {
      if (!g_ascii_isalnum (host.data[i]) &&
          (host.data[i] == '\0' || strchr ("-._:[]", host.data[i]) == NULL))
        return FALSE;
    }
  return host.len > 0;
}

static gboolean
is_base64_char (char c)
{
  return g_ascii_isalnum (c) || c == '+' || c == '/';
}

/* 16 bytes are 21 characters, one that carries two bits, and padding */
static gboolean
is_key (ChoirSlice key)
{
  if (key.len != KEY_LEN || memcmp (key.data + KEY_LEN - 2, "==", 2) != 0)
    return FALSE;
  for (gsize i = 0; i < KEY_LEN - 3; i++)
    {
      if (!is_base64_char (key.data[i]))
        return FALSE;
    }
  return key.data[KEY_LEN - 3] != '\0' && strchr ("AQgw", key.data[KEY_LEN - 3]) != NULL;
}

/* Length of the head with its empty line; 0: not all there; -1: a line feed without its partner, or
 * none within the limit */
static gssize
find_end (const char *data, gsize len)
{
  gsize limit = MIN (len, CHOIR_HTTP_HEAD_MAX);
  const char *from = data;
  const char *feed;

  while ((feed = memchr (from, '\n', limit - (from - data))) != NULL)
    {
      if (feed == data || feed[-1] != '\r')
        return -1;
      if (feed - data >= 3 && feed[-2] == '\n')
        return feed - data + 1;
      from = feed + 1;
    }
  return len >= CHOIR_HTTP_HEAD_MAX ? -1 : 0;
}

static gboolean
parse_fields (Parser *self, ChoirSlice rest)
{
  guint n_lines = 0;

  while (rest.len > 0)
    {
      ChoirSlice line = take_until (&rest, '\n');

      line.len--;
      if (++n_lines > CHOIR_HTTP_HEAD_LINES_MAX || !parse_field (self, line))
        return FALSE;
    }
  return TRUE;
}

/**
 * choir_http_head_parse:
 * @data: what has arrived on the connection
 * @len: bytes
 * @out: (out caller-allocates): valid with %CHOIR_HTTP_HEAD_COMPLETE, as long as @data is
 *
 * Takes only what every reader would understand alike: GET, HTTP/1.1, a path, each single-valued
 * field once, no body, no folding, nothing but printable ASCII (RFC 9112, RFC 6455 4.2.1). All the
 * rest is odd, which need not mean wrong. Allocates nothing.
 *
 * Returns: see #ChoirHttpHeadResult
 */
ChoirHttpHeadResult
choir_http_head_parse (const char *data, gsize len, ChoirHttpHead *out)
{
  Parser parser = { .head = out };
  ChoirSlice rest, line;
  gssize end;

  *out = (ChoirHttpHead){ 0 };
  if (len == 0)
    return CHOIR_HTTP_HEAD_PARTIAL;
  if (memcmp (data, "GET /", MIN (len, 5)) != 0)
    return CHOIR_HTTP_HEAD_ODD;
  end = find_end (data, len);
  if (end <= 0)
    return end == 0 ? CHOIR_HTTP_HEAD_PARTIAL : CHOIR_HTTP_HEAD_ODD;

  out->head_len = end;
  rest = (ChoirSlice){ data, end - 2 };
  line = take_until (&rest, '\n');
  line.len--;
  if (!parse_request_line (line, out) || !parse_fields (&parser, rest))
    return CHOIR_HTTP_HEAD_ODD;
  if (!parser.has_upgrade_token || !parser.has_upgrade || !parser.has_version ||
      !is_host (out->host) || !is_key (out->key))
    return CHOIR_HTTP_HEAD_ODD;
  return CHOIR_HTTP_HEAD_COMPLETE;
}
