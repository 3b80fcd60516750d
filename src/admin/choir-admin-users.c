/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-admin-methods.h"

#include "choir-close-code.h"
#include "choir-error.h"
#include "choir-names.h"
#include "choir-session.h"

#include <string.h>

static void
kick (ChoirAdminCall *call, const char *connection, const char *reason)
{
  g_autoptr (GError) error = NULL;
  ChoirSession *session;

  if (!choir_admin_check_reason (reason, CHOIR_ADMIN_REASON_MAX, &error))
    {
      choir_admin_call_fail (call, error);
      return;
    }

  session = choir_hub_find_session (call->hub, connection);
  if (session == NULL)
    {
      choir_admin_call_fail_literal (call, CHOIR_ERROR_NOT_FOUND, "There is no such connection");
      return;
    }

  choir_admin_call_log (call, "Connection kicked", CHOIR_LOG_CONNECTION, connection, 1);
  choir_session_close (session, CHOIR_CLOSE_KICKED, reason);
  choir_admin_call_return (call, NULL);
}

static void
perform_kick (ChoirAdminCall *call)
{
  const char *connection, *reason;

  g_variant_get (call->parameters, "(&s&s)", &connection, &reason);
  kick (call, connection, reason);
}

static void
perform_connection_kick (ChoirAdminCall *call)
{
  const char *reason;

  g_variant_get (call->parameters, "(&s)", &reason);
  kick (call, call->name, reason);
}

static void
perform_kick_user (ChoirAdminCall *call)
{
  g_autoptr (GError) error = NULL;
  const char *user, *reason;
  guint count;

  g_variant_get (call->parameters, "(&s&s)", &user, &reason);

  if (!choir_name_is_user (user, strlen (user)))
    g_set_error_literal (&error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION, "That is no user identifier");

  if (error != NULL || !choir_admin_check_reason (reason, CHOIR_ADMIN_REASON_MAX, &error))
    {
      choir_admin_call_fail (call, error);
      return;
    }

  count = choir_hub_kick_user (call->hub, user, reason);
  choir_admin_call_log (call, "User kicked", CHOIR_LOG_USER, user, count);
  choir_admin_call_return (call, g_variant_new ("(u)", count));
}

const ChoirAdminMethod choir_admin_users_methods[] = {
  { CHOIR_ADMIN_MANAGER, "Kick", CHOIR_ADMIN_MANAGE_USERS, TRUE, perform_kick, NULL },
  { CHOIR_ADMIN_CONNECTION, "Kick", CHOIR_ADMIN_MANAGE_USERS, FALSE, perform_connection_kick,
    NULL },
  { CHOIR_ADMIN_MANAGER, "KickUser", CHOIR_ADMIN_MANAGE_USERS, TRUE, perform_kick_user, NULL },
};

const guint choir_admin_users_n_methods = G_N_ELEMENTS (choir_admin_users_methods);
