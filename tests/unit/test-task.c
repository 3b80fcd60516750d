/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "fake-link.h"

#include "choir-clock.h"

#define SECOND ((gint64) G_USEC_PER_SEC)
/* Nothing is said but what the test is about */
#define QUIET "[protocol]\nheartbeat-interval=1h\n"

static FakeLink *
join_worker (FakeHub *hub, const char *kinds, guint slots)
{
  FakeLink *self =
    fake_link_open (hub, CHOIR_DIALECT_CHOIR, "robot", "\"roles\":[\"worker\"]", NULL);
  g_autofree char *payload = g_strdup_printf ("{\"kinds\":%s,\"slots\":%u}", kinds, slots);

  fake_link_forget (self);
  fake_link_ask (self, "task.pull", payload);
  fake_link_expect (self, "task.pulling", "payload.kinds", kinds, "correlation_id", "q", NULL);

  return self;
}

/* (transfer full): a member of what comes next */
static char *
take_member (FakeLink *link, const char *type, const char *path)
{
  g_autofree char *json = fake_link_take (link);
  g_autofree char *found = NULL;

  g_assert_nonnull (json);
  found = fake_link_read (json, "type");
  if (!g_str_equal (found, type))
    g_error ("%s was expected, not %s", type, json);

  return fake_link_read (json, path);
}

/* (transfer full): the id of a task that is asked for */
static char *
request (FakeLink *link, const char *payload)
{
  fake_link_ask (link, "task.request", payload);

  return take_member (link, "task.accepted", "payload.task_id");
}

/* What a worker says of a task, with more members */
static void
say (FakeLink *worker, const char *type, const char *id, const char *more)
{
  g_autofree char *payload = g_strdup_printf ("{\"task_id\":\"%s\"%s%s}", id,
                                              more != NULL ? "," : "", more != NULL ? more : "");

  fake_link_ask (worker, type, payload);
}

static void
expect_assigned (FakeLink *worker, const char *id, const char *attempt)
{
  fake_link_expect (worker, "task.assigned", "payload.task_id", id, "payload.attempt", attempt,
                    NULL);
}

static void
test_life (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (NULL);
  g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");
  g_autoptr (FakeLink) worker = join_worker (hub, "[\"agent\"]", 1);
  g_autofree char *id = request (alice, "{\"kind\":\"agent\",\"prompt\":\"Think.\"}");

  fake_link_expect (worker, "task.assigned", "payload.task_id", id, "payload.kind", "agent",
                    "payload.user_id", "alice", "payload.payload.prompt", "Think.",
                    "payload.payload.kind", "-", "payload.attempt", "1", "payload.lease_ms",
                    "60000", "payload.timeout_ms", "900000", NULL);
  g_assert_cmpint (fake_hub_count (hub, "choir_tasks_running", NULL), ==, 1);

  say (worker, "task.started", id, NULL);
  fake_link_expect (alice, "task.started", "payload.task_id", id, "payload.kind", "agent",
                    "correlation_id", "q", NULL);
  say (worker, "task.progress", id, "\"progress\":40,\"message\":\"looking\"");
  fake_link_expect (alice, "task.progress", "payload.progress", "40", "payload.message", "looking",
                    NULL);
  fake_link_expect_nothing (worker);

  say (worker, "task.completed", id, "\"result\":{\"answer\":42}");
  fake_link_expect (alice, "task.completed", "payload.result.answer", "42", "correlation_id", "q",
                    NULL);
  fake_link_expect (worker, "task.settled", "payload.task_id", id, "payload.state", "completed",
                    "correlation_id", "q", NULL);
  fake_link_expect_nothing (alice);

  say (worker, "task.completed", id, NULL);
  fake_link_expect_error (worker, "CONFLICT");
  g_assert_cmpint (fake_hub_count (hub, "choir_tasks_running", NULL), ==, 0);
  g_assert_cmpint (fake_hub_count (hub, "choir_tasks_queued", NULL), ==, 0);
  g_assert_cmpint (fake_hub_count (hub, "choir_tasks_ended", "completed"), ==, 1);
}

static void
test_lease (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (QUIET "[task]\nlease=10s\nmax-attempts=2\n");
  g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");
  g_autoptr (FakeLink) first = join_worker (hub, "[\"agent\"]", 1);
  g_autofree char *id = request (alice, "{\"kind\":\"agent\"}");
  g_autoptr (FakeLink) second = NULL;

  expect_assigned (first, id, "1");
  second = join_worker (hub, "[\"agent\"]", 1);
  for (guint i = 0; i < 3; i++)
    {
      fake_hub_advance (hub, 9 * SECOND);
      fake_link_ask (first, "task.heartbeat", "{}");
      fake_link_expect (first, "task.leased", "payload.task_ids.0", id, "payload.lost", "[]", NULL);
    }
  fake_link_expect_nothing (second);

  fake_hub_advance (hub, 11 * SECOND);
  fake_hub_iterate ();
  fake_link_expect (first, "task.cancel", "payload.task_id", id, NULL);
  expect_assigned (second, id, "2");
  say (first, "task.completed", id, NULL);
  fake_link_expect_error (first, "CONFLICT");

  fake_link_end (second, 1006);
  fake_hub_iterate ();
  fake_link_expect (alice, "task.failed", "payload.task_id", id, "payload.code", "WORKER_LOST",
                    NULL);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/task/life", test_life);
  g_test_add_func ("/task/lease", test_lease);

  return g_test_run ();
}
