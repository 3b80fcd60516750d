/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-event-encoder.h"

#include <string.h>

/* Where in an entry it is */
typedef enum
{
  BETWEEN, /* two parts */
  AT_HEAD, /* a part that begins a message has been found, its head not been written */
  IN_PART,
  AT_END, /* of a message: the empty line is missing */
} State;

/* The end of an event's last line, and the empty line behind it */
#define EVENT_END_LEN 2

/**
 * choir_event_encoder_init:
 * @self: memory for an encoder
 */
void
choir_event_encoder_init (ChoirEventEncoder *self)
{
  memset (self, 0, sizeof *self);
}

void
choir_event_encoder_clear (ChoirEventEncoder *self)
{
  choir_event_entry_clear (&self->entry);
}

/**
 * choir_event_encoder_name:
 * @self: an encoder
 * @session_id: what ids begin with
 * @positions: (nullable): what they end with; borrowed
 */
void
choir_event_encoder_name (ChoirEventEncoder *self,
                          const char *session_id,
                          ChoirEventPositions *positions)
{
  g_strlcpy (self->session_id, session_id, sizeof self->session_id);
  self->positions = positions;
}

/**
 * choir_event_encoder_is_idle:
 * @self: an encoder
 *
 * Returns: whether it takes another entry
 */
gboolean
choir_event_encoder_is_idle (const ChoirEventEncoder *self)
{
  return self->entry.frame == NULL;
}

/**
 * choir_event_encoder_is_inside:
 * @self: an encoder
 *
 * Returns: whether an event has been begun and not ended
 */
gboolean
choir_event_encoder_is_inside (const ChoirEventEncoder *self)
{
  return self->is_inside;
}

/**
 * choir_event_encoder_begin:
 * @self: an idle encoder
 * @entry: (transfer full): what to write; an entry without a number gets no ids
 */
void
choir_event_encoder_begin (ChoirEventEncoder *self, ChoirEventEntry *entry)
{
  self->entry = *entry;
  self->number = entry->first;
  self->state = BETWEEN;
  choir_frame_walk_init (&self->walk, entry->frame);
  entry->frame = NULL;
}

/**
 * choir_event_encoder_write_id:
 * @self: an encoder
 * @number: of an event
 * @out: where its id is written, with a NUL behind it: up to %CHOIR_EVENT_ID_MAX bytes and that
 *
 * Returns: where the NUL is
 */
char *
choir_event_encoder_write_id (const ChoirEventEncoder *self, guint64 number, char *out)
{
  out = g_stpcpy (out, self->session_id);
  *out++ = '.';
  out = choir_event_id_write_number (number, out);
  if (self->positions != NULL)
    return choir_event_positions_write (self->positions, out);

  *out = '\0';

  return out;
}

/* The next part that is to be written; FALSE if the entry is through */
static gboolean
find_part (ChoirEventEncoder *self)
{
  while (choir_frame_walk_next (&self->walk, &self->part))
    {
      if (self->part.begins && self->entry.n_skipped > 0)
        {
          self->entry.n_skipped--;
          self->number++;
          continue;
        }

      self->at = 0;
      self->state = self->part.begins ? AT_HEAD : IN_PART;
      return TRUE;
    }

  choir_event_entry_clear (&self->entry);

  return FALSE;
}

static gsize
write_head (ChoirEventEncoder *self, char *out)
{
  char *at = out;

  if (self->number > 0)
    {
      if (self->positions != NULL && self->part.ends)
        choir_event_positions_watch (
          self->positions, (ChoirSlice){ (const char *) self->part.data, self->part.len });

      at = g_stpcpy (at, "id: ");
      at = choir_event_encoder_write_id (self, self->number++, at);
      *at++ = '\n';
    }

  at = g_stpcpy (at, "data: ");

  return (gsize) (at - out);
}

/* A line's end within JSON stands between two tokens: a space does as well */
static void
copy_line (char *out, const guint8 *data, gsize len)
{
  static const char ends[] = { '\n', '\r' };

  memcpy (out, data, len);
  for (guint i = 0; i < G_N_ELEMENTS (ends); i++)
    for (char *at = memchr (out, ends[i], len); at != NULL;
         at = memchr (at, ends[i], len - (gsize) (at - out)))
      *at = ' ';
}

/**
 * choir_event_encoder_run:
 * @self: an encoder with an entry
 * @out: where to write
 * @room: bytes there, at least %CHOIR_EVENT_HEAD_MAX if anything is to come of it
 *
 * Returns: bytes written; the encoder is idle when the entry is through
 */
gsize
choir_event_encoder_run (ChoirEventEncoder *self, char *out, gsize room)
{
  gsize n = 0;

  for (;;)
    {
      gsize len;

      if (self->state == BETWEEN && !find_part (self))
        return n;

      if (self->state == AT_HEAD)
        {
          if (room - n < CHOIR_EVENT_HEAD_MAX)
            return n;
          n += write_head (self, out + n);
          self->is_inside = TRUE;
          self->state = IN_PART;
        }

      if (self->state == IN_PART)
        {
          len = MIN (self->part.len - self->at, room - n);
          copy_line (out + n, self->part.data + self->at, len);
          self->at += len;
          n += len;
          if (self->at < self->part.len)
            return n;
          self->state = self->part.ends ? AT_END : BETWEEN;
        }

      if (self->state == AT_END)
        {
          if (room - n < EVENT_END_LEN)
            return n;
          memset (out + n, '\n', EVENT_END_LEN);
          n += EVENT_END_LEN;
          self->is_inside = FALSE;
          self->state = BETWEEN;
        }
    }
}
