/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-probe.h"

#include "choir-clock.h"
#include "choir-close-code.h"
#include "choir-ctl-error.h"
#include "choir-probe-private.h"

#include <glib/gi18n.h>

/* How long the server may take over its half of the goodbye, which nothing depends on */
#define GOODBYE_US (G_USEC_PER_SEC / 2)

/* Far more than a service sends at once; in whatever pieces it comes, we hold no more */
#define MESSAGE_MAX (64 * 1024 * 1024)

/**
 * choir_probe_report_new:
 *
 * Returns: (transfer full): a report of nothing so far
 */
ChoirProbeReport *
choir_probe_report_new (void)
{
  ChoirProbeReport *self = g_new0 (ChoirProbeReport, 1);

  self->resolve_us = -1;
  self->connect_us = -1;
  self->tls_us = -1;
  self->handshake_us = -1;
  self->first_message_us = -1;
  self->round_trips = g_array_new (FALSE, FALSE, sizeof (gint64));

  return self;
}

/**
 * choir_probe_report_free:
 * @self: (transfer full): a report
 */
void
choir_probe_report_free (ChoirProbeReport *self)
{
  g_free (self->url);
  g_free (self->address);
  g_free (self->protocol);
  g_free (self->server);
  g_free (self->code);
  g_free (self->first_type);
  g_array_unref (self->round_trips);
  g_free (self);
}

static gboolean
translate (GError *problem, GError **error)
{
  g_autoptr (GError) owned = problem;

  if (problem->domain == CHOIR_CTL_ERROR)
    g_propagate_error (error, g_steal_pointer (&owned));
  else
    g_set_error (error, CHOIR_CTL_ERROR, CHOIR_CTL_FAILED,
                 _ ("The connection was lost, without a close frame: %s"), problem->message);

  return FALSE;
}

/* Hears what comes until then, or until the ping under way is answered if that is @wanted */
static gboolean
listen_until (ChoirProbe *self, gint64 deadline_us, gboolean wanted, GError **error)
{
  self->dial->deadline_us = deadline_us;

  for (;;)
    {
      g_autoptr (GError) problem = NULL;

      if (!choir_probe_take_frames (self, &problem))
        return translate (g_steal_pointer (&problem), error);

      if (wanted && self->ping_sent_us == 0)
        return TRUE;

      if (choir_clock_monotonic_us () >= deadline_us)
        return TRUE;

      if (!choir_probe_fill (self, &problem) &&
          !g_error_matches (problem, G_IO_ERROR, G_IO_ERROR_TIMED_OUT))
        return translate (g_steal_pointer (&problem), error);
    }
}

static gboolean
ping (ChoirProbe *self, GError **error)
{
  gint64 now_us = choir_clock_monotonic_us ();
  GError *problem = NULL;

  self->ping++;
  self->ping_sent_us = now_us;
  self->dial->deadline_us = now_us + self->options->timeout_us;
  if (!choir_probe_send (self, CHOIR_OPCODE_PING, &self->ping, sizeof self->ping, &problem))
    return translate (problem, error);

  self->report->n_sent++;
  if (!listen_until (self, now_us + self->options->timeout_us, TRUE, error))
    return FALSE;

  if (self->ping_sent_us != 0)
    {
      g_set_error_literal (
        error, CHOIR_CTL_ERROR, CHOIR_CTL_TIMED_OUT,
        self->report->round_trips->len == 0
          ? _ ("No pong in time, to none of the pings: something on the way swallows "
               "control frames, or the service is stuck")
          : _ ("No pong in time: the service or the way to it is stuck"));
      return FALSE;
    }

  g_array_append_val (self->report->round_trips, self->round_trip_us);

  return TRUE;
}

static void
say_goodbye (ChoirProbe *self)
{
  static const guint8 normal[] = { CHOIR_CLOSE_NORMAL >> 8, CHOIR_CLOSE_NORMAL & 0xff };
  gint64 deadline_us = choir_clock_monotonic_us () + GOODBYE_US;
  guint close_code = self->report->close_code;

  self->dial->deadline_us = deadline_us;
  if (choir_probe_send (self, CHOIR_OPCODE_CLOSE, normal, sizeof normal, NULL))
    listen_until (self, deadline_us, FALSE, NULL);

  /* the answer to ours says nothing about the service */
  self->report->close_code = close_code;
}

static gboolean
visit (ChoirProbe *self, GError **error)
{
  const ChoirProbeOptions *options = self->options;

  if (!choir_probe_connect (self, error))
    return FALSE;

  for (guint i = 0; i < options->n_pings; i++)
    {
      gint64 next_us = choir_clock_monotonic_us () + options->interval_us;

      if (!ping (self, error))
        return FALSE;

      if (i + 1 < options->n_pings && !listen_until (self, next_us, FALSE, error))
        return FALSE;
    }

  say_goodbye (self);

  return TRUE;
}

/**
 * choir_probe_run:
 * @options: where to go, and what to do there
 * @report: (inout): gets what was measured, also where it ends badly
 * @error: return location, of %CHOIR_CTL_ERROR
 *
 * Returns: whether everything was as it should be
 */
gboolean
choir_probe_run (const ChoirProbeOptions *options, ChoirProbeReport *report, GError **error)
{
  static const ChoirFrameLimits limits = { .max_message = MESSAGE_MAX };
  ChoirProbe self = { .options = options, .report = report };
  gboolean fine;

  choir_frame_parser_init_client (&self.parser, &limits);
  self.dial = choir_dial_new ();
  self.input = g_byte_array_new ();
  fine = visit (&self, error);
  choir_dial_free (self.dial);
  choir_frame_parser_clear (&self.parser);
  g_byte_array_unref (self.input);

  return fine;
}
