/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-connection.h"

#include "choir-clock.h"
#include "choir-container.h"
#include "choir-id.h"

#include <string.h>
#include <sys/epoll.h>

/* A peer that does not answer a close frame in this time is dropped (RFC 6455 7.1.1 leaves it to
 * us) */
#define CLOSE_TIMEOUT_US (5 * G_USEC_PER_SEC)
/* After both close frames: how long the peer's end of the TCP connection is waited for */
#define LINGER_TIMEOUT_US (1 * G_USEC_PER_SEC)
/* Reads of one connection in a turn, so that a fast sender does not keep the others waiting */
#define READS_PER_TURN 4
#define IOV_MAX_OURS 64
/* Pings answered one by one until the outbox has run empty; of more only the last is answered, as
 * RFC 6455 5.5.3 allows */
#define PONGS_QUEUED_MAX 32

typedef enum
{
  STATE_OPEN,
  STATE_CLOSING, /* our close frame is queued or sent */
  STATE_LINGER,  /* both close frames are through, our side of TCP is shut */
  STATE_DEAD,
} State;

typedef enum
{
  FLAG_BLOCKED = 1 << 0, /* the socket takes nothing now; EPOLLOUT will tell */
  FLAG_PAUSED = 1 << 1,  /* not reading: the client does not fetch its answers */
  FLAG_CLOSE_RECEIVED = 1 << 2,
  FLAG_DEAF = 1 << 3, /* broke the protocol: what it says is thrown away */
  FLAG_BATCHING = 1 << 4,
  FLAG_ADDRESS = 1 << 5, /* none on a unix socket */
  FLAG_COUNTED = 1 << 6, /* the admission has counted it for its address */
} Flags;

/* Few connections have one, so it is not part of all */
typedef struct
{
  ChoirTimer timer;
  ChoirConnection *connection;
} BatchTimer;

struct _ChoirConnection
{
  GObject parent_instance;

  ChoirWatch watch;
  const ChoirConnectionProfile *profile; /* borrowed: outlives every connection */
  ChoirTransport *transport;             /* (owned) */
  ChoirFrameParser parser;
  ChoirOutbox outbox;
  ChoirTimer timer;
  const ChoirConnectionHandler *handler; /* static */
  gpointer handler_data;
  BatchTimer *batch_timer; /* (owned) (nullable): only where messages are batched with a delay */
  ChoirFrame *late_pong;   /* (owned) (nullable) */
  GBytes *backlog;         /* (owned) (nullable): read, and to be parsed when reading goes on */
  gint64 heard_us;         /* monotonic: when bytes last came */
  guint16 peer_code;       /* from its close frame, else 1006 */
  guint8 state;
  guint8 flags;
  guint8 n_pongs;
  ChoirAddress address; /* if FLAG_ADDRESS */
  char id[CHOIR_ID_SIZE];
};

static void choir_connection_link_init (ChoirLinkInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (ChoirConnection,
                               choir_connection,
                               G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (CHOIR_TYPE_LINK, choir_connection_link_init))

static ChoirConnection *
from_watch (ChoirWatch *watch)
{
  return CHOIR_CONTAINER_OF (watch, ChoirConnection, watch);
}

static ChoirConnection *
from_outbox (ChoirOutbox *outbox)
{
  return CHOIR_CONTAINER_OF (outbox, ChoirConnection, outbox);
}

static ChoirConnection *
from_timer (ChoirTimer *timer)
{
  return CHOIR_CONTAINER_OF (timer, ChoirConnection, timer);
}

static void
drop_batch_timer (ChoirConnection *self)
{
  if (self->batch_timer != NULL)
    choir_timer_disarm (&self->batch_timer->timer);

  g_clear_pointer (&self->batch_timer, g_free);
}

/* Nothing more in either direction; freed at the end of the turn */
static void
die (ChoirConnection *self)
{
  if (self->state == STATE_DEAD)
    return;

  self->state = STATE_DEAD;
  choir_timer_disarm (&self->timer);
  drop_batch_timer (self);
  self->outbox.flags |= CHOIR_OUTBOX_CLOSED;
  choir_reactor_remove (self->profile->reactor, &self->watch);
  choir_reactor_mark_dead (self->profile->reactor, &self->watch);
}

static void
timer_cb (ChoirTimer *timer)
{
  ChoirConnection *self = from_timer (timer);
  const ChoirConnectionProfile *profile = self->profile;
  gint64 quiet_us, next_us;

  if (self->state != STATE_OPEN)
    {
      die (self);
      return;
    }

  quiet_us = choir_clock_monotonic_us () - self->heard_us;
  if (profile->idle_us > 0 && quiet_us >= profile->idle_us)
    {
      choir_connection_close (self, CHOIR_CLOSE_NORMAL, "Connection timeout");
      return;
    }

  next_us = profile->idle_us > 0 ? profile->idle_us - quiet_us : G_MAXINT64;
  if (profile->heartbeat_us > 0)
    {
      if (quiet_us >= profile->heartbeat_us)
        choir_connection_send (self, CHOIR_OPCODE_PING, NULL, 0);
      /* the ping met the limit: the timer is the closing handshake's now */
      if (self->state != STATE_OPEN)
        return;
      next_us = MIN (next_us, quiet_us >= profile->heartbeat_us ? profile->heartbeat_us
                                                                : profile->heartbeat_us - quiet_us);
    }

  if (next_us < G_MAXINT64)
    choir_timer_wheel_arm (profile->wheel, timer, next_us, timer_cb);
}

static void
arm_deadline (ChoirConnection *self, gint64 delay_us)
{
  choir_timer_wheel_arm (self->profile->wheel, &self->timer, delay_us, timer_cb);
}

/* The close frame goes even where the outbox takes nothing more */
static void
push_close_frame (ChoirConnection *self, guint code, const char *reason)
{
  g_autoptr (ChoirFrame) frame = choir_frame_new_close (code, reason);

  if (self->outbox.n_bytes + frame->len > self->outbox.limits->max_bytes)
    choir_outbox_drop_unsent (&self->outbox, self->transport->pending);

  self->outbox.flags &= ~CHOIR_OUTBOX_CLOSED;
  choir_outbox_push (&self->outbox, frame);
  self->outbox.flags |= CHOIR_OUTBOX_CLOSED;
}

/**
 * choir_connection_close:
 * @self: a connection
 * @code: close code
 * @reason: (nullable): at most 123 bytes are sent
 *
 * Starts the closing handshake (RFC 6455 7.1.2): what is queued goes first, then the close frame.
 */
void
choir_connection_close (ChoirConnection *self, guint code, const char *reason)
{
  if (self->state != STATE_OPEN)
    return;

  self->state = STATE_CLOSING;
  drop_batch_timer (self);
  push_close_frame (self, code, reason);
  choir_reactor_mark_dirty (self->profile->reactor, &self->watch);
  arm_deadline (self, CLOSE_TIMEOUT_US);
}

/**
 * choir_connection_abort:
 * @self: a connection
 *
 * Drops it without a word.
 */
void
choir_connection_abort (ChoirConnection *self)
{
  die (self);
}

/* After a fault of the peer's: the close frame says which, and nothing it sent after it counts */
static void
fail (ChoirConnection *self, guint code, const char *reason)
{
  self->flags |= FLAG_DEAF;
  choir_connection_close (self, code, reason);
}

static void
batch_cb (ChoirTimer *timer)
{
  ChoirConnection *self = ((BatchTimer *) timer)->connection;

  choir_reactor_mark_dirty (self->profile->reactor, &self->watch);
}

static void
outbox_wake (ChoirOutbox *outbox)
{
  ChoirConnection *self = from_outbox (outbox);

  if (G_UNLIKELY (self->batch_timer != NULL) && self->state == STATE_OPEN)
    {
      if (outbox->n_frames < self->profile->batch_size)
        {
          /* asleep until the timer is due, but to be asked again by the next message */
          outbox->flags &= ~CHOIR_OUTBOX_WOKEN;
          if (!choir_timer_is_armed (&self->batch_timer->timer))
            choir_timer_wheel_arm (self->profile->wheel, &self->batch_timer->timer,
                                   self->profile->batch_delay_us, batch_cb);
          return;
        }

      choir_timer_disarm (&self->batch_timer->timer);
    }

  choir_reactor_mark_dirty (self->profile->reactor, &self->watch);
}

static void
outbox_overflow (ChoirOutbox *outbox)
{
  ChoirConnection *self = from_outbox (outbox);

  if (self->state != STATE_OPEN)
    return;

  if (self->profile->n_slow != NULL)
    *self->profile->n_slow += 1;

  choir_outbox_drop_unsent (outbox, self->transport->pending);
  choir_connection_close (self, CHOIR_CLOSE_SLOW_CONSUMER, "slow consumer");
}

static const ChoirOutboxFuncs outbox_funcs = { outbox_wake, outbox_overflow };

/* Whether it is one message: every one is an object, so an array is a batch made before */
static gboolean
is_message (const ChoirFrame *frame)
{
  gsize len;
  const guint8 *payload = choir_frame_get_payload (frame, &len);

  return *choir_frame_get_data (frame) == (0x80 | CHOIR_OPCODE_TEXT) && len > 0 && *payload != '[';
}

/* The run of text frames from @first on that may go as one batch */
static guint
count_batch (ChoirConnection *self, guint first, gsize *size)
{
  guint n = 0;

  for (*size = 2; first + n < self->outbox.n_frames && n < self->profile->batch_size; n++)
    {
      ChoirFrame *frame = choir_outbox_get_frame (&self->outbox, first + n);

      if (!is_message (frame))
        break;
      *size += frame->len + 1;
    }

  return n;
}

/* Several messages in one frame, for clients that said they want that (protocol.md, "Envelope") */
static void
join_messages (ChoirConnection *self)
{
  guint first = self->outbox.written > 0 ? 1 : 0;

  while (first < self->outbox.n_frames)
    {
      ChoirFrameBuilder builder;
      gsize size;
      guint n = count_batch (self, first, &size);

      if (n > 1)
        {
          choir_frame_builder_init (&builder, size);
          for (guint i = 0; i < n; i++)
            {
              gsize len;
              const guint8 *payload =
                choir_frame_get_payload (choir_outbox_get_frame (&self->outbox, first + i), &len);

              choir_frame_builder_append (&builder, i == 0 ? "[" : ",", 1);
              choir_frame_builder_append (&builder, payload, len);
            }
          choir_frame_builder_append_literal (&builder, "]");
          choir_outbox_replace_unsent (
            &self->outbox, first, n, choir_frame_builder_end (&builder, CHOIR_OPCODE_TEXT, FALSE));
        }
      first++;
    }
}

/* The outbox has run empty: what was waiting for that */
static void
drained (ChoirConnection *self)
{
  self->outbox.flags &= ~CHOIR_OUTBOX_WOKEN;
  self->n_pongs = 0;

  if (self->late_pong != NULL)
    {
      g_autoptr (ChoirFrame) pong = g_steal_pointer (&self->late_pong);

      choir_outbox_push (&self->outbox, pong);
    }

  /* both close frames are through, or the peer broke the protocol: then ours is the last word
   * (RFC 6455 7.1.7) */
  if (self->state == STATE_CLOSING && (self->flags & (FLAG_CLOSE_RECEIVED | FLAG_DEAF)))
    {
      self->state = STATE_LINGER;
      choir_transport_shutdown (self->transport);
      arm_deadline (self, LINGER_TIMEOUT_US);
    }
}

static void
resume_reading (ChoirConnection *self)
{
  if (self->outbox.n_bytes > self->outbox.limits->max_bytes / 4)
    return;

  self->flags &= ~FLAG_PAUSED;
  choir_reactor_requeue (self->profile->reactor, &self->watch);
}

/* What most flushes are */
static gssize
write_single (ChoirConnection *self)
{
  const ChoirFrame *frame = self->outbox.single;
  guint written = self->outbox.written;

  return choir_transport_send (self->transport, choir_frame_get_data (frame) + written,
                               frame->len - written);
}

static gssize
write_several (ChoirConnection *self)
{
  struct iovec iov[IOV_MAX_OURS];
  guint n = choir_outbox_peek (&self->outbox, iov, IOV_MAX_OURS);

  return choir_transport_write (self->transport, iov, n);
}

/* FALSE if the socket takes no more for now, or is broken */
static gboolean
write_queue (ChoirConnection *self)
{
  while (self->outbox.n_frames > 0)
    {
      gssize n = self->outbox.single != NULL ? write_single (self) : write_several (self);

      if (n == CHOIR_TRANSPORT_WOULD_BLOCK)
        {
          self->flags |= FLAG_BLOCKED;
          return FALSE;
        }

      if (n < 0)
        {
          die (self);
          return FALSE;
        }

      choir_outbox_consume (&self->outbox, n);
    }

  return TRUE;
}

static void
flush (ChoirConnection *self)
{
  if ((self->flags & FLAG_BLOCKED) || self->state == STATE_DEAD)
    return;

  if ((self->flags & FLAG_BATCHING) && self->outbox.n_frames > 1 && self->transport->pending == 0)
    join_messages (self);

  if (write_queue (self))
    drained (self);

  if (self->flags & FLAG_PAUSED)
    resume_reading (self);
}

static void
answer_ping (ChoirConnection *self, const ChoirFrameMessage *ping)
{
  g_autoptr (ChoirFrame) pong = choir_frame_new (CHOIR_OPCODE_PONG, ping->data, ping->len);

  if (self->n_pongs < PONGS_QUEUED_MAX)
    {
      self->n_pongs++;
      choir_outbox_push (&self->outbox, pong);
      return;
    }

  g_clear_pointer (&self->late_pong, choir_frame_unref);
  self->late_pong = g_steal_pointer (&pong);
}

static void
handle_close_frame (ChoirConnection *self, const ChoirFrameMessage *close)
{
  self->flags |= FLAG_CLOSE_RECEIVED | FLAG_DEAF;
  self->peer_code = close->close_code;

  /* RFC 6455 5.5.1: answered with the code that came; none came, none goes */
  if (self->state == STATE_OPEN)
    choir_connection_close (
      self, close->close_code == CHOIR_CLOSE_NO_STATUS ? 0 : close->close_code, NULL);
  else
    choir_reactor_mark_dirty (self->profile->reactor, &self->watch);
}

static void
handle_event (ChoirConnection *self, ChoirFrameEvent event, const ChoirFrameMessage *message)
{
  switch (event)
    {
    case CHOIR_FRAME_EVENT_MESSAGE:
      if (self->state == STATE_OPEN)
        self->handler->message (self, message->opcode, message->data, message->len,
                                self->handler_data);
      break;

    case CHOIR_FRAME_EVENT_PING:
      if (self->state == STATE_OPEN)
        answer_ping (self, message);
      break;

    case CHOIR_FRAME_EVENT_CLOSE:
      handle_close_frame (self, message);
      break;

    case CHOIR_FRAME_EVENT_ERROR:
      fail (self, message->close_code, message->reason);
      break;

    case CHOIR_FRAME_EVENT_PONG:
    case CHOIR_FRAME_EVENT_MORE:
    default:
      break;
    }
}

static void
process (ChoirConnection *self, guint8 *data, gsize len)
{
  ChoirFrameMessage message;
  ChoirFrameEvent event;

  while (!(self->flags & FLAG_DEAF) && self->state != STATE_DEAD)
    {
      event = choir_frame_parser_next (&self->parser, &data, &len, &message);
      if (event == CHOIR_FRAME_EVENT_MORE)
        return;

      handle_event (self, event, &message);

      /* many questions in one read, each with a long answer: write before the limit is met */
      if (self->outbox.n_bytes > self->outbox.limits->max_bytes / 2)
        flush (self);

      if (self->outbox.n_bytes > self->outbox.limits->max_bytes / 2 && self->state == STATE_OPEN &&
          len > 0)
        {
          self->backlog = g_bytes_new (data, len);
          self->flags |= FLAG_PAUSED;
          return;
        }
    }
}

/* What was read before the reading paused; FALSE if it pauses again */
static gboolean
process_backlog (ChoirConnection *self)
{
  g_autofree guint8 *data = NULL;
  gsize len;

  if (self->backlog == NULL)
    return TRUE;

  data = g_bytes_unref_to_data (g_steal_pointer (&self->backlog), &len);
  process (self, data, len);

  return !(self->flags & FLAG_PAUSED) && self->state != STATE_DEAD;
}

static void
read_some (ChoirConnection *self, gboolean ended)
{
  guint8 *buffer = choir_reactor_get_buffer (self->profile->reactor);
  gboolean stream = choir_transport_is_stream (self->transport);

  if (!process_backlog (self))
    return;

  for (guint i = 0; i < READS_PER_TURN; i++)
    {
      gssize n;

      if (self->outbox.n_bytes > self->outbox.limits->max_bytes / 2 && self->state == STATE_OPEN)
        {
          self->flags |= FLAG_PAUSED;
          return;
        }

      n = choir_transport_read (self->transport, buffer, CHOIR_REACTOR_BUFFER_SIZE);
      if (n == CHOIR_TRANSPORT_WOULD_BLOCK)
        return;

      if (n <= 0)
        {
          /* the peer may have closed its side behind its last words: it still gets the answers */
          if (n == 0)
            flush (self);
          die (self);
          return;
        }

      self->heard_us = choir_clock_monotonic_us ();
      process (self, buffer, n);

      if (self->state == STATE_DEAD || (self->flags & FLAG_PAUSED) ||
          (n < CHOIR_REACTOR_BUFFER_SIZE && !stream && !ended))
        return;
    }

  choir_reactor_requeue (self->profile->reactor, &self->watch);
}

static void
watch_ready (ChoirWatch *watch, guint32 events)
{
  ChoirConnection *self = from_watch (watch);
  gboolean stream = choir_transport_is_stream (self->transport);

  /* TLS may have to write in order to read, and the other way round */
  if ((self->flags & FLAG_BLOCKED) && ((events & EPOLLOUT) || stream))
    {
      self->flags &= ~FLAG_BLOCKED;
      flush (self);
      if (self->state == STATE_DEAD)
        return;
    }

  if (events == 0 || stream || (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)))
    if (!(self->flags & FLAG_PAUSED))
      read_some (self, (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0);
}

/* What a fan-out does to most of its subscribers: one whole frame, nothing before and nothing
 * behind it. FALSE: anything else */
static gboolean
flush_single (ChoirConnection *self)
{
  ChoirFrame *frame = self->outbox.single;
  gssize n;

  if (frame == NULL || self->outbox.written > 0 || self->state != STATE_OPEN ||
      (self->flags & (FLAG_BLOCKED | FLAG_PAUSED)) || self->n_pongs > 0)
    return FALSE;

  n = choir_transport_send (self->transport, choir_frame_get_data (frame), frame->len);
  if (n != (gssize) frame->len)
    {
      if (n > 0)
        choir_outbox_consume (&self->outbox, n);
      return FALSE;
    }

  choir_outbox_forget_single (&self->outbox);

  return TRUE;
}

static void
watch_flush (ChoirWatch *watch)
{
  ChoirConnection *self = from_watch (watch);

  if (!flush_single (self))
    flush (self);
}

static void
watch_reap (ChoirWatch *watch)
{
  ChoirConnection *self = from_watch (watch);

  if (self->handler != NULL)
    self->handler->closed (self, self->peer_code, self->handler_data);

  self->profile->left (self->flags & FLAG_COUNTED ? &self->address : NULL,
                       self->profile->user_data);

  g_clear_pointer (&self->transport, choir_transport_free);
  g_object_unref (self);
}

static const ChoirWatchFuncs watch_funcs = { watch_ready, watch_flush, watch_reap };

static void
choir_connection_finalize (GObject *object)
{
  ChoirConnection *self = CHOIR_CONNECTION (object);

  g_clear_pointer (&self->transport, choir_transport_free);
  g_clear_pointer (&self->late_pong, choir_frame_unref);
  g_clear_pointer (&self->backlog, g_bytes_unref);
  drop_batch_timer (self);
  choir_frame_parser_clear (&self->parser);
  choir_outbox_clear (&self->outbox);

  G_OBJECT_CLASS (choir_connection_parent_class)->finalize (object);
}

static void
choir_connection_class_init (ChoirConnectionClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = choir_connection_finalize;
}

static void
choir_connection_init (ChoirConnection *self)
{
  choir_id_generate (self->id);
  self->peer_code = CHOIR_CLOSE_ABNORMAL;
}

/* Which frames this peer can inflate; without a context of its own it shares them */
static void
set_up_deflate (ChoirConnection *self, const ChoirDeflateParams *deflate)
{
  if (!deflate->enabled)
    return;

  if (!deflate->server_no_context_takeover)
    self->outbox.deflater =
      choir_deflater_new (MIN (deflate->server_max_window_bits, 12), 4, 3, TRUE);
  else
    self->outbox.variant =
      deflate->server_max_window_bits >= 12 ? CHOIR_VARIANT_WIDE : CHOIR_VARIANT_NARROW;
}

/**
 * choir_connection_new:
 * @profile: what it shares with others like it; must outlive it
 * @transport: (transfer full): a stream on which the 101 has been sent
 * @deflate: what was negotiated
 * @address: (nullable): the client's address
 * @counted: whether the admission has counted the connection for @address
 *
 * Returns: (transfer full): a connection that does nothing yet
 */
ChoirConnection *
choir_connection_new (const ChoirConnectionProfile *profile,
                      ChoirTransport *transport,
                      const ChoirDeflateParams *deflate,
                      const ChoirAddress *address,
                      gboolean counted)
{
  ChoirConnection *self = g_object_new (CHOIR_TYPE_CONNECTION, NULL);

  self->profile = profile;
  self->transport = transport;
  self->watch.funcs = &watch_funcs;
  self->watch.fd = choir_transport_get_fd (transport);
  if (address != NULL)
    {
      self->address = *address;
      self->flags |= counted ? FLAG_ADDRESS | FLAG_COUNTED : FLAG_ADDRESS;
    }
  self->heard_us = choir_clock_monotonic_us ();
  choir_frame_parser_init (&self->parser, &profile->frames,
                           deflate->enabled ? choir_inflater_new (deflate) : NULL);
  choir_outbox_init (&self->outbox, &outbox_funcs, profile->outbox);
  set_up_deflate (self, deflate);

  return self;
}

/**
 * choir_connection_start:
 * @self: (transfer full): a new connection; from now on it frees itself when it is over
 * @handler: static
 * @user_data: for @handler
 *
 * Returns: %FALSE if the kernel has no room for it; the connection is gone then, and @handler is
 * not called
 */
gboolean
choir_connection_start (ChoirConnection *self,
                        const ChoirConnectionHandler *handler,
                        gpointer user_data)
{
  const ChoirConnectionProfile *profile = self->profile;
  gint64 first_us = profile->idle_us > 0 ? profile->idle_us : G_MAXINT64;

  if (!choir_reactor_add (profile->reactor, &self->watch,
                          EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET))
    {
      profile->left (self->flags & FLAG_COUNTED ? &self->address : NULL, profile->user_data);
      g_object_unref (self);
      return FALSE;
    }

  self->handler = handler;
  self->handler_data = user_data;

  if (profile->heartbeat_us > 0)
    first_us = MIN (first_us, profile->heartbeat_us);
  if (first_us < G_MAXINT64)
    arm_deadline (self, first_us);

  /* TLS may hold bytes that epoll will never announce */
  if (choir_transport_is_stream (self->transport))
    choir_reactor_requeue (profile->reactor, &self->watch);

  return TRUE;
}

/**
 * choir_connection_feed:
 * @self: a started connection
 * @data: bytes that came right behind the handshake
 * @len: how many
 */
void
choir_connection_feed (ChoirConnection *self, const guint8 *data, gsize len)
{
  g_autofree guint8 *copy = g_memdup2 (data, len);

  process (self, copy, len);
}

/**
 * choir_connection_set_batching:
 * @self: a connection
 * @batching: whether its client takes several messages in one frame
 */
void
choir_connection_set_batching (ChoirConnection *self, gboolean batching)
{
  if (batching)
    {
      self->flags |= FLAG_BATCHING;
      self->outbox.variant = CHOIR_VARIANT_PLAIN;
      g_clear_pointer (&self->outbox.deflater, choir_deflater_free);
      if (self->profile->batch_delay_us > 0 && self->batch_timer == NULL)
        {
          self->batch_timer = g_new0 (BatchTimer, 1);
          self->batch_timer->connection = self;
        }
    }
  else
    self->flags &= ~FLAG_BATCHING;
}

/**
 * choir_connection_send:
 * @self: a connection
 * @opcode: text, binary or a control frame; sent uncompressed
 * @data: payload
 * @len: its bytes
 */
void
choir_connection_send (ChoirConnection *self, ChoirOpcode opcode, const guint8 *data, gsize len)
{
  g_autoptr (ChoirFrame) frame = choir_frame_new (opcode, data, len);

  choir_outbox_push (&self->outbox, frame);
}

const char *
choir_connection_get_id (ChoirConnection *self)
{
  return self->id;
}

static ChoirOutbox *
link_get_outbox (ChoirLink *link)
{
  return &CHOIR_CONNECTION (link)->outbox;
}

static void
link_close (ChoirLink *link, guint code, const char *reason)
{
  choir_connection_close (CHOIR_CONNECTION (link), code, reason);
}

static const char *
link_get_id (ChoirLink *link)
{
  return CHOIR_CONNECTION (link)->id;
}

static char *
link_dup_address (ChoirLink *link)
{
  ChoirConnection *self = CHOIR_CONNECTION (link);
  char text[CHOIR_ADDRESS_TEXT_SIZE];

  if (!(self->flags & FLAG_ADDRESS))
    return g_strdup ("unix");

  choir_address_format (&self->address, text);

  return g_strdup (text);
}

static void
choir_connection_link_init (ChoirLinkInterface *iface)
{
  iface->get_outbox = link_get_outbox;
  iface->close = link_close;
  iface->get_id = link_get_id;
  iface->dup_address = link_dup_address;
}
