/* load-document.h: what an editor of a document says and hears
 *
 * Words of two protocols for the same thing, so that the same load can be put on both: choir.v1 as
 * docs/protocol.md has it ("Documents"), and that of ShareDB 1.x (handshake, subscribe, op).
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef enum
{
  LOAD_WORDS_CHOIR,
  LOAD_WORDS_SHAREDB,
} LoadWords;

/* Most bytes load_document_write_*() write, besides those of the text */
#define LOAD_DOCUMENT_MESSAGE_MAX 512

/* At @position, in the text of @version with all that the sender has sent */
typedef struct
{
  const char *name; /* of the document */
  guint64 version;
  guint64 number; /* of the change among those of its sender, from 1 */
  const char *change_id;
  gsize position;
  const char *text;
  gsize n_text;
  gsize n_deleted; /* behind the text */
} LoadEdit;

typedef enum
{
  LOAD_EVENT_OTHER,
  LOAD_EVENT_GREETED,
  LOAD_EVENT_OPENED,
  LOAD_EVENT_CLOSED,
  LOAD_EVENT_ACKNOWLEDGED,
  LOAD_EVENT_CHANGED,
  LOAD_EVENT_REFUSED,
} LoadEventKind;

typedef struct
{
  LoadEventKind kind;
  guint64 version; /* opened, acknowledged, changed: the one it led to */
  gsize n_chars;   /* opened: length of the text, if that is plain ASCII */
} LoadEvent;

gsize load_document_write_greeting (LoadWords words, char *out);
gsize load_document_write_open (LoadWords words, char *out, const char *name);
gsize load_document_write_close (LoadWords words, char *out, const char *name);
gsize load_document_write_edit (LoadWords words, GString *out, const LoadEdit *edit);
gboolean load_document_next (LoadWords words, const char **at, const char *end, LoadEvent *event);

G_END_DECLS
