/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-document-private.h"

#include "choir-clock.h"
#include "choir-error.h"
#include "choir-session.h"

/*
 * A change says on which version it was made. Everything committed since is history it has not
 * seen, and it is transformed past that, one revision at a time: the change is the left side
 * (ottypes; Ellis and Gibbs 1989 for the idea).
 *
 * Only its sender's own changes are different. Whoever sends a second change before the first is
 * acknowledged made it on a text that holds the first one. So where own revisions lie between the
 * base and the present, the way is walked from where the first of them began, with a line of
 * operations, each standing on the ones before it: the own changes as they were sent, and the new
 * one last. A foreign revision is passed along the line, transforming and being transformed; an own
 * revision is the head of the line, and drops out of it.
 */

/* Some 5 ms */
#define WORK_MAX 1000000

/* Where the present is: behind the revisions of the batch under construction */
typedef struct
{
  ChoirDocument *document;
  const GPtrArray *batch;
  guint64 tip;
} History;

typedef struct
{
  const ChoirRevision *own;      /* (nullable): NULL for the new change */
  ChoirTextOperation *operation; /* (owned) */
} Place;

typedef struct
{
  GArray *places; /* (element-type Place) (owned) */
  GPtrArray *own; /* (element-type ChoirRevision) (owned): the sender's, oldest first */
  guint head;
  guint next_own; /* to join the line */
} Line;

static const ChoirRevision *
get_revision (const History *history, guint64 version)
{
  ChoirDocument *document = history->document;

  if (version > document->version)
    {
      const ChoirPending *pending =
        g_ptr_array_index (history->batch, version - document->version - 1);

      return pending->revision;
    }

  return choir_history_get (&document->history, version - choir_document_get_first (document));
}

/* Code points of the text at @version */
static gint64
get_length (const History *history, guint64 version)
{
  ChoirDocument *document = history->document;
  gint64 length = (gint64) choir_rope_get_n_chars (document->text);

  for (guint64 v = document->version + 1; v <= version; v++)
    length += choir_revision_get_delta (get_revision (history, v));

  for (guint64 v = document->version; v > version; v--)
    length -= choir_revision_get_delta (get_revision (history, v));

  return length;
}

/* The sender's revisions behind the version from which the line has to be walked, oldest first.
 * @start: (inout): the base of the new change; where to start. Less than what is in memory if older
 * revisions are needed to tell */
static GPtrArray *
collect_own (const History *history, guint64 owner, guint64 *start)
{
  guint64 first = choir_document_get_first (history->document);
  GPtrArray *own = g_ptr_array_new ();

  for (guint64 v = history->tip; owner != 0 && v > *start && v >= first; v--)
    {
      const ChoirRevision *revision = get_revision (history, v);

      if (revision->owner != owner)
        continue;

      *start = MIN (*start, revision->base);
      g_ptr_array_add (own, (gpointer) revision);
    }

  for (guint i = 0; i < own->len / 2; i++)
    {
      gpointer other = own->pdata[i];

      own->pdata[i] = own->pdata[own->len - 1 - i];
      own->pdata[own->len - 1 - i] = other;
    }

  return own;
}

static ChoirTextOperation *
transform_past (const History *history, const ChoirTextOperation *operation, guint64 base)
{
  ChoirTextOperation *moved = choir_text_operation_copy (operation);

  for (guint64 v = base + 1; v <= history->tip; v++)
    {
      ChoirTextOperation *next = choir_text_operation_transform (
        moved, get_revision (history, v)->operation, CHOIR_TEXT_SIDE_LEFT);

      choir_text_operation_free (moved);
      moved = next;
    }

  return moved;
}

static void
place_clear (gpointer data)
{
  Place *self = data;

  g_clear_pointer (&self->operation, choir_text_operation_free);
}

static void
line_add (Line *self, const ChoirRevision *own, const ChoirTextOperation *operation)
{
  Place place = { own, choir_text_operation_copy (operation) };

  g_array_append_val (self->places, place);
}

/* The own changes that were made on @version, as they were sent */
static void
line_add_own (Line *self, guint64 version)
{
  for (; self->next_own < self->own->len; self->next_own++)
    {
      const ChoirRevision *revision = g_ptr_array_index (self->own, self->next_own);

      if (revision->base > version)
        return;

      line_add (self, revision,
                revision->original != NULL ? revision->original : revision->operation);
    }
}

static void
line_pass (Line *self, const ChoirRevision *revision)
{
  g_autoptr (ChoirTextOperation) foreign = choir_text_operation_copy (revision->operation);

  for (guint i = self->head; i < self->places->len; i++)
    {
      Place *place = &g_array_index (self->places, Place, i);
      ChoirTextOperation *moved =
        choir_text_operation_transform (place->operation, foreign, CHOIR_TEXT_SIDE_LEFT);
      ChoirTextOperation *rest =
        choir_text_operation_transform (foreign, place->operation, CHOIR_TEXT_SIDE_RIGHT);

      choir_text_operation_free (place->operation);
      place->operation = moved;
      choir_text_operation_free (foreign);
      foreign = rest;
    }
}

static void
line_advance (Line *self, const ChoirRevision *revision)
{
  if (self->head < self->places->len &&
      g_array_index (self->places, Place, self->head).own == revision)
    self->head++;
  else
    line_pass (self, revision);
}

/* Code points that those in the line add to the text they stand on */
static gint64
line_get_delta (const Line *self)
{
  gint64 delta = 0;

  for (guint i = self->head; i < self->places->len; i++)
    {
      const ChoirTextOperation *operation = g_array_index (self->places, Place, i).operation;

      delta += (gint64) choir_text_operation_get_inserted_chars (operation) -
               (gint64) choir_text_operation_get_deleted_chars (operation);
    }

  return delta;
}

static void
line_clear (Line *self)
{
  g_clear_pointer (&self->places, g_array_unref);
  g_clear_pointer (&self->own, g_ptr_array_unref);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Line, line_clear)

static ChoirTextOperation *
transform_in_line (const History *history,
                   Line *line,
                   guint64 start,
                   const ChoirTextOperation *operation,
                   guint64 base,
                   GError **error)
{
  for (guint64 v = start; v <= history->tip; v++)
    {
      if (v <= base)
        line_add_own (line, v);

      if (v == base)
        {
          gint64 length = get_length (history, base) + line_get_delta (line);

          if (!choir_text_operation_check (operation, (gsize) MAX (length, 0), error))
            return NULL;
          line_add (line, NULL, operation);
        }

      if (v < history->tip)
        line_advance (line, get_revision (history, v + 1));
    }

  return g_steal_pointer (&g_array_index (line->places, Place, line->places->len - 1).operation);
}

/* Components that are looked at while the change is moved: a change of many parts, made long ago,
 * on which others of many parts have followed, must not hold up everybody. Own revisions just drop
 * out of the line */
static gboolean
check_work (const History *history,
            const Line *line,
            guint64 start,
            const ChoirTextOperation *operation,
            GError **error)
{
  guint n_parts = choir_text_operation_get_n_components (operation);
  guint n_passed = 0;
  guint64 work = 0;

  for (guint64 v = start + 1; v <= history->tip; v++)
    {
      const ChoirRevision *revision = get_revision (history, v);

      if (n_passed < line->own->len && g_ptr_array_index (line->own, n_passed) == revision)
        n_passed++;
      else
        work += (guint64) (choir_text_operation_get_n_components (revision->operation) + n_parts) *
                (line->own->len - n_passed + 1);
    }

  if (work <= WORK_MAX)
    return TRUE;

  g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_CONFLICT,
                       "The change has too many parts for one so far behind");

  return FALSE;
}

/* How far back the change reaches; FALSE: farther than can be */
static gboolean
check_base (ChoirDocument *self, guint64 base, GError **error)
{
  guint64 horizon = self->table->horizon;
  guint64 oldest = self->version > horizon ? self->version - horizon : 0;

  if (base > self->version)
    {
      g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFLICT,
                   "Version %" G_GUINT64_FORMAT " is still to come", base);
      return FALSE;
    }

  if (base < oldest || base + 1 < self->first_stored)
    {
      g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFLICT,
                   "Version %" G_GUINT64_FORMAT " is too old: the changes since are no longer kept",
                   base);
      return FALSE;
    }

  return TRUE;
}

/* Whether nobody else has done anything since: then the sender's text is the present one */
static gboolean
is_alone (const History *history, guint64 base, guint64 owner)
{
  if (base + 1 < choir_document_get_first (history->document))
    return base == history->tip;

  for (guint64 v = base + 1; v <= history->tip; v++)
    if (owner == 0 || get_revision (history, v)->owner != owner)
      return FALSE;

  return TRUE;
}

static ChoirTextOperation *
move (const History *history,
      Line *line,
      guint64 start,
      const ChoirPending *pending,
      guint64 base,
      GError **error)
{
  const ChoirTextOperation *operation = pending->change.operation;
  const ChoirRevision *last = NULL;

  if (line->own->len == 0)
    return choir_text_operation_check (operation, (gsize) get_length (history, base), error)
             ? transform_past (history, operation, base)
             : NULL;

  last = g_ptr_array_index (line->own, line->own->len - 1);
  if (last->base > base)
    {
      g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_CONFLICT,
                           "The version is older than that of the change before");
      return NULL;
    }

  return transform_in_line (history, line, start, operation, base, error);
}

static void
set_revision (ChoirPending *pending, guint64 version, guint64 base, ChoirTextOperation *moved)
{
  const ChoirChange *change = &pending->change;
  gboolean differs = pending->owner != 0 && !choir_text_operation_equal (moved, change->operation);
  ChoirRevisionParams params = {
    .version = version,
    .base = base,
    .wall_us = choir_clock_wall_us (),
    .user_id = change->user_id,
    .session_id = change->session != NULL ? choir_session_get_id (change->session) : NULL,
    .change_id = change->change_id,
  };

  pending->revision = choir_revision_new (
    &params, moved, differs ? choir_text_operation_copy (change->operation) : NULL);
  pending->revision->key_hash = pending->key_hash;
}

/* An own change that has been read back from the store is there as it was committed only, and on
 * what its sender made it is no longer known */
static gboolean
check_own (const Line *line, GError **error)
{
  for (guint i = 0; i < line->own->len; i++)
    {
      const ChoirRevision *revision = g_ptr_array_index (line->own, i);

      if (revision->base != CHOIR_VERSION_UNKNOWN)
        continue;

      g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_CONFLICT,
                           "Changes of this session have been committed long since");
      return FALSE;
    }

  return TRUE;
}

static ChoirPlace
place_among_others (const History *history,
                    ChoirPending *pending,
                    guint64 base,
                    guint64 *needed,
                    GError **error)
{
  g_auto (Line) line = { 0 };
  guint64 start = base;
  ChoirTextOperation *moved;

  line.places = g_array_new (FALSE, FALSE, sizeof (Place));
  g_array_set_clear_func (line.places, place_clear);
  line.own = collect_own (history, pending->owner, &start);
  if (!check_base (history->document, start, error) || !check_own (&line, error))
    return CHOIR_PLACE_FAILED;

  *needed = start;
  if (start + 1 < choir_document_get_first (history->document))
    return CHOIR_PLACE_NEEDS_OLDER;

  if (!check_work (history, &line, start, pending->change.operation, error))
    return CHOIR_PLACE_FAILED;

  moved = move (history, &line, start, pending, base, error);
  if (moved == NULL)
    return CHOIR_PLACE_FAILED;

  set_revision (pending, history->tip + 1, base, moved);

  return CHOIR_PLACE_DONE;
}

/**
 * choir_document_place:
 * @self: a document
 * @batch: (element-type ChoirPending): what comes before, placed already
 * @pending: a change
 * @needed: (out): with %CHOIR_PLACE_NEEDS_OLDER, the version behind which revisions are needed
 * @error: return location for %CHOIR_PLACE_FAILED: %CHOIR_ERROR_CONFLICT, %CHOIR_ERROR_VALIDATION
 *
 * Transforms @pending past everything committed, or about to be, since its base, and gives it its
 * revision.
 */
ChoirPlace
choir_document_place (ChoirDocument *self,
                      const GPtrArray *batch,
                      ChoirPending *pending,
                      guint64 *needed,
                      GError **error)
{
  History history = { self, batch, self->version + batch->len };
  guint64 base = pending->change.version;

  if (base == CHOIR_VERSION_UNKNOWN)
    base = self->version;

  if (!check_base (self, base, error))
    return CHOIR_PLACE_FAILED;

  if (pending->change.exact && base != history.tip)
    {
      g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFLICT,
                   "The document is no longer at version %" G_GUINT64_FORMAT, base);
      return CHOIR_PLACE_FAILED;
    }

  if (!is_alone (&history, base, pending->owner))
    return place_among_others (&history, pending, base, needed, error);

  if (!choir_text_operation_check (pending->change.operation,
                                   (gsize) get_length (&history, history.tip), error))
    return CHOIR_PLACE_FAILED;

  set_revision (pending, history.tip + 1, base,
                choir_text_operation_copy (pending->change.operation));

  return CHOIR_PLACE_DONE;
}
