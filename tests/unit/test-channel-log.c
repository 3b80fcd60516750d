/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * choir-channel-log.h, through the hub, with a memory store and with SQLite
 */

#include "config.h"

#include "fake-link.h"
#include "slow-store.h"
#include "store-sync.h"

#include "choir-channel-log.h"
#include "choir-clock.h"
#include "choir-error.h"

#include <glib/gstdio.h>
#include <string.h>

#define SECOND G_USEC_PER_SEC
#define MINUTE (60 * SECOND)
#define ANY CHOIR_STORE_ANY_OFFSET

/* What publishing was answered, in the order of the answers */
typedef struct
{
  GArray *offsets; /* 0: refused */
  guint n_asked;
  guint n_duplicates;
  guint n_recipients; /* of the last one */
  int code;           /* of the last error; -1: none */
} Answers;

static void
answers_init (Answers *self)
{
  *self = (Answers){ .offsets = g_array_new (FALSE, FALSE, sizeof (guint64)), .code = -1 };
}

static void
answers_clear (Answers *self)
{
  g_array_unref (self->offsets);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Answers, answers_clear)

static void
answered_cb (const ChoirPublished *published, const GError *error, gpointer user_data)
{
  Answers *self = user_data;
  guint64 offset = published != NULL ? published->offset : 0;

  g_assert_true ((published == NULL) == (error != NULL));
  g_array_append_val (self->offsets, offset);
  if (published != NULL)
    {
      self->n_duplicates += published->duplicate ? 1 : 0;
      self->n_recipients = published->n_recipients;
    }
  else
    {
      g_assert_true (error->domain == CHOIR_ERROR);
      self->code = error->code;
    }
}

static void
ask (FakeHub *fake, Answers *answers, const char *channel, const char *payload, const char *key)
{
  ChoirPublication publication = {
    .channel = channel,
    .type = "note",
    .payload = choir_slice (payload),
    .user_id = "alice",
    .key = key,
  };

  answers->n_asked++;
  choir_hub_publish_async (fake->hub, &publication, answered_cb, answers);
}

static void
await (Answers *self)
{
  while (self->offsets->len < self->n_asked)
    g_main_context_iteration (NULL, TRUE);
}

static guint64
get_offset (const Answers *self, guint i)
{
  g_assert_cmpuint (i, <, self->offsets->len);

  return g_array_index (self->offsets, guint64, i);
}

static guint64
publish (FakeHub *fake, const char *channel, const char *payload, const char *key)
{
  g_auto (Answers) answers = { 0 };

  answers_init (&answers);
  ask (fake, &answers, channel, payload, key);
  await (&answers);
  g_assert_cmpint (answers.code, ==, -1);

  return get_offset (&answers, 0);
}

static void
opened_cb (ChoirChannel *channel, const GError *error, gpointer user_data)
{
  g_assert_no_error (error);
  *(ChoirChannel **) user_data = channel;
}

static ChoirChannel *
open_channel (FakeHub *fake, const char *name)
{
  ChoirChannel *channel = NULL;

  choir_hub_open_channel (fake->hub, name, opened_cb, &channel);
  while (channel == NULL)
    g_main_context_iteration (NULL, TRUE);

  return channel;
}

static ChoirStreamPart *
read_all (FakeHub *fake, const char *name)
{
  g_autoptr (GError) error = NULL;
  ChoirStreamPart *part = store_read (fake->store, name, 0, 100000, FALSE, &error);

  g_assert_no_error (error);

  return part;
}

static void
append_behind (FakeHub *fake, const char *name, const char *payload)
{
  ChoirStoreEntry entry = {
    .wall_us = FAKE_NOW_S * SECOND,
    .type = "note",
    .id = "theirs",
    .user_id = "bob",
    .data = payload,
    .len = strlen (payload),
  };
  g_autoptr (GError) error = NULL;
  ChoirAppended appended;

  g_assert_true (store_append (fake->store, name, ANY, &entry, 1, &appended, &error));
  g_assert_no_error (error);
  g_assert_cmpint (appended.status, ==, CHOIR_APPEND_STORED);
}

static FakeLink *
subscribe (FakeHub *fake, const char *name)
{
  FakeLink *link = fake_link_join (fake, "watcher");
  g_autofree char *payload = g_strdup_printf ("{\"channels\":[\"%s\"]}", name);

  open_channel (fake, name);
  fake_link_ask (link, "subscribe", payload);
  fake_hub_iterate ();
  fake_link_forget (link);

  return link;
}

/* Nobody has it before the store has it */
static void
test_stored (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new (NULL);
  g_autoptr (FakeLink) link = subscribe (fake, "chat:1");
  g_auto (Answers) answers = { 0 };
  g_autoptr (ChoirStreamPart) part = NULL;
  const ChoirChannel *channel;

  answers_init (&answers);
  ask (fake, &answers, "chat:1", "{\"n\":1}", NULL);
  fake_link_expect_nothing (link);
  g_assert_cmpuint (answers.offsets->len, ==, 0);
  await (&answers);
  g_assert_cmpuint (get_offset (&answers, 0), ==, 1);
  g_assert_cmpuint (answers.n_recipients, ==, 1);
  fake_link_expect (link, "note", "payload.n", "1", "offset", "1", "channel", "chat:1", NULL);

  part = read_all (fake, "chat:1");
  channel = choir_hub_find_channel (fake->hub, "chat:1");
  g_assert_nonnull (channel);
  g_assert_cmpuint (part->n_entries, ==, 1);
  g_assert_cmpstr (part->epoch, ==, channel->epoch);
  g_assert_cmpmem (part->entries[0].data, part->entries[0].len, "{\"n\":1}", 7);
  g_assert_cmpstr (part->entries[0].type, ==, "note");
  g_assert_cmpstr (part->entries[0].user_id, ==, "alice");
  g_assert_cmpstr (part->entries[0].id, ==, choir_channel_get_post (channel, 0)->id);
  g_assert_cmpint (part->entries[0].wall_us, ==, FAKE_NOW_S * SECOND);
  g_assert_cmpint (fake_hub_count (fake, "choir_persisted_publishes", "stored"), ==, 1);
}

/* More than one batch, answered and heard in the order in which it was said */
static void
test_order (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new ("[namespace chat]\nhistory-size=5000\n");
  g_autoptr (FakeLink) link = subscribe (fake, "chat:1");
  g_auto (Answers) answers = { 0 };
  g_autoptr (ChoirStreamPart) part = NULL;

  answers_init (&answers);
  for (guint i = 0; i < 700; i++)
    {
      g_autofree char *payload = g_strdup_printf ("{\"n\":%u}", i);

      ask (fake, &answers, "chat:1", payload, NULL);
    }
  await (&answers);

  part = read_all (fake, "chat:1");
  g_assert_cmpuint (part->n_entries, ==, 700);
  for (guint i = 0; i < 700; i++)
    {
      g_autofree char *payload = g_strdup_printf ("{\"n\":%u}", i);
      g_autofree char *n = g_strdup_printf ("%u", i);
      g_autofree char *offset = g_strdup_printf ("%u", i + 1);

      g_assert_cmpuint (get_offset (&answers, i), ==, i + 1);
      g_assert_cmpmem (part->entries[i].data, part->entries[i].len, payload, strlen (payload));
      fake_link_expect (link, "note", "payload.n", n, "offset", offset, NULL);
    }
}

/* A large message does not share its batch with too much else */
static void
test_large (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new (NULL);
  g_autofree char *filler = g_strnfill (200 * 1024, 'x');
  g_autofree char *payload = g_strdup_printf ("{\"t\":\"%s\"}", filler);
  g_auto (Answers) answers = { 0 };

  answers_init (&answers);
  for (guint i = 0; i < 20; i++)
    ask (fake, &answers, "chat:1", payload, NULL);
  await (&answers);
  g_assert_cmpuint (get_offset (&answers, 19), ==, 20);
}

/* What was told of a channel in which nothing had been said holds for what is said in it later, and
 * for the next life of the service */
static void
test_epoch (void)
{
  g_autoptr (ChoirStore) store = choir_store_memory_new (1024 * 1024);
  g_autofree char *epoch = NULL;

  {
    g_autoptr (FakeHub) fake = fake_hub_new_with_store (NULL, g_object_ref (store));
    G_GNUC_UNUSED g_autoptr (FakeLink) link = subscribe (fake, "chat:1");

    epoch = g_strdup (open_channel (fake, "chat:1")->epoch);
    publish (fake, "chat:1", "{}", NULL);
    g_assert_cmpstr (open_channel (fake, "chat:1")->epoch, ==, epoch);
    publish (fake, "chat:1", "{}", NULL);
  }
  {
    g_autoptr (FakeHub) fake = fake_hub_new_with_store (NULL, g_object_ref (store));
    const ChoirChannel *channel = open_channel (fake, "chat:1");

    g_assert_cmpstr (channel->epoch, ==, epoch);
    g_assert_cmpuint (channel->offset, ==, 2);
    g_assert_cmpuint (channel->n_posts, ==, 2);
    g_assert_true (choir_channel_log_is_ready (channel->log));
    g_assert_cmpuint (choir_channel_log_get_first (channel->log), ==, 1);
    g_assert_true (choir_channel_log_ring_reaches (channel->log, 0));
    g_assert_cmpuint (publish (fake, "chat:1", "{}", NULL), ==, 3);
  }
}

/* A disk that fails: nobody hears it, who said it knows, and afterwards it goes on */
static void
test_failing (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new (NULL);
  g_autoptr (FakeLink) link = subscribe (fake, "chat:1");
  g_auto (Answers) answers = { 0 };

  answers_init (&answers);
  publish (fake, "chat:1", "{\"n\":1}", NULL);
  fake_link_forget (link);
  choir_store_memory_set_failing (CHOIR_STORE_MEMORY (fake->store), TRUE);
  ask (fake, &answers, "chat:1", "{}", NULL);
  ask (fake, &answers, "chat:2", "{}", NULL);
  await (&answers);
  ask (fake, &answers, "chat:1", "{}", NULL);
  await (&answers);
  for (guint i = 0; i < 3; i++)
    g_assert_cmpuint (get_offset (&answers, i), ==, 0);
  g_assert_cmpint (answers.code, ==, CHOIR_ERROR_UNAVAILABLE);
  fake_hub_iterate ();
  fake_link_expect_nothing (link);
  g_assert_cmpint (fake_hub_count (fake, "choir_persisted_publishes", "refused"), ==, 3);
  /* one in which nothing was ever said is not kept for that */
  g_assert_null (choir_hub_find_channel (fake->hub, "chat:2"));

  choir_store_memory_set_failing (CHOIR_STORE_MEMORY (fake->store), FALSE);
  fake_hub_iterate ();
  g_assert_cmpuint (publish (fake, "chat:1", "{\"n\":2}", NULL), ==, 2);
  fake_link_expect (link, "note", "payload.n", "2", "offset", "2", NULL);
}

/* Another has written: that comes first, and everybody hears it */
static void
test_conflict (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new (NULL);
  g_autoptr (FakeLink) link = subscribe (fake, "chat:1");

  publish (fake, "chat:1", "{\"n\":1}", NULL);
  append_behind (fake, "chat:1", "{\"n\":2}");
  append_behind (fake, "chat:1", "{\"n\":3}");
  g_assert_cmpuint (publish (fake, "chat:1", "{\"n\":4}", NULL), ==, 4);
  fake_link_expect (link, "note", "payload.n", "1", "offset", "1", NULL);
  fake_link_expect (link, "note", "payload.n", "2", "offset", "2", "id", "theirs", NULL);
  fake_link_expect (link, "note", "payload.n", "3", "offset", "3", NULL);
  fake_link_expect (link, "note", "payload.n", "4", "offset", "4", NULL);
  g_assert_cmpuint (open_channel (fake, "chat:1")->n_posts, ==, 4);
}

/* Another has begun the stream, or begun it anew: its life counts */
static void
test_other_epoch (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new (NULL);
  G_GNUC_UNUSED g_autoptr (FakeLink) link = subscribe (fake, "chat:1");
  g_autofree char *told = g_strdup (open_channel (fake, "chat:1")->epoch);
  g_autoptr (GError) error = NULL;

  append_behind (fake, "chat:1", "{\"n\":1}");
  g_assert_cmpuint (publish (fake, "chat:1", "{\"n\":2}", NULL), ==, 2);
  g_assert_cmpstr (open_channel (fake, "chat:1")->epoch, !=, told);
  {
    g_autoptr (ChoirStreamPart) part = read_all (fake, "chat:1");

    g_assert_cmpstr (open_channel (fake, "chat:1")->epoch, ==, part->epoch);
  }

  g_assert_true (store_delete (fake->store, "chat:1", &error));
  g_assert_cmpuint (publish (fake, "chat:1", "{\"n\":1}", NULL), ==, 1);
  append_behind (fake, "chat:1", "{\"n\":2}");
  g_assert_true (store_delete (fake->store, "chat:1", &error));
  append_behind (fake, "chat:1", "{\"n\":1}");
  g_assert_cmpuint (publish (fake, "chat:1", "{\"n\":2}", NULL), ==, 2);
  g_assert_cmpuint (open_channel (fake, "chat:1")->n_posts, ==, 2);
  {
    g_autoptr (ChoirStreamPart) part = read_all (fake, "chat:1");

    g_assert_cmpstr (open_channel (fake, "chat:1")->epoch, ==, part->epoch);
  }
}

/* One batch, the next, another life of the service, and a key too long for the store */
static void
test_duplicates (void)
{
  g_autoptr (ChoirStore) store = choir_store_memory_new (1024 * 1024);
  g_autofree char *long_key = g_strnfill (300, 'k');
  static const guint64 offsets[] = { 1, 2, 1, 3, 2, 4 };

  {
    g_autoptr (FakeHub) fake = fake_hub_new_with_store (NULL, g_object_ref (store));
    g_autoptr (FakeLink) link = subscribe (fake, "chat:1");
    g_auto (Answers) answers = { 0 };

    answers_init (&answers);
    ask (fake, &answers, "chat:1", "{\"n\":1}", "a");
    ask (fake, &answers, "chat:1", "{\"n\":2}", "b");
    ask (fake, &answers, "chat:1", "{}", "a");
    ask (fake, &answers, "chat:1", "{\"n\":3}", NULL);
    ask (fake, &answers, "chat:1", "{}", "b");
    ask (fake, &answers, "chat:1", "{\"n\":4}", long_key);
    await (&answers);
    for (guint i = 0; i < G_N_ELEMENTS (offsets); i++)
      g_assert_cmpuint (get_offset (&answers, i), ==, offsets[i]);
    g_assert_cmpuint (answers.n_duplicates, ==, 2);
    g_assert_cmpuint (publish (fake, "chat:1", "{}", "a"), ==, 1);
    g_assert_cmpuint (publish (fake, "chat:1", "{}", long_key), ==, 4);
    g_assert_cmpuint (publish (fake, "chat:2", "{}", "a"), ==, 1);
    for (guint i = 1; i <= 4; i++)
      {
        g_autofree char *n = g_strdup_printf ("%u", i);

        fake_link_expect (link, "note", "payload.n", n, "offset", n, NULL);
      }
    fake_link_expect_nothing (link);
    g_assert_cmpint (fake_hub_count (fake, "choir_persisted_publishes", "duplicate"), ==, 4);
  }
  {
    g_autoptr (FakeHub) fake = fake_hub_new_with_store (NULL, g_object_ref (store));

    g_assert_cmpuint (publish (fake, "chat:1", "{}", "b"), ==, 2);
    g_assert_cmpuint (publish (fake, "chat:1", "{}", "c"), ==, 5);
  }
}

/* In a batch what was there already is answered in its place */
static void
test_duplicates_order (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new (NULL);
  G_GNUC_UNUSED g_autoptr (FakeLink) link = subscribe (fake, "chat:1");
  static const char *const keys[] = { "new1", "old1", NULL, "old2", "new2" };
  static const guint64 offsets[] = { 3, 1, 4, 2, 5 };
  g_auto (Answers) answers = { 0 };

  answers_init (&answers);
  publish (fake, "chat:1", "{}", "old1");
  publish (fake, "chat:1", "{}", "old2");
  for (guint i = 0; i < G_N_ELEMENTS (keys); i++)
    ask (fake, &answers, "chat:1", "{}", keys[i]);
  await (&answers);
  for (guint i = 0; i < G_N_ELEMENTS (offsets); i++)
    g_assert_cmpuint (get_offset (&answers, i), ==, offsets[i]);
  g_assert_cmpuint (answers.n_duplicates, ==, 2);
}

/* A channel in memory knows a key for five minutes */
static void
test_duplicates_in_memory (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new (NULL);

  g_assert_cmpuint (publish (fake, "room:1", "{}", "a"), ==, 1);
  g_assert_cmpuint (publish (fake, "room:1", "{}", "b"), ==, 2);
  g_assert_cmpuint (publish (fake, "room:1", "{}", "a"), ==, 1);
  g_assert_cmpuint (publish (fake, "room:2", "{}", "a"), ==, 1);
  fake_hub_advance (fake, 4 * MINUTE);
  g_assert_cmpuint (publish (fake, "room:1", "{}", "b"), ==, 2);
  fake_hub_advance (fake, MINUTE);
  g_assert_cmpuint (publish (fake, "room:1", "{}", "a"), ==, 3);
  g_assert_cmpuint (open_channel (fake, "room:1")->offset, ==, 3);
}

static void
test_queue (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new ("[namespace chat]\nhistory-size=10000\n");
  g_autofree char *filler = g_strnfill (4 * 1024 * 1024, 'x');
  g_autofree char *large = g_strdup_printf ("{\"t\":\"%s\"}", filler);
  g_auto (Answers) answers = { 0 };

  answers_init (&answers);
  for (guint i = 0; i < 5000; i++)
    ask (fake, &answers, "chat:1", "{}", NULL);
  /* those that are refused are answered at once */
  g_assert_cmpuint (answers.offsets->len, ==, 5000 - 4096);
  g_assert_cmpint (answers.code, ==, CHOIR_ERROR_RATE_LIMITED);
  await (&answers);
  g_assert_cmpuint (get_offset (&answers, 4999), ==, 4096);

  answers.code = -1;
  for (guint i = 0; i < 5; i++)
    ask (fake, &answers, "chat:2", large, NULL);
  g_assert_cmpuint (answers.offsets->len, ==, 5002);
  g_assert_cmpint (answers.code, ==, CHOIR_ERROR_RATE_LIMITED);
  await (&answers);
  g_assert_cmpuint (publish (fake, "chat:1", "{}", NULL), ==, 4097);
}

/* Of what can't be stored nothing reaches the store, where it would spoil the others' batch */
static void
test_refused (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new (NULL);
  g_autofree char *name = g_strnfill (256, 'n');
  g_auto (Answers) answers = { 0 };
  ChoirPublication publication = {
    .channel = "chat:1",
    .type = "note",
    .payload = CHOIR_SLICE_LITERAL ("{}"),
    .user_id = name,
  };
  ChoirPublished published;
  g_autoptr (GError) error = NULL;

  answers_init (&answers);
  ask (fake, &answers, "chat:1", "{}", NULL);
  choir_hub_publish_async (fake->hub, &publication, answered_cb, &answers);
  g_assert_cmpint (answers.code, ==, CHOIR_ERROR_VALIDATION);
  while (answers.offsets->len < 2)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpuint (get_offset (&answers, 1), ==, 1);

  g_assert_false (choir_hub_publish (fake->hub, &publication, &published, &error));
  g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_INTERNAL);
}

/* What is only told on goes to a durable channel as to any other */
static void
test_transient (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new (NULL);
  g_autoptr (FakeLink) link = subscribe (fake, "chat:1");
  g_autoptr (ChoirStreamPart) part = NULL;
  g_auto (Answers) answers = { 0 };
  ChoirPublication publication = {
    .channel = "chat:1",
    .type = "note",
    .payload = CHOIR_SLICE_LITERAL ("{}"),
    .transient = TRUE,
  };

  answers_init (&answers);
  choir_hub_publish_async (fake->hub, &publication, answered_cb, &answers);
  g_assert_cmpuint (answers.offsets->len, ==, 1);
  g_assert_cmpuint (answers.n_recipients, ==, 1);
  fake_link_expect (link, "note", "offset", "-", NULL);
  part = read_all (fake, "chat:1");
  g_assert_false (part->exists);
}

static void
test_which (void)
{
  g_autoptr (FakeHub) fake =
    fake_hub_new ("[namespace]\npersist=yes\n[namespace none]\nhistory-size=0\n"
                  "[namespace memory]\npersist=no\n");
  g_autoptr (FakeHub) without = NULL;
  static const struct
  {
    const char *name;
    gboolean durable;
  } rows[] = {
    { "chat:1", TRUE },  { "any", TRUE },       { "all", TRUE },         { "user:alice", TRUE },
    { "none:1", FALSE }, { "memory:1", FALSE }, { "document:1", FALSE }, { "session:1", TRUE },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_test_message ("%s", rows[i].name);
      g_assert_cmpint (choir_hub_is_durable (fake->hub, rows[i].name), ==, rows[i].durable);
    }
  g_assert_cmpuint (publish (fake, "all", "{}", NULL), ==, 1);
  g_assert_true (choir_hub_is_durable (fake->hub, "all"));
  g_assert_cmpuint (publish (fake, "memory:1", "{}", NULL), ==, 1);
  g_assert_false (choir_hub_is_durable (fake->hub, "memory:1"));
  g_clear_pointer (&fake, fake_hub_free);

  without = fake_hub_new_without_store (NULL);
  g_assert_false (choir_hub_is_durable (without->hub, "chat:1"));
  g_assert_cmpuint (publish (without, "chat:1", "{}", NULL), ==, 1);
}

/* To those whom it goes by other ways than a subscription */
static void
test_kinds (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new ("[namespace]\npersist=yes\n");
  g_autoptr (FakeLink) alice = fake_link_join (fake, "alice");
  g_autoptr (FakeLink) bob = fake_link_join (fake, "bob");

  fake_link_forget (alice);
  fake_link_forget (bob);
  publish (fake, "user:alice", "{}", NULL);
  fake_link_expect (alice, "note", "offset", "1", NULL);
  publish (fake, "all", "{}", NULL);
  fake_link_expect (alice, "note", "channel", "all", NULL);
  fake_link_expect (bob, "note", "channel", "all", NULL);
}

/* One look at the store, however many wait for it */
static void
test_open (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new (NULL);
  ChoirChannel *opened[3] = { NULL, NULL, NULL };
  g_auto (Answers) answers = { 0 };

  append_behind (fake, "chat:1", "{}");
  answers_init (&answers);
  for (guint i = 0; i < G_N_ELEMENTS (opened); i++)
    choir_hub_open_channel (fake->hub, "chat:1", opened_cb, &opened[i]);
  ask (fake, &answers, "chat:1", "{}", NULL);
  /* it stays until it has been read, and it is not ready before */
  fake_hub_advance (fake, 5 * MINUTE);
  g_assert_nonnull (choir_hub_find_channel (fake->hub, "chat:1"));
  g_assert_false (choir_channel_log_is_ready (choir_hub_find_channel (fake->hub, "chat:1")->log));
  for (guint i = 0; i < G_N_ELEMENTS (opened); i++)
    g_assert_null (opened[i]);
  await (&answers);
  for (guint i = 0; i < G_N_ELEMENTS (opened); i++)
    g_assert_true (opened[i] == choir_hub_find_channel (fake->hub, "chat:1"));
  g_assert_cmpuint (get_offset (&answers, 0), ==, 2);
  g_assert_cmpint (fake_hub_count (fake, "choir_channel_loads", NULL), ==, 1);
}

static void
refused_cb (ChoirChannel *channel, const GError *error, gpointer user_data)
{
  g_assert_null (channel);
  g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_UNAVAILABLE);
  *(guint *) user_data += 1;
}

/* The store can't be read: who waits is told, and nothing is left behind */
static void
test_unreadable (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new (NULL);
  g_auto (Answers) answers = { 0 };
  g_autoptr (GError) error = NULL;
  guint n_refused = 0;

  answers_init (&answers);
  g_assert_true (store_close (fake->store, &error));
  choir_hub_open_channel (fake->hub, "chat:1", refused_cb, &n_refused);
  ask (fake, &answers, "chat:1", "{}", NULL);
  await (&answers);
  g_assert_cmpuint (n_refused, ==, 1);
  g_assert_cmpint (answers.code, ==, CHOIR_ERROR_UNAVAILABLE);
  g_assert_null (choir_hub_find_channel (fake->hub, "chat:1"));
}

static void
test_waiters (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new (NULL);
  ChoirChannel *channel = NULL;
  guint n_refused = 0;

  for (guint i = 0; i < 4096; i++)
    choir_hub_open_channel (fake->hub, "chat:1", opened_cb, &channel);
  choir_hub_open_channel (fake->hub, "chat:1", refused_cb, &n_refused);
  g_assert_cmpuint (n_refused, ==, 1);
  while (channel == NULL)
    g_main_context_iteration (NULL, TRUE);
}

/* The ring has the newest, whether there are many or they are large */
static void
test_load (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new ("[namespace chat]\nhistory-size=1000\n");
  g_autofree char *filler = g_strnfill (100 * 1024, 'x');
  g_autofree char *large = g_strdup_printf ("{\"t\":\"%s\"}", filler);
  const ChoirChannel *channel;

  for (guint i = 0; i < 500; i++)
    append_behind (fake, "chat:many", "{}");
  channel = open_channel (fake, "chat:many");
  g_assert_cmpuint (channel->offset, ==, 500);
  g_assert_cmpuint (channel->n_posts, ==, 256);
  g_assert_cmpuint (choir_channel_get_post (channel, 0)->offset, ==, 245);
  g_assert_cmpuint (choir_channel_get_post (channel, 255)->offset, ==, 500);
  g_assert_cmpuint (choir_channel_log_get_first (channel->log), ==, 1);
  g_assert_true (choir_channel_log_ring_reaches (channel->log, 244));
  g_assert_false (choir_channel_log_ring_reaches (channel->log, 243));

  for (guint i = 0; i < 200; i++)
    append_behind (fake, "chat:large", large);
  channel = open_channel (fake, "chat:large");
  g_assert_cmpuint (channel->offset, ==, 200);
  g_assert_cmpuint (channel->n_posts, ==, 64);
  g_assert_cmpuint (choir_channel_get_post (channel, 63)->offset, ==, 200);
}

static void
test_size (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new ("[namespace chat]\nhistory-size=20\n");
  g_autoptr (ChoirStreamPart) part = NULL;
  const ChoirChannel *channel;

  for (guint i = 0; i < 200; i++)
    publish (fake, "chat:1", "{}", NULL);
  fake_hub_iterate ();

  channel = choir_hub_find_channel (fake->hub, "chat:1");
  g_assert_nonnull (channel);
  g_assert_cmpuint (channel->n_posts, ==, 20);
  g_assert_cmpuint (choir_channel_log_get_first (channel->log), ==, 181);
  g_assert_true (choir_channel_log_ring_reaches (channel->log, 0));
  part = read_all (fake, "chat:1");
  g_assert_cmpuint (part->head, ==, 200);
  /* some more may be there for a while */
  g_assert_cmpuint (part->n_entries, >=, 20);
  g_assert_cmpuint (part->n_entries, <=, 20 + 20 / 4 + 16);
}

/* Less is kept after a reload, and of a channel that was not in memory then */
static void
test_size_reload (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new ("[namespace chat]\nhistory-size=200\n");
  g_autoptr (GError) error = NULL;
  const ChoirChannel *channel;

  for (guint i = 0; i < 100; i++)
    append_behind (fake, "chat:1", "{}");
  g_assert_true (fake_hub_reload (fake, "[namespace chat]\nhistory-size=10\n", &error));
  channel = open_channel (fake, "chat:1");
  g_assert_cmpuint (choir_channel_log_get_first (channel->log), ==, 91);
  g_assert_cmpuint (channel->n_posts, ==, 10);
  fake_hub_iterate ();
  {
    g_autoptr (ChoirStreamPart) part = read_all (fake, "chat:1");

    g_assert_cmpuint (part->n_entries, ==, 10);
  }
}

static void
test_age (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new ("[namespace chat]\nhistory-age=10m\n");
  G_GNUC_UNUSED g_autoptr (FakeLink) link = subscribe (fake, "chat:1");
  g_autofree char *epoch = NULL;
  const ChoirChannel *channel;

  for (guint i = 0; i < 5; i++)
    publish (fake, "chat:1", "{}", NULL);
  fake_hub_advance (fake, 6 * MINUTE);
  publish (fake, "chat:1", "{}", NULL);
  fake_hub_advance (fake, 5 * MINUTE);
  fake_hub_iterate ();
  channel = choir_hub_find_channel (fake->hub, "chat:1");
  g_assert_cmpuint (choir_channel_log_get_first (channel->log), ==, 6);
  epoch = g_strdup (channel->epoch);
  {
    g_autoptr (ChoirStreamPart) part = read_all (fake, "chat:1");

    g_assert_cmpuint (part->first, ==, 6);
    g_assert_cmpuint (part->head, ==, 6);
  }

  /* nothing is left of it, and it goes on all the same */
  fake_hub_advance (fake, 6 * MINUTE);
  fake_hub_iterate ();
  {
    g_autoptr (ChoirStreamPart) part = read_all (fake, "chat:1");

    g_assert_true (part->exists);
    g_assert_cmpuint (part->n_entries, ==, 0);
  }
  g_assert_cmpuint (publish (fake, "chat:1", "{}", NULL), ==, 7);
  g_assert_cmpstr (choir_hub_find_channel (fake->hub, "chat:1")->epoch, ==, epoch);
}

/* What was too old already when it was read */
static void
test_age_load (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new ("[namespace chat]\nhistory-age=10m\n");
  const ChoirChannel *channel;

  append_behind (fake, "chat:1", "{}");
  append_behind (fake, "chat:1", "{}");
  choir_clock_advance (11 * MINUTE);
  channel = open_channel (fake, "chat:1");
  g_assert_cmpuint (channel->offset, ==, 2);
  g_assert_cmpuint (channel->n_posts, ==, 0);
  g_assert_cmpuint (choir_channel_log_get_first (channel->log), ==, 3);
  g_assert_true (choir_channel_log_ring_reaches (channel->log, 0));
  g_assert_cmpuint (publish (fake, "chat:1", "{}", NULL), ==, 3);
}

static gboolean
exists (FakeHub *fake, const char *stream)
{
  g_autoptr (ChoirStreamPart) part = read_all (fake, stream);

  return part->exists;
}

/* Streams of channels that nobody has been in for too long go; others are others' affair */
static void
test_sweep (void)
{
  g_autoptr (FakeHub) fake =
    fake_hub_new ("[namespace chat]\nhistory-age=10m\n[namespace room]\nhistory-age=1h\n");
  G_GNUC_UNUSED g_autoptr (FakeLink) link = subscribe (fake, "chat:here");
  static const char *const old[] = { "chat:1", "chat:2", "chat:here" };
  static const char *const others[] = { "document:1", "task 1", "room:1" };

  for (guint i = 0; i < G_N_ELEMENTS (old); i++)
    append_behind (fake, old[i], "{}");
  for (guint i = 0; i < G_N_ELEMENTS (others); i++)
    append_behind (fake, others[i], "{}");
  publish (fake, "chat:here", "{}", NULL);

  fake_hub_advance (fake, 9 * MINUTE);
  fake_hub_iterate ();
  for (guint i = 0; i < G_N_ELEMENTS (old); i++)
    g_assert_true (exists (fake, old[i]));

  publish (fake, "chat:young", "{}", NULL);
  fake_hub_advance (fake, 2 * MINUTE);
  fake_hub_iterate ();
  g_assert_false (exists (fake, "chat:1"));
  g_assert_false (exists (fake, "chat:2"));
  g_assert_true (exists (fake, "chat:here"));
  g_assert_true (exists (fake, "chat:young"));
  for (guint i = 0; i < G_N_ELEMENTS (others); i++)
    g_assert_true (exists (fake, others[i]));
}

/* More than one sweep looks at, in turns */
static void
test_sweep_many (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new ("[namespace chat]\nhistory-age=10m\n");
  g_autoptr (GPtrArray) infos = NULL;

  for (guint i = 0; i < 2500; i++)
    {
      g_autofree char *name = g_strdup_printf ("chat:%u", i);

      append_behind (fake, name, "{}");
    }
  choir_clock_advance (11 * MINUTE);
  for (guint i = 0; i < 4; i++)
    {
      fake_hub_advance (fake, 31 * SECOND);
      fake_hub_iterate ();
    }
  infos = store_list (fake->store, NULL, NULL, 10000);
  g_assert_cmpuint (infos->len, ==, 0);
}

/* Somebody comes in right when it is being removed */
static void
test_sweep_open (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new ("[namespace chat]\nhistory-age=10m\n");
  g_auto (Answers) answers = { 0 };
  const ChoirChannel *channel;

  answers_init (&answers);
  append_behind (fake, "chat:1", "{}");
  fake_hub_advance (fake, 11 * MINUTE);
  /* the list has come, the removal has been asked for, and has not been answered */
  while (exists (fake, "chat:1"))
    g_main_context_iteration (NULL, FALSE);
  ask (fake, &answers, "chat:1", "{}", NULL);
  await (&answers);
  g_assert_cmpuint (get_offset (&answers, 0), ==, 1);
  channel = choir_hub_find_channel (fake->hub, "chat:1");
  g_assert_cmpuint (channel->n_posts, ==, 1);
}

/* Between the list of what is old and its removal somebody said something in one of them, and one
 * was removed and began anew: what is new there stays */
static void
revive_during_sweep (ChoirStore *inner)
{
  g_autoptr (SlowStore) store = slow_store_new_around (g_object_ref (inner));
  g_autoptr (FakeHub) fake =
    fake_hub_new_with_store ("[namespace chat]\nhistory-age=10m\n", CHOIR_STORE (store));
  static const char *const names[] = { "chat:1", "chat:again", "chat:behind", "chat:said",
                                       "chat:z" };

  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    append_behind (fake, names[i], "{}");
  slow_store_hold_lists (store);
  fake_hub_advance (fake, 11 * MINUTE);
  while (slow_store_get_n_held (store) == 0)
    g_main_context_iteration (NULL, TRUE);

  g_assert_cmpuint (publish (fake, "chat:said", "{}", NULL), ==, 2);
  fake_hub_advance (fake, 2 * MINUTE);
  g_assert_null (choir_hub_find_channel (fake->hub, "chat:said"));
  append_behind (fake, "chat:behind", "{}");
  g_assert_true (store_delete (inner, "chat:again", NULL));
  append_behind (fake, "chat:again", "{}");

  /* whichever is removed first */
  slow_store_release_all (store);
  while (exists (fake, "chat:1") || exists (fake, "chat:z"))
    g_main_context_iteration (NULL, FALSE);
  g_assert_true (exists (fake, "chat:again"));
  g_assert_true (exists (fake, "chat:behind"));
  g_assert_true (exists (fake, "chat:said"));
  g_assert_cmpuint (publish (fake, "chat:said", "{}", NULL), ==, 3);
}

static void
test_sweep_revived (void)
{
  g_autoptr (ChoirStore) store = choir_store_memory_new (1024 * 1024);

  revive_during_sweep (store);
}

static void
test_sweep_revived_sqlite (void)
{
  g_autofree char *directory = g_dir_make_tmp ("choir-log-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (directory, "choir.db", NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (ChoirStore) store = choir_store_sqlite_open (path, CHOIR_DURABILITY_NORMAL, &error);

  g_assert_no_error (error);
  revive_during_sweep (store);
  g_assert_true (store_close (store, &error));
  store_remove_directory (directory);
}

/* One that nobody needs leaves memory, and comes back as it was */
static void
test_idle (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new (NULL);
  g_autofree char *epoch = NULL;

  publish (fake, "chat:1", "{}", NULL);
  publish (fake, "chat:1", "{}", NULL);
  epoch = g_strdup (open_channel (fake, "chat:1")->epoch);
  fake_hub_advance (fake, 30 * SECOND);
  g_assert_nonnull (choir_hub_find_channel (fake->hub, "chat:1"));
  fake_hub_advance (fake, 2 * MINUTE);
  g_assert_null (choir_hub_find_channel (fake->hub, "chat:1"));

  g_assert_cmpuint (publish (fake, "chat:1", "{}", NULL), ==, 3);
  g_assert_cmpstr (open_channel (fake, "chat:1")->epoch, ==, epoch);
  g_assert_cmpuint (open_channel (fake, "chat:1")->n_posts, ==, 3);
}

/* A channel stays what it is as long as it is in memory */
static void
test_reload (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new ("[namespace room]\npersist=no\n");
  g_autoptr (GError) error = NULL;

  publish (fake, "chat:1", "{}", NULL);
  publish (fake, "room:1", "{}", NULL);
  g_assert_true (fake_hub_reload (
    fake, "[namespace chat]\npersist=no\n[namespace room]\npersist=yes\n", &error));
  g_assert_true (choir_hub_is_durable (fake->hub, "chat:1"));
  g_assert_false (choir_hub_is_durable (fake->hub, "room:1"));
  g_assert_false (choir_hub_is_durable (fake->hub, "chat:2"));
  g_assert_true (choir_hub_is_durable (fake->hub, "room:2"));
  g_assert_cmpuint (publish (fake, "chat:1", "{}", NULL), ==, 2);
  g_assert_cmpuint (publish (fake, "room:1", "{}", NULL), ==, 2);
  g_assert_true (exists (fake, "chat:1"));
  g_assert_false (exists (fake, "room:1"));

  fake_hub_advance (fake, 2 * MINUTE);
  g_assert_false (choir_hub_is_durable (fake->hub, "chat:1"));
  g_assert_cmpuint (publish (fake, "chat:1", "{}", NULL), ==, 1);
}

/* The service goes: who still waits is answered */
static void
test_shutdown (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new (NULL);
  g_auto (Answers) answers = { 0 };
  guint n_refused = 0;

  answers_init (&answers);
  publish (fake, "chat:1", "{}", NULL);
  ask (fake, &answers, "chat:1", "{}", NULL);
  ask (fake, &answers, "chat:2", "{}", NULL);
  choir_hub_open_channel (fake->hub, "chat:3", refused_cb, &n_refused);
  g_assert_cmpuint (choir_hub_get_n_unstored (fake->hub), ==, 2);
  g_object_unref (fake->hub);
  g_assert_cmpuint (answers.offsets->len, ==, 2);
  g_assert_cmpint (answers.code, ==, CHOIR_ERROR_UNAVAILABLE);
  g_assert_cmpuint (n_refused, ==, 1);

  /* so that there is one to free */
  fake->hub = choir_hub_new (fake->config, fake->verifier, NULL, fake->wheel, fake->counters, NULL);
}

static void
drained_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (choir_hub_drain_finish (CHOIR_HUB (source), result, &error));
  *(gboolean *) user_data = TRUE;
}

static void
test_drain (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new (NULL);
  g_auto (Answers) answers = { 0 };
  gboolean drained = FALSE;

  answers_init (&answers);
  ask (fake, &answers, "chat:1", "{}", NULL);
  choir_hub_drain_async (fake->hub, NULL, drained_cb, &drained);
  while (!drained)
    g_main_context_iteration (NULL, TRUE);
  g_assert_cmpuint (answers.offsets->len, ==, 1);
  g_assert_cmpuint (get_offset (&answers, 0), ==, 1);
}

/* What clients say and are answered */
static void
test_clients (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new (NULL);
  g_autoptr (FakeLink) alice = fake_link_join (fake, "alice");
  g_autoptr (FakeLink) bob = fake_link_join (fake, "bob");
  static const char *const bad[] = { "\"\"", "7", "null", "{}" };
  g_autofree char *long_key = g_strnfill (129, 'k');
  g_autofree char *quoted = g_strdup_printf ("\"%s\"", long_key);

  fake_link_forget (alice);
  fake_link_forget (bob);
  fake_link_ask (alice, "chat.message",
                 "{\"channel\":\"chat:1\",\"content\":\"x\",\"idempotency_key\":\"k\"}");
  fake_link_expect (alice, "publish.ok", "payload.offset", "1", "payload.duplicate", "-",
                    "correlation_id", "q", NULL);
  fake_link_ask (alice, "chat.message",
                 "{\"channel\":\"chat:1\",\"content\":\"x\",\"idempotency_key\":\"k\"}");
  fake_link_expect (alice, "publish.ok", "payload.offset", "1", "payload.duplicate", "true", NULL);
  fake_link_ask (alice, "publish",
                 "{\"channel\":\"chat:1\",\"type\":\"note\",\"idempotency_key\":\"k\"}");
  fake_link_expect (alice, "publish.ok", "payload.offset", "1", "payload.duplicate", "true", NULL);
  /* another's key is another key */
  fake_link_ask (bob, "publish",
                 "{\"channel\":\"chat:1\",\"type\":\"note\",\"idempotency_key\":\"k\"}");
  fake_link_expect (bob, "publish.ok", "payload.offset", "2", "payload.duplicate", "-", NULL);

  for (guint i = 0; i <= G_N_ELEMENTS (bad); i++)
    {
      g_autofree char *payload =
        g_strdup_printf ("{\"channel\":\"chat:1\",\"type\":\"note\",\"idempotency_key\":%s}",
                         i < G_N_ELEMENTS (bad) ? bad[i] : quoted);

      fake_link_refuse (bob, "publish", payload, "VALIDATION_ERROR");
    }
  g_assert_cmpuint (open_channel (fake, "chat:1")->offset, ==, 2);
}

/* Who has gone is not answered; what was said is kept */
static void
test_gone (void)
{
  g_autoptr (FakeHub) fake = fake_hub_new (NULL);
  g_autoptr (FakeLink) alice = fake_link_join (fake, "alice");
  g_autoptr (FakeLink) bob = fake_link_join (fake, "bob");

  fake_link_forget (alice);
  fake_link_forget (bob);
  choir_store_memory_set_failing (CHOIR_STORE_MEMORY (fake->store), TRUE);
  fake_link_ask (bob, "chat.message", "{\"channel\":\"chat:2\",\"content\":\"x\"}");
  fake_link_expect (bob, "error", "payload.code", "UNAVAILABLE", "payload.retry_after", "1",
                    "correlation_id", "q", NULL);
  choir_store_memory_set_failing (CHOIR_STORE_MEMORY (fake->store), FALSE);
  fake_hub_iterate ();

  fake_link_ask (alice, "chat.message", "{\"channel\":\"chat:1\",\"content\":\"x\"}");
  fake_link_end (alice, 1000);
  fake_hub_iterate ();
  g_assert_cmpuint (open_channel (fake, "chat:1")->offset, ==, 1);
}

/* The same file, and another life of the service */
static void
test_sqlite (void)
{
  g_autofree char *directory = g_dir_make_tmp ("choir-log-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (directory, "choir.db", NULL);
  g_autofree char *epoch = NULL;
  g_autoptr (GError) error = NULL;

  for (guint life = 0; life < 3; life++)
    {
      g_autoptr (ChoirStore) store =
        choir_store_sqlite_open (path, CHOIR_DURABILITY_NORMAL, &error);
      g_autoptr (FakeHub) fake = NULL;
      g_autoptr (FakeLink) link = NULL;
      g_auto (Answers) answers = { 0 };
      const ChoirChannel *channel;

      g_assert_no_error (error);
      answers_init (&answers);
      fake = fake_hub_new_with_store (NULL, store);
      link = subscribe (fake, "chat:1");
      channel = open_channel (fake, "chat:1");
      if (life == 0)
        epoch = g_strdup (channel->epoch);
      g_assert_cmpuint (channel->offset, ==, life * 10);
      g_assert_cmpuint (channel->n_posts, ==, life * 10);
      g_assert_cmpstr (channel->epoch, ==, epoch);

      if (life > 0)
        g_assert_cmpuint (publish (fake, "chat:1", "{}", "key"), ==, 1);
      for (guint i = 0; i < 10; i++)
        ask (fake, &answers, "chat:1", "{}", life == 0 && i == 0 ? "key" : NULL);
      await (&answers);
      g_assert_cmpuint (get_offset (&answers, 9), ==, (life + 1) * 10);
      append_behind (fake, "chat:2", "{}");
      g_assert_cmpuint (publish (fake, "chat:2", "{}", NULL), ==, life * 2 + 2);
      g_assert_true (store_close (fake->store, &error));
      g_assert_no_error (error);
    }

  store_remove_directory (directory);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/channel-log/stored", test_stored);
  g_test_add_func ("/channel-log/order", test_order);
  g_test_add_func ("/channel-log/large", test_large);
  g_test_add_func ("/channel-log/epoch", test_epoch);
  g_test_add_func ("/channel-log/failing", test_failing);
  g_test_add_func ("/channel-log/conflict", test_conflict);
  g_test_add_func ("/channel-log/other-epoch", test_other_epoch);
  g_test_add_func ("/channel-log/duplicates", test_duplicates);
  g_test_add_func ("/channel-log/duplicates/order", test_duplicates_order);
  g_test_add_func ("/channel-log/duplicates/in-memory", test_duplicates_in_memory);
  g_test_add_func ("/channel-log/queue", test_queue);
  g_test_add_func ("/channel-log/refused", test_refused);
  g_test_add_func ("/channel-log/transient", test_transient);
  g_test_add_func ("/channel-log/which", test_which);
  g_test_add_func ("/channel-log/kinds", test_kinds);
  g_test_add_func ("/channel-log/open", test_open);
  g_test_add_func ("/channel-log/unreadable", test_unreadable);
  g_test_add_func ("/channel-log/waiters", test_waiters);
  g_test_add_func ("/channel-log/load", test_load);
  g_test_add_func ("/channel-log/size", test_size);
  g_test_add_func ("/channel-log/size/reload", test_size_reload);
  g_test_add_func ("/channel-log/age", test_age);
  g_test_add_func ("/channel-log/age/load", test_age_load);
  g_test_add_func ("/channel-log/sweep", test_sweep);
  g_test_add_func ("/channel-log/sweep/many", test_sweep_many);
  g_test_add_func ("/channel-log/sweep/open", test_sweep_open);
  g_test_add_func ("/channel-log/sweep/revived", test_sweep_revived);
  g_test_add_func ("/channel-log/sweep/revived-sqlite", test_sweep_revived_sqlite);
  g_test_add_func ("/channel-log/idle", test_idle);
  g_test_add_func ("/channel-log/reload", test_reload);
  g_test_add_func ("/channel-log/shutdown", test_shutdown);
  g_test_add_func ("/channel-log/drain", test_drain);
  g_test_add_func ("/channel-log/clients", test_clients);
  g_test_add_func ("/channel-log/gone", test_gone);
  g_test_add_func ("/channel-log/sqlite", test_sqlite);

  return g_test_run ();
}
