/* choir-ctl-format.h: sizes, ages and rates as people like them, for tables; JSON has the numbers
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

char *choir_ctl_format_bytes (guint64 bytes);
char *choir_ctl_format_span (guint64 span_s);
char *choir_ctl_format_time (guint64 wall_us);
char *choir_ctl_format_age (guint64 wall_us);
char *choir_ctl_format_rate (double per_s);
char *choir_ctl_format_latency (double span_us);

/* What a member of a dictionary of the bus is; the name tells the unit */
typedef enum
{
  CHOIR_CTL_TEXT,
  CHOIR_CTL_COUNT,
  CHOIR_CTL_BYTES,
  CHOIR_CTL_SPAN_S,  /* seconds */
  CHOIR_CTL_AGE_US,  /* microseconds since the epoch, shown as how long ago */
  CHOIR_CTL_TIME_US, /* likewise, shown as date and time */
  CHOIR_CTL_FLAG,
} ChoirCtlKind;

char *choir_ctl_format_member (GVariant *dictionary, const char *key, ChoirCtlKind kind);

G_END_DECLS
