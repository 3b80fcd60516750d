/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-admin-list.h"
#include "choir-admin-methods.h"
#include "choir-admin-object.h"
#include "choir-channel-history.h"
#include "choir-error.h"
#include "choir-names.h"

#include <string.h>

/* What documents and messages say: ReadDocument, .Document.Read, .Channel.GetHistory */

/* What is sent over a bus at most, where it is of more: bytes. A system bus takes 32 MiB, and
 * disconnects who sends more */
#define TEXT_BYTES_MAX (16 * 1024 * 1024)
/* After which a page of messages ends early */
#define HISTORY_BYTES_MAX (8 * 1024 * 1024)

/* A document that is being read */
typedef struct
{
  ChoirAdminCall *call;    /* (owned) */
  ChoirDocument *document; /* (nullable) (owned): held */
  guint64 version;         /* asked for; 0: the newest */
} Reading;

/* The call's answer may be the last that keeps the hub, so the document is let go before it */
static ChoirAdminCall *
end_reading (Reading *self)
{
  ChoirAdminCall *call = self->call;

  if (self->document != NULL)
    choir_document_release (self->document);
  g_free (self);

  return call;
}

static void
fail_reading (Reading *self, const GError *error)
{
  choir_admin_call_fail (end_reading (self), error);
}

static void
refuse_reading (Reading *self, ChoirError code, const char *text)
{
  choir_admin_call_fail_literal (end_reading (self), code, text);
}

static void
return_text (Reading *self, guint64 version, const ChoirRope *rope)
{
  g_autofree char *text = NULL;
  gsize len;

  if (choir_rope_get_n_bytes (rope) > TEXT_BYTES_MAX)
    {
      refuse_reading (self, CHOIR_ERROR_TOO_LARGE,
                      "The text is too long for a bus; read it with GET /api/v1/documents/ID");
      return;
    }

  text = choir_rope_dup_text (rope, &len);

  /* no string on a bus has that character */
  if (memchr (text, '\0', len) != NULL)
    refuse_reading (self, CHOIR_ERROR_PROCESSING,
                    "The text contains U+0000, which no string on a bus can; read it with GET "
                    "/api/v1/documents/ID");
  else
    {
      ChoirAdminCall *call = self->call;
      g_autofree char *channel =
        g_strconcat ("document:", choir_document_get_id (self->document), NULL);

      choir_admin_call_log (call, "Document read", CHOIR_LOG_CHANNEL, channel, 1);
      choir_admin_call_return (
        end_reading (self),
        g_variant_new ("(t@s)", version, g_variant_new_take_string (g_steal_pointer (&text))));
    }
}

static void
past_read_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  Reading *self = user_data;
  g_autoptr (GError) error = NULL;
  g_autoptr (ChoirRope) text =
    choir_document_read_at_finish (CHOIR_DOCUMENT (source), result, &error);

  if (text == NULL)
    fail_reading (self, error);
  else
    return_text (self, self->version, text);
}

/* @self->document: is held */
static void
read_text (Reading *self)
{
  guint64 present = choir_document_get_version (self->document);

  if (present == 0)
    refuse_reading (self, CHOIR_ERROR_NOT_FOUND, "There is no such document");
  else if (self->version > present)
    refuse_reading (self, CHOIR_ERROR_VALIDATION, "That version is still to come");
  else if (self->version == 0 || self->version == present)
    return_text (self, present, choir_document_get_text (self->document));
  else
    choir_document_read_at_async (self->document, self->version, NULL, past_read_cb, self);
}

static void
opened_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  Reading *self = user_data;
  g_autoptr (GError) error = NULL;

  self->document =
    choir_document_table_open_finish (choir_hub_get_documents (self->call->hub), result, &error);
  if (self->document == NULL)
    fail_reading (self, error);
  else
    read_text (self);
}

/* @call: (transfer full) */
static void
read_document (ChoirAdminCall *call, const char *id, guint64 version)
{
  ChoirDocumentTable *table = choir_hub_get_documents (call->hub);
  Reading *self;

  if (table == NULL)
    {
      choir_admin_call_fail_literal (call, CHOIR_ERROR_UNAVAILABLE, "There are no documents here");
      return;
    }

  self = g_new0 (Reading, 1);
  self->call = call;
  self->version = version;
  self->document = choir_document_table_try_open (table, id);

  if (self->document != NULL)
    read_text (self);
  else
    choir_document_table_open_async (table, id, NULL, opened_cb, self);
}

static void
perform_read_document (ChoirAdminCall *call)
{
  const char *id;
  guint64 version;

  g_variant_get (call->parameters, "(&st)", &id, &version);
  read_document (call, id, version);
}

static void
perform_read (ChoirAdminCall *call)
{
  guint64 version;

  if (choir_admin_call_find_object (call) == NULL)
    return;

  g_variant_get (call->parameters, "(t)", &version);
  read_document (call, call->name, version);
}

/* Messages */

static void
describe_message (GVariantBuilder *list, const ChoirMessage *message)
{
  g_autofree char *payload = choir_slice_dup (message->payload);
  GVariantBuilder entry;

  g_variant_builder_init (&entry, G_VARIANT_TYPE_VARDICT);
  choir_admin_entry_add (&entry, "offset", g_variant_new_uint64 (message->offset));
  choir_admin_entry_add (&entry, "id", choir_admin_value_string (message->id));
  choir_admin_entry_add (&entry, "type", choir_admin_value_string (message->type));
  choir_admin_entry_add (&entry, "user", choir_admin_value_string (message->user_id));
  choir_admin_entry_add (&entry, "timestamp", choir_admin_value_wall (message->wall_us));
  choir_admin_entry_add (&entry, "payload", g_variant_new_take_string (g_steal_pointer (&payload)));
  g_variant_builder_add_value (list, g_variant_builder_end (&entry));
}

static void
history_read_cb (const ChoirHistoryPage *page, const GError *error, gpointer user_data)
{
  ChoirAdminCall *call = user_data;
  GVariantBuilder list;

  if (page == NULL)
    {
      choir_admin_call_fail (call, error);
      return;
    }

  g_variant_builder_init (&list, G_VARIANT_TYPE ("aa{sv}"));
  for (guint i = 0; i < page->n_messages; i++)
    describe_message (&list, &page->messages[i]);

  choir_admin_call_log (call, "Channel history read", CHOIR_LOG_CHANNEL, call->name,
                        page->n_messages);
  choir_admin_call_return (call, g_variant_new ("(aa{sv})", &list));
}

static void
perform_get_history (ChoirAdminCall *call)
{
  ChoirHistoryQuery query = { .channel = call->name, .max_bytes = HISTORY_BYTES_MAX };
  const ChoirChannel *channel = choir_admin_call_find_object (call);
  guint limit;

  if (channel == NULL)
    return;

  if (channel->kind == CHOIR_CHANNEL_DOCUMENT)
    {
      choir_admin_call_fail_literal (call, CHOIR_ERROR_PROCESSING,
                                     "A document's channel keeps no messages; its text is read "
                                     "with ReadDocument");
      return;
    }

  g_variant_get (call->parameters, "(tu)", &query.since, &limit);
  query.limit = choir_admin_page_get_limit (limit);
  choir_channel_history_read (call->hub, &query, history_read_cb, call);
}

const ChoirAdminMethod choir_admin_content_methods[] = {
  { CHOIR_ADMIN_MANAGER, "ReadDocument", CHOIR_ADMIN_READ_CONTENT, TRUE, perform_read_document,
    NULL },
  { CHOIR_ADMIN_DOCUMENT, "Read", CHOIR_ADMIN_READ_CONTENT, FALSE, perform_read, NULL },
  { CHOIR_ADMIN_CHANNEL, "GetHistory", CHOIR_ADMIN_READ_CONTENT, FALSE, perform_get_history, NULL },
};

const guint choir_admin_content_n_methods = G_N_ELEMENTS (choir_admin_content_methods);
