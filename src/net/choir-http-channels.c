/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-http-messages.h"

#include "choir-document-room.h"
#include "choir-hub-find.h"
#include "choir-names.h"
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

/* One whose log is in the store only */
static void
append_stored (GString *out, const ChoirStreamInfo *info)
{
  if (out->str[out->len - 1] == '}')
    g_string_append_c (out, ',');
  choir_payload_open (out);
  choir_payload_add_string (out, "channel", info->name);
  choir_payload_add_string (out, "epoch", info->epoch);
  choir_payload_add_int (out, "offset", (gint64) info->head);
  choir_payload_add_int (out, "subscribers", 0);
  choir_payload_add_int (out, "messages", 0);
  choir_payload_add_boolean (out, "persisted", TRUE);
  choir_payload_close (out);
}

/* Both are in the order of their names; what is in both is in memory. Whether nothing is left over
 */
static gboolean
append_merged (GString *body, ChoirHub *hub, const ChoirHttpPage *page, const GPtrArray *stored)
{
  guint i = 0, j = 0;

  for (guint n = 0; n < page->limit && (i < page->items->len || j < stored->len); n++)
    {
      const ChoirChannel *channel = i < page->items->len ? page->items->pdata[i] : NULL;
      const ChoirStreamInfo *info = j < stored->len ? stored->pdata[j] : NULL;
      int order = channel == NULL ? 1 : -1;

      if (channel != NULL && info != NULL)
        order = strcmp (channel->name, info->name);

      if (channel != NULL && order <= 0)
        append_channel (body, hub, channel);
      else if (info != NULL)
        append_stored (body, info);
      i += order <= 0;
      j += order >= 0;
    }

  return i == page->items->len && j == stored->len;
}

/* What is being listed, while the store is asked */
typedef struct
{
  ChoirHttpRequest *request; /* (owned) */
  GPtrArray *stored;         /* (owned) (element-type ChoirStreamInfo) */
} Listing;

static void
listing_free (Listing *self)
{
  choir_http_request_unref (self->request);
  g_ptr_array_unref (self->stored);
  g_free (self);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Listing, listing_free)

static void
answer_listing (const Listing *self)
{
  ChoirHub *hub = self->request->gateway->hub;
  g_auto (ChoirHttpPage) page = { 0 };
  gboolean complete;
  GString *body;

  if (!choir_http_page_begin (&page, self->request, get_channel_name))
    return;

  choir_hub_visit_channels (hub, offer_channel, &page);
  complete = choir_http_page_end (&page);
  body = g_string_new ("{\"channels\":[");
  complete = append_merged (body, hub, &page, self->stored) && complete;
  g_string_append_c (body, ']');
  choir_payload_add_boolean (body, "complete", complete);
  choir_payload_close (body);
  choir_http_request_answer_json (self->request, 200, body);
}

static void read_stored (Listing *self, const char *after);

/* Other things than channels have a blank in the names of their streams: they stand together, and
 * are passed over together */
static void
listed_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (Listing) self = user_data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) found = choir_store_list_finish (CHOIR_STORE (source), result, &error);
  g_autofree char *beyond = NULL;

  if (choir_http_request_is_gone (self->request))
    return;

  if (found == NULL)
    {
      choir_http_request_refuse (self->request, 503, CHOIR_ERROR_UNAVAILABLE,
                                 "The list can't be read at the moment");
      return;
    }

  for (guint i = 0; i < found->len && beyond == NULL; i++)
    {
      ChoirStreamInfo *info = found->pdata[i];
      const char *blank = strchr (info->name, ' ');

      if (blank != NULL)
        beyond = g_strdup_printf ("%.*s \x7f", (int) (blank - info->name), info->name);
      else
        g_ptr_array_add (self->stored, g_steal_pointer (&found->pdata[i]));
    }

  if (beyond != NULL)
    read_stored (g_steal_pointer (&self), beyond);
  else
    answer_listing (self);
}

/* @self: (transfer full). One more than wanted, to see whether there are more */
static void
read_stored (Listing *self, const char *after)
{
  guint64 limit = CHOIR_HTTP_PAGE_DEFAULT;

  choir_http_request_get_uint (self->request, "limit", CHOIR_HTTP_PAGE_DEFAULT, 1,
                               CHOIR_HTTP_PAGE_MAX, &limit);
  choir_store_list_async (choir_hub_get_store (self->request->gateway->hub),
                          choir_http_request_get_parameter (self->request, "prefix"), after,
                          (guint) limit + 1, self->request->cancellable, listed_cb, self);
}

static void
list_channels (ChoirHttpRequest *request)
{
  const char *prefix = choir_http_request_get_parameter (request, "prefix");
  const char *after = choir_http_request_get_parameter (request, "after");
  g_autoptr (Listing) listing = g_new0 (Listing, 1);
  guint64 limit;

  listing->request = choir_http_request_ref (request);
  listing->stored = g_ptr_array_new_with_free_func ((GDestroyNotify) choir_stream_info_free);
  if (!choir_http_request_get_uint (request, "limit", CHOIR_HTTP_PAGE_DEFAULT, 1,
                                    CHOIR_HTTP_PAGE_MAX, &limit))
    return;

  if ((prefix != NULL && strlen (prefix) > CHOIR_CHANNEL_NAME_MAX) ||
      (after != NULL && strlen (after) > CHOIR_CHANNEL_NAME_MAX))
    choir_http_request_refuse (request, 400, CHOIR_ERROR_VALIDATION, "No name is as long as that");
  else if (choir_hub_get_store (request->gateway->hub) != NULL)
    read_stored (g_steal_pointer (&listing), after);
  else
    answer_listing (listing);
}

static void
refuse_unknown (ChoirHttpRequest *request)
{
  choir_http_request_refuse (request, 404, CHOIR_ERROR_UNKNOWN_CHANNEL,
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
