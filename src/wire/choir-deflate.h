/* choir-deflate.h: permessage-deflate, RFC 7692
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

#include "choir-frame.h"

G_BEGIN_DECLS

/**
 * ChoirDeflateParams:
 *
 * What one connection agreed on. Zero-filled: no compression.
 */
typedef struct
{
  gboolean enabled;
  gboolean server_no_context_takeover;
  gboolean client_no_context_takeover;
  guint8 server_max_window_bits; /* 9..15; an offer of 8 is declined: zlib can't make raw 8-bit
                                    streams */
  guint8 client_max_window_bits; /* 8..15 */
} ChoirDeflateParams;

typedef struct
{
  gboolean allow_server_context; /* FALSE: always answer server_no_context_takeover, so that frames
                                    can be shared */
  gboolean allow_client_context;
  guint8 max_window_bits; /* ours, 9..15 */
} ChoirDeflatePolicy;

/* Takes the first acceptable of several offers (RFC 7692 5.1, 7.1; one Sec-WebSocket-Extensions
 * value, several joined by ", "). Unknown extensions and malformed offers are passed over. Returns
 * FALSE when none fits; else fills @out and *@response (transfer full). */
gboolean choir_deflate_negotiate (const char *offers,
                                  const ChoirDeflatePolicy *policy,
                                  ChoirDeflateParams *out,
                                  char **response);

/* Inflates what a peer sent; with no context takeover it borrows one z_stream shared by all of the
 * thread */
typedef struct _ChoirInflater ChoirInflater;

ChoirInflater *choir_inflater_new (const ChoirDeflateParams *params);
void choir_inflater_free (ChoirInflater *self);
/* Feeds payload of one frame; @final: the message ends here (the 00 00 ff ff tail is added).
 * Appends to @out, never past @max_len in total: CHOIR_ERROR_TOO_LARGE; broken data:
 * CHOIR_ERROR_INVALID_MESSAGE */
gboolean choir_inflater_feed (ChoirInflater *self,
                              const guint8 *data,
                              gsize len,
                              gboolean final,
                              gsize max_len,
                              GByteArray *out,
                              GError **error);
gsize choir_inflater_get_memory (const ChoirInflater *self); /* bytes held between messages */
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirInflater, choir_inflater_free)

typedef struct _ChoirDeflater ChoirDeflater;

/* @context_takeover FALSE: stateless between messages, one can serve every connection */
ChoirDeflater *
choir_deflater_new (guint8 window_bits, guint8 mem_level, int level, gboolean context_takeover);
void choir_deflater_free (ChoirDeflater *self);
/* The compressed frame (RSV1 set), (transfer full); NULL without context takeover when it would not
 * be smaller: send the plain one */
ChoirFrame *
choir_deflater_compress (ChoirDeflater *self, ChoirOpcode opcode, const guint8 *payload, gsize len);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirDeflater, choir_deflater_free)

G_END_DECLS
