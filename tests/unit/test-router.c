/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-handlers.h"

static void
test_routes (void)
{
  ChoirCounters *counters = choir_counters_new ();
  g_autoptr (ChoirStats) stats = choir_stats_new (counters);
  g_autoptr (ChoirRouter) router = choir_router_new (stats);
  const ChoirRouteEntry *entry;

  g_assert_null (choir_router_lookup (router, "ping"));
  choir_handlers_register (router);
  entry = choir_router_lookup (router, "ping");
  g_assert_cmpint (entry->route->flags & CHOIR_ROUTE_BEFORE_AUTH, !=, 0);
  g_assert_true (entry->stats == choir_stats_for_type (stats, "ping"));
  g_assert_cmpint (choir_router_lookup (router, "subscribe")->route->flags, ==, 0);
  g_assert_cmpint (choir_router_lookup (router, "document.change")->route->rate_class, ==,
                   CHOIR_RATE_DOCUMENT);
  g_assert_cmpint (
    choir_router_lookup (router, "chat.message")->route->flags & CHOIR_ROUTE_SANITIZE, !=, 0);
  g_assert_null (choir_router_lookup (router, "no.such"));
  g_assert_null (choir_router_lookup (router, ""));

  /* known to the protocol, whether handled or not */
  g_assert_true (choir_router_knows (router, "task.request"));
  g_assert_true (choir_router_knows (router, "ping"));
  g_assert_false (choir_router_knows (router, "no.such"));
  g_clear_pointer (&router, choir_router_free);
  g_clear_pointer (&stats, choir_stats_free);
  choir_counters_free (counters);
}

static void
test_reserved (void)
{
  static const struct
  {
    const char *type;
    gboolean reserved;
  } rows[] = {
    { "error", TRUE },
    { "pong", TRUE },
    { "auth.ok", TRUE },
    { "system.reconnect", TRUE },
    { "document.change", TRUE },
    { "user.presence", TRUE },
    { "sync.response", TRUE },
    { "subscription.confirmed", TRUE },
    /* the contracts' names for the same */
    { "connection_established", TRUE },
    { "connection_status", TRUE },
    { "status", TRUE },
    { "agent_update", TRUE },
    { "agent_completed", TRUE },
    { "agent_status_update", TRUE },
    { "system.heartbeat", TRUE },
    { "system.error", TRUE },
    { "chat.message", FALSE },
    { "chat_message", TRUE },
    { "chat_message_chunk", TRUE },
    { "user_message", TRUE },
    { "review.updated", FALSE },
    { "note", FALSE },
    { "pingpong", FALSE },
    { "author.added", FALSE },
    { "taskboard", FALSE },
    { "task.completed", TRUE },
    { "auth", TRUE },
    { "errors", FALSE },
    { "", FALSE },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_test_message ("%s", rows[i].type);
      g_assert_cmpint (choir_router_is_reserved (rows[i].type), ==, rows[i].reserved);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/router/routes", test_routes);
  g_test_add_func ("/router/reserved", test_reserved);

  return g_test_run ();
}
