/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-admin-sampler.h"

#include "choir-clock.h"
#include "choir-container.h"

#include <sys/resource.h>

#define INTERVAL_US G_USEC_PER_SEC
/* org.choir.Choir1.xml, GetStats: over how long rates and percentiles are */
#define RATES_US (10 * G_USEC_PER_SEC)
#define N_SAMPLES 61

typedef struct
{
  gint64 at_us; /* monotonic */
  gint64 cpu_us;
  guint64 publishes;
  guint64 connects;
  ChoirStatsSum sum;
} Sample;

struct _ChoirAdminSampler
{
  ChoirHub *hub; /* borrowed */
  ChoirTimer timer;
  Sample samples[N_SAMPLES]; /* ring */
  guint newest;
  guint n;
};

static gint64
to_us (const struct timeval *time)
{
  return (gint64) time->tv_sec * G_USEC_PER_SEC + time->tv_usec;
}

static void
take (const ChoirAdminSampler *self, Sample *out)
{
  const ChoirStats *stats = choir_hub_get_stats (self->hub);
  struct rusage usage = { 0 };

  getrusage (RUSAGE_SELF, &usage);
  out->at_us = choir_clock_monotonic_us ();
  out->cpu_us = to_us (&usage.ru_utime) + to_us (&usage.ru_stime);
  out->publishes = (guint64) *stats->publishes;
  out->connects = (guint64) *stats->accepted;
  choir_stats_sum (stats, &out->sum);
}

static void
sample_cb (ChoirTimer *timer)
{
  ChoirAdminSampler *self = CHOIR_CONTAINER_OF (timer, ChoirAdminSampler, timer);

  self->newest = (self->newest + 1) % N_SAMPLES;
  self->n = MIN (self->n + 1, N_SAMPLES);
  take (self, &self->samples[self->newest]);
  choir_timer_wheel_arm (choir_hub_get_wheel (self->hub), timer, INTERVAL_US, sample_cb);
}

/**
 * choir_admin_sampler_new:
 * @hub: borrowed
 *
 * Returns: (transfer full): a sampler that has begun
 */
ChoirAdminSampler *
choir_admin_sampler_new (ChoirHub *hub)
{
  ChoirAdminSampler *self = g_new0 (ChoirAdminSampler, 1);

  self->hub = hub;
  sample_cb (&self->timer);

  return self;
}

/**
 * choir_admin_sampler_free:
 * @self: (transfer full): a sampler
 */
void
choir_admin_sampler_free (ChoirAdminSampler *self)
{
  choir_timer_disarm (&self->timer);
  g_free (self);
}

/* The oldest that is not older than that; there is always one, if nothing newer than the last */
static const Sample *
look_back (const ChoirAdminSampler *self, gint64 now_us, gint64 how_far_us)
{
  const Sample *found = &self->samples[self->newest];

  /* a timer is a little late each time: the one that is just past the mark is meant, too */
  for (guint i = 0; i < self->n; i++)
    {
      const Sample *sample = &self->samples[(self->newest + N_SAMPLES - i) % N_SAMPLES];

      if (now_us - sample->at_us > how_far_us + INTERVAL_US / 2)
        break;
      found = sample;
    }

  return found;
}

/**
 * choir_admin_sampler_get_pace:
 * @self: a sampler
 * @out: filled: of the last ten seconds, or since it began; 0 as long as that is no time at all
 */
void
choir_admin_sampler_get_pace (ChoirAdminSampler *self, ChoirAdminPace *out)
{
  const Sample *then;
  Sample now;
  double s;

  take (self, &now);
  then = look_back (self, now.at_us, RATES_US);
  s = (double) (now.at_us - then->at_us) / G_USEC_PER_SEC;

  *out = (ChoirAdminPace){ 0 };
  if (s <= 0.0)
    return;

  out->received_per_s = (double) (now.sum.received - then->sum.received) / s;
  out->sent_per_s = (double) (now.sum.sent - then->sum.sent) / s;
  out->publishes_per_s = (double) (now.publishes - then->publishes) / s;
  out->connects_per_s = (double) (now.connects - then->connects) / s;
  out->errors_per_s = (double) (now.sum.errors - then->sum.errors) / s;
  out->cpu_percent = (double) (now.cpu_us - then->cpu_us) / G_USEC_PER_SEC / s * 100.0;
}

/**
 * choir_admin_sampler_get_latencies:
 * @self: a sampler
 * @quantiles: (array length=n): from 0 to 1
 * @latencies_us: (array length=n): filled: how long a message took that share of all did not
 *   exceed, in the last minute; 0 if there was none
 * @n: how many
 */
void
choir_admin_sampler_get_latencies (ChoirAdminSampler *self,
                                   const double *quantiles,
                                   double *latencies_us,
                                   guint n)
{
  const ChoirStats *stats = choir_hub_get_stats (self->hub);
  const Sample *then;
  Sample now;

  take (self, &now);
  then = look_back (self, now.at_us, G_MAXINT32);
  for (guint i = 0; i < CHOIR_STATS_BUCKETS; i++)
    now.sum.latency[i] -= then->sum.latency[i];

  for (guint i = 0; i < n; i++)
    latencies_us[i] =
      choir_histogram_estimate (stats->other->latency, now.sum.latency, quantiles[i]) *
      G_USEC_PER_SEC;
}
