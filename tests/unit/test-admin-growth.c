/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "choir-admin-growth.h"
#include "choir-admin-page.h"

#include "choir-admin-order.h"
#include "choir-clock.h"
#include "choir-error.h"

#define N_THINGS 10000

/* Rates */

static double
look_once (ChoirAdminGrowth *rates, gconstpointer thing, guint64 count)
{
  double rate;

  choir_admin_growth_begin (rates);
  rate = choir_admin_growth_look (rates, thing, count);
  choir_admin_growth_end (rates);

  return rate;
}

static void
assert_rate (double rate, double expected)
{
  g_assert_cmpfloat_with_epsilon (rate, expected, 0.01);
}

static void
test_rate_of_a_window (void)
{
  g_autoptr (ChoirAdminGrowth) rates = choir_admin_growth_new ();
  int thing;

  choir_clock_freeze (G_USEC_PER_SEC, 0);
  assert_rate (look_once (rates, &thing, 1000), 0);
  choir_clock_advance (2 * G_USEC_PER_SEC);
  assert_rate (look_once (rates, &thing, 1100), 50);
  choir_clock_advance (G_USEC_PER_SEC);
  assert_rate (look_once (rates, &thing, 1100), 0);
  choir_clock_thaw ();
}

/* Another who asks meanwhile gets the same, and takes nothing from the first */
static void
test_several_ask (void)
{
  g_autoptr (ChoirAdminGrowth) rates = choir_admin_growth_new ();
  int thing;

  choir_clock_freeze (G_USEC_PER_SEC, 0);
  look_once (rates, &thing, 0);
  choir_clock_advance (G_USEC_PER_SEC);
  assert_rate (look_once (rates, &thing, 10), 10);
  choir_clock_advance (G_USEC_PER_SEC / 2);
  assert_rate (look_once (rates, &thing, 20), 10);
  choir_clock_advance (G_USEC_PER_SEC / 2);
  assert_rate (look_once (rates, &thing, 30), 20);
  choir_clock_thaw ();
}

static void
test_counter_that_went_back (void)
{
  g_autoptr (ChoirAdminGrowth) rates = choir_admin_growth_new ();
  int thing;

  choir_clock_freeze (G_USEC_PER_SEC, 0);
  look_once (rates, &thing, 1000);
  choir_clock_advance (G_USEC_PER_SEC);
  assert_rate (look_once (rates, &thing, 5), 0);
  choir_clock_thaw ();
}

static void
test_forgets_what_is_gone (void)
{
  g_autoptr (ChoirAdminGrowth) rates = choir_admin_growth_new ();
  int first, second;

  choir_clock_freeze (G_USEC_PER_SEC, 0);
  choir_admin_growth_begin (rates);
  choir_admin_growth_look (rates, &first, 0);
  choir_admin_growth_look (rates, &second, 0);
  choir_admin_growth_end (rates);
  g_assert_cmpuint (choir_admin_growth_get_n_things (rates), ==, 2);

  choir_clock_advance (G_USEC_PER_SEC);
  look_once (rates, &first, 0);
  g_assert_cmpuint (choir_admin_growth_get_n_things (rates), ==, 1);
  choir_clock_thaw ();
}

/* Pages */

static char *
join (ChoirAdminPage *page)
{
  GString *names = g_string_new (NULL);
  guint n;
  const ChoirAdminPageEntry *entries = choir_admin_page_end (page, &n);

  for (guint i = 0; i < n; i++)
    g_string_append_printf (names, "%s%s", i > 0 ? " " : "", entries[i].name);

  return g_string_free (names, FALSE);
}

static void
test_heaviest_first (void)
{
  g_auto (ChoirAdminPage) page;
  g_autofree char *names = NULL;

  choir_admin_page_init (&page, 1, 3);
  choir_admin_page_offer_weighted (&page, "a", NULL, 1);
  choir_admin_page_offer_weighted (&page, "b", NULL, 3);
  choir_admin_page_offer_weighted (&page, "d", NULL, 2);
  choir_admin_page_offer_weighted (&page, "c", NULL, 2);
  choir_admin_page_offer_weighted (&page, "e", NULL, 0.5);
  names = join (&page);
  g_assert_cmpstr (names, ==, "c d a");
}

/* The page is the same as if all had been sorted, and what is kept meanwhile is bounded */
static void
test_heaviest_of_many (void)
{
  g_autoptr (GPtrArray) all = g_ptr_array_new_with_free_func (g_free);
  g_auto (ChoirAdminPage) page;
  g_autofree char *names = NULL;

  choir_admin_page_init (&page, 0, 4);
  for (guint i = 0; i < N_THINGS; i++)
    {
      /* 7919 is prime to N_THINGS: every weight once, in no order */
      guint weight = (guint) ((guint64) i * 7919 % N_THINGS);
      char *name = g_strdup_printf ("n%05u", weight);

      g_ptr_array_add (all, name);
      choir_admin_page_offer_weighted (&page, name, NULL, weight);
      g_assert_cmpuint (page.entries->len, <=, 512);
    }

  names = join (&page);
  g_assert_cmpstr (names, ==, "n09999 n09998 n09997 n09996");
}

/* Orders */

static void
assert_sorts (const char *filter, const char *wrong)
{
  g_autoptr (GVariant) dict = g_variant_new_parsed (filter);
  g_autoptr (GVariant) rest = NULL;
  g_autoptr (GError) error = NULL;
  ChoirAdminOrder order;

  if (choir_admin_order_take (dict, CHOIR_ADMIN_ORDERS_OF_USERS, &order, &rest, &error))
    {
      g_assert_null (wrong);
      g_assert_cmpint (order, ==, CHOIR_ADMIN_ORDER_QUEUED);
      g_assert_cmpuint (g_variant_n_children (rest), ==, 1);
      return;
    }

  g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION);
  g_assert_cmpstr (error->message, ==, wrong);
  g_assert_null (rest);
}

static void
test_order (void)
{
  assert_sorts ("{'sort': <'queued'>, 'prefix': <'a'>}", NULL);
  assert_sorts ("{'sort': <'colour'>}",
                "Filter key \"sort\" is nothing this list can be sorted by");
  assert_sorts ("{'sort': <1>}", "Filter key \"sort\" is nothing this list can be sorted by");
  assert_sorts ("{'sort': <'queued'>, 'prefix': <'a'>, 'sort': <'rate'>}",
                "Filter key \"sort\" is there twice");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/admin-growth/window", test_rate_of_a_window);
  g_test_add_func ("/admin-growth/several-ask", test_several_ask);
  g_test_add_func ("/admin-growth/counter-went-back", test_counter_that_went_back);
  g_test_add_func ("/admin-growth/forgets", test_forgets_what_is_gone);
  g_test_add_func ("/admin-page/heaviest-first", test_heaviest_first);
  g_test_add_func ("/admin-page/heaviest-of-many", test_heaviest_of_many);
  g_test_add_func ("/admin-order/take", test_order);

  return g_test_run ();
}
