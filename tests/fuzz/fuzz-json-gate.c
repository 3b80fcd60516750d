/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-json-gate.h"

int LLVMFuzzerTestOneInput (const guint8 *data, gsize size);

static const ChoirJsonLimits limits = { 32, 64, 8, 16 };

static void read_value (const ChoirJsonValue *value, guint depth);

/* What the gate passes, the readers must be able to walk, and every part of it must pass again */
static void
read_container (const ChoirJsonValue *value, guint depth)
{
  ChoirJsonMember member;
  ChoirJsonValue element;
  gsize cursor = 0;

  while (choir_json_slice_next_member (value->raw, &cursor, &member))
    {
      g_autofree char *key =
        choir_json_string_dup ((ChoirSlice){ member.key.data - 1, member.key.len + 2 }, 1024);

      g_assert_true (key == NULL || g_utf8_validate (key, -1, NULL));
      g_assert_true (choir_json_key_equals (member.key, member.key));
      read_value (&member.value, depth + 1);
    }

  cursor = 0;
  while (choir_json_slice_next_element (value->raw, &cursor, &element))
    read_value (&element, depth + 1);
}

static void
read_value (const ChoirJsonValue *value, guint depth)
{
  ChoirJsonKind kind;
  gint64 whole;
  double real;

  g_assert_true (depth <= limits.max_depth);
  g_assert_true (choir_json_gate_check (value->raw.data, value->raw.len, &limits, &kind, NULL));
  g_assert_true (kind == value->kind);

  if (kind == CHOIR_JSON_NUMBER)
    {
      choir_json_number_get_double (value->raw, &real);
      if (choir_json_number_get_int (value->raw, &whole))
        g_assert_true (ABS (whole) <= G_GINT64_CONSTANT (9007199254740992));
    }
  else if (kind == CHOIR_JSON_STRING)
    {
      g_autofree char *text = choir_json_string_dup (value->raw, 4096);

      g_assert_true (text == NULL || g_utf8_validate (text, -1, NULL));
    }
  else
    read_container (value, depth);
}

static void
try_object (const char *text, gsize size)
{
  ChoirJsonObject object;
  g_autoptr (GError) error = NULL;

  if (!choir_json_gate_scan (text, size, &limits, &object, &error))
    {
      g_assert_nonnull (error);
      return;
    }

  g_assert_true (choir_json_gate_check (text, size, &limits, NULL, NULL));
  for (guint i = 0; i < object.n_members; i++)
    read_value (&object.members[i].value, 1);
}

static void
try_batch (const char *text, gsize size)
{
  ChoirSlice elements[16];
  guint n;

  if (!choir_json_gate_is_batch (text, size) ||
      !choir_json_gate_scan_batch (text, size, &limits, elements, &n, NULL))
    return;

  g_assert_true (n > 0 && n <= limits.max_batch);
  for (guint i = 0; i < n; i++)
    g_assert_true (choir_json_gate_check (elements[i].data, elements[i].len, &limits, NULL, NULL));
}

int
LLVMFuzzerTestOneInput (const guint8 *data, gsize size)
{
  try_object ((const char *) data, size);
  try_batch ((const char *) data, size);

  return 0;
}
