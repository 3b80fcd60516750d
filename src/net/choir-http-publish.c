/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-http-messages.h"

#include "choir-chat-check.h"
#include "choir-clock.h"
#include "choir-http-members.h"
#include "choir-names.h"
#include "choir-payload.h"

#include <string.h>

/* Publications in one body, and bytes of it */
#define BULK_MAX 1000
#define BULK_BYTES (4 * 1024 * 1024)
/* Of a body around its payload */
#define MESSAGE_EXTRA 4096

/* What is published by one request */
typedef struct
{
  ChoirHttpRequest *request; /* (owned) */
  GPtrArray *results;        /* (owned) (element-type utf8): of each, NULL while it is under way */
  guint n_failed;
  guint n_left;
  gboolean is_array;
  GError *error; /* (owned) (nullable): of one that is no array */
} Post;

/* One of them, until it is published */
typedef struct
{
  char *channel;    /* (owned) */
  char *type;       /* (owned) */
  char *key;        /* (owned) (nullable) */
  char *session;    /* (owned) (nullable): who does not get it */
  char *message_id; /* (owned) (nullable): of a chat message */
  char *clean;      /* (owned) (nullable): the payload, made harmless */
  GString *stamped; /* (owned) (nullable): the payload, with its sender */
  ChoirSlice payload;
} Item;

/* Waits for what became of it */
typedef struct
{
  Post *post; /* (owned) */
  guint index;
  char *message_id; /* (owned) (nullable) */
} Pending;

/**
 * choir_http_get_max_payload:
 * @request: a request
 *
 * Returns: bytes of a message's payload
 */
gsize
choir_http_get_max_payload (const ChoirHttpRequest *request)
{
  const ChoirSettings *settings = choir_hub_get_settings (request->gateway->hub);

  return settings->dialects[CHOIR_DIALECT_CHOIR].max_message_size;
}

/**
 * choir_http_get_max_message:
 * @request: a request
 *
 * Returns: bytes of a body that has one message
 */
gsize
choir_http_get_max_message (const ChoirHttpRequest *request)
{
  return MIN (choir_http_get_max_payload (request), G_MAXINT32) + MESSAGE_EXTRA;
}

static gsize
get_max_bulk (const ChoirHttpRequest *request)
{
  return MAX (BULK_BYTES, choir_http_get_max_message (request));
}

static void
item_clear (Item *self)
{
  g_free (self->channel);
  g_free (self->type);
  g_free (self->key);
  g_free (self->session);
  g_free (self->message_id);
  g_free (self->clean);
  if (self->stamped != NULL)
    g_string_free (self->stamped, TRUE);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Item, item_clear)

static void
post_clear (gpointer data)
{
  Post *self = data;

  choir_http_request_unref (self->request);
  g_ptr_array_unref (self->results);
  g_clear_error (&self->error);
}

static void
post_unref (gpointer self)
{
  g_rc_box_release_full (self, post_clear);
}

static Post *
post_new (ChoirHttpRequest *request, guint n, gboolean is_array)
{
  Post *self = g_rc_box_new0 (Post);

  self->request = choir_http_request_ref (request);
  self->results = g_ptr_array_new_with_free_func (g_free);
  g_ptr_array_set_size (self->results, (int) n);
  self->n_left = n;
  self->is_array = is_array;

  return self;
}

static void
answer_many (Post *self)
{
  GString *body = g_string_new ("{\"results\":[");

  for (guint i = 0; i < self->results->len; i++)
    {
      if (i > 0)
        g_string_append_c (body, ',');
      g_string_append (body, g_ptr_array_index (self->results, i));
    }

  g_string_append_c (body, ']');
  choir_payload_add_int (body, "failed", self->n_failed);
  choir_payload_close (body);
  choir_http_request_answer_json (self->request, 200, body);
}

/* @result: (transfer full) */
static void
settle (Post *self, guint index, char *result)
{
  self->results->pdata[index] = result;
  if (--self->n_left > 0)
    return;

  if (self->is_array)
    answer_many (self);
  else if (self->error != NULL)
    choir_http_request_refuse_error (self->request, self->error);
  else
    choir_http_request_answer_json (self->request, 200,
                                    g_string_new (g_ptr_array_index (self->results, 0)));
}

static void
settle_failed (Post *self, guint index, const GError *error)
{
  ChoirError code = error->domain == CHOIR_ERROR ? (ChoirError) error->code : CHOIR_ERROR_INTERNAL;
  guint status = choir_error_get_http_status (code);
  GString *result = g_string_new ("{\"error\":{");

  if (!self->is_array)
    self->error = g_error_copy (error);

  self->n_failed++;
  choir_payload_add_int (result, "status", code == CHOIR_ERROR_VALIDATION ? 400 : status);
  choir_payload_add_string (result, "code", choir_error_get_code (code));
  choir_payload_add_string (
    result, "detail", error->domain == CHOIR_ERROR ? error->message : "Something went wrong here");
  g_string_append (result, "}}");
  settle (self, index, g_string_free (result, FALSE));
}

static void
published_cb (const ChoirPublished *published, const GError *error, gpointer user_data)
{
  g_autofree Pending *pending = user_data;
  Post *post = pending->post;
  GString *result;

  if (published == NULL)
    settle_failed (post, pending->index, error);
  else
    {
      result = g_string_sized_new (160);
      choir_payload_open (result);
      choir_payload_add_string (result, "channel", published->channel->name);
      choir_payload_add_string (result, "epoch", published->channel->epoch);
      choir_payload_add_int (result, "offset", (gint64) published->offset);
      choir_payload_add_int (result, "recipients", published->n_recipients);
      if (published->duplicate)
        choir_payload_add_boolean (result, "duplicate", TRUE);
      else
        choir_payload_add_string (result, "message_id", pending->message_id);
      choir_payload_close (result);
      settle (post, pending->index, g_string_free (result, FALSE));
    }

  g_free (pending->message_id);
  post_unref (post);
}

/* What a user says is shown to other people, as on a connection */
static void
sanitize (Item *self, ChoirHttpRequest *request, ChoirJsonFlags flags)
{
  const ChoirSanitizerRules *rules = &choir_hub_get_settings (request->gateway->hub)->sanitizer;
  gsize len;

  if (choir_http_request_is_back_end (request) || !choir_sanitizer_needed (rules, flags))
    return;

  self->clean = choir_sanitizer_run (rules, self->payload, &len);
  self->payload = (ChoirSlice){ self->clean, len };
}

static gboolean
check_names (const Item *self, ChoirHttpRequest *request, GError **error)
{
  if (self->channel == NULL || self->type == NULL)
    g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION, "%s is missing",
                 self->channel == NULL ? "channel" : "type");
  else if (!choir_name_is_channel (self->channel, strlen (self->channel)))
    g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION,
                 "channel must be 1-%d printable ASCII characters without spaces",
                 CHOIR_CHANNEL_NAME_MAX);
  else if (!choir_name_is_identifier (self->type, strlen (self->type)))
    g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION,
                 "type must be 1-%d letters, digits, '.', '_' and '-'", CHOIR_TYPE_NAME_MAX);
  else if (choir_router_is_reserved (self->type) && !choir_http_request_is_back_end (request))
    g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_PERMISSION_DENIED,
                         "Messages of this type come from the service only");
  else
    return choir_chat_check_kept (self->type, error) &&
           (self->key == NULL || choir_http_check_key ("idempotency_key", self->key, error));

  return FALSE;
}

static gboolean
read_item (Item *self, ChoirHttpRequest *request, const ChoirJsonObject *object, GError **error)
{
  const ChoirChatSpeaker speaker = {
    .user_id = choir_claims_get_user_id (request->claims),
    .is_back_end = choir_http_request_is_back_end (request),
  };
  ChoirJsonValue payload;

  if (request->channel != NULL)
    self->channel = g_strdup (request->channel);
  else if (!choir_http_members_get_string (object, "channel", CHOIR_CHANNEL_NAME_MAX,
                                           &self->channel, error))
    return FALSE;

  if (!choir_http_members_get_string (object, "type", CHOIR_TYPE_NAME_MAX, &self->type, error) ||
      !choir_http_members_get_string (object, "idempotency_key", CHOIR_HTTP_KEY_MAX, &self->key,
                                      error) ||
      !choir_http_members_get_string (object, "except_session", CHOIR_CHANNEL_NAME_MAX,
                                      &self->session, error) ||
      !choir_http_members_get_object (object, "payload", &payload, error) ||
      !check_names (self, request, error))
    return FALSE;

  self->payload = payload.raw;
  if (self->payload.len > choir_http_get_max_payload (request))
    {
      g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_TOO_LARGE,
                   "The payload is longer than %" G_GSIZE_FORMAT " bytes",
                   choir_http_get_max_payload (request));
      return FALSE;
    }

  sanitize (self, request, payload.flags);

  return choir_chat_admit (&speaker, self->type, &self->payload, &self->stamped, &self->message_id,
                           error);
}

/* @header: (nullable): a key besides the item's own */
static gboolean
add_key (Item *self, ChoirHttpRequest *request, const char *header, GError **error)
{
  char *key;

  if (header != NULL && self->key != NULL)
    {
      g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION,
                           "Idempotency-Key is for a message without an idempotency_key");
      return FALSE;
    }

  if (header != NULL && !choir_http_check_key ("Idempotency-Key", header, error))
    return FALSE;

  if (header == NULL && self->key == NULL)
    return TRUE;

  key = g_strconcat (choir_claims_get_user_id (request->claims), "\n",
                     header != NULL ? header : self->key, NULL);
  g_free (self->key);
  self->key = key;

  return TRUE;
}

static void
publish_item (Post *self, guint index, Item *item)
{
  ChoirHub *hub = self->request->gateway->hub;
  Pending *pending = g_new (Pending, 1);
  ChoirPublication publication = {
    .channel = item->channel,
    .type = item->type,
    .payload = item->payload,
    .user_id = choir_claims_get_user_id (self->request->claims),
    .except = item->session != NULL ? choir_hub_find_by_id (hub, item->session) : NULL,
    .key = item->key,
  };

  *pending = (Pending){ g_rc_box_acquire (self), index, g_steal_pointer (&item->message_id) };
  choir_hub_publish_async (hub, &publication, published_cb, pending);
}

/* @header: (nullable) */
static void
publish_text (Post *self, guint index, ChoirSlice text, const char *header)
{
  static const char *const known[] = { "channel",         "type",           "payload",
                                       "idempotency_key", "except_session", NULL };
  ChoirHttpRequest *request = self->request;
  g_auto (Item) item = { 0 };
  g_autoptr (GError) error = NULL;
  ChoirJsonObject object;

  if (choir_http_members_scan (request, text, request->channel != NULL ? known + 1 : known, &object,
                               &error) &&
      read_item (&item, request, &object, &error) && add_key (&item, request, header, &error))
    publish_item (self, index, &item);
  else
    settle_failed (self, index, error);
}

static void
publish_one (ChoirHttpRequest *request)
{
  Post *post = post_new (request, 1, FALSE);
  g_autofree char *header = g_strdup (choir_http_request_get_header (request, "Idempotency-Key"));

  publish_text (post, 0, choir_http_request_get_body (request), header);
  post_unref (post);
}

/* All of it is JSON, or nothing of it is published */
static void
publish_many (ChoirHttpRequest *request)
{
  ChoirSlice body = choir_http_request_get_body (request);
  ChoirJsonLimits limits = choir_hub_get_settings (request->gateway->hub)->json;
  g_autofree ChoirSlice *elements = NULL;
  g_autoptr (GError) error = NULL;
  Post *post;
  guint n;

  limits.max_batch = BULK_MAX;
  elements = g_new (ChoirSlice, BULK_MAX);
  if (choir_http_request_get_header (request, "Idempotency-Key") != NULL)
    {
      choir_http_request_refuse (request, 400, CHOIR_ERROR_VALIDATION,
                                 "Idempotency-Key is for one message; each of an array may have an "
                                 "idempotency_key");
      return;
    }

  if (!choir_json_gate_scan_batch (body.data, body.len, &limits, elements, &n, &error))
    {
      choir_http_request_refuse_error (request, error);
      return;
    }

  post = post_new (request, n, TRUE);
  for (guint i = 0; i < n; i++)
    publish_text (post, i, elements[i], NULL);
  post_unref (post);
}

static void
handle_publish (ChoirHttpRequest *request)
{
  ChoirSlice body = choir_http_request_get_body (request);

  if (body.len > 0 && choir_json_gate_is_batch (body.data, body.len))
    publish_many (request);
  else
    publish_one (request);
}

/* A user may not do here in a second what takes a minute on a connection */
static gboolean
check_rate (ChoirHttpRequest *request)
{
  const char *user_id = choir_claims_get_user_id (request->claims);
  gint64 wait_us = 0;

  if (!choir_http_request_is_back_end (request))
    wait_us = choir_rate_limiter_take (request->gateway->publish_rate, user_id,
                                       choir_clock_monotonic_us ());

  if (wait_us == 0)
    return TRUE;

  choir_http_request_refuse_rate (request, wait_us, "Too many messages");

  return FALSE;
}

static void
handle_publish_to_channel (ChoirHttpRequest *request)
{
  if (check_rate (request))
    publish_one (request);
}

const ChoirHttpRoute choir_http_publish_routes[] = {
  { "POST",
    "publish",
    NULL,
    CHOIR_HTTP_MAY_SERVE,
    { NULL },
    CHOIR_HTTP_JSON,
    CHOIR_HTTP_JSON,
    TRUE,
    get_max_bulk,
    handle_publish },
  { "POST",
    "channels/{}/publish",
    "",
    CHOIR_HTTP_MAY_WRITE,
    { NULL },
    CHOIR_HTTP_JSON,
    CHOIR_HTTP_JSON,
    TRUE,
    choir_http_get_max_message,
    handle_publish_to_channel },
};

const guint choir_http_publish_n_routes = G_N_ELEMENTS (choir_http_publish_routes);
