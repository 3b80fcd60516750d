/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-http-messages.h"

#include "choir-clock.h"
#include "choir-http-idempotency.h"
#include "choir-http-members.h"
#include "choir-names.h"
#include "choir-payload.h"

#include <string.h>

/* What the back ends of contract D tell their clients (contracts.md): each address says which
 * message, the body has what is in it and for whom it is */

#define RESOURCE_ID_MAX 255
/* Of users in the body */
#define NOTICE_EXTRA (512 * 1024)

/* Who gets it */
typedef enum
{
  TO_USER_OR_SUBSCRIBERS,  /* `user_id`, else who has subscribed to the event */
  TO_USER,                 /* `user_id` */
  TO_USERS_OR_SUBSCRIBERS, /* `users`, else who has subscribed to the event */
  TO_USERS_OR_ALL,         /* `users`, else everybody */
} Recipients;

typedef struct
{
  const char *path;
  const char *type;
  const char *id; /* (nullable): what the message calls what the address names */
  Recipients recipients;
  gboolean (*check) (const ChoirJsonObject *object, GError **error); /* (nullable) */
  const char *extra; /* (nullable): a member that is added unless it is there */
  const char *extra_value;
} Notice;

static gboolean
check_notification (const ChoirJsonObject *object, GError **error)
{
  const ChoirJsonMember *message = choir_json_object_find (object, "message");
  g_autofree char *level = NULL;

  if (message == NULL || message->value.kind != CHOIR_JSON_STRING || message->value.raw.len <= 2)
    {
      g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION,
                           "message must be a string that is not empty");
      return FALSE;
    }

  if (!choir_http_members_get_string (object, "level", CHOIR_TYPE_NAME_MAX, &level, error))
    return FALSE;

  if (level == NULL || choir_name_is_identifier (level, strlen (level)))
    return TRUE;

  g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION,
                       "level must be a word, like info, warning or error");

  return FALSE;
}

static gboolean
check_count (const ChoirJsonObject *object, const char *name, GError **error)
{
  const ChoirJsonMember *member = choir_json_object_find (object, name);
  gint64 value;

  if (member == NULL || (member->value.kind == CHOIR_JSON_NUMBER &&
                         choir_json_number_get_int (member->value.raw, &value) && value >= 0))
    return TRUE;

  g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION, "%s must be a whole number, 0 or more",
               name);

  return FALSE;
}

static gboolean
check_progress (const ChoirJsonObject *object, GError **error)
{
  const ChoirJsonMember *member = choir_json_object_find (object, "progress");
  double value;

  if (member == NULL || member->value.kind != CHOIR_JSON_NUMBER ||
      !choir_json_number_get_double (member->value.raw, &value) || value < 0 || value > 100)
    {
      g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION,
                           "progress must be a number from 0 to 100");
      return FALSE;
    }

  return check_count (object, "bytes_uploaded", error) &&
         check_count (object, "total_bytes", error);
}

static const Notice notices[] = {
  { "notifications", "system.notification", NULL, TO_USERS_OR_ALL, check_notification, "level",
    "info" },
  { "reviews/{}/updated", "review.updated", "review_id", TO_USERS_OR_SUBSCRIBERS, NULL, NULL,
    NULL },
  { "files/{}/processing", "file.processing", "file_id", TO_USER, NULL, NULL, NULL },
  { "files/{}/ready", "file.ready", "file_id", TO_USER, NULL, NULL, NULL },
  { "uploads/{}/progress", "upload.progress", "upload_id", TO_USER_OR_SUBSCRIBERS, check_progress,
    NULL, NULL },
  { "uploads/{}/completed", "upload.completed", "upload_id", TO_USER_OR_SUBSCRIBERS, NULL, NULL,
    NULL },
  { "uploads/{}/error", "upload.error", "upload_id", TO_USER_OR_SUBSCRIBERS, NULL, NULL, NULL },
};

static const Notice *
find_notice (const ChoirHttpRoute *route)
{
  for (guint i = 0; i < G_N_ELEMENTS (notices); i++)
    if (strcmp (notices[i].path, route->path) == 0)
      return &notices[i];

  g_assert_not_reached ();
}

static gboolean
names_users (const Notice *notice)
{
  return notice->recipients == TO_USERS_OR_ALL || notice->recipients == TO_USERS_OR_SUBSCRIBERS;
}

/* The member that says for whom it is */
static const char *
get_address_member (const Notice *notice)
{
  return names_users (notice) ? "users" : "user_id";
}

/* @audience: nobody in particular if the body names nobody */
static gboolean
read_recipients (const Notice *notice,
                 const ChoirJsonObject *object,
                 ChoirAudience *audience,
                 GError **error)
{
  if (names_users (notice))
    {
      if (!choir_http_members_get_names (object, "users", CHOIR_AUDIENCE_NAMES_MAX,
                                         &audience->users, error))
        return FALSE;
      audience->keys = audience->users != NULL ? CHOIR_AUDIENCE_USERS : 0;
      return TRUE;
    }

  if (!choir_http_members_get_string (object, "user_id", CHOIR_USER_ID_MAX, &audience->user, error))
    return FALSE;

  audience->keys = audience->user != NULL ? CHOIR_AUDIENCE_USER : 0;
  if (audience->user != NULL ? choir_name_is_user (audience->user, strlen (audience->user))
                             : notice->recipients != TO_USER)
    return TRUE;

  g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION,
               "user_id must be 1-%d printable ASCII characters without spaces", CHOIR_USER_ID_MAX);

  return FALSE;
}

/* (transfer full): the body without what it says about who gets it, and with what it was about */
static GString *
make_payload (const Notice *notice, ChoirHttpRequest *request, const ChoirJsonObject *object)
{
  GString *payload = g_string_sized_new (request->body->len + 128);

  choir_payload_open (payload);
  if (notice->id != NULL)
    choir_payload_add_string (payload, notice->id, request->segments[0]);
  for (guint i = 0; i < object->n_members; i++)
    {
      const ChoirJsonMember *member = &object->members[i];

      if (choir_json_key_equals (member->key, choir_slice (get_address_member (notice))) ||
          (notice->id != NULL && choir_json_key_equals (member->key, choir_slice (notice->id))))
        continue;

      if (payload->len > 1)
        g_string_append_c (payload, ',');
      g_string_append_c (payload, '"');
      g_string_append_len (payload, member->key.data, (gssize) member->key.len);
      g_string_append (payload, "\":");
      g_string_append_len (payload, member->value.raw.data, (gssize) member->value.raw.len);
    }

  if (notice->extra != NULL && choir_json_object_find (object, notice->extra) == NULL)
    choir_payload_add_string (payload, notice->extra, notice->extra_value);
  if (choir_json_object_find (object, "timestamp") == NULL)
    choir_payload_add_time (payload, "timestamp", choir_clock_wall_us ());
  choir_payload_close (payload);

  return payload;
}

static void
published_cb (const ChoirPublished *published, const GError *error, gpointer user_data)
{
  g_autoptr (ChoirHttpRequest) request = user_data;

  if (published != NULL)
    choir_http_answer_recipients (request, published->n_recipients);
  else
    choir_http_once_refuse (request, error);
}

/* To those who have subscribed to the event, whose channel keeps it */
static void
publish_event (ChoirHttpRequest *request, const Notice *notice, ChoirSlice payload)
{
  g_autofree char *channel = g_strconcat ("event:", notice->type, NULL);
  ChoirPublication publication = {
    .channel = channel,
    .type = notice->type,
    .payload = payload,
    .user_id = choir_claims_get_user_id (request->claims),
  };

  choir_hub_publish_async (request->gateway->hub, &publication, published_cb,
                           choir_http_request_ref (request));
}

static gboolean
check_id (ChoirHttpRequest *request, const Notice *notice)
{
  const char *id = request->segments[0];
  gboolean valid;

  if (notice->id == NULL)
    return TRUE;

  valid = strlen (id) <= RESOURCE_ID_MAX && g_utf8_validate (id, -1, NULL);
  for (const char *p = id; valid && *p != '\0'; p++)
    valid = (guint8) *p >= ' ' && *p != 0x7f;

  if (!valid)
    choir_http_request_refuse (request, 400, CHOIR_ERROR_VALIDATION,
                               "An id is 1-%d bytes of UTF-8 without control characters",
                               RESOURCE_ID_MAX);

  return valid;
}

static void
deliver (ChoirHttpRequest *request,
         const Notice *notice,
         ChoirSlice payload,
         const ChoirAudience *audience)
{
  ChoirHub *hub = request->gateway->hub;

  if (!choir_http_once_begin (request))
    return;

  if (audience->keys == 0 && notice->recipients != TO_USERS_OR_ALL)
    publish_event (request, notice, payload);
  else
    choir_http_answer_recipients (request,
                                  choir_hub_broadcast (hub, notice->type, payload, audience));
}

static void
handle_notice (ChoirHttpRequest *request)
{
  const Notice *notice = find_notice (request->route);
  g_auto (ChoirAudience) audience = { 0 };
  g_autoptr (GString) payload = NULL;
  g_autoptr (GError) error = NULL;
  ChoirJsonObject object;

  if (!check_id (request, notice))
    return;

  if (choir_http_members_scan (request, choir_http_request_get_body (request), NULL, &object,
                               &error) &&
      read_recipients (notice, &object, &audience, &error) &&
      (notice->check == NULL || notice->check (&object, &error)))
    {
      payload = make_payload (notice, request, &object);
      if (choir_hub_check_message (request->gateway->hub, notice->type,
                                   choir_payload_as_slice (payload),
                                   choir_http_get_max_payload (request), &error))
        {
          deliver (request, notice, choir_payload_as_slice (payload), &audience);
          return;
        }
    }

  choir_http_request_refuse_error (request, error);
}

static gsize
get_max_notice (const ChoirHttpRequest *request)
{
  return choir_http_get_max_message (request) + NOTICE_EXTRA;
}

#define NOTICE_ROUTE(path)                                                                         \
  {                                                                                                \
    "POST", path, NULL, CHOIR_HTTP_MAY_SERVE, { NULL }, CHOIR_HTTP_JSON, CHOIR_HTTP_JSON, TRUE,    \
      get_max_notice, handle_notice                                                                \
  }

const ChoirHttpRoute choir_http_notify_routes[] = {
  NOTICE_ROUTE ("notifications"),       NOTICE_ROUTE ("reviews/{}/updated"),
  NOTICE_ROUTE ("files/{}/processing"), NOTICE_ROUTE ("files/{}/ready"),
  NOTICE_ROUTE ("uploads/{}/progress"), NOTICE_ROUTE ("uploads/{}/completed"),
  NOTICE_ROUTE ("uploads/{}/error"),
};

const guint choir_http_notify_n_routes = G_N_ELEMENTS (choir_http_notify_routes);
