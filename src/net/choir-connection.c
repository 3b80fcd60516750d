/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-connection-private.h"

#include "choir-clock.h"
#include "choir-container.h"
#include "choir-session.h"

#include <sys/epoll.h>

/* A peer that does not answer a close frame in this time is dropped (RFC 6455 7.1.1 leaves it to
 * us) */
#define CLOSE_TIMEOUT_US (5 * G_USEC_PER_SEC)
/* After both close frames: how long the peer's end of the TCP connection is waited for */
#define LINGER_TIMEOUT_US (1 * G_USEC_PER_SEC)
static void choir_connection_link_init (ChoirLinkInterface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (ChoirConnection,
                               choir_connection,
                               G_TYPE_OBJECT,
                               G_IMPLEMENT_INTERFACE (CHOIR_TYPE_LINK, choir_connection_link_init))

/**
 * choir_connection_die:
 * @self: a connection
 *
 * Nothing more in either direction; freed at the end of the turn.
 */
void
choir_connection_die (ChoirConnection *self)
{
  if (self->state == CHOIR_CONNECTION_STATE_DEAD)
    return;

  self->state = CHOIR_CONNECTION_STATE_DEAD;
  choir_timer_disarm (&self->timer);
  choir_connection_drop_batch_timer (self);
  /* what still comes in this turn is kept: its session may go on elsewhere */
  choir_reactor_remove (self->profile->reactor, &self->watch);
  choir_reactor_mark_dead (self->profile->reactor, &self->watch);
}

static void
timer_cb (ChoirTimer *timer)
{
  ChoirConnection *self = CHOIR_CONTAINER_OF (timer, ChoirConnection, timer);
  const ChoirConnectionProfile *profile = self->profile;
  gint64 quiet_us, next_us;

  if (self->state != CHOIR_CONNECTION_STATE_OPEN)
    {
      choir_connection_die (self);
      return;
    }

  quiet_us = choir_clock_monotonic_us () - self->heard_us;
  if (profile->idle_us > 0 && quiet_us >= profile->idle_us)
    {
      /* lost, for all we know */
      choir_connection_tell_leaving (self, CHOIR_CLOSE_ABNORMAL);
      choir_connection_close (self, CHOIR_CLOSE_NORMAL, "Connection timeout");
      return;
    }

  next_us = profile->idle_us > 0 ? profile->idle_us - quiet_us : G_MAXINT64;
  if (profile->heartbeat_us > 0)
    {
      if (quiet_us >= profile->heartbeat_us)
        choir_connection_send (self, CHOIR_OPCODE_PING, NULL, 0);
      /* the ping met the limit: the timer is the closing handshake's now */
      if (self->state != CHOIR_CONNECTION_STATE_OPEN)
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

  if (!choir_outbox_fits (&self->outbox, frame->len))
    choir_outbox_drop_unsent (&self->outbox, self->transport->pending);

  self->outbox.flags &= ~CHOIR_OUTBOX_CLOSED;
  choir_outbox_push (&self->outbox, frame);
  self->outbox.flags |= CHOIR_OUTBOX_CLOSED;
}

/**
 * choir_connection_linger:
 * @self: a connection that has written its close frame
 *
 * The last word has been said; the peer's end of TCP is all there is to wait for.
 */
void
choir_connection_linger (ChoirConnection *self)
{
  self->state = CHOIR_CONNECTION_STATE_LINGER;
  choir_transport_shutdown (self->transport);
  arm_deadline (self, LINGER_TIMEOUT_US);
}

/**
 * choir_connection_tell_leaving:
 * @self: a connection that is still open
 * @code: why its peer will hear no more
 *
 * Lets the handler know before anything is closed.
 */
void
choir_connection_tell_leaving (ChoirConnection *self, guint code)
{
  if (self->handler != NULL && self->handler->leaving != NULL)
    self->handler->leaving (self, code, self->handler_data);
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
  if (self->state != CHOIR_CONNECTION_STATE_OPEN)
    return;

  if (!(self->flags & CHOIR_CONNECTION_CLOSE_RECEIVED))
    self->close_code = (guint16) code;

  self->state = CHOIR_CONNECTION_STATE_CLOSING;
  choir_connection_drop_batch_timer (self);
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
  choir_connection_die (self);
}

static void
watch_reap (ChoirWatch *watch)
{
  ChoirConnection *self = CHOIR_CONTAINER_OF (watch, ChoirConnection, watch);

  if (self->handler != NULL)
    self->handler->closed (self, self->close_code, self->handler_data);

  self->profile->left (self->flags & CHOIR_CONNECTION_COUNTED ? &self->address : NULL,
                       self->profile->user_data);

  g_clear_pointer (&self->transport, choir_transport_free);
  g_object_unref (self);
}

static const ChoirWatchFuncs watch_funcs = { choir_connection_ready, choir_connection_flush,
                                             watch_reap };

static void
choir_connection_finalize (GObject *object)
{
  ChoirConnection *self = CHOIR_CONNECTION (object);

  g_clear_pointer (&self->transport, choir_transport_free);
  g_clear_pointer (&self->late_pong, choir_frame_unref);
  g_clear_pointer (&self->backlog, g_bytes_unref);
  choir_connection_drop_batch_timer (self);
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
  self->close_code = CHOIR_CLOSE_ABNORMAL;
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
      self->flags |=
        counted ? CHOIR_CONNECTION_ADDRESS | CHOIR_CONNECTION_COUNTED : CHOIR_CONNECTION_ADDRESS;
    }
  self->heard_us = choir_clock_monotonic_us ();
  choir_frame_parser_init (&self->parser, &profile->frames,
                           deflate->enabled ? choir_inflater_new (deflate) : NULL);
  choir_outbox_init (&self->outbox, &choir_connection_outbox_funcs, profile->outbox);
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
      profile->left (self->flags & CHOIR_CONNECTION_COUNTED ? &self->address : NULL,
                     profile->user_data);
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

/**
 * choir_connection_get_heard_us:
 * @self: a connection
 *
 * Returns: when bytes last came from the client, answers to pings among them: monotonic, in
 * microseconds
 */
gint64
choir_connection_get_heard_us (ChoirConnection *self)
{
  return self->heard_us;
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

  return choir_address_dup_text ((self->flags & CHOIR_CONNECTION_ADDRESS) ? &self->address : NULL);
}

/* A frame that has been begun can't be left half way, nor may another connection give it as well:
 * then there are no last words */
static gboolean
link_take_unsent (ChoirLink *link, ChoirOutbox *into)
{
  ChoirConnection *self = CHOIR_CONNECTION (link);

  /* one that we close is not to be escaped from */
  if (self->state == CHOIR_CONNECTION_STATE_CLOSING ||
      self->state == CHOIR_CONNECTION_STATE_LINGER ||
      !choir_outbox_copy_unsent (&self->outbox, into))
    return FALSE;

  if (self->outbox.written > 0 || (self->transport != NULL && self->transport->pending > 0))
    choir_connection_die (self);
  else
    choir_outbox_drop_unsent (&self->outbox, 0);

  return TRUE;
}

static void
link_set_session (ChoirLink *link, ChoirSession *session)
{
  ChoirConnection *self = CHOIR_CONNECTION (link);
  G_GNUC_UNUSED g_autoptr (ChoirSession) before = self->handler_data;

  self->handler_data = session != NULL ? g_object_ref (session) : NULL;
}

static void
choir_connection_link_init (ChoirLinkInterface *iface)
{
  iface->get_outbox = link_get_outbox;
  iface->close = link_close;
  iface->get_id = link_get_id;
  iface->dup_address = link_dup_address;
  iface->take_unsent = link_take_unsent;
  iface->set_session = link_set_session;
}
