/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "task-fixture.h"

#include <string.h>

/* Who hears of tasks, and what they find who come late or come back; after a restart as well */

/* As a service that has been killed and started again: what it knew is what the store has */
static FakeHub *
restart (FakeHub *dead, const char *settings)
{
  FakeHub *self = fake_hub_new_without_store (settings);
  ChoirTaskTable *tasks = choir_hub_get_tasks (self->hub);

  choir_hub_set_store (self->hub, dead->store);
  choir_task_table_load_async (tasks, NULL, NULL, NULL);

  return self;
}

static void
keep_result (GObject *source, GAsyncResult *result, gpointer user_data)
{
  *(GAsyncResult **) user_data = g_object_ref (result);
}

static FakeLink *
open_as (FakeHub *hub, const char *user)
{
  FakeLink *self = fake_link_open (hub, CHOIR_DIALECT_CHOIR, user, NULL, NULL);

  fake_link_expect (self, "connection.established", NULL);

  return self;
}

static void
subscribe (FakeLink *link, const char *channel)
{
  fake_link_say (link, "{\"type\":\"subscribe\",\"payload\":{\"channels\":[\"%s\"]}}", channel);
  fake_hub_iterate ();
  fake_link_expect (link, "subscription.confirmed", "payload.channels.0.channel", channel, NULL);
}

/* The newest that was said, and the text so far as one chunk */
static void
test_state (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (QUIET);
  g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");
  g_autoptr (FakeLink) worker = join_worker (hub, "[\"a\"]", 1);
  g_autofree char *running = request_task (alice, "{\"kind\":\"a\"}");
  g_autofree char *queued = request_task (alice, "{\"kind\":\"a\"}");
  g_autoptr (FakeLink) again = NULL;
  g_autoptr (FakeLink) bob = NULL;

  say (worker, "task.started", running, NULL);
  say (worker, "task.chunk", running, "\"content\":\"The \"");
  say (worker, "task.progress", running, "\"progress\":50");
  say (worker, "task.chunk", running, "\"content\":\"answer\"");
  fake_link_end (alice, 1006);

  again = open_as (hub, "alice");
  fake_link_expect (again, "task.progress", "payload.task_id", running, "payload.progress", "50",
                    "payload.replayed", "true", "correlation_id", "q", NULL);
  fake_link_expect (again, "task.chunk", "payload.task_id", running, "payload.content",
                    "The answer", "payload.replayed", "true", NULL);
  fake_link_expect (again, "task.accepted", "payload.task_id", queued, "payload.state", "queued",
                    "payload.replayed", "true", NULL);
  fake_link_expect_nothing (again);

  say (worker, "task.chunk", running, "\"content\":\".\"");
  fake_link_expect (again, "task.chunk", "payload.content", ".", "payload.replayed", "-", NULL);

  bob = open_as (hub, "bob");
  fake_link_expect_nothing (bob);
}

/* What the worker before it has said is of no use */
static void
test_next_attempt (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (QUIET);
  g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");
  g_autoptr (FakeLink) worker = join_worker (hub, "[\"a\"]", 1);
  g_autofree char *id = request_task (alice, "{\"kind\":\"a\"}");
  g_autoptr (FakeLink) next = NULL;
  g_autoptr (FakeLink) again = NULL;

  say (worker, "task.chunk", id, "\"content\":\"lost\"");
  fake_link_end (worker, 1006);
  next = join_worker (hub, "[\"a\"]", 1);
  say (next, "task.chunk", id, "\"content\":\"kept\"");

  again = open_as (hub, "alice");
  fake_link_expect (again, "task.accepted", "payload.state", "running", NULL);
  fake_link_expect (again, "task.chunk", "payload.content", "kept", "payload.attempt", "2", NULL);
}

/* A worker that says more than is kept */
static void
test_much_text (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (QUIET "[chat]\nmax-message=1K\n");
  g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");
  g_autoptr (FakeLink) worker = join_worker (hub, "[\"a\"]", 1);
  g_autofree char *id = request_task (alice, "{\"kind\":\"a\"}");
  g_autofree char *text = g_strnfill (300, 'x');
  g_autofree char *large = g_strnfill (1100, 'x');
  g_autofree char *result = g_strdup_printf ("\"result\":\"%s\"", large);
  g_autoptr (FakeLink) again = NULL;

  fake_link_forget (worker);
  for (guint i = 0; i < 5; i++)
    {
      g_autofree char *content = g_strdup_printf ("\"content\":\"%s\"", text);

      say (worker, "task.chunk", id, content);
      fake_link_expect (alice, "task.chunk", "payload.content", text, NULL);
    }

  again = open_as (hub, "alice");
  fake_link_expect (again, "task.accepted", NULL);
  {
    g_autofree char *json = fake_link_take (again);
    g_autofree char *content = fake_link_read (json, "payload.content");
    g_autofree char *cut = fake_link_read (json, "payload.truncated");

    g_assert_cmpuint (strlen (content), ==, 900);
    g_assert_cmpstr (cut, ==, "true");
  }

  /* it keeps the task, and may say it in fewer words */
  say (worker, "task.completed", id, result);
  fake_link_expect_error (worker, "MESSAGE_TOO_LARGE");
  settle (worker, "task.completed", id, NULL, "completed");
}

static void
test_unheard (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (QUIET);
  g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");
  g_autoptr (FakeLink) worker = join_worker (hub, "[\"a\"]", 2);
  g_autofree char *id = request_task (alice, "{\"kind\":\"a\"}");
  g_autoptr (FakeLink) again = NULL;
  g_autoptr (FakeLink) third = NULL;

  expect_assigned (worker, id, "1");
  fake_link_end (alice, 1006);
  settle (worker, "task.completed", id, "\"result\":7", "completed");

  again = open_as (hub, "alice");
  fake_link_expect (again, "task.completed", "payload.task_id", id, "payload.result", "7",
                    "payload.replayed", "true", NULL);
  third = open_as (hub, "alice");
  fake_link_expect_nothing (third);
}

/* A named channel's subscribers hear of it instead of the user, and who joins late how it stands */
static void
test_channel (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (QUIET "[namespace chat]\npersist=no\n");
  g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");
  g_autoptr (FakeLink) bob = fake_link_join (hub, "bob");
  g_autoptr (FakeLink) worker = join_worker (hub, "[\"a\"]", 1);
  g_autofree char *id = NULL;

  subscribe (bob, "chat:1");
  id = request_task (alice, "{\"kind\":\"a\",\"channel\":\"chat:1\"}");
  fake_link_expect (worker, "task.assigned", "payload.channel", "chat:1", NULL);
  say (worker, "task.progress", id, "\"progress\":1");
  fake_link_expect (bob, "task.progress", "channel", "chat:1", "offset", "-", NULL);
  fake_link_expect_nothing (alice);

  subscribe (alice, "chat:1");
  fake_link_expect (alice, "task.progress", "payload.replayed", "true", "channel", "chat:1", NULL);
  fake_link_forget (bob);
  settle (worker, "task.completed", id, NULL, "completed");
  fake_link_expect (bob, "task.completed", NULL);
  fake_link_expect (alice, "task.completed", NULL);
  fake_link_expect_nothing (alice);
}

/* Who watches a conversation hears what agents do for it, and nobody hears it twice */
static void
test_agent_status (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (QUIET "[namespace chat]\npersist=no\n");
  g_autoptr (FakeLink) alice =
    fake_link_open (hub, CHOIR_DIALECT_CHOIR, "alice", NULL, "chat:trip");
  g_autoptr (FakeLink) watcher =
    fake_link_open (hub, CHOIR_DIALECT_CHOIR, "alice", NULL, "agent-status:trip");
  g_autoptr (FakeLink) worker = join_worker (hub, "[\"a\"]", 2);
  g_autoptr (FakeLink) other = NULL;
  g_autoptr (FakeLink) late = NULL;
  g_autofree char *id = NULL;
  g_autofree char *named = NULL;

  fake_link_forget (alice);
  fake_link_forget (watcher);
  id = request_task (alice, "{\"kind\":\"a\"}");
  fake_link_expect (worker, "task.assigned", "payload.session", "trip", NULL);
  say (worker, "task.started", id, NULL);
  fake_link_expect (alice, "task.started", "channel", "user:alice", NULL);
  fake_link_expect (watcher, "task.started", "channel", "agent-status:trip", NULL);
  fake_link_expect_nothing (watcher);

  late = fake_link_open (hub, CHOIR_DIALECT_TRIPSAGE, "alice", NULL, "agent-status:trip");
  fake_link_expect (late, "connection_status", NULL);
  fake_link_expect (late, "agent_status_update", "payload.isActive", "true", "payload.taskId", id,
                    "payload.progress", "0", "payload.currentTask", "a", NULL);
  fake_link_expect_nothing (late);

  /* from elsewhere, by the conversation's name */
  other = fake_link_join (hub, "bob");
  named = request_task (other, "{\"kind\":\"a\",\"session\":\"trip\"}");
  fake_link_forget (worker);
  say (worker, "task.progress", named, "\"progress\":30,\"message\":\"asking\"");
  fake_link_expect (late, "agent_status_update", "payload.progress", "30", "payload.currentTask",
                    "asking", "payload.isActive", "true", NULL);
  fake_link_expect (other, "task.progress", NULL);
  fake_link_expect_nothing (alice);
  settle (worker, "task.completed", named, NULL, "completed");
  fake_link_expect (late, "agent_status_update", "payload.isActive", "false", NULL);
}

/* All there is comes back in its order; a task that a connection held is given out again */
static void
test_restart (void)
{
  g_autoptr (FakeHub) dead = fake_hub_new (QUIET);
  g_autoptr (FakeLink) asker = fake_link_join (dead, "alice");
  g_autoptr (FakeLink) gone = join_worker (dead, "[\"a\"]", 2);
  const char *keyed = "{\"kind\":\"a\",\"n\":1,\"idempotency_key\":\"k\"}";
  g_autofree char *running = request_task (asker, keyed);
  g_autofree char *ended = request_task (asker, "{\"kind\":\"a\",\"n\":2}");
  g_autofree char *second = request_task (asker, "{\"kind\":\"a\",\"n\":3}");
  g_autofree char *third = request_task (asker, "{\"kind\":\"a\",\"n\":4}");
  g_autoptr (FakeHub) hub = NULL;
  g_autoptr (FakeLink) alice = NULL;
  g_autoptr (FakeLink) worker = NULL;

  fake_link_forget (gone);
  pull (gone, "[\"x\"]", 2);
  fake_link_end (asker, 1006);
  settle (gone, "task.completed", ended, "\"result\":{\"x\":1}", "completed");
  hub = restart (dead, QUIET);

  worker = join_worker (hub, "[\"a\",\"b\"]", 9);
  fake_link_expect (worker, "task.assigned", "payload.task_id", running, "payload.attempt", "2",
                    "payload.payload.n", "1", NULL);
  expect_assigned (worker, second, "1");
  expect_assigned (worker, third, "1");
  fake_link_expect_nothing (worker);

  alice = open_as (hub, "alice");
  fake_link_expect (alice, "task.completed", "payload.task_id", ended, "payload.result.x", "1",
                    "payload.replayed", "true", "correlation_id", "q", NULL);
  for (guint i = 0; i < 3; i++)
    fake_link_expect (alice, "task.accepted", "payload.replayed", "true", NULL);
  fake_link_ask (alice, "task.request", keyed);
  fake_link_expect (alice, "task.accepted", "payload.task_id", running, "payload.duplicate", "true",
                    NULL);
  settle (worker, "task.completed", running, NULL, "completed");
  fake_link_expect (alice, "task.completed", "payload.task_id", running, NULL);
  g_assert_cmpint (fake_hub_count (hub, "choir_tasks_running", NULL), ==, 2);
}

/* Nobody gets or gives anything before all is read */
static void
test_loading (void)
{
  g_autoptr (FakeHub) dead = fake_hub_new (QUIET);
  g_autoptr (FakeLink) asker = fake_link_join (dead, "alice");
  g_autofree char *id = request_task (asker, "{\"kind\":\"a\"}");
  g_autoptr (FakeHub) hub = NULL;
  g_autoptr (FakeLink) alice = NULL;
  g_autoptr (FakeLink) worker = NULL;

  fake_link_end (asker, 1006);
  hub = restart (dead, QUIET);
  alice = open_as (hub, "alice");
  worker = open_worker (hub);
  fake_link_say (alice, "{\"type\":\"task.request\",\"payload\":{\"kind\":\"a\"}}");
  fake_link_expect_error (alice, "UNAVAILABLE");
  fake_link_say (worker, "{\"type\":\"task.completed\",\"payload\":{\"task_id\":\"%s\"}}", id);
  fake_link_expect_error (worker, "UNAVAILABLE");
  fake_link_say (worker, "{\"type\":\"task.pull\",\"payload\":{\"kinds\":[\"*\"]}}");
  fake_link_expect (worker, "task.pulling", NULL);
  fake_link_expect_nothing (worker);

  fake_hub_iterate ();
  expect_assigned (worker, id, "1");
}

/* The worker comes back as quickly as the service, and goes on where it was */
static void
test_take_up (void)
{
  g_autoptr (FakeHub) dead = fake_hub_new (QUIET);
  g_autoptr (FakeLink) asker = fake_link_join (dead, "alice");
  g_autoptr (FakeLink) gone = join_worker (dead, "[\"a\"]", 1);
  g_autofree char *id = request_task (asker, "{\"kind\":\"a\"}");
  g_autofree char *lease = take_member (gone, "task.assigned", "payload.lease_id");
  g_autofree char *claim = g_strdup_printf ("\"lease_id\":\"%s\"", lease);
  g_autofree char *beat =
    g_strdup_printf ("{\"task_ids\":[{\"task_id\":\"%s\",%s},\"x\"]}", id, claim);
  g_autoptr (FakeHub) hub = NULL;
  g_autoptr (FakeLink) worker = NULL;
  g_autoptr (FakeLink) other = NULL;

  fake_link_end (asker, 1006);
  hub = restart (dead, QUIET);
  fake_hub_iterate ();
  worker = open_worker (hub);
  say (worker, "task.progress", id, NULL);
  fake_link_expect_error (worker, "CONFLICT");
  say (worker, "task.progress", id, "\"lease_id\":\"y\"");
  fake_link_expect_error (worker, "CONFLICT");

  fake_link_ask (worker, "task.heartbeat", beat);
  fake_link_expect (worker, "task.leased", "payload.task_ids.0", id, "payload.lost.0", "x", NULL);
  other = join_worker (hub, "[\"a\"]", 1);
  fake_link_expect_nothing (other);

  /* from now on it is this connection's: with that it goes to another */
  fake_link_end (worker, 1006);
  fake_hub_iterate ();
  expect_assigned (other, id, "2");
  worker = (g_object_unref (worker), open_worker (hub));
  say (worker, "task.completed", id, claim);
  fake_link_expect_error (worker, "CONFLICT");
  settle (other, "task.completed", id, NULL, "completed");
}

/* What has ended long ago is forgotten, here and in the store */
static void
test_forgotten (void)
{
  g_autoptr (FakeHub) dead = fake_hub_new (QUIET);
  g_autoptr (FakeLink) asker = fake_link_join (dead, "alice");
  g_autofree char *id = request_task (asker, "{\"kind\":\"a\"}");
  g_autofree char *stream = g_strconcat ("task ", id, NULL);
  g_autoptr (FakeHub) hub = NULL;
  g_autoptr (FakeLink) alice = NULL;
  g_autoptr (GAsyncResult) result = NULL;
  g_autoptr (ChoirStreamPart) part = NULL;

  say (asker, "task.cancel", id, NULL);
  fake_link_end (asker, 1006);
  hub = restart (dead, QUIET "[task]\nkeep=0\n");
  fake_hub_iterate ();
  alice = open_as (hub, "alice");
  say (alice, "task.status", id, NULL);
  fake_link_expect_error (alice, "NOT_FOUND");

  choir_store_read_async (dead->store, stream, 0, 1, FALSE, NULL, keep_result, &result);
  while (result == NULL)
    g_main_context_iteration (NULL, TRUE);
  part = choir_store_read_finish (dead->store, result, NULL);
  g_assert_nonnull (part);
  g_assert_false (part->exists);
}

/* What the store does not take has not happened */
static void
test_store_fails (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (QUIET);
  g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");
  g_autoptr (FakeLink) worker = join_worker (hub, "[\"a\"]", 1);
  g_autofree char *id = request_task (alice, "{\"kind\":\"a\"}");
  g_autofree char *queued = request_task (alice, "{\"kind\":\"a\",\"timeout_ms\":60000}");

  expect_assigned (worker, id, "1");
  choir_store_memory_set_failing (CHOIR_STORE_MEMORY (hub->store), TRUE);
  fake_link_refuse (alice, "task.request", "{\"kind\":\"a\"}", "UNAVAILABLE");
  say (worker, "task.completed", id, NULL);
  fake_link_expect_error (worker, "UNAVAILABLE");
  say (alice, "task.cancel", id, NULL);
  fake_link_expect_error (alice, "UNAVAILABLE");
  say (alice, "task.cancel", queued, NULL);
  fake_link_expect_error (alice, "UNAVAILABLE");
  expect_state (alice, id, "running");
  pass (hub, 59 * SECOND);
  fake_link_ask (worker, "task.heartbeat", "{}");
  fake_link_expect (worker, "task.leased", "payload.task_ids.0", id, NULL);
  pass (hub, 5 * SECOND);
  expect_state (alice, queued, "queued");

  choir_store_memory_set_failing (CHOIR_STORE_MEMORY (hub->store), FALSE);
  pass (hub, 3 * SECOND);
  fake_link_expect (alice, "task.failed", "payload.task_id", queued, "payload.code", "TIMEOUT",
                    NULL);
  settle (worker, "task.completed", id, NULL, "completed");
}

/* However much there is to tell, who comes back gets no more than may wait for it; the rest of what
 * has ended the next time */
static void
test_much_to_tell (void)
{
  g_autoptr (FakeHub) hub =
    fake_hub_new (QUIET "[protocol]\nmax-queue-bytes=64K\n[task]\nmax-per-user=50\n");
  g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");
  g_autoptr (FakeLink) worker = join_worker (hub, "[\"a\"]", 50);
  g_autofree char *text = g_strnfill (5000, '\\');
  g_autofree char *result = g_strdup_printf ("\"result\":\"%s\"", text);
  g_autofree char *content = g_strdup_printf ("\"content\":\"%s\"", text);
  char *ids[10];
  guint n_told = 0;

  for (guint i = 0; i < G_N_ELEMENTS (ids); i++)
    ids[i] = request_task (alice, "{\"kind\":\"a\"}");
  fake_link_end (alice, 1000);
  fake_link_forget (worker);
  for (guint i = 0; i < G_N_ELEMENTS (ids); i++)
    {
      say (worker, i < 7 ? "task.completed" : "task.chunk", ids[i], i < 7 ? result : content);
      g_free (ids[i]);
    }

  for (guint i = 0; i < 7; i++)
    {
      g_autoptr (FakeLink) again = open_as (hub, "alice");

      g_assert_cmpuint (fake_link_get_n_overflows (again), ==, 0);
      while (fake_link_get_n_frames (again) > 0)
        {
          g_autofree char *json = fake_link_take (again);
          g_autofree char *type = fake_link_read (json, "type");

          n_told += g_str_equal (type, "task.completed");
        }
    }
  g_assert_cmpuint (n_told, ==, 7);
}

/* Everybody is sent away before the service stops: that costs no task an attempt */
static void
test_drain (void)
{
  g_autoptr (FakeHub) old = fake_hub_new (QUIET "[task]\nmax-attempts=1\n");
  g_autoptr (FakeLink) asker = fake_link_join (old, "alice");
  g_autoptr (FakeLink) first = join_worker (old, "[\"a\"]", 1);
  g_autoptr (FakeLink) second = join_worker (old, "[\"a\"]", 1);
  g_autofree char *id = request_task (asker, "{\"kind\":\"a\"}");
  g_autofree char *lease = take_member (first, "task.assigned", "payload.lease_id");
  g_autofree char *claim = g_strdup_printf ("\"lease_id\":\"%s\"", lease);
  g_autoptr (FakeHub) hub = NULL;
  g_autoptr (FakeLink) worker = NULL;

  choir_hub_shutdown (old->hub);
  fake_link_end (first, 1012);
  fake_hub_iterate ();
  fake_link_expect_nothing (second);
  fake_link_end (second, 1012);
  fake_link_end (asker, 1012);

  hub = restart (old, QUIET "[task]\nmax-attempts=1\n");
  fake_hub_iterate ();
  worker = open_worker (hub);
  say (worker, "task.progress", id, claim);
  fake_link_expect_nothing (worker);
  settle (worker, "task.completed", id, NULL, "completed");
}

/* What became of tasks, page by page, as long as they are kept */
static void
test_status (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (QUIET "[task]\nkeep=1m\nmax-per-user=200\n");
  g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");
  g_autoptr (FakeLink) worker = join_worker (hub, "[\"a\"]", 1);
  g_autofree char *id = request_task (alice, "{\"kind\":\"a\"}");
  g_autofree char *newest = NULL;
  g_autofree char *page = NULL;

  expect_assigned (worker, id, "1");
  say (worker, "task.chunk", id, "\"content\":\"The \"");
  say (worker, "task.chunk", id, "\"content\":\"ans\"");
  fake_link_forget (alice);
  fake_link_ask (alice, "task.status", "{}");
  fake_link_expect (alice, "task.state", "payload.tasks.0.text", "The ans", "payload.complete",
                    "true", NULL);
  settle (worker, "task.completed", id, "\"result\":1", "completed");
  fake_link_forget (alice);
  fake_link_ask (alice, "task.status", "{}");
  fake_link_expect (alice, "task.state", "payload.tasks.0.event.type", "task.completed",
                    "payload.tasks.0.event.payload.result", "1", "payload.tasks.0.lease_id", "-",
                    NULL);

  for (guint i = 0; i < 100; i++)
    {
      g_free (newest);
      newest = request_task (alice, "{\"kind\":\"b\"}");
    }
  fake_link_ask (alice, "task.status", "{}");
  page = fake_link_take (alice);
  {
    g_autofree char *first = fake_link_read (page, "payload.tasks.0.task_id");
    g_autofree char *last = fake_link_read (page, "payload.tasks.99.task_id");
    g_autofree char *complete = fake_link_read (page, "payload.complete");
    g_autofree char *before = g_strdup_printf ("{\"before\":\"%s\"}", last);

    g_assert_cmpstr (first, ==, newest);
    g_assert_cmpstr (complete, ==, "false");
    fake_link_ask (alice, "task.status", before);
    fake_link_expect (alice, "task.state", "payload.tasks.0.task_id", id, "payload.tasks.1", "-",
                      "payload.complete", "true", NULL);
  }

  pass (hub, 61 * SECOND);
  fake_link_ask (alice, "task.status", "{}");
  fake_link_expect (alice, "task.state", "payload.complete", "true", "payload.tasks.100", "-",
                    NULL);
  say (alice, "task.status", id, NULL);
  fake_link_expect_error (alice, "NOT_FOUND");
}

static void
keep_task (ChoirTask *task, gboolean duplicate, const GError *error, gpointer user_data)
{
  *(ChoirTask **) user_data = choir_task_ref (task);
}

/* What has ended is bounded to 64 MiB, also where one ends after the other without a pause */
static void
test_many_ends (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new_without_store (QUIET);
  ChoirTaskTable *table = choir_hub_get_tasks (hub->hub);
  g_autofree char *text = g_strnfill (250 * 1024, 'x');
  g_autofree char *payload = g_strdup_printf ("{\"text\":\"%s\"}", text);
  const ChoirTaskRequest request = { .kind = "a",
                                     .user_id = "alice",
                                     .payload = choir_slice (payload) };
  const ChoirTaskQuery query = { .limit = G_MAXUINT };
  g_autoptr (GPtrArray) kept = NULL;
  gboolean complete;

  for (guint i = 0; i < 500; i++)
    {
      g_autoptr (ChoirTask) task = NULL;

      choir_task_table_request (table, &request, keep_task, &task);
      choir_task_table_cancel (table, task, NULL, NULL, NULL);
      pass (hub, 50 * 1000);
    }

  kept = choir_task_table_list (table, &query, &complete, NULL);
  g_assert_cmpuint (kept->len, >, 200);
  g_assert_cmpuint (kept->len, <, 300);
}

/* Without a store tasks live in memory */
static void
test_without_store (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new_without_store (QUIET);
  g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");
  g_autoptr (FakeLink) worker = join_worker (hub, "[\"a\"]", 1);
  g_autofree char *id = request_task (alice, "{\"kind\":\"a\"}");

  expect_assigned (worker, id, "1");
  settle (worker, "task.completed", id, NULL, "completed");
  fake_link_expect (alice, "task.completed", NULL);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/task-return/state", test_state);
  g_test_add_func ("/task-return/next-attempt", test_next_attempt);
  g_test_add_func ("/task-return/much-text", test_much_text);
  g_test_add_func ("/task-return/unheard", test_unheard);
  g_test_add_func ("/task-return/channel", test_channel);
  g_test_add_func ("/task-return/agent-status", test_agent_status);
  g_test_add_func ("/task-return/restart", test_restart);
  g_test_add_func ("/task-return/loading", test_loading);
  g_test_add_func ("/task-return/take-up", test_take_up);
  g_test_add_func ("/task-return/forgotten", test_forgotten);
  g_test_add_func ("/task-return/store-fails", test_store_fails);
  g_test_add_func ("/task-return/much-to-tell", test_much_to_tell);
  g_test_add_func ("/task-return/drain", test_drain);
  g_test_add_func ("/task-return/status", test_status);
  g_test_add_func ("/task-return/many-ends", test_many_ends);
  g_test_add_func ("/task-return/without-store", test_without_store);

  return g_test_run ();
}
