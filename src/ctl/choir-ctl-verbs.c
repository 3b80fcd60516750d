/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-ctl-verbs.h"

#include "choir-ctl-filter.h"
#include "choir-ctl-live.h"

#include <glib/gi18n.h>
#include <string.h>

/* Beyond this many letters wrong nobody has meant the word */
#define GUESS_MAX 2
#define GUESS_LEN_MAX 32

const ChoirCtlVerb choir_ctl_verbs[] = {
  { "status", NULL, N_ ("Show how the service is doing"), 0, 0, NULL, choir_ctl_status },
  { "top", NULL, N_ ("Show who uses the service most, as it happens"), 0, 0, choir_ctl_top_entries,
    choir_ctl_top },
  { "connections", NULL, N_ ("List connections"), 0, 0, choir_ctl_connections_entries,
    choir_ctl_connections },
  { "users", NULL, N_ ("List users"), 0, 0, choir_ctl_users_entries, choir_ctl_users },
  { "channels", NULL, N_ ("List channels"), 0, 0, choir_ctl_channels_entries, choir_ctl_channels },
  { "documents", NULL, N_ ("List documents"), 0, 0, choir_ctl_documents_entries,
    choir_ctl_documents },
  { "tasks", NULL, N_ ("List tasks"), 0, 0, choir_ctl_tasks_entries, choir_ctl_tasks },
  { "show", N_ ("KIND NAME"), N_ ("Show a connection, session, document, channel or task"), 2, 2,
    NULL, choir_ctl_show },
  { "kick", N_ ("CONNECTION…"), N_ ("Send clients away"), 1, -1, choir_ctl_kick_entries,
    choir_ctl_kick },
  { "block", N_ ("USER…"), N_ ("Send users away, and refuse them"), 1, -1, choir_ctl_block_entries,
    choir_ctl_block },
  { "unblock", N_ ("USER…"), N_ ("Let blocked users in again"), 1, -1, NULL, choir_ctl_unblock },
  { "blocked", NULL, N_ ("List blocked users"), 0, 0, choir_ctl_page_entries, choir_ctl_blocked },
  { "revoke", N_ ("JTI…"), N_ ("Refuse single tokens"), 1, -1, NULL, choir_ctl_revoke },
  { "unrevoke", N_ ("JTI…"), N_ ("Take revoked tokens again"), 1, -1, NULL, choir_ctl_unrevoke },
  { "revoked", NULL, N_ ("List revoked tokens"), 0, 0, choir_ctl_page_entries, choir_ctl_revoked },
  { "broadcast", N_ ("TYPE JSON|-"), N_ ("Send a message to many"), 2, 2,
    choir_ctl_broadcast_entries, choir_ctl_broadcast },
  { "publish", N_ ("CHANNEL TYPE JSON|-"), N_ ("Publish a message in a channel"), 3, 3, NULL,
    choir_ctl_publish },
  { "send", N_ ("USER TYPE JSON|-"), N_ ("Send a message to one user or connection"), 3, 3,
    choir_ctl_send_entries, choir_ctl_send },
  { "subscribe", N_ ("CONNECTION CHANNEL"), N_ ("Subscribe a connection to a channel"), 2, 2, NULL,
    choir_ctl_subscribe },
  { "unsubscribe", N_ ("CONNECTION CHANNEL"), N_ ("End a subscription"), 2, 2, NULL,
    choir_ctl_unsubscribe },
  { "read", N_ ("DOCUMENT"), N_ ("Print a document’s text"), 1, 1, choir_ctl_read_entries,
    choir_ctl_read },
  { "close-document", N_ ("DOCUMENT…"), N_ ("Have everybody leave a document"), 1, -1,
    choir_ctl_close_entries, choir_ctl_close_document },
  { "cancel", N_ ("TASK…"), N_ ("Cancel tasks"), 1, -1, choir_ctl_close_entries, choir_ctl_cancel },
  { "drain", NULL, N_ ("Send all clients away, and end"), 0, 0, choir_ctl_drain_entries,
    choir_ctl_drain },
  { "reload", NULL, N_ ("Read the configuration again"), 0, 0, NULL, choir_ctl_reload },
  { "log-level", N_ ("[LEVEL]"), N_ ("Show or set how much is logged"), 0, 1, NULL,
    choir_ctl_log_level },
  { "trace", NULL, N_ ("Show messages while they happen"), 0, 0, choir_ctl_trace_entries,
    choir_ctl_trace },
  { "watch", N_ ("[KIND…]"), N_ ("Show who comes and goes, and what goes wrong"), 0, -1, NULL,
    choir_ctl_watch },
  { "check", N_ ("URL"), N_ ("Connect as a client, and measure it"), 1, 1, choir_ctl_check_entries,
    choir_ctl_check },
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
