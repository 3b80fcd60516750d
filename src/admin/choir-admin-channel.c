/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-admin-channel.h"

#include "choir-admin-object.h"
#include "choir-document-room.h"
#include "choir-hub-find.h"

/* org.choir.Choir1.Channel: one that is in memory */

/* (nullable): what it is about, if it is that of a document that somebody has open */
static ChoirDocument *
get_document (const ChoirChannel *channel)
{
  return channel->room != NULL ? choir_document_room_get_document (channel->room) : NULL;
}

/**
 * choir_admin_channel_get_epoch:
 * @channel: a channel
 *
 * Returns: what names this life of its log, which of a document's channel is the document's
 */
const char *
choir_admin_channel_get_epoch (const ChoirChannel *channel)
{
  ChoirDocument *document = get_document (channel);

  return document != NULL ? choir_document_get_epoch (document) : channel->epoch;
}

/**
 * choir_admin_channel_get_offset:
 * @channel: a channel
 *
 * Returns: the place of the newest message, which in a document's channel is its version
 */
guint64
choir_admin_channel_get_offset (const ChoirChannel *channel)
{
  ChoirDocument *document = get_document (channel);

  return document != NULL ? choir_document_get_version (document) : channel->offset;
}

/**
 * choir_admin_channel_is_persistent:
 * @hub: a hub
 * @channel: one of its channels
 *
 * Returns: whether what is said there is kept in the store
 */
gboolean
choir_admin_channel_is_persistent (ChoirHub *hub, const ChoirChannel *channel)
{
  return channel->kind == CHOIR_CHANNEL_DOCUMENT || choir_hub_is_durable (hub, channel->name);
}

static GVariant *
get_name (ChoirHub *hub, gpointer object)
{
  return choir_admin_value_string (((ChoirChannel *) object)->name);
}

static GVariant *
get_epoch (ChoirHub *hub, gpointer object)
{
  return choir_admin_value_string (choir_admin_channel_get_epoch (object));
}

static GVariant *
get_offset (ChoirHub *hub, gpointer object)
{
  return g_variant_new_uint64 (choir_admin_channel_get_offset (object));
}

static GVariant *
get_first (ChoirHub *hub, gpointer object)
{
  ChoirDocument *document = get_document (object);

  return g_variant_new_uint64 (document != NULL ? choir_document_get_first_in_memory (document)
                                                : choir_channel_get_first (object));
}

static GVariant *
get_n_subscribers (ChoirHub *hub, gpointer object)
{
  return g_variant_new_uint32 (((ChoirChannel *) object)->n_subscribers);
}

static GVariant *
get_n_messages (ChoirHub *hub, gpointer object)
{
  return g_variant_new_uint32 (((ChoirChannel *) object)->n_posts);
}

static GVariant *
get_bytes (ChoirHub *hub, gpointer object)
{
  return g_variant_new_uint64 (((ChoirChannel *) object)->n_bytes);
}

static GVariant *
get_persistent (ChoirHub *hub, gpointer object)
{
  return g_variant_new_boolean (choir_admin_channel_is_persistent (hub, object));
}

static GVariant *
get_subscribers (ChoirHub *hub, gpointer object)
{
  return choir_admin_value_sessions (object);
}

static const ChoirAdminProperty properties[] = {
  { "Name", get_name },
  { "Epoch", get_epoch },
  { "Offset", get_offset },
  { "First", get_first },
  { "NSubscribers", get_n_subscribers },
  { "NMessages", get_n_messages },
  { "Bytes", get_bytes },
  { "Persistent", get_persistent },
  { "Subscribers", get_subscribers },
};

static const guint n_properties = G_N_ELEMENTS (properties);

static gpointer
find (ChoirHub *hub, const char *name)
{
  return choir_hub_find_channel (hub, name);
}

typedef struct
{
  ChoirAdminVisitor visit;
  gpointer user_data;
} Visit;

static void
visit_one (ChoirChannel *channel, gpointer user_data)
{
  const Visit *visit = user_data;

  visit->visit (channel, channel->name, visit->user_data);
}

static void
visit_all (ChoirHub *hub, ChoirAdminVisitor visit, gpointer user_data)
{
  choir_hub_visit_channels (hub, visit_one, &(Visit){ visit, user_data });
}

const ChoirAdminClass choir_admin_channel_class = {
  .interface = CHOIR_ADMIN_CHANNEL,
  .kind = "channel",
  .properties = properties,
  .n_properties = &n_properties,
  .find = find,
  .count = choir_hub_get_n_channels,
  .visit = visit_all,
};
