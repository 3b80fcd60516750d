/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-forwarded.h"

#include <gio/gio.h>
#include <string.h>

#include "choir-address.h"
#include "choir-error.h"

#define TRUSTED_MAX 256
#define HOPS_MAX 32
/* An address with brackets, quotes and port */
#define NODE_MAX 63

struct _ChoirForwardedPolicy
{
  GPtrArray *masks; /* (owned) (element-type GInetAddressMask) */
};

typedef gboolean (*ReadHop) (const char *text, gsize len, ChoirAddress *out);

/**
 * choir_forwarded_policy_new:
 * @trusted: (nullable): at most 256 addresses and prefixes, ending with %NULL
 *
 * Returns: (transfer full): the policy, or %NULL with %CHOIR_ERROR_CONFIG
 */
ChoirForwardedPolicy *
choir_forwarded_policy_new (const char *const *trusted, GError **error)
{
  g_autoptr (ChoirForwardedPolicy) self = g_new0 (ChoirForwardedPolicy, 1);

  self->masks = g_ptr_array_new_with_free_func (g_object_unref);
  for (; trusted != NULL && *trusted != NULL; trusted++)
    {
      g_autoptr (GError) local_error = NULL;
      GInetAddressMask *mask = g_inet_address_mask_new_from_string (*trusted, &local_error);

      if (mask == NULL || self->masks->len == TRUSTED_MAX)
        {
          g_clear_object (&mask);
          g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG, "trusted proxy “%s”: %s", *trusted,
                       local_error != NULL ? local_error->message : "too many");
          return NULL;
        }
      g_ptr_array_add (self->masks, mask);
    }
  return g_steal_pointer (&self);
}

/**
 * choir_forwarded_policy_free:
 * @self: (transfer full):
 */
void
choir_forwarded_policy_free (ChoirForwardedPolicy *self)
{
  g_ptr_array_unref (self->masks);
  g_free (self);
}

static gboolean
is_trusted (const ChoirForwardedPolicy *self, const ChoirAddress *address)
{
  char text[CHOIR_ADDRESS_TEXT_SIZE];
  g_autoptr (GInetAddress) inet_address = NULL;

  choir_address_format (address, text);
  inet_address = g_inet_address_new_from_string (text);
  for (guint i = 0; i < self->masks->len; i++)
    {
      if (g_inet_address_mask_matches (self->masks->pdata[i], inet_address))
        return TRUE;
    }
  return FALSE;
}

static void
trim (const char **text, gsize *len)
{
  for (; *len > 0 && (**text == ' ' || **text == '\t'); (*text)++)
    (*len)--;
  while (*len > 0 && ((*text)[*len - 1] == ' ' || (*text)[*len - 1] == '\t'))
    (*len)--;
}

static gboolean
is_port (const char *text)
{
  return g_ascii_string_to_unsigned (text, 10, 0, 65535, NULL, NULL);
}

/* "192.0.2.1", "192.0.2.1:80", "2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:80"; RFC 7239 6 */
static gboolean
read_node (const char *text, gsize len, ChoirAddress *out)
{
  char node[NODE_MAX + 1];
  char *end;

  if (len == 0 || len > NODE_MAX || memchr (text, '\0', len) != NULL)
    return FALSE;
  memcpy (node, text, len);
  node[len] = '\0';
  if (node[0] == '[')
    {
      end = strchr (node, ']');
      if (end == NULL || (end[1] != '\0' && (end[1] != ':' || !is_port (end + 2))))
        return FALSE;
      *end = '\0';
      return strchr (node, ':') != NULL && choir_address_parse (node + 1, out);
    }
  end = strchr (node, ':');
  if (end != NULL && strchr (end + 1, ':') == NULL)
    {
      *end = '\0';
      return is_port (end + 1) && choir_address_parse (node, out);
    }
  return choir_address_parse (node, out);
}

static gboolean
read_x_forwarded_for (const char *text, gsize len, ChoirAddress *out)
{
  trim (&text, &len);
  return read_node (text, len, out);
}

/* One `name=value` of a Forwarded element. IPv6 must be quoted there, IPv4 may be. */
static gboolean
read_pair (const char *text, gsize len, gboolean *has_for, ChoirAddress *out)
{
  const char *equals;

  trim (&text, &len);
  equals = len > 0 ? memchr (text, '=', len) : NULL;
  if (equals == NULL)
    return FALSE;
  if (equals - text != 3 || g_ascii_strncasecmp (text, "for", 3) != 0)
    return TRUE;
  if (*has_for)
    return FALSE;
  *has_for = TRUE;
  text += 4;
  len -= 4;
  if (len >= 2 && text[0] == '"' && text[len - 1] == '"')
    return read_node (text + 1, len - 2, out);
  return read_node (text, len, out);
}

static gboolean
read_forwarded (const char *text, gsize len, ChoirAddress *out)
{
  gboolean has_for = FALSE;

  while (len > 0)
    {
      const char *semicolon = memchr (text, ';', len);
      gsize pair_len = semicolon != NULL ? (gsize) (semicolon - text) : len;

      if (!read_pair (text, pair_len, &has_for, out))
        return FALSE;
      pair_len += semicolon != NULL ? 1 : 0;
      text += pair_len;
      len -= pair_len;
    }
  return has_for;
}

/* From the right: the last hop was written by the proxy we know, what lies left of the first one
 * we don't is anybody's claim and isn't looked at */
static gboolean
walk (const ChoirForwardedPolicy *self, const char *list, ReadHop read_hop, ChoirAddress *client)
{
  gsize len = strlen (list);

  for (guint i = 0; i < HOPS_MAX; i++)
    {
      const char *comma = memrchr (list, ',', len);
      gsize start = comma != NULL ? (gsize) (comma - list) + 1 : 0;

      if (!read_hop (list + start, len - start, client))
        return FALSE;
      if (comma == NULL || !is_trusted (self, client))
        return TRUE;
      len = start - 1;
    }
  return FALSE;
}

static gboolean
find_client (const ChoirForwardedPolicy *self,
             const char *x_forwarded_for,
             const char *forwarded,
             ChoirAddress *client)
{
  ChoirAddress other;

  if (x_forwarded_for == NULL && forwarded == NULL)
    return FALSE;
  if (x_forwarded_for != NULL && !walk (self, x_forwarded_for, read_x_forwarded_for, client))
    return FALSE;
  if (forwarded == NULL)
    return TRUE;
  if (!walk (self, forwarded, read_forwarded, &other))
    return FALSE;
  if (x_forwarded_for != NULL && !choir_address_equal (client, &other))
    return FALSE;
  *client = other;
  return TRUE;
}

/**
 * choir_forwarded_is_trusted:
 * @self: the trusted proxies
 * @peer: (nullable): the other end; %NULL: a unix socket, which is trusted
 *
 * Returns: whether @peer speaks for others
 */
gboolean
choir_forwarded_is_trusted (const ChoirForwardedPolicy *self, const ChoirAddress *peer)
{
  return peer == NULL || is_trusted (self, peer);
}

/**
 * choir_forwarded_resolve:
 * @self: the trusted proxies
 * @peer: (nullable): the other end; %NULL: a unix socket, which is trusted
 * @x_forwarded_for: (nullable): the header; several lines joined with commas
 * @forwarded: (nullable): likewise
 * @client: (out): the client's address
 *
 * The headers are believed only when @peer is a trusted proxy. If both are there they must agree:
 * a proxy writes one and may pass on what the client wrote in the other. What can't be read counts
 * as absent.
 *
 * Returns: %FALSE if it is unknown, behind a unix socket
 */
gboolean
choir_forwarded_resolve (const ChoirForwardedPolicy *self,
                         const ChoirAddress *peer,
                         const char *x_forwarded_for,
                         const char *forwarded,
                         ChoirAddress *client)
{
  if (choir_forwarded_is_trusted (self, peer) &&
      find_client (self, x_forwarded_for, forwarded, client))
    return TRUE;
  if (peer == NULL)
    return FALSE;

  *client = *peer;

  return TRUE;
}
