/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-token-cache.h"

#include <string.h>

#define DIGEST_SIZE 32

typedef struct
{
  guint8 digest[DIGEST_SIZE]; /* first: the table takes the entry for its key */
  ChoirClaims *claims;        /* (owned) */
  GList link;                 /* in ages, oldest first */
} Entry;

struct _ChoirTokenCache
{
  GHashTable *entries; /* (owned) (element-type Entry Entry) */
  GQueue ages;
  guint capacity;
};

static void
entry_free (gpointer data)
{
  Entry *self = data;

  choir_claims_unref (self->claims);
  g_free (self);
}

/* A digest is as random as a hash can be */
static guint
digest_hash (gconstpointer digest)
{
  guint hash;

  memcpy (&hash, digest, sizeof hash);
  return hash;
}

static gboolean
digest_equal (gconstpointer a, gconstpointer b)
{
  return memcmp (a, b, DIGEST_SIZE) == 0;
}

static void
compute_digest (const char *token, guint8 out[DIGEST_SIZE])
{
  g_autoptr (GChecksum) checksum = g_checksum_new (G_CHECKSUM_SHA256);
  gsize len = DIGEST_SIZE;

  g_checksum_update (checksum, (const guchar *) token, -1);
  g_checksum_get_digest (checksum, out, &len);
}

static Entry *
find (ChoirTokenCache *self, const char *token)
{
  guint8 digest[DIGEST_SIZE];

  compute_digest (token, digest);
  return g_hash_table_lookup (self->entries, digest);
}

static void
drop (ChoirTokenCache *self, Entry *entry)
{
  g_queue_unlink (&self->ages, &entry->link);
  g_hash_table_remove (self->entries, entry->digest);
}

/**
 * choir_token_cache_new:
 * @capacity: entries, at least 1
 *
 * Returns: (transfer full): an empty cache
 */
ChoirTokenCache *
choir_token_cache_new (guint capacity)
{
  ChoirTokenCache *self = g_new0 (ChoirTokenCache, 1);

  self->entries = g_hash_table_new_full (digest_hash, digest_equal, entry_free, NULL);
  self->capacity = MAX (capacity, 1);
  return self;
}

/**
 * choir_token_cache_free:
 * @self: (transfer full):
 */
void
choir_token_cache_free (ChoirTokenCache *self)
{
  g_hash_table_unref (self->entries);
  g_free (self);
}

/**
 * choir_token_cache_add:
 * @token: a verified token
 * @claims: held
 *
 * Replaces what was known of @token; at capacity, the oldest entry goes.
 */
void
choir_token_cache_add (ChoirTokenCache *self, const char *token, ChoirClaims *claims)
{
  Entry *entry = g_new0 (Entry, 1);
  Entry *old;

  compute_digest (token, entry->digest);
  old = g_hash_table_lookup (self->entries, entry->digest);
  if (old == NULL && self->ages.length >= self->capacity)
    old = self->ages.head->data;
  if (old != NULL)
    drop (self, old);
  entry->claims = choir_claims_ref (claims);
  entry->link.data = entry;
  g_hash_table_add (self->entries, entry);
  g_queue_push_tail_link (&self->ages, &entry->link);
}

/**
 * choir_token_cache_lookup:
 * @token: a token
 *
 * Whether the claims still hold is the caller's question.
 *
 * Returns: (transfer none) (nullable): its claims
 */
ChoirClaims *
choir_token_cache_lookup (ChoirTokenCache *self, const char *token)
{
  Entry *entry = find (self, token);

  return entry != NULL ? entry->claims : NULL;
}

/**
 * choir_token_cache_remove:
 * @token: a token, known or not
 */
void
choir_token_cache_remove (ChoirTokenCache *self, const char *token)
{
  Entry *entry = find (self, token);

  if (entry != NULL)
    drop (self, entry);
}

/**
 * choir_token_cache_remove_all:
 *
 * Forgets every token.
 */
void
choir_token_cache_remove_all (ChoirTokenCache *self)
{
  g_queue_init (&self->ages);
  g_hash_table_remove_all (self->entries);
}

/**
 * choir_token_cache_get_length:
 *
 * Returns: entries
 */
guint
choir_token_cache_get_length (const ChoirTokenCache *self)
{
  return self->ages.length;
}
