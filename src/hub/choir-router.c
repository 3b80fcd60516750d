/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-router.h"

#include <string.h>

struct _ChoirRouter
{
  GHashTable *routes; /* (element-type utf8 ChoirRouteEntry) (owned) */
  ChoirStats *stats;  /* borrowed */
};

/* What the service answers and announces, counted by type as well */
static const char *const answer_types[] = {
  "connection.established",
  "auth.ok",
  "auth.failed",
  "auth.expiring",
  "pong",
  "publish.ok",
  "chat.typing.end",
  "subscription.confirmed",
  "subscription.removed",
  "history.result",
  "presence.state",
  "presence.joined",
  "presence.left",
  "system.reconnect",
  "document.opened",
  "document.closed",
  "document.ack",
  "document.saved",
  "sync.response",
  "conflict.detected",
  "user.presence",
  NULL,
};

/* What only the service itself says: a client that could publish these could pretend to be it */
static const char *const reserved_families[] = {
  "auth",     "connection", "subscription", "publish", "history",  "presence",
  "document", "task",       "system",       "session", "conflict", NULL,
};

static const char *const reserved_types[] = {
  "error", "ping", "pong", "heartbeat", "sync.response", "user.presence", NULL,
};

/* Every type the protocol has, whether somebody handles it here or not */
static const ChoirDialectInbound *
get_protocol (void)
{
  return choir_dialect_get_table (choir_dialect_get (CHOIR_DIALECT_CHOIR))->inbound;
}

/**
 * choir_router_new:
 * @stats: where messages are counted; must outlive the router
 *
 * Returns: (transfer full): a router without routes
 */
ChoirRouter *
choir_router_new (ChoirStats *stats)
{
  ChoirRouter *self = g_new0 (ChoirRouter, 1);

  self->routes = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, g_free);
  self->stats = stats;

  for (const ChoirDialectInbound *row = get_protocol (); row->external != NULL; row++)
    choir_stats_add_type (stats, row->canonical);

  for (guint i = 0; answer_types[i] != NULL; i++)
    choir_stats_add_type (stats, answer_types[i]);

  return self;
}

void
choir_router_free (ChoirRouter *self)
{
  g_hash_table_unref (self->routes);
  g_free (self);
}

/**
 * choir_router_add:
 * @self: a router
 * @routes: rows, which must live for ever
 * @n_routes: how many
 */
void
choir_router_add (ChoirRouter *self, const ChoirRoute *routes, guint n_routes)
{
  for (guint i = 0; i < n_routes; i++)
    {
      ChoirRouteEntry *entry = g_new (ChoirRouteEntry, 1);

      choir_stats_add_type (self->stats, routes[i].type);
      *entry = (ChoirRouteEntry){ &routes[i], choir_stats_for_type (self->stats, routes[i].type) };
      g_hash_table_insert (self->routes, (char *) routes[i].type, entry);
    }
}

/**
 * choir_router_lookup:
 * @self: a router
 * @type: canonical type of a message
 *
 * Returns: (nullable): its row
 */
const ChoirRouteEntry *
choir_router_lookup (ChoirRouter *self, const char *type)
{
  return g_hash_table_lookup (self->routes, type);
}

/**
 * choir_router_knows:
 * @self: a router
 * @type: canonical type of a message without a row
 *
 * Returns: whether the protocol has this type
 */
gboolean
choir_router_knows (ChoirRouter *self, const char *type)
{
  for (const ChoirDialectInbound *row = get_protocol (); row->external != NULL; row++)
    if (strcmp (row->canonical, type) == 0)
      return TRUE;

  return FALSE;
}

static gboolean
is_service_type (const char *type)
{
  /* first letters of the names below: most types need no closer look */
  if (strchr ("acdehpstu", *type) == NULL)
    return FALSE;

  for (guint i = 0; reserved_families[i] != NULL; i++)
    if (strncmp (type, reserved_families[i], strcspn (type, ".")) == 0 &&
        strlen (reserved_families[i]) == strcspn (type, "."))
      return TRUE;

  return g_strv_contains (reserved_types, type);
}

/* What a contract calls by another name than we do would get round what we check of it */
static gboolean
is_renamed_chat (const ChoirDialectOutbound *row)
{
  return g_str_has_prefix (row->canonical, "chat.") && strcmp (row->canonical, row->external) != 0;
}

/* A message without a row in a dialect's table goes out under its own type: that must not be one
 * which the contract's clients know as the service's */
static GHashTable *
collect_external_names (void)
{
  GHashTable *names = g_hash_table_new (g_str_hash, g_str_equal);

  for (guint i = 0; i < CHOIR_N_DIALECTS; i++)
    {
      const ChoirDialectOutbound *row = choir_dialect_get_table (choir_dialect_get (i))->outbound;

      for (; row->canonical != NULL; row++)
        if (row->external != NULL && *row->external != '\0' &&
            (is_service_type (row->canonical) || is_renamed_chat (row)))
          g_hash_table_add (names, (char *) row->external);
    }

  return names;
}

/**
 * choir_router_is_reserved:
 * @type: a type somebody wants to publish
 *
 * Returns: whether only the service and its back ends may use it, under our name for it or a
 * contract's
 */
gboolean
choir_router_is_reserved (const char *type)
{
  static GHashTable *external_names;

  if (external_names == NULL)
    external_names = collect_external_names ();

  return is_service_type (type) || g_hash_table_contains (external_names, type);
}
