/* choir-admin-redact.h: a message's payload, to be looked at by an administrator
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-json-gate.h"

G_BEGIN_DECLS

void choir_admin_redact (ChoirSlice json, GString *out);

G_END_DECLS
