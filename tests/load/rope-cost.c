/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What editing a rope costs: rope-cost TRACE | random | whole
 *  TRACE   replays an `.edits.gz` of tests/data/traces; an edit deletes, then inserts
 *  random  inserts or deletes 1 to 8 characters anywhere in a text of 1 Mi code points, in which
 *          those of 1, 2, 3 and 4 bytes are mixed evenly
 *  whole   makes a rope of 1 MB and reads it back
 * The result is one line of key=value pairs, times being CPU time. All that an edit is about is
 * prepared before: with callgrind's --toggle-collect=replay only the edits are counted, which is
 * what rope-cost.py does.
 */

#include "config.h"

#include <stdlib.h>
#include <time.h>

#include "choir-rope.h"
#include "choir-trace.h"

#define NS_PER_S 1e9
#define NS_PER_US 1e3
#define N_ROUNDS 15
#define RANDOM_CHARS (1024 * 1024)
#define RANDOM_EDITS 100000
#define RANDOM_EDIT_MAX 8
#define POOL_CHARS 100
#define SEED 20240501
#define WHOLE_BYTES 1000000

static double
now_ns (void)
{
  struct timespec now;

  clock_gettime (CLOCK_PROCESS_CPUTIME_ID, &now);

  return (double) now.tv_sec * NS_PER_S + (double) now.tv_nsec;
}

static int
compare_doubles (const void *a, const void *b)
{
  double x = *(const double *) a;
  double y = *(const double *) b;

  return (x > y) - (x < y);
}

/* Callgrind knows it by its name */
static __attribute__ ((noinline)) void
replay (ChoirRope *rope, const ChoirEdit *edits, guint n_edits)
{
  for (const ChoirEdit *edit = edits; edit < edits + n_edits; edit++)
    {
      if (edit->n_deleted > 0)
        choir_rope_delete (rope, edit->position, edit->n_deleted);
      if (edit->n_bytes > 0)
        choir_rope_insert (rope, edit->position, edit->text, edit->n_bytes);
    }
}

static gboolean
run_trace (const char *path)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (ChoirTrace) trace = choir_trace_load (path, &error);
  g_autoptr (ChoirRope) rope = choir_rope_new ();
  g_autofree char *text = NULL;
  g_autofree char *sha256 = NULL;
  double cpu_ns;
  gsize n_bytes;

  if (trace == NULL)
    {
      g_printerr ("%s\n", error->message);
      return FALSE;
    }

  cpu_ns = now_ns ();
  replay (rope, trace->edits, trace->n_edits);
  cpu_ns = now_ns () - cpu_ns;

  text = choir_rope_dup_text (rope, &n_bytes);
  sha256 = g_compute_checksum_for_data (G_CHECKSUM_SHA256, (const guint8 *) text, n_bytes);
  g_print ("edits=%u ns=%.1f bytes=%" G_GSIZE_FORMAT " memory=%" G_GSIZE_FORMAT " as_recorded=%d\n",
           trace->n_edits, cpu_ns / trace->n_edits, n_bytes, choir_rope_get_memory (rope),
           g_str_equal (sha256, trace->sha256));

  return TRUE;
}

static GString *
make_text (GRand *rand, gsize n_chars)
{
  static const gunichar characters[] = { 'a', 0xe9, 0x4e2d, 0x1f600 };
  GString *text = g_string_new (NULL);

  for (gsize i = 0; i < n_chars; i++)
    g_string_append_unichar (text, characters[g_rand_int_range (rand, 0, 4)]);

  return text;
}

/* What is inserted are pieces of @pool */
static void
make_edits (GRand *rand, ChoirEdit *edits, const GString *pool, gsize n_chars)
{
  for (guint i = 0; i < RANDOM_EDITS; i++)
    {
      gsize n = (gsize) g_rand_int_range (rand, 1, RANDOM_EDIT_MAX + 1);
      glong first = g_rand_int_range (rand, 0, POOL_CHARS - RANDOM_EDIT_MAX);
      const char *begin = g_utf8_offset_to_pointer (pool->str, first);

      edits[i] = (ChoirEdit){ .text = begin };
      if (g_rand_boolean (rand))
        {
          edits[i].position = (gsize) g_rand_int_range (rand, 0, (gint32) n_chars + 1);
          edits[i].n_bytes = (gsize) (g_utf8_offset_to_pointer (begin, (glong) n) - begin);
          n_chars += n;
        }
      else
        {
          edits[i].position = (gsize) g_rand_int_range (rand, 0, (gint32) (n_chars - n));
          edits[i].n_deleted = n;
          n_chars -= n;
        }
    }
}

static gboolean
run_random (void)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (SEED);
  g_autoptr (GString) text = make_text (rand, RANDOM_CHARS);
  g_autoptr (GString) pool = make_text (rand, POOL_CHARS);
  g_autoptr (ChoirRope) rope = choir_rope_new_from_text (text->str, text->len);
  g_autofree ChoirEdit *edits = g_new (ChoirEdit, RANDOM_EDITS);
  double rounds[N_ROUNDS];

  for (guint i = 0; i < N_ROUNDS; i++)
    {
      double begin;

      make_edits (rand, edits, pool, choir_rope_get_n_chars (rope));
      begin = now_ns ();
      replay (rope, edits, RANDOM_EDITS);
      rounds[i] = (now_ns () - begin) / RANDOM_EDITS;
    }

  qsort (rounds, N_ROUNDS, sizeof *rounds, compare_doubles);
  g_print ("edits=%d ns=%.1f least=%.1f most=%.1f bytes=%" G_GSIZE_FORMAT " memory=%" G_GSIZE_FORMAT
           "\n",
           N_ROUNDS * RANDOM_EDITS, rounds[N_ROUNDS / 2], rounds[0], rounds[N_ROUNDS - 1],
           choir_rope_get_n_bytes (rope), choir_rope_get_memory (rope));

  return TRUE;
}

static gboolean
run_whole (void)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (SEED);
  g_autoptr (GString) text = make_text (rand, WHOLE_BYTES / 2);
  double made[N_ROUNDS];
  double read[N_ROUNDS];

  while (text->len > WHOLE_BYTES)
    g_string_truncate (text, (gsize) (g_utf8_prev_char (text->str + text->len) - text->str));

  for (guint i = 0; i < N_ROUNDS; i++)
    {
      g_autoptr (ChoirRope) rope = NULL;
      g_autofree char *again = NULL;
      double begin = now_ns ();

      rope = choir_rope_new_from_text (text->str, text->len);
      made[i] = now_ns () - begin;
      begin = now_ns ();
      again = choir_rope_dup_text (rope, NULL);
      read[i] = now_ns () - begin;
      if (!g_str_equal (again, text->str))
        return FALSE;
    }

  qsort (made, N_ROUNDS, sizeof *made, compare_doubles);
  qsort (read, N_ROUNDS, sizeof *read, compare_doubles);
  g_print ("bytes=%" G_GSIZE_FORMAT " make_us=%.0f read_us=%.0f\n", text->len,
           made[N_ROUNDS / 2] / NS_PER_US, read[N_ROUNDS / 2] / NS_PER_US);

  return TRUE;
}

int
main (int argc, char *argv[])
{
  gboolean good;

  if (argc != 2)
    {
      g_printerr ("Usage: %s TRACE | random | whole\n", argv[0]);
      return EXIT_FAILURE;
    }

  if (g_str_equal (argv[1], "random"))
    good = run_random ();
  else if (g_str_equal (argv[1], "whole"))
    good = run_whole ();
  else
    good = run_trace (argv[1]);

  return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
