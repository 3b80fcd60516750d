/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-broadcaster.h"

#include "choir-error.h"

/* deflateReset of a large window dominates at our sizes: measured, small ones lose little */
#define WIDE_WINDOW_BITS 12
#define NARROW_WINDOW_BITS 9
#define MEM_LEVEL 4
#define LEVEL 3

/* The subscriber this many places ahead is fetched while the present one is served */
#define PREFETCH_AHEAD 4

struct _ChoirBroadcaster
{
  GObject parent_instance;

  ChoirDeflater *deflaters[CHOIR_N_VARIANTS]; /* (owned): none for plain */
  gsize threshold;
  gsize max_bytes[CHOIR_N_DIALECTS];     /* of a message that is sent */
  gint64 *n_too_large[CHOIR_N_DIALECTS]; /* (nullable) borrowed: messages that were larger */
};

G_DEFINE_FINAL_TYPE (ChoirBroadcaster, choir_broadcaster, G_TYPE_OBJECT)

static void
choir_broadcaster_finalize (GObject *object)
{
  ChoirBroadcaster *self = CHOIR_BROADCASTER (object);

  for (guint i = 0; i < CHOIR_N_VARIANTS; i++)
    g_clear_pointer (&self->deflaters[i], choir_deflater_free);

  G_OBJECT_CLASS (choir_broadcaster_parent_class)->finalize (object);
}

static void
choir_broadcaster_class_init (ChoirBroadcasterClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = choir_broadcaster_finalize;
}

static void
choir_broadcaster_init (ChoirBroadcaster *self)
{
  self->threshold = 1024;
  for (guint i = 0; i < CHOIR_N_DIALECTS; i++)
    self->max_bytes[i] = G_MAXSIZE;
}

/**
 * choir_broadcaster_new:
 *
 * Returns: (transfer full): a broadcaster; its compressors are made when first needed
 */
ChoirBroadcaster *
choir_broadcaster_new (void)
{
  return g_object_new (CHOIR_TYPE_BROADCASTER, NULL);
}

/**
 * choir_broadcaster_set_compression_threshold:
 * @self: a broadcaster
 * @bytes: payloads below this size are sent as they are
 */
void
choir_broadcaster_set_compression_threshold (ChoirBroadcaster *self, gsize bytes)
{
  self->threshold = bytes;
}

/**
 * choir_broadcaster_set_limit:
 * @self: a broadcaster
 * @dialect: whose clients are meant
 * @max_bytes: of a message to them, before compression. One that is larger is not sent to them; if
 * it is an answer they get an error instead
 * @n_too_large: (nullable): counts them; must outlive @self
 */
void
choir_broadcaster_set_limit (ChoirBroadcaster *self,
                             ChoirDialectId dialect,
                             gsize max_bytes,
                             gint64 *n_too_large)
{
  self->max_bytes[dialect] = max_bytes;
  self->n_too_large[dialect] = n_too_large;
}

static gboolean
is_too_large (ChoirBroadcaster *self, guint dialect, ChoirFrame *plain)
{
  gsize len;

  /* with its header */
  if (G_LIKELY (plain->len <= self->max_bytes[dialect]))
    return FALSE;

  choir_frame_get_payload (plain, &len);
  if (len <= self->max_bytes[dialect])
    return FALSE;

  if (self->n_too_large[dialect] != NULL)
    *self->n_too_large[dialect] += 1;

  return TRUE;
}

static ChoirFrame *
compress_shared (ChoirBroadcaster *self, ChoirVariant variant, ChoirFrame *plain)
{
  ChoirOpcode opcode = *choir_frame_get_data (plain) & 0xf;
  gsize len;
  const guint8 *payload = choir_frame_get_payload (plain, &len);
  ChoirFrame *deflated;

  if (variant == CHOIR_VARIANT_PLAIN || len < self->threshold)
    return choir_frame_ref (plain);

  if (self->deflaters[variant] == NULL)
    self->deflaters[variant] =
      choir_deflater_new (variant == CHOIR_VARIANT_WIDE ? WIDE_WINDOW_BITS : NARROW_WINDOW_BITS,
                          MEM_LEVEL, LEVEL, FALSE);

  deflated = choir_deflater_compress (self->deflaters[variant], opcode, payload, len);

  return deflated != NULL ? deflated : choir_frame_ref (plain);
}

/**
 * choir_fanout_begin:
 * @self: memory for the fan-out
 * @broadcaster: borrowed until choir_fanout_end()
 * @message: likewise
 */
void
choir_fanout_begin (ChoirFanout *self, ChoirBroadcaster *broadcaster, const ChoirMessage *message)
{
  *self = (ChoirFanout){ .broadcaster = broadcaster, .message = message };
}

/* What those get who hear @message now */
static ChoirFrame *
encode_live (const ChoirDialect *dialect, const ChoirMessage *message)
{
  ChoirFrame *frame = message->live != NULL ? choir_envelope_encode (dialect, message->live) : NULL;

  return frame != NULL ? frame : choir_envelope_encode (dialect, message);
}

static void
stamp (const ChoirFanout *self, ChoirFrame *frame)
{
  frame->lane = self->lane;
  frame->priority = self->priority;
}

static ChoirFrame *
encode_plain (ChoirFanout *self, guint dialect)
{
  guint i = dialect * CHOIR_N_VARIANTS + CHOIR_VARIANT_PLAIN;

  if (self->frames[i] != NULL || (self->not_sent & (1u << dialect)))
    return self->frames[i];

  self->frames[i] = encode_live (choir_dialect_get (dialect), self->message);
  if (self->frames[i] != NULL && is_too_large (self->broadcaster, dialect, self->frames[i]))
    g_clear_pointer (&self->frames[i], choir_frame_unref);
  if (self->frames[i] == NULL)
    self->not_sent |= 1u << dialect;
  else
    {
      choir_frame_get_payload (self->frames[i], &self->payload_len);
      stamp (self, self->frames[i]);
    }

  return self->frames[i];
}

/**
 * choir_fanout_encode:
 * @self: a fan-out
 * @outbox: the first recipient of its kind
 *
 * Returns: (transfer none) (nullable): the frame for recipients like @outbox; %NULL if its dialect
 * does not send this type, or nothing so large
 */
ChoirFrame *
choir_fanout_encode (ChoirFanout *self, ChoirOutbox *outbox)
{
  ChoirVariant variant = outbox->variant % CHOIR_N_VARIANTS;
  ChoirFrame *plain = encode_plain (self, outbox->variant / CHOIR_N_VARIANTS);

  if (plain == NULL || variant == CHOIR_VARIANT_PLAIN)
    return plain;

  self->frames[outbox->variant] = compress_shared (self->broadcaster, variant, plain);
  stamp (self, self->frames[outbox->variant]);

  return self->frames[outbox->variant];
}

/**
 * choir_fanout_push_deflated:
 * @self: a fan-out
 * @outbox: a recipient whose compression window is its own
 */
void
choir_fanout_push_deflated (ChoirFanout *self, ChoirOutbox *outbox)
{
  ChoirFrame *plain = encode_plain (self, outbox->variant / CHOIR_N_VARIANTS);

  if (plain == NULL)
    return;

  if (choir_broadcaster_send_frame (self->broadcaster, outbox, plain))
    self->n_recipients++;
}

/**
 * choir_fanout_end:
 * @self: a fan-out
 *
 * Drops the fan-out's own references to its frames.
 */
void
choir_fanout_end (ChoirFanout *self)
{
  for (guint i = 0; i < G_N_ELEMENTS (self->frames); i++)
    g_clear_pointer (&self->frames[i], choir_frame_unref);
}

/* Two channels that share one only keep more order than they would have to */
static guint32
get_lane (const ChoirChannel *channel)
{
  guintptr address = (guintptr) channel;

  return (guint32) (address >> 4) | 1;
}

/**
 * choir_broadcaster_send_to_channel:
 * @self: a broadcaster
 * @channel: whose subscribers are meant
 * @message: what to send
 * @except: (nullable): a session that is left out
 *
 * Returns: how many outboxes took it
 */
guint
choir_broadcaster_send_to_channel (ChoirBroadcaster *self,
                                   const ChoirChannel *channel,
                                   const ChoirMessage *message,
                                   const ChoirSession *except)
{
  ChoirSubscription **subscribers = channel->subscribers;
  guint n = channel->n_subscribers;
  guint last = MAX (n, 1) - 1;
  ChoirFanout fanout;

  choir_fanout_begin (&fanout, self, message);
  fanout.lane = get_lane (channel);
  fanout.priority = channel->ns->priority;

  for (guint i = 0; i < n; i++)
    {
      ChoirSubscription *subscription = subscribers[i];

      __builtin_prefetch (subscribers[MIN (i + PREFETCH_AHEAD, last)]);

      if (subscription->session != except)
        choir_fanout_push (&fanout, subscription->outbox);
    }

  choir_fanout_end (&fanout);

  return fanout.n_recipients;
}

static void
send_too_large (ChoirBroadcaster *self, ChoirOutbox *outbox, const ChoirMessage *message)
{
  const ChoirDialect *dialect = choir_dialect_get (outbox->variant / CHOIR_N_VARIANTS);
  const ChoirErrorMessage error = {
    .code = CHOIR_ERROR_TOO_LARGE,
    .message = "The answer is larger than a message may be",
    .correlation_id = message->correlation_id,
    .wall_us = message->wall_us,
  };
  g_autoptr (ChoirFrame) frame = choir_envelope_encode_error (dialect, &error);

  choir_broadcaster_send_frame (self, outbox, frame);
}

/**
 * choir_broadcaster_send:
 * @self: a broadcaster
 * @outbox: the recipient
 * @message: what to send
 *
 * Returns: %FALSE if the recipient's dialect does not know the type
 */
gboolean
choir_broadcaster_send (ChoirBroadcaster *self, ChoirOutbox *outbox, const ChoirMessage *message)
{
  const ChoirDialect *dialect = choir_dialect_get (outbox->variant / CHOIR_N_VARIANTS);
  g_autoptr (ChoirFrame) plain = choir_envelope_encode (dialect, message);

  if (plain == NULL)
    return FALSE;

  if (is_too_large (self, outbox->variant / CHOIR_N_VARIANTS, plain))
    send_too_large (self, outbox, message);
  else
    choir_broadcaster_send_frame (self, outbox, plain);

  return TRUE;
}

/**
 * choir_broadcaster_compress:
 * @self: a broadcaster
 * @outbox: the recipient, or one of several of its kind
 * @plain: (transfer none): an uncompressed data frame
 *
 * Returns: (transfer full): @plain as the recipient agreed to have it, if that is worth it
 */
ChoirFrame *
choir_broadcaster_compress (ChoirBroadcaster *self, ChoirOutbox *outbox, ChoirFrame *plain)
{
  const guint8 *payload;
  gsize len;

  if (outbox->deflater == NULL || plain->len < self->threshold)
    return compress_shared (self, outbox->variant % CHOIR_N_VARIANTS, plain);

  payload = choir_frame_get_payload (plain, &len);

  return choir_deflater_compress (outbox->deflater, *choir_frame_get_data (plain) & 0xf, payload,
                                  len);
}

/**
 * choir_broadcaster_send_frame:
 * @self: a broadcaster
 * @outbox: the recipient
 * @plain: (transfer none): an uncompressed data frame
 *
 * Queues @plain, compressed as the recipient agreed if that is worth it.
 *
 * Returns: whether it is queued
 */
gboolean
choir_broadcaster_send_frame (ChoirBroadcaster *self, ChoirOutbox *outbox, ChoirFrame *plain)
{
  g_autoptr (ChoirFrame) frame = choir_broadcaster_compress (self, outbox, plain);

  return choir_outbox_push (outbox, frame);
}
