/* choir-handshake.h: a client's opening handshake, RFC 6455 section 4.1
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The request as text, and the answer judged: not only whether it is right, but why it is not.
 */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define CHOIR_HANDSHAKE_HEAD_MAX 16384
#define CHOIR_HANDSHAKE_BODY_MAX 8192

/* Nullable where that is said; all borrowed */
typedef struct
{
  const char *host; /* as it stands in the URL, brackets and all */
  int port;         /* -1: the scheme's own */
  const char *target;
  const char *token;    /* (nullable) */
  const char *protocol; /* (nullable): the subprotocol to offer */
  const char *origin;   /* (nullable) */
} ChoirHandshakeRequest;

char *choir_handshake_make_key (void);
char *choir_handshake_write (const ChoirHandshakeRequest *request, const char *key);

typedef struct
{
  guint status;
  GHashTable *fields; /* (owned): name in lower case -> value; of several the last */
} ChoirHandshakeReply;

ChoirHandshakeReply *choir_handshake_read (const char *head, gsize len);
void choir_handshake_reply_free (ChoirHandshakeReply *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirHandshakeReply, choir_handshake_reply_free)

const char *choir_handshake_reply_get (const ChoirHandshakeReply *self, const char *name);
char *choir_handshake_reply_dup (const ChoirHandshakeReply *self, const char *name);
gsize choir_handshake_reply_get_body_size (const ChoirHandshakeReply *self);
gboolean choir_handshake_check (const ChoirHandshakeReply *self,
                                const char *key,
                                const char *protocol,
                                GError **error);
void choir_handshake_explain (const ChoirHandshakeReply *self,
                              const char *body,
                              gsize len,
                              char **code,
                              GError **error);

G_END_DECLS
