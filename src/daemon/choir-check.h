/* choir-check.h: whether a configuration would work
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The parts of the service are made of the configuration and thrown away. `--check-config` is
 * that, and a reload does it before it touches anything, so that it happens whole or not at all.
 */

#pragma once

#include <glib.h>

#include "choir-config.h"

G_BEGIN_DECLS

gboolean choir_check_config (ChoirConfig *config, GError **error);

G_END_DECLS
