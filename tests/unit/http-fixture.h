/* http-fixture.h: an HTTP server on a hub without sockets, and a client that talks to it
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

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
  char *token; /* (owned): of a back end */
} Fixture;

static void
set_up (Fixture *self, gconstpointer settings)
{
  /* all come from one address, at one time */
  g_autofree char *all = g_strconcat ("connect-per-address=60000/1s\n", settings, NULL);
  g_autoptr (GError) error = NULL;

  self->hub =
    strstr (all, "users=store") != NULL ? fake_hub_new_with_users (all) : fake_hub_new (all);
  self->reactor = choir_reactor_new (NULL, &error);
  self->gateway = choir_gateway_new (self->hub->config, self->hub->hub, self->reactor,
                                     self->hub->counters, &error);
  g_assert_no_error (error);
  self->gateway->ready = TRUE;
  self->http = choir_http_server_new (self->gateway);
  self->token = fake_hub_mint (self->hub, "backend", "\"roles\":[\"service\"]");
}

static void
tear_down (Fixture *self, gconstpointer settings)
{
  fake_hub_iterate ();
  g_assert_cmpuint (choir_http_server_get_n_requests (self->http), ==, 0);
  g_assert_cmpuint (choir_http_server_get_n_peers (self->http), ==, 0);
  choir_http_server_free (self->http);
  fake_hub_iterate ();
  g_assert_cmpuint (choir_admission_get_total (self->gateway->admission), ==, 0);
  g_assert_cmpuint (choir_document_table_get_n_open (choir_hub_get_documents (self->hub->hub)), ==,
                    0);
  choir_gateway_free (self->gateway);
  choir_reactor_free (self->reactor);
  fake_hub_free (self->hub);
  g_free (self->token);
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
  choir_http_server_take (self->http, G_IO_STREAM (stream), pair[0], &peer, counted ? &peer : NULL);

  return pair[1];
}

/* One request on its way, and what has been answered */
typedef struct
{
  int fd;
  GString *out; /* (owned) */
  gsize sent;
  GString *in; /* (owned) */
  gboolean ended;
} Call;

/* @out: (transfer full) */
static Call *
call_new (Fixture *self, GString *out)
{
  Call *call = g_new0 (Call, 1);

  call->fd = dial (self);
  call->out = out;
  call->in = g_string_new (NULL);

  return call;
}

static void
call_free (Call *self)
{
  close (self->fd);
  g_string_free (self->out, TRUE);
  g_string_free (self->in, TRUE);
  g_free (self);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Call, call_free)

static inline void
call_turn (Call *self)
{
  char buffer[16 * 1024];
  gssize n;

  if (self->sent < self->out->len)
    {
      n = send (self->fd, self->out->str + self->sent, self->out->len - self->sent,
                MSG_NOSIGNAL | MSG_DONTWAIT);
      self->sent += n > 0 ? (gsize) n : 0;
      if (n < 0 && errno != EAGAIN)
        self->sent = self->out->len;
    }

  g_main_context_iteration (NULL, FALSE);
  n = recv (self->fd, buffer, sizeof buffer, MSG_DONTWAIT);
  if (n > 0)
    g_string_append_len (self->in, buffer, n);
  else if (n == 0 || errno != EAGAIN)
    self->ended = TRUE;
}

static inline void
call_wait (Call *self)
{
  while (!self->ended)
    call_turn (self);
}

/* Until that much of the answer, or all of the request, is through */
static inline void
call_wait_for (Call *self, const char *text)
{
  while (strstr (self->in->str, text) == NULL)
    {
      g_assert_false (self->ended);
      call_turn (self);
    }
}

/* (transfer full): @headers: lines with their ends; @body: (nullable): with its length */
static inline GString *
make_request (const char *method, const char *target, const char *token, const char *headers)
{
  GString *out = g_string_new (NULL);

  g_string_append_printf (out, "%s %s HTTP/1.1\r\nHost: here\r\n", method, target);
  if (token != NULL)
    g_string_append_printf (out, "Authorization: Bearer %s\r\n", token);
  if (headers != NULL)
    g_string_append (out, headers);

  return out;
}

static inline void
add_body (GString *out, const char *body, gsize len)
{
  if (body != NULL)
    g_string_append_printf (out, "Content-Length: %" G_GSIZE_FORMAT "\r\n", len);
  g_string_append (out, "\r\n");
  if (body != NULL)
    g_string_append_len (out, body, (gssize) len);
}

/* The whole of an answer */
typedef struct
{
  guint status;
  char *head; /* (owned): with the empty line */
  char *body; /* (owned) */
  gsize len;
} Answer;

static inline void
answer_clear (Answer *self)
{
  g_free (self->head);
  g_free (self->body);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Answer, answer_clear)

static inline Answer
read_answer (const Call *call)
{
  const char *end = strstr (call->in->str, "\r\n\r\n");
  Answer answer;

  if (end == NULL || !g_str_has_prefix (call->in->str, "HTTP/1.1 "))
    g_error ("no answer: %s", call->in->str);

  answer.status = (guint) g_ascii_strtoull (call->in->str + 9, NULL, 10);
  answer.head = g_strndup (call->in->str, (gsize) (end + 4 - call->in->str));
  answer.len = call->in->len - strlen (answer.head);
  answer.body = g_memdup2 (end + 4, answer.len + 1);

  return answer;
}

static inline Answer
ask_raw (Fixture *self, GString *out)
{
  g_autoptr (Call) call = call_new (self, out);

  call_wait (call);

  return read_answer (call);
}

static inline Answer
ask_as (Fixture *self,
        const char *token,
        const char *method,
        const char *target,
        const char *headers,
        const char *body)
{
  GString *out = make_request (method, target, token, headers);

  add_body (out, body, body != NULL ? strlen (body) : 0);

  return ask_raw (self, out);
}

static inline Answer
ask (Fixture *self, const char *method, const char *target, const char *headers, const char *body)
{
  return ask_as (self, self->token, method, target, headers, body);
}

/* (transfer full) (nullable) */
static inline char *
get_header (const Answer *answer, const char *name)
{
  g_autofree char *start = g_strdup_printf ("\r\n%s: ", name);
  const char *found = strstr (answer->head, start);

  if (found == NULL)
    return NULL;

  found += strlen (start);

  return g_strndup (found, strcspn (found, "\r"));
}

static inline void
expect_status (const Answer *answer, guint status)
{
  if (answer->status != status)
    g_error ("%u was expected, this came: %s%.400s", status, answer->head, answer->body);
}

static inline void
expect_member (const Answer *answer, const char *path, const char *expected)
{
  g_autofree char *found = fake_link_read (answer->body, path);

  if (g_strcmp0 (found, expected) != 0)
    g_error ("%s is %s, not %s, in %.400s", path, found, expected, answer->body);
}

static inline void
expect_header (const Answer *answer, const char *name, const char *expected)
{
  g_autofree char *found = get_header (answer, name);

  if (g_strcmp0 (found, expected) != 0)
    g_error ("%s is %s, not %s, in %s", name, found, expected, answer->head);
}

static inline void
expect_problem (const Answer *answer, guint status, const char *code)
{
  expect_status (answer, status);
  expect_header (answer, "Content-Type", "application/problem+json");
  expect_header (answer, "Cache-Control", "no-store");
  expect_header (answer, "Connection", "close");
  expect_member (answer, "code", code);
}

#define JSON "Content-Type: application/json\r\n"
#define TEXT "Content-Type: text/plain; charset=utf-8\r\n"

static inline void
put (Fixture *self, const char *target, const char *text)
{
  g_auto (Answer) answer = ask (self, "PUT", target, TEXT, text);

  expect_status (&answer, 201);
}

static inline void
post (Fixture *self, const char *target, const char *change, const char *version)
{
  g_auto (Answer) answer = ask (self, "POST", target, JSON, change);

  expect_status (&answer, 200);
  expect_member (&answer, "version", version);
}

static inline void
expect_text (Fixture *self, const char *target, const char *text)
{
  g_auto (Answer) answer = ask (self, "GET", target, "Accept: text/plain\r\n", NULL);

  expect_status (&answer, 200);
  expect_header (&answer, "Content-Type", "text/plain; charset=utf-8");
  g_assert_cmpstr (answer.body, ==, text);
}

static inline char *
get_etag (Fixture *self, const char *target)
{
  g_auto (Answer) answer = ask (self, "HEAD", target, NULL, NULL);

  expect_status (&answer, 200);
  g_assert_cmpuint (answer.len, ==, 0);

  return get_header (&answer, "ETag");
}

/* (transfer full): a request's header line */
static inline char *
line (const char *name, const char *value)
{
  return g_strdup_printf ("%s: %s\r\n", name, value);
}
