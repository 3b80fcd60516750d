/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include <sys/resource.h>

#include "choir-admission.h"

static ChoirAddress
address (const char *text)
{
  ChoirAddress parsed;

  g_assert_true (choir_address_parse (text, &parsed));
  return parsed;
}

static void
test_address (void)
{
  static const char *const bad[] = { "",       "1.2.3", "1.2.3.256", "01.2.3.4", "[::1]",
                                     "::1%lo", "x",     "1.2.3.4 ",  ":::" };
  ChoirAddress v4 = address ("192.0.2.1");
  ChoirAddress mapped = address ("::ffff:192.0.2.1");
  ChoirAddress v6 = address ("2001:DB8:0::1");
  ChoirAddress parsed;
  char text[CHOIR_ADDRESS_TEXT_SIZE];

  g_assert_true (choir_address_equal (&v4, &mapped));
  g_assert_cmpuint (choir_address_hash (&v4), ==, choir_address_hash (&mapped));
  g_assert_false (choir_address_equal (&v4, &v6));
  g_assert_true (choir_address_is_ipv4 (&mapped));
  g_assert_false (choir_address_is_ipv4 (&v6));
  choir_address_format (&mapped, text);
  g_assert_cmpstr (text, ==, "192.0.2.1");
  choir_address_format (&v6, text);
  g_assert_cmpstr (text, ==, "2001:db8::1");
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    g_assert_false (choir_address_parse (bad[i], &parsed));
}

static void
test_total (void)
{
  g_autoptr (ChoirAdmission) admission = choir_admission_new (3, 0, NULL);
  ChoirAddress a = address ("192.0.2.1"), b = address ("192.0.2.2");

  g_assert_cmpuint (choir_admission_get_max_total (admission), ==, 3);
  g_assert_cmpint (choir_admission_enter (admission, &a, 0), ==, CHOIR_ADMISSION_OK);
  g_assert_cmpint (choir_admission_enter (admission, &a, 0), ==, CHOIR_ADMISSION_OK);
  g_assert_cmpint (choir_admission_enter (admission, NULL, 0), ==, CHOIR_ADMISSION_OK);
  g_assert_cmpint (choir_admission_enter (admission, &b, 0), ==, CHOIR_ADMISSION_FULL);
  g_assert_cmpint (choir_admission_enter (admission, NULL, 0), ==, CHOIR_ADMISSION_FULL);
  g_assert_cmpuint (choir_admission_get_total (admission), ==, 3);
  g_assert_cmpuint (choir_admission_get_n_addresses (admission), ==, 1);
  choir_admission_leave (admission, NULL);
  g_assert_cmpint (choir_admission_enter (admission, &b, 0), ==, CHOIR_ADMISSION_OK);
  choir_admission_leave (admission, &a);
  choir_admission_leave (admission, &a);
  choir_admission_leave (admission, &b);
  g_assert_cmpuint (choir_admission_get_total (admission), ==, 0);
  g_assert_cmpuint (choir_admission_get_n_addresses (admission), ==, 0);
}

static void
test_per_address (void)
{
  g_autoptr (ChoirAdmission) admission = choir_admission_new (0, 2, NULL);
  ChoirAddress a = address ("192.0.2.1"), b = address ("192.0.2.2");

  g_assert_cmpint (choir_admission_enter (admission, &a, 0), ==, CHOIR_ADMISSION_OK);
  g_assert_cmpint (choir_admission_enter (admission, &a, 0), ==, CHOIR_ADMISSION_OK);
  g_assert_cmpint (choir_admission_enter (admission, &a, 0), ==, CHOIR_ADMISSION_ADDRESS_FULL);
  g_assert_cmpint (choir_admission_enter (admission, &b, 0), ==, CHOIR_ADMISSION_OK);
  g_assert_cmpuint (choir_admission_get_count (admission, &a), ==, 2);
  g_assert_cmpuint (choir_admission_get_count (admission, &b), ==, 1);
  for (guint i = 0; i < 10; i++)
    g_assert_cmpint (choir_admission_enter (admission, NULL, 0), ==, CHOIR_ADMISSION_OK);
  choir_admission_leave (admission, &a);
  g_assert_cmpint (choir_admission_enter (admission, &a, 0), ==, CHOIR_ADMISSION_OK);
  g_assert_cmpint (choir_admission_enter (admission, &a, 0), ==, CHOIR_ADMISSION_ADDRESS_FULL);
}

static void
test_ipv6_network (void)
{
  g_autoptr (ChoirAdmission) admission = choir_admission_new (0, 2, NULL);
  ChoirAddress a = address ("2001:db8:0:1::1"), b = address ("2001:db8:0:1:ffff::2");
  ChoirAddress other = address ("2001:db8:0:2::1");

  g_assert_cmpint (choir_admission_enter (admission, &a, 0), ==, CHOIR_ADMISSION_OK);
  g_assert_cmpint (choir_admission_enter (admission, &b, 0), ==, CHOIR_ADMISSION_OK);
  g_assert_cmpint (choir_admission_enter (admission, &a, 0), ==, CHOIR_ADMISSION_ADDRESS_FULL);
  g_assert_cmpint (choir_admission_enter (admission, &other, 0), ==, CHOIR_ADMISSION_OK);
  g_assert_cmpuint (choir_admission_get_n_addresses (admission), ==, 2);
  choir_admission_leave (admission, &a);
  choir_admission_leave (admission, &b);
  g_assert_cmpuint (choir_admission_get_count (admission, &a), ==, 0);
  g_assert_cmpuint (choir_admission_get_n_addresses (admission), ==, 1);
}

static void
test_rate (void)
{
  g_autoptr (ChoirRateRule) rule = choir_rate_rule_parse ("2/1s", NULL);
  g_autoptr (ChoirAdmission) admission = choir_admission_new (0, 3, rule);
  ChoirAddress a = address ("192.0.2.1"), b = address ("192.0.2.2");
  const gint64 start = G_USEC_PER_SEC;

  g_assert_cmpint (choir_admission_enter (admission, &a, start), ==, CHOIR_ADMISSION_OK);
  choir_admission_leave (admission, &a);
  g_assert_cmpint (choir_admission_enter (admission, &a, start), ==, CHOIR_ADMISSION_OK);
  g_assert_cmpint (choir_admission_enter (admission, &a, start), ==, CHOIR_ADMISSION_ADDRESS_RATE);
  g_assert_cmpuint (choir_admission_get_total (admission), ==, 1);
  g_assert_cmpint (choir_admission_enter (admission, &b, start), ==, CHOIR_ADMISSION_OK);
  g_assert_cmpint (choir_admission_enter (admission, NULL, start), ==, CHOIR_ADMISSION_OK);
  g_assert_cmpint (choir_admission_enter (admission, &a, start + 2 * G_USEC_PER_SEC), ==,
                   CHOIR_ADMISSION_OK);
  choir_admission_sweep (admission, start + 10 * G_USEC_PER_SEC);
  g_assert_cmpint (choir_admission_enter (admission, &a, start + 10 * G_USEC_PER_SEC), ==,
                   CHOIR_ADMISSION_OK);
  g_assert_cmpint (choir_admission_enter (admission, &a, start + 10 * G_USEC_PER_SEC), ==,
                   CHOIR_ADMISSION_ADDRESS_FULL);
}

static void
test_configure (void)
{
  g_autoptr (ChoirRateRule) rule = choir_rate_rule_parse ("1/1s", NULL);
  g_autoptr (ChoirAdmission) admission = choir_admission_new (5, 5, NULL);
  ChoirAddress a = address ("192.0.2.1"), b = address ("192.0.2.2");

  for (guint i = 0; i < 3; i++)
    g_assert_cmpint (choir_admission_enter (admission, &a, 1), ==, CHOIR_ADMISSION_OK);
  choir_admission_configure (admission, 4, 2, rule);
  g_assert_cmpuint (choir_admission_get_total (admission), ==, 3);
  g_assert_cmpint (choir_admission_enter (admission, &a, 1), ==, CHOIR_ADMISSION_ADDRESS_FULL);
  g_assert_cmpint (choir_admission_enter (admission, &b, 1), ==, CHOIR_ADMISSION_OK);
  g_assert_cmpint (choir_admission_enter (admission, &b, 1), ==, CHOIR_ADMISSION_FULL);
  choir_admission_leave (admission, &a);
  g_assert_cmpint (choir_admission_enter (admission, &b, 1), ==, CHOIR_ADMISSION_ADDRESS_RATE);
}

static void
test_descriptors (void)
{
  struct rlimit original, lower;
  g_autoptr (ChoirAdmission) admission = NULL;

  g_assert_cmpint (getrlimit (RLIMIT_NOFILE, &original), ==, 0);
  lower = original;
  lower.rlim_cur = 256;
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &lower), ==, 0);
  admission = choir_admission_new (10000, 0, NULL);
  g_assert_cmpuint (choir_admission_get_max_total (admission), ==, 256 - CHOIR_ADMISSION_RESERVE);
  choir_admission_configure (admission, 0, 0, NULL);
  g_assert_cmpuint (choir_admission_get_max_total (admission), ==, 256 - CHOIR_ADMISSION_RESERVE);
  choir_admission_configure (admission, 7, 0, NULL);
  g_assert_cmpuint (choir_admission_get_max_total (admission), ==, 7);
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &original), ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/admission/address", test_address);
  g_test_add_func ("/admission/total", test_total);
  g_test_add_func ("/admission/per-address", test_per_address);
  g_test_add_func ("/admission/ipv6-network", test_ipv6_network);
  g_test_add_func ("/admission/rate", test_rate);
  g_test_add_func ("/admission/configure", test_configure);
  g_test_add_func ("/admission/descriptors", test_descriptors);
  return g_test_run ();
}
