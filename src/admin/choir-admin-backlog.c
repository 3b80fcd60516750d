/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-admin-backlog.h"

/* What a message takes besides its body, in GDBus's memory */
#define OVERHEAD 1024
/* So much is not worth asking about */
#define SMALL (64 * 1024)

struct _ChoirAdminBacklog
{
  GDBusConnection *connection; /* (owned) */
  gsize n_flushing;            /* bytes the flush under way waits for; 0: there is none */
  gsize n_since;               /* given since it began */
};

/**
 * choir_admin_backlog_new:
 * @connection: (transfer none): to a bus
 *
 * Returns: (transfer full): nothing waits
 */
ChoirAdminBacklog *
choir_admin_backlog_new (GDBusConnection *connection)
{
  ChoirAdminBacklog *self = g_rc_box_new0 (ChoirAdminBacklog);

  self->connection = g_object_ref (connection);

  return self;
}

static void
clear_backlog (gpointer data)
{
  g_object_unref (((ChoirAdminBacklog *) data)->connection);
}

ChoirAdminBacklog *
choir_admin_backlog_ref (ChoirAdminBacklog *self)
{
  return g_rc_box_acquire (self);
}

void
choir_admin_backlog_unref (ChoirAdminBacklog *self)
{
  g_rc_box_release_full (self, clear_backlog);
}

/**
 * choir_admin_backlog_get:
 * @self: a backlog
 *
 * Returns: bytes that may be unsent still; of pages that were added about as many
 */
gsize
choir_admin_backlog_get (const ChoirAdminBacklog *self)
{
  return self->n_flushing + self->n_since;
}

static void flush (ChoirAdminBacklog *self);

static void
flushed_cb (GObject *object, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (ChoirAdminBacklog) self = user_data;

  /* where the connection is closed nothing is left either */
  g_dbus_connection_flush_finish (G_DBUS_CONNECTION (object), result, NULL);
  self->n_flushing = 0;
  if (self->n_since >= SMALL)
    flush (self);
}

static void
flush (ChoirAdminBacklog *self)
{
  self->n_flushing = self->n_since;
  self->n_since = 0;
  g_dbus_connection_flush (self->connection, NULL, flushed_cb, choir_admin_backlog_ref (self));
}

static void
add (ChoirAdminBacklog *self, gsize n_bytes)
{
  self->n_since += n_bytes + OVERHEAD;
  if (self->n_since >= SMALL && self->n_flushing == 0)
    flush (self);
}

/**
 * choir_admin_backlog_add_signal:
 * @self: a backlog
 * @parameters: (transfer none): of a signal
 *
 * Returns: whether it may be sent, and was counted
 */
gboolean
choir_admin_backlog_add_signal (ChoirAdminBacklog *self, GVariant *parameters)
{
  if (choir_admin_backlog_get (self) >= CHOIR_ADMIN_SIGNALS_UNSENT_MAX)
    return FALSE;

  add (self, g_variant_get_size (parameters));

  return TRUE;
}

/* Of a page: about, by its first entry. To measure each takes a twentieth of what it takes to make
 * and send them */
static gsize
estimate (GVariant *value)
{
  gsize n = 0;

  if (g_variant_is_of_type (value, G_VARIANT_TYPE ("aa{sv}")))
    n = g_variant_n_children (value);

  if (n > 0)
    {
      g_autoptr (GVariant) first = g_variant_get_child_value (value, 0);

      return n * g_variant_get_size (first);
    }

  return g_variant_get_size (value);
}

static gsize
estimate_all (GVariant *result)
{
  gsize n_bytes = 0;

  for (gsize i = 0; result != NULL && i < g_variant_n_children (result); i++)
    {
      g_autoptr (GVariant) child = g_variant_get_child_value (result, i);

      n_bytes += estimate (child);
    }

  return n_bytes;
}

/**
 * choir_admin_backlog_add_answer:
 * @self: a backlog
 * @result: (transfer none) (nullable): what a call gives back
 *
 * Short ones, of which there are no more than calls, may always be sent.
 *
 * Returns: whether it may be sent, and was counted
 */
gboolean
choir_admin_backlog_add_answer (ChoirAdminBacklog *self, GVariant *result)
{
  gsize n_bytes = estimate_all (result);

  if (n_bytes > OVERHEAD && choir_admin_backlog_get (self) >= CHOIR_ADMIN_ANSWERS_UNSENT_MAX)
    return FALSE;

  add (self, n_bytes);

  return TRUE;
}
