/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-blocklist-private.h"

#include "choir-clock.h"
#include "choir-error.h"
#include "choir-log.h"
#include "choir-names.h"
#include "choir-payload.h"

#include <string.h>

/*
 * What of the list survives: one stream (no channel has a blank in its name) with an entry for each
 * change, `ban` or `lift`, and every so often a snapshot: a line for each ban, which is the same
 * object as in an entry. One append is under way at a time; what comes meanwhile is the next.
 */

#define STREAM "list blocked"

/* Changes that are stored together */
#define BATCH_MAX 256
/* Changes that are worth a snapshot; more where that would be a large one */
#define SNAPSHOT_EVERY 1000

static const char *const kinds[CHOIR_N_BANS] = { "user", "token" };

static void pump (ChoirBlocklist *self);

static void
log_failure (const char *what, const GError *error)
{
  choir_log (CHOIR_LOG_LEVEL_WARNING, what, CHOIR_LOG_ERROR, error->message, NULL);
}

static void
append_ban (GString *out, ChoirBanKind kind, const ChoirBan *ban)
{
  choir_payload_open (out);
  choir_payload_add_string (out, "kind", kinds[kind]);
  choir_payload_add_string (out, "name", ban->name);
  choir_payload_add_string (out, "reason", ban->reason);
  choir_payload_add_int (out, "since_us", ban->since_us);
  choir_payload_add_int (out, "until_us", ban->until_us);
  choir_payload_add_int (out, "uid", ban->uid);
  choir_payload_close (out);
}

static void
fail_change (gpointer data, gpointer user_data)
{
  ChoirBanChange *change = data;

  g_task_return_new_error (change->task, CHOIR_ERROR, CHOIR_ERROR_UNAVAILABLE, "%s",
                           (const char *) user_data);
}

/*
 * Reading
 */

static gboolean
is_object (ChoirSlice data)
{
  static const ChoirJsonLimits limits = { 2, G_MAXSIZE, G_MAXSIZE, 1 };
  ChoirJsonKind kind;

  return choir_json_gate_check (data.data, data.len, &limits, &kind, NULL) &&
         kind == CHOIR_JSON_OBJECT;
}

/* One ban or its end, into @bans */
static void
read_change (GHashTable *const *bans, ChoirSlice data, gboolean lift)
{
  g_autofree char *kind = NULL, *name = NULL, *reason = NULL;
  ChoirBan ban = { 0 };
  guint i = 0;

  if (is_object (data))
    {
      kind = choir_payload_read_string (data, "kind", 16);
      name = choir_payload_read_string (data, "name", CHOIR_STORE_NAME_MAX);
      reason = choir_payload_read_string (data, "reason", CHOIR_BAN_REASON_MAX);
    }

  while (i < CHOIR_N_BANS && g_strcmp0 (kind, kinds[i]) != 0)
    i++;
  if (i == CHOIR_N_BANS || name == NULL)
    {
      choir_log (CHOIR_LOG_LEVEL_WARNING, "a block in the store can't be read", NULL);
      return;
    }

  ban.name = name;
  ban.reason = reason != NULL ? reason : "";
  ban.since_us = choir_payload_read_int (data, "since_us");
  ban.until_us = choir_payload_read_int (data, "until_us");
  ban.uid = (guint32) CLAMP (choir_payload_read_int (data, "uid"), 0, G_MAXUINT32);
  if (lift)
    g_hash_table_remove (bans[i], name);
  else
    {
      ChoirBan *copy = choir_ban_copy (&ban);

      g_hash_table_replace (bans[i], (char *) copy->name, copy);
    }
}

static void
read_snapshot (GHashTable *const *bans, GBytes *bytes)
{
  gsize len;
  const char *data = g_bytes_get_data (bytes, &len);

  while (len > 0)
    {
      const char *end = memchr (data, '\n', len);
      gsize n = end != NULL ? (gsize) (end - data) : len;

      if (n > 0)
        read_change (bans, (ChoirSlice){ data, n }, FALSE);
      n = MIN (n + 1, len);
      data += n;
      len -= n;
    }
}

static void
read_entries (GHashTable *const *bans, const ChoirStreamPart *part)
{
  for (guint i = 0; i < part->n_entries; i++)
    {
      const ChoirStoreEntry *entry = &part->entries[i];

      read_change (bans, (ChoirSlice){ entry->data, entry->len },
                   g_strcmp0 (entry->type, "lift") == 0);
    }
}

/* What is in @found and not in memory counts from now on, what is not in @found no longer */
static void
take_over (ChoirBlocklist *self, ChoirBanKind kind, GHashTable *found)
{
  g_autofree char **known = (char **) g_hash_table_get_keys_as_array (self->bans[kind], NULL);
  g_autoptr (GPtrArray) gone = g_ptr_array_new_with_free_func (g_free);
  GHashTableIter iter;
  gpointer value;

  /* what is over must not keep alive what it has replaced */
  g_hash_table_iter_init (&iter, found);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    if (choir_blocklist_is_over (self, kind, value))
      g_hash_table_iter_remove (&iter);

  for (char **name = known; *name != NULL; name++)
    if (!g_hash_table_contains (found, *name))
      g_ptr_array_add (gone, g_strdup (*name));
  for (guint i = 0; i < gone->len; i++)
    choir_blocklist_drop (self, kind, g_ptr_array_index (gone, i));

  g_hash_table_iter_init (&iter, found);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      ChoirBan *ban = value;
      const ChoirBan *old = g_hash_table_lookup (self->bans[kind], ban->name);

      g_hash_table_iter_steal (&iter);
      if (old != NULL && old->since_us == ban->since_us && old->until_us == ban->until_us)
        g_free (ban);
      else
        choir_blocklist_put (self, kind, ban);
    }
}

typedef struct
{
  GHashTable *bans[CHOIR_N_BANS]; /* (owned): as far as it has been read */
  guint64 offset;                 /* so far */
  guint64 snapshot;               /* offset of the one it began with; 0: none */
} Load;

static void
load_free (Load *self)
{
  for (guint i = 0; i < CHOIR_N_BANS; i++)
    g_hash_table_unref (self->bans[i]);
  g_free (self);
}

static void
loaded (ChoirBlocklist *self, GTask *task)
{
  Load *load = g_task_get_task_data (task);

  for (guint i = 0; i < CHOIR_N_BANS; i++)
    take_over (self, i, load->bans[i]);
  self->offset = load->offset;
  self->snapshot = load->snapshot;
  self->loading = FALSE;
  g_task_return_boolean (task, TRUE);
}

static void take_part (GTask *task, const ChoirStreamPart *part, GError *error);

static void
read_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  GError *error = NULL;
  g_autoptr (ChoirStreamPart) part = choir_store_read_finish (CHOIR_STORE (source), result, &error);

  take_part (user_data, part, error);
}

/* @part: (nullable): of the stream; goes on behind it. (transfer full) @task, @error */
static void
take_part (GTask *task, const ChoirStreamPart *part, GError *error)
{
  g_autoptr (GTask) owned = task;
  ChoirBlocklist *self = g_task_get_source_object (owned);
  Load *load = g_task_get_task_data (owned);

  if (part == NULL)
    {
      self->loading = FALSE;
      g_task_return_error (owned, error);
      return;
    }

  if (part->snapshot != NULL)
    {
      load->snapshot = load->offset = part->snapshot->offset;
      read_snapshot (load->bans, part->snapshot->data);
    }
  read_entries (load->bans, part);
  if (part->n_entries > 0)
    load->offset = part->entries[part->n_entries - 1].offset;

  if (part->complete || part->n_entries == 0)
    loaded (self, owned);
  else
    choir_store_read_async (self->store, STREAM, load->offset, CHOIR_STORE_APPEND_MAX, FALSE,
                            g_task_get_cancellable (owned), read_cb, g_object_ref (owned));
}

static void
load_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  GError *error = NULL;
  g_autoptr (ChoirStreamPart) part = choir_store_load_finish (CHOIR_STORE (source), result, &error);

  take_part (user_data, part, error);
}

/* @task: (transfer full): told when all that is in the store is in memory */
static void
load (ChoirBlocklist *self, GTask *task)
{
  Load *data = g_new0 (Load, 1);

  for (guint i = 0; i < CHOIR_N_BANS; i++)
    data->bans[i] = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, g_free);
  g_task_set_task_data (task, data, (GDestroyNotify) load_free);
  choir_store_load_async (self->store, STREAM, G_MAXUINT64, g_task_get_cancellable (task), load_cb,
                          task);
}

/**
 * choir_blocklist_load_async:
 * @self: an empty list
 * @store: where it is kept from now on
 * @cancellable: (nullable): to give up
 * @callback: called when all that was stored is there
 * @user_data: for @callback
 */
void
choir_blocklist_load_async (ChoirBlocklist *self,
                            ChoirStore *store,
                            GCancellable *cancellable,
                            GAsyncReadyCallback callback,
                            gpointer user_data)
{
  GTask *task = g_task_new (self, cancellable, callback, user_data);

  g_task_set_source_tag (task, choir_blocklist_load_async);
  g_set_object (&self->store, store);
  self->loading = TRUE;
  load (self, task);
}

/**
 * choir_blocklist_load_finish:
 * @self: a list
 * @result: what the callback was given
 * @error: return location: %CHOIR_ERROR_UNAVAILABLE, %G_IO_ERROR_CANCELLED
 *
 * Returns: %FALSE if it could not be read: who is blocked is not known then
 */
gboolean
choir_blocklist_load_finish (ChoirBlocklist *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, self), FALSE);

  return g_task_propagate_boolean (G_TASK (result), error);
}

/*
 * Writing
 */

static void
trimmed_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (ChoirBlocklist) self = user_data;
  g_autoptr (GError) error = NULL;

  self->saving = FALSE;
  if (!choir_store_trim_finish (CHOIR_STORE (source), result, &error))
    log_failure ("old blocks are not removed from the store", error);
}

static void
saved_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (ChoirBlocklist) self = user_data;
  g_autoptr (GError) error = NULL;

  if (choir_store_put_snapshot_finish (CHOIR_STORE (source), result, &error))
    {
      choir_store_trim_async (self->store, STREAM, self->snapshot + 1, NULL, trimmed_cb,
                              g_object_ref (self));
      return;
    }

  self->saving = FALSE;
  log_failure ("the blocks have no snapshot", error);
}

static gboolean
wants_snapshot (const ChoirBlocklist *self)
{
  guint n = 0;

  for (guint i = 0; i < CHOIR_N_BANS; i++)
    n += g_hash_table_size (self->bans[i]);

  return !self->saving && self->offset - self->snapshot >= MAX (SNAPSHOT_EVERY, n);
}

/* Everything up to now, in place of all changes before */
static void
save (ChoirBlocklist *self)
{
  g_autoptr (GString) text = g_string_new (NULL);
  g_autoptr (GBytes) data = NULL;
  ChoirSnapshot snapshot = { .offset = self->offset, .wall_us = choir_clock_wall_us () };
  guint64 replaces = self->snapshot;

  for (guint i = 0; i < CHOIR_N_BANS; i++)
    {
      GHashTableIter iter;
      gpointer ban;

      g_hash_table_iter_init (&iter, self->bans[i]);
      while (g_hash_table_iter_next (&iter, NULL, &ban))
        {
          append_ban (text, i, ban);
          g_string_append_c (text, '\n');
        }
    }

  data = g_string_free_to_bytes (g_steal_pointer (&text));
  snapshot.data = data;
  snapshot.len = g_bytes_get_size (data);
  self->saving = TRUE;
  self->snapshot = self->offset;
  choir_store_put_snapshot_async (self->store, STREAM, &snapshot, replaces, NULL, saved_cb,
                                  g_object_ref (self));
}

/* Somebody else has written to the stream: his changes count first */
static void
reloaded_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  ChoirBlocklist *self = CHOIR_BLOCKLIST (source);
  g_autoptr (GPtrArray) again = user_data;
  g_autoptr (GError) error = NULL;

  self->reloading = FALSE;
  if (choir_blocklist_load_finish (self, result, &error))
    {
      for (guint i = again->len; i-- > 0;)
        g_queue_push_head (&self->waiting, g_ptr_array_index (again, i));
      g_ptr_array_set_free_func (again, NULL);
    }
  else
    {
      log_failure ("the blocks can't be read", error);
      g_ptr_array_foreach (again, fail_change, (gpointer) "Blocks can't be stored at the moment");
    }

  pump (self);
}

static void
reload (ChoirBlocklist *self, GPtrArray *again)
{
  GTask *task = g_task_new (self, NULL, reloaded_cb, again);

  g_task_set_source_tag (task, reload);
  self->reloading = TRUE;
  load (self, task);
}

static void
stored_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (ChoirBlocklist) self = user_data;
  g_autoptr (GError) error = NULL;
  ChoirAppended appended = { 0 };
  gboolean done = choir_store_append_finish (CHOIR_STORE (source), result, &appended, &error);

  if (done && appended.status == CHOIR_APPEND_CONFLICT)
    {
      reload (self, g_steal_pointer (&self->storing));
      return;
    }

  if (done)
    {
      g_autoptr (GPtrArray) storing = g_steal_pointer (&self->storing);

      self->offset = appended.offset;
      for (guint i = 0; i < storing->len; i++)
        choir_blocklist_conclude (self, g_ptr_array_index (storing, i));
      if (wants_snapshot (self))
        save (self);
    }
  else
    {
      g_autoptr (GPtrArray) storing = g_steal_pointer (&self->storing);

      log_failure ("blocks can't be stored", error);
      g_ptr_array_foreach (storing, fail_change, (gpointer) "Blocks can't be stored at the moment");
    }

  pump (self);
}

static void
take_batch (ChoirBlocklist *self)
{
  self->storing = g_ptr_array_new_with_free_func ((GDestroyNotify) choir_ban_change_free);
  while (self->storing->len < BATCH_MAX && self->waiting.length > 0)
    g_ptr_array_add (self->storing, g_queue_pop_head (&self->waiting));
}

/* Hands on what waits, if nothing is with the store */
static void
pump (ChoirBlocklist *self)
{
  g_autoptr (GPtrArray) texts = NULL;
  g_autofree ChoirStoreEntry *entries = NULL;

  if (self->storing != NULL || self->reloading || self->waiting.length == 0)
    return;

  take_batch (self);
  texts = g_ptr_array_new_with_free_func (g_free);
  entries = g_new0 (ChoirStoreEntry, self->storing->len);
  for (guint i = 0; i < self->storing->len; i++)
    {
      const ChoirBanChange *change = g_ptr_array_index (self->storing, i);
      GString *text = g_string_new (NULL);

      append_ban (text, change->kind, change->ban);
      entries[i].wall_us = change->ban->since_us;
      entries[i].type = change->lift ? "lift" : "ban";
      entries[i].len = text->len;
      entries[i].data = g_string_free (text, FALSE);
      g_ptr_array_add (texts, (char *) entries[i].data);
    }

  choir_store_append_async (self->store, STREAM, self->offset, entries, self->storing->len, NULL,
                            stored_cb, g_object_ref (self));
}

/* @change: (transfer full): concluded when it is stored, which without a store it is */
void
choir_blocklist_store (ChoirBlocklist *self, ChoirBanChange *change)
{
  g_autoptr (ChoirBanChange) owned = change;

  if (self->store == NULL)
    choir_blocklist_conclude (self, owned);
  else if (self->loading)
    fail_change (owned, (gpointer) "The service is starting");
  else
    {
      g_queue_push_tail (&self->waiting, g_steal_pointer (&owned));
      pump (self);
    }
}
