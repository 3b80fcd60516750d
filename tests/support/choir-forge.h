/* choir-forge.h: tokens with any header and payload, right or wrong
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>
#include <string.h>

/* RFC 4648 5, without padding; (transfer full) */
static inline char *
choir_forge_base64url (gconstpointer data, gsize len)
{
  char *text = g_base64_encode (data, len);

  for (char *c = text; *c != '\0'; c++)
    {
      if (*c == '+')
        *c = '-';
      else if (*c == '/')
        *c = '_';
      else if (*c == '=')
        *c = '\0';
    }
  return text;
}

/* header.payload, without a signature; (transfer full) */
static inline char *
choir_forge_input (const char *header, const char *payload, gsize payload_len)
{
  g_autofree char *first = choir_forge_base64url (header, strlen (header));
  g_autofree char *second = choir_forge_base64url (payload, payload_len);

  return g_strconcat (first, ".", second, NULL);
}

/* Signed with HMAC, whatever the header says; (transfer full) */
static inline char *
choir_forge_token (GChecksumType checksum,
                   gconstpointer secret,
                   gsize secret_len,
                   const char *header,
                   const char *payload,
                   gsize payload_len)
{
  g_autofree char *input = choir_forge_input (header, payload, payload_len);
  g_autoptr (GHmac) hmac = g_hmac_new (checksum, secret, secret_len);
  g_autofree char *signature = NULL;
  guint8 digest[64];
  gsize len = sizeof digest;

  g_hmac_update (hmac, (const guchar *) input, -1);
  g_hmac_get_digest (hmac, digest, &len);
  signature = choir_forge_base64url (digest, len);
  return g_strconcat (input, ".", signature, NULL);
}
