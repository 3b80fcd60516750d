/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-token-command.h"

#include "choir-error.h"
#include "choir-verifier.h"

#include <glib/gstdio.h>
#include <string.h>

#define SECRET "an HMAC secret for tests, 64 bytes of it, which none may use 1234"

static GString *printed;
static GString *complained;
static char *directory;
static char *key_set;
static char *spec;

static void
print (const char *text)
{
  g_string_append (printed, text);
}

static void
complain (const char *text)
{
  g_string_append (complained, text);
}

/* Returns what the command does; what it says is in @printed and @complained */
static int
run (const char *const *arguments)
{
  g_autoptr (GPtrArray) argv = g_ptr_array_new ();
  GPrintFunc old_print, old_complain;
  int status;

  g_string_truncate (printed, 0);
  g_string_truncate (complained, 0);
  g_ptr_array_add (argv, (char *) "token");
  g_ptr_array_add (argv, (char *) "--config=/dev/null");
  for (; *arguments != NULL; arguments++)
    g_ptr_array_add (argv, (char *) *arguments);
  g_ptr_array_add (argv, NULL);

  old_print = g_set_print_handler (print);
  old_complain = g_set_printerr_handler (complain);
  status = choir_token_command (argv->len - 1, (char **) argv->pdata);
  g_set_print_handler (old_print);
  g_set_printerr_handler (old_complain);

  return status;
}

static const struct
{
  const char *arguments[6];
  const char *complaint;
} rows[] = {
  { { NULL }, "--sub" },
  { { "--sub", "a b", NULL }, "--sub" },
  { { "--sub", "alice", "--permission", "everything", NULL }, "everything" },
  { { "--sub", "alice", "--permission", "chat:*:read", "--ttl=never", NULL }, "never" },
  { { "--sub", "alice", "--ttl=1h", "--set", "nonsense", NULL }, "nonsense" },
  { { "--no-such-option", NULL }, "no-such-option" },
  /* no key to sign with */
  { { "--sub", "alice", "--ttl=1h", "--set", "log.level=info", NULL }, "key" },
};

/* In a process of its own: options of an earlier call are remembered */
static void
test_refused_row (gconstpointer data)
{
  guint i = GPOINTER_TO_UINT (data);

  g_assert_cmpint (run (rows[i].arguments), ==, 1);
  g_assert_cmpstr (printed->str, ==, "");
  g_assert_true (g_str_has_prefix (complained->str, "choird token: "));
  g_assert_nonnull (strstr (complained->str, rows[i].complaint));
}

static void
test_refused (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autofree char *test = g_strdup_printf ("/token-command/refused/subprocess/%u", i);

      g_test_trap_subprocess (test, 0, 0);
      g_test_trap_assert_passed ();
    }
}

static void
test_minted (void)
{
  const char *const arguments[] = { "--set",
                                    key_set,
                                    "--set",
                                    "auth.issuer=here",
                                    "--sub",
                                    "alice",
                                    "--permission",
                                    "room:*:write",
                                    "--role",
                                    "ops",
                                    "--role",
                                    "service",
                                    "--ttl",
                                    "5m",
                                    "--name",
                                    "A \"quoted\" name",
                                    "--type",
                                    "other",
                                    NULL };
  static const char *const required[] = { "sub", "exp", "jti", "iat", NULL };
  const ChoirVerifierPolicy policy = { .issuer = "here", .required_claims = required };
  const char *const specs[] = { spec, NULL };
  g_autoptr (ChoirKeySet) keys = choir_key_set_new_from_specs (specs, NULL);
  g_autoptr (ChoirVerifier) verifier = choir_verifier_new (keys, &policy);
  g_autoptr (ChoirClaims) claims = NULL;
  g_autoptr (GError) error = NULL;
  gint64 left_us;

  g_assert_cmpint (run (arguments), ==, 0);
  g_assert_cmpstr (complained->str, ==, "");
  g_assert_true (g_str_has_suffix (printed->str, "\n"));
  g_strchomp (printed->str);
  g_assert_cmpint (choir_verifier_try (verifier, printed->str, &claims, &error), ==,
                   CHOIR_VERIFY_OK);
  g_assert_cmpstr (choir_claims_get_user_id (claims), ==, "alice");
  g_assert_cmpstr (choir_claims_get_name (claims), ==, "A \"quoted\" name");
  g_assert_cmpstr (choir_claims_get_token_type (claims), ==, "other");
  g_assert_true (choir_claims_has_role (claims, "ops"));
  g_assert_true (choir_claims_has_role (claims, "service"));
  g_assert_false (choir_claims_has_role (claims, "admin"));
  g_assert_true (choir_claims_allow (claims, "room:1", CHOIR_PERMISSION_WRITE));
  g_assert_false (choir_claims_allow (claims, "room:1", CHOIR_PERMISSION_READ));
  left_us = choir_claims_get_expiry_us (claims) - g_get_real_time ();
  g_assert_cmpint (left_us, >, 280 * G_USEC_PER_SEC);
  g_assert_cmpint (left_us, <=, 300 * G_USEC_PER_SEC);
}

int
main (int argc, char **argv)
{
  g_autofree char *file = NULL;
  int status;

  g_test_init (&argc, &argv, NULL);
  directory = g_dir_make_tmp ("choir-token-XXXXXX", NULL);
  file = g_build_filename (directory, "key", NULL);
  g_file_set_contents_full (file, SECRET, -1, G_FILE_SET_CONTENTS_CONSISTENT, 0600, NULL);
  spec = g_strdup_printf ("HS256:main:%s", file);
  key_set = g_strdup_printf ("auth.key=%s", spec);
  printed = g_string_new (NULL);
  complained = g_string_new (NULL);

  g_test_add_func ("/token-command/refused", test_refused);
  g_test_add_func ("/token-command/minted", test_minted);
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autofree char *test = g_strdup_printf ("/token-command/refused/subprocess/%u", i);

      g_test_add_data_func (test, GUINT_TO_POINTER (i), test_refused_row);
    }

  status = g_test_run ();
  g_unlink (file);
  g_rmdir (directory);
  g_free (directory);
  g_free (spec);
  g_free (key_set);
  g_string_free (printed, TRUE);
  g_string_free (complained, TRUE);

  return status;
}
