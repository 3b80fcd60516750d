/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-hub-private.h"

#include "choir-clock.h"
#include "choir-close-code.h"
#include "choir-container.h"
#include "choir-error.h"
#include "choir-payload.h"
#include "choir-session.h"

/*
 * Leaving without a stampede: every client is told at once when to come back, each another moment
 * of the window; connections are closed evenly over the same window.
 */

#define TICK_US (50 * 1000)
#define CLOSES_PER_SECOND 2000
#define WINDOW_MIN_US (250 * 1000)

static void
announce (ChoirHub *self, ChoirSession *session)
{
  g_autoptr (GString) payload = g_string_new (NULL);
  guint window_ms = self->drain_window_us / 1000;

  choir_payload_open (payload);
  choir_payload_add_string (payload, "reason", "restart");
  choir_payload_add_int (payload, "after_ms", choir_id_random_range (MAX (window_ms, 1)));
  choir_payload_close (payload);
  choir_session_send (session, NULL, "system.reconnect", choir_payload_as_slice (payload));
}

static void
close_due (ChoirHub *self, gint64 elapsed_us)
{
  guint due = self->drain_total;
  guint gone = self->drain_total - MIN (self->sessions->len, self->drain_total);
  guint n = 0;

  if (elapsed_us < self->drain_window_us)
    due = self->drain_total * (elapsed_us / (double) self->drain_window_us);

  /* those who have left count as closed */
  due -= MIN (due, gone);

  for (guint i = 0; i < self->sessions->len && n < due; i++, n++)
    choir_session_close (g_ptr_array_index (self->sessions, i), CHOIR_CLOSE_RESTART,
                         "Service restart");
}

static void
tick_cb (ChoirTimer *timer)
{
  ChoirHub *self = CHOIR_CONTAINER_OF (timer, ChoirHub, drain_timer);
  gint64 elapsed_us = choir_clock_monotonic_us () - self->drain_start_us;

  if (elapsed_us >= self->settings.drain_us)
    {
      g_autoptr (GTask) task = g_steal_pointer (&self->drain_task);

      g_task_return_new_error (task, CHOIR_ERROR, CHOIR_ERROR_TIMEOUT,
                               "%u clients have not left in time", self->sessions->len);
      return;
    }

  choir_timer_wheel_arm (self->wheel, timer, TICK_US, tick_cb);
  close_due (self, elapsed_us);
}

/**
 * choir_hub_get_n_unstored:
 * @self: a hub
 *
 * Returns: messages that were published and are on their way to the store
 */
guint
choir_hub_get_n_unstored (ChoirHub *self)
{
  return self->logs != NULL ? choir_log_keeper_get_n_pending (self->logs) : 0;
}

/* Called whenever a session has ended, and when all that was published is stored */
void
choir_hub_drain_check (ChoirHub *self)
{
  g_autoptr (GTask) task = NULL;

  if (self->drain_task != NULL)
    choir_hub_report_drain (self);

  if (self->drain_task == NULL || self->sessions->len > 0 || choir_hub_get_n_unstored (self) > 0)
    return;

  choir_timer_disarm (&self->drain_timer);
  task = g_steal_pointer (&self->drain_task);
  g_task_return_boolean (task, TRUE);
}

gboolean
choir_hub_is_draining (ChoirHub *self)
{
  return self->draining;
}

/**
 * choir_hub_drain_async:
 * @self: a hub that is not draining yet
 * @cancellable: (nullable): to stop waiting; what has begun goes on
 * @callback: called when all have left or `drain-timeout` is over
 * @user_data: data for @callback
 *
 * Takes no new session, announces `system.reconnect`, and closes everyone with 1012. Sessions that
 * wait for their client end: nobody will find them here. What has been published is stored when it
 * ends.
 */
void
choir_hub_drain_async (ChoirHub *self,
                       GCancellable *cancellable,
                       GAsyncReadyCallback callback,
                       gpointer user_data)
{
  g_return_if_fail (self->drain_task == NULL);

  self->drain_task = g_task_new (self, cancellable, callback, user_data);
  g_task_set_source_tag (self->drain_task, choir_hub_drain_async);

  self->draining = TRUE;
  self->drain_start_us = choir_clock_monotonic_us ();
  /* armed before anything ends: what ends last disarms it */
  choir_timer_wheel_arm (self->wheel, &self->drain_timer, TICK_US, tick_cb);
  choir_hub_end_waiting (self);
  self->drain_total = self->sessions->len;
  self->drain_window_us =
    CLAMP (self->drain_total * (G_USEC_PER_SEC / CLOSES_PER_SECOND), WINDOW_MIN_US,
           MAX (self->settings.drain_us * 4 / 5, WINDOW_MIN_US));

  for (guint i = 0; i < self->sessions->len; i++)
    announce (self, g_ptr_array_index (self->sessions, i));

  choir_hub_drain_check (self);
}

/**
 * choir_hub_drain_finish:
 * @self: a hub
 * @result: what the callback was given
 * @error: return location: %CHOIR_ERROR_TIMEOUT
 *
 * Returns: %TRUE if all have left
 */
gboolean
choir_hub_drain_finish (ChoirHub *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, self), FALSE);

  return g_task_propagate_boolean (G_TASK (result), error);
}
