/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-http-guard.h"

#include "choir-json-gate.h"

#include <string.h>

/*
 * libsoup is lenient about heads, and leaks on some. What two parsers may read differently (RFC
 * 9112 11.2, request smuggling) is refused before it sees them, whatever is asked for.
 */

/* What has been seen of a head */
typedef struct
{
  guint n_hosts;
  guint n_lengths;
  guint n_encodings;
} Seen;

/**
 * choir_http_is_token:
 * @text: bytes
 * @len: how many
 *
 * Returns: whether they are a token (RFC 9110 5.6.2): a method, a header's name
 */
gboolean
choir_http_is_token (const char *text, gsize len)
{
  for (gsize i = 0; i < len; i++)
    if (!g_ascii_isalnum (text[i]) &&
        (text[i] == '\0' || strchr ("!#$%&'*+-.^_`|~", text[i]) == NULL))
      return FALSE;

  return len > 0;
}

static gboolean
is_visible (const char *text, gsize len)
{
  for (gsize i = 0; i < len; i++)
    if ((guint8) text[i] <= ' ' || text[i] == 0x7f)
      return FALSE;

  return len > 0;
}

/* RFC 9112 3: method, target, version, one space between each */
static gboolean
check_request_line (const char *line, gsize len)
{
  const char *first = memchr (line, ' ', len);
  const char *second =
    first != NULL ? memchr (first + 1, ' ', len - (gsize) (first + 1 - line)) : NULL;
  gsize version_len;

  if (second == NULL)
    return FALSE;

  version_len = len - (gsize) (second + 1 - line);

  return choir_http_is_token (line, (gsize) (first - line)) &&
         is_visible (first + 1, (gsize) (second - first - 1)) && version_len == 8 &&
         (memcmp (second + 1, "HTTP/1.1", 8) == 0 || memcmp (second + 1, "HTTP/1.0", 8) == 0);
}

static gboolean
is_name (const char *line, gsize len, const char *name)
{
  return len == strlen (name) && g_ascii_strncasecmp (line, name, len) == 0;
}

static gboolean
is_digits (ChoirSlice text)
{
  for (gsize i = 0; i < text.len; i++)
    if (!g_ascii_isdigit (text.data[i]))
      return FALSE;

  /* more would not fit a 64-bit number */
  return text.len > 0 && text.len <= 18;
}

static ChoirSlice
trim (const char *text, gsize len)
{
  while (len > 0 && (*text == ' ' || *text == '\t'))
    text++, len--;
  while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\t'))
    len--;

  return (ChoirSlice){ text, len };
}

static gboolean
check_framing (Seen *seen, const char *line, gsize name_len, ChoirSlice value)
{
  if (is_name (line, name_len, "host"))
    return seen->n_hosts++ == 0 && (value.len == 0 || is_visible (value.data, value.len));

  if (is_name (line, name_len, "content-length"))
    return seen->n_lengths++ == 0 && seen->n_encodings == 0 && is_digits (value);

  if (is_name (line, name_len, "transfer-encoding"))
    return seen->n_encodings++ == 0 && seen->n_lengths == 0 &&
           is_name (value.data, value.len, "chunked");

  return TRUE;
}

/* RFC 9112 5: a token, a colon right behind it, a value without control characters; no folding */
static gboolean
check_field (Seen *seen, const char *line, gsize len)
{
  const char *colon = memchr (line, ':', len);
  gsize name_len;

  if (colon == NULL)
    return FALSE;

  name_len = (gsize) (colon - line);
  if (!choir_http_is_token (line, name_len))
    return FALSE;

  for (const char *p = colon + 1; p < line + len; p++)
    if (((guint8) *p < ' ' && *p != '\t') || *p == 0x7f)
      return FALSE;

  return check_framing (seen, line, name_len, trim (colon + 1, len - name_len - 1));
}

/**
 * choir_http_guard_check:
 * @data: what has come of a request
 * @len: its bytes
 *
 * Returns: whether the head is complete and such that every parser reads it alike
 */
ChoirHttpGuardResult
choir_http_guard_check (const char *data, gsize len)
{
  const char *line = data;
  const char *end = data + len;
  Seen seen = { 0 };

  while (line < end)
    {
      const char *lf = memchr (line, '\n', (gsize) (end - line));
      gsize line_len;

      if (lf == NULL)
        return CHOIR_HTTP_GUARD_PARTIAL;

      if (lf == line || lf[-1] != '\r')
        return CHOIR_HTTP_GUARD_BAD;

      line_len = (gsize) (lf - 1 - line);
      if (line_len == 0)
        return line != data && seen.n_hosts == 1 ? CHOIR_HTTP_GUARD_FINE : CHOIR_HTTP_GUARD_BAD;

      if (line == data ? !check_request_line (line, line_len)
                       : !check_field (&seen, line, line_len))
        return CHOIR_HTTP_GUARD_BAD;

      line = lf + 1;
    }

  return CHOIR_HTTP_GUARD_PARTIAL;
}
