/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-config.h"

#include <string.h>

#include "choir-config-private.h"
#include "choir-error.h"
#include "choir-log.h"

/**
 * ChoirConfig:
 *
 * A map of values that is replaced whole by a load or reload that succeeds, and remembers what it
 * was read from. It is asked at start and on reload, not per message, so a lookup may cost a
 * little.
 */

struct _ChoirConfig
{
  GObject parent_instance;

  GHashTable *values;  /* (element-type utf8 ChoirConfigValue) (owned), by "group.key" */
  char *file;          /* (owned) (nullable) */
  char **environ_list; /* (owned) (nullable) */
  char **sets;         /* (owned) (nullable) */
};

G_DEFINE_FINAL_TYPE (ChoirConfig, choir_config, G_TYPE_OBJECT)

enum
{
  SIGNAL_CHANGED,
  N_SIGNALS
};

static guint signals[N_SIGNALS];

static void
choir_config_finalize (GObject *object)
{
  ChoirConfig *self = CHOIR_CONFIG (object);

  g_hash_table_unref (self->values);
  g_free (self->file);
  g_strfreev (self->environ_list);
  g_strfreev (self->sets);

  G_OBJECT_CLASS (choir_config_parent_class)->finalize (object);
}

static void
choir_config_class_init (ChoirConfigClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);

  object_class->finalize = choir_config_finalize;

  /**
   * ChoirConfig::changed:
   *
   * A reload has succeeded; strings and lists got before are gone.
   */
  signals[SIGNAL_CHANGED] = g_signal_new ("changed", CHOIR_TYPE_CONFIG, G_SIGNAL_RUN_LAST, 0, NULL,
                                          NULL, NULL, G_TYPE_NONE, 0);
}

static void
choir_config_init (ChoirConfig *self)
{
  self->values = choir_config_values_new ();
}

/**
 * choir_config_new:
 *
 * Returns: (transfer full): settings that hold the built-in values
 */
ChoirConfig *
choir_config_new (void)
{
  return g_object_new (CHOIR_TYPE_CONFIG, NULL);
}

/* Loading */

static char *
get_directory (const char *const *environ_list, const char *variable, const char *standard)
{
  const char *other = NULL;

  if (environ_list != NULL)
    other = g_environ_getenv ((char **) environ_list, variable);

  return g_build_filename (other != NULL ? other : standard, "choir", NULL);
}

static gboolean
read_if_there (GHashTable *values, const char *directory, GError **error)
{
  g_autofree char *path = g_build_filename (directory, "choir.conf", NULL);

  return !g_file_test (path, G_FILE_TEST_EXISTS) ||
         choir_config_values_read_file (values, path, error);
}

static int
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

/* (transfer full): the drop-ins of @path in the order they count, none when it is not there */
static GPtrArray *
list_drop_ins (const char *path, GError **error)
{
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GError) dir_error = NULL;
  g_autoptr (GDir) dir = g_dir_open (path, 0, &dir_error);
  const char *name;

  if (dir == NULL && !g_error_matches (dir_error, G_FILE_ERROR, G_FILE_ERROR_NOENT))
    {
      g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG, "%s", dir_error->message);
      return NULL;
    }

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL)
    {
      if (*name != '.' && g_str_has_suffix (name, ".conf"))
        g_ptr_array_add (names, g_build_filename (path, name, NULL));
    }

  g_ptr_array_sort (names, compare_names);
  return g_steal_pointer (&names);
}

static gboolean
read_drop_ins (GHashTable *values, const char *directory, GError **error)
{
  g_autofree char *path = g_build_filename (directory, "choir.conf.d", NULL);
  g_autoptr (GPtrArray) names = list_drop_ins (path, error);

  if (names == NULL)
    return FALSE;

  for (guint i = 0; i < names->len; i++)
    {
      if (!choir_config_values_read_file (values, g_ptr_array_index (names, i), error))
        return FALSE;
    }

  return TRUE;
}

static gboolean
read_standard_files (GHashTable *values, const char *const *environ_list, GError **error)
{
  g_autofree char *data = get_directory (environ_list, "CHOIR_CONFIG_DATADIR", DATADIR);
  g_autofree char *sysconf = get_directory (environ_list, "CHOIR_CONFIG_SYSCONFDIR", SYSCONFDIR);

  return read_if_there (values, data, error) && read_if_there (values, sysconf, error) &&
         read_drop_ins (values, sysconf, error);
}

static GHashTable *
read_all (const char *file,
          const char *const *environ_list,
          const char *const *sets,
          GError **error)
{
  g_autoptr (GHashTable) values = choir_config_values_new ();
  const gboolean files_ok = file != NULL ? choir_config_values_read_file (values, file, error)
                                         : read_standard_files (values, environ_list, error);

  if (!files_ok || !choir_config_values_read_environ (values, environ_list, error) ||
      !choir_config_values_read_sets (values, sets, error) ||
      !choir_config_values_check (values, error))
    return NULL;

  return g_steal_pointer (&values);
}

/**
 * choir_config_load:
 * @self: the settings
 * @file: (nullable): the only file to read; %NULL reads the standard ones that are there
 * @environ_list: (nullable) (array zero-terminated=1): g_get_environ() form; counts over files
 * @sets: (nullable) (array zero-terminated=1): "section.key=value"; counts over all
 * @error: return location for a #GError of %CHOIR_ERROR_CONFIG, which says where
 *
 * CHOIR_CONFIG_DATADIR and CHOIR_CONFIG_SYSCONFDIR in @environ_list move the standard files.
 *
 * Returns: whether everything was understood; all values stay as they were if not
 */
gboolean
choir_config_load (ChoirConfig *self,
                   const char *file,
                   const char *const *environ_list,
                   const char *const *sets,
                   GError **error)
{
  g_autoptr (GHashTable) values = NULL;
  g_autofree char *new_file = g_strdup (file);
  g_auto (GStrv) new_environ = g_strdupv ((char **) environ_list);
  g_auto (GStrv) new_sets = g_strdupv ((char **) sets);

  g_return_val_if_fail (CHOIR_IS_CONFIG (self), FALSE);

  values = read_all (file, environ_list, sets, error);
  if (values == NULL)
    return FALSE;

  g_hash_table_unref (self->values);
  g_free (self->file);
  g_strfreev (self->environ_list);
  g_strfreev (self->sets);

  self->values = g_steal_pointer (&values);
  self->file = g_steal_pointer (&new_file);
  self->environ_list = g_steal_pointer (&new_environ);
  self->sets = g_steal_pointer (&new_sets);
  return TRUE;
}

/* What a running daemon can't change keeps saying what is in force */
static void
keep_until_restart (GHashTable *old_values, GHashTable *new_values)
{
  GHashTableIter iter;
  gpointer name, data;

  g_hash_table_iter_init (&iter, old_values);

  while (g_hash_table_iter_next (&iter, &name, &data))
    {
      ChoirConfigValue *old_value = data;
      ChoirConfigValue *new_value = g_hash_table_lookup (new_values, name);

      if (!old_value->key->restart || new_value == NULL ||
          strcmp (old_value->text, new_value->text) == 0)
        continue;

      choir_log (CHOIR_LOG_LEVEL_WARNING, "a changed setting takes effect after a restart",
                 "CHOIR_SETTING", (const char *) name, NULL);
      g_hash_table_iter_steal (&iter);
      g_hash_table_replace (new_values, name, old_value);
    }
}

/**
 * choir_config_reload:
 * @self: settings that were loaded
 * @error: return location for a #GError of %CHOIR_ERROR_CONFIG
 *
 * Reads what choir_config_load() read once more, then emits #ChoirConfig::changed.
 *
 * Returns: whether everything was understood; all values stay as they were if not
 */
gboolean
choir_config_reload (ChoirConfig *self, GError **error)
{
  g_autoptr (GHashTable) values = NULL;

  g_return_val_if_fail (CHOIR_IS_CONFIG (self), FALSE);

  values = read_all (self->file, (const char *const *) self->environ_list,
                     (const char *const *) self->sets, error);
  if (values == NULL)
    return FALSE;

  keep_until_restart (self->values, values);
  g_hash_table_unref (self->values);
  self->values = g_steal_pointer (&values);
  g_signal_emit (self, signals[SIGNAL_CHANGED], 0);
  return TRUE;
}

/**
 * choir_config_read_again:
 * @self: settings that were loaded
 * @error: return location for a #GError of %CHOIR_ERROR_CONFIG
 *
 * For looking before leaping.
 *
 * Returns: (transfer full): what is to be found now where @self was loaded from, or %NULL
 */
ChoirConfig *
choir_config_read_again (ChoirConfig *self, GError **error)
{
  g_autoptr (ChoirConfig) found = choir_config_new ();

  if (!choir_config_load (found, self->file, (const char *const *) self->environ_list,
                          (const char *const *) self->sets, error))
    return NULL;

  return g_steal_pointer (&found);
}

/* Reading */

static ChoirConfigValue *
get_value (ChoirConfig *self, const char *group, const char *key)
{
  ChoirConfigValue *value = choir_config_values_lookup (self->values, group, key);

  if (value == NULL)
    g_error ("There is no setting [%s] %s", group, key);

  return value;
}

static gint64
get_number (ChoirConfig *self, const char *group, const char *key, ChoirConfigType type)
{
  ChoirConfigValue *value = get_value (self, group, key);

  if (value->key->type != type)
    g_error ("The setting [%s] %s is of another type", group, key);

  return value->number;
}

/**
 * choir_config_get_string:
 * @self: the settings
 * @group: a section or an instance
 * @key: a key of any type
 *
 * Returns: (transfer none): the text as written, empty if nothing; valid until the next reload
 */
const char *
choir_config_get_string (ChoirConfig *self, const char *group, const char *key)
{
  return get_value (self, group, key)->text;
}

/**
 * choir_config_get_list:
 * @self: the settings
 * @group: a section or an instance
 * @key: a key whose type is list
 *
 * Returns: (transfer none) (array zero-terminated=1): its items, without empty ones; valid until
 *   the next reload
 */
const char *const *
choir_config_get_list (ChoirConfig *self, const char *group, const char *key)
{
  (void) get_number (self, group, key, CHOIR_CONFIG_LIST);
  return (const char *const *) get_value (self, group, key)->list;
}

/**
 * choir_config_get_boolean:
 * @self: the settings
 * @group: a section or an instance
 * @key: a key whose type is boolean
 *
 * Returns: its value
 */
gboolean
choir_config_get_boolean (ChoirConfig *self, const char *group, const char *key)
{
  return get_number (self, group, key, CHOIR_CONFIG_BOOLEAN) != 0;
}

/**
 * choir_config_get_uint:
 * @self: the settings
 * @group: a section or an instance
 * @key: a key whose type is a whole number
 *
 * Returns: its value
 */
guint
choir_config_get_uint (ChoirConfig *self, const char *group, const char *key)
{
  return (guint) get_number (self, group, key, CHOIR_CONFIG_UINT);
}

/**
 * choir_config_get_size:
 * @self: the settings
 * @group: a section or an instance
 * @key: a key whose type is a size
 *
 * Returns: its value in bytes
 */
guint64
choir_config_get_size (ChoirConfig *self, const char *group, const char *key)
{
  return (guint64) get_number (self, group, key, CHOIR_CONFIG_SIZE);
}

/**
 * choir_config_get_duration_us:
 * @self: the settings
 * @group: a section or an instance
 * @key: a key whose type is a duration
 *
 * Returns: its value in microseconds
 */
gint64
choir_config_get_duration_us (ChoirConfig *self, const char *group, const char *key)
{
  return get_number (self, group, key, CHOIR_CONFIG_DURATION);
}

/**
 * choir_config_get_choice:
 * @self: the settings
 * @group: a section or an instance
 * @key: a key whose type is a choice
 *
 * Returns: the index of its value among the table's choices, which the enumerations of
 *   choir-config.h name
 */
guint
choir_config_get_choice (ChoirConfig *self, const char *group, const char *key)
{
  return (guint) get_number (self, group, key, CHOIR_CONFIG_CHOICE);
}

/**
 * choir_config_list_instances:
 * @self: the settings
 * @section: "namespace" or "dialect"
 *
 * Returns: (transfer full) (array zero-terminated=1): the names of those built in or configured, in
 *   the order of strcmp(); of dialects there are no others than those built in
 */
char **
choir_config_list_instances (ChoirConfig *self, const char *section)
{
  g_autoptr (GHashTable) found = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_autofree char *prefix = g_strconcat (section, " ", NULL);
  const gsize len = strlen (prefix);
  GHashTableIter iter;
  gpointer name;
  gpointer *names;
  guint n_names;

  if (strcmp (section, "dialect") == 0)
    return g_strdupv ((char **) choir_config_table_get_dialects ());

  g_hash_table_iter_init (&iter, self->values);
  while (g_hash_table_iter_next (&iter, &name, NULL))
    {
      const char *dot = strrchr (name, '.');

      if (g_str_has_prefix (name, prefix))
        g_hash_table_add (found,
                          g_strndup ((char *) name + len, (gsize) (dot - ((char *) name + len))));
    }

  names = g_hash_table_get_keys_as_array (found, &n_names);
  g_hash_table_steal_all (found);
  qsort (names, n_names, sizeof (gpointer), compare_names);
  return (char **) names;
}

/* A redis:// address may hold a password (RFC 3986, 3.2.1), which nobody should see in a dump */
static char *
hide_password (const char *text)
{
  const char *start = strstr (text, "://");
  const char *at = start != NULL ? strrchr (start, '@') : NULL;

  if (at == NULL)
    return g_strdup (text);

  return g_strdup_printf ("%.*s***%s", (int) (start + 3 - text), text, at);
}

static void
dump_group (ChoirConfig *self, const char *section, const char *group, GString *out)
{
  guint n;
  const ChoirConfigKey *keys = choir_config_table_get_keys (&n);

  for (guint i = 0; i < n; i++)
    {
      if (strcmp (keys[i].section, section) != 0)
        continue;

      const ChoirConfigValue *value = get_value (self, group, keys[i].key);
      g_autofree char *text = hide_password (value->text);

      g_string_append_printf (out, "%s.%s=%s  # %s\n", group, keys[i].key, text, value->origin);
    }
}

static void
dump_instances (ChoirConfig *self, const char *section, GString *out)
{
  g_auto (GStrv) names = choir_config_list_instances (self, section);

  for (guint i = 0; names[i] != NULL; i++)
    {
      g_autofree char *group = g_strdup_printf ("%s %s", section, names[i]);

      dump_group (self, section, group, out);
    }
}

/**
 * choir_config_dump:
 * @self: the settings
 * @out: where to append a line "group.key=value  # origin" for each, in the order of the table
 *
 * Of an instance all keys are shown, those that fall back with the origin they have there.
 */
void
choir_config_dump (ChoirConfig *self, GString *out)
{
  guint n;
  const ChoirConfigKey *keys = choir_config_table_get_keys (&n);

  for (guint i = 0; i < n; i++)
    {
      const char *section = keys[i].section;

      if (i > 0 && strcmp (section, keys[i - 1].section) == 0)
        continue;

      if (strcmp (section, "dialect") != 0)
        dump_group (self, section, section, out);
      if (choir_config_table_has_instances (section))
        dump_instances (self, section, out);
    }
}
