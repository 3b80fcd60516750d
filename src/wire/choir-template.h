/* choir-template.h: moving payload fields between the core's names and a contract's
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

#include "choir-json-gate.h"

G_BEGIN_DECLS

/**
 * ChoirTemplate:
 *
 * A payload shape in one line, items separated by blanks, applied to a payload that passed the
 * gate: name          the field of that name, left out if absent out=in        field `in` under the
 * name `out`; `in` may be a path a.b out='text'    a string literal (no escapes, no quotes inside)
 *   out=#json     a literal without blanks: #true #0 #[] #{}
 *   out=$now_s | $now_ms | $now_iso | $id       the message's time in that form, or its id
 *   out=$channel_id    what follows the first ':' of the message's channel
 *   out=@         the whole payload as it is
 *   out=a|b|'c'   the first of several sources that is there
 *   out={ ... }   an object built of the items inside
 *   out=in{ ... } the object in field `in`, put through the items inside
 *   out=in[ ... ] the array in field `in`, each object of it put through the items inside
 *   *             every field not named so far as an input and not written by another item, as it
 * is An object is written in the template's order, and no name twice. In `{ }` without an input the
 * items see the fields of the object around.
 */
typedef struct _ChoirTemplate ChoirTemplate;

typedef struct
{
  gint64 wall_us;
  const char *id;      /* (nullable) */
  const char *channel; /* (nullable) */
} ChoirTemplateContext;

ChoirTemplate *choir_template_parse (const char *text, GError **error);
void choir_template_free (ChoirTemplate *self);
void choir_template_apply (const ChoirTemplate *self,
                           ChoirSlice payload,
                           const ChoirTemplateContext *context,
                           GString *out);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirTemplate, choir_template_free)

G_END_DECLS
