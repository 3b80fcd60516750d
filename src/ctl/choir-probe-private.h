/* choir-probe-private.h: a visit under way
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-dial.h"
#include "choir-frame-parser.h"
#include "choir-probe.h"

G_BEGIN_DECLS

typedef struct
{
  const ChoirProbeOptions *options;
  ChoirProbeReport *report;
  ChoirDial *dial;   /* (owned) */
  GByteArray *input; /* (owned): read, not yet understood */
  ChoirFrameParser parser;
  gint64 opened_us;
  guint64 ping;         /* number of the newest, from 1 */
  gint64 ping_sent_us;  /* 0: it has been answered */
  gint64 round_trip_us; /* of the newest that was answered */
} ChoirProbe;

gboolean choir_probe_fill (ChoirProbe *self, GError **error);
gboolean choir_probe_connect (ChoirProbe *self, GError **error);
gboolean choir_probe_take_frames (ChoirProbe *self, GError **error);
gboolean choir_probe_send (ChoirProbe *self,
                           ChoirOpcode opcode,
                           const void *payload,
                           gsize len,
                           GError **error);

G_END_DECLS
