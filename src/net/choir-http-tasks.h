/* choir-http-tasks.h: what the handlers of tasks share
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-http-request.h"
#include "choir-task-table.h"

G_BEGIN_DECLS

/* choir-http-tasks.c */
extern const ChoirHttpRoute choir_http_tasks_routes[];
extern const guint choir_http_tasks_n_routes;
ChoirTaskTable *choir_http_get_tasks (ChoirHttpRequest *request);

/* choir-http-tasks-body.c */
gboolean choir_http_members_get_int (const ChoirJsonObject *object,
                                     const char *name,
                                     gint64 min,
                                     gint64 max,
                                     gint64 *out,
                                     GError **error);
GPtrArray *choir_http_members_get_strings (const ChoirJsonObject *object,
                                           const char *name,
                                           guint max,
                                           gsize max_len,
                                           GError **error);

/* choir-http-tasks-pull.c */
void choir_http_pull_tasks (ChoirHttpRequest *request);

/* choir-http-tasks-update.c */
void choir_http_update_task (ChoirHttpRequest *request);

G_END_DECLS
