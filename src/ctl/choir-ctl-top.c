/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* “choirctl top”: asks at intervals, and shows the answer on the terminal or prints it. */

#include "config.h"

#include "choir-ctl-top.h"

#include "choir-clock.h"

#include <glib/gi18n.h>
#include <string.h>

#define INTERVAL_DEFAULT_US G_USEC_PER_SEC
#define BATCH_ROWS 20

static char *opt_view;
static char *opt_sort;
static char *opt_interval;
static gboolean opt_batch;
static int opt_count;
static int opt_rows;

const GOptionEntry choir_ctl_top_entries[] = {
  { "view", 0, 0, G_OPTION_ARG_FILENAME, &opt_view,
    N_ ("connections (default), users, slow or channels"), N_ ("NAME") },
  { "sort", 0, 0, G_OPTION_ARG_FILENAME, &opt_sort,
    N_ ("What is to be at the top: rate, messages, queued, errors, age, connections, subscribers "
        "or bytes"),
    N_ ("KEY") },
  { "interval", 'd', 0, G_OPTION_ARG_FILENAME, &opt_interval,
    N_ ("Time between two looks (default: 1s)"), N_ ("TIME") },
  { "batch", 'b', 0, G_OPTION_ARG_NONE, &opt_batch, N_ ("Print plain text, a block each time"),
    NULL },
  { "count", 'n', 0, G_OPTION_ARG_INT, &opt_count, N_ ("With --batch or --json: end after so many"),
    N_ ("COUNT") },
  { "rows", 0, 0, G_OPTION_ARG_INT, &opt_rows,
    N_ ("With --batch or --json: so many rows each time (default: 20)"), N_ ("N") },
  G_OPTION_ENTRY_NULL,
};

/* Plain */

static void
print_json (ChoirTop *self)
{
  char time[CHOIR_CLOCK_ISO8601_SIZE];
  GVariantDict out;

  choir_clock_format_iso8601 (choir_clock_wall_us (), time);
  g_variant_dict_init (&out, NULL);
  g_variant_dict_insert (&out, "time", "s", time);
  g_variant_dict_insert (&out, "view", "s", self->question.view->name);
  g_variant_dict_insert (&out, "sort", "s", self->question.view->sorts[self->question.sort]);
  g_variant_dict_insert_value (&out, "stats", self->sample->stats);
  g_variant_dict_insert_value (&out, "rows", self->sample->rows);
  choir_ctl_print_json_line (g_variant_dict_end (&out));
}

static void
print_text (ChoirTop *self)
{
  g_autoptr (GPtrArray) lines = g_ptr_array_new_with_free_func (g_free);
  g_autofree char *rows = choir_top_view_format_rows (self->sample->view, self->sample->rows, 0,
                                                      !self->loop.ctl->no_legend);

  choir_top_format_header (lines, self->sample->stats, self->name, 0);
  for (guint i = 0; i < lines->len; i++)
    choir_ctl_print ("%s\n", (const char *) g_ptr_array_index (lines, i));
  choir_ctl_print ("\n%s\n", rows);
}

/* Returns whether there is more to come */
static gboolean
print_sample (ChoirTop *self)
{
  GError *error = NULL;

  if (self->loop.ctl->json)
    print_json (self);
  else
    print_text (self);

  if (!choir_ctl_flush (&error))
    choir_ctl_loop_fail (&self->loop, error);
  else if (self->n_left == 1)
    g_main_loop_quit (self->loop.loop);
  else
    {
      self->n_left -= self->n_left > 0 ? 1 : 0;
      return TRUE;
    }

  return FALSE;
}

/* Asking */

static void
take_sample (ChoirTop *self)
{
  ChoirTopSample *before = self->sample;

  self->sample =
    choir_top_sample_new (&self->question, self->stats_reply, self->list_reply, before);
  g_clear_pointer (&before, choir_top_sample_free);
}

static void
take_answers (ChoirTop *self)
{
  /* the list is not the one that is wanted any more */
  if (self->is_stale)
    {
      choir_top_ask (self);
      return;
    }

  take_sample (self);
  if (self->screen != NULL)
    choir_top_draw (self);
  else if (!print_sample (self))
    return;

  choir_top_arm (self);
}

static void
answer_cb (ChoirTop *self, GObject *source, GAsyncResult *result, GVariant **reply)
{
  g_autoptr (GError) problem = NULL;
  GVariant *answer = g_dbus_connection_call_finish (G_DBUS_CONNECTION (source), result, &problem);
  GError *error = NULL;

  /* the end: nothing but the cancellable is there any more */
  if (g_error_matches (problem, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return;

  g_clear_pointer (reply, g_variant_unref);
  *reply = answer;
  self->n_pending--;

  if (answer == NULL)
    {
      choir_ctl_error_translate (problem, &error);
      choir_ctl_loop_fail (&self->loop, error);
    }
  else if (self->n_pending == 0 && self->stats_reply != NULL && self->list_reply != NULL)
    take_answers (self);
}

static void
stats_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  ChoirTop *self = user_data;

  answer_cb (self, source, result, &self->stats_reply);
}

static void
list_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  ChoirTop *self = user_data;

  answer_cb (self, source, result, &self->list_reply);
}

static void
call (ChoirTop *self,
      const char *method,
      GVariant *arguments,
      const char *reply_type,
      GAsyncReadyCallback done)
{
  ChoirCtlBus *bus = &self->loop.ctl->bus;

  self->n_pending++;
  g_dbus_connection_call (bus->connection, bus->name, CHOIR_CTL_PATH, CHOIR_CTL_MANAGER, method,
                          arguments, G_VARIANT_TYPE (reply_type), G_DBUS_CALL_FLAGS_NO_AUTO_START,
                          bus->timeout_ms, self->cancellable, done, self);
}

/**
 * choir_top_ask:
 * @self: what is under way
 *
 * Asks for a new sample; it is shown when it has come. No more than what fits is asked for.
 */
void
choir_top_ask (ChoirTop *self)
{
  if (self->n_pending > 0)
    {
      self->is_stale = TRUE;
      return;
    }

  g_clear_handle_id (&self->timer, g_source_remove);
  self->is_stale = FALSE;
  self->question.limit = self->screen != NULL ? choir_top_get_room (self) : (guint) opt_rows;
  call (self, "GetStats", NULL, "(a{sv})", stats_cb);
  call (self, self->question.view->method, choir_top_question_get_arguments (&self->question),
        "(aa{sv})", list_cb);
}

static gboolean
timer_cb (gpointer user_data)
{
  ChoirTop *self = user_data;

  self->timer = 0;
  choir_top_ask (self);

  return G_SOURCE_REMOVE;
}

/**
 * choir_top_arm:
 * @self: what is under way
 *
 * Has the next sample asked for when the interval has passed.
 */
void
choir_top_arm (ChoirTop *self)
{
  g_clear_handle_id (&self->timer, g_source_remove);
  self->timer = g_timeout_add ((guint) (self->interval_us / 1000), timer_cb, self);
}

static gboolean
ask_name (ChoirTop *self, GError **error)
{
  g_autoptr (GVariant) properties =
    choir_ctl_get_all (self->loop.ctl, CHOIR_CTL_PATH, CHOIR_CTL_MANAGER, error);
  const char *node = "", *version = "";

  if (properties == NULL)
    return FALSE;

  g_variant_lookup (properties, "Node", "&s", &node);
  g_variant_lookup (properties, "Version", "&s", &version);
  self->name = g_strdup_printf ("choir %s (%s)", version, node);

  return TRUE;
}

/**
 * choir_top_ask_first:
 * @self: what is about to begin
 * @error: return location, of %CHOIR_CTL_ERROR
 *
 * While the terminal is still as it was, since a password may be asked for.
 *
 * Returns: whether there is a first sample
 */
gboolean
choir_top_ask_first (ChoirTop *self, GError **error)
{
  if (!choir_ctl_loop_watch_service (&self->loop, error) || !ask_name (self, error))
    return FALSE;

  self->stats_reply = choir_ctl_call (self->loop.ctl, "GetStats", NULL, "(a{sv})", error);
  if (self->stats_reply == NULL)
    return FALSE;

  self->list_reply =
    choir_ctl_call (self->loop.ctl, self->question.view->method,
                    choir_top_question_get_arguments (&self->question), "(aa{sv})", error);
  if (self->list_reply == NULL)
    return FALSE;

  take_sample (self);
  /* before anything happens to the terminal */
  choir_ctl_loop_catch_signals (&self->loop);

  return TRUE;
}

/* The verb */

static gboolean
fail (GError **error, const char *sentence)
{
  g_set_error_literal (error, CHOIR_CTL_ERROR, CHOIR_CTL_USAGE, sentence);

  return FALSE;
}

static gboolean
read_options (ChoirTop *self, GError **error)
{
  const ChoirTopView *view = opt_view != NULL ? choir_top_view_find (opt_view) : choir_top_views;
  int sort;

  if (view == NULL)
    return fail (error, _ ("--view: there are connections, users, slow and channels"));

  sort = opt_sort != NULL ? choir_top_view_find_sort (view, opt_sort) : 0;
  if (sort < 0)
    {
      g_autofree char *all = g_strjoinv (", ", (char **) view->sorts);

      g_set_error (error, CHOIR_CTL_ERROR, CHOIR_CTL_USAGE, _ ("--sort: “%s” has %s"), view->name,
                   all);
      return FALSE;
    }

  if (opt_count < 0 || opt_rows < 0 || opt_rows > CHOIR_TOP_ROWS_MAX)
    return fail (error, _ ("--count and --rows are positive, and --rows at most 1000"));

  opt_rows = opt_rows > 0 ? opt_rows : BATCH_ROWS;
  self->n_left = (guint) opt_count;
  self->question = (ChoirTopQuestion){ view, (guint) sort, 0, (guint) opt_rows };
  self->interval_us = INTERVAL_DEFAULT_US;

  return opt_interval == NULL ||
         choir_ctl_parse_interval ("--interval", opt_interval, CHOIR_TOP_INTERVAL_MIN_US,
                                   CHOIR_TOP_INTERVAL_MAX_US, &self->interval_us, error);
}

static gboolean
show (ChoirTop *self, GError **error)
{
  gboolean fine;

  self->screen = choir_screen_open (choir_top_key, self, error);
  if (self->screen == NULL)
    return FALSE;

  /* what was asked for first was not cut to the terminal */
  choir_top_draw (self);
  choir_top_ask (self);
  fine = choir_ctl_loop_run (&self->loop, error);
  g_clear_pointer (&self->screen, choir_screen_close);

  return fine;
}

static gboolean
print (ChoirTop *self, GError **error)
{
  if (print_sample (self))
    choir_top_arm (self);
  else if (self->loop.error == NULL)
    return TRUE;

  return choir_ctl_loop_run (&self->loop, error);
}

static void
clear (ChoirTop *self)
{
  g_clear_handle_id (&self->timer, g_source_remove);

  /* what is still asked is called back while @self is there */
  g_cancellable_cancel (self->cancellable);
  while (g_main_context_iteration (NULL, FALSE))
    ;

  choir_ctl_loop_clear (&self->loop);
  g_clear_object (&self->cancellable);
  g_clear_pointer (&self->stats_reply, g_variant_unref);
  g_clear_pointer (&self->list_reply, g_variant_unref);
  g_clear_pointer (&self->sample, choir_top_sample_free);
  g_clear_pointer (&self->name, g_free);
}

/**
 * choir_ctl_top:
 * @ctl: the options and the bus
 * @words: none
 * @error: return location, of %CHOIR_CTL_ERROR
 *
 * Shows who uses the service most, until it is told to stop.
 *
 * Returns: whether it was
 */
gboolean
choir_ctl_top (ChoirCtl *ctl, char **words, GError **error)
{
  gboolean plain = opt_batch || ctl->json;
  ChoirTop self = { 0 };
  gboolean fine;

  if (!read_options (&self, error))
    return FALSE;

  if (!plain && !choir_ctl_is_terminal ())
    return fail (error, _ ("There is no terminal to draw on; --batch prints plain text"));

  choir_ctl_loop_init (&self.loop, ctl);
  self.cancellable = g_cancellable_new ();
  fine = choir_top_ask_first (&self, error) && (plain ? print (&self, error) : show (&self, error));
  clear (&self);

  return fine;
}
