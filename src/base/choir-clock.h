/* choir-clock.h: the time, which tests can set
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define CHOIR_CLOCK_ISO8601_SIZE 25

gint64 choir_clock_monotonic_us (void);
gint64 choir_clock_wall_us (void);

/* "2026-01-08T10:30:00.123Z" and NUL; UTC, RFC 3339 */
void choir_clock_format_iso8601 (gint64 wall_us, char out[CHOIR_CLOCK_ISO8601_SIZE]);
gboolean choir_clock_parse_iso8601 (const char *text, gsize len, gint64 *out_wall_us);

/* Tests only: freeze both clocks at these values; advance moves both */
void choir_clock_freeze (gint64 monotonic_us, gint64 wall_us);
void choir_clock_advance (gint64 us);
void choir_clock_thaw (void);

G_END_DECLS
