/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * A rope beside a plain string to which the same is done, one character after the other. Built a
 * second time with small leaves and nodes, which make high trees of short texts.
 */

#include "config.h"

#include "choir-rope-private.h"
#include "choir-trace.h"

#define MEGABYTE 1000000

static const gunichar characters[] = {
  'a',    ' ',     '\n',   0x7f,   0xe9,    0x301,   0x7ff,   0x800,    0x4e2d,
  0xac00, 0x1f600, 0x200d, 0xfe0f, 0x1f468, 0x1f3fd, 0x10000, 0x10ffff, 0,
};

typedef struct
{
  GRand *rand;
  ChoirRope *rope;
  GString *text;
  gsize n_chars;
} Fixture;

static void
set_up (Fixture *self, gconstpointer data)
{
  self->rand = g_rand_new_with_seed (GPOINTER_TO_UINT (data) + 1);
  self->rope = choir_rope_new ();
  self->text = g_string_new (NULL);
}

static void
tear_down (Fixture *self, gconstpointer data)
{
  g_rand_free (self->rand);
  choir_rope_free (self->rope);
  g_string_free (self->text, TRUE);
}

static gsize
pick (GRand *rand, gsize n)
{
  return n == 0 ? 0 : (gsize) g_rand_int_range (rand, 0, (gint32) n);
}

/* MIN() would evaluate what is picked a second time */
static gsize
least (gsize a, gsize b)
{
  return a < b ? a : b;
}

/* Half of it is ASCII in runs, as in real texts, which is what leaves have a short way for */
static char *
make_text (GRand *rand, gsize n_chars, gsize *n_bytes)
{
  GString *text = g_string_new (NULL);

  while (n_chars > 0)
    {
      gboolean plain = g_rand_boolean (rand);
      gsize n = least (n_chars, 1 + pick (rand, 100));

      for (n_chars -= n; n > 0; n--)
        if (plain)
          g_string_append_c (text, (char) ('a' + pick (rand, 26)));
        else
          g_string_append_unichar (text, characters[pick (rand, G_N_ELEMENTS (characters))]);
    }
  *n_bytes = text->len;

  return g_string_free (text, FALSE);
}

static gsize
at_char (const char *text, gsize n_chars)
{
  return (gsize) (g_utf8_offset_to_pointer (text, (glong) n_chars) - text);
}

static void
insert (Fixture *self, gsize position, gsize n_chars)
{
  gsize n_bytes;
  g_autofree char *text = make_text (self->rand, n_chars, &n_bytes);

  choir_rope_insert (self->rope, position, text, n_bytes);
  g_string_insert_len (self->text, (gssize) at_char (self->text->str, position), text,
                       (gssize) n_bytes);
  self->n_chars += n_chars;
}

static void delete (Fixture *self, gsize position, gsize n_chars)
{
  gsize from = at_char (self->text->str, position);
  gsize n_bytes = at_char (self->text->str + from, n_chars);

  choir_rope_delete (self->rope, position, n_chars);
  g_string_erase (self->text, (gssize) from, (gssize) n_bytes);
  self->n_chars -= n_chars;
}

static void
assert_sound (Fixture *self)
{
  g_assert_cmpstr (choir_rope_find_fault (self->rope), ==, NULL);
  g_assert_cmpuint (choir_rope_get_n_bytes (self->rope), ==, self->text->len);
  g_assert_cmpuint (choir_rope_get_n_chars (self->rope), ==, self->n_chars);
}

static void
assert_same (Fixture *self)
{
  gsize n_bytes;
  g_autofree char *text = choir_rope_dup_text (self->rope, &n_bytes);
  g_autofree gunichar2 *utf16 = NULL;

  assert_sound (self);
  g_assert_cmpmem (text, n_bytes, self->text->str, self->text->len);
  g_assert_cmpint (text[n_bytes], ==, '\0');

  /* a NUL would end the conversion */
  for (gsize i = 0; i < n_bytes; i++)
    text[i] = text[i] == '\0' ? 'a' : text[i];
  if (n_bytes > 0)
    {
      glong n_utf16;

      utf16 = g_utf8_to_utf16 (text, (glong) n_bytes, NULL, &n_utf16, NULL);
      g_assert_nonnull (utf16);
      g_assert_cmpuint (choir_rope_get_n_utf16 (self->rope), ==, n_utf16);
    }
}

/* A tree of the least leaves and nodes is not higher */
static void
assert_low (Fixture *self)
{
  gsize n_bytes = choir_rope_get_n_bytes (self->rope);
  gsize lowest = CHOIR_ROPE_LEAF_MIN;

  for (guint level = 1; level <= self->rope->height; level++)
    lowest *= level == 1 ? 2 : CHOIR_ROPE_NODE_MIN;
  if (self->rope->height > 0)
    g_assert_cmpuint (lowest, <=, n_bytes);
}

/* What choir_rope_get_memory() promises. The small leaves of the second build can't keep it. */
static void
assert_modest (Fixture *self)
{
  if (CHOIR_ROPE_LEAF_MAX > 1000)
    g_assert_cmpuint (choir_rope_get_memory (self->rope), <=,
                      2 * choir_rope_get_n_bytes (self->rope) + 1024);
}

static void
test_empty (Fixture *self, gconstpointer data)
{
  g_autoptr (GString) out = g_string_new ("kept");
  ChoirRopeIter iter;
  const char *piece;
  gsize n_bytes;

  assert_same (self);
  g_assert_cmpuint (choir_rope_get_n_utf16 (self->rope), ==, 0);
  g_assert_cmpuint (choir_rope_get_memory (self->rope), <, 256);
  choir_rope_insert (self->rope, 0, "", 0);
  choir_rope_delete (self->rope, 0, 0);
  choir_rope_append_slice (self->rope, 0, 0, out);
  g_assert_cmpstr (out->str, ==, "kept");
  choir_rope_iter_init (&iter, self->rope, 0);
  g_assert_false (choir_rope_iter_next (&iter, &piece, &n_bytes));
  g_assert_cmpuint (choir_rope_chars_to_bytes (self->rope, 0), ==, 0);
  g_assert_cmpuint (choir_rope_bytes_to_chars (self->rope, 0), ==, 0);
  g_assert_cmpuint (choir_rope_chars_to_utf16 (self->rope, 0), ==, 0);
  g_assert_cmpuint (choir_rope_utf16_to_chars (self->rope, 0), ==, 0);
  assert_same (self);
}

static void
test_small (Fixture *self, gconstpointer data)
{
  g_autofree char *text = NULL;

  choir_rope_insert (self->rope, 0, "0123456789", 10);
  g_assert_cmpuint (choir_rope_get_memory (self->rope), <, 256);
  choir_rope_insert (self->rope, 3, "中\0é", 6);
  choir_rope_delete (self->rope, 4, 1);
  choir_rope_insert (self->rope, 12, "😀", 4);
  choir_rope_delete (self->rope, 0, 2);
  text = choir_rope_dup_text (self->rope, NULL);
  g_assert_cmpstr (text, ==, "2中é3456789😀");
  g_assert_cmpuint (choir_rope_get_n_chars (self->rope), ==, 11);
  g_assert_cmpuint (choir_rope_get_n_bytes (self->rope), ==, 17);
  g_assert_cmpuint (choir_rope_get_n_utf16 (self->rope), ==, 12);
}

static void
edit_somewhere (Fixture *self, gsize max_chars)
{
  gsize position = pick (self->rand, self->n_chars + 1);

  /* around the wanted length both happen as often */
  if (pick (self->rand, 2 * max_chars) >= self->n_chars)
    insert (self, position, 1 + pick (self->rand, 12));
  else
    delete (self, position, least (self->n_chars - position, 1 + pick (self->rand, 12)));
}

/* Short texts, where root, leaf and tree turn into each other, and texts of some leaves */
static void
test_random (Fixture *self, gconstpointer data)
{
  static const gsize lengths[] = { 20, 300, 1500, 8000 };

  for (guint i = 0; i < G_N_ELEMENTS (lengths); i++)
    {
      if (lengths[i] > self->n_chars)
        insert (self, pick (self->rand, self->n_chars), lengths[i] - self->n_chars);
      for (guint n = 0; n < 10000; n++)
        {
          edit_somewhere (self, lengths[i]);
          if (n % 32 == 0)
            assert_same (self);
        }
      assert_modest (self);
      assert_low (self);
    }
}

/* As people edit: most edits are where the last one was */
static void
test_near (Fixture *self, gconstpointer data)
{
  gsize position = 0;

  insert (self, 0, 4000);
  for (guint n = 0; n < 20000; n++)
    {
      if (pick (self->rand, 20) == 0)
        position = pick (self->rand, self->n_chars + 1);
      if (pick (self->rand, 3) > 0)
        insert (self, position++, 1);
      else if (position > 0)
        delete (self, --position, 1);
      if (n % 32 == 0)
        assert_same (self);
    }
  assert_modest (self);
}

static void
test_large (Fixture *self, gconstpointer data)
{
  insert (self, 0, MEGABYTE / 2);
  g_assert_cmpuint (self->rope->height, >=, 2);
  for (guint n = 0; n < 400; n++)
    {
      gsize position = pick (self->rand, self->n_chars + 1);
      gsize n_chars = pick (self->rand, 1 + pick (self->rand, 30000));

      if (g_rand_boolean (self->rand))
        insert (self, position, n_chars);
      else
        delete (self, position, least (self->n_chars - position, n_chars));
      if (n % 40 == 0)
        assert_same (self);
      assert_modest (self);
      assert_low (self);
    }

  insert (self, self->n_chars / 2, MEGABYTE);
  insert (self, 0, MEGABYTE);
  assert_same (self);
  delete (self, 1, self->n_chars - 2);
  assert_same (self);
  g_assert_cmpuint (self->rope->height, ==, 0);
  g_assert_cmpuint (choir_rope_get_memory (self->rope), <, 512);
}

/* Ranges of every size, down to nothing: each leaves two edges that have to be mended */
static void
test_cuts (Fixture *self, gconstpointer data)
{
  for (guint round = 0; round < 60; round++)
    {
      insert (self, 0, 20000);
      while (self->n_chars > 0)
        {
          gsize position = pick (self->rand, self->n_chars);
          gsize n = 1 + pick (self->rand, 1 + pick (self->rand, self->n_chars));

          delete (self, position, least (n, self->n_chars - position));
          assert_sound (self);
          assert_low (self);
        }
    }
  assert_same (self);
}

static void
test_drain (Fixture *self, gconstpointer data)
{
  for (guint from = 0; from < 3; from++)
    {
      insert (self, 0, 12000);
      while (self->n_chars > 0)
        {
          delete (self, from * (self->n_chars - 1) / 2, 1);
          if (self->n_chars % 64 == 0)
            {
              assert_same (self);
              assert_modest (self);
            }
        }
      g_assert_cmpuint (self->rope->height, ==, 0);
      g_assert_cmpuint (choir_rope_get_memory (self->rope), <, 512);
    }
}

/* What leaves as many leaves as possible with little in them */
static void
test_thinned (Fixture *self, gconstpointer data)
{
  insert (self, 0, 200000);
  for (gsize position = 0; position < self->n_chars; position += 2)
    {
      gsize n = least (self->n_chars - position, 1 + CHOIR_ROPE_LEAF_MAX / 4);

      delete (self, position, n);
      assert_modest (self);
    }
  assert_same (self);
  assert_low (self);

  while (self->n_chars > 10)
    {
      delete (self, self->n_chars / 2, 1 + self->n_chars / 100);
      assert_modest (self);
    }
  assert_same (self);
}

/* Around the present length, one character more and one less */
static void
come_and_go (Fixture *self)
{
  gsize memory = choir_rope_get_memory (self->rope);
  guint n_moves = 0;

  for (guint n = 0; n < 20; n++)
    {
      if (n % 4 == 0 || n % 4 == 3)
        choir_rope_delete (self->rope, 0, 1);
      else
        choir_rope_insert (self->rope, 0, "x", 1);
      n_moves += choir_rope_get_memory (self->rope) != memory;
      memory = choir_rope_get_memory (self->rope);
    }
  g_assert_cmpuint (n_moves, <=, 2);
  g_assert_cmpstr (choir_rope_find_fault (self->rope), ==, NULL);
}

/* No length is one where each edit splits and joins leaves, or makes one longer and shorter */
static void
test_edges (Fixture *self, gconstpointer data)
{
  while (choir_rope_get_n_chars (self->rope) < 3 * CHOIR_ROPE_LEAF_MAX)
    {
      choir_rope_insert (self->rope, 0, "x", 1);
      come_and_go (self);
    }
  g_assert_cmpuint (self->rope->height, >, 0);
  while (choir_rope_get_n_chars (self->rope) > 1)
    {
      choir_rope_delete (self->rope, 0, 1);
      come_and_go (self);
    }
  g_assert_cmpuint (self->rope->height, ==, 0);
}

static void
assert_positions (Fixture *self)
{
  const char *text = self->text->str;
  const char *end = text + self->text->len;
  gsize chars = 0;
  gsize utf16 = 0;
  const char *next;

  for (const char *at = text; at < end; at = next, chars++)
    {
      gsize n_utf16 = g_utf8_get_char (at) > 0xffff ? 2 : 1;
      gsize bytes = (gsize) (at - text);

      next = g_utf8_next_char (at);
      g_assert_cmpuint (choir_rope_chars_to_bytes (self->rope, chars), ==, bytes);
      g_assert_cmpuint (choir_rope_chars_to_utf16 (self->rope, chars), ==, utf16);
      for (gsize inside = bytes; inside < (gsize) (next - text); inside++)
        g_assert_cmpuint (choir_rope_bytes_to_chars (self->rope, inside), ==, chars);
      for (gsize inside = utf16; inside < utf16 + n_utf16; inside++)
        g_assert_cmpuint (choir_rope_utf16_to_chars (self->rope, inside), ==, chars);
      utf16 += n_utf16;
    }

  g_assert_cmpuint (choir_rope_chars_to_bytes (self->rope, chars), ==, self->text->len);
  g_assert_cmpuint (choir_rope_chars_to_utf16 (self->rope, chars), ==, utf16);
  g_assert_cmpuint (choir_rope_bytes_to_chars (self->rope, self->text->len), ==, chars);
  g_assert_cmpuint (choir_rope_utf16_to_chars (self->rope, utf16), ==, chars);
}

static void
test_positions (Fixture *self, gconstpointer data)
{
  for (guint round = 0; round < 8; round++)
    {
      insert (self, pick (self->rand, self->n_chars + 1), 2000);
      for (guint n = 0; n < 300; n++)
        edit_somewhere (self, 2000 + 2000 * round);
      assert_positions (self);
    }
}

static void
test_iter (Fixture *self, gconstpointer data)
{
  insert (self, 0, 5000);
  for (gsize position = 0; position <= self->n_chars; position += 1 + pick (self->rand, 10))
    {
      gsize offset = at_char (self->text->str, position);
      ChoirRopeIter iter;
      const char *piece;
      gsize n_bytes;

      choir_rope_iter_init (&iter, self->rope, position);
      while (choir_rope_iter_next (&iter, &piece, &n_bytes))
        {
          g_assert_cmpuint (n_bytes, >, 0);
          g_assert_cmpuint (n_bytes, <=, self->text->len - offset);
          g_assert_cmpmem (piece, n_bytes, self->text->str + offset, n_bytes);
          offset += n_bytes;
        }
      g_assert_cmpuint (offset, ==, self->text->len);
    }
}

static void
test_slices (Fixture *self, gconstpointer data)
{
  insert (self, 0, 5000);
  for (guint n = 0; n < 3000; n++)
    {
      g_autoptr (GString) out = g_string_new ("kept");
      gsize position = pick (self->rand, self->n_chars + 1);
      gsize n_chars = pick (self->rand, self->n_chars - position + 1);
      gsize from = at_char (self->text->str, position);
      gsize n_bytes = at_char (self->text->str + from, n_chars);

      choir_rope_append_slice (self->rope, position, n_chars, out);
      g_assert_cmpmem (out->str, 4, "kept", 4);
      g_assert_cmpmem (out->str + 4, out->len - 4, self->text->str + from, n_bytes);
    }
}

static void
test_from_text (Fixture *self, gconstpointer data)
{
  for (gsize n_chars = 0; n_chars < 4000; n_chars += 1 + n_chars / 8)
    {
      gsize n_bytes;
      gsize n_again;
      g_autofree char *text = make_text (self->rand, n_chars, &n_bytes);
      g_autoptr (ChoirRope) rope = choir_rope_new_from_text (text, n_bytes);
      g_autofree char *again = choir_rope_dup_text (rope, &n_again);

      g_assert_cmpstr (choir_rope_find_fault (rope), ==, NULL);
      g_assert_cmpuint (choir_rope_get_n_chars (rope), ==, n_chars);
      g_assert_cmpmem (again, n_again, text, n_bytes);
    }
}

/* Both ways of counting, for any length and alignment, beside looking at each character */
static void
test_scan (Fixture *self, gconstpointer data)
{
  gsize n_bytes;
  g_autofree char *text = make_text (self->rand, 1000, &n_bytes);

  for (guint n = 0; n < 4000; n++)
    {
      gsize first = pick (self->rand, 1000);
      gsize n_chars = pick (self->rand, least (300, 1000 - first));
      const char *from = text + at_char (text, first);
      gsize length = at_char (from, n_chars);
      ChoirRopeCounts counts = choir_rope_count (from, (guint32) length);
      ChoirRopeCounts plain = choir_rope_count_plain (from, (guint32) length);
      gsize sought = pick (self->rand, n_chars + 1);
      gsize units = 0;

      for (const char *at = from; at < from + length; at = g_utf8_next_char (at))
        units += g_utf8_get_char (at) > 0xffff ? 2 : 1;
      g_assert_cmpmem (&counts, sizeof counts, &plain, sizeof plain);
      g_assert_cmpuint (counts.n_bytes, ==, length);
      g_assert_cmpuint (counts.n_chars, ==, n_chars);
      g_assert_cmpuint (counts.n_chars + counts.n_wide, ==, units);
      g_assert_cmpuint (choir_rope_find_char (from, (guint32) length, (guint32) sought), ==,
                        at_char (from, sought));
      g_assert_cmpuint (choir_rope_find_char_plain (from, (guint32) length, (guint32) sought), ==,
                        at_char (from, sought));
    }
}

static void
test_trace (gconstpointer data)
{
  g_autofree char *path = g_test_build_filename (G_TEST_DIST, "data", "traces", data, NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (ChoirTrace) trace = choir_trace_load (path, &error);
  g_autoptr (ChoirRope) rope = choir_rope_new ();
  g_autofree char *text = NULL;
  g_autofree char *sha256 = NULL;
  gsize n_bytes;

  g_assert_no_error (error);
  g_assert_cmpuint (trace->n_edits, >, 20000);
  for (guint i = 0; i < trace->n_edits; i++)
    {
      const ChoirEdit *edit = &trace->edits[i];

      choir_rope_delete (rope, edit->position, edit->n_deleted);
      choir_rope_insert (rope, edit->position, edit->text, edit->n_bytes);
      if (i % 1000 == 0)
        g_assert_cmpstr (choir_rope_find_fault (rope), ==, NULL);
    }

  text = choir_rope_dup_text (rope, &n_bytes);
  sha256 = g_compute_checksum_for_data (G_CHECKSUM_SHA256, (const guint8 *) text, n_bytes);
  g_assert_cmpstr (sha256, ==, trace->sha256);
  if (CHOIR_ROPE_LEAF_MAX > 1000)
    g_assert_cmpuint (choir_rope_get_memory (rope), <=, 2 * n_bytes);
}

/* A caller's mistake must not become a write to somewhere else */
static void
test_outside (Fixture *self, gconstpointer data)
{
  if (g_test_subprocess ())
    {
      choir_rope_insert (self->rope, 0, "abc", 3);
      choir_rope_delete (self->rope, 1, G_MAXSIZE);
      return;
    }

  g_test_trap_subprocess (NULL, 0, 0);
  g_test_trap_assert_failed ();
  g_test_trap_assert_stderr ("*n_chars <= *");
}

int
main (int argc, char *argv[])
{
  static const struct
  {
    const char *path;
    void (*run) (Fixture *self, gconstpointer data);
  } tests[] = {
    { "/rope/empty", test_empty },         { "/rope/small", test_small },
    { "/rope/random", test_random },       { "/rope/near", test_near },
    { "/rope/large", test_large },         { "/rope/cuts", test_cuts },
    { "/rope/drain", test_drain },         { "/rope/thinned", test_thinned },
    { "/rope/edges", test_edges },         { "/rope/positions", test_positions },
    { "/rope/iter", test_iter },           { "/rope/slices", test_slices },
    { "/rope/from-text", test_from_text }, { "/rope/scan", test_scan },
    { "/rope/outside", test_outside },
  };

  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (tests); i++)
    g_test_add (tests[i].path, Fixture, GUINT_TO_POINTER (i), set_up, tests[i].run, tear_down);
  g_test_add_data_func ("/rope/trace/seph-blog1", "seph-blog1.edits.gz", test_trace);
  g_test_add_data_func ("/rope/trace/friendsforever", "friendsforever_flat.edits.gz", test_trace);

  return g_test_run ();
}
