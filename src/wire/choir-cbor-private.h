/* choir-cbor-private.h: the message that is being read, for the files that read it
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-cbor.h"
#include "choir-json-scanner.h"

G_BEGIN_DECLS

typedef struct
{
  guint64 left; /* items, a map's pairs, still to come; if not indefinite */
  guint8 indefinite;
  guint8 is_map;
  guint8 is_message; /* a map in which no key may stand twice */
  guint8 has_key;    /* a map's key has been read, its value is next */
  guint8 has_items;
} ChoirCborLevel;

typedef struct
{
  gsize at; /* in the text */
  gsize len;
} ChoirCborKey;

/**
 * ChoirCborReader:
 *
 * One message on its way from CBOR to JSON. What stands where in the text is written by these
 * functions; whether it may is for choir-cbor-read.c to say beforehand.
 */
typedef struct
{
  const guint8 *data;
  gsize len;
  gsize at; /* of the present item */
  const ChoirCborLimits *limits;
  guint max_depth;
  GString *out;
  gsize base;           /* what @out held before */
  const char *expected; /* (nullable) static; set by the first failure */
  gboolean too_large;
  gboolean in_text; /* between the pieces of a text string */
  gsize key_at;     /* of the key read last */
  gsize key_start;  /* the same in the text */
  guint depth;
  guint n_keys;
  /* from here on only what has been written is read */
  ChoirCborLevel levels[CHOIR_JSON_DEPTH_MAX];
  ChoirCborKey keys[CHOIR_JSON_MEMBERS_MAX]; /* of the message; the gate takes no more of them */
} ChoirCborReader;

gboolean choir_cbor_reader_check_room (ChoirCborReader *self, gsize more);
void choir_cbor_reader_begin_item (ChoirCborReader *self);
void choir_cbor_reader_end_item (ChoirCborReader *self);
void choir_cbor_reader_open_level (ChoirCborReader *self,
                                   gboolean is_map,
                                   gboolean indefinite,
                                   guint64 n_items);
void choir_cbor_reader_close_level (ChoirCborReader *self);

/* FALSE, always; @expected is static and completes "expected ..." */
static inline gboolean
choir_cbor_reader_fail (ChoirCborReader *self, const char *expected)
{
  if (self->expected == NULL)
    self->expected = expected;

  return FALSE;
}

static inline gboolean
choir_cbor_reader_has_failed (const ChoirCborReader *self)
{
  return self->expected != NULL || self->too_large;
}

/* (nullable): the container that is open */
static inline ChoirCborLevel *
choir_cbor_reader_get_level (ChoirCborReader *self)
{
  return self->depth > 0 ? &self->levels[self->depth - 1] : NULL;
}

G_END_DECLS
