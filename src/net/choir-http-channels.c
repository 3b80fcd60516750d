/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-http-messages.h"

#include "choir-document-room.h"
#include "choir-hub-find.h"
#include "choir-payload.h"
#include "choir-presence.h"

#include <string.h>

static void
append_channel (GString *out, ChoirHub *hub, const ChoirChannel *channel)
{
  const ChoirDocument *document =
    channel->room != NULL ? choir_document_room_get_document (channel->room) : NULL;
  gboolean is_document = channel->kind == CHOIR_CHANNEL_DOCUMENT;

  if (out->len > 0 && out->str[out->len - 1] == '}')
    g_string_append_c (out, ',');
  choir_payload_open (out);
  choir_payload_add_string (out, "channel", channel->name);
  choir_payload_add_string (out, "epoch",
                            document != NULL ? choir_document_get_epoch ((ChoirDocument *) document)
                                             : channel->epoch);
  choir_payload_add_int (out, "offset",
                         (gint64) (document != NULL
                                     ? choir_document_get_version ((ChoirDocument *) document)
                                     : channel->offset));
  choir_payload_add_int (out, "subscribers", channel->n_subscribers);
  choir_payload_add_int (out, "messages", channel->n_posts);
  choir_payload_add_boolean (out, "persisted",
                             is_document || choir_hub_is_durable (hub, channel->name));
  choir_payload_close (out);
}

static const char *
get_channel_name (gconstpointer item)
{
  return ((const ChoirChannel *) item)->name;
}

static void
offer_channel (ChoirChannel *channel, gpointer user_data)
{
  choir_http_page_offer (user_data, channel);
}

static void
list_channels (ChoirHttpRequest *request)
{
  ChoirHub *hub = request->gateway->hub;
  g_auto (ChoirHttpPage) page = { 0 };
  gboolean complete;
  GString *body;

  if (!choir_http_page_begin (&page, request, get_channel_name))
    return;

  choir_hub_visit_channels (hub, offer_channel, &page);
  complete = choir_http_page_end (&page);
  body = g_string_new ("{\"channels\":[");
  for (guint i = 0; i < page.items->len; i++)
    append_channel (body, hub, g_ptr_array_index (page.items, i));
  g_string_append_c (body, ']');
  choir_payload_add_boolean (body, "complete", complete);
  choir_payload_close (body);
  choir_http_request_answer_json (request, 200, body);
}

static void
refuse_unknown (ChoirHttpRequest *request)
{
  choir_http_request_refuse (request, 404, CHOIR_ERROR_NOT_FOUND,
                             "Nobody is in this channel and nothing was said in it");
}

/* One that was made by asking for it is none */
static gboolean
is_known (const ChoirChannel *channel)
{
  return channel->offset > 0 || channel->n_subscribers > 0 || channel->room != NULL;
}

static void
opened_cb (ChoirChannel *channel, const GError *error, gpointer user_data)
{
  g_autoptr (ChoirHttpRequest) request = user_data;
  GString *body;

  if (choir_http_request_is_gone (request))
    return;

  if (channel == NULL)
    choir_http_request_refuse_error (request, error);
  else if (!is_known (channel))
    refuse_unknown (request);
  else
    {
      body = g_string_new (NULL);
      append_channel (body, request->gateway->hub, channel);
      choir_http_request_answer_json (request, 200, body);
    }
}

static void
get_channel (ChoirHttpRequest *request)
{
  ChoirHub *hub = request->gateway->hub;
  ChoirChannel *channel = choir_hub_find_channel (hub, request->channel);

  if (choir_hub_is_durable (hub, request->channel))
    choir_hub_open_channel (hub, request->channel, opened_cb, choir_http_request_ref (request));
  else if (channel != NULL)
    opened_cb (channel, NULL, choir_http_request_ref (request));
  else
    refuse_unknown (request);
}

static void
answer_presence (ChoirHttpRequest *request, ChoirChannel *channel)
{
  GString *body = g_string_sized_new (512);

  choir_payload_open (body);
  if (channel->room != NULL)
    {
      choir_payload_add_string (body, "channel", channel->name);
      choir_payload_add_string (body, "document_id", channel->name + strlen ("document:"));
      choir_document_room_append_members (channel->room, body);
    }
  else
    choir_presence_append_members (request->gateway->hub, channel, body);
  choir_payload_close (body);
  choir_http_request_answer_json (request, 200, body);
}

static void
get_presence (ChoirHttpRequest *request)
{
  ChoirChannel *channel = choir_hub_find_channel (request->gateway->hub, request->channel);

  if (channel == NULL)
    refuse_unknown (request);
  else if (!channel->ns->presence && !choir_http_request_is_back_end (request))
    choir_http_request_refuse (request, 403, CHOIR_ERROR_PERMISSION_DENIED,
                               "This channel does not show who is in it");
  else
    answer_presence (request, channel);
}

const ChoirHttpRoute choir_http_channels_routes[] = {
  { "GET",
    "channels",
    NULL,
    CHOIR_HTTP_MAY_SERVE,
    { "prefix", "after", "limit" },
    CHOIR_HTTP_NO_MEDIA,
    CHOIR_HTTP_JSON,
    FALSE,
    NULL,
    list_channels },
  { "GET",
    "channels/{}",
    "",
    CHOIR_HTTP_MAY_READ,
    { NULL },
    CHOIR_HTTP_NO_MEDIA,
    CHOIR_HTTP_JSON,
    FALSE,
    NULL,
    get_channel },
  { "GET",
    "channels/{}/history",
    "",
    CHOIR_HTTP_MAY_READ,
    { "since", "limit", "reverse" },
    CHOIR_HTTP_NO_MEDIA,
    CHOIR_HTTP_JSON,
    FALSE,
    NULL,
    choir_http_get_history },
  { "GET",
    "channels/{}/presence",
    "",
    CHOIR_HTTP_MAY_READ,
    { NULL },
    CHOIR_HTTP_NO_MEDIA,
    CHOIR_HTTP_JSON,
    FALSE,
    NULL,
    get_presence },
};

const guint choir_http_channels_n_routes = G_N_ELEMENTS (choir_http_channels_routes);
