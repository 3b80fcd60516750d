/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-admin-describe.h"

#include "choir-admin-list.h"
#include "choir-admin-object.h"
#include "choir-clock.h"

#include <string.h>

void
choir_admin_repeats_clear (ChoirAdminRepeats *self)
{
  for (guint i = 0; i < CHOIR_N_ADMIN_REPEATS; i++)
    {
      g_clear_pointer (&self->entries[i], g_variant_unref);
      g_clear_pointer (&self->texts[i], g_free);
    }
}

/* @value: (transfer floating) */
static void
repeats_set (ChoirAdminRepeats *self, ChoirAdminRepeat i, const char *key, GVariant *value)
{
  g_clear_pointer (&self->entries[i], g_variant_unref);
  self->entries[i] = g_variant_ref_sink (
    g_variant_new_dict_entry (g_variant_new_string (key), g_variant_new_variant (value)));
}

static void
add_text (GVariantBuilder *entry,
          ChoirAdminRepeats *self,
          ChoirAdminRepeat i,
          const char *key,
          const char *text)
{
  if (self->entries[i] == NULL || strcmp (self->texts[i], text) != 0)
    {
      repeats_set (self, i, key, g_variant_new_string (text));
      g_free (self->texts[i]);
      self->texts[i] = g_strdup (text);
    }

  g_variant_builder_add_value (entry, self->entries[i]);
}

static void
add_number (GVariantBuilder *entry,
            ChoirAdminRepeats *self,
            ChoirAdminRepeat i,
            const char *key,
            guint64 number,
            const GVariantType *type)
{
  if (self->entries[i] == NULL || self->numbers[i] != number)
    {
      if (g_variant_type_equal (type, G_VARIANT_TYPE_UINT64))
        repeats_set (self, i, key, g_variant_new_uint64 (number));
      else if (g_variant_type_equal (type, G_VARIANT_TYPE_UINT32))
        repeats_set (self, i, key, g_variant_new_uint32 ((guint32) number));
      else
        repeats_set (self, i, key, g_variant_new_boolean (number != 0));
      self->numbers[i] = number;
    }

  g_variant_builder_add_value (entry, self->entries[i]);
}

static void
add_figures (GVariantBuilder *entry, ChoirAdminRepeats *repeats, ChoirSession *session)
{
  gint64 age_us = choir_clock_monotonic_us () - choir_session_get_opened_us (session);

  add_number (entry, repeats, CHOIR_ADMIN_REPEAT_AGE, "age_s",
              (guint64) (MAX (age_us, 0) / G_USEC_PER_SEC), G_VARIANT_TYPE_UINT64);
  add_number (entry, repeats, CHOIR_ADMIN_REPEAT_SUBSCRIPTIONS, "subscriptions",
              choir_session_get_n_subscriptions (session), G_VARIANT_TYPE_UINT32);
  add_number (entry, repeats, CHOIR_ADMIN_REPEAT_QUEUED, "queued_bytes",
              choir_session_get_outbox (session)->n_bytes, G_VARIANT_TYPE_UINT64);
  add_number (entry, repeats, CHOIR_ADMIN_REPEAT_RECEIVED, "messages_received",
              choir_session_get_n_received (session), G_VARIANT_TYPE_UINT64);
  add_number (entry, repeats, CHOIR_ADMIN_REPEAT_ERRORS, "errors",
              choir_session_get_n_errors (session), G_VARIANT_TYPE_UINT64);
  add_number (entry, repeats, CHOIR_ADMIN_REPEAT_SLOW, "slow",
              choir_audience_is_slow (session) != FALSE, G_VARIANT_TYPE_BOOLEAN);
}

/**
 * choir_admin_describe_repeated:
 * @session: a session with a connection
 * @repeats: of the page
 *
 * Returns: (transfer floating): as choir_admin_describe_connection()
 */
GVariant *
choir_admin_describe_repeated (ChoirSession *session, ChoirAdminRepeats *repeats)
{
  const ChoirDialect *dialect = choir_session_get_dialect (session);
  const char *connection = choir_session_get_connection_id (session);
  const char *id = choir_session_get_id (session);
  const char *user = choir_session_get_user_id (session);
  g_autofree char *address = choir_link_dup_address (choir_session_get_link (session));
  GVariantBuilder entry;

  g_variant_builder_init (&entry, G_VARIANT_TYPE_VARDICT);
  choir_admin_entry_add (&entry, "connection", g_variant_new_string (connection));
  choir_admin_entry_add (&entry, "session", g_variant_new_string (id));
  choir_admin_entry_add (&entry, "path",
                         choir_admin_value_path (CHOIR_ADMIN_KIND_CONNECTION, connection));
  choir_admin_entry_add (&entry, "session_path",
                         choir_admin_value_path (CHOIR_ADMIN_KIND_SESSION, id));
  add_text (&entry, repeats, CHOIR_ADMIN_REPEAT_USER, "user", user != NULL ? user : "");
  add_text (&entry, repeats, CHOIR_ADMIN_REPEAT_ADDRESS, "address", address);
  add_text (&entry, repeats, CHOIR_ADMIN_REPEAT_DIALECT, "dialect",
            choir_dialect_get_table (dialect)->name);
  add_figures (&entry, repeats, session);

  return g_variant_builder_end (&entry);
}

/**
 * choir_admin_describe_connection:
 * @session: a session with a connection
 *
 * Returns: (transfer floating): an `a{sv}`, as ListConnections has it
 */
GVariant *
choir_admin_describe_connection (ChoirSession *session)
{
  ChoirAdminRepeats repeats = { 0 };
  GVariant *entry = choir_admin_describe_repeated (session, &repeats);

  choir_admin_repeats_clear (&repeats);

  return entry;
}
