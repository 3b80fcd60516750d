/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-timer-wheel.h"

#include "choir-clock.h"

/**
 * ChoirTimerWheel:
 *
 * Scheme 6 of Varghese and Lauck, "Hashed and Hierarchical Timing Wheels" (1987): a timer hangs in
 * the slot its due tick hashes to, whatever the number of rounds to go.
 *
 * The wheel is its own GSource. It does not tick: its ready time is the earliest tick at which
 * something may be due, so an idle process sleeps. Disarming does not know the wheel, which is
 * what keeps a timer at four words; the price is one needless wake-up when the earliest goes.
 */

#define N_SLOTS 1024
#define N_WORDS (N_SLOTS / 64)
#define NEVER G_MAXINT64
/* ten years: past it a delay would only overflow */
#define DELAY_MAX_US (G_GINT64_CONSTANT (3650) * 86400 * G_USEC_PER_SEC)

G_STATIC_ASSERT (sizeof (ChoirTimer) <= 32);

typedef struct
{
  ChoirTimer *first;
  gint64 earliest; /* no timer of the slot is due before; may be too early */
} Slot;

struct _ChoirTimerWheel
{
  GSource source;
  Slot slots[N_SLOTS];
  guint64 occupied[N_WORDS]; /* a bit may outlive the last timer of its slot */
  ChoirTimer *expired;       /* due, not yet called */
  gint64 tick_us;
  gint64 tick;      /* all up to it has been fired */
  gint64 wake_tick; /* what the ready time stands for */
};

static void
link_timer (ChoirTimer **head, ChoirTimer *timer)
{
  timer->next = *head;
  timer->prev_next = head;
  if (timer->next != NULL)
    timer->next->prev_next = &timer->next;
  *head = timer;
}

static void
unlink_timer (ChoirTimer *timer)
{
  g_assert (timer->prev_next != NULL);

  *timer->prev_next = timer->next;
  if (timer->next != NULL)
    timer->next->prev_next = timer->prev_next;
  timer->next = NULL;
  timer->prev_next = NULL;
}

static void
set_wake_tick (ChoirTimerWheel *self, gint64 tick)
{
  if (tick == self->wake_tick)
    return;

  self->wake_tick = tick;

  if (tick == NEVER)
    {
      g_source_set_ready_time (&self->source, -1);
      return;
    }

  /* the loop counts in real time even while a test has frozen ours */
  const gint64 delay_us = tick * self->tick_us - choir_clock_monotonic_us ();
  g_source_set_ready_time (&self->source, g_get_monotonic_time () + MAX (delay_us, 0));
}

/* The next occupied slot at or after @start, going round once; G_MAXUINT: none in @n_left slots */
static guint
find_occupied (ChoirTimerWheel *self, guint start, guint n_left)
{
  for (guint seen = 0; seen < n_left;)
    {
      const guint slot = (start + seen) % N_SLOTS;
      const guint64 word = self->occupied[slot / 64] >> (slot % 64);

      if (word != 0)
        {
          seen += (guint) __builtin_ctzll (word);
          return seen < n_left ? (start + seen) % N_SLOTS : G_MAXUINT;
        }

      seen += 64 - slot % 64;
    }

  return G_MAXUINT;
}

static gint64
find_next_tick (ChoirTimerWheel *self)
{
  const guint start = (guint) ((self->tick + 1) % N_SLOTS);
  gint64 next = NEVER;

  for (guint seen = 0; seen < N_SLOTS; seen++)
    {
      const guint slot = find_occupied (self, (start + seen) % N_SLOTS, N_SLOTS - seen);

      if (slot == G_MAXUINT)
        break;

      seen = (slot + N_SLOTS - start) % N_SLOTS;

      if (self->slots[slot].first == NULL)
        self->occupied[slot / 64] &= ~(G_GUINT64_CONSTANT (1) << (slot % 64));
      else
        next = MIN (next, self->slots[slot].earliest);

      /* slots come in the order of time, so nothing later in this round can be earlier */
      if (next <= self->tick + (gint64) seen + 1)
        break;
    }

  return next;
}

/* Moves what is due to the expired list; slots are LIFO, so this restores the order of arming */
static void
collect_due (Slot *slot, gint64 tick, ChoirTimer **expired)
{
  gint64 earliest = NEVER;
  ChoirTimer *next;

  for (ChoirTimer *timer = slot->first; timer != NULL; timer = next)
    {
      next = timer->next;

      if (timer->due_tick <= tick)
        {
          unlink_timer (timer);
          link_timer (expired, timer);
        }
      else
        earliest = MIN (earliest, timer->due_tick);
    }

  slot->earliest = earliest;
}

static guint
fire_expired (ChoirTimerWheel *self)
{
  guint n = 0;

  /* a callback may disarm or free any other, so only the head is ever trusted */
  for (; self->expired != NULL; n++)
    {
      ChoirTimer *timer = self->expired;

      unlink_timer (timer);
      timer->func (timer);
    }

  return n;
}

static guint
fire_due (ChoirTimerWheel *self)
{
  const gint64 now_tick = choir_clock_monotonic_us () / self->tick_us;
  const gint64 first = self->tick + 1;
  guint n_slots, n = 0;

  if (now_tick < first)
    return 0;

  n_slots = (guint) MIN (now_tick - self->tick, N_SLOTS);
  /* before any callback: what they arm must land in a tick still to come */
  self->tick = now_tick;

  for (guint seen = 0; seen < n_slots && !g_source_is_destroyed (&self->source); seen++)
    {
      const guint start = (guint) ((first + (gint64) seen) % N_SLOTS);
      const guint slot = find_occupied (self, start, n_slots - seen);

      if (slot == G_MAXUINT)
        break;

      seen += (slot + N_SLOTS - start) % N_SLOTS;
      collect_due (&self->slots[slot], now_tick, &self->expired);
      n += fire_expired (self);
    }

  return n;
}

static gboolean
timer_wheel_dispatch (GSource *source, GSourceFunc callback, gpointer data)
{
  (void) choir_timer_wheel_advance ((ChoirTimerWheel *) source);
  return G_SOURCE_CONTINUE;
}

static GSourceFuncs timer_wheel_funcs = { .dispatch = timer_wheel_dispatch };

/**
 * choir_timer_wheel_new:
 * @context: (nullable): where it fires; %NULL is the default context
 * @tick_ms: how coarse, at least 1; rounds of 1024 ticks
 *
 * Returns: (transfer full): a wheel without timers, which wakes nobody
 */
ChoirTimerWheel *
choir_timer_wheel_new (GMainContext *context, guint tick_ms)
{
  g_return_val_if_fail (tick_ms > 0, NULL);

  GSource *source = g_source_new (&timer_wheel_funcs, sizeof (ChoirTimerWheel));
  ChoirTimerWheel *self = (ChoirTimerWheel *) source;

  g_source_set_static_name (source, "[choir] timer wheel");
  self->tick_us = (gint64) tick_ms * 1000;
  self->tick = choir_clock_monotonic_us () / self->tick_us;
  self->wake_tick = NEVER;
  g_source_attach (source, context);

  return self;
}

static void
disarm_list (ChoirTimer **head)
{
  while (*head != NULL)
    unlink_timer (*head);
}

/**
 * choir_timer_wheel_free:
 * @self: (transfer full): a wheel
 *
 * Disarms all its timers, which may outlive it. A timer's callback may call this.
 */
void
choir_timer_wheel_free (ChoirTimerWheel *self)
{
  g_return_if_fail (self != NULL);

  for (guint i = 0; i < N_SLOTS; i++)
    disarm_list (&self->slots[i].first);
  disarm_list (&self->expired);

  g_source_destroy (&self->source);
  g_source_unref (&self->source);
}

/**
 * choir_timer_wheel_arm:
 * @self: a wheel
 * @timer: a timer, armed or not; its memory stays the caller's
 * @delay_us: microseconds from now; below zero counts as zero
 * @func: called once, with the timer disarmed; it may arm, disarm or free any timer
 *
 * O(1). Calls @func no earlier than @delay_us from now, and at most one tick later plus however
 * long the loop is busy; never before this returns.
 */
void
choir_timer_wheel_arm (ChoirTimerWheel *self,
                       ChoirTimer *timer,
                       gint64 delay_us,
                       ChoirTimerFunc func)
{
  const gint64 now_us = choir_clock_monotonic_us ();
  const gint64 due_us = now_us + CLAMP (delay_us, 0, DELAY_MAX_US);
  Slot *slot;
  guint i;

  choir_timer_disarm (timer);

  /* only a test's clock goes back */
  self->tick = MIN (self->tick, now_us / self->tick_us);

  timer->func = func;
  timer->due_tick = MAX ((due_us + self->tick_us - 1) / self->tick_us, self->tick + 1);

  i = (guint) (timer->due_tick % N_SLOTS);
  slot = &self->slots[i];
  slot->earliest = slot->first == NULL ? timer->due_tick : MIN (slot->earliest, timer->due_tick);
  link_timer (&slot->first, timer);
  self->occupied[i / 64] |= G_GUINT64_CONSTANT (1) << (i % 64);

  if (timer->due_tick < self->wake_tick)
    set_wake_tick (self, timer->due_tick);
}

/**
 * choir_timer_disarm:
 * @timer: a timer, armed or not
 *
 * O(1). It will not fire, even if it was due in the round being fired now.
 */
void
choir_timer_disarm (ChoirTimer *timer)
{
  if (choir_timer_is_armed (timer))
    unlink_timer (timer);
}

/**
 * choir_timer_is_armed:
 * @timer: a timer
 *
 * Returns: whether it is waiting to fire
 */
gboolean
choir_timer_is_armed (const ChoirTimer *timer)
{
  return timer->prev_next != NULL;
}

/**
 * choir_timer_wheel_advance:
 * @self: a wheel
 *
 * Fires what is due by choir_clock_monotonic_us() without waiting for the main loop. What a
 * callback arms waits for the next call, however small its delay.
 *
 * Returns: how many fired
 */
guint
choir_timer_wheel_advance (ChoirTimerWheel *self)
{
  guint n;

  g_source_ref (&self->source);
  n = fire_due (self);

  if (!g_source_is_destroyed (&self->source))
    {
      /* a wake-up that came for nothing must be armed anew as well */
      self->wake_tick = G_MININT64;
      set_wake_tick (self, find_next_tick (self));
    }

  g_source_unref (&self->source);
  return n;
}
