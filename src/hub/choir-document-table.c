/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-document-private.h"

#include "choir-container.h"
#include "choir-error.h"
#include "choir-log.h"
#include "choir-names.h"
#include "choir-observer.h"

#include <malloc.h>

/* Parts of one operation: what a client would hardly make by itself, and a paste does not need */
#define MAX_COMPONENTS 5000

/* So much has to leave memory for it to be worth the time to look for what has become free */
#define TRIM_BYTES (4 * 1024 * 1024)
#define TRIM_US (5 * G_USEC_PER_SEC)

/* Ready when the first of the documents in @due has something to do. By asking, not by a ready
 * time: GLib wakes the loop whenever one is set */
typedef struct
{
  GSource source;
  ChoirDocumentTable *table; /* borrowed */
} PumpSource;

static gboolean
pump_prepare (GSource *source, int *timeout_ms)
{
  const ChoirDocumentTable *self = ((PumpSource *) source)->table;
  gint64 wait_us;

  *timeout_ms = -1;
  if (self->due->len == 0)
    return FALSE;

  wait_us = self->next_due_us - g_get_monotonic_time ();
  if (wait_us <= 0)
    return TRUE;

  *timeout_ms = (int) ((wait_us + 999) / 1000);

  return FALSE;
}

static gboolean
pump_check (GSource *source)
{
  const ChoirDocumentTable *self = ((PumpSource *) source)->table;

  return self->due->len > 0 && self->next_due_us <= g_get_monotonic_time ();
}

static gboolean
pump_dispatch (GSource *source, GSourceFunc callback, gpointer user_data)
{
  ChoirDocumentTable *self = ((PumpSource *) source)->table;
  g_autoptr (GPtrArray) due = g_steal_pointer (&self->due);
  gint64 now_us = g_get_monotonic_time ();

  self->due = g_ptr_array_new_with_free_func (g_object_unref);
  self->next_due_us = G_MAXINT64;

  for (guint i = 0; i < due->len; i++)
    {
      ChoirDocument *document = g_ptr_array_index (due, i);

      document->flags &= ~CHOIR_DOCUMENT_DUE;
      if (document->due_us > now_us)
        choir_document_schedule (document, document->due_us);
      else
        choir_document_pump (document);
    }

  return G_SOURCE_CONTINUE;
}

static GSourceFuncs pump_funcs = { pump_prepare, pump_check, pump_dispatch, NULL };

static void
writable_cb (ChoirStore *store, GParamSpec *pspec, gpointer user_data)
{
  ChoirDocumentTable *self = user_data;

  *choir_hub_get_stats (self->hub)->store_writable = choir_store_is_writable (store);
  if (!choir_store_is_writable (store))
    choir_hub_report_overload (self->hub, "store", NULL, NULL);
}

/**
 * choir_document_table_new:
 * @hub: borrowed; must outlive the table
 * @store: where documents are kept
 *
 * Returns: (transfer full): a table without documents
 */
ChoirDocumentTable *
choir_document_table_new (ChoirHub *hub, ChoirStore *store)
{
  ChoirDocumentTable *self = g_new0 (ChoirDocumentTable, 1);

  self->hub = hub;
  self->store = g_object_ref (store);
  self->documents = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, g_object_unref);
  self->due = g_ptr_array_new_with_free_func (g_object_unref);
  self->next_due_us = G_MAXINT64;
  self->source = g_source_new (&pump_funcs, sizeof (PumpSource));
  ((PumpSource *) self->source)->table = self;
  g_source_set_static_name (self->source, "documents");
  g_source_set_can_recurse (self->source, TRUE);
  g_source_attach (self->source, NULL);
  g_signal_connect (store, "notify::writable", G_CALLBACK (writable_cb), self);
  writable_cb (store, NULL, self);

  return self;
}

/* What the store still reports finds documents that nobody has; and nobody waits for one */
static void
abandon (ChoirDocumentTable *self)
{
  GHashTableIter iter;
  gpointer value;

  g_hash_table_iter_init (&iter, self->documents);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      ChoirDocument *document = value;
      g_autoptr (GPtrArray) waiters = g_steal_pointer (&document->waiters);

      document->flags |= CHOIR_DOCUMENT_GONE;
      for (guint i = 0; waiters != NULL && i < waiters->len; i++)
        g_task_return_new_error (g_ptr_array_index (waiters, i), CHOIR_ERROR,
                                 CHOIR_ERROR_UNAVAILABLE, "The service is stopping");
    }
}

void
choir_document_table_free (ChoirDocumentTable *self)
{
  abandon (self);
  choir_timer_disarm (&self->trim_timer);
  g_signal_handlers_disconnect_by_func (self->store, writable_cb, self);
  g_source_destroy (self->source);
  g_source_unref (self->source);
  g_ptr_array_unref (self->due);
  g_hash_table_unref (self->documents);
  g_object_unref (self->store);
  g_free (self);
}

/**
 * choir_document_table_configure:
 * @self: a table
 * @config: read anew
 */
void
choir_document_table_configure (ChoirDocumentTable *self, ChoirConfig *config)
{
  self->max_size = choir_config_get_size (config, "document", "max-size");
  self->horizon = choir_config_get_uint (config, "document", "horizon");
  self->snapshot_every = choir_config_get_uint (config, "document", "snapshot-every");
  self->max_open = choir_config_get_uint (config, "document", "max-open");
  self->limits = (ChoirTextLimits){ MAX_COMPONENTS, self->max_size };
}

guint
choir_document_table_get_n_open (ChoirDocumentTable *self)
{
  return g_hash_table_size (self->documents);
}

/**
 * choir_document_table_find:
 * @self: a table
 * @id: of a document, without `document:`
 *
 * Returns: (nullable) (transfer none): the document, if it is in memory and loaded
 */
ChoirDocument *
choir_document_table_find (ChoirDocumentTable *self, const char *id)
{
  ChoirDocument *document = g_hash_table_lookup (self->documents, id);

  return document != NULL && !(document->flags & CHOIR_DOCUMENT_LOADING) ? document : NULL;
}

/**
 * choir_document_table_visit:
 * @self: a table
 * @visit: called for each document that is in memory and loaded, in no order
 * @user_data: for @visit
 */
void
choir_document_table_visit (ChoirDocumentTable *self,
                            ChoirDocumentVisitor visit,
                            gpointer user_data)
{
  GHashTableIter iter;
  gpointer value;

  g_hash_table_iter_init (&iter, self->documents);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    if (!(((ChoirDocument *) value)->flags & CHOIR_DOCUMENT_LOADING))
      visit (value, user_data);
}

const ChoirTextLimits *
choir_document_table_get_limits (ChoirDocumentTable *self)
{
  return &self->limits;
}

gsize
choir_document_table_get_max_size (ChoirDocumentTable *self)
{
  return self->max_size;
}

ChoirStore *
choir_document_table_get_store (ChoirDocumentTable *self)
{
  return self->store;
}

gboolean
choir_document_table_is_writable (ChoirDocumentTable *self)
{
  return choir_store_is_writable (self->store);
}

/* Has the document pumped at @due_us, or right after this turn if that is over. This is pacing, not
 * a deadline: it goes by the real clock, as its GSource does */
void
choir_document_schedule (ChoirDocument *self, gint64 due_us)
{
  ChoirDocumentTable *table = self->table;

  if (!(self->flags & CHOIR_DOCUMENT_DUE))
    {
      self->flags |= CHOIR_DOCUMENT_DUE;
      g_ptr_array_add (table->due, g_object_ref (self));
    }

  table->next_due_us = MIN (table->next_due_us, due_us);
}

static gboolean
is_busy (const ChoirDocument *self)
{
  const guint8 busy = CHOIR_DOCUMENT_LOADING | CHOIR_DOCUMENT_STORING | CHOIR_DOCUMENT_FETCHING |
                      CHOIR_DOCUMENT_SNAPSHOTTING | CHOIR_DOCUMENT_SAVING;

  return (self->flags & busy) || self->queue.length > 0;
}

/* What many small blocks have become free in between others goes back to the system only when asked
 */
static void
trim_cb (ChoirTimer *timer)
{
  ChoirDocumentTable *self = CHOIR_CONTAINER_OF (timer, ChoirDocumentTable, trim_timer);

  self->forgotten_bytes = 0;
#ifdef __GLIBC__
  malloc_trim (0);
#endif
}

static void
note_forgotten (ChoirDocument *self)
{
  ChoirDocumentTable *table = self->table;

  if (self->text != NULL)
    table->forgotten_bytes += choir_document_get_memory (self);

  if (table->forgotten_bytes >= TRIM_BYTES && !choir_timer_is_armed (&table->trim_timer))
    choir_timer_wheel_arm (choir_hub_get_wheel (table->hub), &table->trim_timer, TRIM_US, trim_cb);
}

static void
check_closed (ChoirDocumentTable *self)
{
  if (self->close_task == NULL || g_hash_table_size (self->documents) > 0)
    return;

  g_task_return_boolean (self->close_task, TRUE);
  g_clear_object (&self->close_task);
}

static void
forget (ChoirDocument *self)
{
  ChoirDocumentTable *table = self->table;

  self->flags |= CHOIR_DOCUMENT_GONE;
  note_forgotten (self);
  table->history_bytes -= self->history.n_bytes;
  *choir_hub_get_stats (table->hub)->documents_open -= 1;
  g_hash_table_remove (table->documents, choir_document_get_id (self));
  check_closed (table);
}

/* Something has ended: whether the document is still needed here. May drop the last reference but
 * the caller's */
void
choir_document_settle (ChoirDocument *self)
{
  if ((self->flags & CHOIR_DOCUMENT_GONE) || self->holds > 0 || is_busy (self))
    return;

  if (self->version > self->snapshot_version && self->version > self->snapshot_tried &&
      choir_store_is_writable (self->table->store))
    {
      choir_document_take_snapshot (self);
      return;
    }

  forget (self);
}

/**
 * choir_document_table_try_open:
 * @self: a table
 * @id: of a document
 *
 * Returns: (nullable) (transfer none): the document with a hold on it, if it is in memory; its
 * holder calls choir_document_release()
 */
ChoirDocument *
choir_document_table_try_open (ChoirDocumentTable *self, const char *id)
{
  ChoirDocument *document = choir_document_table_find (self, id);

  if (document == NULL || self->closing)
    return NULL;

  document->holds++;

  return document;
}

static gboolean
check_open (ChoirDocumentTable *self, const char *id, GError **error)
{
  g_autofree char *name = g_strconcat ("document:", id, NULL);

  if (*id == '\0' || !choir_name_is_channel (name, strlen (name)))
    {
      g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION,
                   "A document's id is 1-%d printable ASCII characters without spaces",
                   CHOIR_CHANNEL_NAME_MAX - CHOIR_DOCUMENT_PREFIX_LEN);
      return FALSE;
    }

  if (self->closing)
    {
      g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_UNAVAILABLE, "The service is stopping");
      return FALSE;
    }

  if (g_hash_table_size (self->documents) >= self->max_open &&
      !g_hash_table_contains (self->documents, id))
    {
      g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_UNAVAILABLE,
                           "Too many documents are open at the moment");
      return FALSE;
    }

  return TRUE;
}

/**
 * choir_document_table_open_async:
 * @self: a table
 * @id: of a document
 * @cancellable: (nullable)
 * @callback: called with the document, never inside this call
 * @user_data: for @callback
 *
 * Reads the newest snapshot and what came after it. %CHOIR_ERROR_VALIDATION for an impossible id,
 * %CHOIR_ERROR_UNAVAILABLE when too many are open or the store fails.
 */
void
choir_document_table_open_async (ChoirDocumentTable *self,
                                 const char *id,
                                 GCancellable *cancellable,
                                 GAsyncReadyCallback callback,
                                 gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (NULL, cancellable, callback, user_data);
  GError *error = NULL;
  ChoirDocument *document;

  g_task_set_source_tag (task, choir_document_table_open_async);
  /* whoever gets a held document has to give it back, and one who cancelled gets none */
  g_task_set_check_cancellable (task, FALSE);

  if (!check_open (self, id, &error))
    {
      g_task_return_error (task, error);
      return;
    }

  document = choir_document_table_try_open (self, id);
  if (document != NULL)
    {
      g_task_return_pointer (task, g_object_ref (document), g_object_unref);
      return;
    }

  document = g_hash_table_lookup (self->documents, id);
  if (document == NULL)
    {
      document = choir_document_new (self, id);
      document->waiters = g_ptr_array_new_with_free_func (g_object_unref);
      g_hash_table_insert (self->documents, (char *) choir_document_get_id (document), document);
      *choir_hub_get_stats (self->hub)->documents_open += 1;
      choir_document_load (document);
    }

  g_ptr_array_add (document->waiters, g_steal_pointer (&task));
}

/**
 * choir_document_table_open_finish:
 * @self: a table
 * @result: what the callback got
 * @error: return location
 *
 * Returns: (nullable) (transfer none): the document, held
 */
ChoirDocument *
choir_document_table_open_finish (ChoirDocumentTable *self, GAsyncResult *result, GError **error)
{
  g_autoptr (ChoirDocument) document = NULL;

  g_return_val_if_fail (g_async_result_is_tagged (result, choir_document_table_open_async), NULL);

  /* the hold keeps it in the table, and the table keeps it */
  document = g_task_propagate_pointer (G_TASK (result), error);

  return document;
}

/**
 * choir_document_release:
 * @self: a held document
 *
 * Gives back a hold. The document leaves memory when the last one is given back and all is stored.
 */
void
choir_document_release (ChoirDocument *self)
{
  g_return_if_fail (self->holds > 0);

  g_object_ref (self);
  self->holds--;
  choir_document_settle (self);
  g_object_unref (self);
}

/**
 * choir_document_table_close_async:
 * @self: a table
 * @cancellable: (nullable)
 * @callback: called when no document is in memory any more
 * @user_data: for @callback
 *
 * Takes no more documents; those that are held stay until they are released.
 */
void
choir_document_table_close_async (ChoirDocumentTable *self,
                                  GCancellable *cancellable,
                                  GAsyncReadyCallback callback,
                                  gpointer user_data)
{
  g_return_if_fail (self->close_task == NULL);

  self->closing = TRUE;
  self->close_task = g_task_new (NULL, cancellable, callback, user_data);
  g_task_set_source_tag (self->close_task, choir_document_table_close_async);
  check_closed (self);
}

gboolean
choir_document_table_close_finish (ChoirDocumentTable *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_async_result_is_tagged (result, choir_document_table_close_async), FALSE);

  return g_task_propagate_boolean (G_TASK (result), error);
}
