/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-outbox.h"

#include <string.h>

typedef struct
{
  ChoirOutbox outbox; /* first: its address is the owner's */
  ChoirOutboxLimits limits;
  guint n_wakes;
  guint n_overflows;
} Owner;

static void
wake (ChoirOutbox *outbox)
{
  ((Owner *) outbox)->n_wakes++;
}

static void
overflow (ChoirOutbox *outbox)
{
  ((Owner *) outbox)->n_overflows++;
}

static const ChoirOutboxFuncs funcs = { wake, overflow };

static void
set_up (Owner *self, gconstpointer data)
{
  self->limits.max_bytes = 1000;
  choir_outbox_init (&self->outbox, &funcs, &self->limits);
}

static void
tear_down (Owner *self, gconstpointer data)
{
  choir_outbox_clear (&self->outbox);
  g_assert_cmpuint (self->outbox.n_bytes, ==, 0);
}

/* A frame of @len bytes in all, whose payload is @letter */
static void
push (Owner *self, gsize len, char letter)
{
  g_autofree char *payload = g_strnfill (len - 2, letter);
  g_autoptr (ChoirFrame) frame = choir_frame_new (CHOIR_OPCODE_TEXT, payload, len - 2);

  g_assert_cmpuint (frame->len, ==, len);
  choir_outbox_push (&self->outbox, frame);
}

static void
assert_state (Owner *self, guint n_frames, gsize n_bytes)
{
  g_assert_cmpuint (self->outbox.n_frames, ==, n_frames);
  g_assert_cmpuint (self->outbox.n_bytes, ==, n_bytes);
}

static void
test_single (Owner *self, gconstpointer data)
{
  push (self, 10, 'a');
  g_assert_nonnull (self->outbox.single);
  g_assert_null (self->outbox.queue);
  g_assert_cmpuint (self->n_wakes, ==, 1);
  choir_outbox_forget_single (&self->outbox);
  assert_state (self, 0, 0);

  /* awake until the flush has ended */
  push (self, 10, 'a');
  push (self, 10, 'b');
  g_assert_cmpuint (self->n_wakes, ==, 2);
  choir_outbox_consume (&self->outbox, 20);
  assert_state (self, 0, 0);
  g_assert_null (self->outbox.queue);
  push (self, 10, 'c');
  g_assert_cmpuint (self->n_wakes, ==, 2);
}

/* Against a plain list of letters, whatever is written in whatever pieces */
static void
test_model (Owner *self, gconstpointer data)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (3);
  g_autoptr (GString) sent = g_string_new (NULL);
  g_autoptr (GString) got = g_string_new (NULL);

  self->limits.max_bytes = 100000;
  for (guint step = 0; step < 20000; step++)
    {
      struct iovec iov[4];
      gsize room = g_rand_int_range (rand, 0, 60);
      gsize taken = 0;
      guint n;

      if (g_rand_boolean (rand) && self->outbox.n_frames < 100)
        {
          char letter = 'a' + step % 26;

          push (self, g_rand_int_range (rand, 3, 40), letter);
          g_string_append_c (sent, letter);
        }

      n = choir_outbox_peek (&self->outbox, iov, G_N_ELEMENTS (iov));
      for (guint i = 0; i < n && taken < room; i++)
        {
          gsize part = MIN (iov[i].iov_len, room - taken);
          const char *bytes = iov[i].iov_base;

          if (part == iov[i].iov_len)
            g_string_append_c (got, bytes[part - 1]);
          taken += part;
        }
      choir_outbox_consume (&self->outbox, taken);
    }
  while (self->outbox.n_frames > 0)
    {
      struct iovec iov;

      choir_outbox_peek (&self->outbox, &iov, 1);
      g_string_append_c (got, ((const char *) iov.iov_base)[iov.iov_len - 1]);
      choir_outbox_consume (&self->outbox, iov.iov_len);
    }
  assert_state (self, 0, 0);
  g_assert_cmpstr (got->str, ==, sent->str);
}

static void
test_overflow (Owner *self, gconstpointer data)
{
  for (guint i = 0; i < 10; i++)
    push (self, 100, 'a');
  g_assert_cmpuint (self->n_overflows, ==, 0);
  push (self, 3, 'b');
  push (self, 3, 'c');
  g_assert_cmpuint (self->n_overflows, ==, 1);
  assert_state (self, 10, 1000);
}

static void
test_drop_unsent (Owner *self, gconstpointer data)
{
  for (guint i = 0; i < 6; i++)
    push (self, 100, 'a' + i);
  choir_outbox_consume (&self->outbox, 130);
  choir_outbox_drop_unsent (&self->outbox, 0);
  assert_state (self, 1, 100);
  g_assert_cmpuint (self->outbox.written, ==, 30);
  choir_outbox_consume (&self->outbox, 70);
  assert_state (self, 0, 0);

  /* nothing begun: all goes */
  push (self, 100, 'a');
  choir_outbox_drop_unsent (&self->outbox, 0);
  assert_state (self, 0, 0);

  /* a TLS record under way holds the frames it reaches into */
  for (guint i = 0; i < 6; i++)
    push (self, 100, 'a' + i);
  choir_outbox_consume (&self->outbox, 50);
  choir_outbox_drop_unsent (&self->outbox, 151);
  assert_state (self, 3, 300);
  choir_outbox_drop_unsent (&self->outbox, 150);
  assert_state (self, 2, 200);
  choir_outbox_drop_unsent (&self->outbox, 100000);
  assert_state (self, 2, 200);
}

static void
test_replace (Owner *self, gconstpointer data)
{
  for (guint i = 0; i < 5; i++)
    push (self, 100, 'a' + i);
  choir_outbox_consume (&self->outbox, 10);
  choir_outbox_replace_unsent (&self->outbox, 1, 3,
                               choir_frame_new (CHOIR_OPCODE_TEXT, "joined", 6));
  assert_state (self, 3, 208);
  choir_outbox_consume (&self->outbox, 90 + 8);
  assert_state (self, 1, 100);
  choir_outbox_replace_unsent (&self->outbox, 0, 1, choir_frame_new (CHOIR_OPCODE_TEXT, "x", 1));
  assert_state (self, 1, 3);
}

static void
test_clear (Owner *self, gconstpointer data)
{
  push (self, 100, 'a');
  push (self, 100, 'b');
  choir_outbox_clear (&self->outbox);
  push (self, 100, 'c');
  assert_state (self, 0, 0);
  g_assert_cmpuint (self->n_overflows, ==, 0);
}

static gboolean
push_large (Owner *self, gsize len, guint max_large)
{
  g_autofree char *payload = g_strnfill (len - 4, 'L');
  g_autoptr (ChoirFrame) frame = choir_frame_new (CHOIR_OPCODE_TEXT, payload, len - 4);

  g_assert_cmpuint (frame->len, ==, len);

  return choir_outbox_push_large (&self->outbox, frame, max_large);
}

/* What was asked for may be larger than the limit, and the others have the room they always had */
static void
test_large (Owner *self, gconstpointer data)
{
  g_assert_true (push_large (self, 5000, 2));
  g_assert_cmpuint (self->n_wakes, ==, 1);
  for (guint i = 0; i < 10; i++)
    push (self, 100, 'a');
  g_assert_cmpuint (self->n_overflows, ==, 0);
  g_assert_true (push_large (self, 3000, 2));
  g_assert_false (push_large (self, 300, 2));
  assert_state (self, 12, 9000);
  g_assert_false (choir_outbox_fits (&self->outbox, 1));

  /* the first has left: another may come, but the small ones have not become fewer */
  choir_outbox_consume (&self->outbox, 4999);
  g_assert_false (push_large (self, 300, 2));
  choir_outbox_consume (&self->outbox, 1);
  g_assert_true (push_large (self, 300, 2));
  g_assert_true (push_large (self, 300, 3));
  g_assert_cmpuint (self->n_overflows, ==, 0);
  push (self, 100, 'b');
  g_assert_cmpuint (self->n_overflows, ==, 1);

  /* refused silently from now on, like all else */
  g_assert_true (push_large (self, 300, 9));
  assert_state (self, 13, 4600);
}

/* However it leaves, it no longer counts */
static void
test_large_leaves (Owner *self, gconstpointer data)
{
  push (self, 10, 'a');
  g_assert_true (push_large (self, 5000, 2));
  choir_outbox_drop_unsent (&self->outbox, 0);
  assert_state (self, 0, 0);
  g_assert_true (choir_outbox_fits (&self->outbox, 1000));
  g_assert_false (choir_outbox_fits (&self->outbox, 1001));

  g_assert_true (push_large (self, 5000, 1));
  choir_outbox_replace_unsent (&self->outbox, 0, 1, choir_frame_new (CHOIR_OPCODE_TEXT, "x", 1));
  assert_state (self, 1, 3);
  g_assert_true (choir_outbox_fits (&self->outbox, 997));
  choir_outbox_consume (&self->outbox, 3);

  g_assert_true (push_large (self, 5000, 1));
  choir_outbox_clear (&self->outbox);
  g_assert_true (choir_outbox_fits (&self->outbox, 1000));
}

static void
push_lane (Owner *self, char letter, guint32 lane, guint8 priority)
{
  g_autoptr (ChoirFrame) frame = choir_frame_new (CHOIR_OPCODE_TEXT, &letter, 1);

  g_assert_cmpuint (frame->lane, ==, 0);
  g_assert_cmpuint (frame->priority, ==, 0);
  frame->lane = lane;
  frame->priority = priority;
  choir_outbox_push (&self->outbox, frame);
}

/* The payloads of all that waits, of one byte each */
static void
assert_order (Owner *self, const char *letters)
{
  g_autoptr (GString) order = g_string_new (NULL);

  for (guint i = 0; i < self->outbox.n_frames; i++)
    {
      gsize len;
      const guint8 *payload =
        choir_frame_get_payload (choir_outbox_get_frame (&self->outbox, i), &len);

      g_string_append_len (order, (const char *) payload, (gssize) len);
    }
  g_assert_cmpstr (order->str, ==, letters);
}

/* Nothing overtakes as long as the client keeps up, nor once it does so again */
static void
test_keeping_up (Owner *self, gconstpointer data)
{
  push_lane (self, 'a', 1, 0);
  push_lane (self, 'b', 1, 0);
  push_lane (self, 'c', 2, 9);
  assert_order (self, "abc");

  choir_outbox_block (&self->outbox, 0);
  push_lane (self, 'd', 2, 9);
  assert_order (self, "abcd");
  choir_outbox_consume (&self->outbox, 12);
  push_lane (self, 'a', 1, 0);
  push_lane (self, 'b', 1, 0);
  push_lane (self, 'c', 2, 9);
  assert_order (self, "abc");
  choir_outbox_consume (&self->outbox, 9);

  /* the short way out of a single frame */
  push_lane (self, 'a', 1, 0);
  choir_outbox_block (&self->outbox, 0);
  choir_outbox_forget_single (&self->outbox);
  push_lane (self, 'a', 1, 0);
  push_lane (self, 'b', 1, 0);
  push_lane (self, 'c', 2, 9);
  assert_order (self, "abc");
}

static void
test_priority (Owner *self, gconstpointer data)
{
  push_lane (self, 'a', 1, 0);
  push_lane (self, 'b', 1, 0);
  choir_outbox_block (&self->outbox, 0);
  push_lane (self, 'c', 1, 0);

  /* not before what may have been begun */
  push_lane (self, 'X', 2, 5);
  assert_order (self, "aXbc");
  /* its own lane keeps its order, and so do equals */
  push_lane (self, 'Y', 2, 5);
  push_lane (self, 'Z', 3, 5);
  push_lane (self, 'd', 1, 0);
  assert_order (self, "aXYZbcd");
  push_lane (self, 'S', 4, 9);
  assert_order (self, "aSXYZbcd");
  push_lane (self, 'm', 5, 3);
  assert_order (self, "aSXYZmbcd");
  assert_state (self, 9, 27);

  /* answers are of no lane: they overtake nothing, and nothing overtakes them */
  push_lane (self, '!', 0, 0);
  push_lane (self, 'T', 4, 9);
  push_lane (self, 'e', 1, 0);
  push_lane (self, 'U', 4, 9);
  assert_order (self, "aSXYZmbcd!TUe");

  /* what of its own lane waits behind a lower one stops it as well */
  push_lane (self, 'f', 6, 0);
  push_lane (self, 'g', 7, 1);
  push_lane (self, 'h', 6, 2);
  assert_order (self, "aSXYZmbcd!TUgefh");
}

/* Bytes that the next write must begin with (a TLS record under way) hold their frames */
static void
test_priority_promised (Owner *self, gconstpointer data)
{
  for (guint i = 0; i < 6; i++)
    push_lane (self, (char) ('a' + i), 1, 0);

  choir_outbox_block (&self->outbox, 7);
  push_lane (self, 'X', 2, 5);
  assert_order (self, "abcXdef");

  /* part of it written: the rest is promised anew */
  choir_outbox_consume (&self->outbox, 7);
  choir_outbox_block (&self->outbox, 3);
  push_lane (self, 'Y', 3, 6);
  assert_order (self, "cXYdef");

  /* too many to count: all keep their places */
  choir_outbox_clear (&self->outbox);
  choir_outbox_init (&self->outbox, &funcs, &self->limits);
  for (guint i = 0; i < 300; i++)
    push_lane (self, 'a', 1, 0);
  choir_outbox_block (&self->outbox, 299 * 3);
  push_lane (self, 'X', 2, 5);
  g_assert_cmpuint (choir_outbox_get_frame (&self->outbox, 300)->priority, ==, 5);
}

/* A large one, a window of the client's own, and a long queue */
static void
test_priority_bounds (Owner *self, gconstpointer data)
{
  push_lane (self, 'a', 1, 0);
  choir_outbox_block (&self->outbox, 0);
  g_assert_true (push_large (self, 5000, 1));
  choir_outbox_get_frame (&self->outbox, 1)->lane = 1;
  push_lane (self, 'b', 1, 0);
  push_lane (self, 'X', 2, 5);
  g_assert_cmpuint (choir_outbox_get_frame (&self->outbox, 1)->len, ==, 5000);
  g_assert_cmpuint (choir_outbox_get_frame (&self->outbox, 2)->priority, ==, 5);
  g_assert_true (choir_outbox_fits (&self->outbox, 991));
  choir_outbox_consume (&self->outbox, 5009);
  assert_state (self, 0, 0);

  push_lane (self, 'a', 1, 0);
  choir_outbox_block (&self->outbox, 0);
  for (guint i = 0; i < 200; i++)
    push_lane (self, 'b', 1, 0);
  push_lane (self, 'X', 2, 5);
  g_assert_cmpuint (choir_outbox_get_frame (&self->outbox, 201 - 64)->priority, ==, 5);
  choir_outbox_consume (&self->outbox, 202 * 3);

  self->outbox.deflater = choir_deflater_new (12, 4, 3, TRUE);
  push_lane (self, 'a', 1, 0);
  choir_outbox_block (&self->outbox, 0);
  push_lane (self, 'b', 1, 0);
  push_lane (self, 'X', 2, 5);
  assert_order (self, "abX");
}

/* Whatever is pushed and written: lanes keep their order, answers their places, and each byte goes
 * once */
static void
test_priority_any (Owner *self, gconstpointer data)
{
  guint32 next_in[4] = { 0 }, next_out[4] = { 0 };
  guint n_answers_in = 0, n_answers_out = 0;
  gsize n_in = 0, n_out = 0;

  self->limits.max_bytes = 1 << 20;
  for (guint round = 0; round < 20000; round++)
    {
      guint lane = g_test_rand_int_range (0, 4);
      guint32 value[2] = { lane, next_in[lane]++ };
      g_autoptr (ChoirFrame) frame = choir_frame_new (CHOIR_OPCODE_BINARY, value, sizeof value);

      frame->lane = lane;
      frame->priority = lane == 0 ? 0 : (guint8) (lane * 3 - 1);
      choir_outbox_push (&self->outbox, frame);
      n_in += frame->len;
      n_answers_in += lane == 0;

      if (g_test_rand_int_range (0, 3) == 0)
        choir_outbox_block (&self->outbox, g_test_rand_int_range (0, 30));
      while (self->outbox.n_frames > 0 && g_test_rand_int_range (0, 2) == 0)
        {
          const ChoirFrame *first = choir_outbox_get_frame (&self->outbox, 0);
          gsize len;
          const guint8 *payload = choir_frame_get_payload (first, &len);

          memcpy (value, payload, sizeof value);
          g_assert_cmpuint (value[1], ==, next_out[value[0]]++);
          n_answers_out += value[0] == 0;
          n_out += first->len;
          choir_outbox_consume (&self->outbox, first->len);
        }
      g_assert_cmpuint (self->outbox.n_bytes, ==, n_in - n_out);
    }

  while (self->outbox.n_frames > 0)
    {
      n_answers_out += choir_outbox_get_frame (&self->outbox, 0)->lane == 0;
      choir_outbox_consume (&self->outbox, choir_outbox_get_frame (&self->outbox, 0)->len);
    }
  g_assert_cmpuint (n_answers_out, ==, n_answers_in);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

#define ADD(name, func) g_test_add ("/outbox/" name, Owner, NULL, set_up, func, tear_down)
  ADD ("single", test_single);
  ADD ("model", test_model);
  ADD ("overflow", test_overflow);
  ADD ("drop-unsent", test_drop_unsent);
  ADD ("replace", test_replace);
  ADD ("clear", test_clear);
  ADD ("large", test_large);
  ADD ("large-leaves", test_large_leaves);
  ADD ("keeping-up", test_keeping_up);
  ADD ("priority", test_priority);
  ADD ("priority-promised", test_priority_promised);
  ADD ("priority-bounds", test_priority_bounds);
  ADD ("priority-any", test_priority_any);

  return g_test_run ();
}
