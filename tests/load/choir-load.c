/* choir-load.c: puts a WebSocket server under one kind of load and says what it cost
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Modes:
 *  fanout   N subscribers of one channel, one publisher with W messages in flight
 *  echo     N connections of which K talk, each waiting for its answer: an echo, or ping and pong
 *  idle     N subscribers, nothing said: memory
 *  connect  C clients that come, are greeted and go, for as long as it lasts
 *
 * The result is one line of key=value pairs. Times are of the server's processes (--pid), per
 * message delivered, answered, or per connection. `busy` and `self_busy` are fractions of a core:
 * when self_busy is near 1 the rate is the generator's, the cost is still the server's.
 */

#include "config.h"

#include <gio/gio.h>
#include <locale.h>
#include <string.h>
#include <sys/resource.h>

#include "load-cbor.h"
#include "load-client.h"
#include "load-stats.h"
#include "load-token.h"

#define CONNECTING_MAX 64
#define CONNECT_DEADLINE_NS (G_GINT64_CONSTANT (90) * 1000 * 1000 * 1000)
#define DRAIN_NS (G_GINT64_CONSTANT (3) * 1000 * 1000 * 1000)
#define FAILURES_MAX 20
#define NS_PER_S 1e9
#define NS_PER_US 1e3
/* Reading a time from every delivery would cost the generator more than receiving it */
#define LATENCY_SAMPLE 64
#define STAMP_DIGITS 16
#define MESSAGE_TYPE "load.message"

typedef enum
{
  MODE_FANOUT,
  MODE_ECHO,
  MODE_IDLE,
  MODE_CONNECT,
} LoadMode;

typedef struct
{
  /* options */
  LoadMode mode;
  LoadTarget target;
  int n;
  int n_active;
  int window;
  int size;
  gint64 n_messages; /* 0: for as long as it lasts */
  double seconds;
  double warmup;

  LoadPool *pool; /* (owned) */
  LoadServer server;
  LoadClient *clients; /* (owned) (array length=n_clients) */
  guint n_clients;
  guint n_started;
  guint n_connecting;
  guint n_ready;
  guint n_failed;
  guint n_lost;
  GString *message; /* (owned) one message, with room for the time at @stamp */
  gsize stamp;

  gboolean measuring;
  gboolean stopping;
  guint64 n_sent;
  guint64 n_done; /* deliveries, answers or connections */
  LoadHistogram latency;
} Load;

/* What was read at one moment */
typedef struct
{
  gint64 now_ns;
  gint64 cpu_ns;
  gint64 self_ns;
  guint64 n_done;
} Reading;

static Reading
take_reading (Load *self)
{
  return (Reading){ .now_ns = load_now_ns (),
                    .cpu_ns = load_server_get_cpu_ns (&self->server),
                    .self_ns = load_self_get_cpu_ns (),
                    .n_done = self->n_done };
}

/* The time as hexadecimal digits behind an @, which nothing else in a message is */
static void
write_stamp (Load *self, gint64 now_ns)
{
  static const char digits[] = "0123456789abcdef";
  char *at = self->message->str + self->stamp;

  for (int i = STAMP_DIGITS - 1; i >= 0; i--, now_ns >>= 4)
    at[i] = digits[now_ns & 15];
}

static gint64
read_stamp (const char *text, gsize len)
{
  const char *at = memchr (text, '@', len);
  gint64 value = 0;

  if (at == NULL || (gsize) (text + len - at) <= STAMP_DIGITS)
    return -1;
  for (int i = 1; i <= STAMP_DIGITS; i++)
    value = value << 4 | g_ascii_xdigit_value (at[i]);

  return value;
}

static void
send_message (Load *self, LoadClient *client)
{
  write_stamp (self, load_now_ns ());
  load_pool_send (self->pool, client, self->message->str, self->message->len);
  self->n_sent++;
}

static void
record_latency (Load *self, const char *text, gsize len)
{
  gint64 sent_ns = self->measuring ? read_stamp (text, len) : -1;

  if (sent_ns >= 0)
    load_histogram_record (&self->latency, load_now_ns () - sent_ns);
}

static gboolean
is_choir (Load *self)
{
  return self->target.protocol == LOAD_PROTOCOL_CHOIR ||
         self->target.protocol == LOAD_PROTOCOL_CHOIR_CBOR;
}

static gboolean
is_counted (Load *self, const char *text, gsize len)
{
  const char *wanted = self->mode == MODE_FANOUT ? MESSAGE_TYPE : "pong";

  return !is_choir (self) || memmem (text, len, wanted, strlen (wanted)) != NULL;
}

static gboolean
may_send (Load *self)
{
  return !self->stopping && (self->n_messages == 0 || self->n_sent < (guint64) self->n_messages);
}

static void
text_cb (LoadClient *client, const char *text, gsize len, gpointer user_data)
{
  Load *self = user_data;

  if (client->role == LOAD_ROLE_PUBLISHER)
    {
      if (memmem (text, len, "\"error\"", strlen ("\"error\"")) != NULL)
        g_printerr ("refused: %.*s\n", (int) MIN (len, 400), text);
      return;
    }
  if (!is_counted (self, text, len))
    return;

  self->n_done++;
  if (client->role == LOAD_ROLE_TALKER || client->index % LATENCY_SAMPLE == 0)
    record_latency (self, text, len);
  if (client->role == LOAD_ROLE_TALKER && client->active && may_send (self))
    send_message (self, client);
}

static void
connect_more (Load *self)
{
  while (self->n_connecting < CONNECTING_MAX && self->n_started < self->n_clients)
    {
      self->n_connecting++;
      load_pool_connect (self->pool, &self->clients[self->n_started++]);
    }
}

static void
ready_cb (LoadClient *client, gpointer user_data)
{
  Load *self = user_data;

  if (self->mode != MODE_CONNECT)
    {
      self->n_connecting--;
      self->n_ready++;
      connect_more (self);
      return;
    }

  self->n_done++;
  if (self->measuring)
    load_histogram_record (&self->latency, load_now_ns () - client->began_ns);
  load_pool_close (self->pool, client);
  if (!self->stopping)
    load_pool_connect (self->pool, client);
}

static void
closed_cb (LoadClient *client, gboolean failed, gpointer user_data)
{
  Load *self = user_data;

  if (!failed)
    {
      self->n_lost++;
      return;
    }
  self->n_failed++;
  if (self->mode == MODE_CONNECT && self->n_failed < FAILURES_MAX)
    load_pool_connect (self->pool, client);
}

static void
run_until (Load *self, gint64 deadline_ns)
{
  while (load_now_ns () < deadline_ns && self->n_failed < FAILURES_MAX)
    load_pool_run_turn (self->pool, 10);
}

static gint64
after (double seconds)
{
  return load_now_ns () + (gint64) (seconds * NS_PER_S);
}

static gboolean
open_all (Load *self)
{
  gint64 deadline_ns = load_now_ns () + CONNECT_DEADLINE_NS;

  connect_more (self);
  while (self->n_ready < self->n_clients && self->n_failed + self->n_lost == 0 &&
         load_now_ns () < deadline_ns)
    load_pool_run_turn (self->pool, 100);
  if (self->n_ready < self->n_clients)
    {
      g_printerr ("Only %u of %u connections came up\n", self->n_ready, self->n_clients);
      return FALSE;
    }
  /* what the greeting left in the queues is not part of the measurement */
  run_until (self, after (0.2));

  return TRUE;
}

/* At most @window messages that not everybody has got */
static void
publish_more (Load *self)
{
  guint64 n = (guint64) self->n;

  while (may_send (self) && self->n_sent * n - self->n_done <= ((guint64) self->window - 1) * n)
    send_message (self, &self->clients[self->n_clients - 1]);
}

static void
talk (Load *self)
{
  for (int i = 0; i < self->n_active; i++)
    {
      LoadClient *client = &self->clients[(gint64) i * self->n / self->n_active];

      client->active = TRUE;
      if (may_send (self))
        send_message (self, client);
    }
}

/* Keeps the load up until the time is over, or all messages have arrived */
static void
run_load (Load *self, gint64 deadline_ns)
{
  guint64 per_message = self->mode == MODE_FANOUT ? (guint64) self->n : 1;

  while (load_now_ns () < deadline_ns && self->n_lost == 0 && self->n_failed < FAILURES_MAX)
    {
      if (self->n_messages > 0 && self->n_done >= (guint64) self->n_messages * per_message)
        return;
      if (self->mode == MODE_FANOUT)
        publish_more (self);
      load_pool_run_turn (self->pool, 10);
    }
}

static void
print_result (Load *self, const Reading *a, const Reading *b)
{
  double done = (double) MAX (b->n_done - a->n_done, 1);
  double wall_ns = (double) (b->now_ns - a->now_ns);

  g_print ("done=%" G_GUINT64_FORMAT " cpu_us=%.3f per_s=%.0f p50_us=%.0f p99_us=%.0f busy=%.2f "
           "self_busy=%.2f failed=%u lost=%u\n",
           b->n_done - a->n_done, (double) (b->cpu_ns - a->cpu_ns) / NS_PER_US / done,
           done * NS_PER_S / wall_ns,
           (double) load_histogram_get_quantile_ns (&self->latency, 0.5) / NS_PER_US,
           (double) load_histogram_get_quantile_ns (&self->latency, 0.99) / NS_PER_US,
           (double) (b->cpu_ns - a->cpu_ns) / wall_ns, (double) (b->self_ns - a->self_ns) / wall_ns,
           self->n_failed, self->n_lost);
}

/* With a number of messages there is no warming up: each of them is counted */
static gboolean
measure (Load *self)
{
  Reading begin, end;

  if (self->n_messages == 0)
    run_load (self, after (self->warmup));
  self->measuring = TRUE;
  begin = take_reading (self);
  run_load (self, after (self->seconds));
  end = take_reading (self);
  self->stopping = TRUE;
  print_result (self, &begin, &end);
  if (self->n_messages > 0)
    return self->n_sent == (guint64) self->n_messages && end.n_done > 0;

  return end.n_done > begin.n_done;
}

static gboolean
measure_fanout (Load *self)
{
  gint64 deadline_ns;
  gboolean good = open_all (self) && measure (self);

  deadline_ns = load_now_ns () + DRAIN_NS;
  while (good && self->n_done < self->n_sent * (guint64) self->n && load_now_ns () < deadline_ns)
    load_pool_run_turn (self->pool, 10);
  if (good && self->n_done != self->n_sent * (guint64) self->n)
    {
      g_printerr ("Published %" G_GUINT64_FORMAT ", delivered %" G_GUINT64_FORMAT " to %d\n",
                  self->n_sent, self->n_done, self->n);
      return FALSE;
    }

  return good;
}

static gboolean
measure_echo (Load *self)
{
  if (!open_all (self))
    return FALSE;
  talk (self);

  return measure (self);
}

static gboolean
measure_idle (Load *self)
{
  gint64 rss_kib = load_server_get_rss_kib (&self->server);
  gint64 cpu_ns = load_server_get_cpu_ns (&self->server);

  if (!open_all (self))
    return FALSE;
  cpu_ns = load_server_get_cpu_ns (&self->server) - cpu_ns;
  rss_kib = load_server_get_rss_kib (&self->server) - rss_kib;
  g_print ("done=%d kib=%.3f cpu_us=%.3f failed=%u lost=%u\n", self->n, (double) rss_kib / self->n,
           (double) cpu_ns / NS_PER_US / self->n, self->n_failed, self->n_lost);

  return TRUE;
}

static gboolean
measure_connect (Load *self)
{
  for (guint i = 0; i < self->n_clients; i++)
    load_pool_connect (self->pool, &self->clients[i]);

  return measure (self) && self->n_failed == 0;
}

static LoadRole
get_role (Load *self, guint i)
{
  if (self->mode == MODE_FANOUT && i == self->n_clients - 1)
    return LOAD_ROLE_PUBLISHER;

  return self->mode == MODE_FANOUT || self->mode == MODE_IDLE ? LOAD_ROLE_SUBSCRIBER
                                                              : LOAD_ROLE_TALKER;
}

static void
append_padding (Load *self, gsize len)
{
  for (gsize i = 0; i < len; i++)
    g_string_append_c (self->message,
                       "abcdefghijklmnopqrstuvwxyz0123456789 "[self->message->len % 37]);
}

/* What the same message is in CBOR, with as much padding as JSON of this size has */
static void
make_cbor_message (Load *self)
{
  gboolean fanout = self->mode == MODE_FANOUT;
  gsize frame = fanout
                  ? strlen ("{\"t\":\"@\",\"pad\":\"\"}")
                  : strlen ("{\"type\":\"ping\",\"payload\":{\"ping_id\":\"@\",\"pad\":\"\"}}");
  gsize padding = (gsize) MAX (self->size - (int) (frame + STAMP_DIGITS), 0);
  GString *out = self->message = g_string_new (NULL);

  load_cbor_begin_map (out, 2);
  load_cbor_append_text (out, "type");
  load_cbor_append_text (out, fanout ? "publish" : "ping");
  load_cbor_append_text (out, "payload");
  if (fanout)
    {
      load_cbor_begin_map (out, 3);
      load_cbor_append_text (out, "channel");
      load_cbor_append_text (out, self->target.channel);
      load_cbor_append_text (out, "type");
      load_cbor_append_text (out, MESSAGE_TYPE);
      load_cbor_append_text (out, "payload");
    }
  load_cbor_begin_map (out, 2);
  load_cbor_append_text (out, fanout ? "t" : "ping_id");
  load_cbor_append_text (out, "@0000000000000000");
  self->stamp = out->len - STAMP_DIGITS;
  load_cbor_append_text (out, "pad");
  load_cbor_begin_text (out, padding);
  append_padding (self, padding);
}

/* The message in three parts: up to the time, filling up to the size, and what closes it */
static void
make_message (Load *self)
{
  gboolean fanout = self->mode == MODE_FANOUT;
  g_autofree char *head = NULL;
  const char *tail = "";
  gsize begin = 0, taken;

  switch (self->target.protocol)
    {
    case LOAD_PROTOCOL_CHOIR_CBOR:
      make_cbor_message (self);
      return;

    case LOAD_PROTOCOL_CHOIR:
      head = fanout
               ? g_strdup_printf (
                   "{\"type\":\"publish\",\"payload\":{\"channel\":\"%s\",\"type\":\"" MESSAGE_TYPE
                   "\",\"payload\":{\"t\":\"@",
                   self->target.channel)
               : g_strdup ("{\"type\":\"ping\",\"payload\":{\"ping_id\":\"@");
      tail = fanout ? "\"}}}" : "\"}}";
      begin = fanout ? strlen (head) - strlen ("{\"t\":\"@") : 0;
      break;

    case LOAD_PROTOCOL_SOCKETIO:
      head = g_strdup (fanout ? "42[\"pub\",\"@" : "42[\"echo\",\"@");
      tail = "\"]";
      break;

    case LOAD_PROTOCOL_RAW:
    default:
      head = g_strdup ("@");
    }

  self->message = g_string_new (head);
  self->stamp = self->message->len;
  g_string_append (self->message, "0000000000000000");
  if (self->target.protocol == LOAD_PROTOCOL_CHOIR)
    g_string_append (self->message, "\",\"pad\":\"");
  taken = self->message->len - begin + strlen (tail);
  append_padding (self, (gsize) self->size - MIN (taken, (gsize) self->size));
  g_string_append (self->message, tail);
}

static void
load_init (Load *self)
{
  static const LoadHandlers handlers = { ready_cb, text_cb, closed_cb };

  self->n_clients = (guint) self->n + (self->mode == MODE_FANOUT ? 1 : 0);
  self->clients = g_new0 (LoadClient, self->n_clients);
  for (guint i = 0; i < self->n_clients; i++)
    {
      self->clients[i].fd = -1;
      self->clients[i].index = i;
      self->clients[i].role = get_role (self, i);
    }
  self->pool = load_pool_new (&self->target, &handlers, self);
  make_message (self);
}

static void
load_clear (Load *self)
{
  for (guint i = 0; i < self->n_clients; i++)
    load_pool_close (self->pool, &self->clients[i]);
  g_clear_pointer (&self->pool, load_pool_free);
  g_clear_pointer (&self->clients, g_free);
  g_clear_pointer (&self->target.key, g_bytes_unref);
  load_server_clear (&self->server);
  if (self->message != NULL)
    g_string_free (self->message, TRUE);
}

/* The place of @word in the NULL-terminated @words, -1 if it is none of them */
static int
find_word (const char *const *words, const char *word)
{
  for (int i = 0; words[i] != NULL; i++)
    if (g_strcmp0 (words[i], word) == 0)
      return i;

  return -1;
}

static gboolean
parse_options (Load *self, int *argc, char ***argv, GError **error)
{
  static const char *const modes[] = { "fanout", "echo", "idle", "connect", NULL };
  static const char *const protocols[] = { "raw", "choir", "choir-cbor", "socketio", NULL };
  g_autofree char *mode = NULL, *protocol = NULL, *pids = NULL, *key = NULL;
  int port = 0, i_mode, i_protocol;
  const GOptionEntry entries[] = {
    { "mode", 'm', 0, G_OPTION_ARG_STRING, &mode, "fanout, echo, idle or connect", "MODE" },
    { "protocol", 0, 0, G_OPTION_ARG_STRING, &protocol, "raw, choir, choir-cbor or socketio",
      "NAME" },
    { "port", 'p', 0, G_OPTION_ARG_INT, &port, "Port on 127.0.0.1", "PORT" },
    { "pid", 'P', 0, G_OPTION_ARG_STRING, &pids, "Processes of the server", "PID,..." },
    { "key", 0, 0, G_OPTION_ARG_FILENAME, &key, "HS256 secret to make tokens with", "FILE" },
    { "connections", 'n', 0, G_OPTION_ARG_INT, &self->n, "Connections", "N" },
    { "active", 'k', 0, G_OPTION_ARG_INT, &self->n_active, "Of which talk", "K" },
    { "window", 'w', 0, G_OPTION_ARG_INT, &self->window, "Publications in flight", "W" },
    { "size", 's', 0, G_OPTION_ARG_INT, &self->size, "Bytes of a message", "BYTES" },
    { "seconds", 't', 0, G_OPTION_ARG_DOUBLE, &self->seconds, "How long", "S" },
    { "warmup", 'u', 0, G_OPTION_ARG_DOUBLE, &self->warmup, "How long before", "S" },
    { "messages", 0, 0, G_OPTION_ARG_INT64, &self->n_messages, "Exactly so many", "N" },
    G_OPTION_ENTRY_NULL,
  };
  g_autoptr (GOptionContext) context = g_option_context_new ("- put a server under load");

  g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse (context, argc, argv, error))
    return FALSE;
  i_mode = find_word (modes, mode);
  i_protocol = find_word (protocols, protocol != NULL ? protocol : "choir");
  if (i_mode < 0 || i_protocol < 0 || port < 1 || port > G_MAXUINT16 || self->n < 1 ||
      self->n_active < 1 || self->n_active > self->n || self->window < 1 ||
      !load_server_init (&self->server, pids))
    {
      g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                   "An option is missing or out of range, see --help");
      return FALSE;
    }
  self->mode = (LoadMode) i_mode;
  self->target.protocol = (LoadProtocol) i_protocol;
  self->target.port = (guint16) port;

  return load_token_read_key (key, &self->target.key, error);
}

static void
raise_descriptor_limit (void)
{
  struct rlimit limit;

  getrlimit (RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit (RLIMIT_NOFILE, &limit);
}

int
main (int argc, char *argv[])
{
  static gboolean (*const measures[]) (Load * self) = { measure_fanout, measure_echo, measure_idle,
                                                        measure_connect };
  Load load = { .n = 100,
                .n_active = 1,
                .window = 1,
                .size = 200,
                .seconds = 2,
                .warmup = 0.5,
                .target.channel = "chat:load" };
  g_autoptr (GError) error = NULL;
  gboolean good;

  setlocale (LC_NUMERIC, "C");
  if (!parse_options (&load, &argc, &argv, &error))
    {
      g_printerr ("choir-load: %s\n", error->message);
      return 2;
    }
  raise_descriptor_limit ();
  load_init (&load);
  good = measures[load.mode](&load);
  load_clear (&load);

  return good ? 0 : 1;
}
