/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-admin-watch.h"

#include "choir-admin-list.h"
#include "choir-admin-methods.h"
#include "choir-admin-object.h"
#include "choir-admin-private.h"
#include "choir-admin-watchers.h"
#include "choir-clock.h"
#include "choir-container.h"
#include "choir-error.h"
#include "choir-observer.h"

/* Signals are counted in these, and counts are compared as often */
#define TICK_US G_USEC_PER_SEC
/* DrainProgress: at most twice a second */
#define DRAIN_US (G_USEC_PER_SEC / 2)
/* How many limits are told apart; there are some ten */
#define OVERLOADS_MAX 32

/* What is announced when it changes; the first one to those who watch draining, too */
static const char *const properties[] = {
  "Draining", "LogLevel", "NConnections", "NUsers", "NDocuments", "NChannels", "NTasks",
};

/* A limit that is met */
typedef struct
{
  const char *what; /* a constant */
  guint count;      /* since it was last told */
  gint64 told_us;   /* monotonic; 0: never */
  char *key;        /* (owned) (nullable): of the one it happened to last */
  char *value;      /* (owned) (nullable) */
} Overload;

struct _ChoirAdminWatch
{
  ChoirAdmin *admin; /* borrowed */
  ChoirObserver observer;
  ChoirAdminWatchers *watchers;              /* (owned) */
  GHashTable *overloads;                     /* (element-type utf8 Overload) (owned) */
  GVariant *told[G_N_ELEMENTS (properties)]; /* (owned) (nullable): as they were last told */
  ChoirTimer tick_timer;
  ChoirTimer drain_timer;
  gint64 drain_told_us; /* monotonic; 0: never */
  guint drain_remaining;
  guint drain_total;
  guint had; /* the kinds when it last changed */
};

static void
overload_free (gpointer data)
{
  Overload *self = data;

  g_free (self->key);
  g_free (self->value);
  g_free (self);
}

static void
send (ChoirAdminWatch *self, guint kinds, const char *signal, GVariant *parameters)
{
  choir_admin_watchers_send (self->watchers, kinds, 0, CHOIR_ADMIN_MANAGER, signal, parameters);
}

static void
add_object (ChoirAdminWatch *self, ChoirSession *session, const char *path)
{
  GVariant *values =
    choir_admin_class_get_all (&choir_admin_connection_class, self->admin->hub, session);
  GVariantBuilder interfaces;

  g_variant_builder_init (&interfaces, G_VARIANT_TYPE ("a{sa{sv}}"));
  g_variant_builder_add (&interfaces, "{s@a{sv}}", CHOIR_ADMIN_CONNECTION, values);
  choir_admin_watchers_send (self->watchers, CHOIR_ADMIN_WATCH_OBJECTS, 0,
                             CHOIR_ADMIN_OBJECT_MANAGER, "InterfacesAdded",
                             g_variant_new ("(oa{sa{sv}})", path, &interfaces));
}

static void
connected (ChoirSession *session, gpointer user_data)
{
  ChoirAdminWatch *self = user_data;
  g_autofree char *path = NULL;

  if (!(choir_admin_watchers_get_kinds (self->watchers) &
        (CHOIR_ADMIN_WATCH_CONNECTIONS | CHOIR_ADMIN_WATCH_OBJECTS)))
    return;

  path =
    choir_admin_path_new (CHOIR_ADMIN_KIND_CONNECTION, choir_session_get_connection_id (session));
  if (choir_admin_watchers_get_kinds (self->watchers) & CHOIR_ADMIN_WATCH_CONNECTIONS)
    send (self, CHOIR_ADMIN_WATCH_CONNECTIONS, "ConnectionAdded",
          g_variant_new ("(o@a{sv})", path, choir_admin_describe_connection (session)));
  if (choir_admin_watchers_get_kinds (self->watchers) & CHOIR_ADMIN_WATCH_OBJECTS)
    add_object (self, session, path);
}

static void
disconnected (ChoirSession *session, guint close_code, gpointer user_data)
{
  static const char *const interfaces[] = { CHOIR_ADMIN_CONNECTION, NULL };
  ChoirAdminWatch *self = user_data;
  const char *id = choir_session_get_connection_id (session);
  const char *user = choir_session_get_user_id (session);
  g_autofree char *path = NULL;

  if (!(choir_admin_watchers_get_kinds (self->watchers) &
        (CHOIR_ADMIN_WATCH_CONNECTIONS | CHOIR_ADMIN_WATCH_OBJECTS)))
    return;

  path = choir_admin_path_new (CHOIR_ADMIN_KIND_CONNECTION, id);
  if (choir_admin_watchers_get_kinds (self->watchers) & CHOIR_ADMIN_WATCH_CONNECTIONS)
    send (self, CHOIR_ADMIN_WATCH_CONNECTIONS, "ConnectionRemoved",
          g_variant_new ("(ossu)", path, id, user != NULL ? user : "", close_code));
  if (choir_admin_watchers_get_kinds (self->watchers) & CHOIR_ADMIN_WATCH_OBJECTS)
    choir_admin_watchers_send (self->watchers, CHOIR_ADMIN_WATCH_OBJECTS, 0,
                               CHOIR_ADMIN_OBJECT_MANAGER, "InterfacesRemoved",
                               g_variant_new ("(o^as)", path, interfaces));
}

static void
tell_overload (ChoirAdminWatch *self, Overload *overload, gint64 now_us)
{
  GVariantDict details;

  g_variant_dict_init (&details, NULL);
  g_variant_dict_insert (&details, "count", "u", overload->count);
  if (overload->key != NULL)
    g_variant_dict_insert (&details, overload->key, "s", overload->value);

  overload->count = 0;
  overload->told_us = now_us;
  send (self, CHOIR_ADMIN_WATCH_OVERLOAD, "Overloaded",
        g_variant_new ("(s@a{sv})", overload->what, g_variant_dict_end (&details)));
}

static void
overloaded (const char *what, const char *key, const char *value, gpointer user_data)
{
  ChoirAdminWatch *self = user_data;
  Overload *overload = g_hash_table_lookup (self->overloads, what);
  gint64 now_us = choir_clock_monotonic_us ();

  if (!(choir_admin_watchers_get_kinds (self->watchers) & CHOIR_ADMIN_WATCH_OVERLOAD))
    return;

  if (overload == NULL)
    {
      if (g_hash_table_size (self->overloads) >= OVERLOADS_MAX)
        return;
      overload = g_new0 (Overload, 1);
      overload->what = what;
      g_hash_table_insert (self->overloads, (char *) what, overload);
    }

  overload->count++;
  g_free (overload->key);
  g_free (overload->value);
  overload->key = g_strdup (key);
  overload->value = g_strdup (value);
  if (overload->told_us == 0 || now_us - overload->told_us >= TICK_US)
    tell_overload (self, overload, now_us);
}

static void
tell_drain (ChoirAdminWatch *self)
{
  choir_timer_disarm (&self->drain_timer);
  self->drain_told_us = choir_clock_monotonic_us ();
  send (self, CHOIR_ADMIN_WATCH_DRAIN, "DrainProgress",
        g_variant_new ("(uu)", self->drain_remaining, self->drain_total));
}

static void
drain_cb (ChoirTimer *timer)
{
  tell_drain (CHOIR_CONTAINER_OF (timer, ChoirAdminWatch, drain_timer));
}

static void
drain_progress (guint remaining, guint total, gpointer user_data)
{
  ChoirAdminWatch *self = user_data;
  gint64 wait_us = self->drain_told_us + DRAIN_US - choir_clock_monotonic_us ();

  if (!(choir_admin_watchers_get_kinds (self->watchers) & CHOIR_ADMIN_WATCH_DRAIN))
    return;

  /* when nobody is left that is told once */
  if (remaining == 0 && self->drain_told_us != 0 && self->drain_remaining == 0)
    return;

  self->drain_remaining = remaining;
  self->drain_total = total;
  if (remaining == 0 || self->drain_told_us == 0 || wait_us <= 0)
    tell_drain (self);
  else if (!choir_timer_is_armed (&self->drain_timer))
    choir_timer_wheel_arm (choir_hub_get_wheel (self->admin->hub), &self->drain_timer, wait_us,
                           drain_cb);
}

static void
task_failed (const ChoirTask *task, const char *code, gpointer user_data)
{
  ChoirAdminWatch *self = user_data;
  const char *id = choir_task_get_id (task);
  g_autofree char *path = NULL;

  if (!(choir_admin_watchers_get_kinds (self->watchers) & CHOIR_ADMIN_WATCH_TASKS))
    return;

  path = choir_admin_path_new (CHOIR_ADMIN_KIND_TASK, id);
  send (self, CHOIR_ADMIN_WATCH_TASKS, "TaskFailed",
        g_variant_new ("(ossss)", path, id, choir_task_get_kind (task),
                       choir_task_get_user_id (task), code));
}

static void
user_blocked (const char *user_id, gint64 until_us, const char *reason, gpointer user_data)
{
  send (user_data, CHOIR_ADMIN_WATCH_USERS, "UserBlocked",
        g_variant_new ("(sts)", user_id, (guint64) MAX (until_us, 0), reason));
}

static void
user_unblocked (const char *user_id, gpointer user_data)
{
  send (user_data, CHOIR_ADMIN_WATCH_USERS, "UserUnblocked", g_variant_new ("(s)", user_id));
}

static const ChoirObserverFuncs observer_funcs = {
  .connected = connected,
  .disconnected = disconnected,
  .overloaded = overloaded,
  .task_failed = task_failed,
  .drain_progress = drain_progress,
  .user_blocked = user_blocked,
  .user_unblocked = user_unblocked,
};

static void
remember_properties (ChoirAdminWatch *self)
{
  for (guint i = 0; i < G_N_ELEMENTS (properties); i++)
    {
      g_clear_pointer (&self->told[i], g_variant_unref);
      self->told[i] = g_variant_ref_sink (choir_admin_manager_get (self->admin, properties[i]));
    }
}

static void
tell_properties (ChoirAdminWatch *self)
{
  GVariantBuilder changed;
  guint n_changed = 0;

  g_variant_builder_init (&changed, G_VARIANT_TYPE_VARDICT);
  for (guint i = 0; i < G_N_ELEMENTS (properties); i++)
    {
      g_autoptr (GVariant) value =
        g_variant_ref_sink (choir_admin_manager_get (self->admin, properties[i]));

      if (g_variant_equal (value, self->told[i]))
        continue;

      g_variant_unref (self->told[i]);
      self->told[i] = g_variant_ref (value);
      g_variant_builder_add (&changed, "{sv}", properties[i], value);
      n_changed++;

      /* the only one that those who watch draining need */
      if (i == 0)
        choir_admin_watchers_send (
          self->watchers, CHOIR_ADMIN_WATCH_DRAIN, CHOIR_ADMIN_WATCH_PROPERTIES,
          CHOIR_ADMIN_PROPERTIES, "PropertiesChanged",
          g_variant_new_parsed ("(%s, {%s: <%*>}, @as [])", CHOIR_ADMIN_MANAGER, properties[i],
                                value));
    }

  if (n_changed == 0)
    {
      g_variant_builder_clear (&changed);
      return;
    }

  choir_admin_watchers_send (self->watchers, CHOIR_ADMIN_WATCH_PROPERTIES, 0,
                             CHOIR_ADMIN_PROPERTIES, "PropertiesChanged",
                             g_variant_new ("(sa{sv}as)", CHOIR_ADMIN_MANAGER, &changed, NULL));
}

static void
tell_overloads (ChoirAdminWatch *self)
{
  gint64 now_us = choir_clock_monotonic_us ();
  GHashTableIter iter;
  gpointer value;

  g_hash_table_iter_init (&iter, self->overloads);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    if (((Overload *) value)->count > 0 && now_us - ((Overload *) value)->told_us >= TICK_US)
      tell_overload (self, value, now_us);
}

static void
tick_cb (ChoirTimer *timer)
{
  ChoirAdminWatch *self = CHOIR_CONTAINER_OF (timer, ChoirAdminWatch, tick_timer);

  choir_admin_watchers_begin_second (self->watchers);
  if (choir_admin_watchers_get_kinds (self->watchers) &
      (CHOIR_ADMIN_WATCH_PROPERTIES | CHOIR_ADMIN_WATCH_DRAIN))
    tell_properties (self);
  tell_overloads (self);
  choir_timer_wheel_arm (choir_hub_get_wheel (self->admin->hub), timer, TICK_US, tick_cb);
}

/* A watcher has come, changed or gone */
static void
watchers_changed (gpointer user_data)
{
  ChoirAdminWatch *self = user_data;
  const guint counted = CHOIR_ADMIN_WATCH_PROPERTIES | CHOIR_ADMIN_WATCH_DRAIN;
  guint had = self->had;

  self->had = choir_admin_watchers_get_kinds (self->watchers);
  if (self->had == 0)
    {
      choir_hub_remove_observer (self->admin->hub, &self->observer);
      choir_timer_disarm (&self->tick_timer);
      choir_timer_disarm (&self->drain_timer);
      g_hash_table_remove_all (self->overloads);
      return;
    }

  if (had == 0)
    {
      choir_hub_add_observer (self->admin->hub, &self->observer);
      choir_timer_wheel_arm (choir_hub_get_wheel (self->admin->hub), &self->tick_timer, TICK_US,
                             tick_cb);
    }

  if ((self->had & counted) && !(had & counted))
    remember_properties (self);
}

/**
 * choir_admin_watch_new:
 * @admin: borrowed
 *
 * Returns: (transfer full): nobody watches
 */
ChoirAdminWatch *
choir_admin_watch_new (ChoirAdmin *admin)
{
  ChoirAdminWatch *self = g_new0 (ChoirAdminWatch, 1);

  self->admin = admin;
  self->observer.funcs = &observer_funcs;
  self->observer.user_data = self;
  self->watchers = choir_admin_watchers_new (watchers_changed, self);
  self->overloads = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, overload_free);

  return self;
}

/**
 * choir_admin_watch_free:
 * @self: (transfer full): a watch
 */
void
choir_admin_watch_free (ChoirAdminWatch *self)
{
  choir_admin_watch_clear (self);
  for (guint i = 0; i < G_N_ELEMENTS (properties); i++)
    g_clear_pointer (&self->told[i], g_variant_unref);
  choir_admin_watchers_free (self->watchers);
  g_hash_table_unref (self->overloads);
  g_free (self);
}

/**
 * choir_admin_watch_clear:
 * @self: a watch
 *
 * Nobody watches any more.
 */
void
choir_admin_watch_clear (ChoirAdminWatch *self)
{
  choir_admin_watchers_clear (self->watchers);
}

static void
perform_watch (ChoirAdminCall *call)
{
  const char *sender = g_dbus_method_invocation_get_sender (call->invocation);
  g_autofree const char **kinds = NULL;
  g_autoptr (GError) error = NULL;

  g_variant_get (call->parameters, "(^a&s)", &kinds);
  if (g_dbus_method_invocation_get_connection (call->invocation) != call->admin->connection)
    choir_admin_call_fail_literal (call, CHOIR_ERROR_UNAVAILABLE, "The service has left this bus");
  else if (!choir_admin_watchers_set (call->admin->watch->watchers, call->admin->connection,
                                      call->admin->backlog, sender, kinds, &error))
    choir_admin_call_fail (call, error);
  else
    choir_admin_call_return (call, NULL);
}

const ChoirAdminMethod choir_admin_watch_methods[] = {
  { CHOIR_ADMIN_MANAGER, "Watch", CHOIR_ADMIN_INSPECT, FALSE, perform_watch, NULL },
};

const guint choir_admin_watch_n_methods = G_N_ELEMENTS (choir_admin_watch_methods);
