/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-error.h"
#include "choir-text-operation-private.h"

/* Decimal digits of the largest gsize */
#define DIGITS_MAX 20

typedef struct
{
  ChoirTextBuilder *builder;
  const ChoirTextLimits *limits;
  guint index;
  gboolean has_last;
  ChoirTextKind last;
} Parser;

static const char *const kind_names[] = {
  [CHOIR_TEXT_KEEP] = "keeps",
  [CHOIR_TEXT_INSERT] = "inserts",
  [CHOIR_TEXT_DELETE] = "deletes",
};

static gboolean
refuse (const Parser *self, const char *what, GError **error)
{
  g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION, "operation[%u] %s", self->index, what);
  return FALSE;
}

/* Makes a component of @kind the last one, if it may follow what was */
static gboolean
advance (Parser *self, ChoirTextKind kind, GError **error)
{
  if (self->has_last && self->last == kind)
    {
      g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION,
                   "operation[%u] must be one with the component before it: both are %s",
                   self->index, kind_names[kind]);
      return FALSE;
    }

  self->has_last = TRUE;
  self->last = kind;
  return TRUE;
}

static gboolean
parse_count (const Parser *self, ChoirSlice number, gsize *out, GError **error)
{
  gint64 n_chars;

  if (!choir_json_number_get_int (number, &n_chars) || n_chars < 1 ||
      n_chars > CHOIR_TEXT_CHARS_MAX)
    return refuse (self, "must count by a whole number from 1 to 2147483647", error);

  *out = (gsize) n_chars;
  return TRUE;
}

static gboolean
parse_keep (Parser *self, ChoirSlice number, GError **error)
{
  gsize n_chars;

  if (!parse_count (self, number, &n_chars, error) || !advance (self, CHOIR_TEXT_KEEP, error))
    return FALSE;

  choir_text_builder_keep (self->builder, n_chars);
  return TRUE;
}

static gboolean
parse_delete (Parser *self, ChoirSlice object, GError **error)
{
  ChoirJsonMember member;
  ChoirJsonMember other;
  gsize cursor = 0;
  gsize n_chars;

  if (!choir_json_slice_next_member (object, &cursor, &member) ||
      !choir_json_key_equals (member.key, CHOIR_SLICE_LITERAL ("d")) ||
      choir_json_slice_next_member (object, &cursor, &other))
    return refuse (self, "must have the one key \"d\" if it is an object", error);
  if (member.value.kind == CHOIR_JSON_STRING)
    return refuse (self, "must say how many characters it deletes, not which", error);
  if (member.value.kind != CHOIR_JSON_NUMBER)
    return refuse (self, "must have a number under \"d\"", error);
  if (!parse_count (self, member.value.raw, &n_chars, error) ||
      !advance (self, CHOIR_TEXT_DELETE, error))
    return FALSE;

  choir_text_builder_delete (self->builder, n_chars);
  return TRUE;
}

static gboolean
parse_insert (Parser *self, const ChoirJsonValue *value, GError **error)
{
  if (choir_json_string_contents (value->raw).len == 0)
    return refuse (self, "must not insert an empty string", error);

  return advance (self, CHOIR_TEXT_INSERT, error) &&
         choir_text_builder_insert_json (self->builder, value, self->limits, 0, error);
}

static gboolean
parse_component (Parser *self, const ChoirJsonValue *value, GError **error)
{
  if (self->index == self->limits->max_components)
    {
      g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_TOO_LARGE,
                   "operation has more than %u components", self->limits->max_components);
      return FALSE;
    }

  if (value->kind == CHOIR_JSON_NUMBER)
    return parse_keep (self, value->raw, error);
  if (value->kind == CHOIR_JSON_STRING)
    return parse_insert (self, value, error);
  if (value->kind == CHOIR_JSON_OBJECT)
    return parse_delete (self, value->raw, error);

  return refuse (self, "must be a number, a string or {\"d\": number}", error);
}

static gboolean
is_array (ChoirSlice json)
{
  gsize at = 0;

  while (at < json.len && g_ascii_isspace (json.data[at]))
    at++;

  return at < json.len && json.data[at] == '[';
}

/**
 * choir_text_builder_insert_json:
 * @self: a builder
 * @string: a string that passed the gate
 * @limits: what all inserts may have together
 * @n_used: what others have of that, in bytes
 *
 * Returns: FALSE with CHOIR_ERROR_TOO_LARGE if there would be more
 */
gboolean
choir_text_builder_insert_json (ChoirTextBuilder *self,
                                const ChoirJsonValue *string,
                                const ChoirTextLimits *limits,
                                gsize n_used,
                                GError **error)
{
  ChoirSlice contents = choir_json_string_contents (string->raw);
  gsize max_bytes = MIN (limits->max_insert_bytes, CHOIR_TEXT_BYTES_MAX);
  gsize n_left = max_bytes - MIN (max_bytes, n_used + self->n_text);
  g_autofree char *unescaped = NULL;

  if ((string->flags & CHOIR_JSON_HAS_ESCAPES) != 0)
    {
      unescaped = choir_json_string_dup (string->raw, n_left);
      contents = choir_slice (unescaped);
    }

  if (contents.data == NULL || contents.len > n_left)
    {
      g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_TOO_LARGE,
                   "operation inserts more than %" G_GSIZE_FORMAT " bytes", max_bytes);
      return FALSE;
    }

  choir_text_builder_insert (self, contents.data, contents.len);
  return TRUE;
}

/**
 * choir_text_operation_check_length:
 * @self: an operation
 *
 * Returns: FALSE with CHOIR_ERROR_VALIDATION if no text could be as long as it says; such numbers
 * must not reach sums of 32 bits
 */
gboolean
choir_text_operation_check_length (const ChoirTextOperation *self, GError **error)
{
  if ((guint64) self->input_chars + self->inserted_chars <= CHOIR_TEXT_CHARS_MAX)
    return TRUE;

  g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION,
               "operation counts more than %d characters in all", CHOIR_TEXT_CHARS_MAX);
  return FALSE;
}

/**
 * choir_text_operation_parse:
 * @json: an array that passed the gate, which refuses lone surrogates
 * @limits: what is still taken
 *
 * Stricter than the reference's checkOp(): the form its normalize() leaves as it is, and without
 * what it only lets through: fractions, deletes with their text, further keys, other types.
 * "1.0" and "1e2" are whole numbers.
 *
 * Returns: (transfer full) (nullable): the operation; CHOIR_ERROR_VALIDATION, or
 * CHOIR_ERROR_TOO_LARGE if it is over @limits
 */
ChoirTextOperation *
choir_text_operation_parse (ChoirSlice json, const ChoirTextLimits *limits, GError **error)
{
  g_auto (ChoirTextBuilder) builder;
  g_autoptr (ChoirTextOperation) operation = NULL;
  Parser parser = { .builder = &builder, .limits = limits };
  ChoirJsonValue value;
  gsize cursor = 0;

  choir_text_builder_init (&builder, 0, 0);
  if (!is_array (json))
    {
      g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION,
                           "operation must be an array");
      return NULL;
    }

  for (; choir_json_slice_next_element (json, &cursor, &value); parser.index++)
    if (!parse_component (&parser, &value, error))
      return NULL;

  if (parser.has_last && parser.last == CHOIR_TEXT_KEEP)
    {
      parser.index--;
      refuse (&parser, "must be left out: nothing follows what it keeps", error);
      return NULL;
    }

  operation = choir_text_builder_finish (&builder, builder.text);
  return choir_text_operation_check_length (operation, error) ? g_steal_pointer (&operation) : NULL;
}

/**
 * choir_text_append_number:
 * @out: where to
 * @number: appended in decimal
 */
void
choir_text_append_number (GString *out, gsize number)
{
  char digits[DIGITS_MAX];
  gsize at = sizeof digits;

  do
    {
      digits[--at] = (char) ('0' + number % 10);
      number /= 10;
    }
  while (number > 0);

  g_string_append_len (out, digits + at, (gssize) (sizeof digits - at));
}

/**
 * choir_text_operation_append_json:
 * @self: an operation
 * @out: where its array is appended, in the shortest form
 */
void
choir_text_operation_append_json (const ChoirTextOperation *self, GString *out)
{
  g_string_append_c (out, '[');

  for (guint i = 0; i < self->n_parts; i++)
    {
      ChoirTextComponent component;

      choir_text_operation_get_component (self, i, &component);
      if (i > 0)
        g_string_append_c (out, ',');

      if (component.kind == CHOIR_TEXT_INSERT)
        choir_json_append_string (out, component.text, (gssize) component.n_bytes);
      else if (component.kind == CHOIR_TEXT_KEEP)
        choir_text_append_number (out, component.n_chars);
      else
        {
          g_string_append (out, "{\"d\":");
          choir_text_append_number (out, component.n_chars);
          g_string_append_c (out, '}');
        }
    }

  g_string_append_c (out, ']');
}
