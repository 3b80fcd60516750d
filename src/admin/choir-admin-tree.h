/* choir-admin-tree.h: connections, sessions, documents, channels and tasks below the root object
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-admin-call.h"
#include "choir-admin-path.h"

G_BEGIN_DECLS

/* More objects than these, or so many bytes of what they say, are listed page by page only */
#define CHOIR_ADMIN_OBJECTS_MAX 2000
#define CHOIR_ADMIN_OBJECTS_BYTES_MAX (16 * 1024 * 1024)

/**
 * ChoirAdminTree:
 *
 * Five subtrees whose objects are virtual: a path that is well formed is introspected without
 * looking whether there is such an object, and a call finds it when its caller may know. So what is
 * not asked for costs nothing, and a stranger learns nothing. On the stack, or within another.
 */
typedef struct
{
  GDBusConnection *connection; /* (owned) (nullable): where it is exported */
  guint subtrees[CHOIR_N_ADMIN_KINDS];
  guint manager; /* the ObjectManager of the root */
} ChoirAdminTree;

gboolean choir_admin_tree_export (ChoirAdminTree *self,
                                  ChoirAdmin *admin,
                                  GDBusConnection *connection,
                                  GError **error);
void choir_admin_tree_unexport (ChoirAdminTree *self);

/* (transfer floating) (nullable): an `a{oa{sa{sv}}}`; G_DBUS_ERROR_LIMITS_EXCEEDED */
GVariant *choir_admin_tree_describe (ChoirHub *hub, GError **error);

G_END_DECLS
