/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "http-fixture.h"

#define CHANNELS "/api/v1/channels"

static FakeLink *
subscribe (Fixture *self, const char *user_id, const char *channel)
{
  FakeLink *link = fake_link_open (self->hub, CHOIR_DIALECT_CHOIR, user_id,
                                   "\"permissions\":[\"*:*:read\"]", NULL);

  fake_link_say (link, "{\"type\":\"subscribe\",\"payload\":{\"channels\":[\"%s\"]}}", channel);
  fake_hub_iterate ();
  fake_link_forget (link);

  return link;
}

static void
end (FakeLink *link)
{
  fake_link_end (link, 1000);
  g_object_unref (link);
}

static void
publish (Fixture *self, const char *channel, guint n)
{
  for (guint i = 1; i <= n; i++)
    {
      g_autofree char *payload = g_strdup_printf ("{\"n\":%u}", i);

      fake_hub_publish (self->hub, channel, "tick", payload);
    }
}

static void
test_list (Fixture *self, gconstpointer data)
{
  FakeLink *ann = subscribe (self, "ann", "news:2");
  g_auto (Answer) all = { 0 };
  g_auto (Answer) part = { 0 };
  g_auto (Answer) rest = { 0 };
  g_auto (Answer) none = { 0 };
  g_auto (Answer) wrong = ask (self, "GET", CHANNELS "?limit=1001", NULL, NULL);

  publish (self, "news:1", 2);
  publish (self, "chat:1", 1);
  all = ask (self, "GET", CHANNELS, NULL, NULL);
  expect_status (&all, 200);
  expect_member (&all, "channels.0.channel", "chat:1");
  expect_member (&all, "channels.0.persisted", "true");
  expect_member (&all, "channels.1.channel", "news:1");
  expect_member (&all, "channels.1.offset", "2");
  expect_member (&all, "channels.1.messages", "2");
  expect_member (&all, "channels.1.subscribers", "0");
  expect_member (&all, "channels.1.persisted", "false");
  expect_member (&all, "channels.2.channel", "news:2");
  expect_member (&all, "channels.2.subscribers", "1");
  expect_member (&all, "channels.3", "-");
  expect_member (&all, "complete", "true");

  part = ask (self, "GET", CHANNELS "?prefix=news:&limit=1", NULL, NULL);
  expect_member (&part, "channels.0.channel", "news:1");
  expect_member (&part, "channels.1", "-");
  expect_member (&part, "complete", "false");
  rest = ask (self, "GET", CHANNELS "?prefix=news:&after=news:1&limit=1", NULL, NULL);
  expect_member (&rest, "channels.0.channel", "news:2");
  expect_member (&rest, "complete", "true");
  none = ask (self, "GET", CHANNELS "?prefix=nothing", NULL, NULL);
  expect_member (&none, "channels", "[]");
  expect_problem (&wrong, 400, "VALIDATION_ERROR");
  end (ann);
}

/* Documents and chats that nobody has open are listed too, tasks are none */
static void
test_stored (Fixture *self, gconstpointer data)
{
  FakeLink *ann = subscribe (self, "ann", "chat:2");
  g_autofree char *after = g_strdup ("");
  static const char *const names[] = { "chat:2", "document:a", "document:b",
                                       "news:1", "task:1",     "zoo:1" };

  put (self, "/api/v1/documents/a", "text");
  put (self, "/api/v1/documents/b", "text");
  publish (self, "news:1", 1);
  publish (self, "zoo:1", 1);
  publish (self, "task:1", 1);
  for (guint i = 0; i < 3; i++)
    {
      g_auto (Answer) task = ask (self, "POST", "/api/v1/tasks", JSON, "{\"kind\":\"x\"}");

      expect_status (&task, 201);
    }
  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    {
      g_autofree char *target = g_strdup_printf (CHANNELS "?limit=1&after=%s", after);
      g_auto (Answer) page = ask (self, "GET", target, NULL, NULL);

      expect_member (&page, "channels.0.channel", names[i]);
      expect_member (&page, "channels.1", "-");
      expect_member (&page, "complete", i + 1 == G_N_ELEMENTS (names) ? "true" : "false");
      if (strstr (names[i], "document") != NULL)
        {
          g_autofree char *document = g_strdup_printf ("/api/v1/documents/%s", names[i] + 9);
          g_auto (Answer) text = ask (self, "GET", document, NULL, NULL);
          g_autofree char *epoch = fake_link_read (text.body, "epoch");

          g_assert_cmpuint (strlen (epoch), ==, 16);
          expect_member (&page, "channels.0.epoch", epoch);
          expect_member (&page, "channels.0.offset", "1");
          expect_member (&page, "channels.0.persisted", "true");
        }
      g_free (after);
      after = g_strdup (names[i]);
    }
  {
    g_auto (Answer) all = ask (self, "GET", CHANNELS, NULL, NULL);
    g_auto (Answer) documents = ask (self, "GET", CHANNELS "?prefix=document:", NULL, NULL);
    g_auto (Answer) tasks = ask (self, "GET", CHANNELS "?prefix=task", NULL, NULL);
    g_autofree char *name = g_strnfill (256, 'n');
    g_autofree char *target = g_strconcat (CHANNELS "?prefix=", name, NULL);
    g_auto (Answer) wrong = ask (self, "GET", target, NULL, NULL);

    expect_member (&all, "channels.5.channel", "zoo:1");
    expect_member (&all, "channels.6", "-");
    expect_member (&all, "complete", "true");
    expect_member (&documents, "channels.1.channel", "document:b");
    expect_member (&documents, "channels.2", "-");
    expect_member (&tasks, "channels.0.channel", "task:1");
    expect_member (&tasks, "channels.1", "-");
    expect_problem (&wrong, 400, "VALIDATION_ERROR");
  }
  end (ann);
}

static void
test_one (Fixture *self, gconstpointer data)
{
  FakeLink *ann = subscribe (self, "ann", "news:1");
  FakeLink *bob = fake_link_edit (self->hub, CHOIR_DIALECT_CHOIR, "bob");
  g_auto (Answer) news = { 0 };
  g_auto (Answer) document = { 0 };
  g_auto (Answer) missing = ask (self, "GET", CHANNELS "/news:2", NULL, NULL);
  g_auto (Answer) stored = ask (self, "GET", CHANNELS "/chat:2", NULL, NULL);
  g_auto (Answer) wrong = ask (self, "GET", CHANNELS "/a%20b", NULL, NULL);

  put (self, "/api/v1/documents/notes", "text");
  fake_link_open_document (bob, "notes");
  news = ask (self, "GET", CHANNELS "/news:1", NULL, NULL);
  expect_status (&news, 200);
  expect_member (&news, "channel", "news:1");
  expect_member (&news, "subscribers", "1");
  expect_member (&news, "offset", "0");
  document = ask (self, "GET", CHANNELS "/document:notes", NULL, NULL);
  expect_status (&document, 200);
  expect_member (&document, "offset", "1");
  expect_member (&document, "subscribers", "1");
  expect_member (&document, "persisted", "true");
  expect_problem (&missing, 404, "UNKNOWN_CHANNEL");
  expect_problem (&stored, 404, "UNKNOWN_CHANNEL");
  expect_problem (&wrong, 400, "VALIDATION_ERROR");
  /* asking has left nothing behind */
  g_assert_null (choir_hub_find_channel (self->hub->hub, "chat:2"));
  end (ann);
  end (bob);
}

static void
expect_history (Fixture *self, const char *channel)
{
  g_autofree char *target = g_strconcat (CHANNELS "/", channel, "/history", NULL);
  g_autofree char *since = g_strconcat (target, "?since=2&limit=2", NULL);
  g_autofree char *reverse = g_strconcat (target, "?reverse=true&limit=2", NULL);
  g_autofree char *before = g_strconcat (target, "?reverse=true&since=2", NULL);
  g_autofree char *beyond = g_strconcat (target, "?since=9", NULL);

  publish (self, channel, 5);
  {
    g_auto (Answer) all = ask (self, "GET", target, NULL, NULL);
    g_auto (Answer) some = ask (self, "GET", since, NULL, NULL);
    g_auto (Answer) newest = ask (self, "GET", reverse, NULL, NULL);
    g_auto (Answer) oldest = ask (self, "GET", before, NULL, NULL);
    g_auto (Answer) none = ask (self, "GET", beyond, NULL, NULL);

    expect_status (&all, 200);
    expect_header (&all, "Content-Type", "application/json");
    expect_header (&all, "Cache-Control", "private, no-cache");
    expect_member (&all, "channel", channel);
    expect_member (&all, "offset", "5");
    expect_member (&all, "complete", "true");
    expect_member (&all, "messages.0.type", "tick");
    expect_member (&all, "messages.0.payload.n", "1");
    expect_member (&all, "messages.4.offset", "5");
    expect_member (&all, "messages.4.channel", channel);
    expect_member (&some, "messages.0.offset", "3");
    expect_member (&some, "messages.2", "-");
    expect_member (&some, "complete", "false");
    expect_member (&newest, "messages.0.offset", "5");
    expect_member (&newest, "messages.1.offset", "4");
    expect_member (&newest, "complete", "false");
    expect_member (&oldest, "messages.0.offset", "1");
    expect_member (&oldest, "messages.1", "-");
    expect_member (&oldest, "complete", "true");
    expect_member (&none, "messages", "[]");
    expect_member (&none, "complete", "true");
  }
}

static void
test_history (Fixture *self, gconstpointer data)
{
  expect_history (self, "news:1");
  expect_history (self, "chat:1");
}

static void
test_wrong_history (Fixture *self, gconstpointer data)
{
  static const char *const wrong[] = {
    CHANNELS "/news:1/history?limit=0",
    CHANNELS "/news:1/history?limit=1001",
    CHANNELS "/news:1/history?since=-1",
    CHANNELS "/news:1/history?since=x",
    CHANNELS "/news:1/history?reverse=1",
    CHANNELS "/news:1/history?revers=true",
    CHANNELS "/document:notes/history",
    CHANNELS "/a%20b/history",
    CHANNELS "/news:1/history?since=18446744073709551616",
  };
  g_auto (Answer) missing = ask (self, "GET", CHANNELS "/news:7/history", NULL, NULL);

  publish (self, "news:1", 1);
  for (guint i = 0; i < G_N_ELEMENTS (wrong); i++)
    {
      g_auto (Answer) answer = ask (self, "GET", wrong[i], NULL, NULL);

      expect_problem (&answer, 400, "VALIDATION_ERROR");
    }
  expect_problem (&missing, 404, "UNKNOWN_CHANNEL");
}

static void
test_etag (Fixture *self, gconstpointer data)
{
  static const char target[] = CHANNELS "/news:1/history";

  publish (self, "news:1", 2);
  {
    g_autofree char *etag = get_etag (self, target);
    g_autofree char *header = line ("If-None-Match", etag);
    g_auto (Answer) same = ask (self, "GET", target, header, NULL);
    g_auto (Answer) any = ask (self, "GET", target, "If-None-Match: *\r\n", NULL);
    g_auto (Answer) other = ask (self, "GET", CHANNELS "/news:1/history?limit=1", header, NULL);
    g_auto (Answer) newer = { 0 };

    expect_status (&same, 304);
    expect_header (&same, "ETag", etag);
    g_assert_cmpuint (same.len, ==, 0);
    expect_status (&any, 304);
    expect_status (&other, 200);

    publish (self, "news:1", 1);
    newer = ask (self, "GET", target, header, NULL);
    expect_status (&newer, 200);
    expect_member (&newer, "offset", "3");
  }
}

static void
test_presence (Fixture *self, gconstpointer data)
{
  FakeLink *ann = subscribe (self, "ann", "chat:1");
  FakeLink *bob = subscribe (self, "bob", "chat:1");
  FakeLink *eve = fake_link_edit (self->hub, CHOIR_DIALECT_CHOIR, "eve");
  g_auto (Answer) chat = ask (self, "GET", CHANNELS "/chat:1/presence", NULL, NULL);
  g_auto (Answer) missing = ask (self, "GET", CHANNELS "/chat:2/presence", NULL, NULL);
  g_auto (Answer) document = { 0 };

  expect_status (&chat, 200);
  expect_member (&chat, "channel", "chat:1");
  expect_member (&chat, "count", "2");
  expect_member (&chat, "members.0.user_id", "ann");
  expect_member (&chat, "members.1.user_id", "bob");
  expect_member (&chat, "members.1.since", "2023-11-14T22:13:20.000Z");
  expect_problem (&missing, 404, "UNKNOWN_CHANNEL");

  put (self, "/api/v1/documents/notes", "text");
  fake_link_open_document (eve, "notes");
  document = ask (self, "GET", CHANNELS "/document:notes/presence", NULL, NULL);
  expect_status (&document, 200);
  expect_member (&document, "document_id", "notes");
  expect_member (&document, "members.0.user_id", "eve");
  expect_member (&document, "members.0.is_active", "true");
  end (ann);
  end (bob);
  end (eve);
}

/* Users read what they may read on a connection */
static void
test_users (Fixture *self, gconstpointer data)
{
  g_autofree char *token = fake_hub_mint (self->hub, "ann", NULL);
  g_autofree char *reader = fake_hub_mint (self->hub, "rob", "\"permissions\":[\"news:1:read\"]");
  static const char *const targets[] = { CHANNELS "/news:1", CHANNELS "/news:1/history",
                                         CHANNELS "/news:1/presence" };
  FakeLink *bob = subscribe (self, "bob", "quiet:1");

  publish (self, "news:1", 1);
  publish (self, "chat:1", 1);
  for (guint i = 0; i < G_N_ELEMENTS (targets); i++)
    {
      g_auto (Answer) refused = ask_as (self, token, "GET", targets[i], NULL, NULL);
      g_auto (Answer) allowed = ask_as (self, reader, "GET", targets[i], NULL, NULL);

      expect_problem (&refused, 403, "PERMISSION_DENIED");
      expect_status (&allowed, 200);
    }
  {
    g_auto (Answer) chat = ask_as (self, token, "GET", CHANNELS "/chat:1/history", NULL, NULL);
    g_autofree char *quiet_reader =
      fake_hub_mint (self->hub, "quinn", "\"permissions\":[\"quiet:*:read\"]");
    g_auto (Answer) hidden =
      ask_as (self, quiet_reader, "GET", CHANNELS "/quiet:1/presence", NULL, NULL);
    g_auto (Answer) shown = ask (self, "GET", CHANNELS "/quiet:1/presence", NULL, NULL);

    expect_status (&chat, 200);
    expect_problem (&hidden, 403, "PERMISSION_DENIED");
    expect_status (&shown, 200);
  }
  end (bob);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

#define ADD(name, settings, func)                                                                  \
  g_test_add ("/http-channels/" name, Fixture, settings, set_up, func, tear_down)
  ADD ("list", NULL, test_list);
  ADD ("stored", NULL, test_stored);
  ADD ("one", NULL, test_one);
  ADD ("history", NULL, test_history);
  ADD ("wrong-history", NULL, test_wrong_history);
  ADD ("etag", NULL, test_etag);
  ADD ("presence", NULL, test_presence);
  ADD ("users", "[namespace quiet]\npresence=no\n", test_users);
#undef ADD

  return g_test_run ();
}
