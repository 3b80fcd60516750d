/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-ctl-verbs.h"
#include "choir-ctl-words.h"

#include <glib/gi18n.h>

static char *opt_reason;
static char *opt_version;

const GOptionEntry choir_ctl_close_entries[] = {
  { "reason", 0, 0, G_OPTION_ARG_FILENAME, &opt_reason, N_ ("What those concerned are told"),
    N_ ("TEXT") },
  G_OPTION_ENTRY_NULL,
};

const GOptionEntry choir_ctl_read_entries[] = {
  { "version", 0, 0, G_OPTION_ARG_FILENAME, &opt_version,
    N_ ("An earlier version (default: the newest)"), N_ ("N") },
  G_OPTION_ENTRY_NULL,
};

static const char *
get_reason (void)
{
  return opt_reason != NULL ? opt_reason : "";
}

/* A terminal would obey what is in it; a file or a program gets it byte by byte */
static void
print_text (const char *text)
{
  g_autofree char *clean = choir_ctl_is_terminal () ? choir_ctl_clean_lines (text) : NULL;

  choir_ctl_write (clean != NULL ? clean : text, -1);
  if (clean != NULL && *clean != '\0' && !g_str_has_suffix (clean, "\n"))
    choir_ctl_write ("\n", 1);
}

/**
 * choir_ctl_read:
 * @self: the options and the bus
 * @words: a document
 * @error: return location, of %CHOIR_CTL_ERROR
 *
 * `choirctl read DOCUMENT [--version N]`
 *
 * Returns: whether it worked
 */
gboolean
choir_ctl_read (ChoirCtl *self, char **words, GError **error)
{
  g_autoptr (GVariant) reply = NULL;
  guint64 version = 0;
  const char *text;
  GVariantDict found;

  if (!choir_ctl_word_number ("--version", opt_version, G_MAXINT64, &version, error))
    return FALSE;

  reply =
    choir_ctl_call (self, "ReadDocument", g_variant_new ("(st)", words[0], version), "(ts)", error);
  if (reply == NULL)
    return FALSE;

  g_variant_get (reply, "(t&s)", &version, &text);
  if (!self->json)
    {
      print_text (text);
      return TRUE;
    }

  g_variant_dict_init (&found, NULL);
  g_variant_dict_insert (&found, "document", "s", words[0]);
  g_variant_dict_insert (&found, "version", "t", version);
  g_variant_dict_insert (&found, "text", "s", text);
  choir_ctl_print_json (g_variant_dict_end (&found));

  return TRUE;
}

static gboolean
close_document (ChoirCtl *self,
                const char *word,
                GVariantDict *done,
                char **sentence,
                GError **error)
{
  g_autoptr (GVariant) reply = choir_ctl_call (
    self, "CloseDocument", g_variant_new ("(ss)", word, get_reason ()), "(u)", error);
  guint n;

  if (reply == NULL)
    return FALSE;

  g_variant_get (reply, "(u)", &n);
  g_variant_dict_insert (done, "document", "s", word);
  g_variant_dict_insert (done, "editors", "u", n);
  *sentence = g_strdup_printf (
    ngettext ("%s: closed for %u editor", "%s: closed for %u editors", n), word, n);

  return TRUE;
}

/**
 * choir_ctl_close_document:
 * @self: the options and the bus
 * @words: documents
 * @error: return location, of %CHOIR_CTL_ERROR
 *
 * `choirctl close-document DOCUMENT... [--reason TEXT]`
 *
 * Returns: whether it worked
 */
gboolean
choir_ctl_close_document (ChoirCtl *self, char **words, GError **error)
{
  return choir_ctl_do_each (self, words, close_document);
}

static gboolean
cancel_task (ChoirCtl *self, const char *word, GVariantDict *done, char **sentence, GError **error)
{
  g_autoptr (GVariant) reply =
    choir_ctl_call (self, "CancelTask", g_variant_new ("(ss)", word, get_reason ()), "()", error);

  if (reply == NULL)
    return FALSE;

  g_variant_dict_insert (done, "task", "s", word);
  *sentence = g_strdup_printf (_ ("%s: cancelled"), word);

  return TRUE;
}

/**
 * choir_ctl_cancel:
 * @self: the options and the bus
 * @words: tasks
 * @error: return location, of %CHOIR_CTL_ERROR
 *
 * `choirctl cancel TASK... [--reason TEXT]`
 *
 * Returns: whether it worked
 */
gboolean
choir_ctl_cancel (ChoirCtl *self, char **words, GError **error)
{
  return choir_ctl_do_each (self, words, cancel_task);
}
