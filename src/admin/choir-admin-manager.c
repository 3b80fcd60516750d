/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-admin-manager.h"

#include "choir-admin-access.h"
#include "choir-admin-broadcast.h"
#include "choir-admin-error.h"
#include "choir-admin-filter.h"
#include "choir-admin-list.h"
#include "choir-close-code.h"
#include "choir-error.h"
#include "choir-log.h"
#include "choir-names.h"
#include "choir-session.h"

#include <string.h>

/* RFC 6455 section 5.5: a control frame holds 125 bytes, two of them the close code */
#define REASON_MAX 123

/* Calls whose sender is still being asked about */
#define PENDING_MAX 256

struct _ChoirAdminManager
{
  ChoirDbusManagerSkeleton parent_instance;

  ChoirHub *hub;             /* (owned) */
  ChoirCounters *counters;   /* borrowed */
  GCancellable *cancellable; /* (owned) */
  guint n_pending;
};

static void choir_admin_manager_iface_init (ChoirDbusManagerIface *iface);

G_DEFINE_FINAL_TYPE_WITH_CODE (ChoirAdminManager,
                               choir_admin_manager,
                               CHOIR_DBUS_TYPE_MANAGER_SKELETON,
                               G_IMPLEMENT_INTERFACE (CHOIR_DBUS_TYPE_MANAGER,
                                                      choir_admin_manager_iface_init))

/* In the order of the interface's description, as choir_dbus_manager_override_properties() wants */
typedef enum
{
  PROP_VERSION = 1,
  PROP_NODE,
  PROP_N_CONNECTIONS,
} ChoirAdminManagerProperty;

typedef void (*PerformFunc) (ChoirAdminManager *self,
                             GDBusMethodInvocation *invocation,
                             guint32 uid);

/* One call that waits for the bus to say who asks */
typedef struct
{
  ChoirAdminManager *manager;        /* (owned) */
  GDBusMethodInvocation *invocation; /* (owned): until answered */
  PerformFunc perform;
} Call;

static void
checked_cb (GObject *object, GAsyncResult *result, gpointer user_data)
{
  g_autofree Call *call = user_data;
  g_autoptr (ChoirAdminManager) self = call->manager;
  g_autoptr (GError) error = NULL;
  guint32 uid;

  self->n_pending--;

  if (choir_admin_access_check_finish (result, &uid, &error))
    call->perform (self, call->invocation, uid);
  else if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    g_dbus_method_invocation_return_error_literal (
      call->invocation, CHOIR_ERROR, CHOIR_ERROR_UNAVAILABLE, "The service is leaving the bus");
  else
    g_dbus_method_invocation_return_gerror (call->invocation, error);
}

/* Has @perform called once the caller is known to be allowed; it must answer */
static gboolean
authorize (ChoirDbusManager *object, GDBusMethodInvocation *invocation, PerformFunc perform)
{
  ChoirAdminManager *self = CHOIR_ADMIN_MANAGER (object);
  Call *call;

  if (self->n_pending >= PENDING_MAX)
    {
      g_dbus_method_invocation_return_error_literal (
        invocation, G_DBUS_ERROR, G_DBUS_ERROR_LIMITS_EXCEEDED, "Too many calls are waiting");
      return TRUE;
    }

  call = g_new0 (Call, 1);
  call->manager = g_object_ref (self);
  call->invocation = invocation;
  call->perform = perform;
  self->n_pending++;
  choir_admin_access_check_async (invocation, self->cancellable, checked_cb, call);

  return TRUE;
}

static void
log_action (const char *what,
            GDBusMethodInvocation *invocation,
            guint32 uid,
            const char *field,
            const char *target,
            guint count)
{
  g_autofree char *uid_text = g_strdup_printf ("%u", uid);
  g_autofree char *count_text = g_strdup_printf ("%u", count);

  choir_log (CHOIR_LOG_LEVEL_NOTICE, what, CHOIR_LOG_CALLER,
             g_dbus_method_invocation_get_sender (invocation), CHOIR_LOG_CALLER_UID, uid_text,
             CHOIR_LOG_COUNT, count_text, field, target, NULL);
}

static gboolean
check_reason (const char *reason, GError **error)
{
  if (strlen (reason) <= REASON_MAX)
    return TRUE;

  g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION,
               "The reason is longer than %d bytes of UTF-8", REASON_MAX);

  return FALSE;
}

static void
perform_get_stats (ChoirAdminManager *self, GDBusMethodInvocation *invocation, guint32 uid)
{
  choir_dbus_manager_complete_get_stats (CHOIR_DBUS_MANAGER (self), invocation,
                                         choir_counters_to_variant (self->counters));
}

static void
perform_list_connections (ChoirAdminManager *self, GDBusMethodInvocation *invocation, guint32 uid)
{
  g_auto (ChoirAudience) audience = { 0 };
  g_autoptr (GVariant) dict = NULL;
  g_autoptr (GError) error = NULL;
  guint offset, limit;

  g_variant_get (g_dbus_method_invocation_get_parameters (invocation), "(@a{sv}uu)", &dict, &offset,
                 &limit);

  if (!choir_admin_filter_parse (&audience, dict, &error))
    g_dbus_method_invocation_return_gerror (invocation, error);
  else
    choir_dbus_manager_complete_list_connections (
      CHOIR_DBUS_MANAGER (self), invocation,
      choir_admin_list_connections (self->hub, &audience, offset, limit));
}

static void
perform_kick (ChoirAdminManager *self, GDBusMethodInvocation *invocation, guint32 uid)
{
  g_autoptr (GError) error = NULL;
  const char *connection, *reason;
  ChoirSession *session;

  g_variant_get (g_dbus_method_invocation_get_parameters (invocation), "(&s&s)", &connection,
                 &reason);

  if (!check_reason (reason, &error))
    {
      g_dbus_method_invocation_return_gerror (invocation, error);
      return;
    }

  session = choir_hub_find_session (self->hub, connection);
  if (session == NULL)
    {
      g_dbus_method_invocation_return_error_literal (invocation, CHOIR_ERROR, CHOIR_ERROR_NOT_FOUND,
                                                     "There is no such connection");
      return;
    }

  log_action ("Connection kicked", invocation, uid, CHOIR_LOG_CONNECTION, connection, 1);
  choir_session_close (session, CHOIR_CLOSE_KICKED, reason);
  choir_dbus_manager_complete_kick (CHOIR_DBUS_MANAGER (self), invocation);
}

static void
perform_kick_user (ChoirAdminManager *self, GDBusMethodInvocation *invocation, guint32 uid)
{
  g_autoptr (GError) error = NULL;
  const char *user, *reason;
  guint count;

  g_variant_get (g_dbus_method_invocation_get_parameters (invocation), "(&s&s)", &user, &reason);

  if (!choir_name_is_user (user, strlen (user)))
    g_set_error_literal (&error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION, "That is no user identifier");

  if (error != NULL || !check_reason (reason, &error))
    {
      g_dbus_method_invocation_return_gerror (invocation, error);
      return;
    }

  count = choir_hub_kick_user (self->hub, user, reason);
  log_action ("User kicked", invocation, uid, CHOIR_LOG_USER, user, count);
  choir_dbus_manager_complete_kick_user (CHOIR_DBUS_MANAGER (self), invocation, count);
}

static void
perform_broadcast (ChoirAdminManager *self, GDBusMethodInvocation *invocation, guint32 uid)
{
  g_auto (ChoirAudience) audience = { 0 };
  g_autoptr (GVariant) dict = NULL;
  g_autoptr (GError) error = NULL;
  const char *type, *payload;
  guint n_recipients = 0;

  g_variant_get (g_dbus_method_invocation_get_parameters (invocation), "(&s&s@a{sv})", &type,
                 &payload, &dict);

  if (!choir_admin_filter_parse (&audience, dict, &error) ||
      !choir_admin_broadcast (self->hub, type, choir_slice (payload), &audience, &n_recipients,
                              &error))
    {
      g_dbus_method_invocation_return_gerror (invocation, error);
      return;
    }

  log_action ("Message broadcast", invocation, uid, CHOIR_LOG_TYPE, type, n_recipients);
  choir_dbus_manager_complete_broadcast (CHOIR_DBUS_MANAGER (self), invocation, n_recipients);
}

/* The arguments are read from the invocation when the caller is known */

static gboolean
handle_get_stats (ChoirDbusManager *object, GDBusMethodInvocation *invocation)
{
  return authorize (object, invocation, perform_get_stats);
}

static gboolean
handle_list_connections (ChoirDbusManager *object,
                         GDBusMethodInvocation *invocation,
                         GVariant *filter,
                         guint offset,
                         guint limit)
{
  return authorize (object, invocation, perform_list_connections);
}

static gboolean
handle_kick (ChoirDbusManager *object,
             GDBusMethodInvocation *invocation,
             const char *connection,
             const char *reason)
{
  return authorize (object, invocation, perform_kick);
}

static gboolean
handle_kick_user (ChoirDbusManager *object,
                  GDBusMethodInvocation *invocation,
                  const char *user,
                  const char *reason)
{
  return authorize (object, invocation, perform_kick_user);
}

static gboolean
handle_broadcast (ChoirDbusManager *object,
                  GDBusMethodInvocation *invocation,
                  const char *type,
                  const char *payload_json,
                  GVariant *filter)
{
  return authorize (object, invocation, perform_broadcast);
}

static void
choir_admin_manager_iface_init (ChoirDbusManagerIface *iface)
{
  iface->handle_get_stats = handle_get_stats;
  iface->handle_list_connections = handle_list_connections;
  iface->handle_kick = handle_kick;
  iface->handle_kick_user = handle_kick_user;
  iface->handle_broadcast = handle_broadcast;
}

static void
choir_admin_manager_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  ChoirAdminManager *self = CHOIR_ADMIN_MANAGER (object);

  switch ((ChoirAdminManagerProperty) id)
    {
    case PROP_VERSION:
      g_value_set_static_string (value, PACKAGE_VERSION);
      break;

    case PROP_NODE:
      g_value_set_string (value, choir_hub_get_node (self->hub));
      break;

    case PROP_N_CONNECTIONS:
      g_value_set_uint (value, choir_hub_get_n_connections (self->hub));
      break;

    default:
      G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
      break;
    }
}

/* The interface makes them writable in process; what they show is not kept here */
static void
choir_admin_manager_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
}

static void
choir_admin_manager_dispose (GObject *object)
{
  ChoirAdminManager *self = CHOIR_ADMIN_MANAGER (object);

  g_clear_object (&self->hub);
  g_clear_object (&self->cancellable);

  G_OBJECT_CLASS (choir_admin_manager_parent_class)->dispose (object);
}

static void
choir_admin_manager_class_init (ChoirAdminManagerClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  object_class->get_property = choir_admin_manager_get_property;
  object_class->set_property = choir_admin_manager_set_property;
  object_class->dispose = choir_admin_manager_dispose;

  choir_dbus_manager_override_properties (object_class, PROP_VERSION);
}

static void
choir_admin_manager_init (ChoirAdminManager *self)
{
  self->cancellable = g_cancellable_new ();
}

/**
 * choir_admin_manager_new:
 * @hub: (transfer none): a reference is taken
 * @counters: (transfer none): must outlive it
 *
 * Returns: (transfer full): not exported yet
 */
ChoirAdminManager *
choir_admin_manager_new (ChoirHub *hub, ChoirCounters *counters)
{
  ChoirAdminManager *self = g_object_new (CHOIR_TYPE_ADMIN_MANAGER, NULL);

  choir_admin_error_register ();
  self->hub = g_object_ref (hub);
  self->counters = counters;

  return self;
}

/**
 * choir_admin_manager_cancel:
 * @self: a manager
 *
 * Refuses the calls that still wait to be authorised, and takes new ones as before.
 */
void
choir_admin_manager_cancel (ChoirAdminManager *self)
{
  g_cancellable_cancel (self->cancellable);
  g_object_unref (self->cancellable);
  self->cancellable = g_cancellable_new ();
}
