/* choir-template-private.h: what a parsed template is made of, for choir-template alone
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

#include "choir-template.h"

G_BEGIN_DECLS

/* Templates are part of the program, so these only catch slips */
#define CHOIR_TEMPLATE_ITEMS_MAX 32
#define CHOIR_TEMPLATE_NAMES_MAX 48
#define CHOIR_TEMPLATE_SOURCES_MAX 4
#define CHOIR_TEMPLATE_NESTING_MAX 4

typedef enum
{
  CHOIR_TEMPLATE_SOURCE_FIELD,
  CHOIR_TEMPLATE_SOURCE_JSON,
  CHOIR_TEMPLATE_SOURCE_NOW_S,
  CHOIR_TEMPLATE_SOURCE_NOW_MS,
  CHOIR_TEMPLATE_SOURCE_NOW_ISO,
  CHOIR_TEMPLATE_SOURCE_ID,
  CHOIR_TEMPLATE_SOURCE_CHANNEL_ID,
  CHOIR_TEMPLATE_SOURCE_WHOLE,
} ChoirTemplateSourceKind;

typedef struct
{
  ChoirTemplateSourceKind kind;
  guint name;    /* FIELD: index into the template's names, of the field or its path's first part */
  char *inner;   /* (owned) (nullable) FIELD: the path's second part */
  char *literal; /* (owned) (nullable) JSON: the text to write */
} ChoirTemplateSource;

typedef enum
{
  CHOIR_TEMPLATE_ITEM_SOURCES,
  CHOIR_TEMPLATE_ITEM_REST,
  CHOIR_TEMPLATE_ITEM_OBJECT,     /* built here */
  CHOIR_TEMPLATE_ITEM_MAP_OBJECT, /* a field's object, reshaped */
  CHOIR_TEMPLATE_ITEM_MAP_ARRAY,
} ChoirTemplateItemKind;

typedef struct
{
  ChoirTemplateItemKind kind;
  char *out;   /* (owned) (nullable) the name */
  char *label; /* (owned) (nullable) the name as it is written: quoted, with its colon */
  ChoirTemplateSource sources[CHOIR_TEMPLATE_SOURCES_MAX];
  guint n_sources;
  guint n_named;         /* REST: this many of the template's names were there before it */
  ChoirTemplate *inside; /* (owned) (nullable) */
} ChoirTemplateItem;

struct _ChoirTemplate
{
  GArray *items;    /* (element-type ChoirTemplateItem) (owned) */
  GPtrArray *names; /* (element-type utf8) (owned): fields to look for, each once */
};

G_END_DECLS
