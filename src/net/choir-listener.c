/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-listener-private.h"

#include "choir-clock.h"
#include "choir-container.h"
#include "choir-error.h"
#include "choir-log.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define ACCEPTS_PER_TURN 8
/* Before it closes: no backlog holds more */
#define LAST_TURNS_MAX 1024
/* First inherited descriptor, sd_listen_fds(3) */
#define LISTEN_FDS_START 3
/* When the kernel or the admission has no room */
#define RETRY_US (50 * 1000)
#define WARNING_US (60 * G_USEC_PER_SEC)

static void retry_cb (ChoirTimer *timer);

static void
pause_all (ChoirListener *self)
{
  for (guint i = 0; i < self->sockets->len; i++)
    {
      ChoirListenSocket *listening = g_ptr_array_index (self->sockets, i);

      if (!listening->paused)
        choir_reactor_modify (self->gateway->reactor, &listening->watch, 0);
      listening->paused = TRUE;
    }

  choir_timer_wheel_arm (self->gateway->wheel, &self->retry_timer, RETRY_US, retry_cb);
}

static void
retry_cb (ChoirTimer *timer)
{
  ChoirListener *self = CHOIR_CONTAINER_OF (timer, ChoirListener, retry_timer);

  for (guint i = 0; i < self->sockets->len; i++)
    {
      ChoirListenSocket *listening = g_ptr_array_index (self->sockets, i);

      listening->paused = FALSE;
      choir_reactor_modify (self->gateway->reactor, &listening->watch, EPOLLIN);
    }
}

static gboolean
read_address (const struct sockaddr_storage *storage, ChoirAddress *out)
{
  if (storage->ss_family == AF_INET)
    {
      const struct sockaddr_in *in = (const struct sockaddr_in *) storage;

      memset (out->bytes, 0, 10);
      memset (out->bytes + 10, 0xff, 2);
      memcpy (out->bytes + 12, &in->sin_addr, 4);
      return TRUE;
    }

  if (storage->ss_family == AF_INET6)
    {
      const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *) storage;

      memcpy (out->bytes, &in6->sin6_addr, 16);
      return TRUE;
    }

  return FALSE;
}

/* Said without waiting for the request: whoever floods us costs as little as can be */
static void
turn_away (int fd)
{
#define BODY                                                                                       \
  "{\"type\":\"about:blank\",\"title\":\"Too Many Requests\",\"status\":429,"                      \
  "\"code\":\"RATE_LIMIT_EXCEEDED\",\"detail\":\"Too many connections from this address\"}"
  char answer[512];
  int len = g_snprintf (answer, sizeof answer,
                        "HTTP/1.1 429 Too Many Requests\r\n"
                        "Content-Type: application/problem+json\r\n"
                        "Content-Length: %zu\r\n"
                        "Retry-After: 1\r\n"
                        "Connection: close\r\n\r\n%s",
                        sizeof BODY - 1, BODY);
#undef BODY

  send (fd, answer, len, MSG_NOSIGNAL | MSG_DONTWAIT);
  close (fd);
}

static void
accepted (ChoirListener *self, int fd, const struct sockaddr_storage *storage)
{
  ChoirAddress address;
  gboolean has_address = read_address (storage, &address);
  const int one = 1;
  gboolean counted;

  switch (choir_gateway_admit (self->gateway, has_address ? &address : NULL, &counted))
    {
    case CHOIR_ADMISSION_OK:
      if (has_address)
        setsockopt (fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
      choir_arrival_begin (self, fd, has_address ? &address : NULL, counted);
      break;

    case CHOIR_ADMISSION_FULL:
      /* the backlog keeps the next ones until somebody has left */
      *choir_hub_get_stats (self->gateway->hub)->rejected += 1;
      close (fd);
      pause_all (self);
      break;

    case CHOIR_ADMISSION_ADDRESS_FULL:
    case CHOIR_ADMISSION_ADDRESS_RATE:
    default:
      *choir_hub_get_stats (self->gateway->hub)->rejected += 1;
      turn_away (fd);
    }
}

/* Every fifty milliseconds it is tried again, and as often it may fail */
static void
warn_once (ChoirListener *self)
{
  gint64 now_us = choir_clock_monotonic_us ();

  if (self->warned_us != 0 && now_us - self->warned_us < WARNING_US)
    return;

  self->warned_us = now_us;
  choir_log (CHOIR_LOG_LEVEL_WARNING, "no room for another connection, accepting pauses", NULL);
}

/* Whether there may be more of them */
static gboolean
accept_some (ChoirListenSocket *listening)
{
  for (guint i = 0; i < ACCEPTS_PER_TURN && !listening->paused; i++)
    {
      struct sockaddr_storage storage = { 0 };
      socklen_t len = sizeof storage;
      int fd = accept4 (listening->watch.fd, (struct sockaddr *) &storage, &len,
                        SOCK_NONBLOCK | SOCK_CLOEXEC);

      if (fd >= 0)
        accepted (listening->listener, fd, &storage);
      else if (errno == EAGAIN)
        return FALSE;
      else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
        {
          warn_once (listening->listener);
          pause_all (listening->listener);
        }
    }

  return !listening->paused;
}

static void
listen_ready (ChoirWatch *watch, guint32 events)
{
  accept_some (CHOIR_CONTAINER_OF (watch, ChoirListenSocket, watch));
}

static void
listen_flush (ChoirWatch *watch)
{
}

static const ChoirWatchFuncs listen_funcs = { listen_ready, listen_flush, listen_flush };

/**
 * choir_listener_new:
 * @gateway: the gateway; must outlive the listener
 * @http: takes what is no ordinary WebSocket handshake; likewise
 *
 * Returns: (transfer full): a listener without sockets
 */
ChoirListener *
choir_listener_new (ChoirGateway *gateway, ChoirHttpServer *http)
{
  ChoirListener *self = g_new0 (ChoirListener, 1);

  self->gateway = gateway;
  self->http = http;
  self->sockets = g_ptr_array_new_with_free_func ((GDestroyNotify) choir_listen_socket_free);
  self->arrivals = g_hash_table_new (NULL, NULL);
  self->cancellable = g_cancellable_new ();

  return self;
}

/**
 * choir_listener_load_certificate:
 * @config: the configuration
 * @out: (out) (transfer full) (nullable): the certificate with its key; %NULL: none is configured
 * @error: return location: %CHOIR_ERROR_CONFIG
 *
 * Returns: %FALSE if one is configured that can't be used
 */
gboolean
choir_listener_load_certificate (ChoirConfig *config, GTlsCertificate **out, GError **error)
{
  const char *certificate = choir_config_get_string (config, "server", "tls-certificate");
  const char *key = choir_config_get_string (config, "server", "tls-key");
  g_autoptr (GError) local = NULL;

  *out = NULL;
  if (certificate == NULL || *certificate == '\0')
    return TRUE;

  *out = g_tls_certificate_new_from_files (certificate, key, &local);
  if (*out == NULL)
    g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG, "[server] tls-certificate: %s",
                 local->message);

  return *out != NULL;
}

/**
 * choir_listener_configure:
 * @self: a listener
 * @error: return location: %CHOIR_ERROR_CONFIG
 *
 * Reads certificate and key again: new connections use them.
 *
 * Returns: %FALSE if they can't be used; the old ones stay
 */
gboolean
choir_listener_configure (ChoirListener *self, GError **error)
{
  GTlsCertificate *loaded;

  if (!choir_listener_load_certificate (self->gateway->config, &loaded, error))
    return FALSE;

  if (loaded != NULL)
    {
      g_clear_object (&self->certificate);
      self->certificate = loaded;
    }

  return TRUE;
}

static guint
count_inherited (void)
{
  const char *pid = g_getenv ("LISTEN_PID");
  const char *n = g_getenv ("LISTEN_FDS");

  if (pid == NULL || n == NULL || g_ascii_strtoull (pid, NULL, 10) != (guint64) getpid ())
    return 0;

  return MIN (g_ascii_strtoull (n, NULL, 10), 64);
}

static gboolean
open_sockets (ChoirListener *self, GError **error)
{
  const char *const *addresses = choir_config_get_list (self->gateway->config, "server", "listen");
  guint n_inherited = count_inherited ();
  ChoirListenSocket *listening;

  for (guint i = 0; i < n_inherited; i++)
    {
      fcntl (LISTEN_FDS_START + i, F_SETFD, FD_CLOEXEC);
      listening = choir_listen_socket_new_for_fd (self, LISTEN_FDS_START + i, error);
      if (listening == NULL)
        return FALSE;
      g_ptr_array_add (self->sockets, listening);
    }

  for (; n_inherited == 0 && *addresses != NULL; addresses++)
    {
      listening = choir_listen_socket_new (self, *addresses, error);
      if (listening == NULL)
        return FALSE;
      g_ptr_array_add (self->sockets, listening);
    }

  return TRUE;
}

/**
 * choir_listener_open:
 * @self: a listener
 * @error: return location: %CHOIR_ERROR_CONFIG
 *
 * Opens what the configuration names, or takes the sockets the service manager has passed.
 *
 * Returns: %FALSE if one of them can't be listened on
 */
gboolean
choir_listener_open (ChoirListener *self, GError **error)
{
  if (!choir_listener_configure (self, error) || !open_sockets (self, error))
    return FALSE;

  for (guint i = 0; i < self->sockets->len; i++)
    {
      ChoirListenSocket *listening = g_ptr_array_index (self->sockets, i);

      listening->watch.funcs = &listen_funcs;
      if (!choir_reactor_add (self->gateway->reactor, &listening->watch, EPOLLIN))
        {
          g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG, "%s: epoll: %s", listening->name,
                       g_strerror (errno));
          return FALSE;
        }
    }

  return TRUE;
}

/**
 * choir_listener_close:
 * @self: a listener
 *
 * Listens no longer. Who has connected already is taken, unless the service manager has the socket
 * too: then who waits in it is for the next service.
 */
void
choir_listener_close (ChoirListener *self)
{
  choir_timer_disarm (&self->retry_timer);

  for (guint i = 0; i < self->sockets->len; i++)
    {
      ChoirListenSocket *listening = g_ptr_array_index (self->sockets, i);

      for (guint n = 0; !listening->inherited && n < LAST_TURNS_MAX; n++)
        if (!accept_some (listening))
          break;
      choir_reactor_remove (self->gateway->reactor, &listening->watch);
    }

  choir_timer_disarm (&self->retry_timer);
  g_ptr_array_set_size (self->sockets, 0);
}

/**
 * choir_listener_get_n_arriving:
 * @self: a listener
 *
 * Returns: how many have connected and not said yet what they want
 */
guint
choir_listener_get_n_arriving (ChoirListener *self)
{
  return g_hash_table_size (self->arrivals) + self->n_handshakes;
}

/**
 * choir_listener_stop:
 * @self: a listener
 *
 * Listens no longer; who has not been handed on yet is dropped.
 */
void
choir_listener_stop (ChoirListener *self)
{
  choir_listener_close (self);
  g_cancellable_cancel (self->cancellable);
  choir_arrival_cancel_all (self);
}

void
choir_listener_free (ChoirListener *self)
{
  choir_listener_stop (self);

  /* cancelled handshakes answer through the loop, and hold us until then */
  while (self->n_handshakes > 0)
    g_main_context_iteration (NULL, TRUE);

  g_ptr_array_unref (self->sockets);
  g_hash_table_unref (self->arrivals);
  g_clear_object (&self->certificate);
  g_clear_object (&self->cancellable);
  g_free (self);
}

/**
 * choir_listener_dup_addresses:
 * @self: a listener
 *
 * Returns: (transfer full): what is listened on, with the ports the kernel has chosen
 */
char **
choir_listener_dup_addresses (ChoirListener *self)
{
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();

  for (guint i = 0; i < self->sockets->len; i++)
    {
      ChoirListenSocket *listening = g_ptr_array_index (self->sockets, i);

      g_strv_builder_add (builder, listening->name);
    }

  return g_strv_builder_end (builder);
}
