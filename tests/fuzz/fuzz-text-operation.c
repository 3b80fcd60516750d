/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-error.h"
#include "choir-text-operation.h"

#include <string.h>

int LLVMFuzzerTestOneInput (const guint8 *data, gsize size);

/* Longest text that operations are tried on */
#define TEXT_MAX 4096
#define CHARS_MAX G_MAXINT32

static const ChoirJsonLimits gate_limits = { 32, G_MAXSIZE, G_MAXSIZE, 8 };
static const ChoirTextLimits limits = { 64, 4096 };

static void
check_written (const ChoirTextOperation *self)
{
  g_autoptr (GString) json = g_string_new (NULL);
  g_autoptr (ChoirTextOperation) again = NULL;
  const ChoirTextLimits wide = { G_MAXUINT, G_MAXSIZE };

  /* what only came about by adding up may be longer than what is taken from outside */
  if (choir_text_operation_get_input_chars (self) + choir_text_operation_get_inserted_chars (self) >
      CHARS_MAX)
    return;

  choir_text_operation_append_json (self, json);
  g_assert_true (choir_json_gate_check (json->str, json->len, &gate_limits, NULL, NULL));
  again = choir_text_operation_parse ((ChoirSlice){ json->str, json->len }, &wide, NULL);
  g_assert_nonnull (again);
  g_assert_true (choir_text_operation_equal (self, again));
}

/* Characters of all lengths by turns */
static ChoirRope *
make_text (gsize n_chars)
{
  static const char *const turns[] = { "a", "\xc3\xa9", "\xe4\xb8\xad", "\xf0\x9f\x98\x80" };
  g_autoptr (GString) text = g_string_new (NULL);

  for (gsize i = 0; i < n_chars; i++)
    g_string_append (text, turns[i % G_N_ELEMENTS (turns)]);

  return choir_rope_new_from_text (text->str, text->len);
}

static void
assert_same (const ChoirRope *a, const ChoirRope *b)
{
  gsize a_bytes;
  gsize b_bytes;
  g_autofree char *a_text = choir_rope_dup_text (a, &a_bytes);
  g_autofree char *b_text = choir_rope_dup_text (b, &b_bytes);

  g_assert_cmpmem (a_text, a_bytes, b_text, b_bytes);
  g_assert_true (g_utf8_validate (a_text, (gssize) a_bytes, NULL));
}

static void
check_positional (const ChoirTextOperation *self)
{
  g_autoptr (GString) json = g_string_new ("{");
  g_autoptr (ChoirTextOperation) again = NULL;
  g_autoptr (ChoirRope) text = NULL;
  g_autoptr (ChoirRope) same = NULL;

  choir_text_operation_append_positional (self, json);
  g_string_append_c (json, '}');
  g_assert_true (choir_json_gate_check (json->str, json->len, &gate_limits, NULL, NULL));
  again =
    choir_text_operation_parse_positional ((ChoirSlice){ json->str, json->len }, &limits, NULL);
  g_assert_nonnull (again);

  text = make_text (choir_text_operation_get_input_chars (self));
  same = make_text (choir_text_operation_get_input_chars (self));
  choir_text_operation_apply (self, text);
  choir_text_operation_apply (again, same);
  assert_same (text, same);
}

static void
check_undone (const ChoirTextOperation *self)
{
  gsize n_chars = choir_text_operation_get_input_chars (self);
  g_autoptr (ChoirRope) before = make_text (n_chars);
  g_autoptr (ChoirRope) text = make_text (n_chars);
  g_autoptr (ChoirTextOperation) back = choir_text_operation_invert (self, before);

  choir_text_operation_apply (self, text);
  choir_text_operation_apply (back, text);
  assert_same (before, text);
  check_written (back);
}

static void
check_alone (const ChoirTextOperation *self)
{
  gsize n_chars = choir_text_operation_get_input_chars (self);
  gsize last = 0;

  check_written (self);
  if (n_chars > TEXT_MAX)
    return;

  check_undone (self);
  check_positional (self);
  for (gsize i = 0; i <= n_chars; i++)
    {
      gsize position = choir_text_operation_transform_position (self, i, FALSE);

      g_assert_cmpuint (position, >=, last);
      g_assert_cmpuint (choir_text_operation_transform_position (self, i, TRUE), >=, position);
      last = position;
    }
}

/* Both ways round lead to one text, and so does each way as one operation */
static void
check_pair (const ChoirTextOperation *a, const ChoirTextOperation *b)
{
  g_autoptr (ChoirTextOperation) a_late =
    choir_text_operation_transform (a, b, CHOIR_TEXT_SIDE_LEFT);
  g_autoptr (ChoirTextOperation) b_late =
    choir_text_operation_transform (b, a, CHOIR_TEXT_SIDE_RIGHT);
  g_autoptr (ChoirTextOperation) a_first = choir_text_operation_compose (a, b_late);
  g_autoptr (ChoirTextOperation) b_first = choir_text_operation_compose (b, a_late);
  gsize n_chars =
    MAX (choir_text_operation_get_input_chars (a), choir_text_operation_get_input_chars (b));
  g_autoptr (ChoirRope) one = NULL;
  g_autoptr (ChoirRope) two = NULL;
  g_autoptr (ChoirRope) three = NULL;

  check_written (a_late);
  check_written (b_late);
  check_written (a_first);
  check_written (b_first);
  if (n_chars > TEXT_MAX)
    return;

  one = make_text (n_chars);
  two = make_text (n_chars);
  three = make_text (n_chars);
  choir_text_operation_apply (a, one);
  choir_text_operation_apply (b_late, one);
  choir_text_operation_apply (b_first, two);
  choir_text_operation_apply (a_first, three);
  assert_same (one, two);
  assert_same (one, three);
}

static ChoirTextOperation *
read_line (const char *line, gsize len)
{
  g_autoptr (GError) error = NULL;
  ChoirTextOperation *operation = NULL;
  ChoirSlice json = { line, len };
  ChoirJsonKind kind;

  if (!choir_json_gate_check (line, len, &gate_limits, &kind, NULL))
    return NULL;

  operation = kind == CHOIR_JSON_OBJECT
                ? choir_text_operation_parse_positional (json, &limits, &error)
                : choir_text_operation_parse (json, &limits, &error);
  g_assert_true ((operation == NULL) == (error != NULL));
  if (operation == NULL)
    {
      g_assert_true (error->code == CHOIR_ERROR_VALIDATION || error->code == CHOIR_ERROR_TOO_LARGE);
      return NULL;
    }

  g_assert_cmpuint (choir_text_operation_get_n_components (operation), <=, limits.max_components);
  g_assert_cmpuint (choir_text_operation_get_inserted_bytes (operation), <=,
                    limits.max_insert_bytes);
  return operation;
}

/* Two lines, each an operation in any of its forms; one alone meets itself */
int
LLVMFuzzerTestOneInput (const guint8 *data, gsize size)
{
  const char *text = (const char *) data;
  const char *end = size > 0 ? memchr (text, '\n', size) : NULL;
  gsize len = end != NULL ? (gsize) (end - text) : size;
  g_autoptr (ChoirTextOperation) a = read_line (text, len);
  g_autoptr (ChoirTextOperation) b = end != NULL ? read_line (end + 1, size - len - 1) : NULL;

  if (a != NULL)
    {
      check_alone (a);
      check_pair (a, a);
    }
  if (a != NULL && b != NULL)
    {
      check_alone (b);
      check_pair (a, b);
      check_pair (b, a);
    }

  return 0;
}
