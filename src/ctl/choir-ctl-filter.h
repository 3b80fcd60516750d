/* choir-ctl-filter.h: the options that pick connections, users and so on
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* What one page may have (org.choir.Choir1.Manager.ListConnections()) */
#define CHOIR_CTL_PAGE_DEFAULT 100
#define CHOIR_CTL_PAGE_MAX 1000

extern const GOptionEntry choir_ctl_connections_entries[];
extern const GOptionEntry choir_ctl_users_entries[];
extern const GOptionEntry choir_ctl_channels_entries[];
extern const GOptionEntry choir_ctl_documents_entries[];
extern const GOptionEntry choir_ctl_tasks_entries[];
extern const GOptionEntry choir_ctl_page_entries[];
extern const GOptionEntry choir_ctl_broadcast_entries[];

typedef struct
{
  guint offset; /* passed over */
  guint n;      /* at most so many; G_MAXUINT: all */
} ChoirCtlPage;

GVariant *choir_ctl_filter_new (void);
gboolean choir_ctl_filter_get_page (ChoirCtlPage *out, GError **error);

G_END_DECLS
