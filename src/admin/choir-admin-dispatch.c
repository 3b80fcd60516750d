/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-admin-call.h"

#include "choir-admin-methods.h"
#include "choir-admin-path.h"
#include "choir-admin-private.h"
#include "choir-error.h"

#include <gio/gunixfdlist.h>
#include <string.h>

/* Bytes of arguments: kept while somebody is asked for a password, for whoever calls. No method
 * can use as many */
#define PARAMETERS_MAX (512 * 1024)

static const ChoirAdminMethodTable tables[] = {
  { choir_admin_content_methods, &choir_admin_content_n_methods },
  { choir_admin_document_methods, &choir_admin_document_n_methods },
  { choir_admin_list_methods, &choir_admin_list_n_methods },
  { choir_admin_message_methods, &choir_admin_message_n_methods },
  { choir_admin_object_methods, &choir_admin_object_n_methods },
  { choir_admin_service_methods, &choir_admin_service_n_methods },
  { choir_admin_stats_methods, &choir_admin_stats_n_methods },
  { choir_admin_task_methods, &choir_admin_task_n_methods },
  { choir_admin_trace_methods, &choir_admin_trace_n_methods },
  { choir_admin_tree_methods, &choir_admin_tree_n_methods },
  { choir_admin_users_methods, &choir_admin_users_n_methods },
  { choir_admin_watch_methods, &choir_admin_watch_n_methods },
};

/**
 * choir_admin_find_method:
 * @interface: its name
 * @method: the method's name
 *
 * Returns: (nullable): how it is performed
 */
const ChoirAdminMethod *
choir_admin_find_method (const char *interface, const char *method)
{
  for (guint i = 0; i < G_N_ELEMENTS (tables); i++)
    for (guint j = 0; j < *tables[i].n_methods; j++)
      {
        const ChoirAdminMethod *row = &tables[i].methods[j];

        if (strcmp (row->method, method) == 0 && strcmp (row->interface, interface) == 0)
          return row;
      }

  return NULL;
}

/* One call that waits for leave */
typedef struct
{
  ChoirAdmin *admin; /* (owned) */
  const ChoirAdminMethod *method;
  GDBusMethodInvocation *invocation; /* (owned): until answered */
  ChoirAdminAction action;
} Waiting;

/* The object's kind and name, "" for the root; %FALSE if no object can be called that */
static gboolean
read_path (const char *path, char **kind, char **name)
{
  const char *below = path + strlen (CHOIR_ADMIN_OBJECT_PATH);
  const char *slash;

  *kind = *name = NULL;
  if (*below == '\0')
    {
      *kind = g_strdup ("");
      *name = g_strdup ("");
      return TRUE;
    }

  slash = strchr (below + 1, '/');
  if (slash == NULL)
    return FALSE;

  *name = choir_admin_path_unescape (slash + 1);
  if (*name == NULL)
    return FALSE;

  *kind = g_strndup (below + 1, (gsize) (slash - below - 1));

  return TRUE;
}

static void
perform (ChoirAdmin *self, const Waiting *waiting, guint32 uid)
{
  GDBusMethodInvocation *invocation = waiting->invocation;
  const char *path = g_dbus_method_invocation_get_object_path (invocation);
  ChoirAdminCall *call;
  char *kind, *name;

  if (!read_path (path, &kind, &name))
    {
      g_dbus_method_invocation_return_error (invocation, G_DBUS_ERROR, G_DBUS_ERROR_UNKNOWN_OBJECT,
                                             "There is no object %s", path);
      return;
    }

  call = g_new0 (ChoirAdminCall, 1);
  call->admin = choir_admin_ref (self);
  call->hub = g_object_ref (self->hub);
  call->invocation = invocation;
  call->parameters = g_dbus_method_invocation_get_parameters (invocation);
  call->kind = kind;
  call->name = name;
  call->uid = uid;
  call->action = waiting->action;
  waiting->method->perform (call);
}

static void
checked_cb (GObject *object, GAsyncResult *result, gpointer user_data)
{
  g_autofree Waiting *waiting = user_data;
  g_autoptr (ChoirAdminRef) self = waiting->admin;
  g_autoptr (GError) error = NULL;
  guint32 uid;

  if (choir_authority_check_finish (CHOIR_AUTHORITY (object), result, &uid, &error))
    perform (self, waiting, uid);
  else if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    g_dbus_method_invocation_return_error_literal (
      waiting->invocation, CHOIR_ERROR, CHOIR_ERROR_UNAVAILABLE, "The service is leaving the bus");
  else
    g_dbus_method_invocation_return_gerror (waiting->invocation, error);
}

/* What a person is told the call is about: (transfer full) (nullable) */
static char *
read_target (const ChoirAdminMethod *method, const char *path, GVariant *parameters)
{
  g_autofree char *kind = NULL;
  char *target = NULL;

  if (method->has_target)
    g_variant_get_child (parameters, 0, "s", &target);
  else if (read_path (path, &kind, &target) && *target == '\0')
    g_clear_pointer (&target, g_free);

  return target;
}

/* What a call that waits for leave takes, whoever makes it */
static gboolean
check_size (GDBusMethodInvocation *invocation, GError **error)
{
  GDBusMessage *message = g_dbus_method_invocation_get_message (invocation);
  GUnixFDList *fds = g_dbus_message_get_unix_fd_list (message);

  if (g_variant_get_size (g_dbus_method_invocation_get_parameters (invocation)) > PARAMETERS_MAX)
    g_set_error (error, G_DBUS_ERROR, G_DBUS_ERROR_LIMITS_EXCEEDED,
                 "The arguments are longer than %d bytes", PARAMETERS_MAX);
  else if (fds != NULL && g_unix_fd_list_get_length (fds) > 0)
    g_set_error_literal (error, G_DBUS_ERROR, G_DBUS_ERROR_LIMITS_EXCEEDED,
                         "No method takes file descriptors");
  else
    return TRUE;

  return FALSE;
}

/**
 * choir_admin_dispatch:
 * @connection: where it came from
 * @sender: (nullable): whose it is
 * @object_path: of the object that was called; the root or below it
 * @interface: the method's
 * @method: its name
 * @parameters: its arguments, of the types the interface wants
 * @invocation: (transfer full): to be answered
 * @user_data: a #ChoirAdmin
 *
 * Takes a call of any object's method. How many may wait for leave is limited by the authority.
 */
void
choir_admin_dispatch (GDBusConnection *connection,
                      const char *sender,
                      const char *object_path,
                      const char *interface,
                      const char *method,
                      GVariant *parameters,
                      GDBusMethodInvocation *invocation,
                      gpointer user_data)
{
  ChoirAdmin *self = user_data;
  const ChoirAdminMethod *row = choir_admin_find_method (interface, method);
  g_autofree char *target = NULL;
  g_autoptr (GError) error = NULL;
  ChoirAdminAction action;
  Waiting *waiting;

  if (row == NULL)
    {
      g_dbus_method_invocation_return_error (invocation, G_DBUS_ERROR, G_DBUS_ERROR_UNKNOWN_METHOD,
                                             "There is no method %s.%s", interface, method);
      return;
    }

  if (!check_size (invocation, &error))
    {
      g_dbus_method_invocation_return_gerror (invocation, error);
      return;
    }

  waiting = g_new0 (Waiting, 1);
  waiting->admin = choir_admin_ref (self);
  waiting->method = row;
  waiting->invocation = invocation;

  action = row->choose != NULL ? row->choose (parameters) : row->action;
  waiting->action = action;
  target = read_target (row, object_path, parameters);
  choir_authority_check_async (self->authority, invocation, action, target, self->cancellable,
                               checked_cb, waiting);
}
