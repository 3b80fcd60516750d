/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-top-view.h"

#include <glib/gi18n.h>
#include <string.h>

#define NUMBER CHOIR_CTL_RIGHT
#define WORD CHOIR_CTL_SHRINK

/* One that is sorted by what waits for it, and one by what it says, show the same */
#define CONNECTION_COLUMNS                                                                         \
  {                                                                                                \
    { N_ ("USER"), "user", CHOIR_CTL_TEXT, WORD },                                                 \
      { N_ ("CONNECTION"), "connection", CHOIR_CTL_TEXT, WORD },                                   \
      { N_ ("ADDRESS"), "address", CHOIR_CTL_TEXT, WORD },                                         \
      { N_ ("CONTRACT"), "dialect", CHOIR_CTL_TEXT, WORD },                                        \
      { N_ ("AGE"), "age_s", CHOIR_CTL_SPAN_S, NUMBER },                                           \
      { N_ ("SUBS"), "subscriptions", CHOIR_CTL_COUNT, NUMBER },                                   \
      { N_ ("QUEUED"), "queued_bytes", CHOIR_CTL_BYTES, NUMBER },                                  \
      { N_ ("MSG/S"), CHOIR_TOP_RATE_KEY, CHOIR_CTL_TEXT, NUMBER },                                \
      { N_ ("RECEIVED"), "messages_received", CHOIR_CTL_COUNT, NUMBER },                           \
      { N_ ("ERRORS"), "errors", CHOIR_CTL_COUNT, NUMBER },                                        \
    {                                                                                              \
      NULL                                                                                         \
    }                                                                                              \
  }

const ChoirTopView choir_top_views[] = {
  { "connections",
    N_ ("Connections"),
    "ListConnections",
    "connection",
    "messages_received",
    NULL,
    { "rate", "messages", "queued", "errors", "age" },
    CONNECTION_COLUMNS },
  { "users",
    N_ ("Users"),
    "ListUsers",
    "user",
    "messages_received",
    NULL,
    { "rate", "messages", "queued", "connections" },
    {
      { N_ ("USER"), "user", CHOIR_CTL_TEXT, WORD },
      { N_ ("CONNECTIONS"), "connections", CHOIR_CTL_COUNT, NUMBER },
      { N_ ("WAITING"), "waiting", CHOIR_CTL_COUNT, NUMBER },
      { N_ ("QUEUED"), "queued_bytes", CHOIR_CTL_BYTES, NUMBER },
      { N_ ("MSG/S"), CHOIR_TOP_RATE_KEY, CHOIR_CTL_TEXT, NUMBER },
      { N_ ("RECEIVED"), "messages_received", CHOIR_CTL_COUNT, NUMBER },
      { N_ ("BLOCKED"), "blocked", CHOIR_CTL_FLAG, CHOIR_CTL_LEFT },
      { NULL },
    } },
  { "slow",
    N_ ("Slow consumers"),
    "ListConnections",
    "connection",
    "messages_received",
    "queued_bytes",
    { "queued", "age" },
    CONNECTION_COLUMNS },
  { "channels",
    N_ ("Channels"),
    "ListChannels",
    "channel",
    "offset",
    NULL,
    { "rate", "subscribers", "messages", "bytes" },
    {
      { N_ ("CHANNEL"), "channel", CHOIR_CTL_TEXT, WORD },
      { N_ ("SUBSCRIBERS"), "subscribers", CHOIR_CTL_COUNT, NUMBER },
      { N_ ("MSG/S"), CHOIR_TOP_RATE_KEY, CHOIR_CTL_TEXT, NUMBER },
      { N_ ("OFFSET"), "offset", CHOIR_CTL_COUNT, NUMBER },
      { N_ ("MESSAGES"), "messages", CHOIR_CTL_COUNT, NUMBER },
      { N_ ("MEMORY"), "bytes", CHOIR_CTL_BYTES, NUMBER },
      { N_ ("STORED"), "persistent", CHOIR_CTL_FLAG, CHOIR_CTL_LEFT },
      { NULL },
    } },
  { NULL },
};

/**
 * choir_top_view_find:
 * @name: a word
 *
 * Returns: (nullable): the view of that name
 */
const ChoirTopView *
choir_top_view_find (const char *name)
{
  for (const ChoirTopView *view = choir_top_views; view->name != NULL; view++)
    if (strcmp (view->name, name) == 0)
      return view;

  return NULL;
}

/**
 * choir_top_view_find_sort:
 * @self: a view
 * @name: a word
 *
 * Returns: which of its orders that is, -1 for none
 */
int
choir_top_view_find_sort (const ChoirTopView *self, const char *name)
{
  for (int i = 0; i < CHOIR_TOP_SORTS_MAX && self->sorts[i] != NULL; i++)
    if (strcmp (self->sorts[i], name) == 0)
      return i;

  return -1;
}

static char *
format_cell (const ChoirTopColumn *column, GVariant *row)
{
  double rate;

  if (strcmp (column->key, CHOIR_TOP_RATE_KEY) != 0)
    return choir_ctl_format_member (row, column->key, column->kind);

  /* the column's title has the unit */
  return g_variant_lookup (row, column->key, "d", &rate)
           ? g_strdup_printf (rate >= 99.95 ? "%.0f" : "%.1f", rate)
           : NULL;
}

static gboolean
is_alarming (const ChoirTopColumn *column, GVariant *row)
{
  gboolean flag = FALSE;

  if (strcmp (column->key, "queued_bytes") == 0)
    g_variant_lookup (row, "slow", "b", &flag);
  else if (strcmp (column->key, "blocked") == 0)
    g_variant_lookup (row, "blocked", "b", &flag);

  return flag;
}

/**
 * choir_top_view_format_rows:
 * @self: a view
 * @rows: an `aa{sv}`
 * @columns: the width; 0: as wide as it gets
 * @with_titles: whether the titles are wanted
 *
 * Returns: (transfer full): lines
 */
char *
choir_top_view_format_rows (const ChoirTopView *self,
                            GVariant *rows,
                            guint columns,
                            gboolean with_titles)
{
  g_autoptr (ChoirCtlTable) table = choir_ctl_table_new ();

  for (const ChoirTopColumn *column = self->columns; column->title != NULL; column++)
    choir_ctl_table_add_column (table, _ (column->title), column->flags);

  for (gsize i = 0; i < g_variant_n_children (rows); i++)
    {
      g_autoptr (GVariant) row = g_variant_get_child_value (rows, i);

      for (const ChoirTopColumn *column = self->columns; column->title != NULL; column++)
        {
          g_autofree char *text = format_cell (column, row);

          choir_ctl_table_add_cell (table, text != NULL && *text != '\0' ? text : "-",
                                    is_alarming (column, row) ? CHOIR_CTL_BAD : CHOIR_CTL_PLAIN);
        }
    }

  return choir_ctl_table_format (table, columns, with_titles);
}

/* The header */

static double
get_double (GVariant *stats, const char *key)
{
  double value = 0;

  g_variant_lookup (stats, key, "d", &value);

  return value;
}

static guint64
get_unsigned (GVariant *stats, const char *key)
{
  guint64 large = 0;
  guint32 small = 0;

  if (!g_variant_lookup (stats, key, "t", &large) && g_variant_lookup (stats, key, "u", &small))
    large = small;

  return large;
}

static char *
format_population (GVariant *stats)
{
  return g_strdup_printf (
    _ ("Connections: %u (%u slow), waiting: %u; users: %u; channels: %u; documents: %u"),
    (guint) get_unsigned (stats, "connections"), (guint) get_unsigned (stats, "slow_connections"),
    (guint) get_unsigned (stats, "waiting_sessions"), (guint) get_unsigned (stats, "users"),
    (guint) get_unsigned (stats, "channels"), (guint) get_unsigned (stats, "documents"));
}

static char *
format_traffic (GVariant *stats)
{
  g_autofree char *in = choir_ctl_format_rate (get_double (stats, "messages_received_per_s"));
  g_autofree char *out = choir_ctl_format_rate (get_double (stats, "messages_sent_per_s"));
  g_autofree char *publishes = choir_ctl_format_rate (get_double (stats, "publishes_per_s"));
  g_autofree char *connects = choir_ctl_format_rate (get_double (stats, "connects_per_s"));
  g_autofree char *errors = choir_ctl_format_rate (get_double (stats, "errors_per_s"));

  return g_strdup_printf (_ ("Messages: in %s, out %s; publishes %s, connects %s, errors %s"), in,
                          out, publishes, connects, errors);
}

static char *
format_latency (GVariant *stats)
{
  g_autofree char *p50 = choir_ctl_format_latency (get_double (stats, "latency_p50_us"));
  g_autofree char *p99 = choir_ctl_format_latency (get_double (stats, "latency_p99_us"));
  g_autofree char *queued = choir_ctl_format_bytes (get_unsigned (stats, "queued_bytes"));
  g_autofree char *most = choir_ctl_format_bytes (get_unsigned (stats, "queued_bytes_max"));

  return g_strdup_printf (_ ("Latency: p50 %s, p99 %s; queued: %s, at most %s for one"), p50, p99,
                          queued, most);
}

static char *
format_resources (GVariant *stats, gboolean writable)
{
  g_autofree char *memory = choir_ctl_format_bytes (get_unsigned (stats, "memory_bytes"));

  return g_strdup_printf (_ ("Memory: %s; CPU: %.1f %%; tasks: %u wait, %u run; store: %s"), memory,
                          get_double (stats, "cpu_percent"),
                          (guint) get_unsigned (stats, "tasks_queued"),
                          (guint) get_unsigned (stats, "tasks_running"),
                          writable ? _ ("fine") : _ ("CAN NOT BE WRITTEN"));
}

/* Takes @text; cut before it gets its style, which takes no room */
static void
add_line (GPtrArray *lines, guint columns, char *text, ChoirCtlStyle style)
{
  G_GNUC_UNUSED g_autofree char *owned = text;
  g_autofree char *cut = columns > 0 ? choir_ctl_text_cut (text, columns) : g_strdup (text);

  g_ptr_array_add (lines,
                   g_strconcat (choir_ctl_style (style), cut, choir_ctl_style_end (style), NULL));
}

/**
 * choir_top_format_header:
 * @lines: (element-type utf8): gets the lines
 * @stats: an `a{sv}` as GetStats() gives it
 * @name: what the service calls itself
 * @columns: the width; 0: as wide as it gets
 */
void
choir_top_format_header (GPtrArray *lines, GVariant *stats, const char *name, guint columns)
{
  g_autofree char *uptime = choir_ctl_format_span (get_unsigned (stats, "uptime_s"));
  g_autoptr (GDateTime) now = g_date_time_new_now_local ();
  g_autofree char *time = g_date_time_format (now, "%H:%M:%S");
  g_autofree char *clean = choir_ctl_clean (name);
  gboolean writable = TRUE;

  g_variant_lookup (stats, "store_writable", "b", &writable);
  add_line (lines, columns, g_strdup_printf (_ ("%s  %s, up for %s"), time, clean, uptime),
            CHOIR_CTL_HEADING);
  add_line (lines, columns, format_population (stats), CHOIR_CTL_PLAIN);
  add_line (lines, columns, format_traffic (stats), CHOIR_CTL_PLAIN);
  add_line (lines, columns, format_latency (stats), CHOIR_CTL_PLAIN);
  add_line (lines, columns, format_resources (stats, writable),
            writable ? CHOIR_CTL_PLAIN : CHOIR_CTL_BAD);
}
