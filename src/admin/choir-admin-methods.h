/* choir-admin-methods.h: the methods on the bus, a table for each subject
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-admin-call.h"

G_BEGIN_DECLS

extern const ChoirAdminMethod choir_admin_content_methods[];
extern const guint choir_admin_content_n_methods;
extern const ChoirAdminMethod choir_admin_document_methods[];
extern const guint choir_admin_document_n_methods;
extern const ChoirAdminMethod choir_admin_list_methods[];
extern const guint choir_admin_list_n_methods;
extern const ChoirAdminMethod choir_admin_message_methods[];
extern const guint choir_admin_message_n_methods;
/* org.freedesktop.DBus.Properties of what is below the root */
extern const ChoirAdminMethod choir_admin_object_methods[];
extern const guint choir_admin_object_n_methods;
extern const ChoirAdminMethod choir_admin_service_methods[];
extern const guint choir_admin_service_n_methods;
extern const ChoirAdminMethod choir_admin_stats_methods[];
extern const guint choir_admin_stats_n_methods;
extern const ChoirAdminMethod choir_admin_trace_methods[];
extern const guint choir_admin_trace_n_methods;
extern const ChoirAdminMethod choir_admin_task_methods[];
extern const guint choir_admin_task_n_methods;
/* org.freedesktop.DBus.ObjectManager of the root */
extern const ChoirAdminMethod choir_admin_tree_methods[];
extern const guint choir_admin_tree_n_methods;
extern const ChoirAdminMethod choir_admin_users_methods[];
extern const guint choir_admin_users_n_methods;
extern const ChoirAdminMethod choir_admin_watch_methods[];
extern const guint choir_admin_watch_n_methods;

G_END_DECLS
