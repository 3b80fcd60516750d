/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-ctl-options.h"

#include <string.h>

/* By its letter, or if that is '\0' by its name; the first table that has it counts */
static const GOptionEntry *
find_entry (const GOptionEntry *const *tables, char letter, const char *name)
{
  for (; *tables != NULL; tables++)
    for (const GOptionEntry *entry = *tables; entry->long_name != NULL; entry++)
      if (letter != '\0' ? entry->short_name == letter : g_strcmp0 (entry->long_name, name) == 0)
        return entry;

  return NULL;
}

/* Of an option nobody knows too it is %FALSE: GOption is to say so */
static gboolean
takes_value (const GOptionEntry *entry)
{
  return entry != NULL && entry->arg != G_OPTION_ARG_NONE;
}

static gboolean
is_option (const char *word)
{
  return word[0] == '-' && word[1] != '\0' && strcmp (word, "--") != 0;
}

/* Adds @word, or the two it stands for; returns whether the value is the word behind it */
static gboolean
add_option (GStrvBuilder *out, const GOptionEntry *const *tables, const char *word)
{
  const GOptionEntry *entry = NULL;

  if (word[1] == '-')
    {
      g_strv_builder_add (out, word);
      return takes_value (find_entry (tables, '\0', word + 2));
    }

  for (const char *at = word + 1; *at != '\0' && !takes_value (entry); at++)
    {
      entry = find_entry (tables, *at, NULL);

      if (takes_value (entry) && at[1] != '\0')
        {
          g_autofree char *options = g_strndup (word, (gsize) (at + 1 - word));

          g_strv_builder_add_many (out, options, at + 1, NULL);
          return FALSE;
        }
    }
  g_strv_builder_add (out, word);

  return takes_value (entry);
}

/**
 * choir_ctl_options_split:
 * @argv: the program and the words behind it
 * @tables: (array zero-terminated=1): the options there are
 * @until_word: whether all behind the first word that is no option is to be left alone
 *
 * Returns: (transfer full): the same words, but short options apart from a value that was written
 *   right behind them
 */
char **
choir_ctl_options_split (char **argv, const GOptionEntry *const *tables, gboolean until_word)
{
  g_autoptr (GStrvBuilder) out = g_strv_builder_new ();
  gboolean is_over = FALSE;

  g_strv_builder_add (out, argv[0]);
  for (char **at = argv + 1; *at != NULL; at++)
    if (is_over || !is_option (*at))
      {
        g_strv_builder_add (out, *at);
        is_over |= until_word || strcmp (*at, "--") == 0;
      }
    else if (add_option (out, tables, *at) && at[1] != NULL)
      g_strv_builder_add (out, *++at);

  return g_strv_builder_end (out);
}
