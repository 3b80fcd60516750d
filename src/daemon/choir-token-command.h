/* choir-token-command.h: choird token: a token for trying and for scripts
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

int choir_token_command (int argc, char **argv);

G_END_DECLS
