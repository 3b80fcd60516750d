/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-ctl-filter.h"
#include "choir-ctl-verbs.h"
#include "choir-ctl-words.h"

#include <glib/gi18n.h>

static gboolean opt_connection;

const GOptionEntry choir_ctl_send_entries[] = {
  { "connection", 0, 0, G_OPTION_ARG_NONE, &opt_connection,
    N_ ("The first word is a connection rather than a user"), NULL },
  G_OPTION_ENTRY_NULL,
};

static void
say_recipients (ChoirCtl *self, GVariantDict *done, guint n)
{
  g_variant_dict_insert (done, "recipients", "u", n);
  choir_ctl_say (self, g_variant_dict_end (done),
                 ngettext ("Sent to %u connection", "Sent to %u connections", n), n);
}

/**
 * choir_ctl_broadcast:
 * @self: the options and the bus
 * @words: a message's type, and its payload
 * @error: return location, of %CHOIR_CTL_ERROR
 *
 * `choirctl broadcast TYPE JSON`
 *
 * Returns: whether it worked
 */
gboolean
choir_ctl_broadcast (ChoirCtl *self, char **words, GError **error)
{
  g_autofree char *payload = choir_ctl_word_dup_json (words[1], error);
  g_autoptr (GVariant) reply = NULL;
  GVariantDict done;
  guint n;

  if (payload == NULL)
    return FALSE;

  reply = choir_ctl_call (self, "Broadcast",
                          g_variant_new ("(ss@a{sv})", words[0], payload, choir_ctl_filter_new ()),
                          "(u)", error);
  if (reply == NULL)
    return FALSE;

  g_variant_get (reply, "(u)", &n);
  g_variant_dict_init (&done, NULL);
  say_recipients (self, &done, n);

  return TRUE;
}

/**
 * choir_ctl_publish:
 * @self: the options and the bus
 * @words: a channel, a message's type, and its payload
 * @error: return location, of %CHOIR_CTL_ERROR
 *
 * `choirctl publish CHANNEL TYPE JSON`
 *
 * Returns: whether it worked
 */
gboolean
choir_ctl_publish (ChoirCtl *self, char **words, GError **error)
{
  g_autofree char *payload = choir_ctl_word_dup_json (words[2], error);
  g_autoptr (GVariant) reply = NULL;
  const char *epoch;
  guint64 offset;
  GVariantDict done;
  guint n;

  if (payload == NULL)
    return FALSE;

  reply = choir_ctl_call (self, "Publish", g_variant_new ("(sss)", words[0], words[1], payload),
                          "(stu)", error);
  if (reply == NULL)
    return FALSE;

  g_variant_get (reply, "(&stu)", &epoch, &offset, &n);
  g_variant_dict_init (&done, NULL);
  g_variant_dict_insert (&done, "channel", "s", words[0]);
  g_variant_dict_insert (&done, "epoch", "s", epoch);
  g_variant_dict_insert (&done, "offset", "t", offset);
  say_recipients (self, &done, n);

  return TRUE;
}

static GVariant *
send_one (ChoirCtl *self, char **words, const char *payload, GError **error)
{
  GVariant *parameters = g_variant_new ("(sss)", words[0], words[1], payload);

  return opt_connection ? choir_ctl_call (self, "SendToConnection", parameters, "()", error)
                        : choir_ctl_call (self, "SendToUser", parameters, "(u)", error);
}

/**
 * choir_ctl_send:
 * @self: the options and the bus
 * @words: a user or connection, a message's type, and its payload
 * @error: return location, of %CHOIR_CTL_ERROR
 *
 * `choirctl send USER TYPE JSON`
 *
 * Returns: whether it worked
 */
gboolean
choir_ctl_send (ChoirCtl *self, char **words, GError **error)
{
  g_autofree char *payload = choir_ctl_word_dup_json (words[2], error);
  g_autoptr (GVariant) reply = NULL;
  GVariantDict done;
  guint n = 1;

  if (payload == NULL)
    return FALSE;

  reply = send_one (self, words, payload, error);
  if (reply == NULL)
    return FALSE;

  if (!opt_connection)
    g_variant_get (reply, "(u)", &n);
  if (n == 0)
    {
      choir_ctl_error_set_no_connection (error);
      g_prefix_error (error, "%s: ", words[0]);
      return FALSE;
    }

  g_variant_dict_init (&done, NULL);
  g_variant_dict_insert (&done, opt_connection ? "connection" : "user", "s", words[0]);
  say_recipients (self, &done, n);

  return TRUE;
}
