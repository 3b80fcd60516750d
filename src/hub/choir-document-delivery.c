/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-document-delivery.h"

#include "choir-hub.h"
#include "choir-payload.h"
#include "choir-session.h"

static void
append_change (GString *payload, ChoirDocument *document, const ChoirRevision *revision)
{
  choir_payload_open (payload);
  choir_payload_add_string (payload, "document_id", choir_document_get_id (document));
  choir_payload_add_int (payload, "version", (gint64) revision->version);
  choir_payload_add_key (payload, "operation");
  choir_text_operation_append_json (revision->operation, payload);
  choir_payload_add_string (payload, "user_id", revision->user_id);
  choir_payload_add_string (payload, "session_id", revision->session_id);
  choir_payload_close (payload);
}

static void
acknowledge (ChoirDocument *document, const ChoirCommitted *change)
{
  g_autoptr (GString) payload = g_string_sized_new (128);
  ChoirEnvelope request = { .type = "document.change", .correlation_id = change->correlation_id };

  choir_payload_open (payload);
  choir_payload_add_string (payload, "document_id", choir_document_get_id (document));
  choir_payload_add_string (payload, "change_id", change->revision->change_id);
  choir_payload_add_int (payload, "version", (gint64) change->revision->version);
  choir_payload_close (payload);
  choir_session_send (change->session, &request, "document.ack", choir_payload_as_slice (payload));
}

static void
deliver_one (ChoirDocument *document, ChoirChannel *channel, const ChoirCommitted *change)
{
  ChoirHub *hub = choir_document_get_hub (document);
  g_autoptr (GString) payload = g_string_sized_new (256);
  ChoirMessage message = {
    .type = "document.change",
    .channel = channel->name,
    .offset = change->revision->version,
    .wall_us = change->revision->wall_us,
    .user_id = change->revision->user_id,
    .session_id = change->revision->session_id,
  };

  append_change (payload, document, change->revision);
  message.payload = choir_payload_as_slice (payload);
  *choir_hub_get_stats (hub)->deliveries += choir_broadcaster_send_to_channel (
    choir_hub_get_broadcaster (hub), channel, &message, change->session);
}

void
choir_document_deliver (ChoirDocument *document, const ChoirCommitted *changes, guint n)
{
  ChoirChannel *channel = choir_document_get_channel (document);

  for (guint i = 0; i < n; i++)
    {
      if (changes[i].session != NULL && !choir_session_is_closing (changes[i].session))
        acknowledge (document, &changes[i]);
      if (channel != NULL)
        deliver_one (document, channel, &changes[i]);
    }
}
