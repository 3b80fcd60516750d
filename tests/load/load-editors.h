/* load-editors.h: editors of documents, each on a connection of its own
 *
 * They open a document, write its first text if it has none, and change it so that each change is
 * valid without keeping the text: a change inserts a few characters, and takes away at most as
 * many, within the length that the text had when it was opened; so no text ever gets shorter than
 * that. Who has got which version is kept in a ledger, from which the time follows that it took
 * until everybody had a change. A version that is missing, comes twice or in the wrong place is an
 * error.
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

#include "load-client.h"
#include "load-document.h"
#include "load-stats.h"

G_BEGIN_DECLS

#define LOAD_WINDOW_MAX 256
#define LOAD_DOCUMENT_NAME_MAX 64

typedef enum
{
  LOAD_STAGE_AWAY,
  LOAD_STAGE_PRESENT, /* connected and greeted, no document open */
  LOAD_STAGE_OPENING,
  LOAD_STAGE_WRITING, /* the first text */
  LOAD_STAGE_OPEN,
  LOAD_STAGE_CLOSING,
} LoadStage;

typedef struct
{
  LoadClient client; /* first: it is what the pool hands back */
  LoadStage stage;
  guint document;
  guint64 version; /* of @document: the last one heard of */
  gsize length;    /* the text has at least so many characters */
  guint64 n_sent;  /* ever */
  guint n_in_flight;
  guint oldest; /* where in @due_ns the first in flight stands */
  gint64 due_ns[LOAD_WINDOW_MAX];
} LoadEditor;

typedef struct _LoadEditors LoadEditors;

/* After the stage of an editor has become OPEN or, after CLOSING, PRESENT; or it was acknowledged a
 * change made with load_editors_change() */
typedef void (*LoadEditorFunc) (LoadEditors *self, LoadEditor *editor, gpointer user_data);

struct _LoadEditors
{
  /* set by the owner before load_editors_start() */
  LoadTarget target;
  LoadWords words;
  char *name; /* (owned by the owner): documents are called NAME-0, NAME-1... */
  guint n;
  guint n_documents;
  gsize size;       /* characters that a document gets as its first text */
  gboolean replace; /* a change takes away as much as it inserts: the text keeps its length */
  LoadEditorFunc opened;
  LoadEditorFunc closed;
  LoadEditorFunc acknowledged;
  gpointer user_data;

  LoadPool *pool;      /* (owned) */
  LoadEditor *editors; /* (owned) (array length=n) */
  GPtrArray *ledgers;  /* (owned) (element-type GArray): by document, what became of each version */
  GString *message;    /* (owned) */
  GRand *rand;         /* (owned) */
  guint32 run;         /* tells the change ids of this run from another's */
  guint n_connecting;
  guint n_started;
  guint n_present;
  guint n_open;

  guint64 n_sent;
  guint64 n_acknowledged;
  guint64 n_delivered; /* changes of others */
  guint64 n_wrong;     /* refused, lost, missing, twice */

  gboolean measuring; /* what becomes due from now on is measured, whenever it arrives */
  gint64 measured_from_ns;
  guint64 n_everyone;       /* measured changes that everybody has got */
  LoadHistogram ack;        /* due to acknowledged */
  LoadHistogram everyone;   /* due to the last one having it */
  gint64 worst_everyone_ns; /* the longest of those */
};

void load_editors_start (LoadEditors *self);
void load_editors_clear (LoadEditors *self);
gboolean load_editors_connect (LoadEditors *self);
void load_editors_open (LoadEditors *self, LoadEditor *editor, guint document);
void load_editors_close (LoadEditors *self, LoadEditor *editor);
void load_editors_change (LoadEditors *self, LoadEditor *editor, gint64 due_ns);
gboolean load_editors_run_until (LoadEditors *self, gint64 deadline_ns);

G_END_DECLS
