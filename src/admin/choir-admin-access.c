/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-admin-access.h"

#include "choir-log.h"
#include "choir-names.h"

#include <unistd.h>

/* The bus daemon answers from its own memory */
#define ANSWER_TIMEOUT_MS 5000

/**
 * choir_admin_access_allows:
 * @uid: who calls
 * @own_uid: whom the service runs as
 *
 * Returns: whether @uid may call methods
 */
gboolean
choir_admin_access_allows (guint32 uid, guint32 own_uid)
{
  return uid == 0 || uid == own_uid;
}

static void
log_refusal (GDBusMethodInvocation *invocation, guint32 uid)
{
  g_autofree char *uid_text = g_strdup_printf ("%u", uid);

  choir_log (CHOIR_LOG_LEVEL_NOTICE, "Administration refused to a stranger", CHOIR_LOG_CALLER,
             g_dbus_method_invocation_get_sender (invocation), CHOIR_LOG_CALLER_UID, uid_text,
             CHOIR_LOG_METHOD, g_dbus_method_invocation_get_method_name (invocation), NULL);
}

static void
got_uid_cb (GObject *object, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) answer = NULL;
  guint32 uid;

  answer = g_dbus_connection_call_finish (G_DBUS_CONNECTION (object), result, &error);
  if (answer == NULL)
    {
      g_task_return_new_error (task, G_DBUS_ERROR, G_DBUS_ERROR_ACCESS_DENIED,
                               "Could not find out who is calling");
      return;
    }

  g_variant_get (answer, "(u)", &uid);
  if (!choir_admin_access_allows (uid, geteuid ()))
    {
      log_refusal (g_task_get_task_data (task), uid);
      g_task_return_new_error (task, G_DBUS_ERROR, G_DBUS_ERROR_ACCESS_DENIED,
                               "Only root and the service's own user may do this");
      return;
    }

  g_task_return_int (task, uid);
}

/**
 * choir_admin_access_check_async:
 * @invocation: (transfer none): a call that waits for leave; must stay unanswered until @callback
 * @cancellable: (nullable): a #GCancellable
 * @callback: called in the main context
 * @user_data: for @callback
 *
 * Asks the bus daemon which user is behind the caller's unique name.
 */
void
choir_admin_access_check_async (GDBusMethodInvocation *invocation,
                                GCancellable *cancellable,
                                GAsyncReadyCallback callback,
                                gpointer user_data)
{
  GTask *task = g_task_new (invocation, cancellable, callback, user_data);
  const char *sender = g_dbus_method_invocation_get_sender (invocation);

  g_task_set_source_tag (task, choir_admin_access_check_async);
  g_task_set_task_data (task, g_object_ref (invocation), g_object_unref);

  if (sender == NULL)
    {
      g_task_return_new_error (task, G_DBUS_ERROR, G_DBUS_ERROR_ACCESS_DENIED,
                               "Only calls over a message bus are taken");
      g_object_unref (task);
      return;
    }

  g_dbus_connection_call (g_dbus_method_invocation_get_connection (invocation),
                          "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
                          "GetConnectionUnixUser", g_variant_new ("(s)", sender),
                          G_VARIANT_TYPE ("(u)"), G_DBUS_CALL_FLAGS_NO_AUTO_START,
                          ANSWER_TIMEOUT_MS, cancellable, got_uid_cb, task);
}

/**
 * choir_admin_access_check_finish:
 * @result: what the callback got
 * @uid: (out): who calls
 * @error: return location: %G_DBUS_ERROR_ACCESS_DENIED
 *
 * Returns: whether the call may go on
 */
gboolean
choir_admin_access_check_finish (GAsyncResult *result, guint32 *uid, GError **error)
{
  g_autoptr (GError) failure = NULL;
  gssize value = g_task_propagate_int (G_TASK (result), &failure);

  if (failure != NULL)
    {
      g_propagate_error (error, g_steal_pointer (&failure));
      return FALSE;
    }

  *uid = (guint32) value;

  return TRUE;
}
