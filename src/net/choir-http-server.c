/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-http-private.h"

#include "choir-clock.h"
#include "choir-container.h"
#include "choir-http-api.h"

#include <string.h>
#include <sys/socket.h>

/* A body that grows by this much has its sender's time begin anew */
#define PROGRESS_BYTES (256 * 1024)

/* (nullable): the peer may have gone already */
ChoirHttpPeer *
choir_http_find_peer (ChoirHttpServer *self, SoupServerMessage *message)
{
  GSocketAddress *address = soup_server_message_get_remote_address (message);

  return address != NULL ? g_hash_table_lookup (self->peers, address) : NULL;
}

/* libsoup sees an end of file and closes its side */
static void
cut_off (ChoirHttpPeer *peer)
{
  shutdown (peer->fd, SHUT_RDWR);
}

static void
deadline_cb (ChoirTimer *timer)
{
  cut_off (CHOIR_CONTAINER_OF (timer, ChoirHttpPeer, timer));
}

/* For whatever the client has to do next */
void
choir_http_arm_deadline (ChoirHttpPeer *peer)
{
  ChoirGateway *gateway = peer->server->gateway;

  choir_timer_wheel_arm (gateway->wheel, &peer->timer, gateway->handshake_us, deadline_cb);
}

/* For the answer, which the client takes piece by piece */
void
choir_http_await_progress (ChoirHttpServer *self, SoupServerMessage *message)
{
  ChoirHttpPeer *peer = choir_http_find_peer (self, message);

  if (peer != NULL && !peer->stolen)
    choir_http_arm_deadline (peer);
}

static void
stream_gone (gpointer data, GObject *where_the_object_was)
{
  ChoirHttpPeer *peer = data;

  choir_timer_disarm (&peer->timer);
  if (!peer->stolen)
    choir_admission_leave (peer->server->gateway->admission,
                           peer->has_admitted ? &peer->admitted : NULL);

  g_hash_table_remove (peer->server->peers, peer->key);
  g_object_unref (peer->key);
  g_free (peer);
}

/* RFC 9112 6.1 and 3.2: what a proxy before us may have read differently is not guessed at */
static const char *
find_ambiguity (SoupMessageHeaders *headers)
{
  const char *hosts = soup_message_headers_get_list (headers, "Host");
  const char *lengths = soup_message_headers_get_list (headers, "Content-Length");

  if (hosts == NULL || strchr (hosts, ',') != NULL)
    return "Exactly one Host header is needed";

  if (lengths != NULL && (strchr (lengths, ',') != NULL ||
                          soup_message_headers_get_list (headers, "Transfer-Encoding") != NULL))
    return "Content-Length and Transfer-Encoding contradict each other";

  return NULL;
}

static void
refuse_early (ChoirHttpServer *self,
              SoupServerMessage *message,
              guint status,
              ChoirError problem,
              const char *detail)
{
  choir_http_add_cors (self->gateway, message);
  choir_http_answer_problem (message, status, problem, detail, 0);
  soup_message_headers_replace (soup_server_message_get_response_headers (message), "Connection",
                                "close");
}

static void
got_headers_cb (SoupServerMessage *message, gpointer user_data)
{
  ChoirHttpServer *self = user_data;
  SoupMessageHeaders *headers = soup_server_message_get_request_headers (message);
  const char *ambiguity = find_ambiguity (headers);

  soup_message_body_set_accumulate (soup_server_message_get_request_body (message), FALSE);

  if (soup_server_message_get_status (message) != 0)
    return;

  if (ambiguity != NULL)
    refuse_early (self, message, 400, CHOIR_ERROR_INVALID_MESSAGE, ambiguity);
  else if (choir_http_api_serves (g_uri_get_path (soup_server_message_get_uri (message))))
    choir_http_api_begin (self->api, message);
  else if (choir_http_has_unread_body (message, FALSE))
    {
      refuse_early (self, message, 413, CHOIR_ERROR_TOO_LARGE, "The body is too large");
      choir_http_hang_up (self, message, FALSE);
    }
}

static void
got_chunk_cb (SoupServerMessage *message, GBytes *chunk, gpointer user_data)
{
  ChoirHttpServer *self = user_data;
  ChoirHttpPeer *peer = choir_http_find_peer (self, message);
  gsize before;

  if (peer == NULL)
    return;

  before = peer->n_body;
  peer->n_body += g_bytes_get_size (chunk);
  if (peer->n_body / PROGRESS_BYTES > before / PROGRESS_BYTES)
    choir_http_arm_deadline (peer);

  if (choir_http_api_take_chunk (message, chunk) || peer->n_body <= CHOIR_HTTP_IGNORED_BODY_MAX)
    return;

  if (soup_server_message_get_status (message) == 0)
    refuse_early (self, message, 413, CHOIR_ERROR_TOO_LARGE, "The body is too large");
  choir_http_hang_up (self, message, FALSE);
}

static void
wrote_data_cb (SoupServerMessage *message, guint n_bytes, gpointer user_data)
{
  choir_http_await_progress (user_data, message);
}

static void
request_started_cb (SoupServer *soup, SoupServerMessage *message, gpointer user_data)
{
  g_signal_connect (message, "got-headers", G_CALLBACK (got_headers_cb), user_data);
  g_signal_connect (message, "got-chunk", G_CALLBACK (got_chunk_cb), user_data);
  g_signal_connect (message, "wrote-body-data", G_CALLBACK (wrote_data_cb), user_data);
}

static void
request_read_cb (SoupServer *soup, SoupServerMessage *message, gpointer user_data)
{
  ChoirHttpPeer *peer = choir_http_find_peer (user_data, message);

  if (peer == NULL)
    return;

  /* an answer is the client's to take, and without one it is our turn */
  if (soup_server_message_get_status (message) != 0)
    choir_http_arm_deadline (peer);
  else
    choir_timer_disarm (&peer->timer);
}

static void
request_over_cb (SoupServer *soup, SoupServerMessage *message, gpointer user_data)
{
  ChoirHttpPeer *peer = choir_http_find_peer (user_data, message);

  /* the next request of a connection that is kept alive has as long as the first */
  if (peer != NULL && !peer->stolen)
    choir_http_arm_deadline (peer);
}

static gboolean
is_websocket_path (ChoirGateway *gateway, const char *path)
{
  return (g_str_has_prefix (path, "/ws") && !g_str_equal (path, "/ws/config")) ||
         g_strcmp0 (path, gateway->echo_path) == 0;
}

static void
handler_cb (SoupServer *soup,
            SoupServerMessage *message,
            const char *path,
            GHashTable *query,
            gpointer user_data)
{
  ChoirHttpServer *self = user_data;
  ChoirHttpPeer *peer = choir_http_find_peer (self, message);
  const char *method = soup_server_message_get_method (message);
  gboolean is_stream = choir_http_is_stream_path (path);

  /* the peer may be gone already */
  if (peer == NULL)
    {
      choir_http_answer_problem (message, 400, CHOIR_ERROR_INVALID_MESSAGE, "Who are you?", 0);
      return;
    }

  if (choir_http_api_serves (path))
    {
      choir_http_api_run (message);
      return;
    }

  choir_http_add_cors (self->gateway, message);
  /* libsoup keeps only those alive that its own listeners have accepted */
  soup_message_headers_replace (soup_server_message_get_response_headers (message), "Connection",
                                "close");

  if (g_str_equal (method, "OPTIONS"))
    soup_server_message_set_status (message, 204, NULL);
  else if (!g_str_equal (method, "GET") && (is_stream || !g_str_equal (method, "HEAD")))
    {
      choir_http_answer_problem (message, 405, CHOIR_ERROR_VALIDATION, "Only GET is served here",
                                 0);
      soup_message_headers_replace (soup_server_message_get_response_headers (message), "Allow",
                                    is_stream ? "GET, OPTIONS" : "GET, HEAD, OPTIONS");
    }
  else if (is_stream || is_websocket_path (self->gateway, path))
    choir_http_upgrade (self, peer, message);
  else
    choir_http_answer_get (self, message, path);
}

/**
 * choir_http_server_new:
 * @gateway: the gateway; must outlive the server
 *
 * Returns: (transfer full): a server that listens nowhere
 */
ChoirHttpServer *
choir_http_server_new (ChoirGateway *gateway)
{
  ChoirHttpServer *self = g_new0 (ChoirHttpServer, 1);

  self->gateway = gateway;
  self->peers = g_hash_table_new (g_direct_hash, g_direct_equal);
  self->api = choir_http_api_new (self);
  self->soup = soup_server_new ("raw-paths", TRUE, NULL);
  soup_server_add_handler (self->soup, NULL, handler_cb, self, NULL);
  g_signal_connect (self->soup, "request-started", G_CALLBACK (request_started_cb), self);
  g_signal_connect (self->soup, "request-read", G_CALLBACK (request_read_cb), self);
  g_signal_connect (self->soup, "request-finished", G_CALLBACK (request_over_cb), self);
  g_signal_connect (self->soup, "request-aborted", G_CALLBACK (request_over_cb), self);

  return self;
}

/**
 * choir_http_server_close_all:
 * @self: a server
 *
 * Cuts off whoever still speaks HTTP.
 */
void
choir_http_server_close_all (ChoirHttpServer *self)
{
  GHashTableIter iter;
  gpointer peer;

  soup_server_disconnect (self->soup);

  /* these it knows no longer */
  g_hash_table_iter_init (&iter, self->peers);
  while (g_hash_table_iter_next (&iter, NULL, &peer))
    if (((ChoirHttpPeer *) peer)->hung_up)
      cut_off (peer);
}

void
choir_http_server_free (ChoirHttpServer *self)
{
  GHashTableIter iter;
  gpointer peer;

  choir_http_server_close_all (self);
  g_object_unref (self->soup);
  choir_http_api_free (self->api);

  /* a request whose token is under verification still holds its stream */
  g_hash_table_iter_init (&iter, self->peers);
  while (g_hash_table_iter_next (&iter, NULL, &peer))
    {
      ChoirHttpPeer *left = peer;

      g_object_weak_unref (G_OBJECT (left->stream), stream_gone, left);
      choir_timer_disarm (&left->timer);
      g_object_unref (left->key);
      g_free (left);
    }

  g_hash_table_unref (self->peers);
  g_free (self);
}

guint
choir_http_server_get_n_peers (ChoirHttpServer *self)
{
  return g_hash_table_size (self->peers);
}

/**
 * choir_http_server_get_n_requests:
 * @self: a server
 *
 * Returns: how many requests to the API have been admitted and are not over
 */
guint
choir_http_server_get_n_requests (ChoirHttpServer *self)
{
  return choir_http_api_get_n_requests (self->api);
}

/**
 * choir_http_server_get_n_waiting:
 * @self: a server
 *
 * Returns: how many requests to the API wait for something to happen
 */
guint
choir_http_server_get_n_waiting (ChoirHttpServer *self)
{
  return choir_http_api_get_n_waiting (self->api);
}

static GSocketAddress *
make_key (const ChoirAddress *peer)
{
  char text[CHOIR_ADDRESS_TEXT_SIZE] = "127.0.0.1";

  if (peer != NULL)
    choir_address_format (peer, text);

  return g_inet_socket_address_new_from_string (text, 0);
}

/**
 * choir_http_server_take:
 * @self: a server
 * @stream: (transfer none): a connection, after its TLS handshake if it has one
 * @fd: the socket below it
 * @peer: (nullable): its address
 * @admitted: (nullable): how the admission has counted it; given back when the stream goes
 */
void
choir_http_server_take (ChoirHttpServer *self,
                        GIOStream *stream,
                        int fd,
                        const ChoirAddress *peer,
                        const ChoirAddress *admitted)
{
  ChoirHttpPeer *entry = g_new0 (ChoirHttpPeer, 1);
  g_autoptr (GSocketAddress) local = g_inet_socket_address_new_from_string ("127.0.0.1", 0);
  g_autoptr (GError) error = NULL;

  entry->server = self;
  entry->stream = stream;
  entry->fd = fd;
  entry->key = make_key (peer);
  entry->has_peer = peer != NULL;
  entry->has_admitted = admitted != NULL;
  if (peer != NULL)
    entry->peer = *peer;
  if (admitted != NULL)
    entry->admitted = *admitted;

  g_hash_table_insert (self->peers, entry->key, entry);
  g_object_weak_ref (G_OBJECT (stream), stream_gone, entry);
  choir_http_arm_deadline (entry);

  /* on an error libsoup lets the stream go, and with it the entry */
  soup_server_accept_iostream (self->soup, stream, local, entry->key, &error);
}
