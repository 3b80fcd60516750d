/* task-fixture.h: requesters and workers for the tests of tasks
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "fake-link.h"

#include "choir-clock.h"

G_BEGIN_DECLS

#define SECOND ((gint64) G_USEC_PER_SEC)
/* Nothing is said but what the test is about */
#define QUIET "[protocol]\nheartbeat-interval=1h\nidle-timeout=24h\n"

static inline FakeLink *
open_worker (FakeHub *hub)
{
  FakeLink *self =
    fake_link_open (hub, CHOIR_DIALECT_CHOIR, "robot", "\"roles\":[\"worker\"]", NULL);

  fake_link_forget (self);

  return self;
}

static inline void
pull (FakeLink *worker, const char *kinds, guint slots)
{
  g_autofree char *payload = g_strdup_printf ("{\"kinds\":%s,\"slots\":%u}", kinds, slots);
  g_autofree char *expected = g_strdup_printf ("%u", slots);

  fake_link_ask (worker, "task.pull", payload);
  fake_link_expect (worker, "task.pulling", "payload.kinds", kinds, "payload.slots", expected,
                    "correlation_id", "q", NULL);
}

static inline FakeLink *
join_worker (FakeHub *hub, const char *kinds, guint slots)
{
  FakeLink *self = open_worker (hub);

  pull (self, kinds, slots);

  return self;
}

/* (transfer full): a member of what comes next */
static inline char *
take_member (FakeLink *link, const char *type, const char *path)
{
  g_autofree char *json = fake_link_take (link);
  g_autofree char *found = NULL;

  if (json == NULL)
    g_error ("nothing was sent, %s was expected", type);
  found = fake_link_read (json, "type");
  if (!g_str_equal (found, type))
    g_error ("%s was expected, not %s", type, json);

  return fake_link_read (json, path);
}

/* (transfer full): the id of a task that is asked for */
static inline char *
request_task (FakeLink *link, const char *payload)
{
  fake_link_ask (link, "task.request", payload);

  return take_member (link, "task.accepted", "payload.task_id");
}

/* What a worker says of a task, with more members */
static inline void
say (FakeLink *worker, const char *type, const char *id, const char *more)
{
  g_autofree char *payload = g_strdup_printf ("{\"task_id\":\"%s\"%s%s}", id,
                                              more != NULL ? "," : "", more != NULL ? more : "");

  fake_link_ask (worker, type, payload);
}

static inline void
settle (FakeLink *worker, const char *type, const char *id, const char *more, const char *state)
{
  say (worker, type, id, more);
  fake_link_expect (worker, "task.settled", "payload.task_id", id, "payload.state", state,
                    "correlation_id", "q", NULL);
}

static inline void
expect_assigned (FakeLink *worker, const char *id, const char *attempt)
{
  fake_link_expect (worker, "task.assigned", "payload.task_id", id, "payload.attempt", attempt,
                    NULL);
}

/* The id of whatever it is given next, (transfer full) */
static inline char *
take_assigned (FakeLink *worker)
{
  return take_member (worker, "task.assigned", "payload.task_id");
}

static inline void
expect_state (FakeLink *link, const char *id, const char *state)
{
  g_autofree char *payload = g_strdup_printf ("{\"task_id\":\"%s\"}", id);

  fake_link_ask (link, "task.status", payload);
  fake_link_expect (link, "task.state", "payload.tasks.0.task_id", id, "payload.tasks.0.state",
                    state, NULL);
}

/* What was queued in the loop has happened as well */
static inline void
pass (FakeHub *hub, gint64 us)
{
  fake_hub_advance (hub, us);
  fake_hub_iterate ();
}

G_END_DECLS
