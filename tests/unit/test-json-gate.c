/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include <jansson.h>
#include <string.h>

#include "choir-error.h"
#include "choir-json-gate.h"

#define N_GENERATED 6000
#define N_MUTANTS 4

static const ChoirJsonLimits limits = { 32, 20, 4, 8 };
static const ChoirJsonLimits wide_limits = { 128, G_MAXSIZE, G_MAXSIZE, 8 };

static ChoirJsonObject
scan (const char *text)
{
  ChoirJsonObject object;
  g_autoptr (GError) error = NULL;

  choir_json_gate_scan (text, strlen (text), &limits, &object, &error);
  g_assert_no_error (error);
  return object;
}

static void
assert_refused (const char *text, gsize len, ChoirError code, const char *message)
{
  /* a copy of exactly the right size, so that the sanitizer sees a read past the end */
  g_autofree char *copy = g_memdup2 (text, len);
  ChoirJsonObject object;
  g_autoptr (GError) error = NULL;

  g_assert_false (choir_json_gate_scan (copy, len, &limits, &object, &error));
  g_assert_error (error, CHOIR_ERROR, (int) code);
  g_assert_cmpstr (error->message, ==, message);
  g_assert_cmpuint (object.n_members, ==, 0);
}

#define assert_invalid(text, at, what)                                                             \
  assert_refused (text, sizeof (text) - 1, CHOIR_ERROR_INVALID_JSON,                               \
                  "Invalid JSON at byte " #at ": expected " what)

static void
test_members (void)
{
  ChoirJsonObject object =
    scan (" {\"type\" : \"ping\",\n\t\"payload\":{\"a\":[1,{}]},\"n\":-1.5e3,"
          "\"t\":true,\"f\":false,\"z\":null,\"e\":[]}\r\n");
  const ChoirJsonMember *member;

  g_assert_cmpuint (object.n_members, ==, 7);
  member = choir_json_object_find (&object, "type");
  g_assert_nonnull (member);
  g_assert_cmpint (member->value.kind, ==, CHOIR_JSON_STRING);
  g_assert_true (choir_slice_equals (member->value.raw, "\"ping\""));
  g_assert_true (choir_slice_equals (member->key, "type"));

  member = choir_json_object_find (&object, "payload");
  g_assert_cmpint (member->value.kind, ==, CHOIR_JSON_OBJECT);
  g_assert_true (choir_slice_equals (member->value.raw, "{\"a\":[1,{}]}"));
  g_assert_cmpint (choir_json_object_find (&object, "n")->value.kind, ==, CHOIR_JSON_NUMBER);
  g_assert_true (choir_slice_equals (choir_json_object_find (&object, "n")->value.raw, "-1.5e3"));
  g_assert_cmpint (choir_json_object_find (&object, "t")->value.kind, ==, CHOIR_JSON_TRUE);
  g_assert_cmpint (choir_json_object_find (&object, "f")->value.kind, ==, CHOIR_JSON_FALSE);
  g_assert_cmpint (choir_json_object_find (&object, "e")->value.kind, ==, CHOIR_JSON_ARRAY);
  g_assert_null (choir_json_object_find (&object, "typ"));

  g_assert_cmpuint (scan ("{}").n_members, ==, 0);
  object = scan ("{\"\\u0074ype\":1}");
  g_assert_nonnull (choir_json_object_find (&object, "type"));
}

static void
test_flags (void)
{
  ChoirJsonObject object = scan ("{\"plain\":{\"a\":\"twenty characters ok\",\"b\":[1,2,3,4]},"
                                 "\"escape\":\"\\n\",\"raw\":[\"<\"],\"hidden\":\"\\u003C\","
                                 "\"long\":\"twenty-one characters\",\"many\":[1,2,3,4,5],"
                                 "\"fits\":9007199254740992,\"big\":[-9007199254740993]}");

  g_assert_cmpint (choir_json_object_find (&object, "plain")->value.flags, ==, 0);
  g_assert_cmpint (choir_json_object_find (&object, "escape")->value.flags, ==,
                   CHOIR_JSON_HAS_ESCAPES);
  g_assert_cmpint (choir_json_object_find (&object, "raw")->value.flags, ==, CHOIR_JSON_HAS_MARKUP);
  g_assert_cmpint (choir_json_object_find (&object, "hidden")->value.flags, ==,
                   CHOIR_JSON_HAS_MARKUP | CHOIR_JSON_HAS_ESCAPES);
  g_assert_cmpint (choir_json_object_find (&object, "long")->value.flags, ==, CHOIR_JSON_HAS_LONG);
  g_assert_cmpint (choir_json_object_find (&object, "many")->value.flags, ==, CHOIR_JSON_HAS_LONG);
  g_assert_cmpint (choir_json_object_find (&object, "fits")->value.flags, ==, 0);
  g_assert_cmpint (choir_json_object_find (&object, "big")->value.flags, ==,
                   CHOIR_JSON_HAS_BIG_INT);
}

static void
test_refused (void)
{
  assert_invalid ("", 0, "a JSON value");
  assert_invalid ("   ", 3, "a JSON value");
  assert_invalid ("{", 1, "a key in quotes");
  assert_invalid ("{\"a\"}", 4, "a colon");
  assert_invalid ("{\"a\":}", 5, "a JSON value");
  assert_invalid ("{\"a\":1", 6, "a comma or '}'");
  assert_invalid ("{\"a\":1,}", 7, "a key in quotes");
  assert_invalid ("{\"a\":[1,]}", 8, "a JSON value");
  assert_invalid ("{\"a\":[1}", 7, "a comma or ']'");
  assert_invalid ("{\"a\":{\"b\":1]", 11, "a comma or '}'");
  assert_invalid ("{a:1}", 1, "a key in quotes");
  assert_invalid ("{\"a\":tru}", 5, "a JSON value");
  assert_invalid ("{\"a\":NaN}", 5, "a JSON value");
  assert_invalid ("{\"a\":+1}", 5, "a JSON value");
  assert_invalid ("{\"a\":01}", 6, "a comma or '}'");
  assert_invalid ("{\"a\":1.}", 7, "a digit");
  assert_invalid ("{\"a\":-}", 6, "a digit");
  assert_invalid ("{\"a\":1e}", 7, "a digit");
  assert_invalid ("{} {}", 3, "the end of the text");
  assert_invalid ("{}\0", 2, "the end of the text");
  assert_invalid ("\xef\xbb\xbf{}", 0, "a JSON value");
  assert_invalid ("{/**/}", 1, "a key in quotes");
  assert_invalid ("nul", 0, "a JSON value");

  assert_refused ("[]", 2, CHOIR_ERROR_INVALID_MESSAGE, "A message must be a JSON object");
  assert_refused (" 1", 2, CHOIR_ERROR_INVALID_MESSAGE, "A message must be a JSON object");
}

static void
test_refused_strings (void)
{
  assert_invalid ("{\"a\":\"b", 7, "the end of the string");
  assert_invalid ("{\"a\":\"\\", 7, "an escaped character");
  assert_invalid ("{\"a\":\"\\x\"}", 7, "an escape that JSON knows");
  assert_invalid ("{\"a\":\"\\u12g4\"}", 7, "four hexadecimal digits");
  assert_invalid ("{\"a\":\"\\u12", 7, "four hexadecimal digits");
  assert_invalid ("{\"a\":\"\\u0000\"}", 7, "a character other than NUL");
  assert_invalid ("{\"a\":\"\\udc00\"}", 7, "a high surrogate before a low one");
  assert_invalid ("{\"a\":\"\\ud800\"}", 7, "a low surrogate after a high one");
  assert_invalid ("{\"a\":\"\\ud800\\u0041\"}", 7, "a low surrogate after a high one");
  assert_invalid ("{\"a\":\"\\ud800\\udc0", 7, "a low surrogate after a high one");
  assert_invalid ("{\"a\":\"\n\"}", 6, "no raw control character in a string");
  assert_invalid ("{\"a\":\"\0\"}", 6, "no raw control character in a string");
  assert_invalid ("{\"a\":\"\xc3\"}", 6, "valid UTF-8");
  assert_invalid ("{\"a\":\"\xc0\x80\"}", 6, "valid UTF-8");
  assert_invalid ("{\"a\":\"\xed\xa0\x80\"}", 6, "valid UTF-8");
  assert_invalid ("{\"a\":\"\xf4\x90\x80\x80\"}", 6, "valid UTF-8");
  assert_invalid ("{\"a\":\"\xf0\x9f\x98", 6, "valid UTF-8");
}

static void
test_duplicates (void)
{
  assert_invalid ("{\"type\":1,\"b\":2,\"type\":3}", 16, "a key that was not there before");
  assert_invalid ("{\"type\":1,\"t\\u0079pe\":3}", 10, "a key that was not there before");
  assert_invalid ("{\"\\u00e9\":1,\"\xc3\xa9\":3}", 12, "a key that was not there before");
  assert_invalid ("{\"\\ud83d\\ude00\":1,\"\xf0\x9f\x98\x80\":3}", 18,
                  "a key that was not there before");
  assert_invalid ("{\"\":1,\"\":3}", 6, "a key that was not there before");

  /* only the envelope's own fields decide about the message */
  g_assert_cmpuint (scan ("{\"a\":{\"b\":1,\"b\":2}}").n_members, ==, 1);
  assert_invalid ("{\"\\u00e9\":1,\"\\u00E9\":3}", 12, "a key that was not there before");
  g_assert_cmpuint (scan ("{\"a\":1,\"A\":2,\"a\\\\\":3}").n_members, ==, 3);
}

static void
test_depth (void)
{
  g_autoptr (GString) text = g_string_new ("{\"a\":");
  ChoirJsonLimits shallow = limits;
  ChoirJsonLimits greedy = limits;
  ChoirJsonObject object;
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < 31; i++)
    g_string_append (text, i % 2 == 0 ? "[" : "{\"b\":");
  g_string_append_c (text, '1');
  for (guint i = 31; i > 0; i--)
    g_string_append_c (text, i % 2 == 1 ? ']' : '}');
  g_string_append_c (text, '}');

  g_assert_true (choir_json_gate_scan (text->str, text->len, &limits, &object, &error));
  g_assert_no_error (error);

  shallow.max_depth = 31;
  g_assert_false (choir_json_gate_scan (text->str, text->len, &shallow, &object, &error));
  g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_INVALID_JSON);
  g_assert_nonnull (strstr (error->message, "less nesting"));
  g_clear_error (&error);

  /* the scanner's own stack ends somewhere whatever the limits say */
  greedy.max_depth = G_MAXUINT;
  g_string_truncate (text, 0);
  for (guint i = 0; i < 100000; i++)
    g_string_append_c (text, '[');
  g_assert_false (choir_json_gate_check (text->str, text->len, &greedy, NULL, &error));
  g_assert_cmpstr (error->message, ==, "Invalid JSON at byte 128: expected less nesting");
}

static void
test_too_many_members (void)
{
  g_autoptr (GString) text = g_string_new ("{\"k\":0");
  ChoirJsonObject object;
  g_autoptr (GError) error = NULL;

  for (guint i = 1; i < CHOIR_JSON_MEMBERS_MAX; i++)
    g_string_append_printf (text, ",\"k%u\":%u", i, i);
  g_string_append_c (text, '}');
  g_assert_true (choir_json_gate_scan (text->str, text->len, &limits, &object, &error));
  g_assert_cmpuint (object.n_members, ==, CHOIR_JSON_MEMBERS_MAX);

  g_string_truncate (text, text->len - 1);
  g_string_append (text, ",\"one-more\":1}");
  assert_refused (text->str, text->len, CHOIR_ERROR_INVALID_MESSAGE,
                  "A message has at most 32 fields");
}

static void
test_batch (void)
{
  static const char text[] = " [ {\"type\":\"a\"} ,{}, \"x\" ] ";
  static const char broken[] = "[{},{]";
  static const char full[] = "[1,2,3,4,5,6,7,8,9]";
  ChoirSlice elements[8];
  guint n;
  g_autoptr (GError) error = NULL;

  g_assert_true (choir_json_gate_is_batch (text, strlen (text)));
  g_assert_false (choir_json_gate_is_batch ("{}", 2));
  g_assert_false (choir_json_gate_is_batch (" ", 1));
  g_assert_true (choir_json_gate_scan_batch (text, strlen (text), &limits, elements, &n, &error));
  g_assert_cmpuint (n, ==, 3);
  g_assert_true (choir_slice_equals (elements[0], "{\"type\":\"a\"}"));
  g_assert_true (choir_slice_equals (elements[1], "{}"));
  g_assert_true (choir_slice_equals (elements[2], "\"x\""));

  g_assert_false (
    choir_json_gate_scan_batch (broken, strlen (broken), &limits, elements, &n, &error));
  g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_INVALID_JSON);
  g_assert_cmpuint (n, ==, 0);
  g_clear_error (&error);

  g_assert_false (choir_json_gate_scan_batch (full, strlen (full), &limits, elements, &n, &error));
  g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_INVALID_MESSAGE);
  g_assert_cmpstr (error->message, ==, "A batch holds at most 8 messages");
  g_clear_error (&error);
  g_assert_true (
    choir_json_gate_scan_batch ("[1,2,3,4,5,6,7,8]", 17, &limits, elements, &n, &error));
  g_assert_cmpuint (n, ==, 8);

  g_assert_false (choir_json_gate_scan_batch ("[ ]", 3, &limits, elements, &n, &error));
  g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_INVALID_MESSAGE);
}

static void
test_slice_get (void)
{
  ChoirSlice object =
    CHOIR_SLICE_LITERAL ("{ \"a\\\"}\" : \"]}\" , \"b\":[1,\"\\\\\"],\"\\u0063\":{\"d\" : 12 },"
                         "\"b\":2}");
  ChoirJsonValue value;

  g_assert_true (choir_json_slice_get (object, "b", &value));
  g_assert_cmpint (value.kind, ==, CHOIR_JSON_ARRAY);
  g_assert_cmpint (value.flags, ==, CHOIR_JSON_HAS_ESCAPES);
  g_assert_true (choir_slice_equals (value.raw, "[1,\"\\\\\"]"));

  g_assert_true (choir_json_slice_get (object, "c", &value));
  g_assert_true (choir_json_slice_get (value.raw, "d", &value));
  g_assert_true (choir_slice_equals (value.raw, "12"));

  g_assert_false (choir_json_slice_get (object, "d", &value));
  g_assert_false (choir_json_slice_get (choir_slice ("[1]"), "d", &value));
  g_assert_false (choir_json_slice_get ((ChoirSlice){ NULL, 0 }, "d", &value));
}

static void
test_strings (void)
{
  ChoirSlice escaped = CHOIR_SLICE_LITERAL ("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uD83D\\uDE00\"");
  g_autofree char *text = choir_json_string_dup (escaped, 100);
  g_autofree char *plain = choir_json_string_dup (CHOIR_SLICE_LITERAL ("\"abc\""), 3);
  g_autoptr (GString) out = g_string_new (NULL);

  g_assert_cmpstr (text, ==, "\"\\/\b\f\n\r\t\xc3\xa9\xf0\x9f\x98\x80");
  g_assert_cmpstr (plain, ==, "abc");
  g_assert_null (choir_json_string_dup (CHOIR_SLICE_LITERAL ("\"abc\""), 2));
  g_assert_null (choir_json_string_dup (CHOIR_SLICE_LITERAL ("\"\\u00e9\""), 1));
  g_assert_true (
    choir_slice_equals (choir_json_string_contents (choir_slice ("\"a\\n\"")), "a\\n"));

  choir_json_append_string (out, "a\"\\\n\t\b\f\r\x01\x1f\xc3\xa9</", -1);
  g_assert_cmpstr (out->str, ==, "\"a\\\"\\\\\\n\\t\\b\\f\\r\\u0001\\u001f\xc3\xa9</\"");
}

static void
test_numbers (void)
{
  static const struct
  {
    const char *text;
    gboolean whole;
    gint64 value;
  } rows[] = {
    { "0", TRUE, 0 },
    { "-0", TRUE, 0 },
    { "42", TRUE, 42 },
    { "-42", TRUE, -42 },
    { "1e2", TRUE, 100 },
    { "1.0", TRUE, 1 },
    { "12.50e1", TRUE, 125 },
    { "1200e-2", TRUE, 12 },
    { "0e999999999999999999999", TRUE, 0 },
    { "0.000e-5", TRUE, 0 },
    { "9007199254740992", TRUE, G_GINT64_CONSTANT (9007199254740992) },
    { "-9007199254740992", TRUE, G_GINT64_CONSTANT (-9007199254740992) },
    { "1000000000000000000000000000000e-30", TRUE, 1 },
    { "0.0000000000000000000000000000001e31", TRUE, 1 },
    { "1.5", FALSE, 0 },
    { "1e-1", FALSE, 0 },
    { "1e-99999999999999", FALSE, 0 },
    { "9007199254740993", FALSE, 0 },
    { "1e16", FALSE, 0 },
    { "1e999999999999999999999", FALSE, 0 },
    { "123456789012345678901234567890", FALSE, 0 },
    { "18446744073709551617", FALSE, 0 },
  };
  double real;
  g_autofree char *endless = g_strnfill (600, '1');

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      gint64 value = -1;

      g_test_message ("%s", rows[i].text);
      g_assert_cmpint (choir_json_number_get_int (choir_slice (rows[i].text), &value), ==,
                       rows[i].whole);
      if (rows[i].whole)
        g_assert_cmpint (value, ==, rows[i].value);
    }

  g_assert_true (choir_json_number_get_double (choir_slice ("-2.5e-1"), &real));
  g_assert_cmpfloat_with_epsilon (real, -0.25, 1e-15);
  g_assert_false (choir_json_number_get_double (choir_slice ("1e999"), &real));
  g_assert_false (choir_json_number_get_double (choir_slice (endless), &real));
}

/* Texts for the comparison with another parser */

static void append_value (GRand *rand, GString *out, guint depth);

static void
append_blanks (GRand *rand, GString *out)
{
  while (g_rand_int_range (rand, 0, 6) == 0)
    g_string_append_c (out, " \t\r\n"[g_rand_int_range (rand, 0, 4)]);
}

static void
append_text (GRand *rand, GString *out)
{
  static const char *const pieces[] = { "a",
                                        "key",
                                        "\\n",
                                        "\\\"",
                                        "\\\\",
                                        "\\u00e9",
                                        "\\ud83d\\ude00",
                                        "\xc3\xa9",
                                        "\xf0\x9f\x98\x80",
                                        "<b>",
                                        "\\u003c",
                                        "\\/",
                                        "\xe2\x82\xac",
                                        "0",
                                        " ",
                                        "}" };

  g_string_append_c (out, '"');
  for (gint i = g_rand_int_range (rand, 0, 6); i > 0; i--)
    g_string_append (out, pieces[g_rand_int_range (rand, 0, G_N_ELEMENTS (pieces))]);
  g_string_append_c (out, '"');
}

static void
append_container (GRand *rand, GString *out, guint depth, gboolean object)
{
  gint n = g_rand_int_range (rand, 0, 4);

  g_string_append_c (out, object ? '{' : '[');
  append_blanks (rand, out);
  for (gint i = 0; i < n; i++)
    {
      if (i > 0)
        g_string_append_c (out, ',');
      append_blanks (rand, out);
      if (object)
        {
          append_text (rand, out);
          append_blanks (rand, out);
          g_string_append_c (out, ':');
          append_blanks (rand, out);
        }
      append_value (rand, out, depth + 1);
      append_blanks (rand, out);
    }
  g_string_append_c (out, object ? '}' : ']');
}

static void
append_value (GRand *rand, GString *out, guint depth)
{
  static const char *const scalars[] = { "true",
                                         "false",
                                         "null",
                                         "0",
                                         "-1",
                                         "3.25",
                                         "1e3",
                                         "-0.5E-2",
                                         "9007199254740993",
                                         "123456789012345678901234567890" };
  gint choice = g_rand_int_range (rand, 0, depth == 0 ? 2 : depth > 5 ? 12 : 16);

  if (choice < 2 && depth <= 5)
    append_container (rand, out, depth, choice == 0);
  else if (choice < 5)
    append_text (rand, out);
  else if (choice < 12)
    g_string_append (out, scalars[g_rand_int_range (rand, 0, G_N_ELEMENTS (scalars))]);
  else
    append_container (rand, out, depth, choice % 2 == 0);
}

static void
mutate (GRand *rand, GString *text)
{
  static const char bytes[] = "\"\\{}[]:,0123456789eE+-.tfnu/ \n\x01\x80\xc3\xed\xf0<d";
  gsize at = (gsize) g_rand_int_range (rand, 0, (gint32) text->len);
  /* no NUL: the oracle skips raw ones silently */
  char byte = bytes[g_rand_int_range (rand, 0, sizeof bytes - 1)];

  switch (g_rand_int_range (rand, 0, 4))
    {
    case 0:
      text->str[at] = byte;
      break;
    case 1:
      g_string_insert_c (text, (gssize) at, byte);
      break;
    case 2:
      if (text->len > 1)
        g_string_erase (text, (gssize) at, 1);
      break;
    default:
      g_string_truncate (text, MAX (at, 1));
      break;
    }
}

/* What our readers make of text the gate has passed */
static json_t *
rebuild (const ChoirJsonValue *value)
{
  g_autofree char *text = NULL;
  json_t *result = NULL;
  ChoirJsonMember member;
  ChoirJsonValue element;
  gsize cursor = 0;
  double number;

  switch (value->kind)
    {
    case CHOIR_JSON_OBJECT:
      result = json_object ();
      while (choir_json_slice_next_member (value->raw, &cursor, &member))
        {
          ChoirSlice quoted = { member.key.data - 1, member.key.len + 2 };
          g_autofree char *key = choir_json_string_dup (quoted, G_MAXSIZE - 1);

          json_object_set_new (result, key, rebuild (&member.value));
        }
      return result;

    case CHOIR_JSON_ARRAY:
      result = json_array ();
      while (choir_json_slice_next_element (value->raw, &cursor, &element))
        json_array_append_new (result, rebuild (&element));
      return result;

    case CHOIR_JSON_STRING:
      text = choir_json_string_dup (value->raw, G_MAXSIZE - 1);
      return json_string (text);

    case CHOIR_JSON_NUMBER:
      g_assert_true (choir_json_number_get_double (value->raw, &number));
      return json_real (number);

    case CHOIR_JSON_TRUE:
      return json_true ();

    case CHOIR_JSON_FALSE:
      return json_false ();

    case CHOIR_JSON_NULL:
    default:
      return json_null ();
    }
}

/* Both parsers must agree, but for numbers beyond a double, which are grammatical all the same */
static gboolean
compare_with_oracle (const GString *text)
{
  g_autofree char *copy = g_memdup2 (text->str, text->len);
  json_error_t reason = { 0 };
  json_t *expected =
    json_loadb (copy, text->len, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, &reason);
  ChoirJsonKind kind;
  g_autoptr (GError) error = NULL;
  gboolean passed = choir_json_gate_check (copy, text->len, &wide_limits, &kind, &error);

  if (passed != (expected != NULL) && strstr (reason.text, "real number overflow") == NULL)
    g_error ("gate: %s, oracle: %s, for: %s", passed ? "passed" : error->message, reason.text,
             text->str);

  if (passed && expected != NULL)
    {
      gsize blanks = strspn (text->str, " \t\r\n");
      ChoirJsonValue value = { { text->str + blanks, text->len - blanks }, kind, 0 };
      json_t *rebuilt;

      while (g_ascii_isspace (value.raw.data[value.raw.len - 1]))
        value.raw.len--;
      rebuilt = rebuild (&value);
      if (!json_equal (rebuilt, expected))
        g_error ("read differently: %s", text->str);
      json_decref (rebuilt);
    }

  if (expected != NULL)
    json_decref (expected);
  return passed;
}

static void
test_oracle (void)
{
  GRand *rand = g_rand_new_with_seed (20260108);
  guint n_passed = 0;
  guint n_refused = 0;

  for (guint i = 0; i < N_GENERATED; i++)
    {
      g_autoptr (GString) text = g_string_new (NULL);

      append_blanks (rand, text);
      append_value (rand, text, i % 3);
      append_blanks (rand, text);
      g_assert_true (compare_with_oracle (text));

      for (guint j = 0; j < N_MUTANTS; j++)
        {
          mutate (rand, text);
          if (compare_with_oracle (text))
            n_passed++;
          else
            n_refused++;
        }
    }

  /* both sides of the fence were visited */
  g_assert_cmpuint (n_passed, >, N_GENERATED / 10);
  g_assert_cmpuint (n_refused, >, N_GENERATED);
  g_rand_free (rand);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/json-gate/members", test_members);
  g_test_add_func ("/json-gate/flags", test_flags);
  g_test_add_func ("/json-gate/refused", test_refused);
  g_test_add_func ("/json-gate/refused-strings", test_refused_strings);
  g_test_add_func ("/json-gate/duplicates", test_duplicates);
  g_test_add_func ("/json-gate/depth", test_depth);
  g_test_add_func ("/json-gate/too-many-members", test_too_many_members);
  g_test_add_func ("/json-gate/batch", test_batch);
  g_test_add_func ("/json-gate/slice-get", test_slice_get);
  g_test_add_func ("/json-gate/strings", test_strings);
  g_test_add_func ("/json-gate/numbers", test_numbers);
  g_test_add_func ("/json-gate/oracle", test_oracle);

  return g_test_run ();
}
