/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "choir-error.h"
#include "choir-key-set.h"

/* Made for this test with `openssl genpkey` and `openssl pkey -pubout`; nothing is signed with them
 */
#define RSA_1024                                                                                   \
  "-----BEGIN PUBLIC KEY-----\n"                                                                   \
  "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDOmrJW6fwDzyFQolJmtQzq1Ze4\n"                             \
  "tpTJK4beu9vTdwjurudIvFOEr2H2B6c+u/Lmp1j2wbMUE+0Du3fLwF+ZDuVfbygw\n"                             \
  "oapXItdx342pg1/G9wyMHw4sti7X1SkbhB/JjckNAhwMXi96gUNZw67dXfXThT2V\n"                             \
  "5uEMAUbqlE92znm+FQIDAQAB\n"                                                                     \
  "-----END PUBLIC KEY-----\n"
#define RSA_2048                                                                                   \
  "-----BEGIN PUBLIC KEY-----\n"                                                                   \
  "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA5Fh833yt67mdsN2tKNu1\n"                             \
  "g5BZA/mRMPIc+sBBJN9kldXCFon+0ief4Y19wuoQSVXvg8djZAYg+KJ+GWe/momq\n"                             \
  "mvXdZ9oS5KswFYG8NEe1wBImIhoz8zUXv6YO4aq+5Va+I/21L/5bq+o7z/OuiQHy\n"                             \
  "Q3wILuY6aZRbGQKqbpb3SGoyjo/+D1YbZFyCAYhuAguEFEu1oijSSqBAHvV6XOsk\n"                             \
  "3Di0N0EQO7/WgSUp3Frwbgjg8FQ0G/4naLRf4EoOXsmGMe8hzw1OtAo/1riI+WIk\n"                             \
  "LEewNyRpo59WFvIiQCFtleI+udZUfDEBhZn4aOrXJQBxWWdqteN3vXaktR6Y4Ea2\n"                             \
  "eQIDAQAB\n"                                                                                     \
  "-----END PUBLIC KEY-----\n"
#define EC_256                                                                                     \
  "-----BEGIN PUBLIC KEY-----\n"                                                                   \
  "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE7BU3LuiWhfnhvavJ74CZlML5UlbL\n"                             \
  "b68JB0gnEs1FIUnqdwwFEGRqagsqCkXb/7+mpPoNkqBwvbUUGCBxC6LwSg==\n"                                 \
  "-----END PUBLIC KEY-----\n"
#define EC_384                                                                                     \
  "-----BEGIN PUBLIC KEY-----\n"                                                                   \
  "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEK3eOYr+1l7yQbXqcmFV4TI8Di6THk7hc\n"                             \
  "FZLJQ4P8RezGOlxTy+xz1Pbcta+Au6+/LWHdmPBXJVOnpIb+uhZ4XKQhxQJgNBAn\n"                             \
  "6HDupD2OJHYgavuOb2Ifnfzm/ueaZyko\n"                                                             \
  "-----END PUBLIC KEY-----\n"
#define EC_521                                                                                     \
  "-----BEGIN PUBLIC KEY-----\n"                                                                   \
  "MIGbMBAGByqGSM49AgEGBSuBBAAjA4GGAAQA5p3ofREN9OuRXS7/+KIQgXU+QSmB\n"                             \
  "oQDvNAzqqMjA8oyo++QiF1AgJ5W6Vn80RrK8KGQ2zGnFA/rPqCVQeizAwJABmD1I\n"                             \
  "d9KHrTqiMRDxLB87xiMiIQS+vvwOj1XEYWxLBxRVj2EGC0/aPb5Ageiu8T0SmU5+\n"                             \
  "QVDjvGRzp6Zn8kxYBpI=\n"                                                                         \
  "-----END PUBLIC KEY-----\n"
#define EC_256K                                                                                    \
  "-----BEGIN PUBLIC KEY-----\n"                                                                   \
  "MFYwEAYHKoZIzj0CAQYFK4EEAAoDQgAEpFvnkih4MxATQ4rOkMjsTwaeD3E4/eK7\n"                             \
  "jGmpWeDFy5R7VNXKQ3hzQDgeP529xWVfg/bUkEsvhb64JOiV7m5I4g==\n"                                     \
  "-----END PUBLIC KEY-----\n"
#define ED_25519                                                                                   \
  "-----BEGIN PUBLIC KEY-----\n"                                                                   \
  "MCowBQYDK2VwAyEAeK6l8NOV8YY4pTtx6+Qzedo6NWPsucrz0AZAAgJ+7yQ=\n"                                 \
  "-----END PUBLIC KEY-----\n"

#define SECRET_32 "0123456789abcdef0123456789abcdef"
#define SECRET_64 SECRET_32 SECRET_32

typedef struct
{
  char *directory;
  GPtrArray *files;
} Fixture;

static void
set_up (Fixture *fixture, gconstpointer data)
{
  fixture->directory = g_dir_make_tmp ("choir-keys-XXXXXX", NULL);
  fixture->files = g_ptr_array_new_with_free_func (g_free);
  g_assert_nonnull (fixture->directory);
}

static void
tear_down (Fixture *fixture, gconstpointer data)
{
  for (guint i = 0; i < fixture->files->len; i++)
    g_unlink (fixture->files->pdata[i]);
  g_rmdir (fixture->directory);
  g_ptr_array_unref (fixture->files);
  g_free (fixture->directory);
}

static char *
write_key (Fixture *fixture, const char *prefix, gconstpointer data, gsize len, int mode)
{
  g_autofree char *name = g_strdup_printf ("key-%u", fixture->files->len);
  char *path = g_build_filename (fixture->directory, name, NULL);

  g_assert_true (g_file_set_contents (path, data, len, NULL));
  g_assert_cmpint (g_chmod (path, mode), ==, 0);
  g_ptr_array_add (fixture->files, path);
  return g_strconcat (prefix, path, NULL);
}

static ChoirKeySet *
load (const char *const *specs)
{
  g_autoptr (GError) error = NULL;
  ChoirKeySet *keys = choir_key_set_new_from_specs (specs, &error);

  g_assert_no_error (error);
  return keys;
}

static void
assert_refused (const char *first, const char *second, const char *word)
{
  const char *const specs[] = { first, second, NULL };
  g_autoptr (GError) error = NULL;

  g_assert_null (choir_key_set_new_from_specs (specs, &error));
  g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG);
  g_test_message ("%s", error->message);
  g_assert_nonnull (strstr (error->message, word));
}

static void
test_none (Fixture *fixture, gconstpointer data)
{
  const char *const specs[] = { NULL };
  g_autoptr (ChoirKeySet) empty = load (specs);
  g_autoptr (ChoirKeySet) null = load (NULL);

  g_assert_cmpuint (choir_key_set_get_n_keys (empty), ==, 0);
  g_assert_cmpuint (choir_key_set_get_n_keys (null), ==, 0);
}

static void
test_all_algorithms (Fixture *fixture, gconstpointer data)
{
  static const struct
  {
    const char *prefix;
    const char *text;
  } rows[] = {
    { "HS256:a:", SECRET_64 }, { "HS384:b:", SECRET_64 }, { "HS512:c:", SECRET_64 },
    { "RS256:d:", RSA_2048 },  { "RS384:e:", RSA_2048 },  { "RS512:f:", RSA_2048 },
    { "ES256:g:", EC_256 },    { "ES384:h:", EC_384 },    { "ES512:i:", EC_521 },
  };
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();
  g_auto (GStrv) specs = NULL;
  g_autoptr (ChoirKeySet) keys = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autofree char *spec =
        write_key (fixture, rows[i].prefix, rows[i].text, strlen (rows[i].text), 0640);

      g_strv_builder_add (builder, spec);
    }
  specs = g_strv_builder_end (builder);
  keys = load ((const char *const *) specs);

  g_assert_cmpuint (choir_key_set_get_n_keys (keys), ==, G_N_ELEMENTS (rows));
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      const ChoirKey *key = choir_key_set_get_key (keys, i);
      g_autofree char *name = g_strndup (rows[i].prefix, 5);

      g_assert_cmpstr (choir_algorithm_get_name (key->algorithm), ==, name);
      g_assert_cmpint (choir_algorithm_is_symmetric (key->algorithm), ==, name[0] == 'H');
      g_assert_cmpint (key->id[0], ==, rows[i].prefix[6]);
      g_assert_cmpmem (g_bytes_get_data (key->data, NULL), g_bytes_get_size (key->data),
                       rows[i].text, strlen (rows[i].text));
    }
}

static void
test_candidates (Fixture *fixture, gconstpointer data)
{
  g_autofree char *spec = write_key (fixture, "RS256:idp:", RSA_2048, strlen (RSA_2048), 0644);
  const char *const specs[] = { spec, NULL };
  g_autoptr (ChoirKeySet) keys = load (specs);
  const ChoirKey *key = choir_key_set_get_key (keys, 0);

  g_assert_true (choir_key_is_candidate (key, "RS256", NULL));
  g_assert_true (choir_key_is_candidate (key, "RS256", "idp"));
  g_assert_false (choir_key_is_candidate (key, "RS256", "other"));
  g_assert_false (choir_key_is_candidate (key, "RS256", ""));
  g_assert_false (choir_key_is_candidate (key, "HS256", "idp"));
  g_assert_false (choir_key_is_candidate (key, "RS384", NULL));
  g_assert_false (choir_key_is_candidate (key, "rs256", NULL));
  g_assert_false (choir_key_is_candidate (key, "none", NULL));
  g_assert_false (choir_key_is_candidate (key, "", NULL));
}

static void
test_specs (Fixture *fixture, gconstpointer data)
{
  g_autofree char *good = write_key (fixture, "HS256:a:", SECRET_32, 32, 0600);
  g_autofree char *path = g_strdup (good + strlen ("HS256:a:"));
  g_autofree char *same_id = g_strconcat ("HS512:a:", path, NULL);
  g_autofree char *long_id = g_strnfill (129, 'k');
  g_autofree char *too_long_id = g_strconcat ("HS256:", long_id, ":", path, NULL);
  g_autofree char *no_id = g_strconcat ("HS256::", path, NULL);
  g_autofree char *space_id = g_strconcat ("HS256:a b:", path, NULL);
  g_autofree char *none = g_strconcat ("none:a:", path, NULL);
  g_autofree char *lower = g_strconcat ("hs256:a:", path, NULL);
  g_autofree char *pss = g_strconcat ("PS256:a:", path, NULL);
  g_autofree char *directory = g_strconcat ("HS256:a:", fixture->directory, NULL);

  assert_refused ("", NULL, "ALGORITHM:ID:FILE");
  assert_refused ("HS256", NULL, "ALGORITHM:ID:FILE");
  assert_refused ("HS256:a", NULL, "ALGORITHM:ID:FILE");
  assert_refused ("HS256:a:", NULL, "ALGORITHM:ID:FILE");
  assert_refused (none, NULL, "none");
  assert_refused (lower, NULL, "hs256");
  assert_refused (pss, NULL, "PS256");
  assert_refused (no_id, NULL, "id");
  assert_refused (space_id, NULL, "id");
  assert_refused (too_long_id, NULL, "id");
  assert_refused (good, good, "another key");
  assert_refused (good, same_id, "another key");
  assert_refused ("HS256:a:/nonexistent/key", NULL, "/nonexistent/key");
  assert_refused (directory, NULL, "not a regular file");
}

static void
test_too_many (Fixture *fixture, gconstpointer data)
{
  g_autofree char *spec = write_key (fixture, "", SECRET_32, 32, 0600);
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();
  g_auto (GStrv) specs = NULL;
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < 33; i++)
    {
      g_autofree char *each = g_strdup_printf ("HS256:key%u:%s", i, spec);

      g_strv_builder_add (builder, each);
    }
  specs = g_strv_builder_end (builder);
  g_assert_null (choir_key_set_new_from_specs ((const char *const *) specs, &error));
  g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG);
}

static void
test_secrets (Fixture *fixture, gconstpointer data)
{
  static const struct
  {
    const char *prefix;
    const char *text;
    gsize len;
    int mode;
    const char *word; /* NULL: good */
    gsize used;
  } rows[] = {
    { "HS256:a:", SECRET_32, 32, 0600, NULL, 32 },
    { "HS256:a:", SECRET_32, 31, 0600, "31 bytes", 0 },
    { "HS384:a:", SECRET_64, 48, 0600, NULL, 48 },
    { "HS384:a:", SECRET_64, 47, 0600, "needs 48", 0 },
    { "HS512:a:", SECRET_64, 64, 0600, NULL, 64 },
    { "HS512:a:", SECRET_64, 63, 0600, "needs 64", 0 },
    { "HS256:a:", SECRET_32 "\n", 33, 0600, NULL, 32 },
    { "HS256:a:", SECRET_32 "\r\n", 34, 0600, NULL, 32 },
    { "HS256:a:", SECRET_32 "\n\n", 34, 0600, NULL, 34 },
    { "HS256:a:", SECRET_32 "\r", 33, 0600, NULL, 33 },
    { "HS256:a:", "\x01" SECRET_32 "\n", 34, 0600, NULL, 34 },
    { "HS256:a:", "\0" SECRET_32 "\n", 34, 0600, NULL, 34 },
    { "HS256:a:", "\xfe" SECRET_32 "\n", 34, 0600, NULL, 34 },
    { "HS256:a:", "0123456789abcdef0123456789abcde\n", 32, 0600, "31 bytes", 0 },
    { "HS256:a:", "", 0, 0600, "empty", 0 },
    { "HS256:a:", "\n", 1, 0600, "0 bytes", 0 },
    { "HS256:a:", SECRET_32, 32, 0640, NULL, 32 },
    { "HS256:a:", SECRET_32, 32, 0644, "other users", 0 },
    { "HS256:a:", SECRET_32, 32, 0602, "other users", 0 },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autofree char *spec =
        write_key (fixture, rows[i].prefix, rows[i].text, rows[i].len, rows[i].mode);
      const char *const specs[] = { spec, NULL };
      g_autoptr (ChoirKeySet) keys = NULL;

      if (rows[i].word != NULL)
        {
          assert_refused (spec, NULL, rows[i].word);
          continue;
        }
      keys = load (specs);
      g_assert_cmpmem (g_bytes_get_data (choir_key_set_get_key (keys, 0)->data, NULL),
                       g_bytes_get_size (choir_key_set_get_key (keys, 0)->data), rows[i].text,
                       rows[i].used);
    }
}

static void
test_wrong_public_keys (Fixture *fixture, gconstpointer data)
{
  static const struct
  {
    const char *prefix;
    const char *text;
    const char *word;
  } rows[] = {
    { "RS256:a:", RSA_1024, "2048" },
    { "RS256:a:", EC_256, "not an RSA key" },
    { "RS256:a:", ED_25519, "not an RSA key" },
    { "ES256:a:", RSA_2048, "elliptic" },
    { "ES256:a:", ED_25519, "elliptic" },
    { "ES256:a:", EC_384, "P-256" },
    { "ES384:a:", EC_256, "P-384" },
    { "ES512:a:", EC_256, "P-521" },
    { "ES256:a:", EC_256K, "P-256" },
    { "ES256:a:", EC_256 EC_256, "one PEM block" },
    { "ES256:a:", SECRET_32, "one PEM block" },
    { "ES256:a:", "-----BEGIN PUBLIC KEY-----\n", "one PEM block" },
    { "ES256:a:", "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n", "readable" },
    { "ES256:a:", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "readable" },
    { "ES256:a:", "-----BEGIN PUBLIC KEY-----\nMIQ=\n-----END PUBLIC KEY-----\n", "readable" },
    { "RS256:a:", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "PUBLIC KEY" },
    { "RS256:a:", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "private" },
    { "RS256:a:", "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n",
      "private" },
    { "RS256:a:", "", "empty" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autofree char *spec =
        write_key (fixture, rows[i].prefix, rows[i].text, strlen (rows[i].text), 0644);

      assert_refused (spec, NULL, rows[i].word);
    }
}

/* Every cut of the DER must be refused, never read past its end */
static void
test_cut_public_keys (Fixture *fixture, gconstpointer data)
{
  static const char *const pems[] = { RSA_2048, EC_521 };
  static const char *const prefixes[] = { "RS256:a:", "ES512:a:" };

  for (guint i = 0; i < G_N_ELEMENTS (pems); i++)
    {
      const char *base64 = strchr (pems[i], '\n');
      gsize len;
      g_autofree guint8 *der = g_base64_decode (base64, &len);

      for (gsize cut = 1; cut < 120; cut++)
        {
          g_autofree char *part = g_base64_encode (der, cut);
          g_autofree char *pem =
            g_strdup_printf ("-----BEGIN PUBLIC KEY-----\n%s\n-----END PUBLIC KEY-----\n", part);
          g_autofree char *spec = write_key (fixture, prefixes[i], pem, strlen (pem), 0644);

          assert_refused (spec, NULL, "readable");
        }
    }
}

static void
test_large_file (Fixture *fixture, gconstpointer data)
{
  g_autofree char *large = g_strnfill (65537, 'x');
  g_autofree char *spec = write_key (fixture, "HS256:a:", large, 65537, 0600);

  assert_refused (spec, NULL, "larger");
}

static void
assert_secret (const char *spec, const char *wanted)
{
  const char *const specs[] = { spec, NULL };
  g_autoptr (ChoirKeySet) keys = load (specs);
  GBytes *data = choir_key_set_get_key (keys, 0)->data;

  g_assert_cmpmem (g_bytes_get_data (data, NULL), g_bytes_get_size (data), wanted, strlen (wanted));
}

static void
add_file (Fixture *fixture, const char *directory, const char *text)
{
  char *path = g_build_filename (directory, "hs256.key", NULL);

  g_assert_true (g_file_set_contents (path, text, -1, NULL));
  g_assert_cmpint (g_chmod (path, 0600), ==, 0);
  g_ptr_array_add (fixture->files, path);
}

/* What the service manager gave counts; what it had not is not a key of no bytes */
static void
test_bare_names (Fixture *fixture, gconstpointer data)
{
  g_autofree char *sysconfdir = g_build_filename (fixture->directory, "choir", NULL);

  g_setenv ("CHOIR_CONFIG_SYSCONFDIR", fixture->directory, TRUE);
  g_setenv ("CREDENTIALS_DIRECTORY", fixture->directory, TRUE);
  assert_refused ("HS256:a:hs256.key", NULL, "choir/hs256.key: No such file");

  g_assert_cmpint (g_mkdir (sysconfdir, 0700), ==, 0);
  add_file (fixture, sysconfdir, SECRET_32);
  assert_secret ("HS256:a:hs256.key", SECRET_32);

  add_file (fixture, fixture->directory, "\n");
  assert_secret ("HS256:a:hs256.key", SECRET_32);

  add_file (fixture, fixture->directory, SECRET_64);
  assert_secret ("HS256:a:hs256.key", SECRET_64);

  g_unsetenv ("CREDENTIALS_DIRECTORY");
  assert_secret ("HS256:a:hs256.key", SECRET_32);

  g_unsetenv ("CHOIR_CONFIG_SYSCONFDIR");
  g_unlink (fixture->files->pdata[0]);
  g_rmdir (sysconfdir);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
#define ADD(name, function)                                                                        \
  g_test_add ("/key-set/" name, Fixture, NULL, set_up, function, tear_down)
  ADD ("none", test_none);
  ADD ("all-algorithms", test_all_algorithms);
  ADD ("candidates", test_candidates);
  ADD ("specs", test_specs);
  ADD ("too-many", test_too_many);
  ADD ("secrets", test_secrets);
  ADD ("wrong-public-keys", test_wrong_public_keys);
  ADD ("cut-public-keys", test_cut_public_keys);
  ADD ("large-file", test_large_file);
  ADD ("bare-names", test_bare_names);
#undef ADD
  return g_test_run ();
}
