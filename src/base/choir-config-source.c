/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include <string.h>

#include "choir-config-private.h"
#include "choir-error.h"
#include "choir-names.h"

/* Where settings come from: files, the environment, the command line; all end in one map */

#define SUGGEST_MAX 64

/* Suggestions */

/* Levenshtein, "Binary codes capable of correcting deletions, insertions, and reversals" (1966) */
static guint
get_distance (const char *a, const char *b)
{
  const guint n = (guint) strlen (b);
  guint row[SUGGEST_MAX + 1];

  for (guint j = 0; j <= n; j++)
    row[j] = j;

  for (guint i = 0; a[i] != '\0'; i++)
    {
      guint diagonal = row[0];

      row[0] = i + 1;

      for (guint j = 0; j < n; j++)
        {
          const guint replaced = diagonal + (a[i] != b[j]);

          diagonal = row[j + 1];
          row[j + 1] = MIN (replaced, MIN (row[j], row[j + 1]) + 1);
        }
    }

  return row[n];
}

typedef struct
{
  const char *written;
  const char *best; /* (nullable) */
  guint distance;
} Suggestion;

static void
consider (Suggestion *self, const char *candidate)
{
  guint distance;

  if (strlen (self->written) > SUGGEST_MAX || strlen (candidate) > SUGGEST_MAX)
    return;

  distance = get_distance (self->written, candidate);

  /* one slip in four letters, at least two, still looks like the word meant */
  if (distance <= MAX (2, strlen (candidate) / 4) && distance < strlen (candidate) &&
      (self->best == NULL || distance < self->distance))
    {
      self->best = candidate;
      self->distance = distance;
    }
}

static void
set_unknown_error (GError **error, const char *what, const Suggestion *suggestion)
{
  if (suggestion->best != NULL)
    g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG, "There is no %s; did you mean “%s”?", what,
                 suggestion->best);
  else
    g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG, "There is no %s", what);
}

static gboolean
fail_unknown_section (const char *section, GError **error)
{
  g_autofree char *what = g_strdup_printf ("section [%s]", section);
  Suggestion suggestion = { .written = section };
  guint n;
  const ChoirConfigKey *keys = choir_config_table_get_keys (&n);

  for (guint i = 0; i < n; i++)
    consider (&suggestion, keys[i].section);

  set_unknown_error (error, what, &suggestion);
  return FALSE;
}

static gboolean
fail_unknown_key (const char *section, const char *key, GError **error)
{
  g_autofree char *what = g_strdup_printf ("key “%s” in [%s]", key, section);
  Suggestion suggestion = { .written = key };
  guint n;
  const ChoirConfigKey *keys = choir_config_table_get_keys (&n);

  for (guint i = 0; i < n; i++)
    {
      if (strcmp (keys[i].section, section) == 0)
        consider (&suggestion, keys[i].key);
    }

  set_unknown_error (error, what, &suggestion);
  return FALSE;
}

static gboolean
fail_unknown_dialect (const char *name, GError **error)
{
  g_autofree char *what = g_strdup_printf ("dialect “%s”", name);
  Suggestion suggestion = { .written = name };
  const char *const *dialects = choir_config_table_get_dialects ();

  for (guint i = 0; dialects[i] != NULL; i++)
    consider (&suggestion, dialects[i]);

  set_unknown_error (error, what, &suggestion);
  return FALSE;
}

/* Groups */

/* "namespace chat" -> "namespace" and "chat"; "server" -> "server" and NULL */
static char *
split_group (const char *group, const char **out_instance)
{
  const char *space = strchr (group, ' ');

  *out_instance = space != NULL ? space + 1 : NULL;
  return space != NULL ? g_strndup (group, (gsize) (space - group)) : g_strdup (group);
}

static gboolean
check_group (const char *group, GError **error)
{
  const char *instance;
  g_autofree char *section = split_group (group, &instance);

  if (!choir_config_table_has_section (section))
    return fail_unknown_section (section, error);

  if (instance != NULL && !choir_config_table_has_instances (section))
    {
      g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG, "[%s] does not take a name", section);
      return FALSE;
    }

  if (strcmp (section, "dialect") == 0)
    {
      if (instance == NULL)
        {
          g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG,
                       "[dialect] needs a name, like [dialect netra]");
          return FALSE;
        }

      if (!g_strv_contains (choir_config_table_get_dialects (), instance))
        return fail_unknown_dialect (instance, error);
    }

  if (instance != NULL && !choir_name_is_identifier (instance, strlen (instance)))
    {
      g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG,
                   "“%s” cannot name a namespace: letters, digits, '.', '_' and '-', at most 64",
                   instance);
      return FALSE;
    }

  return TRUE;
}

/* Values */

static void
insert_value (GHashTable *values, const char *group, ChoirConfigValue *value)
{
  g_hash_table_replace (values, g_strdup_printf ("%s.%s", group, value->key->key), value);
}

/**
 * choir_config_values_new:
 *
 * Returns: (transfer full) (element-type utf8 ChoirConfigValue): the built-in values by
 *   "group.key"; what an instance does not say is absent
 */
GHashTable *
choir_config_values_new (void)
{
  GHashTable *values = g_hash_table_new_full (g_str_hash, g_str_equal, g_free,
                                              (GDestroyNotify) choir_config_value_free);
  guint n_keys, n_builtins;
  const ChoirConfigKey *keys = choir_config_table_get_keys (&n_keys);
  const ChoirConfigBuiltin *builtins = choir_config_table_get_builtins (&n_builtins);

  for (guint i = 0; i < n_keys; i++)
    {
      if (strcmp (keys[i].section, "dialect") != 0)
        insert_value (values, keys[i].section,
                      choir_config_value_new (&keys[i], keys[i].value, "built-in", NULL));
    }

  for (guint i = 0; i < n_builtins; i++)
    {
      g_autoptr (GError) error = NULL;

      if (!choir_config_values_set (values, builtins[i].group, builtins[i].key, builtins[i].value,
                                    "built-in", &error))
        g_error ("Built-in [%s] %s: %s", builtins[i].group, builtins[i].key, error->message);
    }

  return values;
}

/**
 * choir_config_values_set:
 * @values: (element-type utf8 ChoirConfigValue): the map
 * @group: a section, or a section and the name of an instance
 * @key: a key
 * @text: its value
 * @origin: where it was written, for a dump; not part of the error
 * @error: return location for a #GError of %CHOIR_ERROR_CONFIG
 *
 * Returns: whether it was set; @values is untouched if not
 */
gboolean
choir_config_values_set (GHashTable *values,
                         const char *group,
                         const char *key,
                         const char *text,
                         const char *origin,
                         GError **error)
{
  const char *instance;
  g_autofree char *section = split_group (group, &instance);
  const ChoirConfigKey *row;
  ChoirConfigValue *value;

  if (!check_group (group, error))
    return FALSE;

  row = choir_config_table_find (section, key);
  if (row == NULL)
    return fail_unknown_key (section, key, error);

  value = choir_config_value_new (row, text, origin, error);
  if (value == NULL)
    {
      g_prefix_error (error, "%s: ", key);
      return FALSE;
    }

  insert_value (values, group, value);
  return TRUE;
}

static ChoirConfigValue *
lookup_exactly (GHashTable *values, const char *group, const char *key)
{
  g_autofree char *name = g_strdup_printf ("%s.%s", group, key);

  return g_hash_table_lookup (values, name);
}

/**
 * choir_config_values_lookup:
 * @values: (element-type utf8 ChoirConfigValue): the map
 * @group: a section, or a section and the name of an instance, configured or not
 * @key: a key
 *
 * Returns: (transfer none) (nullable): the value in force there; %NULL if there is no such key
 */
ChoirConfigValue *
choir_config_values_lookup (GHashTable *values, const char *group, const char *key)
{
  ChoirConfigValue *value = lookup_exactly (values, group, key);
  const char *parent = choir_config_table_get_parent (group);
  const char *instance;
  g_autofree char *section = split_group (group, &instance);
  const ChoirConfigKey *row;

  if (value == NULL && parent != NULL)
    value = choir_config_values_lookup (values, parent, key);
  if (value != NULL || instance == NULL)
    return value;

  row = choir_config_table_find (section, key);

  if (row != NULL && row->fallback != NULL)
    return g_hash_table_lookup (values, row->fallback);

  return lookup_exactly (values, section, key);
}

/* Files */

typedef struct
{
  GHashTable *values;
  GHashTable *seen; /* "group.key" to the line it was set on */
  const char *name;
  char *group; /* (owned) (nullable) */
  guint line;
} Reader;

/* A comment begins a line or follows a blank, so that values may hold "#" */
static void
cut_comment (char *line)
{
  for (char *at = line; *at != '\0'; at++)
    {
      if (*at == '#' && (at == line || g_ascii_isspace (at[-1])))
        {
          *at = '\0';
          return;
        }
    }
}

static char *
squeeze_blanks (const char *text)
{
  g_auto (GStrv) words = g_strsplit_set (text, " \t", -1);
  GString *out = g_string_new (NULL);

  for (guint i = 0; words[i] != NULL; i++)
    {
      if (*words[i] != '\0')
        g_string_append_printf (out, "%s%s", out->len > 0 ? " " : "", words[i]);
    }

  return g_string_free (out, FALSE);
}

static gboolean
read_header (Reader *reader, char *line, GError **error)
{
  const gsize len = strlen (line);

  if (line[len - 1] != ']')
    {
      g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG, "“%s” lacks its closing ]", line);
      return FALSE;
    }

  line[len - 1] = '\0';
  g_free (reader->group);
  reader->group = squeeze_blanks (line + 1);
  return check_group (reader->group, error);
}

static gboolean
note_line (Reader *reader, const char *key, GError **error)
{
  g_autofree char *name = g_strdup_printf ("%s.%s", reader->group, key);
  const guint before = GPOINTER_TO_UINT (g_hash_table_lookup (reader->seen, name));

  if (before != 0)
    {
      g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG,
                   "%s is set a second time, after line %u; lists are written with ';'", key,
                   before);
      return FALSE;
    }

  g_hash_table_insert (reader->seen, g_steal_pointer (&name), GUINT_TO_POINTER (reader->line));
  return TRUE;
}

static gboolean
read_setting (Reader *reader, char *line, GError **error)
{
  char *equals = strchr (line, '=');
  g_autofree char *origin = g_strdup_printf ("%s:%u", reader->name, reader->line);

  if (equals == NULL || equals == line)
    {
      g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG,
                   "“%s” is neither [section], key=value nor # comment", line);
      return FALSE;
    }

  if (reader->group == NULL)
    {
      g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG, "“%s” stands before any [section]",
                   line);
      return FALSE;
    }

  *equals = '\0';
  g_strchomp (line);
  return note_line (reader, line, error) &&
         choir_config_values_set (reader->values, reader->group, line, g_strstrip (equals + 1),
                                  origin, error);
}

static gboolean
read_line (Reader *reader, char *line, GError **error)
{
  reader->line++;
  cut_comment (line);
  g_strstrip (line);

  if (*line == '\0')
    return TRUE;

  return *line == '[' ? read_header (reader, line, error) : read_setting (reader, line, error);
}

/**
 * choir_config_values_read_text:
 * @values: (element-type utf8 ChoirConfigValue): the map
 * @name: of the file, for errors
 * @text: its contents, not necessarily terminated
 * @len: their length in bytes
 * @error: return location for a #GError of %CHOIR_ERROR_CONFIG, "name:line: what"
 *
 * Returns: whether all of it was understood; if not, @values may hold a part
 */
gboolean
choir_config_values_read_text (GHashTable *values,
                               const char *name,
                               const char *text,
                               gsize len,
                               GError **error)
{
  g_autoptr (GHashTable) seen = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  Reader reader = { .values = values, .seen = seen, .name = name };
  g_autofree char *copy = NULL;
  g_auto (GStrv) lines = NULL;
  gboolean ok = TRUE;

  if (len > CHOIR_CONFIG_FILE_MAX || !g_utf8_validate_len (text, len, NULL))
    {
      g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG,
                   "%s: This is not a settings file: it must be UTF-8 text of at most %d bytes",
                   name, CHOIR_CONFIG_FILE_MAX);
      return FALSE;
    }

  copy = g_strndup (text, len);
  lines = g_strsplit (copy, "\n", -1);

  for (guint i = 0; ok && lines[i] != NULL; i++)
    ok = read_line (&reader, lines[i], error);

  if (!ok)
    g_prefix_error (error, "%s:%u: ", name, reader.line);

  g_free (reader.group);
  return ok;
}

/**
 * choir_config_values_read_file:
 * @values: (element-type utf8 ChoirConfigValue): the map
 * @path: a file
 * @error: return location for a #GError of %CHOIR_ERROR_CONFIG, with the file and the line
 *
 * Returns: whether all of it was read and understood
 */
gboolean
choir_config_values_read_file (GHashTable *values, const char *path, GError **error)
{
  g_autoptr (GError) io_error = NULL;
  g_autofree char *text = NULL;
  gsize len;

  if (!g_file_get_contents (path, &text, &len, &io_error))
    {
      g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG, "%s", io_error->message);
      return FALSE;
    }

  return choir_config_values_read_text (values, path, text, len, error);
}

/* Command line */

static gboolean
read_set (GHashTable *values, const char *set, GError **error)
{
  const char *equals = strchr (set, '=');
  g_autofree char *name = equals != NULL ? g_strndup (set, (gsize) (equals - set)) : NULL;
  char *dot = name != NULL ? strrchr (name, '.') : NULL;
  g_autofree char *value = NULL;

  if (dot == NULL)
    {
      g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG, "This must be section.key=value");
      return FALSE;
    }

  *dot = '\0';
  value = g_strstrip (g_strdup (equals + 1));
  return choir_config_values_set (values, g_strstrip (name), g_strstrip (dot + 1), value, "--set",
                                  error);
}

/**
 * choir_config_values_read_sets:
 * @values: (element-type utf8 ChoirConfigValue): the map
 * @sets: (nullable) (array zero-terminated=1): "section.key=value" or "section name.key=value"
 * @error: return location for a #GError of %CHOIR_ERROR_CONFIG, "--set TEXT: what"
 *
 * Returns: whether all were understood
 */
gboolean
choir_config_values_read_sets (GHashTable *values, const char *const *sets, GError **error)
{
  for (guint i = 0; sets != NULL && sets[i] != NULL; i++)
    {
      if (!g_utf8_validate (sets[i], -1, NULL))
        {
          g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG, "--set: This is not UTF-8");
          return FALSE;
        }

      if (!read_set (values, sets[i], error))
        {
          g_prefix_error (error, "--set %s: ", sets[i]);
          return FALSE;
        }
    }

  return TRUE;
}

/* What no single value can say */

static gboolean
is_empty (GHashTable *values, const char *group, const char *key)
{
  return *lookup_exactly (values, group, key)->text == '\0';
}

static guint
count_namespaces (GHashTable *values)
{
  GHashTableIter iter;
  gpointer name;
  g_autoptr (GHashTable) groups = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

  g_hash_table_iter_init (&iter, values);
  while (g_hash_table_iter_next (&iter, &name, NULL))
    {
      if (g_str_has_prefix (name, "namespace "))
        g_hash_table_add (groups, g_strndup (name, (gsize) (strrchr (name, '.') - (char *) name)));
    }

  return g_hash_table_size (groups);
}

/**
 * choir_config_values_check:
 * @values: (element-type utf8 ChoirConfigValue): the complete map
 * @error: return location for a #GError of %CHOIR_ERROR_CONFIG
 *
 * Returns: whether the values agree with each other
 */
gboolean
choir_config_values_check (GHashTable *values, GError **error)
{
  const char *problem = NULL;

  if (is_empty (values, "server", "tls-certificate") != is_empty (values, "server", "tls-key"))
    problem = "[server] tls-certificate and tls-key need each other";
  else if (strcmp (lookup_exactly (values, "store", "backend")->text, "redis") == 0 &&
           is_empty (values, "cluster", "redis"))
    problem = "[store] backend=redis needs [cluster] redis";
  else if (is_empty (values, "api", "service-role"))
    problem = "[api] service-role must not be empty: every token would be a back end's";
  else if (is_empty (values, "cluster", "prefix"))
    problem = "[cluster] prefix must not be empty";
  else if (is_empty (values, "bus", "name"))
    problem = "[bus] name must not be empty; with bus=none the service is on none";
  else if (count_namespaces (values) > CHOIR_CONFIG_NAMESPACES_MAX)
    problem = "There are more than 256 namespaces";

  if (problem == NULL)
    return TRUE;

  g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG, problem);
  return FALSE;
}
