/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-admin-page.h"
#include "choir-admin-path.h"

#include <gio/gio.h>
#include <string.h>

typedef struct
{
  const char *name;
  const char *element;
} NameCase;

/* As sd_bus_path_encode(3) writes them; tests/integration/test_admin_objects.py asks it */
static const NameCase name_cases[] = {
  { "", "_" },
  { "a", "a" },
  { "Z9", "Z9" },
  { "9Z", "_39Z" },
  { "0", "_30" },
  { "00", "_300" },
  { "_", "_5f" },
  { "__", "_5f_5f" },
  { "chat:lobby", "chat_3alobby" },
  { "f81d4fae-7dec-11d0", "f81d4fae_2d7dec_2d11d0" },
  { "1f", "_31f" },
  { "a/b", "a_2fb" },
  { "a.b~", "a_2eb_7e" },
  { " ", "_20" },
  { "é", "_c3_a9" },
  { "\x01\xff", "_01_ff" },
  { "_20", "_5f20" },
};

static void
test_names (gconstpointer data)
{
  const NameCase *c = data;
  g_autofree char *element = choir_admin_path_escape (c->name);
  g_autofree char *name = choir_admin_path_unescape (c->element);
  g_autofree char *path = choir_admin_path_new (CHOIR_ADMIN_KIND_CHANNEL, c->name);
  g_autofree char *expected = g_strconcat ("/org/choir/Choir1/channel/", c->element, NULL);

  g_assert_cmpstr (element, ==, c->element);
  g_assert_cmpstr (name, ==, c->name);
  g_assert_cmpstr (path, ==, expected);
  g_assert_true (g_variant_is_object_path (path));
}

/* What would be a second path to the same object, or none at all */
static const char *const no_elements[] = {
  "",   "__",     "a_",    "a_2",   "_2",  "_g0",  "_2D",    "_61", "a_39",
  "9a", "_5F",    "_00",   "a_00b", "a-b", "a/b",  "a b",    "é",   "_3",
  "_a", "a__2db", "a_2d_", "_ 1",   "_+1", "_0x1", "a_5f_5",
};

static void
test_no_elements (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (no_elements); i++)
    g_assert_null (choir_admin_path_unescape (no_elements[i]));
}

static void
test_every_byte (void)
{
  for (guint first = 1; first < 256; first++)
    for (guint second = 1; second < 256; second++)
      {
        const char name[] = { (char) first, (char) second, '\0' };
        g_autofree char *element = choir_admin_path_escape (name);
        g_autofree char *back = choir_admin_path_unescape (element);

        g_assert_cmpstr (back, ==, name);
      }
}

static void
test_longest (void)
{
  g_autofree char *letters = g_strnfill (CHOIR_ADMIN_NAME_MAX, 'a');
  g_autofree char *colons = g_strnfill (CHOIR_ADMIN_NAME_MAX, ':');
  g_autofree char *more = g_strnfill (CHOIR_ADMIN_NAME_MAX + 1, 'a');
  g_autofree char *much = g_strnfill (100000, 'a');
  g_autofree char *element = choir_admin_path_escape (colons);
  g_autofree char *longer = g_strconcat (element, "_3a", NULL);
  g_autofree char *back = choir_admin_path_unescape (element);
  g_autofree char *same = choir_admin_path_unescape (letters);

  g_assert_cmpuint (strlen (element), ==, CHOIR_ADMIN_ELEMENT_MAX);
  g_assert_cmpstr (back, ==, colons);
  g_assert_cmpstr (same, ==, letters);
  g_assert_null (choir_admin_path_unescape (more));
  g_assert_null (choir_admin_path_unescape (longer));
  g_assert_null (choir_admin_path_unescape (much));
}

/* @n names, shuffled, through a page; the same by sorting all */
static void
check_page (guint n, guint offset, guint limit)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  g_auto (ChoirAdminPage) page = { 0 };
  guint n_expected = MIN (n - MIN (n, offset), choir_admin_page_get_limit (limit));
  const ChoirAdminPageEntry *entries;
  guint n_entries;

  choir_admin_page_init (&page, offset, limit);
  for (guint i = 0; i < n; i++)
    {
      /* 7919 is a prime: each number below @n once, unless @n is a multiple of it */
      guint number = (guint) (((guint64) i * 7919 + 17) % n);
      char *name = g_strdup_printf ("%06u", number);

      g_ptr_array_add (names, name);
      choir_admin_page_offer (&page, name, GUINT_TO_POINTER (number + 1));
    }

  entries = choir_admin_page_end (&page, &n_entries);
  g_assert_cmpuint (n_entries, ==, n_expected);
  for (guint i = 0; i < n_entries; i++)
    {
      g_autofree char *name = g_strdup_printf ("%06u", offset + i);

      g_assert_cmpstr (entries[i].name, ==, name);
      g_assert_cmpuint (GPOINTER_TO_UINT (entries[i].item), ==, offset + i + 1);
    }

  /* what can't be on the page is not kept */
  g_assert_cmpuint (page.entries->len, <=, (gsize) offset + choir_admin_page_get_limit (limit));
}

static void
test_pages (void)
{
  static const guint counts[] = { 1, 2, 99, 100, 101, 356, 357, 5000 };
  static const guint offsets[] = { 0, 1, 50, 100, 999, 4999, 5000, G_MAXUINT };
  static const guint limits[] = { 0, 1, 100, 1000, 1001, G_MAXUINT };

  for (guint i = 0; i < G_N_ELEMENTS (counts); i++)
    for (guint j = 0; j < G_N_ELEMENTS (offsets); j++)
      for (guint k = 0; k < G_N_ELEMENTS (limits); k++)
        check_page (counts[i], offsets[j], limits[k]);
}

static void
test_empty_page (void)
{
  g_auto (ChoirAdminPage) page = { 0 };
  guint n_entries;

  choir_admin_page_init (&page, 0, 0);
  g_assert_null (choir_admin_page_end (&page, &n_entries));
  g_assert_cmpuint (n_entries, ==, 0);
}

static void
test_limits (void)
{
  g_assert_cmpuint (choir_admin_page_get_limit (0), ==, 100);
  g_assert_cmpuint (choir_admin_page_get_limit (1), ==, 1);
  g_assert_cmpuint (choir_admin_page_get_limit (1000), ==, 1000);
  g_assert_cmpuint (choir_admin_page_get_limit (1001), ==, 1000);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  for (guint i = 0; i < G_N_ELEMENTS (name_cases); i++)
    {
      g_autofree char *path = g_strdup_printf ("/admin/path/names/%u", i);

      g_test_add_data_func (path, &name_cases[i], test_names);
    }

  g_test_add_func ("/admin/path/no-elements", test_no_elements);
  g_test_add_func ("/admin/path/every-byte", test_every_byte);
  g_test_add_func ("/admin/path/longest", test_longest);
  g_test_add_func ("/admin/page/pages", test_pages);
  g_test_add_func ("/admin/page/empty", test_empty_page);
  g_test_add_func ("/admin/page/limits", test_limits);

  return g_test_run ();
}
