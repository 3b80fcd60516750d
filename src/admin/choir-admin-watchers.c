/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-admin-watchers.h"

#include "choir-admin.h"
#include "choir-error.h"

#include <string.h>

static const struct
{
  const char *name;
  ChoirAdminKinds kind;
} kind_names[] = {
  { "connections", CHOIR_ADMIN_WATCH_CONNECTIONS },
  { "users", CHOIR_ADMIN_WATCH_USERS },
  { "overload", CHOIR_ADMIN_WATCH_OVERLOAD },
  { "drain", CHOIR_ADMIN_WATCH_DRAIN },
  { "tasks", CHOIR_ADMIN_WATCH_TASKS },
  { "properties", CHOIR_ADMIN_WATCH_PROPERTIES },
  { "objects", CHOIR_ADMIN_WATCH_OBJECTS },
};

typedef struct
{
  ChoirAdminWatchers *watchers;
  char *name; /* (owned): the caller's on the bus */
  guint kinds;
  guint name_id;   /* looks for its leaving */
  guint n_sent;    /* in this second */
  guint n_dropped; /* since that was told */
} Watcher;

struct _ChoirAdminWatchers
{
  GDBusConnection *connection; /* (owned) (nullable): where they are */
  ChoirAdminBacklog *backlog;  /* (owned) (nullable): of @connection */
  GHashTable *items;           /* (element-type utf8 Watcher) (owned) */
  guint kinds;                 /* of all */
  void (*changed) (gpointer user_data);
  gpointer user_data;
};

static void
watcher_free (gpointer data)
{
  Watcher *self = data;

  g_clear_handle_id (&self->name_id, g_bus_unwatch_name);
  g_free (self->name);
  g_free (self);
}

/**
 * choir_admin_watchers_new:
 * @changed: called when what all of them watch together may be something else
 * @user_data: for @changed
 *
 * Returns: (transfer full): nobody
 */
ChoirAdminWatchers *
choir_admin_watchers_new (void (*changed) (gpointer user_data), gpointer user_data)
{
  ChoirAdminWatchers *self = g_new0 (ChoirAdminWatchers, 1);

  self->items = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, watcher_free);
  self->changed = changed;
  self->user_data = user_data;

  return self;
}

/**
 * choir_admin_watchers_free:
 * @self: (transfer full): watchers
 */
void
choir_admin_watchers_free (ChoirAdminWatchers *self)
{
  g_hash_table_unref (self->items);
  g_clear_object (&self->connection);
  g_clear_pointer (&self->backlog, choir_admin_backlog_unref);
  g_free (self);
}

static void
settle (ChoirAdminWatchers *self)
{
  GHashTableIter iter;
  gpointer watcher;

  self->kinds = 0;
  g_hash_table_iter_init (&iter, self->items);
  while (g_hash_table_iter_next (&iter, NULL, &watcher))
    self->kinds |= ((Watcher *) watcher)->kinds;

  if (self->kinds == 0)
    {
      g_clear_object (&self->connection);
      g_clear_pointer (&self->backlog, choir_admin_backlog_unref);
    }
  self->changed (self->user_data);
}

/**
 * choir_admin_watchers_clear:
 * @self: watchers: from now on nobody
 */
void
choir_admin_watchers_clear (ChoirAdminWatchers *self)
{
  g_hash_table_remove_all (self->items);
  settle (self);
}

guint
choir_admin_watchers_get_kinds (const ChoirAdminWatchers *self)
{
  return self->kinds;
}

/* Whether it was */
static gboolean
send_to (ChoirAdminWatchers *self,
         Watcher *watcher,
         const char *interface,
         const char *signal,
         GVariant *parameters)
{
  if (watcher->n_sent >= CHOIR_ADMIN_SIGNALS_MAX ||
      !choir_admin_backlog_add_signal (self->backlog, parameters))
    return FALSE;

  /* it fails where the connection is closed, of which the watchers' going tells as well */
  watcher->n_sent++;
  g_dbus_connection_emit_signal (self->connection, watcher->name, CHOIR_ADMIN_OBJECT_PATH,
                                 interface, signal, parameters, NULL);

  return TRUE;
}

/**
 * choir_admin_watchers_send:
 * @self: watchers
 * @kinds: those who watch one of these are told
 * @unless: but not if they watch one of these as well
 * @interface: of the signal
 * @signal: its name
 * @parameters: (transfer floating): a tuple
 *
 * Sends a signal to each, unless it has got too many in this second or the bus takes no more.
 */
void
choir_admin_watchers_send (ChoirAdminWatchers *self,
                           guint kinds,
                           guint unless,
                           const char *interface,
                           const char *signal,
                           GVariant *parameters)
{
  g_autoptr (GVariant) held = g_variant_ref_sink (parameters);
  GHashTableIter iter;
  gpointer value;

  g_hash_table_iter_init (&iter, self->items);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      Watcher *watcher = value;

      if ((watcher->kinds & kinds) && !(watcher->kinds & unless) &&
          !send_to (self, watcher, interface, signal, held))
        watcher->n_dropped++;
    }
}

/**
 * choir_admin_watchers_begin_second:
 * @self: watchers
 *
 * To be called once a second: tells those who have missed something how much that was.
 */
void
choir_admin_watchers_begin_second (ChoirAdminWatchers *self)
{
  GHashTableIter iter;
  gpointer value;

  g_hash_table_iter_init (&iter, self->items);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      Watcher *watcher = value;
      g_autoptr (GVariant) missed = g_variant_ref_sink (g_variant_new ("(u)", watcher->n_dropped));

      watcher->n_sent = 0;
      if (watcher->n_dropped > 0 && send_to (self, watcher, CHOIR_ADMIN_MANAGER, "Dropped", missed))
        watcher->n_dropped = 0;
    }
}

static void
vanished_cb (GDBusConnection *connection, const char *name, gpointer user_data)
{
  ChoirAdminWatchers *self = ((Watcher *) user_data)->watchers;

  g_hash_table_remove (self->items, name);
  settle (self);
}

static gboolean
read_kinds (const char *const *names, guint *out, GError **error)
{
  *out = 0;
  for (; *names != NULL; names++)
    {
      guint kind = 0;

      for (guint i = 0; i < G_N_ELEMENTS (kind_names); i++)
        if (strcmp (kind_names[i].name, *names) == 0)
          kind = kind_names[i].kind;

      if (kind == 0)
        {
          g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION,
                       "There is nothing to be watched that is called \"%s\"", *names);
          return FALSE;
        }
      *out |= kind;
    }

  return TRUE;
}

static Watcher *
add_watcher (ChoirAdminWatchers *self,
             GDBusConnection *connection,
             ChoirAdminBacklog *backlog,
             const char *name)
{
  Watcher *watcher = g_new0 (Watcher, 1);

  g_set_object (&self->connection, connection);
  if (self->backlog == NULL)
    self->backlog = choir_admin_backlog_ref (backlog);
  watcher->watchers = self;
  watcher->name = g_strdup (name);
  watcher->name_id = g_bus_watch_name_on_connection (
    connection, name, G_BUS_NAME_WATCHER_FLAGS_NONE, NULL, vanished_cb, watcher, NULL);
  g_hash_table_insert (self->items, watcher->name, watcher);

  return watcher;
}

/**
 * choir_admin_watchers_set:
 * @self: watchers
 * @connection: the bus
 * @backlog: (transfer none): of @connection; as that one, the same for all
 * @name: a caller's unique name there
 * @kinds: (array zero-terminated=1): what it wants to be told from now on; empty: nothing
 * @error: return location: %CHOIR_ERROR_VALIDATION, %G_DBUS_ERROR_LIMITS_EXCEEDED
 *
 * It is forgotten when it leaves the bus.
 *
 * Returns: whether it could be done
 */
gboolean
choir_admin_watchers_set (ChoirAdminWatchers *self,
                          GDBusConnection *connection,
                          ChoirAdminBacklog *backlog,
                          const char *name,
                          const char *const *kinds,
                          GError **error)
{
  Watcher *watcher = g_hash_table_lookup (self->items, name);
  guint wanted;

  if (!read_kinds (kinds, &wanted, error))
    return FALSE;

  if (wanted == 0)
    g_hash_table_remove (self->items, name);
  else if (watcher == NULL && g_hash_table_size (self->items) >= CHOIR_ADMIN_WATCHERS_MAX)
    {
      g_set_error (error, G_DBUS_ERROR, G_DBUS_ERROR_LIMITS_EXCEEDED, "%d callers watch already",
                   CHOIR_ADMIN_WATCHERS_MAX);
      return FALSE;
    }
  else
    {
      if (watcher == NULL)
        watcher = add_watcher (self, connection, backlog, name);
      watcher->kinds = wanted;
    }

  settle (self);

  return TRUE;
}
