/* choir-admin-rates.h: how fast counters grow, for those who ask again and again
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * ChoirAdminRates:
 *
 * Remembers what every counter of one kind showed about a second ago, from the first question until
 * a while after the last: a service that nobody looks at pays nothing. Several who ask at the same
 * time share what is remembered. Things are told apart by their address, and one that takes the
 * place of another may be given a wrong rate once.
 */
typedef struct _ChoirAdminRates ChoirAdminRates;

ChoirAdminRates *choir_admin_rates_new (void);
void choir_admin_rates_free (ChoirAdminRates *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirAdminRates, choir_admin_rates_free)

/* Between the two, each thing that there is */
void choir_admin_rates_begin (ChoirAdminRates *self);
double choir_admin_rates_look (ChoirAdminRates *self, gconstpointer thing, guint64 count);
void choir_admin_rates_end (ChoirAdminRates *self);

guint choir_admin_rates_get_n_things (ChoirAdminRates *self);

G_END_DECLS
