/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "authority-fixture.h"

static gboolean
is_root (void)
{
  if (geteuid () == 0)
    return TRUE;

  g_test_skip ("Only root can be two users");

  return FALSE;
}

static void
test_ids (void)
{
  g_assert_cmpstr (choir_admin_action_get_id (CHOIR_ADMIN_INSPECT), ==, "org.choir.Choir1.inspect");
  g_assert_cmpstr (choir_admin_action_get_id (CHOIR_ADMIN_READ_CONTENT), ==,
                   "org.choir.Choir1.read-content");
  g_assert_cmpstr (choir_admin_action_get_id (CHOIR_ADMIN_MANAGE_SERVICE), ==,
                   "org.choir.Choir1.manage-service");
}

static void
test_session (Fixture *f, gconstpointer data)
{
  check (f, f->root, G_DBUS_CALL_FLAGS_NONE, NULL);
  g_assert_cmpuint (f->uid, ==, geteuid ());

  if (!is_root ())
    return;

  fake_polkit_own_name (f->polkit);
  f->polkit->authorized = TRUE;
  check (f, f->stranger, INTERACTIVE, ACCESS_DENIED);
  g_assert_cmpuint (f->polkit->n_asked, ==, 0);
  g_assert_cmpuint (count_logged (f, "refused to a stranger"), ==, 1);
}

static void
test_root (Fixture *f, gconstpointer data)
{
  if (!is_root ())
    return;

  fake_polkit_own_name (f->polkit);
  check (f, f->root, G_DBUS_CALL_FLAGS_NONE, NULL);
  g_assert_cmpuint (f->uid, ==, 0);
  g_assert_cmpuint (f->polkit->n_asked, ==, 0);
}

/* A stranger can't fill the log */
static void
test_log_limit (Fixture *f, gconstpointer data)
{
  fake_polkit_own_name (f->polkit);
  for (guint i = 0; i < 25; i++)
    check (f, f->stranger, G_DBUS_CALL_FLAGS_NONE, ACCESS_DENIED);
  g_assert_cmpuint (count_logged (f, "refused to a stranger"), ==, 10);
}

static GDBusMessage *
count_arrivals (GDBusConnection *connection, GDBusMessage *message, gboolean incoming, gpointer n)
{
  if (incoming && g_strcmp0 (g_dbus_message_get_member (message), "Do") == 0)
    g_atomic_int_inc ((int *) n);

  return message;
}

/* Of calls that come faster than the bus says whose they are */
static void
test_caller_limit (Fixture *f, gconstpointer data)
{
  Call calls[CHOIR_AUTHORITY_CALLER_MAX + 8];
  int n_arrived = 0;
  guint n_refused = 0;
  guint filter;

  f->polkit->authorized = TRUE;
  fake_polkit_own_name (f->polkit);
  filter = g_dbus_connection_add_filter (f->service, count_arrivals, &n_arrived, NULL);

  /* the loop stands still meanwhile; when the last is seen, those before it are in its queue */
  for (guint i = 0; i < G_N_ELEMENTS (calls); i++)
    call_begin (f, &calls[i], f->root, "", G_DBUS_CALL_FLAGS_NONE);
  while (g_atomic_int_get (&n_arrived) < (int) G_N_ELEMENTS (calls))
    g_thread_yield ();
  g_dbus_connection_remove_filter (f->service, filter);

  for (guint i = 0; i < G_N_ELEMENTS (calls); i++)
    {
      wait_until (calls[i].done);
      if (calls[i].error == NULL)
        continue;

      n_refused++;
      g_assert_cmpstr (calls[i].error, ==, LIMITS_EXCEEDED);
      g_free (calls[i].error);
    }
  g_assert_cmpuint (n_refused, >=, 7);
  g_assert_cmpuint (n_refused, <=, 8);

  /* and none of them is counted any more */
  check (f, f->root, G_DBUS_CALL_FLAGS_NONE, NULL);
}

/* Many who ask too much don't keep out one who asks seldom */
static void
test_crowd (Fixture *f, gconstpointer data)
{
  enum
  {
    N_CALLERS = CHOIR_AUTHORITY_CHECKS_MAX / CHOIR_AUTHORITY_CALLER_MAX + 2,
    N_CALLS = N_CALLERS * CHOIR_AUTHORITY_CALLER_MAX + 1,
  };
  g_autofree Call *calls = g_new0 (Call, N_CALLS);
  GDBusConnection *callers[N_CALLERS];
  int n_arrived = 0;
  guint n_refused = 0;
  guint filter;

  f->polkit->authorized = TRUE;
  fake_polkit_own_name (f->polkit);
  filter = g_dbus_connection_add_filter (f->service, count_arrivals, &n_arrived, NULL);

  for (guint i = 0; i < N_CALLERS; i++)
    {
      callers[i] = private_bus_connect (f->bus, geteuid ());
      for (guint j = 0; j < CHOIR_AUTHORITY_CALLER_MAX; j++)
        call_begin (f, &calls[i * CHOIR_AUTHORITY_CALLER_MAX + j], callers[i], "",
                    G_DBUS_CALL_FLAGS_NONE);
    }
  while (g_atomic_int_get (&n_arrived) < N_CALLS - 1)
    g_thread_yield ();
  call_begin (f, &calls[N_CALLS - 1], f->root, "", G_DBUS_CALL_FLAGS_NONE);
  while (g_atomic_int_get (&n_arrived) < N_CALLS)
    g_thread_yield ();
  g_dbus_connection_remove_filter (f->service, filter);

  for (guint i = 0; i < N_CALLS - 1; i++)
    {
      wait_until (calls[i].done);
      n_refused += g_strcmp0 (calls[i].error, LIMITS_EXCEEDED) == 0;
      g_free (calls[i].error);
    }
  g_assert_cmpuint (n_refused, >, CHOIR_AUTHORITY_CALLER_MAX);
  call_end (&calls[N_CALLS - 1], NULL);

  for (guint i = 0; i < N_CALLERS; i++)
    g_object_unref (callers[i]);
}

static void
test_answers (Fixture *f, gconstpointer data)
{
  FakePolkit *polkit = f->polkit;

  fake_polkit_own_name (polkit);

  polkit->authorized = TRUE;
  check (f, f->stranger, G_DBUS_CALL_FLAGS_NONE, NULL);
  g_assert_cmpuint (f->uid, ==, geteuid () == 0 ? STRANGER : geteuid ());
  g_assert_cmpstr (polkit->subject, ==, g_dbus_connection_get_unique_name (f->stranger));
  g_assert_cmpstr (polkit->action, ==, "org.choir.Choir1.manage-users");
  g_assert_cmpstr (polkit->call, ==, "Do alice");
  g_assert_cmpuint (polkit->flags, ==, 0);

  /* nothing is remembered */
  polkit->authorized = FALSE;
  check (f, f->stranger, INTERACTIVE, ACCESS_DENIED);
  g_assert_cmpuint (polkit->flags, ==, 1);
  g_assert_cmpuint (polkit->n_asked, ==, 2);

  polkit->challenge = TRUE;
  check (f, f->stranger, G_DBUS_CALL_FLAGS_NONE, INTERACTION_REQUIRED);
  /* nobody is there to type it */
  check (f, f->stranger, INTERACTIVE, INTERACTION_REQUIRED);

  polkit->challenge = FALSE;
  polkit->dismissed = TRUE;
  check (f, f->stranger, INTERACTIVE, ACCESS_DENIED);

  polkit->error = "org.freedesktop.PolicyKit1.Error.Cancelled";
  check (f, f->stranger, INTERACTIVE, ACCESS_DENIED);
  g_assert_cmpuint (count_logged (f, "polkit gives no answer"), ==, 0);
}

/* What a stranger wants to have shown to somebody else */
static void
test_target (Fixture *f, gconstpointer data)
{
  static const char *const targets[][2] = {
    { "", "Do" },
    { "ünï", "Do ünï" },
    { "a\nb\xe2\x80\xae"
      "c\x7f",
      "Do a?b?c?" },
    { "0123456789012345678901234567890123456789012345678901234567890123",
      "Do 0123456789012345678901234567890123456789012345678901234567890123" },
    { "01234567890123456789012345678901234567890123456789012345678901234",
      "Do 0123456789012345678901234567890123456789012345678901234567890123…" },
  };

  fake_polkit_own_name (f->polkit);
  f->polkit->authorized = TRUE;

  for (guint i = 0; i < G_N_ELEMENTS (targets); i++)
    {
      Call call;

      call_begin (f, &call, f->stranger, targets[i][0], G_DBUS_CALL_FLAGS_NONE);
      call_end (&call, NULL);
      g_assert_cmpstr (f->polkit->call, ==, targets[i][1]);
    }
}

/* Without polkit it is root alone; that is said once, and polkit is asked as soon as it is there */
static void
test_missing (Fixture *f, gconstpointer data)
{
  for (guint i = 0; i < 3; i++)
    check (f, f->stranger, INTERACTIVE, ACCESS_DENIED);
  if (geteuid () == 0)
    check (f, f->root, G_DBUS_CALL_FLAGS_NONE, NULL);
  g_assert_cmpuint (count_logged (f, "polkit gives no answer"), ==, 1);

  f->polkit->authorized = TRUE;
  fake_polkit_own_name (f->polkit);
  check (f, f->stranger, G_DBUS_CALL_FLAGS_NONE, NULL);

  f->polkit->error = "org.freedesktop.PolicyKit1.Error.Failed";
  check (f, f->stranger, G_DBUS_CALL_FLAGS_NONE, ACCESS_DENIED);
  f->polkit->error = NULL;
  check (f, f->stranger, G_DBUS_CALL_FLAGS_NONE, NULL);
}

/* It is gone in the middle of a question */
static void
test_dies (Fixture *f, gconstpointer data)
{
  Call call;

  fake_polkit_own_name (f->polkit);
  f->polkit->holds = TRUE;
  call_begin (f, &call, f->stranger, "alice", INTERACTIVE);
  wait_until (f->polkit->n_asked == 1);
  g_assert_false (call.done);

  fake_polkit_free (f->polkit);
  f->polkit = fake_polkit_new (private_bus_connect (f->bus, geteuid ()));
  call_end (&call, ACCESS_DENIED);
  check (f, f->stranger, INTERACTIVE, ACCESS_DENIED);
  g_assert_cmpuint (count_logged (f, "polkit gives no answer"), ==, 1);

  f->polkit->authorized = TRUE;
  fake_polkit_own_name (f->polkit);
  check (f, f->stranger, G_DBUS_CALL_FLAGS_NONE, NULL);
}

/* Others are served while a person thinks; the answer may take its time */
static void
test_slow (Fixture *f, gconstpointer data)
{
  Call call;

  fake_polkit_own_name (f->polkit);
  f->polkit->holds = TRUE;
  f->polkit->authorized = TRUE;
  call_begin (f, &call, f->stranger, "alice", INTERACTIVE);
  wait_until (f->polkit->n_asked == 1);

  if (geteuid () == 0)
    check (f, f->root, G_DBUS_CALL_FLAGS_NONE, NULL);
  g_assert_false (call.done);

  fake_polkit_release (f->polkit);
  call_end (&call, NULL);
}

/* The dialogue goes away with who it was for */
static void
test_caller_leaves (Fixture *f, gconstpointer data)
{
  Call call;

  fake_polkit_own_name (f->polkit);
  f->polkit->holds = TRUE;
  call_begin (f, &call, f->stranger, "alice", INTERACTIVE);
  wait_until (f->polkit->n_asked == 1);

  g_dbus_connection_close (f->stranger, NULL, NULL, NULL);
  wait_until (f->polkit->n_cancelled == 1);
  wait_until (f->n_finished == 1);
  wait_until (call.done);
  g_free (call.error);
  g_assert_cmpuint (count_logged (f, "polkit gives no answer"), ==, 0);
}

/* Just when polkit answers: there is nothing left to take away, which is nobody's fault */
static void
test_caller_leaves_late (Fixture *f, gconstpointer data)
{
  Call call;

  fake_polkit_own_name (f->polkit);
  f->polkit->holds = TRUE;
  f->polkit->cancel_error = "org.freedesktop.PolicyKit1.Error.Failed";
  call_begin (f, &call, f->stranger, "alice", INTERACTIVE);
  wait_until (f->polkit->n_asked == 1);
  g_dbus_connection_close (f->stranger, NULL, NULL, NULL);
  wait_until (f->polkit->n_cancelled == 1);
  wait_until (call.done);
  g_free (call.error);

  /* behind the refusal to cancel, on the same connection */
  f->polkit->holds = FALSE;
  f->polkit->authorized = TRUE;
  g_clear_object (&f->stranger);
  f->stranger = private_bus_connect (f->bus, geteuid () == 0 ? STRANGER : geteuid ());
  check (f, f->stranger, G_DBUS_CALL_FLAGS_NONE, NULL);
  g_assert_cmpuint (count_logged (f, "\"level\":\"warning\""), ==, 0);
}

/* The service leaves the bus: with polkit asked, and while it is looked for */
static void
test_cancelled (Fixture *f, gconstpointer data)
{
  Call call;

  fake_polkit_own_name (f->polkit);
  f->polkit->holds = TRUE;
  call_begin (f, &call, f->stranger, "alice", INTERACTIVE);
  wait_until (f->polkit->n_asked == 1);
  g_cancellable_cancel (f->cancellable);
  wait_until (call.done);
  g_assert_nonnull (call.error);
  g_free (call.error);
  wait_until (f->polkit->n_cancelled == 1);

  call_begin (f, &call, f->stranger, "alice", INTERACTIVE);
  wait_until (call.done);
  g_assert_nonnull (call.error);
  g_free (call.error);
  g_assert_cmpuint (f->polkit->n_asked, ==, 1);
}

static void
test_cancelled_early (Fixture *f, gconstpointer data)
{
  Call call;

  call_begin (f, &call, f->stranger, "alice", INTERACTIVE);
  wait_until (f->n_taken == 1);
  g_cancellable_cancel (f->cancellable);
  wait_until (call.done);
  g_assert_nonnull (call.error);
  g_free (call.error);
}

/* One user's questions don't take the places of another's */
static void
test_user_limit (Fixture *f, gconstpointer data)
{
  Call calls[CHOIR_ASKER_USER_MAX];
  g_autoptr (GDBusConnection) second = NULL;

  fake_polkit_own_name (f->polkit);
  f->polkit->holds = TRUE;
  f->polkit->authorized = TRUE;
  for (guint i = 0; i < G_N_ELEMENTS (calls); i++)
    call_begin (f, &calls[i], f->stranger, "alice", INTERACTIVE);
  wait_until (f->polkit->n_asked == G_N_ELEMENTS (calls));

  second = private_bus_connect (f->bus, geteuid () == 0 ? STRANGER : geteuid ());
  check (f, second, INTERACTIVE, LIMITS_EXCEEDED);
  if (geteuid () == 0)
    {
      g_autoptr (GDBusConnection) other = private_bus_connect (f->bus, OTHER);
      Call call;

      call_begin (f, &call, other, "alice", INTERACTIVE);
      wait_until (f->polkit->n_asked == G_N_ELEMENTS (calls) + 1);
      for (guint i = 0; i < G_N_ELEMENTS (calls); i++)
        fake_polkit_release (f->polkit);
      fake_polkit_release (f->polkit);
      call_end (&call, NULL);
    }
  else
    {
      for (guint i = 0; i < G_N_ELEMENTS (calls); i++)
        fake_polkit_release (f->polkit);
    }

  for (guint i = 0; i < G_N_ELEMENTS (calls); i++)
    call_end (&calls[i], NULL);

  f->polkit->holds = FALSE;
  check (f, second, INTERACTIVE, NULL);
}

/* polkit itself is given less time than a person is */
static void
test_timeouts (Fixture *f, gconstpointer data)
{
  Call quick, slow;

  f->asker = choir_asker_new ();
  choir_asker_set_timeouts (f->asker, 1, 60 * 1000);
  fake_polkit_own_name (f->polkit);
  f->polkit->holds = TRUE;
  f->polkit->authorized = TRUE;

  call_begin (f, &slow, f->stranger, "alice", INTERACTIVE);
  wait_until (f->polkit->n_asked == 1);
  call_begin (f, &quick, f->stranger, "alice", G_DBUS_CALL_FLAGS_NONE);
  call_end (&quick, ACCESS_DENIED);
  g_assert_false (slow.done);
  fake_polkit_release (f->polkit);
  call_end (&slow, NULL);

  choir_asker_set_timeouts (f->asker, 60 * 1000, 1);
  call_begin (f, &slow, f->stranger, "alice", INTERACTIVE);
  call_end (&slow, ACCESS_DENIED);
}

#define add(path, bus, test)                                                                       \
  g_test_add (path, Fixture, GINT_TO_POINTER (bus), fixture_setup, test, fixture_teardown)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/authority/ids", test_ids);
  add ("/authority/session", CHOIR_BUS_SESSION, test_session);
  add ("/authority/root", CHOIR_BUS_SYSTEM, test_root);
  add ("/authority/log-limit", CHOIR_BUS_SYSTEM, test_log_limit);
  add ("/authority/caller-limit", CHOIR_BUS_SYSTEM, test_caller_limit);
  add ("/authority/crowd", CHOIR_BUS_SYSTEM, test_crowd);
  add ("/authority/polkit/answers", CHOIR_BUS_SYSTEM, test_answers);
  add ("/authority/polkit/target", CHOIR_BUS_SYSTEM, test_target);
  add ("/authority/polkit/missing", CHOIR_BUS_SYSTEM, test_missing);
  add ("/authority/polkit/dies", CHOIR_BUS_SYSTEM, test_dies);
  add ("/authority/polkit/slow", CHOIR_BUS_SYSTEM, test_slow);
  add ("/authority/polkit/caller-leaves", CHOIR_BUS_SYSTEM, test_caller_leaves);
  add ("/authority/polkit/caller-leaves-late", CHOIR_BUS_SYSTEM, test_caller_leaves_late);
  add ("/authority/polkit/cancelled", CHOIR_BUS_SYSTEM, test_cancelled);
  add ("/authority/polkit/cancelled-early", CHOIR_BUS_SYSTEM, test_cancelled_early);
  add ("/authority/polkit/user-limit", CHOIR_BUS_SYSTEM, test_user_limit);
  add ("/authority/polkit/timeouts", CHOIR_BUS_SYSTEM, test_timeouts);

  return g_test_run ();
}
