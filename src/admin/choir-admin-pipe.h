/* choir-admin-pipe.h: lines for somebody who may be slow to read them
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

/* What waits for the reader besides what the kernel holds */
#define CHOIR_ADMIN_PIPE_MAX (1024 * 1024)

/**
 * ChoirAdminPipe:
 *
 * The writing end of a pipe. Nothing ever waits for the reader: what does not fit is left out, and
 * a line `{"dropped":N}` says how many lines that were, where they would have been.
 */
typedef struct _ChoirAdminPipe ChoirAdminPipe;

/* The reader has closed its end, or it broke. Called from the main loop, never within a push */
typedef void (*ChoirAdminPipeClosed) (gpointer user_data);

ChoirAdminPipe *choir_admin_pipe_new (int *reading_fd,
                                      ChoirAdminPipeClosed closed,
                                      gpointer user_data,
                                      GError **error);
void choir_admin_pipe_free (ChoirAdminPipe *self);
void choir_admin_pipe_push (ChoirAdminPipe *self, const GString *line);
gsize choir_admin_pipe_get_n_waiting (const ChoirAdminPipe *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirAdminPipe, choir_admin_pipe_free)

G_END_DECLS
