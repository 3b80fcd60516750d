/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-http-documents.h"

#include "choir-http-members.h"
#include "choir-payload.h"

#include <string.h>

/* Refuses the request if it is none */
gboolean
choir_http_check_change_id (ChoirHttpRequest *request, const char *name, const char *change_id)
{
  gsize len = strlen (change_id);
  gboolean valid = len > 0 && len <= CHOIR_CHANGE_ID_MAX;

  for (gsize i = 0; i < len; i++)
    valid = valid && change_id[i] > ' ' && change_id[i] < 0x7f;

  if (!valid)
    choir_http_request_refuse (request, 400, CHOIR_ERROR_VALIDATION,
                               "%s must be 1-%d printable ASCII characters without spaces", name,
                               CHOIR_CHANGE_ID_MAX);

  return valid;
}

void
choir_http_refuse_change (ChoirHttpRequest *request,
                          const ChoirChangeResult *result,
                          const GString *members)
{
  guint status = choir_error_get_http_status ((ChoirError) result->error->code);

  choir_http_request_refuse_with (
    request, result->error->code == CHOIR_ERROR_VALIDATION ? 400 : status,
    (ChoirError) result->error->code, result->error->message, members);
}

void
choir_http_answer_version (ChoirHttpRequest *request,
                           ChoirDocument *document,
                           guint status,
                           guint64 version,
                           const GString *members)
{
  g_autofree char *etag = choir_http_document_dup_etag (document, version, CHOIR_HTTP_JSON);
  GString *body = choir_http_document_begin_answer (document, version);

  if (members != NULL)
    g_string_append_printf (body, ",%s", members->str);
  choir_payload_close (body);
  choir_http_request_set_header (request, "ETag", etag);
  choir_http_request_answer_json (request, status, body);
}

typedef struct
{
  ChoirTextOperation *operation; /* (owned) (nullable): until it is submitted */
  char *change_id;               /* (owned) (nullable) */
  guint64 version;
} Item;

/* Changes that are committed one after the other; held by each that is under way */
typedef struct
{
  ChoirHttpRequest *request; /* (owned) */
  GArray *items;             /* (element-type Item) (owned) */
  GString *versions;         /* (owned): those made so far, as elements of an array */
  guint64 last;
  guint next;
  gboolean is_array;
  gboolean exact; /* the first one, for If-Match */
} Post;

static void
item_clear (gpointer data)
{
  Item *self = data;

  g_clear_pointer (&self->operation, choir_text_operation_free);
  g_free (self->change_id);
}

static Post *
post_new (ChoirHttpRequest *request)
{
  Post *self = g_rc_box_new0 (Post);

  self->request = choir_http_request_ref (request);
  self->items = g_array_new (FALSE, TRUE, sizeof (Item));
  g_array_set_clear_func (self->items, item_clear);
  self->versions = g_string_new (NULL);

  return self;
}

static void
post_clear (gpointer data)
{
  Post *self = data;

  choir_http_request_unref (self->request);
  g_array_unref (self->items);
  g_string_free (self->versions, TRUE);
}

static void
post_unref (gpointer self)
{
  g_rc_box_release_full (self, post_clear);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Post, post_unref)

static gboolean
read_version (const ChoirJsonMember *member, guint64 *version, GError **error)
{
  gint64 value;

  *version = CHOIR_VERSION_UNKNOWN;
  if (member == NULL)
    return TRUE;

  if (member->value.kind != CHOIR_JSON_NUMBER ||
      !choir_json_number_get_int (member->value.raw, &value) || value < 0)
    {
      g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION,
                           "version must be a whole number, 0 or more");
      return FALSE;
    }

  *version = (guint64) value;

  return TRUE;
}

static gboolean
read_change_id (const ChoirJsonMember *member, char **change_id, GError **error)
{
  if (member == NULL)
    return TRUE;

  if (member->value.kind == CHOIR_JSON_STRING)
    *change_id = choir_json_string_dup (member->value.raw, CHOIR_CHANGE_ID_MAX);
  if (*change_id != NULL && **change_id != '\0')
    return TRUE;

  g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION,
               "change_id must be a string of 1-%d bytes", CHOIR_CHANGE_ID_MAX);

  return FALSE;
}

static gboolean
read_item (gpointer user_data, ChoirSlice json, GError **error)
{
  Post *self = user_data;
  ChoirHub *hub = self->request->gateway->hub;
  const ChoirTextLimits *limits = choir_document_table_get_limits (choir_hub_get_documents (hub));
  ChoirJsonObject object;
  Item *item;

  g_array_set_size (self->items, self->items->len + 1);
  item = &g_array_index (self->items, Item, self->items->len - 1);
  if (!choir_json_gate_scan (json.data, json.len, &choir_hub_get_settings (hub)->json, &object,
                             error) ||
      !read_version (choir_json_object_find (&object, "version"), &item->version, error) ||
      !read_change_id (choir_json_object_find (&object, "change_id"), &item->change_id, error))
    return FALSE;

  item->operation = choir_text_operation_parse_positional (json, limits, error);

  return item->operation != NULL;
}

/* The header is the only one's change id as well */
static gboolean
read_key (Post *self)
{
  const char *key = choir_http_request_get_header (self->request, "Idempotency-Key");
  Item *item = &g_array_index (self->items, Item, 0);

  if (key == NULL)
    return TRUE;

  if (self->is_array || item->change_id != NULL)
    {
      choir_http_request_refuse (self->request, 400, CHOIR_ERROR_VALIDATION,
                                 "Idempotency-Key is for one change without a change_id");
      return FALSE;
    }

  item->change_id = g_strdup (key);

  return choir_http_check_change_id (self->request, "Idempotency-Key", key);
}

static void submit_next (Post *self, ChoirDocument *document);

static void
refuse_post (const Post *self, ChoirDocument *document, const ChoirChangeResult *result)
{
  g_autoptr (GString) members = g_string_new (NULL);

  if (self->exact && self->next == 1 && result->status == CHOIR_CHANGE_CONFLICT)
    {
      choir_http_refuse_condition (self->request, document);
      return;
    }

  choir_payload_add_int (members, "version", (gint64) choir_document_get_version (document));
  if (self->is_array)
    {
      choir_payload_add_int (members, "index", (gint64) self->next - 1);
      g_string_append_printf (members, ",\"versions\":[%s]", self->versions->str);
    }
  choir_http_refuse_change (self->request, result, members);
}

static void
answer_post (const Post *self, ChoirDocument *document)
{
  g_autoptr (GString) members = g_string_new (NULL);

  if (choir_http_request_is_gone (self->request))
    return;

  g_string_append_printf (members, "\"versions\":[%s]", self->versions->str);
  choir_http_answer_version (self->request, document, 200, self->last,
                             self->is_array ? members : NULL);
}

static void
post_changed_cb (ChoirDocument *document, const ChoirChangeResult *result, gpointer user_data)
{
  Post *self = user_data;

  if (result->status == CHOIR_CHANGE_CONFLICT || result->status == CHOIR_CHANGE_REFUSED)
    {
      refuse_post (self, document, result);
      return;
    }

  self->last = result->version;
  g_string_append_printf (self->versions, "%s%" G_GUINT64_FORMAT,
                          self->versions->len > 0 ? "," : "", result->version);
  if (self->next == self->items->len)
    answer_post (self, document);
  else if (self->request->message != NULL)
    submit_next (self, document);
}

/* One after the other, so that each may rely on those before it */
static void
submit_next (Post *self, ChoirDocument *document)
{
  Item *item = &g_array_index (self->items, Item, self->next);
  const char *user_id = choir_claims_get_user_id (self->request->claims);
  ChoirChange change = {
    .version = item->version,
    .operation = g_steal_pointer (&item->operation),
    .change_id = item->change_id,
    .sender = user_id,
    .user_id = user_id,
    .exact = self->exact && self->next == 0,
    .callback = post_changed_cb,
    .user_data = g_rc_box_acquire (self),
    .destroy = post_unref,
  };

  self->next++;
  choir_document_submit (document, &change);
}

/* If-Match: on that state and no other. One that names a version has said which */
static gboolean
check_post (Post *self, ChoirDocument *document)
{
  guint64 version = choir_document_get_version (document);
  Item *item = &g_array_index (self->items, Item, 0);

  if (choir_http_document_check (self->request, document, version, FALSE) != CHOIR_HTTP_MET)
    {
      choir_http_refuse_condition (self->request, document);
      return FALSE;
    }

  self->exact = choir_http_request_get_header (self->request, "If-Match") != NULL ||
                choir_http_request_get_header (self->request, "If-None-Match") != NULL;
  if (self->exact && item->version == CHOIR_VERSION_UNKNOWN)
    item->version = version;

  return TRUE;
}

static void
post_opened (ChoirHttpRequest *request, ChoirDocument *document)
{
  g_autoptr (Post) post = post_new (request);
  g_autoptr (GError) error = NULL;

  if (!choir_http_members_read_body (post->request, read_item, post, &post->is_array, &error))
    choir_http_request_refuse_error (request, error);
  else if (read_key (post) && check_post (post, document))
    submit_next (post, document);
}

/**
 * choir_http_document_post_operations:
 * @request: a change, or an array of them
 *
 * Commits them one after the other, up to the first that is refused.
 */
void
choir_http_document_post_operations (ChoirHttpRequest *request)
{
  choir_http_open_document (request, post_opened);
}
