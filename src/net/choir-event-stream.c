/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-event-stream-private.h"

#include "choir-clock.h"
#include "choir-close-code.h"
#include "choir-container.h"
#include "choir-payload.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

/* A client that does not take its last words in this time is dropped, as on a WebSocket */
#define CLOSE_TIMEOUT_US (5 * G_USEC_PER_SEC)
/* After them: how long the peer's end of the TCP connection is waited for */
#define LINGER_TIMEOUT_US (1 * G_USEC_PER_SEC)

/* RFC 6455 5.5: a control frame's payload, less the status code */
#define REASON_MAX 123

/* When a client comes back by itself: at once, or, where all are sent away together, some time
 * between these */
#define RETRY_MS 1000U
#define RETRY_AWAY_MIN_MS 1000U
#define RETRY_AWAY_MAX_MS 5000U

static void choir_event_stream_link_init (ChoirLinkInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (ChoirEventStream,
                               choir_event_stream,
                               G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (CHOIR_TYPE_LINK,
                                                      choir_event_stream_link_init))

/**
 * choir_event_stream_die:
 * @self: a stream
 *
 * Nothing more in either direction; freed at the end of the turn.
 */
void
choir_event_stream_die (ChoirEventStream *self)
{
  if (self->state == CHOIR_EVENT_STREAM_DEAD)
    return;

  self->state = CHOIR_EVENT_STREAM_DEAD;
  choir_timer_disarm (&self->timer);
  /* what still comes in this turn is kept: its session may go on elsewhere */
  choir_reactor_remove (self->profile->reactor, &self->watch);
  choir_reactor_mark_dead (self->profile->reactor, &self->watch);
}

static void
say (ChoirEventStream *self, const char *text)
{
  if (self->rest == NULL)
    self->rest = g_string_new (text);
  else
    g_string_append (self->rest, text);
  choir_reactor_mark_dirty (self->profile->reactor, &self->watch);
}

static void arm (ChoirEventStream *self, gint64 delay_us);

static void
timer_cb (ChoirTimer *timer)
{
  ChoirEventStream *self = CHOIR_CONTAINER_OF (timer, ChoirEventStream, timer);
  gint64 heartbeat_us = self->profile->heartbeat_us;
  gint64 quiet_us;

  if (self->state != CHOIR_EVENT_STREAM_OPEN)
    {
      choir_event_stream_die (self);
      return;
    }

  if (self->log != NULL)
    choir_event_log_trim (self->log);

  /* a comment: by it proxies know that the stream lives, and we that the client does */
  quiet_us = choir_clock_monotonic_us () - self->written_us;
  if (quiet_us >= heartbeat_us && !(self->flags & CHOIR_EVENT_STREAM_BLOCKED))
    say (self, ":\n\n");

  arm (self, quiet_us >= heartbeat_us ? heartbeat_us : heartbeat_us - quiet_us);
}

static void
arm (ChoirEventStream *self, gint64 delay_us)
{
  choir_timer_wheel_arm (self->profile->wheel, &self->timer, delay_us, timer_cb);
}

static void
watch_reap (ChoirWatch *watch)
{
  ChoirEventStream *self = CHOIR_CONTAINER_OF (watch, ChoirEventStream, watch);

  self->closed (self, self->session, self->close_code,
                (self->flags & CHOIR_EVENT_STREAM_FOR_GOOD) != 0, self->user_data);
  g_clear_object (&self->session);
  self->log = NULL;
  self->profile->left (self->flags & CHOIR_EVENT_STREAM_COUNTED ? &self->address : NULL,
                       self->profile->user_data);
  g_clear_pointer (&self->transport, choir_transport_free);
  g_object_unref (self);
}

static const ChoirWatchFuncs watch_funcs = { choir_event_stream_ready, choir_event_stream_flush,
                                             watch_reap };

static void
outbox_wake (ChoirOutbox *outbox)
{
  ChoirEventStream *self = CHOIR_CONTAINER_OF (outbox, ChoirEventStream, outbox);

  choir_reactor_mark_dirty (self->profile->reactor, &self->watch);
}

/**
 * choir_event_stream_linger:
 * @self: a stream that has written its last event
 *
 * The peer's end of TCP is all there is to wait for.
 */
void
choir_event_stream_linger (ChoirEventStream *self)
{
  self->state = CHOIR_EVENT_STREAM_LINGER;
  choir_transport_shutdown (self->transport);
  arm (self, LINGER_TIMEOUT_US);
}

/* (transfer full) (nullable): as much of it as a WebSocket's close frame has room for */
static char *
dup_reason (const char *reason)
{
  gsize len = reason != NULL ? strlen (reason) : 0;

  if (len > REASON_MAX)
    for (len = REASON_MAX; (reason[len] & 0xc0) == 0x80;)
      len--;

  return reason != NULL ? g_strndup (reason, len) : NULL;
}

/**
 * choir_event_stream_append_close:
 * @out: gets the last event of a stream
 * @code: close code, as on a WebSocket
 * @reason: shown to the client
 */
void
choir_event_stream_append_close (GString *out, guint code, const char *reason)
{
  g_autofree char *cut = dup_reason (reason);

  g_string_append (out, "event: close\n");
  if (code == CHOIR_CLOSE_GOING_AWAY || code == CHOIR_CLOSE_RESTART ||
      code == CHOIR_CLOSE_TRY_AGAIN_LATER)
    g_string_append_printf (out, "retry: %u\n",
                            RETRY_AWAY_MIN_MS +
                              choir_id_random_range (RETRY_AWAY_MAX_MS - RETRY_AWAY_MIN_MS));
  g_string_append (out, "data: ");
  choir_payload_open (out);
  choir_payload_add_int (out, "code", code);
  choir_payload_add_string (out, "reason", cut);
  choir_payload_close (out);
  g_string_append (out, "\n\n");
}

static void
choir_event_stream_close (ChoirEventStream *self, guint code, const char *reason)
{
  if (self->state != CHOIR_EVENT_STREAM_OPEN)
    return;

  self->state = CHOIR_EVENT_STREAM_CLOSING;
  self->farewell = g_string_new (NULL);
  choir_event_stream_append_close (self->farewell, code, reason);
  self->close_code = (guint16) code;
  self->outbox.flags |= CHOIR_OUTBOX_CLOSED;
  choir_reactor_mark_dirty (self->profile->reactor, &self->watch);
  arm (self, CLOSE_TIMEOUT_US);
}

static void
outbox_overflow (ChoirOutbox *outbox)
{
  ChoirEventStream *self = CHOIR_CONTAINER_OF (outbox, ChoirEventStream, outbox);

  if (self->state != CHOIR_EVENT_STREAM_OPEN)
    return;

  if (self->profile->n_slow != NULL)
    *self->profile->n_slow += 1;

  choir_outbox_drop_unsent (outbox, 0);
  choir_event_stream_close (self, CHOIR_CLOSE_SLOW_CONSUMER, "slow consumer");
}

static const ChoirOutboxFuncs outbox_funcs = { outbox_wake, outbox_overflow };

static void
choir_event_stream_finalize (GObject *object)
{
  ChoirEventStream *self = CHOIR_EVENT_STREAM (object);

  g_clear_object (&self->session);
  g_clear_pointer (&self->transport, choir_transport_free);
  g_clear_pointer (&self->replay, g_array_unref);
  if (self->rest != NULL)
    g_string_free (self->rest, TRUE);
  if (self->farewell != NULL)
    g_string_free (self->farewell, TRUE);
  choir_event_encoder_clear (&self->encoder);
  choir_outbox_clear (&self->outbox);

  G_OBJECT_CLASS (choir_event_stream_parent_class)->finalize (object);
}

static void
choir_event_stream_class_init (ChoirEventStreamClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = choir_event_stream_finalize;
}

static void
choir_event_stream_init (ChoirEventStream *self)
{
  choir_id_generate (self->id);
  choir_event_encoder_init (&self->encoder);
  self->close_code = CHOIR_CLOSE_ABNORMAL;
}

/**
 * choir_event_stream_new:
 * @profile: what it shares with connections of its dialect; must outlive it
 * @transport: (transfer full): a stream on which the request has been read
 * @address: (nullable): the client's address
 * @counted: whether the admission has counted the connection for @address
 *
 * Returns: (transfer full): a stream that does nothing yet
 */
ChoirEventStream *
choir_event_stream_new (const ChoirConnectionProfile *profile,
                        ChoirTransport *transport,
                        const ChoirAddress *address,
                        gboolean counted)
{
  ChoirEventStream *self = g_object_new (CHOIR_TYPE_EVENT_STREAM, NULL);

  self->profile = profile;
  self->transport = transport;
  self->watch.funcs = &watch_funcs;
  self->watch.fd = choir_transport_get_fd (transport);
  if (address != NULL)
    {
      self->address = *address;
      self->flags |= counted ? CHOIR_EVENT_STREAM_ADDRESS | CHOIR_EVENT_STREAM_COUNTED
                             : CHOIR_EVENT_STREAM_ADDRESS;
    }
  self->written_us = choir_clock_monotonic_us ();
  choir_outbox_init (&self->outbox, &outbox_funcs, profile->outbox);

  return self;
}

/* A client that is gone without a word is noticed by what it does not confirm: there is nothing
 * else that it would say. Means nothing to other kinds of sockets */
static void
set_timeout (ChoirEventStream *self)
{
  int timeout_ms = (int) MIN (self->profile->idle_us / 1000, G_MAXINT);

  if (timeout_ms > 0)
    setsockopt (self->watch.fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof timeout_ms);
}

/**
 * choir_event_stream_start:
 * @self: (transfer full): a new stream; from now on it frees itself when it is over
 * @head: of the answer
 * @closed: called when it is over
 * @user_data: for @closed
 *
 * Returns: %FALSE if the kernel has no room for it; the stream is gone then, and @closed is not
 * called
 */
gboolean
choir_event_stream_start (ChoirEventStream *self,
                          const GString *head,
                          ChoirEventStreamClosed closed,
                          gpointer user_data)
{
  const ChoirConnectionProfile *profile = self->profile;

  if (!choir_reactor_add (profile->reactor, &self->watch,
                          EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET))
    {
      profile->left (self->flags & CHOIR_EVENT_STREAM_COUNTED ? &self->address : NULL,
                     profile->user_data);
      g_object_unref (self);
      return FALSE;
    }

  self->closed = closed;
  self->user_data = user_data;
  set_timeout (self);
  say (self, head->str);
  if (profile->heartbeat_us > 0)
    arm (self, profile->heartbeat_us);

  /* TLS may hold bytes that epoll will never announce */
  if (choir_transport_is_stream (self->transport))
    choir_reactor_requeue (profile->reactor, &self->watch);

  return TRUE;
}

/**
 * choir_event_stream_get_session:
 * @self: a stream
 *
 * Returns: (transfer none) (nullable): what it carries
 */
ChoirSession *
choir_event_stream_get_session (ChoirEventStream *self)
{
  return self->session;
}

/**
 * choir_event_stream_open:
 * @self: a started stream
 * @opening: what it carries
 *
 * Says which session this is, by an event of its own: not every contract has a greeting that does.
 */
void
choir_event_stream_open (ChoirEventStream *self, const ChoirEventStreamOpening *opening)
{
  g_autoptr (GString) text = g_string_new (NULL);
  char id[CHOIR_EVENT_ID_MAX + 1];

  self->log = opening->log;
  choir_event_encoder_name (&self->encoder, opening->session_id, opening->positions);
  g_string_printf (text, "retry: %u\nevent: session\n", RETRY_MS);
  if (!opening->returning)
    {
      /* else it keeps the id it has until it is given what stands behind that */
      choir_event_encoder_write_id (&self->encoder, choir_event_log_get_last (self->log), id);
      g_string_append_printf (text, "id: %s\n", id);
    }
  g_string_append (text, "data: ");
  choir_payload_open (text);
  choir_payload_add_string (text, "session_id", opening->session_id);
  choir_payload_add_string (text, "connection_id", self->id);
  choir_payload_add_boolean (text, "resumed", opening->resumed);
  choir_payload_close (text);
  g_string_append (text, "\n\n");
  say (self, text->str);
}

/**
 * choir_event_stream_replay:
 * @self: an open stream
 * @seen: the number of the last event that the client has seen; the log reaches it
 * @n_greetings: frames in the outbox that go before what it has missed
 *
 * Sends again what a stream before this one may have lost.
 */
void
choir_event_stream_replay (ChoirEventStream *self, guint64 seen, guint n_greetings)
{
  self->n_greetings = n_greetings;
  self->replay = g_array_new (FALSE, FALSE, sizeof (ChoirEventEntry));
  g_array_set_clear_func (self->replay, (GDestroyNotify) choir_event_entry_clear);
  choir_event_log_replay (self->log, seen, self->replay);
  if (self->replay->len == 0)
    g_clear_pointer (&self->replay, g_array_unref);
  choir_reactor_mark_dirty (self->profile->reactor, &self->watch);
}

/**
 * choir_event_stream_abort:
 * @self: a started stream
 *
 * Drops it without a word.
 */
void
choir_event_stream_abort (ChoirEventStream *self)
{
  choir_event_stream_die (self);
}

static ChoirOutbox *
link_get_outbox (ChoirLink *link)
{
  return &CHOIR_EVENT_STREAM (link)->outbox;
}

/* An EventSource comes back after whatever it was told; but these were not meant so. A slow one is
 * let go elsewhere: here 4008 is what a contract calls an eviction */
static gboolean
is_for_good (guint code)
{
  return code == CHOIR_CLOSE_KICKED || code == CHOIR_CLOSE_EVICTED || code == CHOIR_CLOSE_POLICY ||
         code == CHOIR_CLOSE_AUTH_FAILED || code == CHOIR_CLOSE_SLOW_CONSUMER;
}

static void
link_close (ChoirLink *link, guint code, const char *reason)
{
  ChoirEventStream *self = CHOIR_EVENT_STREAM (link);

  if (self->state == CHOIR_EVENT_STREAM_OPEN && is_for_good (code))
    self->flags |= CHOIR_EVENT_STREAM_FOR_GOOD;
  choir_event_stream_close (self, code, reason);
}

static const char *
link_get_id (ChoirLink *link)
{
  return CHOIR_EVENT_STREAM (link)->id;
}

static char *
link_dup_address (ChoirLink *link)
{
  ChoirEventStream *self = CHOIR_EVENT_STREAM (link);

  return choir_address_dup_text ((self->flags & CHOIR_EVENT_STREAM_ADDRESS) ? &self->address
                                                                            : NULL);
}

/* What has been encoded counts as given: if it is lost, it is in the log. A greeting is out of
 * date */
static gboolean
link_take_unsent (ChoirLink *link, ChoirOutbox *into)
{
  ChoirEventStream *self = CHOIR_EVENT_STREAM (link);

  for (; self->n_greetings > 0 && self->outbox.n_frames > 0; self->n_greetings--)
    choir_outbox_consume (&self->outbox, choir_outbox_get_frame (&self->outbox, 0)->len);

  if (!choir_outbox_copy_unsent (&self->outbox, into))
    return FALSE;

  choir_outbox_drop_unsent (&self->outbox, 0);

  return TRUE;
}

static void
link_set_session (ChoirLink *link, ChoirSession *session)
{
  ChoirEventStream *self = CHOIR_EVENT_STREAM (link);

  g_set_object (&self->session, session);
  /* the session's, which goes on without it */
  self->log = NULL;
  self->encoder.positions = NULL;
  g_clear_pointer (&self->replay, g_array_unref);
}

static void
choir_event_stream_link_init (ChoirLinkInterface *iface)
{
  iface->get_outbox = link_get_outbox;
  iface->close = link_close;
  iface->get_id = link_get_id;
  iface->dup_address = link_dup_address;
  iface->take_unsent = link_take_unsent;
  iface->set_session = link_set_session;
  iface->names_session = TRUE;
}
