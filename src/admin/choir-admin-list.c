/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-admin-list.h"

#include "choir-admin-channel.h"
#include "choir-admin-object.h"
#include "choir-clock.h"
#include "choir-hub-find.h"
#include "choir-session.h"

/* So little of a count goes into a rate that it decides between equal ones only */
#define TIE 1e-12

/* Adds to an `a{sv}`; @value: (transfer floating) */
void
choir_admin_entry_add (GVariantBuilder *entry, const char *key, GVariant *value)
{
  g_variant_builder_add_value (
    entry, g_variant_new_dict_entry (g_variant_new_string (key), g_variant_new_variant (value)));
}

GVariant *
choir_admin_list_connections (ChoirHub *hub,
                              const ChoirAudience *audience,
                              guint offset,
                              guint limit)
{
  guint n = choir_hub_get_n_sessions (hub);
  g_auto (ChoirAdminRepeats) repeats = { 0 };
  GVariantBuilder list;

  limit = choir_admin_page_get_limit (limit);
  g_variant_builder_init (&list, G_VARIANT_TYPE ("aa{sv}"));

  for (guint i = 0; i < n && limit > 0; i++)
    {
      ChoirSession *session = choir_hub_get_session (hub, i);

      if (choir_session_is_waiting (session) ||
          (audience->keys != 0 && !choir_audience_picks (audience, session)))
        continue;

      if (offset > 0)
        {
          offset--;
          continue;
        }

      g_variant_builder_add_value (&list, choir_admin_describe_repeated (session, &repeats));
      limit--;
    }

  return g_variant_builder_end (&list);
}

/* What a page is picked from */
typedef struct
{
  ChoirHub *hub;
  const ChoirAdminSelection *selection;
  ChoirAdminPage page;
} Picking;

static gboolean
is_blocked (ChoirHub *hub, const char *user)
{
  return choir_blocklist_find (choir_hub_get_blocklist (hub), CHOIR_BAN_USER, user) != NULL;
}

/* All are looked at, since others may ask about those that this selection leaves out */
static double
look (const ChoirAdminSelection *selection, gconstpointer thing, guint64 count)
{
  double per_s = selection->order == CHOIR_ADMIN_ORDER_RATE
                   ? choir_admin_growth_look (selection->growth, thing, count)
                   : 0;

  /* among equals, and before a rate is known, who has said more */
  return per_s + (double) count * TIE;
}

static void
begin_looking (const ChoirAdminSelection *selection)
{
  if (selection->order == CHOIR_ADMIN_ORDER_RATE)
    choir_admin_growth_begin (selection->growth);
}

static void
end_looking (const ChoirAdminSelection *selection)
{
  if (selection->order == CHOIR_ADMIN_ORDER_RATE)
    choir_admin_growth_end (selection->growth);
}

static void
add_entry (GVariantBuilder *list,
           const ChoirAdminSelection *selection,
           GVariant *entry,
           gconstpointer thing,
           guint64 count)
{
  if (selection->order == CHOIR_ADMIN_ORDER_RATE)
    entry =
      choir_admin_order_add_rate (entry, choir_admin_growth_look (selection->growth, thing, count));

  g_variant_builder_add_value (list, entry);
}

typedef void (*DescribeFunc) (GVariantBuilder *list, const Picking *picking, gconstpointer item);

/* (transfer floating): an aa{sv} of what is on the page, which is over then */
static GVariant *
describe_page (Picking *picking, DescribeFunc describe)
{
  const ChoirAdminPageEntry *entries;
  GVariantBuilder list;
  guint n;

  entries = choir_admin_page_end (&picking->page, &n);
  g_variant_builder_init (&list, G_VARIANT_TYPE ("aa{sv}"));
  for (guint i = 0; i < n; i++)
    describe (&list, picking, entries[i].item);
  choir_admin_page_clear (&picking->page);

  return g_variant_builder_end (&list);
}

typedef struct
{
  guint64 queued_bytes;
  guint64 n_received;
} UserSums;

static UserSums
sum_up (const ChoirUser *user)
{
  UserSums sums = { 0 };

  for (guint i = 0; i < user->n_sessions; i++)
    {
      const ChoirOutbox *outbox = choir_session_get_outbox (user->sessions[i]);

      sums.queued_bytes += outbox != NULL ? outbox->n_bytes : 0;
      sums.n_received += choir_session_get_n_received (user->sessions[i]);
    }

  return sums;
}

static double
weigh_user (const ChoirAdminSelection *selection, const ChoirUser *user)
{
  const UserSums sums =
    selection->order != CHOIR_ADMIN_ORDER_NONE ? sum_up (user) : (UserSums){ 0 };

  if (selection->order == CHOIR_ADMIN_ORDER_RATE)
    return look (selection, user, sums.n_received);
  if (selection->order == CHOIR_ADMIN_ORDER_MESSAGES)
    return (double) sums.n_received;
  if (selection->order == CHOIR_ADMIN_ORDER_QUEUED)
    return (double) sums.queued_bytes;

  return selection->order == CHOIR_ADMIN_ORDER_CONNECTIONS ? user->n_connected : 0;
}

static void
offer_user (ChoirUser *user, gpointer user_data)
{
  Picking *picking = user_data;
  const ChoirAdminSelection *selection = picking->selection;
  double weight = weigh_user (selection, user);

  if (!choir_admin_selection_has_name (selection, user->id))
    return;

  if ((selection->keys & CHOIR_ADMIN_SELECT_BLOCKED) &&
      selection->blocked != is_blocked (picking->hub, user->id))
    return;

  choir_admin_page_offer_weighted (&picking->page, user->id, user, weight);
}

static void
describe_user (GVariantBuilder *list, const Picking *picking, gconstpointer item)
{
  const ChoirUser *user = item;
  const UserSums sums = sum_up (user);
  GVariantBuilder entry;

  g_variant_builder_init (&entry, G_VARIANT_TYPE_VARDICT);
  choir_admin_entry_add (&entry, "user", g_variant_new_string (user->id));
  choir_admin_entry_add (&entry, "connections", g_variant_new_uint32 (user->n_connected));
  choir_admin_entry_add (&entry, "waiting",
                         g_variant_new_uint32 (user->n_sessions - user->n_connected));
  choir_admin_entry_add (&entry, "queued_bytes", g_variant_new_uint64 (sums.queued_bytes));
  choir_admin_entry_add (&entry, "messages_received", g_variant_new_uint64 (sums.n_received));
  choir_admin_entry_add (&entry, "blocked",
                         g_variant_new_boolean (is_blocked (picking->hub, user->id)));
  add_entry (list, picking->selection, g_variant_builder_end (&entry), user, sums.n_received);
}

/* By name, unless another order is wanted */
GVariant *
choir_admin_list_users (ChoirHub *hub,
                        const ChoirAdminSelection *selection,
                        guint offset,
                        guint limit)
{
  Picking picking = { .hub = hub, .selection = selection };

  choir_admin_page_init (&picking.page, offset, limit);
  begin_looking (selection);
  choir_hub_visit_users (hub, offer_user, &picking);
  end_looking (selection);

  return describe_page (&picking, describe_user);
}

static double
weigh_channel (const ChoirAdminSelection *selection, const ChoirChannel *channel)
{
  if (selection->order == CHOIR_ADMIN_ORDER_RATE)
    return look (selection, channel, choir_admin_channel_get_offset (channel));
  if (selection->order == CHOIR_ADMIN_ORDER_SUBSCRIBERS)
    return channel->n_subscribers;
  if (selection->order == CHOIR_ADMIN_ORDER_MESSAGES)
    return channel->n_posts;

  return selection->order == CHOIR_ADMIN_ORDER_BYTES ? (double) channel->n_bytes : 0;
}

static void
offer_channel (ChoirChannel *channel, gpointer user_data)
{
  Picking *picking = user_data;
  double weight = weigh_channel (picking->selection, channel);

  if (choir_admin_selection_has_name (picking->selection, channel->name))
    choir_admin_page_offer_weighted (&picking->page, channel->name, channel, weight);
}

static void
describe_channel (GVariantBuilder *list, const Picking *picking, gconstpointer item)
{
  const ChoirChannel *channel = item;
  GVariantBuilder entry;

  g_variant_builder_init (&entry, G_VARIANT_TYPE_VARDICT);
  choir_admin_entry_add (&entry, "channel", g_variant_new_string (channel->name));
  choir_admin_entry_add (&entry, "path",
                         choir_admin_value_path (CHOIR_ADMIN_KIND_CHANNEL, channel->name));
  choir_admin_entry_add (&entry, "subscribers", g_variant_new_uint32 (channel->n_subscribers));
  choir_admin_entry_add (&entry, "offset",
                         g_variant_new_uint64 (choir_admin_channel_get_offset (channel)));
  choir_admin_entry_add (&entry, "epoch",
                         g_variant_new_string (choir_admin_channel_get_epoch (channel)));
  choir_admin_entry_add (&entry, "messages", g_variant_new_uint32 (channel->n_posts));
  choir_admin_entry_add (&entry, "bytes", g_variant_new_uint64 (channel->n_bytes));
  choir_admin_entry_add (
    &entry, "persistent",
    g_variant_new_boolean (choir_admin_channel_is_persistent (picking->hub, channel)));
  add_entry (list, picking->selection, g_variant_builder_end (&entry), channel,
             choir_admin_channel_get_offset (channel));
}

/* By name, unless another order is wanted */
GVariant *
choir_admin_list_channels (ChoirHub *hub,
                           const ChoirAdminSelection *selection,
                           guint offset,
                           guint limit)
{
  Picking picking = { .hub = hub, .selection = selection };

  choir_admin_page_init (&picking.page, offset, limit);
  begin_looking (selection);
  choir_hub_visit_channels (hub, offer_channel, &picking);
  end_looking (selection);

  return describe_page (&picking, describe_channel);
}

static void
describe_task (GVariantBuilder *list, const ChoirTask *task)
{
  const char *state = choir_task_state_get_name (choir_task_get_state (task));
  GVariantBuilder entry;

  g_variant_builder_init (&entry, G_VARIANT_TYPE_VARDICT);
  choir_admin_entry_add (&entry, "task", g_variant_new_string (choir_task_get_id (task)));
  choir_admin_entry_add (&entry, "path",
                         choir_admin_value_path (CHOIR_ADMIN_KIND_TASK, choir_task_get_id (task)));
  choir_admin_entry_add (&entry, "kind", g_variant_new_string (choir_task_get_kind (task)));
  choir_admin_entry_add (&entry, "user", g_variant_new_string (choir_task_get_user_id (task)));
  choir_admin_entry_add (&entry, "channel",
                         choir_admin_value_string (choir_task_get_channel (task)));
  choir_admin_entry_add (&entry, "state", g_variant_new_string (state));
  choir_admin_entry_add (&entry, "attempt", g_variant_new_uint32 (choir_task_get_attempt (task)));
  choir_admin_entry_add (&entry, "worker", g_variant_new_string (choir_task_get_worker_id (task)));
  choir_admin_entry_add (&entry, "created_at",
                         choir_admin_value_wall (choir_task_get_created_us (task)));
  g_variant_builder_add_value (list, g_variant_builder_end (&entry));
}

/* Newest first */
GVariant *
choir_admin_list_tasks (ChoirHub *hub,
                        const ChoirAdminSelection *selection,
                        guint offset,
                        guint limit)
{
  const ChoirTaskQuery query = {
    .user_id = selection->user,
    .kind = selection->kind,
    .state = selection->keys & CHOIR_ADMIN_SELECT_STATE ? &selection->state : NULL,
    .skip = offset,
    .limit = choir_admin_page_get_limit (limit),
  };
  gboolean complete;
  g_autoptr (GPtrArray) tasks =
    choir_task_table_list (choir_hub_get_tasks (hub), &query, &complete, NULL);
  GVariantBuilder list;

  g_variant_builder_init (&list, G_VARIANT_TYPE ("aa{sv}"));
  for (guint i = 0; i < tasks->len; i++)
    describe_task (&list, tasks->pdata[i]);

  return g_variant_builder_end (&list);
}

static double
weigh (ChoirSession *session, ChoirAdminOrder order, double per_s)
{
  double received = (double) choir_session_get_n_received (session);

  switch (order)
    {
    case CHOIR_ADMIN_ORDER_RATE:
      /* among equals, and before a rate is known, who has said more */
      return per_s + received * TIE;
    case CHOIR_ADMIN_ORDER_MESSAGES:
      return received;
    case CHOIR_ADMIN_ORDER_QUEUED:
      return (double) choir_session_get_outbox (session)->n_bytes;
    case CHOIR_ADMIN_ORDER_ERRORS:
      return (double) choir_session_get_n_errors (session);
    case CHOIR_ADMIN_ORDER_AGE:
      return -(double) choir_session_get_opened_us (session);
    case CHOIR_ADMIN_ORDER_NONE:
    case CHOIR_ADMIN_ORDER_CONNECTIONS:
    case CHOIR_ADMIN_ORDER_SUBSCRIBERS:
    case CHOIR_ADMIN_ORDER_BYTES:
    case CHOIR_ADMIN_N_ORDERS:
    default:
      return 0;
    }
}

/* All of them are looked at, since others may ask about those that this audience leaves out */
static void
offer_all (ChoirHub *hub,
           const ChoirAudience *audience,
           ChoirAdminOrder order,
           ChoirAdminGrowth *growth,
           ChoirAdminPage *page)
{
  guint n = choir_hub_get_n_sessions (hub);

  for (guint i = 0; i < n; i++)
    {
      ChoirSession *session = choir_hub_get_session (hub, i);
      double per_s = 0;

      if (choir_session_is_waiting (session))
        continue;

      if (order == CHOIR_ADMIN_ORDER_RATE)
        per_s = choir_admin_growth_look (growth, session, choir_session_get_n_received (session));
      /* of thousands touch as little as possible: the session's name, not the link's */
      if (audience->keys == 0 || choir_audience_picks (audience, session))
        choir_admin_page_offer_weighted (page, choir_session_get_id (session), session,
                                         weigh (session, order, per_s));
    }
}

static GVariant *
describe_rated (ChoirSession *session, ChoirAdminGrowth *growth)
{
  guint64 received = choir_session_get_n_received (session);

  return choir_admin_order_add_rate (choir_admin_describe_connection (session),
                                     choir_admin_growth_look (growth, session, received));
}

/**
 * choir_admin_list_sorted_connections:
 * @hub: a hub
 * @audience: which are meant
 * @order: which come first
 * @growth: what is known of how much each says
 * @offset: how many of those to pass over
 * @limit: as for choir_admin_list_connections()
 *
 * Returns: (transfer floating): an `aa{sv}`
 */
GVariant *
choir_admin_list_sorted_connections (ChoirHub *hub,
                                     const ChoirAudience *audience,
                                     ChoirAdminOrder order,
                                     ChoirAdminGrowth *growth,
                                     guint offset,
                                     guint limit)
{
  g_auto (ChoirAdminPage) page = { 0 };
  gboolean rated = order == CHOIR_ADMIN_ORDER_RATE;
  const ChoirAdminPageEntry *entries;
  GVariantBuilder list;
  guint n;

  choir_admin_page_init (&page, offset, limit);
  if (rated)
    choir_admin_growth_begin (growth);
  offer_all (hub, audience, order, growth, &page);
  if (rated)
    choir_admin_growth_end (growth);

  g_variant_builder_init (&list, G_VARIANT_TYPE ("aa{sv}"));
  entries = choir_admin_page_end (&page, &n);
  for (guint i = 0; i < n; i++)
    g_variant_builder_add_value (&list, rated ? describe_rated (entries[i].item, growth)
                                              : choir_admin_describe_connection (entries[i].item));

  return g_variant_builder_end (&list);
}
