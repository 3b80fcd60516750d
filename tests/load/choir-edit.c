/* choir-edit.c: puts documents under one kind of load and says what it cost
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Modes:
 *  durable  K of N editors of D documents with W changes in flight each, as fast as it goes
 *  paced    N editors with R changes a second each, evenly spread or B of them at a moment
 *  create   N clients make D documents: a first text, so many changes each, closed again
 *  open     one editor opens a document and closes it, over and over
 *  hold     N editors open D documents, nothing said, and close them: memory
 *
 * The result is one line of key=value pairs; times are of the server's processes (--pid). `cpu_us`
 * is for each change (create, durable, paced) or opening (open, hold), `reader_us` for each change
 * and each one who has it, its sender included. `ack` is from when a change was due to its
 * acknowledgement, `all` until the last one had it. `busy` and `self_busy` are fractions of a core.
 */

#include "config.h"

#include <gio/gio.h>
#include <locale.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "edit.h"
#include "load-token.h"

EditReading
edit_read (Edit *self)
{
  return (EditReading){ .now_ns = load_now_ns (),
                        .cpu_ns = load_server_get_cpu_ns (&self->server),
                        .self_ns = load_self_get_cpu_ns (),
                        .n_acknowledged = self->editors.n_acknowledged,
                        .n_delivered = self->editors.n_delivered };
}

/* These return FALSE when something has gone wrong */
gboolean
edit_run_for (Edit *self, double seconds)
{
  gint64 deadline_ns = load_now_ns () + (gint64) (seconds * EDIT_NS_PER_S);

  while (load_now_ns () < deadline_ns)
    if (!load_editors_run_until (&self->editors, deadline_ns))
      return FALSE;

  return TRUE;
}

gboolean
edit_wait_for_open (Edit *self, guint n)
{
  gint64 deadline_ns = load_now_ns () + EDIT_PREPARE_NS;

  while (self->editors.n_open < n && load_now_ns () < deadline_ns)
    if (!load_editors_run_until (&self->editors, deadline_ns))
      return FALSE;
  if (self->editors.n_open < n)
    g_printerr ("Only %u of %u have their document open\n", self->editors.n_open, n);

  return self->editors.n_open >= n;
}

/* Until it is due, and the editor has opened what it was asked to open before */
static gboolean
wait_for_turn (Edit *self, const LoadEditor *editor, gint64 due_ns)
{
  gint64 deadline_ns = load_now_ns () + EDIT_PREPARE_NS;

  while (load_now_ns () < due_ns || editor->stage == LOAD_STAGE_OPENING ||
         editor->stage == LOAD_STAGE_WRITING)
    {
      gint64 turn_ns = load_now_ns () + EDIT_TURN_NS;

      if (due_ns > load_now_ns ())
        turn_ns = MIN (turn_ns, due_ns);
      if (!load_editors_run_until (&self->editors, turn_ns) || load_now_ns () >= deadline_ns)
        return FALSE;
    }

  return TRUE;
}

/* All documents, each by as many as there are, in turn. A new one's text is written by the first
 * who opens it: the others come when it is there. @per_s: 0 as fast as it goes */
gboolean
edit_open_all (Edit *self, double per_s)
{
  LoadEditors *editors = &self->editors;
  guint n = MAX (editors->n, editors->n_documents);
  gint64 begin_ns = load_now_ns ();

  for (guint i = 0; i < n; i++)
    {
      LoadEditor *editor = &editors->editors[i % editors->n];
      gint64 due_ns = per_s > 0 ? begin_ns + (gint64) (i * EDIT_NS_PER_S / per_s) : 0;

      if ((i == editors->n_documents && !edit_wait_for_open (self, i)) ||
          !wait_for_turn (self, editor, due_ns))
        return FALSE;
      load_editors_open (editors, editor, i % editors->n_documents);
    }

  return edit_wait_for_open (self, n);
}

static gboolean
set_mode (Edit *self, const char *mode)
{
  static const struct
  {
    const char *name;
    gboolean (*measure) (gpointer self);
  } modes[] = { { "durable", edit_measure_load },
                { "paced", edit_measure_load },
                { "create", edit_measure_create },
                { "open", edit_measure_open },
                { "hold", edit_measure_hold } };

  for (guint i = 0; i < G_N_ELEMENTS (modes); i++)
    if (g_strcmp0 (modes[i].name, mode) == 0)
      self->measure = modes[i].measure;
  if (self->measure == edit_measure_load && g_str_equal (mode, "durable") == (self->rate > 0))
    return FALSE;

  return self->measure != NULL;
}

static gboolean
set_protocol (Edit *self, const char *protocol)
{
  gboolean sharedb = g_strcmp0 (protocol, "sharedb") == 0;

  self->editors.words = sharedb ? LOAD_WORDS_SHAREDB : LOAD_WORDS_CHOIR;
  /* raw: its first words are no business of the pool's */
  self->editors.target.protocol = sharedb ? LOAD_PROTOCOL_RAW : LOAD_PROTOCOL_CHOIR;
  /* its clients have one operation of a document under way */
  if (sharedb && self->window > 1)
    return FALSE;

  return sharedb || protocol == NULL || g_str_equal (protocol, "choir");
}

static gboolean
check_numbers (Edit *self, int port)
{
  if (self->n_active == 0)
    self->n_active = self->n;

  return port >= 1 && port <= G_MAXUINT16 && self->n >= 1 && self->n_documents >= 1 &&
         self->n_active >= 1 && self->n_active <= self->n && self->size >= 0 && self->window >= 1 &&
         self->window <= LOAD_WINDOW_MAX && self->burst >= 1 && self->n_changes >= 0 &&
         self->rate >= 0 && (self->measure != edit_measure_load || self->n_documents <= self->n);
}

static gboolean
parse_options (Edit *self, int *argc, char ***argv, GError **error)
{
  g_autofree char *mode = NULL, *protocol = NULL, *pids = NULL, *key = NULL;
  int port = 0;
  const GOptionEntry entries[] = {
    { "mode", 'm', 0, G_OPTION_ARG_STRING, &mode, "durable, paced, create, open or hold", "MODE" },
    { "protocol", 0, 0, G_OPTION_ARG_STRING, &protocol, "choir or sharedb", "NAME" },
    { "port", 'p', 0, G_OPTION_ARG_INT, &port, "Port on 127.0.0.1", "PORT" },
    { "pid", 'P', 0, G_OPTION_ARG_STRING, &pids, "Processes of the server", "PID,..." },
    { "key", 0, 0, G_OPTION_ARG_FILENAME, &key, "HS256 secret to make tokens with", "FILE" },
    { "connections", 'n', 0, G_OPTION_ARG_INT, &self->n, "Editors", "N" },
    { "active", 'k', 0, G_OPTION_ARG_INT, &self->n_active, "Of which change something", "K" },
    { "documents", 'd', 0, G_OPTION_ARG_INT, &self->n_documents, "Documents", "D" },
    { "name", 0, 0, G_OPTION_ARG_STRING, &self->editors.name, "What their names begin with",
      "NAME" },
    { "size", 's', 0, G_OPTION_ARG_INT, &self->size, "Characters of a new one", "CHARS" },
    { "window", 'w', 0, G_OPTION_ARG_INT, &self->window, "Changes of an editor in flight", "W" },
    { "rate", 'r', 0, G_OPTION_ARG_DOUBLE, &self->rate,
      "Changes of an editor, or openings, a second", "R" },
    { "burst", 'b', 0, G_OPTION_ARG_INT, &self->burst, "Editors that send at a moment", "B" },
    { "changes", 0, 0, G_OPTION_ARG_INT64, &self->n_changes, "Exactly so many changes", "N" },
    { "replace", 0, 0, G_OPTION_ARG_NONE, &self->editors.replace, "Keep the text's length", NULL },
    { "seconds", 't', 0, G_OPTION_ARG_DOUBLE, &self->seconds, "How long", "S" },
    { "warmup", 'u', 0, G_OPTION_ARG_DOUBLE, &self->warmup, "How long before", "S" },
    { "idle", 0, 0, G_OPTION_ARG_DOUBLE, &self->idle, "Waiting before memory is read", "S" },
    G_OPTION_ENTRY_NULL,
  };
  g_autoptr (GOptionContext) context = g_option_context_new ("- edit documents");

  g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse (context, argc, argv, error))
    return FALSE;
  if (!set_mode (self, mode) || !set_protocol (self, protocol) || !check_numbers (self, port) ||
      !load_server_init (&self->server, pids))
    {
      g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                   "An option is missing or out of range, see --help");
      return FALSE;
    }
  self->editors.target.port = (guint16) port;

  return load_token_read_key (key, &self->editors.target.key, error);
}

static void
edit_init (Edit *self)
{
  struct rlimit limit;

  getrlimit (RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit (RLIMIT_NOFILE, &limit);
  /* changes are due at their times, not 50 us later */
  prctl (PR_SET_TIMERSLACK, 1);

  if (self->editors.name == NULL)
    self->editors.name = g_strdup ("load");
  self->editors.n = (guint) self->n;
  self->editors.n_documents = (guint) self->n_documents;
  self->editors.size = (gsize) self->size;
  self->editors.user_data = self;
  self->n_left = g_new0 (guint64, self->editors.n);
  load_editors_start (&self->editors);
}

static void
edit_clear (Edit *self)
{
  load_editors_clear (&self->editors);
  load_server_clear (&self->server);
  g_clear_pointer (&self->editors.target.key, g_bytes_unref);
  g_clear_pointer (&self->editors.name, g_free);
  g_clear_pointer (&self->n_left, g_free);
}

int
main (int argc, char *argv[])
{
  Edit edit = { .n = 1,
                .n_documents = 1,
                .size = 1000,
                .window = 1,
                .burst = 1,
                .seconds = 2,
                .warmup = 0.5,
                .idle = 1 };
  g_autoptr (GError) error = NULL;
  gboolean good;

  setlocale (LC_NUMERIC, "C");
  if (!parse_options (&edit, &argc, &argv, &error))
    {
      g_printerr ("choir-edit: %s\n", error->message);
      return 2;
    }
  edit_init (&edit);
  good = edit.measure (&edit) && edit.editors.n_wrong == 0;
  edit_clear (&edit);

  return good ? 0 : 1;
}
