/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-error.h"
#include "choir-text-operation-private.h"

/* Levels of the tree of compositions: one for each bit of a count */
#define LEVELS_MAX 32

typedef enum
{
  KEY_OPERATION,
  KEY_OPERATIONS,
  KEY_TYPE,
  KEY_POSITION,
  KEY_CONTENT,
  KEY_LENGTH,
  N_KEYS
} Key;

static const ChoirSlice keys[N_KEYS] = {
  [KEY_OPERATION] = { "operation", 9 }, [KEY_OPERATIONS] = { "operations", 10 },
  [KEY_TYPE] = { "type", 4 },           [KEY_POSITION] = { "position", 8 },
  [KEY_CONTENT] = { "content", 7 },     [KEY_LENGTH] = { "length", 6 },
};

/* One change of the positional form */
typedef struct
{
  char where[32]; /* what its fields are called by in an error: "operations[3]." or "" */
  const ChoirTextLimits *limits;
  gsize n_used; /* bytes that changes before this one insert */
  ChoirJsonValue values[N_KEYS];
} Change;

/* Composes any number of operations in a balanced way: level i holds none or 2^i of them as one */
typedef struct
{
  ChoirTextOperation *levels[LEVELS_MAX]; /* (owned) (nullable) */
} Composer;

static void
composer_clear (Composer *self)
{
  for (guint i = 0; i < LEVELS_MAX; i++)
    g_free (self->levels[i]);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Composer, composer_clear)

/* @operation: (transfer full) */
static void
composer_add (Composer *self, ChoirTextOperation *operation)
{
  for (guint i = 0; i < LEVELS_MAX; i++)
    {
      g_autoptr (ChoirTextOperation) later = operation;
      g_autoptr (ChoirTextOperation) earlier = g_steal_pointer (&self->levels[i]);

      if (earlier == NULL)
        {
          self->levels[i] = g_steal_pointer (&later);
          return;
        }

      operation = choir_text_operation_compose (earlier, later);
    }

  choir_text_operation_free (operation);
}

/* Returns: (transfer full): all that was added, as one */
static ChoirTextOperation *
composer_end (Composer *self)
{
  g_autoptr (ChoirTextOperation) whole = choir_text_builder_end (choir_text_builder_new ());

  for (guint i = 0; i < LEVELS_MAX; i++)
    if (self->levels[i] != NULL)
      {
        g_autoptr (ChoirTextOperation) later = g_steal_pointer (&whole);

        whole = choir_text_operation_compose (self->levels[i], later);
      }

  return g_steal_pointer (&whole);
}

static gboolean
refuse (const Change *self, Key key, const char *what, GError **error)
{
  g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION, "%s%s %s", self->where, keys[key].data,
               what);
  return FALSE;
}

static gboolean
has (const Change *self, Key key)
{
  return self->values[key].raw.len > 0;
}

/* Members of other names are somebody else's */
static gboolean
change_read (Change *self, ChoirSlice object, GError **error)
{
  ChoirJsonMember member;
  gsize cursor = 0;

  while (choir_json_slice_next_member (object, &cursor, &member))
    for (guint i = 0; i < N_KEYS; i++)
      if (choir_json_key_equals (member.key, keys[i]))
        {
          if (has (self, i))
            return refuse (self, i, "is given twice", error);
          self->values[i] = member.value;
        }

  return TRUE;
}

static gboolean
get_count (const Change *self, Key key, gsize *out, GError **error)
{
  const ChoirJsonValue *value = &self->values[key];
  gint64 count;

  if (!has (self, key))
    return refuse (self, key, "is missing", error);
  if (value->kind != CHOIR_JSON_NUMBER || !choir_json_number_get_int (value->raw, &count) ||
      count < 0 || count > CHOIR_TEXT_CHARS_MAX)
    return refuse (self, key, "must be a whole number from 0 to 2147483647", error);

  *out = (gsize) count;
  return TRUE;
}

static gboolean
add_insert (const Change *self, ChoirTextBuilder *builder, GError **error)
{
  const ChoirJsonValue *content = &self->values[KEY_CONTENT];
  gsize position;

  if (!get_count (self, KEY_POSITION, &position, error))
    return FALSE;
  if (!has (self, KEY_CONTENT))
    return refuse (self, KEY_CONTENT, "is missing", error);
  if (content->kind != CHOIR_JSON_STRING)
    return refuse (self, KEY_CONTENT, "must be a string", error);

  choir_text_builder_keep (builder, position);
  return choir_text_builder_insert_json (builder, content, self->limits, self->n_used, error);
}

static gboolean
add_delete (const Change *self, ChoirTextBuilder *builder, GError **error)
{
  gsize position;
  gsize length;

  if (!get_count (self, KEY_POSITION, &position, error) ||
      !get_count (self, KEY_LENGTH, &length, error))
    return FALSE;

  choir_text_builder_keep (builder, position);
  choir_text_builder_delete (builder, length);
  return TRUE;
}

/* It changes nothing, whatever it says; but what it says must make sense */
static gboolean
check_retain (const Change *self, GError **error)
{
  gsize ignored;

  return (!has (self, KEY_POSITION) || get_count (self, KEY_POSITION, &ignored, error)) &&
         (!has (self, KEY_LENGTH) || get_count (self, KEY_LENGTH, &ignored, error));
}

/* @name_key: which of its members says what it is */
static gboolean
change_build (const Change *self, Key name_key, ChoirTextBuilder *builder, GError **error)
{
  const ChoirJsonValue *value = &self->values[name_key];
  ChoirSlice name = choir_json_string_contents (value->raw);

  if (!has (self, name_key))
    return refuse (self, name_key, "is missing", error);

  if (value->kind == CHOIR_JSON_STRING)
    {
      if (choir_json_key_equals (name, CHOIR_SLICE_LITERAL ("insert")))
        return add_insert (self, builder, error);
      if (choir_json_key_equals (name, CHOIR_SLICE_LITERAL ("delete")))
        return add_delete (self, builder, error);
      if (choir_json_key_equals (name, CHOIR_SLICE_LITERAL ("retain")))
        return check_retain (self, error);
    }

  return refuse (self, name_key, "must be \"insert\", \"delete\" or \"retain\"", error);
}

/* Returns: (transfer full) (nullable): it alone as an operation */
static ChoirTextOperation *
change_to_operation (const Change *self, Key name_key, GError **error)
{
  g_auto (ChoirTextBuilder) builder;
  g_autoptr (ChoirTextOperation) operation = NULL;

  choir_text_builder_init (&builder, 0, 0);
  if (!change_build (self, name_key, &builder, error))
    return NULL;

  operation = choir_text_builder_finish (&builder, builder.text);
  return choir_text_operation_check_length (operation, error) ? g_steal_pointer (&operation) : NULL;
}

/* Returns: (transfer full) (nullable) */
static ChoirTextOperation *
element_to_operation (const ChoirJsonValue *element,
                      guint i,
                      gsize n_used,
                      const ChoirTextLimits *limits,
                      GError **error)
{
  Change change = { .limits = limits, .n_used = n_used };
  gboolean is_synonym;

  if (element->kind != CHOIR_JSON_OBJECT)
    {
      g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION, "operations[%u] must be an object",
                   i);
      return NULL;
    }

  g_snprintf (change.where, sizeof change.where, "operations[%u].", i);
  if (!change_read (&change, element->raw, error))
    return NULL;

  is_synonym = has (&change, KEY_TYPE) && !has (&change, KEY_OPERATION);
  return change_to_operation (&change, is_synonym ? KEY_TYPE : KEY_OPERATION, error);
}

/* Returns: (transfer full) (nullable): all elements, each composed with the ones before */
static ChoirTextOperation *
compose_elements (ChoirSlice array, const ChoirTextLimits *limits, GError **error)
{
  g_auto (Composer) composer = { { NULL } };
  ChoirJsonValue element;
  gsize n_used = 0;
  gsize cursor = 0;

  for (guint i = 0; choir_json_slice_next_element (array, &cursor, &element); i++)
    {
      ChoirTextOperation *operation;

      if (i == limits->max_components)
        {
          g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_TOO_LARGE,
                       "operations has more than %u elements", limits->max_components);
          return NULL;
        }

      operation = element_to_operation (&element, i, n_used, limits, error);
      if (operation == NULL)
        return NULL;

      n_used += choir_text_operation_get_n_text (operation);
      composer_add (&composer, operation);
    }

  return composer_end (&composer);
}

static ChoirTextOperation *
parse_sequence (ChoirSlice array, const ChoirTextLimits *limits, GError **error)
{
  g_autoptr (ChoirTextOperation) whole = compose_elements (array, limits, error);

  if (whole == NULL)
    return NULL;

  if (whole->n_parts > limits->max_components)
    {
      g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_TOO_LARGE,
                   "operations make more than %u components together", limits->max_components);
      return NULL;
    }

  return choir_text_operation_check_length (whole, error) ? g_steal_pointer (&whole) : NULL;
}

/**
 * choir_text_operation_parse_positional:
 * @payload: an object that passed the gate
 * @limits: what is still taken; the changes of a sequence are counted like components
 *
 * The forms a change has in the contract `jddb`, with positions in code points:
 * `"operation": "insert"` with `position` and `content`; `"delete"` with `position` and `length`;
 * `"retain"`, which changes nothing; `"operations": [...]`, a sequence of such objects, each for
 * the text that the ones before lead to, where `type` may stand for `operation`; or
 * `"operation": [...]`, see choir_text_operation_parse(). Nothing inserted or deleted is allowed
 * and changes nothing. Members of other names are not looked at.
 *
 * Takes time n log n in the length of a sequence.
 *
 * Returns: (transfer full) (nullable): one operation; CHOIR_ERROR_VALIDATION, or
 * CHOIR_ERROR_TOO_LARGE if it is over @limits
 */
ChoirTextOperation *
choir_text_operation_parse_positional (ChoirSlice payload,
                                       const ChoirTextLimits *limits,
                                       GError **error)
{
  Change change = { .where = "", .limits = limits };
  const ChoirJsonValue *one = &change.values[KEY_OPERATION];
  const ChoirJsonValue *many = &change.values[KEY_OPERATIONS];

  if (!change_read (&change, payload, error))
    return NULL;

  if (has (&change, KEY_OPERATION) == has (&change, KEY_OPERATIONS))
    {
      g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION,
                           "a change must have either operation or operations");
      return NULL;
    }

  if (has (&change, KEY_OPERATION))
    return one->kind == CHOIR_JSON_ARRAY ? choir_text_operation_parse (one->raw, limits, error)
                                         : change_to_operation (&change, KEY_OPERATION, error);

  if (many->kind != CHOIR_JSON_ARRAY)
    {
      refuse (&change, KEY_OPERATIONS, "must be an array", error);
      return NULL;
    }

  return parse_sequence (many->raw, limits, error);
}

static void
append_change (const ChoirTextComponent *component, gsize position, GString *out)
{
  gboolean is_insert = component->kind == CHOIR_TEXT_INSERT;

  g_string_append (out, is_insert ? "\"operation\":\"insert\",\"position\":"
                                  : "\"operation\":\"delete\",\"position\":");
  choir_text_append_number (out, position);
  g_string_append (out, is_insert ? ",\"content\":" : ",\"length\":");
  if (is_insert)
    choir_json_append_string (out, component->text, (gssize) component->n_bytes);
  else
    choir_text_append_number (out, component->n_chars);
}

static guint
count_changes (const ChoirTextOperation *self)
{
  guint n_changes = 0;

  for (guint i = 0; i < self->n_parts; i++)
    n_changes += self->parts[i].kind != CHOIR_TEXT_KEEP;

  return n_changes;
}

/**
 * choir_text_operation_append_positional:
 * @self: an operation
 * @out: where members are appended, without the braces of the object they belong to
 *
 * The counterpart of choir_text_operation_parse_positional(): one change by itself, any other
 * number as `operations`. Each position counts in the text that the changes before lead to.
 */
void
choir_text_operation_append_positional (const ChoirTextOperation *self, GString *out)
{
  gboolean is_sequence = count_changes (self) != 1;
  ChoirTextComponent component;
  gboolean is_first = TRUE;
  gsize position = 0;

  if (is_sequence)
    g_string_append (out, "\"operations\":[");

  for (guint i = 0; i < self->n_parts; i++)
    {
      choir_text_operation_get_component (self, i, &component);
      if (component.kind != CHOIR_TEXT_KEEP)
        {
          if (is_sequence)
            g_string_append (out, is_first ? "{" : ",{");
          append_change (&component, position, out);
          if (is_sequence)
            g_string_append_c (out, '}');
          is_first = FALSE;
        }
      if (component.kind != CHOIR_TEXT_DELETE)
        position += component.n_chars;
    }

  if (is_sequence)
    g_string_append_c (out, ']');
}
