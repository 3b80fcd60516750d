/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-error.h"
#include "choir-origin.h"

static const char *const patterns[] = { "https://a.com",
                                        "https://*.example.com",
                                        "http://localhost:*",
                                        "https://b.com:8443",
                                        "http://[::1]:3000",
                                        "HTTPS://Mixed.Org:443",
                                        "capacitor://localhost",
                                        "https://xn--bcher-kva.example",
                                        NULL };

static void
test_allows (void)
{
  static const struct
  {
    const char *origin;
    gboolean allowed;
  } rows[] = {
    { "https://a.com", TRUE },
    { "https://a.com:443", TRUE },
    { "HTTPS://A.com", TRUE },
    { "https://A.COM", TRUE },
    { "http://a.com", FALSE },
    { "https://a.com:80", FALSE },
    { "https://a.com:8443", FALSE },
    { "https://a.com.", FALSE },
    { "https://a.com/", FALSE },
    { "https://a.com/path", FALSE },
    { "https://a.com?x", FALSE },
    { "https://a.com#x", FALSE },
    { "https://a.com:", FALSE },
    { "https://a.com:0443", FALSE },
    { "https://a.com:0", FALSE },
    { "https://a.com:65536", FALSE },
    { "https://a.com:99999999999999999999", FALSE },
    { "https://a.com:+443", FALSE },
    { "https://a.com:44a", FALSE },
    { "https://a.com:*", FALSE },
    { "https://a.com.evil.net", FALSE },
    { "https://evila.com", FALSE },
    { "https://evil-a.com", FALSE },
    { "https://evil.net/https://a.com", FALSE },
    { "https://user@a.com", FALSE },
    { "https://user:password@a.com", FALSE },
    { "https://a.com@evil.net", FALSE },
    { "https://a.com:443@evil.net", FALSE },
    { "https://a.com https://b.com", FALSE },
    { "https://a.com,https://b.com", FALSE },
    { "https://a.com\r\nX: y", FALSE },
    { "https://a.com\t", FALSE },
    { " https://a.com", FALSE },
    { "https://a.com\x01", FALSE },
    { "https://a\xc3\xa9.com", FALSE },
    { "https://a%2ecom", FALSE },
    { "https:/a.com", FALSE },
    { "https:a.com", FALSE },
    { "//a.com", FALSE },
    { "a.com", FALSE },
    { "://a.com", FALSE },
    { "1https://a.com", FALSE },
    { "https://", FALSE },
    { "", FALSE },
    { "null", FALSE },
    { "NULL", FALSE },
    { "*", FALSE },
    { "https://*", FALSE },
    { "https://www.example.com", TRUE },
    { "https://WWW.Example.COM:443", TRUE },
    { "https://example.com", FALSE },
    { "https://a.b.example.com", FALSE },
    { "https://.example.com", FALSE },
    { "https://*.example.com", FALSE },
    { "https://evil-example.com", FALSE },
    { "https://www.example.com.evil.net", FALSE },
    { "https://www.example.com:8443", FALSE },
    { "http://www.example.com", FALSE },
    { "http://localhost", TRUE },
    { "http://localhost:80", TRUE },
    { "http://localhost:3000", TRUE },
    { "http://localhost:65535", TRUE },
    { "https://localhost:3000", FALSE },
    { "http://localhost.evil.net:3000", FALSE },
    { "http://localhost:3000.evil.net", FALSE },
    { "http://localhost:", FALSE },
    { "http://127.0.0.1:3000", FALSE },
    { "https://b.com:8443", TRUE },
    { "https://b.com", FALSE },
    { "http://[::1]:3000", TRUE },
    { "http://[0:0:0:0:0:0:0:1]:3000", TRUE },
    { "http://[::1]", FALSE },
    { "http://[::2]:3000", FALSE },
    { "http://[::1:3000", FALSE },
    { "http://[]:3000", FALSE },
    { "http://[::1]x:3000", FALSE },
    { "http://[a.com]:3000", FALSE },
    { "http://::1:3000", FALSE },
    { "https://mixed.org", TRUE },
    { "capacitor://localhost", TRUE },
    { "capacitor://localhost:80", FALSE },
    { "https://xn--bcher-kva.example", TRUE },
    { "https://b\xc3\xbc"
      "cher.example",
      FALSE },
  };
  g_autoptr (GError) error = NULL;
  g_autoptr (ChoirOriginPolicy) policy = choir_origin_policy_new (patterns, FALSE, FALSE, &error);

  g_assert_no_error (error);
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autofree char *printable = g_strescape (rows[i].origin, NULL);

      g_test_message ("%s", printable);
      g_assert_cmpint (choir_origin_policy_allows (policy, rows[i].origin), ==, rows[i].allowed);
    }
}

static void
test_bad_patterns (void)
{
  static const char *const bad[] = { "",
                                     "*",
                                     "null",
                                     "a.com",
                                     "https://",
                                     "https://*",
                                     "https://*:*",
                                     "https://*.com",
                                     "https://*.",
                                     "https://*.*.com",
                                     "https://a.*.com",
                                     "https://*a.com",
                                     "https://**.a.com",
                                     "*://a.com",
                                     "https://a.com/",
                                     "https://a.com/*",
                                     "https://a.com:",
                                     "https://a.com:0",
                                     "https://a.com:80*",
                                     "https://a.com:65536",
                                     "https://a.com.",
                                     "https://user@a.com",
                                     "https://*.0.0.1",
                                     "https://*.[::1]",
                                     "https://[::1",
                                     " https://a.com" };

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      const char *const list[] = { "https://good.com", bad[i], NULL };
      g_autoptr (GError) error = NULL;

      g_test_message ("%s", bad[i]);
      g_assert_null (choir_origin_policy_new (list, FALSE, FALSE, &error));
      g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG);
    }
}

static void
test_any (void)
{
  const char *const any[] = { "*", NULL };
  g_autoptr (ChoirOriginPolicy) policy = choir_origin_policy_new (any, FALSE, TRUE, NULL);

  g_assert_nonnull (policy);
  g_assert_true (choir_origin_policy_allows (policy, "https://whoever.net"));
  g_assert_false (choir_origin_policy_allows (policy, "null"));
  g_assert_false (choir_origin_policy_allows (policy, "https://a.com/"));
  g_assert_false (choir_origin_policy_allows (policy, NULL));
}

static void
test_no_origin (void)
{
  g_autoptr (ChoirOriginPolicy) with = choir_origin_policy_new (patterns, TRUE, FALSE, NULL);
  g_autoptr (ChoirOriginPolicy) without = choir_origin_policy_new (NULL, FALSE, FALSE, NULL);

  g_assert_true (choir_origin_policy_allows (with, NULL));
  g_assert_false (choir_origin_policy_allows (with, ""));
  g_assert_false (choir_origin_policy_allows (without, NULL));
  g_assert_false (choir_origin_policy_allows (without, "https://a.com"));
}

static void
test_bounds (void)
{
  g_autofree char *label = g_strnfill (63, 'a');
  g_autofree char *longest = g_strdup_printf ("https://%s.com", label);
  g_autofree char *too_long = g_strdup_printf ("https://a%s.com", label);
  g_autofree char *huge = g_strnfill (100000, 'a');
  g_autofree char *huge_host = g_strconcat ("https://", huge, NULL);
  const char *const one[] = { longest, NULL };
  const char *const other[] = { too_long, NULL };
  g_autoptr (ChoirOriginPolicy) policy = choir_origin_policy_new (one, FALSE, FALSE, NULL);
  const char **many = g_new0 (const char *, 258);
  g_autoptr (GError) error = NULL;

  g_assert_true (choir_origin_policy_allows (policy, longest));
  g_assert_false (choir_origin_policy_allows (policy, huge));
  g_assert_false (choir_origin_policy_allows (policy, huge_host));
  g_assert_null (choir_origin_policy_new (other, FALSE, FALSE, NULL));
  for (guint i = 0; i < 257; i++)
    many[i] = "https://a.com";
  g_assert_null (choir_origin_policy_new (many, FALSE, FALSE, &error));
  g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG);
  g_free (many);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/origin/allows", test_allows);
  g_test_add_func ("/origin/bad-patterns", test_bad_patterns);
  g_test_add_func ("/origin/any", test_any);
  g_test_add_func ("/origin/no-origin", test_no_origin);
  g_test_add_func ("/origin/bounds", test_bounds);
  return g_test_run ();
}
