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
 * (ottypes; Ellis and Gibbs 1989 for the idea). Its sender's own changes are different: whoever
 * sends a second change before the first is acknowledged made it on a text that holds the first.
 * For those there is the bridge.
 */

/* Components looked at for one change; some 5 ms */
#define WORK_MAX 1000000

/* Where the present is: behind the revisions of the batch under construction */
typedef struct
{
  ChoirDocument *document;
  const GPtrArray *batch;
  guint64 tip;
} History;

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

static gboolean
check_exact (const History *history, const ChoirPending *pending, guint64 base, GError **error)
{
  if (!pending->change.exact || base == history->tip)
    return TRUE;

  g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFLICT,
               "The document is no longer at version %" G_GUINT64_FORMAT, base);

  return FALSE;
}

/* A change of many parts, made long ago, on which others of many parts have followed, must not hold
 * up everybody */
static gboolean
check_work (guint64 work, GError **error)
{
  if (work <= WORK_MAX)
    return TRUE;

  g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_CONFLICT,
                       "The change has too many parts for one so far behind");

  return FALSE;
}

static gboolean
check_length (const ChoirTextOperation *operation, gint64 length, GError **error)
{
  return choir_text_operation_check (operation, (gsize) MAX (length, 0), error);
}

static guint64
get_work (const History *history, const ChoirTextOperation *operation, guint64 base)
{
  guint64 work = 0;

  for (guint64 v = base + 1; v <= history->tip; v++)
    work += choir_text_operation_get_n_components (get_revision (history, v)->operation) +
            choir_text_operation_get_n_components (operation);

  return work;
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

/* @base: %CHOIR_VERSION_UNKNOWN if it was moved over a bridge and can't be moved again without */
static void
set_revision (ChoirPending *pending, guint64 version, guint64 base, ChoirTextOperation *moved)
{
  const ChoirChange *change = &pending->change;
  gboolean is_kept = pending->owner != 0 && base != CHOIR_VERSION_UNKNOWN &&
                     !choir_text_operation_equal (moved, change->operation);
  ChoirRevisionParams params = {
    .version = version,
    .base = base,
    .wall_us = choir_clock_wall_us (),
    .user_id = change->user_id,
    .session_id = change->session != NULL ? choir_session_get_id (change->session) : NULL,
    .change_id = change->change_id,
  };

  pending->revision = choir_revision_new (
    &params, moved, is_kept ? choir_text_operation_copy (change->operation) : NULL);
  pending->revision->key_hash = pending->key_hash;
}

/* The sender knows all it has sent itself */
static ChoirPlace
place_plainly (const History *history,
               ChoirPending *pending,
               guint64 base,
               guint64 *needed,
               GError **error)
{
  const ChoirTextOperation *operation = pending->change.operation;

  *needed = base;
  if (base < history->tip && base + 1 < choir_document_get_first (history->document))
    return CHOIR_PLACE_NEEDS_OLDER;

  if (!check_length (operation, get_length (history, base), error) ||
      !check_work (get_work (history, operation, base), error))
    return CHOIR_PLACE_FAILED;

  set_revision (pending, history->tip + 1, base, transform_past (history, operation, base));

  return CHOIR_PLACE_DONE;
}

/* (nullable): the sender's newest revision behind @base. @is_alone: nobody else has any there */
static const ChoirRevision *
find_last_own (const History *history, guint64 base, guint64 owner, gboolean *is_alone)
{
  guint64 first = choir_document_get_first (history->document);
  const ChoirRevision *last = NULL;

  *is_alone = base + 1 >= first;

  for (guint64 v = history->tip; owner != 0 && v > base && v >= first; v--)
    {
      const ChoirRevision *revision = get_revision (history, v);

      if (revision->owner != owner)
        *is_alone = FALSE;
      else if (last == NULL)
        last = revision;

      if (last != NULL && !*is_alone)
        break;
    }

  return last;
}

/* Up to version @end; the sender's own have crossed already */
static void
extend (const History *history, ChoirBridge *bridge, guint64 owner, guint64 end)
{
  while (bridge->tip < end)
    {
      const ChoirRevision *revision = get_revision (history, bridge->tip + 1);

      choir_bridge_extend (bridge, revision->owner != owner ? revision : NULL);
    }
}

/* For the first change whose sender is ahead: the one before it was not, and begins the bridge.
 * (transfer full) */
static ChoirBridge *
build (const History *history, const ChoirRevision *last, guint64 owner)
{
  ChoirBridge *bridge = choir_bridge_new (last->base);
  const ChoirTextOperation *sent = last->original != NULL ? last->original : last->operation;

  extend (history, bridge, owner, last->version - 1);
  choir_text_operation_free (choir_bridge_cross (bridge, sent));
  choir_bridge_extend (bridge, NULL);
  bridge->last = last->version;

  return bridge;
}

static ChoirPlace
ensure_bridge (const History *history,
               const ChoirRevision *last,
               const ChoirPending *pending,
               guint64 base,
               guint64 *needed,
               ChoirBridge **out,
               GError **error)
{
  ChoirBridges *bridges = &history->document->bridges;
  guint64 first = choir_document_get_first (history->document);

  *out = choir_bridges_find (bridges, pending->owner);
  if (*out == NULL && last->base != CHOIR_VERSION_UNKNOWN && last->base <= base)
    {
      *needed = last->base;
      if (last->base + 1 < first)
        return CHOIR_PLACE_NEEDS_OLDER;
      if (!check_work (get_work (history, pending->change.operation, last->base), error))
        return CHOIR_PLACE_FAILED;

      *out = build (history, last, pending->owner);
      choir_bridges_add (bridges, pending->owner, *out);
    }

  if (*out == NULL || base < (*out)->base)
    {
      g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_CONFLICT,
                           "The version is older than that of changes sent before");
      return CHOIR_PLACE_FAILED;
    }

  *needed = (*out)->tip;

  return (*out)->tip + 1 < first && (*out)->tip < history->tip ? CHOIR_PLACE_NEEDS_OLDER
                                                               : CHOIR_PLACE_DONE;
}

/* The sender is ahead of what it knows */
static ChoirPlace
place_over_bridge (const History *history,
                   const ChoirRevision *last,
                   ChoirPending *pending,
                   guint64 base,
                   guint64 *needed,
                   GError **error)
{
  const ChoirTextOperation *operation = pending->change.operation;
  gint64 length = get_length (history, history->tip);
  g_autoptr (ChoirTextOperation) moved = NULL;
  ChoirBridge *bridge;
  ChoirPlace place;

  place = ensure_bridge (history, last, pending, base, needed, &bridge, error);
  if (place != CHOIR_PLACE_DONE)
    return place;

  choir_bridge_touch (bridge);
  choir_bridge_shorten (bridge, base);
  extend (history, bridge, pending->owner, history->tip);
  if (!check_length (operation, length - choir_bridge_get_delta (bridge), error) ||
      !check_work (choir_bridge_get_work (bridge, operation), error))
    return CHOIR_PLACE_FAILED;

  moved = choir_bridge_cross (bridge, operation);
  choir_bridge_extend (bridge, NULL);
  bridge->last = bridge->tip;

  /* one who sent another change again than the first time may have crossed the wrong way */
  if (!check_length (moved, length, error))
    {
      choir_bridges_remove (&history->document->bridges, pending->owner);
      return CHOIR_PLACE_FAILED;
    }

  set_revision (pending, history->tip + 1, CHOIR_VERSION_UNKNOWN, g_steal_pointer (&moved));

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
  const ChoirBridge *bridge = choir_bridges_find (&self->bridges, pending->owner);
  const ChoirRevision *last;
  gboolean is_alone;

  if (base == CHOIR_VERSION_UNKNOWN)
    base = self->version;

  if (!check_base (self, base, error) || !check_exact (&history, pending, base, error))
    return CHOIR_PLACE_FAILED;

  last = find_last_own (&history, base, pending->owner, &is_alone);
  if (bridge != NULL ? bridge->last > base : last != NULL && !is_alone)
    return place_over_bridge (&history, last, pending, base, needed, error);

  if (bridge != NULL)
    choir_bridges_remove (&self->bridges, pending->owner);

  if (last == NULL)
    return place_plainly (&history, pending, base, needed, error);

  /* its sender has done all there is to know about */
  if (!check_length (pending->change.operation, get_length (&history, history.tip), error))
    return CHOIR_PLACE_FAILED;

  set_revision (pending, history.tip + 1, base,
                choir_text_operation_copy (pending->change.operation));

  return CHOIR_PLACE_DONE;
}

/**
 * choir_document_adopt:
 * @self: a document without a batch
 * @pending: a change that was committed before, by another session of its sender
 * @version: the version it made
 *
 * The text that the sender's next changes were made on holds this one.
 */
void
choir_document_adopt (ChoirDocument *self, const ChoirPending *pending, guint64 version)
{
  g_autoptr (GPtrArray) nothing = g_ptr_array_new ();
  History history = { self, nothing, self->version };
  guint64 base = pending->change.version;
  ChoirBridge *bridge = choir_bridges_find (&self->bridges, pending->owner);

  if (pending->owner == 0 || base == CHOIR_VERSION_UNKNOWN || base >= version ||
      version > self->version)
    return;

  if (bridge == NULL)
    {
      bridge = choir_bridge_new (base);
      choir_bridges_add (&self->bridges, pending->owner, bridge);
    }
  choir_bridge_settle (bridge);

  if (bridge->tip < version && bridge->tip + 1 >= choir_document_get_first (self))
    {
      extend (&history, bridge, pending->owner, version - 1);
      choir_text_operation_free (choir_bridge_cross (bridge, pending->change.operation));
      choir_bridge_extend (bridge, NULL);
    }
  else
    choir_bridge_reset (bridge, version);

  bridge->last = version;
}
