/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* The first half of a visit: up to the open connection, or to a sentence on why there is none. */

#include "config.h"

#include "choir-probe-private.h"

#include "choir-clock.h"
#include "choir-ctl-error.h"
#include "choir-handshake.h"

#include <glib/gi18n.h>
#include <string.h>

#define DEFAULT_PATH "/ws"

static const char *
find_out_of_time (const ChoirProbe *self)
{
  if (self->dial->resolved_us == 0)
    return N_ ("The name was not resolved in time: the name server is silent");

  return N_ ("No connection in time: a firewall may drop what is sent there, or the host is down");
}

/* Takes @problem */
static gboolean
explain_connect (const ChoirProbe *self, const char *host, GError *problem, GError **error)
{
  G_GNUC_UNUSED g_autoptr (GError) owned = problem;
  const char *address = self->dial->address != NULL ? self->dial->address : host;

  if (g_error_matches (problem, G_IO_ERROR, G_IO_ERROR_TIMED_OUT))
    g_set_error_literal (error, CHOIR_CTL_ERROR, CHOIR_CTL_TIMED_OUT, _ (find_out_of_time (self)));
  else if (problem->domain == G_RESOLVER_ERROR)
    g_set_error (error, CHOIR_CTL_ERROR, CHOIR_CTL_NO_SERVICE,
                 _ ("The name “%s” can’t be resolved: %s"), host, problem->message);
  else if (g_error_matches (problem, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED))
    g_set_error (error, CHOIR_CTL_ERROR, CHOIR_CTL_NO_SERVICE,
                 _ ("Connection refused: nobody listens at %s"), address);
  else
    g_set_error (error, CHOIR_CTL_ERROR, CHOIR_CTL_NO_SERVICE, _ ("No connection to %s: %s"),
                 address, problem->message);

  return FALSE;
}

static const struct
{
  GTlsCertificateFlags flag;
  const char *sentence;
} certificate_faults[] = {
  { G_TLS_CERTIFICATE_EXPIRED, N_ ("it has expired") },
  { G_TLS_CERTIFICATE_NOT_ACTIVATED, N_ ("it is not valid yet, or a clock is wrong") },
  { G_TLS_CERTIFICATE_BAD_IDENTITY, N_ ("it is for another name") },
  { G_TLS_CERTIFICATE_REVOKED, N_ ("it has been revoked") },
  { G_TLS_CERTIFICATE_INSECURE, N_ ("its signature is too weak") },
  { G_TLS_CERTIFICATE_UNKNOWN_CA,
    N_ ("nobody who is trusted here has signed it (it is self-signed, or the server leaves out an "
        "intermediate certificate)") },
  { G_TLS_CERTIFICATE_GENERIC_ERROR, N_ ("it does not verify") },
};

static char *
describe_certificate (GTlsCertificateFlags flags)
{
  GString *out = g_string_new (NULL);

  for (guint i = 0; i < G_N_ELEMENTS (certificate_faults); i++)
    if (flags & certificate_faults[i].flag)
      g_string_append_printf (out, "%s%s", out->len > 0 ? "; " : "",
                              _ (certificate_faults[i].sentence));

  return g_string_free (out, FALSE);
}

/* Takes @problem */
static gboolean
explain_tls (const ChoirProbe *self, GError *problem, GError **error)
{
  G_GNUC_UNUSED g_autoptr (GError) owned = problem;

  if (self->dial->certificate_errors != 0)
    {
      g_autofree char *faults = describe_certificate (self->dial->certificate_errors);

      g_set_error (error, CHOIR_CTL_ERROR, CHOIR_CTL_FAILED,
                   _ ("The server’s certificate is no good: %s"), faults);
    }
  else if (g_error_matches (problem, G_IO_ERROR, G_IO_ERROR_TIMED_OUT))
    g_set_error_literal (error, CHOIR_CTL_ERROR, CHOIR_CTL_TIMED_OUT,
                         _ ("The server does not answer in TLS in time"));
  else if (g_error_matches (problem, G_TLS_ERROR, G_TLS_ERROR_UNAVAILABLE))
    g_set_error_literal (error, CHOIR_CTL_ERROR, CHOIR_CTL_FAILED,
                         _ ("TLS needs the package glib-networking here"));
  else
    g_set_error (error, CHOIR_CTL_ERROR, CHOIR_CTL_FAILED,
                 _ ("No agreement on TLS: %s; if the port does not speak TLS, ask with ws://"),
                 problem->message);

  return FALSE;
}

/**
 * choir_probe_fill:
 * @self: a connected visit
 * @error: return location: a #GIOErrorEnum, also %G_IO_ERROR_CONNECTION_CLOSED
 *
 * Adds what comes next to the input.
 *
 * Returns: whether something came
 */
gboolean
choir_probe_fill (ChoirProbe *self, GError **error)
{
  guint8 buffer[4096];
  gssize n = choir_dial_read (self->dial, buffer, sizeof buffer, error);

  if (n > 0)
    {
      g_byte_array_append (self->input, buffer, (guint) n);
      return TRUE;
    }

  if (n == 0)
    g_set_error_literal (error, G_IO_ERROR, G_IO_ERROR_CONNECTION_CLOSED, "Closed");

  return FALSE;
}

/* Takes @problem */
static gboolean
explain_silence (GError *problem, GError **error)
{
  G_GNUC_UNUSED g_autoptr (GError) owned = problem;

  if (g_error_matches (problem, G_IO_ERROR, G_IO_ERROR_TIMED_OUT))
    g_set_error_literal (error, CHOIR_CTL_ERROR, CHOIR_CTL_TIMED_OUT,
                         _ ("Connected, but the handshake is not answered in time"));
  else
    g_set_error_literal (error, CHOIR_CTL_ERROR, CHOIR_CTL_FAILED,
                         _ ("Connected, but closed before the handshake was answered; if the port "
                            "speaks TLS, ask with wss://"));

  return FALSE;
}

static gboolean
read_head (ChoirProbe *self, ChoirHandshakeReply **reply, GError **error)
{
  const char *end = NULL;
  gsize len;

  while (self->input->len == 0 ||
         (end = memmem (self->input->data, self->input->len, "\r\n\r\n", 4)) == NULL)
    {
      GError *problem = NULL;

      if (self->input->len > CHOIR_HANDSHAKE_HEAD_MAX)
        break;

      if (!choir_probe_fill (self, &problem))
        return explain_silence (problem, error);
    }

  len = end != NULL ? (gsize) (end - (const char *) self->input->data) : 0;
  *reply = end != NULL ? choir_handshake_read ((const char *) self->input->data, len) : NULL;
  if (*reply == NULL)
    {
      g_set_error_literal (error, CHOIR_CTL_ERROR, CHOIR_CTL_FAILED,
                           _ ("What answers there does not speak HTTP"));
      return FALSE;
    }

  g_byte_array_remove_range (self->input, 0, (guint) len + 4);

  return TRUE;
}

/* The body of a refusal, as much of it as comes */
static gboolean
explain_refusal (ChoirProbe *self, const ChoirHandshakeReply *reply, GError **error)
{
  gsize wanted = choir_handshake_reply_get_body_size (reply);

  while (self->input->len < wanted && choir_probe_fill (self, NULL))
    ;

  choir_handshake_explain (reply, (const char *) self->input->data, MIN (self->input->len, wanted),
                           &self->report->code, error);

  return FALSE;
}

static gboolean
shake_hands (ChoirProbe *self, GUri *uri, GError **error)
{
  const char *path = g_uri_get_path (uri);
  const char *query = g_uri_get_query (uri);
  gboolean literal = strchr (g_uri_get_host (uri), ':') != NULL;
  g_autofree char *host =
    literal ? g_strdup_printf ("[%s]", g_uri_get_host (uri)) : g_strdup (g_uri_get_host (uri));
  g_autofree char *target =
    g_strconcat (*path != '\0' ? path : DEFAULT_PATH, query != NULL ? "?" : "", query, NULL);
  const ChoirHandshakeRequest request = {
    host,
    g_uri_get_port (uri),
    target,
    self->options->token,
    self->options->protocol,
    self->options->origin,
  };
  g_autofree char *key = choir_handshake_make_key ();
  g_autofree char *text = choir_handshake_write (&request, key);
  g_autoptr (ChoirHandshakeReply) reply = NULL;
  gint64 begun_us = choir_clock_monotonic_us ();
  GError *problem = NULL;

  if (!choir_dial_write (self->dial, text, strlen (text), &problem))
    return explain_silence (problem, error);

  if (!read_head (self, &reply, error))
    return FALSE;

  self->opened_us = choir_clock_monotonic_us ();
  self->report->handshake_us = self->opened_us - begun_us;
  self->report->http_status = reply->status;
  self->report->server = choir_handshake_reply_dup (reply, "server");
  if (reply->status != 101)
    return explain_refusal (self, reply, error);

  self->report->protocol = choir_handshake_reply_dup (reply, "sec-websocket-protocol");

  return choir_handshake_check (reply, key, self->options->protocol, error);
}

/* (transfer full) (nullable): reading the system's takes its time, which is not the server's */
static GTlsDatabase *
open_database (ChoirProbe *self, gboolean secure)
{
  GTlsBackend *backend = g_tls_backend_get_default ();

  if (!secure || !g_tls_backend_supports_tls (backend))
    return NULL;

  return self->options->database != NULL ? g_object_ref (self->options->database)
                                         : g_tls_backend_get_default_database (backend);
}

static gboolean
dial (ChoirProbe *self, GUri *uri, gboolean secure, GError **error)
{
  g_autoptr (GTlsDatabase) database = open_database (self, secure);
  int default_port = secure ? 443 : 80;
  int port = g_uri_get_port (uri) >= 0 ? g_uri_get_port (uri) : default_port;
  ChoirProbeReport *report = self->report;
  ChoirDial *dial = self->dial;
  GError *problem = NULL;
  gboolean fine;

  dial->deadline_us = choir_clock_monotonic_us () + self->options->timeout_us;
  fine = choir_dial_connect (dial, g_uri_get_host (uri), (guint16) port, &problem);
  report->address = g_strdup (dial->address);
  if (dial->resolved_us > 0)
    report->resolve_us = dial->resolved_us - dial->begun_us;
  if (!fine)
    return explain_connect (self, g_uri_get_host (uri), problem, error);

  report->connect_us = dial->connected_us - MAX (dial->resolved_us, dial->begun_us);
  if (!secure)
    return TRUE;

  if (!choir_dial_secure (dial, g_uri_get_host (uri), (guint16) port, database,
                          self->options->insecure, &problem))
    return explain_tls (self, problem, error);

  report->tls_us = dial->secured_us - dial->connected_us;
  report->tls_version = choir_dial_get_tls_version (dial);

  return TRUE;
}

/* What goes into a header field or the request line */
static gboolean
is_plain (const char *text)
{
  for (const char *p = text; p != NULL && *p != '\0'; p++)
    if (!g_ascii_isgraph (*p))
      return FALSE;

  return TRUE;
}

static gboolean
check_options (const ChoirProbeOptions *options, GError **error)
{
  if (is_plain (options->token) && is_plain (options->protocol) && is_plain (options->origin))
    return TRUE;

  g_set_error_literal (error, CHOIR_CTL_ERROR, CHOIR_CTL_USAGE,
                       _ ("A token, a subprotocol and an Origin are printable ASCII characters "
                          "without spaces"));

  return FALSE;
}

static GUri *
parse_url (const char *url, gboolean *secure, GError **error)
{
  g_autoptr (GUri) uri = g_uri_parse (url, G_URI_FLAGS_ENCODED, NULL);
  const char *scheme = uri != NULL ? g_uri_get_scheme (uri) : "";
  gboolean known = g_str_equal (scheme, "ws") || g_str_equal (scheme, "http");

  *secure = g_str_equal (scheme, "wss") || g_str_equal (scheme, "https");

  /* port 0 and what would end a line of the request are no address either */
  if ((known || *secure) && g_uri_get_host (uri) != NULL && *g_uri_get_host (uri) != '\0' &&
      g_uri_get_port (uri) != 0 && is_plain (url))
    return g_steal_pointer (&uri);

  g_set_error_literal (error, CHOIR_CTL_ERROR, CHOIR_CTL_USAGE,
                       _ ("This is no address to check: it is ws://HOST/PATH or wss://HOST/PATH, "
                          "or the same with http and https"));

  return NULL;
}

/**
 * choir_probe_connect:
 * @self: a visit that has not begun
 * @error: return location, of %CHOIR_CTL_ERROR
 *
 * Returns: whether the WebSocket connection is open
 */
gboolean
choir_probe_connect (ChoirProbe *self, GError **error)
{
  gboolean secure;
  g_autoptr (GUri) uri = parse_url (self->options->url, &secure, error);

  if (uri == NULL || !check_options (self->options, error))
    return FALSE;

  self->report->url =
    g_uri_to_string_partial (uri, G_URI_HIDE_USERINFO | G_URI_HIDE_QUERY | G_URI_HIDE_FRAGMENT);

  return dial (self, uri, secure, error) && shake_hands (self, uri, error);
}
