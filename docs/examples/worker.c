/* worker.c: a worker over HTTP: counts the words of a text, and lets whoever asked for that watch
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 *     CHOIR_TOKEN=TOKEN choir-example-worker http://127.0.0.1:8800
 *
 * The token needs the role that the setting task.worker-role names. One request always waits for
 * tasks; what happens to them is told with others. The work itself is in job_step(), the only part
 * that has to be replaced; docs/workers.md explains the rest.
 */

#include <glib-unix.h>
#include <json-glib/json-glib.h>
#include <libsoup/soup.h>
#include <string.h>

/* How long one request waits for tasks */
#define WAIT_MS 25000

/* Before the next attempt after a failed one: twice as long each time, and never all workers at the
 * same moment */
#define FIRST_DELAY_MS 500
#define LONGEST_DELAY_MS 30000

#define SLOTS_MAX 64

/* The most that is said of a task in one request */
#define UPDATES_MAX 64

typedef struct
{
  GMainLoop *loop;           /* (owned) */
  SoupSession *session;      /* (owned) */
  GCancellable *cancellable; /* (owned): of the request that waits */
  GHashTable *jobs;          /* (element-type utf8 Job) (owned): by lease_id */
  char *api;                 /* (owned): http://HOST:PORT/api/v1/tasks */
  char *authorization;       /* (owned) */
  char *kind;                /* (owned) */
  guint slots;
  guint delay_ms;   /* after a failure */
  guint timer;      /* source id: the next pull, 0: none */
  guint n_requests; /* under way */
  gboolean pulling;
  gboolean stopping;
  int status; /* of the process */
} Worker;

/* One task while it is ours. If it is lost and comes again it has another lease, and what was being
 * done under the first ends when that is refused. */
typedef struct
{
  Worker *worker;  /* borrowed */
  char *task_id;   /* (owned) */
  char *lease_id;  /* (owned): shows that it is ours */
  GQueue *updates; /* (element-type utf8) (owned): not told yet, JSON */
  guint n_sent;    /* of those, how many are told next, or being told */
  char *key;       /* (owned) (nullable): names these, so that they are heard once */
  gboolean telling;
  guint delay_ms;
  guint timer; /* source id: the next step or the next attempt, 0: none */
  guint beat;  /* source id */
  gboolean over;

  /* the work */
  char **words;       /* (owned) */
  GHashTable *counts; /* (element-type utf8 uint) (owned) */
  guint n_words;
  guint n_done;
  guint pause_ms;
} Job;

static void pull (Worker *self);
static void job_flush (Job *self);

static void
job_free (gpointer data)
{
  Job *self = data;

  g_clear_handle_id (&self->timer, g_source_remove);
  g_clear_handle_id (&self->beat, g_source_remove);
  g_queue_free_full (self->updates, g_free);
  g_hash_table_unref (self->counts);
  g_strfreev (self->words);
  g_free (self->task_id);
  g_free (self->lease_id);
  g_free (self->key);
  g_free (self);
}

static void
leave_if_done (Worker *self)
{
  if (self->stopping && !self->pulling && g_hash_table_size (self->jobs) == 0)
    g_main_loop_quit (self->loop);
}

/* It has been told how it ended, or is not ours any more */
static void
job_end (Job *self)
{
  Worker *worker = self->worker;

  g_hash_table_remove (worker->jobs, self->lease_id);
  leave_if_done (worker);
  pull (worker);
}

/* (transfer full) */
static SoupMessage *
make_post (Worker *worker, const char *path, const char *body)
{
  g_autofree char *uri = g_strconcat (worker->api, path, NULL);
  g_autoptr (GBytes) bytes = g_bytes_new (body, strlen (body));
  SoupMessage *message = soup_message_new ("POST", uri);

  soup_message_set_request_body_from_bytes (message, "application/json", bytes);
  soup_message_headers_replace (soup_message_get_request_headers (message), "Authorization",
                                worker->authorization);

  return message;
}

static guint
next_delay (guint *delay_ms)
{
  guint now_ms = *delay_ms;

  *delay_ms = MIN (2 * now_ms, LONGEST_DELAY_MS);

  return (guint) g_random_int_range ((gint32) now_ms / 2, (gint32) now_ms + 1);
}

/* Whether the same request may go well later */
static gboolean
is_passing (guint status)
{
  return status == 0 || status == 429 || status >= 500;
}

/* What is said of the task, in order and one request at a time */

static gboolean
retry_cb (gpointer user_data)
{
  Job *self = user_data;

  self->timer = 0;
  job_flush (self);

  return G_SOURCE_REMOVE;
}

static gboolean job_step_cb (gpointer user_data);

static void
job_told (Job *self)
{
  for (; self->n_sent > 0; self->n_sent--)
    g_free (g_queue_pop_head (self->updates));

  g_clear_pointer (&self->key, g_free);
  self->delay_ms = FIRST_DELAY_MS;
  if (!g_queue_is_empty (self->updates))
    job_flush (self);
  else if (self->over)
    job_end (self);
  else if (self->timer == 0)
    self->timer = g_timeout_add (self->n_done > 0 ? self->pause_ms : 0, job_step_cb, self);
}

static void
told_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  SoupSession *session = SOUP_SESSION (source);
  SoupMessage *message = soup_session_get_async_result_message (session, result);
  guint status = message != NULL ? soup_message_get_status (message) : 0;
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) body = soup_session_send_and_read_finish (session, result, &error);
  Job *self = user_data;

  self->telling = FALSE;
  self->worker->n_requests--;
  if (body == NULL)
    status = 0;

  if (status == 200)
    job_told (self);
  else if (is_passing (status))
    {
      g_clear_handle_id (&self->timer, g_source_remove);
      self->timer = g_timeout_add (next_delay (&self->delay_ms), retry_cb, self);
    }
  else
    {
      /* 409: it was cancelled, or took too long and is somebody else's now */
      g_message ("%s: %u", self->task_id, status);
      job_end (self);
    }
}

/* The same updates under the same key, until they are told */
static char *
job_next_updates (Job *self)
{
  GString *body = g_string_new ("[");
  const GList *l = self->updates->head;

  if (self->key == NULL)
    {
      self->key = g_uuid_string_random ();
      self->n_sent = MIN (g_queue_get_length (self->updates), UPDATES_MAX);
    }

  for (guint i = 0; i < self->n_sent; i++, l = l->next)
    g_string_append_printf (body, "%s%s", i > 0 ? "," : "", (const char *) l->data);
  g_string_append_c (body, ']');

  return g_string_free (body, FALSE);
}

static void
job_flush (Job *self)
{
  g_autofree char *path = g_strdup_printf ("/%s/updates", self->task_id);
  g_autofree char *body = NULL;
  g_autoptr (SoupMessage) message = NULL;

  if (self->telling || g_queue_is_empty (self->updates) || self->worker->status != 0)
    return;

  body = job_next_updates (self);
  message = make_post (self->worker, path, body);
  soup_message_headers_replace (soup_message_get_request_headers (message), "Idempotency-Key",
                                self->key);
  self->telling = TRUE;
  self->worker->n_requests++;
  soup_session_send_and_read_async (self->worker->session, message, G_PRIORITY_DEFAULT, NULL,
                                    told_cb, self);
}

/* @members: (transfer floating) (nullable): a{sv} */
static void
job_say (Job *self, const char *type, GVariant *members)
{
  g_autoptr (GVariant) sunk = members != NULL ? g_variant_ref_sink (members) : NULL;
  g_autoptr (GVariant) update = NULL;
  GVariantDict dict;

  g_variant_dict_init (&dict, sunk);
  g_variant_dict_insert (&dict, "type", "s", type);
  g_variant_dict_insert (&dict, "lease_id", "s", self->lease_id);
  update = g_variant_ref_sink (g_variant_dict_end (&dict));
  g_queue_push_tail (self->updates, json_gvariant_serialize_data (update, NULL));
}

/* Work that says nothing for long would lose its lease */
static gboolean
beat_cb (gpointer user_data)
{
  Job *self = user_data;

  if (g_queue_is_empty (self->updates))
    {
      job_say (self, "heartbeat", NULL);
      job_flush (self);
    }

  return G_SOURCE_CONTINUE;
}

static void
job_fail (Job *self, const char *code, const char *text)
{
  job_say (self, "failed", g_variant_new_parsed ("{'code': <%s>, 'message': <%s>}", code, text));
  self->over = TRUE;
}

/* The work: {text, pause_ms?} -> {words, distinct}, a word at a time */

static void
job_complete (Job *self)
{
  job_say (self, "completed",
           g_variant_new_parsed ("{'result': <{'words': <%u>, 'distinct': <%u>}>}", self->n_words,
                                 g_hash_table_size (self->counts)));
  self->over = TRUE;
}

static void
job_step (Job *self)
{
  const char *word = self->words[self->n_done];
  g_autofree char *said = g_strconcat (word, " ", NULL);
  g_autofree char *text = NULL;

  g_hash_table_add (self->counts, g_utf8_casefold (word, -1));
  self->n_done++;
  text = g_strdup_printf ("%u of %u words", self->n_done, self->n_words);
  job_say (self, "chunk", g_variant_new_parsed ("{'content': <%s>}", said));
  job_say (self, "progress",
           g_variant_new_parsed ("{'progress': <%u>, 'message': <%s>}",
                                 self->n_done * 100 / self->n_words, text));
}

static gboolean
job_step_cb (gpointer user_data)
{
  Job *self = user_data;

  self->timer = 0;
  if (self->n_done < self->n_words)
    job_step (self);
  else
    job_complete (self);
  job_flush (self);

  return G_SOURCE_REMOVE;
}

/* Runs of white space count as one */
static void
job_split (Job *self, const char *text)
{
  g_auto (GStrv) parts = g_strsplit_set (text, " \t\r\n", -1);
  GPtrArray *words = g_ptr_array_new ();

  for (char **part = parts; *part != NULL; part++)
    if (**part != '\0')
      g_ptr_array_add (words, g_strdup (*part));

  self->n_words = words->len;
  g_ptr_array_add (words, NULL);
  self->words = (char **) g_ptr_array_free (words, FALSE);
}

static void
job_begin_work (Job *self, JsonObject *payload, gint64 attempt)
{
  const char *text = json_object_get_string_member_with_default (payload, "text", NULL);
  gint64 pause_ms = json_object_get_int_member_with_default (payload, "pause_ms", 0);
  g_autofree char *message = g_strdup_printf ("attempt %" G_GINT64_FORMAT, attempt);

  job_say (self, "started", g_variant_new_parsed ("{'message': <%s>}", message));
  if (text != NULL)
    {
      self->pause_ms = (guint) CLAMP (pause_ms, 0, 60000);
      job_split (self, text);
    }
  else
    job_fail (self, "VALIDATION_ERROR", "text must be a string");
  job_flush (self);
}

/* Taking tasks */

static void
begin (Worker *self, JsonObject *task)
{
  Job *job = g_new0 (Job, 1);
  gint64 lease_ms = json_object_get_int_member (task, "lease_ms");

  job->worker = self;
  job->task_id = g_strdup (json_object_get_string_member (task, "task_id"));
  job->lease_id = g_strdup (json_object_get_string_member (task, "lease_id"));
  job->updates = g_queue_new ();
  job->counts = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  job->delay_ms = FIRST_DELAY_MS;
  job->beat = g_timeout_add ((guint) CLAMP (lease_ms / 3, 10, G_MAXINT), beat_cb, job);
  g_hash_table_insert (self->jobs, job->lease_id, job);
  g_message ("%s: %s", job->task_id, json_object_get_string_member (task, "kind"));
  job_begin_work (job, json_object_get_object_member (task, "payload"),
                  json_object_get_int_member (task, "attempt"));
}

static void
begin_all (Worker *self, GBytes *body)
{
  g_autoptr (JsonParser) parser = json_parser_new ();
  g_autoptr (GError) error = NULL;
  gsize len;
  const char *text = g_bytes_get_data (body, &len);
  JsonArray *tasks;

  if (!json_parser_load_from_data (parser, text, (gssize) len, &error))
    {
      g_message ("%s", error->message);
      return;
    }

  tasks =
    json_object_get_array_member (json_node_get_object (json_parser_get_root (parser)), "tasks");
  for (guint i = 0; i < json_array_get_length (tasks); i++)
    begin (self, json_array_get_object_element (tasks, i));
}

static gboolean
pull_cb (gpointer user_data)
{
  Worker *self = user_data;

  self->timer = 0;
  pull (self);

  return G_SOURCE_REMOVE;
}

static void
pull_later (Worker *self)
{
  if (self->timer == 0)
    self->timer = g_timeout_add (next_delay (&self->delay_ms), pull_cb, self);
}

static void
give_up (Worker *self, guint status)
{
  g_printerr ("choir-example-worker: refused with %u\n", status);
  self->status = 1;
  g_main_loop_quit (self->loop);
}

static void
pulled_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  SoupSession *session = SOUP_SESSION (source);
  SoupMessage *message = soup_session_get_async_result_message (session, result);
  guint status = message != NULL ? soup_message_get_status (message) : 0;
  g_autoptr (GError) error = NULL;
  g_autoptr (GBytes) body = soup_session_send_and_read_finish (session, result, &error);
  Worker *self = user_data;

  self->pulling = FALSE;
  self->n_requests--;
  if (self->stopping)
    {
      /* what came in the last moment is done as well */
      if (body != NULL && status == 200)
        begin_all (self, body);
      leave_if_done (self);
      return;
    }

  if (body == NULL || is_passing (status))
    {
      g_message ("no tasks: %s", error != NULL ? error->message : soup_status_get_phrase (status));
      pull_later (self);
      return;
    }

  if (status != 200)
    {
      give_up (self, status);
      return;
    }

  self->delay_ms = FIRST_DELAY_MS;
  begin_all (self, body);
  pull (self);
}

/* As many as there is room for; one request at a time */
static void
pull (Worker *self)
{
  guint n_free = self->slots - g_hash_table_size (self->jobs);
  g_autofree char *kind = NULL;
  g_autofree char *body = NULL;
  g_autoptr (JsonNode) node = NULL;
  g_autoptr (SoupMessage) message = NULL;

  if (self->pulling || self->stopping || self->timer != 0 || n_free == 0)
    return;

  node = json_node_init_string (json_node_alloc (), self->kind);
  kind = json_to_string (node, FALSE);
  body = g_strdup_printf ("{\"kinds\":[%s],\"slots\":%u,\"wait_ms\":%d}", kind, n_free, WAIT_MS);
  message = make_post (self, "/pull", body);
  self->pulling = TRUE;
  self->n_requests++;
  soup_session_send_and_read_async (self->session, message, G_PRIORITY_DEFAULT, self->cancellable,
                                    pulled_cb, self);
}

/* Takes nothing more, and ends when what it has is done */
static gboolean
stop_cb (gpointer user_data)
{
  Worker *self = user_data;

  self->stopping = TRUE;
  g_clear_handle_id (&self->timer, g_source_remove);
  g_cancellable_cancel (self->cancellable);
  leave_if_done (self);

  return G_SOURCE_CONTINUE;
}

static void
run (Worker *self)
{
  guint term = g_unix_signal_add (SIGTERM, stop_cb, self);
  guint interrupt = g_unix_signal_add (SIGINT, stop_cb, self);

  pull (self);
  g_main_loop_run (self->loop);

  g_source_remove (term);
  g_source_remove (interrupt);
}

/* What is under way comes back, cancelled, before it is freed */
static void
worker_clear (Worker *self)
{
  soup_session_abort (self->session);
  while (self->n_requests > 0)
    g_main_context_iteration (NULL, TRUE);

  g_clear_handle_id (&self->timer, g_source_remove);
  g_hash_table_unref (self->jobs);
  g_object_unref (self->session);
  g_object_unref (self->cancellable);
  g_main_loop_unref (self->loop);
  g_free (self->api);
  g_free (self->authorization);
  g_free (self->kind);
}

int
main (int argc, char **argv)
{
  Worker worker = { .slots = 4, .delay_ms = FIRST_DELAY_MS };
  const char *token = g_getenv ("CHOIR_TOKEN");
  gint slots = 4;
  const GOptionEntry entries[] = {
    { "kind", 0, 0, G_OPTION_ARG_STRING, &worker.kind, "Kind of task (count-words)", "KIND" },
    { "slots", 0, 0, G_OPTION_ARG_INT, &slots, "Most tasks at a time (4)", "N" },
    G_OPTION_ENTRY_NULL,
  };
  g_autoptr (GOptionContext) context = g_option_context_new ("http://HOST:PORT");
  g_autoptr (GError) error = NULL;

  g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse (context, &argc, &argv, &error) || argc != 2 || token == NULL ||
      slots < 1 || slots > SLOTS_MAX || !g_uri_is_valid (argv[1], G_URI_FLAGS_NONE, NULL) ||
      !g_str_has_prefix (argv[1], "http"))
    {
      g_printerr ("usage: CHOIR_TOKEN=TOKEN %s [--kind KIND] [--slots 1-%d] http://HOST:PORT\n",
                  g_get_prgname (), SLOTS_MAX);
      g_free (worker.kind);
      return 2;
    }

  worker.slots = (guint) slots;
  worker.api = g_strconcat (argv[1], "/api/v1/tasks", NULL);
  worker.authorization = g_strconcat ("Bearer ", token, NULL);
  if (worker.kind == NULL)
    worker.kind = g_strdup ("count-words");
  worker.loop = g_main_loop_new (NULL, FALSE);
  worker.cancellable = g_cancellable_new ();
  worker.jobs = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, job_free);
  /* one that waits, and one for each task */
  worker.session = soup_session_new_with_options ("max-conns", slots + 1, "max-conns-per-host",
                                                  slots + 1, "timeout", WAIT_MS / 1000 + 10, NULL);
  run (&worker);
  worker_clear (&worker);

  return worker.status;
}
