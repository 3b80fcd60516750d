/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-blocklist.h"

#include "choir-clock.h"
#include "choir-error.h"

#include "store-sync.h"

#include <glib/gstdio.h>

#define SECOND ((gint64) G_USEC_PER_SEC)
#define NOW_US (G_GINT64_CONSTANT (1700000000) * SECOND)
#define STREAM "list blocked"

typedef struct
{
  ChoirCounters *counters;
  ChoirStats *stats;
  ChoirBlocklist *list;
  GString *told; /* what was enforced and signalled */
} Fixture;

static guint
enforce_cb (ChoirBanKind kind, const char *name, gpointer user_data)
{
  Fixture *self = user_data;

  g_string_append_printf (self->told, "close %s; ", name);

  return kind == CHOIR_BAN_USER ? 3 : 1;
}

static void
banned_cb (ChoirBlocklist *list,
           guint kind,
           const char *name,
           gint64 until_us,
           const char *reason,
           gpointer user_data)
{
  Fixture *self = user_data;

  g_string_append_printf (self->told, "banned %u %s %s; ", kind, name, reason);
}

static void
lifted_cb (ChoirBlocklist *list, guint kind, const char *name, gpointer user_data)
{
  Fixture *self = user_data;

  g_string_append_printf (self->told, "lifted %u %s; ", kind, name);
}

static void
assert_told (Fixture *self, const char *text)
{
  g_assert_cmpstr (self->told->str, ==, text);
  g_string_truncate (self->told, 0);
}

static void
set_up (Fixture *self, gconstpointer data)
{
  choir_clock_freeze (0, NOW_US);
  self->counters = choir_counters_new ();
  self->stats = choir_stats_new (self->counters);
  self->told = g_string_new (NULL);
  self->list = choir_blocklist_new (self->stats);
  choir_blocklist_set_enforce (self->list, enforce_cb, self);
  g_signal_connect (self->list, "banned", G_CALLBACK (banned_cb), self);
  g_signal_connect (self->list, "lifted", G_CALLBACK (lifted_cb), self);
}

static void
tear_down (Fixture *self, gconstpointer data)
{
  g_assert_finalize_object (self->list);
  g_string_free (self->told, TRUE);
  choir_stats_free (self->stats);
  choir_counters_free (self->counters);
  choir_clock_thaw ();
}

/* As after a restart */
static void
begin_anew (Fixture *self)
{
  /* what is being stored yet */
  while (g_main_context_iteration (NULL, FALSE))
    ;
  tear_down (self, NULL);
  set_up (self, NULL);
}

static gboolean
ban (Fixture *self, ChoirBanKind kind, const ChoirBan *what, guint *n_closed, GError **error)
{
  GAsyncResult *saved = NULL;
  g_autoptr (GAsyncResult) result = NULL;

  choir_blocklist_ban_async (self->list, kind, what, NULL, store_save_result, &saved);
  result = store_wait (&saved);

  return choir_blocklist_ban_finish (self->list, result, n_closed, error);
}

static void
ban_name (Fixture *self, ChoirBanKind kind, const char *name, gint64 until_us)
{
  const ChoirBan what = { .name = name,
                          .reason = "so",
                          .until_us = until_us,
                          .since_us = 7,
                          .uid = 1000 };
  g_autoptr (GError) error = NULL;

  ban (self, kind, &what, NULL, &error);
  g_assert_no_error (error);
}

static gboolean
lift (Fixture *self, ChoirBanKind kind, const char *name, GError **error)
{
  GAsyncResult *saved = NULL;
  g_autoptr (GAsyncResult) result = NULL;

  choir_blocklist_lift_async (self->list, kind, name, NULL, store_save_result, &saved);
  result = store_wait (&saved);

  return choir_blocklist_lift_finish (self->list, result, error);
}

static gboolean
load (Fixture *self, ChoirStore *store, GError **error)
{
  GAsyncResult *saved = NULL;
  g_autoptr (GAsyncResult) result = NULL;

  choir_blocklist_load_async (self->list, store, NULL, store_save_result, &saved);
  result = store_wait (&saved);

  return choir_blocklist_load_finish (self->list, result, error);
}

static gboolean
has (Fixture *self, ChoirBanKind kind, const char *name)
{
  return choir_blocklist_find (self->list, kind, name) != NULL;
}

static void
assert_check (Fixture *self, const char *json, int code, const char *message)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (ChoirClaims) claims = choir_claims_new_from_json (json, -1, NULL);

  g_assert_nonnull (claims);
  g_assert_cmpint (choir_blocklist_check (self->list, claims, &error), ==, code < 0);
  if (code < 0)
    return;

  g_assert_error (error, CHOIR_ERROR, code);
  g_assert_cmpstr (error->message, ==, message);
}

static void
test_bans (Fixture *self, gconstpointer data)
{
  const ChoirBan alice = { .name = "alice", .reason = "rude", .uid = 1000 };
  const ChoirBan *found;
  g_autoptr (GError) error = NULL;
  guint n_closed = 0;

  assert_check (self, "{\"sub\":\"alice\",\"jti\":\"a1\"}", -1, NULL);
  g_assert_true (ban (self, CHOIR_BAN_USER, &alice, &n_closed, NULL));
  g_assert_cmpuint (n_closed, ==, 3);
  assert_told (self, "close alice; banned 0 alice rude; ");
  ban_name (self, CHOIR_BAN_TOKEN, "b1", 0);
  assert_told (self, "close b1; banned 1 b1 so; ");

  found = choir_blocklist_find (self->list, CHOIR_BAN_USER, "alice");
  g_assert_cmpstr (found->reason, ==, "rude");
  g_assert_cmpint (found->since_us, ==, NOW_US);
  g_assert_cmpuint (found->uid, ==, 1000);
  assert_check (self, "{\"sub\":\"alice\",\"jti\":\"a1\"}", CHOIR_ERROR_BLOCKED,
                "Blocked by an administrator");
  assert_check (self, "{\"sub\":\"bob\",\"jti\":\"b1\"}", CHOIR_ERROR_AUTH,
                "Invalid token: it is revoked");
  /* neither is one of the other's */
  assert_check (self, "{\"sub\":\"b1\",\"jti\":\"alice\"}", -1, NULL);
  assert_check (self, "{\"sub\":\"bob\"}", -1, NULL);
  g_assert_cmpint (*self->stats->blocked_users, ==, 1);
  g_assert_cmpint (*self->stats->revoked_tokens, ==, 1);
  g_assert_cmpint (*self->stats->refused_blocked, ==, 1);
  g_assert_cmpint (*self->stats->refused_revoked, ==, 1);

  g_assert_true (lift (self, CHOIR_BAN_USER, "alice", NULL));
  assert_told (self, "lifted 0 alice; ");
  assert_check (self, "{\"sub\":\"alice\"}", -1, NULL);
  g_assert_false (lift (self, CHOIR_BAN_USER, "alice", &error));
  g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_NOT_FOUND);
  g_assert_cmpint (*self->stats->blocked_users, ==, 0);
}

/* Whoever gives a guest's name to somebody blocks nobody: names of guests are made up */
static void
test_guests (Fixture *self, gconstpointer data)
{
  g_autoptr (ChoirClaims) guest = choir_claims_new_guest ("guest-1");

  ban_name (self, CHOIR_BAN_USER, "guest-1", 0);
  g_assert_true (choir_blocklist_check (self->list, guest, NULL));
}

static void
test_time (Fixture *self, gconstpointer data)
{
  ban_name (self, CHOIR_BAN_USER, "alice", NOW_US + 10 * SECOND);
  ban_name (self, CHOIR_BAN_USER, "bob", NOW_US + 20 * SECOND);
  ban_name (self, CHOIR_BAN_USER, "carol", 0);
  g_string_truncate (self->told, 0);

  choir_clock_advance (10 * SECOND - 1);
  choir_blocklist_sweep (self->list);
  g_assert_true (has (self, CHOIR_BAN_USER, "alice"));
  choir_clock_advance (1);
  g_assert_false (has (self, CHOIR_BAN_USER, "alice"));
  assert_check (self, "{\"sub\":\"alice\"}", -1, NULL);
  g_assert_cmpuint (choir_blocklist_get_n (self->list, CHOIR_BAN_USER), ==, 3);
  choir_blocklist_sweep (self->list);
  assert_told (self, "lifted 0 alice; ");
  g_assert_cmpuint (choir_blocklist_get_n (self->list, CHOIR_BAN_USER), ==, 2);

  /* blocked anew: the new time counts */
  ban_name (self, CHOIR_BAN_USER, "bob", NOW_US + 60 * SECOND);
  g_string_truncate (self->told, 0);
  choir_clock_advance (30 * SECOND);
  choir_blocklist_sweep (self->list);
  assert_told (self, "");
  g_assert_true (has (self, CHOIR_BAN_USER, "bob"));
  g_assert_true (has (self, CHOIR_BAN_USER, "carol"));
}

static void
test_keep_revoked (Fixture *self, gconstpointer data)
{
  choir_blocklist_configure (self->list, 60 * SECOND);
  ban_name (self, CHOIR_BAN_TOKEN, "a", 0);
  ban_name (self, CHOIR_BAN_USER, "alice", 0);
  g_string_truncate (self->told, 0);
  choir_clock_advance (60 * SECOND);
  g_assert_false (has (self, CHOIR_BAN_TOKEN, "a"));

  /* for good, after a reload */
  choir_blocklist_configure (self->list, 0);
  g_assert_true (has (self, CHOIR_BAN_TOKEN, "a"));
  choir_blocklist_sweep (self->list);
  assert_told (self, "");
  choir_blocklist_configure (self->list, 30 * SECOND);
  choir_blocklist_sweep (self->list);
  assert_told (self, "lifted 1 a; ");
  g_assert_true (has (self, CHOIR_BAN_USER, "alice"));
}

static void
test_arguments (Fixture *self, gconstpointer data)
{
  g_autofree char *long_reason = g_strnfill (CHOIR_BAN_REASON_MAX + 1, 'x');
  g_autofree char *long_jti = g_strnfill (CHOIR_JTI_MAX + 1, 'x');
  const struct
  {
    ChoirBanKind kind;
    ChoirBan ban;
  } rows[] = {
    { CHOIR_BAN_USER, { .name = "", .reason = "" } },
    { CHOIR_BAN_USER, { .name = "two words", .reason = "" } },
    { CHOIR_BAN_USER, { .name = "alice", .reason = long_reason } },
    { CHOIR_BAN_USER, { .name = "alice", .reason = "\033[2J" } },
    { CHOIR_BAN_USER, { .name = "alice", .reason = "\xff" } },
    { CHOIR_BAN_USER, { .name = "alice", .reason = "", .until_us = NOW_US } },
    { CHOIR_BAN_USER, { .name = "alice", .reason = "", .until_us = -1 } },
    { CHOIR_BAN_USER, { .name = "alice", .reason = "", .until_us = G_MAXINT64 } },
    { CHOIR_BAN_TOKEN, { .name = "", .reason = "" } },
    { CHOIR_BAN_TOKEN, { .name = long_jti, .reason = "" } },
    { CHOIR_BAN_TOKEN, { .name = "a\nb", .reason = "" } },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autoptr (GError) error = NULL;

      g_test_message ("row %u", i);
      g_assert_false (ban (self, rows[i].kind, &rows[i].ban, NULL, &error));
      g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION);
    }
  assert_told (self, "");

  long_reason[CHOIR_BAN_REASON_MAX] = '\0';
  long_jti[CHOIR_JTI_MAX] = '\0';
  g_assert_true (ban (self, CHOIR_BAN_TOKEN, &(ChoirBan){ .name = long_jti, .reason = long_reason },
                      NULL, NULL));
}

/* The same list by another hand; odd names survive */
static void
check_restart (Fixture *self, ChoirStore *store)
{
  const ChoirBan *found;

  begin_anew (self);
  g_assert_true (load (self, store, NULL));
  assert_told (self, "");
  g_assert_cmpuint (choir_blocklist_get_n (self->list, CHOIR_BAN_USER), ==, 1);
  g_assert_cmpuint (choir_blocklist_get_n (self->list, CHOIR_BAN_TOKEN), ==, 1);
  g_assert_true (has (self, CHOIR_BAN_TOKEN, "\"ü\\ 1"));
  found = choir_blocklist_find (self->list, CHOIR_BAN_USER, "carol");
  g_assert_nonnull (found);
  g_assert_cmpstr (found->reason, ==, "so");
  g_assert_cmpint (found->since_us, ==, NOW_US);
  g_assert_cmpint (found->until_us, ==, NOW_US + 3600 * SECOND);
  g_assert_cmpuint (found->uid, ==, 1000);
  g_assert_cmpint (*self->stats->blocked_users, ==, 1);
}

static void
fill (Fixture *self)
{
  ban_name (self, CHOIR_BAN_USER, "alice", 0);
  ban_name (self, CHOIR_BAN_USER, "bob", NOW_US + 1);
  ban_name (self, CHOIR_BAN_USER, "carol", NOW_US + 3600 * SECOND);
  ban_name (self, CHOIR_BAN_TOKEN, "\"ü\\ 1", 0);
  ban_name (self, CHOIR_BAN_TOKEN, "gone", 0);
  g_assert_true (lift (self, CHOIR_BAN_USER, "alice", NULL));
  g_assert_true (lift (self, CHOIR_BAN_USER, "bob", NULL));
  g_assert_true (lift (self, CHOIR_BAN_TOKEN, "gone", NULL));
}

static void
test_restart (Fixture *self, gconstpointer data)
{
  g_autoptr (ChoirStore) store = choir_store_memory_new (1024 * 1024);

  g_assert_true (load (self, store, NULL));
  fill (self);
  check_restart (self, store);
}

static void
test_restart_sqlite (Fixture *self, gconstpointer data)
{
  g_autofree char *directory = g_dir_make_tmp ("choir-blocklist-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (directory, "choir.db", NULL);
  ChoirStore *store = choir_store_sqlite_open (path, CHOIR_DURABILITY_FULL, NULL);

  g_assert_true (load (self, store, NULL));
  fill (self);
  g_assert_true (store_close (store, NULL));
  begin_anew (self);
  g_object_unref (store);

  store = choir_store_sqlite_open (path, CHOIR_DURABILITY_FULL, NULL);
  g_assert_nonnull (store);
  check_restart (self, store);
  g_assert_true (store_close (store, NULL));
  begin_anew (self);
  g_object_unref (store);
  store_remove_directory (directory);
}

/* A ban whose time was over before the service began again is none */
static void
test_late_restart (Fixture *self, gconstpointer data)
{
  g_autoptr (ChoirStore) store = choir_store_memory_new (1024 * 1024);

  g_assert_true (load (self, store, NULL));
  ban_name (self, CHOIR_BAN_USER, "alice", NOW_US + SECOND);
  begin_anew (self);
  choir_clock_advance (SECOND);
  g_assert_true (load (self, store, NULL));
  g_assert_cmpuint (choir_blocklist_get_n (self->list, CHOIR_BAN_USER), ==, 0);
}

/* What the store can't take has not happened */
static void
test_unstored (Fixture *self, gconstpointer data)
{
  g_autoptr (ChoirStore) store = choir_store_memory_new (1024 * 1024);
  g_autoptr (GError) error = NULL, second = NULL;

  g_assert_true (load (self, store, NULL));
  ban_name (self, CHOIR_BAN_USER, "alice", 0);
  g_string_truncate (self->told, 0);
  g_assert_true (store_close (store, NULL));

  g_assert_false (
    ban (self, CHOIR_BAN_USER, &(ChoirBan){ .name = "bob", .reason = "" }, NULL, &error));
  g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_UNAVAILABLE);
  g_assert_cmpstr (error->message, ==, "Blocks can't be stored at the moment");
  g_assert_false (lift (self, CHOIR_BAN_USER, "alice", &second));
  g_assert_error (second, CHOIR_ERROR, CHOIR_ERROR_UNAVAILABLE);
  assert_told (self, "");
  g_assert_true (has (self, CHOIR_BAN_USER, "alice"));
  g_assert_false (has (self, CHOIR_BAN_USER, "bob"));
}

static void
test_loading (Fixture *self, gconstpointer data)
{
  g_autoptr (ChoirStore) store = choir_store_memory_new (1024 * 1024);
  const ChoirBan alice = { .name = "alice", .reason = "" };
  GAsyncResult *saved = NULL, *early = NULL;
  g_autoptr (GAsyncResult) result = NULL, early_result = NULL;
  g_autoptr (GError) error = NULL, closed = NULL;

  choir_blocklist_load_async (self->list, store, NULL, store_save_result, &saved);
  choir_blocklist_ban_async (self->list, CHOIR_BAN_USER, &alice, NULL, store_save_result, &early);
  early_result = store_wait (&early);
  g_assert_false (choir_blocklist_ban_finish (self->list, early_result, NULL, &error));
  g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_UNAVAILABLE);
  while (saved == NULL)
    g_main_context_iteration (NULL, TRUE);
  result = saved;
  g_assert_true (choir_blocklist_load_finish (self->list, result, NULL));

  g_clear_object (&early_result);
  g_clear_object (&result);

  /* who is blocked is not known: nobody may be served */
  begin_anew (self);
  g_assert_true (store_close (store, NULL));
  g_assert_false (load (self, store, &closed));
  g_assert_error (closed, CHOIR_ERROR, CHOIR_ERROR_UNAVAILABLE);
}

/* Another node with the same store: what it has said counts here before what is said here next */
static void
test_conflict (Fixture *self, gconstpointer data)
{
  g_autoptr (ChoirStore) store = choir_store_memory_new (1024 * 1024);
  Fixture other = { 0 };

  g_assert_true (load (self, store, NULL));
  ban_name (self, CHOIR_BAN_USER, "alice", 0);
  ban_name (self, CHOIR_BAN_USER, "bob", 0);
  set_up (&other, NULL);
  g_assert_true (load (&other, store, NULL));
  ban_name (&other, CHOIR_BAN_TOKEN, "theirs", 0);
  g_assert_true (lift (&other, CHOIR_BAN_USER, "alice", NULL));
  g_string_truncate (self->told, 0);

  ban_name (self, CHOIR_BAN_TOKEN, "ours", 0);
  assert_told (self, "lifted 0 alice; close theirs; banned 1 theirs so; close ours; banned 1 ours "
                     "so; ");
  g_assert_true (has (self, CHOIR_BAN_USER, "bob"));
  g_assert_cmpint (*self->stats->revoked_tokens, ==, 2);

  g_string_truncate (other.told, 0);
  ban_name (&other, CHOIR_BAN_USER, "dave", 0);
  assert_told (&other, "close ours; banned 1 ours so; close dave; banned 0 dave so; ");
  tear_down (&other, NULL);
}

/* Another node has shortened a ban, which is over by now: the longer one is in memory only */
static void
test_shortened (Fixture *self, gconstpointer data)
{
  g_autoptr (ChoirStore) store = choir_store_memory_new (1024 * 1024);
  Fixture other = { 0 };

  g_assert_true (load (self, store, NULL));
  ban_name (self, CHOIR_BAN_USER, "alice", NOW_US + 100 * SECOND);
  set_up (&other, NULL);
  g_assert_true (load (&other, store, NULL));
  ban_name (&other, CHOIR_BAN_USER, "alice", NOW_US + 10 * SECOND);
  tear_down (&other, NULL);

  choir_clock_freeze (0, NOW_US + 20 * SECOND);
  g_assert_true (has (self, CHOIR_BAN_USER, "alice"));
  g_string_truncate (self->told, 0);
  ban_name (self, CHOIR_BAN_USER, "bob", 0);
  assert_told (self, "lifted 0 alice; close bob; banned 0 bob so; ");
  g_assert_false (has (self, CHOIR_BAN_USER, "alice"));
}

/* Somebody has emptied the store: what is said then begins anew, instead of never being stored */
static void
test_emptied (Fixture *self, gconstpointer data)
{
  g_autoptr (ChoirStore) store = choir_store_memory_new (1024 * 1024);

  g_assert_true (load (self, store, NULL));
  ban_name (self, CHOIR_BAN_USER, "alice", 0);
  g_assert_true (store_delete (store, STREAM, NULL));
  ban_name (self, CHOIR_BAN_USER, "bob", 0);
  g_assert_false (has (self, CHOIR_BAN_USER, "alice"));
  g_assert_true (has (self, CHOIR_BAN_USER, "bob"));
  begin_anew (self);
  g_assert_true (load (self, store, NULL));
  g_assert_true (has (self, CHOIR_BAN_USER, "bob"));
}

typedef struct
{
  guint n_waiting;
  guint n_failed;
} Crowd;

static void
crowd_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  Crowd *crowd = user_data;

  crowd->n_waiting--;
  if (!choir_blocklist_ban_finish (CHOIR_BLOCKLIST (source), result, NULL, NULL))
    crowd->n_failed++;
}

static void
change_many (Fixture *self, guint n)
{
  Crowd crowd = { n, 0 };

  for (guint i = 0; i < n; i++)
    {
      g_autofree char *name = g_strdup_printf ("user%u", i % 600);
      const ChoirBan what = { .name = name, .reason = "" };

      if (i < 600 || i % 7 != 0)
        choir_blocklist_ban_async (self->list, CHOIR_BAN_USER, &what, NULL, crowd_cb, &crowd);
      else
        choir_blocklist_lift_async (self->list, CHOIR_BAN_USER, name, NULL, crowd_cb, &crowd);
    }

  while (crowd.n_waiting > 0)
    g_main_context_iteration (NULL, TRUE);
}

/* The stream does not grow with every change for ever, and what it holds is the list */
static void
test_snapshot (Fixture *self, gconstpointer data)
{
  g_autoptr (ChoirStore) store = choir_store_memory_new (64 * 1024 * 1024);
  guint n;

  g_assert_true (load (self, store, NULL));
  for (guint i = 0; i < 3; i++)
    change_many (self, 1000);
  n = choir_blocklist_get_n (self->list, CHOIR_BAN_USER);
  g_assert_cmpuint (n, >, 400);
  while (TRUE)
    {
      g_autoptr (ChoirStreamPart) part = store_load (store, STREAM, G_MAXUINT64, NULL);

      g_assert_cmpuint (part->head, ==, 3000);
      if (part->snapshot == NULL || part->first < 2000)
        continue;

      g_assert_cmpuint (part->snapshot->offset, >=, 2000);
      g_assert_cmpuint (part->n_entries, <=, 1000);
      break;
    }

  begin_anew (self);
  g_assert_true (load (self, store, NULL));
  g_assert_cmpuint (choir_blocklist_get_n (self->list, CHOIR_BAN_USER), ==, n);
  /* and goes on */
  ban_name (self, CHOIR_BAN_USER, "last", 0);
  begin_anew (self);
  g_assert_true (load (self, store, NULL));
  g_assert_true (has (self, CHOIR_BAN_USER, "last"));
}

static void
test_full (Fixture *self, gconstpointer data)
{
  g_autoptr (ChoirStore) store = choir_store_memory_new (256 * 1024 * 1024);
  g_autoptr (GString) text = g_string_new (NULL);
  g_autoptr (GError) error = NULL, second = NULL;

  for (guint i = 0; i < CHOIR_BANS_MAX - 1; i++)
    g_string_append_printf (text, "{\"kind\":\"user\",\"name\":\"u%u\"}\n", i);
  g_string_append_printf (
    text, "{\"kind\":\"user\",\"name\":\"short\",\"until_us\":%" G_GINT64_FORMAT "}\n",
    NOW_US + SECOND);
  g_assert_true (store_put_snapshot (store, STREAM, 0, NULL, text->str, 0, NULL));
  g_assert_true (load (self, store, NULL));
  g_assert_cmpuint (choir_blocklist_get_n (self->list, CHOIR_BAN_USER), ==, CHOIR_BANS_MAX);

  g_assert_false (
    ban (self, CHOIR_BAN_USER, &(ChoirBan){ .name = "more", .reason = "" }, NULL, &error));
  g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_OVERRUN);
  /* one that is there already, and one of the other kind, take no room */
  ban_name (self, CHOIR_BAN_USER, "u1", 0);
  ban_name (self, CHOIR_BAN_TOKEN, "t", 0);
  /* nor does one whose time is over */
  choir_clock_advance (SECOND);
  ban_name (self, CHOIR_BAN_USER, "more", 0);
  g_assert_false (
    ban (self, CHOIR_BAN_USER, &(ChoirBan){ .name = "again", .reason = "" }, NULL, &second));
  g_assert_error (second, CHOIR_ERROR, CHOIR_ERROR_OVERRUN);
}

/* What is damaged is passed over, and the log says so */
static void
test_damaged (Fixture *self, gconstpointer data)
{
  g_autoptr (ChoirStore) store = choir_store_memory_new (1024 * 1024);

  g_assert_true (store_put_snapshot (
    store, STREAM, 0, NULL, "{\"kind\":\"user\",\"name\":\"alice\"}\n{\"kind\":", 0, NULL));
  store_append_text (store, STREAM, NULL, "{\"kind\":\"cat\",\"name\":\"tom\"}");
  store_append_text (store, STREAM, NULL, "[]");
  store_append_text (store, STREAM, NULL, "{\"kind\":\"token\",\"name\":\"a\",\"uid\":-4}");
  g_assert_true (load (self, store, NULL));
  g_assert_true (has (self, CHOIR_BAN_USER, "alice"));
  g_assert_true (has (self, CHOIR_BAN_TOKEN, "a"));
  g_assert_cmpuint (choir_blocklist_get_n (self->list, CHOIR_BAN_USER), ==, 1);
}

static void
visit_cb (const ChoirBan *found, gpointer user_data)
{
  g_string_append (user_data, found->name);
}

static void
test_visit (Fixture *self, gconstpointer data)
{
  g_autoptr (GString) names = g_string_new (NULL);

  ban_name (self, CHOIR_BAN_USER, "alice", NOW_US + SECOND);
  ban_name (self, CHOIR_BAN_USER, "bob", 0);
  choir_clock_advance (SECOND);
  choir_blocklist_visit (self->list, CHOIR_BAN_USER, visit_cb, names);
  g_assert_cmpstr (names->str, ==, "bob");
}

#define ADD(name, func) g_test_add ("/blocklist/" name, Fixture, NULL, set_up, func, tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  ADD ("bans", test_bans);
  ADD ("guests", test_guests);
  ADD ("time", test_time);
  ADD ("keep-revoked", test_keep_revoked);
  ADD ("arguments", test_arguments);
  ADD ("restart", test_restart);
  ADD ("restart-sqlite", test_restart_sqlite);
  ADD ("late-restart", test_late_restart);
  ADD ("unstored", test_unstored);
  ADD ("loading", test_loading);
  ADD ("conflict", test_conflict);
  ADD ("shortened", test_shortened);
  ADD ("emptied", test_emptied);
  ADD ("snapshot", test_snapshot);
  ADD ("full", test_full);
  ADD ("damaged", test_damaged);
  ADD ("visit", test_visit);

  return g_test_run ();
}
