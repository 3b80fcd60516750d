/* choir-link.h: what the hub needs of a connection
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib-object.h>

#include "choir-outbox.h"

G_BEGIN_DECLS

/**
 * ChoirLink:
 *
 * The hub's view of whatever carries a session: a WebSocket connection, later an event stream.
 * Implemented above the hub, so that the hub knows no socket.
 */
#define CHOIR_TYPE_LINK (choir_link_get_type ())
G_DECLARE_INTERFACE (ChoirLink, choir_link, CHOIR, LINK, GObject)

struct _ChoirLinkInterface
{
  GTypeInterface parent_interface;

  ChoirOutbox *(*get_outbox) (ChoirLink *self);
  void (*close) (ChoirLink *self, guint code, const char *reason);
  const char *(*get_id) (ChoirLink *self);
  char *(*dup_address) (ChoirLink *self);
};

ChoirOutbox *choir_link_get_outbox (ChoirLink *self);
void choir_link_close (ChoirLink *self, guint code, const char *reason);
const char *choir_link_get_id (ChoirLink *self);
char *choir_link_dup_address (ChoirLink *self);

G_END_DECLS
