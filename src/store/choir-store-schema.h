/* choir-store-schema.h: the tables of the database and how they came to be
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A database says of itself that it is Choir's (application_id, "Chor") and how far it has been
 * taken (user_version). Whatever is missing is done step by step, each step whole or not at all.
 */

#pragma once

#include "choir-sqlite.h"

G_BEGIN_DECLS

#define CHOIR_STORE_APPLICATION_ID 0x43686f72

/* (array zero-terminated=1): step i takes version i to version i + 1 */
const char *const *choir_store_schema_get_steps (void);

/* @steps is for tests; otherwise those above */
gboolean choir_store_schema_update (sqlite3 *db, const char *const *steps, GError **error);
/* Without writing: whether it is ours, or new, and not of a newer version */
gboolean choir_store_schema_examine (sqlite3 *db, GError **error);
/* As it is, it can be worked with: neither older nor newer */
gboolean choir_store_schema_check (sqlite3 *db, GError **error);
gboolean choir_store_schema_check_integrity (sqlite3 *db, GError **error);

G_END_DECLS
