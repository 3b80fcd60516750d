/* choir-public-key.h: is this PEM a public key that fits the algorithm?
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-key-set.h"

G_BEGIN_DECLS

gboolean
choir_public_key_check (const char *pem, gsize len, ChoirAlgorithm algorithm, GError **error);

G_END_DECLS
