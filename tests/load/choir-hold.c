/* choir-hold.c: holds many connections until the server sends them away
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Says three lines of key=value pairs, one when each stage is over:
 *  held       all N are authenticated and subscribed
 *  broadcast  one message published to the channel `all` has reached all of them
 *  left       the server was told to stop (by whoever reads the second line) and they are gone
 */

#include "config.h"

#include <gio/gio.h>
#include <locale.h>
#include <string.h>
#include <sys/resource.h>

#include "load-client.h"
#include "load-stats.h"
#include "load-token.h"

#define CONNECTING_MAX 64
#define NS_PER_MS 1e6
#define NS_PER_S G_GINT64_CONSTANT (1000000000)
#define CONNECT_NS (120 * NS_PER_S)
#define BROADCAST_NS (30 * NS_PER_S)
#define CODE_RESTART 1012
#define MESSAGE_TYPE "load.broadcast"

/* What has become of one of them */
typedef enum
{
  SAW_BROADCAST = 1 << 0,
  SAW_RECONNECT = 1 << 1,
  SAW_CLOSE = 1 << 2,
} Seen;

typedef struct
{
  LoadTarget target;
  LoadPool *pool; /* (owned) */
  int n;
  int leave_seconds;
  LoadClient *clients; /* (owned) (array length=n + 1), the last one publishes */
  guint8 *seen;        /* (owned) (array length=n + 1) */
  guint n_started;
  guint n_connecting;
  guint n_ready;
  guint n_failed;
  guint n_broadcast;
  guint n_repeated;
  guint n_reconnect;
  guint n_restart;
  guint n_other_codes;
  guint n_gone;
  guint n_unannounced; /* ended without a close frame */
  gint64 first_reconnect_ns;
} Hold;

static gboolean
contains (const char *text, gsize len, const char *wanted)
{
  return memmem (text, len, wanted, strlen (wanted)) != NULL;
}

static gboolean
is_first (Hold *self, LoadClient *client, Seen what)
{
  gboolean first = (self->seen[client->index] & what) == 0;

  self->seen[client->index] |= (guint8) what;

  return first;
}

static void
text_cb (LoadClient *client, const char *text, gsize len, gpointer user_data)
{
  Hold *self = user_data;

  if (contains (text, len, "\"" MESSAGE_TYPE "\"") && client->role == LOAD_ROLE_SUBSCRIBER)
    {
      if (is_first (self, client, SAW_BROADCAST))
        self->n_broadcast++;
      else
        self->n_repeated++;
    }
  else if (contains (text, len, "\"system.reconnect\""))
    {
      if (self->first_reconnect_ns == 0)
        self->first_reconnect_ns = load_now_ns ();
      if (is_first (self, client, SAW_RECONNECT))
        self->n_reconnect++;
    }
  else if (contains (text, len, "\"error\""))
    g_printerr ("refused: %.*s\n", (int) MIN (len, 400), text);
}

static void
connect_more (Hold *self)
{
  while (self->n_connecting < CONNECTING_MAX && self->n_started <= (guint) self->n)
    {
      self->n_connecting++;
      load_pool_connect (self->pool, &self->clients[self->n_started++]);
    }
}

static void
ready_cb (LoadClient *client, gpointer user_data)
{
  Hold *self = user_data;

  self->n_connecting--;
  self->n_ready++;
  connect_more (self);
}

static void
closing_cb (LoadClient *client, guint code, gpointer user_data)
{
  Hold *self = user_data;

  if (!is_first (self, client, SAW_CLOSE))
    return;
  if (code == CODE_RESTART)
    self->n_restart++;
  else
    {
      self->n_other_codes++;
      g_printerr ("closed with %u\n", code);
    }
}

static void
closed_cb (LoadClient *client, gboolean failed, gpointer user_data)
{
  Hold *self = user_data;

  if (failed)
    self->n_failed++;
  self->n_gone++;
  if ((self->seen[client->index] & SAW_CLOSE) == 0)
    self->n_unannounced++;
}

static gboolean
hold (Hold *self)
{
  gint64 began_ns = load_now_ns ();

  connect_more (self);
  while (self->n_ready <= (guint) self->n && self->n_gone == 0 &&
         load_now_ns () < began_ns + CONNECT_NS)
    load_pool_run_turn (self->pool, 100);
  g_print ("held n=%u seconds=%.2f\n", self->n_ready - (self->n_ready > (guint) self->n ? 1 : 0),
           (double) (load_now_ns () - began_ns) / NS_PER_S);

  return self->n_ready == (guint) self->n + 1 && self->n_gone == 0;
}

static gboolean
broadcast (Hold *self)
{
  static const char message[] =
    "{\"type\":\"publish\",\"payload\":{\"channel\":\"all\",\"type\":\"" MESSAGE_TYPE "\","
    "\"payload\":{\"text\":\"to everybody\"}}}";
  gint64 began_ns = load_now_ns (), all_ns = 0;

  load_pool_send (self->pool, &self->clients[self->n], message, strlen (message));
  while (self->n_broadcast < (guint) self->n && self->n_gone == 0 &&
         load_now_ns () < began_ns + BROADCAST_NS)
    load_pool_run_turn (self->pool, 100);
  all_ns = load_now_ns () - began_ns;
  /* one too many would come right behind */
  load_pool_run_turn (self->pool, 200);
  g_print ("broadcast reached=%u repeated=%u ms=%.1f\n", self->n_broadcast, self->n_repeated,
           (double) all_ns / NS_PER_MS);

  return self->n_broadcast == (guint) self->n && self->n_repeated == 0;
}

/* Counts the publisher too: it is a client like the others */
static gboolean
leave (Hold *self)
{
  guint n = (guint) self->n + 1;
  gint64 deadline_ns = load_now_ns () + self->leave_seconds * NS_PER_S;

  while (self->n_gone < n && load_now_ns () < deadline_ns)
    load_pool_run_turn (self->pool, 100);
  g_print ("left connections=%u reconnect=%u close_1012=%u close_other=%u no_close=%u "
           "still_open=%u seconds=%.2f\n",
           n, self->n_reconnect, self->n_restart, self->n_other_codes, self->n_unannounced,
           n - self->n_gone, (double) (load_now_ns () - self->first_reconnect_ns) / NS_PER_S);

  return self->n_reconnect == n && self->n_restart == n && self->n_gone == n;
}

static gboolean
parse_options (Hold *self, int *argc, char ***argv, GError **error)
{
  g_autofree char *key = NULL;
  int port = 0;
  const GOptionEntry entries[] = {
    { "port", 'p', 0, G_OPTION_ARG_INT, &port, "Port on 127.0.0.1", "PORT" },
    { "key", 0, 0, G_OPTION_ARG_FILENAME, &key, "HS256 secret to make tokens with", "FILE" },
    { "connections", 'n', 0, G_OPTION_ARG_INT, &self->n, "Connections", "N" },
    { "leave", 0, 0, G_OPTION_ARG_INT, &self->leave_seconds, "How long leaving may take", "S" },
    G_OPTION_ENTRY_NULL,
  };
  g_autoptr (GOptionContext) context = g_option_context_new ("- hold many connections");

  g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse (context, argc, argv, error))
    return FALSE;
  if (port < 1 || port > G_MAXUINT16 || self->n < 1 || self->leave_seconds < 1 || key == NULL)
    {
      g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                   "An option is missing or out of range, see --help");
      return FALSE;
    }
  self->target.port = (guint16) port;

  return load_token_read_key (key, &self->target.key, error);
}

static void
hold_init (Hold *self)
{
  static const LoadHandlers handlers = { ready_cb, text_cb, closed_cb, closing_cb };
  struct rlimit limit;

  getrlimit (RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit (RLIMIT_NOFILE, &limit);

  self->clients = g_new0 (LoadClient, (gsize) self->n + 1);
  self->seen = g_new0 (guint8, (gsize) self->n + 1);
  for (int i = 0; i <= self->n; i++)
    {
      self->clients[i].fd = -1;
      self->clients[i].index = (guint) i;
      self->clients[i].role = i < self->n ? LOAD_ROLE_SUBSCRIBER : LOAD_ROLE_PUBLISHER;
    }
  self->pool = load_pool_new (&self->target, &handlers, self);
}

static void
hold_clear (Hold *self)
{
  for (int i = 0; i <= self->n; i++)
    load_pool_close (self->pool, &self->clients[i]);
  load_pool_free (self->pool);
  g_free (self->clients);
  g_free (self->seen);
  g_bytes_unref (self->target.key);
}

int
main (int argc, char *argv[])
{
  Hold self = { .n = 10000,
                .leave_seconds = 60,
                .target.protocol = LOAD_PROTOCOL_CHOIR,
                .target.channel = "chat:hold" };
  g_autoptr (GError) error = NULL;
  gboolean good;

  setlocale (LC_NUMERIC, "C");
  if (!parse_options (&self, &argc, &argv, &error))
    {
      g_printerr ("choir-hold: %s\n", error->message);
      return 2;
    }
  hold_init (&self);
  good = hold (&self) && broadcast (&self) && leave (&self);
  hold_clear (&self);

  return good ? 0 : 1;
}
