/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-http-private.h"

#include "choir-close-code.h"
#include "choir-event-stream.h"
#include "choir-gateway-stream.h"

#include <string.h>

/*
 * GET /sse: an answer that does not end. libsoup has read the request; the connection is taken out
 * of it, and the answer, head and all, is the event stream's to write.
 */

#define STREAM_PATH "/sse"

/**
 * choir_http_is_stream_path:
 * @path: of a request
 *
 * Returns: whether it is for an event stream
 */
gboolean
choir_http_is_stream_path (const char *path)
{
  return g_str_has_prefix (path, STREAM_PATH) &&
         (path[strlen (STREAM_PATH)] == '\0' || path[strlen (STREAM_PATH)] == '/');
}

static GString *
make_head (SoupServerMessage *message)
{
  SoupMessageHeaders *headers = soup_server_message_get_response_headers (message);

  soup_server_message_set_status (message, SOUP_STATUS_OK, NULL);
  soup_message_headers_replace (headers, "Content-Type", "text/event-stream");
  soup_message_headers_replace (headers, "Cache-Control", "no-store");
  /* nginx would keep events back until it has a buffer full of them */
  soup_message_headers_replace (headers, "X-Accel-Buffering", "no");
  /* the body ends with the connection */
  soup_message_headers_replace (headers, "Connection", "close");

  return choir_http_make_head (message);
}

/**
 * choir_http_refuse_stream:
 * @message: a GET of an event stream
 * @upgrade: the decision against it
 *
 * An EventSource that comes back and finds any status but 200 never comes again. Where it should,
 * it is told so in a stream.
 */
void
choir_http_refuse_stream (SoupServerMessage *message, const ChoirUpgrade *upgrade)
{
  SoupMessageHeaders *headers = soup_server_message_get_response_headers (message);
  g_autoptr (GString) text = NULL;

  if (!upgrade->is_returning || (upgrade->status != 503 && upgrade->status != 429))
    {
      choir_http_answer_upgrade (message, upgrade);
      return;
    }

  text = g_string_new (NULL);
  choir_event_stream_append_close (text, CHOIR_CLOSE_TRY_AGAIN_LATER, upgrade->detail);
  soup_server_message_set_status (message, SOUP_STATUS_OK, NULL);
  soup_message_headers_replace (headers, "Cache-Control", "no-store");
  soup_message_headers_replace (headers, "Connection", "close");
  soup_server_message_set_response (message, "text/event-stream", SOUP_MEMORY_COPY, text->str,
                                    text->len);
}

/**
 * choir_http_start_stream:
 * @self: the server
 * @peer: the connection
 * @message: a GET of an event stream
 * @upgrade: the decision about it: 101
 *
 * Answers.
 *
 * Returns: whether the connection has been taken out of libsoup
 */
gboolean
choir_http_start_stream (ChoirHttpServer *self,
                         ChoirHttpPeer *peer,
                         SoupServerMessage *message,
                         ChoirUpgrade *upgrade)
{
  g_autoptr (GString) head = NULL;
  g_autoptr (GIOStream) stream = NULL;
  ChoirTransport *transport;

  if (choir_gateway_has_buried (self->gateway, upgrade))
    {
      soup_server_message_set_status (message, SOUP_STATUS_NO_CONTENT, NULL);
      return FALSE;
    }

  head = make_head (message);
  stream = soup_server_message_steal_connection (message);
  if (stream == NULL)
    return TRUE;

  choir_timer_disarm (&peer->timer);
  transport = choir_http_make_transport (stream, peer->fd);
  if (transport == NULL)
    return TRUE;

  peer->stolen = TRUE;
  choir_gateway_adopt_stream (self->gateway, transport, upgrade, head);

  return TRUE;
}
