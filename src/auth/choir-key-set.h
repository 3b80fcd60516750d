/* choir-key-set.h: keys, each pinned to one algorithm
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef enum
{
  CHOIR_ALGORITHM_HS256,
  CHOIR_ALGORITHM_HS384,
  CHOIR_ALGORITHM_HS512,
  CHOIR_ALGORITHM_RS256,
  CHOIR_ALGORITHM_RS384,
  CHOIR_ALGORITHM_RS512,
  CHOIR_ALGORITHM_ES256,
  CHOIR_ALGORITHM_ES384,
  CHOIR_ALGORITHM_ES512,
} ChoirAlgorithm;

typedef struct
{
  ChoirAlgorithm algorithm;
  char *id;     /* (owned) the token's kid */
  GBytes *data; /* (owned) secret, or PEM */
} ChoirKey;

/* Immutable, atomically counted: verifications off the loop hold it across a reload */
typedef struct _ChoirKeySet ChoirKeySet;

/* @specs: ALG:ID:FILE each. Refuses: unknown algorithm, duplicate id, unreadable or empty file, HS
 * secret shorter than the hash (RFC 7518 3.2), PEM that is no public key (or is the wrong kind) for
 * the algorithm, file readable by others for HS. */
ChoirKeySet *choir_key_set_new_from_specs (const char *const *specs, GError **error);
ChoirKeySet *choir_key_set_ref (ChoirKeySet *self);
void choir_key_set_unref (ChoirKeySet *self);
guint choir_key_set_get_n_keys (const ChoirKeySet *self);
const ChoirKey *choir_key_set_get_key (const ChoirKeySet *self, guint i);
/* Keys a token with this header may be checked against: same algorithm, and same id if the token
 * names one */
gboolean choir_key_is_candidate (const ChoirKey *self, const char *algorithm_name, const char *kid);
const char *choir_algorithm_get_name (ChoirAlgorithm self);
gboolean choir_algorithm_is_symmetric (ChoirAlgorithm self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirKeySet, choir_key_set_unref)

G_END_DECLS
