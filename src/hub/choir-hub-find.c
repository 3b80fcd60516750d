/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-hub-find.h"

#include "choir-hub-private.h"

/**
 * choir_hub_visit_channels:
 * @self: a hub
 * @visit: called for each channel in memory, in no order
 * @user_data: for @visit
 */
void
choir_hub_visit_channels (ChoirHub *self, ChoirChannelVisitor visit, gpointer user_data)
{
  GHashTableIter iter;
  gpointer channel;

  g_hash_table_iter_init (&iter, self->channels);
  while (g_hash_table_iter_next (&iter, NULL, &channel))
    visit (channel, user_data);
}

/**
 * choir_hub_visit_users:
 * @self: a hub
 * @visit: called for each user who has a session, whether it waits for its client or not, in no
 *   order
 * @user_data: for @visit
 */
void
choir_hub_visit_users (ChoirHub *self, ChoirUserVisitor visit, gpointer user_data)
{
  GHashTableIter iter;
  gpointer value;

  g_hash_table_iter_init (&iter, self->users);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    if (((ChoirUser *) value)->n_sessions > 0)
      visit (value, user_data);
}
