/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-template.h"

#include <string.h>

#include "choir-clock.h"
#include "choir-template-private.h"

/* One application of a template to one object */
typedef struct
{
  const ChoirTemplate *template;
  const ChoirTemplateContext *context;
  ChoirSlice object;
  ChoirSlice found[CHOIR_TEMPLATE_NAMES_MAX]; /* the raw values of the template's names, data NULL
                                                 where absent */
} Application;

static void apply (const ChoirTemplate *self,
                   ChoirSlice object,
                   const ChoirTemplateContext *context,
                   GString *out);

static gboolean
key_is (ChoirSlice key, const char *name)
{
  return choir_json_key_equals (key, choir_slice (name));
}

static void
find_names (Application *self)
{
  const GPtrArray *names = self->template->names;
  ChoirJsonMember member;
  gsize cursor = 0;

  memset (self->found, 0, names->len * sizeof self->found[0]);
  if (names->len == 0)
    return;

  while (choir_json_slice_next_member (self->object, &cursor, &member))
    for (guint i = 0; i < names->len; i++)
      if (self->found[i].data == NULL && key_is (member.key, g_ptr_array_index (names, i)))
        self->found[i] = member.value.raw;
}

/* What follows the first colon of the channel's name */
static const char *
get_channel_id (const ChoirTemplateContext *context)
{
  const char *colon = context->channel != NULL ? strchr (context->channel, ':') : NULL;

  return colon != NULL ? colon + 1 : NULL;
}

static ChoirSlice
find_field (const Application *self, const ChoirTemplateSource *source)
{
  ChoirSlice found = self->found[source->name];
  ChoirJsonValue value;

  if (source->inner == NULL || found.data == NULL)
    return found;
  if (!choir_json_slice_get (found, source->inner, &value))
    return (ChoirSlice){ NULL, 0 };

  return value.raw;
}

static gboolean
is_source_present (const Application *self, const ChoirTemplateSource *source)
{
  if (source->kind == CHOIR_TEMPLATE_SOURCE_FIELD)
    return find_field (self, source).data != NULL;
  if (source->kind == CHOIR_TEMPLATE_SOURCE_ID)
    return self->context->id != NULL;
  if (source->kind == CHOIR_TEMPLATE_SOURCE_CHANNEL_ID)
    return get_channel_id (self->context) != NULL;

  return TRUE;
}

static const ChoirTemplateSource *
choose_source (const Application *self, const ChoirTemplateItem *item)
{
  for (guint i = 0; i < item->n_sources; i++)
    if (is_source_present (self, &item->sources[i]))
      return &item->sources[i];

  return NULL;
}

static void
append_slice (GString *out, ChoirSlice slice)
{
  g_string_append_len (out, slice.data, (gssize) slice.len);
}

static void
append_source (const Application *self, const ChoirTemplateSource *source, GString *out)
{
  gint64 wall_us = self->context->wall_us;
  char time[CHOIR_CLOCK_ISO8601_SIZE];

  switch (source->kind)
    {
    case CHOIR_TEMPLATE_SOURCE_FIELD:
      append_slice (out, find_field (self, source));
      break;

    case CHOIR_TEMPLATE_SOURCE_JSON:
      g_string_append (out, source->literal);
      break;

    case CHOIR_TEMPLATE_SOURCE_NOW_S:
      g_string_append_printf (out, "%" G_GINT64_FORMAT ".%03d", wall_us / G_USEC_PER_SEC,
                              (int) (wall_us % G_USEC_PER_SEC / 1000));
      break;

    case CHOIR_TEMPLATE_SOURCE_NOW_MS:
      g_string_append_printf (out, "%" G_GINT64_FORMAT, wall_us / 1000);
      break;

    case CHOIR_TEMPLATE_SOURCE_NOW_ISO:
      choir_clock_format_iso8601 (wall_us, time);
      choir_json_append_string (out, time, -1);
      break;

    case CHOIR_TEMPLATE_SOURCE_ID:
      choir_json_append_string (out, self->context->id, -1);
      break;

    case CHOIR_TEMPLATE_SOURCE_CHANNEL_ID:
      choir_json_append_string (out, get_channel_id (self->context), -1);
      break;

    case CHOIR_TEMPLATE_SOURCE_WHOLE:
    default:
      append_slice (out, self->object);
      break;
    }
}

static void
append_mapped_array (const Application *self,
                     const ChoirTemplateItem *item,
                     ChoirSlice array,
                     GString *out)
{
  gsize cursor = 0;
  ChoirJsonValue element;
  char before = '[';

  while (choir_json_slice_next_element (array, &cursor, &element))
    {
      g_string_append_c (out, before);
      before = ',';
      if (element.kind == CHOIR_JSON_OBJECT)
        apply (item->inside, element.raw, self->context, out);
      else
        append_slice (out, element.raw);
    }

  g_string_append (out, before == '[' ? "[]" : "]");
}

/* A field to be reshaped that is not of the kind expected goes out as it is */
static void
append_item (const Application *self,
             const ChoirTemplateItem *item,
             const ChoirTemplateSource *source,
             GString *out)
{
  ChoirSlice field = { NULL, 0 };

  g_string_append (out, item->label);
  if (source != NULL && source->kind == CHOIR_TEMPLATE_SOURCE_FIELD)
    field = find_field (self, source);

  if (item->kind == CHOIR_TEMPLATE_ITEM_OBJECT)
    apply (item->inside, self->object, self->context, out);
  else if (item->kind == CHOIR_TEMPLATE_ITEM_MAP_OBJECT && field.data != NULL && *field.data == '{')
    apply (item->inside, field, self->context, out);
  else if (item->kind == CHOIR_TEMPLATE_ITEM_MAP_ARRAY && field.data != NULL && *field.data == '[')
    append_mapped_array (self, item, field, out);
  else
    append_source (self, source, out);
}

static gboolean
is_item_present (const Application *self, const ChoirTemplateItem *item)
{
  return item->kind == CHOIR_TEMPLATE_ITEM_OBJECT || choose_source (self, item) != NULL;
}

static gboolean
is_written_elsewhere (const Application *self, const ChoirTemplateItem *rest, ChoirSlice key)
{
  const GPtrArray *names = self->template->names;
  const GArray *items = self->template->items;

  for (guint i = 0; i < rest->n_named; i++)
    if (key_is (key, g_ptr_array_index (names, i)))
      return TRUE;

  for (guint i = 0; i < items->len; i++)
    {
      const ChoirTemplateItem *item = &g_array_index (items, ChoirTemplateItem, i);

      if (item->out != NULL && key_is (key, item->out) && is_item_present (self, item))
        return TRUE;
    }

  return FALSE;
}

static void
append_rest (const Application *self, const ChoirTemplateItem *rest, gboolean *first, GString *out)
{
  ChoirJsonMember member;
  gsize cursor = 0;

  while (choir_json_slice_next_member (self->object, &cursor, &member))
    {
      if (is_written_elsewhere (self, rest, member.key))
        continue;

      g_string_append (out, *first ? "\"" : ",\"");
      *first = FALSE;
      append_slice (out, member.key);
      g_string_append (out, "\":");
      append_slice (out, member.value.raw);
    }
}

static void
apply (const ChoirTemplate *self,
       ChoirSlice object,
       const ChoirTemplateContext *context,
       GString *out)
{
  Application application;
  gboolean first = TRUE;

  application.template = self;
  application.context = context;
  application.object = object;
  find_names (&application);

  g_string_append_c (out, '{');
  for (guint i = 0; i < self->items->len; i++)
    {
      const ChoirTemplateItem *item = &g_array_index (self->items, ChoirTemplateItem, i);
      const ChoirTemplateSource *source = choose_source (&application, item);

      if (item->kind == CHOIR_TEMPLATE_ITEM_REST)
        append_rest (&application, item, &first, out);
      else if (source != NULL || item->kind == CHOIR_TEMPLATE_ITEM_OBJECT)
        {
          if (!first)
            g_string_append_c (out, ',');
          first = FALSE;
          append_item (&application, item, source, out);
        }
    }
  g_string_append_c (out, '}');
}

/**
 * choir_template_apply:
 * @self: the shape
 * @payload: an object that passed the gate; anything else counts as one without fields
 * @context: what the variables stand for
 * @out: appended to
 */
void
choir_template_apply (const ChoirTemplate *self,
                      ChoirSlice payload,
                      const ChoirTemplateContext *context,
                      GString *out)
{
  apply (self, payload, context, out);
}
