/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-event-log.h"

#include "choir-clock.h"
#include "choir-frame-walk.h"

#define SESSION_KEY "choir-event-log"

#define FIRST_CAPACITY 4

struct _ChoirEventLog
{
  ChoirEventEntry *entries;       /* (owned) (nullable): a ring, oldest at @first */
  ChoirEventPositions *positions; /* (owned) (nullable) */
  gsize n_bytes;
  guint64 last; /* the number of the newest event; 0: none yet */
  gint64 max_age_us;
  gint64 opened_us; /* monotonic: when the connection began that it was about last */
  guint first;
  guint n_entries;
  guint capacity; /* a power of two, at most CHOIR_EVENT_LOG_FRAMES_MAX */
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

/* @i: counted from the oldest */
static ChoirEventEntry *
get_entry (const ChoirEventLog *self, guint i)
{
  return &self->entries[(self->first + i) & (self->capacity - 1)];
}

static void
drop_oldest (ChoirEventLog *self)
{
  ChoirEventEntry *entry = get_entry (self, 0);

  if (entry->frame != NULL)
    self->n_bytes -= entry->frame->len;
  choir_event_entry_clear (entry);
  self->first = (self->first + 1) & (self->capacity - 1);
  self->n_entries--;
}

/* A session in which nothing happens owns no entries */
static void
give_back (ChoirEventLog *self)
{
  if (self->n_entries > 0)
    return;

  g_clear_pointer (&self->entries, g_free);
  self->first = self->capacity = 0;
}

/* For one more */
static void
make_room (ChoirEventLog *self)
{
  ChoirEventEntry *entries;
  guint capacity;

  if (self->n_entries < self->capacity)
    return;

  if (self->capacity == CHOIR_EVENT_LOG_FRAMES_MAX)
    {
      drop_oldest (self);
      return;
    }

  capacity = MAX (2 * self->capacity, FIRST_CAPACITY);
  entries = g_new (ChoirEventEntry, capacity);
  for (guint i = 0; i < self->n_entries; i++)
    entries[i] = *get_entry (self, i);
  g_free (self->entries);
  self->entries = entries;
  self->first = 0;
  self->capacity = capacity;
}

void
choir_event_log_free (ChoirEventLog *self)
{
  while (self->n_entries > 0)
    drop_oldest (self);

  g_free (self->entries);
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

  while (self->n_entries > 0 && get_entry (self, 0)->sent_us < oldest_us)
    drop_oldest (self);
  give_back (self);
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
  guint64 first = self->last + 1;
  ChoirEventEntry *entry;

  if (self->max_age_us == 0)
    {
      self->last += choir_event_count (frame);
      return first;
    }

  make_room (self);
  entry = get_entry (self, self->n_entries++);
  *entry = (ChoirEventEntry){
    .frame = choir_frame_ref (frame),
    .first = first,
    .n_events = choir_event_count (frame),
    .sent_us = choir_clock_monotonic_us (),
  };
  self->last += entry->n_events;
  self->n_bytes += frame->len;

  while (self->n_bytes > CHOIR_EVENT_LOG_BYTES_MAX)
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

/* Where the first event a client has not @seen begins; past the end if it is not here */
static guint
find_next (const ChoirEventLog *self, guint64 seen)
{
  /* whoever comes back has missed little */
  for (guint i = self->n_entries; i-- > 0;)
    if (is_next (get_entry (self, i), seen))
      return i;

  return self->n_entries;
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
  return seen == self->last || (seen < self->last && find_next (self, seen) < self->n_entries);
}

/**
 * choir_event_log_follow:
 * @self: a log
 * @session: its session, which has a new event stream
 */
void
choir_event_log_follow (ChoirEventLog *self, ChoirSession *session)
{
  self->opened_us = choir_session_get_opened_us (session);
}

/**
 * choir_event_log_knows_all:
 * @self: a log
 * @session: its session
 *
 * Returns: %FALSE if a WebSocket has carried the session since: what it gave is not in the log
 */
gboolean
choir_event_log_knows_all (const ChoirEventLog *self, ChoirSession *session)
{
  return self->opened_us == choir_session_get_opened_us (session);
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
  for (guint i = find_next (self, seen); i < self->n_entries; i++)
    {
      ChoirEventEntry entry = *get_entry (self, i);

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
