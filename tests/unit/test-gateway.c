/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-gateway.h"
#include "choir-upgrade.h"
#include "fake-link.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct
{
  FakeHub *hub;
  ChoirReactor *reactor;
  ChoirGateway *gateway;
} Fixture;

static void
set_up (Fixture *self, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  self->hub = fake_hub_new (data);
  self->reactor = choir_reactor_new (NULL, &error);
  self->gateway = choir_gateway_new (self->hub->config, self->hub->hub, self->reactor,
                                     self->hub->counters, &error);
  g_assert_no_error (error);
}

static void
tear_down (Fixture *self, gconstpointer data)
{
  fake_hub_iterate ();
  g_assert_cmpuint (choir_admission_get_total (self->gateway->admission), ==, 0);
  choir_gateway_free (self->gateway);
  choir_reactor_free (self->reactor);
  fake_hub_free (self->hub);
}

static ChoirAddress
address (const char *text)
{
  ChoirAddress parsed;

  g_assert_true (choir_address_parse (text, &parsed));

  return parsed;
}

/* Who comes through a proxy of ours is counted for itself */
static void
test_move_admission (Fixture *self, gconstpointer data)
{
  ChoirAddress proxy = address ("127.0.0.1"), client = address ("192.0.2.1");
  ChoirUpgrade upgrades[3] = { 0 };
  gboolean counted;

  for (guint i = 0; i < 3; i++)
    {
      g_assert_cmpint (choir_gateway_admit (self->gateway, &proxy, &counted), ==,
                       CHOIR_ADMISSION_OK);
      g_assert_false (counted);
      upgrades[i] = (ChoirUpgrade){ .status = 101, .address = client, .has_address = TRUE };
      choir_gateway_move_admission (self->gateway, NULL, &upgrades[i]);
    }
  g_assert_true (upgrades[0].counted && upgrades[1].counted && !upgrades[2].counted);
  g_assert_cmpuint (upgrades[2].status, ==, 429);
  g_assert_cmpuint (upgrades[2].retry_after_s, >, 0);
  g_assert_cmpuint (choir_admission_get_count (self->gateway->admission, &client), ==, 2);
  g_assert_cmpuint (choir_admission_get_total (self->gateway->admission), ==, 3);
  g_free (upgrades[2].detail);

  /* one that names no client is nobody's */
  upgrades[2] = (ChoirUpgrade){ .status = 101, .address = proxy, .has_address = TRUE };
  choir_gateway_move_admission (self->gateway, NULL, &upgrades[2]);
  g_assert_cmpuint (upgrades[2].status, ==, 101);
  g_assert_false (upgrades[2].counted);

  choir_admission_leave (self->gateway->admission, &client);
  choir_admission_leave (self->gateway->admission, &client);
  choir_admission_leave (self->gateway->admission, NULL);

  g_assert_cmpint (choir_gateway_admit (self->gateway, &client, &counted), ==, CHOIR_ADMISSION_OK);
  g_assert_true (counted);
  choir_admission_leave (self->gateway->admission, &client);
}

static int
adopt (Fixture *self, ChoirUpgrade *upgrade, const char *data, gsize len)
{
  int pair[2];
  gboolean counted;

  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), ==,
                   0);
  choir_gateway_admit (self->gateway, NULL, &counted);
  choir_gateway_adopt (self->gateway, choir_transport_new_for_fd (pair[0]), upgrade,
                       (const guint8 *) data, len);
  fake_hub_iterate ();

  return pair[1];
}

static void
assert_received (int fd, const char *text)
{
  char buffer[4096];
  gssize n;

  fake_hub_iterate ();
  n = recv (fd, buffer, sizeof buffer, 0);
  g_assert_cmpint (n, >, 0);
  g_assert_nonnull (memmem (buffer, n, text, strlen (text)));
}

static void
test_session (Fixture *self, gconstpointer data)
{
  g_autoptr (ChoirClaims) claims = choir_claims_new_from_json ("{\"sub\":\"alice\"}", -1, NULL);
  ChoirUpgrade upgrade = {
    .status = 101,
    .dialect = choir_dialect_get (CHOIR_DIALECT_CHOIR),
    .claims = claims,
    .default_channel = (char *) "chat:1",
    .client_id = (char *) "tab",
  };
  /* what came right behind the handshake */
  static const char pipelined[] = "\x81\x8f\0\0\0\0{\"type\":\"ping\"}";
  int fd = adopt (self, &upgrade, pipelined, sizeof pipelined - 1);
  ChoirSession *session = choir_hub_get_session (self->hub->hub, 0);
  char buffer[4096];
  gssize n = recv (fd, buffer, sizeof buffer, 0);

  g_assert_nonnull (memmem (buffer, n, "connection.established", 22));
  g_assert_nonnull (memmem (buffer, n, "\"client_id\":\"tab\"", 17));
  g_assert_nonnull (memmem (buffer, n, "\"pong\"", 6));
  g_assert_cmpuint (choir_session_get_n_subscriptions (session), ==, 1);

  /* this dialect's messages are text: 1003 */
  g_assert_cmpint (send (fd, "\x82\x81\0\0\0\0x", 7, 0), ==, 7);
  assert_received (fd, "\x03\xebText messages only");
  close (fd);
  fake_hub_iterate ();
  g_assert_cmpuint (choir_hub_get_n_sessions (self->hub->hub), ==, 0);
}

static void
test_binary (Fixture *self, gconstpointer data)
{
  g_autoptr (ChoirClaims) claims = choir_claims_new_from_json ("{\"sub\":\"alice\"}", -1, NULL);
  ChoirUpgrade upgrade = {
    .status = 101,
    .dialect = choir_dialect_get (CHOIR_DIALECT_CHOIR_CBOR),
    .claims = claims,
  };
  /* {"type": "ping"} */
  static const char ping[] = "\x82\x8b\0\0\0\0\xa1\x64type\x64ping";
  int fd = adopt (self, &upgrade, NULL, 0);

  /* a text as a map's key and its value, in a binary frame */
  assert_received (fd, "\xa4\x64type\x76"
                       "connection.established"
                       "\x67payload");
  g_assert_cmpint (send (fd, ping, sizeof ping - 1, 0), ==, sizeof ping - 1);
  assert_received (fd, "\xa4\x64type\x64pong");

  /* what is wrong with a message costs the message */
  g_assert_cmpint (send (fd, "\x82\x81\0\0\0\0\xa1", 7, 0), ==, 7);
  assert_received (fd, "Invalid CBOR at byte 0: expected all pairs of the map");
  g_assert_cmpint (send (fd, "\x82\x80\0\0\0\0", 6, 0), ==, 6);
  assert_received (fd, "Invalid CBOR at byte 0: expected more bytes");
  g_assert_cmpint (send (fd, ping, sizeof ping - 1, 0), ==, sizeof ping - 1);
  assert_received (fd, "\xa4\x64type\x64pong");

  g_assert_cmpint (send (fd, "\x81\x82\0\0\0\0{}", 8, 0), ==, 8);
  assert_received (fd, "\x03\xeb"
                       "Binary messages only");
  close (fd);
  fake_hub_iterate ();
  g_assert_cmpuint (choir_hub_get_n_sessions (self->hub->hub), ==, 0);
}

static void
test_refusal (Fixture *self, gconstpointer data)
{
  ChoirUpgrade upgrade = {
    .status = 101,
    .dialect = choir_dialect_get (CHOIR_DIALECT_NETRA),
    .close_code = 4000,
    .detail = (char *) "Authentication failed",
  };
  int fd = adopt (self, &upgrade, NULL, 0);

  assert_received (fd, "\x0f\xa0"
                       "Authentication failed");
  g_assert_cmpuint (choir_hub_get_n_sessions (self->hub->hub), ==, 0);
  g_assert_cmpint (fake_hub_count (self->hub, "websocket_connections", "rejected"), ==, 1);
  close (fd);
}

static void
test_echo (Fixture *self, gconstpointer data)
{
  ChoirUpgrade upgrade = { .status = 101 };
  int fd = adopt (self, &upgrade, NULL, 0);

  g_assert_cmpint (send (fd, "\x81\x85\0\0\0\0hello", 11, 0), ==, 11);
  assert_received (fd, "\x81\x05hello");
  g_assert_cmpint (send (fd, "\x82\x82\0\0\0\0\x01\xff", 8, 0), ==, 8);
  assert_received (fd, "\x82\x02\x01\xff");
  close (fd);
}

static void
test_reload (Fixture *self, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (fake_hub_reload (self->hub,
                                  "[server]\nhandshake-timeout=3s\necho-path=/echo\n"
                                  "[protocol]\ncompression=no\nheartbeat-interval=7s\n"
                                  "[dialect jddb]\nidle-timeout=9s\n",
                                  &error));
  g_assert_true (choir_gateway_configure (self->gateway, &error));
  g_assert_cmpint (self->gateway->handshake_us, ==, 3 * G_USEC_PER_SEC);
  g_assert_cmpstr (self->gateway->echo_path, ==, "/echo");
  g_assert_false (self->gateway->compression);
  g_assert_cmpint (self->gateway->profiles[CHOIR_DIALECT_CHOIR].heartbeat_us, ==,
                   7 * G_USEC_PER_SEC);
  g_assert_cmpint (self->gateway->profiles[CHOIR_DIALECT_JDDB].idle_us, ==, 9 * G_USEC_PER_SEC);

  /* a policy that makes no sense changes nothing */
  if (fake_hub_reload (self->hub, "[origin]\nenvironment=production\nallowed-production=*\n",
                       &error))
    g_assert_false (choir_gateway_configure (self->gateway, &error));
  g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG);
  g_assert_cmpstr (self->gateway->echo_path, ==, "/echo");
}

static void
test_environments (Fixture *self, gconstpointer data)
{
  static const char *const origins[] = { "https://dev.example", "https://staging.example",
                                         "https://prod.example" };
  static const struct
  {
    const char *environment;
    gboolean allowed[3];
  } rows[] = {
    { "development", { TRUE, FALSE, FALSE } },
    { "staging", { TRUE, TRUE, FALSE } },
    { "production", { FALSE, FALSE, TRUE } },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autofree char *settings = g_strdup_printf (
        "[origin]\nenvironment=%s\nallowed=%s\nallowed-staging=%s\nallowed-production=%s\n",
        rows[i].environment, origins[0], origins[1], origins[2]);
      g_autoptr (GError) error = NULL;

      fake_hub_reload (self->hub, settings, &error);
      g_assert_no_error (error);
      g_assert_true (choir_gateway_configure (self->gateway, &error));
      for (guint o = 0; o < 3; o++)
        g_assert_cmpint (choir_origin_policy_allows (self->gateway->origins, origins[o]), ==,
                         rows[i].allowed[o]);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

#define ADD(name, settings, func)                                                                  \
  g_test_add ("/gateway/" name, Fixture, settings, set_up, func, tear_down)
  ADD ("move-admission", "[server]\nmax-connections-per-address=2\n", test_move_admission);
  ADD ("session", NULL, test_session);
  ADD ("binary", NULL, test_binary);
  ADD ("refusal", NULL, test_refusal);
  ADD ("echo", NULL, test_echo);
  ADD ("reload", NULL, test_reload);
  ADD ("environments", NULL, test_environments);

  return g_test_run ();
}
