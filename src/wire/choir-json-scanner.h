/* choir-json-scanner.h: the grammar of one JSON value, for choir-json-gate alone
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

#include "choir-json-gate.h"

G_BEGIN_DECLS

/* Levels a scanner can count, whatever the limits say */
#define CHOIR_JSON_DEPTH_MAX 128

/**
 * ChoirJsonScanner:
 *
 * Walks over text once. Every function takes what it is named for, moves @p behind it and says
 * whether it was there; after a failure @p stands where the text went wrong and @expected says what
 * was missing.
 */
typedef struct
{
  const guint8 *start;
  const guint8 *p;
  const guint8 *end;
  const char *expected; /* (nullable) static; set by the first failure */
  gsize max_string;
  gsize max_array;
  guint max_depth;
  guint depth;
  guint flags; /* ChoirJsonFlags of what has been scanned */
  guint64 is_object[CHOIR_JSON_DEPTH_MAX / 64];
  guint32 n_elements[CHOIR_JSON_DEPTH_MAX]; /* of the arrays on the way down */
} ChoirJsonScanner;

void choir_json_scanner_init (ChoirJsonScanner *self,
                              const char *text,
                              gsize len,
                              const ChoirJsonLimits *limits);
gboolean choir_json_scanner_fail (ChoirJsonScanner *self, const char *expected);
gboolean choir_json_scanner_enter (ChoirJsonScanner *self, gboolean object);
gboolean choir_json_scanner_take_key (ChoirJsonScanner *self, ChoirSlice *key);
gboolean choir_json_scanner_take_value (ChoirJsonScanner *self);

static inline void
choir_json_scanner_skip_blanks (ChoirJsonScanner *self)
{
  while (self->p < self->end &&
         (*self->p == ' ' || *self->p == '\n' || *self->p == '\r' || *self->p == '\t'))
    self->p++;
}

static inline gboolean
choir_json_scanner_next_is (const ChoirJsonScanner *self, char c)
{
  return self->p < self->end && *self->p == (guint8) c;
}

G_END_DECLS
