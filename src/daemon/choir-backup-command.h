/* choir-backup-command.h: choird backup: a copy of the database while the service runs
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

int choir_backup_command (int argc, char **argv);

G_END_DECLS
