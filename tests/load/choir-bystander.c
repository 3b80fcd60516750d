/* choir-bystander.c: clients that only want to be answered, whatever the others do to the server
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * N sessions send R pings a second each, at their times and not when the last one was answered: a
 * server that stalls gets no fewer pings for it, and each of them waits. Each line on standard
 * input ends a phase: all pings of the phase are waited for, then one line of figures is printed
 * and the next phase begins. The end of standard input ends the program.
 */

#include "config.h"

#include <gio/gio.h>
#include <locale.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "load-client.h"
#include "load-stats.h"
#include "load-token.h"

#define NS_PER_US 1e3
#define NS_PER_MS G_GINT64_CONSTANT (1000000)
#define NS_PER_S (1000 * NS_PER_MS)
#define CONNECT_NS (30 * NS_PER_S)
#define ANSWER_NS (10 * NS_PER_S)

typedef enum
{
  COMMAND_NONE,
  COMMAND_REPORT,
  COMMAND_END,
} Command;

typedef struct
{
  LoadTarget target;
  LoadPool *pool; /* (owned) */
  int n;
  int rate;
  LoadClient *clients; /* (owned) (array length=n) */
  guint n_ready;
  guint n_lost;
  guint next;
  gint64 due_ns;

  /* of this phase */
  guint64 n_sent;
  guint64 n_answered;
  guint64 n_errors;
  gint64 worst_ns;
  LoadHistogram latency;
} Bystander;

static void
ready_cb (LoadClient *client, gpointer user_data)
{
  ((Bystander *) user_data)->n_ready++;
}

static void
closed_cb (LoadClient *client, gboolean failed, gpointer user_data)
{
  ((Bystander *) user_data)->n_lost++;
}

static void
text_cb (LoadClient *client, const char *text, gsize len, gpointer user_data)
{
  Bystander *self = user_data;
  const char *stamp = memchr (text, '@', len);
  gint64 latency_ns;

  if (memmem (text, len, "\"error\"", strlen ("\"error\"")) != NULL)
    {
      self->n_errors++;
      g_printerr ("refused: %.*s\n", (int) MIN (len, 400), text);
    }
  if (stamp == NULL || memmem (text, len, "\"pong\"", strlen ("\"pong\"")) == NULL)
    return;

  /* the quote that ends the string ends the number */
  latency_ns = load_now_ns () - g_ascii_strtoll (stamp + 1, NULL, 10);
  self->n_answered++;
  self->worst_ns = MAX (self->worst_ns, latency_ns);
  load_histogram_record (&self->latency, latency_ns);
}

static void
send_due (Bystander *self)
{
  gint64 step_ns = NS_PER_S / ((gint64) self->n * self->rate);
  char text[128];

  while (self->due_ns <= load_now_ns () && self->n_lost == 0)
    {
      int len = g_snprintf (
        text, sizeof text,
        "{\"type\":\"ping\",\"payload\":{\"ping_id\":\"@%" G_GINT64_FORMAT "\"}}", load_now_ns ());

      load_pool_send (self->pool, &self->clients[self->next], text, (gsize) len);
      self->n_sent++;
      self->next = (self->next + 1) % (guint) self->n;
      self->due_ns += step_ns;
    }
}

static Command
read_command (void)
{
  struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
  char line[256];

  if (poll (&input, 1, 0) != 1)
    return COMMAND_NONE;

  return read (STDIN_FILENO, line, sizeof line) > 0 ? COMMAND_REPORT : COMMAND_END;
}

static void
report (Bystander *self)
{
  gint64 deadline_ns = load_now_ns () + ANSWER_NS;

  while (self->n_answered < self->n_sent && self->n_lost == 0 && load_now_ns () < deadline_ns)
    load_pool_run_turn (self->pool, 10);
  g_print ("sent=%" G_GUINT64_FORMAT " answered=%" G_GUINT64_FORMAT " errors=%" G_GUINT64_FORMAT
           " lost=%u p50_us=%.0f p99_us=%.0f worst_us=%.0f\n",
           self->n_sent, self->n_answered, self->n_errors, self->n_lost,
           (double) load_histogram_get_quantile_ns (&self->latency, 0.5) / NS_PER_US,
           (double) load_histogram_get_quantile_ns (&self->latency, 0.99) / NS_PER_US,
           (double) self->worst_ns / NS_PER_US);

  self->n_sent = self->n_answered = self->n_errors = 0;
  self->worst_ns = 0;
  memset (&self->latency, 0, sizeof self->latency);
  self->due_ns = load_now_ns ();
}

static gboolean
open_all (Bystander *self)
{
  gint64 deadline_ns = load_now_ns () + CONNECT_NS;

  for (int i = 0; i < self->n; i++)
    load_pool_connect (self->pool, &self->clients[i]);
  while (self->n_ready < (guint) self->n && self->n_lost == 0 && load_now_ns () < deadline_ns)
    load_pool_run_turn (self->pool, 100);
  if (self->n_ready < (guint) self->n)
    {
      g_printerr ("Only %u of %d connections came up\n", self->n_ready, self->n);
      return FALSE;
    }
  g_print ("ready real_time=%d\n", sched_getscheduler (0) == SCHED_FIFO);
  self->due_ns = load_now_ns ();

  return TRUE;
}

static void
stand_by (Bystander *self)
{
  Command command;

  while ((command = read_command ()) != COMMAND_END)
    {
      if (command == COMMAND_REPORT)
        report (self);
      send_due (self);
      load_pool_run_turn (self->pool, 1);
    }
}

static gboolean
parse_options (Bystander *self, int *argc, char ***argv, GError **error)
{
  g_autofree char *key = NULL;
  int port = 0;
  const GOptionEntry entries[] = {
    { "port", 'p', 0, G_OPTION_ARG_INT, &port, "Port on 127.0.0.1", "PORT" },
    { "key", 0, 0, G_OPTION_ARG_FILENAME, &key, "HS256 secret to make tokens with", "FILE" },
    { "connections", 'n', 0, G_OPTION_ARG_INT, &self->n, "Connections", "N" },
    { "rate", 'r', 0, G_OPTION_ARG_INT, &self->rate, "Pings a second of each", "R" },
    G_OPTION_ENTRY_NULL,
  };
  g_autoptr (GOptionContext) context = g_option_context_new ("- be served beside others");

  g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse (context, argc, argv, error))
    return FALSE;
  if (port < 1 || port > G_MAXUINT16 || self->n < 1 || self->n > 1000 || self->rate < 1 ||
      self->rate > 1000 || key == NULL)
    {
      g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                   "An option is missing or out of range, see --help");
      return FALSE;
    }
  self->target.port = (guint16) port;

  return load_token_read_key (key, &self->target.key, error);
}

/* It shares its core with the attackers, and must not wait for them; refused, it makes do */
static void
go_first (void)
{
  struct sched_param first = { .sched_priority = 1 };

  sched_setscheduler (0, SCHED_FIFO, &first);
  prctl (PR_SET_TIMERSLACK, 1);
}

int
main (int argc, char *argv[])
{
  static const LoadHandlers handlers = { ready_cb, text_cb, closed_cb };
  Bystander self = { .n = 20, .rate = 50, .target.protocol = LOAD_PROTOCOL_CHOIR };
  g_autoptr (GError) error = NULL;
  gboolean good;

  setlocale (LC_NUMERIC, "C");
  if (!parse_options (&self, &argc, &argv, &error))
    {
      g_printerr ("choir-bystander: %s\n", error->message);
      return 2;
    }
  self.clients = g_new0 (LoadClient, (gsize) self.n);
  for (int i = 0; i < self.n; i++)
    {
      self.clients[i].fd = -1;
      self.clients[i].index = (guint) i;
      self.clients[i].role = LOAD_ROLE_TALKER;
    }
  self.pool = load_pool_new (&self.target, &handlers, &self);
  go_first ();
  good = open_all (&self);
  if (good)
    stand_by (&self);
  for (int i = 0; i < self.n; i++)
    load_pool_close (self.pool, &self.clients[i]);
  load_pool_free (self.pool);
  g_free (self.clients);
  g_bytes_unref (self.target.key);

  return good ? 0 : 1;
}
