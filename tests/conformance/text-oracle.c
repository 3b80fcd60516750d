/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What this implementation makes of generated operations, one JSON object a line, for another
 * implementation to compare: text-oracle CASES
 * Each case is one line of pairs and one of input as it may come from outside.
 */

#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text-model.h"

#define TEXT_CHARS 14
#define STEPS 6
#define LONG_EVERY 50
#define LONG_CHARS 120
#define LONG_STEPS 50
#define COMPONENTS_MAX 5

static const ChoirJsonLimits gate_limits = { 32, G_MAXSIZE, G_MAXSIZE, 8 };

/* Components good and bad; the good ones more than once, so that whole operations are good too */
static const char *const pieces[] = {
  "1",
  "2",
  "7",
  "1",
  "2",
  "{\"d\":1}",
  "{\"d\":2}",
  "{\"d\":1}",
  "{\"d\":3}",
  "\"a\"",
  "\"\\ud83d\\ude00\"",
  "\"\xe4\xb8\xad\xe6\x96\x87\"",
  "\"e\xcc\x81\"",
  "\"\\u0065\"",
  "1.0",
  "2e0",
  "{\"d\":10e-1}",
  "{ \"d\" : 2 }",
  "{\"\\u0064\":1}",
};

static const char *const bad_pieces[] = {
  "0",
  "-1",
  "-0",
  "1.5",
  "1e-1",
  "2147483648",
  "9007199254740993",
  "1e400",
  "\"\"",
  "\"\\ud83d\"",
  "\"\\ude00x\"",
  "{\"d\":0}",
  "{\"d\":-2}",
  "{\"d\":1.5}",
  "{\"d\":\"ab\"}",
  "{\"d\":\"\"}",
  "{\"d\":null}",
  "{\"d\":true}",
  "{\"d\":[1]}",
  "{\"d\":1,\"i\":\"x\"}",
  "{\"i\":\"x\"}",
  "{}",
  "[]",
  "[1]",
  "null",
  "true",
  "false",
};

static const char *const no_arrays[] = { "{}", "1", "\"a\"", "null", "true", "{\"d\":1}" };

static void
append_text (GString *line, const char *key, const GArray *text)
{
  g_autofree char *utf8 = model_text_to_utf8 (text);

  g_string_append_printf (line, ",\"%s\":", key);
  choir_json_append_string (line, utf8, -1);
}

/* Not g_print(), which might translate it */
static void
end_line (GString *line)
{
  g_string_append (line, "}\n");
  fwrite (line->str, 1, line->len, stdout);
}

/* As it would be sent, and quoted: every byte of it is compared */
static void
append_operation (GString *line, const char *key, const ChoirTextOperation *operation)
{
  g_autofree char *json = model_operation_to_json (operation);

  g_string_append_printf (line, ",\"%s\":", key);
  choir_json_append_string (line, json, -1);
}

/* @operation: (transfer full) */
static void
append_result (GString *line, const char *key, ChoirTextOperation *operation)
{
  append_operation (line, key, operation);
  choir_text_operation_free (operation);
}

static void
append_cursors (GString *line, const ChoirTextOperation *operation, guint n_chars)
{
  g_string_append (line, ",\"cursors\":[");

  for (guint i = 0; i <= n_chars; i++)
    g_string_append_printf (line, i > 0 ? ",%" G_GSIZE_FORMAT : "%" G_GSIZE_FORMAT,
                            choir_text_operation_transform_position (operation, i, FALSE));

  g_string_append_c (line, ']');
}

static void
append_applied (GString *line, const GArray *text, const ChoirTextOperation *operation)
{
  g_autoptr (ChoirRope) rope = model_text_to_rope (text);
  g_autofree char *applied = NULL;

  append_result (line, "inverse", choir_text_operation_invert (operation, rope));
  choir_text_operation_apply (operation, rope);
  applied = choir_rope_dup_text (rope, NULL);
  g_string_append (line, ",\"applied\":");
  choir_json_append_string (line, applied, -1);
}

static void
print_pair (GRand *rand, guint32 seed)
{
  gboolean is_long = seed % LONG_EVERY == 0;
  guint max_steps = is_long ? LONG_STEPS : STEPS;
  g_autoptr (GArray) text = model_text_random (rand, is_long ? LONG_CHARS : TEXT_CHARS);
  g_autoptr (ChoirTextOperation) a = model_operation_random (rand, text->len, max_steps);
  g_autoptr (ChoirTextOperation) b = model_operation_random (rand, text->len, max_steps);
  g_autoptr (GArray) after = model_text_apply (text, a);
  g_autoptr (ChoirTextOperation) next = model_operation_random (rand, after->len, max_steps);
  g_autoptr (GString) line = g_string_new (NULL);

  g_string_append_printf (line, "{\"kind\":\"pair\",\"seed\":%u", seed);
  append_text (line, "text", text);
  append_operation (line, "a", a);
  append_operation (line, "b", b);
  append_operation (line, "next", next);
  append_applied (line, text, a);
  append_result (line, "composed", choir_text_operation_compose (a, next));
  append_result (line, "left", choir_text_operation_transform (a, b, CHOIR_TEXT_SIDE_LEFT));
  append_result (line, "right", choir_text_operation_transform (a, b, CHOIR_TEXT_SIDE_RIGHT));
  append_cursors (line, a, text->len);
  end_line (line);
}

/* Steps as they come, empty ones and neighbours of one kind too, and what the builder makes of them
 */
static void
append_steps (GString *line, GRand *rand)
{
  ChoirTextBuilder *builder = choir_text_builder_new ();
  g_autoptr (GString) steps = g_string_new ("[");
  gint32 n_steps = g_rand_int_range (rand, 0, STEPS + 1);

  for (gint32 i = 0; i < n_steps; i++)
    {
      gint32 kind = g_rand_int_range (rand, 0, 3);
      gint32 n = g_rand_int_range (rand, 0, 4);
      g_autofree char *text = n > 0 ? model_insert_random (rand) : g_strdup ("");

      g_string_append (steps, i > 0 ? "," : "");
      if (kind == CHOIR_TEXT_INSERT)
        {
          choir_json_append_string (steps, text, -1);
          choir_text_builder_insert (builder, text, strlen (text));
          continue;
        }

      g_string_append_printf (steps, kind == CHOIR_TEXT_KEEP ? "%d" : "{\"d\":%d}", n);
      if (kind == CHOIR_TEXT_KEEP)
        choir_text_builder_keep (builder, (gsize) n);
      else
        choir_text_builder_delete (builder, (gsize) n);
    }

  g_string_append_printf (line, ",\"steps\":%s]", steps->str);
  append_result (line, "normal", choir_text_builder_end (builder));
}

static char *
make_input (GRand *rand)
{
  GString *input = g_string_new ("[");
  gint32 n_components = g_rand_int_range (rand, 0, COMPONENTS_MAX + 1);
  gboolean is_bad = g_rand_boolean (rand);

  if (g_rand_int_range (rand, 0, 50) == 0)
    return g_string_free (
      g_string_assign (input, no_arrays[g_rand_int_range (rand, 0, G_N_ELEMENTS (no_arrays))]),
      FALSE);

  for (gint32 i = 0; i < n_components; i++)
    {
      const char *piece = pieces[g_rand_int_range (rand, 0, G_N_ELEMENTS (pieces))];

      if (is_bad && g_rand_int_range (rand, 0, 3) == 0)
        piece = bad_pieces[g_rand_int_range (rand, 0, G_N_ELEMENTS (bad_pieces))];
      g_string_append_printf (input, "%s%s", i > 0 ? "," : "", piece);
    }

  g_string_append_c (input, ']');
  return g_string_free (input, FALSE);
}

static void
print_input (GRand *rand, guint32 seed)
{
  g_autofree char *input = make_input (rand);
  g_autoptr (GString) line = g_string_new (NULL);
  g_autoptr (ChoirTextOperation) operation = NULL;
  g_autoptr (GError) error = NULL;

  g_string_append_printf (line, "{\"kind\":\"input\",\"seed\":%u,\"input\":", seed);
  choir_json_append_string (line, input, -1);

  if (choir_json_gate_check (input, strlen (input), &gate_limits, NULL, &error))
    operation = choir_text_operation_parse (choir_slice (input), &model_limits, &error);
  if (operation != NULL)
    append_operation (line, "taken", operation);
  else
    {
      g_string_append (line, ",\"refused\":");
      choir_json_append_string (line, error->message, -1);
    }

  append_steps (line, rand);
  end_line (line);
}

int
main (int argc, char *argv[])
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (0);
  guint64 n_cases;

  if (argc != 2 || !g_ascii_string_to_unsigned (argv[1], 10, 1, G_MAXINT32, &n_cases, NULL))
    {
      g_printerr ("Usage: %s CASES\n", argv[0]);
      return EXIT_FAILURE;
    }

  for (guint32 seed = 0; seed < n_cases; seed++)
    {
      g_rand_set_seed (rand, seed);
      print_pair (rand, seed);
      print_input (rand, seed);
    }

  return fflush (stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
