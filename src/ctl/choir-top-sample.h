/* choir-top-sample.h: what the service said at one moment, with the rates since the moment before
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-ctl.h"
#include "choir-top-view.h"

G_BEGIN_DECLS

/* Which part of a list */
typedef struct
{
  const ChoirTopView *view;
  guint sort; /* index in view->sorts */
  guint offset;
  guint limit;
} ChoirTopQuestion;

typedef struct
{
  const ChoirTopView *view;
  gint64 taken_us;    /* monotonic */
  GVariant *stats;    /* (owned): a{sv} */
  GVariant *rows;     /* (owned): aa{sv}, with the rates */
  GHashTable *counts; /* (owned): identifier -> guint64 */
} ChoirTopSample;

GVariant *choir_top_question_get_arguments (const ChoirTopQuestion *self);
ChoirTopSample *choir_top_sample_new (const ChoirTopQuestion *question,
                                      GVariant *stats_reply,
                                      GVariant *list_reply,
                                      const ChoirTopSample *before);
void choir_top_sample_free (ChoirTopSample *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirTopSample, choir_top_sample_free)

G_END_DECLS
