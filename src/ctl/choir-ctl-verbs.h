/* choir-ctl-verbs.h: the plain verbs, one a function; those that go on for ever are in
 * choir-ctl-live.h, the options of those that list in choir-ctl-filter.h, and the table of all is
 * in choir-ctl-verbs.c
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-ctl.h"

G_BEGIN_DECLS

/* choir-ctl-status.c */
gboolean choir_ctl_status (ChoirCtl *self, char **words, GError **error);

/* choir-ctl-list.c */
gboolean choir_ctl_connections (ChoirCtl *self, char **words, GError **error);
gboolean choir_ctl_users (ChoirCtl *self, char **words, GError **error);
gboolean choir_ctl_channels (ChoirCtl *self, char **words, GError **error);
gboolean choir_ctl_documents (ChoirCtl *self, char **words, GError **error);
gboolean choir_ctl_tasks (ChoirCtl *self, char **words, GError **error);
gboolean choir_ctl_blocked (ChoirCtl *self, char **words, GError **error);
gboolean choir_ctl_revoked (ChoirCtl *self, char **words, GError **error);

/* choir-ctl-show.c */
gboolean choir_ctl_show (ChoirCtl *self, char **words, GError **error);

/* choir-ctl-users.c */
extern const GOptionEntry choir_ctl_kick_entries[];
extern const GOptionEntry choir_ctl_block_entries[];
gboolean choir_ctl_kick (ChoirCtl *self, char **words, GError **error);
gboolean choir_ctl_block (ChoirCtl *self, char **words, GError **error);
gboolean choir_ctl_unblock (ChoirCtl *self, char **words, GError **error);
gboolean choir_ctl_revoke (ChoirCtl *self, char **words, GError **error);
gboolean choir_ctl_unrevoke (ChoirCtl *self, char **words, GError **error);
gboolean choir_ctl_subscribe (ChoirCtl *self, char **words, GError **error);
gboolean choir_ctl_unsubscribe (ChoirCtl *self, char **words, GError **error);

/* choir-ctl-message.c */
extern const GOptionEntry choir_ctl_send_entries[];
gboolean choir_ctl_broadcast (ChoirCtl *self, char **words, GError **error);
gboolean choir_ctl_publish (ChoirCtl *self, char **words, GError **error);
gboolean choir_ctl_send (ChoirCtl *self, char **words, GError **error);

/* choir-ctl-content.c */
extern const GOptionEntry choir_ctl_close_entries[];
extern const GOptionEntry choir_ctl_read_entries[];
gboolean choir_ctl_read (ChoirCtl *self, char **words, GError **error);
gboolean choir_ctl_close_document (ChoirCtl *self, char **words, GError **error);
gboolean choir_ctl_cancel (ChoirCtl *self, char **words, GError **error);

/* choir-ctl-service.c */
extern const GOptionEntry choir_ctl_drain_entries[];
gboolean choir_ctl_drain (ChoirCtl *self, char **words, GError **error);
gboolean choir_ctl_reload (ChoirCtl *self, char **words, GError **error);
gboolean choir_ctl_log_level (ChoirCtl *self, char **words, GError **error);

G_END_DECLS
