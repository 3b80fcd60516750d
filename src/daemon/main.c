/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-backup-command.h"
#include "choir-check.h"
#include "choir-config.h"
#include "choir-daemon.h"
#include "choir-log.h"
#include "choir-signals.h"
#include "choir-stores.h"
#include "choir-token-command.h"
#include "choir-user-command.h"

#include <glib/gi18n.h>
#include <locale.h>
#include <malloc.h>
#include <string.h>
#include <sys/resource.h>

static char *opt_config;
static char **opt_sets;
static char *opt_log_format;
static gboolean opt_check_config;
static gboolean opt_dump_config;
static gboolean opt_version;

static const GOptionEntry entries[] = {
  { "config", 0, 0, G_OPTION_ARG_FILENAME, &opt_config, N_ ("Read only this configuration file"),
    N_ ("FILE") },
  { "set", 0, 0, G_OPTION_ARG_STRING_ARRAY, &opt_sets, N_ ("Set one key"),
    N_ ("SECTION.KEY=VALUE") },
  { "check-config", 0, 0, G_OPTION_ARG_NONE, &opt_check_config,
    N_ ("Check the configuration and exit"), NULL },
  { "dump-config", 0, 0, G_OPTION_ARG_NONE, &opt_dump_config,
    N_ ("Show every setting and where it comes from, and exit"), NULL },
  { "log-format", 0, 0, G_OPTION_ARG_STRING, &opt_log_format, N_ ("auto, console, journal or json"),
    N_ ("FORMAT") },
  { "version", 0, 0, G_OPTION_ARG_NONE, &opt_version, N_ ("Show the version and exit"), NULL },
  G_OPTION_ENTRY_NULL,
};

/* A connection is a descriptor: take all we may have */
static void
raise_descriptor_limit (void)
{
  struct rlimit limit;

  if (getrlimit (RLIMIT_NOFILE, &limit) < 0)
    return;

  limit.rlim_cur = limit.rlim_max;
  setrlimit (RLIMIT_NOFILE, &limit);
}

/* A document that is opened passes through several blocks of its size, and they are gone a moment
 * later. glibc would learn from that to take such blocks from the heap, which then keeps them;
 * fixed, they go back to the system at once. Three threads need no more than two heaps */
static void
return_large_blocks (void)
{
#ifdef __GLIBC__
  mallopt (M_MMAP_THRESHOLD, 128 * 1024);
  mallopt (M_TRIM_THRESHOLD, 512 * 1024);
  mallopt (M_ARENA_MAX, 2);
#endif
}

static gboolean
set_up_log (ChoirConfig *config, GError **error)
{
  ChoirLogFormat format = CHOIR_LOG_FORMAT_AUTO;
  ChoirLogLevel level;

  if (opt_log_format != NULL && !choir_log_format_parse (opt_log_format, &format, error))
    return FALSE;

  if (!choir_log_level_parse (choir_config_get_string (config, "log", "level"), &level, error))
    return FALSE;

  choir_log_init (format, level);

  return TRUE;
}

static void
print_addresses (ChoirDaemon *daemon)
{
  g_auto (GStrv) addresses = choir_daemon_dup_addresses (daemon);

  for (char **address = addresses; *address != NULL; address++)
    g_print ("listening on %s\n", *address);
}

static gboolean
serve (ChoirConfig *config, GError **error)
{
  g_autoptr (ChoirDaemon) daemon = choir_daemon_new (config);

  raise_descriptor_limit ();
  return_large_blocks ();
  choir_signals_block ();

  if (!choir_daemon_start (daemon, error))
    return FALSE;

  print_addresses (daemon);
  choir_daemon_run (daemon);

  return TRUE;
}

static gboolean
check (ChoirConfig *config, GError **error)
{
  return choir_check_config (config, error) && choir_stores_check (config, error);
}

static gboolean
run (ChoirConfig *config, GError **error)
{
  g_auto (GStrv) environment = g_get_environ ();

  if (!choir_config_load (config, opt_config, (const char *const *) environment,
                          (const char *const *) opt_sets, error))
    return FALSE;

  if (opt_dump_config)
    {
      g_autoptr (GString) dump = g_string_new (NULL);

      choir_config_dump (config, dump);
      g_print ("%s", dump->str);
      return TRUE;
    }

  if (!set_up_log (config, error))
    return FALSE;

  return opt_check_config ? check (config, error) : serve (config, error);
}

/* The first word, if it is not an option */
static const struct
{
  const char *word;
  int (*run) (int argc, char **argv);
} commands[] = {
  { "backup", choir_backup_command },
  { "token", choir_token_command },
  { "user", choir_user_command },
};

/* Its help must say what to type */
static int
run_command (int argc, char **argv, int (*run_it) (int argc, char **argv))
{
  g_autofree char *name = g_strdup_printf ("choird %s", argv[1]);

  g_set_prgname (name);

  return run_it (argc - 1, argv + 1);
}

/* A command that is misspelt must not start the service */
static gboolean
check_words (int argc, char **argv, GError **error)
{
  if (argc > 1)
    g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED,
                 _ ("“%s” is no command, or has options before it; “choird --help” tells more"),
                 argv[1]);

  return argc <= 1;
}

int
main (int argc, char **argv)
{
  g_autoptr (GOptionContext) context = NULL;
  g_autoptr (ChoirConfig) config = choir_config_new ();
  g_autoptr (GError) error = NULL;

  setlocale (LC_ALL, "");
  bindtextdomain (GETTEXT_PACKAGE, LOCALEDIR);
  bind_textdomain_codeset (GETTEXT_PACKAGE, "UTF-8");
  textdomain (GETTEXT_PACKAGE);

  for (guint i = 0; argc > 1 && i < G_N_ELEMENTS (commands); i++)
    if (strcmp (argv[1], commands[i].word) == 0)
      return run_command (argc, argv, commands[i].run);

  context = g_option_context_new (_ ("- real-time WebSocket service"));
  g_option_context_set_summary (context, _ ("Commands, each with --help:\n"
                                            "  choird token    Make a token\n"
                                            "  choird user     Add, enable, disable, list users\n"
                                            "  choird backup   Copy the database"));
  g_option_context_add_main_entries (context, entries, GETTEXT_PACKAGE);

  if (!g_option_context_parse (context, &argc, &argv, &error) ||
      !check_words (argc, argv, &error) || (!opt_version && !run (config, &error)))
    {
      g_printerr ("choird: %s\n", error->message);
      return 1;
    }

  if (opt_version)
    g_print ("choird %s\n", PACKAGE_VERSION);

  return 0;
}
