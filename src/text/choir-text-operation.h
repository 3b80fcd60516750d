/* choir-text-operation.h: what one change does to a text
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-json-gate.h"
#include "choir-rope.h"

G_BEGIN_DECLS

/**
 * ChoirTextOperation:
 *
 * An operation of the type text-unicode (https://github.com/ottypes/text-unicode): a walk over the
 * document that keeps, inserts and deletes code points. Immutable, one block, always canonical: no
 * empty component, no two neighbours of one kind, no keep at the end. Inserts and deletes at one
 * place stand in any order, which the type keeps.
 */
typedef struct _ChoirTextOperation ChoirTextOperation;

typedef enum
{
  CHOIR_TEXT_SIDE_LEFT,  /* at one place its insert stands first */
  CHOIR_TEXT_SIDE_RIGHT, /* its insert stands behind the other's */
} ChoirTextSide;

/* Bounds of what is taken from outside */
typedef struct
{
  guint max_components;
  gsize max_insert_bytes; /* of all inserts together, as UTF-8 */
} ChoirTextLimits;

typedef enum
{
  CHOIR_TEXT_KEEP,
  CHOIR_TEXT_INSERT,
  CHOIR_TEXT_DELETE,
} ChoirTextKind;

typedef struct
{
  ChoirTextKind kind;
  gsize n_chars;    /* code points kept, inserted or deleted */
  const char *text; /* (nullable) UTF-8 of an insert, not terminated; belongs to the operation */
  gsize n_bytes;    /* of @text */
} ChoirTextComponent;

/* Reading and writing. @json has passed the gate */
ChoirTextOperation *
choir_text_operation_parse (ChoirSlice json, const ChoirTextLimits *limits, GError **error);
ChoirTextOperation *choir_text_operation_parse_positional (ChoirSlice payload,
                                                           const ChoirTextLimits *limits,
                                                           GError **error);
void choir_text_operation_append_json (const ChoirTextOperation *self, GString *out);
void choir_text_operation_append_positional (const ChoirTextOperation *self, GString *out);

/* Built by hand; components are made canonical on the way */
typedef struct _ChoirTextBuilder ChoirTextBuilder;
ChoirTextBuilder *choir_text_builder_new (void);
void choir_text_builder_keep (ChoirTextBuilder *self, gsize n_chars);
void choir_text_builder_insert (ChoirTextBuilder *self, const char *text, gsize n_bytes);
void choir_text_builder_delete (ChoirTextBuilder *self, gsize n_chars);
ChoirTextOperation *choir_text_builder_end (ChoirTextBuilder *self); /* frees the builder */
void choir_text_builder_free (ChoirTextBuilder *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirTextBuilder, choir_text_builder_free)

ChoirTextOperation *choir_text_operation_copy (const ChoirTextOperation *self);
void choir_text_operation_free (ChoirTextOperation *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirTextOperation, choir_text_operation_free)

/* Properties */
guint choir_text_operation_get_n_components (const ChoirTextOperation *self);
void choir_text_operation_get_component (const ChoirTextOperation *self,
                                         guint i,
                                         ChoirTextComponent *out);
gboolean choir_text_operation_is_noop (const ChoirTextOperation *self);
gboolean choir_text_operation_equal (const ChoirTextOperation *a, const ChoirTextOperation *b);
gsize choir_text_operation_get_input_chars (const ChoirTextOperation *self);
gsize choir_text_operation_get_inserted_chars (const ChoirTextOperation *self);
gsize choir_text_operation_get_inserted_bytes (const ChoirTextOperation *self);
gsize choir_text_operation_get_deleted_chars (const ChoirTextOperation *self);
gsize choir_text_operation_get_size (const ChoirTextOperation *self);

/* Applied to a text and to each other. apply() and invert() need get_input_chars() <= the text's
 * length: checked by the caller through choir_text_operation_check() */
gboolean choir_text_operation_check (const ChoirTextOperation *self, gsize n_chars, GError **error);
void choir_text_operation_apply (const ChoirTextOperation *self, ChoirRope *rope);
ChoirTextOperation *choir_text_operation_compose (const ChoirTextOperation *first,
                                                  const ChoirTextOperation *second);
ChoirTextOperation *choir_text_operation_transform (const ChoirTextOperation *self,
                                                    const ChoirTextOperation *other,
                                                    ChoirTextSide side);
ChoirTextOperation *choir_text_operation_invert (const ChoirTextOperation *self,
                                                 const ChoirRope *before);
gsize choir_text_operation_transform_position (const ChoirTextOperation *self,
                                               gsize position,
                                               gboolean own);

G_END_DECLS
