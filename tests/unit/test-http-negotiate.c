/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-http-negotiate.h"

#include <string.h>

static void
test_accept (void)
{
  static const struct
  {
    const char *accept;
    ChoirHttpMedia of_both;
    ChoirHttpMedia of_json;
  } rows[] = {
    { NULL, CHOIR_HTTP_JSON, CHOIR_HTTP_JSON },
    { "", CHOIR_HTTP_JSON, CHOIR_HTTP_JSON },
    { "*/*", CHOIR_HTTP_JSON, CHOIR_HTTP_JSON },
    { "application/json", CHOIR_HTTP_JSON, CHOIR_HTTP_JSON },
    { "Application/JSON; charset=utf-8", CHOIR_HTTP_JSON, CHOIR_HTTP_JSON },
    { "application/*", CHOIR_HTTP_JSON, CHOIR_HTTP_JSON },
    { "text/plain", CHOIR_HTTP_TEXT, CHOIR_HTTP_NO_MEDIA },
    { "text/*", CHOIR_HTTP_TEXT, CHOIR_HTTP_NO_MEDIA },
    { "text/plain, */*", CHOIR_HTTP_TEXT, CHOIR_HTTP_JSON },
    { "text/plain;q=0.5, application/json", CHOIR_HTTP_JSON, CHOIR_HTTP_JSON },
    { "text/plain;q=0.501, application/json; q=0.5", CHOIR_HTTP_TEXT, CHOIR_HTTP_JSON },
    { "text/plain;q=0, */*", CHOIR_HTTP_JSON, CHOIR_HTTP_JSON },
    { "application/json;q=0.000, */*;q=0.1", CHOIR_HTTP_TEXT, CHOIR_HTTP_NO_MEDIA },
    { "application/json;q=0, application/*", CHOIR_HTTP_NO_MEDIA, CHOIR_HTTP_NO_MEDIA },
    { "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", CHOIR_HTTP_JSON,
      CHOIR_HTTP_JSON },
    { "text/html", CHOIR_HTTP_NO_MEDIA, CHOIR_HTTP_NO_MEDIA },
    { "application/jsonp", CHOIR_HTTP_NO_MEDIA, CHOIR_HTTP_NO_MEDIA },
    { "*/json", CHOIR_HTTP_NO_MEDIA, CHOIR_HTTP_NO_MEDIA },
    { "json", CHOIR_HTTP_NO_MEDIA, CHOIR_HTTP_NO_MEDIA },
    { "/", CHOIR_HTTP_NO_MEDIA, CHOIR_HTTP_NO_MEDIA },
    { ",,;;=,/;q", CHOIR_HTTP_NO_MEDIA, CHOIR_HTTP_NO_MEDIA },
    /* a weight that is none: as if the range were not there */
    { "application/json;q=2", CHOIR_HTTP_NO_MEDIA, CHOIR_HTTP_NO_MEDIA },
    { "application/json;q=1.001", CHOIR_HTTP_NO_MEDIA, CHOIR_HTTP_NO_MEDIA },
    { "application/json;q=0.0001", CHOIR_HTTP_NO_MEDIA, CHOIR_HTTP_NO_MEDIA },
    { "application/json;q=", CHOIR_HTTP_NO_MEDIA, CHOIR_HTTP_NO_MEDIA },
    { "application/json;q=1.000", CHOIR_HTTP_JSON, CHOIR_HTTP_JSON },
    { " application/json ;q=0. , text/plain;q=0.1", CHOIR_HTTP_TEXT, CHOIR_HTTP_NO_MEDIA },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_test_message ("%s", rows[i].accept != NULL ? rows[i].accept : "(none)");
      g_assert_cmpint (choir_http_choose_media (rows[i].accept, CHOIR_HTTP_JSON | CHOIR_HTTP_TEXT),
                       ==, rows[i].of_both);
      g_assert_cmpint (choir_http_choose_media (rows[i].accept, CHOIR_HTTP_JSON), ==,
                       rows[i].of_json);
    }
}

/* As Prometheus asks, and those before it */
static void
test_metrics (void)
{
  const ChoirHttpMedia offered = CHOIR_HTTP_METRICS | CHOIR_HTTP_TEXT;

  g_assert_cmpint (choir_http_choose_media (NULL, offered), ==, CHOIR_HTTP_METRICS);
  g_assert_cmpint (choir_http_choose_media ("application/openmetrics-text;version=1.0.0,"
                                            "application/openmetrics-text;version=0.0.1;q=0.75,"
                                            "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                                            offered),
                   ==, CHOIR_HTTP_METRICS);
  g_assert_cmpint (choir_http_choose_media ("text/plain;version=0.0.4;q=1,*/*;q=0.1", offered), ==,
                   CHOIR_HTTP_TEXT);
}

static void
test_content_type (void)
{
  static const struct
  {
    const char *type;
    ChoirHttpMedia media;
  } rows[] = {
    { NULL, CHOIR_HTTP_NO_MEDIA },
    { "", CHOIR_HTTP_NO_MEDIA },
    { "application/json", CHOIR_HTTP_JSON },
    { "APPLICATION/Json ; CharSet=\"UTF-8\"", CHOIR_HTTP_JSON },
    { "text/plain", CHOIR_HTTP_TEXT },
    { "text/plain;charset=us-ascii; format=flowed", CHOIR_HTTP_TEXT },
    { "text/plain;charset=iso-8859-1", CHOIR_HTTP_NO_MEDIA },
    { "text/plain;charset=", CHOIR_HTTP_NO_MEDIA },
    { "text/plain;charset", CHOIR_HTTP_NO_MEDIA },
    { "text/html", CHOIR_HTTP_NO_MEDIA },
    { "text", CHOIR_HTTP_NO_MEDIA },
    { "*/*", CHOIR_HTTP_NO_MEDIA },
    { "application/json, text/plain", CHOIR_HTTP_NO_MEDIA },
    { "application/x-www-form-urlencoded", CHOIR_HTTP_NO_MEDIA },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_test_message ("%s", rows[i].type != NULL ? rows[i].type : "(none)");
      g_assert_cmpint (choir_http_parse_media (rows[i].type), ==, rows[i].media);
    }
}

static void
test_etags (void)
{
  static const struct
  {
    const char *list;
    gboolean strongly;
    gboolean weakly;
  } rows[] = {
    { "\"a-1\"", TRUE, TRUE },
    { "W/\"a-1\"", FALSE, TRUE },
    { " \"x\" , \"a-1\"", TRUE, TRUE },
    { "\"x\",W/\"y\",,\t\"a-1\",\"z\"", TRUE, TRUE },
    { "\"a-1", FALSE, FALSE },
    { "a-1", FALSE, FALSE },
    { "\"a-11\"", FALSE, FALSE },
    { "\"a-\"", FALSE, FALSE },
    { "\"\"", FALSE, FALSE },
    { "", FALSE, FALSE },
    { ",", FALSE, FALSE },
    { "W/", FALSE, FALSE },
    { "x, \"a-1\"", FALSE, FALSE },
    { "\"x, \"a-1\"", FALSE, FALSE },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_test_message ("%s", rows[i].list);
      g_assert_cmpint (choir_http_has_etag (rows[i].list, "\"a-1\"", FALSE), ==, rows[i].strongly);
      g_assert_cmpint (choir_http_has_etag (rows[i].list, "\"a-1\"", TRUE), ==, rows[i].weakly);
      g_assert_false (choir_http_is_any (rows[i].list));
    }

  g_assert_true (choir_http_is_any ("*"));
  g_assert_true (choir_http_is_any (" *\t"));
  g_assert_false (choir_http_is_any ("*, \"a\""));
}

/* Whatever comes, the answer is one of the three, and no byte behind the text is looked at */
static void
test_any_text (void)
{
  static const char alphabet[] = "*/;,=q01. \"Wtextplainapplicationjson-charset";

  for (guint i = 0; i < 20000; i++)
    {
      gsize len = (gsize) g_test_rand_int_range (0, 40);
      g_autofree char *text = g_malloc (len + 1);
      ChoirHttpMedia media;

      for (gsize j = 0; j < len; j++)
        text[j] = alphabet[g_test_rand_int_range (0, sizeof alphabet - 1)];
      text[len] = '\0';

      media = choir_http_choose_media (text, CHOIR_HTTP_TEXT);
      g_assert_true (media == CHOIR_HTTP_TEXT || media == CHOIR_HTTP_NO_MEDIA);
      media = choir_http_parse_media (text);
      g_assert_true (media != CHOIR_HTTP_TEXT || strstr (text, "text/plain") != NULL);
      if (choir_http_has_etag (text, "\"a\"", TRUE))
        g_assert_nonnull (strstr (text, "\"a\""));
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/http-negotiate/accept", test_accept);
  g_test_add_func ("/http-negotiate/metrics", test_metrics);
  g_test_add_func ("/http-negotiate/content-type", test_content_type);
  g_test_add_func ("/http-negotiate/etags", test_etags);
  g_test_add_func ("/http-negotiate/any-text", test_any_text);

  return g_test_run ();
}
