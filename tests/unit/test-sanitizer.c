/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include <string.h>

#include "choir-sanitizer.h"

/* contracts.md A */
static const ChoirSanitizerRules rules = { TRUE, 10, 3, 4 };
static const ChoirSanitizerRules wide_rules = { TRUE, 10000, 100, 32 };
static const ChoirJsonLimits limits = { 128, G_MAXSIZE, G_MAXSIZE, 1 };

static char *
run (const ChoirSanitizerRules *with, const char *payload)
{
  gsize len;
  gsize again_len;
  g_autofree char *text = choir_sanitizer_run (with, choir_slice (payload), &len);
  g_autofree char *again = choir_sanitizer_run (with, (ChoirSlice){ text, len }, &again_len);
  g_autoptr (GError) error = NULL;

  g_assert_cmpuint (len, ==, strlen (text));
  choir_json_gate_check (text, len, &limits, NULL, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (again, ==, text);
  return g_steal_pointer (&text);
}

static void
assert_result (const char *payload, const char *expected)
{
  g_autofree char *text = run (&rules, payload);

  g_assert_cmpstr (text, ==, expected);
}

static void
test_untouched (void)
{
  static const char *const payloads[] = {
    "{}",
    " { \"a\" : [ 1 , 2.50e+1, -0 ] ,\n\"b\":{\"c\":null,\"d\":true}} ",
    "{\"a\":\"AT&T &lt;b\"}",
    "{\"a\":\"\\n\\\"\\\\\\/\\u00e9\"}",
    "{\"a\":\"\xf0\x9f\x98\x80\"}",
    "[[[[]]]]",
    "\"text\"",
  };

  for (guint i = 0; i < G_N_ELEMENTS (payloads); i++)
    assert_result (payloads[i], payloads[i]);
}

static void
test_markup (void)
{
  assert_result ("{\"a\":\"<b>\"}", "{\"a\":\"&lt;b&gt;\"}");
  assert_result ("{\"a\":\"\\u003cb\\u003E\"}", "{\"a\":\"&lt;b&gt;\"}");
  assert_result ("{\"a\":\"\\\\u003c\"}", "{\"a\":\"\\\\u003c\"}");
  assert_result ("{\"<k>\":1}", "{\"&lt;k&gt;\":1}");
  assert_result ("[{\"a\":[\"<\"]}]", "[{\"a\":[\"&lt;\"]}]");
}

static void
test_markup_allowed (void)
{
  ChoirSanitizerRules lenient = rules;
  g_autofree char *text = NULL;

  lenient.escape_markup = FALSE;
  text = run (&lenient, "{\"a\":\"<b>&lt;12345678\"}");
  g_assert_cmpstr (text, ==, "{\"a\":\"<b>&lt;123\"}");
}

static void
test_vectors (void)
{
  static const char *const vectors[] = {
    "<script>alert(1)</script>",
    "<ScRiPt src=//evil.example/x.js></sCrIpT>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "<svg><animate onbegin=alert(1) attributeName=x dur=1s>",
    "<body onload=alert(1)>",
    "<iframe src=javascript:alert(1)>",
    "<a href='javascript:alert(1)'>x</a>",
    "<a href=' &#106;avascript:alert(1)'>x</a>",
    "<object data='data:text/html;base64,PHNjcmlwdD4='>",
    "<math><mtext></mtext><mglyph><style><img src=x onerror=alert(1)>",
    "<input autofocus onfocus=alert(1)>",
    "<details open ontoggle=alert(1)>",
    "<form><button formaction=javascript:alert(1)>x",
    "<<script>alert(1);//<</script>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<!--<img src='--><img src=x onerror=alert(1)//'>",
    "<style>@import 'javascript:alert(1)';</style>",
    "<meta http-equiv=refresh content='0;url=data:text/html,x'>",
    "\\u003cscript\\u003ealert(1)\\u003c/script\\u003e",
    "\\u003Cimg src=x onerror=alert(1)\\u003E",
    "<\\u0073cript>alert(1)<\\/script>",
    "\\u003c\\u0073\\u0063\\u0072\\u0069\\u0070\\u0074\\u003e",
    "</textarea><script>alert(1)</script>",
    "<\\u00adscript>",
    "\xef\xbb\xbf<script>",
  };

  for (guint i = 0; i < G_N_ELEMENTS (vectors); i++)
    {
      g_autofree char *payload = g_strdup_printf ("{\"content\":\"%s\"}", vectors[i]);
      g_autofree char *text = run (&wide_rules, payload);
      ChoirJsonValue value;
      g_autofree char *shown = NULL;
      ChoirJsonObject object;

      g_test_message ("%s", vectors[i]);
      g_assert_true (choir_json_slice_get (choir_slice (text), "content", &value));
      shown = choir_json_string_dup (value.raw, 1000);
      g_assert_null (strpbrk (shown, "<>"));
      g_assert_nonnull (strstr (shown, "&lt;"));

      /* and the gate says beforehand that there is work */
      g_assert_true (choir_json_gate_scan (payload, strlen (payload), &limits, &object, NULL));
      g_assert_true (choir_sanitizer_needed (&wide_rules, object.members[0].value.flags));
    }
}

static void
test_long_strings (void)
{
  assert_result ("{\"a\":\"0123456789\"}", "{\"a\":\"0123456789\"}");
  assert_result ("{\"a\":\"0123456789x\"}", "{\"a\":\"0123456789\"}");
  assert_result ("{\"a\":\"\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\"}",
                 "{\"a\":\"\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\"}");
  /* characters, not bytes; a pair of escapes is one */
  assert_result ("{\"a\":\"\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"
                 "\\ud83d\\uDE00x\"}",
                 "{\"a\":\"\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"
                 "\\ud83d\\uDE00\"}");
  assert_result ("{\"a\":\"<<<<<<<<<<<\"}", "{\"a\":\"&lt;&lt;&lt;&lt;&lt;&lt;&lt;&lt;&lt;&lt;\"}");
  assert_result ("{\"a\":\"012345678&lt;9\"}", "{\"a\":\"012345678&lt;\"}");
  assert_result ("{\"a\":\"0123456789\\\"\",\"b\":1}", "{\"a\":\"0123456789\",\"b\":1}");
  assert_result ("{\"a-rather-long-key\":1}", "{\"a-rather-long-key\":1}");
}

static void
test_long_arrays (void)
{
  ChoirSanitizerRules none = rules;
  g_autofree char *text = NULL;

  assert_result ("[1,2,3]", "[1,2,3]");
  assert_result ("[1,2,3 , 4, 5]", "[1,2,3 ]");
  assert_result ("{\"a\":[[1,2,3,4],{\"b\":\"]\"},3,{\"c\":[\"]\",{}]},5],\"d\":[6]}",
                 "{\"a\":[[1,2,3],{\"b\":\"]\"},3],\"d\":[6]}");
  assert_result ("{\"a\":1,\"b\":2,\"c\":3,\"d\":4}", "{\"a\":1,\"b\":2,\"c\":3,\"d\":4}");

  none.max_array = 0;
  text = run (&none, "{\"a\":[1,[2]],\"b\":[]}");
  g_assert_cmpstr (text, ==, "{\"a\":[],\"b\":[]}");
}

static void
test_depth (void)
{
  assert_result ("[[[[1]]]]", "[[[[1]]]]");
  assert_result ("[[[[[1,[2]]],2]]]", "[[[[null],2]]]");
  assert_result ("[[[[{\"a\":\"}\"},7]]]]", "[[[[null,7]]]]");
}

static void
test_needed (void)
{
  ChoirSanitizerRules lenient = rules;

  lenient.escape_markup = FALSE;
  g_assert_false (choir_sanitizer_needed (&rules, 0));
  g_assert_false (choir_sanitizer_needed (&rules, CHOIR_JSON_HAS_ESCAPES));
  g_assert_true (choir_sanitizer_needed (&rules, CHOIR_JSON_HAS_MARKUP));
  g_assert_true (choir_sanitizer_needed (&rules, CHOIR_JSON_HAS_LONG));
  g_assert_false (choir_sanitizer_needed (&lenient, CHOIR_JSON_HAS_MARKUP));
  g_assert_true (choir_sanitizer_needed (&lenient, CHOIR_JSON_HAS_LONG));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/sanitizer/untouched", test_untouched);
  g_test_add_func ("/sanitizer/markup", test_markup);
  g_test_add_func ("/sanitizer/markup-allowed", test_markup_allowed);
  g_test_add_func ("/sanitizer/vectors", test_vectors);
  g_test_add_func ("/sanitizer/long-strings", test_long_strings);
  g_test_add_func ("/sanitizer/long-arrays", test_long_arrays);
  g_test_add_func ("/sanitizer/depth", test_depth);
  g_test_add_func ("/sanitizer/needed", test_needed);

  return g_test_run ();
}
