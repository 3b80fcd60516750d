/* choir-router.h: which handler answers which message
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-envelope.h"
#include "choir-settings.h"
#include "choir-stats.h"

G_BEGIN_DECLS

typedef struct _ChoirSession ChoirSession;

typedef void (*ChoirHandler) (ChoirSession *session, const ChoirEnvelope *message);

typedef enum
{
  CHOIR_ROUTE_BEFORE_AUTH = 1 << 0, /* allowed before the session is authenticated */
  CHOIR_ROUTE_SANITIZE = 1 << 1,    /* the payload is shown to other people */
} ChoirRouteFlags;

typedef struct
{
  const char *type; /* canonical, static */
  ChoirHandler handler;
  ChoirRateClass rate_class;
  ChoirRouteFlags flags;
} ChoirRoute;

/* A row with the figures of its type, so that a message needs one look-up */
typedef struct
{
  const ChoirRoute *route;
  ChoirTypeStats *stats;
} ChoirRouteEntry;

/**
 * ChoirRouter:
 *
 * A table, one row a canonical type. A type that the protocol knows but nobody here handles is
 * answered UNAVAILABLE; one that nobody knows, INVALID_MESSAGE_TYPE.
 */
typedef struct _ChoirRouter ChoirRouter;

ChoirRouter *choir_router_new (ChoirStats *stats);
void choir_router_free (ChoirRouter *self);
void choir_router_add (ChoirRouter *self, const ChoirRoute *routes, guint n_routes);
const ChoirRouteEntry *choir_router_lookup (ChoirRouter *self, const char *type);
gboolean choir_router_knows (ChoirRouter *self, const char *type);
gboolean choir_router_is_reserved (const char *type);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirRouter, choir_router_free)

G_END_DECLS
