/* choir-admin-error.h: the service's errors as the bus names them
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-error.h"

G_BEGIN_DECLS

void choir_admin_error_register (void);

G_END_DECLS
