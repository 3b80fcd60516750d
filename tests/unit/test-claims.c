/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include <string.h>

#include "choir-claims.h"
#include "choir-error.h"
#include "choir-names.h"

static ChoirClaims *
read_claims (const char *json)
{
  g_autoptr (GError) error = NULL;
  ChoirClaims *claims = choir_claims_new_from_json (json, -1, &error);

  g_assert_no_error (error);
  g_assert_nonnull (claims);
  return claims;
}

static void
assert_refused (const char *json, gssize len, const char *word)
{
  g_autoptr (GError) error = NULL;

  g_autofree char *printable = g_strescape (json, NULL);

  g_test_message ("%.100s", printable);
  g_assert_null (choir_claims_new_from_json (json, len, &error));
  g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_AUTH);
  g_assert_true (g_str_has_prefix (error->message, "Invalid token"));
  if (word != NULL)
    g_assert_nonnull (strstr (error->message, word));
}

static void
test_full (void)
{
  g_autoptr (ChoirClaims) claims =
    read_claims ("{\"sub\":\"u-1\",\"name\":\"Ada \\u00c9\",\"preferred_username\":\"ada\","
                 "\"type\":\"access\",\"jti\":\"j1\",\"exp\":1700000000.5,\"role\":\"reader\","
                 "\"roles\":[\"editor\",\"service\"],\"nested\":{\"a\":[1,{\"b\":null}]},"
                 "\"permissions\":[\"document:1:read\",\"openid\",\"chat:*:write\"],"
                 "\"scope\":\"profile document:2:* email\"}");

  g_assert_cmpstr (choir_claims_get_user_id (claims), ==, "u-1");
  g_assert_cmpstr (choir_claims_get_name (claims), ==, "Ada \303\211");
  g_assert_cmpstr (choir_claims_get_token_type (claims), ==, "access");
  g_assert_cmpstr (choir_claims_get_jti (claims), ==, "j1");
  g_assert_cmpint (choir_claims_get_expiry_us (claims), ==, G_GINT64_CONSTANT (1700000000500000));
  g_assert_false (choir_claims_is_guest (claims));
  g_assert_true (choir_claims_has_role (claims, "reader"));
  g_assert_true (choir_claims_has_role (claims, "editor"));
  g_assert_true (choir_claims_has_role (claims, "service"));
  g_assert_false (choir_claims_has_role (claims, "admin"));
  g_assert_false (choir_claims_has_role (claims, "edit"));
  g_assert_false (choir_claims_has_role (claims, "document:1:read"));
  g_assert_true (choir_claims_allow (claims, "document:1", CHOIR_PERMISSION_READ));
  g_assert_false (choir_claims_allow (claims, "document:1", CHOIR_PERMISSION_WRITE));
  g_assert_true (choir_claims_allow (claims, "document:2", CHOIR_PERMISSION_WRITE));
  g_assert_true (choir_claims_allow (claims, "chat:7", CHOIR_PERMISSION_WRITE));
  g_assert_false (choir_claims_allow (claims, "chat:7", CHOIR_PERMISSION_READ));
  g_assert_false (choir_claims_allow (claims, "openid", CHOIR_PERMISSION_READ));
}

static void
test_least (void)
{
  g_autoptr (ChoirClaims) claims = read_claims ("{\"sub\":\"u\"}");
  g_autoptr (ChoirClaims) nulls =
    read_claims ("{\"sub\":\"u\",\"name\":null,\"preferred_username\":\"pat\",\"type\":null,"
                 "\"jti\":null,\"roles\":null,\"role\":null,\"permissions\":null,"
                 "\"scope\":null}");
  ChoirClaims *second = choir_claims_ref (claims);

  choir_claims_unref (second);
  g_assert_cmpstr (choir_claims_get_name (claims), ==, "u");
  g_assert_null (choir_claims_get_token_type (claims));
  g_assert_null (choir_claims_get_jti (claims));
  g_assert_cmpint (choir_claims_get_expiry_us (claims), ==, G_MAXINT64);
  g_assert_false (choir_claims_has_role (claims, "u"));
  g_assert_false (choir_claims_has_role (claims, ""));
  g_assert_false (choir_claims_allow (claims, "lobby", CHOIR_PERMISSION_READ));
  g_assert_cmpstr (choir_claims_get_name (nulls), ==, "pat");
  g_assert_null (choir_claims_get_jti (nulls));
}

static void
test_admin (void)
{
  g_autoptr (ChoirClaims) one = read_claims ("{\"sub\":\"u\",\"role\":\"admin\"}");
  g_autoptr (ChoirClaims) list = read_claims ("{\"sub\":\"u\",\"roles\":[\"x\",\"admin\"]}");
  g_autoptr (ChoirClaims) not = read_claims ("{\"sub\":\"u\",\"roles\":[\"Admin\",\"admin2\"]}");

  g_assert_true (choir_claims_allow (one, "any:thing", CHOIR_PERMISSION_WRITE));
  g_assert_true (choir_claims_allow (list, "lobby", CHOIR_PERMISSION_READ));
  g_assert_false (choir_claims_allow (not, "lobby", CHOIR_PERMISSION_READ));
}

static void
test_guest (void)
{
  g_autoptr (ChoirClaims) claims = choir_claims_new_guest ("guest-1");

  g_assert_true (choir_claims_is_guest (claims));
  g_assert_cmpstr (choir_claims_get_user_id (claims), ==, "guest-1");
  g_assert_cmpstr (choir_claims_get_name (claims), ==, "guest-1");
  g_assert_cmpint (choir_claims_get_expiry_us (claims), ==, G_MAXINT64);
  g_assert_false (choir_claims_has_role (claims, "guest-1"));
  g_assert_false (choir_claims_allow (claims, "lobby", CHOIR_PERMISSION_READ));
}

static void
test_expiry_extremes (void)
{
  static const struct
  {
    const char *exp;
    gint64 expiry_us;
  } rows[] = {
    { "0", 0 },
    { "-1", -1000000 },
    { "1.5e9", G_GINT64_CONSTANT (1500000000000000) },
    { "9223372036854775807", G_MAXINT64 },
    { "-9223372036854775808", G_MININT64 },
    { "1e300", G_MAXINT64 },
    { "-1e300", G_MININT64 },
    { "1e-300", 0 },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autofree char *json = g_strdup_printf ("{\"sub\":\"u\",\"exp\":%s}", rows[i].exp);
      g_autoptr (ChoirClaims) claims = read_claims (json);

      g_test_message ("%s", json);
      g_assert_cmpint (choir_claims_get_expiry_us (claims), ==, rows[i].expiry_us);
    }
}

static void
test_refused (void)
{
  static const struct
  {
    const char *json;
    const char *word;
  } rows[] = {
    { "", NULL },
    { "[]", NULL },
    { "null", NULL },
    { "\"sub\"", NULL },
    { "{}", "sub" },
    { "{\"sub\":null}", "sub" },
    { "{\"sub\":7}", "sub" },
    { "{\"sub\":\"\"}", "sub" },
    { "{\"sub\":\"a b\"}", "sub" },
    { "{\"sub\":\"a\\n\"}", "sub" },
    { "{\"sub\":[\"a\"]}", "sub" },
    { "{\"sub\":\"a\\u0000b\"}", NULL },
    { "{\"sub\":\"a\",\"sub\":\"b\"}", NULL },
    { "{\"sub\":\"a\",\"su\\u0062\":\"b\"}", NULL },
    { "{\"sub\":\"a\",\"x\":{\"y\":1,\"y\":2}}", NULL },
    { "{\"sub\":\"a\"}{}", NULL },
    { "{\"sub\":\"a\",}", NULL },
    { "{'sub':'a'}", NULL },
    { "{\"sub\":\"a\"/**/}", NULL },
    { "{\"sub\":\"\xff\"}", NULL },
    { "{\"sub\":\"\\ud800\"}", NULL },
    { "{\"sub\":\"a\",\"exp\":\"1700000000\"}", "exp" },
    { "{\"sub\":\"a\",\"exp\":null}", "exp" },
    { "{\"sub\":\"a\",\"exp\":true}", "exp" },
    { "{\"sub\":\"a\",\"exp\":1e999}", NULL },
    { "{\"sub\":\"a\",\"exp\":99999999999999999999}", NULL },
    { "{\"sub\":\"a\",\"exp\":0x10}", NULL },
    { "{\"sub\":\"a\",\"exp\":NaN}", NULL },
    { "{\"sub\":\"a\",\"name\":7}", "name" },
    { "{\"sub\":\"a\",\"name\":\"a\\u0007\"}", "name" },
    { "{\"sub\":\"a\",\"jti\":{}}", "jti" },
    { "{\"sub\":\"a\",\"type\":[]}", "type" },
    { "{\"sub\":\"a\",\"roles\":\"admin\"}", "roles" },
    { "{\"sub\":\"a\",\"roles\":{\"admin\":1}}", "roles" },
    { "{\"sub\":\"a\",\"roles\":[\"x\",7]}", "roles" },
    { "{\"sub\":\"a\",\"role\":[\"admin\"]}", "role" },
    { "{\"sub\":\"a\",\"permissions\":\"*:*:*\"}", "permissions" },
    { "{\"sub\":\"a\",\"permissions\":[[]]}", "permissions" },
    { "{\"sub\":\"a\",\"scope\":[\"*:*:*\"]}", "scope" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    assert_refused (rows[i].json, -1, rows[i].word);
  assert_refused ("{\"sub\":\"a\"}\0", sizeof "{\"sub\":\"a\"}", NULL);
}

static char *
make_list (const char *claim, guint n, const char *entry)
{
  GString *json = g_string_new (NULL);

  g_string_printf (json, "{\"sub\":\"u\",\"%s\":[", claim);
  for (guint i = 0; i < n; i++)
    g_string_append_printf (json, "%s\"%s\"", i > 0 ? "," : "", entry);
  g_string_append (json, "]}");
  return g_string_free (json, FALSE);
}

static void
test_bounds (void)
{
  g_autofree char *most_roles = make_list ("roles", 256, "r");
  g_autofree char *too_many_roles = make_list ("roles", 257, "r");
  g_autofree char *too_many_permissions = make_list ("permissions", 257, "a:b:*");
  g_autofree char *spaces = g_strnfill (256, ' ');
  g_autofree char *too_many_scopes = g_strdup_printf ("{\"sub\":\"u\",\"scope\":\"%s\"}", spaces);
  g_autofree char *longest = g_strnfill (255, 'n');
  g_autofree char *too_long_name = g_strdup_printf ("{\"sub\":\"u\",\"name\":\"%sx\"}", longest);
  g_autofree char *id = g_strnfill (CHOIR_USER_ID_MAX, 'u');
  g_autofree char *long_name = g_strdup_printf ("{\"sub\":\"%s\",\"name\":\"%s\"}", id, longest);
  g_autofree char *too_long_sub = g_strdup_printf ("{\"sub\":\"%sx\"}", id);
  g_autofree char *too_long_role = make_list ("roles", 1, longest);
  g_autofree char *padding = g_strnfill (CHOIR_TOKEN_MAX, ' ');
  g_autofree char *too_big = g_strconcat ("{\"sub\":\"u\"}", padding, NULL);
  g_autofree char *deep = g_strnfill (CHOIR_TOKEN_MAX, '[');

  choir_claims_unref (read_claims (most_roles));
  choir_claims_unref (read_claims (long_name));
  assert_refused (too_many_roles, -1, "roles");
  assert_refused (too_many_permissions, -1, "permissions");
  assert_refused (too_many_scopes, -1, "scope");
  assert_refused (too_long_name, -1, "name");
  assert_refused (too_long_sub, -1, "sub");
  assert_refused (too_long_role, -1, "roles");
  assert_refused (too_big, -1, NULL);
  assert_refused (deep, -1, NULL);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/claims/full", test_full);
  g_test_add_func ("/claims/least", test_least);
  g_test_add_func ("/claims/admin", test_admin);
  g_test_add_func ("/claims/guest", test_guest);
  g_test_add_func ("/claims/expiry-extremes", test_expiry_extremes);
  g_test_add_func ("/claims/refused", test_refused);
  g_test_add_func ("/claims/bounds", test_bounds);
  return g_test_run ();
}
