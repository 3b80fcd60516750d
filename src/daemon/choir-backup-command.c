/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-backup-command.h"

#include "choir-config.h"
#include "choir-stores.h"

#include <glib/gi18n.h>

static char *opt_config;
static char **opt_sets;
static char **opt_words;

static const GOptionEntry entries[] = {
  { "config", 0, 0, G_OPTION_ARG_FILENAME, &opt_config, N_ ("Read only this configuration file"),
    N_ ("FILE") },
  { "set", 0, 0, G_OPTION_ARG_STRING_ARRAY, &opt_sets, N_ ("Set one key"),
    N_ ("SECTION.KEY=VALUE") },
  { G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &opt_words, NULL, N_ ("FILE") },
  G_OPTION_ENTRY_NULL,
};

static gboolean
run (GError **error)
{
  g_autoptr (ChoirConfig) config = choir_config_new ();
  g_auto (GStrv) environment = g_get_environ ();
  g_autofree char *path = NULL;

  if (opt_words == NULL || g_strv_length (opt_words) != 1)
    {
      g_set_error_literal (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                           _ ("FILE is needed: where the copy is to be"));
      return FALSE;
    }

  if (!choir_config_load (config, opt_config, (const char *const *) environment,
                          (const char *const *) opt_sets, error))
    return FALSE;

  path = choir_stores_dup_path (config, error);

  return path != NULL && choir_store_sqlite_backup (path, opt_words[0], error);
}

static void
forget_options (void)
{
  g_clear_pointer (&opt_config, g_free);
  g_clear_pointer (&opt_sets, g_strfreev);
  g_clear_pointer (&opt_words, g_strfreev);
}

/**
 * choir_backup_command:
 * @argc: number of arguments, the first of which is ignored
 * @argv: the arguments
 *
 * Copies the database to a new file, checked and synced.
 *
 * Returns: exit status
 */
int
choir_backup_command (int argc, char **argv)
{
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);
  g_autoptr (GError) error = NULL;

  g_option_context_set_summary (context, _ ("Copy the database; the service may be running"));
  g_option_context_add_main_entries (context, entries, GETTEXT_PACKAGE);
  if (g_option_context_parse (context, &argc, &argv, &error))
    run (&error);
  forget_options ();

  if (error == NULL)
    return 0;

  g_printerr ("choird backup: %s\n", error->message);

  return 1;
}
