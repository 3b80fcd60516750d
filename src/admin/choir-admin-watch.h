/* choir-admin-watch.h: who is told by signals of what happens
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

typedef struct _ChoirAdmin ChoirAdmin;

/**
 * ChoirAdminWatch:
 *
 * Makes signals of what happens, for the callers who want them. It looks on at the hub only while
 * there is one.
 */
typedef struct _ChoirAdminWatch ChoirAdminWatch;

ChoirAdminWatch *choir_admin_watch_new (ChoirAdmin *admin);
void choir_admin_watch_free (ChoirAdminWatch *self);
void choir_admin_watch_clear (ChoirAdminWatch *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirAdminWatch, choir_admin_watch_free)

G_END_DECLS
