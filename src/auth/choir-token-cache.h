/* choir-token-cache.h: tokens that have been verified, oldest forgotten first
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-claims.h"

G_BEGIN_DECLS

/**
 * ChoirTokenCache:
 *
 * Knows tokens by their SHA-256 only: a token is a secret, and memory gets dumped.
 */
typedef struct _ChoirTokenCache ChoirTokenCache;

ChoirTokenCache *choir_token_cache_new (guint capacity);
void choir_token_cache_free (ChoirTokenCache *self);
void choir_token_cache_add (ChoirTokenCache *self, const char *token, ChoirClaims *claims);
ChoirClaims *choir_token_cache_lookup (ChoirTokenCache *self, const char *token);
void choir_token_cache_remove (ChoirTokenCache *self, const char *token);
void choir_token_cache_remove_all (ChoirTokenCache *self);
guint choir_token_cache_get_length (const ChoirTokenCache *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirTokenCache, choir_token_cache_free)

G_END_DECLS
