/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-ctl-verbs.h"

#include <glib/gi18n.h>
#include <string.h>

/* Beyond this many letters wrong nobody has meant the word */
#define GUESS_MAX 2
#define GUESS_LEN_MAX 32

const ChoirCtlVerb choir_ctl_verbs[] = {
  { "drain", NULL, N_ ("Send all clients away, and end"), 0, 0, choir_ctl_drain_entries,
    choir_ctl_drain },
  { "reload", NULL, N_ ("Read the configuration again"), 0, 0, NULL, choir_ctl_reload },
  { "log-level", N_ ("[LEVEL]"), N_ ("Show or set how much is logged"), 0, 1, NULL,
    choir_ctl_log_level },
  { NULL },
};

/**
 * choir_ctl_find_verb:
 * @name: a word
 *
 * Returns: (nullable): the verb of that name
 */
const ChoirCtlVerb *
choir_ctl_find_verb (const char *name)
{
  for (const ChoirCtlVerb *verb = choir_ctl_verbs; verb->name != NULL; verb++)
    if (strcmp (name, verb->name) == 0)
      return verb;

  return NULL;
}

/* Letters to insert, leave out or replace to get from one to the other (Levenshtein) */
static guint
get_distance (const char *a, const char *b)
{
  guint row[GUESS_LEN_MAX + 1];
  guint len = (guint) strlen (b);

  for (guint j = 0; j <= len; j++)
    row[j] = j;

  for (guint i = 0; a[i] != '\0'; i++)
    {
      guint corner = row[0];

      row[0] = i + 1;
      for (guint j = 0; j < len; j++)
        {
          guint replaced = corner + (a[i] != b[j] ? 1 : 0);

          corner = row[j + 1];
          row[j + 1] = MIN (replaced, MIN (row[j], corner) + 1);
        }
    }

  return row[len];
}

/**
 * choir_ctl_guess_verb:
 * @name: a word that is no verb
 *
 * Returns: (nullable): the verb that may have been meant
 */
const char *
choir_ctl_guess_verb (const char *name)
{
  const char *best = NULL;
  guint least = GUESS_MAX + 1;

  for (const ChoirCtlVerb *verb = choir_ctl_verbs; verb->name != NULL; verb++)
    {
      guint distance;

      if (strlen (verb->name) > GUESS_LEN_MAX)
        continue;

      /* a beginning counts as almost right, since that is what people abbreviate to */
      distance = strlen (name) > 1 && g_str_has_prefix (verb->name, name)
                   ? 1
                   : get_distance (name, verb->name);
      if (distance < least)
        {
          least = distance;
          best = verb->name;
        }
    }

  return best;
}
