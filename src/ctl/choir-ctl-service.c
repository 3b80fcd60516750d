/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-ctl-format.h"
#include "choir-ctl-verbs.h"
#include "choir-ctl-words.h"

#include <glib/gi18n.h>

static char *opt_after;

const GOptionEntry choir_ctl_drain_entries[] = {
  { "after", 0, 0, G_OPTION_ARG_FILENAME, &opt_after,
    N_ ("Say “draining” at once, and begin after this time (default: at once)"), N_ ("TIME") },
  G_OPTION_ENTRY_NULL,
};

static GVariant *
pair (const char *key, GVariant *value)
{
  GVariantDict dictionary;

  g_variant_dict_init (&dictionary, NULL);
  g_variant_dict_insert_value (&dictionary, key, value);

  return g_variant_dict_end (&dictionary);
}

/**
 * choir_ctl_drain:
 * @self: the options and the bus
 * @words: none
 * @error: return location, of %CHOIR_CTL_ERROR
 *
 * `choirctl drain [--after TIME]`
 *
 * Returns: whether it worked
 */
gboolean
choir_ctl_drain (ChoirCtl *self, char **words, GError **error)
{
  g_autoptr (GVariant) reply = NULL;
  g_autofree char *span = NULL;
  gint64 after_us = 0;
  guint64 after_ms;

  if (!choir_ctl_word_duration ("--after", opt_after, &after_us, error))
    return FALSE;

  after_ms = (guint64) after_us / 1000;
  reply = choir_ctl_call (self, "Drain", g_variant_new ("(t)", after_ms), "()", error);
  if (reply == NULL)
    return FALSE;

  span = choir_ctl_format_span (after_ms / 1000);
  if (after_ms == 0)
    choir_ctl_say (self, pair ("after_ms", g_variant_new_uint64 (0)), "%s",
                   _ ("Clients are told to leave"));
  else
    choir_ctl_say (self, pair ("after_ms", g_variant_new_uint64 (after_ms)),
                   _ ("Balancers are told at once, clients in %s"), span);

  return TRUE;
}

/**
 * choir_ctl_reload:
 * @self: the options and the bus
 * @words: none
 * @error: return location, of %CHOIR_CTL_ERROR
 *
 * `choirctl reload`
 *
 * Returns: whether it worked
 */
gboolean
choir_ctl_reload (ChoirCtl *self, char **words, GError **error)
{
  g_autoptr (GVariant) reply = choir_ctl_call (self, "Reload", NULL, "()", error);

  if (reply == NULL)
    return FALSE;

  choir_ctl_say (self, pair ("reloaded", g_variant_new_boolean (TRUE)), "%s",
                 _ ("The configuration has been read again"));

  return TRUE;
}

static gboolean
show_log_level (ChoirCtl *self, GError **error)
{
  g_autoptr (GVariant) properties =
    choir_ctl_get_all (self, CHOIR_CTL_PATH, CHOIR_CTL_MANAGER, error);
  const char *level = "";

  if (properties == NULL)
    return FALSE;

  g_variant_lookup (properties, "LogLevel", "&s", &level);
  choir_ctl_say (self, pair ("log_level", g_variant_new_string (level)), "%s", level);

  return TRUE;
}

/**
 * choir_ctl_log_level:
 * @self: the options and the bus
 * @words: none, or the new level
 * @error: return location, of %CHOIR_CTL_ERROR
 *
 * `choirctl log-level [LEVEL]`
 *
 * Returns: whether it worked
 */
gboolean
choir_ctl_log_level (ChoirCtl *self, char **words, GError **error)
{
  g_autoptr (GVariant) reply = NULL;

  if (words[0] == NULL)
    return show_log_level (self, error);

  reply = choir_ctl_call (self, "SetLogLevel", g_variant_new ("(s)", words[0]), "()", error);
  if (reply == NULL)
    return FALSE;

  choir_ctl_say (self, pair ("log_level", g_variant_new_string (words[0])),
                 _ ("“%s” until the configuration is read again"), words[0]);

  return TRUE;
}
