/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-admin-object.h"

#include "choir-admin-methods.h"
#include "choir-hub-operate.h"
#include "choir-names.h"

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

static void
close_document (ChoirAdminCall *call, const char *id, const char *reason)
{
  g_autofree char *channel = g_strconcat ("document:", id, NULL);
  g_autoptr (GError) error = NULL;
  guint n_editors = 0;

  if (!choir_admin_check_reason (reason, CHOIR_ADMIN_REASON_MAX, &error) ||
      !choir_hub_close_document (call->hub, id, reason, &n_editors, &error))
    {
      choir_admin_call_fail (call, error);
      return;
    }

  choir_admin_call_log (call, "Document closed", CHOIR_LOG_CHANNEL, channel, n_editors);
  choir_admin_call_return (call, g_variant_new ("(u)", n_editors));
}

static void
perform_close_document (ChoirAdminCall *call)
{
  const char *id, *reason;

  g_variant_get (call->parameters, "(&s&s)", &id, &reason);
  close_document (call, id, reason);
}

static void
perform_document_close (ChoirAdminCall *call)
{
  const char *reason;

  if (choir_admin_call_find_object (call) == NULL)
    return;

  g_variant_get (call->parameters, "(&s)", &reason);
  close_document (call, call->name, reason);
}

const ChoirAdminMethod choir_admin_document_methods[] = {
  { CHOIR_ADMIN_MANAGER, "CloseDocument", CHOIR_ADMIN_MANAGE_USERS, TRUE, perform_close_document,
    NULL },
  { CHOIR_ADMIN_DOCUMENT, "Close", CHOIR_ADMIN_MANAGE_USERS, FALSE, perform_document_close, NULL },
};

const guint choir_admin_document_n_methods = G_N_ELEMENTS (choir_admin_document_methods);
