/* choir-keys.h: the verifier as the configuration describes it
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-config.h"
#include "choir-verifier.h"

G_BEGIN_DECLS

ChoirVerifier *choir_keys_load (ChoirConfig *config, GError **error);
gboolean choir_keys_reload (ChoirConfig *config, ChoirVerifier *verifier, GError **error);

G_END_DECLS
