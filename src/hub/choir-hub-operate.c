/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-hub-operate.h"

#include "choir-error.h"
#include "choir-handlers.h"
#include "choir-names.h"
#include "choir-session.h"
#include "choir-subscribe-request.h"

#include <string.h>

static gboolean
fail (GError **error, ChoirError code, const char *text)
{
  g_set_error_literal (error, CHOIR_ERROR, code, text);

  return FALSE;
}

static gboolean
check_channel (ChoirSession *session, const char *channel, GError **error)
{
  if (!choir_name_is_channel (channel, strlen (channel)))
    return fail (error, CHOIR_ERROR_VALIDATION, "That is no channel name");

  switch (choir_channel_kind_of (channel))
    {
    case CHOIR_CHANNEL_NORMAL:
      break;

    case CHOIR_CHANNEL_DOCUMENT:
      return fail (error, CHOIR_ERROR_VALIDATION, "Only a client can open a document");

    case CHOIR_CHANNEL_ALL:
    case CHOIR_CHANNEL_USER:
    case CHOIR_CHANNEL_SESSION:
    default:
      return fail (error, CHOIR_ERROR_VALIDATION,
                   "Those whom this channel is for hear it without a subscription");
    }

  if (choir_session_is_closing (session))
    return fail (error, CHOIR_ERROR_NOT_FOUND, "There is no such connection");

  return choir_session_get_claims (session) != NULL ||
         fail (error, CHOIR_ERROR_VALIDATION, "The connection has not authenticated");
}

/**
 * choir_hub_subscribe_async:
 * @self: a hub
 * @session: whom it is about
 * @channel: a channel
 * @cancellable: (nullable): to stop waiting; the session may join all the same
 * @callback: called when it has joined
 * @user_data: for @callback
 *
 * Has a session hear a channel, whatever its token allows, as long as it stays subscribed. The
 * client is told as if it had asked.
 */
void
choir_hub_subscribe_async (ChoirHub *self,
                           ChoirSession *session,
                           const char *channel,
                           GCancellable *cancellable,
                           GAsyncReadyCallback callback,
                           gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (self, cancellable, callback, user_data);
  GError *error = NULL;

  g_task_set_source_tag (task, choir_hub_subscribe_async);
  if (check_channel (session, channel, &error))
    choir_handlers_subscribe_for (session, channel, g_steal_pointer (&task));
  else
    g_task_return_error (task, error);
}

/**
 * choir_hub_subscribe_finish:
 * @self: a hub
 * @result: what the callback was given
 * @error: return location: %CHOIR_ERROR_VALIDATION, %CHOIR_ERROR_NOT_FOUND if the session has
 *   ended, %CHOIR_ERROR_OVERRUN at `session.max-subscriptions`, %CHOIR_ERROR_UNAVAILABLE
 *
 * Returns: whether the session is subscribed
 */
gboolean
choir_hub_subscribe_finish (ChoirHub *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, self), FALSE);

  return g_task_propagate_boolean (G_TASK (result), error);
}

/**
 * choir_hub_unsubscribe:
 * @self: a hub
 * @session: whom it is about
 * @channel: a channel that it is subscribed to, or is about to be, or a document that it has open
 * @error: return location: %CHOIR_ERROR_NOT_FOUND
 *
 * Ends a subscription. The client is told.
 *
 * Returns: whether there was one
 */
gboolean
choir_hub_unsubscribe (ChoirHub *self, ChoirSession *session, const char *channel, GError **error)
{
  g_autofree char *name = g_strdup (channel);
  gboolean withdrawn =
    !choir_session_is_closing (session) && choir_subscribe_request_withdraw (session, name);

  if (choir_session_is_closing (session) || !choir_session_unsubscribe (session, name))
    return withdrawn ||
           fail (error, CHOIR_ERROR_NOT_FOUND, "The connection is not subscribed to that");

  if (choir_channel_kind_of (name) == CHOIR_CHANNEL_DOCUMENT)
    choir_handlers_document_lost (session, name, "Closed by an administrator");
  else
    choir_handlers_unsubscribed (session, name);

  return TRUE;
}

/**
 * choir_hub_close_document:
 * @self: a hub
 * @id: of a document in memory
 * @reason: told to its editors
 * @n_editors: (out): sessions that had it open
 * @error: return location: %CHOIR_ERROR_NOT_FOUND
 *
 * Everybody leaves it, so that it goes out of memory once all is stored. They may open it again.
 *
 * Returns: whether it was in memory
 */
gboolean
choir_hub_close_document (ChoirHub *self,
                          const char *id,
                          const char *reason,
                          guint *n_editors,
                          GError **error)
{
  g_autofree char *name = g_strconcat ("document:", id, NULL);
  g_autoptr (GPtrArray) editors = g_ptr_array_new_with_free_func (g_object_unref);
  ChoirDocumentTable *table = choir_hub_get_documents (self);
  ChoirChannel *channel = choir_hub_find_channel (self, name);

  if (table == NULL || choir_document_table_find (table, id) == NULL)
    return fail (error, CHOIR_ERROR_NOT_FOUND, "There is no such document in memory");

  /* it goes with its last editor */
  for (guint i = 0; channel != NULL && i < channel->n_subscribers; i++)
    g_ptr_array_add (editors, g_object_ref (channel->subscribers[i]->session));

  for (guint i = 0; i < editors->len; i++)
    {
      ChoirSession *session = g_ptr_array_index (editors, i);

      if (choir_session_unsubscribe (session, name))
        choir_handlers_document_lost (session, name, reason);
    }

  *n_editors = editors->len;

  return TRUE;
}
