/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-document-member.h"

#include "choir-clock.h"
#include "fake-link.h"

#include <string.h>

/* Who has a document open, where their cursors are, and what the others are told of that */

#define GAP_US (50 * 1000)

/* Nobody says anything only because time passes */
#define QUIET "[protocol]\nheartbeat-interval=24h\n"

typedef struct
{
  FakeHub *fake;
  FakeLink *alice;
  FakeLink *bob;
  FakeLink *carol;
} Scene;

static void
set_up (Scene *self, gconstpointer settings)
{
  self->fake = fake_hub_new (settings);
  self->alice = fake_link_edit (self->fake, CHOIR_DIALECT_CHOIR, "alice");
  self->bob = fake_link_edit (self->fake, CHOIR_DIALECT_CHOIR, "bob");
  self->carol = fake_link_edit (self->fake, CHOIR_DIALECT_JDDB, "carol");
  fake_link_open_document (self->alice, "d");
  fake_link_open_document (self->bob, "d");
  fake_link_open_document (self->carol, "d");
  fake_link_forget (self->alice);
  fake_link_forget (self->bob);
}

static void
tear_down (Scene *self, gconstpointer settings)
{
  g_object_unref (self->alice);
  g_object_unref (self->bob);
  g_object_unref (self->carol);
  fake_hub_free (self->fake);
}

static void
change (FakeLink *link, guint version, const char *operation)
{
  fake_link_say (link,
                 "{\"type\":\"document.change\",\"payload\":{\"document_id\":\"d\",\"version\":%u,"
                 "\"operation\":%s}}",
                 version, operation);
}

/* Committed, and forgotten by all */
static void
commit (Scene *self, FakeLink *link, guint version, const char *operation)
{
  change (link, version, operation);
  fake_hub_iterate ();
  fake_link_forget (self->alice);
  fake_link_forget (self->bob);
  fake_link_forget (self->carol);
}

static void
say_place (FakeLink *link, const char *type, guint anchor, guint head)
{
  fake_link_say (link,
                 "{\"type\":\"%s\",\"payload\":{\"document_id\":\"d\",\"anchor\":%u,\"head\":%u}}",
                 type, anchor, head);
}

static void
point (FakeLink *link, guint position)
{
  say_place (link, "cursor.position", position, position);
}

static void
expect_head (FakeLink *link, const char *user_id, const char *head)
{
  fake_link_expect (link, "cursor.position", "payload.user_id", user_id, "payload.head", head,
                    NULL);
}

/* How many messages there were */
static guint
drain (FakeLink *link)
{
  guint n = 0;

  for (char *json; (json = fake_link_take (link)) != NULL; n++)
    g_free (json);

  return n;
}

/* What those who come now are told of @user_id, without telling anybody */
static char *
read_member (Scene *self, const char *user_id, const char *field)
{
  g_autofree char *json = NULL;

  fake_link_forget (self->bob);
  fake_link_say (self->bob, "{\"type\":\"presence\",\"payload\":{\"document_id\":\"d\"}}");
  json = fake_link_take (self->bob);

  for (guint i = 0; i < 3; i++)
    {
      g_autofree char *id_path = g_strdup_printf ("payload.members.%u.user_id", i);
      g_autofree char *id = fake_link_read (json, id_path);
      g_autofree char *path = g_strdup_printf ("payload.members.%u.%s", i, field);

      if (g_str_equal (id, user_id))
        return fake_link_read (json, path);
    }

  g_error ("%s is not among %s", user_id, json);
}

static void
assert_member (Scene *self, const char *user_id, const char *field, const char *expected)
{
  g_autofree char *found = read_member (self, user_id, field);

  g_assert_cmpstr (found, ==, expected);
}

static void
test_state (Scene *self, gconstpointer settings)
{
  g_autoptr (FakeLink) late = fake_link_open (self->fake, CHOIR_DIALECT_CHOIR, "dora",
                                              "\"name\":\"Dora \xc3\x9c\",\"permissions\":["
                                              "\"document:d:read\"]",
                                              NULL);

  commit (self, self->alice, 0, "[\"0123456789\"]");
  say_place (self->alice, "selection.change", 7, 3);
  fake_link_forget (late);
  fake_link_say (late, "{\"type\":\"document.open\",\"payload\":{\"document_id\":\"d\"}}");
  fake_link_expect (
    late, "document.opened", "payload.count", "4", "payload.members.0.user_id", "alice",
    "payload.members.0.session_id", choir_session_get_id (fake_link_get_session (self->alice)),
    "payload.members.0.user_name", "alice", "payload.members.0.is_active", "true",
    "payload.members.0.last_activity", "2023-11-14T22:13:20.000Z", "payload.members.0.position",
    "3", "payload.members.0.selection", "{\"anchor\":7,\"head\":3}", "payload.members.1.user_id",
    "bob", "payload.members.1.position", "-", "payload.members.1.selection", "-",
    "payload.members.3.user_id", "dora", "payload.members.3.user_name", "Dora \xc3\x9c", NULL);
  fake_hub_iterate ();

  /* as contract C has it */
  fake_link_forget (self->carol);
  fake_link_say (self->carol, "{\"type\":\"user.presence\",\"payload\":{}}");
  fake_link_expect (self->carol, "user.presence", "payload.event", "state", "payload.documentId",
                    "d", "payload.members.0.userId", "alice", "payload.members.0.selection",
                    "{\"start\":7,\"end\":3}", "payload.members.0.isActive", "true",
                    "payload.members.1.selection", "-", "payload.members.3.userName",
                    "Dora \xc3\x9c", NULL);
}

/* Once for each session, however often it opens the document */
static void
test_presence (Scene *self, gconstpointer settings)
{
  g_autoptr (FakeLink) again = fake_link_edit (self->fake, CHOIR_DIALECT_CHOIR, "alice");
  g_autofree char *session_id = g_strdup (choir_session_get_id (fake_link_get_session (again)));

  fake_link_open_document (again, "d");
  fake_link_expect (self->bob, "user.presence", "payload.event", "user_joined",
                    "payload.document_id", "d", "payload.user_id", "alice", "payload.session_id",
                    session_id, "payload.is_active", "true", "payload.count", "4", "channel",
                    "document:d", "offset", "-", NULL);
  fake_link_expect (self->carol, "user.presence", "payload.event", "user_joined", "payload.userId",
                    "alice", "payload.sessionId", session_id, NULL);
  fake_link_expect_nothing (again);

  fake_link_say (again, "{\"type\":\"document.open\",\"payload\":{\"document_id\":\"d\"}}");
  fake_link_expect (again, "document.opened", "payload.count", "4", NULL);
  fake_hub_iterate ();
  fake_link_expect_nothing (self->bob);

  fake_link_end (again, 1006);
  fake_link_expect (self->bob, "user.presence", "payload.event", "user_left", "payload.session_id",
                    session_id, "payload.count", "3", NULL);
  fake_link_expect_nothing (self->bob);
}

static void
test_presence_limit (Scene *self, gconstpointer settings)
{
  g_autoptr (FakeLink) dora = fake_link_edit (self->fake, CHOIR_DIALECT_CHOIR, "dora");

  fake_link_open_document (dora, "d");
  fake_link_expect_nothing (self->bob);
  fake_hub_advance (self->fake, 61 * G_USEC_PER_SEC);
  fake_hub_iterate ();
  fake_link_expect_nothing (self->bob);
  assert_member (self, "alice", "is_active", "false");
  fake_link_end (dora, 1000);
  fake_link_expect (self->bob, "user.presence", "payload.event", "user_left", NULL);
}

/* A namespace may hide who is there; the text is no secret for that */
static void
test_hidden (Scene *self, gconstpointer settings)
{
  g_autoptr (FakeLink) dora = fake_link_edit (self->fake, CHOIR_DIALECT_CHOIR, "dora");

  fake_link_say (dora, "{\"type\":\"document.open\",\"payload\":{\"document_id\":\"d\"}}");
  fake_link_expect (dora, "document.opened", "payload.members", "[]", "payload.count", "4", NULL);
  fake_link_expect_nothing (self->bob);
  fake_link_say (dora, "{\"type\":\"presence\",\"payload\":{\"document_id\":\"d\"}}");
  fake_link_expect_error (dora, "PERMISSION_DENIED");
}

static void
test_cursor (Scene *self, gconstpointer settings)
{
  const char *session_id = choir_session_get_id (fake_link_get_session (self->alice));

  commit (self, self->alice, 0, "[\"0123456789\"]");
  fake_link_say (self->alice, "{\"type\":\"cursor.position\",\"payload\":{\"document_id\":\"d\","
                              "\"anchor\":4,\"head\":6,\"version\":1}}");
  fake_link_expect_nothing (self->bob);
  fake_hub_iterate ();
  fake_link_expect_nothing (self->alice);
  fake_link_expect (self->bob, "cursor.position", "payload.document_id", "d", "payload.user_id",
                    "alice", "payload.session_id", session_id, "payload.anchor", "4",
                    "payload.head", "6", "payload.version", "1", "channel", "document:d", "offset",
                    "-", NULL);
  fake_link_expect (self->carol, "cursor.position", "payload.userId", "alice", "payload.position",
                    "6", "payload.anchor", "4", NULL);

  /* as contract C says it, where the end point names the document and here the only one */
  fake_link_say (self->carol, "{\"type\":\"cursor.position\",\"payload\":{\"position\":7}}");
  fake_hub_iterate ();
  fake_link_expect (self->alice, "cursor.position", "payload.anchor", "7", "payload.head", "7",
                    NULL);
  fake_hub_advance (self->fake, GAP_US);
  fake_link_say (self->carol,
                 "{\"type\":\"selection.change\",\"payload\":{\"selection\":{\"start\":2,"
                 "\"end\":9}}}");
  fake_hub_iterate ();
  fake_link_expect (self->alice, "selection.change", "payload.anchor", "2", "payload.head", "9",
                    NULL);
  fake_link_expect_nothing (self->carol);
}

/* What a turn brings leaves together; nobody is told of himself */
static void
test_one_turn (Scene *self, gconstpointer settings)
{
  commit (self, self->alice, 0, "[\"0123456789\"]");
  point (self->alice, 1);
  point (self->bob, 2);
  point (self->alice, 3);
  say_place (self->bob, "selection.change", 4, 5);
  fake_hub_iterate ();

  g_assert_cmpuint (fake_link_get_outbox (self->alice)->n_frames, ==, 1);
  g_assert_cmpuint (fake_link_get_outbox (self->bob)->n_frames, ==, 1);
  g_assert_cmpuint (fake_link_get_outbox (self->carol)->n_frames, ==, 1);

  fake_link_expect (self->alice, "cursor.position", "payload.user_id", "bob", "payload.head", "5",
                    NULL);
  fake_link_expect (self->alice, "selection.change", "payload.user_id", "bob", "payload.anchor",
                    "4", "payload.head", "5", NULL);
  fake_link_expect_nothing (self->alice);
  expect_head (self->bob, "alice", "3");
  fake_link_expect_nothing (self->bob);
  fake_link_expect (self->carol, "cursor.position", "payload.userId", "alice", NULL);
  fake_link_expect (self->carol, "cursor.position", "payload.userId", "bob", NULL);
  fake_link_expect (self->carol, "selection.change", "payload.userId", "bob", NULL);
  fake_link_expect_nothing (self->carol);
}

/* At most so often, the newest wins, and the last one always gets out */
static void
test_throttle (Scene *self, gconstpointer settings)
{
  guint n_shown = 0;

  commit (self, self->alice, 0, "[\"0123456789\"]");
  for (guint i = 0; i < 10; i++)
    {
      point (self->alice, i);
      fake_hub_iterate ();
    }
  expect_head (self->bob, "alice", "0");
  fake_link_expect_nothing (self->bob);
  fake_hub_advance (self->fake, GAP_US);
  expect_head (self->bob, "alice", "9");
  fake_hub_advance (self->fake, G_USEC_PER_SEC);
  fake_link_expect_nothing (self->bob);

  /* a second of moving all the time */
  for (guint i = 0; i < 1000; i++)
    {
      point (self->alice, i % 7);
      choir_clock_advance (1000);
      choir_timer_wheel_advance (self->fake->wheel);
      fake_hub_iterate ();
      n_shown += drain (self->bob);
    }
  g_assert_cmpuint (n_shown, >=, 15);
  g_assert_cmpuint (n_shown, <=, 20);

  point (self->alice, 8);
  fake_hub_iterate ();
  fake_hub_advance (self->fake, GAP_US);
  while (fake_link_get_n_frames (self->bob) > 1)
    g_free (fake_link_take (self->bob));
  expect_head (self->bob, "alice", "8");
}

/* What is refused for others is only shown less often here */
static void
test_unlimited (Scene *self, gconstpointer settings)
{
  commit (self, self->alice, 0, "[\"0123456789\"]");
  for (guint i = 0; i < 10; i++)
    {
      g_autofree char *head = g_strdup_printf ("%u", i);

      point (self->alice, i);
      fake_hub_iterate ();
      expect_head (self->bob, "alice", head);
    }
}

/* The others move it themselves; those who come are told where it is now */
static void
test_moved (Scene *self, gconstpointer settings)
{
  commit (self, self->alice, 0, "[\"0123456789\"]");
  say_place (self->alice, "selection.change", 8, 2);
  point (self->bob, 5);
  fake_hub_iterate ();
  fake_link_forget (self->bob);
  commit (self, self->carol, 1, "[\"ab\",3,{\"d\":3}]");
  fake_link_expect_nothing (self->bob);
  assert_member (self, "alice", "selection", "{\"anchor\":7,\"head\":4}");
  assert_member (self, "bob", "position", "5");

  /* what is inserted right there moves the writer's own cursor only */
  commit (self, self->bob, 2, "[5,\"xyz\"]");
  assert_member (self, "bob", "position", "8");
  assert_member (self, "alice", "selection", "{\"anchor\":10,\"head\":4}");
  commit (self, self->carol, 3, "[8,\"!\"]");
  assert_member (self, "bob", "position", "8");
}

/* One who has not seen the newest says where he is in what he sees */
static void
test_older_version (Scene *self, gconstpointer settings)
{
  static const char old[] = "{\"type\":\"cursor.position\",\"payload\":{\"document_id\":\"d\","
                            "\"head\":5,\"version\":%u}}";

  commit (self, self->alice, 0, "[\"0123456789\"]");
  commit (self, self->alice, 1, "[\">> \"]");
  commit (self, self->bob, 2, "[\"mine \"]");
  fake_link_say (self->bob, old, 1u);
  fake_hub_iterate ();
  /* moved through what Alice did; what he did himself he had seen */
  fake_link_expect (self->alice, "cursor.position", "payload.head", "8", "payload.version", "3",
                    NULL);

  fake_link_say (self->bob, old, 4u);
  fake_link_expect_error (self->bob, "VALIDATION_ERROR");
  fake_hub_advance (self->fake, GAP_US);
  fake_hub_iterate ();
  fake_link_expect_nothing (self->alice);
}

/* Where a cursor is in a text with changes that are still on their way, it is there when they are
 */
static void
test_ahead (Scene *self, gconstpointer settings)
{
  commit (self, self->alice, 0, "[\"0123456789\"]");
  change (self->alice, 1, "[5,\"abc\"]");
  point (self->alice, 8);
  fake_link_expect_nothing (self->bob);
  fake_hub_iterate ();
  fake_link_expect (self->bob, "document.change", "payload.version", "2", NULL);
  fake_link_expect (self->bob, "cursor.position", "payload.head", "8", "payload.version", "2",
                    NULL);
  assert_member (self, "alice", "position", "8");

  /* what follows counts again */
  commit (self, self->alice, 2, "[\"++\"]");
  assert_member (self, "alice", "position", "10");

  /* beyond the end, until what makes it the end is there */
  fake_hub_advance (self->fake, GAP_US);
  change (self->alice, 3, "[15,\"end\"]");
  point (self->alice, 18);
  assert_member (self, "alice", "position", "15");
  fake_hub_iterate ();
  assert_member (self, "alice", "position", "18");
}

static void
test_ahead_refused (Scene *self, gconstpointer settings)
{
  commit (self, self->alice, 0, "[\"0123456789\"]");
  change (self->alice, 1, "[50,\"too far\"]");
  point (self->alice, 57);
  fake_hub_iterate ();
  fake_link_expect_error (self->alice, "VALIDATION_ERROR");
  expect_head (self->bob, "alice", "10");
  fake_link_expect_nothing (self->bob);
}

/* Whatever is said, it lies in the text */
static void
test_clamped (Scene *self, gconstpointer settings)
{
  commit (self, self->alice, 0, "[\"0123456789\"]");
  fake_link_say (self->alice, "{\"type\":\"cursor.position\",\"payload\":{\"document_id\":\"d\","
                              "\"anchor\":9007199254740992,\"head\":11}}");
  fake_hub_iterate ();
  fake_link_expect (self->bob, "cursor.position", "payload.anchor", "10", "payload.head", "10",
                    NULL);
}

static void
test_wrong (Scene *self, gconstpointer settings)
{
  static const char *const payloads[] = {
    "{}",
    "{\"document_id\":\"d\",\"head\":-1}",
    "{\"document_id\":\"d\",\"head\":1.5}",
    "{\"document_id\":\"d\",\"head\":\"1\"}",
    "{\"document_id\":\"d\",\"head\":1,\"anchor\":null}",
    "{\"document_id\":\"d\",\"head\":1,\"version\":-1}",
    "{\"document_id\":\"d\",\"head\":1,\"version\":99}",
    "{\"document_id\":7,\"head\":1}",
    "{\"document_id\":\"\",\"head\":1}",
  };

  for (guint i = 0; i < G_N_ELEMENTS (payloads); i++)
    {
      fake_link_say (self->alice, "{\"type\":\"cursor.position\",\"payload\":%s}", payloads[i]);
      fake_link_expect_error (self->alice, "VALIDATION_ERROR");
    }
  fake_link_say (self->alice, "{\"type\":\"selection.change\",\"payload\":{\"document_id\":\"e\","
                              "\"head\":1}}");
  fake_link_expect_error (self->alice, "NOT_SUBSCRIBED");
  fake_hub_iterate ();
  fake_link_expect_nothing (self->bob);
}

static void
test_idle (Scene *self, gconstpointer settings)
{
  fake_hub_advance (self->fake, 40 * G_USEC_PER_SEC);
  point (self->alice, 0);
  fake_hub_iterate ();
  fake_link_forget (self->bob);
  fake_link_forget (self->carol);

  fake_hub_advance (self->fake, 21 * G_USEC_PER_SEC);
  fake_hub_iterate ();
  fake_link_expect (self->alice, "user.presence", "payload.event", "state", "payload.document_id",
                    "d", "payload.count", "3", "payload.members.0.user_id", "bob",
                    "payload.members.0.is_active", "false", "payload.members.1.user_id", "carol",
                    "payload.members.1.is_active", "false", "payload.members.2", "-", NULL);
  fake_link_expect (self->carol, "user.presence", "payload.event", "state",
                    "payload.members.0.userId", "bob", "payload.members.0.isActive", "false", NULL);
  fake_link_forget (self->bob);

  fake_hub_advance (self->fake, 40 * G_USEC_PER_SEC);
  fake_hub_iterate ();
  fake_link_expect (self->bob, "user.presence", "payload.members.0.user_id", "alice",
                    "payload.members.0.is_active", "false", "payload.members.0.last_activity",
                    "2023-11-14T22:14:00.000Z", NULL);
  fake_link_forget (self->alice);
  fake_hub_advance (self->fake, 600 * G_USEC_PER_SEC);
  fake_hub_iterate ();
  fake_link_expect_nothing (self->bob);

  /* whatever one does */
  change (self->alice, 0, "[\"x\"]");
  fake_hub_iterate ();
  fake_link_expect (self->bob, "user.presence", "payload.event", "state",
                    "payload.members.0.user_id", "alice", "payload.members.0.is_active", "true",
                    "payload.members.1", "-", NULL);
  fake_link_expect (self->bob, "document.change", NULL);
  assert_member (self, "alice", "is_active", "true");
  assert_member (self, "bob", "is_active", "false");
}

static void
test_never_idle (Scene *self, gconstpointer settings)
{
  fake_hub_advance (self->fake, 3600 * (gint64) G_USEC_PER_SEC);
  fake_hub_iterate ();
  fake_link_expect_nothing (self->bob);
  assert_member (self, "alice", "is_active", "true");
}

/* Who leaves takes the news about himself along */
static void
test_leaving (Scene *self, gconstpointer settings)
{
  commit (self, self->alice, 0, "[\"0123456789\"]");
  point (self->alice, 1);
  point (self->bob, 2);
  point (self->carol, 3);
  fake_link_end (self->bob, 1006);
  fake_hub_iterate ();
  fake_link_expect (self->alice, "user.presence", "payload.event", "user_left", NULL);
  expect_head (self->alice, "carol", "3");
  fake_link_expect_nothing (self->alice);

  /* and the last one the room, with what was to be done in it */
  fake_hub_advance (self->fake, GAP_US);
  point (self->alice, 4);
  fake_link_end (self->carol, 1000);
  fake_link_end (self->alice, 1000);
  fake_hub_iterate ();
  g_assert_cmpuint (choir_document_table_get_n_open (choir_hub_get_documents (self->fake->hub)), ==,
                    0);
}

/* Where a crowd moves, each is shown less often, but each is */
static void
test_crowd (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new ("[server]\nmax-connections-per-user=1000\n"
                                           "[namespace document]\npresence-limit=0\n");
  FakeLink *links[80];
  guint n_shown[G_N_ELEMENTS (links)] = { 0 };

  for (guint i = 0; i < G_N_ELEMENTS (links); i++)
    {
      links[i] = fake_link_edit (fake, CHOIR_DIALECT_CHOIR, "one");
      fake_link_open_document (links[i], "d");
    }

  for (guint round = 0; round < 100; round++)
    {
      for (guint i = 0; i < G_N_ELEMENTS (links); i++)
        point (links[i], 0);
      choir_clock_advance (1000);
      choir_timer_wheel_advance (fake->wheel);
      fake_hub_iterate ();
      for (guint i = 1; i < G_N_ELEMENTS (links); i++)
        n_shown[i] += drain (links[i]);
    }

  /* a tenth of a second: at once, and after 50 ms, and not more because the first took its time */
  for (guint i = 1; i < G_N_ELEMENTS (links); i++)
    {
      g_assert_cmpuint (n_shown[i], >=, G_N_ELEMENTS (links) - 1);
      g_assert_cmpuint (n_shown[i], <=, 3 * (G_N_ELEMENTS (links) - 1));
    }

  for (guint i = 0; i < G_N_ELEMENTS (links); i++)
    {
      fake_link_end (links[i], 1000);
      g_object_unref (links[i]);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

#define ADD(name, settings, func)                                                                  \
  g_test_add ("/document-member/" name, Scene, settings, set_up, func, tear_down)
  ADD ("state", NULL, test_state);
  ADD ("presence", NULL, test_presence);
  ADD ("presence-limit", QUIET "[namespace document]\npresence-limit=3\n", test_presence_limit);
  ADD ("hidden", "[namespace document]\npresence=no\n", test_hidden);
  ADD ("cursor", NULL, test_cursor);
  ADD ("one-turn", NULL, test_one_turn);
  ADD ("throttle", NULL, test_throttle);
  ADD ("unlimited", "[rate]\ncursor=\n", test_unlimited);
  ADD ("moved", NULL, test_moved);
  ADD ("older-version", NULL, test_older_version);
  ADD ("ahead", NULL, test_ahead);
  ADD ("ahead-refused", NULL, test_ahead_refused);
  ADD ("clamped", NULL, test_clamped);
  ADD ("wrong", NULL, test_wrong);
  ADD ("idle", QUIET, test_idle);
  ADD ("never-idle", QUIET "[document]\nidle-after=0\n", test_never_idle);
  ADD ("leaving", NULL, test_leaving);
  g_test_add_func ("/document-member/crowd", test_crowd);

  return g_test_run ();
}
