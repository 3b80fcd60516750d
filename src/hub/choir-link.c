/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-link.h"

G_DEFINE_INTERFACE (ChoirLink, choir_link, G_TYPE_OBJECT)

static void
choir_link_default_init (ChoirLinkInterface *iface)
{
}

/**
 * choir_link_get_outbox:
 * @self: a link
 *
 * Returns: (transfer none): where frames for this client are put; lives as long as @self
 */
ChoirOutbox *
choir_link_get_outbox (ChoirLink *self)
{
  return CHOIR_LINK_GET_IFACE (self)->get_outbox (self);
}

/**
 * choir_link_close:
 * @self: a link
 * @code: close code, RFC 6455 7.4
 * @reason: shown to the client; cut at 123 bytes
 *
 * Sends what is queued, then the close frame, and closes; a peer that does not answer is dropped
 * after a deadline. The link stays valid until its session is told that it is gone. Safe to call
 * while a channel is being walked, and again: the first call counts.
 */
void
choir_link_close (ChoirLink *self, guint code, const char *reason)
{
  CHOIR_LINK_GET_IFACE (self)->close (self, code, reason);
}

/**
 * choir_link_get_id:
 * @self: a link
 *
 * Returns: (transfer none): the connection's identifier
 */
const char *
choir_link_get_id (ChoirLink *self)
{
  return CHOIR_LINK_GET_IFACE (self)->get_id (self);
}

/**
 * choir_link_dup_address:
 * @self: a link
 *
 * Returns: (transfer full): the client's numeric address, behind trusted proxies the one they name
 */
char *
choir_link_dup_address (ChoirLink *self)
{
  return CHOIR_LINK_GET_IFACE (self)->dup_address (self);
}

/**
 * choir_link_can_change_session:
 * @self: a link
 *
 * Returns: whether a session may outlive it, and one that has outlived another go on with it
 */
gboolean
choir_link_can_change_session (ChoirLink *self)
{
  const ChoirLinkInterface *iface = CHOIR_LINK_GET_IFACE (self);

  return iface->take_unsent != NULL && iface->set_session != NULL;
}

/**
 * choir_link_names_session:
 * @self: a link
 *
 * Returns: whether its clients say which session they had when they come back, also in a contract
 * that has no name for it
 */
gboolean
choir_link_names_session (ChoirLink *self)
{
  return CHOIR_LINK_GET_IFACE (self)->names_session;
}

/**
 * choir_link_take_unsent:
 * @self: a link for which choir_link_can_change_session()
 * @into: an outbox for plain frames of the session's dialect
 *
 * Moves into @into, in order, the messages that the client can't have been given as a whole. From
 * now on @self gives it none of them: a link in the middle of one that can't stop is dropped.
 *
 * Returns: %FALSE if some are there that can't be given by another link; then nothing has changed,
 * except that @into may hold some of them
 */
gboolean
choir_link_take_unsent (ChoirLink *self, ChoirOutbox *into)
{
  return CHOIR_LINK_GET_IFACE (self)->take_unsent (self, into);
}

/**
 * choir_link_set_session:
 * @self: a link for which choir_link_can_change_session()
 * @session: (nullable): what it carries from now on; %NULL: nothing any more
 *
 * Takes a reference on @session and drops that on the session before, without telling it.
 */
void
choir_link_set_session (ChoirLink *self, ChoirSession *session)
{
  CHOIR_LINK_GET_IFACE (self)->set_session (self, session);
}
