/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "task-fixture.h"

#include <string.h>

static void
test_life (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (QUIET);
  g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");
  g_autoptr (FakeLink) worker = join_worker (hub, "[\"agent\"]", 1);
  g_autofree char *id = request_task (alice, "{\"kind\":\"agent\",\"prompt\":\"Think.\"}");

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
                    "payload.lease_id", "-", NULL);
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

/* A lease lasts as long as the worker says something; without that the task goes to the next */
static void
test_lease (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (QUIET "[task]\nlease=10s\nmax-attempts=2\n");
  g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");
  g_autoptr (FakeLink) first = join_worker (hub, "[\"agent\"]", 1);
  g_autofree char *id = request_task (alice, "{\"kind\":\"agent\"}");
  g_autoptr (FakeLink) second = NULL;

  expect_assigned (first, id, "1");
  second = join_worker (hub, "[\"agent\"]", 1);
  for (guint i = 0; i < 3; i++)
    {
      pass (hub, 9 * SECOND);
      fake_link_ask (first, "task.heartbeat", "{}");
      fake_link_expect (first, "task.leased", "payload.task_ids.0", id, "payload.lost", "[]", NULL);
    }
  pass (hub, 9 * SECOND);
  say (first, "task.thinking", id, NULL);
  pass (hub, 9 * SECOND);
  fake_link_expect_nothing (second);

  pass (hub, 2 * SECOND);
  fake_link_expect (first, "task.cancel", "payload.task_id", id, NULL);
  expect_assigned (second, id, "2");
  say (first, "task.completed", id, NULL);
  fake_link_expect_error (first, "CONFLICT");
  fake_link_ask (first, "task.heartbeat", "{}");
  fake_link_expect (first, "task.leased", "payload.task_ids", "[]", NULL);

  fake_link_forget (alice);
  fake_link_end (second, 1006);
  fake_hub_iterate ();
  fake_link_expect (alice, "task.failed", "payload.task_id", id, "payload.code", "WORKER_LOST",
                    NULL);
  g_assert_cmpint (fake_hub_count (hub, "choir_task_attempts_lost", NULL), ==, 2);
  expect_state (alice, id, "failed");
}

/* One that is silent is not given the same again, until it says something */
static void
test_silent (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (QUIET "[task]\nlease=10s\n");
  g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");
  g_autoptr (FakeLink) worker = join_worker (hub, "[\"agent\"]", 1);
  g_autofree char *id = request_task (alice, "{\"kind\":\"agent\"}");

  expect_assigned (worker, id, "1");
  pass (hub, 100 * SECOND);
  fake_link_expect (worker, "task.cancel", NULL);
  fake_link_expect_nothing (worker);
  expect_state (alice, id, "queued");

  fake_link_ask (worker, "task.heartbeat", "{}");
  fake_link_expect (worker, "task.leased", NULL);
  expect_assigned (worker, id, "2");

  /* whatever it is */
  pass (hub, 100 * SECOND);
  fake_link_expect (worker, "task.cancel", NULL);
  fake_link_ask (worker, "task.progress", "{\"task_id\":7}");
  fake_link_expect_error (worker, "VALIDATION_ERROR");
  expect_assigned (worker, id, "3");
}

/* One that has a task again says nothing for the attempt it lost: what was still on its way names
 * the former lease */
static void
test_former_lease (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (QUIET "[task]\nlease=10s\n");
  g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");
  g_autoptr (FakeLink) worker = join_worker (hub, "[\"agent\"]", 1);
  g_autofree char *id = request_task (alice, "{\"kind\":\"agent\"}");
  g_autofree char *former = take_member (worker, "task.assigned", "payload.lease_id");
  g_autofree char *old_claim = g_strdup_printf ("\"lease_id\":\"%s\"", former);
  g_autofree char *lease = NULL;
  g_autofree char *claim = NULL;

  pass (hub, 100 * SECOND);
  fake_link_expect (worker, "task.cancel", NULL);
  say (worker, "task.chunk", id, old_claim);
  fake_link_expect_error (worker, "CONFLICT");
  lease = take_member (worker, "task.assigned", "payload.lease_id");
  g_assert_cmpstr (lease, !=, former);
  claim = g_strdup_printf ("\"lease_id\":\"%s\"", lease);

  say (worker, "task.chunk", id, old_claim);
  fake_link_expect_error (worker, "CONFLICT");
  say (worker, "task.completed", id, old_claim);
  fake_link_expect_error (worker, "CONFLICT");
  expect_state (alice, id, "running");

  fake_link_forget (alice);
  settle (worker, "task.completed", id, claim, "completed");
  fake_link_expect (alice, "task.completed", "payload.attempt", "2", NULL);
}

/* Users take turns; what one of them wants goes in order, and what is given back goes first */
static void
test_order (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (QUIET);
  g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");
  g_autoptr (FakeLink) bob = fake_link_join (hub, "bob");
  g_autofree char *alice1 = request_task (alice, "{\"kind\":\"agent\"}");
  g_autofree char *alice2 = request_task (alice, "{\"kind\":\"agent\"}");
  g_autofree char *alice3 = request_task (alice, "{\"kind\":\"agent\"}");
  g_autofree char *bob1 = request_task (bob, "{\"kind\":\"agent\"}");
  g_autofree char *bob2 = request_task (bob, "{\"kind\":\"agent\"}");
  g_autoptr (FakeLink) first = join_worker (hub, "[\"agent\"]", 2);
  g_autoptr (FakeLink) second = NULL;

  expect_assigned (first, alice1, "1");
  expect_assigned (first, bob1, "1");
  fake_link_expect_nothing (first);
  g_assert_cmpint (fake_hub_count (hub, "choir_tasks_queued", NULL), ==, 3);

  fake_link_end (first, 1006);
  fake_hub_iterate ();
  second = join_worker (hub, "[\"agent\"]", 5);
  expect_assigned (second, alice1, "2");
  expect_assigned (second, bob1, "2");
  expect_assigned (second, alice2, "1");
  expect_assigned (second, bob2, "1");
  expect_assigned (second, alice3, "1");
}

/* Each gets only what it takes, as much at a time as it has slots */
static void
test_kinds (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (QUIET);
  g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");
  g_autoptr (FakeLink) worker = join_worker (hub, "[\"a\",\"b\"]", 2);
  g_autofree char *a = request_task (alice, "{\"kind\":\"a\"}");
  g_autofree char *b = request_task (alice, "{\"kind\":\"b\"}");
  g_autofree char *c = request_task (alice, "{\"kind\":\"c\"}");
  g_autofree char *a2 = request_task (alice, "{\"kind\":\"a\"}");
  g_autoptr (FakeLink) any = NULL;

  expect_assigned (worker, a, "1");
  expect_assigned (worker, b, "1");
  fake_link_expect_nothing (worker);

  any = join_worker (hub, "[\"*\"]", 1);
  {
    g_autofree char *given = take_assigned (any);

    g_assert_true (g_str_equal (given, a2) || g_str_equal (given, c));
    fake_link_expect_nothing (any);
    fake_link_forget (alice);
    settle (any, "task.completed", given, NULL, "completed");
    g_free (take_assigned (any));
  }

  /* what it says again replaces what it said */
  pull (worker, "[\"c\"]", 3);
  fake_link_forget (alice);
  g_free (request_task (alice, "{\"kind\":\"a\"}"));
  fake_link_expect_nothing (worker);
  pull (worker, "[\"a\"]", 0);
  fake_link_expect_nothing (worker);
  pull (worker, "[\"a\"]", 3);
  g_free (take_assigned (worker));
}

/* Among those with a free slot, who has waited longest */
static void
test_turns (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (QUIET);
  g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");
  g_autoptr (FakeLink) first = join_worker (hub, "[\"a\"]", 3);
  g_autoptr (FakeLink) second = join_worker (hub, "[\"b\",\"a\"]", 3);
  FakeLink *const expected[] = { first, second, first, second };

  for (guint i = 0; i < G_N_ELEMENTS (expected); i++)
    {
      g_autofree char *id = request_task (alice, "{\"kind\":\"a\"}");

      expect_assigned (expected[i], id, "1");
    }
}

static void
test_timeout (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (QUIET "[task]\ntimeout=1m\n");
  g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");
  g_autoptr (FakeLink) worker = NULL;
  g_autofree char *queued = request_task (alice, "{\"kind\":\"a\",\"timeout_ms\":5000}");
  g_autofree char *running = request_task (alice, "{\"kind\":\"b\",\"timeout_ms\":100000000}");

  worker = join_worker (hub, "[\"b\"]", 1);
  fake_link_expect (worker, "task.assigned", "payload.task_id", running, "payload.timeout_ms",
                    "60000", NULL);
  pass (hub, 4 * SECOND);
  fake_link_expect_nothing (alice);
  pass (hub, 2 * SECOND);
  fake_link_expect (alice, "task.failed", "payload.task_id", queued, "payload.code", "TIMEOUT",
                    "payload.attempt", "-", NULL);
  pull (worker, "[\"a\",\"b\"]", 2);
  fake_link_expect_nothing (worker);

  /* it is not the lease that runs out */
  pass (hub, 30 * SECOND);
  say (worker, "task.started", running, NULL);
  fake_link_expect (alice, "task.started", NULL);
  pass (hub, 25 * SECOND);
  fake_link_expect (alice, "task.failed", "payload.task_id", running, "payload.code", "TIMEOUT",
                    NULL);
  fake_link_expect (worker, "task.cancel", "payload.task_id", running, "payload.reason", "timeout",
                    NULL);
  say (worker, "task.chunk", running, "\"content\":\"late\"");
  fake_link_expect_error (worker, "CONFLICT");
  fake_link_expect_nothing (alice);
}

static void
test_cancel (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (QUIET);
  g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");
  g_autoptr (FakeLink) bob = fake_link_join (hub, "bob");
  g_autoptr (FakeLink) worker = join_worker (hub, "[\"a\"]", 1);
  g_autofree char *running = request_task (alice, "{\"kind\":\"a\"}");
  g_autofree char *queued = request_task (alice, "{\"kind\":\"a\"}");
  g_autofree char *third = request_task (alice, "{\"kind\":\"a\"}");
  g_autofree char *by_id = g_strdup_printf ("{\"task_id\":\"%s\",\"reason\":\"no\"}", running);

  expect_assigned (worker, running, "1");
  fake_link_refuse (bob, "task.cancel", by_id, "NOT_FOUND");
  fake_link_refuse (alice, "task.cancel", "{\"task_id\":\"x\"}", "NOT_FOUND");
  fake_link_refuse (alice, "task.cancel", "{\"task_id\":7}", "VALIDATION_ERROR");

  fake_link_ask (alice, "task.cancel", by_id);
  fake_link_expect (alice, "task.cancelled", "payload.task_id", running, "payload.reason", "no",
                    NULL);
  fake_link_expect (alice, "task.cancelled", "payload.task_ids.0", running, "correlation_id", "q",
                    NULL);
  fake_link_expect (worker, "task.cancel", "payload.task_id", running, "payload.reason", "no",
                    NULL);
  expect_assigned (worker, queued, "1");
  fake_link_refuse (alice, "task.cancel", by_id, "CONFLICT");
  say (worker, "task.completed", running, NULL);
  fake_link_expect_error (worker, "CONFLICT");

  fake_link_ask (alice, "task.cancel", "{}");
  fake_link_expect (alice, "task.cancelled", NULL);
  fake_link_expect (alice, "task.cancelled", NULL);
  fake_link_expect (alice, "task.cancelled", "payload.task_id", "-", "correlation_id", "q", NULL);
  fake_link_expect (worker, "task.cancel", NULL);
  fake_link_expect_nothing (worker);
  expect_state (alice, third, "cancelled");

  fake_link_ask (alice, "task.cancel", "{}");
  fake_link_expect (alice, "task.cancelled", "payload.task_ids", "[]", NULL);
  g_assert_cmpint (fake_hub_count (hub, "choir_tasks_ended", "cancelled"), ==, 3);
}

/* Before it is stored, before anybody has taken it: it is cancelled all the same */
static void
test_cancel_at_once (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (QUIET);
  g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");
  g_autoptr (FakeLink) worker = join_worker (hub, "[\"a\"]", 1);

  fake_link_say (alice, "[{\"type\":\"task.request\",\"payload\":{\"kind\":\"a\"}},"
                        "{\"type\":\"task.cancel\"}]");
  fake_hub_iterate ();
  fake_link_expect (alice, "task.accepted", NULL);
  fake_link_expect (alice, "task.cancelled", "payload.kind", "a", NULL);
  fake_link_expect (alice, "task.cancelled", NULL);
  fake_link_expect_nothing (worker);
}

/* Back ends and administrators may cancel any */
static void
test_cancel_by_others (void)
{
  static const char *const roles[] = { "\"roles\":[\"service\"]", "\"roles\":[\"admin\"]" };
  g_autoptr (FakeHub) hub = fake_hub_new (QUIET);
  g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");

  for (guint i = 0; i < G_N_ELEMENTS (roles); i++)
    {
      g_autoptr (FakeLink) other =
        fake_link_open (hub, CHOIR_DIALECT_CHOIR, "other", roles[i], NULL);
      g_autofree char *id = request_task (alice, "{\"kind\":\"a\"}");

      fake_link_forget (other);
      expect_state (other, id, "queued");
      say (other, "task.cancel", id, NULL);
      fake_link_expect (other, "task.cancelled", "payload.task_ids.0", id, NULL);
      fake_link_expect (alice, "task.cancelled", "payload.task_id", id, NULL);
    }
}

static void
test_retry (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (QUIET "[task]\nmax-attempts=2\n");
  g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");
  g_autoptr (FakeLink) worker = join_worker (hub, "[\"a\"]", 1);
  g_autofree char *id = request_task (alice, "{\"kind\":\"a\"}");

  expect_assigned (worker, id, "1");
  say (worker, "task.failed", id, "\"retry\":true");
  expect_assigned (worker, id, "2");
  fake_link_expect (worker, "task.settled", "payload.task_id", id, NULL);
  fake_link_expect_nothing (alice);

  settle (worker, "task.failed", id, "\"retry\":true,\"message\":\"no luck\"", "failed");
  fake_link_expect (alice, "task.failed", "payload.message", "no luck", "payload.code",
                    "PROCESSING_ERROR", "payload.retry", "-", NULL);
}

/* Who gives a task back is about to go: that is no failed attempt, and it gets no other */
static void
test_release (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (QUIET "[task]\nmax-attempts=1\n");
  g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");
  g_autoptr (FakeLink) worker = join_worker (hub, "[\"a\"]", 2);
  g_autofree char *id = request_task (alice, "{\"kind\":\"a\"}");

  expect_assigned (worker, id, "1");
  settle (worker, "task.release", id, NULL, "queued");
  fake_link_expect_nothing (worker);
  say (worker, "task.progress", id, NULL);
  fake_link_expect_error (worker, "CONFLICT");

  pull (worker, "[\"a\"]", 1);
  expect_assigned (worker, id, "1");
  settle (worker, "task.completed", id, NULL, "completed");
}

static void
test_limits (void)
{
  g_autoptr (FakeHub) hub =
    fake_hub_new (QUIET "[task]\nmax-per-user=2\nmax-queued=3\nmax-slots=5\n");
  g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");
  g_autoptr (FakeLink) bob = fake_link_join (hub, "bob");
  g_autoptr (FakeLink) worker = open_worker (hub);
  g_autofree char *first = request_task (alice, "{\"kind\":\"a\"}");

  g_free (request_task (alice, "{\"kind\":\"a\"}"));
  fake_link_refuse (alice, "task.request", "{\"kind\":\"a\"}", "RATE_LIMIT_EXCEEDED");
  g_free (request_task (bob, "{\"kind\":\"a\"}"));
  fake_link_refuse (bob, "task.request", "{\"kind\":\"a\"}", "UNAVAILABLE");

  say (alice, "task.cancel", first, NULL);
  fake_link_forget (alice);
  g_free (request_task (bob, "{\"kind\":\"a\"}"));

  /* it is told how many it has */
  fake_link_ask (worker, "task.pull", "{\"kinds\":[\"b\"],\"slots\":1000}");
  fake_link_expect (worker, "task.pulling", "payload.slots", "5", NULL);
}

static void
test_validation (void)
{
  static const struct
  {
    const char *type;
    const char *payload;
    const char *code;
  } rows[] = {
    { "task.request", "{}", "VALIDATION_ERROR" },
    { "task.request", "{\"kind\":7}", "VALIDATION_ERROR" },
    { "task.request", "{\"kind\":\"\"}", "VALIDATION_ERROR" },
    { "task.request", "{\"kind\":\"a b\"}", "VALIDATION_ERROR" },
    { "task.request", "{\"kind\":\"*\"}", "VALIDATION_ERROR" },
    { "task.request", "{\"kind\":\"a\",\"timeout_ms\":0}", "VALIDATION_ERROR" },
    { "task.request", "{\"kind\":\"a\",\"timeout_ms\":\"1\"}", "VALIDATION_ERROR" },
    { "task.request", "{\"kind\":\"a\",\"idempotency_key\":1}", "VALIDATION_ERROR" },
    { "task.request", "{\"kind\":\"a\",\"channel\":\"a b\"}", "VALIDATION_ERROR" },
    { "task.request", "{\"kind\":\"a\",\"channel\":\"user:robot\"}", "VALIDATION_ERROR" },
    { "task.request", "{\"kind\":\"a\",\"channel\":\"other:1\"}", "PERMISSION_DENIED" },
    { "task.request", "{\"kind\":\"a\",\"session\":\"a b\"}", "VALIDATION_ERROR" },
    { "task.status", "{\"task_id\":\"x\"}", "NOT_FOUND" },
    { "task.status", "{\"before\":\"x\"}", "NOT_FOUND" },
    { "task.pull", "{}", "VALIDATION_ERROR" },
    { "task.pull", "{\"kinds\":[]}", "VALIDATION_ERROR" },
    { "task.pull", "{\"kinds\":[7]}", "VALIDATION_ERROR" },
    { "task.pull", "{\"kinds\":[\"a\"],\"slots\":-1}", "VALIDATION_ERROR" },
    { "task.pull", "{\"kinds\":[\"a\"],\"slots\":1.5}", "VALIDATION_ERROR" },
    { "task.progress", "{}", "VALIDATION_ERROR" },
    { "task.progress", "{\"task_id\":\"x\"}", "NOT_FOUND" },
    { "task.completed", "{\"task_id\":\"x\",\"lease_id\":7}", "VALIDATION_ERROR" },
    { "task.heartbeat", "{\"task_ids\":7}", "VALIDATION_ERROR" },
    { "task.heartbeat", "{\"task_ids\":[7]}", "VALIDATION_ERROR" },
  };
  g_autoptr (FakeHub) hub = fake_hub_new (QUIET);
  g_autoptr (FakeLink) worker = open_worker (hub);
  g_autoptr (GString) kinds = g_string_new ("{\"kinds\":[");

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    fake_link_refuse (worker, rows[i].type, rows[i].payload, rows[i].code);

  for (guint i = 0; i < 65; i++)
    g_string_append_printf (kinds, "%s\"k%u\"", i > 0 ? "," : "", i);
  g_string_append (kinds, "]}");
  fake_link_refuse (worker, "task.pull", kinds->str, "VALIDATION_ERROR");
}

/* What a worker may not say of its own task; it keeps the task */
static void
test_reports (void)
{
  static const char *const wrong[] = {
    "task.progress\n\"progress\":101",    "task.progress\n\"progress\":-1",
    "task.progress\n\"progress\":\"50\"", "task.chunk\n\"content\":7",
    "task.chunk\n\"other\":\"x\"",        "task.failed\n\"message\":7",
  };
  g_autoptr (FakeHub) hub = fake_hub_new (QUIET);
  g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");
  g_autoptr (FakeLink) worker = join_worker (hub, "[\"a\"]", 1);
  g_autofree char *id = request_task (alice, "{\"kind\":\"a\"}");

  expect_assigned (worker, id, "1");
  for (guint i = 0; i < G_N_ELEMENTS (wrong); i++)
    {
      g_auto (GStrv) parts = g_strsplit (wrong[i], "\n", 2);

      say (worker, parts[0], id, parts[1]);
      fake_link_expect_error (worker, "VALIDATION_ERROR");
    }
  fake_link_expect_nothing (alice);
  say (worker, "task.progress", id, "\"progress\":0.5");
  fake_link_expect (alice, "task.progress", "payload.progress", "0.5", NULL);
  settle (worker, "task.completed", id, NULL, "completed");
}

static void
test_roles (void)
{
  static const char *const types[] = { "task.pull", "task.progress", "task.completed",
                                       "task.heartbeat" };
  g_autoptr (FakeHub) hub = fake_hub_new (QUIET "[task]\nworker-role=helper\n"
                                                "[dialect choir]\nrate=5/60s\nburst-queue=0\n");
  g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");
  g_autoptr (FakeLink) worker = open_worker (hub);
  g_autoptr (FakeLink) helper =
    fake_link_open (hub, CHOIR_DIALECT_CHOIR, "robot", "\"roles\":[\"helper\"]", NULL);

  for (guint i = 0; i < G_N_ELEMENTS (types); i++)
    fake_link_refuse (alice, types[i], "{\"kinds\":[\"a\"],\"task_id\":\"x\"}",
                      "PERMISSION_DENIED");
  fake_link_refuse (worker, "task.pull", "{\"kinds\":[\"a\"]}", "PERMISSION_DENIED");

  /* who may not has no more than its rate, who may is not held up by it */
  fake_link_refuse (alice, "task.pull", "{}", "PERMISSION_DENIED");
  fake_link_refuse (alice, "task.pull", "{}", "RATE_LIMIT_EXCEEDED");
  fake_link_forget (helper);
  for (guint i = 0; i < 20; i++)
    {
      fake_link_ask (helper, "task.heartbeat", "{}");
      fake_link_expect (helper, "task.leased", NULL);
    }
}

/* The same key gives the same task, also while that is being stored */
static void
test_idempotency (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (QUIET);
  g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");
  g_autoptr (FakeLink) bob = fake_link_join (hub, "bob");
  const char *payload = "{\"kind\":\"a\",\"idempotency_key\":\"k\"}";
  g_autofree char *id = NULL;
  g_autofree char *other = NULL;

  fake_link_say (alice,
                 "[{\"type\":\"task.request\",\"payload\":%s},"
                 "{\"type\":\"task.request\",\"payload\":%s}]",
                 payload, payload);
  fake_hub_iterate ();
  id = take_member (alice, "task.accepted", "payload.task_id");
  fake_link_expect (alice, "task.accepted", "payload.task_id", id, "payload.duplicate", "true",
                    NULL);
  fake_link_ask (alice, "task.request", payload);
  fake_link_expect (alice, "task.accepted", "payload.task_id", id, "payload.duplicate", "true",
                    NULL);

  other = request_task (bob, payload);
  g_assert_cmpstr (id, !=, other);
  g_assert_cmpint (fake_hub_count (hub, "choir_tasks_queued", NULL), ==, 2);
}

/* A worker is given no more at once than may wait for it, and the rest as it gets on */
static void
test_room (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (QUIET "[task]\nmax-per-user=100\n");
  g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");
  g_autoptr (FakeLink) worker = NULL;
  g_autofree char *text = g_strnfill (40000, 'x');
  g_autofree char *payload = g_strdup_printf ("{\"kind\":\"a\",\"x\":[\"%.9000s\",\"%.9000s\","
                                              "\"%.9000s\",\"%.9000s\"]}",
                                              text, text, text, text);
  guint n_done = 0;

  for (guint i = 0; i < 60; i++)
    g_free (request_task (alice, payload));
  worker = open_worker (hub);
  pull (worker, "[\"a\"]", 64);
  g_assert_cmpuint (fake_link_get_n_overflows (worker), ==, 0);
  g_assert_cmpint (fake_hub_count (hub, "choir_tasks_running", NULL), <, 60);

  while (fake_link_get_n_frames (worker) > 0)
    {
      g_autofree char *json = fake_link_take (worker);
      g_autofree char *type = fake_link_read (json, "type");
      g_autofree char *id = fake_link_read (json, "payload.task_id");

      if (g_str_equal (type, "task.assigned"))
        say (worker, "task.completed", id, NULL);
      n_done += g_str_equal (type, "task.settled");
    }
  g_assert_cmpuint (n_done, ==, 60);
  g_assert_cmpuint (fake_link_get_n_overflows (worker), ==, 0);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/task/life", test_life);
  g_test_add_func ("/task/lease", test_lease);
  g_test_add_func ("/task/silent", test_silent);
  g_test_add_func ("/task/former-lease", test_former_lease);
  g_test_add_func ("/task/order", test_order);
  g_test_add_func ("/task/kinds", test_kinds);
  g_test_add_func ("/task/turns", test_turns);
  g_test_add_func ("/task/timeout", test_timeout);
  g_test_add_func ("/task/cancel", test_cancel);
  g_test_add_func ("/task/cancel/at-once", test_cancel_at_once);
  g_test_add_func ("/task/cancel/by-others", test_cancel_by_others);
  g_test_add_func ("/task/retry", test_retry);
  g_test_add_func ("/task/release", test_release);
  g_test_add_func ("/task/limits", test_limits);
  g_test_add_func ("/task/validation", test_validation);
  g_test_add_func ("/task/reports", test_reports);
  g_test_add_func ("/task/roles", test_roles);
  g_test_add_func ("/task/idempotency", test_idempotency);
  g_test_add_func ("/task/room", test_room);

  return g_test_run ();
}
