/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-dial.h"

#include "choir-clock.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

/**
 * choir_dial_new:
 *
 * Returns: (transfer full): one without a connection and without a deadline
 */
ChoirDial *
choir_dial_new (void)
{
  ChoirDial *self = g_new0 (ChoirDial, 1);

  self->deadline_us = G_MAXINT64;

  return self;
}

/**
 * choir_dial_free:
 * @self: (transfer full): closes the connection, too
 */
void
choir_dial_free (ChoirDial *self)
{
  g_clear_object (&self->stream);
  g_clear_object (&self->result);
  g_clear_pointer (&self->address, g_free);
  g_free (self);
}

static void
done_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  ChoirDial *self = user_data;

  self->result = g_object_ref (result);
}

typedef struct
{
  ChoirDial *dial;
  GCancellable *cancellable;
} Alarm;

static gboolean
alarm_cb (gpointer user_data)
{
  Alarm *alarm = user_data;

  alarm->dial->is_late = TRUE;
  g_cancellable_cancel (alarm->cancellable);

  return G_SOURCE_REMOVE;
}

/* That becomes ready at the deadline */
static GSource *
make_timer (ChoirDial *self)
{
  gint64 left_us = MAX (self->deadline_us - choir_clock_monotonic_us (), 0);

  return g_timeout_source_new ((guint) MIN ((left_us + 999) / 1000, G_MAXINT));
}

/* Until done_cb() was called; what the deadline cuts off is called back as well */
static GAsyncResult *
wait_done (ChoirDial *self, GCancellable *cancellable)
{
  Alarm alarm = { self, cancellable };
  g_autoptr (GSource) timer = NULL;

  self->is_late = FALSE;
  if (self->deadline_us != G_MAXINT64)
    {
      timer = make_timer (self);
      g_source_set_callback (timer, alarm_cb, &alarm, NULL);
      g_source_attach (timer, NULL);
    }

  while (self->result == NULL)
    g_main_context_iteration (NULL, TRUE);

  if (timer != NULL)
    g_source_destroy (timer);

  return g_steal_pointer (&self->result);
}

/* The deadline shows as a cancellation that nobody asked for */
static gboolean
is_fine (ChoirDial *self, gboolean fine, GError **error)
{
  if (!fine && self->is_late && error != NULL &&
      g_error_matches (*error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    {
      g_clear_error (error);
      g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT, "Out of time");
    }

  return fine;
}

static void
note_address (ChoirDial *self, GIOStream *stream)
{
  g_autoptr (GSocketAddress) address = NULL;

  if (!G_IS_SOCKET_CONNECTION (stream))
    return;

  address = g_socket_connection_get_remote_address (G_SOCKET_CONNECTION (stream), NULL);
  if (address == NULL)
    return;

  g_free (self->address);
  self->address = g_socket_connectable_to_string (G_SOCKET_CONNECTABLE (address));
}

static void
event_cb (GSocketClient *client,
          GSocketClientEvent event,
          GSocketConnectable *connectable,
          GIOStream *stream,
          gpointer user_data)
{
  ChoirDial *self = user_data;

  /* several addresses may be tried beside each other: the name counts until the first is known */
  if (event == G_SOCKET_CLIENT_RESOLVED && self->resolved_us == 0)
    self->resolved_us = choir_clock_monotonic_us ();
  else if (event == G_SOCKET_CLIENT_CONNECTING || event == G_SOCKET_CLIENT_CONNECTED)
    note_address (self, stream);
}

/**
 * choir_dial_connect:
 * @self: one without a connection
 * @host: a name, or an address without brackets
 * @port: a port
 * @error: return location: a #GResolverError or a #GIOErrorEnum
 *
 * Resolves the name and connects, straight: through no proxy of the environment, which would be
 * measured instead.
 *
 * Returns: whether it is connected
 */
gboolean
choir_dial_connect (ChoirDial *self, const char *host, guint16 port, GError **error)
{
  g_autoptr (GSocketClient) client = g_socket_client_new ();
  g_autoptr (GSocketConnectable) where = g_network_address_new (host, port);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GAsyncResult) result = NULL;
  GSocketConnection *connection;

  g_socket_client_set_enable_proxy (client, FALSE);
  g_signal_connect (client, "event", G_CALLBACK (event_cb), self);

  self->begun_us = choir_clock_monotonic_us ();
  g_socket_client_connect_async (client, where, cancellable, done_cb, self);
  result = wait_done (self, cancellable);
  connection = g_socket_client_connect_finish (client, result, error);
  g_signal_handlers_disconnect_by_data (client, self);
  if (!is_fine (self, connection != NULL, error))
    return FALSE;

  self->connected_us = choir_clock_monotonic_us ();
  self->stream = G_IO_STREAM (connection);
  note_address (self, self->stream);
  g_socket_set_option (g_socket_connection_get_socket (connection), IPPROTO_TCP, TCP_NODELAY, 1,
                       NULL);

  return TRUE;
}

static gboolean
accept_certificate_cb (GTlsConnection *connection,
                       GTlsCertificate *certificate,
                       GTlsCertificateFlags errors,
                       gpointer user_data)
{
  ChoirDial *self = user_data;

  self->certificate_errors = errors;

  return self->takes_any_certificate;
}

/* With its database from the beginning: without one it would begin by reading the system's */
static GTlsConnection *
new_client (ChoirDial *self, GSocketConnectable *where, GTlsDatabase *database, GError **error)
{
  GTlsBackend *backend = g_tls_backend_get_default ();

  if (!g_tls_backend_supports_tls (backend))
    {
      g_set_error_literal (error, G_TLS_ERROR, G_TLS_ERROR_UNAVAILABLE, "No TLS");
      return NULL;
    }

  return g_initable_new (g_tls_backend_get_client_connection_type (backend), NULL, error,
                         "base-io-stream", self->stream, "server-identity", where, "database",
                         database, NULL);
}

/**
 * choir_dial_secure:
 * @self: a connected one
 * @host: whom the certificate must name
 * @port: as in choir_dial_connect()
 * @database: (transfer none): whom to trust
 * @take_any: whether a certificate that does not verify is good enough
 * @error: return location: a #GTlsError or a #GIOErrorEnum
 *
 * Goes on in TLS. What is wrong with a certificate is in @self->certificate_errors, also where
 * @take_any let it pass.
 *
 * Returns: whether both sides are agreed
 */
gboolean
choir_dial_secure (ChoirDial *self,
                   const char *host,
                   guint16 port,
                   GTlsDatabase *database,
                   gboolean take_any,
                   GError **error)
{
  static const char *const protocols[] = { "http/1.1", NULL };
  g_autoptr (GSocketConnectable) where = g_network_address_new (host, port);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GAsyncResult) result = NULL;
  GTlsConnection *tls = new_client (self, where, database, error);
  gboolean fine;

  if (tls == NULL)
    return FALSE;

  self->takes_any_certificate = take_any;
  g_signal_connect (tls, "accept-certificate", G_CALLBACK (accept_certificate_cb), self);
  g_tls_connection_set_advertised_protocols (tls, protocols);
  g_tls_connection_set_require_close_notify (tls, FALSE);

  g_tls_connection_handshake_async (tls, G_PRIORITY_DEFAULT, cancellable, done_cb, self);
  result = wait_done (self, cancellable);
  fine = g_tls_connection_handshake_finish (tls, result, error);
  if (!is_fine (self, fine, error))
    {
      g_signal_handlers_disconnect_by_data (tls, self);
      g_object_unref (tls);
      return FALSE;
    }

  self->secured_us = choir_clock_monotonic_us ();
  g_object_unref (self->stream);
  self->stream = G_IO_STREAM (tls);

  return TRUE;
}

/**
 * choir_dial_get_tls_version:
 * @self: a connected one
 *
 * Returns: (nullable): as people write it, such as `TLS 1.3`; %NULL without TLS
 */
const char *
choir_dial_get_tls_version (ChoirDial *self)
{
  if (!G_IS_TLS_CONNECTION (self->stream))
    return NULL;

  switch (g_tls_connection_get_protocol_version (G_TLS_CONNECTION (self->stream)))
    {
    case G_TLS_PROTOCOL_VERSION_TLS_1_2:
      return "TLS 1.2";
    case G_TLS_PROTOCOL_VERSION_TLS_1_3:
      return "TLS 1.3";
    case G_TLS_PROTOCOL_VERSION_UNKNOWN:
    case G_TLS_PROTOCOL_VERSION_SSL_3_0:
    case G_TLS_PROTOCOL_VERSION_TLS_1_0:
    case G_TLS_PROTOCOL_VERSION_TLS_1_1:
    case G_TLS_PROTOCOL_VERSION_DTLS_1_0:
    case G_TLS_PROTOCOL_VERSION_DTLS_1_2:
    default:
      return "TLS";
    }
}

static gboolean
readable_cb (GObject *stream, gpointer user_data)
{
  gboolean *readable = user_data;

  *readable = TRUE;

  return G_SOURCE_REMOVE;
}

static gboolean
late_cb (gpointer user_data)
{
  gboolean *late = user_data;

  *late = TRUE;

  return G_SOURCE_REMOVE;
}

/* A read that is cancelled loses what it had read in that moment (GLib 2.74): so it is waited for
 * beforehand. FALSE: until the deadline nothing came */
static gboolean
wait_readable (ChoirDial *self, GInputStream *input)
{
  g_autoptr (GSource) source =
    g_pollable_input_stream_create_source (G_POLLABLE_INPUT_STREAM (input), NULL);
  g_autoptr (GSource) timer = NULL;
  gboolean readable = FALSE, late = FALSE;

  g_source_set_callback (source, G_SOURCE_FUNC (readable_cb), &readable, NULL);
  g_source_attach (source, NULL);
  if (self->deadline_us != G_MAXINT64)
    {
      timer = make_timer (self);
      g_source_set_callback (timer, late_cb, &late, NULL);
      g_source_attach (timer, NULL);
    }

  while (!readable && !late)
    g_main_context_iteration (NULL, TRUE);

  g_source_destroy (source);
  if (timer != NULL)
    g_source_destroy (timer);

  return readable;
}

/**
 * choir_dial_read:
 * @self: a connected one
 * @buffer: (array length=size): room
 * @size: bytes of room
 * @error: return location: a #GIOErrorEnum
 *
 * Returns: bytes that came, at least one; 0 at the end; -1 with @error set
 */
gssize
choir_dial_read (ChoirDial *self, void *buffer, gsize size, GError **error)
{
  GInputStream *input = g_io_stream_get_input_stream (self->stream);

  for (;;)
    {
      g_autoptr (GError) problem = NULL;
      gssize n = g_pollable_input_stream_read_nonblocking (G_POLLABLE_INPUT_STREAM (input), buffer,
                                                           size, NULL, &problem);

      if (n >= 0)
        return n;

      if (!g_error_matches (problem, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK))
        {
          g_propagate_error (error, g_steal_pointer (&problem));
          return -1;
        }

      if (!wait_readable (self, input))
        {
          g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_TIMED_OUT, "Out of time");
          return -1;
        }
    }
}

/**
 * choir_dial_write:
 * @self: a connected one
 * @data: (array length=len): what to send
 * @len: bytes in @data
 * @error: return location: a #GIOErrorEnum
 *
 * Returns: whether all of it is on its way
 */
gboolean
choir_dial_write (ChoirDial *self, const void *data, gsize len, GError **error)
{
  GOutputStream *output = g_io_stream_get_output_stream (self->stream);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GAsyncResult) result = NULL;
  gboolean fine;

  g_output_stream_write_all_async (output, data, len, G_PRIORITY_DEFAULT, cancellable, done_cb,
                                   self);
  result = wait_done (self, cancellable);
  fine = g_output_stream_write_all_finish (output, result, NULL, error);

  return is_fine (self, fine, error);
}
