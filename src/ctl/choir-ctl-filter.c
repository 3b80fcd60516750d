/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-ctl-filter.h"

#include "choir-ctl-error.h"
#include "choir-ctl-words.h"

#include <gio/gio.h>
#include <glib/gi18n.h>

static char *opt_user;
static char *opt_address;
static char *opt_channel;
static char *opt_dialect;
static char *opt_prefix;
static char *opt_namespace;
static char *opt_state;
static char *opt_kind;
static char **opt_excluded;
static gboolean opt_slow;
static gboolean opt_blocked;
static gboolean opt_stored;
static char *opt_limit;
static char *opt_offset;
static gboolean opt_all;

#define OPTION(name, variable, help, word)                                                         \
  {                                                                                                \
    name, 0, 0, G_OPTION_ARG_FILENAME, &variable, help, word                                       \
  }
#define FLAG(name, variable, help)                                                                 \
  {                                                                                                \
    name, 0, 0, G_OPTION_ARG_NONE, &variable, help, NULL                                           \
  }

#define OF_USER OPTION ("user", opt_user, N_ ("Only those of this user"), N_ ("USER"))
#define PREFIX OPTION ("prefix", opt_prefix, N_ ("Only those that begin so"), N_ ("TEXT"))
#define PICK_CONNECTIONS                                                                           \
  OF_USER, OPTION ("address", opt_address, N_ ("Only those from this address"), N_ ("ADDRESS")),   \
    OPTION ("channel", opt_channel, N_ ("Only those subscribed to this channel"), N_ ("CHANNEL")), \
    OPTION ("dialect", opt_dialect, N_ ("Only those that speak this contract, as in jddb"),        \
            N_ ("NAME")),                                                                          \
    FLAG ("slow", opt_slow, N_ ("Only those that do not keep up"))
#define PAGES                                                                                      \
  OPTION ("limit", opt_limit, N_ ("List at most so many (default: 100)"), N_ ("N")),               \
    OPTION ("offset", opt_offset, N_ ("Pass over so many"), N_ ("N")),                             \
    FLAG ("all", opt_all, N_ ("List all")), G_OPTION_ENTRY_NULL

const GOptionEntry choir_ctl_connections_entries[] = { PICK_CONNECTIONS, PAGES };

const GOptionEntry choir_ctl_users_entries[] = {
  PREFIX,
  FLAG ("blocked", opt_blocked, N_ ("Only those who are blocked")),
  PAGES,
};

const GOptionEntry choir_ctl_channels_entries[] = {
  PREFIX,
  OPTION ("namespace", opt_namespace, N_ ("Only those with this before the colon"), N_ ("NAME")),
  PAGES,
};

const GOptionEntry choir_ctl_documents_entries[] = {
  PREFIX,
  FLAG ("stored", opt_stored, N_ ("Those too that are only in the store")),
  PAGES,
};

const GOptionEntry choir_ctl_tasks_entries[] = {
  OF_USER,
  OPTION ("state", opt_state, N_ ("queued, running, completed, failed or cancelled"), N_ ("STATE")),
  OPTION ("kind", opt_kind, N_ ("Only those of this kind"), N_ ("KIND")),
  PAGES,
};

const GOptionEntry choir_ctl_page_entries[] = { PAGES };

const GOptionEntry choir_ctl_broadcast_entries[] = {
  PICK_CONNECTIONS,
  { "exclude", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &opt_excluded,
    N_ ("Not this connection; may be given more than once"), N_ ("CONNECTION") },
  G_OPTION_ENTRY_NULL,
};

/**
 * choir_ctl_filter_new:
 *
 * Returns: (transfer floating): the options that were given, as the service's methods take them
 */
GVariant *
choir_ctl_filter_new (void)
{
  const struct
  {
    const char *key;
    const char *value;
  } texts[] = {
    { "user", opt_user },       { "address", opt_address }, { "channel", opt_channel },
    { "dialect", opt_dialect }, { "prefix", opt_prefix },   { "namespace", opt_namespace },
    { "state", opt_state },     { "kind", opt_kind },
  };
  const struct
  {
    const char *key;
    gboolean value;
  } flags[] = { { "slow", opt_slow }, { "blocked", opt_blocked }, { "stored", opt_stored } };
  GVariantDict filter;

  g_variant_dict_init (&filter, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (texts); i++)
    if (texts[i].value != NULL)
      g_variant_dict_insert (&filter, texts[i].key, "s", texts[i].value);
  for (guint i = 0; i < G_N_ELEMENTS (flags); i++)
    if (flags[i].value)
      g_variant_dict_insert (&filter, flags[i].key, "b", TRUE);
  if (opt_excluded != NULL)
    g_variant_dict_insert (&filter, "exclude", "^as", opt_excluded);

  return g_variant_dict_end (&filter);
}

/**
 * choir_ctl_filter_get_page:
 * @out: (out): which part of a list was asked for
 * @error: return location, of %CHOIR_CTL_ERROR
 *
 * Returns: whether the options make sense
 */
gboolean
choir_ctl_filter_get_page (ChoirCtlPage *out, GError **error)
{
  guint64 limit = CHOIR_CTL_PAGE_DEFAULT;
  guint64 offset = 0;

  if (opt_all && opt_limit != NULL)
    {
      g_set_error_literal (error, CHOIR_CTL_ERROR, CHOIR_CTL_USAGE,
                           _ ("--all and --limit exclude each other"));
      return FALSE;
    }

  if (!choir_ctl_word_number ("--limit", opt_limit, G_MAXUINT32 - 1, &limit, error) ||
      !choir_ctl_word_number ("--offset", opt_offset, G_MAXINT32, &offset, error))
    return FALSE;

  out->n = opt_all ? G_MAXUINT : (guint) limit;
  out->offset = (guint) offset;

  return TRUE;
}
