/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "load-token.h"

#include <string.h>

#define LIFETIME_S (24 * 60 * 60)

/* Base64 as RFC 7515 section 2 wants it: the alphabet of URLs, no padding */
static char *
encode (const void *bytes, gsize n)
{
  char *text = g_base64_encode (bytes, n);

  g_strdelimit (text, "+", '-');
  g_strdelimit (text, "/", '_');
  text[strcspn (text, "=")] = '\0';

  return text;
}

static char *
encode_text (const char *text)
{
  return encode (text, strlen (text));
}

/**
 * load_token_mint:
 * @key: the shared secret
 * @user: number of the user, the subject becomes `load-NUMBER`
 *
 * A token (RFC 7519, HS256) that may read and write every channel for a day.
 *
 * Returns: (transfer full):
 */
char *
load_token_mint (GBytes *key, guint user)
{
  gint64 now_s = g_get_real_time () / G_USEC_PER_SEC;
  g_autofree char *claims =
    g_strdup_printf ("{\"sub\":\"load-%u\",\"type\":\"access\",\"iat\":%" G_GINT64_FORMAT
                     ",\"exp\":%" G_GINT64_FORMAT ",\"permissions\":[\"*:*:read\",\"*:*:write\"]}",
                     user, now_s, now_s + LIFETIME_S);
  g_autofree char *head = encode_text ("{\"alg\":\"HS256\",\"typ\":\"JWT\"}");
  g_autofree char *body = encode_text (claims);
  g_autofree char *text = g_strconcat (head, ".", body, NULL);
  g_autofree char *signature = NULL;
  g_autoptr (GHmac) hmac = NULL;
  guint8 digest[32];
  gsize n_digest = sizeof digest, n_key;
  const guint8 *secret = g_bytes_get_data (key, &n_key);

  hmac = g_hmac_new (G_CHECKSUM_SHA256, secret, n_key);
  g_hmac_update (hmac, (const guchar *) text, -1);
  g_hmac_get_digest (hmac, digest, &n_digest);
  signature = encode (digest, n_digest);

  return g_strconcat (text, ".", signature, NULL);
}

gboolean
load_token_read_key (const char *file, GBytes **key, GError **error)
{
  char *secret;
  gsize n;

  if (file == NULL)
    return TRUE;
  if (!g_file_get_contents (file, &secret, &n, error))
    return FALSE;

  *key = g_bytes_new_take (secret, n);

  return TRUE;
}
