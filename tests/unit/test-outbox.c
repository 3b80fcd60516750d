/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-outbox.h"

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

  return g_test_run ();
}
