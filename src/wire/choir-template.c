/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-template.h"

#include <string.h>

#include "choir-error.h"
#include "choir-template-private.h"

typedef struct
{
  const char *p;
  ChoirTemplate *current; /* borrowed: what is being read */
  guint nesting;
} Parser;

static ChoirTemplate *parse_items (Parser *parser, char closing, GError **error);

static void
item_clear (gpointer data)
{
  ChoirTemplateItem *self = data;

  g_free (self->out);
  g_free (self->label);
  for (guint i = 0; i < self->n_sources; i++)
    {
      g_free (self->sources[i].inner);
      g_free (self->sources[i].literal);
    }
  g_clear_pointer (&self->inside, choir_template_free);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (ChoirTemplateItem, item_clear)

static gboolean
refuse (const Parser *parser, const char *what, GError **error)
{
  g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG, "Template: %s, at \"%.20s\"", what,
               parser->p);
  return FALSE;
}

static gboolean
is_name_char (char c)
{
  return g_ascii_isalnum (c) || c == '_' || c == '-';
}

/* (transfer full): the name at the cursor, "" if there is none */
static char *
take_name (Parser *parser)
{
  const char *start = parser->p;

  while (is_name_char (*parser->p))
    parser->p++;

  return g_strndup (start, (gsize) (parser->p - start));
}

static gboolean
take_variable (Parser *parser, ChoirTemplateSource *source, GError **error)
{
  static const struct
  {
    const char *name;
    ChoirTemplateSourceKind kind;
  } variables[] = {
    { "now_s", CHOIR_TEMPLATE_SOURCE_NOW_S },           { "now_ms", CHOIR_TEMPLATE_SOURCE_NOW_MS },
    { "now_iso", CHOIR_TEMPLATE_SOURCE_NOW_ISO },       { "id", CHOIR_TEMPLATE_SOURCE_ID },
    { "channel_id", CHOIR_TEMPLATE_SOURCE_CHANNEL_ID },
  };
  g_autofree char *name = take_name (parser);

  for (guint i = 0; i < G_N_ELEMENTS (variables); i++)
    if (g_str_equal (variables[i].name, name))
      {
        source->kind = variables[i].kind;
        return TRUE;
      }

  return refuse (parser, "unknown variable", error);
}

/* Behind the opening quote */
static gboolean
take_text (Parser *parser, ChoirTemplateSource *source, GError **error)
{
  const char *end = strchr (parser->p, '\'');
  g_autoptr (GString) json = g_string_new (NULL);

  if (end == NULL)
    return refuse (parser, "text without end", error);

  choir_json_append_string (json, parser->p, end - parser->p);
  parser->p = end + 1;
  source->kind = CHOIR_TEMPLATE_SOURCE_JSON;
  source->literal = g_string_free (g_steal_pointer (&json), FALSE);
  return TRUE;
}

/* Behind the '#' */
static gboolean
take_json (Parser *parser, ChoirTemplateSource *source, GError **error)
{
  static const ChoirJsonLimits limits = { 8, G_MAXSIZE, G_MAXSIZE, 1 };
  gsize len = strcspn (parser->p, " ");

  if (!choir_json_gate_check (parser->p, len, &limits, NULL, error))
    return FALSE;

  source->kind = CHOIR_TEMPLATE_SOURCE_JSON;
  source->literal = g_strndup (parser->p, len);
  parser->p += len;
  return TRUE;
}

static guint
intern_name (ChoirTemplate *self, const char *name)
{
  guint at;

  if (!g_ptr_array_find_with_equal_func (self->names, name, g_str_equal, &at))
    {
      at = self->names->len;
      g_ptr_array_add (self->names, g_strdup (name));
    }

  return at;
}

static gboolean
take_field (Parser *parser, ChoirTemplateSource *source, GError **error)
{
  g_autofree char *name = take_name (parser);

  if (*name == '\0')
    return refuse (parser, "a source is missing", error);

  source->kind = CHOIR_TEMPLATE_SOURCE_FIELD;
  source->name = intern_name (parser->current, name);
  if (*parser->p != '.')
    return TRUE;

  parser->p++;
  source->inner = take_name (parser);
  return *source->inner != '\0' || refuse (parser, "a path ends in a dot", error);
}

static gboolean
take_source (Parser *parser, ChoirTemplateItem *item, GError **error)
{
  ChoirTemplateSource *source;

  if (item->n_sources == CHOIR_TEMPLATE_SOURCES_MAX)
    return refuse (parser, "too many sources", error);

  source = &item->sources[item->n_sources++];
  switch (*parser->p)
    {
    case '\'':
      parser->p++;
      return take_text (parser, source, error);

    case '#':
      parser->p++;
      return take_json (parser, source, error);

    case '$':
      parser->p++;
      return take_variable (parser, source, error);

    case '@':
      parser->p++;
      source->kind = CHOIR_TEMPLATE_SOURCE_WHOLE;
      return TRUE;

    default:
      return take_field (parser, source, error);
    }
}

static gboolean
take_inside (Parser *parser, ChoirTemplateItem *item, GError **error)
{
  gboolean array = *parser->p == '[';
  ChoirTemplate *around = parser->current;

  if (array && item->n_sources == 0)
    return refuse (parser, "an array of what", error);
  if (parser->nesting == CHOIR_TEMPLATE_NESTING_MAX)
    return refuse (parser, "nested too deep", error);

  item->kind = array                 ? CHOIR_TEMPLATE_ITEM_MAP_ARRAY
               : item->n_sources > 0 ? CHOIR_TEMPLATE_ITEM_MAP_OBJECT
                                     : CHOIR_TEMPLATE_ITEM_OBJECT;
  parser->p++;
  parser->nesting++;
  item->inside = parse_items (parser, array ? ']' : '}', error);
  parser->nesting--;
  parser->current = around;
  if (item->inside == NULL)
    return FALSE;

  /* such an object reads the fields of the one around, so they count as named there */
  if (item->kind == CHOIR_TEMPLATE_ITEM_OBJECT)
    for (guint i = 0; i < item->inside->names->len; i++)
      intern_name (around, g_ptr_array_index (item->inside->names, i));
  return TRUE;
}

/* What follows the '=' */
static gboolean
take_sources (Parser *parser, ChoirTemplateItem *item, GError **error)
{
  if (*parser->p == '{')
    return take_inside (parser, item, error);

  while (take_source (parser, item, error))
    {
      if (*parser->p == '{' || *parser->p == '[')
        return take_inside (parser, item, error);
      if (*parser->p != '|')
        return TRUE;
      parser->p++;
    }

  return FALSE;
}

static gboolean
take_item (Parser *parser, ChoirTemplateItem *item, GError **error)
{
  if (*parser->p == '*')
    {
      item->kind = CHOIR_TEMPLATE_ITEM_REST;
      item->n_named = parser->current->names->len;
      parser->p++;
      return TRUE;
    }

  item->kind = CHOIR_TEMPLATE_ITEM_SOURCES;
  item->out = take_name (parser);
  if (*item->out == '\0')
    return refuse (parser, "a name is missing", error);
  item->label = g_strdup_printf ("\"%s\":", item->out);

  if (*parser->p == '=')
    {
      parser->p++;
      return take_sources (parser, item, error);
    }

  item->sources[item->n_sources++] =
    (ChoirTemplateSource){ CHOIR_TEMPLATE_SOURCE_FIELD, intern_name (parser->current, item->out),
                           NULL, NULL };
  return TRUE;
}

static gboolean
is_taken (const ChoirTemplate *self, const char *out)
{
  for (guint i = 0; i < self->items->len; i++)
    if (g_strcmp0 (g_array_index (self->items, ChoirTemplateItem, i).out, out) == 0)
      return TRUE;

  return FALSE;
}

static gboolean
add_item (ChoirTemplate *self, Parser *parser, GError **error)
{
  g_auto (ChoirTemplateItem) item = { 0 };

  if (!take_item (parser, &item, error))
    return FALSE;
  if (*parser->p != ' ' && *parser->p != '\0')
    return refuse (parser, "a blank is missing", error);
  if (is_taken (self, item.out))
    return refuse (parser, "a name is written twice, before", error);
  if (self->items->len == CHOIR_TEMPLATE_ITEMS_MAX || self->names->len > CHOIR_TEMPLATE_NAMES_MAX)
    return refuse (parser, "too many items", error);

  g_array_append_val (self->items, item);
  memset (&item, 0, sizeof item);
  return TRUE;
}

/* Up to @closing, and behind it */
static ChoirTemplate *
parse_items (Parser *parser, char closing, GError **error)
{
  g_autoptr (ChoirTemplate) self = g_new0 (ChoirTemplate, 1);

  self->items = g_array_new (FALSE, FALSE, sizeof (ChoirTemplateItem));
  g_array_set_clear_func (self->items, item_clear);
  self->names = g_ptr_array_new_with_free_func (g_free);
  parser->current = self;

  for (;;)
    {
      while (*parser->p == ' ')
        parser->p++;
      if (*parser->p == closing)
        break;
      if (!add_item (self, parser, error))
        return NULL;
    }

  if (closing != '\0')
    parser->p++;
  return g_steal_pointer (&self);
}

/**
 * choir_template_parse:
 * @text: see #ChoirTemplate for the notation
 * @error: return location
 *
 * Returns: (transfer full) (nullable): NULL with CHOIR_ERROR_CONFIG, or CHOIR_ERROR_INVALID_JSON
 * for a literal that is none
 */
ChoirTemplate *
choir_template_parse (const char *text, GError **error)
{
  Parser parser = { text, NULL, 0 };

  return parse_items (&parser, '\0', error);
}

void
choir_template_free (ChoirTemplate *self)
{
  g_array_unref (self->items);
  g_ptr_array_unref (self->names);
  g_free (self);
}
