/* choir-admin-growth.h: how fast counters grow, for those who ask again and again
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * ChoirAdminGrowth:
 *
 * Remembers what every counter of one kind showed about a second ago, from the first question until
 * a while after the last: a service that nobody looks at pays nothing. Several who ask at the same
 * time share what is remembered. Things are told apart by their address, and one that takes the
 * place of another may be given a wrong rate once.
 */
typedef struct _ChoirAdminGrowth ChoirAdminGrowth;

ChoirAdminGrowth *choir_admin_growth_new (void);
void choir_admin_growth_free (ChoirAdminGrowth *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirAdminGrowth, choir_admin_growth_free)

/**
 * choir_admin_ensure_growth:
 * @growth: (inout): a place for one, or one
 *
 * Returns: (transfer none): the one that is there then
 */
ChoirAdminGrowth *choir_admin_ensure_growth (ChoirAdminGrowth **growth);

/* Between the two, each thing that there is */
void choir_admin_growth_begin (ChoirAdminGrowth *self);
double choir_admin_growth_look (ChoirAdminGrowth *self, gconstpointer thing, guint64 count);
void choir_admin_growth_end (ChoirAdminGrowth *self);

guint choir_admin_growth_get_n_things (ChoirAdminGrowth *self);

G_END_DECLS
