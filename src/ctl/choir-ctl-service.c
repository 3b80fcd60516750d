/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-ctl-verbs.h"
#include "choir-ctl-words.h"

#include <glib/gi18n.h>

static char *opt_after;

const GOptionEntry choir_ctl_drain_entries[] = {
  { "after", 0, 0, G_OPTION_ARG_FILENAME, &opt_after,
    N_ ("Say “draining” at once, and begin after this time (default: at once)"), N_ ("TIME") },
  G_OPTION_ENTRY_NULL,
};

/* With --json what was done is an object too */
static void
say_done (ChoirCtl *self, const char *key, GVariant *value, const char *sentence)
{
  g_autoptr (GVariant) owned = g_variant_ref_sink (value);
  GVariantDict done;

  if (!self->json)
    {
      choir_ctl_print ("%s\n", sentence);
      return;
    }

  g_variant_dict_init (&done, NULL);
  g_variant_dict_insert_value (&done, key, owned);
  choir_ctl_print_json (g_variant_dict_end (&done));
}

gboolean
choir_ctl_drain (ChoirCtl *self, char **words, GError **error)
{
  g_autoptr (GVariant) reply = NULL;
  gint64 after_us = 0;
  guint64 after_ms;

  if (!choir_ctl_word_duration ("--after", opt_after, &after_us, error))
    return FALSE;

  after_ms = (guint64) after_us / 1000;
  reply = choir_ctl_call (self, "Drain", g_variant_new ("(t)", after_ms), "()", error);
  if (reply == NULL)
    return FALSE;

  say_done (self, "after_ms", g_variant_new_uint64 (after_ms), _ ("Draining"));

  return TRUE;
}

gboolean
choir_ctl_reload (ChoirCtl *self, char **words, GError **error)
{
  g_autoptr (GVariant) reply = choir_ctl_call (self, "Reload", NULL, "()", error);

  if (reply == NULL)
    return FALSE;

  say_done (self, "reloaded", g_variant_new_boolean (TRUE), _ ("Configuration reloaded"));

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
  say_done (self, "log_level", g_variant_new_string (level), level);

  return TRUE;
}

gboolean
choir_ctl_log_level (ChoirCtl *self, char **words, GError **error)
{
  g_autoptr (GVariant) reply = NULL;

  if (words[0] == NULL)
    return show_log_level (self, error);

  reply = choir_ctl_call (self, "SetLogLevel", g_variant_new ("(s)", words[0]), "()", error);
  if (reply == NULL)
    return FALSE;

  say_done (self, "log_level", g_variant_new_string (words[0]),
            _ ("Set until the configuration is read again"));

  return TRUE;
}
