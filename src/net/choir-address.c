/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-address.h"

#include <arpa/inet.h>
#include <string.h>

static const guint8 mapped_prefix[12] = { [10] = 0xff, [11] = 0xff };

/**
 * choir_address_parse:
 * @text: dotted IPv4, or IPv6 without brackets and zone
 * @out: (out caller-allocates):
 *
 * Returns: %FALSE if @text is no address
 */
gboolean
choir_address_parse (const char *text, ChoirAddress *out)
{
  if (inet_pton (AF_INET, text, out->bytes + sizeof mapped_prefix) == 1)
    {
      memcpy (out->bytes, mapped_prefix, sizeof mapped_prefix);
      return TRUE;
    }
  return inet_pton (AF_INET6, text, out->bytes) == 1;
}

/**
 * choir_address_is_ipv4:
 *
 * Returns: whether @self stands for an IPv4 address
 */
gboolean
choir_address_is_ipv4 (const ChoirAddress *self)
{
  return memcmp (self->bytes, mapped_prefix, sizeof mapped_prefix) == 0;
}

/**
 * choir_address_format:
 * @out: the usual text (RFC 5952 for IPv6)
 */
void
choir_address_format (const ChoirAddress *self, char out[CHOIR_ADDRESS_TEXT_SIZE])
{
  if (choir_address_is_ipv4 (self))
    inet_ntop (AF_INET, self->bytes + sizeof mapped_prefix, out, CHOIR_ADDRESS_TEXT_SIZE);
  else
    inet_ntop (AF_INET6, self->bytes, out, CHOIR_ADDRESS_TEXT_SIZE);
}

/**
 * choir_address_dup_text:
 * @self: (nullable): %NULL for a peer on a Unix socket, which has none
 *
 * Returns: (transfer full): what people are shown
 */
char *
choir_address_dup_text (const ChoirAddress *self)
{
  char text[CHOIR_ADDRESS_TEXT_SIZE];

  if (self == NULL)
    return g_strdup ("unix");

  choir_address_format (self, text);

  return g_strdup (text);
}

/**
 * choir_address_hash:
 * @self: a #ChoirAddress
 *
 * FNV-1a: an attacker chooses addresses, but is bounded by the number of connections.
 *
 * Returns: a hash
 */
/**
 * choir_address_get_subject:
 * @self: an address
 *
 * Behind IPv6 a subscriber has a whole /64 (RFC 6177 2): counting single addresses would count
 * nothing.
 *
 * Returns: what to count by: an IPv4 address as it is, of IPv6 the /64
 */
ChoirAddress
choir_address_get_subject (const ChoirAddress *self)
{
  ChoirAddress subject = *self;

  if (!choir_address_is_ipv4 (self))
    memset (subject.bytes + 8, 0, 8);

  return subject;
}

guint
choir_address_hash (gconstpointer self)
{
  const ChoirAddress *address = self;
  guint32 hash = 2166136261u;

  for (guint i = 0; i < sizeof address->bytes; i++)
    hash = (hash ^ address->bytes[i]) * 16777619u;
  return hash;
}

/**
 * choir_address_equal:
 *
 * Returns: whether both are the same address
 */
gboolean
choir_address_equal (gconstpointer a, gconstpointer b)
{
  return memcmp (a, b, sizeof (ChoirAddress)) == 0;
}
