/* choir-user-command.h: choird user: who may come in where users are asked for
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

int choir_user_command (int argc, char **argv);

G_END_DECLS
