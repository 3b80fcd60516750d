/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include <string.h>

#include "choir-error.h"
#include "choir-template.h"

/* 2026-01-08T10:30:00.123Z */
static const ChoirTemplateContext context = { G_GINT64_CONSTANT (1767868200123456), "m-\"1",
                                              "chat:room:42" };

static void
assert_result (const char *template, const char *payload, const char *expected)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (ChoirTemplate) self = choir_template_parse (template, &error);
  g_autoptr (GString) out = g_string_new (NULL);
  static const ChoirJsonLimits limits = { 32, 1000, 1000, 1 };

  g_assert_no_error (error);
  choir_template_apply (self, choir_slice (payload), &context, out);
  g_assert_cmpstr (out->str, ==, expected);
  g_assert_true (choir_json_gate_check (out->str, out->len, &limits, NULL, &error));
}

static void
test_fields (void)
{
  assert_result ("", "{\"a\":1}", "{}");
  assert_result ("a", "{\"a\":1}", "{\"a\":1}");
  assert_result ("b a", "{\"a\":1,\"b\":[2]}", "{\"b\":[2],\"a\":1}");
  assert_result ("a b c", "{\"b\":\"x\"}", "{\"b\":\"x\"}");
  assert_result ("  out=in  ", "{\"in\":{\"k\":null}}", "{\"out\":{\"k\":null}}");
  assert_result ("out=a.b", "{\"a\":{\"b\":7}}", "{\"out\":7}");
  assert_result ("out=a.b", "{\"a\":7}", "{}");
  assert_result ("out=a.b", "{}", "{}");
  assert_result ("a", "{\"a\":1,\"a\":2}", "{\"a\":1}");
  assert_result ("a", "{\"\\u0061\":1}", "{\"a\":1}");
  assert_result ("a", "[1]", "{}");
}

static void
test_literals (void)
{
  assert_result ("a='two words' b='' c=#true d=#[\"x\",\"y\"] e=#{} f=#-0.5", "{}",
                 "{\"a\":\"two words\",\"b\":\"\",\"c\":true,\"d\":[\"x\",\"y\"],\"e\":{},\"f\":-"
                 "0.5}");
  assert_result ("a='back\\slash'", "{}", "{\"a\":\"back\\\\slash\"}");
}

static void
test_variables (void)
{
  static const ChoirTemplateContext bare = { 0, NULL, "all" };
  g_autoptr (ChoirTemplate) self = choir_template_parse ("i=$id c=$channel_id s=$now_s", NULL);
  g_autoptr (GString) out = g_string_new (NULL);

  assert_result ("s=$now_s ms=$now_ms iso=$now_iso id=$id channel=$channel_id", "{}",
                 "{\"s\":1767868200.123,\"ms\":1767868200123,\"iso\":\"2026-01-08T10:30:00.123Z\","
                 "\"id\":\"m-\\\"1\",\"channel\":\"room:42\"}");
  assert_result ("all=@", "{\"a\":1}", "{\"all\":{\"a\":1}}");

  choir_template_apply (self, CHOIR_SLICE_LITERAL ("{}"), &bare, out);
  g_assert_cmpstr (out->str, ==, "{\"s\":0.000}");
}

static void
test_alternatives (void)
{
  assert_result ("x=a|b|'none'", "{\"a\":1,\"b\":2}", "{\"x\":1}");
  assert_result ("x=a|b|'none'", "{\"b\":2}", "{\"x\":2}");
  assert_result ("x=a|b|'none'", "{}", "{\"x\":\"none\"}");
  assert_result ("x=a.b|c", "{\"a\":1,\"c\":2}", "{\"x\":2}");
  assert_result ("x=$channel_id|y", "{\"y\":2}", "{\"x\":\"room:42\"}");
}

static void
test_rest (void)
{
  assert_result ("*", "{ \"a\" : 1 , \"b\":2}", "{\"a\":1,\"b\":2}");
  assert_result ("*", "{}", "{}");
  assert_result ("x=a *", "{\"a\":1,\"b\":2}", "{\"x\":1,\"b\":2}");
  assert_result ("* x=a", "{\"a\":1,\"b\":2}", "{\"a\":1,\"b\":2,\"x\":1}");
  /* what the template writes itself is never written twice */
  assert_result ("status='ok' *", "{\"status\":\"no\",\"b\":2}", "{\"status\":\"ok\",\"b\":2}");
  assert_result ("* status='ok'", "{\"stat\\u0075s\":\"no\",\"b\":2}",
                 "{\"b\":2,\"status\":\"ok\"}");
  /* unless it had nothing to write */
  assert_result ("session_id=sessionId *", "{\"session_id\":1}", "{\"session_id\":1}");
  assert_result ("session_id=sessionId *", "{\"session_id\":1,\"sessionId\":2}",
                 "{\"session_id\":2}");
  assert_result ("x=a.b *", "{\"a\":{\"b\":1},\"c\":2}", "{\"x\":1,\"c\":2}");
  assert_result ("a={ x=b } *", "{\"b\":1,\"c\":2}", "{\"a\":{\"x\":1},\"c\":2}");
}

static void
test_nested (void)
{
  assert_result ("a={ x=b y={ z='1' } } c", "{\"b\":2,\"c\":3}",
                 "{\"a\":{\"x\":2,\"y\":{\"z\":\"1\"}},\"c\":3}");
  assert_result ("m=member{ userId=user_id * }", "{\"member\":{\"user_id\":\"u\",\"k\":1}}",
                 "{\"m\":{\"userId\":\"u\",\"k\":1}}");
  assert_result ("m=member{ userId=user_id }", "{\"member\":\"u\"}", "{\"m\":\"u\"}");
  assert_result ("m=member{ userId=user_id }", "{}", "{}");
  assert_result ("m=members[ userId=user_id ]",
                 "{\"members\":[{\"user_id\":\"u\"}, 7, {\"user_id\":\"v\"}]}",
                 "{\"m\":[{\"userId\":\"u\"},7,{\"userId\":\"v\"}]}");
  assert_result ("m=members[ * ]", "{\"members\":[]}", "{\"m\":[]}");
  assert_result ("m=members[ * ]", "{\"members\":{\"a\":1}}", "{\"m\":{\"a\":1}}");
}

static void
test_refused (void)
{
  static const char *const templates[] = {
    "a=",      "=a",       "a=b.",        "a='open", "a=#nul",   "a=$nothing",
    "a={ b",   "a={ b }x", "a b a",       "* *",     "a|b",      "a=b|",
    "a=[ b ]", "}",        "a=1|2|3|4|5", "a=x{ b",  "a=x[ b }", "a={ b={ c={ d={ e={ f } } } } }",
  };

  for (guint i = 0; i < G_N_ELEMENTS (templates); i++)
    {
      g_autoptr (GError) error = NULL;
      g_autoptr (ChoirTemplate) self = choir_template_parse (templates[i], &error);

      g_test_message ("%s", templates[i]);
      g_assert_null (self);
      g_assert_nonnull (error);
      g_assert_true (error->domain == CHOIR_ERROR);
    }
}

static void
test_bounds (void)
{
  g_autoptr (GString) items = g_string_new (NULL);
  g_autoptr (GString) nested = g_string_new (NULL);
  g_autoptr (GError) error = NULL;
  ChoirTemplate *self;

  for (guint i = 0; i < 33; i++)
    g_string_append_printf (items, " f%u=#1", i);
  self = choir_template_parse (items->str, &error);
  g_assert_null (self);
  g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG);
  g_clear_error (&error);

  for (guint i = 0; i < 20; i++)
    g_string_append_printf (nested, " f%u=a%u|b%u|c%u", i, i, i, i);
  self = choir_template_parse (nested->str, &error);
  g_assert_null (self);
  g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/template/fields", test_fields);
  g_test_add_func ("/template/literals", test_literals);
  g_test_add_func ("/template/variables", test_variables);
  g_test_add_func ("/template/alternatives", test_alternatives);
  g_test_add_func ("/template/rest", test_rest);
  g_test_add_func ("/template/nested", test_nested);
  g_test_add_func ("/template/refused", test_refused);
  g_test_add_func ("/template/bounds", test_bounds);

  return g_test_run ();
}
