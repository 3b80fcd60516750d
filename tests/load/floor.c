/* floor.c: the least a WebSocket server can do, as the unit other servers are measured in
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * One thread, one epoll, no allocation on the way of a message but the message itself. It checks
 * nothing: neither the handshake, nor UTF-8, nor limits. The path's first letter is the role:
 * /echo, /sub (gets what is published) or /pub. It answers the sample key of RFC 6455 section 1.3
 * only.
 *
 * Usage: floor [PORT]; it prints the address it listens on.
 */

#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define EVENTS_MAX 1024
#define IOV_MAX_USED 64
#define RECEIVE_BYTES (256 * 1024)
#define BACKLOG 4096
#define QUEUE_MAX 4096

/* A whole frame, shared by everyone it goes to */
typedef struct
{
  unsigned refs;
  unsigned len;
  uint8_t bytes[];
} Message;

typedef enum
{
  ROLE_HANDSHAKE,
  ROLE_ECHO,
  ROLE_SUBSCRIBER,
  ROLE_PUBLISHER,
  ROLE_DEAD,
} Role;

typedef struct
{
  int fd;
  Role role;
  bool dirty;
  bool blocked;
  unsigned subscriber; /* place among the subscribers */
  unsigned n_queued;
  unsigned queue_size;
  size_t offset;    /* into the first queued message */
  Message **queue;  /* (owned) (element-type Message) (nullable) */
  uint8_t *partial; /* (owned) (nullable), the beginning of a frame */
  size_t n_partial;
} Client;

/* An array of clients that grows */
typedef struct
{
  Client **items; /* (owned) */
  unsigned n;
  unsigned size;
} ClientList;

static int epoll_fd;
static int listen_fd;
static ClientList subscribers;
static ClientList dirty_list;
static ClientList dead_list;
static uint8_t receive_buffer[RECEIVE_BYTES];

static void *
must (void *memory)
{
  if (memory == NULL)
    abort ();

  return memory;
}

static void
client_list_add (ClientList *list, Client *client)
{
  if (list->n == list->size)
    {
      list->size = list->size == 0 ? 64 : list->size * 2;
      list->items = must (realloc (list->items, list->size * sizeof *list->items));
    }
  list->items[list->n++] = client;
}

static void
message_unref (Message *message)
{
  if (--message->refs == 0)
    free (message);
}

/* A text frame of the server: never masked, the shortest length that fits (RFC 6455 5.2) */
static Message *
message_new (const uint8_t *payload, const uint8_t *mask, size_t len)
{
  size_t head = len < 126 ? 2 : len < 65536 ? 4 : 10;
  Message *message = must (malloc (sizeof *message + head + len));

  message->refs = 1;
  message->len = (unsigned) (head + len);
  message->bytes[0] = 0x81;
  message->bytes[1] = (uint8_t) (len < 126 ? len : len < 65536 ? 126 : 127);
  for (size_t i = 2; i < head; i++)
    message->bytes[i] = (uint8_t) (len >> (8 * (head - 1 - i)));
  for (size_t i = 0; i < len; i++)
    message->bytes[head + i] = payload[i] ^ mask[i & 3];

  return message;
}

static void
client_kill (Client *client)
{
  if (client->role == ROLE_DEAD)
    return;

  if (client->role == ROLE_SUBSCRIBER)
    {
      Client *last = subscribers.items[--subscribers.n];

      subscribers.items[client->subscriber] = last;
      last->subscriber = client->subscriber;
    }
  client->role = ROLE_DEAD;
  close (client->fd);
  client_list_add (&dead_list, client);
}

static void
client_queue (Client *client, Message *message)
{
  if (client->n_queued == QUEUE_MAX)
    {
      client_kill (client);
      return;
    }

  if (client->n_queued == client->queue_size)
    {
      client->queue_size = client->queue_size == 0 ? 1 : client->queue_size * 2;
      client->queue = must (realloc (client->queue, client->queue_size * sizeof *client->queue));
    }
  message->refs++;
  client->queue[client->n_queued++] = message;
  if (!client->dirty && !client->blocked)
    {
      client->dirty = true;
      client_list_add (&dirty_list, client);
    }
}

static void
client_forget_sent (Client *client, size_t n_sent)
{
  unsigned n_done = 0;

  n_sent += client->offset;
  while (n_done < client->n_queued && n_sent >= client->queue[n_done]->len)
    {
      n_sent -= client->queue[n_done]->len;
      message_unref (client->queue[n_done++]);
    }
  client->offset = n_sent;
  client->n_queued -= n_done;
  if (client->n_queued > 0)
    memmove (client->queue, client->queue + n_done, client->n_queued * sizeof *client->queue);
}

static void
client_flush (Client *client)
{
  client->dirty = false;
  client->blocked = false;
  while (client->role != ROLE_DEAD && client->n_queued > 0)
    {
      struct iovec iov[IOV_MAX_USED];
      struct msghdr head = { .msg_iov = iov };
      ssize_t n;

      for (; head.msg_iovlen < IOV_MAX_USED && head.msg_iovlen < client->n_queued;
           head.msg_iovlen++)
        {
          Message *message = client->queue[head.msg_iovlen];
          size_t skip = head.msg_iovlen == 0 ? client->offset : 0;

          iov[head.msg_iovlen] =
            (struct iovec){ .iov_base = message->bytes + skip, .iov_len = message->len - skip };
        }
      n = sendmsg (client->fd, &head, MSG_NOSIGNAL);
      if (n < 0)
        {
          client->blocked = errno == EAGAIN;
          if (!client->blocked)
            client_kill (client);
          return;
        }
      client_forget_sent (client, (size_t) n);
    }
}

static void
on_text (Client *client, const uint8_t *payload, const uint8_t *mask, size_t len)
{
  Message *message = message_new (payload, mask, len);

  if (client->role == ROLE_ECHO)
    client_queue (client, message);
  else if (client->role == ROLE_PUBLISHER)
    for (unsigned i = subscribers.n; i > 0; i--)
      client_queue (subscribers.items[i - 1], message);
  message_unref (message);
}

/* The length of the client frame at @bytes and where its payload begins; 0 if it is not all there
 */
static size_t
frame_length (const uint8_t *bytes, size_t n, size_t *head, size_t *len)
{
  unsigned n_extended;

  if (n < 2)
    return 0;
  *len = bytes[1] & 127;
  n_extended = *len == 127 ? 8 : *len == 126 ? 2 : 0;
  *head = 2 + n_extended + 4;
  if (n < *head)
    return 0;
  if (n_extended > 0)
    *len = 0;
  for (unsigned i = 0; i < n_extended; i++)
    *len = *len << 8 | bytes[2 + i];

  return *len <= n - *head ? *head + *len : 0;
}

/* Bytes taken */
static size_t
on_frames (Client *client, const uint8_t *bytes, size_t n)
{
  size_t taken = 0, head, len, whole;

  while (client->role != ROLE_DEAD &&
         (whole = frame_length (bytes + taken, n - taken, &head, &len)) > 0)
    {
      const uint8_t *frame = bytes + taken;

      if ((frame[0] & 15) == 1)
        on_text (client, frame + head, frame + head - 4, len);
      else if ((frame[0] & 15) == 8)
        client_kill (client);
      taken += whole;
    }

  return taken;
}

static size_t
on_handshake (Client *client, const uint8_t *bytes, size_t n)
{
  static const char answer[] = "HTTP/1.1 101 Switching Protocols\r\n"
                               "Upgrade: websocket\r\n"
                               "Connection: Upgrade\r\n"
                               "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
  const uint8_t *end = memmem (bytes, n, "\r\n\r\n", 4);

  if (end == NULL)
    return 0;

  if (send (client->fd, answer, sizeof answer - 1, MSG_NOSIGNAL) != (ssize_t) sizeof answer - 1)
    {
      client_kill (client);
      return n;
    }
  client->role = bytes[5] == 's' ? ROLE_SUBSCRIBER : bytes[5] == 'p' ? ROLE_PUBLISHER : ROLE_ECHO;
  if (client->role == ROLE_SUBSCRIBER)
    {
      client->subscriber = subscribers.n;
      client_list_add (&subscribers, client);
    }

  return (size_t) (end - bytes) + 4;
}

/* Keeps what is left for the next read */
static void
client_stash (Client *client, const uint8_t *bytes, size_t n)
{
  uint8_t *kept = n > 0 ? must (malloc (n)) : NULL;

  if (kept != NULL)
    memcpy (kept, bytes, n);
  free (client->partial);
  client->partial = kept;
  client->n_partial = n;
}

/* False when the socket has nothing more */
static bool
client_read_once (Client *client)
{
  size_t room = RECEIVE_BYTES - client->n_partial, n, taken = 0;
  ssize_t n_read;

  if (client->n_partial > 0)
    memcpy (receive_buffer, client->partial, client->n_partial);
  n_read = recv (client->fd, receive_buffer + client->n_partial, room, 0);
  if (n_read <= 0)
    {
      if (n_read == 0 || errno != EAGAIN)
        client_kill (client);
      return false;
    }

  n = client->n_partial + (size_t) n_read;
  if (client->role == ROLE_HANDSHAKE)
    taken = on_handshake (client, receive_buffer, n);
  if (client->role != ROLE_HANDSHAKE && client->role != ROLE_DEAD)
    taken += on_frames (client, receive_buffer + taken, n - taken);
  if (client->role != ROLE_DEAD && (taken < n || client->n_partial > 0))
    client_stash (client, receive_buffer + taken, n - taken);

  return client->role != ROLE_DEAD && (size_t) n_read == room;
}

static void
on_accept (void)
{
  for (;;)
    {
      int fd = accept4 (listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), one = 1;
      struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET };
      Client *client;

      if (fd < 0)
        return;
      setsockopt (fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
      client = must (calloc (1, sizeof *client));
      client->fd = fd;
      event.data.ptr = client;
      epoll_ctl (epoll_fd, EPOLL_CTL_ADD, fd, &event);
    }
}

static void
free_dead (void)
{
  while (dead_list.n > 0)
    {
      Client *client = dead_list.items[--dead_list.n];

      while (client->n_queued > 0)
        message_unref (client->queue[--client->n_queued]);
      free (client->queue);
      free (client->partial);
      free (client);
    }
}

/* Everything said during a turn leaves at its end, with one system call for each client */
static void
run_turn (void)
{
  static struct epoll_event events[EVENTS_MAX];
  int n = epoll_wait (epoll_fd, events, EVENTS_MAX, -1);

  for (int i = 0; i < n; i++)
    {
      Client *client = events[i].data.ptr;

      if (client == NULL)
        {
          on_accept ();
          continue;
        }
      if (client->role != ROLE_DEAD && client->blocked && (events[i].events & EPOLLOUT) != 0)
        client_flush (client);
      if (client->role != ROLE_DEAD && (events[i].events & ~(uint32_t) EPOLLOUT) != 0)
        while (client_read_once (client))
          ;
    }
  for (unsigned i = 0; i < dirty_list.n; i++)
    client_flush (dirty_list.items[i]);
  dirty_list.n = 0;
  free_dead ();
}

static bool
start_listening (uint16_t port)
{
  struct sockaddr_in address = { .sin_family = AF_INET,
                                 .sin_port = htons (port),
                                 .sin_addr.s_addr = htonl (INADDR_LOOPBACK) };
  socklen_t len = sizeof address;
  struct epoll_event event = { .events = EPOLLIN };
  int one = 1;

  listen_fd = socket (AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  setsockopt (listen_fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind (listen_fd, (struct sockaddr *) &address, len) < 0 || listen (listen_fd, BACKLOG) < 0 ||
      getsockname (listen_fd, (struct sockaddr *) &address, &len) < 0)
    return false;
  epoll_fd = epoll_create1 (EPOLL_CLOEXEC);
  epoll_ctl (epoll_fd, EPOLL_CTL_ADD, listen_fd, &event);
  printf ("listening on 127.0.0.1:%u\n", ntohs (address.sin_port));
  fflush (stdout);

  return true;
}

int
main (int argc, char *argv[])
{
  struct rlimit limit;

  getrlimit (RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit (RLIMIT_NOFILE, &limit);
  signal (SIGPIPE, SIG_IGN);
  if (!start_listening ((uint16_t) (argc > 1 ? atoi (argv[1]) : 0)))
    {
      perror ("floor");
      return EXIT_FAILURE;
    }
  for (;;)
    run_turn ();
}
