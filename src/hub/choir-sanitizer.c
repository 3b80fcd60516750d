/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-sanitizer.h"

#include <string.h>

/* As deep as the gate ever lets a text be */
#define DEPTH_MAX 128

typedef enum
{
  SKIP_NOTHING,
  SKIP_REST,  /* of the array, up to its bracket */
  SKIP_VALUE, /* a container nested too deep, its bracket included */
} Skip;

typedef struct
{
  const ChoirSanitizerRules *rules;
  const char *p;
  const char *end;
  GString *out; /* borrowed */
  Skip skip;
  guint skip_nesting; /* containers opened since skipping began */
  guint depth;
  guint max_depth;
  gboolean at_key; /* the next string is one */
  gboolean is_array[DEPTH_MAX + 1];
  gsize n_elements[DEPTH_MAX + 1];
} Walk;

static gboolean
starts_with (const Walk *self, const char *text, gsize len)
{
  return (gsize) (self->end - self->p) >= len && memcmp (self->p, text, len) == 0;
}

/* Bytes of the character at the cursor as it is written: an escape, a surrogate pair of them, or
 * UTF-8 */
static gsize
measure_character (const Walk *self)
{
  gsize left = (gsize) (self->end - self->p);
  gsize len = 1;

  if (*self->p != '\\')
    len = (gsize) g_utf8_skip[(guint8) *self->p];
  else if (left < 2 || self->p[1] != 'u')
    len = 2;
  else if (left >= 12 && (self->p[2] | 0x20) == 'd' && strchr ("89abAB", self->p[3]) != NULL)
    len = 12;
  else
    len = 6;

  return MIN (len, left);
}

/* What to write for the character at the cursor instead, or NULL */
static const char *
get_replacement (const Walk *self)
{
  if (!self->rules->escape_markup)
    return NULL;
  if (*self->p == '<' || starts_with (self, "\\u003c", 6) || starts_with (self, "\\u003C", 6))
    return "&lt;";
  if (*self->p == '>' || starts_with (self, "\\u003e", 6) || starts_with (self, "\\u003E", 6))
    return "&gt;";

  return NULL;
}

/* One character. A reference that stands for '<' or '>' counts as the one character it was, so that
 * a second run finds nothing to cut */
static void
copy_character (Walk *self, gboolean write)
{
  const char *replacement = get_replacement (self);
  gsize len = measure_character (self);

  if (self->rules->escape_markup &&
      (starts_with (self, "&lt;", 4) || starts_with (self, "&gt;", 4)))
    len = 4;

  if (write && replacement != NULL)
    g_string_append (self->out, replacement);
  else if (write)
    g_string_append_len (self->out, self->p, (gssize) len);
  self->p += len;
}

/* The cursor stands on the opening quote */
static void
copy_string (Walk *self)
{
  gboolean write = self->skip == SKIP_NOTHING;
  gsize max = self->at_key ? G_MAXSIZE : self->rules->max_string;

  self->p++;
  if (write)
    g_string_append_c (self->out, '"');

  for (gsize n = 0; self->p < self->end && *self->p != '"'; n++)
    copy_character (self, write && n < max);

  self->p++;
  if (write)
    g_string_append_c (self->out, '"');
}

static void
open_container (Walk *self, char bracket)
{
  if (self->skip != SKIP_NOTHING)
    {
      self->skip_nesting++;
      return;
    }
  if (self->depth == self->max_depth)
    {
      g_string_append (self->out, "null");
      self->skip = SKIP_VALUE;
      self->skip_nesting = 1;
      return;
    }

  g_string_append_c (self->out, bracket);
  self->depth++;
  self->is_array[self->depth] = bracket == '[';
  self->n_elements[self->depth] = 1;
  self->at_key = bracket == '{';
  if (bracket == '[' && self->rules->max_array == 0)
    {
      self->skip = SKIP_REST;
      self->skip_nesting = 0;
    }
}

static void
close_container (Walk *self, char bracket)
{
  if (self->skip != SKIP_NOTHING && self->skip_nesting > 0)
    {
      self->skip_nesting--;
      if (self->skip == SKIP_VALUE && self->skip_nesting == 0)
        self->skip = SKIP_NOTHING;
      return;
    }

  self->skip = SKIP_NOTHING;
  g_string_append_c (self->out, bracket);
  self->depth -= self->depth > 0 ? 1 : 0;
  self->at_key = FALSE;
}

static void
pass_comma (Walk *self)
{
  if (self->skip != SKIP_NOTHING)
    return;

  self->at_key = !self->is_array[self->depth];
  if (self->is_array[self->depth] && ++self->n_elements[self->depth] > self->rules->max_array)
    {
      self->skip = SKIP_REST;
      self->skip_nesting = 0;
      return;
    }

  g_string_append_c (self->out, ',');
}

static void
copy_token (Walk *self)
{
  char c = *self->p;

  if (c == '"')
    {
      copy_string (self);
      return;
    }

  self->p++;
  if (c == '{' || c == '[')
    open_container (self, c);
  else if (c == '}' || c == ']')
    close_container (self, c);
  else if (c == ',')
    pass_comma (self);
  else if (self->skip == SKIP_NOTHING)
    {
      self->at_key = self->at_key && c != ':';
      g_string_append_c (self->out, c);
    }
}

/**
 * choir_sanitizer_needed:
 * @rules: what is allowed
 * @flags: what the gate saw in the payload
 *
 * Returns: FALSE if choir_sanitizer_run() would change nothing
 */
gboolean
choir_sanitizer_needed (const ChoirSanitizerRules *rules, ChoirJsonFlags flags)
{
  if (rules->escape_markup && (flags & CHOIR_JSON_HAS_MARKUP) != 0)
    return TRUE;

  return (flags & CHOIR_JSON_HAS_LONG) != 0;
}

/**
 * choir_sanitizer_run:
 * @rules: what is allowed
 * @payload: JSON that passed the gate
 * @out_len: (out) (optional): bytes of the result
 *
 * Rewrites what breaks @rules and copies everything else byte for byte. Without '<' and '>' no
 * element can be opened, so nothing that needs one runs either: handlers, scripts, links with a
 * script for an address. References like &lt; are text already and stay.
 *
 * Running it on its own result changes nothing.
 *
 * Returns: (transfer full): valid JSON, NUL-terminated
 */
char *
choir_sanitizer_run (const ChoirSanitizerRules *rules, ChoirSlice payload, gsize *out_len)
{
  GString *out = g_string_sized_new (payload.len + 32);
  Walk walk = { 0 };

  walk.rules = rules;
  walk.p = payload.data;
  walk.end = payload.data + payload.len;
  walk.out = out;
  walk.max_depth = rules->max_depth > 0 ? MIN (rules->max_depth, DEPTH_MAX) : DEPTH_MAX;

  while (walk.p < walk.end)
    copy_token (&walk);

  if (out_len != NULL)
    *out_len = out->len;
  return g_string_free (out, FALSE);
}
