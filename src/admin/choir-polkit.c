/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-polkit.h"

/* org.freedesktop.PolicyKit1.Authority, as polkit's reference manual has it */
#define POLKIT_NAME "org.freedesktop.PolicyKit1"
#define POLKIT_PATH "/org/freedesktop/PolicyKit1/Authority"
#define POLKIT_INTERFACE "org.freedesktop.PolicyKit1.Authority"
#define POLKIT_CANCELLED "org.freedesktop.PolicyKit1.Error.Cancelled"
#define ALLOW_USER_INTERACTION 1u

static void
cancel (GDBusConnection *bus, const char *cancellation_id)
{
  /* Nobody waits for the answer: it is an error if polkit's own was already on its way */
  g_dbus_connection_call (bus, POLKIT_NAME, POLKIT_PATH, POLKIT_INTERFACE,
                          "CancelCheckAuthorization", g_variant_new ("(s)", cancellation_id), NULL,
                          G_DBUS_CALL_FLAGS_NO_AUTO_START, -1, NULL, NULL, NULL);
}

static gboolean
is_polkit_cancelled (const GError *error)
{
  g_autofree char *name = g_dbus_error_get_remote_error (error);

  return g_strcmp0 (name, POLKIT_CANCELLED) == 0;
}

static ChoirPolkitAnswer
read_answer (GVariant *reply)
{
  g_autoptr (GVariant) details = NULL;
  gboolean authorized, challenge;

  g_variant_get (reply, "((bb@a{ss}))", &authorized, &challenge, &details);

  if (g_variant_lookup (details, "polkit.dismissed", "&s", NULL))
    return CHOIR_POLKIT_DISMISSED;
  if (authorized)
    return CHOIR_POLKIT_YES;

  return challenge ? CHOIR_POLKIT_CHALLENGE : CHOIR_POLKIT_NO;
}

static void
answered_cb (GObject *object, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  GDBusConnection *bus = G_DBUS_CONNECTION (object);
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) reply = g_dbus_connection_call_finish (bus, result, &error);

  if (reply != NULL)
    {
      g_task_return_int (task, read_answer (reply));
      return;
    }

  if (is_polkit_cancelled (error))
    {
      g_task_return_int (task, CHOIR_POLKIT_DISMISSED);
      return;
    }

  if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    cancel (bus, g_task_get_task_data (task));
  g_dbus_error_strip_remote_error (error);
  g_task_return_error (task, g_steal_pointer (&error));
}

/**
 * choir_polkit_check_async:
 * @bus: (transfer none): where polkit and @sender are
 * @sender: a unique name there
 * @action_id: what it wants to have done
 * @details: keys and values in turn, %NULL-terminated, for the dialogue's text
 * @interactive: whether a person may be asked, however long that takes
 * @cancellable: (nullable): takes the dialogue away too
 * @callback: called in the main context
 * @user_data: for @callback
 *
 * Asks polkit, which the bus starts if need be. There is no limit on how long it takes.
 */
void
choir_polkit_check_async (GDBusConnection *bus,
                          const char *sender,
                          const char *action_id,
                          const char *const *details,
                          gboolean interactive,
                          GCancellable *cancellable,
                          GAsyncReadyCallback callback,
                          gpointer user_data)
{
  static guint64 n_questions;

  g_autoptr (GTask) task = g_task_new (bus, cancellable, callback, user_data);
  char *cancellation_id = g_strdup_printf ("%" G_GUINT64_FORMAT, ++n_questions);
  GVariantBuilder subject, entries;

  g_task_set_source_tag (task, choir_polkit_check_async);
  g_task_set_task_data (task, cancellation_id, g_free);

  g_variant_builder_init (&subject, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add (&subject, "{sv}", "name", g_variant_new_string (sender));
  g_variant_builder_init (&entries, G_VARIANT_TYPE ("a{ss}"));
  for (guint i = 0; details[i] != NULL; i += 2)
    g_variant_builder_add (&entries, "{ss}", details[i], details[i + 1]);

  g_dbus_connection_call (bus, POLKIT_NAME, POLKIT_PATH, POLKIT_INTERFACE, "CheckAuthorization",
                          g_variant_new ("((sa{sv})sa{ss}us)", "system-bus-name", &subject,
                                         action_id, &entries,
                                         interactive ? ALLOW_USER_INTERACTION : 0, cancellation_id),
                          G_VARIANT_TYPE ("((bba{ss}))"), G_DBUS_CALL_FLAGS_NONE, G_MAXINT,
                          cancellable, answered_cb, g_steal_pointer (&task));
}

/**
 * choir_polkit_check_finish:
 * @result: what the callback got
 * @answer: (out): what polkit says
 * @error: return location: %G_IO_ERROR_CANCELLED, or why there is no answer
 *
 * Returns: whether there is an answer
 */
gboolean
choir_polkit_check_finish (GAsyncResult *result, ChoirPolkitAnswer *answer, GError **error)
{
  g_autoptr (GError) failure = NULL;
  gssize value;

  g_return_val_if_fail (g_async_result_is_tagged (result, choir_polkit_check_async), FALSE);

  value = g_task_propagate_int (G_TASK (result), &failure);
  if (failure != NULL)
    {
      g_propagate_error (error, g_steal_pointer (&failure));
      return FALSE;
    }

  *answer = (ChoirPolkitAnswer) value;

  return TRUE;
}
