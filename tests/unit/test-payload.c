/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-payload.h"

#include <string.h>

static void
test_members (void)
{
  g_autoptr (GString) out = g_string_new (NULL);
  g_autofree char *long_text = g_strnfill (5000, 'x');

  choir_payload_open (out);
  choir_payload_add_string (out, "none", NULL);
  choir_payload_add_raw (out, "empty", (ChoirSlice){ 0 });
  choir_payload_add_string (out, "text", "a\"b\\c\n<é>");
  choir_payload_add_int (out, "least", G_MININT64);
  choir_payload_add_int (out, "zero", 0);
  choir_payload_add_boolean (out, "yes", TRUE);
  choir_payload_add_boolean (out, "no", FALSE);
  choir_payload_add_raw (out, "raw", CHOIR_SLICE_LITERAL ("[1,{}]"));
  choir_payload_add_time (out, "time", 1700000000 * (gint64) G_USEC_PER_SEC);
  choir_payload_close (out);
  g_assert_cmpstr (out->str, ==,
                   "{\"text\":\"a\\\"b\\\\c\\n<é>\",\"least\":-9223372036854775808,\"zero\":0,"
                   "\"yes\":true,\"no\":false,\"raw\":[1,{}],"
                   "\"time\":\"2023-11-14T22:13:20.000Z\"}");
  g_assert_cmpuint (choir_payload_as_slice (out).len, ==, out->len);
  g_assert_cmpuint (strlen (out->str), ==, out->len);

  g_string_truncate (out, 0);
  choir_payload_open (out);
  choir_payload_add_string (out, "long", long_text);
  choir_payload_add_string (out, "after", "");
  choir_payload_close (out);
  g_assert_cmpuint (out->len, ==, 5000 + strlen ("{\"long\":\"\",\"after\":\"\"}"));
}

/* A string that ends like an opened object is not taken for one */
static void
test_commas (void)
{
  g_autoptr (GString) out = g_string_new (NULL);

  choir_payload_open (out);
  choir_payload_add_string (out, "a", "{");
  choir_payload_add_string (out, "b", "[");
  choir_payload_add_raw (out, "c", CHOIR_SLICE_LITERAL ("{}"));
  choir_payload_add_key (out, "d");
  choir_payload_open (out);
  choir_payload_add_int (out, "e", 1);
  choir_payload_close (out);
  choir_payload_close (out);
  g_assert_cmpstr (out->str, ==, "{\"a\":\"{\",\"b\":\"[\",\"c\":{},\"d\":{\"e\":1}}");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/payload/members", test_members);
  g_test_add_func ("/payload/commas", test_commas);

  return g_test_run ();
}
