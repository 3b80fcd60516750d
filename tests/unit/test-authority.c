/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-authority.h"
#include "choir-log.h"
#include "fake-polkit.h"
#include "private-bus.h"

#ifdef HAVE_POLKIT
#include "choir-asker.h"
#endif

#include <fcntl.h>
#include <unistd.h>

/* nobody, and daemon; the bus takes only users it can look up */
#define STRANGER 65534
#define OTHER 1
#define INTERACTIVE G_DBUS_CALL_FLAGS_ALLOW_INTERACTIVE_AUTHORIZATION
#define ACCESS_DENIED "org.freedesktop.DBus.Error.AccessDenied"
#define LIMITS_EXCEEDED "org.freedesktop.DBus.Error.LimitsExceeded"
#define INTERACTION_REQUIRED "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired"

/* An object with one method, which is done for whom the authority lets it */
typedef struct
{
  PrivateBus *bus;           /* (owned) */
  GDBusConnection *service;  /* (owned) */
  GDBusConnection *root;     /* (owned) */
  GDBusConnection *stranger; /* (owned) */
  FakePolkit *polkit;        /* (owned): on the bus once it owns its name */
  ChoirAuthority *authority; /* (owned) */
  GCancellable *cancellable; /* (owned) */
  guint object_id;
  guint n_taken;    /* calls that reached the object */
  guint n_finished; /* those whose check has ended */
  guint32 uid;      /* who the last one that was allowed came from */
  int log[2];       /* both ends of a pipe */
#ifdef HAVE_POLKIT
  ChoirAsker *asker; /* (owned) (nullable): asked in place of the authority */
#endif
} Fixture;

static const char introspection[] = "<node><interface name='org.choir.Test'><method name='Do'>"
                                    "<arg type='s' direction='in'/></method></interface></node>";

static void
finish (Fixture *f, GDBusMethodInvocation *invocation, gboolean allowed, GError *error)
{
  f->n_finished++;
  if (allowed)
    g_dbus_method_invocation_return_value (invocation, NULL);
  else
    g_dbus_method_invocation_take_error (invocation, error);
}

typedef struct
{
  Fixture *fixture;
  GDBusMethodInvocation *invocation; /* (owned): until answered */
} Taken;

static void
checked_cb (GObject *object, GAsyncResult *result, gpointer user_data)
{
  g_autofree Taken *taken = user_data;
  GError *error = NULL;
  gboolean allowed;

#ifdef HAVE_POLKIT
  if (CHOIR_IS_ASKER (object))
    allowed = choir_asker_ask_finish (CHOIR_ASKER (object), result, &error);
  else
#endif
    allowed =
      choir_authority_check_finish (CHOIR_AUTHORITY (object), result, &taken->fixture->uid, &error);

  finish (taken->fixture, taken->invocation, allowed, error);
}

static void
method_cb (GDBusConnection *connection,
           const char *sender,
           const char *path,
           const char *interface,
           const char *method,
           GVariant *parameters,
           GDBusMethodInvocation *invocation,
           gpointer user_data)
{
  Fixture *f = user_data;
  Taken *taken = g_new0 (Taken, 1);
  const char *target;

  taken->fixture = f;
  taken->invocation = invocation;
  f->n_taken++;
  g_variant_get (parameters, "(&s)", &target);

#ifdef HAVE_POLKIT
  if (f->asker != NULL)
    {
      choir_asker_ask_async (f->asker, invocation, STRANGER, "org.choir.Choir1.message", target,
                             f->cancellable, checked_cb, taken);
      return;
    }
#endif

  choir_authority_check_async (f->authority, invocation, CHOIR_ADMIN_MANAGE_USERS,
                               *target != '\0' ? target : NULL, f->cancellable, checked_cb, taken);
}

static const GDBusInterfaceVTable vtable = { .method_call = method_cb };

static void
fixture_setup (Fixture *f, gconstpointer bus)
{
  g_autoptr (GDBusNodeInfo) node = NULL;
  g_autoptr (GError) error = NULL;

  f->bus = private_bus_new ();
  f->service = private_bus_connect (f->bus, geteuid ());
  f->root = private_bus_connect (f->bus, geteuid ());
  f->stranger = private_bus_connect (f->bus, geteuid () == 0 ? STRANGER : geteuid ());
  f->polkit = fake_polkit_new (private_bus_connect (f->bus, geteuid ()));
  f->authority = choir_authority_new ((ChoirBusChoice) GPOINTER_TO_INT (bus));
  f->cancellable = g_cancellable_new ();

  node = g_dbus_node_info_new_for_xml (introspection, &error);
  g_assert_no_error (error);
  f->object_id = g_dbus_connection_register_object (f->service, "/org/choir/Test",
                                                    node->interfaces[0], &vtable, f, NULL, &error);
  g_assert_no_error (error);

  g_assert_cmpint (pipe2 (f->log, O_CLOEXEC | O_NONBLOCK), ==, 0);
  choir_log_set_output (f->log[1], NULL);
}

static void
fixture_teardown (Fixture *f, gconstpointer bus)
{
  choir_log_set_output (-1, NULL);
  close (f->log[0]);
  close (f->log[1]);

#ifdef HAVE_POLKIT
  g_clear_object (&f->asker);
#endif
  g_dbus_connection_unregister_object (f->service, f->object_id);
  g_clear_object (&f->authority);
  g_clear_object (&f->cancellable);
  fake_polkit_free (f->polkit);
  g_clear_object (&f->stranger);
  g_clear_object (&f->root);
  g_clear_object (&f->service);
  private_bus_free (f->bus);
}

typedef struct
{
  gboolean done;
  char *error; /* (owned) (nullable): its name on the bus */
} Call;

static void
called_cb (GObject *object, GAsyncResult *result, gpointer user_data)
{
  Call *call = user_data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) answer = NULL;

  answer = g_dbus_connection_call_finish (G_DBUS_CONNECTION (object), result, &error);
  if (answer == NULL)
    {
      g_test_message ("%s", error->message);
      call->error = g_dbus_error_get_remote_error (error);
    }
  call->done = TRUE;
}

static void
call_begin (Fixture *f,
            Call *call,
            GDBusConnection *caller,
            const char *target,
            GDBusCallFlags flags)
{
  call->done = FALSE;
  call->error = NULL;
  g_dbus_connection_call (caller, g_dbus_connection_get_unique_name (f->service), "/org/choir/Test",
                          "org.choir.Test", "Do", g_variant_new ("(s)", target), NULL, flags, -1,
                          NULL, called_cb, call);
}

#define wait_until(condition)                                                                      \
  while (!(condition))                                                                             \
  g_main_context_iteration (NULL, TRUE)

/* @error: (nullable): what it comes to; %NULL: it is done */
static void
call_end (Call *call, const char *error)
{
  g_autofree char *name = NULL;

  wait_until (call->done);
  name = g_steal_pointer (&call->error);
  g_assert_cmpstr (name, ==, error);
}

static void
check (Fixture *f, GDBusConnection *caller, GDBusCallFlags flags, const char *error)
{
  Call call;

  call_begin (f, &call, caller, "alice", flags);
  call_end (&call, error);
}

/* How often the log says it */
static guint
count_logged (Fixture *f, const char *words)
{
  static char buffer[65536];
  const gssize n = read (f->log[0], buffer, sizeof buffer - 1);
  guint count = 0;

  buffer[MAX (n, 0)] = '\0';
  for (const char *found = buffer; (found = strstr (found, words)) != NULL; found++)
    count++;

  return count;
}

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

#ifdef HAVE_POLKIT

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

#else

static void
test_root_only (Fixture *f, gconstpointer data)
{
  fake_polkit_own_name (f->polkit);
  f->polkit->authorized = TRUE;
  check (f, f->stranger, INTERACTIVE, ACCESS_DENIED);
  g_assert_cmpuint (f->polkit->n_asked, ==, 0);
}

#endif /* HAVE_POLKIT */

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
#ifdef HAVE_POLKIT
  add ("/authority/polkit/answers", CHOIR_BUS_SYSTEM, test_answers);
  add ("/authority/polkit/target", CHOIR_BUS_SYSTEM, test_target);
  add ("/authority/polkit/missing", CHOIR_BUS_SYSTEM, test_missing);
  add ("/authority/polkit/dies", CHOIR_BUS_SYSTEM, test_dies);
  add ("/authority/polkit/slow", CHOIR_BUS_SYSTEM, test_slow);
  add ("/authority/polkit/caller-leaves", CHOIR_BUS_SYSTEM, test_caller_leaves);
  add ("/authority/polkit/cancelled", CHOIR_BUS_SYSTEM, test_cancelled);
  add ("/authority/polkit/cancelled-early", CHOIR_BUS_SYSTEM, test_cancelled_early);
  add ("/authority/polkit/user-limit", CHOIR_BUS_SYSTEM, test_user_limit);
  add ("/authority/polkit/timeouts", CHOIR_BUS_SYSTEM, test_timeouts);
#else
  add ("/authority/root-only", CHOIR_BUS_SYSTEM, test_root_only);
#endif

  return g_test_run ();
}
