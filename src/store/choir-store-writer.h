/* choir-store-writer.h: the thread that writes
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-sqlite.h"
#include "choir-store-delivery.h"

G_BEGIN_DECLS

/**
 * ChoirStoreWriter:
 *
 * Everything that waits while a transaction is being written shares the next one (DeWitt and
 * others, "Implementation techniques for main memory database systems", 1984: group commit). One
 * that fails fails as a whole: nobody in it was told that it was stored. From then on the writer
 * refuses, and tries by itself whether it works again.
 */
typedef struct _ChoirStoreWriter ChoirStoreWriter;

/* Takes @db, also on error. @queue and @delivery must outlive it */
ChoirStoreWriter *choir_store_writer_start (sqlite3 *db,
                                            ChoirStoreQueue *queue,
                                            ChoirStoreDelivery *delivery,
                                            GError **error);
/* Its queue must have been closed; waits until everything is done */
void choir_store_writer_join (ChoirStoreWriter *self);

G_END_DECLS
