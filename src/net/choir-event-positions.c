/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-event-positions.h"

#include "choir-event-id.h"
#include "choir-names.h"

#include <string.h>

/* In an id: `EPOCH.OFFSET` of each channel, or `-`, with `;` before each */
#define SEPARATOR ';'

typedef struct
{
  char *channel; /* (owned) */
  char epoch[CHOIR_ID_SIZE];
  guint64 offset;
  gboolean is_known;
} Position;

struct _ChoirEventPositions
{
  guint n;
  Position items[];
};

/* Printable, and nothing that an id is made of */
static gboolean
is_epoch (ChoirSlice text)
{
  if (text.len == 0 || text.len >= CHOIR_ID_SIZE)
    return FALSE;

  for (gsize i = 0; i < text.len; i++)
    if (!g_ascii_isalnum (text.data[i]) && text.data[i] != '-' && text.data[i] != '_')
      return FALSE;

  return TRUE;
}

/**
 * choir_event_positions_new:
 * @channels: names with commas between
 * @fits: (out): whether all of them are channels, and no more than may be named
 *
 * Returns: (transfer full) (nullable): nothing known of any; %NULL if none is named
 */
ChoirEventPositions *
choir_event_positions_new (const char *channels, gboolean *fits)
{
  g_auto (GStrv) names = g_strsplit (channels, ",", CHOIR_EVENT_CHANNELS_MAX + 2);
  guint n = g_strv_length (names);
  ChoirEventPositions *self;

  *fits = n <= CHOIR_EVENT_CHANNELS_MAX;
  for (guint i = 0; i < n && *fits; i++)
    *fits = choir_name_is_channel (names[i], strlen (names[i]));
  if (!*fits || n == 0)
    {
      *fits = *fits || *channels == '\0';
      return NULL;
    }

  self = g_malloc0 (sizeof *self + n * sizeof *self->items);
  self->n = n;
  for (guint i = 0; i < n; i++)
    self->items[i].channel = g_steal_pointer (&names[i]);

  return self;
}

void
choir_event_positions_free (ChoirEventPositions *self)
{
  for (guint i = 0; i < self->n; i++)
    g_free (self->items[i].channel);

  g_free (self);
}

static Position *
find (ChoirEventPositions *self, ChoirJsonValue *channel)
{
  g_autofree char *name = NULL;

  if (channel->kind != CHOIR_JSON_STRING)
    return NULL;

  name = choir_json_string_dup (channel->raw, CHOIR_CHANNEL_NAME_MAX);
  for (guint i = 0; name != NULL && i < self->n; i++)
    if (strcmp (self->items[i].channel, name) == 0)
      return &self->items[i];

  return NULL;
}

static gboolean
read_offset (const ChoirJsonValue *value, guint64 *out)
{
  gint64 offset;

  if (value->kind != CHOIR_JSON_NUMBER || !choir_json_number_get_int (value->raw, &offset) ||
      offset < 0)
    return FALSE;

  *out = (guint64) offset;

  return TRUE;
}

/* `{channel, epoch, offset}` of an answer: from there on messages count */
static void
begin_channel (ChoirEventPositions *self, ChoirSlice object)
{
  static const ChoirSlice keys[] = { CHOIR_SLICE_LITERAL ("channel"), CHOIR_SLICE_LITERAL ("epoch"),
                                     CHOIR_SLICE_LITERAL ("offset") };
  ChoirJsonValue values[G_N_ELEMENTS (keys)] = { 0 };
  Position *position;
  ChoirSlice epoch;

  choir_json_slice_get_many (object, keys, G_N_ELEMENTS (keys), values);
  position = values[0].raw.data != NULL ? find (self, &values[0]) : NULL;
  if (position == NULL || values[1].raw.data == NULL || values[1].kind != CHOIR_JSON_STRING)
    return;

  epoch = choir_json_string_contents (values[1].raw);
  position->is_known = is_epoch (epoch) && read_offset (&values[2], &position->offset);
  if (!position->is_known)
    return;

  memcpy (position->epoch, epoch.data, epoch.len);
  position->epoch[epoch.len] = '\0';
}

static void
begin_channels (ChoirEventPositions *self, const ChoirJsonValue *payload)
{
  ChoirJsonValue array, element;
  gsize cursor = 0;

  if (payload->kind != CHOIR_JSON_OBJECT ||
      !choir_json_slice_get (payload->raw, "channels", &array) || array.kind != CHOIR_JSON_ARRAY)
    return;

  while (choir_json_slice_next_element (array.raw, &cursor, &element))
    if (element.kind == CHOIR_JSON_OBJECT)
      begin_channel (self, element.raw);
}

/**
 * choir_event_positions_watch:
 * @self: positions
 * @message: what is being sent: an object in the canonical dialect
 */
void
choir_event_positions_watch (ChoirEventPositions *self, ChoirSlice message)
{
  static const ChoirSlice keys[] = { CHOIR_SLICE_LITERAL ("type"), CHOIR_SLICE_LITERAL ("payload"),
                                     CHOIR_SLICE_LITERAL ("channel"),
                                     CHOIR_SLICE_LITERAL ("offset") };
  ChoirJsonValue values[G_N_ELEMENTS (keys)] = { 0 };
  Position *position;
  guint64 offset;

  choir_json_slice_get_many (message, keys, G_N_ELEMENTS (keys), values);
  if (values[2].raw.data == NULL)
    {
      if (choir_slice_equals (values[0].raw, "\"subscription.confirmed\""))
        begin_channels (self, &values[1]);
      return;
    }

  /* what is sent again has an offset from before */
  position = values[3].raw.data != NULL ? find (self, &values[2]) : NULL;
  if (position != NULL && position->is_known && read_offset (&values[3], &offset))
    position->offset = MAX (position->offset, offset);
}

/**
 * choir_event_positions_write:
 * @self: positions
 * @out: where they are written as they stand in an event id, with a NUL behind them:
 * %CHOIR_EVENT_POSITIONS_SIZE bytes are enough
 *
 * Returns: where the NUL is
 */
char *
choir_event_positions_write (const ChoirEventPositions *self, char *out)
{
  for (guint i = 0; i < self->n; i++)
    {
      const Position *position = &self->items[i];

      *out++ = SEPARATOR;
      if (position->is_known)
        {
          out = g_stpcpy (out, position->epoch);
          *out++ = '.';
          out = choir_event_id_write_number (position->offset, out);
        }
      else
        *out++ = '-';
    }
  *out = '\0';

  return out;
}

static void
parse_position (Position *self, ChoirSlice text)
{
  const char *dot = memchr (text.data, '.', text.len);
  g_autofree char *digits = NULL;
  ChoirSlice epoch;

  if (dot == NULL)
    return;

  epoch = (ChoirSlice){ text.data, (gsize) (dot - text.data) };
  digits = g_strndup (dot + 1, text.len - epoch.len - 1);
  if (!is_epoch (epoch) || !g_ascii_string_to_unsigned (digits, 10, 0, G_GUINT64_CONSTANT (1) << 53,
                                                        &self->offset, NULL))
    return;

  memcpy (self->epoch, epoch.data, epoch.len);
  self->epoch[epoch.len] = '\0';
  self->is_known = TRUE;
}

/**
 * choir_event_positions_has_same_channels:
 * @self: positions
 * @other: (nullable): others
 *
 * Returns: whether they are of the same channels, in the same order
 */
gboolean
choir_event_positions_has_same_channels (const ChoirEventPositions *self,
                                         const ChoirEventPositions *other)
{
  if (other == NULL || self->n != other->n)
    return FALSE;

  for (guint i = 0; i < self->n; i++)
    if (strcmp (self->items[i].channel, other->items[i].channel) != 0)
      return FALSE;

  return TRUE;
}

/**
 * choir_event_positions_parse:
 * @self: positions of which nothing is known
 * @text: what choir_event_positions_append() made, or anything else
 *
 * Takes over what makes sense. Positions of another list of channels do no harm: no two channels
 * have the same epoch.
 */
void
choir_event_positions_parse (ChoirEventPositions *self, const char *text)
{
  for (guint i = 0; i < self->n && *text == SEPARATOR; i++)
    {
      gsize len;

      text++;
      len = strcspn (text, ";");
      parse_position (&self->items[i], (ChoirSlice){ text, len });
      text += len;
    }
}

/**
 * choir_event_positions_make_subscribe:
 * @self: positions
 * @dialect: of the session
 *
 * Returns: (transfer full): the message by which a client would subscribe to the channels and
 * recover what it has missed
 */
GString *
choir_event_positions_make_subscribe (const ChoirEventPositions *self, const ChoirDialect *dialect)
{
  const ChoirDialectTable *table = choir_dialect_get_table (dialect);
  GString *out = g_string_new (NULL);

  g_string_append_printf (out, "{\"type\":\"subscribe\",\"%s\":{\"channels\":[",
                          table->payload_key);
  for (guint i = 0; i < self->n; i++)
    {
      const Position *position = &self->items[i];

      if (i > 0)
        g_string_append_c (out, ',');
      if (position->is_known)
        g_string_append (out, "{\"channel\":");
      choir_json_append_string (out, position->channel, -1);
      if (position->is_known)
        g_string_append_printf (out, ",\"epoch\":\"%s\",\"offset\":%" G_GUINT64_FORMAT "}",
                                position->epoch, position->offset);
    }
  g_string_append (out, "]}}");

  return out;
}
