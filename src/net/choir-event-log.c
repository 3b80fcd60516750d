/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-event-log.h"

#include "choir-clock.h"
#include "choir-frame-walk.h"

#define SESSION_KEY "choir-event-log"

struct _ChoirEventLog
{
  GQueue entries;                 /* (element-type ChoirEventEntry) (owned): oldest first */
  ChoirEventPositions *positions; /* (owned) (nullable) */
  gsize n_bytes;
  guint64 last; /* the number of the newest event; 0: none yet */
  gint64 max_age_us;
};

/**
 * choir_event_log_new:
 * @max_age_us: how long a frame is kept: as long as somebody may come back for it; 0: nobody does
 *
 * Returns: (transfer full): a log of nothing
 */
ChoirEventLog *
choir_event_log_new (gint64 max_age_us)
{
  ChoirEventLog *self = g_new0 (ChoirEventLog, 1);

  g_queue_init (&self->entries);
  self->max_age_us = max_age_us;

  return self;
}

/**
 * choir_event_entry_clear:
 * @self: an entry; its memory stays the caller's
 */
void
choir_event_entry_clear (ChoirEventEntry *self)
{
  g_clear_pointer (&self->frame, choir_frame_unref);
}

static void
drop_oldest (ChoirEventLog *self)
{
  ChoirEventEntry *entry = g_queue_pop_head (&self->entries);

  self->n_bytes -= entry->frame->len;
  choir_event_entry_clear (entry);
  g_free (entry);
}

void
choir_event_log_free (ChoirEventLog *self)
{
  while (self->entries.length > 0)
    drop_oldest (self);

  g_clear_pointer (&self->positions, choir_event_positions_free);
  g_free (self);
}

/**
 * choir_event_log_find:
 * @session: any session
 *
 * Returns: (transfer none) (nullable): its log; %NULL if no event stream has carried it
 */
ChoirEventLog *
choir_event_log_find (ChoirSession *session)
{
  return g_object_get_data (G_OBJECT (session), SESSION_KEY);
}

/**
 * choir_event_log_ensure:
 * @session: a session that an event stream carries
 * @max_age_us: for a new one
 *
 * Returns: (transfer none): its log
 */
ChoirEventLog *
choir_event_log_ensure (ChoirSession *session, gint64 max_age_us)
{
  ChoirEventLog *self = choir_event_log_find (session);

  if (self == NULL)
    {
      self = choir_event_log_new (max_age_us);
      g_object_set_data_full (G_OBJECT (session), SESSION_KEY, self,
                              (GDestroyNotify) choir_event_log_free);
    }

  return self;
}

/**
 * choir_event_count:
 * @frame: one or several, as they stand in an outbox
 *
 * Returns: how many messages begin in it: none in a later part of one
 */
guint
choir_event_count (const ChoirFrame *frame)
{
  ChoirFrameWalk walk;
  ChoirFramePart part;
  guint n = 0;

  choir_frame_walk_init (&walk, frame);
  while (choir_frame_walk_next (&walk, &part))
    n += part.begins ? 1 : 0;

  return n;
}

/**
 * choir_event_log_trim:
 * @self: a log
 *
 * Forgets what is too old for anybody to come back for.
 */
void
choir_event_log_trim (ChoirEventLog *self)
{
  gint64 oldest_us = choir_clock_monotonic_us () - self->max_age_us;

  while (self->entries.length > 0 &&
         ((ChoirEventEntry *) g_queue_peek_head (&self->entries))->sent_us < oldest_us)
    drop_oldest (self);
}

/**
 * choir_event_log_add:
 * @self: a log
 * @frame: (transfer none): is being sent; a reference is kept
 *
 * Returns: the number of the first event that begins in it, or would
 */
guint64
choir_event_log_add (ChoirEventLog *self, ChoirFrame *frame)
{
  ChoirEventEntry *entry;
  guint64 first = self->last + 1;

  if (self->max_age_us == 0)
    {
      self->last += choir_event_count (frame);
      return first;
    }

  entry = g_new (ChoirEventEntry, 1);
  *entry = (ChoirEventEntry){
    .frame = choir_frame_ref (frame),
    .first = first,
    .n_events = choir_event_count (frame),
    .sent_us = choir_clock_monotonic_us (),
  };
  self->last += entry->n_events;
  self->n_bytes += frame->len;
  g_queue_push_tail (&self->entries, entry);

  while (self->entries.length > CHOIR_EVENT_LOG_FRAMES_MAX ||
         self->n_bytes > CHOIR_EVENT_LOG_BYTES_MAX)
    drop_oldest (self);
  choir_event_log_trim (self);

  return first;
}

/* The number of the newest event; 0: there was none */
guint64
choir_event_log_get_last (const ChoirEventLog *self)
{
  return self->last;
}

/* Whether the first event a client has not @seen begins here */
static gboolean
is_next (const ChoirEventEntry *entry, guint64 seen)
{
  return entry->n_events > 0 && entry->first <= seen + 1 &&
         seen + 1 < entry->first + entry->n_events;
}

/* (nullable): where the first event a client has not @seen begins */
static GList *
find_next (const ChoirEventLog *self, guint64 seen)
{
  /* whoever comes back has missed little */
  for (GList *l = self->entries.tail; l != NULL; l = l->prev)
    if (is_next (l->data, seen))
      return l;

  return NULL;
}

/**
 * choir_event_log_reaches:
 * @self: a log
 * @seen: the number of the last event that a client says it has seen; 0: none
 *
 * Returns: whether everything after that is still here
 */
gboolean
choir_event_log_reaches (const ChoirEventLog *self, guint64 seen)
{
  return seen == self->last || (seen < self->last && find_next (self, seen) != NULL);
}

/**
 * choir_event_log_replay:
 * @self: a log that reaches @seen
 * @seen: the number of the last event that a client has seen
 * @out: (element-type ChoirEventEntry): what comes after it is appended, with references
 */
void
choir_event_log_replay (const ChoirEventLog *self, guint64 seen, GArray *out)
{
  for (GList *l = seen < self->last ? find_next (self, seen) : NULL; l != NULL; l = l->next)
    {
      ChoirEventEntry entry = *(ChoirEventEntry *) l->data;

      choir_frame_ref (entry.frame);
      entry.n_skipped = entry.first <= seen ? (guint32) (seen + 1 - entry.first) : 0;
      g_array_append_val (out, entry);
    }
}

/* @positions: (transfer full) (nullable) */
void
choir_event_log_set_positions (ChoirEventLog *self, ChoirEventPositions *positions)
{
  g_clear_pointer (&self->positions, choir_event_positions_free);
  self->positions = positions;
}

ChoirEventPositions *
choir_event_log_get_positions (const ChoirEventLog *self)
{
  return self->positions;
}
