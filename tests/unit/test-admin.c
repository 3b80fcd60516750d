/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-admin-error.h"
#include "choir-admin-filter.h"
#include "choir-error.h"

#include <gio/gio.h>

/* Every channel of the subject, NULL-terminated */
static gboolean
has_channel (gconstpointer data, const char *channel)
{
  return g_strv_contains (data, channel);
}

static const char *const lobby_channels[] = { "chat:lobby", "chat:other", NULL };

static const ChoirAudienceSubject alice = {
  .connection = "c-1",
  .user = "alice",
  .address = "2001:db8::1",
  .dialect = CHOIR_DIALECT_JDDB,
  .slow = TRUE,
  .has_channel = has_channel,
  .data = lobby_channels,
};

/* Not authenticated, in no channel */
static const char *const no_channels[] = { NULL };

static const ChoirAudienceSubject nobody = {
  .connection = "c-2",
  .user = NULL,
  .address = "192.0.2.7",
  .dialect = CHOIR_DIALECT_CHOIR,
  .slow = FALSE,
  .has_channel = has_channel,
  .data = no_channels,
};

static gboolean
parse (ChoirAudience *filter, const char *text, GError **error)
{
  g_autoptr (GVariant) dict = g_variant_parse (G_VARIANT_TYPE ("a{sv}"), text, NULL, NULL, NULL);

  g_assert_nonnull (dict);

  /* the variant is gone when the filter is used */
  return choir_admin_filter_parse (filter, dict, error);
}

typedef struct
{
  const char *filter;
  gboolean alice;
  gboolean nobody;
} MatchCase;

static const MatchCase match_cases[] = {
  { "{}", TRUE, TRUE },
  { "{'user': <'alice'>}", TRUE, FALSE },
  { "{'user': <'alic'>}", FALSE, FALSE },
  { "{'address': <'192.0.2.7'>}", FALSE, TRUE },
  { "{'address': <'192.0.2.70'>}", FALSE, FALSE },
  { "{'channel': <'chat:lobby'>}", TRUE, FALSE },
  { "{'channel': <'chat:lobb'>}", FALSE, FALSE },
  { "{'dialect': <'jddb'>}", TRUE, FALSE },
  { "{'dialect': <'choir'>}", FALSE, TRUE },
  { "{'dialect': <'netra'>}", FALSE, FALSE },
  { "{'slow': <true>}", TRUE, FALSE },
  { "{'slow': <false>}", FALSE, TRUE },
  { "{'exclude': <['c-1']>}", FALSE, TRUE },
  { "{'exclude': <['c-1', 'c-2', 'c-2']>}", FALSE, FALSE },
  { "{'exclude': <@as []>}", TRUE, TRUE },
  { "{'user': <'alice'>, 'dialect': <'jddb'>, 'channel': <'chat:other'>}", TRUE, FALSE },
  { "{'user': <'alice'>, 'dialect': <'choir'>}", FALSE, FALSE },
  { "{'user': <'alice'>, 'exclude': <['c-1']>}", FALSE, FALSE },
  { "{'slow': <true>, 'address': <'192.0.2.7'>}", FALSE, FALSE },
};

static void
test_matches (gconstpointer data)
{
  const MatchCase *c = data;
  g_auto (ChoirAudience) filter = { 0 };
  g_autoptr (GError) error = NULL;

  parse (&filter, c->filter, &error);
  g_assert_no_error (error);
  g_assert_cmpint (choir_audience_matches (&filter, &alice), ==, c->alice);
  g_assert_cmpint (choir_audience_matches (&filter, &nobody), ==, c->nobody);
}

typedef struct
{
  const char *filter;
  const char *says;
} RefuseCase;

static const RefuseCase refuse_cases[] = {
  { "{'users': <'alice'>}", "*\"users\" is unknown*" },
  { "{'': <'alice'>}", "*\"\" is unknown*" },
  { "{'User': <'alice'>}", "*\"User\" is unknown*" },
  { "{'user': <'alice'>, 'colour': <'red'>}", "*\"colour\" is unknown*" },
  { "{'user': <1>}", "*\"user\" must be of type \"s\", not \"i\"*" },
  { "{'user': <<'alice'>>}", "*\"user\" must be of type \"s\", not \"v\"*" },
  { "{'user': <objectpath '/alice'>}", "*\"user\" must be of type \"s\", not \"o\"*" },
  { "{'slow': <'yes'>}", "*\"slow\" must be of type \"b\"*" },
  { "{'exclude': <'c-1'>}", "*\"exclude\" must be of type \"as\"*" },
  { "{'exclude': <@av []>}", "*\"exclude\" must be of type \"as\"*" },
  { "{'user': <''>}", "*\"user\" is no user identifier*" },
  { "{'user': <'two words'>}", "*\"user\" is no user identifier*" },
  { "{'address': <''>}", "*\"address\" is empty*" },
  { "{'channel': <''>}", "*\"channel\" is no channel name*" },
  { "{'channel': <'a b'>}", "*\"channel\" is no channel name*" },
  { "{'dialect': <'klingon'>}", "*\"dialect\" is not a contract*" },
  { "{'user': <'alice'>, 'user': <'bob'>}", "*\"user\" is there twice*" },
  { "{'exclude': <['a']>, 'exclude': <['b']>}", "*\"exclude\" is there twice*" },
};

static void
test_refuses (gconstpointer data)
{
  const RefuseCase *c = data;
  ChoirAudience filter;
  g_autoptr (GError) error = NULL;

  g_assert_false (parse (&filter, c->filter, &error));
  g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION);
  g_assert_true (g_pattern_match_simple (c->says, error->message));
}

static GVariant *
make_exclude (guint n)
{
  GVariantBuilder names;
  GVariantDict dict;

  g_variant_builder_init (&names, G_VARIANT_TYPE_STRING_ARRAY);
  for (guint i = 0; i < n; i++)
    g_variant_builder_add (&names, "s", "c");

  g_variant_dict_init (&dict, NULL);
  g_variant_dict_insert_value (&dict, "exclude", g_variant_builder_end (&names));

  return g_variant_ref_sink (g_variant_dict_end (&dict));
}

static void
test_exclude_limit (void)
{
  g_autoptr (GVariant) most = make_exclude (CHOIR_AUDIENCE_NAMES_MAX);
  g_autoptr (GVariant) more = make_exclude (CHOIR_AUDIENCE_NAMES_MAX + 1);
  g_auto (ChoirAudience) filter = { 0 };
  ChoirAudience refused;
  g_autoptr (GError) error = NULL;

  g_assert_true (choir_admin_filter_parse (&filter, most, &error));
  g_assert_no_error (error);
  g_assert_false (choir_admin_filter_parse (&refused, more, &error));
  g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION);
}

/* A filter that was cleared matches everything, and can be cleared again */
static void
test_clear (void)
{
  ChoirAudience filter;

  g_assert_true (parse (&filter, "{'user': <'bob'>, 'exclude': <['c-1']>}", NULL));
  g_assert_false (choir_audience_matches (&filter, &alice));
  choir_audience_clear (&filter);
  g_assert_true (choir_audience_matches (&filter, &alice));
  choir_audience_clear (&filter);
}

/* Each error has a name of its own on the bus, and comes back from it as itself */
static void
test_errors (void)
{
  g_autoptr (GHashTable) seen = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

  choir_admin_error_register ();
  choir_admin_error_register ();

  for (int code = 0; code < CHOIR_N_ERRORS; code++)
    {
      g_autoptr (GError) error = g_error_new_literal (CHOIR_ERROR, code, "text");
      g_autofree char *name = g_dbus_error_encode_gerror (error);
      g_autoptr (GError) back = g_dbus_error_new_for_dbus_error (name, "text");

      g_assert_true (g_str_has_prefix (name, "org.choir.Choir1.Error."));
      g_assert_true (g_dbus_is_interface_name (name));
      g_assert_error (back, CHOIR_ERROR, code);
      g_assert_true (g_hash_table_add (seen, g_steal_pointer (&name)));
    }

  g_assert_true (g_hash_table_contains (seen, "org.choir.Choir1.Error.InvalidArgs"));
  g_assert_true (g_hash_table_contains (seen, "org.choir.Choir1.Error.NotFound"));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  for (guint i = 0; i < G_N_ELEMENTS (match_cases); i++)
    {
      g_autofree char *path = g_strdup_printf ("/admin/filter/matches/%u", i);

      g_test_add_data_func (path, &match_cases[i], test_matches);
    }

  for (guint i = 0; i < G_N_ELEMENTS (refuse_cases); i++)
    {
      g_autofree char *path = g_strdup_printf ("/admin/filter/refuses/%u", i);

      g_test_add_data_func (path, &refuse_cases[i], test_refuses);
    }

  g_test_add_func ("/admin/filter/exclude-limit", test_exclude_limit);
  g_test_add_func ("/admin/filter/clear", test_clear);
  g_test_add_func ("/admin/errors", test_errors);

  return g_test_run ();
}
