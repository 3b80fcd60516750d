/* choir-volley.h: several messages that leave together, to many
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-broadcaster.h"

G_BEGIN_DECLS

/* (transfer full) (nullable): message @i as @dialect has it; %NULL: it has no such message */
typedef ChoirFrame *(*ChoirVolleyEncodeFunc) (const ChoirDialect *dialect,
                                              guint i,
                                              gpointer user_data);

/* Whether one recipient gets something else in place of message @i. @out: (transfer full)
 * (nullable): what; %NULL: nothing */
typedef gboolean (*ChoirVolleyEditFunc) (guint i, ChoirFrame **out, gpointer user_data);

/**
 * ChoirVolley:
 *
 * Some messages on their way; lives on the stack between begin and end. Each is encoded once for
 * each dialect among the recipients, and all of them are put into one block for each kind of
 * recipient, so that whoever gets them all costs a pointer, however many they are. One who gets
 * something else for some of them gets a block of his own, put together from the same pieces.
 */
typedef struct
{
  ChoirBroadcaster *broadcaster; /* borrowed */
  ChoirVolleyEncodeFunc encode;
  gpointer user_data;
  guint n;          /* messages */
  guint batch_size; /* messages in one array, for those who take arrays */
  guint n_sent;     /* messages to recipients */
  ChoirFrame **messages[CHOIR_N_FRAME_VARIANTS]; /* (owned) (nullable): @n each */
  ChoirFrame *wholes[CHOIR_N_FRAME_VARIANTS];    /* (owned) (nullable): all in one block */
  ChoirFrame *arrays[CHOIR_N_DIALECTS]; /* (owned) (nullable): the same for those who take arrays */
} ChoirVolley;

void choir_volley_begin (ChoirVolley *self,
                         ChoirBroadcaster *broadcaster,
                         guint n,
                         guint batch_size,
                         ChoirVolleyEncodeFunc encode,
                         gpointer user_data);
void choir_volley_push_first (ChoirVolley *self, ChoirOutbox *outbox);
void choir_volley_push_edited (ChoirVolley *self,
                               ChoirOutbox *outbox,
                               ChoirVolleyEditFunc edit,
                               gpointer user_data);
void choir_volley_end (ChoirVolley *self);

/* What is more than this part of a client's queue is counted apart, or one paste would close all
 * who look on */
#define CHOIR_VOLLEY_LARGE_PART 4

/**
 * choir_volley_push:
 * @self: messages on their way
 * @outbox: one recipient, who gets all of them
 */
static inline void
choir_volley_push (ChoirVolley *self, ChoirOutbox *outbox)
{
  ChoirFrame *whole = self->wholes[outbox->variant];

  if (G_UNLIKELY (whole == NULL || outbox->deflater != NULL ||
                  (outbox->flags & CHOIR_OUTBOX_BATCHES) ||
                  whole->len > outbox->limits->max_bytes / CHOIR_VOLLEY_LARGE_PART))
    {
      choir_volley_push_first (self, outbox);
      return;
    }

  choir_outbox_push (outbox, whole);
  self->n_sent += self->n;
}

G_END_DECLS
