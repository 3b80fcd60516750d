/* edit.h: one run of choir-edit, and its ways to measure
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

#include "load-editors.h"

G_BEGIN_DECLS

#define EDIT_NS_PER_S 1e9
#define EDIT_NS_PER_US 1e3
/* Opening and writing documents takes no longer than this */
#define EDIT_PREPARE_NS (G_GINT64_CONSTANT (300) * 1000 * 1000 * 1000)
#define EDIT_TURN_NS (G_GINT64_CONSTANT (10) * 1000 * 1000)
/* What opening has left in the queues is not part of a measurement */
#define EDIT_SETTLE_S 0.3

typedef struct
{
  /* options */
  LoadEditors editors;
  gboolean (*measure) (gpointer self);
  int n;
  int n_active;
  int n_documents;
  int size;
  int window;
  int burst;
  gint64 n_changes; /* 0: for as long as it lasts */
  double rate;      /* of one editor, or of openings; 0: as fast as it goes */
  double seconds;
  double warmup;
  double idle;

  LoadServer server;
  gboolean sending;
  guint64 n_allowed; /* changes that may be sent in all, 0: any number */
  guint64 n_skipped; /* were due while as many as may be were in flight */
  guint n_visited;   /* documents made */
  guint64 *n_left;   /* (owned) (array length=n): changes of this visit */
  gint64 next_due_ns;
  guint next;
} Edit;

/* What was read at one moment */
typedef struct
{
  gint64 now_ns;
  gint64 cpu_ns;
  gint64 self_ns;
  guint64 n_acknowledged;
  guint64 n_delivered;
} EditReading;

EditReading edit_read (Edit *self);
gboolean edit_run_for (Edit *self, double seconds);
gboolean edit_wait_for_open (Edit *self, guint n);
gboolean edit_open_all (Edit *self, double per_s);

/* The modes. Each prints its figures; FALSE if they can't be trusted */
gboolean edit_measure_load (gpointer self);
gboolean edit_measure_create (gpointer self);
gboolean edit_measure_open (gpointer self);
gboolean edit_measure_hold (gpointer self);

G_END_DECLS
