/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "fake-link.h"
#include "store-sync.h"

#include "choir-close-code.h"
#include "choir-error.h"
#include "choir-observer.h"

/* Blocked users and revoked tokens, as sessions feel it */

#define SECOND ((gint64) G_USEC_PER_SEC)

typedef struct
{
  FakeHub *hub;
} Fixture;

static void
set_up (Fixture *self, gconstpointer settings)
{
  self->hub = fake_hub_new (settings);
}

static void
set_up_with_users (Fixture *self, gconstpointer settings)
{
  self->hub = fake_hub_new_with_users (settings);
  choir_directory_memory_set (self->hub->users, "alice", TRUE);
}

static void
tear_down (Fixture *self, gconstpointer settings)
{
  fake_hub_free (self->hub);
}

static void
lift (Fixture *self, ChoirBanKind kind, const char *name)
{
  ChoirBlocklist *list = choir_hub_get_blocklist (self->hub->hub);
  GAsyncResult *saved = NULL;
  g_autoptr (GAsyncResult) result = NULL;

  choir_blocklist_lift_async (list, kind, name, NULL, store_save_result, &saved);
  result = store_wait (&saved);
  g_assert_true (choir_blocklist_lift_finish (list, result, NULL));
}

static void
assert_closed (FakeLink *link, guint code, const char *reason)
{
  g_assert_cmpuint (fake_link_get_close_code (link), ==, code);
  g_assert_cmpstr (fake_link_get_close_reason (link), ==, reason);
}

static void
say_auth (FakeLink *link, const char *token)
{
  fake_link_say (link, "{\"type\":\"auth\",\"payload\":{\"token\":\"%s\"}}", token);
}

/* All that the user has open goes, in every contract, and nobody else's */
static void
test_close (Fixture *self, gconstpointer data)
{
  g_autoptr (FakeLink) first = fake_link_join (self->hub, "alice");
  g_autoptr (FakeLink) second =
    fake_link_open (self->hub, CHOIR_DIALECT_NETRA, "alice", NULL, NULL);
  g_autoptr (FakeLink) third = fake_link_open (self->hub, CHOIR_DIALECT_JDDB, "alice", NULL, NULL);
  g_autoptr (FakeLink) bob = fake_link_join (self->hub, "bob");

  g_assert_cmpuint (fake_hub_ban (self->hub, CHOIR_BAN_USER, "alice"), ==, 3);
  assert_closed (first, CHOIR_CLOSE_KICKED, "Blocked by an administrator");
  assert_closed (second, CHOIR_CLOSE_KICKED, "Blocked by an administrator");
  assert_closed (third, CHOIR_CLOSE_KICKED, "Blocked by an administrator");
  assert_closed (bob, 0, NULL);
  g_assert_cmpuint (fake_hub_ban (self->hub, CHOIR_BAN_USER, "carol"), ==, 0);
}

/* The handshake was decided before the block, the session begins after it */
static void
test_start (Fixture *self, gconstpointer data)
{
  fake_hub_ban (self->hub, CHOIR_BAN_USER, "alice");
  fake_hub_ban (self->hub, CHOIR_BAN_TOKEN, "t1");

  for (guint i = 0; i < 2; i++)
    {
      g_autoptr (FakeLink) link = fake_link_open (self->hub, CHOIR_DIALECT_CHOIR,
                                                  i == 0 ? "alice" : "bob", "\"jti\":\"t1\"", NULL);

      if (i == 0)
        assert_closed (link, CHOIR_CLOSE_KICKED, "Blocked by an administrator");
      else
        assert_closed (link, CHOIR_CLOSE_AUTH_FAILED, "Invalid token: it is revoked");
      fake_link_expect_nothing (link);
      g_assert_null (choir_hub_find_user (self->hub->hub, i == 0 ? "alice" : "bob"));
    }
}

static void
test_message (Fixture *self, gconstpointer data)
{
  g_autoptr (FakeLink) link = fake_link_open (self->hub, CHOIR_DIALECT_CHOIR, NULL, NULL, NULL);
  g_autoptr (FakeLink) trip = fake_link_open (self->hub, CHOIR_DIALECT_TRIPSAGE, NULL, NULL, NULL);
  g_autoptr (FakeLink) revoked = fake_link_open (self->hub, CHOIR_DIALECT_CHOIR, NULL, NULL, NULL);
  g_autofree char *token = fake_hub_mint (self->hub, "alice", NULL);
  g_autofree char *bad_token = fake_hub_mint (self->hub, "bob", "\"jti\":\"t1\"");
  g_autofree char *answer = NULL, *success = NULL;

  fake_hub_ban (self->hub, CHOIR_BAN_USER, "alice");
  fake_hub_ban (self->hub, CHOIR_BAN_TOKEN, "t1");
  fake_link_forget (link);
  say_auth (link, token);
  fake_link_expect_error (link, "PERMISSION_DENIED");
  assert_closed (link, CHOIR_CLOSE_KICKED, "Blocked by an administrator");

  fake_link_say (trip, "{\"token\":\"%s\"}", token);
  answer = fake_link_take (trip);
  success = fake_link_read (answer, "success");
  g_assert_cmpstr (success, ==, "false");
  assert_closed (trip, CHOIR_CLOSE_KICKED, "Blocked by an administrator");

  fake_link_forget (revoked);
  say_auth (revoked, bad_token);
  fake_link_expect_error (revoked, "AUTH_ERROR");
  assert_closed (revoked, CHOIR_CLOSE_AUTH_FAILED, "Invalid token: it is revoked");
}

/* While the directory is asked about the user, the user is blocked */
static void
test_race (Fixture *self, gconstpointer data)
{
  g_autoptr (FakeLink) link = fake_link_open (self->hub, CHOIR_DIALECT_CHOIR, NULL, NULL, NULL);
  g_autofree char *token = fake_hub_mint (self->hub, "alice", NULL);

  fake_link_forget (link);
  say_auth (link, token);
  assert_closed (link, 0, NULL);
  fake_link_expect_nothing (link);
  g_assert_cmpuint (fake_hub_ban (self->hub, CHOIR_BAN_USER, "alice"), ==, 0);
  fake_hub_iterate ();
  fake_link_expect_error (link, "PERMISSION_DENIED");
  assert_closed (link, CHOIR_CLOSE_KICKED, "Blocked by an administrator");
}

/* What a session has it keeps: only what is said anew is refused */
static void
test_refresh (Fixture *self, gconstpointer data)
{
  g_autoptr (FakeLink) alice =
    fake_link_open (self->hub, CHOIR_DIALECT_CHOIR, "alice", "\"jti\":\"a1\"", NULL);
  g_autoptr (FakeLink) guest = fake_link_open_guest (self->hub, CHOIR_DIALECT_CHOIR, "guest-1");
  g_autofree char *second = fake_hub_mint (self->hub, "alice", "\"jti\":\"a2\"");
  g_autofree char *bob = fake_hub_mint (self->hub, "bob", NULL);

  fake_link_forget (alice);
  fake_link_forget (guest);
  g_assert_cmpuint (fake_hub_ban (self->hub, CHOIR_BAN_TOKEN, "a2"), ==, 0);
  say_auth (alice, second);
  fake_link_expect_error (alice, "AUTH_ERROR");
  assert_closed (alice, 0, NULL);

  fake_hub_ban (self->hub, CHOIR_BAN_USER, "bob");
  say_auth (guest, bob);
  fake_link_expect_error (guest, "PERMISSION_DENIED");
  assert_closed (guest, 0, NULL);

  /* the token that counts is the newest */
  lift (self, CHOIR_BAN_TOKEN, "a2");
  say_auth (alice, second);
  fake_link_expect (alice, "auth.ok", "payload.user_id", "alice", NULL);
  g_assert_cmpuint (fake_hub_ban (self->hub, CHOIR_BAN_TOKEN, "a1"), ==, 0);
  assert_closed (alice, 0, NULL);
  g_assert_cmpuint (fake_hub_ban (self->hub, CHOIR_BAN_TOKEN, "a2"), ==, 1);
  assert_closed (alice, CHOIR_CLOSE_AUTH_FAILED, "Token revoked");
}

static void
test_revoke_codes (Fixture *self, gconstpointer data)
{
  static const struct
  {
    ChoirDialectId dialect;
    guint code;
  } rows[] = {
    { CHOIR_DIALECT_CHOIR, 4000 },       { CHOIR_DIALECT_NETRA, 4000 },
    { CHOIR_DIALECT_NETRA_SPEC, 4001 },  { CHOIR_DIALECT_JDDB, 1008 },
    { CHOIR_DIALECT_REVIEWPOINT, 4001 }, { CHOIR_DIALECT_TRIPSAGE, 4001 },
  };
  FakeLink *links[G_N_ELEMENTS (rows)];

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autofree char *user = g_strdup_printf ("user%u", i);

      links[i] = fake_link_open (self->hub, rows[i].dialect, user, "\"jti\":\"t\"", NULL);
    }

  g_assert_cmpuint (fake_hub_ban (self->hub, CHOIR_BAN_TOKEN, "t"), ==, G_N_ELEMENTS (rows));
  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      assert_closed (links[i], rows[i].code, "Token revoked");
      g_object_unref (links[i]);
    }
}

/* A session that waits for its client is no connection, but it ends */
static void
test_waiting (Fixture *self, gconstpointer data)
{
  for (guint i = 0; i < 2; i++)
    {
      const char *user = i == 0 ? "alice" : "bob";
      g_autoptr (FakeLink) link =
        fake_link_open (self->hub, CHOIR_DIALECT_CHOIR, user, "\"jti\":\"b1\"", NULL);
      g_autofree char *id = g_strdup (choir_session_get_id (fake_link_get_session (link)));
      g_autoptr (FakeLink) again = NULL;

      fake_link_end (link, CHOIR_CLOSE_ABNORMAL);
      g_assert_true (choir_session_is_waiting (choir_hub_find_by_id (self->hub->hub, id)));
      g_assert_cmpuint (i == 0 ? fake_hub_ban (self->hub, CHOIR_BAN_USER, "alice")
                               : fake_hub_ban (self->hub, CHOIR_BAN_TOKEN, "b1"),
                        ==, 0);
      again = fake_link_return (self->hub, CHOIR_DIALECT_CHOIR, user, "\"jti\":\"b1\"", id, NULL);
      g_assert_cmpuint (fake_link_get_close_code (again), ==,
                        i == 0 ? CHOIR_CLOSE_KICKED : CHOIR_CLOSE_AUTH_FAILED);
      fake_link_expect_nothing (again);
      fake_hub_advance (self->hub, SECOND);
      g_assert_null (choir_hub_find_by_id (self->hub->hub, id));
    }
}

/* By itself, and before the next sweep */
static void
test_end (Fixture *self, gconstpointer data)
{
  const ChoirBan ban = { .name = "alice", .reason = "", .until_us = (FAKE_NOW_S + 10) * SECOND };
  ChoirBlocklist *list = choir_hub_get_blocklist (self->hub->hub);
  g_autoptr (FakeLink) after = NULL;
  GAsyncResult *saved = NULL;
  g_autoptr (GAsyncResult) result = NULL;

  choir_blocklist_ban_async (list, CHOIR_BAN_USER, &ban, NULL, store_save_result, &saved);
  result = store_wait (&saved);
  g_assert_true (choir_blocklist_ban_finish (list, result, NULL, NULL));
  fake_hub_advance (self->hub, 10 * SECOND);
  after = fake_link_open (self->hub, CHOIR_DIALECT_CHOIR, "alice", NULL, NULL);
  fake_link_expect (after, "connection.established", "payload.user_id", "alice", NULL);
  g_assert_cmpint (fake_hub_count (self->hub, "choir_blocked_users", NULL), ==, 1);
  fake_hub_advance (self->hub, 60 * SECOND);
  g_assert_cmpint (fake_hub_count (self->hub, "choir_blocked_users", NULL), ==, 0);
}

static void
user_blocked (const char *user_id, gint64 until_us, const char *reason, gpointer user_data)
{
  g_string_append_printf (user_data, "blocked %s %" G_GINT64_FORMAT " %s; ", user_id, until_us,
                          reason);
}

static void
user_unblocked (const char *user_id, gpointer user_data)
{
  g_string_append_printf (user_data, "unblocked %s; ", user_id);
}

/* Who looks on hears of users, not of tokens */
static void
test_observer (Fixture *self, gconstpointer data)
{
  static const ChoirObserverFuncs funcs = {
    .user_blocked = user_blocked,
    .user_unblocked = user_unblocked,
  };
  g_autoptr (GString) told = g_string_new (NULL);
  ChoirObserver observer = { .funcs = &funcs, .user_data = told };

  choir_hub_add_observer (self->hub->hub, &observer);
  fake_hub_ban (self->hub, CHOIR_BAN_USER, "alice");
  fake_hub_ban (self->hub, CHOIR_BAN_TOKEN, "t");
  lift (self, CHOIR_BAN_TOKEN, "t");
  lift (self, CHOIR_BAN_USER, "alice");
  choir_hub_remove_observer (self->hub->hub, &observer);
  g_assert_cmpstr (told->str, ==, "blocked alice 0 a secret of ours; unblocked alice; ");
}

static void
test_reload (Fixture *self, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  fake_hub_ban (self->hub, CHOIR_BAN_TOKEN, "t");
  fake_hub_advance (self->hub, 3599 * SECOND);
  g_assert_nonnull (
    choir_blocklist_find (choir_hub_get_blocklist (self->hub->hub), CHOIR_BAN_TOKEN, "t"));
  g_assert_true (fake_hub_reload (self->hub, "[auth]\nkeep-revoked=10s\n", &error));
  g_assert_null (
    choir_blocklist_find (choir_hub_get_blocklist (self->hub->hub), CHOIR_BAN_TOKEN, "t"));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

#define ADD(name, settings, func)                                                                  \
  g_test_add ("/blocks/" name, Fixture, settings, set_up, func, tear_down)
  ADD ("close", NULL, test_close);
  ADD ("start", NULL, test_start);
  ADD ("message", NULL, test_message);
  g_test_add ("/blocks/race", Fixture, NULL, set_up_with_users, test_race, tear_down);
  ADD ("refresh", NULL, test_refresh);
  ADD ("revoke-codes", NULL, test_revoke_codes);
  ADD ("waiting", "[session]\nresume-window=120s\n", test_waiting);
  ADD ("end", NULL, test_end);
  ADD ("observer", NULL, test_observer);
  ADD ("reload", "[auth]\nkeep-revoked=1h\n", test_reload);

  return g_test_run ();
}
