/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-admin-gate.h"

/* Used in GDBus's thread and wherever a message is let go of */
typedef struct
{
  GMutex mutex;
  GHashTable *loads; /* (element-type utf8 Load) (owned): by caller; none is empty */
} Loads;

typedef struct
{
  guint n_calls;
  gsize n_bytes;
} Load;

/* What a message counts for as long as it lives */
typedef struct
{
  Loads *loads; /* (owned) */
  char *sender; /* (owned) */
  gsize n_bytes;
} Ticket;

struct _ChoirAdminGate
{
  GDBusConnection *connection; /* (owned) */
  guint filter_id;
};

static void
clear_loads (gpointer data)
{
  Loads *self = data;

  g_hash_table_unref (self->loads);
  g_mutex_clear (&self->mutex);
}

static void
loads_unref (gpointer data)
{
  g_atomic_rc_box_release_full (data, clear_loads);
}

static gboolean
load_has_room (const Load *self, gsize n_bytes)
{
  return self->n_calls == 0 || (self->n_calls < CHOIR_ADMIN_GATE_CALLS_MAX &&
                                self->n_bytes + n_bytes <= CHOIR_ADMIN_GATE_BYTES_MAX);
}

static gboolean
loads_add (Loads *self, const char *sender, gsize n_bytes)
{
  gboolean has_room;
  Load *load;

  g_mutex_lock (&self->mutex);
  load = g_hash_table_lookup (self->loads, sender);
  if (load == NULL)
    {
      load = g_new0 (Load, 1);
      g_hash_table_insert (self->loads, g_strdup (sender), load);
    }

  has_room = load_has_room (load, n_bytes);
  if (has_room)
    {
      load->n_calls++;
      load->n_bytes += n_bytes;
    }
  g_mutex_unlock (&self->mutex);

  return has_room;
}

static void
loads_remove (Loads *self, const char *sender, gsize n_bytes)
{
  Load *load;

  g_mutex_lock (&self->mutex);
  load = g_hash_table_lookup (self->loads, sender);
  load->n_bytes -= n_bytes;
  if (--load->n_calls == 0)
    g_hash_table_remove (self->loads, sender);
  g_mutex_unlock (&self->mutex);
}

static void
ticket_free (gpointer data)
{
  Ticket *ticket = data;

  loads_remove (ticket->loads, ticket->sender, ticket->n_bytes);
  loads_unref (ticket->loads);
  g_free (ticket->sender);
  g_free (ticket);
}

static void
refuse (GDBusConnection *connection, GDBusMessage *message)
{
  g_autoptr (GDBusMessage) reply = NULL;

  if (g_dbus_message_get_flags (message) & G_DBUS_MESSAGE_FLAGS_NO_REPLY_EXPECTED)
    return;

  reply = g_dbus_message_new_method_error_literal (
    message, "org.freedesktop.DBus.Error.LimitsExceeded", "Too many calls are waiting");
  g_dbus_connection_send_message (connection, reply, G_DBUS_SEND_MESSAGE_FLAGS_NONE, NULL, NULL);
}

/* In GDBus's thread, for everything that is read or sent */
static GDBusMessage *
filter (GDBusConnection *connection, GDBusMessage *message, gboolean incoming, gpointer user_data)
{
  Loads *loads = user_data;
  const char *sender = g_dbus_message_get_sender (message);
  Ticket *ticket;
  GVariant *body;
  gsize n_bytes;

  if (!incoming || sender == NULL ||
      g_dbus_message_get_message_type (message) != G_DBUS_MESSAGE_TYPE_METHOD_CALL)
    return message;

  body = g_dbus_message_get_body (message);
  n_bytes = body != NULL ? g_variant_get_size (body) : 0;
  if (!loads_add (loads, sender, n_bytes))
    {
      refuse (connection, message);
      g_object_unref (message);
      return NULL;
    }

  ticket = g_new0 (Ticket, 1);
  ticket->loads = g_atomic_rc_box_acquire (loads);
  ticket->sender = g_strdup (sender);
  ticket->n_bytes = n_bytes;
  g_object_set_data_full (G_OBJECT (message), "choir-admin-gate-ticket", ticket, ticket_free);

  return message;
}

/**
 * choir_admin_gate_new:
 * @connection: a bus on which objects are to be called; a reference is taken
 *
 * Returns: (transfer full): a gate, closed to whoever calls too much from now on
 */
ChoirAdminGate *
choir_admin_gate_new (GDBusConnection *connection)
{
  ChoirAdminGate *self = g_new0 (ChoirAdminGate, 1);
  Loads *loads = g_atomic_rc_box_new0 (Loads);

  g_mutex_init (&loads->mutex);
  loads->loads = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  self->connection = g_object_ref (connection);
  self->filter_id = g_dbus_connection_add_filter (connection, filter, loads, loads_unref);

  return self;
}

/**
 * choir_admin_gate_free:
 * @self: (transfer full): a gate; what waits behind it is not touched
 */
void
choir_admin_gate_free (ChoirAdminGate *self)
{
  g_dbus_connection_remove_filter (self->connection, self->filter_id);
  g_object_unref (self->connection);
  g_free (self);
}
