/* choir-config-private.h: how the settings are made, for their own files and tests
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-config.h"

G_BEGIN_DECLS

/* A file larger than this is not a configuration file */
#define CHOIR_CONFIG_FILE_MAX (1024 * 1024)
#define CHOIR_CONFIG_LIST_MAX 1024
#define CHOIR_CONFIG_NAMESPACES_MAX 256

typedef enum
{
  CHOIR_CONFIG_STRING,
  CHOIR_CONFIG_LIST,
  CHOIR_CONFIG_BOOLEAN,
  CHOIR_CONFIG_UINT,
  CHOIR_CONFIG_SIZE,     /* bytes */
  CHOIR_CONFIG_DURATION, /* microseconds */
  CHOIR_CONFIG_CHOICE,
  CHOIR_CONFIG_RATE, /* see choir_rate_rule_parse() */
} ChoirConfigType;

/* Of one item where the key is a list; an empty string or list is not checked. Returns what it must
 * be, or NULL */
typedef const char *(*ChoirConfigCheck) (const char *text);

typedef struct
{
  const char *section;
  const char *key;
  ChoirConfigType type;
  const char *value; /* built-in; (nullable) for a key that has a fallback */
  gint64 min, max;
  const char *choices;  /* (nullable) "a|b|c" */
  const char *fallback; /* (nullable) "section.key" asked when an instance says nothing */
  ChoirConfigCheck check;
  gboolean restart; /* a reload leaves it as it was */
  const char *doc;
} ChoirConfigKey;

typedef struct
{
  const char *group;
  const char *key;
  const char *value;
} ChoirConfigBuiltin;

typedef struct
{
  const ChoirConfigKey *key;
  char *text;    /* (owned) */
  char *origin;  /* (owned) "built-in", "FILE:LINE", "environment X", "--set" */
  char **list;   /* (owned) (nullable) */
  gint64 number; /* boolean, uint, size, duration or index of the choice */
} ChoirConfigValue;

/* choir-config-table.c */
const ChoirConfigKey *choir_config_table_get_keys (guint *n_keys);
const ChoirConfigBuiltin *choir_config_table_get_builtins (guint *n_builtins);
const char *const *choir_config_table_get_dialects (void);
const char *choir_config_table_get_parent (const char *group);
const ChoirConfigKey *choir_config_table_find (const char *section, const char *key);
gboolean choir_config_table_has_section (const char *section);
gboolean choir_config_table_has_instances (const char *section);

/* choir-config-value.c */
ChoirConfigValue *choir_config_value_new (const ChoirConfigKey *key,
                                          const char *text,
                                          const char *origin,
                                          GError **error);
void choir_config_value_free (ChoirConfigValue *value);

/* choir-config-source.c: (element-type utf8 ChoirConfigValue), by "group.key" */
GHashTable *choir_config_values_new (void);
gboolean choir_config_values_set (GHashTable *values,
                                  const char *group,
                                  const char *key,
                                  const char *text,
                                  const char *origin,
                                  GError **error);
gboolean choir_config_values_read_text (GHashTable *values,
                                        const char *name,
                                        const char *text,
                                        gsize len,
                                        GError **error);
gboolean choir_config_values_read_file (GHashTable *values, const char *path, GError **error);
gboolean choir_config_values_read_environ (GHashTable *values,
                                           const char *const *environ_list,
                                           GError **error);
gboolean
choir_config_values_read_sets (GHashTable *values, const char *const *sets, GError **error);
gboolean choir_config_values_check (GHashTable *values, GError **error);
/* (transfer none): NULL if there is no such group or key */
ChoirConfigValue *
choir_config_values_lookup (GHashTable *values, const char *group, const char *key);

G_END_DECLS
