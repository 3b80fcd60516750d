/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-document-private.h"

#include "choir-clock.h"
#include "choir-error.h"

#include <string.h>

/* What a document keeps of its past in memory: enough for clients that were away for a moment;
 * older revisions are read from the store when somebody needs them */
#define RECENT_REVISIONS 1000
#define RECENT_BYTES (256 * 1024)

/* Of all documents together; past it each keeps little */
#define HISTORY_BYTES_MAX (64 * 1024 * 1024)
#define SCARCE_BYTES (8 * 1024)

/* FNV-1a, 64 bits. Never 0, which means that there is none */
guint64
choir_document_hash (const char *text)
{
  guint64 hash = G_GUINT64_CONSTANT (14695981039346656037);

  for (; *text != '\0'; text++)
    hash = (hash ^ (guint8) *text) * G_GUINT64_CONSTANT (1099511628211);

  return MAX (hash, 1);
}

static gsize
string_size (const char *text)
{
  return text != NULL ? strlen (text) + 1 : 0;
}

static const char *
store_string (char **p, const char *text)
{
  const char *at = *p;

  if (text == NULL)
    return NULL;

  *p = g_stpcpy (*p, text) + 1;

  return at;
}

/**
 * choir_revision_new:
 * @params: what is known of the change; strings are copied
 * @operation: (transfer full): as committed
 * @original: (transfer full) (nullable): as sent, if that differs
 *
 * Returns: (transfer full): a revision
 */
ChoirRevision *
choir_revision_new (const ChoirRevisionParams *params,
                    ChoirTextOperation *operation,
                    ChoirTextOperation *original)
{
  gsize n_strings = string_size (params->user_id) + string_size (params->session_id) +
                    string_size (params->change_id);
  ChoirRevision *self = g_malloc0 (sizeof *self + n_strings);
  char *p = (char *) (self + 1);

  self->n_refs = 1;
  self->version = params->version;
  self->base = params->base;
  self->wall_us = params->wall_us;
  self->operation = operation;
  self->original = original;
  self->user_id = store_string (&p, params->user_id);
  self->session_id = store_string (&p, params->session_id);
  self->change_id = store_string (&p, params->change_id);
  self->n_bytes = sizeof *self + n_strings + choir_text_operation_get_size (operation) +
                  (original != NULL ? choir_text_operation_get_size (original) : 0);
  if (self->session_id != NULL)
    self->owner = choir_document_hash (self->session_id);

  return self;
}

/**
 * choir_revision_new_from_entry:
 * @entry: of a document's log
 * @error: return location: %CHOIR_ERROR_INTERNAL if it is none
 *
 * Returns: (transfer full): the revision it holds, or %NULL
 */
ChoirRevision *
choir_revision_new_from_entry (const ChoirStoreEntry *entry, GError **error)
{
  static const ChoirTextLimits unlimited = { G_MAXUINT, G_MAXSIZE };
  static const ChoirJsonLimits json_limits = { .max_depth = 4 };
  ChoirRevisionParams params = {
    .version = entry->offset,
    .base = CHOIR_VERSION_UNKNOWN,
    .wall_us = entry->wall_us,
    .user_id = entry->user_id,
    .session_id = entry->session_id,
    .change_id = entry->id,
  };
  g_autoptr (ChoirTextOperation) operation = NULL;
  g_autoptr (GError) reason = NULL;
  ChoirRevision *self;
  ChoirJsonKind kind;

  if (choir_json_gate_check (entry->data, entry->len, &json_limits, &kind, &reason))
    operation =
      choir_text_operation_parse ((ChoirSlice){ entry->data, entry->len }, &unlimited, &reason);
  if (operation == NULL)
    {
      g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_INTERNAL,
                   "entry %" G_GUINT64_FORMAT " of the log is no operation: %s", entry->offset,
                   reason->message);
      return NULL;
    }

  self = choir_revision_new (&params, g_steal_pointer (&operation), NULL);
  if (entry->key != NULL)
    self->key_hash = choir_document_hash (entry->key);

  return self;
}

ChoirRevision *
choir_revision_ref (ChoirRevision *self)
{
  self->n_refs++;

  return self;
}

void
choir_revision_unref (ChoirRevision *self)
{
  if (--self->n_refs > 0)
    return;

  choir_text_operation_free (self->operation);
  g_clear_pointer (&self->original, choir_text_operation_free);
  g_free (self);
}

/* Code points by which the text grew */
gint64
choir_revision_get_delta (const ChoirRevision *self)
{
  return (gint64) choir_text_operation_get_inserted_chars (self->operation) -
         (gint64) choir_text_operation_get_deleted_chars (self->operation);
}

void
choir_history_clear (ChoirHistory *self)
{
  choir_history_drop_oldest (self, self->n);
  g_clear_pointer (&self->items, g_free);
  self->capacity = 0;
}

static void
make_room (ChoirHistory *self, guint n)
{
  if (self->start + self->n + n <= self->capacity)
    return;

  if (self->start > 0)
    memmove (self->items, self->items + self->start, self->n * sizeof *self->items);
  self->start = 0;

  if (self->n + n > self->capacity / 2)
    {
      self->capacity = MAX (8, (self->n + n) * 2);
      self->items = g_renew (ChoirRevision *, self->items, self->capacity);
    }
}

/**
 * choir_history_push:
 * @self: a history
 * @revision: (transfer full): the one after the newest
 */
void
choir_history_push (ChoirHistory *self, ChoirRevision *revision)
{
  make_room (self, 1);
  self->items[self->start + self->n++] = revision;
  self->n_bytes += revision->n_bytes;
}

/**
 * choir_history_prepend:
 * @self: a history
 * @revisions: (array length=n) (transfer full): those right before the oldest; the array stays the
 * caller's
 * @n: how many
 */
void
choir_history_prepend (ChoirHistory *self, ChoirRevision **revisions, guint n)
{
  make_room (self, n);
  memmove (self->items + self->start + n, self->items + self->start, self->n * sizeof *self->items);
  memcpy (self->items + self->start, revisions, n * sizeof *self->items);
  self->n += n;

  for (guint i = 0; i < n; i++)
    self->n_bytes += revisions[i]->n_bytes;
}

void
choir_history_drop_oldest (ChoirHistory *self, guint n)
{
  for (guint i = 0; i < n; i++)
    {
      ChoirRevision *revision = choir_history_get (self, i);

      self->n_bytes -= revision->n_bytes;
      choir_revision_unref (revision);
    }

  self->start += n;
  self->n -= n;
  if (self->n == 0)
    self->start = 0;
}

/**
 * choir_history_find_key:
 * @self: a history
 * @key_hash: of a change
 *
 * Returns: the version that change made, 0 if it is not here
 */
guint64
choir_history_find_key (const ChoirHistory *self, guint64 key_hash)
{
  for (guint i = self->n; i > 0; i--)
    {
      const ChoirRevision *revision = choir_history_get (self, i - 1);

      if (revision->key_hash == key_hash)
        return revision->version;
    }

  return 0;
}

/**
 * choir_document_keep:
 * @self: a document, already at the revision's version
 * @revision: (transfer full): the newest
 */
void
choir_document_keep (ChoirDocument *self, ChoirRevision *revision)
{
  self->table->history_bytes += revision->n_bytes;
  choir_history_push (&self->history, revision);
}

/**
 * choir_document_trim_history:
 * @self: a document
 *
 * Forgets what is old, unless somebody has just needed it.
 */
void
choir_document_trim_history (ChoirDocument *self)
{
  gsize max = self->table->history_bytes > HISTORY_BYTES_MAX ? SCARCE_BYTES : RECENT_BYTES;
  gsize before = self->history.n_bytes;
  gsize n_bytes = before;
  guint n = 0;

  if (choir_clock_monotonic_us () < self->window_until_us &&
      self->table->history_bytes <= HISTORY_BYTES_MAX)
    return;

  while (self->history.n - n > RECENT_REVISIONS || (n_bytes > max && n + 1 < self->history.n))
    n_bytes -= choir_history_get (&self->history, n++)->n_bytes;

  if (n > 0)
    choir_history_drop_oldest (&self->history, n);

  self->table->history_bytes -= before - self->history.n_bytes;
}
