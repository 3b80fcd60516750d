/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-document-private.h"

#include "choir-clock.h"
#include "choir-error.h"
#include "choir-log.h"
#include "choir-names.h"

/*
 * Snapshots: automatic ones, so that opening reads little; and named ones, which people ask for.
 *
 * The past within the horizon can be read at every version, so an automatic snapshot has to stay at
 * least every so often; the others go when the next one is there. Of a large text one is taken less
 * often, or writing it would cost more than the changes themselves.
 */

/* Text bytes that allow for one more operation between two snapshots */
#define BYTES_PER_OPERATION 256

/* Automatic snapshots that stay, within the horizon */
#define KEPT_SNAPSHOTS 8

/* Named ones of a document, and how often */
#define NAMED_MAX 1000
#define NAMED_PAUSE_US G_USEC_PER_SEC

static guint64
get_interval (ChoirDocument *self)
{
  guint64 by_size = choir_rope_get_n_bytes (self->text) / BYTES_PER_OPERATION;

  return MIN (MAX (self->table->snapshot_every, by_size), MAX (self->table->horizon, 1));
}

/* Whether so much has happened since the last one, or the last attempt, that it is time */
gboolean
choir_document_wants_snapshot (ChoirDocument *self)
{
  guint64 since = MAX (self->snapshot_version, self->snapshot_tried);

  return !(self->flags & CHOIR_DOCUMENT_SNAPSHOTTING) &&
         self->version - since >= get_interval (self);
}

static ChoirSnapshot *
make_snapshot (ChoirDocument *self, const char *label, const char *user_id)
{
  ChoirSnapshot *snapshot = g_new0 (ChoirSnapshot, 1);
  gsize len;
  char *text = choir_rope_dup_text (self->text, &len);

  snapshot->offset = self->version;
  snapshot->wall_us = choir_clock_wall_us ();
  snapshot->label = g_strdup (label);
  snapshot->user_id = g_strdup (user_id);
  snapshot->len = len;
  snapshot->data = g_bytes_new_take (text, len);

  return snapshot;
}

static void
trimmed_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (ChoirDocument) self = user_data;
  g_autoptr (GError) error = NULL;

  if (!choir_store_trim_finish (CHOIR_STORE (source), result, &error))
    choir_log (CHOIR_LOG_LEVEL_WARNING, "old changes not removed", CHOIR_LOG_CHANNEL, self->name,
               NULL);
}

/* Behind the horizon nobody may look */
static void
trim_log (ChoirDocument *self)
{
  guint64 oldest;

  if (self->snapshot_version <= self->table->horizon)
    return;

  oldest = self->snapshot_version - self->table->horizon;
  if (oldest <= self->first_stored)
    return;

  self->first_stored = oldest;
  choir_store_trim_async (self->table->store, self->name, oldest, NULL, trimmed_cb,
                          g_object_ref (self));
}

static void
note_automatic (ChoirDocument *self, guint64 version)
{
  self->snapshot_version = MAX (self->snapshot_version, version);
  if (self->kept_automatic == 0 ||
      version - self->kept_automatic >= self->table->horizon / KEPT_SNAPSHOTS)
    self->kept_automatic = version;
  self->last_automatic = version;
}

static void
snapshot_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (ChoirDocument) self = user_data;
  g_autoptr (GError) error = NULL;

  self->flags &= ~CHOIR_DOCUMENT_SNAPSHOTTING;

  if (self->flags & CHOIR_DOCUMENT_GONE)
    return;

  if (choir_store_put_snapshot_finish (CHOIR_STORE (source), result, &error))
    {
      note_automatic (self, self->snapshot_tried);
      trim_log (self);
    }
  else
    {
      g_autofree char *text = g_strdup_printf ("no snapshot taken: %s", error->message);

      choir_log (CHOIR_LOG_LEVEL_WARNING, text, CHOIR_LOG_CHANNEL, self->name, NULL);
    }

  choir_document_settle (self);
}

/**
 * choir_document_take_snapshot:
 * @self: a document
 *
 * Stores the present text, so that it need not be computed from the log again.
 */
void
choir_document_take_snapshot (ChoirDocument *self)
{
  g_autoptr (ChoirSnapshot) snapshot = make_snapshot (self, NULL, NULL);
  guint64 replaces = self->last_automatic != self->kept_automatic ? self->last_automatic : 0;

  self->flags |= CHOIR_DOCUMENT_SNAPSHOTTING;
  self->snapshot_tried = self->version;
  choir_store_put_snapshot_async (self->table->store, self->name, snapshot, replaces, NULL,
                                  snapshot_cb, g_object_ref (self));
}

typedef struct
{
  char *label;   /* (owned) */
  char *user_id; /* (owned) (nullable) */
  guint64 version;
  gint64 wall_us;
} Save;

static void
save_free (gpointer data)
{
  Save *self = data;

  g_free (self->label);
  g_free (self->user_id);
  g_free (self);
}

static void
saved_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  ChoirDocument *self = g_task_get_source_object (task);
  Save *save = g_task_get_task_data (task);
  GError *error = NULL;

  self->flags &= ~CHOIR_DOCUMENT_SAVING;

  if (choir_store_put_snapshot_finish (CHOIR_STORE (source), result, &error))
    {
      self->snapshot_version = MAX (self->snapshot_version, save->version);
      g_task_return_boolean (task, TRUE);
    }
  else
    g_task_return_error (task, error);

  choir_document_settle (self);
}

static void
counted_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  ChoirDocument *self = g_task_get_source_object (task);
  Save *save = g_task_get_task_data (task);
  g_autoptr (ChoirSnapshot) snapshot = NULL;
  g_autoptr (GPtrArray) found = NULL;
  GError *error = NULL;

  found = choir_store_list_snapshots_finish (CHOIR_STORE (source), result, &error);
  if (found != NULL && (self->flags & CHOIR_DOCUMENT_GONE))
    error = g_error_new_literal (CHOIR_ERROR, CHOIR_ERROR_UNAVAILABLE, "The service is stopping");
  else if (found != NULL && found->len > NAMED_MAX)
    error = g_error_new (CHOIR_ERROR, CHOIR_ERROR_OVERRUN,
                         "The document has %d versions already, and may not have more", NAMED_MAX);
  if (error != NULL)
    {
      self->flags &= ~CHOIR_DOCUMENT_SAVING;
      g_task_return_error (task, error);
      choir_document_settle (self);
      return;
    }

  snapshot = make_snapshot (self, save->label, save->user_id);
  save->version = self->version;
  save->wall_us = snapshot->wall_us;
  choir_store_put_snapshot_async (self->table->store, self->name, snapshot, 0, NULL, saved_cb,
                                  g_steal_pointer (&task));
}

/* A version nobody has named is named by its time */
static char *
make_label (void)
{
  char now[CHOIR_CLOCK_ISO8601_SIZE];

  choir_clock_format_iso8601 (choir_clock_wall_us (), now);

  return g_strdup (now);
}

/**
 * choir_document_save_async:
 * @self: a document
 * @label: (nullable): what the version is called; else it is called by its time
 * @user_id: (nullable): who wants it
 * @cancellable: (nullable): ignored once the store has it
 * @callback: called when it is stored
 * @user_data: for @callback
 *
 * Keeps the present text as a version that stays. %CHOIR_ERROR_RATE_LIMITED more than once a
 * second, %CHOIR_ERROR_OVERRUN for too many, %CHOIR_ERROR_UNAVAILABLE.
 */
void
choir_document_save_async (ChoirDocument *self,
                           const char *label,
                           const char *user_id,
                           GCancellable *cancellable,
                           GAsyncReadyCallback callback,
                           gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (self, cancellable, callback, user_data);
  gint64 now_us = choir_clock_monotonic_us ();
  Save *save = g_new0 (Save, 1);

  g_task_set_source_tag (task, choir_document_save_async);
  g_task_set_task_data (task, save, save_free);
  save->label = label != NULL && *label != '\0' ? g_strdup (label) : make_label ();
  save->user_id = g_strdup (user_id);

  if ((self->flags & CHOIR_DOCUMENT_SAVING) ||
      (self->saved_us != 0 && now_us - self->saved_us < NAMED_PAUSE_US))
    {
      g_task_return_new_error (task, CHOIR_ERROR, CHOIR_ERROR_RATE_LIMITED,
                               "The document was saved less than a second ago");
      return;
    }

  if (!choir_store_is_writable (self->table->store))
    {
      g_task_return_new_error (task, CHOIR_ERROR, CHOIR_ERROR_UNAVAILABLE,
                               "Versions can't be stored at the moment");
      return;
    }

  self->saved_us = now_us;
  self->flags |= CHOIR_DOCUMENT_SAVING;
  choir_store_list_snapshots_async (self->table->store, self->name, 0, NAMED_MAX + 1, cancellable,
                                    counted_cb, g_steal_pointer (&task));
}

/**
 * choir_document_save_finish:
 * @self: a document
 * @result: what the callback got
 * @version: (out): the version that was kept
 * @wall_us: (out) (optional): when, wall clock
 * @error: return location
 *
 * Returns: whether it was
 */
gboolean
choir_document_save_finish (ChoirDocument *self,
                            GAsyncResult *result,
                            guint64 *version,
                            gint64 *wall_us,
                            GError **error)
{
  const Save *save;

  g_return_val_if_fail (g_task_is_valid (result, self), FALSE);

  if (!g_task_propagate_boolean (G_TASK (result), error))
    return FALSE;

  save = g_task_get_task_data (G_TASK (result));
  *version = save->version;
  if (wall_us != NULL)
    *wall_us = save->wall_us;

  return TRUE;
}
