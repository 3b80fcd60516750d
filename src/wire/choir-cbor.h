/* choir-cbor.h: messages as CBOR (RFC 8949): strict and bounded in, compact out
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

#include "choir-frame.h"
#include "choir-json-gate.h"

G_BEGIN_DECLS

/*
 * CBOR is another way to write the JSON the service works with, nothing more: a binary message is
 * made JSON text before the gate sees it, and an outgoing one is made CBOR once it is complete.
 * What CBOR has and JSON has not is refused: byte strings, tags, other keys than text.
 */

typedef struct
{
  guint max_depth; /* nesting, counted as the JSON gate counts it */
  gsize max_bytes; /* of the JSON text */
} ChoirCborLimits;

/* One message or batch, appended to @out as JSON. CHOIR_ERROR_INVALID_MESSAGE with the byte offset
 * (never the content), CHOIR_ERROR_TOO_LARGE; then @out is as it was */
gboolean choir_cbor_read (const guint8 *data,
                          gsize len,
                          const ChoirCborLimits *limits,
                          GString *out,
                          GError **error);

/* JSON that has passed the gate, as one item */
gboolean choir_cbor_write (ChoirFrameBuilder *out, ChoirSlice json);
/* What stands before @n_items items that are one array */
void choir_cbor_write_array_start (ChoirFrameBuilder *out, gsize n_items);
/* What stands before @len bytes of UTF-8 that are one text */
void choir_cbor_write_text_start (ChoirFrameBuilder *out, gsize len);

/**
 * choir_cbor_is_map:
 * @first: the first byte of an item
 *
 * Returns: whether the item is a map (RFC 8949 section 3.1, major type 5)
 */
static inline gboolean
choir_cbor_is_map (guint8 first)
{
  return first >> 5 == 5;
}

G_END_DECLS
