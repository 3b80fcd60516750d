/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-clock.h"
#include "choir-listener-private.h"
#include "fake-link.h"

#include <errno.h>
#include <glib/gstdio.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define SECOND ((gint64) G_USEC_PER_SEC)
#define UPGRADE(path)                                                                              \
  "GET " path " HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"           \
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
/* RFC 6455 1.3 */
#define ACCEPT "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

typedef struct
{
  FakeHub *hub;
  ChoirReactor *reactor;
  ChoirGateway *gateway;
  ChoirHttpServer *http;
  ChoirListener *listener;
  char *directory;
  int port;
} Fixture;

static void
iterate (void)
{
  while (g_main_context_iteration (NULL, FALSE))
    continue;
}

static void
open_listener (Fixture *self)
{
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) addresses = NULL;

  choir_listener_open (self->listener, &error);
  g_assert_no_error (error);
  addresses = choir_listener_dup_addresses (self->listener);
  if (g_str_has_prefix (addresses[0], "127."))
    self->port = atoi (strrchr (addresses[0], ':') + 1);
}

static void
make_certificate (const char *directory)
{
  g_autofree char *certificate = g_build_filename (directory, "cert.pem", NULL);
  g_autofree char *key = g_build_filename (directory, "key.pem", NULL);
  const char *command[] = { "openssl",
                            "req",
                            "-x509",
                            "-newkey",
                            "ec",
                            "-pkeyopt",
                            "ec_paramgen_curve:P-256",
                            "-nodes",
                            "-subj",
                            "/CN=localhost",
                            "-days",
                            "2",
                            "-keyout",
                            key,
                            "-out",
                            certificate,
                            NULL };
  g_autoptr (GError) error = NULL;
  int status = -1;

  g_spawn_sync (NULL, (char **) command, NULL, G_SPAWN_SEARCH_PATH | G_SPAWN_STDERR_TO_DEV_NULL,
                NULL, NULL, NULL, NULL, &status, &error);
  g_assert_no_error (error);
  g_assert_cmpint (status, ==, 0);
}

/* @data: more keys of [server]; "%D" in it stands for a directory with a certificate */
static void
set_up_without_opening (Fixture *self, gconstpointer data)
{
  g_autoptr (GString) settings = g_string_new ("[server]\n");
  g_autoptr (GError) error = NULL;

  if (data == NULL || strstr (data, "listen=") == NULL)
    g_string_append (settings, "listen=127.0.0.1:0\n");
  if (data != NULL)
    g_string_append (settings, data);

  self->directory = g_dir_make_tmp ("choir-listener-XXXXXX", NULL);
  if (g_string_replace (settings, "%D", self->directory, 0) > 0)
    make_certificate (self->directory);

  self->hub = fake_hub_new (settings->str);
  self->reactor = choir_reactor_new (NULL, &error);
  g_assert_no_error (error);
  self->gateway = choir_gateway_new (self->hub->config, self->hub->hub, self->reactor,
                                     self->hub->counters, &error);
  g_assert_no_error (error);
  self->gateway->ready = TRUE;
  self->http = choir_http_server_new (self->gateway);
  self->listener = choir_listener_new (self->gateway, self->http);
}

static void
set_up (Fixture *self, gconstpointer data)
{
  set_up_without_opening (self, data);
  open_listener (self);
}

static void
tear_down (Fixture *self, gconstpointer data)
{
  /* every client has gone */
  iterate ();
  fake_hub_advance (self->hub, 20 * SECOND);
  iterate ();
  g_assert_cmpuint (choir_hub_get_n_sessions (self->hub->hub), ==, 0);
  g_assert_cmpuint (choir_http_server_get_n_peers (self->http), ==, 0);
  g_assert_cmpuint (choir_admission_get_total (self->gateway->admission), ==, 0);
  choir_listener_free (self->listener);
  choir_http_server_free (self->http);
  iterate ();
  choir_gateway_free (self->gateway);
  choir_reactor_free (self->reactor);
  fake_hub_free (self->hub);

  for (guint i = 0; i < 2; i++)
    {
      g_autofree char *file =
        g_build_filename (self->directory, i == 0 ? "cert.pem" : "key.pem", NULL);

      g_unlink (file);
    }
  g_assert_cmpint (g_rmdir (self->directory), ==, 0);
  g_free (self->directory);
}

static int
dial (Fixture *self)
{
  struct sockaddr_in address = {
    .sin_family = AF_INET,
    .sin_port = htons (self->port),
    .sin_addr.s_addr = htonl (INADDR_LOOPBACK),
  };
  int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

  g_assert_cmpint (fd, >=, 0);
  g_assert_cmpint (connect (fd, (struct sockaddr *) &address, sizeof address), ==, 0);

  return fd;
}

static void
say (int fd, const char *text)
{
  g_assert_cmpint (send (fd, text, strlen (text), MSG_NOSIGNAL), ==, strlen (text));
}

/* Runs the loop until @text has come, or the end, which is noted as "<end>" */
static char *
wait_for (int fd, const char *text)
{
  g_autoptr (GString) got = g_string_new (NULL);

  while (text == NULL || memmem (got->str, got->len, text, strlen (text)) == NULL)
    {
      char buffer[4096];
      gssize n;

      g_main_context_iteration (NULL, FALSE);
      n = recv (fd, buffer, sizeof buffer, MSG_DONTWAIT);
      if (n > 0)
        g_string_append_len (got, buffer, n);
      else if (n == 0 || errno == ECONNRESET)
        {
          g_string_append (got, "<end>");
          break;
        }
    }

  return g_string_free (g_steal_pointer (&got), FALSE);
}

static void
expect (int fd, const char *text)
{
  g_autofree char *got = wait_for (fd, text);

  /* what has come may hold NULs; only the end comes without it */
  if (g_str_has_suffix (got, "<end>") && strstr (got, text) == NULL)
    g_assert_cmpstr (got, ==, text);
}

static void
test_fast_handshake (Fixture *self, gconstpointer data)
{
  g_autofree char *token = fake_hub_mint (self->hub, "alice", NULL);
  g_autofree char *head =
    g_strdup_printf (UPGRADE ("/ws?token=%s") "Sec-WebSocket-Protocol: choir.v1\r\n\r\n", token);
  int fd = dial (self);
  g_autofree char *answer = NULL;

  say (fd, head);
  answer = wait_for (fd, "\r\n\r\n");
  g_assert_true (g_str_has_prefix (answer, "HTTP/1.1 101 "));
  g_assert_nonnull (strstr (answer, ACCEPT));
  g_assert_nonnull (strstr (answer, "Sec-WebSocket-Protocol: choir.v1\r\n"));
  g_assert_cmpuint (choir_hub_get_n_sessions (self->hub->hub), ==, 1);
  g_assert_cmpstr (choir_session_get_user_id (choir_hub_get_session (self->hub->hub, 0)), ==,
                   "alice");
  /* libsoup has seen nothing of it */
  g_assert_cmpuint (choir_http_server_get_n_peers (self->http), ==, 0);
  g_assert_cmpuint (choir_admission_get_total (self->gateway->admission), ==, 1);
  close (fd);
}

/* In pieces, and with the first frame behind it in the same segment */
static void
test_pieces (Fixture *self, gconstpointer data)
{
  static const char head[] = UPGRADE ("/ws") "\r\n";
  /* a masked ping message: mask 0 */
  static const char frame[] = "\x81\x8f\0\0\0\0{\"type\":\"ping\"}";
  int fd = dial (self);

  for (const char *p = head; p[1] != '\0'; p++)
    {
      g_assert_cmpint (send (fd, p, 1, 0), ==, 1);
      if ((p - head) % 16 == 0)
        iterate ();
    }
  {
    char last[1 + sizeof frame - 1];

    last[0] = head[sizeof head - 2];
    memcpy (last + 1, frame, sizeof frame - 1);
    g_assert_cmpint (send (fd, last, sizeof last, 0), ==, sizeof last);
  }
  g_free (wait_for (fd, "\"pong\""));
  g_assert_cmpuint (choir_hub_get_n_sessions (self->hub->hub), ==, 1);
  g_assert_cmpuint (choir_session_get_n_received (choir_hub_get_session (self->hub->hub, 0)), ==,
                    1);
  close (fd);
}

static void
test_refused (Fixture *self, gconstpointer data)
{
  int fd = dial (self);

  say (fd, UPGRADE ("/ws?token=bad") "\r\n");
  expect (fd, "HTTP/1.1 401 ");
  close (fd);

  fd = dial (self);
  say (fd, UPGRADE ("/ws?dialect=netra&token=bad") "\r\n");
  expect (fd, "Authentication failed");
  close (fd);

  fd = dial (self);
  say (fd, UPGRADE ("/nothing") "\r\n");
  expect (fd, "HTTP/1.1 404 ");
  close (fd);
}

static void
test_plain_http (Fixture *self, gconstpointer data)
{
  int fd = dial (self);

  say (fd, "GET /healthz HTTP/1.1\r\nHost: here\r\n\r\n");
  expect (fd, "{\"status\":\"ok\"}");
  expect (fd, "<end>");
  close (fd);

  fd = dial (self);
  say (fd, "GET /ws/config HTTP/1.1\r\nHost: here\r\n\r\n");
  expect (fd, "\"websocket_config\"");
  close (fd);

  /* an address of ours without a handshake */
  fd = dial (self);
  say (fd, "GET /ws HTTP/1.1\r\nHost: here\r\n\r\n");
  expect (fd, "HTTP/1.1 426 ");
  close (fd);
}

static void
test_silent (Fixture *self, gconstpointer data)
{
  int silent = dial (self);
  int partial = dial (self);

  say (partial, "GET /ws HTTP/1.1\r\nHost: he");
  iterate ();
  fake_hub_advance (self->hub, 1900 * 1000);
  iterate ();
  g_assert_cmpuint (choir_admission_get_total (self->gateway->admission), ==, 2);
  fake_hub_advance (self->hub, 200 * 1000);
  expect (silent, "<end>");
  g_free (wait_for (partial, NULL));
  close (silent);
  close (partial);
}

static void
test_gone (Fixture *self, gconstpointer data)
{
  int fd = dial (self);

  iterate ();
  close (fd);
  iterate ();
  fd = dial (self);
  say (fd, "GET /ws HT");
  iterate ();
  close (fd);
  iterate ();
}

/* Past the limit of an address: told so at once */
static void
test_address_limit (Fixture *self, gconstpointer data)
{
  int fds[3];

  for (guint i = 0; i < 3; i++)
    {
      fds[i] = dial (self);
      iterate ();
    }
  expect (fds[2], "HTTP/1.1 429 ");
  for (guint i = 0; i < 3; i++)
    close (fds[i]);
  iterate ();
  fds[0] = dial (self);
  say (fds[0], "GET /healthz HTTP/1.1\r\nHost: here\r\n\r\n");
  expect (fds[0], "ok");
  close (fds[0]);
}

static void
test_unix (Fixture *self, gconstpointer data)
{
  g_autofree char *path = g_build_filename (self->directory, "socket", NULL);
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  g_autoptr (GError) error = NULL;
  int fd = socket (AF_UNIX, SOCK_STREAM, 0);

  /* one that a process which died has left is replaced */
  g_strlcpy (address.sun_path, path, sizeof address.sun_path);
  g_assert_cmpint (bind (fd, (struct sockaddr *) &address, sizeof address), ==, 0);
  close (fd);

  open_listener (self);
  fd = socket (AF_UNIX, SOCK_STREAM, 0);
  g_assert_cmpint (connect (fd, (struct sockaddr *) &address, sizeof address), ==, 0);
  say (fd, UPGRADE ("/ws") "\r\n");
  expect (fd, "connection.established");
  {
    ChoirSession *session = choir_hub_get_session (self->hub->hub, 0);
    g_autofree char *name = choir_link_dup_address (choir_session_get_link (session));

    g_assert_cmpstr (name, ==, "unix");
  }
  close (fd);

  /* one that somebody listens on is not */
  {
    ChoirListener *second = choir_listener_new (self->gateway, self->http);

    g_assert_false (choir_listener_open (second, &error));
    g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG);
    choir_listener_free (second);
    g_assert_true (g_file_test (path, G_FILE_TEST_EXISTS));
  }

  choir_listener_stop (self->listener);
  g_assert_false (g_file_test (path, G_FILE_TEST_EXISTS));
}

static void
test_inherited (Fixture *self, gconstpointer data)
{
  struct sockaddr_in address = { .sin_family = AF_INET,
                                 .sin_addr.s_addr = htonl (INADDR_LOOPBACK) };
  g_autoptr (GError) error = NULL;
  ChoirListenSocket *listening;
  int fd = socket (AF_INET, SOCK_STREAM, 0);

  /* not listening yet */
  g_assert_cmpint (bind (fd, (struct sockaddr *) &address, sizeof address), ==, 0);
  g_assert_null (choir_listen_socket_new_for_fd (self->listener, fd, &error));
  g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG);

  fd = socket (AF_INET, SOCK_STREAM, 0);
  g_assert_cmpint (bind (fd, (struct sockaddr *) &address, sizeof address), ==, 0);
  g_assert_cmpint (listen (fd, 1), ==, 0);
  listening = choir_listen_socket_new_for_fd (self->listener, fd, NULL);
  g_assert_nonnull (listening);
  g_assert_true (g_str_has_prefix (listening->name, "127.0.0.1:"));
  choir_listen_socket_free (listening);
}

static void
test_bad_addresses (Fixture *self, gconstpointer data)
{
  static const char *const addresses[] = { "localhost:1",   "127.0.0.1",   "127.0.0.1:",
                                           "unix:relative", "999.0.0.1:1", "192.0.2.1:1" };

  for (guint i = 0; i < G_N_ELEMENTS (addresses); i++)
    {
      g_autoptr (GError) error = NULL;

      g_assert_null (choir_listen_socket_new (self->listener, addresses[i], &error));
      g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG);
      g_assert_nonnull (strstr (error->message, addresses[i]));
    }
}

/* Out of descriptors: accepting pauses and goes on by itself */
static void
test_no_descriptors (Fixture *self, gconstpointer data)
{
  struct rlimit limit, low;
  int fds[8], spare[1024];
  guint n_spare = 0;

  if (!g_test_subprocess ())
    {
      g_test_trap_subprocess (NULL, 0, 0);
      g_test_trap_assert_passed ();
      return;
    }

  for (guint i = 0; i < G_N_ELEMENTS (fds); i++)
    fds[i] = dial (self);
  g_assert_cmpint (getrlimit (RLIMIT_NOFILE, &limit), ==, 0);
  low = limit;
  low.rlim_cur = fds[G_N_ELEMENTS (fds) - 1] + 3;
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &low), ==, 0);
  while (n_spare < G_N_ELEMENTS (spare) && (spare[n_spare] = dup (0)) >= 0)
    n_spare++;

  iterate ();
  g_assert_true (((ChoirListenSocket *) g_ptr_array_index (self->listener->sockets, 0))->paused);
  g_assert_cmpuint (choir_admission_get_total (self->gateway->admission), ==, 0);
  while (n_spare > 0)
    close (spare[--n_spare]);
  g_assert_cmpint (setrlimit (RLIMIT_NOFILE, &limit), ==, 0);
  fake_hub_advance (self->hub, 100 * 1000);
  for (guint i = 0; i < G_N_ELEMENTS (fds); i++)
    {
      say (fds[i], "GET /healthz HTTP/1.1\r\nHost: here\r\n\r\n");
      expect (fds[i], "ok");
      close (fds[i]);
    }
}

static gboolean
accept_any (GTlsConnection *tls, GTlsCertificate *peer, GTlsCertificateFlags flags, gpointer data)
{
  return TRUE;
}

static void
got_connection (GObject *source, GAsyncResult *result, gpointer user_data)
{
  GIOStream **out = user_data;
  g_autoptr (GError) error = NULL;

  *out =
    G_IO_STREAM (g_socket_client_connect_to_host_finish (G_SOCKET_CLIENT (source), result, &error));
  g_assert_no_error (error);
}

static void
on_event (GSocketClient *client,
          GSocketClientEvent event,
          GSocketConnectable *connectable,
          GIOStream *stream,
          gpointer data)
{
  if (event == G_SOCKET_CLIENT_TLS_HANDSHAKING)
    g_signal_connect (stream, "accept-certificate", G_CALLBACK (accept_any), NULL);
}

static void
run_tls (Fixture *self)
{
  g_autoptr (GSocketClient) client = g_socket_client_new ();
  g_autoptr (GIOStream) stream = NULL;
  g_autoptr (GString) got = g_string_new (NULL);
  GOutputStream *output;
  GPollableInputStream *input;
  int silent;

  open_listener (self);

  g_socket_client_set_tls (client, TRUE);
  g_signal_connect (client, "event", G_CALLBACK (on_event), NULL);
  g_socket_client_connect_to_host_async (client, "127.0.0.1", self->port, NULL, got_connection,
                                         &stream);
  while (stream == NULL)
    g_main_context_iteration (NULL, TRUE);

  output = g_io_stream_get_output_stream (stream);
  input = G_POLLABLE_INPUT_STREAM (g_io_stream_get_input_stream (stream));
  /* the first frame comes in the handshake's own record */
  g_assert_true (g_output_stream_write_all (
    output, UPGRADE ("/ws") "\r\n\x81\x8f\0\0\0\0{\"type\":\"ping\"}",
    sizeof (UPGRADE ("/ws") "\r\n\x81\x8f\0\0\0\0{\"type\":\"ping\"}") - 1, NULL, NULL, NULL));
  while (memmem (got->str, got->len, "\"pong\"", 6) == NULL)
    {
      char buffer[4096];
      gssize n;

      g_main_context_iteration (NULL, FALSE);
      n = g_pollable_input_stream_read_nonblocking (input, buffer, sizeof buffer, NULL, NULL);
      g_assert_cmpint (n, !=, 0);
      if (n > 0)
        g_string_append_len (got, buffer, n);
    }
  g_assert_nonnull (memmem (got->str, got->len, "connection.established", 22));
  g_assert_cmpuint (choir_admission_get_total (self->gateway->admission), ==, 1);

  /* one that never begins its TLS handshake */
  silent = dial (self);
  iterate ();
  g_assert_cmpuint (choir_admission_get_total (self->gateway->admission), ==, 2);
  fake_hub_advance (self->hub, 2100 * 1000);
  expect (silent, "<end>");
  close (silent);
  g_io_stream_close (stream, NULL, NULL);
  while (choir_admission_get_total (self->gateway->admission) > 0)
    g_main_context_iteration (NULL, TRUE);
}

/* In a process of its own that skips the leak checker: it crashes on what is left of the threads
 * that TLS handshakes are made in */
static void
test_tls (Fixture *self, gconstpointer data)
{
  if (!g_tls_backend_supports_tls (g_tls_backend_get_default ()))
    {
      g_test_skip ("no TLS in this GLib");
      return;
    }

  if (g_test_subprocess ())
    {
      run_tls (self);
      tear_down (self, data);
      _exit (0);
    }

  g_test_trap_subprocess (NULL, 0, 0);
  g_test_trap_assert_passed ();
}

static void
test_bad_certificate (Fixture *self, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  g_assert_false (choir_listener_configure (self->listener, &error));
  g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG);
}

static void
test_stop (Fixture *self, gconstpointer data)
{
  int silent = dial (self);
  int open = dial (self);

  say (open, UPGRADE ("/ws") "\r\n");
  expect (open, "connection.established");
  choir_listener_stop (self->listener);
  expect (silent, "<end>");
  /* who is in stays in */
  g_assert_cmpuint (choir_hub_get_n_sessions (self->hub->hub), ==, 1);
  close (open);
  close (silent);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

#define ADD(name, settings, func)                                                                  \
  g_test_add ("/listener/" name, Fixture, settings, set_up, func, tear_down)
#define ADD_CLOSED(name, settings, func)                                                           \
  g_test_add ("/listener/" name, Fixture, settings, set_up_without_opening, func, tear_down)
  ADD ("fast-handshake", "trusted-proxies=\n", test_fast_handshake);
  ADD ("pieces", NULL, test_pieces);
  ADD ("refused", NULL, test_refused);
  ADD ("plain-http", NULL, test_plain_http);
  ADD ("silent", "handshake-timeout=2s\n", test_silent);
  ADD ("gone", NULL, test_gone);
  ADD ("address-limit", "trusted-proxies=\nmax-connections-per-address=2\n", test_address_limit);
  ADD_CLOSED ("unix", "listen=unix:%D/socket\n", test_unix);
  ADD_CLOSED ("inherited", NULL, test_inherited);
  ADD_CLOSED ("bad-addresses", NULL, test_bad_addresses);
  ADD ("no-descriptors", NULL, test_no_descriptors);
  ADD_CLOSED ("tls", "handshake-timeout=2s\ntls-certificate=%D/cert.pem\ntls-key=%D/key.pem\n",
              test_tls);
  ADD_CLOSED ("tls/bad-certificate", "tls-certificate=/nonexistent.pem\ntls-key=/nonexistent.key\n",
              test_bad_certificate);
  ADD ("stop", NULL, test_stop);

  return g_test_run ();
}
