/* fault-vfs.h: a disk that fails when told
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Stands between SQLite and the real files, as the default for whatever is opened afterwards. Only
 * databases and their logs are affected. Any thread.
 */

#pragma once

#include <glib.h>

typedef enum
{
  FAULT_NONE,
  FAULT_FULL,     /* no room for anything that makes a file longer */
  FAULT_WRITE,    /* writing fails */
  FAULT_READONLY, /* the file system was remounted read-only */
  FAULT_SYNC,     /* fsync fails, after the data was written */
  FAULT_TORN,     /* half of what is written gets there, then writing fails */
} Fault;

void fault_vfs_register (void);
/* From the @after-th call on that it could concern (0: at once) */
void fault_vfs_set (Fault fault, guint after);
/* Files synced so far */
guint fault_vfs_get_n_syncs (void);
