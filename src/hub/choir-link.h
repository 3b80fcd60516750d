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
 * The hub's view of whatever carries a session: a WebSocket connection or an event stream.
 * Implemented above the hub, so that the hub knows no socket. A link owns a reference on the
 * session it carries, and hands on to it what the client says; which session that is may change
 * while it lasts, for one that waited for its client takes the place of the one the link began
 * with.
 */
#define CHOIR_TYPE_LINK (choir_link_get_type ())
G_DECLARE_INTERFACE (ChoirLink, choir_link, CHOIR, LINK, GObject)

typedef struct _ChoirSession ChoirSession;

struct _ChoirLinkInterface
{
  GTypeInterface parent_interface;

  ChoirOutbox *(*get_outbox) (ChoirLink *self);
  void (*close) (ChoirLink *self, guint code, const char *reason);
  const char *(*get_id) (ChoirLink *self);
  char *(*dup_address) (ChoirLink *self);
  /* These two may be NULL: then its sessions end with it, and take over none */
  gboolean (*take_unsent) (ChoirLink *self, ChoirOutbox *into);
  void (*set_session) (ChoirLink *self, ChoirSession *session);
  /* Whether its clients say which session they had, whatever the contract has */
  gboolean names_session;
};

ChoirOutbox *choir_link_get_outbox (ChoirLink *self);
void choir_link_close (ChoirLink *self, guint code, const char *reason);
const char *choir_link_get_id (ChoirLink *self);
char *choir_link_dup_address (ChoirLink *self);
gboolean choir_link_can_change_session (ChoirLink *self);
gboolean choir_link_take_unsent (ChoirLink *self, ChoirOutbox *into);
gboolean choir_link_names_session (ChoirLink *self);
void choir_link_set_session (ChoirLink *self, ChoirSession *session);

G_END_DECLS
