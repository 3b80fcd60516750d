/* choir-store-file.h: the database's file: whose it is, how it is opened
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-store.h"

#include "choir-sqlite.h"

G_BEGIN_DECLS

/**
 * ChoirStoreLock:
 *
 * One service for a database: a lock on the file beside it, which goes with the process. The
 * database itself can't carry it, because SQLite's own locks on it end with any descriptor that is
 * closed.
 */
typedef struct
{
  int fd; /* -1: not held */
} ChoirStoreLock;

gboolean choir_store_lock_take (ChoirStoreLock *self, const char *path, GError **error);
gboolean
choir_store_lock_try (ChoirStoreLock *self, const char *path, gboolean *held, GError **error);
void choir_store_lock_release (ChoirStoreLock *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (ChoirStoreLock, choir_store_lock_release)

/* The writer's connection. With the lock held: creates, checks, updates */
sqlite3 *choir_store_file_open (const char *path,
                                ChoirDurability durability,
                                gboolean is_locked,
                                GError **error);
sqlite3 *choir_store_file_open_for_reading (const char *path, GError **error);

G_END_DECLS
