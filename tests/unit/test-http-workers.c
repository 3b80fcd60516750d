/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "http-task-fixture.h"

/* Taking */

static void
test_pull (Tasks *self, gconstpointer data)
{
  g_autofree char *first = want (self, "count");
  g_autofree char *second = want (self, "count");
  g_autofree char *third = want (self, "count");
  g_autofree char *other = want (self, "other");
  g_auto (Answer) some = pull (self, "{\"kinds\":[\"count\"],\"slots\":2}");
  g_auto (Answer) rest = pull (self, "{\"kinds\":[\"sum\",\"count\"],\"slots\":5}");
  g_auto (Answer) none = pull (self, "{\"kinds\":[\"count\"],\"wait_ms\":0}");

  expect_status (&some, 200);
  expect_member (&some, "tasks.0.task_id", first);
  expect_member (&some, "tasks.0.kind", "count");
  expect_member (&some, "tasks.0.user_id", "ann");
  expect_member (&some, "tasks.0.payload", "{\"n\":1}");
  expect_member (&some, "tasks.0.attempt", "1");
  expect_member (&some, "tasks.0.lease_ms", "60000");
  expect_member (&some, "tasks.1.task_id", second);
  expect_member (&some, "tasks.2", "-");
  expect_member (&rest, "tasks.0.task_id", third);
  expect_member (&rest, "tasks.1", "-");
  expect_status (&none, 200);
  expect_member (&none, "tasks", "[]");
  expect_state (self, first, "running");
  expect_state (self, other, "queued");
}

static void
test_pull_invalid (Tasks *self, gconstpointer data)
{
  static const char *const bodies[] = {
    "{}",
    "{\"kinds\":[]}",
    "{\"kinds\":\"count\"}",
    "{\"kinds\":[1]}",
    "{\"kinds\":[\"a b\"]}",
    "{\"kinds\":[\"\"]}",
    "{\"kinds\":[\"a\"],\"slots\":0}",
    "{\"kinds\":[\"a\"],\"slots\":65}",
    "{\"kinds\":[\"a\"],\"slots\":1.5}",
    "{\"kinds\":[\"a\"],\"wait_ms\":60001}",
    "{\"kinds\":[\"a\"],\"wait_ms\":-1}",
    "{\"kinds\":[\"a\"],\"wait\":1}",
  };

  for (guint i = 0; i < G_N_ELEMENTS (bodies); i++)
    {
      g_auto (Answer) answer = pull (self, bodies[i]);

      if (answer.status != 400)
        g_error ("%s: %u %s", bodies[i], answer.status, answer.body);
    }
}

static void
test_roles (Tasks *self, gconstpointer data)
{
  g_autofree char *id = want (self, "count");
  g_autofree char *updates = target_of (id, "/updates");
  g_auto (Answer) user = say (self, self->ann, PULL, "{\"kinds\":[\"count\"]}");
  g_auto (Answer) says =
    say (self, self->ann, updates, "{\"type\":\"started\",\"lease_id\":\"x\"}");
  g_auto (Answer) guest = say (self, NULL, PULL, "{\"kinds\":[\"count\"]}");
  g_auto (Answer) service = say (self, self->base.token, PULL, "{\"kinds\":[\"*\"]}");

  expect_problem (&user, 403, "PERMISSION_DENIED");
  expect_problem (&says, 403, "PERMISSION_DENIED");
  expect_problem (&guest, 401, "AUTH_ERROR");
  expect_status (&service, 200);
  expect_member (&service, "tasks.0.task_id", id);
}

static void
test_wait (Tasks *self, gconstpointer data)
{
  g_autoptr (Call) call = wait_for_tasks (self, "{\"kinds\":[\"count\"],\"slots\":3}");
  g_autofree char *other = want (self, "other");
  g_autofree char *id = NULL;

  g_assert_cmpuint (choir_http_server_get_n_waiting (self->base.http), ==, 1);
  id = want (self, "count");
  call_wait (call);
  {
    g_auto (Answer) answer = read_answer (call);

    expect_status (&answer, 200);
    expect_member (&answer, "tasks.0.task_id", id);
    expect_member (&answer, "tasks.1", "-");
  }
  expect_state (self, id, "running");
  expect_state (self, other, "queued");
}

/* Whoever is blocked while he waits gets nothing; somebody else does */
static void
test_wait_blocked (Tasks *self, gconstpointer data)
{
  g_autoptr (Call) call = wait_for_tasks (self, "{\"kinds\":[\"count\"]}");
  g_autofree char *id = NULL;

  fake_hub_ban (self->base.hub, CHOIR_BAN_USER, "w1");
  id = want (self, "count");
  call_wait (call);
  {
    g_auto (Answer) answer = read_answer (call);
    g_auto (Answer) other = { 0 };

    expect_problem (&answer, 403, "PERMISSION_DENIED");
    expect_state (self, id, "queued");
    other = say (self, self->base.token, PULL, "{\"kinds\":[\"count\"]}");
    expect_member (&other, "tasks.0.task_id", id);
  }
}

static void
test_wait_in_vain (Tasks *self, gconstpointer data)
{
  g_autoptr (Call) call = wait_for_tasks (self, "{\"kinds\":[\"count\"],\"wait_ms\":20000}");
  g_autofree char *id = NULL;

  fake_hub_advance (self->base.hub, 19 * G_USEC_PER_SEC);
  call_turn (call);
  g_assert_false (call->ended);
  fake_hub_advance (self->base.hub, 2 * G_USEC_PER_SEC);
  call_wait (call);
  {
    g_auto (Answer) answer = read_answer (call);

    expect_status (&answer, 200);
    expect_member (&answer, "tasks", "[]");
  }
  /* it wants nothing any more */
  id = want (self, "count");
  expect_state (self, id, "queued");
}

/* Nobody waits for it: the next one gets it, as if it were the first */
static void
test_gone_while_waiting (Tasks *self, gconstpointer data)
{
  Call *call = wait_for_tasks (self, "{\"kinds\":[\"count\"]}");
  g_autofree char *id = NULL;

  call_free (call);
  while (choir_http_server_get_n_waiting (self->base.http) > 0)
    g_main_context_iteration (NULL, FALSE);
  id = want (self, "count");
  expect_state (self, id, "queued");
  {
    g_auto (Answer) answer = pull (self, "{\"kinds\":[\"count\"]}");

    expect_member (&answer, "tasks.0.task_id", id);
    expect_member (&answer, "tasks.0.attempt", "1");
  }
}

/* It has gone, and before that is known there is something for it */
static void
test_gone_when_given (Tasks *self, gconstpointer data)
{
  Call *call = wait_for_tasks (self, "{\"kinds\":[\"count\"]}");
  g_autofree char *id = NULL;
  Call *request;
  GString *out = make_request ("POST", TASKS, self->ann, JSON);

  add_body (out, "{\"kind\":\"count\"}", strlen ("{\"kind\":\"count\"}"));
  request = call_new (&self->base, out);
  call_free (call);
  call_wait (request);
  {
    g_auto (Answer) made = read_answer (request);

    expect_status (&made, 201);
    id = fake_link_read (made.body, "task_id");
  }
  call_free (request);
  {
    g_auto (Answer) answer = pull (self, "{\"kinds\":[\"count\"]}");

    expect_member (&answer, "tasks.0.task_id", id);
    expect_member (&answer, "tasks.0.attempt", "1");
  }
}

/* The answer is larger than what fits a socket, and its reader goes in the middle of it */
static void
test_gone_when_answered (Tasks *self, gconstpointer data)
{
  g_autofree char *text = g_strnfill (60000, 'x');
  g_autofree char *body = g_strdup_printf ("{\"kind\":\"count\",\"payload\":{\"x\":\"%s\"}}", text);
  GString *out = make_request ("POST", PULL, self->worker, JSON);
  Call *call;

  for (guint i = 0; i < 9; i++)
    {
      g_auto (Answer) made = say (self, self->ann, TASKS, body);

      expect_status (&made, 201);
    }

  add_body (out, "{\"kinds\":[\"count\"],\"slots\":9}",
            strlen ("{\"kinds\":[\"count\"],\"slots\":9}"));
  call = call_new (&self->base, out);
  call_wait_for (call, "HTTP/1.1 200");
  call_free (call);
  while (choir_http_server_get_n_peers (self->base.http) > 0)
    g_main_context_iteration (NULL, FALSE);
  {
    g_auto (Answer) answer = pull (self, "{\"kinds\":[\"count\"],\"slots\":9,\"wait_ms\":0}");

    expect_member (&answer, "tasks.0.attempt", "1");
    expect_member (&answer, "tasks.8.attempt", "1");
    expect_member (&answer, "tasks.9", "-");
  }
}

static void
test_max_waiting (Tasks *self, gconstpointer data)
{
  g_autoptr (Call) first = wait_for_tasks (self, "{\"kinds\":[\"count\"]}");
  g_autoptr (Call) second = wait_for_tasks (self, "{\"kinds\":[\"count\"]}");
  g_auto (Answer) third = pull (self, "{\"kinds\":[\"count\"]}");
  g_autofree char *id = NULL;

  expect_problem (&third, 503, "UNAVAILABLE");
  g_assert_cmpint (fake_hub_count (self->base.hub, "choir_api_waiting", NULL), ==, 2);
  /* one request at a time is allowed, and is possible while two wait */
  id = want (self, "count");
  call_wait (first);
  {
    g_auto (Answer) answer = read_answer (first);
    g_auto (Answer) now = pull (self, "{\"kinds\":[\"count\"],\"wait_ms\":0}");

    expect_member (&answer, "tasks.0.task_id", id);
    expect_status (&now, 200);
  }
  fake_hub_advance (self->base.hub, 31 * G_USEC_PER_SEC);
  call_wait (second);
}

/* The server goes while somebody waits */
static void
test_stopped (Tasks *self, gconstpointer data)
{
  g_autoptr (Call) call = wait_for_tasks (self, "{\"kinds\":[\"count\"]}");

  choir_http_server_close_all (self->base.http);
  call_wait (call);
  g_assert_cmpuint (call->in->len, ==, 0);
}

/* Telling */

/* (transfer full): the lease of a new task of ann's, which is running */
static char *
take (Tasks *self, char **id)
{
  *id = want (self, "count");
  {
    g_auto (Answer) answer = pull (self, "{\"kinds\":[\"count\"],\"wait_ms\":0}");

    expect_member (&answer, "tasks.0.task_id", *id);

    return fake_link_read (answer.body, "tasks.0.lease_id");
  }
}

static void
test_updates (Tasks *self, gconstpointer data)
{
  g_autofree char *id = NULL;
  g_autofree char *lease = take (self, &id);
  g_autofree char *target = target_of (id, NULL);
  g_autoptr (FakeLink) ann = fake_link_join (self->base.hub, "ann");

  /* what there was before she came */
  fake_link_forget (ann);
  {
    g_auto (Answer) said = update (
      self, id, "{\"type\":\"started\",\"lease_id\":\"LEASE\",\"message\":\"Now\",\"x\":{\"y\":1}}",
      lease);

    expect_status (&said, 200);
    expect_member (&said, "task_id", id);
    expect_member (&said, "state", "running");
  }
  fake_link_expect (ann, "task.started", "payload.task_id", id, "payload.message", "Now",
                    "payload.x.y", "1", "payload.lease_id", "-", "payload.type", "-", NULL);
  {
    g_auto (Answer) said = update (self, id,
                                   "[{\"type\":\"chunk\",\"lease_id\":\"LEASE\",\"content\":\"a\"},"
                                   "{\"type\":\"chunk\",\"lease_id\":\"LEASE\",\"content\":\"b\"},"
                                   "{\"type\":\"heartbeat\",\"lease_id\":\"LEASE\"},"
                                   "{\"type\":\"progress\",\"lease_id\":\"LEASE\",\"progress\":7}]",
                                   lease);
    g_auto (Answer) found = look (self, self->ann, target);

    expect_status (&said, 200);
    expect_member (&found, "text", "ab");
    expect_member (&found, "event.type", "task.progress");
    expect_member (&found, "event.payload.progress", "7");
  }
  fake_link_expect (ann, "task.chunk", "payload.content", "a", NULL);
  fake_link_expect (ann, "task.chunk", "payload.content", "b", NULL);
  fake_link_expect (ann, "task.progress", "payload.progress", "7", NULL);
  {
    g_auto (Answer) done =
      update (self, id, "{\"type\":\"completed\",\"lease_id\":\"LEASE\",\"result\":[1]}", lease);
    g_auto (Answer) found = look (self, self->ann, target);
    g_auto (Answer) again =
      update (self, id, "{\"type\":\"completed\",\"lease_id\":\"LEASE\",\"result\":[1]}", lease);
    g_auto (Answer) late = cancel (self, self->ann, target);

    expect_status (&done, 200);
    expect_member (&done, "state", "completed");
    expect_member (&found, "state", "completed");
    expect_member (&found, "event.payload.result", "[1]");
    expect_problem (&again, 409, "CONFLICT");
    expect_member (&again, "state", "completed");
    expect_problem (&late, 409, "CONFLICT");
    expect_member (&late, "state", "completed");
  }
  fake_link_expect (ann, "task.completed", "payload.result", "[1]", NULL);
  fake_link_expect_nothing (ann);
}

static void
test_updates_refused (Tasks *self, gconstpointer data)
{
  g_autofree char *id = NULL;
  g_autofree char *lease = take (self, &id);
  g_auto (Answer) stranger =
    update (self, id, "{\"type\":\"started\",\"lease_id\":\"LEASE\"}", "somebody-elses");
  g_auto (Answer) unknown =
    update (self, "nothing", "{\"type\":\"started\",\"lease_id\":\"LEASE\"}", lease);
  g_auto (Answer) half = update (self, id,
                                 "[{\"type\":\"chunk\",\"lease_id\":\"LEASE\",\"content\":\"a\"},"
                                 "{\"type\":\"chunk\",\"lease_id\":\"LEASE\"},"
                                 "{\"type\":\"chunk\",\"lease_id\":\"LEASE\",\"content\":\"c\"}]",
                                 lease);
  g_auto (Answer) ended = update (self, id,
                                  "[{\"type\":\"completed\",\"lease_id\":\"LEASE\"},"
                                  "{\"type\":\"chunk\",\"lease_id\":\"LEASE\",\"content\":\"z\"}]",
                                  lease);

  expect_problem (&stranger, 409, "CONFLICT");
  expect_member (&stranger, "state", "running");
  expect_problem (&unknown, 404, "NOT_FOUND");
  expect_problem (&half, 400, "VALIDATION_ERROR");
  expect_member (&half, "index", "1");
  /* that is done, and what comes behind it is too late */
  expect_problem (&ended, 409, "CONFLICT");
  expect_member (&ended, "index", "1");
  expect_member (&ended, "state", "completed");
}

static void
test_updates_invalid (Tasks *self, gconstpointer data)
{
  static const char *const bodies[] = {
    "{}",
    "[]",
    "7",
    "{\"type\":\"started\"}",
    "{\"lease_id\":\"LEASE\"}",
    "{\"type\":\"task.started\",\"lease_id\":\"LEASE\"}",
    "{\"type\":\"cancel\",\"lease_id\":\"LEASE\"}",
    "{\"type\":\"started\",\"lease_id\":7}",
    "{\"type\":\"chunk\",\"lease_id\":\"LEASE\",\"content\":7}",
    "{\"type\":\"progress\",\"lease_id\":\"LEASE\",\"progress\":101}",
    "[{\"type\":\"chunk\",\"lease_id\":\"LEASE\",\"content\":\"lost\"},{\"type\":\"chunk\"}]",
  };
  g_autofree char *id = NULL;
  g_autofree char *lease = take (self, &id);
  g_autofree char *target = target_of (id, NULL);

  for (guint i = 0; i < G_N_ELEMENTS (bodies); i++)
    {
      g_auto (Answer) answer = update (self, id, bodies[i], lease);

      if (answer.status != 400)
        g_error ("%s: %u %s", bodies[i], answer.status, answer.body);
    }
  {
    g_auto (Answer) found = look (self, self->ann, target);

    expect_member (&found, "state", "running");
    expect_member (&found, "text", "-");
  }
}

static char *
make_two (const char *lease)
{
  return g_strdup_printf ("[{\"type\":\"chunk\",\"lease_id\":\"%s\",\"content\":\"a\"},"
                          "{\"type\":\"completed\",\"lease_id\":\"%s\"}]",
                          lease, lease);
}

/* What is said again, because the answer got lost, is heard once */
static void
test_updates_again (Tasks *self, gconstpointer data)
{
  g_autofree char *id = NULL;
  g_autofree char *lease = take (self, &id);
  g_autofree char *target = target_of (id, "/updates");
  g_autofree char *said = make_two (lease);
  g_autofree char *wrong = make_two ("nobody's");
  g_autoptr (FakeLink) ann = fake_link_join (self->base.hub, "ann");

  fake_link_forget (ann);
  {
    g_auto (Answer) refused =
      ask_as (&self->base, self->worker, "POST", target, JSON "Idempotency-Key: k1\r\n", wrong);

    expect_problem (&refused, 409, "CONFLICT");
    expect_member (&refused, "index", "0");
  }

  /* a key whose request was refused may be used again */
  for (guint i = 0; i < 2; i++)
    {
      g_auto (Answer) done =
        ask_as (&self->base, self->worker, "POST", target, JSON "Idempotency-Key: k1\r\n", said);

      expect_status (&done, 200);
      expect_member (&done, "state", "completed");
    }

  fake_link_expect (ann, "task.chunk", "payload.content", "a", NULL);
  fake_link_expect (ann, "task.completed", NULL);
  fake_link_expect_nothing (ann);
  {
    g_auto (Answer) late = say (self, self->worker, target, said);

    expect_problem (&late, 409, "CONFLICT");
  }
}

/* Given back: as another attempt, and as if nothing had been */
static void
test_given_back (Tasks *self, gconstpointer data)
{
  g_autofree char *id = NULL;
  g_autofree char *lease = take (self, &id);
  g_autofree char *second = NULL;

  {
    g_auto (Answer) said =
      update (self, id, "{\"type\":\"failed\",\"lease_id\":\"LEASE\",\"retry\":true}", lease);
    g_auto (Answer) next = pull (self, "{\"kinds\":[\"count\"],\"wait_ms\":0}");

    expect_status (&said, 200);
    expect_member (&said, "state", "queued");
    expect_member (&next, "tasks.0.task_id", id);
    expect_member (&next, "tasks.0.attempt", "2");
    second = fake_link_read (next.body, "tasks.0.lease_id");
  }
  {
    g_auto (Answer) late =
      update (self, id, "{\"type\":\"started\",\"lease_id\":\"LEASE\"}", lease);
    g_auto (Answer) said =
      update (self, id, "{\"type\":\"release\",\"lease_id\":\"LEASE\"}", second);
    g_auto (Answer) next = pull (self, "{\"kinds\":[\"count\"],\"wait_ms\":0}");

    expect_problem (&late, 409, "CONFLICT");
    expect_member (&late, "state", "running");
    expect_status (&said, 200);
    expect_member (&next, "tasks.0.attempt", "2");
  }
}

static void
test_lease (Tasks *self, gconstpointer data)
{
  g_autofree char *id = NULL;
  g_autofree char *lease = take (self, &id);

  for (guint i = 0; i < 3; i++)
    {
      g_auto (Answer) said =
        update (self, id, "{\"type\":\"heartbeat\",\"lease_id\":\"LEASE\"}", lease);

      expect_status (&said, 200);
      fake_hub_advance (self->base.hub, 40 * G_USEC_PER_SEC);
      expect_state (self, id, "running");
    }

  fake_hub_advance (self->base.hub, 21 * G_USEC_PER_SEC);
  expect_state (self, id, "queued");
}

static void
test_cancel (Tasks *self, gconstpointer data)
{
  g_autofree char *id = NULL;
  g_autofree char *lease = take (self, &id);
  g_autofree char *target = target_of (id, "?reason=too%20slow");
  g_autofree char *reason = g_strnfill (1025, 'r');
  g_autofree char *long_target = g_strconcat (TASKS "/", id, "?reason=", reason, NULL);
  g_auto (Answer) refused = cancel (self, self->ann, long_target);
  g_auto (Answer) done = cancel (self, self->ann, target);
  g_auto (Answer) again = cancel (self, self->base.token, target);
  g_auto (Answer) said = update (self, id, "{\"type\":\"started\",\"lease_id\":\"LEASE\"}", lease);

  expect_problem (&refused, 400, "VALIDATION_ERROR");
  expect_status (&done, 200);
  expect_member (&done, "state", "cancelled");
  expect_member (&done, "event.payload.reason", "too slow");
  expect_status (&again, 200);
  expect_problem (&said, 409, "CONFLICT");
  expect_member (&said, "state", "cancelled");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

#define ADD(name, settings, func)                                                                  \
  g_test_add ("/http-workers/" name, Tasks, settings, set_up_tasks, func, tear_down_tasks)
  ADD ("pull", "", test_pull);
  ADD ("pull-invalid", "", test_pull_invalid);
  ADD ("roles", "", test_roles);
  ADD ("wait", "", test_wait);
  ADD ("wait-blocked", "", test_wait_blocked);
  ADD ("wait-in-vain", "", test_wait_in_vain);
  ADD ("gone-while-waiting", "", test_gone_while_waiting);
  ADD ("gone-when-given", "", test_gone_when_given);
  ADD ("gone-when-answered", "", test_gone_when_answered);
  ADD ("max-waiting", "[api]\nmax-waiting=2\nmax-requests=1\n", test_max_waiting);
  ADD ("stopped", "", test_stopped);
  ADD ("updates", "", test_updates);
  ADD ("updates-refused", "", test_updates_refused);
  ADD ("updates-invalid", "", test_updates_invalid);
  ADD ("updates-again", "", test_updates_again);
  ADD ("given-back", "", test_given_back);
  ADD ("lease", "", test_lease);
  ADD ("cancel", "", test_cancel);

  return g_test_run ();
}
