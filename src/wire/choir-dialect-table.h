/* choir-dialect-table.h: the contracts as data, for choir-dialect alone
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

#include "choir-dialect.h"

G_BEGIN_DECLS

extern const ChoirDialectTable choir_dialect_tables[CHOIR_N_DIALECTS];

G_END_DECLS
