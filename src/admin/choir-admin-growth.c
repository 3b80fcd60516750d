/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-admin-growth.h"

#include "choir-clock.h"

/* Shorter than a second, so that one who asks once a second gets a new figure each time */
#define WINDOW_US (G_USEC_PER_SEC * 9 / 10)
#define KEEP_S 10

typedef struct
{
  guint64 count; /* at the beginning of the window */
  float per_s;   /* in the window before it */
  guint32 window;
} Entry;

struct _ChoirAdminGrowth
{
  GHashTable *entries; /* (element-type gpointer Entry) (owned) */
  gint64 window_us;    /* monotonic: when the window began; 0: none has */
  gint64 asked_us;     /* monotonic: newest question */
  gint64 length_us;    /* of the window that has just ended; 0: this one goes on, or is the first */
  guint32 window;      /* its number */
  guint n_looked;      /* at since the question began */
  guint keeper;
};

/**
 * choir_admin_growth_new:
 *
 * Returns: (transfer full): of nothing
 */
ChoirAdminGrowth *
choir_admin_growth_new (void)
{
  ChoirAdminGrowth *self = g_new0 (ChoirAdminGrowth, 1);

  self->entries = g_hash_table_new_full (NULL, NULL, NULL, g_free);

  return self;
}

/**
 * choir_admin_growth_free:
 * @self: (transfer full): the growth of counters
 */
void
choir_admin_growth_free (ChoirAdminGrowth *self)
{
  g_clear_handle_id (&self->keeper, g_source_remove);
  g_hash_table_unref (self->entries);
  g_free (self);
}

ChoirAdminGrowth *
choir_admin_ensure_growth (ChoirAdminGrowth **growth)
{
  if (*growth == NULL)
    *growth = choir_admin_growth_new ();

  return *growth;
}

static gboolean
keeper_cb (gpointer user_data)
{
  ChoirAdminGrowth *self = user_data;

  if (choir_clock_monotonic_us () - self->asked_us < KEEP_S * G_USEC_PER_SEC)
    return G_SOURCE_CONTINUE;

  g_hash_table_remove_all (self->entries);
  self->window_us = 0;
  self->keeper = 0;

  return G_SOURCE_REMOVE;
}

/**
 * choir_admin_growth_begin:
 * @self: the growth of counters
 *
 * To be called before choir_admin_growth_look() is with every thing.
 */
void
choir_admin_growth_begin (ChoirAdminGrowth *self)
{
  gint64 now_us = choir_clock_monotonic_us ();

  self->asked_us = now_us;
  self->n_looked = 0;
  self->length_us = 0;
  if (self->keeper == 0)
    self->keeper = g_timeout_add_seconds (KEEP_S, keeper_cb, self);

  if (self->window_us != 0 && now_us - self->window_us < WINDOW_US)
    return;

  if (self->window_us != 0)
    self->length_us = now_us - self->window_us;
  self->window_us = now_us;
  self->window++;
}

/**
 * choir_admin_growth_look:
 * @self: the growth of counters
 * @thing: what is counted
 * @count: what its counter shows now
 *
 * Returns: by how much it grew in a second, on average over the window that ended last; 0 for what
 *   was not there before
 */
double
choir_admin_growth_look (ChoirAdminGrowth *self, gconstpointer thing, guint64 count)
{
  Entry *entry = g_hash_table_lookup (self->entries, thing);

  self->n_looked++;

  if (entry == NULL)
    {
      entry = g_new (Entry, 1);
      *entry = (Entry){ count, 0, self->window };
      g_hash_table_insert (self->entries, (gpointer) thing, entry);
      return 0;
    }

  if (entry->window != self->window)
    {
      /* it may be another that is in its place */
      guint64 growth = count > entry->count ? count - entry->count : 0;

      *entry = (Entry){
        .count = count,
        .per_s = self->length_us > 0
                   ? (float) ((double) growth * G_USEC_PER_SEC / (double) self->length_us)
                   : 0,
        .window = self->window,
      };
    }

  return (double) entry->per_s;
}

static gboolean
is_gone (gpointer thing, gpointer value, gpointer user_data)
{
  ChoirAdminGrowth *self = user_data;
  const Entry *entry = value;

  return entry->window != self->window;
}

/**
 * choir_admin_growth_end:
 * @self: the growth of counters
 *
 * Forgets what was not there any more.
 */
void
choir_admin_growth_end (ChoirAdminGrowth *self)
{
  if (self->length_us > 0 && g_hash_table_size (self->entries) > self->n_looked)
    g_hash_table_foreach_remove (self->entries, is_gone, self);
}

/**
 * choir_admin_growth_get_n_things:
 * @self: the growth of counters
 *
 * Returns: how many things it remembers
 */
guint
choir_admin_growth_get_n_things (ChoirAdminGrowth *self)
{
  return g_hash_table_size (self->entries);
}
