/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-document-private.h"

#include "choir-error.h"
#include "choir-log.h"
#include "choir-names.h"

/* Entries read at once while a document is brought up to date */
#define READ_MAX 5000

G_DEFINE_FINAL_TYPE (ChoirDocument, choir_document, G_TYPE_OBJECT)

static void
choir_document_finalize (GObject *object)
{
  ChoirDocument *self = CHOIR_DOCUMENT (object);

  choir_history_clear (&self->history);
  choir_bridges_clear (&self->bridges);
  g_queue_clear_full (&self->queue, (GDestroyNotify) choir_pending_free);
  g_clear_pointer (&self->batch, g_ptr_array_unref);
  g_clear_pointer (&self->waiters, g_ptr_array_unref);
  g_clear_pointer (&self->text, choir_rope_free);
  g_free (self->name);

  G_OBJECT_CLASS (choir_document_parent_class)->finalize (object);
}

static void
choir_document_class_init (ChoirDocumentClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = choir_document_finalize;
}

static void
choir_document_init (ChoirDocument *self)
{
  g_queue_init (&self->queue);
}

/* Not loaded yet */
ChoirDocument *
choir_document_new (ChoirDocumentTable *table, const char *id)
{
  ChoirDocument *self = g_object_new (CHOIR_TYPE_DOCUMENT, NULL);

  self->table = table;
  self->name = g_strconcat ("document:", id, NULL);
  self->flags = CHOIR_DOCUMENT_LOADING;

  return self;
}

/* Lets all who wait for the document have it, or the error */
static void
end_loading (ChoirDocument *self, const GError *error)
{
  g_autoptr (GPtrArray) waiters = g_steal_pointer (&self->waiters);

  self->flags &= ~CHOIR_DOCUMENT_LOADING;
  choir_document_trim_history (self);
  if (error != NULL)
    {
      g_autofree char *text = g_strdup_printf ("document not loaded: %s", error->message);

      choir_log (CHOIR_LOG_LEVEL_ERROR, text, CHOIR_LOG_CHANNEL, self->name, NULL);
    }
  else
    self->holds += waiters->len;

  /* what has been read so far is not the document */
  if (error != NULL)
    {
      self->snapshot_tried = self->version;
      choir_document_settle (self);
    }

  for (guint i = 0; i < waiters->len; i++)
    {
      GTask *task = g_ptr_array_index (waiters, i);

      if (error == NULL)
        g_task_return_pointer (task, g_object_ref (self), g_object_unref);
      else
        g_task_return_new_error (task, CHOIR_ERROR, CHOIR_ERROR_UNAVAILABLE,
                                 "The document can't be read at the moment");
    }
}

static void read_more (ChoirDocument *self);

static void
apply_entries (ChoirDocument *self, const ChoirStreamPart *part, GError **error)
{
  for (guint i = 0; i < part->n_entries; i++)
    {
      if (!choir_document_apply_entry (self, &part->entries[i], NULL, error))
        return;

      choir_document_trim_history (self);
    }
}

/* @part: (nullable): what was read, or @failure */
static void
loaded_part (ChoirDocument *self, const ChoirStreamPart *part, const GError *failure)
{
  g_autoptr (GError) error = NULL;

  if (self->flags & CHOIR_DOCUMENT_GONE)
    return;

  if (part == NULL)
    {
      end_loading (self, failure);
      return;
    }

  apply_entries (self, part, &error);
  if (error == NULL && !part->complete && part->n_entries > 0)
    read_more (self);
  else
    end_loading (self, error);
}

static void
read_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (ChoirDocument) self = user_data;
  g_autoptr (GError) error = NULL;
  g_autoptr (ChoirStreamPart) part = choir_store_read_finish (CHOIR_STORE (source), result, &error);

  loaded_part (self, part, error);
}

static void
read_more (ChoirDocument *self)
{
  choir_store_read_async (self->table->store, self->name, self->version, READ_MAX, FALSE, NULL,
                          read_cb, g_object_ref (self));
}

static ChoirRope *
make_rope (const ChoirSnapshot *snapshot)
{
  gsize len;
  const char *text;

  if (snapshot == NULL)
    return choir_rope_new ();

  text = g_bytes_get_data (snapshot->data, &len);

  return choir_rope_new_from_text (text != NULL ? text : "", len);
}

/* What the store knows, without the entries */
static void
take_over (ChoirDocument *self, const ChoirStreamPart *part)
{
  const ChoirSnapshot *snapshot = part->snapshot;

  g_strlcpy (self->epoch, part->epoch, sizeof self->epoch);
  self->first_stored = part->exists ? part->first : 1;
  self->text = make_rope (snapshot);

  if (snapshot == NULL)
    return;

  self->version = self->snapshot_version = snapshot->offset;
  self->changed_us = snapshot->wall_us;
  if (snapshot->label == NULL)
    self->last_automatic = self->kept_automatic = snapshot->offset;
}

static void
loaded_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (ChoirDocument) self = user_data;
  g_autoptr (GError) error = NULL;
  g_autoptr (ChoirStreamPart) part = choir_store_load_finish (CHOIR_STORE (source), result, &error);

  if (part != NULL)
    take_over (self, part);
  else
    self->text = choir_rope_new ();

  loaded_part (self, part, error);
}

void
choir_document_load (ChoirDocument *self)
{
  choir_store_load_async (self->table->store, self->name, G_MAXUINT64, NULL, loaded_cb,
                          g_object_ref (self));
}

const char *
choir_document_get_id (ChoirDocument *self)
{
  return self->name + CHOIR_DOCUMENT_PREFIX_LEN;
}

guint64
choir_document_get_version (ChoirDocument *self)
{
  return self->version;
}

const ChoirRope *
choir_document_get_text (ChoirDocument *self)
{
  return self->text;
}

/**
 * choir_document_get_epoch:
 * @self: a document
 *
 * Returns: what names this life of the document; "" before its first change
 */
const char *
choir_document_get_epoch (ChoirDocument *self)
{
  return self->epoch;
}

/**
 * choir_document_get_changed_us:
 * @self: a document
 *
 * Returns: when it was changed last, wall clock; 0: never
 */
gint64
choir_document_get_changed_us (ChoirDocument *self)
{
  return self->changed_us;
}

/**
 * choir_document_get_channel:
 * @self: a document
 *
 * Returns: (nullable) (transfer none): the channel of those who have it open
 */
ChoirChannel *
choir_document_get_channel (ChoirDocument *self)
{
  return choir_hub_find_channel (self->table->hub, self->name);
}

ChoirHub *
choir_document_get_hub (ChoirDocument *self)
{
  return self->table->hub;
}

/**
 * choir_document_get_memory:
 * @self: a document
 *
 * Returns: bytes it takes, recent operations included
 */
gsize
choir_document_get_memory (ChoirDocument *self)
{
  return sizeof *self + choir_rope_get_memory (self->text) + self->history.n_bytes +
         self->history.capacity * sizeof *self->history.items;
}

/**
 * choir_document_get_first_in_memory:
 * @self: a document
 *
 * Returns: version of the oldest revision choir_document_get_revision() finds; one more than the
 * document's if there is none
 */
guint64
choir_document_get_first_in_memory (ChoirDocument *self)
{
  return choir_document_get_first (self);
}

/**
 * choir_document_get_revision:
 * @self: a document
 * @version: the version it made
 *
 * Returns: (nullable) (transfer none): the revision, if it is in memory
 */
const ChoirRevision *
choir_document_get_revision (ChoirDocument *self, guint64 version)
{
  guint64 first = choir_document_get_first (self);

  if (version < first || version > self->version)
    return NULL;

  return choir_history_get (&self->history, version - first);
}
