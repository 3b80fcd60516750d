/* choir-text-answer.h: an answer that carries a whole text
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-rope.h"
#include "choir-session.h"

G_BEGIN_DECLS

typedef struct
{
  const char *type; /* canonical, a string constant */
  GString *payload; /* an object under construction: gets `content`, and is closed */
  guint64 version;  /* of the text */
  const ChoirRope *text;
  ChoirDocumentRoom *room; /* (nullable): whose present text it is */
} ChoirTextAnswer;

/* A text of more bytes goes in parts, which are not compressed and of which one may be shared */
#define CHOIR_TEXT_ANSWER_WHOLE_MAX (64 * 1024)

gboolean choir_text_answer_send (ChoirSession *session,
                                 const ChoirEnvelope *request,
                                 const ChoirTextAnswer *answer,
                                 GError **error);
ChoirFrame *choir_text_answer_make_content (const ChoirRope *text, gboolean binary);

G_END_DECLS
