/* choir-sd.h: telling the service manager how we are, sd_notify(3)
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

void choir_sd_notify (const char *format, ...) G_GNUC_PRINTF (1, 2);
/* microseconds between pings, 0: no watchdog is asked for */
gint64 choir_sd_get_watchdog_us (void);

G_END_DECLS
