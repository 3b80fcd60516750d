/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What operations on texts cost: text-operation-cost [WHAT TIMES]
 * Alone it prints nanoseconds for each kind; with arguments it does one kind that often and prints
 * nothing, for a program that counts instructions.
 */

#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "choir-text-operation.h"

/* Few enough to stay in the cache, many enough that no branch can be learnt by heart */
#define N_PAIRS 1024
#define N_ROUNDS 15
#define TIMES_PER_ROUND (200 * N_PAIRS)
#define DOCUMENT_CHARS 2000

typedef struct
{
  ChoirTextOperation *first;
  ChoirTextOperation *second;
  char *json;
} Pair;

typedef struct
{
  const char *name;
  void (*run) (const Pair *pair);
} Subject;

static const ChoirTextLimits limits = { 10000, 1 << 20 };

/* What keyboards make: a word typed, a few characters deleted, a selection replaced */
static ChoirTextOperation *
make_small (GRand *rand)
{
  static const char letters[] = "the quick brown fox jumps over the lazy dog";
  ChoirTextBuilder *builder = choir_text_builder_new ();
  gint32 kind = g_rand_int_range (rand, 0, 3);
  gint32 at = g_rand_int_range (rand, 0, (gint32) sizeof letters - 8);

  choir_text_builder_keep (builder, (gsize) g_rand_int_range (rand, 1, DOCUMENT_CHARS));
  if (kind != 1)
    choir_text_builder_insert (builder, letters + at, (gsize) g_rand_int_range (rand, 1, 8));
  if (kind != 0)
    choir_text_builder_delete (builder, (gsize) g_rand_int_range (rand, 1, 8));

  return choir_text_builder_end (builder);
}

static void
run_transform (const Pair *pair)
{
  choir_text_operation_free (
    choir_text_operation_transform (pair->first, pair->second, CHOIR_TEXT_SIDE_LEFT));
}

static void
run_compose (const Pair *pair)
{
  choir_text_operation_free (choir_text_operation_compose (pair->first, pair->second));
}

static void
run_position (const Pair *pair)
{
  G_GNUC_UNUSED static volatile gsize position;

  position = choir_text_operation_transform_position (pair->first, DOCUMENT_CHARS / 2, FALSE);
}

static void
run_parse (const Pair *pair)
{
  choir_text_operation_free (choir_text_operation_parse (choir_slice (pair->json), &limits, NULL));
}

static void
run_write (const Pair *pair)
{
  static GString *out;

  if (out == NULL)
    out = g_string_sized_new (256);
  g_string_truncate (out, 0);
  choir_text_operation_append_json (pair->first, out);
}

static const Subject subjects[] = {
  { "transform", run_transform }, { "compose", run_compose }, { "position", run_position },
  { "parse", run_parse },         { "write", run_write },
};

static Pair *
make_pairs (void)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (20240501);
  Pair *pairs = g_new (Pair, N_PAIRS);

  for (guint i = 0; i < N_PAIRS; i++)
    {
      GString *json = g_string_new (NULL);

      pairs[i].first = make_small (rand);
      pairs[i].second = make_small (rand);
      choir_text_operation_append_json (pairs[i].first, json);
      pairs[i].json = g_string_free (json, FALSE);
    }

  return pairs;
}

static void
free_pairs (Pair *pairs)
{
  for (guint i = 0; i < N_PAIRS; i++)
    {
      choir_text_operation_free (pairs[i].first);
      choir_text_operation_free (pairs[i].second);
      g_free (pairs[i].json);
    }

  g_free (pairs);
}

static void
repeat (const Subject *subject, const Pair *pairs, guint64 times)
{
  for (guint64 i = 0; i < times; i++)
    subject->run (&pairs[i % N_PAIRS]);
}

static double
now_ns (void)
{
  struct timespec now;

  clock_gettime (CLOCK_PROCESS_CPUTIME_ID, &now);

  return (double) now.tv_sec * 1e9 + (double) now.tv_nsec;
}

static int
compare_doubles (const void *a, const void *b)
{
  double x = *(const double *) a;
  double y = *(const double *) b;

  return (x > y) - (x < y);
}

/* CPU time, since the machine may be busy with something else */
static void
measure (const Subject *subject, const Pair *pairs)
{
  double rounds[N_ROUNDS];

  for (guint i = 0; i < N_ROUNDS; i++)
    {
      double begin = now_ns ();

      repeat (subject, pairs, TIMES_PER_ROUND);
      rounds[i] = (now_ns () - begin) / TIMES_PER_ROUND;
    }

  qsort (rounds, N_ROUNDS, sizeof *rounds, compare_doubles);
  g_print ("%-10s %6.1f ns (least %.1f, most %.1f)\n", subject->name, rounds[N_ROUNDS / 2],
           rounds[0], rounds[N_ROUNDS - 1]);
}

int
main (int argc, char *argv[])
{
  Pair *pairs = make_pairs ();
  guint64 times = 0;
  gboolean known = argc == 1;

  if (argc == 3 && !g_ascii_string_to_unsigned (argv[2], 10, 1, G_MAXUINT, &times, NULL))
    known = FALSE;

  for (guint i = 0; i < G_N_ELEMENTS (subjects); i++)
    if (argc == 1)
      measure (&subjects[i], pairs);
    else if (argc == 3 && times > 0 && strcmp (subjects[i].name, argv[1]) == 0)
      {
        repeat (&subjects[i], pairs, times);
        known = TRUE;
      }

  free_pairs (pairs);
  if (!known)
    g_printerr ("Usage: %s [WHAT TIMES]\n", argv[0]);

  return known ? EXIT_SUCCESS : EXIT_FAILURE;
}
