/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-http-server.h"
#include "fake-link.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct
{
  FakeHub *hub;
  ChoirReactor *reactor;
  ChoirGateway *gateway;
  ChoirHttpServer *http;
} Fixture;

static void
set_up (Fixture *self, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  self->hub = data != NULL && strstr (data, "users=store") != NULL ? fake_hub_new_with_users (data)
                                                                   : fake_hub_new (data);
  self->reactor = choir_reactor_new (NULL, &error);
  self->gateway = choir_gateway_new (self->hub->config, self->hub->hub, self->reactor,
                                     self->hub->counters, &error);
  g_assert_no_error (error);
  self->gateway->ready = TRUE;
  self->http = choir_http_server_new (self->gateway);
}

static void
tear_down (Fixture *self, gconstpointer data)
{
  fake_hub_iterate ();
  g_assert_cmpuint (choir_http_server_get_n_peers (self->http), ==, 0);
  choir_http_server_free (self->http);
  fake_hub_iterate ();
  g_assert_cmpuint (choir_admission_get_total (self->gateway->admission), ==, 0);
  choir_gateway_free (self->gateway);
  choir_reactor_free (self->reactor);
  fake_hub_free (self->hub);
}

/* A connection as the listener hands it over */
static int
dial (Fixture *self)
{
  g_autoptr (GSocketConnection) stream = NULL;
  g_autoptr (GSocket) socket = NULL;
  ChoirAddress peer;
  gboolean counted;
  int pair[2];

  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), ==, 0);
  g_assert_true (choir_address_parse ("192.0.2.1", &peer));
  g_assert_cmpint (choir_gateway_admit (self->gateway, &peer, &counted), ==, CHOIR_ADMISSION_OK);
  socket = g_socket_new_from_fd (pair[0], NULL);
  stream = g_socket_connection_factory_create_connection (socket);
  choir_http_server_take (self->http, G_IO_STREAM (stream), pair[0], &peer, &peer);

  return pair[1];
}

/* What was answered until the connection ended, or until @text has come */
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
      else if (n == 0 || errno != EAGAIN)
        break;
    }

  return g_string_free (g_steal_pointer (&got), FALSE);
}

static char *
ask (Fixture *self, const char *request)
{
  int fd = dial (self);
  char *answer;

  g_assert_cmpint (send (fd, request, strlen (request), MSG_NOSIGNAL), ==, strlen (request));
  answer = wait_for (fd, NULL);
  close (fd);

  return answer;
}

#define HOST "Host: here\r\n"
#define UPGRADE                                                                                    \
  "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"   \
  "Sec-WebSocket-Version: 13\r\n"

static void
test_answers (Fixture *self, gconstpointer data)
{
  static const struct
  {
    const char *request;
    guint status;
    const char *part;
  } rows[] = {
    { "GET /healthz HTTP/1.1\r\n" HOST "\r\n", 200, "{\"status\":\"ok\"}" },
    { "GET /readyz HTTP/1.1\r\n" HOST "\r\n", 200, "ready" },
    { "GET /metrics HTTP/1.1\r\n" HOST "\r\n", 200, "# EOF\n" },
    { "GET /ws/config HTTP/1.1\r\n" HOST "\r\n", 200, "\"max_connections_per_user\":5" },
    { "GET /ws/config HTTP/1.1\r\n" HOST "\r\n", 200, "\"max_message_rate\":60" },
    { "GET /ws/config HTTP/1.1\r\n" HOST "Origin: http://localhost:1\r\n\r\n", 200,
      "Access-Control-Allow-Origin: http://localhost:1" },
    { "GET / HTTP/1.1\r\n" HOST "\r\n", 404, "NOT_FOUND" },
    { "GET /nothing HTTP/1.1\r\n" HOST "\r\n", 404, "application/problem+json" },
    { "POST /healthz HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n", 405, "Allow: GET" },
    { "DELETE /ws HTTP/1.1\r\n" HOST "\r\n", 405, "Allow: GET" },
    { "OPTIONS /ws/config HTTP/1.1\r\n" HOST "\r\n", 204, "" },
    { "GET /ws HTTP/1.1\r\n" HOST "\r\n", 426, "Upgrade: websocket" },
    { "GET /ws?token=bad HTTP/1.1\r\n" HOST "\r\n", 401, "WWW-Authenticate: Bearer" },
    { "GET /ws?token=bad HTTP/1.1\r\n" HOST UPGRADE "\r\n", 401, "Invalid token" },
    { "GET /ws?dialect=netra-spec HTTP/1.1\r\n" HOST UPGRADE "\r\n", 401,
      "Missing authentication" },
    { "GET /ws HTTP/1.1\r\n" HOST "Origin: https://evil.example\r\n" UPGRADE "\r\n", 403,
      "Origin not allowed" },
    { "GET /ws HTTP/1.1\r\n" HOST "Upgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 8\r\n\r\n",
      426, "Sec-WebSocket-Version: 13" },
    { "GET /ws HTTP/1.1\r\n" HOST "Upgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Key: short\r\nSec-WebSocket-Version: 13\r\n\r\n",
      400, "handshake" },
    { "GET /ws HTTP/1.1\r\n" HOST "Upgrade: websocket\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
      400, "handshake" },
    { "GET /healthz HTTP/1.1\r\n" HOST HOST "\r\n", 400, "Host" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autofree char *answer = NULL;
      g_autofree char *line = g_strdup_printf ("HTTP/1.1 %u ", rows[i].status);

      g_test_message ("%s", rows[i].request);
      answer = ask (self, rows[i].request);
      if (!g_str_has_prefix (answer, line) || strstr (answer, rows[i].part) == NULL)
        g_error ("%u and %s were expected, this came: %s", rows[i].status, rows[i].part, answer);
    }
}

/* A body nobody wants is read no further than its bound */
static void
test_body (Fixture *self, gconstpointer data)
{
  static const char head[] = "POST /healthz HTTP/1.1\r\n" HOST "Content-Length: 1000000\r\n\r\n";
  g_autofree char *filler = g_strnfill (4096, 'x');
  gsize sent = 0;
  int fd = dial (self);

  g_assert_cmpint (send (fd, head, strlen (head), 0), ==, strlen (head));
  while (sent < 1000000)
    {
      gssize n = send (fd, filler, 4096, MSG_NOSIGNAL | MSG_DONTWAIT);

      if (n < 0 && errno != EAGAIN)
        break;
      sent += MAX (n, 0);
      g_main_context_iteration (NULL, FALSE);
    }
  g_assert_cmpuint (sent, <, 1000000);
  close (fd);
}

static void
test_not_ready (Fixture *self, gconstpointer data)
{
  g_autofree char *starting = NULL;
  g_autofree char *draining = NULL;

  self->gateway->ready = FALSE;
  starting = ask (self, "GET /readyz HTTP/1.1\r\n" HOST "\r\n");
  g_assert_true (g_str_has_prefix (starting, "HTTP/1.1 503 "));
  g_assert_nonnull (strstr (starting, "Retry-After: 1\r\n"));
  self->gateway->ready = TRUE;
  choir_hub_shutdown (self->hub->hub);
  draining = ask (self, "GET /readyz HTTP/1.1\r\n" HOST "\r\n");
  g_assert_nonnull (strstr (draining, "Draining"));
}

static void
test_upgrade (Fixture *self, gconstpointer data)
{
  /* the first frame came with the head */
  static const char request[] =
    "GET /ws HTTP/1.1\r\n" HOST UPGRADE "\r\n\x81\x8f\0\0\0\0{\"type\":\"ping\"}";
  int fd = dial (self);
  g_autofree char *answer = NULL;

  g_assert_cmpint (send (fd, request, sizeof request - 1, 0), ==, sizeof request - 1);
  answer = wait_for (fd, "\"pong\"");
  g_assert_true (g_str_has_prefix (answer, "HTTP/1.1 101 "));
  g_assert_nonnull (strstr (answer, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
  g_assert_cmpuint (choir_hub_get_n_sessions (self->hub->hub), ==, 1);
  fake_hub_iterate ();
  g_assert_cmpuint (choir_http_server_get_n_peers (self->http), ==, 0);
  /* its place in the admission went with it */
  g_assert_cmpuint (choir_admission_get_total (self->gateway->admission), ==, 1);
  close (fd);
}

/* The token has to be looked at elsewhere: the request waits, and the client may go meanwhile */
static void
test_slow_decision (Fixture *self, gconstpointer data)
{
  g_autofree char *alice = fake_hub_mint (self->hub, "alice", NULL);
  g_autofree char *eve = fake_hub_mint (self->hub, "eve", NULL);
  const char *tokens[] = { alice, eve };

  choir_directory_memory_set (self->hub->users, "alice", TRUE);
  for (guint i = 0; i < 2; i++)
    {
      g_autofree char *request =
        g_strdup_printf ("GET /ws?token=%s HTTP/1.1\r\n" HOST UPGRADE "\r\n", tokens[i]);
      g_autofree char *answer = NULL;
      int fd = dial (self);

      g_assert_cmpint (send (fd, request, strlen (request), 0), ==, strlen (request));
      answer = wait_for (fd, "\r\n\r\n");
      g_assert_true (g_str_has_prefix (answer, i == 0 ? "HTTP/1.1 101 " : "HTTP/1.1 401 "));
      close (fd);
      fake_hub_iterate ();

      fd = dial (self);
      g_assert_cmpint (send (fd, request, strlen (request), 0), ==, strlen (request));
      close (fd);
      fake_hub_iterate ();
    }
}

static void
test_deadline (Fixture *self, gconstpointer data)
{
  int fd = dial (self);

  g_assert_cmpint (send (fd, "GET /he", 7, 0), ==, 7);
  fake_hub_iterate ();
  fake_hub_advance (self->hub, 1900 * 1000);
  fake_hub_iterate ();
  g_assert_cmpuint (choir_http_server_get_n_peers (self->http), ==, 1);
  fake_hub_advance (self->hub, 200 * 1000);
  g_free (wait_for (fd, NULL));
  fake_hub_iterate ();
  g_assert_cmpuint (choir_http_server_get_n_peers (self->http), ==, 0);
  close (fd);
}

static void
test_close_all (Fixture *self, gconstpointer data)
{
  int fd = dial (self);

  fake_hub_iterate ();
  choir_http_server_close_all (self->http);
  g_free (wait_for (fd, NULL));
  close (fd);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

#define ADD(name, settings, func)                                                                  \
  g_test_add ("/http/" name, Fixture, settings, set_up, func, tear_down)
  ADD ("answers", NULL, test_answers);
  ADD ("body", NULL, test_body);
  ADD ("not-ready", NULL, test_not_ready);
  ADD ("upgrade", NULL, test_upgrade);
  ADD ("slow-decision", "[auth]\nusers=store\n", test_slow_decision);
  ADD ("deadline", "[server]\nhandshake-timeout=2s\n", test_deadline);
  ADD ("close-all", NULL, test_close_all);

  return g_test_run ();
}
