/* choir-json-gate.h: strict one-pass JSON: RFC 8259, bounded, no copies
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Bytes that belong to somebody else */
typedef struct
{
  const char *data; /* (nullable) */
  gsize len;
} ChoirSlice;

#define CHOIR_SLICE_LITERAL(text) ((ChoirSlice){ text, sizeof (text) - 1 })
static inline ChoirSlice
choir_slice (const char *text)
{
  return (ChoirSlice){ text, text != NULL ? __builtin_strlen (text) : 0 };
}
gboolean choir_slice_equals (ChoirSlice a, const char *text);
char *choir_slice_dup (ChoirSlice self); /* raw bytes, (transfer full) */

typedef enum
{
  CHOIR_JSON_NULL,
  CHOIR_JSON_FALSE,
  CHOIR_JSON_TRUE,
  CHOIR_JSON_NUMBER,
  CHOIR_JSON_STRING,
  CHOIR_JSON_ARRAY,
  CHOIR_JSON_OBJECT,
} ChoirJsonKind;

typedef enum
{
  CHOIR_JSON_HAS_ESCAPES = 1 << 0, /* a backslash somewhere inside */
  CHOIR_JSON_HAS_MARKUP = 1 << 1,  /* '<', '>', '&' raw or as an escape: the sanitizer has work */
  CHOIR_JSON_HAS_LONG = 1 << 2,    /* a string over max_string or an array over max_array */
  CHOIR_JSON_HAS_BIG_INT = 1 << 3, /* an integer beyond 2^53 */
} ChoirJsonFlags;

/* A value as it stands in the text: strings with their quotes */
typedef struct
{
  ChoirSlice raw;
  ChoirJsonKind kind;
  ChoirJsonFlags flags;
} ChoirJsonValue;

typedef struct
{
  ChoirSlice key; /* without quotes, raw (escapes not resolved) */
  ChoirJsonValue value;
} ChoirJsonMember;

typedef struct
{
  guint max_depth;  /* nesting; the whole text's */
  gsize max_string; /* only sets CHOIR_JSON_HAS_LONG */
  gsize max_array;  /* likewise */
  guint max_batch;  /* messages in a top-level array */
} ChoirJsonLimits;

/* Most members of an envelope; more is an error */
#define CHOIR_JSON_MEMBERS_MAX 32

typedef struct
{
  ChoirJsonMember members[CHOIR_JSON_MEMBERS_MAX];
  guint n_members;
} ChoirJsonObject;

/* One pass over one document that must be an object: grammar, depth, UTF-8, no NUL
 * (raw or as backslash-u0000), lone surrogate escapes refused, no duplicate key among the top-level
 * members (compared after unescaping), nothing after it. CHOIR_ERROR_INVALID_JSON with the byte
 * offset in the message (never the content), CHOIR_ERROR_INVALID_MESSAGE when valid but no object
 */
gboolean choir_json_gate_scan (const char *text,
                               gsize len,
                               const ChoirJsonLimits *limits,
                               ChoirJsonObject *out,
                               GError **error);

/* A batch: whole text checked first, then each element handed out. choir_json_gate_is_batch() only
 * looks at the first byte.
 * @elements: caller's array of limits->max_batch slices */
gboolean choir_json_gate_is_batch (const char *text, gsize len);
gboolean choir_json_gate_scan_batch (const char *text,
                                     gsize len,
                                     const ChoirJsonLimits *limits,
                                     ChoirSlice *elements,
                                     guint *n_elements,
                                     GError **error);
/* Any one JSON value, for payloads that come from elsewhere (D-Bus, HTTP) */
gboolean choir_json_gate_check (const char *text,
                                gsize len,
                                const ChoirJsonLimits *limits,
                                ChoirJsonKind *kind,
                                GError **error);

/* Reading inside text the gate has already passed: no checks, no allocation */
const ChoirJsonMember *choir_json_object_find (const ChoirJsonObject *self, const char *key);
/* First member @key of the raw object @object (its kind and flags: only ESCAPES is set) */
void choir_json_slice_get_many (ChoirSlice object,
                                const ChoirSlice *keys,
                                guint n_keys,
                                ChoirJsonValue *out);
gboolean choir_json_slice_get (ChoirSlice object, const char *key, ChoirJsonValue *out);
/* Iterates arrays: *@cursor starts at 0 */
gboolean choir_json_slice_next_element (ChoirSlice array, gsize *cursor, ChoirJsonValue *out);
gboolean choir_json_slice_next_member (ChoirSlice object, gsize *cursor, ChoirJsonMember *out);
/* Whether two raw keys are the same once unescaped */
gboolean choir_json_key_equals (ChoirSlice a, ChoirSlice b);
/* Between the quotes, escapes not resolved */
ChoirSlice choir_json_string_contents (ChoirSlice raw_string);
/* Escapes resolved, (transfer full) NUL-terminated; NULL if longer than @max_len bytes */
char *choir_json_string_dup (ChoirSlice raw_string, gsize max_len);
/* Integers in -2^53..2^53, "1e2" and "1.0" count if integral; else FALSE */
gboolean choir_json_number_get_int (ChoirSlice raw_number, gint64 *out);
gboolean choir_json_number_get_double (ChoirSlice raw_number, double *out);
void choir_json_append_string (GString *out, const char *text, gssize len); /* quoted and escaped */
void choir_json_append_contents (GString *out, const char *text, gssize len); /* only escaped */
void choir_json_append_double (GString *out, double value);

G_END_DECLS
