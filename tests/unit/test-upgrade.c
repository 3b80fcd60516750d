/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-upgrade.h"
#include "fake-link.h"

typedef struct
{
  FakeHub *hub;
  ChoirReactor *reactor;
  ChoirGateway *gateway;
  char *token;  /* of alice, who may read documents */
  char *access; /* the same with type access */
  char *expired;
} Fixture;

static void
set_up (Fixture *self, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  self->hub = fake_hub_new (data);
  self->reactor = choir_reactor_new (NULL, &error);
  g_assert_no_error (error);
  self->gateway = choir_gateway_new (self->hub->config, self->hub->hub, self->reactor,
                                     self->hub->counters, &error);
  g_assert_no_error (error);
  self->gateway->ready = TRUE;
  self->token = fake_hub_mint (self->hub, "alice", "\"permissions\":[\"document:1:read\"]");
  self->access = fake_hub_mint (self->hub, "alice", "\"type\":\"access\"");
  self->expired = fake_hub_mint (self->hub, "alice", "\"exp\":1600000000");
}

static void
tear_down (Fixture *self, gconstpointer data)
{
  choir_gateway_free (self->gateway);
  choir_reactor_free (self->reactor);
  fake_hub_free (self->hub);
  g_free (self->token);
  g_free (self->access);
  g_free (self->expired);
}

/* "%T", "%A" and "%E" stand for the tokens */
static char *
fill_in (Fixture *self, const char *text)
{
  g_autoptr (GString) out = g_string_new (text);

  g_string_replace (out, "%T", self->token, 0);
  g_string_replace (out, "%A", self->access, 0);
  g_string_replace (out, "%E", self->expired, 0);

  return g_strdup (out->str);
}

typedef struct
{
  const char *path;
  const char *query;
  const char *protocols;
  const char *authorization;
  guint status;
  guint close_code;
  int dialect; /* -1: none */
  const char *channel;
  const char *detail;
} Row;

static ChoirUpgrade *
decide (Fixture *self, const Row *row)
{
  g_autofree char *path = fill_in (self, row->path);
  g_autofree char *query = row->query != NULL ? fill_in (self, row->query) : NULL;
  g_autofree char *protocols = row->protocols != NULL ? fill_in (self, row->protocols) : NULL;
  g_autofree char *authorization =
    row->authorization != NULL ? fill_in (self, row->authorization) : NULL;
  ChoirUpgradeRequest request = {
    .path = path,
    .query = query,
    .protocols = protocols,
    .authorization = authorization,
  };
  ChoirUpgrade *upgrade = choir_upgrade_new (self->gateway, &request);

  g_assert_true (choir_upgrade_decide (upgrade, self->gateway));

  return upgrade;
}

static void
run_rows (Fixture *self, const Row *rows, guint n_rows)
{
  for (guint i = 0; i < n_rows; i++)
    {
      const Row *row = &rows[i];
      g_autoptr (ChoirUpgrade) upgrade = NULL;

      g_test_message ("row %u: %s ? %s", i, row->path, row->query != NULL ? row->query : "");
      upgrade = decide (self, row);
      g_assert_cmpuint (upgrade->status, ==, row->status);
      g_assert_cmpuint (upgrade->close_code, ==, row->close_code);
      if (row->dialect >= 0)
        g_assert_cmpint (choir_dialect_get_id (upgrade->dialect), ==, row->dialect);
      g_assert_cmpstr (upgrade->default_channel, ==, row->channel);
      if (row->detail != NULL)
        g_assert_cmpstr (upgrade->detail, ==, row->detail);
    }
}

#define CHOIR CHOIR_DIALECT_CHOIR
#define NETRA CHOIR_DIALECT_NETRA
#define SPEC CHOIR_DIALECT_NETRA_SPEC
#define JDDB CHOIR_DIALECT_JDDB
#define REVIEW CHOIR_DIALECT_REVIEWPOINT
#define TRIP CHOIR_DIALECT_TRIPSAGE
#define CBOR CHOIR_DIALECT_CHOIR_CBOR

static void
test_dialects (Fixture *self, gconstpointer data)
{
  static const Row rows[] = {
    { "/ws", "token=%T", NULL, NULL, 101, 0, CHOIR, NULL, NULL },
    { "/ws/", "token=%T", NULL, NULL, 101, 0, CHOIR, NULL, NULL },
    { "/ws", "token=%A&dialect=netra", NULL, NULL, 101, 0, NETRA, NULL, NULL },
    { "/ws", "dialect=netra-spec&token=%T", NULL, NULL, 101, 0, SPEC, NULL, NULL },
    { "/ws", "token=%T&dialect=klingon", NULL, NULL, 101, 0, CHOIR, NULL, NULL },
    { "/ws", "token=%T&dialect=netra-spec", "choir.v1.reviewpoint", NULL, 101, 0, REVIEW, NULL,
      NULL },
    { "/ws", "token=%T", "graphql-ws , choir.v1.tripsage,choir.v1", NULL, 101, 0, TRIP, NULL,
      NULL },
    { "/ws", "token=%T", "graphql-ws", NULL, 101, 0, CHOIR, NULL, NULL },
    { "/ws", "token=%T&dialect=choir", "choir.v1.cbor, choir.v1", NULL, 101, 0, CBOR, NULL, NULL },
    { "/ws", "token=%T", "choir.v1.cbors, choir.v1, choir.v1.cbor", NULL, 101, 0, CHOIR, NULL,
      NULL },
    { "/ws", "token=%T&dialect=choir-cbor", NULL, NULL, 101, 0, CBOR, NULL, NULL },
    { "/ws/chat/abc", NULL, "choir.v1.cbor, bearer.%T", NULL, 101, 0, CBOR, "chat:abc", NULL },
    { "/ws", "token=bad", "choir.v1.cbor", NULL, 401, 0, CBOR, NULL, "Invalid token" },
    { "/ws/%T", NULL, NULL, NULL, 101, 0, REVIEW, NULL, NULL },
    { "/ws/%T", "dialect=choir", NULL, NULL, 101, 0, CHOIR, NULL, NULL },
    { "/ws/document/1", "token=%T", NULL, NULL, 101, 0, JDDB, "document:1", NULL },
    { "/ws/chat/abc", "token=%T", NULL, NULL, 101, 0, TRIP, "chat:abc", NULL },
    { "/ws/chat/a%20b", "token=%T", NULL, NULL, 404, 0, -1, NULL, NULL },
    { "/ws/chat/a%2Fb", "token=%T", NULL, NULL, 404, 0, -1, NULL, NULL },
    { "/ws/chat/a/b", "token=%T", NULL, NULL, 404, 0, -1, NULL, NULL },
    { "/ws/agent-status/s", "token=%T", NULL, NULL, 101, 0, TRIP, "agent-status:s", NULL },
    { "/ws/config", NULL, NULL, NULL, 404, 0, -1, NULL, NULL },
    { "/ws/a/b", NULL, NULL, NULL, 404, 0, -1, NULL, NULL },
    { "/", NULL, NULL, NULL, 404, 0, -1, NULL, NULL },
    { "/wsx", "token=%T", NULL, NULL, 404, 0, -1, NULL, NULL },
  };

  run_rows (self, rows, G_N_ELEMENTS (rows));
}

/* Below /sse is what is below /ws; and it is always refused by a status */
static void
test_streams (Fixture *self, gconstpointer data)
{
  static const Row rows[] = {
    { "/sse", "token=%T", NULL, NULL, 101, 0, CHOIR, NULL, NULL },
    { "/sse/", "token=%T", NULL, NULL, 101, 0, CHOIR, NULL, NULL },
    { "/sse", "token=%A&dialect=netra", NULL, NULL, 101, 0, NETRA, NULL, NULL },
    { "/sse/%T", NULL, NULL, NULL, 101, 0, REVIEW, NULL, NULL },
    { "/sse/document/1", "token=%T", NULL, NULL, 101, 0, JDDB, "document:1", NULL },
    { "/sse/document/2", "token=%T", NULL, NULL, 403, 0, JDDB, "document:2", "Unauthorized" },
    { "/sse/chat/abc", "token=%T", NULL, NULL, 101, 0, TRIP, "chat:abc", NULL },
    { "/sse/config", NULL, NULL, NULL, 404, 0, -1, NULL, NULL },
    { "/ssex", "token=%T", NULL, NULL, 404, 0, -1, NULL, NULL },
    { "/sse", NULL, NULL, NULL, 401, 0, CHOIR, NULL, "Missing authentication" },
    { "/sse", "dialect=tripsage", NULL, NULL, 401, 0, TRIP, NULL, "Missing authentication" },
    { "/sse", "dialect=netra&token=bad", NULL, NULL, 401, 0, NETRA, NULL, NULL },
    { "/sse/document/1", "token=%E", NULL, NULL, 401, 0, JDDB, "document:1", "Token expired" },
    { "/sse", "token=%T&dialect=choir-cbor", NULL, NULL, 406, 0, CBOR, NULL, NULL },
    { "/sse", "token=%T&channels=chat:1,chat:2", NULL, NULL, 101, 0, CHOIR, NULL, NULL },
    { "/sse", "token=%T&channels=", NULL, NULL, 101, 0, CHOIR, NULL, NULL },
    { "/sse", "token=%T&channels=a%20b", NULL, NULL, 400, 0, CHOIR, NULL, NULL },
    { "/sse", "token=%T&channels=1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17", NULL, NULL, 400, 0,
      CHOIR, NULL, NULL },
    { "/sse", "token=%T&channels=chat:1&dialect=jddb", NULL, NULL, 400, 0, JDDB, NULL, NULL },
  };

  run_rows (self, rows, G_N_ELEMENTS (rows));
}

/* The header is the browser's; what is no id is none */
static void
test_last_event (Fixture *self, gconstpointer data)
{
  ChoirUpgradeRequest request = {
    .path = "/sse",
    .query = "session_id=named&last_event_id=0f0e0d0c-0b0a-4908-8706-050403020100.5",
    .last_event_id = "1f0e0d0c-0b0a-4908-8706-050403020100.7;-",
  };
  g_autoptr (ChoirUpgrade) header = choir_upgrade_new (self->gateway, &request);
  g_autoptr (ChoirUpgrade) query = NULL, garbage = NULL, websocket = NULL;

  g_assert_true (header->is_stream && header->is_returning);
  g_assert_cmpstr (header->resume_id, ==, "1f0e0d0c-0b0a-4908-8706-050403020100");
  g_assert_cmpuint (header->seen, ==, 7);

  request.last_event_id = NULL;
  query = choir_upgrade_new (self->gateway, &request);
  g_assert_true (query->is_returning);
  g_assert_cmpstr (query->resume_id, ==, "0f0e0d0c-0b0a-4908-8706-050403020100");
  g_assert_cmpuint (query->seen, ==, 5);

  request.last_event_id = "garbage";
  garbage = choir_upgrade_new (self->gateway, &request);
  g_assert_false (garbage->is_returning);
  g_assert_cmpstr (garbage->resume_id, ==, "named");

  request.path = "/ws";
  websocket = choir_upgrade_new (self->gateway, &request);
  g_assert_false (websocket->is_stream || websocket->is_returning);
}

static void
test_tokens (Fixture *self, gconstpointer data)
{
  static const Row rows[] = {
    /* places */
    { "/ws", "dialect=netra-spec", NULL, "Bearer %T", 101, 0, SPEC, NULL, NULL },
    { "/ws", "dialect=netra-spec", NULL, "bearer   %T ", 101, 0, SPEC, NULL, NULL },
    { "/ws", "dialect=netra-spec", NULL, "Basic %T", 401, 0, SPEC, NULL, "Missing authentication" },
    { "/ws", "dialect=netra-spec", "choir.v1.netra-spec, bearer.%T", NULL, 101, 0, SPEC, NULL,
      NULL },
    { "/ws", NULL, "jwt.%T, choir.v1.netra-spec", NULL, 101, 0, SPEC, NULL, NULL },
    { "/ws", "dialect=netra-spec&token=bad", NULL, "Bearer %T", 101, 0, SPEC, NULL, NULL },
    { "/ws/bad", NULL, NULL, "Bearer %T", 101, 0, REVIEW, NULL, NULL },
    { "/ws", "xtoken=%T&dialect=netra-spec", NULL, NULL, 401, 0, SPEC, NULL, NULL },
    { "/ws", "token=%ZZ&dialect=netra-spec", NULL, NULL, 401, 0, SPEC, NULL, "Invalid token" },

    /* the ways to refuse */
    { "/ws", NULL, NULL, NULL, 101, 0, CHOIR, NULL, NULL },
    { "/ws", "token=bad", NULL, NULL, 401, 0, CHOIR, NULL, "Invalid token" },
    { "/ws", "token=%E", NULL, NULL, 401, 0, CHOIR, NULL, "Token expired" },
    { "/ws", "token=", NULL, NULL, 101, 0, CHOIR, NULL, NULL },
    { "/ws", "dialect=netra", NULL, NULL, 101, 4000, NETRA, NULL, "Authentication failed" },
    { "/ws", "dialect=netra&token=bad", NULL, NULL, 101, 4000, NETRA, NULL,
      "Authentication failed" },
    { "/ws", "dialect=netra&token=%T", NULL, NULL, 101, 4000, NETRA, NULL,
      "Authentication failed" },
    { "/ws", "dialect=netra-spec&token=%E", NULL, NULL, 401, 0, SPEC, NULL, "Token expired" },
    { "/ws/document/1", NULL, NULL, NULL, 101, 1008, JDDB, "document:1", "Missing authentication" },
    { "/ws/document/1", "token=x", NULL, NULL, 101, 1008, JDDB, "document:1", "Invalid token" },
    { "/ws/document/1", "token=%E", NULL, NULL, 101, 1008, JDDB, "document:1", "Token expired" },
    { "/ws/document/2", "token=%T", NULL, NULL, 101, 1008, JDDB, "document:2", "Unauthorized" },
    { "/ws/document/2", "token=%T&dialect=choir", NULL, NULL, 403, 0, CHOIR, "document:2",
      "Unauthorized" },
    { "/ws/bad", NULL, NULL, NULL, 401, 0, REVIEW, NULL, "Invalid token" },
    { "/ws/chat/1", NULL, NULL, NULL, 101, 0, TRIP, "chat:1", NULL },
  };

  run_rows (self, rows, G_N_ELEMENTS (rows));
}

/* Whoever is blocked is told so in words that his client can't take for a bad token */
static void
test_blocked (Fixture *self, gconstpointer data)
{
  static const char text[] = "Blocked by an administrator";
  static const Row blocked[] = {
    { "/ws", "token=%T", NULL, NULL, 101, 4002, CHOIR, NULL, text },
    { "/ws", "token=%T&dialect=choir-cbor", NULL, NULL, 101, 4002, CBOR, NULL, text },
    { "/ws", "token=%A&dialect=netra", NULL, NULL, 101, 4002, NETRA, NULL, text },
    { "/ws", "token=%T&dialect=netra-spec", NULL, NULL, 403, 0, SPEC, NULL, text },
    { "/ws/document/1", "token=%T", NULL, NULL, 101, 4002, JDDB, "document:1", text },
    { "/ws", "token=%T&dialect=reviewpoint", NULL, NULL, 403, 0, REVIEW, NULL, text },
    { "/ws/chat/1", "token=%T", NULL, NULL, 101, 4002, TRIP, "chat:1", text },
    { "/sse", "token=%T", NULL, NULL, 403, 0, CHOIR, NULL, text },
    { "/sse", "token=%A&dialect=netra", NULL, NULL, 403, 0, NETRA, NULL, text },
    { "/ws", "token=%E", NULL, NULL, 401, 0, CHOIR, NULL, "Token expired" },
  };
  static const Row revoked[] = {
    { "/ws", "token=%T", NULL, NULL, 401, 0, CHOIR, NULL, "Invalid token" },
    { "/ws", "token=%T&dialect=netra", NULL, NULL, 101, 4000, NETRA, NULL,
      "Authentication failed" },
    { "/sse", "token=%T", NULL, NULL, 401, 0, CHOIR, NULL, "Invalid token" },
    { "/ws", "token=%A&dialect=netra-spec", NULL, NULL, 101, 0, SPEC, NULL, NULL },
  };
  Fixture other = { 0 };

  fake_hub_ban (self->hub, CHOIR_BAN_USER, "alice");
  run_rows (self, blocked, G_N_ELEMENTS (blocked));

  set_up (&other, NULL);
  g_free (other.token);
  other.token = fake_hub_mint (other.hub, "alice", "\"jti\":\"t1\"");
  fake_hub_ban (other.hub, CHOIR_BAN_TOKEN, "t1");
  run_rows (&other, revoked, G_N_ELEMENTS (revoked));
  tear_down (&other, NULL);
}

static void
test_guests (Fixture *self, gconstpointer data)
{
  static const Row rows[] = {
    { "/ws", NULL, NULL, NULL, 101, 0, CHOIR, NULL, NULL },
    { "/ws", "dialect=netra", NULL, NULL, 101, 0, NETRA, NULL, NULL },
    { "/ws", "dialect=netra-spec", NULL, NULL, 101, 0, SPEC, NULL, NULL },
    { "/ws/document/1", NULL, NULL, NULL, 101, 1008, JDDB, "document:1", "Unauthorized" },
  };

  run_rows (self, rows, G_N_ELEMENTS (rows));
  for (guint i = 0; i < 3; i++)
    {
      g_autoptr (ChoirUpgrade) upgrade = decide (self, &rows[i]);

      g_assert_true (choir_claims_is_guest (upgrade->claims));
    }
}

static void
test_origin (Fixture *self, gconstpointer data)
{
  static const struct
  {
    const char *origin;
    guint status;
  } rows[] = {
    { NULL, 101 },   { "http://localhost:3000", 101 },         { "https://evil.example", 403 },
    { "null", 403 }, { "http://localhost.evil.example", 403 }, { "", 403 },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      ChoirUpgradeRequest request = { .path = "/ws", .origin = rows[i].origin };
      g_autoptr (ChoirUpgrade) upgrade = choir_upgrade_new (self->gateway, &request);

      g_assert_true (choir_upgrade_decide (upgrade, self->gateway));
      g_assert_cmpuint (upgrade->status, ==, rows[i].status);
    }
}

static void
test_extras (Fixture *self, gconstpointer data)
{
  ChoirUpgradeRequest request = {
    .path = "/ws",
    .query = "client_id=tab-1&batch=1",
    .extensions = "x-other, permessage-deflate; client_max_window_bits",
    .protocols = "choir.v1",
  };
  g_autoptr (ChoirUpgrade) upgrade = choir_upgrade_new (self->gateway, &request);
  g_autoptr (ChoirUpgrade) bad = NULL;

  g_assert_true (choir_upgrade_decide (upgrade, self->gateway));
  g_assert_cmpstr (upgrade->client_id, ==, "tab-1");
  g_assert_true (upgrade->batching);
  g_assert_true (upgrade->deflate.enabled);
  g_assert_true (g_str_has_prefix (upgrade->extensions, "permessage-deflate"));
  g_assert_cmpstr (upgrade->subprotocol, ==, "choir.v1");
  g_assert_null (upgrade->claims);

  request.query = "client_id=a%20b%0d&batch=2";
  bad = choir_upgrade_new (self->gateway, &request);
  g_assert_cmpstr (bad->client_id, ==, NULL);
  g_assert_false (bad->batching);
}

static void
test_not_ready (Fixture *self, gconstpointer data)
{
  static const Row starting = { "/ws", "token=%T", NULL, NULL, 503, 0, -1, NULL, NULL };

  self->gateway->ready = FALSE;
  run_rows (self, &starting, 1);
  self->gateway->ready = TRUE;
  choir_hub_shutdown (self->hub->hub);
  run_rows (self, &starting, 1);
}

static void
test_capacity (Fixture *self, gconstpointer data)
{
  static const Row rows[] = {
    { "/ws", "token=%A&dialect=netra", NULL, NULL, 101, 1013, NETRA, NULL, "Server at capacity" },
    { "/ws", "token=%T", NULL, NULL, 503, 0, CHOIR, NULL, "Server at capacity" },
  };
  G_GNUC_UNUSED g_autoptr (FakeLink) link = fake_link_join (self->hub, "bob");

  run_rows (self, rows, G_N_ELEMENTS (rows));
}

static void
test_user_capacity (Fixture *self, gconstpointer data)
{
  static const Row full = { "/ws/%T", NULL, NULL, NULL, 429, 0, REVIEW, NULL, NULL };
  static const Row room = { "/ws/%T", NULL, NULL, NULL, 101, 0, REVIEW, NULL, NULL };
  FakeLink *links[3];

  for (guint i = 0; i < 3; i++)
    {
      run_rows (self, &room, 1);
      links[i] = fake_link_open (self->hub, REVIEW, "alice", NULL, NULL);
    }
  run_rows (self, &full, 1);
  for (guint i = 0; i < 3; i++)
    g_object_unref (links[i]);
  run_rows (self, &room, 1);
}

static void
test_address (Fixture *self, gconstpointer data)
{
  static const struct
  {
    const char *peer;
    const char *forwarded_for;
    const char *expected;
  } rows[] = {
    { "192.0.2.7", NULL, "192.0.2.7" },
    /* not a proxy of ours: not believed */
    { "192.0.2.7", "198.51.100.1", "192.0.2.7" },
    { "127.0.0.1", "198.51.100.1", "198.51.100.1" },
    { "127.0.0.1", "203.0.113.9, 198.51.100.1", "198.51.100.1" },
    { "127.0.0.1", "rubbish", "127.0.0.1" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      ChoirAddress peer;
      ChoirUpgradeRequest request = { .path = "/ws",
                                      .x_forwarded_for = rows[i].forwarded_for,
                                      .peer = &peer };
      char text[CHOIR_ADDRESS_TEXT_SIZE];
      g_autoptr (ChoirUpgrade) upgrade = NULL;

      g_assert_true (choir_address_parse (rows[i].peer, &peer));
      upgrade = choir_upgrade_new (self->gateway, &request);
      g_assert_true (upgrade->has_address);
      choir_address_format (&upgrade->address, text);
      g_assert_cmpstr (text, ==, rows[i].expected);
    }
}

static void
test_echo (Fixture *self, gconstpointer data)
{
  static const Row row = { "/echo", NULL, NULL, NULL, 101, 0, -1, NULL, NULL };
  g_autoptr (ChoirUpgrade) upgrade = decide (self, &row);

  g_assert_cmpuint (upgrade->status, ==, 101);
  g_assert_null (upgrade->dialect);
}

static void
decided_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  GAsyncResult **out = user_data;

  *out = g_object_ref (result);
}

static void
test_directory (Fixture *self, gconstpointer data)
{
  g_autoptr (FakeHub) hub = fake_hub_new_with_users (NULL);
  g_autoptr (GError) error = NULL;
  ChoirGateway *gateway =
    choir_gateway_new (hub->config, hub->hub, self->reactor, hub->counters, &error);

  gateway->ready = TRUE;
  choir_directory_memory_set (hub->users, "alice", TRUE);
  for (guint i = 0; i < 2; i++)
    {
      g_autofree char *token = fake_hub_mint (hub, i == 0 ? "alice" : "eve", NULL);
      g_autofree char *query = g_strconcat ("token=", token, NULL);
      ChoirUpgradeRequest request = { .path = "/ws", .query = query };
      g_autoptr (ChoirUpgrade) upgrade = choir_upgrade_new (gateway, &request);
      g_autoptr (GAsyncResult) result = NULL;

      g_assert_false (choir_upgrade_decide (upgrade, gateway));
      choir_upgrade_decide_async (upgrade, gateway, NULL, decided_cb, &result);
      while (result == NULL)
        g_main_context_iteration (NULL, TRUE);
      g_assert_true (choir_upgrade_decide_finish (upgrade, result, &error));
      g_assert_no_error (error);
      g_assert_cmpuint (upgrade->status, ==, i == 0 ? 101 : 401);
    }
  choir_gateway_free (gateway);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

#define ADD(name, settings, func)                                                                  \
  g_test_add ("/upgrade/" name, Fixture, settings, set_up, func, tear_down)
  ADD ("dialects", NULL, test_dialects);
  ADD ("streams", NULL, test_streams);
  ADD ("last-event", NULL, test_last_event);
  ADD ("tokens", NULL, test_tokens);
  ADD ("blocked", NULL, test_blocked);
  ADD ("guests", "[auth]\nrequire-auth=no\n", test_guests);
  ADD ("origin", NULL, test_origin);
  ADD ("extras", NULL, test_extras);
  ADD ("not-ready", NULL, test_not_ready);
  ADD ("capacity", "[server]\nmax-connections=1\n", test_capacity);
  ADD ("capacity/user", NULL, test_user_capacity);
  ADD ("address", NULL, test_address);
  ADD ("echo", "[server]\necho-path=/echo\n", test_echo);
  ADD ("directory", NULL, test_directory);

  return g_test_run ();
}
