/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * What must hold between any two operations. Each seed is a case of its own: a text, two operations
 * for it, and two more that follow the first.
 */

#include "config.h"

#include "text-model.h"

#include <string.h>

#define N_CASES 200000
#define N_PER_TEST 50000

/* Short, so that two operations often meet; and every so often too long for the stack */
#define SHORT_CHARS 12
#define SHORT_STEPS 6
#define LONG_CHARS 100
#define LONG_STEPS 60
#define LONG_EVERY 64

/* Each arrow is an operation: text -a-> left, text -b-> right, left -next-> further -last-> */
typedef struct
{
  guint32 seed;
  GArray *text;             /* (owned) */
  GArray *left;             /* (owned) */
  GArray *right;            /* (owned) */
  GArray *further;          /* (owned) */
  ChoirTextOperation *a;    /* (owned) */
  ChoirTextOperation *b;    /* (owned) */
  ChoirTextOperation *next; /* (owned) */
  ChoirTextOperation *last; /* (owned) */
} Case;

static Case *
case_new (GRand *rand, guint32 seed)
{
  gboolean is_long = seed % LONG_EVERY == 0;
  guint max_chars = is_long ? LONG_CHARS : SHORT_CHARS;
  guint max_steps = is_long ? LONG_STEPS : SHORT_STEPS;
  Case *self = g_new (Case, 1);

  g_rand_set_seed (rand, seed);
  self->seed = seed;
  self->text = model_text_random (rand, max_chars);
  self->a = model_operation_random (rand, self->text->len, max_steps);
  self->b = model_operation_random (rand, self->text->len, max_steps);
  self->left = model_text_apply (self->text, self->a);
  self->right = model_text_apply (self->text, self->b);
  self->next = model_operation_random (rand, self->left->len, max_steps);
  self->further = model_text_apply (self->left, self->next);
  self->last = model_operation_random (rand, self->further->len, max_steps);

  return self;
}

static void
case_free (Case *self)
{
  g_array_unref (self->text);
  g_array_unref (self->left);
  g_array_unref (self->right);
  g_array_unref (self->further);
  choir_text_operation_free (self->a);
  choir_text_operation_free (self->b);
  choir_text_operation_free (self->next);
  choir_text_operation_free (self->last);
  g_free (self);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Case, case_free)

/* Whether @operation makes @after of @before */
static gboolean
leads (const GArray *before, const ChoirTextOperation *operation, const GArray *after)
{
  g_autoptr (GArray) result = model_text_apply (before, operation);

  return model_text_equal (result, after);
}

/* The form and the figures, and that what is written is read again */
static void
check_canonical (const ChoirTextOperation *operation, guint32 seed)
{
  g_autofree char *json = model_operation_to_json (operation);
  g_autoptr (ChoirTextOperation) again = model_operation_from_json (json);
  g_autofree char *json_again = model_operation_to_json (again);
  g_autoptr (ChoirTextOperation) copy = choir_text_operation_copy (operation);
  gsize n_input = 0;
  gsize n_inserted = 0;
  gsize n_bytes = 0;
  gsize n_deleted = 0;

  for (guint i = 0; i < choir_text_operation_get_n_components (operation); i++)
    {
      ChoirTextComponent component;

      choir_text_operation_get_component (operation, i, &component);
      n_input += component.kind == CHOIR_TEXT_INSERT ? 0 : component.n_chars;
      n_inserted += component.kind == CHOIR_TEXT_INSERT ? component.n_chars : 0;
      n_deleted += component.kind == CHOIR_TEXT_DELETE ? component.n_chars : 0;
      n_bytes += component.n_bytes;
    }

  model_holds (choir_text_operation_equal (operation, again), seed);
  model_holds (choir_text_operation_equal (operation, copy), seed);
  model_holds (strcmp (json, json_again) == 0, seed);
  model_holds (n_input == choir_text_operation_get_input_chars (operation), seed);
  model_holds (n_inserted == choir_text_operation_get_inserted_chars (operation), seed);
  model_holds (n_bytes == choir_text_operation_get_inserted_bytes (operation), seed);
  model_holds (n_deleted == choir_text_operation_get_deleted_chars (operation), seed);
}

static void
check_rope (const Case *self)
{
  g_autoptr (ChoirRope) rope = model_text_to_rope (self->text);
  g_autofree char *expected = model_text_to_utf8 (self->further);
  g_autofree char *text = NULL;
  gsize n_bytes;

  choir_text_operation_apply (self->a, rope);
  choir_text_operation_apply (self->next, rope);
  text = choir_rope_dup_text (rope, &n_bytes);
  model_holds (n_bytes == strlen (expected) && memcmp (text, expected, n_bytes) == 0, self->seed);
  model_holds (choir_rope_get_n_chars (rope) == self->further->len, self->seed);
}

/* TP1, whoever is on the left */
static void
check_convergence (const Case *self, ChoirTextSide side)
{
  ChoirTextSide other = side == CHOIR_TEXT_SIDE_LEFT ? CHOIR_TEXT_SIDE_RIGHT : CHOIR_TEXT_SIDE_LEFT;
  g_autoptr (ChoirTextOperation) a = choir_text_operation_transform (self->a, self->b, side);
  g_autoptr (ChoirTextOperation) b = choir_text_operation_transform (self->b, self->a, other);
  g_autoptr (GArray) end = model_text_apply (self->left, b);

  model_holds (leads (self->right, a, end), self->seed);
  check_canonical (a, self->seed);
  check_canonical (b, self->seed);
}

static void
check_composition (const Case *self)
{
  g_autoptr (ChoirTextOperation) two = choir_text_operation_compose (self->a, self->next);
  g_autoptr (ChoirTextOperation) later = choir_text_operation_compose (self->next, self->last);
  g_autoptr (ChoirTextOperation) all = choir_text_operation_compose (two, self->last);
  g_autoptr (ChoirTextOperation) same = choir_text_operation_compose (self->a, later);

  model_holds (leads (self->text, two, self->further), self->seed);
  model_holds (choir_text_operation_equal (all, same), self->seed);
  check_canonical (two, self->seed);
  check_canonical (all, self->seed);
}

/* A composition on the left side is as good as its pieces */
static void
check_transform_over_compose (const Case *self)
{
  g_autoptr (ChoirTextOperation) two = choir_text_operation_compose (self->a, self->next);
  g_autoptr (ChoirTextOperation) whole =
    choir_text_operation_transform (self->b, two, CHOIR_TEXT_SIDE_RIGHT);
  g_autoptr (ChoirTextOperation) past_a =
    choir_text_operation_transform (self->b, self->a, CHOIR_TEXT_SIDE_RIGHT);
  g_autoptr (ChoirTextOperation) past_next =
    choir_text_operation_transform (past_a, self->next, CHOIR_TEXT_SIDE_RIGHT);
  g_autoptr (ChoirTextOperation) a =
    choir_text_operation_transform (self->a, self->b, CHOIR_TEXT_SIDE_LEFT);
  g_autoptr (ChoirTextOperation) next =
    choir_text_operation_transform (self->next, past_a, CHOIR_TEXT_SIDE_LEFT);
  g_autoptr (ChoirTextOperation) moved =
    choir_text_operation_transform (two, self->b, CHOIR_TEXT_SIDE_LEFT);
  g_autoptr (GArray) middle = model_text_apply (self->right, a);
  g_autoptr (GArray) end = model_text_apply (middle, next);

  model_holds (choir_text_operation_equal (whole, past_next), self->seed);
  model_holds (leads (self->right, moved, end), self->seed);
  model_holds (leads (self->further, whole, end), self->seed);
}

static void
check_inversion (const Case *self)
{
  g_autoptr (ChoirRope) text = model_text_to_rope (self->text);
  g_autoptr (ChoirRope) left = model_text_to_rope (self->left);
  g_autoptr (ChoirTextOperation) back = choir_text_operation_invert (self->a, text);
  g_autoptr (ChoirTextOperation) again = choir_text_operation_invert (back, left);
  g_autoptr (ChoirTextOperation) next_back = choir_text_operation_invert (self->next, left);
  g_autoptr (ChoirTextOperation) all_back = choir_text_operation_compose (next_back, back);
  g_autoptr (ChoirTextOperation) nothing = choir_text_operation_compose (self->a, back);

  model_holds (leads (self->left, back, self->text), self->seed);
  model_holds (choir_text_operation_equal (again, self->a), self->seed);
  model_holds (leads (self->further, all_back, self->text), self->seed);
  model_holds (leads (self->text, nothing, self->text), self->seed);
  check_canonical (back, self->seed);
}

static gsize
move_marker (const ChoirTextOperation *operation, gsize position)
{
  ChoirTextBuilder *builder = choir_text_builder_new ();
  g_autoptr (ChoirTextOperation) marker = NULL;
  g_autoptr (ChoirTextOperation) moved = NULL;

  choir_text_builder_keep (builder, position);
  choir_text_builder_insert (builder, "|", 1);
  marker = choir_text_builder_end (builder);
  moved = choir_text_operation_transform (marker, operation, CHOIR_TEXT_SIDE_LEFT);

  return choir_text_operation_get_input_chars (moved);
}

/* A cursor is a marker put in the text on the left side, except to the author of the change */
static void
check_cursor (const Case *self)
{
  gsize last = 0;
  gsize last_own = 0;

  for (gsize i = 0; i <= self->text->len; i++)
    {
      gsize position = choir_text_operation_transform_position (self->a, i, FALSE);
      gsize own = choir_text_operation_transform_position (self->a, i, TRUE);

      model_holds (position == model_operation_move (self->a, i, FALSE), self->seed);
      model_holds (own == model_operation_move (self->a, i, TRUE), self->seed);
      model_holds (position == move_marker (self->a, i), self->seed);
      model_holds (position >= last && own >= last_own, self->seed);
      model_holds (position <= own && own <= self->left->len, self->seed);
      last = position;
      last_own = own;
    }
}

/* Read again it does the same, although an insert may have changed places with a delete */
static void
check_positional (const Case *self)
{
  g_autoptr (GString) json = g_string_new ("{");
  g_autoptr (ChoirTextOperation) again = NULL;
  g_autoptr (GError) error = NULL;

  choir_text_operation_append_positional (self->a, json);
  g_string_append_c (json, '}');
  again = choir_text_operation_parse_positional ((ChoirSlice){ json->str, json->len },
                                                 &model_limits, &error);
  model_holds (error == NULL, self->seed);
  model_holds (leads (self->text, again, self->left), self->seed);
}

static void
check_pair (GRand *rand, guint32 seed)
{
  g_autoptr (Case) self = case_new (rand, seed);

  check_rope (self);
  check_convergence (self, CHOIR_TEXT_SIDE_LEFT);
  check_convergence (self, CHOIR_TEXT_SIDE_RIGHT);
  check_composition (self);
  check_transform_over_compose (self);
  check_inversion (self);
  check_cursor (self);
  check_positional (self);
}

static void
test_pairs (gconstpointer data)
{
  guint32 first = GPOINTER_TO_UINT (data);
  guint32 n = N_PER_TEST;
  g_autoptr (GRand) rand = g_rand_new_with_seed (first);

  model_get_cases (&first, &n);
  for (guint32 i = 0; i < n; i++)
    check_pair (rand, first + i);

  g_test_message ("%u pairs from seed %u", n, first);
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  for (guint32 first = 0; first < N_CASES; first += N_PER_TEST)
    {
      g_autofree char *path = g_strdup_printf ("/text-laws/pairs-from-%u", first);

      g_test_add_data_func (path, GUINT_TO_POINTER (first), test_pairs);
    }

  return g_test_run ();
}
