/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-http-private.h"

#include "choir-http-api.h"

#include <sys/socket.h>

/*
 * libsoup answers when it has read the body, however large that is. Who is refused, or sends too
 * much, is told so while still sending: the connection is taken out of libsoup, the answer written,
 * and what still comes is read and thrown away for a while, because closing at once would reset the
 * connection and take the answer with it (RFC 9112 9.6).
 */

/* Thrown away before the connection ends whatever the client does: of those who have shown who they
 * are, and of others */
#define DRAIN_KNOWN_MAX (64 * 1024 * 1024)
#define DRAIN_MAX (512 * 1024)

typedef struct
{
  GIOStream *stream; /* (owned) */
  gsize left;
  guint8 buffer[16 * 1024];
} Drain;

static void drain_more (Drain *self);

static void
drained_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  Drain *self = user_data;
  gssize n = g_input_stream_read_finish (G_INPUT_STREAM (source), result, NULL);

  if (n > 0 && (gsize) n < self->left)
    {
      self->left -= (gsize) n;
      drain_more (self);
      return;
    }

  g_object_unref (self->stream);
  g_free (self);
}

static void
drain_more (Drain *self)
{
  g_input_stream_read_async (g_io_stream_get_input_stream (self->stream), self->buffer,
                             sizeof self->buffer, G_PRIORITY_LOW, NULL, drained_cb, self);
}

/**
 * choir_http_make_head:
 * @message: a request whose status and headers of the answer are set
 *
 * Returns: (transfer full): the head of the answer, for whoever writes it without libsoup
 */
GString *
choir_http_make_head (SoupServerMessage *message)
{
  GString *head = g_string_new (NULL);
  SoupMessageHeadersIter iter;
  const char *name, *value;

  g_string_append_printf (head, "HTTP/1.1 %u %s\r\n", soup_server_message_get_status (message),
                          soup_server_message_get_reason_phrase (message));

  soup_message_headers_iter_init (&iter, soup_server_message_get_response_headers (message));
  while (soup_message_headers_iter_next (&iter, &name, &value))
    g_string_append_printf (head, "%s: %s\r\n", name, value);
  g_string_append (head, "\r\n");

  return head;
}

static GString *
write_answer (SoupServerMessage *message)
{
  SoupMessageHeaders *headers = soup_server_message_get_response_headers (message);
  SoupMessageBody *body = soup_server_message_get_response_body (message);
  g_autoptr (GBytes) bytes = soup_message_body_flatten (body);
  GString *answer;
  gsize len;
  const char *text = g_bytes_get_data (bytes, &len);

  soup_message_headers_replace (headers, "Connection", "close");
  soup_message_headers_set_content_length (headers, (goffset) len);
  answer = choir_http_make_head (message);
  if (soup_server_message_get_method (message) != SOUP_METHOD_HEAD)
    g_string_append_len (answer, text, (gssize) len);

  return answer;
}

/**
 * choir_http_has_unread_body:
 * @message: a request
 * @read: whether its body has been read
 *
 * Returns: whether more is still to come than is worth reading
 */
gboolean
choir_http_has_unread_body (SoupServerMessage *message, gboolean read)
{
  SoupMessageHeaders *headers = soup_server_message_get_request_headers (message);

  return !read && soup_message_headers_get_encoding (headers) == SOUP_ENCODING_CONTENT_LENGTH &&
         soup_message_headers_get_content_length (headers) > CHOIR_HTTP_IGNORED_BODY_MAX;
}

/**
 * choir_http_hang_up:
 * @self: the server
 * @message: a request whose answer is short and set, and whose body has not been read
 * @known: whether the client has shown who it is
 *
 * Answers now. The message is done with.
 */
void
choir_http_hang_up (ChoirHttpServer *self, SoupServerMessage *message, gboolean known)
{
  ChoirHttpPeer *peer = choir_http_find_peer (self, message);
  g_autoptr (GString) answer = write_answer (message);
  g_autoptr (GIOStream) stream = soup_server_message_steal_connection (message);
  GOutputStream *output;
  gssize n;
  Drain *drain;

  if (stream == NULL || peer == NULL)
    return;

  /* nothing was sent before, so there is room for it */
  output = g_io_stream_get_output_stream (stream);
  n = g_pollable_output_stream_write_nonblocking (G_POLLABLE_OUTPUT_STREAM (output), answer->str,
                                                  answer->len, NULL, NULL);
  if (n != (gssize) answer->len)
    return;

  if (!choir_http_is_tls (stream))
    shutdown (peer->fd, SHUT_WR);

  peer->hung_up = TRUE;
  choir_http_arm_deadline (peer);
  drain = g_new (Drain, 1);
  drain->stream = g_steal_pointer (&stream);
  drain->left = known ? DRAIN_KNOWN_MAX : DRAIN_MAX;
  drain_more (drain);
}
