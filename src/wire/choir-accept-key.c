/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-accept-key.h"

#include <string.h>

/* RFC 6455 1.3 */
#define ACCEPT_GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

/**
 * choir_accept_key_make:
 * @key: (array length=len): the client's Sec-WebSocket-Key
 * @len: bytes
 * @out: (out caller-allocates): 28 characters and NUL
 *
 * Value of Sec-WebSocket-Accept, RFC 6455 4.2.2.
 */
void
choir_accept_key_make (const char *key, gsize len, char out[CHOIR_ACCEPT_KEY_SIZE])
{
  g_autoptr (GChecksum) checksum = g_checksum_new (G_CHECKSUM_SHA1);
  guint8 digest[20];
  gsize digest_len = sizeof digest, n;
  int state = 0, save = 0;

  g_checksum_update (checksum, (const guchar *) key, (gssize) len);
  g_checksum_update (checksum, (const guchar *) ACCEPT_GUID, strlen (ACCEPT_GUID));
  g_checksum_get_digest (checksum, digest, &digest_len);
  n = g_base64_encode_step (digest, digest_len, FALSE, out, &state, &save);
  n += g_base64_encode_close (FALSE, out + n, &state, &save);
  out[n] = '\0';
}
