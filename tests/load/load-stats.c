/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "load-stats.h"

#include <string.h>
#include <time.h>

#define NS_PER_S G_GINT64_CONSTANT (1000000000)
#define PARTS 32
#define PARTS_BITS 5

/* Monotonic: GLib's own clock counts microseconds, too coarse for one message */
gint64
load_now_ns (void)
{
  struct timespec now;

  clock_gettime (CLOCK_MONOTONIC, &now);

  return now.tv_sec * NS_PER_S + now.tv_nsec;
}

/* CPU time of the generator itself: near 100 % it measures itself, not the server */
gint64
load_self_get_cpu_ns (void)
{
  struct timespec now;

  clock_gettime (CLOCK_PROCESS_CPUTIME_ID, &now);

  return now.tv_sec * NS_PER_S + now.tv_nsec;
}

/**
 * load_server_init:
 * @pids: (nullable): process numbers with commas between, for a server of several processes
 *
 * Returns: FALSE if one is not a number
 */
gboolean
load_server_init (LoadServer *self, const char *pids)
{
  g_auto (GStrv) words = g_strsplit (pids != NULL ? pids : "", ",", -1);

  self->pids = g_array_new (FALSE, FALSE, sizeof (int));
  for (guint i = 0; words[i] != NULL; i++)
    {
      guint64 pid;
      int value;

      if (!g_ascii_string_to_unsigned (words[i], 10, 1, G_MAXINT, &pid, NULL))
        return FALSE;
      value = (int) pid;
      g_array_append_val (self->pids, value);
    }

  return TRUE;
}

void
load_server_clear (LoadServer *self)
{
  g_clear_pointer (&self->pids, g_array_unref);
}

/* The scheduler's own account, in nanoseconds, unlike the clock ticks of /proc/PID/stat */
static gint64
get_task_cpu_ns (const char *tasks, const char *task)
{
  g_autofree char *path = g_build_filename (tasks, task, "schedstat", NULL);
  g_autofree char *text = NULL;

  if (!g_file_get_contents (path, &text, NULL, NULL))
    return 0;

  return g_ascii_strtoll (text, NULL, 10);
}

gint64
load_server_get_cpu_ns (const LoadServer *self)
{
  gint64 sum = 0;

  for (guint i = 0; i < self->pids->len; i++)
    {
      g_autofree char *tasks =
        g_strdup_printf ("/proc/%d/task", g_array_index (self->pids, int, i));
      g_autoptr (GDir) dir = g_dir_open (tasks, 0, NULL);
      const char *task;

      while (dir != NULL && (task = g_dir_read_name (dir)) != NULL)
        sum += get_task_cpu_ns (tasks, task);
    }

  return sum;
}

gint64
load_server_get_rss_kib (const LoadServer *self)
{
  gint64 sum = 0;

  for (guint i = 0; i < self->pids->len; i++)
    {
      g_autofree char *path =
        g_strdup_printf ("/proc/%d/status", g_array_index (self->pids, int, i));
      g_autofree char *text = NULL;
      const char *line;

      if (!g_file_get_contents (path, &text, NULL, NULL))
        continue;
      line = strstr (text, "VmRSS:");
      if (line != NULL)
        sum += g_ascii_strtoll (line + strlen ("VmRSS:"), NULL, 10);
    }

  return sum;
}

static guint
get_cell (guint64 value)
{
  guint bits;

  if (value < PARTS)
    return (guint) value;
  bits = 63 - (guint) __builtin_clzll (value);

  return (bits - PARTS_BITS + 1) * PARTS + ((value >> (bits - PARTS_BITS)) & (PARTS - 1));
}

/* The middle of a cell */
static gint64
get_cell_value (guint cell)
{
  guint bits = cell / PARTS + PARTS_BITS - 1;
  guint64 width;

  if (cell < PARTS)
    return cell;
  width = G_GUINT64_CONSTANT (1) << (bits - PARTS_BITS);

  return (gint64) ((PARTS + cell % PARTS) * width + width / 2);
}

void
load_histogram_record (LoadHistogram *self, gint64 value_ns)
{
  guint cell = get_cell (value_ns < 0 ? 0 : (guint64) value_ns);

  self->cells[MIN (cell, LOAD_HISTOGRAM_CELLS - 1)]++;
  self->n++;
}

/* @q from 0 to 1; -1 if nothing was recorded */
gint64
load_histogram_get_quantile_ns (const LoadHistogram *self, double q)
{
  guint64 wanted = (guint64) (q * (double) self->n), seen = 0;

  for (guint i = 0; i < LOAD_HISTOGRAM_CELLS; i++)
    {
      seen += self->cells[i];
      if (seen > wanted)
        return get_cell_value (i);
    }

  return self->n == 0 ? -1 : get_cell_value (LOAD_HISTOGRAM_CELLS - 1);
}
