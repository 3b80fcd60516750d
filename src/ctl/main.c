/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-ctl-options.h"
#include "choir-ctl-words.h"
#include "choir-ctl.h"

#include <glib/gi18n.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

/* A password takes its time to type */
#define TIMEOUT_MS (25 * 1000)
#define TIMEOUT_ASKING_MS (120 * 1000)

static gboolean opt_system;
static gboolean opt_session;
static char *opt_address;
static char *opt_node;
static char *opt_host;
static gboolean opt_json;
static gboolean opt_no_legend;
static char *opt_color;
static gboolean opt_no_ask_password;
static char *opt_timeout;
static gboolean opt_version;
static char **opt_words;

/* FILENAME where a text is meant: it is taken as it stands, whatever the locale is; main() has
 * checked that it is UTF-8 */
static const GOptionEntry entries[] = {
  { "system", 0, 0, G_OPTION_ARG_NONE, &opt_system, N_ ("On the system's bus (default)"), NULL },
  { "session", 0, 0, G_OPTION_ARG_NONE, &opt_session, N_ ("On the session's bus"), NULL },
  { "address", 0, 0, G_OPTION_ARG_FILENAME, &opt_address, N_ ("On the bus at this address"),
    N_ ("ADDRESS") },
  { "node", 0, 0, G_OPTION_ARG_FILENAME, &opt_node, N_ ("Which of several services of one host"),
    N_ ("NAME") },
  { "host", 'H', 0, G_OPTION_ARG_FILENAME, &opt_host, N_ ("On another host, over ssh"),
    N_ ("[USER@]HOST") },
  { "json", 0, 0, G_OPTION_ARG_NONE, &opt_json, N_ ("Print JSON"), NULL },
  { "no-legend", 0, 0, G_OPTION_ARG_NONE, &opt_no_legend, N_ ("No titles and no counts"), NULL },
  { "color", 0, 0, G_OPTION_ARG_FILENAME, &opt_color,
    N_ ("auto (default: on a terminal), always or never"), N_ ("WHEN") },
  { "no-ask-password", 0, 0, G_OPTION_ARG_NONE, &opt_no_ask_password,
    N_ ("Rather fail than ask for a password"), NULL },
  { "timeout", 0, 0, G_OPTION_ARG_FILENAME, &opt_timeout, N_ ("How long to wait for an answer"),
    N_ ("TIME") },
  { "version", 0, 0, G_OPTION_ARG_NONE, &opt_version, N_ ("Show the version and exit"), NULL },
  { G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &opt_words, NULL, NULL },
  G_OPTION_ENTRY_NULL,
};

static gboolean
check_utf8 (char **argv, GError **error)
{
  for (char **word = argv; *word != NULL; word++)
    if (!g_utf8_validate (*word, -1, NULL))
      {
        g_set_error (error, CHOIR_CTL_ERROR, CHOIR_CTL_USAGE, _ ("“%s” is not UTF-8"), *word);
        return FALSE;
      }

  return TRUE;
}

static char *
make_summary (void)
{
  GString *text = g_string_new (_ ("Verbs, each with --help:"));
  guint widest = 0;

  for (const ChoirCtlVerb *verb = choir_ctl_verbs; verb->name != NULL; verb++)
    widest = MAX (widest, choir_ctl_text_width (verb->name));

  for (const ChoirCtlVerb *verb = choir_ctl_verbs; verb->name != NULL; verb++)
    g_string_append_printf (text, "\n  %-*s  %s", (int) widest, verb->name, _ (verb->summary));

  return g_string_free (text, FALSE);
}

static gboolean
has_option (const ChoirCtlVerb *verb, const char *name)
{
  for (const GOptionEntry *entry = verb->entries; entry->long_name != NULL; entry++)
    if (strcmp (entry->long_name, name) == 0)
      return TRUE;

  return FALSE;
}

/* (transfer none) (nullable): those it does not share with all */
static const GOptionEntry *
get_own_entries (const ChoirCtlVerb *verb)
{
  return verb != NULL ? verb->entries : NULL;
}

/* The verb's own, and those of all verbs that it has no other meaning for: “connections --address”
 * is about the clients' address, “--address” before the verb about the bus */
static void
add_entries (GOptionContext *context, const ChoirCtlVerb *verb)
{
  g_autoptr (GArray) common = g_array_new (TRUE, TRUE, sizeof (GOptionEntry));
  const GOptionEntry *own = get_own_entries (verb);

  for (guint i = 0; i < G_N_ELEMENTS (entries) - 1; i++)
    if (own == NULL || !has_option (verb, entries[i].long_name))
      g_array_append_val (common, entries[i]);

  if (own != NULL)
    g_option_context_add_main_entries (context, own, GETTEXT_PACKAGE);
  g_option_context_add_main_entries (context, (const GOptionEntry *) (gpointer) common->data,
                                     GETTEXT_PACKAGE);
}

/* The options up to the verb, or with the verb's own all that follow */
static gboolean
parse (char **argv, const ChoirCtlVerb *verb, GError **error)
{
  const GOptionEntry *own = get_own_entries (verb);
  const GOptionEntry *const tables[] = { own != NULL ? own : entries, entries, NULL };
  g_auto (GStrv) words = choir_ctl_options_split (argv, tables, verb == NULL);
  g_autoptr (GOptionContext) context = NULL;
  g_autofree char *parameters = NULL;
  g_autofree char *summary = NULL;

  if (verb != NULL)
    {
      parameters = g_strdup_printf ("%s%s%s", verb->name, verb->words != NULL ? " " : "",
                                    verb->words != NULL ? _ (verb->words) : "");
      summary = g_strdup (_ (verb->summary));
    }
  else
    {
      parameters = g_strdup (_ ("VERB"));
      summary = make_summary ();
    }

  context = g_option_context_new (parameters);
  g_option_context_set_summary (context, summary);
  g_option_context_set_strict_posix (context, verb == NULL);
  add_entries (context, verb);

  return g_option_context_parse_strv (context, &words, error);
}

static gboolean
set_bus (ChoirCtlBus *bus, GError **error)
{
  gint64 timeout_us = 0;

  if (opt_system + opt_session + (opt_address != NULL) > 1)
    {
      g_set_error_literal (error, CHOIR_CTL_ERROR, CHOIR_CTL_USAGE,
                           _ ("--system, --session and --address exclude each other"));
      return FALSE;
    }

  if (opt_host != NULL && (*opt_host == '\0' || *opt_host == '-'))
    {
      g_set_error (error, CHOIR_CTL_ERROR, CHOIR_CTL_USAGE, _ ("--host: “%s” is no host"),
                   opt_host);
      return FALSE;
    }

  bus->session = opt_session;
  bus->address = opt_address;
  bus->host = opt_host;
  bus->no_ask_password = opt_no_ask_password;
  bus->has_timeout = opt_timeout != NULL;
  bus->timeout_ms =
    !opt_no_ask_password && choir_ctl_agent_is_wanted () ? TIMEOUT_ASKING_MS : TIMEOUT_MS;
  if (!choir_ctl_word_duration ("--timeout", opt_timeout, &timeout_us, error))
    return FALSE;
  if (opt_timeout != NULL)
    bus->timeout_ms = (int) CLAMP (timeout_us / 1000, 1, G_MAXINT);

  return choir_ctl_bus_set_node (bus, opt_node, error);
}

static const ChoirCtlVerb *
find_verb (GError **error)
{
  const ChoirCtlVerb *verb;
  const char *guess;

  if (opt_words == NULL)
    {
      g_set_error_literal (error, CHOIR_CTL_ERROR, CHOIR_CTL_USAGE,
                           _ ("A verb is needed; “choirctl --help” lists them"));
      return NULL;
    }

  verb = choir_ctl_find_verb (opt_words[0]);
  if (verb != NULL)
    return verb;

  guess = choir_ctl_guess_verb (opt_words[0]);
  if (guess != NULL)
    g_set_error (error, CHOIR_CTL_ERROR, CHOIR_CTL_USAGE,
                 _ ("There is no verb “%s”; did you mean “%s”?"), opt_words[0], guess);
  else
    g_set_error (error, CHOIR_CTL_ERROR, CHOIR_CTL_USAGE,
                 _ ("There is no verb “%s”; “choirctl --help” lists them"), opt_words[0]);

  return NULL;
}

static gboolean
check_words (const ChoirCtlVerb *verb, char **words, GError **error)
{
  int n = (int) g_strv_length (words);

  if (n >= verb->min_words && (verb->max_words < 0 || n <= verb->max_words))
    return TRUE;

  g_set_error (error, CHOIR_CTL_ERROR, CHOIR_CTL_USAGE,
               _ ("What is needed: choirctl %s%s%s; “choirctl %s --help” tells more"), verb->name,
               verb->words != NULL ? " " : "", verb->words != NULL ? _ (verb->words) : "",
               verb->name);

  return FALSE;
}

/* What the first round has left: the verb and all behind it */
static gboolean
run_verb (ChoirCtl *ctl, const char *program, GError **error)
{
  const ChoirCtlVerb *verb = find_verb (error);
  g_auto (GStrv) rest = g_steal_pointer (&opt_words);
  ChoirCtlColor color = CHOIR_CTL_COLOR_AUTO;

  if (verb == NULL)
    return FALSE;

  g_free (rest[0]);
  rest[0] = g_strdup (program);
  if (!parse (rest, verb, error))
    return FALSE;

  if (opt_words == NULL)
    opt_words = g_new0 (char *, 1);
  if (!check_words (verb, opt_words, error) ||
      (opt_color != NULL && !choir_ctl_color_parse (opt_color, &color, error)) ||
      !set_bus (&ctl->bus, error))
    return FALSE;

  ctl->json = opt_json;
  ctl->no_legend = opt_no_legend;
  choir_ctl_output_init (color);

  return verb->run (ctl, opt_words, error) && choir_ctl_flush (error);
}

static gboolean
run (ChoirCtl *ctl, char **argv, GError **error)
{
  if (!check_utf8 (argv, error) || !parse (argv, NULL, error))
    return FALSE;

  if (!opt_version)
    return run_verb (ctl, argv[0], error);

  choir_ctl_print ("choirctl %s\n", PACKAGE_VERSION);

  return choir_ctl_flush (error);
}

/* GOption's help, with which it ends the process itself */
static void
print_help (const char *text)
{
  g_autoptr (GError) error = NULL;

  choir_ctl_print ("%s", text);
  if (choir_ctl_flush (&error))
    return;

  choir_ctl_complain (error->message);
  exit (choir_ctl_error_get_status (error));
}

int
main (int argc, char **argv)
{
  ChoirCtl ctl = { .status = CHOIR_CTL_DONE };
  g_autoptr (GError) error = NULL;

  setlocale (LC_ALL, "");
  bindtextdomain (GETTEXT_PACKAGE, LOCALEDIR);
  bind_textdomain_codeset (GETTEXT_PACKAGE, "UTF-8");
  textdomain (GETTEXT_PACKAGE);
  g_set_prgname ("choirctl");
  g_set_print_handler (print_help);

  if (!run (&ctl, argv, &error))
    choir_ctl_report (&ctl, error);
  choir_ctl_bus_clear (&ctl.bus);
  if (ctl.is_unread)
    choir_ctl_die_of_pipe ();

  return ctl.status;
}
