/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include <string.h>

#include "choir-error.h"
#include "choir-names.h"

static gboolean
is_channel (const char *name)
{
  return choir_name_is_channel (name, strlen (name));
}

static void
test_names (void)
{
  g_autofree char *longest = g_strnfill (CHOIR_CHANNEL_NAME_MAX, 'x');
  g_autofree char *too_long = g_strnfill (CHOIR_CHANNEL_NAME_MAX + 1, 'x');
  g_autofree char *user = g_strnfill (CHOIR_USER_ID_MAX, 'x');
  g_autofree char *of_user = g_strconcat ("user:", user, NULL);

  g_assert_true (is_channel ("chat:42"));
  g_assert_true (is_channel ("!~"));
  g_assert_true (is_channel (longest));
  g_assert_false (is_channel (too_long));
  g_assert_false (is_channel (""));
  g_assert_false (is_channel ("a b"));
  g_assert_false (is_channel ("a\x7f"));
  g_assert_false (is_channel ("caf\xc3\xa9"));
  g_assert_false (choir_name_is_channel ("a\0b", 3));
  g_assert_false (choir_name_is_channel (NULL, 3));

  g_assert_true (choir_name_is_user (user, strlen (user)));
  g_assert_true (is_channel (of_user));
  g_assert_false (choir_name_is_user (longest, strlen (longest)));

  g_assert_true (choir_name_is_identifier ("chat.message-2_x", 16));
  g_assert_false (choir_name_is_identifier (".a", 2));
  g_assert_false (choir_name_is_identifier ("a:b", 3));
  g_assert_false (choir_name_is_identifier ("", 0));
  g_assert_false (choir_name_is_identifier (longest, CHOIR_TYPE_NAME_MAX + 1));
  g_assert_true (choir_name_is_identifier (longest, CHOIR_TYPE_NAME_MAX));
}

static void
test_errors (void)
{
  static const char all[] =
    " INVALID_JSON INVALID_MESSAGE INVALID_MESSAGE_TYPE VALIDATION_ERROR MESSAGE_TOO_LARGE"
    " AUTH_ERROR PERMISSION_DENIED UNKNOWN_CHANNEL NOT_SUBSCRIBED RATE_LIMIT_EXCEEDED CONFLICT"
    " NOT_FOUND PROCESSING_ERROR TIMEOUT UNAVAILABLE INTERNAL_ERROR ";

  for (int code = 0; code < CHOIR_N_ERRORS; code++)
    {
      g_autofree char *word = g_strdup_printf (" %s ", choir_error_get_code (code));
      const guint status = choir_error_get_http_status (code);

      g_assert_nonnull (strstr (all, word));
      g_assert_true (status >= 400 && status < 600);
      g_assert_cmpuint (strlen (choir_error_get_help (code)), >, 10);
    }

  g_assert_cmpstr (choir_error_get_code (CHOIR_ERROR_TOKEN_MISSING), ==, "AUTH_ERROR");
  g_assert_cmpstr (choir_error_get_code (CHOIR_ERROR_TOKEN_EXPIRED), ==, "AUTH_ERROR");
  g_assert_cmpstr (choir_error_get_code (CHOIR_ERROR_OVERRUN), ==, "UNAVAILABLE");
  g_assert_cmpstr (choir_error_get_code (CHOIR_ERROR_CLOSED), ==, "UNAVAILABLE");
  g_assert_cmpstr (choir_error_get_code (CHOIR_ERROR_CONFIG), ==, "INTERNAL_ERROR");
  g_assert_cmpstr (choir_error_get_code (CHOIR_N_ERRORS), ==, "INTERNAL_ERROR");
  g_assert_cmpuint (choir_error_get_http_status (CHOIR_ERROR_RATE_LIMITED), ==, 429);
  g_assert_cmpuint (choir_error_get_http_status (CHOIR_ERROR_AUTH), ==, 401);
  g_assert_true (choir_error_is_recoverable (CHOIR_ERROR_RATE_LIMITED));
  g_assert_false (choir_error_is_recoverable (CHOIR_ERROR_OVERRUN));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/names/names", test_names);
  g_test_add_func ("/names/errors", test_errors);

  return g_test_run ();
}
