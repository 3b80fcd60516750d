/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "fake-link.h"

#include "choir-clock.h"
#include "choir-close-code.h"

#include <string.h>

#define SECOND ((gint64) G_USEC_PER_SEC)
/* Claims of a token that ends @s seconds after the frozen clock's start */
#define EXPIRES(s) "\"exp\":" G_STRINGIFY (s)

static void
test_greeting (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new ("[server]\nnode=here\n");
  g_autoptr (FakeLink) link = fake_link_open (hub, CHOIR_DIALECT_CHOIR, "alice", NULL, NULL);
  ChoirSession *session = fake_link_get_session (link);

  fake_link_expect (link, "connection.established", "payload.connection_id",
                    choir_session_get_connection_id (session), "payload.session_id",
                    choir_session_get_id (session), "payload.user_id", "alice", "payload.node",
                    "here", "payload.heartbeat_interval", "30000", "payload.max_message_size",
                    "65536", "payload.resumed", "false", "payload.server_time",
                    "2023-11-14T22:13:20.000Z", "payload.client_id", "-", NULL);
  fake_link_expect_nothing (link);
}

static void
test_unauthenticated (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (NULL);
  g_autoptr (FakeLink) link = fake_link_open (hub, CHOIR_DIALECT_CHOIR, NULL, NULL, NULL);

  fake_link_expect (link, "connection.established", "payload.user_id", "-", NULL);

  fake_link_say (link, "{\"type\":\"ping\",\"payload\":{\"ping_id\":7},\"correlation_id\":\"c\"}");
  fake_link_expect (link, "pong", "payload.ping_id", "7", "correlation_id", "c", NULL);

  fake_link_say (link, "{\"type\":\"subscribe\",\"payload\":{\"channels\":[\"chat:1\"]}}");
  fake_link_expect_error (link, "AUTH_ERROR");
  fake_link_say (link, "{\"type\":\"no.such\"}");
  fake_link_expect_error (link, "AUTH_ERROR");

  /* whom we do not know hears nothing */
  g_assert_cmpuint (fake_hub_publish (hub, "all", "news", "{}"), ==, 0);
  fake_link_expect_nothing (link);
}

static void
test_auth_timeout (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new ("[auth]\nauth-timeout=10s\n");
  g_autoptr (FakeLink) link = fake_link_open (hub, CHOIR_DIALECT_TRIPSAGE, NULL, NULL, NULL);

  /* contract E: nothing is said before the client has */
  fake_link_expect_nothing (link);
  fake_hub_advance (hub, 9900 * 1000);
  g_assert_cmpuint (fake_link_get_close_code (link), ==, 0);
  fake_hub_advance (hub, 200 * 1000);
  g_assert_cmpuint (fake_link_get_close_code (link), ==, CHOIR_CLOSE_AUTH_TIMEOUT);
}

static void
test_auth_by_message (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (NULL);
  g_autoptr (FakeLink) link = fake_link_open (hub, CHOIR_DIALECT_TRIPSAGE, NULL, NULL, "chat:room");
  g_autofree char *token = fake_hub_mint (hub, "alice", NULL);
  ChoirSession *session = fake_link_get_session (link);
  g_autofree char *answer = NULL;
  g_autofree char *success = NULL;
  g_autofree char *room = NULL;

  fake_link_say (link,
                 "{\"token\":\"%s\",\"sessionId\":\"room\",\"channels\":[\"chat:two\",\"no "
                 "name\",5]}",
                 token);
  fake_hub_iterate ();
  answer = fake_link_take (link);
  success = fake_link_read (answer, "success");
  room = fake_link_read (answer, "userId");
  g_assert_cmpstr (success, ==, "true");
  g_assert_cmpstr (room, ==, "alice");
  g_assert_cmpuint (choir_session_get_n_subscriptions (session), ==, 2);
  g_assert_nonnull (choir_hub_find_channel (hub->hub, "chat:room"));
  g_assert_nonnull (choir_hub_find_channel (hub->hub, "chat:two"));

  fake_hub_advance (hub, 20 * SECOND);
  g_assert_cmpuint (fake_link_get_close_code (link), ==, 0);
}

static void
test_bad_first_message (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (NULL);
  g_autoptr (FakeLink) link = fake_link_open (hub, CHOIR_DIALECT_TRIPSAGE, NULL, NULL, NULL);
  g_autoptr (FakeLink) other = fake_link_open (hub, CHOIR_DIALECT_TRIPSAGE, NULL, NULL, NULL);
  g_autofree char *answer = NULL;
  g_autofree char *success = NULL;

  fake_link_say (link, "{\"token\":\"x.y.z\"}");
  answer = fake_link_take (link);
  success = fake_link_read (answer, "success");
  g_assert_cmpstr (success, ==, "false");
  g_assert_cmpuint (fake_link_get_close_code (link), ==, CHOIR_CLOSE_AUTH_TIMEOUT);

  fake_link_say (other, "{\"type\":\"user_typing\",\"payload\":{}}");
  g_assert_cmpuint (fake_link_get_close_code (other), ==, CHOIR_CLOSE_AUTH_TIMEOUT);
  fake_link_forget (other);
  fake_link_say (other, "{\"type\":\"ping\",\"payload\":{}}");
  fake_link_expect_nothing (other);
}

static void
test_bad_token_canonical (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (NULL);
  g_autoptr (FakeLink) link = fake_link_open (hub, CHOIR_DIALECT_CHOIR, NULL, NULL, NULL);

  fake_link_forget (link);
  fake_link_say (link, "{\"type\":\"auth\",\"payload\":{}}");
  fake_link_expect_error (link, "AUTH_ERROR");
  g_assert_cmpuint (fake_link_get_close_code (link), ==, CHOIR_CLOSE_AUTH_FAILED);
}

static void
test_expiry (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (NULL);
  g_autoptr (FakeLink) link =
    fake_link_open (hub, CHOIR_DIALECT_NETRA_SPEC, "alice", EXPIRES (1700000100), NULL);
  g_autoptr (FakeLink) editor =
    fake_link_open (hub, CHOIR_DIALECT_JDDB, "bob", EXPIRES (1700000100), NULL);
  guint n_warnings = 0;

  fake_link_forget (link);
  fake_hub_advance (hub, 69 * SECOND);
  fake_link_expect (link, "heartbeat", NULL);
  fake_link_expect (link, "heartbeat", NULL);
  fake_link_expect_nothing (link);

  fake_hub_advance (hub, 30900 * 1000);
  while (fake_link_get_n_frames (link) > 0)
    {
      g_autofree char *text = fake_link_take (link);
      g_autofree char *when = fake_link_read (text, "payload.expires_at");

      if (strstr (text, "auth.expiring") == NULL)
        continue;

      g_assert_cmpstr (when, ==, "2023-11-14T22:15:00.000Z");
      n_warnings++;
    }
  g_assert_cmpuint (n_warnings, ==, 1);
  g_assert_cmpuint (fake_link_get_close_code (link), ==, 0);

  fake_hub_advance (hub, 200 * 1000);
  g_assert_cmpuint (fake_link_get_close_code (link), ==, CHOIR_CLOSE_TOKEN_EXPIRED);

  /* contract C's clients know 1008 */
  g_assert_cmpuint (fake_link_get_close_code (editor), ==, CHOIR_CLOSE_POLICY);
  g_assert_cmpstr (fake_link_get_close_reason (editor), ==, "Token expired");
}

/* A token past its end but within the leeway is good for the leeway's rest */
static void
test_expiry_in_leeway (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new ("[auth]\nleeway=30s\n");
  g_autoptr (FakeLink) link =
    fake_link_open (hub, CHOIR_DIALECT_CHOIR, "alice", EXPIRES (1699999990), NULL);

  fake_hub_advance (hub, 19 * SECOND);
  g_assert_cmpuint (fake_link_get_close_code (link), ==, 0);
  fake_hub_advance (hub, 1100 * 1000);
  g_assert_cmpuint (fake_link_get_close_code (link), ==, CHOIR_CLOSE_TOKEN_EXPIRED);
}

static void
test_refresh (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (NULL);
  g_autoptr (FakeLink) link =
    fake_link_open (hub, CHOIR_DIALECT_CHOIR, "alice", EXPIRES (1700000040), NULL);
  g_autofree char *longer = fake_hub_mint (hub, "alice", EXPIRES (1700000100));
  g_autofree char *foreign = fake_hub_mint (hub, "mallory", NULL);

  fake_link_forget (link);
  fake_hub_advance (hub, 15 * SECOND);
  fake_link_expect (link, "auth.expiring", NULL);

  /* one whose first token still holds has lost nothing */
  fake_link_say (link, "{\"type\":\"auth\",\"payload\":{\"token\":\"%s\"}}", foreign);
  fake_link_expect_error (link, "AUTH_ERROR");
  g_assert_cmpuint (fake_link_get_close_code (link), ==, 0);

  fake_link_say (link, "{\"type\":\"auth\",\"payload\":{\"token\":\"%s\"}}", longer);
  fake_link_expect (link, "auth.ok", "payload.user_id", "alice", "payload.expires_at",
                    "2023-11-14T22:15:00.000Z", NULL);
  fake_hub_advance (hub, 50 * SECOND);
  g_assert_cmpuint (fake_link_get_close_code (link), ==, 0);
  fake_hub_advance (hub, 40 * SECOND);
  g_assert_cmpuint (fake_link_get_close_code (link), ==, CHOIR_CLOSE_TOKEN_EXPIRED);
}

/* What a later token no longer permits ends */
static void
test_refresh_with_less (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (NULL);
  g_autoptr (FakeLink) link =
    fake_link_open (hub, CHOIR_DIALECT_CHOIR, "alice", "\"permissions\":[\"secret:*:read\"]", NULL);
  g_autofree char *token = fake_hub_mint (hub, "alice", NULL);
  ChoirSession *session = fake_link_get_session (link);

  fake_link_say (link, "{\"type\":\"subscribe\",\"payload\":{\"channels\":[\"secret:1\",\"chat:1\","
                       "\"secret:2\"]}}");
  fake_hub_iterate ();
  g_assert_cmpuint (choir_session_get_n_subscriptions (session), ==, 3);
  fake_link_say (link, "{\"type\":\"auth\",\"payload\":{\"token\":\"%s\"}}", token);
  g_assert_cmpuint (choir_session_get_n_subscriptions (session), ==, 1);
  g_assert_cmpstr (choir_session_get_subscription (session, 0)->channel->name, ==, "chat:1");
}

/* Contract A takes tokens of type "access" only, whenever they come */
static void
test_refresh_token_type (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (NULL);
  g_autoptr (FakeLink) link =
    fake_link_open (hub, CHOIR_DIALECT_NETRA, "alice", "\"type\":\"access\"", NULL);
  g_autofree char *refresh = fake_hub_mint (hub, "alice", "\"type\":\"refresh\"");
  g_autofree char *access = fake_hub_mint (hub, "alice", "\"type\":\"access\"");

  fake_link_forget (link);
  fake_link_say (link, "{\"type\":\"auth\",\"data\":{\"token\":\"%s\"}}", refresh);
  fake_link_expect (link, "error", "data.code", "AUTH_ERROR", NULL);
  fake_link_say (link, "{\"type\":\"auth\",\"data\":{\"token\":\"%s\"}}", access);
  fake_link_expect (link, "status", "data.status", "authenticated", NULL);
}

/* require-auth=no makes everyone a guest first; a token still counts */
static void
test_guest_becomes_user (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new ("[auth]\nrequire-auth=no\n");
  g_autoptr (FakeLink) link = fake_link_open_guest (hub, CHOIR_DIALECT_CHOIR, "guest-1");
  g_autofree char *token = fake_hub_mint (hub, "alice", NULL);

  fake_link_forget (link);
  fake_link_say (link, "{\"type\":\"auth\",\"payload\":{\"token\":\"%s\"}}", token);
  fake_link_expect (link, "auth.ok", "payload.user_id", "alice", NULL);
  g_assert_cmpuint (choir_hub_find_user (hub->hub, "guest-1")->n_sessions, ==, 0);
  g_assert_cmpuint (choir_hub_find_user (hub->hub, "alice")->n_sessions, ==, 1);
  g_assert_cmpuint (choir_hub_get_n_users (hub->hub), ==, 1);
}

static void
test_directory (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new_with_users (NULL);
  g_autoptr (FakeLink) known = fake_link_open (hub, CHOIR_DIALECT_CHOIR, NULL, NULL, NULL);
  g_autoptr (FakeLink) unknown = fake_link_open (hub, CHOIR_DIALECT_CHOIR, NULL, NULL, NULL);
  g_autofree char *alice = fake_hub_mint (hub, "alice", NULL);
  g_autofree char *eve = fake_hub_mint (hub, "eve", NULL);

  choir_directory_memory_set (hub->users, "alice", TRUE);
  choir_directory_memory_set (hub->users, "eve", FALSE);
  fake_link_forget (known);
  fake_link_forget (unknown);

  /* what is said while the table is asked waits, in order */
  fake_link_say (known, "{\"type\":\"auth\",\"payload\":{\"token\":\"%s\"}}", alice);
  fake_link_say (known, "{\"type\":\"subscribe\",\"payload\":{\"channels\":[\"chat:1\"]}}");
  fake_link_say (known, "{\"type\":\"ping\"}");
  fake_link_expect_nothing (known);
  fake_hub_iterate ();
  fake_link_expect (known, "auth.ok", NULL);
  fake_link_expect (known, "subscription.confirmed", "payload.channels.0.channel", "chat:1", NULL);
  fake_link_expect (known, "pong", NULL);

  fake_link_say (unknown, "{\"type\":\"auth\",\"payload\":{\"token\":\"%s\"}}", eve);
  fake_hub_iterate ();
  fake_link_expect_error (unknown, "AUTH_ERROR");
  g_assert_cmpuint (fake_link_get_close_code (unknown), ==, CHOIR_CLOSE_AUTH_FAILED);
}

/* The client goes while its user is looked up */
static void
test_gone_while_verifying (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new_with_users (NULL);
  g_autoptr (FakeLink) link = fake_link_open (hub, CHOIR_DIALECT_CHOIR, NULL, NULL, NULL);
  g_autofree char *alice = fake_hub_mint (hub, "alice", NULL);

  choir_directory_memory_set (hub->users, "alice", TRUE);
  fake_link_say (link, "{\"type\":\"auth\",\"payload\":{\"token\":\"%s\"}}", alice);
  fake_link_say (link, "{\"type\":\"ping\"}");
  fake_link_end (link, 1006);
  fake_hub_iterate ();
  g_assert_cmpuint (choir_hub_get_n_users (hub->hub), ==, 0);
  g_assert_cmpuint (choir_hub_get_n_sessions (hub->hub), ==, 0);
}

/* Past what is held while a token is verified, messages are refused */
static void
test_flood_while_verifying (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new_with_users ("[rate]\nburst-queue=0\n");
  g_autoptr (FakeLink) link = fake_link_open (hub, CHOIR_DIALECT_CHOIR, NULL, NULL, NULL);
  g_autofree char *alice = fake_hub_mint (hub, "alice", NULL);

  choir_directory_memory_set (hub->users, "alice", TRUE);
  fake_link_forget (link);
  fake_link_say (link, "{\"type\":\"auth\",\"payload\":{\"token\":\"%s\"}}", alice);
  for (guint i = 0; i < 33; i++)
    fake_link_say (link, "{\"type\":\"ping\",\"payload\":{\"ping_id\":%u}}", i);
  fake_link_expect_error (link, "RATE_LIMIT_EXCEEDED");
  fake_link_expect_nothing (link);
  fake_hub_iterate ();
  fake_link_expect (link, "auth.ok", NULL);
  for (guint i = 0; i < 32; i++)
    {
      g_autofree char *id = g_strdup_printf ("%u", i);

      fake_link_expect (link, "pong", "payload.ping_id", id, NULL);
    }
  fake_link_expect_nothing (link);
}

static void
test_heartbeat (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new ("[protocol]\nheartbeat-interval=1s\n");
  g_autoptr (FakeLink) link = fake_link_join (hub, "alice");
  g_autoptr (FakeLink) netra =
    fake_link_open (hub, CHOIR_DIALECT_NETRA, "bob", "\"type\":\"access\"", NULL);

  fake_link_forget (netra);
  fake_hub_advance (hub, 3050 * 1000);
  for (guint i = 0; i < 3; i++)
    fake_link_expect (link, "heartbeat", NULL);
  fake_link_expect_nothing (link);
  /* contract A has none */
  fake_link_expect_nothing (netra);
}

static void
test_rate_hold (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new ("[dialect choir]\nrate=2/1s\nburst-queue=3\n");
  g_autoptr (FakeLink) link = fake_link_join (hub, "alice");

  for (guint i = 0; i < 7; i++)
    fake_link_say (link, "{\"type\":\"ping\",\"payload\":{\"ping_id\":%u}}", i);

  fake_link_expect (link, "pong", "payload.ping_id", "0", NULL);
  fake_link_expect (link, "pong", "payload.ping_id", "1", NULL);
  /* 2, 3 and 4 wait */
  fake_link_expect (link, "error", "payload.code", "RATE_LIMIT_EXCEEDED", "payload.retry_after",
                    "1", NULL);
  fake_link_expect_error (link, "RATE_LIMIT_EXCEEDED");
  fake_link_expect_nothing (link);
  g_assert_cmpint (fake_hub_count (hub, "choir_rate_limited", NULL), ==, 2);

  fake_hub_advance (hub, 900 * 1000);
  fake_link_expect_nothing (link);
  fake_hub_advance (hub, 150 * 1000);
  fake_link_expect (link, "pong", "payload.ping_id", "2", NULL);
  fake_link_expect (link, "pong", "payload.ping_id", "3", NULL);
  fake_link_expect_nothing (link);

  /* one that comes now stands behind the one that waits */
  fake_link_say (link, "{\"type\":\"ping\",\"payload\":{\"ping_id\":8}}");
  fake_hub_advance (hub, 1050 * 1000);
  fake_link_expect (link, "pong", "payload.ping_id", "4", NULL);
  fake_link_expect (link, "pong", "payload.ping_id", "8", NULL);
  fake_link_expect_nothing (link);
}

static void
test_rate_refuse (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new ("[dialect netra]\nrate=1/10s\n");
  g_autoptr (FakeLink) link =
    fake_link_open (hub, CHOIR_DIALECT_NETRA, "alice", "\"type\":\"access\"", NULL);

  fake_link_forget (link);
  fake_link_say (link, "{\"type\":\"ping\",\"data\":{}}");
  fake_link_expect (link, "pong", NULL);
  fake_hub_advance (hub, 4 * SECOND);
  fake_link_say (link, "{\"type\":\"ping\",\"data\":{}}");
  fake_link_expect (link, "error", "data.code", "RATE_LIMIT_EXCEEDED", "data.retry_after", "6",
                    NULL);
  /* malformed messages count as well */
  fake_hub_advance (hub, 7 * SECOND);
  fake_link_say (link, "{");
  fake_link_expect (link, "error", "data.code", "MESSAGE_ERROR", NULL);
  fake_link_say (link, "{");
  fake_link_expect (link, "error", "data.code", "RATE_LIMIT_EXCEEDED", NULL);
  g_assert_cmpuint (fake_link_get_close_code (link), ==, 0);
}

static void
test_rate_per_user (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new ("[dialect netra-spec]\nrate=2/1s\nburst-queue=0\n");
  g_autoptr (FakeLink) first = fake_link_open (hub, CHOIR_DIALECT_NETRA_SPEC, "alice", NULL, NULL);
  g_autoptr (FakeLink) second = fake_link_open (hub, CHOIR_DIALECT_NETRA_SPEC, "alice", NULL, NULL);
  g_autoptr (FakeLink) other = fake_link_open (hub, CHOIR_DIALECT_NETRA_SPEC, "bob", NULL, NULL);
  g_autoptr (FakeLink) again = NULL;

  fake_link_forget (first);
  fake_link_forget (second);
  fake_link_forget (other);
  fake_link_say (first, "{\"type\":\"ping\"}");
  fake_link_say (second, "{\"type\":\"ping\"}");
  fake_link_say (second, "{\"type\":\"ping\"}");
  fake_link_say (other, "{\"type\":\"ping\"}");
  fake_link_expect (first, "pong", NULL);
  fake_link_expect (second, "pong", NULL);
  fake_link_expect_error (second, "RATE_LIMIT_EXCEEDED");
  fake_link_expect (other, "pong", NULL);

  /* reconnecting does not refill the meter */
  fake_link_end (first, 1000);
  fake_link_end (second, 1000);
  again = fake_link_open (hub, CHOIR_DIALECT_NETRA_SPEC, "alice", NULL, NULL);
  fake_link_forget (again);
  fake_link_say (again, "{\"type\":\"ping\"}");
  fake_link_expect_error (again, "RATE_LIMIT_EXCEEDED");
  g_assert_cmpint (fake_hub_count (hub, "choir_reconnects", NULL), ==, 1);
}

/* Cursors have a rate of their own and are refused, not held */
static void
test_rate_class (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new ("[rate]\ncursor=1/1s\n");
  g_autoptr (FakeLink) link = fake_link_join (hub, "alice");
  g_autoptr (FakeLink) other = fake_link_join (hub, "bob");

  fake_link_say (link, "{\"type\":\"subscribe\",\"payload\":{\"channels\":[\"chat:1\"]}}");
  fake_link_say (other, "{\"type\":\"subscribe\",\"payload\":{\"channels\":[\"chat:1\"]}}");
  fake_hub_iterate ();
  fake_link_forget (link);
  fake_link_forget (other);
  fake_link_say (link, "{\"type\":\"cursor.position\",\"payload\":{\"channel\":\"chat:1\"}}");
  fake_link_say (link, "{\"type\":\"cursor.position\",\"payload\":{\"channel\":\"chat:1\"}}");
  fake_link_expect_error (link, "RATE_LIMIT_EXCEEDED");
  fake_link_say (link, "{\"type\":\"ping\"}");
  fake_link_expect (link, "pong", NULL);
  fake_link_expect (other, "cursor.position", NULL);
  fake_link_expect_nothing (other);
}

static void
test_batch (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new ("[protocol]\nmax-batch=3\n");
  g_autoptr (FakeLink) link = fake_link_join (hub, "alice");

  fake_link_say (link, "[{\"type\":\"ping\"},{\"type\":\"x\"},{\"type\":\"ping\"}]");
  fake_link_expect (link, "pong", NULL);
  fake_link_expect_error (link, "INVALID_MESSAGE_TYPE");
  fake_link_expect (link, "pong", NULL);

  fake_link_say (link, "[{},{},{},{}]");
  fake_link_forget (link);
  fake_link_say (link, "[{\"type\":\"ping\"},");
  fake_link_expect_error (link, "INVALID_JSON");
  fake_link_expect_nothing (link);
}

static void
test_bad_messages (void)
{
  static const struct
  {
    const char *text;
    const char *code;
  } rows[] = {
    { "", "INVALID_JSON" },
    { "{", "INVALID_JSON" },
    { "\"ping\"", "INVALID_MESSAGE" },
    { "{}", "INVALID_MESSAGE" },
    { "{\"type\":5}", "INVALID_MESSAGE" },
    { "{\"type\":\"ping\",\"payload\":[]}", "INVALID_MESSAGE" },
    { "{\"type\":\"nothing.such\"}", "INVALID_MESSAGE_TYPE" },
    { "{\"type\":\"task.request\"}", "VALIDATION_ERROR" },
    { "{\"type\":\"subscribe\"}", "VALIDATION_ERROR" },
    { "{\"type\":\"subscribe\",\"payload\":{\"channels\":\"chat:1\"}}", "VALIDATION_ERROR" },
    { "{\"type\":\"subscribe\",\"payload\":{\"channels\":[{}]}}", "VALIDATION_ERROR" },
    { "{\"type\":\"subscribe\",\"payload\":{\"channel\":\"a b\"}}", "VALIDATION_ERROR" },
    { "{\"type\":\"publish\",\"payload\":{}}", "VALIDATION_ERROR" },
    { "{\"type\":\"publish\",\"payload\":{\"channel\":\"chat:1\"}}", "VALIDATION_ERROR" },
    { "{\"type\":\"publish\",\"payload\":{\"channel\":5,\"type\":\"a\"}}", "VALIDATION_ERROR" },
    { "{\"type\":\"publish\",\"payload\":{\"channel\":\"chat:1\",\"type\":\"a\",\"payload\":1}}",
      "VALIDATION_ERROR" },
    { "{\"type\":\"chat.message\",\"payload\":{\"channel\":\"chat:1\"}}", "VALIDATION_ERROR" },
    { "{\"type\":\"chat.typing\",\"payload\":{\"channel\":\"chat:1\"}}", "NOT_SUBSCRIBED" },
    { "{\"type\":\"history\",\"payload\":{\"channel\":\"chat:no\"}}", "UNKNOWN_CHANNEL" },
    { "{\"type\":\"history\",\"payload\":{\"channel\":\"secret:1\"}}", "PERMISSION_DENIED" },
    { "{\"type\":\"presence\",\"payload\":{\"channel\":\"secret:1\"}}", "PERMISSION_DENIED" },
  };
  g_autoptr (FakeHub) hub = fake_hub_new (NULL);
  g_autoptr (FakeLink) link = fake_link_join (hub, "alice");

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_test_message ("%s", rows[i].text);
      fake_link_say (link, "%s", rows[i].text);
      fake_link_expect_error (link, rows[i].code);
      fake_link_expect_nothing (link);
    }

  g_assert_cmpuint (choir_session_get_n_errors (fake_link_get_session (link)), ==,
                    G_N_ELEMENTS (rows));
  g_assert_cmpuint (choir_session_get_n_subscriptions (fake_link_get_session (link)), ==, 0);
}

static void
test_subscription_limit (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new ("[session]\nmax-subscriptions=2\n");
  g_autoptr (FakeLink) link = fake_link_join (hub, "alice");

  fake_link_say (link, "{\"type\":\"subscribe\",\"payload\":{\"channels\":[\"chat:1\",\"chat:2\","
                       "\"chat:1\",\"chat:3\"]}}");
  fake_link_expect (link, "subscription.confirmed", "payload.channels.2.channel", "chat:1",
                    "payload.rejected.0.channel", "chat:3", NULL);
  g_assert_cmpuint (choir_session_get_n_subscriptions (fake_link_get_session (link)), ==, 2);
  /* what was made for nothing is given back */
  fake_hub_iterate ();
  g_assert_null (choir_hub_find_channel (hub->hub, "chat:3"));
  g_assert_cmpuint (choir_hub_get_n_channels (hub->hub), ==, 2);

  fake_link_say (link, "{\"type\":\"unsubscribe\",\"payload\":{\"channels\":[\"chat:1\",\"chat:9\"]"
                       "}}");
  fake_link_expect (link, "subscription.removed", "payload.channels", "[\"chat:1\"]", NULL);
  g_assert_cmpuint (choir_hub_get_n_channels (hub->hub), ==, 1);
  g_assert_cmpint (fake_hub_count (hub, "choir_subscriptions", NULL), ==, 1);
}

/* A single channel is the short form of a list of one, both ways */
static void
test_subscribe_short_form (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (NULL);
  g_autoptr (FakeLink) link = fake_link_join (hub, "alice");
  ChoirSession *session = fake_link_get_session (link);

  fake_link_say (link, "{\"type\":\"subscribe\",\"payload\":{\"channel\":\"chat:1\"}}");
  fake_link_expect (link, "subscription.confirmed", "payload.channels.0.channel", "chat:1", NULL);
  fake_link_say (link, "{\"type\":\"subscribe\",\"channel\":\"chat:2\"}");
  fake_link_expect (link, "subscription.confirmed", "payload.channels.0.channel", "chat:2", NULL);
  g_assert_cmpuint (choir_session_get_n_subscriptions (session), ==, 2);

  fake_link_say (link, "{\"type\":\"unsubscribe\",\"payload\":{\"channel\":\"chat:1\"}}");
  fake_link_expect (link, "subscription.removed", "payload.channels", "[\"chat:1\"]", NULL);
  fake_link_say (link, "{\"type\":\"unsubscribe\",\"channel\":\"chat:2\"}");
  fake_link_expect (link, "subscription.removed", "payload.channels", "[\"chat:2\"]", NULL);
  g_assert_cmpuint (choir_session_get_n_subscriptions (session), ==, 0);
}

/* A list with a bad element is refused as a whole */
static void
test_subscribe_all_or_nothing (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (NULL);
  g_autoptr (FakeLink) link = fake_link_join (hub, "alice");

  fake_link_say (link, "{\"type\":\"subscribe\",\"payload\":{\"channels\":[\"chat:1\",7]}}");
  fake_link_expect_error (link, "VALIDATION_ERROR");
  g_assert_cmpuint (choir_session_get_n_subscriptions (fake_link_get_session (link)), ==, 0);
}

static void
test_events (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (NULL);
  g_autoptr (FakeLink) link = fake_link_open (hub, CHOIR_DIALECT_REVIEWPOINT, "alice", NULL, NULL);

  fake_link_forget (link);
  fake_link_say (link, "{\"type\":\"subscribe\",\"data\":{\"events\":[\"review.updated\","
                       "\"no.such\"]}}");
  fake_link_expect (link, "subscription.confirmed", "data.events", "[\"review.updated\"]",
                    "data.rejected.0.event", "no.such", NULL);
  g_assert_cmpuint (fake_hub_publish (hub, "event:review.updated", "review.updated", "{\"a\":1}"),
                    ==, 1);
  fake_link_expect (link, "review.updated", "data.a", "1", NULL);
  fake_link_say (link, "{\"type\":\"unsubscribe\",\"data\":{\"events\":[\"review.updated\"]}}");
  fake_link_expect (link, "subscription.removed", "data.events", "[\"review.updated\"]", NULL);
  g_assert_cmpuint (fake_hub_publish (hub, "event:review.updated", "review.updated", "{}"), ==, 0);
}

static void
test_default_channel_refused (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (NULL);
  g_autoptr (FakeLink) link = fake_link_open (hub, CHOIR_DIALECT_CHOIR, "alice", NULL, "secret:1");

  fake_link_expect (link, "connection.established", NULL);
  fake_link_expect_error (link, "PERMISSION_DENIED");
  g_assert_cmpuint (fake_link_get_close_code (link), ==, CHOIR_CLOSE_POLICY);
  g_assert_cmpstr (fake_link_get_close_reason (link), ==, "Unauthorized");
}

/* Bytes over the limit end the client, and nobody else */
static void
test_slow_consumer (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new ("[protocol]\nmax-queue-bytes=4K\n");
  g_autoptr (FakeLink) slow = fake_link_join (hub, "alice");
  g_autoptr (FakeLink) quick = fake_link_join (hub, "bob");
  guint n = 0;

  fake_link_say (slow, "{\"type\":\"subscribe\",\"payload\":{\"channels\":[\"chat:1\"]}}");
  fake_link_say (quick, "{\"type\":\"subscribe\",\"payload\":{\"channels\":[\"chat:1\"]}}");
  while (fake_link_get_close_code (slow) == 0 && n++ < 100)
    {
      fake_hub_publish (hub, "chat:1", "note", "{}");
      fake_link_forget (quick);
    }
  g_assert_cmpuint (fake_link_get_close_code (slow), ==, CHOIR_CLOSE_SLOW_CONSUMER);
  g_assert_cmpuint (fake_link_get_n_overflows (slow), ==, 1);
  g_assert_cmpuint (fake_link_get_close_code (quick), ==, 0);
  fake_hub_publish (hub, "chat:1", "note", "{\"last\":1}");
  fake_link_expect (quick, "note", "payload.last", "1", NULL);
}

static void
test_ending (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (NULL);
  g_autoptr (FakeLink) link = fake_link_join (hub, "alice");
  g_autoptr (ChoirSession) session = g_object_ref (fake_link_get_session (link));

  fake_link_say (link, "{\"type\":\"subscribe\",\"payload\":{\"channels\":[\"chat:1\"]}}");
  fake_link_end (link, 1001);
  choir_session_end (session, 1001);
  fake_hub_iterate ();
  g_assert_null (choir_session_get_link (session));
  g_assert_null (choir_session_get_connection_id (session));
  g_assert_cmpuint (choir_hub_get_n_channels (hub->hub), ==, 0);
  g_assert_cmpint (fake_hub_count (hub, "websocket_active_connections", NULL), ==, 0);
  g_assert_cmpint (fake_hub_count (hub, "choir_closes", "going-away"), ==, 1);
  g_assert_cmpint (fake_hub_count (hub, "choir_subscriptions", NULL), ==, 0);

  /* nobody is there any more */
  choir_session_receive (session, "{\"type\":\"ping\"}", 15);
  choir_session_close (session, 1000, "late");
  fake_hub_advance (hub, 60 * SECOND);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

#define ADD(name, func) g_test_add_func ("/session/" name, func)
  ADD ("greeting", test_greeting);
  ADD ("unauthenticated", test_unauthenticated);
  ADD ("auth/timeout", test_auth_timeout);
  ADD ("auth/by-message", test_auth_by_message);
  ADD ("auth/bad-first-message", test_bad_first_message);
  ADD ("auth/bad-token", test_bad_token_canonical);
  ADD ("auth/expiry", test_expiry);
  ADD ("auth/expiry-in-leeway", test_expiry_in_leeway);
  ADD ("auth/refresh", test_refresh);
  ADD ("auth/refresh-with-less", test_refresh_with_less);
  ADD ("auth/refresh-token-type", test_refresh_token_type);
  ADD ("auth/guest", test_guest_becomes_user);
  ADD ("auth/directory", test_directory);
  ADD ("auth/gone", test_gone_while_verifying);
  ADD ("auth/flood", test_flood_while_verifying);
  ADD ("heartbeat", test_heartbeat);
  ADD ("rate/hold", test_rate_hold);
  ADD ("rate/refuse", test_rate_refuse);
  ADD ("rate/user", test_rate_per_user);
  ADD ("rate/class", test_rate_class);
  ADD ("batch", test_batch);
  ADD ("bad-messages", test_bad_messages);
  ADD ("subscribe/limit", test_subscription_limit);
  ADD ("subscribe/short-form", test_subscribe_short_form);
  ADD ("subscribe/all-or-nothing", test_subscribe_all_or_nothing);
  ADD ("subscribe/events", test_events);
  ADD ("subscribe/default-channel", test_default_channel_refused);
  ADD ("slow-consumer", test_slow_consumer);
  ADD ("ending", test_ending);

  return g_test_run ();
}
