/* choir-ctl-top.h: “choirctl top” under way, for the files that make it up
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-ctl-live.h"
#include "choir-screen.h"
#include "choir-top-sample.h"

G_BEGIN_DECLS

#define CHOIR_TOP_INTERVAL_MIN_US (G_USEC_PER_SEC / 10)
#define CHOIR_TOP_INTERVAL_MAX_US (G_TIME_SPAN_HOUR)
#define CHOIR_TOP_ROWS_MAX 1000

typedef struct
{
  ChoirCtlLoop loop;
  ChoirTopQuestion question;
  ChoirTopSample *sample; /* (owned) */
  char *name;             /* (owned): node and version */
  gint64 interval_us;

  /* What is being asked */
  GCancellable *cancellable; /* (owned) */
  GVariant *stats_reply;     /* (owned) (nullable) */
  GVariant *list_reply;      /* (owned) (nullable) */
  guint n_pending;
  gboolean is_stale; /* the question has changed meanwhile */
  guint timer;

  /* On a terminal */
  ChoirScreen *screen; /* (owned) (nullable) */
  gboolean with_help;
  gboolean with_prompt;
  char typed[16];   /* behind the prompt */
  const char *note; /* (nullable) static, translated: until the next key */

  /* Into a file */
  guint n_left; /* samples; 0: no end */
} ChoirTop;

gboolean choir_top_ask_first (ChoirTop *self, GError **error);
void choir_top_ask (ChoirTop *self);
void choir_top_arm (ChoirTop *self);

void choir_top_draw (ChoirTop *self);
void choir_top_key (guint key, gpointer user_data);
guint choir_top_get_room (ChoirTop *self);

G_END_DECLS
