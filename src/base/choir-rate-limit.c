/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-rate-limit.h"

#include <string.h>

#include "choir-config.h"
#include "choir-error.h"

/**
 * ChoirRateMeter:
 *
 * A sliding log: the times of the last N events in a ring, so the answer is exact for every window
 * and not only for those that begin at a bucket's edge.
 *
 * Times are 32 bits of milliseconds. An event is noted at the millisecond after it and judged at
 * the millisecond before, so rounding can only ever refuse (by less than 2 ms), never let one too
 * many through. The 32 bits wrap after 49.7 days; a window is at most a day, so a time more than a
 * window in the "future" is one from before a wrap and counts as gone.
 *
 * All windows of a rule read the same ring, which holds what the largest needs.
 */

#define WINDOWS_MAX 8
#define WINDOW_MAX_MS (24u * 60 * 60 * 1000)
#define RING_MIN 4u

typedef struct
{
  guint n;
  guint32 ms;
} RateWindow;

struct _ChoirRateRule
{
  gatomicrefcount ref_count;
  guint n_windows;
  RateWindow windows[WINDOWS_MAX]; /* both n and ms ascending: the last is the longest */
};

/* Rules */

static gboolean
parse_window (const char *text, RateWindow *out, GError **error)
{
  g_auto (GStrv) parts = g_strsplit (text, "/", 2);
  guint64 n;
  gint64 us;

  if (g_strv_length (parts) != 2 ||
      !g_ascii_string_to_unsigned (g_strstrip (parts[0]), 10, 1, G_MAXUINT16, &n, NULL))
    {
      g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG,
                   "“%s” is not a rate: it must be N/TIME with N from 1 to %d, like 300/60s", text,
                   G_MAXUINT16);
      return FALSE;
    }

  if (!choir_config_parse_duration (g_strstrip (parts[1]), &us, error))
    return FALSE;

  if (us < 1000 || us > (gint64) WINDOW_MAX_MS * 1000)
    {
      g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG,
                   "The time of the rate “%s” must be from 1ms to 24h", text);
      return FALSE;
    }

  out->n = (guint) n;
  out->ms = (guint32) (us / 1000);
  return TRUE;
}

/* A window that another, at least as long, with no larger N, can't let be reached says nothing */
static gboolean
is_redundant (const RateWindow *windows, guint n_windows, guint i)
{
  for (guint j = 0; j < n_windows; j++)
    {
      const gboolean same = windows[j].ms == windows[i].ms && windows[j].n == windows[i].n;

      if (j != i && windows[j].ms >= windows[i].ms && windows[j].n <= windows[i].n &&
          (!same || j < i))
        return TRUE;
    }

  return FALSE;
}

static int
compare_windows (gconstpointer a, gconstpointer b)
{
  const RateWindow *x = a;
  const RateWindow *y = b;

  return (x->ms > y->ms) - (x->ms < y->ms);
}

static ChoirRateRule *
rate_rule_new (const RateWindow *windows, guint n_windows)
{
  ChoirRateRule *self = g_new0 (ChoirRateRule, 1);

  g_atomic_ref_count_init (&self->ref_count);

  for (guint i = 0; i < n_windows; i++)
    {
      if (!is_redundant (windows, n_windows, i))
        self->windows[self->n_windows++] = windows[i];
    }

  qsort (self->windows, self->n_windows, sizeof (RateWindow), compare_windows);
  return self;
}

/**
 * choir_rate_rule_parse:
 * @text: like "10/1s;300/60s": all windows must hold; at most eight, each at most a day long
 * @error: return location for a #GError of %CHOIR_ERROR_CONFIG
 *
 * Returns: (transfer full) (nullable): the rule; %NULL without @error when @text is empty, which
 *   every function here takes for "unlimited"
 */
ChoirRateRule *
choir_rate_rule_parse (const char *text, GError **error)
{
  g_auto (GStrv) items = g_strsplit (text, ";", -1);
  RateWindow windows[WINDOWS_MAX];
  guint n = 0;

  for (guint i = 0; items[i] != NULL; i++)
    {
      if (*g_strstrip (items[i]) == '\0')
        continue;

      if (n == WINDOWS_MAX)
        {
          g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG, "A rate has at most %d windows",
                       WINDOWS_MAX);
          return NULL;
        }

      if (!parse_window (items[i], &windows[n++], error))
        return NULL;
    }

  return n > 0 ? rate_rule_new (windows, n) : NULL;
}

/**
 * choir_rate_rule_ref:
 * @self: a rule
 *
 * Returns: (transfer full): the same
 */
ChoirRateRule *
choir_rate_rule_ref (ChoirRateRule *self)
{
  g_atomic_ref_count_inc (&self->ref_count);
  return self;
}

/**
 * choir_rate_rule_unref:
 * @self: (transfer full): a rule
 */
void
choir_rate_rule_unref (ChoirRateRule *self)
{
  if (g_atomic_ref_count_dec (&self->ref_count))
    g_free (self);
}

static const RateWindow *
get_longest (const ChoirRateRule *self)
{
  return &self->windows[self->n_windows - 1];
}

/**
 * choir_rate_rule_get_max_in_longest:
 * @self: a rule
 *
 * Returns: the N of its longest window, the largest it has
 */
guint
choir_rate_rule_get_max_in_longest (const ChoirRateRule *self)
{
  return get_longest (self)->n;
}

/**
 * choir_rate_rule_get_longest_us:
 * @self: a rule
 *
 * Returns: the length of its longest window in microseconds
 */
gint64
choir_rate_rule_get_longest_us (const ChoirRateRule *self)
{
  return (gint64) get_longest (self)->ms * 1000;
}

/* Meters */

/* The @back-th latest event, 1 being the last */
static guint32
get_event (const ChoirRateMeter *self, guint back)
{
  return self->ring[((guint) self->head + self->used - back) % self->capacity];
}

/* How many ms until the event at @then lies outside the window; 0 when it does */
static guint32
get_remaining_ms (guint32 then, guint32 window_ms, guint32 now_ms)
{
  const gint32 age = (gint32) (now_ms - then);

  if (age >= (gint32) window_ms || age < -(gint32) WINDOW_MAX_MS)
    return 0;

  return (guint32) ((gint32) window_ms - age);
}

static gint64
to_wait_us (guint32 remaining_ms, gint64 now_us)
{
  return remaining_ms == 0 ? 0 : (gint64) remaining_ms * 1000 - now_us % 1000;
}

/**
 * choir_rate_meter_peek:
 * @self: a meter
 * @rule: (nullable): the rule; %NULL is unlimited
 * @now_us: choir_clock_monotonic_us()
 *
 * Returns: 0 if choir_rate_meter_take() would take now, else in how many microseconds it could
 */
gint64
choir_rate_meter_peek (const ChoirRateMeter *self, const ChoirRateRule *rule, gint64 now_us)
{
  const guint32 now_ms = (guint32) (now_us / 1000);
  guint32 remaining = 0;

  if (rule == NULL)
    return 0;

  for (guint i = 0; i < rule->n_windows; i++)
    {
      const RateWindow *window = &rule->windows[i];

      /* room for one more unless the N-th last is still inside */
      if (self->used >= window->n)
        remaining =
          MAX (remaining, get_remaining_ms (get_event (self, window->n), window->ms, now_ms));
    }

  return to_wait_us (remaining, now_us);
}

static void
drop_oldest (ChoirRateMeter *self)
{
  self->head = (guint16) (((guint) self->head + 1) % self->capacity);
  self->used--;
}

static void
drop_expired (ChoirRateMeter *self, guint32 longest_ms, guint32 now_ms)
{
  while (self->used > 0 && get_remaining_ms (get_event (self, self->used), longest_ms, now_ms) == 0)
    drop_oldest (self);
}

static void
grow (ChoirRateMeter *self, guint n_max)
{
  const guint wanted = MAX (MIN (2u * self->capacity, n_max), MIN (RING_MIN, n_max));
  guint32 *ring = g_new (guint32, wanted);

  for (guint i = 0; i < self->used; i++)
    ring[i] = get_event (self, self->used - i);

  g_free (self->ring);
  self->ring = ring;
  self->capacity = (guint16) wanted;
  self->head = 0;
}

static void
note_event (ChoirRateMeter *self, guint n_max, guint32 at_ms)
{
  /* a reload may have lowered N below what is held */
  while (self->used >= n_max)
    drop_oldest (self);

  if (self->used == 0 && self->capacity > RING_MIN)
    choir_rate_meter_clear (self);

  if (self->used == self->capacity)
    grow (self, n_max);

  self->ring[((guint) self->head + self->used) % self->capacity] = at_ms;
  self->used++;
}

/**
 * choir_rate_meter_take:
 * @self: a meter
 * @rule: (nullable): the rule; %NULL is unlimited and notes nothing
 * @now_us: choir_clock_monotonic_us(), not less than in the last call
 *
 * Amortised O(windows).
 *
 * Returns: 0 when taken; else nothing was, and in how many microseconds it could be
 */
gint64
choir_rate_meter_take (ChoirRateMeter *self, const ChoirRateRule *rule, gint64 now_us)
{
  gint64 wait_us;

  if (rule == NULL)
    return 0;

  wait_us = choir_rate_meter_peek (self, rule, now_us);

  if (wait_us > 0)
    return wait_us;

  drop_expired (self, get_longest (rule)->ms, (guint32) (now_us / 1000));
  note_event (self, get_longest (rule)->n, (guint32) ((now_us + 999) / 1000));
  return 0;
}

/**
 * choir_rate_meter_trim:
 * @self: a meter
 * @rule: (nullable): the rule it was used with
 * @now_us: choir_clock_monotonic_us()
 *
 * Gives the ring back when nothing lies within the longest window. Whoever keeps a meter must call
 * this at least once in 48 days, lest old times seem new.
 *
 * Returns: whether the meter is empty now
 */
gboolean
choir_rate_meter_trim (ChoirRateMeter *self, const ChoirRateRule *rule, gint64 now_us)
{
  if (rule != NULL)
    drop_expired (self, get_longest (rule)->ms, (guint32) (now_us / 1000));

  if (self->used > 0 && rule != NULL)
    return FALSE;

  choir_rate_meter_clear (self);
  return TRUE;
}

/**
 * choir_rate_meter_clear:
 * @self: a meter
 *
 * Frees its ring; it is then the empty meter.
 */
void
choir_rate_meter_clear (ChoirRateMeter *self)
{
  g_free (self->ring);
  memset (self, 0, sizeof *self);
}

/* Limiters */

typedef struct
{
  ChoirRateMeter meter;
  GList link;
  gint64 last_us; /* when it last took */
  char name[];
} RateSubject;

struct _ChoirRateLimiter
{
  ChoirRateRule *rule;  /* (owned) (nullable) */
  GHashTable *subjects; /* (element-type utf8 RateSubject) */
  GQueue by_age;        /* (element-type RateSubject), longest idle first */
  guint max_subjects;
};

static void
rate_subject_free (gpointer data)
{
  RateSubject *subject = data;

  choir_rate_meter_clear (&subject->meter);
  g_free (subject);
}

/**
 * choir_rate_limiter_new:
 * @rule: (nullable): what each subject may; a reference is taken
 * @max_subjects: most subjects remembered at a time
 *
 * Returns: (transfer full): a limiter
 */
ChoirRateLimiter *
choir_rate_limiter_new (ChoirRateRule *rule, guint max_subjects)
{
  ChoirRateLimiter *self = g_new0 (ChoirRateLimiter, 1);

  self->rule = rule != NULL ? choir_rate_rule_ref (rule) : NULL;
  self->subjects = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, rate_subject_free);
  self->max_subjects = max_subjects;
  g_queue_init (&self->by_age);

  return self;
}

/**
 * choir_rate_limiter_free:
 * @self: (transfer full): a limiter
 */
void
choir_rate_limiter_free (ChoirRateLimiter *self)
{
  g_clear_pointer (&self->rule, choir_rate_rule_unref);
  g_hash_table_unref (self->subjects);
  g_free (self);
}

static void
drop_subject (ChoirRateLimiter *self, RateSubject *subject)
{
  g_queue_unlink (&self->by_age, &subject->link);
  g_hash_table_remove (self->subjects, subject->name);
}

/**
 * choir_rate_limiter_set_rule:
 * @self: a limiter
 * @rule: (nullable): the rule from now on; a reference is taken
 *
 * What subjects have used counts under the new rule too.
 */
void
choir_rate_limiter_set_rule (ChoirRateLimiter *self, ChoirRateRule *rule)
{
  if (rule != NULL)
    choir_rate_rule_ref (rule);
  g_clear_pointer (&self->rule, choir_rate_rule_unref);
  self->rule = rule;

  while (rule == NULL && self->by_age.head != NULL)
    drop_subject (self, self->by_age.head->data);
}

/* In how many microseconds the longest idle subject is forgotten; it is already when 0 */
static gint64
forget_longest_idle (ChoirRateLimiter *self, gint64 now_us)
{
  RateSubject *subject = g_queue_peek_head (&self->by_age);
  gint64 wait_us;

  if (subject == NULL)
    return choir_rate_rule_get_longest_us (self->rule);

  /* the meter notes an event up to a millisecond late */
  wait_us = subject->last_us + choir_rate_rule_get_longest_us (self->rule) + 1000 - now_us;

  if (wait_us > 0)
    return wait_us;

  drop_subject (self, subject);
  return 0;
}

static RateSubject *
add_subject (ChoirRateLimiter *self, const char *name)
{
  const gsize size = strlen (name) + 1;
  RateSubject *subject = g_malloc0 (sizeof (RateSubject) + size);

  memcpy (subject->name, name, size);
  subject->link.data = subject;
  g_queue_push_tail_link (&self->by_age, &subject->link);
  g_hash_table_insert (self->subjects, subject->name, subject);

  return subject;
}

/**
 * choir_rate_limiter_take:
 * @self: a limiter
 * @subject: an address, a user
 * @now_us: choir_clock_monotonic_us(), not less than in the last call
 *
 * O(1). A subject not seen lately takes the place of the longest idle one when there are too many;
 * if none is idle it is refused, since forgetting a busy one would let that one exceed its rate.
 *
 * Returns: 0 when taken, else in how many microseconds it could be
 */
gint64
choir_rate_limiter_take (ChoirRateLimiter *self, const char *subject, gint64 now_us)
{
  RateSubject *found;
  gint64 wait_us;

  if (self->rule == NULL)
    return 0;

  found = g_hash_table_lookup (self->subjects, subject);

  if (found == NULL)
    {
      if (g_hash_table_size (self->subjects) >= self->max_subjects)
        {
          wait_us = forget_longest_idle (self, now_us);
          if (wait_us > 0)
            return wait_us;
        }

      found = add_subject (self, subject);
    }

  wait_us = choir_rate_meter_take (&found->meter, self->rule, now_us);

  if (wait_us == 0)
    {
      found->last_us = now_us;
      g_queue_unlink (&self->by_age, &found->link);
      g_queue_push_tail_link (&self->by_age, &found->link);
    }

  return wait_us;
}

/**
 * choir_rate_limiter_sweep:
 * @self: a limiter
 * @now_us: choir_clock_monotonic_us()
 *
 * Forgets the idle; to be called now and then so that memory follows use.
 *
 * Returns: how many subjects are left
 */
guint
choir_rate_limiter_sweep (ChoirRateLimiter *self, gint64 now_us)
{
  while (self->rule != NULL && self->by_age.head != NULL)
    {
      if (forget_longest_idle (self, now_us) > 0)
        break;
    }

  return choir_rate_limiter_get_n_subjects (self);
}

/**
 * choir_rate_limiter_get_n_subjects:
 * @self: a limiter
 *
 * Returns: how many subjects it remembers
 */
guint
choir_rate_limiter_get_n_subjects (ChoirRateLimiter *self)
{
  return g_hash_table_size (self->subjects);
}
