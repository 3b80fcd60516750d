/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include <string.h>

#include "choir-error.h"
#include "text-model.h"

static const ChoirTextLimits small_limits = { 4, 8 };
static const ChoirJsonLimits gate_limits = { 32, G_MAXSIZE, G_MAXSIZE, 8 };

typedef ChoirTextOperation *(*Parse) (ChoirSlice json,
                                      const ChoirTextLimits *limits,
                                      GError **error);

/* What the service does: the gate first */
static ChoirTextOperation *
parse_with (Parse parse, const char *json, const ChoirTextLimits *limits, GError **error)
{
  gsize len = strlen (json);
  /* without a NUL, so that the sanitizer sees a read past the end */
  g_autofree char *exact = g_memdup2 (json, len);

  return choir_json_gate_check (exact, len, &gate_limits, NULL, error)
           ? parse ((ChoirSlice){ exact, len }, limits, error)
           : NULL;
}

static void
assert_refused_by (Parse parse,
                   const char *json,
                   const ChoirTextLimits *limits,
                   ChoirError code,
                   const char *message)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (parse_with (parse, json, limits, &error));
  g_assert_error (error, CHOIR_ERROR, (int) code);
  g_assert_cmpstr (error->message, ==, message);
}

#define assert_refused(json, message)                                                              \
  assert_refused_by (choir_text_operation_parse, json, &model_limits, CHOIR_ERROR_VALIDATION,      \
                     "operation" message)
#define assert_change_refused(json, message)                                                       \
  assert_refused_by (choir_text_operation_parse_positional, json, &model_limits,                   \
                     CHOIR_ERROR_VALIDATION, message)

static void
assert_json (const ChoirTextOperation *operation, const char *expected)
{
  g_autofree char *json = model_operation_to_json (operation);

  g_assert_cmpstr (json, ==, expected);
}

static void
assert_parsed_by (Parse parse, const char *json, const char *expected)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (ChoirTextOperation) operation = parse_with (parse, json, &model_limits, &error);

  g_assert_no_error (error);
  assert_json (operation, expected);
}

#define assert_parsed(json, expected) assert_parsed_by (choir_text_operation_parse, json, expected)
#define assert_change(json, expected)                                                              \
  assert_parsed_by (choir_text_operation_parse_positional, json, expected)

static void
assert_applied (const char *text, const char *json, const char *expected)
{
  g_autoptr (ChoirRope) rope = choir_rope_new_from_text (text, strlen (text));
  g_autoptr (ChoirTextOperation) operation = model_operation_from_json (json);
  g_autofree char *result = NULL;

  g_assert_true (choir_text_operation_check (operation, choir_rope_get_n_chars (rope), NULL));
  choir_text_operation_apply (operation, rope);
  result = choir_rope_dup_text (rope, NULL);
  g_assert_cmpstr (result, ==, expected);
}

static void
assert_composed (const char *first, const char *second, const char *expected)
{
  g_autoptr (ChoirTextOperation) a = model_operation_from_json (first);
  g_autoptr (ChoirTextOperation) b = model_operation_from_json (second);
  g_autoptr (ChoirTextOperation) both = choir_text_operation_compose (a, b);

  assert_json (both, expected);
}

static void
assert_transformed (const char *self, const char *other, const char *left, const char *right)
{
  g_autoptr (ChoirTextOperation) a = model_operation_from_json (self);
  g_autoptr (ChoirTextOperation) b = model_operation_from_json (other);
  g_autoptr (ChoirTextOperation) as_left =
    choir_text_operation_transform (a, b, CHOIR_TEXT_SIDE_LEFT);
  g_autoptr (ChoirTextOperation) as_right =
    choir_text_operation_transform (a, b, CHOIR_TEXT_SIDE_RIGHT);

  assert_json (as_left, left);
  assert_json (as_right, right);
}

static void
test_parse (void)
{
  assert_parsed ("[]", "[]");
  assert_parsed (" [ ] ", "[]");
  assert_parsed ("[3,\"ab\",{\"d\":2}]", "[3,\"ab\",{\"d\":2}]");
  assert_parsed ("[{\"d\":2},\"ab\"]", "[{\"d\":2},\"ab\"]");
  assert_parsed ("[\"a\",{\"d\":1},\"b\",{\"d\":1}]", "[\"a\",{\"d\":1},\"b\",{\"d\":1}]");
  assert_parsed (" [ 1.0 , \"x\" ,\n1e2,{ \"d\" : 20e-1 } ] ", "[1,\"x\",100,{\"d\":2}]");
  assert_parsed ("[{\"\\u0064\":1}]", "[{\"d\":1}]");
  assert_parsed ("[\"\\ud83d\\ude00\\n\\\"\\u00e9\"]", "[\"\xf0\x9f\x98\x80\\n\\\"\xc3\xa9\"]");
  assert_parsed ("[2147483646,\"a\"]", "[2147483646,\"a\"]");
  assert_parsed ("[{\"d\":2147483647}]", "[{\"d\":2147483647}]");
}

static void
test_refused (void)
{
  assert_refused ("{}", " must be an array");
  assert_refused ("1", " must be an array");
  assert_refused ("\"[]\"", " must be an array");
  assert_refused ("null", " must be an array");

  assert_refused ("[1,null]", "[1] must be a number, a string or {\"d\": number}");
  assert_refused ("[true]", "[0] must be a number, a string or {\"d\": number}");
  assert_refused ("[false]", "[0] must be a number, a string or {\"d\": number}");
  assert_refused ("[1,\"a\",[\"b\"]]", "[2] must be a number, a string or {\"d\": number}");

  assert_refused ("[{\"d\":1},1.5,\"a\"]", "[1] must count by a whole number from 1 to 2147483647");
  assert_refused ("[1e-1,\"a\"]", "[0] must count by a whole number from 1 to 2147483647");
  assert_refused ("[0,\"a\"]", "[0] must count by a whole number from 1 to 2147483647");
  assert_refused ("[-0,\"a\"]", "[0] must count by a whole number from 1 to 2147483647");
  assert_refused ("[-1,\"a\"]", "[0] must count by a whole number from 1 to 2147483647");
  assert_refused ("[2147483648,\"a\"]", "[0] must count by a whole number from 1 to 2147483647");
  assert_refused ("[9007199254740993,\"a\"]",
                  "[0] must count by a whole number from 1 to 2147483647");
  assert_refused ("[18446744073709551617,\"a\"]",
                  "[0] must count by a whole number from 1 to 2147483647");
  assert_refused ("[1e400,\"a\"]", "[0] must count by a whole number from 1 to 2147483647");
  assert_refused ("[{\"d\":0}]", "[0] must count by a whole number from 1 to 2147483647");
  assert_refused ("[{\"d\":-3}]", "[0] must count by a whole number from 1 to 2147483647");
  assert_refused ("[1,{\"d\":2.5}]", "[1] must count by a whole number from 1 to 2147483647");

  assert_refused ("[2147483647,\"a\"]", " counts more than 2147483647 characters in all");
  assert_refused ("[2147483647,\"a\",2147483647,{\"d\":2147483647}]",
                  " counts more than 2147483647 characters in all");
}

static void
test_refused_objects (void)
{
  assert_refused ("[{}]", "[0] must have the one key \"d\" if it is an object");
  assert_refused ("[1,{\"i\":1}]", "[1] must have the one key \"d\" if it is an object");
  assert_refused ("[{\"D\":1}]", "[0] must have the one key \"d\" if it is an object");
  assert_refused ("[{\"d\":1,\"i\":\"x\"}]", "[0] must have the one key \"d\" if it is an object");
  assert_refused ("[{\"i\":\"x\",\"d\":1}]", "[0] must have the one key \"d\" if it is an object");
  assert_refused ("[{\"d\":1,\"d\":1}]", "[0] must have the one key \"d\" if it is an object");
  assert_refused ("[\"a\",1,{\"d\":\"abc\"}]",
                  "[2] must say how many characters it deletes, not which");
  assert_refused ("[{\"d\":null}]", "[0] must have a number under \"d\"");
  assert_refused ("[{\"d\":[1]}]", "[0] must have a number under \"d\"");
  assert_refused ("[{\"d\":{\"d\":1}}]", "[0] must have a number under \"d\"");
}

static void
test_refused_form (void)
{
  assert_refused ("[\"\"]", "[0] must not insert an empty string");
  assert_refused ("[\"a\",2,\"\"]", "[2] must not insert an empty string");
  assert_refused ("[1,2,\"a\"]", "[1] must be one with the component before it: both are keeps");
  assert_refused ("[1,\"a\",\"b\"]",
                  "[2] must be one with the component before it: both are inserts");
  assert_refused ("[{\"d\":1},{\"d\":2}]",
                  "[1] must be one with the component before it: both are deletes");
  assert_refused ("[1]", "[0] must be left out: nothing follows what it keeps");
  assert_refused ("[\"a\",{\"d\":1},4]", "[2] must be left out: nothing follows what it keeps");
}

/* They never get as far as an operation */
static void
test_surrogates (void)
{
  static const char *const lone[] = { "[\"\\ud83d\"]",        "[\"\\ude00\"]",
                                      "[\"\\ude00\\ud83d\"]", "[\"\\ud83dx\"]",
                                      "[\"\xed\xa0\xbd\"]",   "[\"\\u0000\"]" };

  for (guint i = 0; i < G_N_ELEMENTS (lone); i++)
    {
      g_autoptr (GError) error = NULL;

      g_assert_null (parse_with (choir_text_operation_parse, lone[i], &model_limits, &error));
      g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_INVALID_JSON);
    }
}

static void
assert_fits (Parse parse, const char *json)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (ChoirTextOperation) operation = parse_with (parse, json, &small_limits, &error);

  g_assert_no_error (error);
  g_assert_nonnull (operation);
}

static void
test_limits (void)
{
  const char *components = "operation has more than 4 components";
  const char *bytes = "operation inserts more than 8 bytes";
  Parse parse = choir_text_operation_parse;

  assert_fits (parse, "[1,\"a\",1,\"b\"]");
  assert_refused_by (parse, "[1,\"a\",1,\"b\",{\"d\":1}]", &small_limits, CHOIR_ERROR_TOO_LARGE,
                     components);
  assert_fits (parse, "[\"12345678\"]");
  assert_fits (parse, "[\"1234\",1,\"\xf0\x9f\x98\x80\"]");
  assert_fits (parse, "[\"\\ud83d\\ude00\\ud83d\\ude00\"]");
  assert_refused_by (parse, "[\"123456789\"]", &small_limits, CHOIR_ERROR_TOO_LARGE, bytes);
  assert_refused_by (parse, "[\"12345678\\n\"]", &small_limits, CHOIR_ERROR_TOO_LARGE, bytes);
  assert_refused_by (parse, "[\"1234\",1,\"56789\"]", &small_limits, CHOIR_ERROR_TOO_LARGE, bytes);
  assert_refused_by (parse, "[\"12345\",1,\"\\ud83d\\ude00\"]", &small_limits,
                     CHOIR_ERROR_TOO_LARGE, bytes);

  parse = choir_text_operation_parse_positional;
  assert_refused_by (parse, "{\"operation\":\"insert\",\"position\":0,\"content\":\"123456789\"}",
                     &small_limits, CHOIR_ERROR_TOO_LARGE, bytes);
  assert_refused_by (parse,
                     "{\"operations\":[{\"operation\":\"retain\"},{\"operation\":\"retain\"},"
                     "{\"operation\":\"retain\"},{\"operation\":\"retain\"},"
                     "{\"operation\":\"retain\"}]}",
                     &small_limits, CHOIR_ERROR_TOO_LARGE, "operations has more than 4 elements");
  assert_refused_by (
    parse,
    "{\"operations\":[{\"operation\":\"insert\",\"position\":0,\"content\":\"1234\"},"
    "{\"operation\":\"delete\",\"position\":0,\"length\":4},"
    "{\"operation\":\"insert\",\"position\":0,\"content\":\"56789\"}]}",
    &small_limits, CHOIR_ERROR_TOO_LARGE, bytes);
  assert_refused_by (parse,
                     "{\"operations\":[{\"operation\":\"delete\",\"position\":1,\"length\":1},"
                     "{\"operation\":\"delete\",\"position\":3,\"length\":1},"
                     "{\"operation\":\"delete\",\"position\":5,\"length\":1}]}",
                     &small_limits, CHOIR_ERROR_TOO_LARGE,
                     "operations make more than 4 components together");
}

static void
test_positional (void)
{
  assert_change ("{\"operation\":\"insert\",\"position\":3,\"content\":\"x\",\"changeId\":\"c\"}",
                 "[3,\"x\"]");
  assert_change ("{\"operation\":\"insert\",\"position\":0,\"content\":\"\\ud83d\\ude00\"}",
                 "[\"\xf0\x9f\x98\x80\"]");
  assert_change ("{\"position\":2.0,\"length\":1e1,\"operation\":\"delete\",\"version\":4}",
                 "[2,{\"d\":10}]");
  assert_change ("{\"operation\":\"retain\"}", "[]");
  assert_change ("{\"operation\":\"retain\",\"position\":3,\"length\":2}", "[]");
  assert_change ("{\"operation\":\"insert\",\"position\":3,\"content\":\"\"}", "[]");
  assert_change ("{\"operation\":\"delete\",\"position\":3,\"length\":0}", "[]");
  assert_change ("{\"operation\":[2,\"a\"]}", "[2,\"a\"]");
  assert_change ("{\"operations\":[]}", "[]");
}

static void
test_positional_sequences (void)
{
  assert_change ("{\"operations\":[{\"operation\":\"insert\",\"position\":1,\"content\":\"abc\"},"
                 "{\"type\":\"delete\",\"position\":2,\"length\":3}]}",
                 "[1,\"a\",{\"d\":1}]");
  assert_change ("{\"operations\":[{\"operation\":\"delete\",\"position\":0,\"length\":2},"
                 "{\"operation\":\"insert\",\"position\":0,\"content\":\"x\"},"
                 "{\"operation\":\"retain\",\"position\":0,\"length\":9},"
                 "{\"operation\":\"insert\",\"position\":5,\"content\":\"y\"}]}",
                 "[\"x\",{\"d\":2},4,\"y\"]");
  assert_change ("{\"operations\":[{\"operation\":\"insert\",\"position\":0,\"content\":\"c\"},"
                 "{\"operation\":\"insert\",\"position\":0,\"content\":\"b\"},"
                 "{\"operation\":\"insert\",\"position\":0,\"content\":\"a\"}]}",
                 "[\"abc\"]");
}

static void
test_positional_refused (void)
{
  const char *whole = "position must be a whole number from 0 to 2147483647";

  assert_change_refused ("{}", "a change must have either operation or operations");
  assert_change_refused ("{\"type\":\"insert\",\"position\":1,\"content\":\"x\"}",
                         "a change must have either operation or operations");
  assert_change_refused ("{\"operation\":\"retain\",\"operations\":[]}",
                         "a change must have either operation or operations");
  assert_change_refused ("{\"operation\":\"move\"}",
                         "operation must be \"insert\", \"delete\" or \"retain\"");
  assert_change_refused ("{\"operation\":7}",
                         "operation must be \"insert\", \"delete\" or \"retain\"");
  assert_change_refused ("{\"operation\":{\"d\":1}}",
                         "operation must be \"insert\", \"delete\" or \"retain\"");
  assert_change_refused ("{\"operation\":\"insert\",\"content\":\"x\"}", "position is missing");
  assert_change_refused ("{\"operation\":\"insert\",\"position\":1}", "content is missing");
  assert_change_refused ("{\"operation\":\"insert\",\"position\":1,\"content\":3}",
                         "content must be a string");
  assert_change_refused ("{\"operation\":\"delete\",\"position\":1}", "length is missing");
  assert_change_refused ("{\"operation\":\"delete\",\"position\":\"1\",\"length\":1}", whole);
  assert_change_refused ("{\"operation\":\"delete\",\"position\":-1,\"length\":1}", whole);
  assert_change_refused ("{\"operation\":\"delete\",\"position\":0.5,\"length\":1}", whole);
  assert_change_refused ("{\"operation\":\"delete\",\"position\":2147483648,\"length\":1}", whole);
  assert_change_refused ("{\"operation\":\"retain\",\"position\":null}", whole);
  assert_change_refused ("{\"operation\":\"delete\",\"position\":0,\"length\":[]}",
                         "length must be a whole number from 0 to 2147483647");
  assert_change_refused ("{\"operation\":\"delete\",\"position\":2147483647,\"length\":1}",
                         "operation counts more than 2147483647 characters in all");
  assert_change_refused ("{\"operation\":\"delete\",\"position\":1,\"position\":2,\"length\":1}",
                         "position is given twice");
  assert_change_refused ("{\"operation\":[1]}",
                         "operation[0] must be left out: nothing follows what it keeps");
}

static void
test_positional_sequences_refused (void)
{
  g_autoptr (GString) json = g_string_new ("{\"operations\":[");

  assert_change_refused ("{\"operations\":{}}", "operations must be an array");
  assert_change_refused ("{\"operations\":[{\"operation\":\"retain\"},3]}",
                         "operations[1] must be an object");
  assert_change_refused ("{\"operations\":[[\"a\"]]}", "operations[0] must be an object");
  assert_change_refused ("{\"operations\":[{\"position\":1}]}",
                         "operations[0].operation is missing");
  assert_change_refused ("{\"operations\":[{\"operation\":\"retain\"},{\"operation\":\"insert\"}]}",
                         "operations[1].position is missing");
  assert_change_refused ("{\"operations\":[{\"operation\":[\"a\"]}]}",
                         "operations[0].operation must be \"insert\", \"delete\" or \"retain\"");

  /* each is fine and their sum is not; 32 bits must not overflow on the way */
  for (guint i = 0; i < 5; i++)
    g_string_append_printf (
      json, "%s{\"operation\":\"delete\",\"position\":0,\"length\":2147483647}", i > 0 ? "," : "");
  g_string_append (json, "]}");
  assert_change_refused (json->str, "operation counts more than 2147483647 characters in all");
}

static void
assert_positional (const char *json, const char *expected)
{
  g_autoptr (ChoirTextOperation) operation = model_operation_from_json (json);
  g_autoptr (GString) members = g_string_new (NULL);

  choir_text_operation_append_positional (operation, members);
  g_assert_cmpstr (members->str, ==, expected);
}

static void
test_append_positional (void)
{
  assert_positional ("[]", "\"operations\":[]");
  assert_positional ("[3,\"x\\n\"]",
                     "\"operation\":\"insert\",\"position\":3,\"content\":\"x\\n\"");
  assert_positional ("[{\"d\":12}]", "\"operation\":\"delete\",\"position\":0,\"length\":12");
  assert_positional ("[1,\"ab\",2,{\"d\":3},4,\"\xf0\x9f\x98\x80\"]",
                     "\"operations\":["
                     "{\"operation\":\"insert\",\"position\":1,\"content\":\"ab\"},"
                     "{\"operation\":\"delete\",\"position\":5,\"length\":3},"
                     "{\"operation\":\"insert\",\"position\":9,\"content\":\"\xf0\x9f\x98\x80\"}]");
}

static void
test_builder (void)
{
  ChoirTextBuilder *builder = choir_text_builder_new ();
  g_autoptr (ChoirTextBuilder) unused = choir_text_builder_new ();
  g_autoptr (ChoirTextOperation) operation = NULL;

  choir_text_builder_keep (builder, 1);
  choir_text_builder_delete (builder, 0);
  choir_text_builder_keep (builder, 2);
  choir_text_builder_insert (builder, "a", 1);
  choir_text_builder_keep (builder, 0);
  choir_text_builder_insert (builder, "", 0);
  choir_text_builder_insert (builder, "\xc3\xa9", 2);
  choir_text_builder_delete (builder, 1);
  choir_text_builder_delete (builder, 1);
  choir_text_builder_keep (builder, 5);
  operation = choir_text_builder_end (builder);
  assert_json (operation, "[3,\"a\xc3\xa9\",{\"d\":2}]");

  for (guint i = 0; i < 1000; i++)
    {
      choir_text_builder_keep (unused, 1);
      choir_text_builder_insert (unused, "0123456789", 10);
    }
}

static void
test_properties (void)
{
  g_autoptr (ChoirTextOperation) operation =
    model_operation_from_json ("[3,\"a\xe4\xb8\xad\",1,{\"d\":2},\"\xf0\x9f\x98\x80\"]");
  g_autoptr (ChoirTextOperation) copy = choir_text_operation_copy (operation);
  g_autoptr (ChoirTextOperation) other = model_operation_from_json ("[3,\"a\xe4\xb8\xad\"]");
  g_autoptr (ChoirTextOperation) nothing = model_operation_from_json ("[]");
  ChoirTextComponent component;

  g_assert_cmpuint (choir_text_operation_get_n_components (operation), ==, 5);
  g_assert_cmpuint (choir_text_operation_get_input_chars (operation), ==, 6);
  g_assert_cmpuint (choir_text_operation_get_inserted_chars (operation), ==, 3);
  g_assert_cmpuint (choir_text_operation_get_inserted_bytes (operation), ==, 8);
  g_assert_cmpuint (choir_text_operation_get_deleted_chars (operation), ==, 2);
  g_assert_false (choir_text_operation_is_noop (operation));
  g_assert_true (choir_text_operation_is_noop (nothing));
  g_assert_true (choir_text_operation_equal (operation, copy));
  g_assert_false (choir_text_operation_equal (operation, other));
  g_assert_false (choir_text_operation_equal (operation, nothing));

  choir_text_operation_get_component (operation, 1, &component);
  g_assert_cmpint (component.kind, ==, CHOIR_TEXT_INSERT);
  g_assert_cmpuint (component.n_chars, ==, 2);
  g_assert_cmpmem (component.text, component.n_bytes, "a\xe4\xb8\xad", 4);
  choir_text_operation_get_component (operation, 4, &component);
  g_assert_cmpmem (component.text, component.n_bytes, "\xf0\x9f\x98\x80", 4);
  choir_text_operation_get_component (operation, 3, &component);
  g_assert_cmpint (component.kind, ==, CHOIR_TEXT_DELETE);
  g_assert_cmpuint (component.n_chars, ==, 2);
  g_assert_null (component.text);
}

/* What most operations are: a keystroke */
static void
test_size (void)
{
  g_autoptr (ChoirTextOperation) letter = model_operation_from_json ("[100000,\"a\"]");
  g_autoptr (ChoirTextOperation) emoji = model_operation_from_json ("[7,\"\xf0\x9f\x98\x80\"]");
  g_autoptr (ChoirTextOperation) nothing = model_operation_from_json ("[]");
  g_autoptr (ChoirTextOperation) word = model_operation_from_json ("[7,\"operation\",{\"d\":3}]");

  g_assert_cmpuint (choir_text_operation_get_size (letter), ==, 48);
  g_assert_cmpuint (choir_text_operation_get_size (emoji), ==, 48);
  g_assert_cmpuint (choir_text_operation_get_size (nothing), ==, 32);
  g_assert_cmpuint (choir_text_operation_get_size (word), ==, 64);
}

static void
test_apply (void)
{
  g_autoptr (ChoirTextOperation) operation = model_operation_from_json ("[2,\"x\",1,{\"d\":1}]");
  g_autoptr (GError) error = NULL;

  assert_applied ("ABCDEFG", "[1,\" hi \",2,{\"d\":3}]", "A hi BCG");
  assert_applied ("", "[\"x\"]", "x");
  assert_applied ("abc", "[]", "abc");
  assert_applied ("abc", "[{\"d\":3}]", "");
  assert_applied ("abc", "[\"x\",{\"d\":1},\"y\",1,\"z\"]", "xybzc");
  assert_applied ("\xf0\x9f\x98\x80\xe4\xb8\xad"
                  "e\xcc\x81",
                  "[1,{\"d\":1},1,\"!\"]",
                  "\xf0\x9f\x98\x80"
                  "e!\xcc\x81");

  g_assert_true (choir_text_operation_check (operation, 4, NULL));
  g_assert_false (choir_text_operation_check (operation, 3, &error));
  g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION);
  g_assert_cmpstr (error->message, ==, "operation reaches to character 4 of a text of 3");
}

static void
test_compose (void)
{
  assert_composed ("[]", "[]", "[]");
  assert_composed ("[2,\"hi there\"]", "[2,{\"d\":8}]", "[]");
  assert_composed ("[\"abc\"]", "[1,{\"d\":1}]", "[\"ac\"]");
  assert_composed ("[\"\xf0\x9f\x98\x80\xe4\xb8\xad"
                   "c\"]",
                   "[1,\"-\",1,{\"d\":1}]", "[\"\xf0\x9f\x98\x80-\xe4\xb8\xad\"]");
  assert_composed ("[{\"d\":2}]", "[{\"d\":3}]", "[{\"d\":5}]");
  assert_composed ("[{\"d\":1}]", "[\"x\"]", "[\"x\",{\"d\":1}]");
  assert_composed ("[{\"d\":1},\"x\"]", "[1,\"y\"]", "[{\"d\":1},\"xy\"]");
  assert_composed ("[\"x\",{\"d\":1}]", "[{\"d\":1},\"y\"]", "[\"y\",{\"d\":1}]");
  assert_composed ("[5,\"x\"]", "[2,\"y\"]", "[2,\"y\",3,\"x\"]");
  assert_composed ("[2,\"y\"]", "[9,{\"d\":2}]", "[2,\"y\",6,{\"d\":2}]");
}

static void
test_transform (void)
{
  assert_transformed ("[]", "[\"x\"]", "[]", "[]");
  assert_transformed ("[\"a\"]", "[]", "[\"a\"]", "[\"a\"]");
  assert_transformed ("[\"a\"]", "[\"xy\"]", "[\"a\"]", "[2,\"a\"]");
  assert_transformed ("[3,\"a\"]", "[1,\"\xf0\x9f\x98\x80\"]", "[4,\"a\"]", "[4,\"a\"]");
  assert_transformed ("[3,\"a\"]", "[1,{\"d\":5}]", "[1,\"a\"]", "[1,\"a\"]");
  assert_transformed ("[{\"d\":4}]", "[1,{\"d\":2}]", "[{\"d\":2}]", "[{\"d\":2}]");
  assert_transformed ("[{\"d\":4}]", "[2,\"x\"]", "[{\"d\":2},1,{\"d\":2}]",
                      "[{\"d\":2},1,{\"d\":2}]");
  assert_transformed ("[{\"d\":1},\"a\"]", "[\"x\"]", "[1,{\"d\":1},\"a\"]", "[1,{\"d\":1},\"a\"]");
  assert_transformed ("[\"a\",{\"d\":1},\"b\"]", "[\"x\",{\"d\":1},\"y\"]", "[\"a\",1,\"b\"]",
                      "[1,\"a\",1,\"b\"]");
}

/* Why what was committed is never flattened: the right side must stay in pieces */
static void
test_right_side_in_pieces (void)
{
  g_autoptr (ChoirTextOperation) ours = model_operation_from_json ("[1,\"y\"]");
  g_autoptr (ChoirTextOperation) deleted = model_operation_from_json ("[{\"d\":1}]");
  g_autoptr (ChoirTextOperation) inserted = model_operation_from_json ("[\"x\"]");
  g_autoptr (ChoirTextOperation) flat = choir_text_operation_compose (deleted, inserted);
  g_autoptr (ChoirTextOperation) past_one =
    choir_text_operation_transform (ours, deleted, CHOIR_TEXT_SIDE_LEFT);
  g_autoptr (ChoirTextOperation) past_both =
    choir_text_operation_transform (past_one, inserted, CHOIR_TEXT_SIDE_LEFT);
  g_autoptr (ChoirTextOperation) past_flat =
    choir_text_operation_transform (ours, flat, CHOIR_TEXT_SIDE_LEFT);

  assert_json (past_both, "[\"y\"]");
  assert_json (past_flat, "[1,\"y\"]");
}

static void
test_invert (void)
{
  g_autoptr (ChoirRope) rope = choir_rope_new_from_text ("a\xe4\xb8\xad\xf0\x9f\x98\x80"
                                                         "d",
                                                         9);
  g_autoptr (ChoirTextOperation) operation =
    model_operation_from_json ("[1,\"xy\",{\"d\":2},\"z\",1,\"!\"]");
  g_autoptr (ChoirTextOperation) inverse = choir_text_operation_invert (operation, rope);
  g_autofree char *text = NULL;

  assert_json (inverse, "[1,{\"d\":2},\"\xe4\xb8\xad\xf0\x9f\x98\x80\",{\"d\":1},1,{\"d\":1}]");
  choir_text_operation_apply (operation, rope);
  choir_text_operation_apply (inverse, rope);
  text = choir_rope_dup_text (rope, NULL);
  g_assert_cmpstr (text, ==,
                   "a\xe4\xb8\xad\xf0\x9f\x98\x80"
                   "d");
}

static void
test_cursor (void)
{
  static const struct
  {
    const char *operation;
    gsize before;
    gsize other;
    gsize own;
  } rows[] = {
    { "[]", 3, 3, 3 },
    { "[2,\"ab\"]", 1, 1, 1 },
    { "[2,\"ab\"]", 2, 2, 4 },
    { "[2,\"ab\"]", 3, 5, 5 },
    { "[1,{\"d\":3}]", 1, 1, 1 },
    { "[1,{\"d\":3}]", 2, 1, 1 },
    { "[1,{\"d\":3}]", 9, 6, 6 },
    { "[\"x\",{\"d\":2}]", 0, 0, 1 },
    { "[\"x\",{\"d\":2}]", 2, 1, 1 },
    /* whoever replaces what is selected writes on behind it, wherever the selection began */
    { "[{\"d\":2},\"x\"]", 0, 0, 1 },
    { "[{\"d\":2},\"x\"]", 2, 0, 1 },
    { "[\"a\",{\"d\":1},\"b\"]", 1, 1, 2 },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autoptr (ChoirTextOperation) operation = model_operation_from_json (rows[i].operation);

      g_assert_cmpuint (choir_text_operation_transform_position (operation, rows[i].before, FALSE),
                        ==, rows[i].other);
      g_assert_cmpuint (choir_text_operation_transform_position (operation, rows[i].before, TRUE),
                        ==, rows[i].own);
    }
}

/* Counts that no text has stay beyond any text, instead of wrapping round to a good one */
static void
test_saturation (void)
{
  g_autoptr (ChoirTextOperation) far = model_operation_from_json ("[2147483646,\"a\"]");
  ChoirTextBuilder *builder = choir_text_builder_new ();
  g_autoptr (ChoirTextOperation) other = NULL;

  choir_text_builder_keep (builder, G_MAXUINT32);
  choir_text_builder_keep (builder, 100);
  choir_text_builder_insert (builder, "x", 1);
  other = choir_text_builder_end (builder);
  g_assert_cmpuint (choir_text_operation_get_input_chars (other), ==, G_MAXUINT32);

  for (guint i = 0; i < 3; i++)
    {
      g_autoptr (ChoirTextOperation) sum = choir_text_operation_compose (far, other);
      g_autoptr (ChoirTextOperation) back =
        choir_text_operation_transform (other, far, CHOIR_TEXT_SIDE_RIGHT);

      g_assert_false (choir_text_operation_check (sum, G_MAXINT32, NULL));
      g_assert_false (choir_text_operation_check (back, G_MAXINT32, NULL));
      choir_text_operation_free (g_steal_pointer (&other));
      other = g_steal_pointer (&back);
    }
}

/* One that is far too long for the stack, and every way through it */
static void
test_long (void)
{
  enum
  {
    N_PIECES = 5000
  };
  ChoirTextBuilder *builder = choir_text_builder_new ();
  g_autoptr (GString) text = g_string_new (NULL);
  g_autoptr (ChoirTextOperation) operation = NULL;
  g_autoptr (ChoirTextOperation) twice = NULL;
  g_autoptr (ChoirTextOperation) moved = NULL;
  g_autoptr (ChoirTextOperation) back = NULL;
  g_autoptr (ChoirRope) rope = NULL;
  g_autofree char *result = NULL;

  for (guint i = 0; i < N_PIECES; i++)
    {
      g_string_append (text, "a\xe4\xb8\xad");
      choir_text_builder_keep (builder, 1);
      choir_text_builder_delete (builder, 1);
      choir_text_builder_insert (builder, "b\xf0\x9f\x98\x80", 5);
    }

  operation = choir_text_builder_end (builder);
  rope = choir_rope_new_from_text (text->str, text->len);
  back = choir_text_operation_invert (operation, rope);
  twice = choir_text_operation_compose (operation, back);
  moved = choir_text_operation_transform (operation, operation, CHOIR_TEXT_SIDE_LEFT);
  g_assert_cmpuint (choir_text_operation_get_n_components (operation), ==, 3 * N_PIECES);
  g_assert_cmpuint (choir_text_operation_get_n_components (moved), ==, 2 * N_PIECES);

  choir_text_operation_apply (operation, rope);
  choir_text_operation_apply (back, rope);
  choir_text_operation_apply (twice, rope);
  result = choir_rope_dup_text (rope, NULL);
  g_assert_cmpstr (result, ==, text->str);
}

/* The dearest sequence the limits allow takes no time to speak of */
static void
test_long_sequence (void)
{
  g_autoptr (GString) json = g_string_new ("{\"operations\":[");
  g_autoptr (ChoirTextOperation) operation = NULL;
  g_autoptr (GError) error = NULL;
  guint n = model_limits.max_components / 2;

  for (guint i = 0; i < n; i++)
    g_string_append_printf (json, "%s{\"operation\":\"insert\",\"position\":%u,\"content\":\"x\"}",
                            i > 0 ? "," : "", 3 * (n - i));
  g_string_append (json, "]}");

  operation = parse_with (choir_text_operation_parse_positional, json->str, &model_limits, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (choir_text_operation_get_n_components (operation), ==, 2 * n);
  g_assert_cmpuint (choir_text_operation_get_input_chars (operation), ==, 3 * n);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/text-operation/parse", test_parse);
  g_test_add_func ("/text-operation/refused", test_refused);
  g_test_add_func ("/text-operation/refused-objects", test_refused_objects);
  g_test_add_func ("/text-operation/refused-form", test_refused_form);
  g_test_add_func ("/text-operation/surrogates", test_surrogates);
  g_test_add_func ("/text-operation/limits", test_limits);
  g_test_add_func ("/text-operation/positional", test_positional);
  g_test_add_func ("/text-operation/positional-sequences", test_positional_sequences);
  g_test_add_func ("/text-operation/positional-refused", test_positional_refused);
  g_test_add_func ("/text-operation/positional-sequences-refused",
                   test_positional_sequences_refused);
  g_test_add_func ("/text-operation/append-positional", test_append_positional);
  g_test_add_func ("/text-operation/builder", test_builder);
  g_test_add_func ("/text-operation/properties", test_properties);
  g_test_add_func ("/text-operation/size", test_size);
  g_test_add_func ("/text-operation/apply", test_apply);
  g_test_add_func ("/text-operation/compose", test_compose);
  g_test_add_func ("/text-operation/transform", test_transform);
  g_test_add_func ("/text-operation/right-side-in-pieces", test_right_side_in_pieces);
  g_test_add_func ("/text-operation/invert", test_invert);
  g_test_add_func ("/text-operation/cursor", test_cursor);
  g_test_add_func ("/text-operation/saturation", test_saturation);
  g_test_add_func ("/text-operation/long", test_long);
  g_test_add_func ("/text-operation/long-sequence", test_long_sequence);

  return g_test_run ();
}
