/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-admin-object.h"

/* org.choir.Choir1.Document: one that is in memory */

static GVariant *
get_id (ChoirHub *hub, gpointer object)
{
  return choir_admin_value_string (choir_document_get_id (object));
}

static GVariant *
get_version (ChoirHub *hub, gpointer object)
{
  return g_variant_new_uint64 (choir_document_get_version (object));
}

static GVariant *
get_size (ChoirHub *hub, gpointer object)
{
  return g_variant_new_uint64 (choir_rope_get_n_bytes (choir_document_get_text (object)));
}

static GVariant *
get_memory (ChoirHub *hub, gpointer object)
{
  return g_variant_new_uint64 (choir_document_get_memory (object));
}

static GVariant *
get_changed_at (ChoirHub *hub, gpointer object)
{
  return choir_admin_value_wall (choir_document_get_changed_us (object));
}

static GVariant *
get_editors (ChoirHub *hub, gpointer object)
{
  return choir_admin_value_sessions (choir_document_get_channel (object));
}

static const ChoirAdminProperty properties[] = {
  { "Id", get_id },         { "Version", get_version },      { "Size", get_size },
  { "Memory", get_memory }, { "ChangedAt", get_changed_at }, { "Editors", get_editors },
};

static const guint n_properties = G_N_ELEMENTS (properties);

static gpointer
find (ChoirHub *hub, const char *name)
{
  ChoirDocumentTable *table = choir_hub_get_documents (hub);

  return table != NULL ? choir_document_table_find (table, name) : NULL;
}

static guint
count (ChoirHub *hub)
{
  ChoirDocumentTable *table = choir_hub_get_documents (hub);

  return table != NULL ? choir_document_table_get_n_open (table) : 0;
}

typedef struct
{
  ChoirAdminVisitor visit;
  gpointer user_data;
} Visit;

static void
visit_one (ChoirDocument *document, gpointer user_data)
{
  const Visit *visit = user_data;

  visit->visit (document, choir_document_get_id (document), visit->user_data);
}

static void
visit_all (ChoirHub *hub, ChoirAdminVisitor visit, gpointer user_data)
{
  ChoirDocumentTable *table = choir_hub_get_documents (hub);

  if (table != NULL)
    choir_document_table_visit (table, visit_one, &(Visit){ visit, user_data });
}

const ChoirAdminClass choir_admin_document_class = {
  .interface = CHOIR_ADMIN_DOCUMENT,
  .kind = "document",
  .properties = properties,
  .n_properties = &n_properties,
  .find = find,
  .count = count,
  .visit = visit_all,
};
