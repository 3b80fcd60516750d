/* http-task-fixture.h: an HTTP server with tasks, and who asks for them, does them and looks at
 * them
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "http-fixture.h"

#define TASKS "/api/v1/tasks"
#define PULL TASKS "/pull"

typedef struct
{
  Fixture base;
  char *worker; /* (owned): tokens */
  char *ann;    /* (owned) */
} Tasks;

static inline void
set_up_tasks (Tasks *self, gconstpointer settings)
{
  set_up (&self->base, settings);
  self->worker = fake_hub_mint (self->base.hub, "w1", "\"roles\":[\"worker\"]");
  self->ann = fake_hub_mint (self->base.hub, "ann", NULL);
  fake_hub_iterate ();
}

static inline void
tear_down_tasks (Tasks *self, gconstpointer settings)
{
  fake_hub_iterate ();
  g_assert_cmpuint (choir_http_server_get_n_waiting (self->base.http), ==, 0);
  g_free (self->worker);
  g_free (self->ann);
  tear_down (&self->base, settings);
}

static inline Answer
say (Tasks *self, const char *token, const char *target, const char *body)
{
  return ask_as (&self->base, token, "POST", target, JSON, body);
}

static inline Answer
look (Tasks *self, const char *token, const char *target)
{
  return ask_as (&self->base, token, "GET", target, NULL, NULL);
}

static inline Answer
cancel (Tasks *self, const char *token, const char *target)
{
  return ask_as (&self->base, token, "DELETE", target, NULL, NULL);
}

/* (transfer full): the id of a new task of ann's */
static inline char *
want (Tasks *self, const char *kind)
{
  g_autofree char *body =
    g_strdup_printf ("{\"kind\":\"%s\",\"user_id\":\"ann\",\"payload\":{\"n\":1}}", kind);
  g_auto (Answer) answer = say (self, self->base.token, TASKS, body);

  expect_status (&answer, 201);

  return fake_link_read (answer.body, "task_id");
}

static inline Answer
pull (Tasks *self, const char *body)
{
  return say (self, self->worker, PULL, body);
}

static inline char *
target_of (const char *id, const char *rest)
{
  return g_strconcat (TASKS "/", id, rest, NULL);
}

static inline Answer
update (Tasks *self, const char *id, const char *format, const char *lease)
{
  g_auto (GStrv) parts = g_strsplit (format, "LEASE", -1);
  g_autofree char *body = g_strjoinv (lease, parts);
  g_autofree char *target = target_of (id, "/updates");

  return say (self, self->worker, target, body);
}

static inline void
expect_state (Tasks *self, const char *id, const char *state)
{
  g_autofree char *target = target_of (id, NULL);
  g_auto (Answer) answer = look (self, self->base.token, target);

  expect_status (&answer, 200);
  expect_member (&answer, "state", state);
}

/* A request that waits, and does not hold a place among those that are handled */
static inline Call *
wait_for_tasks (Tasks *self, const char *body)
{
  GString *out = make_request ("POST", PULL, self->worker, JSON);
  guint before = choir_http_server_get_n_waiting (self->base.http);
  Call *call;

  add_body (out, body, strlen (body));
  call = call_new (&self->base, out);
  while (choir_http_server_get_n_waiting (self->base.http) == before)
    {
      g_assert_false (call->ended);
      call_turn (call);
    }
  g_assert_cmpuint (choir_http_server_get_n_requests (self->base.http), ==, 0);

  return call;
}
