/* load-stats.h: what the load generator reads off the server and the clock
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

gint64 load_now_ns (void);

/* The servers measured */
typedef struct
{
  GArray *pids; /* (owned) (element-type int) */
} LoadServer;

gboolean load_server_init (LoadServer *self, const char *pids);
void load_server_clear (LoadServer *self);
gint64 load_server_get_cpu_ns (const LoadServer *self);
gint64 load_server_get_rss_kib (const LoadServer *self);
gint64 load_self_get_cpu_ns (void);

/* Powers of two, each in 32 parts: 3 % wide */
#define LOAD_HISTOGRAM_CELLS (60 * 32)

typedef struct
{
  guint64 n;
  guint32 cells[LOAD_HISTOGRAM_CELLS];
} LoadHistogram;

void load_histogram_record (LoadHistogram *self, gint64 value_ns);
gint64 load_histogram_get_quantile_ns (const LoadHistogram *self, double q);

G_END_DECLS
