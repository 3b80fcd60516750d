/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-document-private.h"

#include "choir-error.h"
#include "choir-log.h"
#include "choir-names.h"

/* Reading what was: a text as it used to be, the revisions since, the list of versions */

/* Entries read at once */
#define READ_MAX 5000

typedef struct
{
  guint64 wanted;
  guint64 version; /* of @text */
  ChoirRope *text; /* (owned) (nullable) */
} PastText;

static void
past_text_free (gpointer data)
{
  PastText *self = data;

  g_clear_pointer (&self->text, choir_rope_free);
  g_free (self);
}

static void
fail_internal (GTask *task, ChoirDocument *self, const GError *error)
{
  g_autofree char *text = g_strdup_printf ("the past can't be read: %s", error->message);

  choir_log (CHOIR_LOG_LEVEL_ERROR, text, CHOIR_LOG_CHANNEL, self->name, NULL);
  g_task_return_new_error (task, CHOIR_ERROR, CHOIR_ERROR_UNAVAILABLE,
                           "The past of the document can't be read at the moment");
}

static void
fail_not_kept (GTask *task, guint64 version)
{
  g_task_return_new_error (task, CHOIR_ERROR, CHOIR_ERROR_NOT_FOUND,
                           "Version %" G_GUINT64_FORMAT " is no longer kept", version);
}

/* The table, and with it the store, may go while something is read */
static gboolean
fail_if_gone (ChoirDocument *self, GTask *task)
{
  if (!(self->flags & CHOIR_DOCUMENT_GONE))
    return FALSE;

  g_task_return_new_error (task, CHOIR_ERROR, CHOIR_ERROR_UNAVAILABLE, "The service is stopping");

  return TRUE;
}

static gboolean
apply_entry (PastText *past, const ChoirStoreEntry *entry, GError **error)
{
  g_autoptr (ChoirRevision) revision = choir_revision_new_from_entry (entry, error);

  if (revision == NULL ||
      !choir_text_operation_check (revision->operation, choir_rope_get_n_chars (past->text), error))
    return FALSE;

  choir_text_operation_apply (revision->operation, past->text);
  past->version = entry->offset;

  return TRUE;
}

static void read_on (GTask *task);

static void
take_part (GTask *task, const ChoirStreamPart *part)
{
  PastText *past = g_task_get_task_data (task);
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < part->n_entries && past->version < past->wanted; i++)
    {
      if (part->entries[i].offset != past->version + 1)
        {
          fail_not_kept (task, past->wanted);
          return;
        }
      if (!apply_entry (past, &part->entries[i], &error))
        {
          fail_internal (task, g_task_get_source_object (task), error);
          return;
        }
    }

  if (past->version == past->wanted)
    g_task_return_pointer (task, g_steal_pointer (&past->text), (GDestroyNotify) choir_rope_free);
  else if (part->n_entries > 0 && !part->complete)
    read_on (g_object_ref (task));
  else
    fail_not_kept (task, past->wanted);
}

static void
past_read_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  g_autoptr (GError) error = NULL;
  g_autoptr (ChoirStreamPart) part = choir_store_read_finish (CHOIR_STORE (source), result, &error);

  if (part == NULL)
    fail_internal (task, g_task_get_source_object (task), error);
  else
    take_part (task, part);
}

/* @task: (transfer full) */
static void
read_on (GTask *task)
{
  ChoirDocument *self = g_task_get_source_object (task);
  const PastText *past = g_task_get_task_data (task);

  if (fail_if_gone (self, task))
    {
      g_object_unref (task);
      return;
    }

  choir_store_read_async (self->table->store, self->name, past->version, READ_MAX, FALSE,
                          g_task_get_cancellable (task), past_read_cb, task);
}

static void
past_loaded_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  PastText *past = g_task_get_task_data (task);
  g_autoptr (GError) error = NULL;
  g_autoptr (ChoirStreamPart) part = choir_store_load_finish (CHOIR_STORE (source), result, &error);
  const char *text = "";
  gsize len = 0;

  if (part == NULL)
    {
      fail_internal (task, g_task_get_source_object (task), error);
      return;
    }

  if (part->snapshot != NULL)
    {
      text = g_bytes_get_data (part->snapshot->data, &len);
      past->version = part->snapshot->offset;
    }
  past->text = choir_rope_new_from_text (text != NULL ? text : "", len);
  take_part (task, part);
}

static gboolean
is_to_come (ChoirDocument *self, guint64 version, GTask *task)
{
  if (version <= self->version)
    return FALSE;

  g_task_return_new_error (task, CHOIR_ERROR, CHOIR_ERROR_VALIDATION,
                           "Version %" G_GUINT64_FORMAT " is still to come", version);

  return TRUE;
}

static ChoirRope *
copy_text (const ChoirRope *text)
{
  gsize len;
  g_autofree char *copy = choir_rope_dup_text (text, &len);

  return choir_rope_new_from_text (copy, len);
}

/**
 * choir_document_read_at_async:
 * @self: a document
 * @version: which
 * @cancellable: (nullable)
 * @callback: called with the text
 * @user_data: for @callback
 *
 * Reads the text as it was: %CHOIR_ERROR_VALIDATION for a version to come, %CHOIR_ERROR_NOT_FOUND
 * for one that is no longer kept, %CHOIR_ERROR_UNAVAILABLE.
 */
void
choir_document_read_at_async (ChoirDocument *self,
                              guint64 version,
                              GCancellable *cancellable,
                              GAsyncReadyCallback callback,
                              gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (self, cancellable, callback, user_data);
  PastText *past = g_new0 (PastText, 1);

  g_task_set_source_tag (task, choir_document_read_at_async);
  g_task_set_task_data (task, past, past_text_free);
  past->wanted = version;

  if (is_to_come (self, version, task))
    return;

  if (version == self->version)
    {
      g_task_return_pointer (task, copy_text (self->text), (GDestroyNotify) choir_rope_free);
      return;
    }

  choir_store_load_async (self->table->store, self->name, version, cancellable, past_loaded_cb,
                          g_steal_pointer (&task));
}

ChoirRope *
choir_document_read_at_finish (ChoirDocument *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, self), NULL);

  return g_task_propagate_pointer (G_TASK (result), error);
}

typedef struct
{
  guint64 after;
  guint limit;
  GPtrArray *revisions; /* (element-type ChoirRevision) (owned) */
} Since;

static void
since_free (gpointer data)
{
  Since *self = data;

  g_clear_pointer (&self->revisions, g_ptr_array_unref);
  g_free (self);
}

static void
since_return (GTask *task)
{
  Since *since = g_task_get_task_data (task);

  g_task_return_pointer (task, g_steal_pointer (&since->revisions),
                         (GDestroyNotify) g_ptr_array_unref);
}

static void read_since (GTask *task);

static void
since_read_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  Since *since = g_task_get_task_data (task);
  g_autoptr (GError) error = NULL;
  g_autoptr (ChoirStreamPart) part = choir_store_read_finish (CHOIR_STORE (source), result, &error);

  if (part == NULL)
    {
      fail_internal (task, g_task_get_source_object (task), error);
      return;
    }

  for (guint i = 0; error == NULL && i < part->n_entries; i++)
    {
      ChoirRevision *revision;

      if (part->entries[i].offset != since->after + 1)
        {
          fail_not_kept (task, since->after);
          return;
        }

      revision = choir_revision_new_from_entry (&part->entries[i], &error);
      if (revision != NULL)
        g_ptr_array_add (since->revisions, revision);
      since->after = part->entries[i].offset;
    }

  if (error != NULL)
    fail_internal (task, g_task_get_source_object (task), error);
  else if (part->n_entries == 0)
    fail_not_kept (task, since->after);
  else
    read_since (g_steal_pointer (&task));
}

/* @task: (transfer full). From memory as soon as it has what comes next, up to then from the store
 */
static void
read_since (GTask *task)
{
  g_autoptr (GTask) owned = task;
  ChoirDocument *self = g_task_get_source_object (task);
  Since *since = g_task_get_task_data (task);
  guint64 first = choir_document_get_first (self);
  guint wanted;

  if (fail_if_gone (self, task))
    return;

  while (since->revisions->len < since->limit && since->after + 1 >= first &&
         since->after < self->version)
    {
      g_ptr_array_add (since->revisions, choir_revision_ref (choir_history_get (
                                           &self->history, since->after + 1 - first)));
      since->after++;
    }

  if (since->revisions->len == since->limit || since->after == self->version)
    {
      since_return (task);
      return;
    }

  wanted = MIN (since->limit - since->revisions->len, READ_MAX);
  choir_store_read_async (self->table->store, self->name, since->after,
                          MIN (first - 1 - since->after, wanted), FALSE,
                          g_task_get_cancellable (task), since_read_cb, g_steal_pointer (&owned));
}

/**
 * choir_document_read_since_async:
 * @self: a document
 * @version: the last one known
 * @limit: revisions at most
 * @cancellable: (nullable)
 * @callback: called with them, in order
 * @user_data: for @callback
 */
void
choir_document_read_since_async (ChoirDocument *self,
                                 guint64 version,
                                 guint limit,
                                 GCancellable *cancellable,
                                 GAsyncReadyCallback callback,
                                 gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (self, cancellable, callback, user_data);
  Since *since = g_new0 (Since, 1);

  g_task_set_source_tag (task, choir_document_read_since_async);
  g_task_set_task_data (task, since, since_free);
  since->after = version;
  since->limit = limit;
  since->revisions = g_ptr_array_new_with_free_func ((GDestroyNotify) choir_revision_unref);

  if (is_to_come (self, version, task))
    return;

  if (version + 1 < self->first_stored)
    fail_not_kept (task, version);
  else
    read_since (g_steal_pointer (&task));
}

GPtrArray *
choir_document_read_since_finish (ChoirDocument *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, self), NULL);

  return g_task_propagate_pointer (G_TASK (result), error);
}

static void
listed_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  g_autoptr (GError) error = NULL;
  GPtrArray *versions = choir_store_list_snapshots_finish (CHOIR_STORE (source), result, &error);

  if (versions == NULL)
    fail_internal (task, g_task_get_source_object (task), error);
  else
    g_task_return_pointer (task, versions, (GDestroyNotify) g_ptr_array_unref);
}

/**
 * choir_document_list_versions_async:
 * @self: a document
 * @before: only versions before this one; 0: all
 * @limit: versions at most
 * @cancellable: (nullable)
 * @callback: called with them, newest first
 * @user_data: for @callback
 */
void
choir_document_list_versions_async (ChoirDocument *self,
                                    guint64 before,
                                    guint limit,
                                    GCancellable *cancellable,
                                    GAsyncReadyCallback callback,
                                    gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (self, cancellable, callback, user_data);

  g_task_set_source_tag (task, choir_document_list_versions_async);
  choir_store_list_snapshots_async (self->table->store, self->name, before, limit, cancellable,
                                    listed_cb, g_steal_pointer (&task));
}

GPtrArray *
choir_document_list_versions_finish (ChoirDocument *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, self), NULL);

  return g_task_propagate_pointer (G_TASK (result), error);
}

static void
found_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  g_autoptr (GError) error = NULL;
  guint64 version;

  if (!choir_store_find_key_finish (CHOIR_STORE (source), result, &version, &error))
    fail_internal (task, g_task_get_source_object (task), error);
  else
    g_task_return_pointer (task, g_memdup2 (&version, sizeof version), g_free);
}

/**
 * choir_document_find_change_async:
 * @self: a document
 * @sender: whose change
 * @change_id: the id it was sent with
 * @cancellable: (nullable)
 * @callback: called with the version it made
 * @user_data: for @callback
 *
 * For a sender whose change may have been committed although it got no answer.
 */
void
choir_document_find_change_async (ChoirDocument *self,
                                  const char *sender,
                                  const char *change_id,
                                  GCancellable *cancellable,
                                  GAsyncReadyCallback callback,
                                  gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (self, cancellable, callback, user_data);
  g_autofree char *key = choir_document_make_key (sender, change_id);

  g_task_set_source_tag (task, choir_document_find_change_async);
  if (fail_if_gone (self, task))
    return;

  choir_store_find_key_async (self->table->store, self->name, key, cancellable, found_cb,
                              g_steal_pointer (&task));
}

/**
 * choir_document_find_change_finish:
 * @self: a document
 * @result: what the callback got
 * @version: (out): 0 if there is no such change, or none any more
 * @error: return location: %CHOIR_ERROR_UNAVAILABLE
 *
 * Returns: whether @version is set
 */
gboolean
choir_document_find_change_finish (ChoirDocument *self,
                                   GAsyncResult *result,
                                   guint64 *version,
                                   GError **error)
{
  g_autofree guint64 *found = NULL;

  g_return_val_if_fail (g_task_is_valid (result, self), FALSE);

  found = g_task_propagate_pointer (G_TASK (result), error);
  if (found != NULL)
    *version = *found;

  return found != NULL;
}
