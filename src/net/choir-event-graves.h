/* choir-event-graves.h: event streams that were ended for good
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* So many are remembered, the newest; and for so long */
#define CHOIR_EVENT_GRAVES_MAX 1024
#define CHOIR_EVENT_GRAVES_US (10 * 60 * (gint64) G_USEC_PER_SEC)

/**
 * ChoirEventGraves:
 *
 * An EventSource comes back whatever it was told. One whose session was ended for good is answered
 * 204, after which it does not; for that the sessions' ids are remembered here.
 */
typedef struct _ChoirEventGraves ChoirEventGraves;

ChoirEventGraves *choir_event_graves_new (void);
void choir_event_graves_free (ChoirEventGraves *self);
void choir_event_graves_add (ChoirEventGraves *self, const char *session_id, const char *user_id);
gboolean
choir_event_graves_has (ChoirEventGraves *self, const char *session_id, const char *user_id);
guint choir_event_graves_get_n (const ChoirEventGraves *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirEventGraves, choir_event_graves_free)

G_END_DECLS
