/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "http-task-fixture.h"

static void
test_request (Tasks *self, gconstpointer data)
{
  g_auto (Answer) made = say (self, self->base.token, TASKS,
                              "{\"kind\":\"count\",\"user_id\":\"ann\",\"payload\":{\"a\":[1]},"
                              "\"timeout_ms\":5000}");
  g_autofree char *id = fake_link_read (made.body, "task_id");
  g_autofree char *target = target_of (id, NULL);
  g_autofree char *etag = NULL;
  g_autofree char *condition = NULL;

  expect_status (&made, 201);
  expect_header (&made, "Location", target);
  expect_member (&made, "kind", "count");
  expect_member (&made, "state", "queued");
  expect_member (&made, "user_id", "ann");
  {
    g_auto (Answer) found = look (self, self->base.token, target);

    expect_status (&found, 200);
    expect_member (&found, "task_id", id);
    expect_member (&found, "state", "queued");
    etag = get_header (&found, "ETag");
  }
  condition = line ("If-None-Match", etag);
  {
    g_auto (Answer) same = ask_as (&self->base, self->ann, "GET", target, condition, NULL);
    g_auto (Answer) other = look (self, self->worker, target);
    g_auto (Answer) unknown = look (self, self->base.token, TASKS "/nothing");

    expect_status (&same, 304);
    g_assert_cmpuint (same.len, ==, 0);
    expect_problem (&other, 404, "NOT_FOUND");
    expect_problem (&unknown, 404, "NOT_FOUND");
  }
  {
    g_auto (Answer) gone = cancel (self, self->worker, target);
    g_auto (Answer) done = cancel (self, self->ann, target);
    g_auto (Answer) changed = ask_as (&self->base, self->ann, "GET", target, condition, NULL);

    expect_problem (&gone, 404, "NOT_FOUND");
    expect_status (&done, 200);
    expect_status (&changed, 200);
    expect_member (&changed, "state", "cancelled");
  }
}

static void
test_own_request (Tasks *self, gconstpointer data)
{
  g_auto (Answer) own = say (self, self->ann, TASKS, "{\"kind\":\"count\"}");
  g_auto (Answer) named = say (self, self->ann, TASKS, "{\"kind\":\"count\",\"user_id\":\"ann\"}");
  g_auto (Answer) other = say (self, self->ann, TASKS, "{\"kind\":\"count\",\"user_id\":\"bob\"}");
  g_auto (Answer) channel =
    say (self, self->ann, TASKS, "{\"kind\":\"count\",\"channel\":\"news\"}");
  g_auto (Answer) chat =
    say (self, self->ann, TASKS, "{\"kind\":\"count\",\"channel\":\"chat:a\"}");
  g_auto (Answer) session = say (self, self->ann, TASKS, "{\"kind\":\"count\",\"session\":\"a\"}");
  g_auto (Answer) trusted =
    say (self, self->base.token, TASKS,
         "{\"kind\":\"count\",\"channel\":\"news\",\"session\":\"a\",\"user_id\":\"bob\"}");

  expect_status (&own, 201);
  expect_member (&own, "user_id", "ann");
  expect_status (&named, 201);
  expect_problem (&other, 403, "PERMISSION_DENIED");
  expect_problem (&channel, 403, "PERMISSION_DENIED");
  expect_status (&chat, 201);
  expect_member (&chat, "channel", "chat:a");
  expect_problem (&session, 403, "PERMISSION_DENIED");
  expect_status (&trusted, 201);
  expect_member (&trusted, "channel", "news");
}

static void
test_request_invalid (Tasks *self, gconstpointer data)
{
  static const char *const bodies[] = {
    "{}",
    "[]",
    "nonsense",
    "{\"kind\":7}",
    "{\"kind\":\"\"}",
    "{\"kind\":\"*\"}",
    "{\"kind\":\"two words\"}",
    "{\"kind\":\"12345678901234567890123456789012345678901234567890123456789012345\"}",
    "{\"kind\":\"a\",\"payload\":[]}",
    "{\"kind\":\"a\",\"payload\":\"x\"}",
    "{\"kind\":\"a\",\"user_id\":1}",
    "{\"kind\":\"a\",\"user_id\":\"with space\"}",
    "{\"kind\":\"a\",\"channel\":\"with space\"}",
    "{\"kind\":\"a\",\"timeout_ms\":0}",
    "{\"kind\":\"a\",\"timeout_ms\":\"1\"}",
    "{\"kind\":\"a\",\"timout_ms\":1}",
  };

  for (guint i = 0; i < G_N_ELEMENTS (bodies); i++)
    {
      g_auto (Answer) answer = say (self, self->base.token, TASKS, bodies[i]);

      if (answer.status != 400)
        g_error ("%s: %u %s", bodies[i], answer.status, answer.body);
    }
}

static void
test_idempotency (Tasks *self, gconstpointer data)
{
  static const char body[] = "{\"kind\":\"count\",\"user_id\":\"ann\"}";
  g_autofree char *id = NULL;

  for (guint i = 0; i < 2; i++)
    {
      g_auto (Answer) made =
        ask_as (&self->base, self->base.token, "POST", TASKS, JSON "Idempotency-Key: k1\r\n", body);

      expect_status (&made, 201);
      if (id == NULL)
        id = fake_link_read (made.body, "task_id");
      else
        expect_member (&made, "task_id", id);
    }
  {
    g_auto (Answer) other =
      ask_as (&self->base, self->base.token, "POST", TASKS, JSON "Idempotency-Key: k2\r\n", body);
    /* the user's own of the same name is another one */
    g_auto (Answer) own =
      ask_as (&self->base, self->ann, "POST", TASKS, JSON "Idempotency-Key: k1\r\n", body);
    g_auto (Answer) bad =
      ask_as (&self->base, self->ann, "POST", TASKS, JSON "Idempotency-Key: a b\r\n", body);
    g_autofree char *other_id = fake_link_read (other.body, "task_id");
    g_autofree char *own_id = fake_link_read (own.body, "task_id");

    expect_status (&other, 201);
    expect_status (&own, 201);
    g_assert_cmpstr (other_id, !=, id);
    g_assert_cmpstr (own_id, !=, id);
    expect_problem (&bad, 400, "VALIDATION_ERROR");
  }
}

static void
test_list (Tasks *self, gconstpointer data)
{
  g_autofree char *first = want (self, "count");
  g_autofree char *second = want (self, "sum");
  g_auto (Answer) taken = pull (self, "{\"kinds\":[\"sum\"]}");
  g_auto (Answer) bobs =
    say (self, self->base.token, TASKS, "{\"kind\":\"sum\",\"user_id\":\"bob\"}");
  g_auto (Answer) all = look (self, self->base.token, TASKS);
  g_auto (Answer) page = look (self, self->base.token, TASKS "?limit=2");
  g_autofree char *last = fake_link_read (page.body, "tasks.1.task_id");
  g_autofree char *next = g_strconcat (TASKS "?limit=2&before=", last, NULL);
  g_auto (Answer) rest = look (self, self->base.token, next);
  g_auto (Answer) own = look (self, self->ann, TASKS "?state=queued");
  g_auto (Answer) sums = look (self, self->base.token, TASKS "?kind=sum&user=ann");
  g_auto (Answer) running = look (self, self->base.token, TASKS "?state=running");
  g_auto (Answer) unfinished = look (self, self->base.token, TASKS "?state=unfinished");

  expect_status (&bobs, 201);
  expect_status (&taken, 200);
  expect_member (&all, "tasks.2.task_id", first);
  expect_member (&all, "tasks.3", "-");
  expect_member (&all, "complete", "true");
  expect_member (&page, "tasks.1.task_id", second);
  expect_member (&page, "complete", "false");
  expect_member (&rest, "tasks.0.task_id", first);
  expect_member (&rest, "complete", "true");
  expect_member (&own, "tasks.0.task_id", first);
  expect_member (&own, "tasks.1", "-");
  expect_member (&sums, "tasks.0.task_id", second);
  expect_member (&sums, "tasks.1", "-");
  expect_member (&running, "tasks.0.task_id", second);
  expect_member (&running, "tasks.1", "-");
  expect_member (&unfinished, "tasks.2.task_id", first);
  {
    g_auto (Answer) state = look (self, self->base.token, TASKS "?state=lost");
    g_auto (Answer) limit = look (self, self->base.token, TASKS "?limit=0");
    g_auto (Answer) before = look (self, self->base.token, TASKS "?before=nothing");
    g_auto (Answer) other = look (self, self->ann, TASKS "?user=bob");

    expect_problem (&state, 400, "VALIDATION_ERROR");
    expect_problem (&limit, 400, "VALIDATION_ERROR");
    expect_problem (&before, 404, "NOT_FOUND");
    expect_problem (&other, 403, "PERMISSION_DENIED");
  }
}

static void
test_limits (Tasks *self, gconstpointer data)
{
  g_autofree char *first = want (self, "count");
  g_autofree char *second = want (self, "count");
  g_auto (Answer) third = say (self, self->ann, TASKS, "{\"kind\":\"count\"}");
  g_auto (Answer) bobs =
    say (self, self->base.token, TASKS, "{\"kind\":\"sum\",\"user_id\":\"bob\"}");

  expect_problem (&third, 429, "RATE_LIMIT_EXCEEDED");
  expect_state (self, first, "queued");
  expect_state (self, second, "queued");
  expect_header (&third, "Retry-After", "1");
  expect_status (&bobs, 201);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

#define ADD(name, settings, func)                                                                  \
  g_test_add ("/http-tasks/" name, Tasks, settings, set_up_tasks, func, tear_down_tasks)
  ADD ("request", "", test_request);
  ADD ("own-request", "", test_own_request);
  ADD ("request-invalid", "", test_request_invalid);
  ADD ("idempotency", "", test_idempotency);
  ADD ("list", "", test_list);
  ADD ("limits", "[task]\nmax-per-user=2\n", test_limits);

  return g_test_run ();
}
