/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-document-delivery.h"

#include "choir-document-room.h"
#include "choir-hub-private.h"
#include "choir-payload.h"
#include "choir-session.h"
#include "choir-volley.h"

/* The subscriber this many places ahead is fetched while the present one is served */
#define PREFETCH_AHEAD 4

/* A batch on its way */
typedef struct
{
  ChoirDocument *document;
  ChoirChannel *channel;
  const ChoirCommitted *changes;
  guint n;
  guint n_acknowledged;
  ChoirSession *recipient; /* (nullable): whose acknowledgements are being put in */
} Delivery;

static gboolean
is_positional (const ChoirDialect *dialect)
{
  return choir_dialect_get_id (dialect) == CHOIR_DIALECT_JDDB;
}

/**
 * choir_document_append_change:
 * @revision: what was committed
 * @dialect: for whom
 * @payload: an object under construction: gets `version`, the operation in the form of @dialect,
 * `user_id` and `session_id`
 */
void
choir_document_append_change (const ChoirRevision *revision,
                              const ChoirDialect *dialect,
                              GString *payload)
{
  choir_payload_add_int (payload, "version", (gint64) revision->version);
  if (is_positional (dialect))
    {
      g_string_append_c (payload, ',');
      choir_text_operation_append_positional (revision->operation, payload);
    }
  else
    {
      choir_payload_add_key (payload, "operation");
      choir_text_operation_append_json (revision->operation, payload);
    }
  choir_payload_add_string (payload, "user_id", revision->user_id);
  choir_payload_add_string (payload, "session_id", revision->session_id);
}

/* An epoch begins with the first change: whoever had the document open before does not know it */
static void
append_epoch (ChoirDocument *document, const ChoirRevision *revision, GString *payload)
{
  if (revision->version == 1)
    choir_payload_add_string (payload, "epoch", choir_document_get_epoch (document));
}

/* Change @i as @dialect has it; @payload: where its payload is written */
static ChoirMessage
make_change (const Delivery *self, guint i, const ChoirDialect *dialect, GString *payload)
{
  const ChoirRevision *revision = self->changes[i].revision;
  ChoirMessage message = {
    .type = "document.change",
    .channel = self->channel->name,
    .offset = revision->version,
    .wall_us = revision->wall_us,
    .user_id = revision->user_id,
    .session_id = revision->session_id,
  };

  choir_payload_open (payload);
  choir_payload_add_string (payload, "document_id", choir_document_get_id (self->document));
  choir_document_append_change (revision, dialect, payload);
  append_epoch (self->document, revision, payload);
  choir_payload_close (payload);
  message.payload = choir_payload_as_slice (payload);

  return message;
}

static GString *
new_change_payload (const ChoirRevision *revision)
{
  return g_string_sized_new (256 + choir_text_operation_get_size (revision->operation));
}

static ChoirFrame *
encode_change (const ChoirDialect *dialect, guint i, gpointer user_data)
{
  const Delivery *self = user_data;
  g_autoptr (GString) payload = new_change_payload (self->changes[i].revision);
  ChoirMessage message = make_change (self, i, dialect, payload);

  return choir_envelope_encode (dialect, &message);
}

static void
report_changes (const Delivery *self, ChoirHub *hub)
{
  for (guint i = 0; i < self->n; i++)
    {
      g_autoptr (GString) payload = new_change_payload (self->changes[i].revision);
      ChoirMessage message =
        make_change (self, i, choir_dialect_get (CHOIR_DIALECT_CHOIR), payload);

      choir_hub_report_published (hub, &message, NULL, self->channel->n_subscribers);
    }
}

/* Contract C shows its clients their own change (contracts.md); ours know what they sent */
static ChoirFrame *
encode_acknowledgement (ChoirDocument *document,
                        const ChoirCommitted *change,
                        const ChoirDialect *dialect)
{
  const ChoirRevision *revision = change->revision;
  g_autoptr (GString) payload = g_string_sized_new (256);
  ChoirMessage message = {
    .type = "document.ack",
    .correlation_id = change->correlation_id,
    .offset = revision->version,
    .wall_us = revision->wall_us,
    .user_id = revision->user_id,
    .session_id = revision->session_id,
  };

  choir_payload_open (payload);
  choir_payload_add_string (payload, "document_id", choir_document_get_id (document));
  choir_payload_add_string (payload, "change_id", revision->change_id);
  if (is_positional (dialect))
    choir_document_append_change (revision, dialect, payload);
  else
    choir_payload_add_int (payload, "version", (gint64) revision->version);
  append_epoch (document, revision, payload);
  choir_payload_close (payload);
  message.payload = choir_payload_as_slice (payload);
  if (choir_hub_is_observed (choir_document_get_hub (document)))
    choir_hub_report_answered (choir_document_get_hub (document), change->session, &message);

  return choir_envelope_encode (dialect, &message);
}

static gboolean
put_acknowledgement (guint i, ChoirFrame **out, gpointer user_data)
{
  Delivery *self = user_data;
  const ChoirCommitted *change = &self->changes[i];

  if (change->session != self->recipient)
    return FALSE;

  *out =
    encode_acknowledgement (self->document, change, choir_session_get_dialect (self->recipient));
  self->n_acknowledged++;

  return TRUE;
}

/* One who has closed the document, but not his connection, still wants to know */
static void
acknowledge_alone (Delivery *self, const ChoirCommitted *change)
{
  ChoirBroadcaster *broadcaster =
    choir_hub_get_broadcaster (choir_document_get_hub (self->document));
  ChoirSession *session = change->session;
  g_autoptr (ChoirFrame) frame = NULL;

  if (choir_session_is_closing (session))
    return;

  frame = encode_acknowledgement (self->document, change, choir_session_get_dialect (session));
  if (frame == NULL)
    return;

  choir_broadcaster_send_frame (broadcaster, choir_session_get_outbox (session), frame);
  self->n_acknowledged++;
}

static void
mark_senders (Delivery *self)
{
  for (guint i = 0; i < self->n; i++)
    {
      ChoirSession *session = self->changes[i].session;
      ChoirDocumentMember *member = NULL;

      if (session == NULL)
        continue;

      if (self->channel != NULL)
        member = choir_document_member_find (session, self->channel);
      if (member != NULL)
        member->flags |= CHOIR_MEMBER_SENDER;
      else
        acknowledge_alone (self, &self->changes[i]);
    }
}

static void
deliver_to (Delivery *self, ChoirVolley *volley, ChoirDocumentMember *member)
{
  ChoirOutbox *outbox = member->subscription.outbox;

  if (choir_document_member_move (member, self->changes, self->n))
    choir_document_room_tell (self->channel->room, member, 0);

  if (!(member->flags & CHOIR_MEMBER_SENDER))
    {
      choir_volley_push (volley, outbox);
      return;
    }

  member->flags &= ~CHOIR_MEMBER_SENDER;
  self->recipient = member->subscription.session;
  choir_volley_push_edited (volley, outbox, put_acknowledgement, self);
}

static void
deliver (Delivery *self)
{
  ChoirSubscription **subscribers = self->channel->subscribers;
  ChoirHub *hub = choir_document_get_hub (self->document);
  guint n = self->channel->n_subscribers;
  guint last = MAX (n, 1) - 1;
  ChoirVolley volley;

  choir_volley_begin (&volley, choir_hub_get_broadcaster (hub), self->n,
                      choir_hub_get_settings (hub)->batch_size, encode_change, self);

  for (guint i = 0; i < n; i++)
    {
      __builtin_prefetch (subscribers[MIN (i + PREFETCH_AHEAD, last)]);
      deliver_to (self, &volley, (ChoirDocumentMember *) subscribers[i]);
    }

  *choir_hub_get_stats (hub)->deliveries += volley.n_sent;
  choir_histogram_record (choir_hub_get_stats (hub)->fanout, n);
  *choir_stats_for_type (choir_hub_get_stats (hub), "document.change")->sent += volley.n_sent;
  choir_volley_end (&volley);
  if (choir_hub_is_observed (hub))
    report_changes (self, hub);
}

void
choir_document_deliver (ChoirDocument *document, const ChoirCommitted *changes, guint n)
{
  Delivery delivery = {
    .document = document,
    .channel = choir_document_get_channel (document),
    .changes = changes,
    .n = n,
  };

  if (n == 0)
    return;

  mark_senders (&delivery);
  if (delivery.channel != NULL && delivery.channel->room != NULL)
    deliver (&delivery);

  *choir_stats_for_type (choir_hub_get_stats (choir_document_get_hub (document)), "document.ack")
     ->sent += delivery.n_acknowledged;
}

/**
 * choir_document_append_saved:
 * @document: a document
 * @saved: what has been kept of it
 * @payload: where the object that says so is appended
 */
void
choir_document_append_saved (ChoirDocument *document,
                             const ChoirSavedVersion *saved,
                             GString *payload)
{
  choir_payload_open (payload);
  choir_payload_add_string (payload, "document_id", choir_document_get_id (document));
  choir_payload_add_int (payload, "version", (gint64) saved->version);
  choir_payload_add_string (payload, "label", saved->label);
  choir_payload_add_string (payload, "user_id", saved->user_id);
  choir_payload_add_time (payload, "timestamp", saved->wall_us);
  choir_payload_close (payload);
}

/**
 * choir_document_announce_saved:
 * @document: a document
 * @saved: what has been kept of it
 * @except: (nullable): who gets an answer instead
 *
 * Tells those who have it open.
 */
void
choir_document_announce_saved (ChoirDocument *document,
                               const ChoirSavedVersion *saved,
                               const ChoirSession *except)
{
  ChoirHub *hub = choir_document_get_hub (document);
  ChoirChannel *channel = choir_document_get_channel (document);
  g_autoptr (GString) payload = NULL;
  ChoirMessage message = {
    .type = "document.saved",
    .wall_us = saved->wall_us,
    .user_id = saved->user_id,
  };

  if (channel == NULL)
    return;

  payload = g_string_sized_new (256);
  choir_document_append_saved (document, saved, payload);
  message.payload = choir_payload_as_slice (payload);
  message.channel = channel->name;
  choir_hub_send_to_channel (hub, channel, &message, except);
}
