/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-store-writes.h"

/* A piece: others wait for so many entries, or so long */
#define PIECE_ENTRIES 5000
#define PIECE_US (5 * 1000)
/* Between two looks at the clock; an entry may be large */
#define PIECE_STEP 20

/* Entries from @first on, those before @before; moves @first */
static gboolean
forget_some_entries (ChoirStoreWrites *self,
                     gint64 stream,
                     gint64 *first,
                     gint64 before,
                     GError **error)
{
  sqlite3_stmt *statement = self->statements[CHOIR_WRITE_FORGET_ENTRIES];
  gint64 deadline_us = g_get_monotonic_time () + PIECE_US;

  for (guint n = 0; *first < before && n < PIECE_ENTRIES; n += PIECE_STEP)
    {
      gint64 next = before - *first > PIECE_STEP ? *first + PIECE_STEP : before;

      sqlite3_bind_int64 (statement, 1, stream);
      sqlite3_bind_int64 (statement, 2, next);
      if (!choir_sqlite_run (statement, error))
        return FALSE;
      *first = next;
      if (g_get_monotonic_time () >= deadline_us)
        break;
    }

  return TRUE;
}

typedef struct
{
  gint64 stream;
  gint64 first;
  gint64 before;
} TrimState;

/* @state: stream 0 if there is none */
static gboolean
get_trim_state (ChoirStoreWrites *self,
                const ChoirStoreRequest *request,
                TrimState *state,
                GError **error)
{
  sqlite3_stmt *statement = self->statements[CHOIR_WRITE_TRIM_STATE];
  gint64 end;
  ChoirSqliteStep step;

  state->stream = 0;
  choir_sqlite_bind_text (statement, 1, request->name);
  step = choir_sqlite_step (statement, error);
  if (step != CHOIR_SQLITE_ROW)
    return step == CHOIR_SQLITE_DONE;

  state->stream = sqlite3_column_int64 (statement, 0);
  end = sqlite3_column_int64 (statement, 1) + 1;
  state->before = (gint64) MIN (request->number, (guint64) end);
  if (sqlite3_column_type (statement, 2) != SQLITE_NULL)
    state->before = MIN (state->before, sqlite3_column_int64 (statement, 2) + 1);
  state->first =
    sqlite3_column_type (statement, 3) != SQLITE_NULL ? sqlite3_column_int64 (statement, 3) : end;
  sqlite3_reset (statement);

  return TRUE;
}

static gboolean
forget_snapshots (ChoirStoreWrites *self, const TrimState *state, GError **error)
{
  sqlite3_stmt *statement = self->statements[CHOIR_WRITE_FORGET_SNAPSHOTS];

  sqlite3_bind_int64 (statement, 1, state->stream);
  /* the first entry retained goes on from the snapshot right before it */
  sqlite3_bind_int64 (statement, 2, state->first - 1);

  return choir_sqlite_run (statement, error);
}

/**
 * choir_store_writes_trim_some:
 * @self: in a transaction
 * @request: which stream, and before which offset
 * @done: (out): whether this was the last piece
 * @error: return location: %CHOIR_ERROR_UNAVAILABLE
 *
 * Returns: %FALSE if this piece is to be undone
 */
gboolean
choir_store_writes_trim_some (ChoirStoreWrites *self,
                              ChoirStoreRequest *request,
                              gboolean *done,
                              GError **error)
{
  TrimState state;

  *done = TRUE;
  if (!get_trim_state (self, request, &state, error))
    return FALSE;

  if (state.stream == 0 && request->stream == 0)
    choir_store_refuse_unknown ("stream", &request->error);
  if (state.stream == 0 || (request->stream != 0 && request->stream != state.stream))
    return TRUE;

  request->stream = state.stream;
  if (!forget_some_entries (self, state.stream, &state.first, state.before, error))
    return FALSE;

  *done = state.first >= state.before;

  return !*done || forget_snapshots (self, &state, error);
}

/* @out: 0 if there is nothing */
static gboolean
get_number (ChoirStoreWrites *self, guint which, gint64 stream, gint64 *out, GError **error)
{
  sqlite3_stmt *statement = self->statements[which];
  ChoirSqliteStep step;

  *out = 0;
  if (which == CHOIR_WRITE_FIRST_ENTRY)
    sqlite3_bind_int64 (statement, 1, stream);
  step = choir_sqlite_step (statement, error);
  if (step == CHOIR_SQLITE_ROW)
    {
      *out = sqlite3_column_int64 (statement, 0);
      sqlite3_reset (statement);
    }

  return step != CHOIR_SQLITE_FAILED;
}

static gboolean
run_for_stream (ChoirStoreWrites *self, guint which, gint64 stream, GError **error)
{
  sqlite3_bind_int64 (self->statements[which], 1, stream);

  return choir_sqlite_run (self->statements[which], error);
}

/* A deleted stream: its entries, its snapshots, itself */
static gboolean
empty_grave (ChoirStoreWrites *self, gint64 stream, GError **error)
{
  gint64 first;

  if (!get_number (self, CHOIR_WRITE_FIRST_ENTRY, stream, &first, error))
    return FALSE;
  if (first != 0)
    return forget_some_entries (self, stream, &first, G_MAXINT64, error);

  if (!run_for_stream (self, CHOIR_WRITE_EMPTY_GRAVE, stream, error))
    return FALSE;

  return sqlite3_changes (self->db) > 0 ||
         run_for_stream (self, CHOIR_WRITE_REMOVE_GRAVE, stream, error);
}

/**
 * choir_store_writes_bury_some:
 * @self: in a transaction
 * @done: (out): whether nothing is left of deleted streams
 * @error: return location: %CHOIR_ERROR_UNAVAILABLE
 *
 * Returns: %FALSE if this piece is to be undone
 */
gboolean
choir_store_writes_bury_some (ChoirStoreWrites *self, gboolean *done, GError **error)
{
  gint64 stream;

  if (!get_number (self, CHOIR_WRITE_FIND_GRAVE, 0, &stream, error))
    return FALSE;

  *done = stream == 0;

  return *done || empty_grave (self, stream, error);
}
