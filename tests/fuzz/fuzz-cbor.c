/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-cbor.h"

#include <string.h>

int LLVMFuzzerTestOneInput (const guint8 *data, gsize size);

static const ChoirCborLimits limits = { 32, 65536 };
static const ChoirJsonLimits json_limits = { 32, 65536, 65536, 100 };
/* What a text can become, and deeper by the map round it */
static const ChoirCborLimits wide = { 64, 1 << 24 };

static void
write_json (ChoirFrameBuilder *out, const GString *text)
{
  if (!choir_cbor_write (out, (ChoirSlice){ text->str, text->len }))
    g_error ("This passed and can't be written: %s", text->str);
}

/* What is read is JSON that the gate takes; written and read again it is the same text */
static void
try_item (const guint8 *data, gsize size)
{
  g_autoptr (GString) text = g_string_new (NULL);
  g_autoptr (GString) again = g_string_new (NULL);
  g_autoptr (GError) error = NULL;
  ChoirFrameBuilder item;

  if (!choir_cbor_read (data, size, &limits, text, &error))
    {
      g_assert_nonnull (error);
      g_assert_true (g_str_is_ascii (error->message));
      g_assert_cmpuint (text->len, ==, 0);
      return;
    }

  g_assert_cmpuint (text->len, <=, limits.max_bytes);
  if (!choir_json_gate_check (text->str, text->len, &json_limits, NULL, &error))
    g_error ("%s: %s", error->message, text->str);

  choir_frame_builder_init (&item, 0);
  write_json (&item, text);
  if (!choir_cbor_read (choir_frame_builder_get_payload (&item), item.len, &limits, again, &error))
    g_error ("%s: %s", error->message, text->str);
  g_assert_cmpstr (again->str, ==, text->str);
  choir_frame_builder_clear (&item);
}

/* JSON has numbers that are taken from nobody; and what is no JSON has more than that */
static gboolean
is_expected (const GError *error, gboolean valid)
{
  static const char *const reasons[] = {
    ": expected an integer within 2^53 either way",
    ": expected a finite number",
    ": expected valid UTF-8",
    ": expected a character other than NUL",
    ": expected less nesting",
  };

  for (guint i = 0; i < (valid ? 2 : G_N_ELEMENTS (reasons)); i++)
    if (g_str_has_suffix (error->message, reasons[i]))
      return TRUE;

  return FALSE;
}

/* Any text makes one whole item, whether it is JSON or not */
static void
try_text (const char *text, gsize size)
{
  gboolean valid = choir_json_gate_check (text, size, &json_limits, NULL, NULL);
  g_autoptr (GString) again = g_string_new (NULL);
  g_autoptr (GError) error = NULL;
  ChoirFrameBuilder item;
  gboolean written;

  choir_frame_builder_init (&item, 0);
  choir_frame_builder_append_literal (&item, "\xa1\x61v");
  written = choir_cbor_write (&item, (ChoirSlice){ text, size });
  g_assert_true (written || !valid);

  if (!choir_cbor_read (choir_frame_builder_get_payload (&item), item.len, &wide, again, &error) &&
      !is_expected (error, valid))
    g_error ("%s: %.*s", error->message, (int) size, text);
  choir_frame_builder_clear (&item);
}

int
LLVMFuzzerTestOneInput (const guint8 *data, gsize size)
{
  g_autofree char *text = g_memdup2 (size > 0 ? data : (const guint8 *) "", MAX (size, 1));

  try_item (data, size);
  try_text (text, size);

  return 0;
}
