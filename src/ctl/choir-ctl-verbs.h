/* choir-ctl-verbs.h: the verbs, one a function; the table is in choir-ctl-verbs.c
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-ctl.h"

G_BEGIN_DECLS

/* choir-ctl-service.c */
extern const GOptionEntry choir_ctl_drain_entries[];
gboolean choir_ctl_drain (ChoirCtl *self, char **words, GError **error);
gboolean choir_ctl_reload (ChoirCtl *self, char **words, GError **error);
gboolean choir_ctl_log_level (ChoirCtl *self, char **words, GError **error);

G_END_DECLS
