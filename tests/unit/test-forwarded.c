/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-error.h"
#include "choir-forwarded.h"

/* As texts, as they are in logs */
static char *
resolve (const ChoirForwardedPolicy *policy,
         const char *peer,
         const char *x_forwarded_for,
         const char *forwarded)
{
  ChoirAddress address, client;

  g_assert_true (peer == NULL || choir_address_parse (peer, &address));
  if (!choir_forwarded_resolve (policy, peer != NULL ? &address : NULL, x_forwarded_for, forwarded,
                                &client))
    return NULL;

  return choir_address_dup_text (&client);
}

static void
test_resolve (void)
{
  static const struct
  {
    const char *peer;
    const char *x_forwarded_for;
    const char *forwarded;
    const char *client;
  } rows[] = {
    /* no proxy: nothing is believed */
    { "203.0.113.9", NULL, NULL, "203.0.113.9" },
    { "203.0.113.9", "198.51.100.1", NULL, "203.0.113.9" },
    { "203.0.113.9", NULL, "for=198.51.100.1", "203.0.113.9" },
    { "::ffff:203.0.113.9", "198.51.100.1", NULL, "203.0.113.9" },
    { "2001:db8::9", "198.51.100.1", NULL, "2001:db8::9" },
    /* a proxy */
    { "127.0.0.1", NULL, NULL, "127.0.0.1" },
    { "127.0.0.1", "198.51.100.1", NULL, "198.51.100.1" },
    { "::ffff:127.0.0.1", "198.51.100.1", NULL, "198.51.100.1" },
    { "::1", "198.51.100.1", NULL, "198.51.100.1" },
    { "10.1.2.3", "198.51.100.1", NULL, "198.51.100.1" },
    { "11.1.2.3", "198.51.100.1", NULL, "11.1.2.3" },
    { "2001:db8:1::5", "198.51.100.1", NULL, "198.51.100.1" },
    { NULL, "198.51.100.1", NULL, "198.51.100.1" },
    { NULL, NULL, "for=198.51.100.1", "198.51.100.1" },
    { NULL, NULL, NULL, NULL },
    { NULL, "nonsense", NULL, NULL },
    /* from the right, over trusted hops only */
    { "127.0.0.1", "192.0.2.66, 198.51.100.1", NULL, "198.51.100.1" },
    { "127.0.0.1", "192.0.2.66, 198.51.100.1, 10.0.0.7", NULL, "198.51.100.1" },
    { "127.0.0.1", "192.0.2.66,198.51.100.1 ,\t10.0.0.7,10.0.0.8", NULL, "198.51.100.1" },
    { "127.0.0.1", "10.0.0.7, 10.0.0.8", NULL, "10.0.0.7" },
    { "127.0.0.1", "nonsense, 198.51.100.1", NULL, "198.51.100.1" },
    { "127.0.0.1", "nonsense, 198.51.100.1, 10.0.0.7", NULL, "198.51.100.1" },
    { "127.0.0.1", "nonsense, 10.0.0.7", NULL, "127.0.0.1" },
    { "127.0.0.1", "198.51.100.1, nonsense", NULL, "127.0.0.1" },
    /* forms */
    { "127.0.0.1", "198.51.100.1:4711", NULL, "198.51.100.1" },
    { "127.0.0.1", "2001:DB8::0009", NULL, "2001:db8::9" },
    { "127.0.0.1", "[2001:db8::9]", NULL, "2001:db8::9" },
    { "127.0.0.1", "[2001:db8::9]:4711", NULL, "2001:db8::9" },
    { "127.0.0.1", "::ffff:198.51.100.1", NULL, "198.51.100.1" },
    { "127.0.0.1", "", NULL, "127.0.0.1" },
    { "127.0.0.1", ",", NULL, "127.0.0.1" },
    { "127.0.0.1", "198.51.100.1,", NULL, "127.0.0.1" },
    { "127.0.0.1", "unknown", NULL, "127.0.0.1" },
    { "127.0.0.1", "198.51.100.256", NULL, "127.0.0.1" },
    { "127.0.0.1", "198.51.100", NULL, "127.0.0.1" },
    { "127.0.0.1", "0x7f.1", NULL, "127.0.0.1" },
    { "127.0.0.1", "198.51.100.1:port", NULL, "127.0.0.1" },
    { "127.0.0.1", "198.51.100.1:70000", NULL, "127.0.0.1" },
    { "127.0.0.1", "198.51.100.1 192.0.2.1", NULL, "127.0.0.1" },
    { "127.0.0.1", "[198.51.100.1]", NULL, "127.0.0.1" },
    { "127.0.0.1", "[2001:db8::9", NULL, "127.0.0.1" },
    { "127.0.0.1", "[2001:db8::9]x", NULL, "127.0.0.1" },
    { "127.0.0.1", "fe80::1%eth0", NULL, "127.0.0.1" },
    { "127.0.0.1", "\"198.51.100.1\"", NULL, "127.0.0.1" },
    /* RFC 7239 */
    { "127.0.0.1", NULL, "for=198.51.100.1", "198.51.100.1" },
    { "127.0.0.1", NULL, "For=\"198.51.100.1\"", "198.51.100.1" },
    { "127.0.0.1", NULL, "FOR=\"[2001:db8::9]:4711\"", "2001:db8::9" },
    { "127.0.0.1", NULL, "for=198.51.100.1;proto=https;by=10.0.0.1", "198.51.100.1" },
    { "127.0.0.1", NULL, "proto=https; for=198.51.100.1 ;host=a", "198.51.100.1" },
    { "127.0.0.1", NULL, "for=192.0.2.66, for=198.51.100.1, for=10.0.0.7", "198.51.100.1" },
    { "127.0.0.1", NULL, "for=\"x, for=198.51.100.1", "198.51.100.1" },
    { "127.0.0.1", NULL, "for=unknown", "127.0.0.1" },
    { "127.0.0.1", NULL, "for=_hidden", "127.0.0.1" },
    { "127.0.0.1", NULL, "proto=https", "127.0.0.1" },
    { "127.0.0.1", NULL, "for", "127.0.0.1" },
    { "127.0.0.1", NULL, "for=", "127.0.0.1" },
    { "127.0.0.1", NULL, "", "127.0.0.1" },
    { "127.0.0.1", NULL, "for=\"198.51.100.1", "127.0.0.1" },
    { "127.0.0.1", NULL, "for=198.51.100.1;for=192.0.2.66", "127.0.0.1" },
    { "127.0.0.1", NULL, "198.51.100.1", "127.0.0.1" },
    /* both: they must agree, else one of them comes from the client */
    { "127.0.0.1", "198.51.100.1", "for=198.51.100.1", "198.51.100.1" },
    { "127.0.0.1", "198.51.100.1", "for=192.0.2.66", "127.0.0.1" },
    { "127.0.0.1", "198.51.100.1", "nonsense", "127.0.0.1" },
    { "127.0.0.1", "nonsense", "for=198.51.100.1", "127.0.0.1" },
  };
  static const char *const trusted[] = { "127.0.0.1", "::1", "10.0.0.0/8", "2001:db8:1::/48",
                                         NULL };
  g_autoptr (GError) error = NULL;
  g_autoptr (ChoirForwardedPolicy) policy = choir_forwarded_policy_new (trusted, &error);

  g_assert_no_error (error);
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autofree char *client =
        resolve (policy, rows[i].peer, rows[i].x_forwarded_for, rows[i].forwarded);

      g_test_message ("row %u: %s | %s | %s", i, rows[i].peer, rows[i].x_forwarded_for,
                      rows[i].forwarded);
      g_assert_cmpstr (client, ==, rows[i].client);
    }
}

static void
test_bounds (void)
{
  static const char *const trusted[] = { "10.0.0.0/8", NULL };
  g_autoptr (ChoirForwardedPolicy) policy = choir_forwarded_policy_new (trusted, NULL);
  g_autoptr (GString) list = g_string_new ("198.51.100.1");
  g_autofree char *within = NULL;
  g_autofree char *over = NULL;

  for (guint i = 0; i < 31; i++)
    g_string_append (list, ", 10.0.0.1");
  within = resolve (policy, "10.0.0.2", list->str, NULL);
  g_assert_cmpstr (within, ==, "198.51.100.1");
  g_string_append (list, ", 10.0.0.1");
  over = resolve (policy, "10.0.0.2", list->str, NULL);
  g_assert_cmpstr (over, ==, "10.0.0.2");
}

static void
test_bad_policy (void)
{
  static const char *const bad[] = { "", "localhost", "10.0.0.0/33", "10.0.0.1/8", "10.0.0", "*" };

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      const char *const trusted[] = { "127.0.0.1", bad[i], NULL };
      g_autoptr (GError) error = NULL;

      g_test_message ("%s", bad[i]);
      g_assert_null (choir_forwarded_policy_new (trusted, &error));
      g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG);
    }
}

static void
test_nobody_trusted (void)
{
  g_autoptr (ChoirForwardedPolicy) policy = choir_forwarded_policy_new (NULL, NULL);
  g_autofree char *client = resolve (policy, "127.0.0.1", "198.51.100.1", NULL);

  g_assert_cmpstr (client, ==, "127.0.0.1");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/forwarded/resolve", test_resolve);
  g_test_add_func ("/forwarded/bounds", test_bounds);
  g_test_add_func ("/forwarded/bad-policy", test_bad_policy);
  g_test_add_func ("/forwarded/nobody-trusted", test_nobody_trusted);
  return g_test_run ();
}
