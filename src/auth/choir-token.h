/* choir-token.h: a token taken apart, nothing believed yet
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>
#include <jansson.h>

G_BEGIN_DECLS

/**
 * ChoirToken:
 *
 * JWS compact serialization, RFC 7515 7.1. Zero-filled is empty.
 */
typedef struct
{
  const char *text;    /* the whole token, borrowed */
  const char *payload; /* in @text, base64url */
  gsize payload_len;
  json_t *header;        /* (owned) */
  const char *algorithm; /* in @header */
  const char *kid;       /* (nullable) in @header */
} ChoirToken;

gboolean choir_token_parse (const char *text, ChoirToken *out, GError **error);
json_t *choir_token_parse_payload (const ChoirToken *self, GError **error);
void choir_token_clear (ChoirToken *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (ChoirToken, choir_token_clear)

G_END_DECLS
