/* choir-directory-store.h: the users a store has
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-directory.h"
#include "choir-store.h"

G_BEGIN_DECLS

/**
 * ChoirDirectoryStore:
 *
 * The users table of a store. It is asked each time, so that what `choird user` changes counts from
 * the next authentication on. Before it comes a list that has been configured: whoever is on that
 * is not asked for.
 */
#define CHOIR_TYPE_DIRECTORY_STORE (choir_directory_store_get_type ())
G_DECLARE_FINAL_TYPE (ChoirDirectoryStore, choir_directory_store, CHOIR, DIRECTORY_STORE, GObject)

ChoirDirectory *choir_directory_store_new (ChoirStore *store, ChoirDirectoryMemory *known);

G_END_DECLS
