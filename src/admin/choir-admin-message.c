/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-admin-filter.h"
#include "choir-admin-methods.h"
#include "choir-admin-object.h"

#include "choir-chat-check.h"
#include "choir-error.h"
#include "choir-names.h"
#include "choir-session.h"

#include <string.h>

/* org.choir.Choir1.xml, the arguments payload_json: bytes */
#define PAYLOAD_MAX (64 * 1024)

static gboolean
check_message (ChoirAdminCall *call, const char *type, ChoirSlice payload, GError **error)
{
  if (payload.len <= PAYLOAD_MAX)
    return choir_hub_check_message (call->hub, type, payload, PAYLOAD_MAX, error);

  g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION, "The payload is longer than %d bytes",
               PAYLOAD_MAX);

  return FALSE;
}

/* No channel keeps it, and it takes no offset */
static gboolean
broadcast (ChoirAdminCall *call,
           const char *type,
           const char *payload,
           const ChoirAudience *audience,
           guint *n_recipients,
           GError **error)
{
  if (!check_message (call, type, choir_slice (payload), error))
    return FALSE;

  *n_recipients = choir_hub_broadcast (call->hub, type, choir_slice (payload), audience);

  return TRUE;
}

static void
perform_broadcast (ChoirAdminCall *call)
{
  g_auto (ChoirAudience) audience = { 0 };
  g_autoptr (GVariant) dict = NULL;
  g_autoptr (GError) error = NULL;
  const char *type, *payload;
  guint n_recipients = 0;

  g_variant_get (call->parameters, "(&s&s@a{sv})", &type, &payload, &dict);

  if (!choir_admin_filter_parse (&audience, dict, &error) ||
      !broadcast (call, type, payload, &audience, &n_recipients, &error))
    {
      choir_admin_call_fail (call, error);
      return;
    }

  choir_admin_call_log (call, "Message broadcast", CHOIR_LOG_TYPE, type, n_recipients);
  choir_admin_call_return (call, g_variant_new ("(u)", n_recipients));
}

static void
perform_send_to_user (ChoirAdminCall *call)
{
  g_auto (ChoirAudience) audience = { .keys = CHOIR_AUDIENCE_USER };
  g_autoptr (GError) error = NULL;
  const char *user, *type, *payload;
  guint n_recipients = 0;

  g_variant_get (call->parameters, "(&s&s&s)", &user, &type, &payload);
  audience.user = g_strdup (user);

  if (!choir_name_is_user (user, strlen (user)))
    choir_admin_call_fail_literal (call, CHOIR_ERROR_VALIDATION, "That is no user identifier");
  else if (!broadcast (call, type, payload, &audience, &n_recipients, &error))
    choir_admin_call_fail (call, error);
  else
    {
      choir_admin_call_log (call, "Message sent to a user", CHOIR_LOG_USER, user, n_recipients);
      choir_admin_call_return (call, g_variant_new ("(u)", n_recipients));
    }
}

/* Nobody is picked who has not authenticated, or has no such message in his contract */
static void
send_to_connection (ChoirAdminCall *call,
                    const char *connection,
                    const char *type,
                    const char *payload)
{
  g_auto (ChoirAudience) audience = { .keys = CHOIR_AUDIENCE_CONNECTION };
  ChoirSession *session = choir_hub_find_session (call->hub, connection);
  g_autoptr (GError) error = NULL;
  guint n_recipients = 0;

  audience.connection = g_strdup (connection);

  if (session == NULL || choir_session_is_closing (session))
    choir_admin_call_fail_literal (call, CHOIR_ERROR_NOT_FOUND, "There is no such connection");
  else if (choir_session_get_claims (session) == NULL)
    choir_admin_call_fail_literal (call, CHOIR_ERROR_VALIDATION,
                                   "The connection has not authenticated");
  else if (!broadcast (call, type, payload, &audience, &n_recipients, &error))
    choir_admin_call_fail (call, error);
  else if (n_recipients == 0)
    choir_admin_call_fail_literal (call, CHOIR_ERROR_INVALID_MESSAGE_TYPE,
                                   "The connection's contract has no such message");
  else
    {
      choir_admin_call_log (call, "Message sent to a connection", CHOIR_LOG_CONNECTION, connection,
                            n_recipients);
      choir_admin_call_return (call, NULL);
    }
}

static void
perform_send_to_connection (ChoirAdminCall *call)
{
  const char *connection, *type, *payload;

  g_variant_get (call->parameters, "(&s&s&s)", &connection, &type, &payload);
  send_to_connection (call, connection, type, payload);
}

static void
perform_connection_send (ChoirAdminCall *call)
{
  const char *type, *payload;

  if (choir_admin_call_find_object (call) == NULL)
    return;

  g_variant_get (call->parameters, "(&s&s)", &type, &payload);
  send_to_connection (call, call->name, type, payload);
}

static void
published_cb (const ChoirPublished *published, const GError *error, gpointer user_data)
{
  ChoirAdminCall *call = user_data;

  if (published == NULL)
    {
      choir_admin_call_fail (call, error);
      return;
    }

  choir_admin_call_log (call, "Message published", CHOIR_LOG_CHANNEL, published->channel->name,
                        published->n_recipients);
  choir_admin_call_return (call, g_variant_new ("(stu)", published->channel->epoch,
                                                published->offset, published->n_recipients));
}

static gboolean
check_publication (ChoirAdminCall *call, const ChoirPublication *publication, GError **error)
{
  if (!choir_name_is_channel (publication->channel, strlen (publication->channel)))
    {
      g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION, "That is no channel name");
      return FALSE;
    }

  return check_message (call, publication->type, publication->payload, error) &&
         choir_chat_check_kept (publication->type, error);
}

/* As a back end would, but in nobody's name */
static void
publish (ChoirAdminCall *call, const char *channel, const char *type, const char *payload)
{
  static const ChoirChatSpeaker speaker = { .is_back_end = TRUE };
  ChoirPublication publication = {
    .channel = channel,
    .type = type,
    .payload = choir_slice (payload),
  };
  g_autofree char *message_id = NULL;
  g_autoptr (GError) error = NULL;
  GString *stamped = NULL;

  if (check_publication (call, &publication, &error) &&
      choir_chat_admit (&speaker, type, &publication.payload, &stamped, &message_id, &error))
    choir_hub_publish_async (call->hub, &publication, published_cb, call);
  else
    choir_admin_call_fail (call, error);

  if (stamped != NULL)
    g_string_free (stamped, TRUE);
}

static void
perform_publish (ChoirAdminCall *call)
{
  const char *channel, *type, *payload;

  g_variant_get (call->parameters, "(&s&s&s)", &channel, &type, &payload);
  publish (call, channel, type, payload);
}

static void
perform_channel_publish (ChoirAdminCall *call)
{
  const char *type, *payload;

  if (choir_admin_call_find_object (call) == NULL)
    return;

  g_variant_get (call->parameters, "(&s&s)", &type, &payload);
  publish (call, call->name, type, payload);
}

#define ROW(interface, method, target, perform)                                                    \
  {                                                                                                \
    CHOIR_ADMIN_##interface, method, CHOIR_ADMIN_MESSAGE, target, perform, NULL                    \
  }

const ChoirAdminMethod choir_admin_message_methods[] = {
  ROW (MANAGER, "Broadcast", FALSE, perform_broadcast),
  ROW (MANAGER, "SendToUser", TRUE, perform_send_to_user),
  ROW (MANAGER, "SendToConnection", TRUE, perform_send_to_connection),
  ROW (CONNECTION, "Send", FALSE, perform_connection_send),
  ROW (MANAGER, "Publish", TRUE, perform_publish),
  ROW (CHANNEL, "Publish", FALSE, perform_channel_publish),
};

const guint choir_admin_message_n_methods = G_N_ELEMENTS (choir_admin_message_methods);
