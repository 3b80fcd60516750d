/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-http-idempotency.h"

#include "choir-clock.h"
#include "choir-http-members.h"
#include "choir-http-private.h"

/* draft-ietf-httpapi-idempotency-key-header, 2.6 and 2.7 */

typedef struct
{
  char *name;        /* (owned): the user and the key */
  char *fingerprint; /* (owned): of the request */
  char *body;        /* (owned) (nullable): of its answer; NULL: it is being carried out */
  GList link;        /* in the queue; its data is the entry */
  gint64 expiry_us;  /* monotonic */
} Entry;

struct _ChoirHttpIdempotency
{
  GHashTable *entries; /* (element-type utf8 Entry) (owned) */
  GQueue ages;         /* (element-type Entry): oldest first */
};

static void
entry_free (gpointer data)
{
  Entry *self = data;

  g_free (self->name);
  g_free (self->fingerprint);
  g_free (self->body);
  g_free (self);
}

/**
 * choir_http_idempotency_new:
 *
 * Returns: (transfer full): a table that is empty
 */
ChoirHttpIdempotency *
choir_http_idempotency_new (void)
{
  ChoirHttpIdempotency *self = g_new0 (ChoirHttpIdempotency, 1);

  self->entries = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, entry_free);

  return self;
}

void
choir_http_idempotency_free (ChoirHttpIdempotency *self)
{
  g_hash_table_unref (self->entries);
  g_free (self);
}

static void
drop (ChoirHttpIdempotency *self, Entry *entry)
{
  g_queue_unlink (&self->ages, &entry->link);
  g_hash_table_remove (self->entries, entry->name);
}

/* What is too old goes, and the oldest if there are too many; all are kept equally long */
static void
trim (ChoirHttpIdempotency *self)
{
  gint64 now_us = choir_clock_monotonic_us ();
  Entry *oldest;

  while ((oldest = g_queue_peek_head (&self->ages)) != NULL &&
         (oldest->expiry_us <= now_us ||
          g_hash_table_size (self->entries) >= CHOIR_HTTP_IDEMPOTENCY_MAX))
    drop (self, oldest);
}

static void
remember (ChoirHttpIdempotency *self, char *name, char *fingerprint)
{
  Entry *entry = g_new0 (Entry, 1);

  entry->name = name;
  entry->fingerprint = fingerprint;
  entry->expiry_us =
    choir_clock_monotonic_us () + CHOIR_HTTP_IDEMPOTENCY_S * (gint64) G_USEC_PER_SEC;
  entry->link.data = entry;
  g_hash_table_insert (self->entries, entry->name, entry);
  g_queue_push_tail_link (&self->ages, &entry->link);
}

/* (transfer full): what makes two requests the same */
static char *
dup_fingerprint (const ChoirHttpRequest *request)
{
  g_autoptr (GChecksum) sum = g_checksum_new (G_CHECKSUM_SHA256);
  ChoirSlice body = choir_http_request_get_body (request);

  g_checksum_update (sum, (const guchar *) request->route->path, -1);
  for (guint i = 0; i < CHOIR_HTTP_SEGMENTS_MAX && request->segments[i] != NULL; i++)
    {
      g_checksum_update (sum, (const guchar *) "\n", 1);
      g_checksum_update (sum, (const guchar *) request->segments[i], -1);
    }
  g_checksum_update (sum, (const guchar *) "\n", 1);
  if (body.len > 0)
    g_checksum_update (sum, (const guchar *) body.data, (gssize) body.len);

  return g_strdup (g_checksum_get_string (sum));
}

static void
answer_again (ChoirHttpRequest *request, const Entry *entry, const char *fingerprint)
{
  if (!g_str_equal (entry->fingerprint, fingerprint))
    choir_http_request_refuse (request, 422, CHOIR_ERROR_VALIDATION,
                               "This Idempotency-Key was given with another request");
  else if (entry->body == NULL)
    choir_http_request_refuse (request, 409, CHOIR_ERROR_CONFLICT,
                               "The request with this Idempotency-Key is being carried out");
  else
    choir_http_request_answer_json (request, 200, g_string_new (entry->body));
}

/**
 * choir_http_once_begin:
 * @request: a request that is about to be carried out
 *
 * Looks whether the same user has had the same request carried out already.
 *
 * Returns: whether it is to be carried out; else it is answered
 */
gboolean
choir_http_once_begin (ChoirHttpRequest *request)
{
  ChoirHttpIdempotency *self = choir_http_api_get_idempotency (request->api);
  const char *key = choir_http_request_get_header (request, "Idempotency-Key");
  g_autofree char *fingerprint = NULL;
  g_autofree char *name = NULL;
  g_autoptr (GError) error = NULL;
  const Entry *entry;

  if (key == NULL)
    return TRUE;

  if (!choir_http_check_key ("Idempotency-Key", key, &error))
    {
      choir_http_request_refuse_error (request, error);
      return FALSE;
    }

  trim (self);
  name = g_strconcat (choir_claims_get_user_id (request->claims), "\n", key, NULL);
  fingerprint = dup_fingerprint (request);
  entry = g_hash_table_lookup (self->entries, name);
  if (entry != NULL)
    {
      answer_again (request, entry, fingerprint);
      return FALSE;
    }

  request->once = g_strdup (name);
  remember (self, g_steal_pointer (&name), g_steal_pointer (&fingerprint));

  return TRUE;
}

/* (nullable) */
static Entry *
find_entry (const ChoirHttpRequest *request)
{
  if (request->once == NULL || request->api == NULL)
    return NULL;

  return g_hash_table_lookup (choir_http_api_get_idempotency (request->api)->entries,
                              request->once);
}

/**
 * choir_http_once_answer:
 * @request: a request that has been carried out
 * @body: (transfer full): of the answer
 *
 * Answers 200, now and when it comes again.
 */
void
choir_http_once_answer (ChoirHttpRequest *request, GString *body)
{
  Entry *entry = find_entry (request);

  if (entry != NULL && entry->body == NULL)
    entry->body = g_strdup (body->str);

  choir_http_request_answer_json (request, 200, body);
}

/**
 * choir_http_once_forget:
 * @request: a request that could not be carried out, and is about to be refused
 *
 * It may come again.
 */
void
choir_http_once_forget (ChoirHttpRequest *request)
{
  Entry *entry = find_entry (request);

  if (entry != NULL && entry->body == NULL)
    drop (choir_http_api_get_idempotency (request->api), entry);
}

/**
 * choir_http_once_refuse:
 * @request: a request that could not be carried out
 * @error: why, see choir_http_request_refuse_error()
 *
 * It may come again.
 */
void
choir_http_once_refuse (ChoirHttpRequest *request, const GError *error)
{
  choir_http_once_forget (request);
  choir_http_request_refuse_error (request, error);
}
