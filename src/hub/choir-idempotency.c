/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-idempotency.h"

#include <string.h>

/* However long names and keys are, an entry has one size, and nobody can choose which of them meet
 */
#define DIGEST_SIZE 16

typedef struct
{
  guint8 digest[DIGEST_SIZE];
  guint64 offset;
  gint64 added_us;
  GList link; /* in the order of addition */
} Entry;

struct _ChoirIdempotency
{
  GHashTable *entries; /* (element-type Entry) (owned) */
  GQueue order;        /* (element-type Entry): the oldest first */
  guint max;
  gint64 age_us;
};

static guint
entry_hash (gconstpointer data)
{
  guint hash;

  memcpy (&hash, ((const Entry *) data)->digest, sizeof hash);

  return hash;
}

static gboolean
entry_equal (gconstpointer a, gconstpointer b)
{
  return memcmp (((const Entry *) a)->digest, ((const Entry *) b)->digest, DIGEST_SIZE) == 0;
}

/**
 * choir_idempotency_new:
 * @max: keys known at most
 * @age_us: how long
 *
 * Returns: (transfer full): a table that knows none
 */
ChoirIdempotency *
choir_idempotency_new (guint max, gint64 age_us)
{
  ChoirIdempotency *self = g_new0 (ChoirIdempotency, 1);

  self->entries = g_hash_table_new_full (entry_hash, entry_equal, g_free, NULL);
  g_queue_init (&self->order);
  self->max = max;
  self->age_us = age_us;

  return self;
}

void
choir_idempotency_free (ChoirIdempotency *self)
{
  g_hash_table_unref (self->entries);
  g_free (self);
}

/* The epoch belongs to it: in a channel that has begun anew nothing has been said yet */
static void
make_digest (const ChoirChannel *channel, const char *key, guint8 out[DIGEST_SIZE])
{
  g_autoptr (GChecksum) checksum = g_checksum_new (G_CHECKSUM_SHA256);
  guint8 digest[32];
  gsize len = sizeof digest;

  g_checksum_update (checksum, (const guchar *) channel->epoch, sizeof channel->epoch);
  g_checksum_update (checksum, (const guchar *) channel->name, (gssize) strlen (channel->name) + 1);
  g_checksum_update (checksum, (const guchar *) key, (gssize) strlen (key));
  g_checksum_get_digest (checksum, digest, &len);
  memcpy (out, digest, DIGEST_SIZE);
}

static void
remove_oldest (ChoirIdempotency *self)
{
  Entry *oldest = self->order.head->data;

  g_queue_unlink (&self->order, &oldest->link);
  g_hash_table_remove (self->entries, oldest);
}

static void
expire (ChoirIdempotency *self, gint64 now_us)
{
  while (self->order.length > 0 &&
         now_us - ((const Entry *) self->order.head->data)->added_us >= self->age_us)
    remove_oldest (self);
}

/**
 * choir_idempotency_find:
 * @self: a table
 * @channel: where something is to be published
 * @key: the publisher's key
 * @now_us: monotonic
 *
 * Returns: the offset of what was published there with @key; 0: nothing was
 */
guint64
choir_idempotency_find (ChoirIdempotency *self,
                        const ChoirChannel *channel,
                        const char *key,
                        gint64 now_us)
{
  const Entry *found;
  Entry wanted;

  expire (self, now_us);
  make_digest (channel, key, wanted.digest);
  found = g_hash_table_lookup (self->entries, &wanted);

  return found != NULL ? found->offset : 0;
}

/**
 * choir_idempotency_add:
 * @self: a table
 * @channel: where something was published
 * @key: the publisher's key, which was not known
 * @offset: what it got
 * @now_us: monotonic
 */
void
choir_idempotency_add (ChoirIdempotency *self,
                       const ChoirChannel *channel,
                       const char *key,
                       guint64 offset,
                       gint64 now_us)
{
  Entry *entry = g_new0 (Entry, 1);

  expire (self, now_us);
  make_digest (channel, key, entry->digest);
  if (g_hash_table_contains (self->entries, entry))
    {
      g_free (entry);
      return;
    }

  if (self->order.length >= self->max)
    remove_oldest (self);

  entry->offset = offset;
  entry->added_us = now_us;
  entry->link.data = entry;
  g_hash_table_add (self->entries, entry);
  g_queue_push_tail_link (&self->order, &entry->link);
}

guint
choir_idempotency_get_size (const ChoirIdempotency *self)
{
  return self->order.length;
}
