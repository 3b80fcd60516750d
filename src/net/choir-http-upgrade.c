/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-http-private.h"

#include "choir-accept-key.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* What a client may have sent behind its handshake before the 101 was out */
#define PIPELINED_MAX (256 * 1024)

/* A handshake on its way through libsoup */
typedef struct
{
  ChoirHttpServer *server;
  SoupServerMessage *message; /* (owned) (nullable): until the 101 is on its way */
  ChoirUpgrade *upgrade;      /* (owned) */
  GSocketAddress *key;        /* (owned): finds the peer, which may go while a token is verified */
} Handshake;

static void
handshake_free (Handshake *self)
{
  g_clear_object (&self->message);
  g_object_unref (self->key);
  choir_upgrade_free (self->upgrade);
  g_free (self);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Handshake, handshake_free)

/**
 * choir_http_wants_upgrade:
 * @message: a request
 *
 * Returns: whether it asks for a WebSocket at all
 */
gboolean
choir_http_wants_upgrade (SoupServerMessage *message)
{
  SoupMessageHeaders *headers = soup_server_message_get_request_headers (message);

  return soup_message_headers_header_contains (headers, "Upgrade", "websocket") ||
         soup_message_headers_get_one (headers, "Sec-WebSocket-Key") != NULL;
}

static GByteArray *
read_pipelined (GIOStream *stream)
{
  GPollableInputStream *input = G_POLLABLE_INPUT_STREAM (g_io_stream_get_input_stream (stream));
  g_autoptr (GByteArray) bytes = g_byte_array_new ();
  guint8 chunk[4096];

  while (bytes->len < PIPELINED_MAX)
    {
      gssize n = g_pollable_input_stream_read_nonblocking (input, chunk, sizeof chunk, NULL, NULL);

      if (n <= 0)
        break;
      g_byte_array_append (bytes, chunk, n);
    }

  return g_steal_pointer (&bytes);
}

/* Whether libsoup's stream @stream has TLS below it */
gboolean
choir_http_is_tls (GIOStream *stream)
{
  g_autoptr (GIOStream) base = NULL;

  g_object_get (stream, "base-iostream", &base, NULL);

  return G_IS_TLS_CONNECTION (base);
}

/**
 * choir_http_make_transport:
 * @stream: taken out of libsoup
 * @fd: the socket below it
 *
 * Plain: a descriptor of our own, and nothing of libsoup's is left. TLS: the stream itself.
 *
 * Returns: (transfer full) (nullable): %NULL if there are no descriptors left
 */
ChoirTransport *
choir_http_make_transport (GIOStream *stream, int fd)
{
  int own_fd;

  if (choir_http_is_tls (stream))
    return choir_transport_new_for_stream (g_object_ref (stream), fd);

  own_fd = fcntl (fd, F_DUPFD_CLOEXEC, 0);
  if (own_fd < 0)
    return NULL;

  return choir_transport_new_for_fd (own_fd);
}

/* From the proxy's place in the admission to the client's; the peer may still go before the 101 */
static void
move_admission (ChoirHttpPeer *peer, ChoirUpgrade *upgrade)
{
  choir_gateway_move_admission (peer->server->gateway, peer->has_admitted ? &peer->admitted : NULL,
                                upgrade);
  if (!upgrade->counted)
    return;

  peer->has_admitted = TRUE;
  peer->admitted = upgrade->address;
}

static void
wrote_informational_cb (SoupServerMessage *message, gpointer user_data)
{
  Handshake *self = user_data; /* until the handler's closure goes, at the end of this */
  ChoirHttpPeer *peer = g_hash_table_lookup (self->server->peers, self->key);
  g_autoptr (GIOStream) stream = NULL;
  g_autoptr (GByteArray) pipelined = NULL;
  ChoirTransport *transport;

  g_signal_handlers_disconnect_by_func (message, wrote_informational_cb, self);
  stream = soup_server_message_steal_connection (message);
  if (peer == NULL || stream == NULL)
    return;

  choir_timer_disarm (&peer->timer);
  pipelined = read_pipelined (stream);
  transport = choir_http_make_transport (stream, peer->fd);
  if (transport == NULL)
    return;

  peer->stolen = TRUE;
  choir_gateway_adopt (self->server->gateway, transport, self->upgrade, pipelined->data,
                       pipelined->len);
}

/* RFC 6455 4.2.2; libsoup's own would want "Upgrade" to name nothing but websocket */
static void
accept_handshake (SoupServerMessage *message, const ChoirUpgrade *upgrade)
{
  SoupMessageHeaders *headers = soup_server_message_get_response_headers (message);
  const char *key = soup_message_headers_get_one (soup_server_message_get_request_headers (message),
                                                  "Sec-WebSocket-Key");
  char accept_key[CHOIR_ACCEPT_KEY_SIZE];

  choir_accept_key_make (key, strlen (key), accept_key);
  soup_server_message_set_status (message, SOUP_STATUS_SWITCHING_PROTOCOLS, NULL);
  soup_message_headers_replace (headers, "Upgrade", "websocket");
  soup_message_headers_replace (headers, "Connection", "Upgrade");
  soup_message_headers_replace (headers, "Sec-WebSocket-Accept", accept_key);

  if (upgrade->subprotocol != NULL)
    soup_message_headers_replace (headers, "Sec-WebSocket-Protocol", upgrade->subprotocol);

  if (upgrade->extensions != NULL)
    soup_message_headers_replace (headers, "Sec-WebSocket-Extensions", upgrade->extensions);
}

/* RFC 6455 4.2.1 and 4.4 */
static gboolean
check_handshake (SoupServerMessage *message)
{
  SoupMessageHeaders *headers = soup_server_message_get_request_headers (message);
  const char *version = soup_message_headers_get_list (headers, "Sec-WebSocket-Version");
  const char *keys = soup_message_headers_get_list (headers, "Sec-WebSocket-Key");
  g_autofree guchar *key = NULL;
  gsize len = 0;

  if (version == NULL || strcmp (version, "13") != 0)
    {
      choir_http_answer_problem (message, 426, CHOIR_ERROR_VALIDATION,
                                 "Only version 13 of the WebSocket protocol is spoken here", 0);
      soup_message_headers_replace (soup_server_message_get_response_headers (message),
                                    "Sec-WebSocket-Version", "13");
      return FALSE;
    }

  if (keys != NULL && strlen (keys) == 24)
    key = g_base64_decode (keys, &len);

  if (key == NULL || len != 16 || !g_str_equal (soup_server_message_get_method (message), "GET") ||
      soup_server_message_get_http_version (message) != SOUP_HTTP_1_1 ||
      !soup_message_headers_header_contains (headers, "Upgrade", "websocket") ||
      !soup_message_headers_header_contains (headers, "Connection", "upgrade"))
    {
      choir_http_answer_problem (message, 400, CHOIR_ERROR_INVALID_MESSAGE,
                                 "Not a valid WebSocket handshake", 0);
      return FALSE;
    }

  return TRUE;
}

/* Nobody upgrades: say why the handshake would have been followed by a close, or that one is due */
static void
answer_plain_get (SoupServerMessage *message, const ChoirUpgrade *upgrade)
{
  if (upgrade->close_code != 0)
    {
      choir_http_answer_problem (message, choir_error_get_http_status (upgrade->problem),
                                 upgrade->problem, upgrade->detail, upgrade->retry_after_s);
      return;
    }

  choir_http_answer_problem (message, 426, CHOIR_ERROR_VALIDATION, "This address speaks WebSocket",
                             0);
  soup_message_headers_replace (soup_server_message_get_response_headers (message), "Upgrade",
                                "websocket");
}

static void
refuse (ChoirHttpServer *self, SoupServerMessage *message, const ChoirUpgrade *upgrade)
{
  choir_gateway_count_refusal (self->gateway, upgrade);
  if (upgrade->is_stream)
    choir_http_refuse_stream (message, upgrade);
  else
    choir_http_answer_upgrade (message, upgrade);
}

static void
handshake_closure_free (gpointer handshake, GClosure *closure)
{
  handshake_free (handshake);
}

/* The decision has been made. FALSE: libsoup has nothing more to do with it */
static gboolean
answer (Handshake *handshake)
{
  g_autoptr (Handshake) self = handshake;
  ChoirHttpPeer *peer = g_hash_table_lookup (self->server->peers, self->key);
  SoupServerMessage *message = self->message;

  if (peer == NULL)
    return TRUE;

  if (self->upgrade->status == 101 && !self->upgrade->is_stream &&
      !choir_http_wants_upgrade (message))
    {
      answer_plain_get (message, self->upgrade);
      return TRUE;
    }

  if (self->upgrade->status == 101)
    move_admission (peer, self->upgrade);

  if (self->upgrade->status != 101)
    {
      refuse (self->server, message, self->upgrade);
      return TRUE;
    }

  if (self->upgrade->is_stream)
    return !choir_http_start_stream (self->server, peer, message, self->upgrade);

  accept_handshake (message, self->upgrade);

  /* a client that has gone never gets its 101: then the handshake goes with the message, which it
   * must not keep alive */
  g_clear_object (&self->message);
  g_signal_connect_data (message, "wrote-informational", G_CALLBACK (wrote_informational_cb),
                         g_steal_pointer (&self), handshake_closure_free, 0);

  return TRUE;
}

static void
decided_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  Handshake *self = user_data;
  g_autoptr (SoupServerMessage) message = g_object_ref (self->message);
  ChoirHttpPeer *peer = g_hash_table_lookup (self->server->peers, self->key);

  if (peer == NULL || !choir_upgrade_decide_finish (self->upgrade, result, NULL))
    {
      handshake_free (self);
      return;
    }

  if (answer (self))
    soup_server_message_unpause (message);
}

/* (transfer full) (nullable): all lines of a header, joined; libsoup's own copy moves */
static char *
dup_list (SoupMessageHeaders *headers, const char *name)
{
  return g_strdup (soup_message_headers_get_list (headers, name));
}

static ChoirUpgrade *
read_request (ChoirHttpServer *self, ChoirHttpPeer *peer, SoupServerMessage *message)
{
  SoupMessageHeaders *headers = soup_server_message_get_request_headers (message);
  GUri *uri = soup_server_message_get_uri (message);
  g_autofree char *protocols = dup_list (headers, "Sec-WebSocket-Protocol");
  g_autofree char *extensions = dup_list (headers, "Sec-WebSocket-Extensions");
  g_autofree char *x_forwarded_for = dup_list (headers, "X-Forwarded-For");
  g_autofree char *forwarded = dup_list (headers, "Forwarded");
  g_autofree char *origin = dup_list (headers, "Origin");
  ChoirUpgradeRequest request = {
    .path = g_uri_get_path (uri),
    .query = g_uri_get_query (uri),
    .origin = origin,
    .protocols = protocols,
    .extensions = extensions,
    .authorization = soup_message_headers_get_one (headers, "Authorization"),
    .last_event_id = soup_message_headers_get_one (headers, "Last-Event-ID"),
    .x_forwarded_for = x_forwarded_for,
    .forwarded = forwarded,
    .peer = peer->has_peer ? &peer->peer : NULL,
  };

  return choir_upgrade_new (self->gateway, &request);
}

/**
 * choir_http_upgrade:
 * @self: the server
 * @peer: the connection
 * @message: a GET of a WebSocket's address, or of an event stream's
 *
 * Answers it: 101, a stream, a refusal, or for a plain GET what a handshake would have been told,
 * because a browser's page sees no more of a refused handshake than that it failed.
 */
void
choir_http_upgrade (ChoirHttpServer *self, ChoirHttpPeer *peer, SoupServerMessage *message)
{
  Handshake *handshake;

  if (!choir_http_is_stream_path (g_uri_get_path (soup_server_message_get_uri (message))) &&
      choir_http_wants_upgrade (message) && !check_handshake (message))
    return;

  handshake = g_new0 (Handshake, 1);
  handshake->server = self;
  handshake->message = g_object_ref (message);
  handshake->key = g_object_ref (peer->key);
  handshake->upgrade = read_request (self, peer, message);

  if (choir_upgrade_decide (handshake->upgrade, self->gateway))
    {
      answer (handshake);
      return;
    }

  soup_server_message_pause (message);
  choir_upgrade_decide_async (handshake->upgrade, self->gateway, NULL, decided_cb, handshake);
}
