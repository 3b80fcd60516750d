/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-clock.h"
#include "choir-ctl-format.h"
#include "choir-ctl-verbs.h"
#include "choir-ctl-words.h"

#include <glib/gi18n.h>

static char *opt_reason;
static gboolean opt_user;
static char *opt_until;
static char *opt_for;

#define REASON(help)                                                                               \
  {                                                                                                \
    "reason", 0, 0, G_OPTION_ARG_FILENAME, &opt_reason, help, N_ ("TEXT")                          \
  }

const GOptionEntry choir_ctl_kick_entries[] = {
  { "user", 0, 0, G_OPTION_ARG_NONE, &opt_user, N_ ("The words are users: all their connections"),
    NULL },
  REASON (N_ ("What the client is told")),
  G_OPTION_ENTRY_NULL,
};

const GOptionEntry choir_ctl_block_entries[] = {
  { "until", 0, 0, G_OPTION_ARG_FILENAME, &opt_until,
    N_ ("When it ends, as in 2026-12-24 or 2026-12-24T18:00 (default: never)"), N_ ("TIME") },
  { "for", 0, 0, G_OPTION_ARG_FILENAME, &opt_for, N_ ("How long, as in 2h or 7d"),
    N_ ("DURATION") },
  REASON (N_ ("Why, for other administrators; the client is not told")),
  G_OPTION_ENTRY_NULL,
};

/* Of what --until and --for say */
static guint64 block_until_us;

static const char *
get_reason (void)
{
  return opt_reason != NULL ? opt_reason : "";
}

static char *
describe_closed (const char *word, guint n)
{
  return g_strdup_printf (ngettext ("%s: %u connection closed", "%s: %u connections closed", n),
                          word, n);
}

/* Kicking */

static gboolean
kick_connection (ChoirCtl *self,
                 const char *word,
                 GVariantDict *done,
                 char **sentence,
                 GError **error)
{
  g_autoptr (GVariant) reply =
    choir_ctl_call (self, "Kick", g_variant_new ("(ss)", word, get_reason ()), "()", error);

  if (reply == NULL)
    return FALSE;

  g_variant_dict_insert (done, "connection", "s", word);
  g_variant_dict_insert (done, "closed", "u", 1);
  *sentence = describe_closed (word, 1);

  return TRUE;
}

static gboolean
kick_user (ChoirCtl *self, const char *word, GVariantDict *done, char **sentence, GError **error)
{
  g_autoptr (GVariant) reply =
    choir_ctl_call (self, "KickUser", g_variant_new ("(ss)", word, get_reason ()), "(u)", error);
  guint n;

  if (reply == NULL)
    return FALSE;

  g_variant_get (reply, "(u)", &n);
  if (n == 0)
    {
      choir_ctl_error_set_no_connection (error);
      return FALSE;
    }

  g_variant_dict_insert (done, "user", "s", word);
  g_variant_dict_insert (done, "closed", "u", n);
  *sentence = describe_closed (word, n);

  return TRUE;
}

/**
 * choir_ctl_kick:
 * @self: the options and the bus
 * @words: connections, or with `--user` users
 * @error: return location, of %CHOIR_CTL_ERROR
 *
 * `choirctl kick CONNECTION...`
 *
 * Returns: whether it worked
 */
gboolean
choir_ctl_kick (ChoirCtl *self, char **words, GError **error)
{
  return choir_ctl_do_each (self, words, opt_user ? kick_user : kick_connection);
}

/* Blocking */

static gboolean
block_user (ChoirCtl *self, const char *word, GVariantDict *done, char **sentence, GError **error)
{
  g_autofree char *until = choir_ctl_format_time (block_until_us);
  g_autofree char *closed = NULL;
  g_autoptr (GVariant) reply = choir_ctl_call (
    self, "BlockUser", g_variant_new ("(sts)", word, block_until_us, get_reason ()), "(u)", error);
  guint n;

  if (reply == NULL)
    return FALSE;

  g_variant_get (reply, "(u)", &n);
  g_variant_dict_insert (done, "user", "s", word);
  g_variant_dict_insert (done, "until", "t", block_until_us);
  g_variant_dict_insert (done, "closed", "u", n);

  closed = describe_closed (word, n);
  if (until != NULL)
    *sentence = g_strdup_printf (_ ("%s, blocked until %s"), closed, until);
  else
    *sentence = g_strdup_printf (_ ("%s, blocked"), closed);

  return TRUE;
}

/**
 * choir_ctl_block:
 * @self: the options and the bus
 * @words: users
 * @error: return location, of %CHOIR_CTL_ERROR
 *
 * `choirctl block USER... [--until TIME|--for DURATION] [--reason TEXT]`
 *
 * Returns: whether it worked
 */
gboolean
choir_ctl_block (ChoirCtl *self, char **words, GError **error)
{
  gint64 until_us = 0;
  gint64 for_us = 0;
  gint64 now_us = choir_clock_wall_us ();

  if (opt_until != NULL && opt_for != NULL)
    {
      g_set_error_literal (error, CHOIR_CTL_ERROR, CHOIR_CTL_USAGE,
                           _ ("--until and --for exclude each other"));
      return FALSE;
    }

  if (!choir_ctl_word_time ("--until", opt_until, &until_us, error) ||
      !choir_ctl_word_duration ("--for", opt_for, &for_us, error))
    return FALSE;

  if (opt_for != NULL)
    until_us = now_us + MIN (for_us, G_MAXINT64 - now_us);
  block_until_us = (guint64) until_us;

  return choir_ctl_do_each (self, words, block_user);
}

static gboolean
unblock_user (ChoirCtl *self, const char *word, GVariantDict *done, char **sentence, GError **error)
{
  g_autoptr (GVariant) reply =
    choir_ctl_call (self, "UnblockUser", g_variant_new ("(s)", word), "()", error);

  if (reply == NULL)
    return FALSE;

  g_variant_dict_insert (done, "user", "s", word);
  *sentence = g_strdup_printf (_ ("%s: no longer blocked"), word);

  return TRUE;
}

/**
 * choir_ctl_unblock:
 * @self: the options and the bus
 * @words: users
 * @error: return location, of %CHOIR_CTL_ERROR
 *
 * `choirctl unblock USER...`
 *
 * Returns: whether it worked
 */
gboolean
choir_ctl_unblock (ChoirCtl *self, char **words, GError **error)
{
  return choir_ctl_do_each (self, words, unblock_user);
}

/* Tokens */

static gboolean
revoke_token (ChoirCtl *self, const char *word, GVariantDict *done, char **sentence, GError **error)
{
  g_autoptr (GVariant) reply =
    choir_ctl_call (self, "RevokeToken", g_variant_new ("(s)", word), "(u)", error);
  guint n;

  if (reply == NULL)
    return FALSE;

  g_variant_get (reply, "(u)", &n);
  g_variant_dict_insert (done, "jti", "s", word);
  g_variant_dict_insert (done, "closed", "u", n);
  *sentence = describe_closed (word, n);

  return TRUE;
}

/**
 * choir_ctl_revoke:
 * @self: the options and the bus
 * @words: tokens' identifiers
 * @error: return location, of %CHOIR_CTL_ERROR
 *
 * `choirctl revoke JTI...`
 *
 * Returns: whether it worked
 */
gboolean
choir_ctl_revoke (ChoirCtl *self, char **words, GError **error)
{
  return choir_ctl_do_each (self, words, revoke_token);
}

static gboolean
unrevoke_token (ChoirCtl *self,
                const char *word,
                GVariantDict *done,
                char **sentence,
                GError **error)
{
  g_autoptr (GVariant) reply =
    choir_ctl_call (self, "UnrevokeToken", g_variant_new ("(s)", word), "()", error);

  if (reply == NULL)
    return FALSE;

  g_variant_dict_insert (done, "jti", "s", word);
  *sentence = g_strdup_printf (_ ("%s: no longer revoked"), word);

  return TRUE;
}

/**
 * choir_ctl_unrevoke:
 * @self: the options and the bus
 * @words: tokens' identifiers
 * @error: return location, of %CHOIR_CTL_ERROR
 *
 * `choirctl unrevoke JTI...`
 *
 * Returns: whether it worked
 */
gboolean
choir_ctl_unrevoke (ChoirCtl *self, char **words, GError **error)
{
  return choir_ctl_do_each (self, words, unrevoke_token);
}

/* Subscriptions */

static gboolean
change_subscription (ChoirCtl *self,
                     const char *method,
                     char **words,
                     const char *what,
                     GError **error)
{
  g_autoptr (GVariant) reply =
    choir_ctl_call (self, method, g_variant_new ("(ss)", words[0], words[1]), "()", error);
  GVariantDict done;

  if (reply == NULL)
    return FALSE;

  g_variant_dict_init (&done, NULL);
  g_variant_dict_insert (&done, "connection", "s", words[0]);
  g_variant_dict_insert (&done, "channel", "s", words[1]);
  choir_ctl_say (self, g_variant_dict_end (&done), "%s: %s", words[0], what);

  return TRUE;
}

/**
 * choir_ctl_subscribe:
 * @self: the options and the bus
 * @words: a connection and a channel
 * @error: return location, of %CHOIR_CTL_ERROR
 *
 * `choirctl subscribe CONNECTION CHANNEL`
 *
 * Returns: whether it worked
 */
gboolean
choir_ctl_subscribe (ChoirCtl *self, char **words, GError **error)
{
  return change_subscription (self, "Subscribe", words, _ ("subscribed"), error);
}

/**
 * choir_ctl_unsubscribe:
 * @self: the options and the bus
 * @words: a connection and a channel
 * @error: return location, of %CHOIR_CTL_ERROR
 *
 * `choirctl unsubscribe CONNECTION CHANNEL`
 *
 * Returns: whether it worked
 */
gboolean
choir_ctl_unsubscribe (ChoirCtl *self, char **words, GError **error)
{
  return change_subscription (self, "Unsubscribe", words, _ ("no longer subscribed"), error);
}
