/* choir-admin-filter.h: which connections an operator means
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-audience.h"

G_BEGIN_DECLS

gboolean choir_admin_filter_parse (ChoirAudience *self, GVariant *dict, GError **error);

G_END_DECLS
