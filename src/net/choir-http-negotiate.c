/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-http-negotiate.h"

#include "choir-json-gate.h"

#include <string.h>

/* RFC 9110 12.4.2: weights have three decimals */
#define WEIGHT_MAX 1000

typedef struct
{
  ChoirHttpMedia media;
  const char *type;
  const char *subtype;
} MediaName;

static const MediaName names[] = {
  { CHOIR_HTTP_JSON, "application", "json" },
  { CHOIR_HTTP_METRICS, "application", "openmetrics-text" },
  { CHOIR_HTTP_TEXT, "text", "plain" },
};

static ChoirSlice
trim (ChoirSlice slice)
{
  while (slice.len > 0 && (slice.data[0] == ' ' || slice.data[0] == '\t'))
    slice = (ChoirSlice){ slice.data + 1, slice.len - 1 };
  while (slice.len > 0 && (slice.data[slice.len - 1] == ' ' || slice.data[slice.len - 1] == '\t'))
    slice.len--;

  return slice;
}

/* Takes what stands before @end off the front of @rest, and @end too; all if there is none */
static ChoirSlice
take (ChoirSlice *rest, char end)
{
  const char *found = rest->len > 0 ? memchr (rest->data, end, rest->len) : NULL;
  ChoirSlice taken = { rest->data, found != NULL ? (gsize) (found - rest->data) : rest->len };
  gsize used = taken.len + (found != NULL ? 1 : 0);

  *rest = (ChoirSlice){ rest->data + used, rest->len - used };

  return trim (taken);
}

static gboolean
is_word (ChoirSlice slice, const char *word)
{
  return slice.len == strlen (word) && g_ascii_strncasecmp (slice.data, word, slice.len) == 0;
}

/* `0.125` and the like, in thousandths; -1 if it is none */
static int
parse_weight (ChoirSlice text)
{
  int weight;

  if (text.len == 0 || text.len > 5 || (text.data[0] != '0' && text.data[0] != '1') ||
      (text.len > 1 && text.data[1] != '.'))
    return -1;

  weight = (text.data[0] - '0') * WEIGHT_MAX;
  for (gsize i = 2, unit = WEIGHT_MAX / 10; i < text.len; i++, unit /= 10)
    {
      if (!g_ascii_isdigit (text.data[i]))
        return -1;
      weight += (text.data[i] - '0') * (int) unit;
    }

  return weight <= WEIGHT_MAX ? weight : -1;
}

/* What a range says of a medium: how exactly it names it, 0 if not at all, and its weight */
static guint
match_range (ChoirSlice range, const MediaName *name, int *weight)
{
  ChoirSlice subtype = take (&range, ';');
  ChoirSlice type = take (&subtype, '/');

  subtype = trim (subtype);
  *weight = WEIGHT_MAX;
  while (range.len > 0)
    {
      ChoirSlice value = take (&range, ';');
      ChoirSlice key = take (&value, '=');

      if (is_word (key, "q"))
        *weight = parse_weight (trim (value));
    }

  if (*weight < 0)
    return 0;
  if (is_word (type, name->type) && is_word (subtype, name->subtype))
    return 3;
  if (is_word (type, name->type) && is_word (subtype, "*"))
    return 2;

  return is_word (type, "*") && is_word (subtype, "*") ? 1 : 0;
}

/* RFC 9110 12.5.1: the most exact range counts */
static guint
weigh (ChoirSlice accept, const MediaName *name, int *weight)
{
  guint best = 0;

  *weight = 0;
  while (accept.len > 0)
    {
      int found;
      guint exactness = match_range (take (&accept, ','), name, &found);

      if (exactness > best)
        {
          best = exactness;
          *weight = found;
        }
    }

  return best;
}

/**
 * choir_http_choose_media:
 * @accept: (nullable): the header Accept (RFC 9110 12.5.1)
 * @offered: what there is
 *
 * Of two that are equally welcome, the one that is named more exactly is given, so that
 * `text/plain, *` gets text; else JSON or OpenMetrics.
 *
 * Returns: one of @offered, or none if the client wants none of them
 */
ChoirHttpMedia
choir_http_choose_media (const char *accept, ChoirHttpMedia offered)
{
  ChoirHttpMedia chosen = CHOIR_HTTP_NO_MEDIA;
  ChoirSlice text = trim (choir_slice (accept != NULL ? accept : ""));
  guint best_exactness = 0;
  int best_weight = 0;

  if (text.len == 0)
    text = choir_slice ("*/*");

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      int weight;
      guint exactness = weigh (text, &names[i], &weight);

      if (!(offered & names[i].media) || weight == 0)
        continue;

      if (weight > best_weight || (weight == best_weight && exactness > best_exactness))
        {
          chosen = names[i].media;
          best_weight = weight;
          best_exactness = exactness;
        }
    }

  return chosen;
}

static gboolean
is_utf8_charset (ChoirSlice value)
{
  if (value.len >= 2 && value.data[0] == '"' && value.data[value.len - 1] == '"')
    value = (ChoirSlice){ value.data + 1, value.len - 2 };

  return is_word (value, "utf-8") || is_word (value, "utf8") || is_word (value, "us-ascii");
}

/**
 * choir_http_parse_media:
 * @content_type: (nullable): the header Content-Type (RFC 9110 8.3)
 *
 * Returns: what it names; none if it is something else, or in another encoding than UTF-8
 */
ChoirHttpMedia
choir_http_parse_media (const char *content_type)
{
  ChoirSlice rest = choir_slice (content_type != NULL ? content_type : "");
  ChoirSlice subtype = take (&rest, ';');
  ChoirSlice type = take (&subtype, '/');

  subtype = trim (subtype);
  while (rest.len > 0)
    {
      ChoirSlice value = take (&rest, ';');
      ChoirSlice key = take (&value, '=');

      if (is_word (key, "charset") && !is_utf8_charset (trim (value)))
        return CHOIR_HTTP_NO_MEDIA;
    }

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    if (is_word (type, names[i].type) && is_word (subtype, names[i].subtype))
      return names[i].media;

  return CHOIR_HTTP_NO_MEDIA;
}

/**
 * choir_http_is_any:
 * @etags: If-Match or If-None-Match
 *
 * Returns: whether it is `*`: whatever there is
 */
gboolean
choir_http_is_any (const char *etags)
{
  return choir_slice_equals (trim (choir_slice (etags)), "*");
}

/**
 * choir_http_has_etag:
 * @etags: If-Match or If-None-Match (RFC 9110 13.1), a list of entity tags
 * @etag: a strong one, with its quotes
 * @weakly: whether a weak one with the same text counts (RFC 9110 8.8.3.2)
 *
 * Returns: whether it is among them; not if the list is malformed before it
 */
gboolean
choir_http_has_etag (const char *etags, const char *etag, gboolean weakly)
{
  const char *p = etags;
  gsize len = strlen (etag);

  for (;;)
    {
      gboolean weak;
      const char *end;

      p += strspn (p, ", \t");
      weak = g_str_has_prefix (p, "W/");
      if (weak)
        p += 2;

      end = *p == '"' ? strchr (p + 1, '"') : NULL;
      if (end == NULL)
        return FALSE;

      if ((weakly || !weak) && (gsize) (end + 1 - p) == len && memcmp (p, etag, len) == 0)
        return TRUE;

      p = end + 1;
    }
}
