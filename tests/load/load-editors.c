/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "load-editors.h"

#include <string.h>

#define CONNECTING_MAX 64
#define CONNECT_NS (G_GINT64_CONSTANT (90) * 1000 * 1000 * 1000)
/* Of a first text, in one change: fits a message of 64 KiB */
#define CHUNK_CHARS 30000
/* What a change inserts: a mark and the change's number in hexadecimal digits */
#define INSERT_CHARS 9
#define COMPLAINT_MAX 400

/* What became of one version */
typedef struct
{
  gint64 due_ns; /* 0: its sender has not heard yet that this is its version */
  guint n_got;
} Entry;

static void
get_name (LoadEditors *self, guint document, char *out)
{
  g_snprintf (out, LOAD_DOCUMENT_NAME_MAX, "%s-%u", self->name, document);
}

static Entry *
get_entry (LoadEditors *self, guint document, guint64 version)
{
  GArray *ledger = g_ptr_array_index (self->ledgers, document);

  if (version >= ledger->len)
    g_array_set_size (ledger, (guint) version + 1);

  return &g_array_index (ledger, Entry, version);
}

/* Everybody who has the document open gets each version: as a change, or as the acknowledgement of
 * one */
static guint
count_readers (LoadEditors *self, guint document)
{
  return self->n / self->n_documents + (document < self->n % self->n_documents ? 1 : 0);
}

static void
note_got (LoadEditors *self, LoadEditor *editor, guint64 version, gint64 due_ns)
{
  Entry *entry = get_entry (self, editor->document, version);
  gint64 latency_ns;

  entry->n_got++;
  if (due_ns != 0)
    entry->due_ns = due_ns;
  if (entry->n_got != count_readers (self, editor->document) || !self->measuring ||
      entry->due_ns < self->measured_from_ns)
    return;

  latency_ns = load_now_ns () - entry->due_ns;
  load_histogram_record (&self->everyone, latency_ns);
  self->worst_everyone_ns = MAX (self->worst_everyone_ns, latency_ns);
  self->n_everyone++;
}

static void
send_edit (LoadEditors *self, LoadEditor *editor, LoadEdit *edit)
{
  char name[LOAD_DOCUMENT_NAME_MAX], change_id[64];

  get_name (self, editor->document, name);
  editor->n_sent++;
  g_snprintf (change_id, sizeof change_id, "%08x-%u-%" G_GUINT64_FORMAT, self->run,
              editor->client.index, editor->n_sent);
  edit->name = name;
  edit->version = editor->version;
  edit->number = editor->n_sent;
  edit->change_id = change_id;
  load_document_write_edit (self->words, self->message, edit);
  load_pool_send (self->pool, &editor->client, self->message->str, self->message->len);
}

static void
push_due (LoadEditor *editor, gint64 due_ns)
{
  g_assert (editor->n_in_flight < LOAD_WINDOW_MAX);
  editor->due_ns[(editor->oldest + editor->n_in_flight++) % LOAD_WINDOW_MAX] = due_ns;
}

/**
 * load_editors_change:
 * @editor: has its document open, and fewer than LOAD_WINDOW_MAX changes in flight
 * @due_ns: when it was to be sent; latencies count from there
 */
void
load_editors_change (LoadEditors *self, LoadEditor *editor, gint64 due_ns)
{
  char text[INSERT_CHARS + 1];
  gsize room = editor->length > INSERT_CHARS ? editor->length - INSERT_CHARS : 0;
  LoadEdit edit = { .text = text, .n_text = INSERT_CHARS };

  g_snprintf (text, sizeof text, "~%08x", (guint) self->n_sent);
  edit.position = room > 0 ? (gsize) (g_rand_double (self->rand) * (double) room) : 0;
  edit.n_deleted = self->replace ? MIN (INSERT_CHARS, editor->length) : 0;
  self->n_sent++;
  push_due (editor, due_ns);
  send_edit (self, editor, &edit);
}

/* One change of the first text; TRUE while there is more of it to come */
static gboolean
write_more (LoadEditors *self, LoadEditor *editor)
{
  static const char words[] = "the quick brown fox jumps over the lazy dog and so on ";
  gsize n = editor->length < self->size ? MIN (CHUNK_CHARS, self->size - editor->length) : 0;
  g_autofree char *text = NULL;
  LoadEdit edit = { .n_text = n };

  if (n == 0)
    return FALSE;
  text = g_malloc (n);
  for (gsize i = 0; i < n; i++)
    text[i] = words[(editor->length + i) % (sizeof words - 1)];
  edit.text = text;
  push_due (editor, load_now_ns ());
  send_edit (self, editor, &edit);
  editor->length += n;

  return TRUE;
}

static void
enter (LoadEditors *self, LoadEditor *editor, LoadStage stage)
{
  editor->stage = stage;
  if (stage == LOAD_STAGE_OPEN)
    {
      self->n_open++;
      if (self->opened != NULL)
        self->opened (self, editor, self->user_data);
    }
}

static void
on_opened (LoadEditors *self, LoadEditor *editor, const LoadEvent *event)
{
  editor->version = event->version;
  editor->length = event->n_chars;
  if (event->version == 0 && write_more (self, editor))
    editor->stage = LOAD_STAGE_WRITING;
  else
    enter (self, editor, LOAD_STAGE_OPEN);
}

/* ShareDB answers a change with others that came in between, which it sends on their own besides */
static gboolean
take_version (LoadEditors *self, LoadEditor *editor, guint64 version)
{
  if (version == editor->version + 1)
    {
      editor->version = version;
      return TRUE;
    }
  if (self->words == LOAD_WORDS_SHAREDB && version <= editor->version)
    return FALSE;

  g_printerr ("version %" G_GUINT64_FORMAT " came after %" G_GUINT64_FORMAT "\n", version,
              editor->version);
  editor->version = version;
  self->n_wrong++;

  return TRUE;
}

static void
on_acknowledged (LoadEditors *self, LoadEditor *editor, guint64 version)
{
  gint64 due_ns = editor->due_ns[editor->oldest];

  if (editor->n_in_flight == 0 || !take_version (self, editor, version))
    {
      self->n_wrong++;
      return;
    }
  editor->oldest = (editor->oldest + 1) % LOAD_WINDOW_MAX;
  editor->n_in_flight--;
  note_got (self, editor, version, due_ns);
  if (editor->stage == LOAD_STAGE_WRITING)
    {
      if (!write_more (self, editor))
        enter (self, editor, LOAD_STAGE_OPEN);
      return;
    }

  self->n_acknowledged++;
  if (self->measuring && due_ns >= self->measured_from_ns)
    load_histogram_record (&self->ack, load_now_ns () - due_ns);
  if (self->acknowledged != NULL)
    self->acknowledged (self, editor, self->user_data);
}

static void
on_changed (LoadEditors *self, LoadEditor *editor, guint64 version)
{
  if (editor->stage < LOAD_STAGE_WRITING || !take_version (self, editor, version))
    return;
  self->n_delivered++;
  note_got (self, editor, version, 0);
}

static void
on_closed (LoadEditors *self, LoadEditor *editor)
{
  editor->stage = LOAD_STAGE_PRESENT;
  self->n_open--;
  if (self->closed != NULL)
    self->closed (self, editor, self->user_data);
}

static void
connect_more (LoadEditors *self)
{
  while (self->n_connecting < CONNECTING_MAX && self->n_started < self->n)
    {
      self->n_connecting++;
      load_pool_connect (self->pool, &self->editors[self->n_started++].client);
    }
}

static void
become_present (LoadEditors *self, LoadEditor *editor)
{
  editor->stage = LOAD_STAGE_PRESENT;
  self->n_connecting--;
  self->n_present++;
  connect_more (self);
}

static void
on_event (LoadEditors *self, LoadEditor *editor, const LoadEvent *event, const char *frame, gsize n)
{
  if (event->kind == LOAD_EVENT_REFUSED)
    {
      self->n_wrong++;
      g_printerr ("refused: %.*s\n", (int) MIN (n, COMPLAINT_MAX), frame);
    }
  else if (event->kind == LOAD_EVENT_GREETED && editor->stage == LOAD_STAGE_AWAY)
    become_present (self, editor);
  else if (event->kind == LOAD_EVENT_OPENED && editor->stage == LOAD_STAGE_OPENING)
    on_opened (self, editor, event);
  else if (event->kind == LOAD_EVENT_CLOSED && editor->stage == LOAD_STAGE_CLOSING)
    on_closed (self, editor);
  else if (event->kind == LOAD_EVENT_ACKNOWLEDGED)
    on_acknowledged (self, editor, event->version);
  else if (event->kind == LOAD_EVENT_CHANGED)
    on_changed (self, editor, event->version);
}

static void
text_cb (LoadClient *client, const char *text, gsize len, gpointer user_data)
{
  LoadEditors *self = user_data;
  const char *at = text;
  LoadEvent event;

  while (load_document_next (self->words, &at, text + len, &event))
    on_event (self, (LoadEditor *) client, &event, text, len);
}

static void
ready_cb (LoadClient *client, gpointer user_data)
{
  LoadEditors *self = user_data;
  char text[LOAD_DOCUMENT_MESSAGE_MAX];
  gsize n = load_document_write_greeting (self->words, text);

  if (n == 0)
    become_present (self, (LoadEditor *) client);
  else
    load_pool_send (self->pool, client, text, n);
}

static void
closed_cb (LoadClient *client, gboolean failed, gpointer user_data)
{
  ((LoadEditors *) user_data)->n_wrong++;
}

/* Makes what the members above the line describe */
void
load_editors_start (LoadEditors *self)
{
  static const LoadHandlers handlers = { ready_cb, text_cb, closed_cb };

  self->editors = g_new0 (LoadEditor, self->n);
  for (guint i = 0; i < self->n; i++)
    {
      self->editors[i].client.fd = -1;
      self->editors[i].client.index = i;
      self->editors[i].client.role = LOAD_ROLE_TALKER;
    }
  self->ledgers = g_ptr_array_new_with_free_func ((GDestroyNotify) g_array_unref);
  for (guint i = 0; i < self->n_documents; i++)
    g_ptr_array_add (self->ledgers, g_array_new (FALSE, TRUE, sizeof (Entry)));
  self->message = g_string_new (NULL);
  self->rand = g_rand_new_with_seed (1);
  self->run = g_random_int ();
  self->pool = load_pool_new (&self->target, &handlers, self);
}

void
load_editors_clear (LoadEditors *self)
{
  for (guint i = 0; i < self->n; i++)
    load_pool_close (self->pool, &self->editors[i].client);
  g_clear_pointer (&self->pool, load_pool_free);
  g_clear_pointer (&self->editors, g_free);
  g_clear_pointer (&self->ledgers, g_ptr_array_unref);
  g_clear_pointer (&self->rand, g_rand_free);
  g_string_free (self->message, TRUE);
}

/* Returns: TRUE when all of them have been greeted */
gboolean
load_editors_connect (LoadEditors *self)
{
  gint64 deadline_ns = load_now_ns () + CONNECT_NS;

  connect_more (self);
  while (self->n_present < self->n && load_editors_run_until (self, deadline_ns) &&
         load_now_ns () < deadline_ns)
    ;
  if (self->n_present < self->n)
    g_printerr ("Only %u of %u connections came up\n", self->n_present, self->n);

  return self->n_present == self->n;
}

void
load_editors_open (LoadEditors *self, LoadEditor *editor, guint document)
{
  char name[LOAD_DOCUMENT_NAME_MAX], text[LOAD_DOCUMENT_MESSAGE_MAX];

  get_name (self, document, name);
  editor->document = document;
  editor->stage = LOAD_STAGE_OPENING;
  load_pool_send (self->pool, &editor->client, text,
                  load_document_write_open (self->words, text, name));
}

void
load_editors_close (LoadEditors *self, LoadEditor *editor)
{
  char name[LOAD_DOCUMENT_NAME_MAX], text[LOAD_DOCUMENT_MESSAGE_MAX];

  get_name (self, editor->document, name);
  editor->stage = LOAD_STAGE_CLOSING;
  load_pool_send (self->pool, &editor->client, text,
                  load_document_write_close (self->words, text, name));
}

/* One turn, at the latest until @deadline_ns. Returns: FALSE once something has gone wrong */
gboolean
load_editors_run_until (LoadEditors *self, gint64 deadline_ns)
{
  load_pool_run_turn_until (self->pool, deadline_ns);

  return self->n_wrong == 0;
}
