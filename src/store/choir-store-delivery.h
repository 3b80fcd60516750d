/* choir-store-delivery.h: answers from the threads back to the main context
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-store-request.h"

G_BEGIN_DECLS

/**
 * ChoirStoreDelivery:
 *
 * One source for all answers: a group of them wakes the loop once. It is also asked before the loop
 * sleeps, which is where what one turn has asked for is handed to the threads, together.
 */
typedef struct _ChoirStoreDelivery ChoirStoreDelivery;

/* What has come from the threads since the last time */
typedef struct
{
  ChoirStoreRequests answered;
  gboolean has_state; /* whether there is news of: */
  gboolean writable;
  char *reason;  /* (owned) (nullable): why it is not writable */
  guint n_ended; /* threads that have ended */
} ChoirStoreNews;

typedef void (*ChoirStoreFlushFunc) (gpointer user_data);
/* What is left in @news is lost */
typedef void (*ChoirStoreNewsFunc) (ChoirStoreNews *news, gpointer user_data);

ChoirStoreDelivery *
choir_store_delivery_new (ChoirStoreFlushFunc flush, ChoirStoreNewsFunc news, gpointer user_data);
void choir_store_delivery_free (ChoirStoreDelivery *self);

/* Any thread */
void choir_store_delivery_push (ChoirStoreDelivery *self, ChoirStoreRequests *answered);
void
choir_store_delivery_set_writable (ChoirStoreDelivery *self, gboolean writable, const char *reason);
void choir_store_delivery_end (ChoirStoreDelivery *self);

G_END_DECLS
