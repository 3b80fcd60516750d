/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-admin-list.h"

#include "choir-admin-object.h"
#include "choir-error.h"

#include <string.h>

/* Of documents' streams in the store */
#define PREFIX "document:"

typedef struct
{
  const ChoirAdminSelection *selection;
  ChoirAdminPage page;
} Picking;

static void
offer_open (ChoirDocument *document, gpointer user_data)
{
  Picking *picking = user_data;
  const char *id = choir_document_get_id (document);

  if (choir_admin_selection_has_name (picking->selection, id))
    choir_admin_page_offer (&picking->page, id, document);
}

static void
describe_open (GVariantBuilder *list, ChoirDocument *document)
{
  const char *id = choir_document_get_id (document);
  const ChoirChannel *channel = choir_document_get_channel (document);
  GVariantBuilder entry;

  g_variant_builder_init (&entry, G_VARIANT_TYPE_VARDICT);
  choir_admin_entry_add (&entry, "document", g_variant_new_string (id));
  choir_admin_entry_add (&entry, "path", choir_admin_value_path (CHOIR_ADMIN_KIND_DOCUMENT, id));
  choir_admin_entry_add (&entry, "open", g_variant_new_boolean (TRUE));
  choir_admin_entry_add (&entry, "version",
                         g_variant_new_uint64 (choir_document_get_version (document)));
  choir_admin_entry_add (&entry, "changed_at",
                         choir_admin_value_wall (choir_document_get_changed_us (document)));
  choir_admin_entry_add (&entry, "editors",
                         g_variant_new_uint32 (channel != NULL ? channel->n_subscribers : 0));
  choir_admin_entry_add (
    &entry, "size",
    g_variant_new_uint64 (choir_rope_get_n_bytes (choir_document_get_text (document))));
  choir_admin_entry_add (&entry, "memory",
                         g_variant_new_uint64 (choir_document_get_memory (document)));
  g_variant_builder_add_value (list, g_variant_builder_end (&entry));
}

static void
describe_stored (GVariantBuilder *list, const ChoirStreamInfo *info)
{
  GVariantBuilder entry;

  g_variant_builder_init (&entry, G_VARIANT_TYPE_VARDICT);
  choir_admin_entry_add (&entry, "document", g_variant_new_string (info->name + strlen (PREFIX)));
  choir_admin_entry_add (&entry, "open", g_variant_new_boolean (FALSE));
  choir_admin_entry_add (&entry, "version", g_variant_new_uint64 (info->head));
  choir_admin_entry_add (&entry, "changed_at", choir_admin_value_wall (info->changed_us));
  g_variant_builder_add_value (list, g_variant_builder_end (&entry));
}

static void
offer_stored (ChoirHub *hub, Picking *picking, const GPtrArray *stored)
{
  ChoirDocumentTable *table = choir_hub_get_documents (hub);

  for (guint i = 0; i < stored->len; i++)
    {
      const ChoirStreamInfo *info = stored->pdata[i];
      const char *id = info->name + strlen (PREFIX);

      if (choir_document_table_find (table, id) == NULL)
        choir_admin_page_offer (&picking->page, id, (gpointer) info);
    }
}

/* By identifier */
GVariant *
choir_admin_list_documents (ChoirHub *hub,
                            const ChoirAdminSelection *selection,
                            const GPtrArray *stored,
                            guint offset,
                            guint limit)
{
  ChoirDocumentTable *table = choir_hub_get_documents (hub);
  Picking picking = { .selection = selection };
  const ChoirAdminPageEntry *entries;
  GVariantBuilder list;
  guint n;

  choir_admin_page_init (&picking.page, offset, limit);
  if (table != NULL)
    choir_document_table_visit (table, offer_open, &picking);
  if (table != NULL && stored != NULL)
    offer_stored (hub, &picking, stored);
  entries = choir_admin_page_end (&picking.page, &n);

  g_variant_builder_init (&list, G_VARIANT_TYPE ("aa{sv}"));
  for (guint i = 0; i < n; i++)
    {
      ChoirDocument *open = choir_document_table_find (table, entries[i].name);

      if (open != NULL)
        describe_open (&list, open);
      else
        describe_stored (&list, entries[i].item);
    }
  choir_admin_page_clear (&picking.page);

  return g_variant_builder_end (&list);
}

/* The call's arguments; those of the filter were looked at before */
static void
answer (ChoirAdminCall *call, const GPtrArray *stored)
{
  g_auto (ChoirAdminSelection) selection = { 0 };
  g_autoptr (GVariant) dict = NULL;
  g_autoptr (GError) error = NULL;
  guint offset, limit;

  g_variant_get (call->parameters, "(@a{sv}uu)", &dict, &offset, &limit);

  if (!choir_admin_selection_parse_documents (&selection, dict, &error))
    choir_admin_call_fail (call, error);
  else
    choir_admin_call_return (
      call, g_variant_new ("(@aa{sv})", choir_admin_list_documents (call->hub, &selection, stored,
                                                                    offset, limit)));
}

static void
listed_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  ChoirAdminCall *call = user_data;
  g_autoptr (GPtrArray) stored = choir_store_list_finish (CHOIR_STORE (source), result, NULL);

  if (stored == NULL)
    choir_admin_call_fail_literal (call, CHOIR_ERROR_UNAVAILABLE,
                                   "The list can't be read at the moment");
  else
    answer (call, stored);
}

/* What comes before the page has to be read as well: which of it is in memory changes nothing */
static void
list_stored (ChoirAdminCall *call, const char *prefix, guint64 n_wanted)
{
  ChoirDocumentTable *table = choir_hub_get_documents (call->hub);
  g_autofree char *name = g_strconcat (PREFIX, prefix, NULL);
  g_autoptr (GPtrArray) none = g_ptr_array_new ();

  if (n_wanted > CHOIR_STORE_LIST_MAX)
    choir_admin_call_fail_literal (call, CHOIR_ERROR_VALIDATION,
                                   "With \"stored\" the offset and the limit together may be at "
                                   "most " G_STRINGIFY (CHOIR_STORE_LIST_MAX));
  else if (table == NULL || strlen (name) > CHOIR_STORE_NAME_MAX)
    answer (call, none);
  else
    choir_store_list_async (choir_document_table_get_store (table), name, NULL, (guint) n_wanted,
                            NULL, listed_cb, call);
}

void
choir_admin_perform_list_documents (ChoirAdminCall *call)
{
  g_auto (ChoirAdminSelection) selection = { 0 };
  g_autoptr (GVariant) dict = NULL;
  g_autoptr (GError) error = NULL;
  guint offset, limit;

  g_variant_get (call->parameters, "(@a{sv}uu)", &dict, &offset, &limit);

  if (!choir_admin_selection_parse_documents (&selection, dict, &error))
    choir_admin_call_fail (call, error);
  else if (selection.stored)
    list_stored (call, selection.prefix, (guint64) offset + choir_admin_page_get_limit (limit));
  else
    answer (call, NULL);
}
