/* choir-timer-wheel.h: thousands of deadlines on one GSource
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * ChoirTimer:
 *
 * One deadline, embedded in whatever waits for it (find the owner with offsetof). Zero-filled is
 * an unarmed timer; it must be disarmed before its memory goes. Hashed wheel after Varghese and
 * Lauck, "Hashed and Hierarchical Timing Wheels" (1987): arm, disarm and expire are O(1).
 */
typedef struct _ChoirTimer ChoirTimer;
typedef void (*ChoirTimerFunc) (ChoirTimer *timer);

struct _ChoirTimer
{
  ChoirTimer *next;
  ChoirTimer **prev_next;
  ChoirTimerFunc func;
  gint64 due_tick;
};

typedef struct _ChoirTimerWheel ChoirTimerWheel;

ChoirTimerWheel *choir_timer_wheel_new (GMainContext *context, guint tick_ms);
void choir_timer_wheel_free (ChoirTimerWheel *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirTimerWheel, choir_timer_wheel_free)

/* Never fires early, at most one tick late (plus a busy loop); arming an armed timer moves it. One
 * shot. */
void choir_timer_wheel_arm (ChoirTimerWheel *self,
                            ChoirTimer *timer,
                            gint64 delay_us,
                            ChoirTimerFunc func);
void choir_timer_disarm (ChoirTimer *timer);
gboolean choir_timer_is_armed (const ChoirTimer *timer);
/* For tests with a frozen clock: runs what is due now, returns how many fired */
guint choir_timer_wheel_advance (ChoirTimerWheel *self);

G_END_DECLS
