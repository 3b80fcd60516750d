/* choir-event-log.h: what an event stream has sent, to be sent again
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-event-positions.h"
#include "choir-frame.h"
#include "choir-session.h"

G_BEGIN_DECLS

/* What one log keeps at most */
#define CHOIR_EVENT_LOG_FRAMES_MAX 256
#define CHOIR_EVENT_LOG_BYTES_MAX (256 * 1024)

/**
 * ChoirEventLog:
 *
 * Numbers the events of a session from 1 and keeps references on the last frames they came from, so
 * that a client whose connection broke gets again what it has not seen. Belongs to the session,
 * which outlives its streams. The numbers go into event ids.
 */
typedef struct _ChoirEventLog ChoirEventLog;

/* A frame, the number of the first message that begins in it, and how many begin in it */
typedef struct
{
  ChoirFrame *frame; /* (owned) */
  guint64 first;
  guint32 n_events;
  guint32 n_skipped; /* of these the client has had */
  gint64 sent_us;    /* monotonic */
} ChoirEventEntry;

ChoirEventLog *choir_event_log_ensure (ChoirSession *session, gint64 max_age_us);
ChoirEventLog *choir_event_log_find (ChoirSession *session);
ChoirEventLog *choir_event_log_new (gint64 max_age_us);
void choir_event_log_free (ChoirEventLog *self);
guint64 choir_event_log_add (ChoirEventLog *self, ChoirFrame *frame);
void choir_event_log_trim (ChoirEventLog *self);
guint64 choir_event_log_get_last (const ChoirEventLog *self);
gboolean choir_event_log_reaches (const ChoirEventLog *self, guint64 seen);
gboolean choir_event_log_knows_all (const ChoirEventLog *self, ChoirSession *session);
void choir_event_log_follow (ChoirEventLog *self, ChoirSession *session);
void choir_event_log_replay (const ChoirEventLog *self, guint64 seen, GArray *out);
void choir_event_log_set_positions (ChoirEventLog *self, ChoirEventPositions *positions);
ChoirEventPositions *choir_event_log_get_positions (const ChoirEventLog *self);
void choir_event_entry_clear (ChoirEventEntry *self);
guint choir_event_count (const ChoirFrame *frame);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirEventLog, choir_event_log_free)

G_END_DECLS
