/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-admin-backlog.h"

#include <sys/socket.h>

#define BODY (256 * 1024)

/* A connection whose other end reads when it is told to */
typedef struct
{
  GDBusConnection *connection; /* (owned) */
  GSocket *reader;             /* (owned) */
  ChoirAdminBacklog *backlog;  /* (owned) */
  GVariant *body;              /* (owned) */
} Fixture;

static GSocket *
make_socket (int fd)
{
  g_autoptr (GError) error = NULL;
  GSocket *socket = g_socket_new_from_fd (fd, &error);

  g_assert_no_error (error);

  return socket;
}

static void
set_up (Fixture *fixture, gconstpointer data)
{
  g_autofree char *text = g_strnfill (BODY, 'x');
  g_autoptr (GSocketConnection) stream = NULL;
  g_autoptr (GSocket) writer = NULL;
  g_autoptr (GError) error = NULL;
  int fds[2];

  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), ==, 0);
  writer = make_socket (fds[0]);
  fixture->reader = make_socket (fds[1]);
  stream = g_socket_connection_factory_create_connection (writer);
  fixture->connection = g_dbus_connection_new_sync (
    G_IO_STREAM (stream), NULL, G_DBUS_CONNECTION_FLAGS_NONE, NULL, NULL, &error);
  g_assert_no_error (error);
  fixture->backlog = choir_admin_backlog_new (fixture->connection);
  fixture->body = g_variant_ref_sink (g_variant_new ("(s)", text));
}

static void
tear_down (Fixture *fixture, gconstpointer data)
{
  g_dbus_connection_close_sync (fixture->connection, NULL, NULL);
  /* a flush that was under way holds it */
  while (choir_admin_backlog_get (fixture->backlog) >= BODY)
    g_main_context_iteration (NULL, TRUE);
  g_variant_unref (fixture->body);
  choir_admin_backlog_unref (fixture->backlog);
  g_object_unref (fixture->reader);
  g_object_unref (fixture->connection);
}

static void
send_body (Fixture *fixture)
{
  g_autoptr (GError) error = NULL;

  g_dbus_connection_emit_signal (fixture->connection, NULL, "/", "a.b", "C", fixture->body, &error);
  g_assert_no_error (error);
}

static guint
send_signals (Fixture *fixture)
{
  guint n = 0;

  while (choir_admin_backlog_add_signal (fixture->backlog, fixture->body))
    {
      send_body (fixture);
      g_assert_cmpuint (++n, <=, CHOIR_ADMIN_SIGNALS_UNSENT_MAX / BODY + 1);
    }

  return n;
}

static guint
send_answers (Fixture *fixture)
{
  guint n = 0;

  while (choir_admin_backlog_add_answer (fixture->backlog, fixture->body))
    {
      send_body (fixture);
      g_assert_cmpuint (++n, <=, CHOIR_ADMIN_ANSWERS_UNSENT_MAX / BODY + 1);
    }

  return n;
}

static gpointer
read_all (gpointer user_data)
{
  Fixture *fixture = user_data;
  g_autofree char *buffer = g_malloc (BODY);

  while (g_socket_receive (fixture->reader, buffer, BODY, NULL, NULL) > 0)
    continue;

  return NULL;
}

static void
test_bus_that_hangs (Fixture *fixture, gconstpointer data)
{
  g_autoptr (GVariant) brief = g_variant_ref_sink (g_variant_new ("(u)", 1));
  GThread *thread;
  guint n_signals = send_signals (fixture);

  g_assert_cmpuint (n_signals, >, 0);
  g_assert_cmpuint (send_answers (fixture), >, n_signals);

  /* answers without a body are as many as there are calls */
  g_assert_true (choir_admin_backlog_add_answer (fixture->backlog, NULL));
  g_assert_true (choir_admin_backlog_add_answer (fixture->backlog, brief));
  g_assert_false (choir_admin_backlog_add_signal (fixture->backlog, brief));

  /* what was held back goes on when it reads */
  thread = g_thread_new ("reader", read_all, fixture);
  while (choir_admin_backlog_get (fixture->backlog) >= BODY)
    g_main_context_iteration (NULL, TRUE);
  g_assert_true (choir_admin_backlog_add_signal (fixture->backlog, fixture->body));
  send_body (fixture);

  g_dbus_connection_flush_sync (fixture->connection, NULL, NULL);
  g_dbus_connection_close_sync (fixture->connection, NULL, NULL);
  g_thread_join (thread);
}

static void
test_bus_that_goes (Fixture *fixture, gconstpointer data)
{
  g_assert_cmpuint (send_signals (fixture), >, 0);
  g_dbus_connection_close_sync (fixture->connection, NULL, NULL);
  while (choir_admin_backlog_get (fixture->backlog) >= BODY)
    g_main_context_iteration (NULL, TRUE);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add ("/admin-backlog/hangs", Fixture, NULL, set_up, test_bus_that_hangs, tear_down);
  g_test_add ("/admin-backlog/goes", Fixture, NULL, set_up, test_bus_that_goes, tear_down);

  return g_test_run ();
}
