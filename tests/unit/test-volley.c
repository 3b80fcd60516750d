/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-volley.h"

#include <string.h>

typedef struct
{
  ChoirOutbox outbox; /* first: its address is the owner's */
  guint n_overflows;
} Client;

static void
ignore (ChoirOutbox *outbox)
{
}

static void
overflow (ChoirOutbox *outbox)
{
  ((Client *) outbox)->n_overflows++;
}

static const ChoirOutboxFuncs funcs = { ignore, overflow };
static ChoirOutboxLimits limits = { 1024 * 1024 };

static void
client_init (Client *self, ChoirDialectId dialect, ChoirVariant variant)
{
  memset (self, 0, sizeof *self);
  choir_outbox_init (&self->outbox, &funcs, &limits);
  self->outbox.variant = dialect * CHOIR_N_VARIANTS + variant;
}

/* Plain messages of any length, told apart by their letters */
typedef struct
{
  gsize len;
  guint n_encoded;
} Source;

static ChoirFrame *
make_frame (char letter, gsize len)
{
  g_autofree char *text = g_strnfill (len, letter);

  return choir_frame_new (CHOIR_OPCODE_TEXT, text, len);
}

static ChoirFrame *
encode (const ChoirDialect *dialect, guint i, gpointer user_data)
{
  Source *source = user_data;

  source->n_encoded++;

  /* which this one does not know */
  if (choir_dialect_get_id (dialect) == CHOIR_DIALECT_NETRA && i == 1)
    return NULL;

  return make_frame ((char) ('a' + i), source->len);
}

static gboolean
edit (guint i, ChoirFrame **out, gpointer user_data)
{
  const char *instead = user_data;

  if (instead[i] == '=')
    return FALSE;

  *out = instead[i] != '-' ? make_frame (instead[i], 3) : NULL;

  return TRUE;
}

/* @instead: for each message what comes in its place: '=' itself, '-' nothing, else that letter */
static void
push_edited (ChoirVolley *volley, ChoirOutbox *outbox, const char *instead)
{
  choir_volley_push_edited (volley, outbox, edit, (gpointer) instead);
}

/* What has been queued, as letters: ',' between blocks, '|' between the frames of one */
static char *
describe (Client *self)
{
  g_autoptr (GString) out = g_string_new (NULL);

  for (guint i = 0; i < self->outbox.n_frames; i++)
    {
      const ChoirFrame *block = choir_outbox_get_frame (&self->outbox, i);
      const guint8 *at = choir_frame_get_data (block);

      if (i > 0)
        g_string_append_c (out, ',');
      for (gsize n = 0; n < block->len; n += 2 + at[n + 1])
        {
          g_assert_cmpuint (at[n], ==, 0x80 | CHOIR_OPCODE_TEXT);
          g_assert_cmpuint (at[n + 1], <, 126);
          if (n > 0)
            g_string_append_c (out, '|');
          g_string_append_len (out, (const char *) at + n + 2, at[n + 1]);
        }
    }

  return g_string_free (g_steal_pointer (&out), FALSE);
}

static void
assert_got (Client *self, const char *expected)
{
  g_autofree char *got = describe (self);

  g_assert_cmpstr (got, ==, expected);
  choir_outbox_clear (&self->outbox);
}

/* One block for each kind of recipient, whatever is in it, and one encoding for each dialect */
static void
test_sharing (void)
{
  g_autoptr (ChoirBroadcaster) broadcaster = choir_broadcaster_new ();
  Client clients[CHOIR_N_DIALECTS * CHOIR_N_VARIANTS * 2];
  Source source = { 2000, 0 };
  ChoirVolley volley;

  choir_volley_begin (&volley, broadcaster, 3, 10, encode, &source);
  for (guint i = 0; i < G_N_ELEMENTS (clients); i++)
    {
      client_init (&clients[i], i / 2 / CHOIR_N_VARIANTS, i / 2 % CHOIR_N_VARIANTS);
      choir_volley_push (&volley, &clients[i].outbox);
    }
  choir_volley_end (&volley);
  g_assert_cmpuint (source.n_encoded, ==, 3 * CHOIR_N_DIALECTS);

  for (guint i = 0; i < G_N_ELEMENTS (clients); i += 2)
    {
      ChoirFrame *block = choir_outbox_get_frame (&clients[i].outbox, 0);
      gboolean deflated = i / 2 % CHOIR_N_VARIANTS != CHOIR_VARIANT_PLAIN;
      guint n = i / 2 / CHOIR_N_VARIANTS == CHOIR_DIALECT_NETRA ? 2 : 3;

      g_assert_cmpuint (clients[i].outbox.n_frames, ==, 1);
      g_assert_true (block == choir_outbox_get_frame (&clients[i + 1].outbox, 0));
      g_assert_cmpuint (block->n_refs, ==, 2);
      g_assert_cmpuint (block->flags, ==, CHOIR_FRAME_JOINED);
      g_assert_cmpuint (*choir_frame_get_data (block) & 0x40, ==, deflated ? 0x40 : 0);
      g_assert_true (deflated ? block->len < 500 : block->len == n * 2004);
    }
  for (guint i = 0; i < G_N_ELEMENTS (clients); i++)
    choir_outbox_clear (&clients[i].outbox);
}

static void
test_order (void)
{
  g_autoptr (ChoirBroadcaster) broadcaster = choir_broadcaster_new ();
  Client all, few, none, some, own;
  Source source = { 2, 0 };
  ChoirVolley volley;

  client_init (&all, CHOIR_DIALECT_CHOIR, CHOIR_VARIANT_PLAIN);
  client_init (&few, CHOIR_DIALECT_NETRA, CHOIR_VARIANT_WIDE);
  client_init (&none, CHOIR_DIALECT_CHOIR, CHOIR_VARIANT_PLAIN);
  client_init (&some, CHOIR_DIALECT_CHOIR, CHOIR_VARIANT_NARROW);
  client_init (&own, CHOIR_DIALECT_NETRA, CHOIR_VARIANT_PLAIN);

  choir_volley_begin (&volley, broadcaster, 4, 10, encode, &source);
  choir_volley_push (&volley, &all.outbox);
  choir_volley_push (&volley, &few.outbox);
  push_edited (&volley, &none.outbox, "----");
  push_edited (&volley, &some.outbox, "=-Q=");
  push_edited (&volley, &own.outbox, "W=YZ");
  g_assert_cmpuint (volley.n_sent, ==, 4 + 3 + 0 + 3 + 3);
  choir_volley_end (&volley);

  assert_got (&all, "aa|bb|cc|dd");
  assert_got (&few, "aa|cc|dd");
  assert_got (&none, "");
  assert_got (&some, "aa|QQQ|dd");
  assert_got (&own, "WWW|YYY|ZZZ");
}

/* Who takes arrays gets arrays, no larger than they may be; one message is no array */
static void
test_arrays (void)
{
  static const struct
  {
    guint n;
    const char *all;
    const char *edited; /* without the first, and with another second one */
  } rows[] = {
    { 1, "aa", "" },
    { 2, "[aa,bb]", "QQQ" },
    { 3, "[aa,bb,cc]", "[QQQ,cc]" },
    { 4, "[aa,bb,cc]|dd", "[QQQ,cc,dd]" },
    { 7, "[aa,bb,cc]|[dd,ee,ff]|gg", "[QQQ,cc,dd]|[ee,ff,gg]" },
  };
  g_autoptr (ChoirBroadcaster) broadcaster = choir_broadcaster_new ();

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      Client first, second, editor;
      Source source = { 2, 0 };
      ChoirVolley volley;

      client_init (&first, CHOIR_DIALECT_CHOIR, CHOIR_VARIANT_PLAIN);
      client_init (&second, CHOIR_DIALECT_CHOIR, CHOIR_VARIANT_PLAIN);
      client_init (&editor, CHOIR_DIALECT_CHOIR, CHOIR_VARIANT_PLAIN);
      first.outbox.flags = second.outbox.flags = editor.outbox.flags = CHOIR_OUTBOX_BATCHES;

      choir_volley_begin (&volley, broadcaster, rows[i].n, 3, encode, &source);
      choir_volley_push (&volley, &first.outbox);
      choir_volley_push (&volley, &second.outbox);
      push_edited (&volley, &editor.outbox, "-Q=====");
      choir_volley_end (&volley);

      g_assert_true (choir_outbox_get_frame (&first.outbox, 0) ==
                     choir_outbox_get_frame (&second.outbox, 0));
      assert_got (&first, rows[i].all);
      assert_got (&second, rows[i].all);
      assert_got (&editor, rows[i].edited);
    }
}

/* A compression window of one's own sees the messages one by one */
static void
test_own_window (void)
{
  g_autoptr (ChoirBroadcaster) broadcaster = choir_broadcaster_new ();
  Client client;
  Source source = { 2000, 0 };
  ChoirVolley volley;

  client_init (&client, CHOIR_DIALECT_CHOIR, CHOIR_VARIANT_PLAIN);
  client.outbox.deflater = choir_deflater_new (12, 4, 3, TRUE);
  choir_volley_begin (&volley, broadcaster, 2, 10, encode, &source);
  choir_volley_push (&volley, &client.outbox);
  push_edited (&volley, &client.outbox, "-=");
  choir_volley_end (&volley);

  g_assert_cmpuint (client.outbox.n_frames, ==, 3);
  for (guint i = 0; i < 3; i++)
    {
      const ChoirFrame *frame = choir_outbox_get_frame (&client.outbox, i);

      g_assert_cmpuint (*choir_frame_get_data (frame), ==, 0xc0 | CHOIR_OPCODE_TEXT);
      g_assert_cmpuint (frame->len, <, 100);
    }
  /* the third message has been seen before */
  g_assert_cmpuint (choir_outbox_get_frame (&client.outbox, 2)->len, <=,
                    choir_outbox_get_frame (&client.outbox, 1)->len);
  choir_outbox_clear (&client.outbox);
}

/* A paste as large as the queue does not close all who look on; many of them close who reads none
 */
static void
test_large (void)
{
  g_autoptr (ChoirBroadcaster) broadcaster = choir_broadcaster_new ();
  Client clients[2];
  Source source = { 700, 0 };

  limits.max_bytes = 2000;
  for (guint i = 0; i < G_N_ELEMENTS (clients); i++)
    client_init (&clients[i], CHOIR_DIALECT_CHOIR, CHOIR_VARIANT_PLAIN);

  for (guint round = 1; round <= 5; round++)
    {
      ChoirVolley volley;

      choir_volley_begin (&volley, broadcaster, 3, 10, encode, &source);
      for (guint i = 0; i < G_N_ELEMENTS (clients); i++)
        choir_volley_push (&volley, &clients[i].outbox);
      push_edited (&volley, &clients[1].outbox, "-==");
      choir_volley_end (&volley);

      /* the second one reads */
      choir_outbox_consume (&clients[1].outbox, clients[1].outbox.n_bytes);
      g_assert_cmpuint (clients[0].outbox.n_large, ==, MIN (round, CHOIR_OUTBOX_LARGE_MAX));
      g_assert_cmpuint (clients[0].n_overflows, ==, round > CHOIR_OUTBOX_LARGE_MAX);
      g_assert_true (choir_outbox_fits (&clients[0].outbox, 2000));
    }

  g_assert_cmpuint (clients[1].n_overflows, ==, 0);
  g_assert_cmpuint (clients[1].outbox.n_large, ==, 0);
  choir_outbox_clear (&clients[0].outbox);
  choir_outbox_clear (&clients[1].outbox);
  limits.max_bytes = 1024 * 1024;
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/volley/sharing", test_sharing);
  g_test_add_func ("/volley/order", test_order);
  g_test_add_func ("/volley/arrays", test_arrays);
  g_test_add_func ("/volley/own-window", test_own_window);
  g_test_add_func ("/volley/large", test_large);

  return g_test_run ();
}
