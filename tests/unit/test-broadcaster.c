/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-broadcaster.h"

#include <string.h>

typedef struct
{
  ChoirOutbox outbox; /* first */
} Client;

static void
ignore (ChoirOutbox *outbox)
{
}

static const ChoirOutboxFuncs funcs = { ignore, ignore };
static const ChoirOutboxLimits limits = { 1024 * 1024 };

static void
client_init (Client *self, ChoirDialectId dialect, ChoirVariant variant)
{
  choir_outbox_init (&self->outbox, &funcs, &limits);
  self->outbox.variant = dialect * CHOIR_N_VARIANTS + variant;
}

static ChoirMessage
make_message (const char *type, const char *payload)
{
  return (ChoirMessage){ .type = type,
                         .payload = choir_slice (payload),
                         .id = "id",
                         .wall_us = 1700000000 * (gint64) G_USEC_PER_SEC,
                         .channel = "chat:1",
                         .offset = 1 };
}

/* Each kind of client gets one frame, shared by all of that kind */
static void
test_sharing (void)
{
  g_autoptr (ChoirBroadcaster) broadcaster = choir_broadcaster_new ();
  g_autofree char *text = g_strnfill (2000, 'x');
  g_autofree char *payload = g_strdup_printf ("{\"t\":\"%s\"}", text);
  ChoirMessage message = make_message ("note", payload);
  Client clients[CHOIR_N_DIALECTS * CHOIR_N_VARIANTS * 2];
  ChoirFanout fanout;

  choir_fanout_begin (&fanout, broadcaster, &message);
  for (guint i = 0; i < G_N_ELEMENTS (clients); i++)
    {
      client_init (&clients[i], i / 2 / CHOIR_N_VARIANTS, i / 2 % CHOIR_N_VARIANTS);
      choir_fanout_push (&fanout, &clients[i].outbox);
    }
  g_assert_cmpuint (fanout.n_recipients, ==, G_N_ELEMENTS (clients));
  choir_fanout_end (&fanout);

  for (guint i = 0; i < G_N_ELEMENTS (clients); i += 2)
    {
      ChoirFrame *frame = choir_outbox_get_frame (&clients[i].outbox, 0);
      gboolean deflated = i / 2 % CHOIR_N_VARIANTS != CHOIR_VARIANT_PLAIN;

      g_assert_true (frame == choir_outbox_get_frame (&clients[i + 1].outbox, 0));
      g_assert_cmpuint (frame->n_refs, ==, 2);
      g_assert_cmpuint (*choir_frame_get_data (frame) & 0x40, ==, deflated ? 0x40 : 0);
      g_assert_true (deflated == (frame->len < 500));
    }
  for (guint i = 0; i < G_N_ELEMENTS (clients); i++)
    choir_outbox_clear (&clients[i].outbox);
}

/* What is small is not compressed, and a dialect that does not know a type is left out */
static void
test_exceptions (void)
{
  g_autoptr (ChoirBroadcaster) broadcaster = choir_broadcaster_new ();
  ChoirMessage small = make_message ("note", "{}");
  ChoirMessage heartbeat = make_message ("heartbeat", "{}");
  Client wide, netra;
  ChoirFanout fanout;

  client_init (&wide, CHOIR_DIALECT_CHOIR, CHOIR_VARIANT_WIDE);
  client_init (&netra, CHOIR_DIALECT_NETRA, CHOIR_VARIANT_PLAIN);
  g_assert_true (choir_broadcaster_send (broadcaster, &wide.outbox, &small));
  g_assert_cmpuint (*choir_frame_get_data (choir_outbox_get_frame (&wide.outbox, 0)), ==, 0x81);
  g_assert_false (choir_broadcaster_send (broadcaster, &netra.outbox, &heartbeat));

  choir_fanout_begin (&fanout, broadcaster, &heartbeat);
  choir_fanout_push (&fanout, &netra.outbox);
  choir_fanout_push (&fanout, &netra.outbox);
  choir_fanout_push (&fanout, &wide.outbox);
  choir_fanout_end (&fanout);
  g_assert_cmpuint (fanout.n_recipients, ==, 1);
  g_assert_cmpuint (netra.outbox.n_frames, ==, 0);
  choir_outbox_clear (&wide.outbox);
  choir_outbox_clear (&netra.outbox);
}

/* A window of its own: what goes before helps what comes after */
static void
test_own_window (void)
{
  g_autoptr (ChoirBroadcaster) broadcaster = choir_broadcaster_new ();
  g_autoptr (GRand) rand = g_rand_new_with_seed (1);
  GString *payload = g_string_new ("{\"t\":\"");
  ChoirMessage message;
  Client client;
  gsize first, second;

  for (guint i = 0; i < 1500; i++)
    g_string_append_c (payload, 'a' + g_rand_int_range (rand, 0, 26));
  g_string_append (payload, "\"}");
  message = make_message ("note", payload->str);
  client_init (&client, CHOIR_DIALECT_CHOIR, CHOIR_VARIANT_PLAIN);
  client.outbox.deflater = choir_deflater_new (12, 4, 3, TRUE);
  for (guint i = 0; i < 2; i++)
    {
      ChoirFanout fanout;

      choir_fanout_begin (&fanout, broadcaster, &message);
      choir_fanout_push (&fanout, &client.outbox);
      g_assert_cmpuint (fanout.n_recipients, ==, 1);
      choir_fanout_end (&fanout);
    }
  /* one that takes nothing more is none that got it */
  client.outbox.flags |= CHOIR_OUTBOX_CLOSED;
  {
    ChoirFanout fanout;

    choir_fanout_begin (&fanout, broadcaster, &message);
    choir_fanout_push (&fanout, &client.outbox);
    g_assert_cmpuint (fanout.n_recipients, ==, 0);
    choir_fanout_end (&fanout);
  }
  first = choir_outbox_get_frame (&client.outbox, 0)->len;
  second = choir_outbox_get_frame (&client.outbox, 1)->len;
  g_assert_cmpuint (second, <, first / 4);
  choir_outbox_clear (&client.outbox);
  g_string_free (payload, TRUE);
}

static void
test_channel (void)
{
  g_autoptr (ChoirBroadcaster) broadcaster = choir_broadcaster_new ();
  ChoirNamespace ns = { .history_size = 0 };
  ChoirHistoryBudget budget = { 0, 1000 };
  ChoirChannel *channel = choir_channel_new ("chat:1", &ns, &budget);
  ChoirMessage message = make_message ("note", "{}");
  ChoirSubscription subscriptions[10] = { 0 };
  Client clients[10];

  g_assert_cmpuint (choir_broadcaster_send_to_channel (broadcaster, channel, &message, NULL), ==,
                    0);
  for (guint i = 0; i < G_N_ELEMENTS (clients); i++)
    {
      client_init (&clients[i], CHOIR_DIALECT_CHOIR, CHOIR_VARIANT_PLAIN);
      subscriptions[i].outbox = &clients[i].outbox;
      subscriptions[i].session = (ChoirSession *) &clients[i];
      choir_channel_add (channel, &subscriptions[i]);
    }
  g_assert_cmpuint (choir_broadcaster_send_to_channel (broadcaster, channel, &message,
                                                       (ChoirSession *) &clients[4]),
                    ==, 9);
  for (guint i = 0; i < G_N_ELEMENTS (clients); i++)
    {
      g_assert_cmpuint (clients[i].outbox.n_frames, ==, i == 4 ? 0 : 1);
      choir_channel_remove (channel, &subscriptions[i]);
      choir_outbox_clear (&clients[i].outbox);
    }
  choir_channel_free (channel);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/broadcaster/sharing", test_sharing);
  g_test_add_func ("/broadcaster/exceptions", test_exceptions);
  g_test_add_func ("/broadcaster/own-window", test_own_window);
  g_test_add_func ("/broadcaster/channel", test_channel);

  return g_test_run ();
}
