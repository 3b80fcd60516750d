/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-document-private.h"

#include "choir-clock.h"
#include "choir-error.h"

/* Revisions that are in the store and not in memory: newer ones, that another node has committed,
 * and older ones, that a client refers to which comes late */

/* Older revisions read for a late client stay this long, for those who come late as well */
#define WINDOW_US (10 * G_USEC_PER_SEC)
#define FETCH_MAX 2000

/* A revision that came from the store and not from here */
gboolean
choir_document_apply_entry (ChoirDocument *self,
                            const ChoirStoreEntry *entry,
                            ChoirRevision **out,
                            GError **error)
{
  g_autoptr (ChoirRevision) revision = choir_revision_new_from_entry (entry, error);

  if (revision == NULL)
    return FALSE;

  if (revision->version != self->version + 1 ||
      !choir_text_operation_check (revision->operation, choir_rope_get_n_chars (self->text), NULL))
    {
      g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_INTERNAL,
                   "entry %" G_GUINT64_FORMAT " of the log does not follow the text",
                   entry->offset);
      return FALSE;
    }

  choir_text_operation_apply (revision->operation, self->text);
  self->version = revision->version;
  self->changed_us = revision->wall_us;
  choir_document_keep (self, choir_revision_ref (revision));
  if (out != NULL)
    *out = revision;

  return TRUE;
}

static gboolean
apply_newer (ChoirDocument *self, const ChoirStreamPart *part, GError **error)
{
  for (guint i = 0; i < part->n_entries; i++)
    {
      ChoirCommitted committed = { 0 };
      ChoirRevision *revision;

      if (!choir_document_apply_entry (self, &part->entries[i], &revision, error))
        return FALSE;

      committed.revision = revision;
      choir_document_deliver (self, &committed, 1);
    }

  return TRUE;
}

static void
fetched_newer_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (ChoirDocument) self = user_data;
  g_autoptr (GError) error = NULL;
  g_autoptr (ChoirStreamPart) part = NULL;

  self->flags &= ~CHOIR_DOCUMENT_FETCHING;
  part = choir_store_read_finish (CHOIR_STORE (source), result, &error);
  if (self->flags & CHOIR_DOCUMENT_GONE)
    return;

  if (part == NULL || !apply_newer (self, part, &error))
    {
      g_autoptr (GError) unavailable = choir_document_new_unavailable ();

      choir_document_log_failure (self, "document not brought up to date", error);
      choir_document_refuse_queue (self, unavailable);
    }
  else if (!part->complete)
    choir_document_fetch_newer (self);
  else if (self->queue.length > 0)
    choir_document_schedule (self, self->due_us);

  choir_document_settle (self);
}

void
choir_document_fetch_newer (ChoirDocument *self)
{
  self->flags |= CHOIR_DOCUMENT_FETCHING;
  choir_store_read_async (self->table->store, self->name, self->version, FETCH_MAX, FALSE, NULL,
                          fetched_newer_cb, g_object_ref (self));
}

/* FALSE if what was read does not end right before what is in memory */
static gboolean
prepend_older (ChoirDocument *self, const ChoirStreamPart *part, GError **error)
{
  g_autoptr (GPtrArray) revisions =
    g_ptr_array_new_with_free_func ((GDestroyNotify) choir_revision_unref);
  guint64 first = choir_document_get_first (self);
  gsize before = self->history.n_bytes;

  /* newest first, so that what is in memory grows without a gap */
  for (guint i = part->n_entries; i > 0; i--)
    {
      ChoirRevision *revision = choir_revision_new_from_entry (&part->entries[i - 1], error);

      if (revision == NULL)
        return FALSE;
      g_ptr_array_add (revisions, revision);
    }

  if (revisions->len == 0 ||
      ((ChoirRevision *) g_ptr_array_index (revisions, revisions->len - 1))->version != first - 1)
    {
      g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_CONFLICT,
                           "The changes since are no longer kept");
      return FALSE;
    }

  g_ptr_array_set_free_func (revisions, NULL);
  choir_history_prepend (&self->history, (ChoirRevision **) revisions->pdata, revisions->len);
  self->table->history_bytes += self->history.n_bytes - before;
  self->window_until_us = choir_clock_monotonic_us () + WINDOW_US;

  return TRUE;
}

static void
fetched_older_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (ChoirDocument) self = user_data;
  g_autoptr (GError) error = NULL;
  g_autoptr (ChoirStreamPart) part = NULL;
  ChoirAnswers answers = { 0 };

  self->flags &= ~CHOIR_DOCUMENT_FETCHING;
  part = choir_store_read_finish (CHOIR_STORE (source), result, &error);
  if (self->flags & CHOIR_DOCUMENT_GONE)
    return;

  if ((part == NULL || !prepend_older (self, part, &error)) && self->queue.length > 0)
    {
      ChoirPending *pending = g_queue_pop_head (&self->queue);

      self->queue_bytes -= pending->n_bytes;
      if (!g_error_matches (error, CHOIR_ERROR, CHOIR_ERROR_CONFLICT))
        {
          choir_document_log_failure (self, "older changes not read", error);
          g_clear_error (&error);
          error = choir_document_new_unavailable ();
        }
      choir_answers_refuse_all (&answers, self, pending, g_steal_pointer (&error));
    }

  if (self->queue.length > 0)
    choir_document_schedule (self, self->due_us);

  choir_answers_give (&answers, self);
  choir_document_settle (self);
}

/* Backwards, in pieces, until revision @after + 1 is there */
void
choir_document_fetch_older (ChoirDocument *self, guint64 after)
{
  guint64 first = choir_document_get_first (self);

  self->flags |= CHOIR_DOCUMENT_FETCHING;
  choir_store_read_async (self->table->store, self->name, first, MIN (first - 1 - after, FETCH_MAX),
                          TRUE, NULL, fetched_older_cb, g_object_ref (self));
}
