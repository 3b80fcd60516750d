/* choir-store-reader.h: the thread that reads
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-sqlite.h"
#include "choir-store-delivery.h"

G_BEGIN_DECLS

/**
 * ChoirStoreReader:
 *
 * Reads what has been committed, over a connection of its own, so that nothing that is written
 * waits for it. Each request sees the database as it was when its turn came.
 */
typedef struct _ChoirStoreReader ChoirStoreReader;

/* Takes @db, also on error. @queue and @delivery must outlive it */
ChoirStoreReader *choir_store_reader_start (sqlite3 *db,
                                            ChoirStoreQueue *queue,
                                            ChoirStoreDelivery *delivery,
                                            GError **error);
void choir_store_reader_join (ChoirStoreReader *self);

/* Work on requests; the worker is a ChoirStoreReader. Names of the questions as in
 * ChoirStoreInterface */
gboolean choir_store_work_load (ChoirStoreRequest *request, gpointer worker, GError **error);
gboolean choir_store_work_read (ChoirStoreRequest *request, gpointer worker, GError **error);
gboolean choir_store_work_find_key (ChoirStoreRequest *request, gpointer worker, GError **error);
gboolean choir_store_work_list (ChoirStoreRequest *request, gpointer worker, GError **error);
gboolean
choir_store_work_list_snapshots (ChoirStoreRequest *request, gpointer worker, GError **error);
gboolean choir_store_work_get_user (ChoirStoreRequest *request, gpointer worker, GError **error);
gboolean choir_store_work_list_users (ChoirStoreRequest *request, gpointer worker, GError **error);

G_END_DECLS
