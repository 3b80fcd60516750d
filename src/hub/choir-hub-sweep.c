/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-hub-private.h"

#include "choir-channel-log.h"
#include "choir-clock.h"
#include "choir-container.h"

#define SWEEP_US (30 * G_USEC_PER_SEC)
/* A channel that the store has as well may leave memory so soon after it was last needed */
#define DURABLE_IDLE_US (60 * G_USEC_PER_SEC)
/* Logs whose old entries are removed in one sweep */
#define TRIMS_MAX 100

static gboolean
is_stale (ChoirHub *self, ChoirChannel *channel, gint64 now_us)
{
  guint n_posts = choir_channel_trim (channel, choir_clock_wall_us ());
  gint64 idle_us = now_us - channel->touched_us;

  if (channel->n_subscribers > 0 || channel->n_holds > 0)
    return FALSE;

  if (channel->log != NULL)
    return !choir_channel_log_is_busy (channel->log) && idle_us > DURABLE_IDLE_US;

  return n_posts == 0 && (channel->offset == 0 || idle_us > channel->ns->history_age_us);
}

static void
sweep_channels (ChoirHub *self, gint64 now_us)
{
  GHashTableIter iter;
  gpointer value;
  guint n_trims = 0;

  g_hash_table_iter_init (&iter, self->channels);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      ChoirChannel *channel = value;

      if (is_stale (self, channel, now_us))
        {
          g_hash_table_iter_remove (&iter);
          *self->stats->channels -= 1;
        }
      else if (channel->log != NULL && n_trims < TRIMS_MAX)
        n_trims += choir_channel_log_tend (channel->log) ? 1 : 0;
    }

  if (self->logs != NULL)
    choir_log_keeper_sweep (self->logs);
}

static void
sweep_users (ChoirHub *self, gint64 now_us)
{
  GHashTableIter iter;
  gpointer value;

  g_hash_table_iter_init (&iter, self->users);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      ChoirUser *user = value;
      ChoirRateRule *rule = self->settings.dialects[CHOIR_DIALECT_CHOIR].rate;

      /* meters of users belong to the dialects that count by user; the longest window decides */
      for (guint i = 0; i < CHOIR_N_DIALECTS; i++)
        {
          ChoirRateRule *other = self->settings.dialects[i].rate;

          if (rule == NULL || (other != NULL && choir_rate_rule_get_longest_us (other) >
                                                  choir_rate_rule_get_longest_us (rule)))
            rule = other;
        }

      if ((rule == NULL || choir_rate_meter_trim (&user->meter, rule, now_us)) &&
          user->n_sessions == 0)
        g_hash_table_iter_remove (&iter);
    }
}

static void
sweep_cb (ChoirTimer *timer)
{
  ChoirHub *self = CHOIR_CONTAINER_OF (timer, ChoirHub, sweep_timer);
  gint64 now_us = choir_clock_monotonic_us ();

  sweep_channels (self, now_us);
  sweep_users (self, now_us);
  choir_blocklist_sweep (self->blocklist);
  choir_timer_wheel_arm (self->wheel, &self->sweep_timer, SWEEP_US, sweep_cb);
}

/* From now on, every so often, what nobody needs any more is forgotten */
void
choir_hub_start_sweeping (ChoirHub *self)
{
  choir_timer_wheel_arm (self->wheel, &self->sweep_timer, SWEEP_US, sweep_cb);
}
