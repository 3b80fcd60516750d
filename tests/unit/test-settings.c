/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-settings.h"

#include "choir-error.h"

static ChoirConfig *
load (const char *const *sets)
{
  ChoirConfig *config = choir_config_new ();
  g_autoptr (GError) error = NULL;

  choir_config_load (config, "/dev/null", NULL, sets, &error);
  g_assert_no_error (error);

  return config;
}

static void
test_defaults (void)
{
  g_autoptr (ChoirConfig) config = load (NULL);
  g_autoptr (GError) error = NULL;
  ChoirSettings settings = { 0 };
  const ChoirDialectSettings *dialects = settings.dialects;

  g_assert_true (choir_settings_read (&settings, config, &error));
  g_assert_cmpuint (choir_rate_rule_get_max_in_longest (dialects[CHOIR_DIALECT_CHOIR].rate), ==,
                    300);
  /* contracts.md A, B, D */
  g_assert_cmpuint (choir_rate_rule_get_max_in_longest (dialects[CHOIR_DIALECT_NETRA].rate), ==,
                    30);
  g_assert_cmpuint (choir_rate_rule_get_max_in_longest (dialects[CHOIR_DIALECT_NETRA_SPEC].rate),
                    ==, 60);
  g_assert_cmpint (dialects[CHOIR_DIALECT_NETRA_SPEC].rate_scope, ==, CHOIR_SCOPE_USER);
  g_assert_cmpuint (dialects[CHOIR_DIALECT_NETRA_SPEC].max_message_size, ==, 10240);
  g_assert_cmpuint (dialects[CHOIR_DIALECT_REVIEWPOINT].max_per_user, ==, 3);
  g_assert_cmpuint (dialects[CHOIR_DIALECT_REVIEWPOINT].max_connections, ==, 1000);
  g_assert_cmpint (dialects[CHOIR_DIALECT_REVIEWPOINT].per_user_policy, ==, CHOIR_PER_USER_REJECT);
  g_assert_cmpuint (settings.outbox.max_bytes, ==, 1024 * 1024);
  g_assert_true (settings.require_auth);
  g_assert_true (choir_settings_allows_event (&settings, "file.ready"));
  g_assert_false (choir_settings_allows_event (&settings, "file"));
  g_assert_false (choir_settings_allows_event (&settings, ""));
  g_assert_cmpstr (settings.service_role, ==, "service");
  choir_settings_clear (&settings);
}

static void
test_values (void)
{
  const char *const sets[] = { "rate.default=",
                               "dialect jddb.rate=7/2s",
                               "dialect jddb.burst-queue=9",
                               "protocol.max-queue-bytes=2K",
                               "auth.auth-timeout=3s",
                               "session.max-subscriptions=4",
                               "events.allowed=",
                               "sanitize.markup=off",
                               NULL };
  g_autoptr (ChoirConfig) config = load (sets);
  g_autoptr (GError) error = NULL;
  ChoirSettings settings = { 0 };

  g_assert_true (choir_settings_read (&settings, config, &error));
  g_assert_null (settings.dialects[CHOIR_DIALECT_CHOIR].rate);
  g_assert_cmpint (choir_rate_rule_get_longest_us (settings.dialects[CHOIR_DIALECT_JDDB].rate), ==,
                   2 * G_USEC_PER_SEC);
  g_assert_cmpuint (settings.dialects[CHOIR_DIALECT_JDDB].burst_queue, ==, 9);
  g_assert_cmpuint (settings.outbox.max_bytes, ==, 2048);
  g_assert_cmpint (settings.auth_timeout_us, ==, 3 * G_USEC_PER_SEC);
  g_assert_cmpuint (settings.max_subscriptions, ==, 4);
  g_assert_false (choir_settings_allows_event (&settings, "file.ready"));
  g_assert_false (settings.sanitizer.escape_markup);
  choir_settings_clear (&settings);
  /* empty now, and may be cleared again */
  choir_settings_clear (&settings);
  g_assert_false (choir_settings_allows_event (&settings, "file.ready"));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/settings/defaults", test_defaults);
  g_test_add_func ("/settings/values", test_values);

  return g_test_run ();
}
