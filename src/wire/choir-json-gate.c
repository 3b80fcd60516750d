/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-json-gate.h"

#include "choir-error.h"
#include "choir-json-scanner.h"

static gboolean
report (const ChoirJsonScanner *self, GError **error)
{
  g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_INVALID_JSON,
               "Invalid JSON at byte %" G_GSIZE_FORMAT ": expected %s",
               (gsize) (self->p - self->start), self->expected);
  return FALSE;
}

static ChoirJsonKind
kind_of (guint8 first)
{
  switch (first)
    {
    case '{':
      return CHOIR_JSON_OBJECT;
    case '[':
      return CHOIR_JSON_ARRAY;
    case '"':
      return CHOIR_JSON_STRING;
    case 't':
      return CHOIR_JSON_TRUE;
    case 'f':
      return CHOIR_JSON_FALSE;
    case 'n':
      return CHOIR_JSON_NULL;
    default:
      return CHOIR_JSON_NUMBER;
    }
}

static gboolean
scan_end (ChoirJsonScanner *self)
{
  choir_json_scanner_skip_blanks (self);
  return self->p == self->end || choir_json_scanner_fail (self, "the end of the text");
}

static gboolean
is_duplicate (const ChoirJsonObject *object, ChoirSlice key)
{
  for (guint i = 0; i < object->n_members; i++)
    if (choir_json_key_equals (object->members[i].key, key))
      return TRUE;

  return FALSE;
}

static gboolean
scan_member (ChoirJsonScanner *self, ChoirJsonObject *object)
{
  const guint8 *before = self->p;
  ChoirJsonMember *member = &object->members[object->n_members];
  const guint8 *start;

  if (!choir_json_scanner_take_key (self, &member->key))
    return FALSE;
  if (is_duplicate (object, member->key))
    {
      self->p = before;
      return choir_json_scanner_fail (self, "a key that was not there before");
    }

  self->flags = 0;
  start = self->p;
  if (!choir_json_scanner_take_value (self))
    return FALSE;

  member->value.raw = (ChoirSlice){ (const char *) start, (gsize) (self->p - start) };
  member->value.kind = kind_of (*start);
  member->value.flags = self->flags;
  object->n_members++;
  return TRUE;
}

/* The members of the top-level object, self->p behind its '{'. FALSE without @error set: see
 * self->expected */
static gboolean
scan_members (ChoirJsonScanner *self, ChoirJsonObject *out, GError **error)
{
  choir_json_scanner_skip_blanks (self);
  if (choir_json_scanner_next_is (self, '}'))
    {
      self->p++;
      return TRUE;
    }

  while (scan_member (self, out))
    {
      choir_json_scanner_skip_blanks (self);
      if (choir_json_scanner_next_is (self, '}'))
        {
          self->p++;
          return TRUE;
        }
      if (!choir_json_scanner_next_is (self, ','))
        return choir_json_scanner_fail (self, "a comma or '}'");
      if (out->n_members == CHOIR_JSON_MEMBERS_MAX)
        {
          g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_INVALID_MESSAGE,
                       "A message has at most %d fields", CHOIR_JSON_MEMBERS_MAX);
          return FALSE;
        }
      self->p++;
      choir_json_scanner_skip_blanks (self);
    }

  return FALSE;
}

static gboolean
scan_whole (ChoirJsonScanner *self)
{
  choir_json_scanner_skip_blanks (self);
  return choir_json_scanner_take_value (self) && scan_end (self);
}

/**
 * choir_json_gate_scan:
 * @text: one document
 * @len: its length in bytes
 * @limits: what it is held to
 * @out: (out caller-allocates): the members of the object, slices of @text
 * @error: return location
 *
 * Checks @text against RFC 8259 in one pass, without allocation or recursion, and takes its
 * outermost object apart. Stricter than the RFC where it leaves a choice: no NUL (raw or escaped),
 * no lone surrogate escapes, no key twice among the outermost members (compared unescaped), no byte
 * order mark, nesting and number of members bounded.
 *
 * Returns: FALSE with CHOIR_ERROR_INVALID_JSON, which names the byte offset and what was expected
 * there but never content, or CHOIR_ERROR_INVALID_MESSAGE for valid JSON that is no object or has
 * too many members
 */
gboolean
choir_json_gate_scan (const char *text,
                      gsize len,
                      const ChoirJsonLimits *limits,
                      ChoirJsonObject *out,
                      GError **error)
{
  ChoirJsonScanner scanner;
  g_autoptr (GError) reason = NULL;

  out->n_members = 0;
  choir_json_scanner_init (&scanner, text, len, limits);
  choir_json_scanner_skip_blanks (&scanner);

  if (!choir_json_scanner_next_is (&scanner, '{'))
    {
      if (!scan_whole (&scanner))
        return report (&scanner, error);
      g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_INVALID_MESSAGE,
                           "A message must be a JSON object");
      return FALSE;
    }

  if (choir_json_scanner_enter (&scanner, TRUE) && scan_members (&scanner, out, &reason) &&
      scan_end (&scanner))
    return TRUE;

  out->n_members = 0;
  if (reason == NULL)
    return report (&scanner, error);
  g_propagate_error (error, g_steal_pointer (&reason));
  return FALSE;
}

/**
 * choir_json_gate_is_batch:
 * @text: what came in
 * @len: its length in bytes
 *
 * Looks at the first byte that is not blank and nothing else.
 *
 * Returns: TRUE if @text can only be an array
 */
gboolean
choir_json_gate_is_batch (const char *text, gsize len)
{
  gsize i = 0;

  while (i < len && (text[i] == ' ' || text[i] == '\n' || text[i] == '\r' || text[i] == '\t'))
    i++;

  return i < len && text[i] == '[';
}

/* The elements of the outermost array; the text has passed */
static gboolean
hand_out_elements (ChoirSlice array,
                   guint max_batch,
                   ChoirSlice *elements,
                   guint *n_elements,
                   GError **error)
{
  gsize cursor = 0;
  ChoirJsonValue value;

  while (choir_json_slice_next_element (array, &cursor, &value))
    {
      if (*n_elements == max_batch)
        {
          *n_elements = 0;
          g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_INVALID_MESSAGE,
                       "A batch holds at most %u messages", max_batch);
          return FALSE;
        }
      elements[(*n_elements)++] = value.raw;
    }

  if (*n_elements > 0)
    return TRUE;

  g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_INVALID_MESSAGE,
                       "A batch holds at least one message");
  return FALSE;
}

/**
 * choir_json_gate_scan_batch:
 * @text: an array of messages
 * @len: its length in bytes
 * @limits: what it is held to; max_depth counts from the array's own level
 * @elements: (out caller-allocates): room for limits->max_batch slices
 * @n_elements: (out): how many there are
 * @error: return location
 *
 * Checks the whole text before it hands out the first element, so that no part of a broken batch is
 * acted upon. What the elements are is for choir_json_gate_scan() to find out.
 *
 * Returns: FALSE with CHOIR_ERROR_INVALID_JSON, or CHOIR_ERROR_INVALID_MESSAGE for no array, an
 * empty one, or one that is too long
 */
gboolean
choir_json_gate_scan_batch (const char *text,
                            gsize len,
                            const ChoirJsonLimits *limits,
                            ChoirSlice *elements,
                            guint *n_elements,
                            GError **error)
{
  ChoirJsonScanner scanner;

  *n_elements = 0;
  choir_json_scanner_init (&scanner, text, len, limits);
  if (!scan_whole (&scanner))
    return report (&scanner, error);

  if (!choir_json_gate_is_batch (text, len))
    {
      g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_INVALID_MESSAGE,
                           "A batch must be a JSON array");
      return FALSE;
    }

  return hand_out_elements ((ChoirSlice){ text, len }, limits->max_batch, elements, n_elements,
                            error);
}

/**
 * choir_json_gate_check:
 * @text: any one JSON value
 * @len: its length in bytes
 * @limits: what it is held to
 * @kind: (out) (optional): what it is
 * @error: return location
 *
 * For payloads that did not come in an envelope: from the bus, from HTTP, from another node.
 *
 * Returns: FALSE with CHOIR_ERROR_INVALID_JSON
 */
gboolean
choir_json_gate_check (const char *text,
                       gsize len,
                       const ChoirJsonLimits *limits,
                       ChoirJsonKind *kind,
                       GError **error)
{
  ChoirJsonScanner scanner;
  const guint8 *first;

  choir_json_scanner_init (&scanner, text, len, limits);
  choir_json_scanner_skip_blanks (&scanner);
  first = scanner.p;
  if (!scan_whole (&scanner))
    return report (&scanner, error);

  if (kind != NULL)
    *kind = kind_of (*first);
  return TRUE;
}
