/* choir-sanitizer.h: user content made harmless to show
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

#include "choir-json-gate.h"

G_BEGIN_DECLS

/**
 * ChoirSanitizerRules:
 *
 * What a contract allows in content that its front ends put into a page.
 */
typedef struct
{
  gboolean escape_markup; /* '<' and '>' become &lt; and &gt;, however they were written */
  gsize max_string;       /* code points; longer strings are cut. Keys are not */
  gsize max_array;        /* elements; the rest is left out */
  guint max_depth; /* levels; a deeper container becomes null. 0: as deep as the gate allows */
} ChoirSanitizerRules;

/* Whether choir_sanitizer_run() could change a payload that has these flags; the gate must have
 * looked for the same max_string and max_array */
gboolean choir_sanitizer_needed (const ChoirSanitizerRules *rules, ChoirJsonFlags flags);
char *choir_sanitizer_run (const ChoirSanitizerRules *rules, ChoirSlice payload, gsize *out_len);

G_END_DECLS
