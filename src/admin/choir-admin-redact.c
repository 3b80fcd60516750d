/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-admin-redact.h"

#include <string.h>

#define BLANK "\"***\""
/* No longer key is one of those */
#define KEY_MAX 256

static gboolean
is_blank (char c)
{
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static const char *
skip_blanks (const char *at, const char *end)
{
  while (at < end && is_blank (*at))
    at++;

  return at;
}

/* @at: at its opening quote; behind the closing one */
static const char *
skip_string (const char *at, const char *end)
{
  for (at++; at < end && *at != '"'; at++)
    if (*at == '\\')
      at++;

  return at < end ? at + 1 : end;
}

/* Behind a value of any kind */
static const char *
skip_value (const char *at, const char *end)
{
  guint depth = 0;

  if (strchr ("\"{[", *at) == NULL)
    {
      while (at < end && !is_blank (*at) && strchr (",}]", *at) == NULL)
        at++;
      return at;
    }

  do
    {
      if (*at == '"')
        {
          at = skip_string (at, end);
          continue;
        }

      if (*at == '{' || *at == '[')
        depth++;
      else if (*at == '}' || *at == ']')
        depth--;
      at++;
    }
  while (at < end && depth > 0);

  return at;
}

/* A `token`, `access_token`, `refreshToken`, ... however it is written */
static gboolean
is_secret (const char *key, gsize len)
{
  g_autofree char *name = choir_json_string_dup ((ChoirSlice){ key, len }, KEY_MAX);
  g_autofree char *lower = name != NULL ? g_ascii_strdown (name, -1) : NULL;

  return lower != NULL &&
         (g_str_has_suffix (lower, "token") || strcmp (lower, "authorization") == 0);
}

/**
 * choir_admin_redact:
 * @json: JSON that the gate has passed
 * @out: where to append it
 *
 * Appends @json on one line, with `"***"` for the value of every member, at any depth, whose name
 * ends in `token` or is `authorization`, in capitals or not.
 */
void
choir_admin_redact (ChoirSlice json, GString *out)
{
  const char *at = json.data;
  const char *end = json.data + json.len;

  while (at < end)
    {
      const char *from = at;

      if (is_blank (*at))
        {
          at++;
          continue;
        }

      if (*at != '"')
        {
          g_string_append_c (out, *at++);
          continue;
        }

      at = skip_string (at, end);
      g_string_append_len (out, from, at - from);
      if (skip_blanks (at, end) == end || *skip_blanks (at, end) != ':' ||
          !is_secret (from, (gsize) (at - from)))
        continue;

      g_string_append (out, ":" BLANK);
      at = skip_blanks (skip_blanks (at, end) + 1, end);
      if (at < end)
        at = skip_value (at, end);
    }
}
