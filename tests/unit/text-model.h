/* text-model.h: texts done the simplest way, and random operations, to judge the real ones by
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-text-operation.h"

G_BEGIN_DECLS

/* What a text is here: an array of gunichar */
GArray *model_text_new (const char *utf8);
GArray *model_text_random (GRand *rand, guint max_chars);
GArray *model_text_apply (const GArray *text, const ChoirTextOperation *operation);
gboolean model_text_equal (const GArray *a, const GArray *b);
char *model_text_to_utf8 (const GArray *text);
ChoirRope *model_text_to_rope (const GArray *text);

char *model_insert_random (GRand *rand);
ChoirTextOperation *model_operation_random (GRand *rand, guint n_chars, guint max_steps);
char *model_operation_to_json (const ChoirTextOperation *operation);
ChoirTextOperation *model_operation_from_json (const char *json);
gsize model_operation_move (const ChoirTextOperation *operation, gsize position, gboolean own);

/* Wide enough for everything that is made here */
extern const ChoirTextLimits model_limits;

/**
 * model_holds:
 * @condition: what must be
 * @seed: the case it is about
 *
 * An assertion that names the case, so that it alone can be run again.
 */
#define model_holds(condition, seed)                                                               \
  G_STMT_START                                                                                     \
  {                                                                                                \
    if (G_UNLIKELY (!(condition)))                                                                 \
      g_error ("%s:%d: seed %u: not so: %s", __FILE__, __LINE__, seed, #condition);                \
  }                                                                                                \
  G_STMT_END

/* The cases to run: @n from @first, or only the one that CHOIR_TEST_SEED names */
void model_get_cases (guint32 *first, guint32 *n);

G_END_DECLS
