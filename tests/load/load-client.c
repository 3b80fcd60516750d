/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "load-client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load-cbor.h"
#include "load-stats.h"
#include "load-token.h"

#define EVENTS_MAX 1024
/* Holds a whole message at a time; pages that none reaches cost nothing */
#define RECEIVE_BYTES (16 * 1024 * 1024)
#define FRAME_HEAD_MAX 14
#define MESSAGE_MAX 65536
#define SEND_TIMEOUT_MS 10000
#define NS_PER_S G_GINT64_CONSTANT (1000000000)
/* RFC 6455 section 7.1.5 */
#define CODE_NONE 1005
/* One source address has some 28,000 ports; a handful keeps reconnecting clients from running out
 */
#define SOURCE_ADDRESSES 8
#define FIRST_SOURCE_ADDRESS 0x7f000002u

#define FRAME_FIN 0x80

enum
{
  OPCODE_CONTINUATION = 0,
  OPCODE_TEXT = 1,
  OPCODE_BINARY = 2,
  OPCODE_CLOSE = 8,
  OPCODE_PING = 9,
  OPCODE_PONG = 10,
};

struct _LoadPool
{
  LoadTarget target;
  LoadHandlers handlers;
  gpointer user_data;
  int epoll_fd;
  guint n_connected; /* ever, for source addresses and user numbers */
  guint8 *buffer;    /* (owned) */
};

/**
 * load_pool_new:
 * @target: what to connect to; its strings must outlive the pool
 * @handlers: called from load_pool_run_turn() and load_pool_connect()
 *
 * Returns: (transfer full):
 */
LoadPool *
load_pool_new (const LoadTarget *target, const LoadHandlers *handlers, gpointer user_data)
{
  LoadPool *self = g_new0 (LoadPool, 1);

  self->target = *target;
  self->handlers = *handlers;
  self->user_data = user_data;
  self->epoll_fd = epoll_create1 (EPOLL_CLOEXEC);
  self->buffer = g_malloc (RECEIVE_BYTES);

  return self;
}

void
load_pool_free (LoadPool *self)
{
  close (self->epoll_fd);
  g_free (self->buffer);
  g_free (self);
}

/* With a reset, so that no port is left waiting; the owner is not told */
void
load_pool_close (LoadPool *self, LoadClient *client)
{
  struct linger reset = { .l_onoff = 1, .l_linger = 0 };

  if (client->state == LOAD_STATE_CLOSED)
    return;

  setsockopt (client->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  close (client->fd);
  client->fd = -1;
  client->state = LOAD_STATE_CLOSED;
  client->n_partial = 0;
  g_clear_pointer (&client->partial, g_free);
  g_clear_pointer (&client->fragments, g_byte_array_unref);
}

static void
client_lost (LoadPool *self, LoadClient *client)
{
  gboolean failed = client->state != LOAD_STATE_READY;

  load_pool_close (self, client);
  self->handlers.closed (client, failed, self->user_data);
}

/* Waits for room rather than queueing: a server that does not read stops the generator, and should
 */
static void
send_all (LoadClient *client, const void *bytes, gsize n)
{
  const guint8 *at = bytes;

  while (n > 0)
    {
      ssize_t sent = send (client->fd, at, n, MSG_NOSIGNAL);
      struct pollfd room = { .fd = client->fd, .events = POLLOUT };

      if (sent < 0 && (errno != EAGAIN || poll (&room, 1, SEND_TIMEOUT_MS) != 1))
        return; /* reading will show that it is gone */
      if (sent > 0)
        {
          at += sent;
          n -= (gsize) sent;
        }
    }
}

static void
send_frame (LoadClient *client, int opcode, const void *payload, gsize len)
{
  static const guint8 mask[4] = { 0x37, 0xfa, 0x21, 0x3d };
  static guint8 frame[FRAME_HEAD_MAX + MESSAGE_MAX];
  const guint8 *bytes = payload;
  gsize head = 2;

  g_assert (len < MESSAGE_MAX);
  frame[0] = (guint8) (0x80 | opcode);
  frame[1] = (guint8) (0x80 | (len < 126 ? len : 126));
  if (len >= 126)
    {
      frame[2] = (guint8) (len >> 8);
      frame[3] = (guint8) len;
      head = 4;
    }
  memcpy (frame + head, mask, sizeof mask);
  head += sizeof mask;
  for (gsize i = 0; i < len; i++)
    frame[head + i] = bytes[i] ^ mask[i & 3];
  send_all (client, frame, head + len);
}

void
load_pool_send (LoadPool *self, LoadClient *client, const char *text, gsize len)
{
  send_frame (client,
              self->target.protocol == LOAD_PROTOCOL_CHOIR_CBOR ? OPCODE_BINARY : OPCODE_TEXT, text,
              len);
}

static char *
make_path (LoadPool *self, LoadClient *client)
{
  static const char *const roles[] = { "echo", "sub", "pub" };
  g_autofree char *token = NULL;

  if (self->target.protocol == LOAD_PROTOCOL_SOCKETIO)
    return g_strdup_printf ("/socket.io/?EIO=4&transport=websocket&role=%s", roles[client->role]);
  if (self->target.protocol == LOAD_PROTOCOL_RAW)
    return g_strconcat ("/", roles[client->role], NULL);
  if (self->target.key != NULL)
    token = load_token_mint (self->target.key, self->n_connected);
  if (self->target.protocol == LOAD_PROTOCOL_CHOIR_CBOR)
    return g_strconcat ("/ws?dialect=choir-cbor", token != NULL ? "&token=" : NULL, token, NULL);

  return g_strconcat ("/ws", token != NULL ? "?token=" : NULL, token, NULL);
}

/* The key is the example of RFC 6455 section 1.3, whose answer the floor knows by heart */
static void
send_handshake (LoadPool *self, LoadClient *client)
{
  g_autofree char *path = make_path (self, client);
  g_autofree char *head = g_strdup_printf ("GET %s HTTP/1.1\r\n"
                                           "Host: 127.0.0.1:%u\r\n"
                                           "Upgrade: websocket\r\n"
                                           "Connection: Upgrade\r\n"
                                           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                                           "Sec-WebSocket-Version: 13\r\n\r\n",
                                           path, self->target.port);

  client->state = LOAD_STATE_HANDSHAKE;
  send_all (client, head, strlen (head));
}

/* Starts connecting; `ready` or `closed` follows */
void
load_pool_connect (LoadPool *self, LoadClient *client)
{
  struct sockaddr_in from = { .sin_family = AF_INET };
  struct sockaddr_in to = { .sin_family = AF_INET,
                            .sin_port = htons (self->target.port),
                            .sin_addr.s_addr = htonl (INADDR_LOOPBACK) };
  struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET };
  int one = 1;

  from.sin_addr.s_addr = htonl (FIRST_SOURCE_ADDRESS + self->n_connected++ % SOURCE_ADDRESSES);
  client->fd = socket (AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (client->fd < 0)
    g_error ("No socket: %s", g_strerror (errno));

  client->state = LOAD_STATE_CONNECTING;
  client->began_ns = load_now_ns ();
  setsockopt (client->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  setsockopt (client->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
  event.data.ptr = client;
  if (bind (client->fd, (struct sockaddr *) &from, sizeof from) < 0 ||
      (connect (client->fd, (struct sockaddr *) &to, sizeof to) < 0 && errno != EINPROGRESS) ||
      epoll_ctl (self->epoll_fd, EPOLL_CTL_ADD, client->fd, &event) < 0)
    g_error ("Connecting: %s", g_strerror (errno));
}

static void
become_ready (LoadPool *self, LoadClient *client)
{
  client->state = LOAD_STATE_READY;
  self->handlers.ready (client, self->user_data);
}

static gboolean
starts_with (const char *text, gsize len, const char *prefix)
{
  gsize n = strlen (prefix);

  return len >= n && memcmp (text, prefix, n) == 0;
}

static gboolean
contains (const char *text, gsize len, const char *wanted)
{
  return memmem (text, len, wanted, strlen (wanted)) != NULL;
}

/* (transfer full) */
static GString *
make_subscribe (LoadPool *self)
{
  GString *out = g_string_new (NULL);

  if (self->target.protocol == LOAD_PROTOCOL_CHOIR)
    {
      g_string_printf (out,
                       "{\"type\":\"subscribe\",\"payload\":{\"channels\":[{\"channel\":\"%s\"}]}}",
                       self->target.channel);
      return out;
    }

  load_cbor_begin_map (out, 2);
  load_cbor_append_text (out, "type");
  load_cbor_append_text (out, "subscribe");
  load_cbor_append_text (out, "payload");
  load_cbor_begin_map (out, 1);
  load_cbor_append_text (out, "channel");
  load_cbor_append_text (out, self->target.channel);

  return out;
}

/* An error, or a list of rejected channels that is not empty; in CBOR a text of five bytes begins
 * with an e, and an array of one with 0x81 */
static gboolean
is_refusal (const char *text, gsize len)
{
  return contains (text, len, "\"error\"") || contains (text, len, "eerror") ||
         contains (text, len, "\"rejected\":[{") || contains (text, len, "rejected\x81");
}

static void
choir_greeting (LoadPool *self, LoadClient *client, const char *text, gsize len)
{
  g_autoptr (GString) subscribe = NULL;

  if (client->state == LOAD_STATE_GREETING && contains (text, len, "connection.established"))
    {
      if (client->role != LOAD_ROLE_SUBSCRIBER)
        {
          become_ready (self, client);
          return;
        }
      client->state = LOAD_STATE_SUBSCRIBING;
      subscribe = make_subscribe (self);
      load_pool_send (self, client, subscribe->str, subscribe->len);
    }
  else if (client->state == LOAD_STATE_SUBSCRIBING &&
           contains (text, len, "subscription.confirmed") && !is_refusal (text, len))
    become_ready (self, client);
  else if (is_refusal (text, len))
    {
      g_printerr ("refused: %.*s\n", (int) MIN (len, 400), text);
      client_lost (self, client);
    }
}

static void
socketio_control (LoadPool *self, LoadClient *client, const char *text, gsize len)
{
  if (starts_with (text, len, "0"))
    send_frame (client, OPCODE_TEXT, "40", 2);
  else if (starts_with (text, len, "40") && client->state == LOAD_STATE_GREETING)
    become_ready (self, client);
  else if (starts_with (text, len, "2"))
    send_frame (client, OPCODE_TEXT, "3", 1);
}

static void
on_text (LoadPool *self, LoadClient *client, const char *text, gsize len)
{
  if (self->target.protocol == LOAD_PROTOCOL_SOCKETIO && !starts_with (text, len, "42"))
    socketio_control (self, client, text, len);
  else if (client->state == LOAD_STATE_READY)
    self->handlers.text (client, text, len, self->user_data);
  else
    choir_greeting (self, client, text, len);
}

static void
on_frame (LoadPool *self, LoadClient *client, int opcode, const guint8 *payload, gsize len)
{
  if (opcode == OPCODE_TEXT || opcode == OPCODE_BINARY)
    on_text (self, client, (const char *) payload, len);
  else if (opcode == OPCODE_PING)
    send_frame (client, OPCODE_PONG, payload, len);
  else if (opcode == OPCODE_CLOSE && self->handlers.closing != NULL)
    {
      guint code = len >= 2 ? (guint) payload[0] << 8 | payload[1] : CODE_NONE;

      send_frame (client, OPCODE_CLOSE, payload, MIN (len, 2));
      self->handlers.closing (client, code, self->user_data);
    }
  else if (opcode == OPCODE_CLOSE)
    {
      if (len >= 2)
        g_printerr ("closed with %d: %.*s\n", payload[0] << 8 | payload[1], (int) len - 2,
                    payload + 2);
      client_lost (self, client);
    }
}

/* A part of a message, or its end (RFC 6455 section 5.4) */
static void
on_fragment (LoadPool *self, LoadClient *client, int head, const guint8 *payload, gsize len)
{
  g_autoptr (GByteArray) whole = NULL;

  if (client->fragments == NULL)
    client->fragments = g_byte_array_new ();
  g_byte_array_append (client->fragments, payload, (guint) len);
  if ((head & FRAME_FIN) == 0)
    return;

  whole = g_steal_pointer (&client->fragments);
  on_text (self, client, (const char *) whole->data, whole->len);
}

/* The length of the server frame at @bytes; 0 if it is not all there */
static gsize
frame_length (const guint8 *bytes, gsize n, gsize *head)
{
  guint n_extended;
  gsize len;

  if (n < 2)
    return 0;
  len = bytes[1] & 127;
  n_extended = len == 127 ? 8 : len == 126 ? 2 : 0;
  *head = 2 + n_extended;
  if (n < *head)
    return 0;
  if (n_extended > 0)
    len = 0;
  for (guint i = 0; i < n_extended; i++)
    len = len << 8 | bytes[2 + i];

  return len <= n - *head ? *head + len : 0;
}

static gsize
on_frames (LoadPool *self, LoadClient *client, const guint8 *bytes, gsize n)
{
  gsize taken = 0, head, whole;

  while (client->state >= LOAD_STATE_GREETING &&
         (whole = frame_length (bytes + taken, n - taken, &head)) > 0)
    {
      const guint8 *frame = bytes + taken;

      taken += whole;
      if ((frame[0] & FRAME_FIN) == 0 || (frame[0] & 15) == OPCODE_CONTINUATION)
        on_fragment (self, client, frame[0], frame + head, whole - head);
      else
        on_frame (self, client, frame[0] & 15, frame + head, whole - head);
    }

  return taken;
}

static gsize
on_handshake (LoadPool *self, LoadClient *client, const guint8 *bytes, gsize n)
{
  const guint8 *end = memmem (bytes, n, "\r\n\r\n", 4);

  if (end == NULL)
    return 0;
  if (!starts_with ((const char *) bytes, n, "HTTP/1.1 101"))
    {
      g_printerr ("refused: %.*s\n", (int) MIN (n, 600), (const char *) bytes);
      client_lost (self, client);
      return n;
    }
  client->state = LOAD_STATE_GREETING;
  if (self->target.protocol == LOAD_PROTOCOL_RAW)
    become_ready (self, client);

  return (gsize) (end - bytes) + 4;
}

static void
stash (LoadClient *client, const guint8 *bytes, gsize n)
{
  guint8 *kept = n > 0 ? g_memdup2 (bytes, n) : NULL;

  g_free (client->partial);
  client->partial = kept;
  client->n_partial = n;
}

/* FALSE when the socket has nothing more */
static gboolean
read_once (LoadPool *self, LoadClient *client)
{
  gsize room = RECEIVE_BYTES - client->n_partial, n, taken = 0;
  int fd = client->fd;
  ssize_t n_read;

  if (client->n_partial > 0)
    memcpy (self->buffer, client->partial, client->n_partial);
  n_read = recv (fd, self->buffer + client->n_partial, room, 0);
  if (n_read <= 0)
    {
      if (n_read == 0 || errno != EAGAIN)
        client_lost (self, client);
      return FALSE;
    }

  n = client->n_partial + (gsize) n_read;
  if (client->state == LOAD_STATE_HANDSHAKE)
    taken = on_handshake (self, client, self->buffer, n);
  if (client->fd == fd && client->state >= LOAD_STATE_GREETING)
    taken += on_frames (self, client, self->buffer + taken, n - taken);
  /* a handler may have closed it, and connected anew under the same or another number */
  if (client->fd != fd || client->state <= LOAD_STATE_CONNECTING)
    return FALSE;
  if (taken < n || client->n_partial > 0)
    stash (client, self->buffer + taken, n - taken);

  return (gsize) n_read == room;
}

static void
on_event (LoadPool *self, LoadClient *client, guint32 events)
{
  if (client->state == LOAD_STATE_CONNECTING)
    {
      if ((events & (EPOLLERR | EPOLLHUP)) != 0)
        {
          client_lost (self, client);
          return;
        }
      if ((events & EPOLLOUT) != 0)
        send_handshake (self, client);
    }
  if (client->state > LOAD_STATE_CONNECTING && (events & ~(guint32) EPOLLOUT) != 0)
    while (read_once (self, client))
      ;
}

static void
on_events (LoadPool *self, struct epoll_event *events, int n)
{
  for (int i = 0; i < n; i++)
    on_event (self, events[i].data.ptr, events[i].events);
}

/* Waits at most @timeout_ms for something to happen, and handles all that has */
void
load_pool_run_turn (LoadPool *self, int timeout_ms)
{
  struct epoll_event events[EVENTS_MAX];

  on_events (self, events, epoll_wait (self->epoll_fd, events, EVENTS_MAX, timeout_ms));
}

/* Likewise, at the latest until @deadline_ns of load_now_ns(): for those who send at their times,
 * of which there may be several in a millisecond */
void
load_pool_run_turn_until (LoadPool *self, gint64 deadline_ns)
{
  struct epoll_event events[EVENTS_MAX];
  gint64 left_ns = MAX (deadline_ns - load_now_ns (), 0);
  struct timespec left = { .tv_sec = left_ns / NS_PER_S, .tv_nsec = left_ns % NS_PER_S };

  on_events (self, events, epoll_pwait2 (self->epoll_fd, events, EVENTS_MAX, &left, NULL));
}
