/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "text-model.h"

#include <string.h>

/* What JSON escapes, characters of every length in UTF-8, the borders between them, marks that
 * combine with what stands before, and pairs in UTF-16 */
static const gunichar alphabet[] = {
  'a',    'b',    'c',    ' ',    '\n',   '\r',    '\b',    0x01,    '"',     '\\',     '<',
  0x7f,   0x80,   0xe9,   0x301,  0x7ff,  0x800,   0x915,   0x93f,   0x200d,  0x2028,   0x4e2d,
  0x6587, 0xd7ff, 0xe000, 0xfe0f, 0xffff, 0x10000, 0x1f468, 0x1f3fd, 0x1f600, 0x10ffff,
};

const ChoirTextLimits model_limits = { 10000, 1 << 20 };

/**
 * model_text_new:
 * @utf8: valid UTF-8
 *
 * Returns: (transfer full): its characters
 */
GArray *
model_text_new (const char *utf8)
{
  GArray *text = g_array_new (FALSE, FALSE, sizeof (gunichar));

  for (const char *at = utf8; *at != '\0'; at = g_utf8_next_char (at))
    {
      gunichar c = g_utf8_get_char (at);

      g_array_append_val (text, c);
    }

  return text;
}

static gunichar
random_char (GRand *rand)
{
  return alphabet[g_rand_int_range (rand, 0, G_N_ELEMENTS (alphabet))];
}

GArray *
model_text_random (GRand *rand, guint max_chars)
{
  guint n_chars = (guint) g_rand_int_range (rand, 0, (gint32) max_chars + 1);
  GArray *text = g_array_sized_new (FALSE, FALSE, sizeof (gunichar), n_chars);

  for (guint i = 0; i < n_chars; i++)
    {
      gunichar c = random_char (rand);

      g_array_append_val (text, c);
    }

  return text;
}

/* Letter by letter, so that it shares nothing with what it judges */
static void
append_decoded (GArray *text, const ChoirTextComponent *insert)
{
  guint n_before = text->len;

  for (gsize i = 0; i < insert->n_bytes; i += g_utf8_skip[(guint8) insert->text[i]])
    {
      gunichar c = g_utf8_get_char (insert->text + i);

      g_array_append_val (text, c);
    }

  g_assert_cmpuint (text->len - n_before, ==, insert->n_chars);
}

/**
 * model_text_apply:
 *
 * Returns: (transfer full): what the operation makes of the text
 */
GArray *
model_text_apply (const GArray *text, const ChoirTextOperation *operation)
{
  GArray *result = g_array_new (FALSE, FALSE, sizeof (gunichar));
  const gunichar *chars = (const gunichar *) (gconstpointer) text->data;
  gsize at = 0;

  for (guint i = 0; i < choir_text_operation_get_n_components (operation); i++)
    {
      ChoirTextComponent component;

      choir_text_operation_get_component (operation, i, &component);
      if (component.kind == CHOIR_TEXT_INSERT)
        {
          append_decoded (result, &component);
          continue;
        }

      g_assert_cmpuint (component.n_chars, <=, text->len - at);
      if (component.kind == CHOIR_TEXT_KEEP)
        g_array_append_vals (result, chars + at, (guint) component.n_chars);
      at += component.n_chars;
    }

  if (at < text->len)
    g_array_append_vals (result, chars + at, (guint) (text->len - at));

  return result;
}

gboolean
model_text_equal (const GArray *a, const GArray *b)
{
  return a->len == b->len &&
         (a->len == 0 || memcmp (a->data, b->data, a->len * sizeof (gunichar)) == 0);
}

char *
model_text_to_utf8 (const GArray *text)
{
  GString *utf8 = g_string_new (NULL);

  for (guint i = 0; i < text->len; i++)
    g_string_append_unichar (utf8, g_array_index (text, gunichar, i));

  return g_string_free (utf8, FALSE);
}

ChoirRope *
model_text_to_rope (const GArray *text)
{
  g_autofree char *utf8 = model_text_to_utf8 (text);

  return choir_rope_new_from_text (utf8, strlen (utf8));
}

/**
 * model_insert_random:
 *
 * Returns: (transfer full): one to four characters, NUL-terminated
 */
char *
model_insert_random (GRand *rand)
{
  gint32 n_chars = g_rand_int_range (rand, 1, 5);
  GString *text = g_string_new (NULL);

  for (gint32 i = 0; i < n_chars; i++)
    g_string_append_unichar (text, random_char (rand));

  return g_string_free (text, FALSE);
}

/**
 * model_operation_random:
 * @n_chars: of the text it is for
 * @max_steps: keeps, inserts and deletes it has at most; few make two operations meet at one place
 *
 * Returns: (transfer full): an operation; inserts and deletes stand in any order
 */
ChoirTextOperation *
model_operation_random (GRand *rand, guint n_chars, guint max_steps)
{
  ChoirTextBuilder *builder = choir_text_builder_new ();
  gint32 n_steps = g_rand_int_range (rand, 0, (gint32) max_steps + 1);

  for (gint32 i = 0; i < n_steps; i++)
    {
      gint32 kind = g_rand_int_range (rand, 0, 3);
      gsize n = (gsize) g_rand_int_range (rand, 0, (gint32) MIN (n_chars, 4) + 1);
      g_autofree char *text = NULL;

      if (kind == CHOIR_TEXT_INSERT)
        {
          text = model_insert_random (rand);
          choir_text_builder_insert (builder, text, strlen (text));
          continue;
        }

      n_chars -= (guint) n;
      if (kind == CHOIR_TEXT_KEEP)
        choir_text_builder_keep (builder, n);
      else
        choir_text_builder_delete (builder, n);
    }

  return choir_text_builder_end (builder);
}

char *
model_operation_to_json (const ChoirTextOperation *operation)
{
  GString *json = g_string_new (NULL);

  choir_text_operation_append_json (operation, json);

  return g_string_free (json, FALSE);
}

/* An operation that is known to be good */
ChoirTextOperation *
model_operation_from_json (const char *json)
{
  g_autoptr (GError) error = NULL;
  ChoirTextOperation *operation =
    choir_text_operation_parse (choir_slice (json), &model_limits, &error);

  g_assert_no_error (error);

  return operation;
}

/**
 * model_operation_move:
 * @position: of a cursor before the operation
 * @own: whether it is its author's
 *
 * Counts what stands before the cursor afterwards: what was kept of what stood there, and what was
 * inserted between. An insert counts if it stands before the cursor; the author's if between it
 * and the cursor nothing is left.
 *
 * Returns: the cursor's position afterwards
 */
gsize
model_operation_move (const ChoirTextOperation *operation, gsize position, gboolean own)
{
  gsize n_kept_before = position;
  gsize n_inserted = 0;
  gsize n_kept = 0;
  gsize at = 0;
  ChoirTextComponent component;

  for (guint i = 0; i < choir_text_operation_get_n_components (operation); i++)
    {
      choir_text_operation_get_component (operation, i, &component);
      if (component.kind == CHOIR_TEXT_DELETE)
        n_kept_before -= at < position ? MIN (component.n_chars, position - at) : 0;
      at += component.kind == CHOIR_TEXT_INSERT ? 0 : component.n_chars;
    }

  at = 0;
  for (guint i = 0; i < choir_text_operation_get_n_components (operation); i++)
    {
      choir_text_operation_get_component (operation, i, &component);
      if (component.kind == CHOIR_TEXT_INSERT && (own ? n_kept <= n_kept_before : at < position))
        n_inserted += component.n_chars;
      n_kept += component.kind == CHOIR_TEXT_KEEP ? component.n_chars : 0;
      at += component.kind == CHOIR_TEXT_INSERT ? 0 : component.n_chars;
    }

  return n_kept_before + n_inserted;
}

/**
 * model_get_cases:
 * @first: (inout): the first seed
 * @n: (inout): how many seeds
 */
void
model_get_cases (guint32 *first, guint32 *n)
{
  const char *only = g_getenv ("CHOIR_TEST_SEED");
  guint64 seed;

  if (only == NULL)
    return;

  if (!g_ascii_string_to_unsigned (only, 10, 0, G_MAXUINT32, &seed, NULL))
    g_error ("CHOIR_TEST_SEED is no number");
  *first = (guint32) seed;
  *n = 1;
}
