/* choir-event-id.h: what a client sends back of the last event it has seen
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

#include "choir-id.h"

G_BEGIN_DECLS

/* `SESSION.NUMBER`, with positions behind it; anything longer is none of ours */
#define CHOIR_EVENT_ID_MAX 1200

typedef struct
{
  char session_id[CHOIR_ID_SIZE];
  guint64 number;        /* of the event in its session; 0: before the first */
  const char *positions; /* for choir_event_positions_parse(); points into the text */
} ChoirEventId;

char *choir_event_id_write_number (guint64 number, char *out);
gboolean choir_event_id_parse (ChoirEventId *self, const char *text);

G_END_DECLS
