/* choir-frame.h: an encoded frame, shared by everyone it goes to
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>
#include <string.h>

G_BEGIN_DECLS

typedef enum
{
  CHOIR_OPCODE_CONTINUATION = 0x0,
  CHOIR_OPCODE_TEXT = 0x1,
  CHOIR_OPCODE_BINARY = 0x2,
  CHOIR_OPCODE_CLOSE = 0x8,
  CHOIR_OPCODE_PING = 0x9,
  CHOIR_OPCODE_PONG = 0xa,
} ChoirOpcode;

/* Room kept before the payload for the longest server header (RFC 6455 5.2: 2 + 8, never masked) */
#define CHOIR_FRAME_HEADER_MAX 10

typedef enum
{
  CHOIR_FRAME_LARGE = 1 << 0,  /* counted apart by an outbox */
  CHOIR_FRAME_JOINED = 1 << 1, /* several, one behind the other: it has no payload of its own */
} ChoirFrameFlags;

/**
 * ChoirFrame:
 *
 * Header and payload in one block, counted without atomics: frames live on the main thread.
 */
typedef struct
{
  guint32 n_refs;
  guint32 len;  /* header + payload */
  guint32 lane; /* those of one lane keep their order; 0: nothing overtakes this */
  guint8 start; /* offset of the header in @bytes */
  guint8 header_len;
  guint8 flags;    /* ChoirFrameFlags */
  guint8 priority; /* may overtake lower ones of other lanes */
  guint8 bytes[];
} ChoirFrame;

static inline const guint8 *
choir_frame_get_data (const ChoirFrame *self)
{
  return self->bytes + self->start;
}

static inline const guint8 *
choir_frame_get_payload (const ChoirFrame *self, gsize *len)
{
  *len = self->len - self->header_len;
  return self->bytes + self->start + self->header_len;
}

static inline ChoirFrame *
choir_frame_ref (ChoirFrame *self)
{
  self->n_refs++;
  return self;
}

static inline void
choir_frame_unref (ChoirFrame *self)
{
  if (--self->n_refs == 0)
    g_free (self);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirFrame, choir_frame_unref)

ChoirFrame *choir_frame_new (ChoirOpcode opcode, const void *payload, gsize len);
ChoirFrame *
choir_frame_new_full (ChoirOpcode opcode, gboolean rsv1, const void *payload, gsize len);
ChoirFrame *
choir_frame_new_fragment (ChoirOpcode opcode, gboolean final, const void *data, gsize len);
ChoirFrame *
choir_frame_new_masked (ChoirOpcode opcode, guint32 mask, const void *payload, gsize len);
ChoirFrame *choir_frame_new_joined (ChoirFrame *const *frames, guint n_frames);
/* RFC 6455 5.5.1; @reason is cut at 123 bytes on a character border; code 0 or 1005: empty body */
ChoirFrame *choir_frame_new_close (guint code, const char *reason);

/**
 * ChoirFrameBuilder:
 *
 * Writes a payload straight into the block that becomes the frame, so nothing is copied at the end.
 */
typedef struct
{
  ChoirFrame *frame; /* (owned) */
  gsize len;         /* payload written */
  gsize capacity;    /* payload room */
} ChoirFrameBuilder;

void choir_frame_builder_init (ChoirFrameBuilder *self, gsize size_hint);
/* Room for @room more bytes behind what is written; what the caller fills in is added to self->len
 * by itself */
guint8 *choir_frame_builder_reserve (ChoirFrameBuilder *self, gsize room);

/**
 * choir_frame_builder_get_payload:
 * @self: an initialised builder
 *
 * Returns: (transfer none): what is written so far, self->len bytes; valid until the next call
 */
static inline const guint8 *
choir_frame_builder_get_payload (const ChoirFrameBuilder *self)
{
  return self->frame->bytes + CHOIR_FRAME_HEADER_MAX;
}

/**
 * choir_frame_builder_append:
 * @self: an initialised builder
 * @data: (array length=len): copied
 * @len: bytes in @data
 */
static inline void
choir_frame_builder_append (ChoirFrameBuilder *self, const void *data, gsize len)
{
  guint8 *at = self->frame->bytes + CHOIR_FRAME_HEADER_MAX + self->len;

  if (G_UNLIKELY (len > self->capacity - self->len))
    at = choir_frame_builder_reserve (self, len);

  if (len > 0)
    memcpy (at, data, len);
  self->len += len;
}

#define choir_frame_builder_append_literal(self, text)                                             \
  choir_frame_builder_append (self, text, sizeof (text) - 1)
void choir_frame_builder_append_uint (ChoirFrameBuilder *self, guint64 value);
/* Appends @text, valid UTF-8, as a JSON string with its quotes */
void choir_frame_builder_append_json_string (ChoirFrameBuilder *self, const char *text, gsize len);
/* The same without quotes: a part of a string */
void choir_frame_builder_append_json_part (ChoirFrameBuilder *self, const char *text, gsize len);
ChoirFrame *choir_frame_builder_end (ChoirFrameBuilder *self,
                                     ChoirOpcode opcode,
                                     gboolean rsv1); /* (transfer full) */
ChoirFrame *choir_frame_builder_end_fragment (ChoirFrameBuilder *self,
                                              ChoirOpcode opcode,
                                              gboolean final); /* (transfer full) */
void choir_frame_builder_clear (ChoirFrameBuilder *self);

G_END_DECLS
