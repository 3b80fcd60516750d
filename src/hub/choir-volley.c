/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-volley.h"

/* The frames of one recipient, or of one kind: few enough mostly to need no memory */
#define FRAMES_INLINE 16

typedef struct
{
  ChoirFrame **items; /* (owned) unless it is inline_items; each (owned) */
  guint n;
  ChoirFrame *inline_items[FRAMES_INLINE];
} Frames;

static void
frames_init (Frames *self, guint max)
{
  self->n = 0;
  self->items = max <= FRAMES_INLINE ? self->inline_items : g_new (ChoirFrame *, max);
}

static void
frames_clear (Frames *self)
{
  for (guint i = 0; i < self->n; i++)
    choir_frame_unref (self->items[i]);

  if (self->items != self->inline_items)
    g_free (self->items);
}

/* @frame: (transfer full) (nullable) */
static void
frames_take (Frames *self, ChoirFrame *frame)
{
  if (frame != NULL)
    self->items[self->n++] = frame;
}

/**
 * choir_volley_begin:
 * @self: memory for the volley
 * @broadcaster: borrowed until choir_volley_end()
 * @n: how many messages
 * @batch_size: most of them in one array
 * @encode: makes each of them for each dialect that is needed
 * @user_data: for @encode
 */
void
choir_volley_begin (ChoirVolley *self,
                    ChoirBroadcaster *broadcaster,
                    guint n,
                    guint batch_size,
                    ChoirVolleyEncodeFunc encode,
                    gpointer user_data)
{
  *self = (ChoirVolley){
    .broadcaster = broadcaster,
    .encode = encode,
    .user_data = user_data,
    .n = n,
    .batch_size = batch_size,
  };
}

static ChoirFrame **
get_plain (ChoirVolley *self, guint dialect)
{
  ChoirFrame ***plain = &self->messages[dialect * CHOIR_N_VARIANTS + CHOIR_VARIANT_PLAIN];

  if (*plain != NULL)
    return *plain;

  *plain = g_new (ChoirFrame *, self->n);
  for (guint i = 0; i < self->n; i++)
    (*plain)[i] = self->encode (choir_dialect_get ((ChoirDialectId) dialect), i, self->user_data);

  return *plain;
}

/* As recipients like @outbox get them; those for an array, or for a window of the recipient's own,
 * are plain */
static ChoirFrame **
get_messages (ChoirVolley *self, ChoirOutbox *outbox)
{
  ChoirFrame **plain = get_plain (self, outbox->variant / CHOIR_N_VARIANTS);
  ChoirFrame ***messages = &self->messages[outbox->variant];

  if (outbox->deflater != NULL || (outbox->flags & CHOIR_OUTBOX_BATCHES))
    return plain;

  if (*messages != NULL)
    return *messages;

  *messages = g_new (ChoirFrame *, self->n);
  for (guint i = 0; i < self->n; i++)
    (*messages)[i] =
      plain[i] != NULL ? choir_broadcaster_compress (self->broadcaster, outbox, plain[i]) : NULL;

  return *messages;
}

/* (transfer full) (nullable): all in one block, in arrays as large as may be */
static ChoirFrame *
join_in_arrays (const Frames *messages, guint batch_size)
{
  ChoirFrame *joined;
  Frames arrays;

  if (messages->n < 2)
    return messages->n == 1 ? choir_frame_ref (messages->items[0]) : NULL;

  frames_init (&arrays, messages->n);
  for (guint i = 0; i < messages->n; i += batch_size)
    {
      guint n = MIN (batch_size, messages->n - i);

      frames_take (&arrays, n > 1 ? choir_envelope_join (messages->items + i, n)
                                  : choir_frame_ref (messages->items[i]));
    }

  joined = choir_frame_new_joined (arrays.items, arrays.n);
  frames_clear (&arrays);

  return joined;
}

static ChoirFrame *
join (const Frames *messages)
{
  return messages->n > 0 ? choir_frame_new_joined (messages->items, messages->n) : NULL;
}

static void
push (ChoirOutbox *outbox, ChoirFrame *frame)
{
  if (frame->len <= outbox->limits->max_bytes / CHOIR_VOLLEY_LARGE_PART)
    choir_outbox_push (outbox, frame);
  else if (!choir_outbox_push_large (outbox, frame, CHOIR_OUTBOX_LARGE_MAX))
    choir_outbox_overflow (outbox);
}

static void
push_each (ChoirVolley *self, ChoirOutbox *outbox, const Frames *messages)
{
  for (guint i = 0; i < messages->n; i++)
    {
      g_autoptr (ChoirFrame) frame =
        choir_broadcaster_compress (self->broadcaster, outbox, messages->items[i]);

      push (outbox, frame);
    }
}

/* @whole: (inout) (nullable): where the block for all recipients of this kind is kept; %NULL: this
 * one is for one recipient only */
static void
push_frames (ChoirVolley *self, ChoirOutbox *outbox, const Frames *messages, ChoirFrame **whole)
{
  g_autoptr (ChoirFrame) own = NULL;

  self->n_sent += messages->n;
  if (outbox->deflater != NULL)
    {
      push_each (self, outbox, messages);
      return;
    }

  if (whole == NULL || *whole == NULL)
    own = (outbox->flags & CHOIR_OUTBOX_BATCHES) ? join_in_arrays (messages, self->batch_size)
                                                 : join (messages);
  if (own != NULL && whole != NULL)
    *whole = choir_frame_ref (own);
  if (own != NULL)
    push (outbox, own);
}

/* All messages of the kind that @outbox gets, as they are */
static void
collect (ChoirVolley *self, ChoirOutbox *outbox, Frames *out)
{
  ChoirFrame **messages = get_messages (self, outbox);

  frames_init (out, self->n);
  for (guint i = 0; i < self->n; i++)
    frames_take (out, messages[i] != NULL ? choir_frame_ref (messages[i]) : NULL);
}

/**
 * choir_volley_push_first:
 * @self: messages on their way
 * @outbox: the first recipient of its kind, or one that is of none
 *
 * The part of choir_volley_push() for those who do not simply get a block that is there already.
 */
void
choir_volley_push_first (ChoirVolley *self, ChoirOutbox *outbox)
{
  ChoirFrame **whole = (outbox->flags & CHOIR_OUTBOX_BATCHES)
                         ? &self->arrays[outbox->variant / CHOIR_N_VARIANTS]
                         : &self->wholes[outbox->variant];
  Frames messages;

  if (*whole != NULL && outbox->deflater == NULL)
    {
      push (outbox, *whole);
      self->n_sent += self->n;
      return;
    }

  collect (self, outbox, &messages);
  push_frames (self, outbox, &messages, whole);
  frames_clear (&messages);
}

/**
 * choir_volley_push_edited:
 * @self: messages on their way
 * @outbox: one recipient
 * @edit: says for each message what it gets in its place
 * @user_data: for @edit
 */
void
choir_volley_push_edited (ChoirVolley *self,
                          ChoirOutbox *outbox,
                          ChoirVolleyEditFunc edit,
                          gpointer user_data)
{
  ChoirFrame **shared = get_messages (self, outbox);
  gboolean plain = outbox->deflater != NULL || (outbox->flags & CHOIR_OUTBOX_BATCHES);
  Frames messages;

  frames_init (&messages, self->n);
  for (guint i = 0; i < self->n; i++)
    {
      g_autoptr (ChoirFrame) own = NULL;

      if (!edit (i, &own, user_data))
        frames_take (&messages, shared[i] != NULL ? choir_frame_ref (shared[i]) : NULL);
      else if (own != NULL && !plain)
        frames_take (&messages, choir_broadcaster_compress (self->broadcaster, outbox, own));
      else
        frames_take (&messages, g_steal_pointer (&own));
    }

  push_frames (self, outbox, &messages, NULL);
  frames_clear (&messages);
}

/**
 * choir_volley_end:
 * @self: messages on their way
 *
 * Drops the volley's own references.
 */
void
choir_volley_end (ChoirVolley *self)
{
  for (guint i = 0; i < CHOIR_N_FRAME_VARIANTS; i++)
    {
      for (guint j = 0; self->messages[i] != NULL && j < self->n; j++)
        g_clear_pointer (&self->messages[i][j], choir_frame_unref);
      g_clear_pointer (&self->messages[i], g_free);
      g_clear_pointer (&self->wholes[i], choir_frame_unref);
    }

  for (guint i = 0; i < CHOIR_N_DIALECTS; i++)
    g_clear_pointer (&self->arrays[i], choir_frame_unref);
}
