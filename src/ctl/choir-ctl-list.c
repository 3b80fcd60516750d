/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-ctl-filter.h"
#include "choir-ctl-format.h"
#include "choir-ctl-table.h"
#include "choir-ctl-verbs.h"

#include <glib/gi18n.h>
#include <string.h>

typedef struct
{
  const char *key; /* in the dictionaries */
  const char *title;
  ChoirCtlKind kind;
  ChoirCtlColumn flags;
  ChoirCtlStyle if_set; /* of a flag that is, or a number that is not 0 */
} Field;

typedef struct
{
  const char *method;
  gboolean is_filtered;
  const Field *fields;
  guint n_fields;
  char *(*count) (guint n); /* the line below */
} Listing;

#define NUMBER(key, title)                                                                         \
  {                                                                                                \
    key, title, CHOIR_CTL_COUNT, CHOIR_CTL_RIGHT, CHOIR_CTL_PLAIN                                  \
  }
#define ALARM(key, title)                                                                          \
  {                                                                                                \
    key, title, CHOIR_CTL_COUNT, CHOIR_CTL_RIGHT, CHOIR_CTL_WARNING                                \
  }
#define SIZE(key, title)                                                                           \
  {                                                                                                \
    key, title, CHOIR_CTL_BYTES, CHOIR_CTL_RIGHT, CHOIR_CTL_PLAIN                                  \
  }
#define AGE(key, title)                                                                            \
  {                                                                                                \
    key, title, CHOIR_CTL_AGE_US, CHOIR_CTL_RIGHT, CHOIR_CTL_PLAIN                                 \
  }
#define TIME(key, title)                                                                           \
  {                                                                                                \
    key, title, CHOIR_CTL_TIME_US, CHOIR_CTL_LEFT, CHOIR_CTL_PLAIN                                 \
  }
#define SET(key, title, style)                                                                     \
  {                                                                                                \
    key, title, CHOIR_CTL_FLAG, CHOIR_CTL_LEFT, style                                              \
  }
/* An identifier is of no use when it is cut */
#define ID(key, title)                                                                             \
  {                                                                                                \
    key, title, CHOIR_CTL_TEXT, CHOIR_CTL_LEFT, CHOIR_CTL_PLAIN                                    \
  }
#define TEXT(key, title)                                                                           \
  {                                                                                                \
    key, title, CHOIR_CTL_TEXT, CHOIR_CTL_SHRINK, CHOIR_CTL_PLAIN                                  \
  }

static const Field connection_fields[] = {
  ID ("connection", N_ ("CONNECTION")),
  TEXT ("user", N_ ("USER")),
  { "age_s", N_ ("AGE"), CHOIR_CTL_SPAN_S, CHOIR_CTL_RIGHT, CHOIR_CTL_PLAIN },
  SIZE ("queued_bytes", N_ ("QUEUED")),
  TEXT ("address", N_ ("ADDRESS")),
  TEXT ("dialect", N_ ("CONTRACT")),
  NUMBER ("subscriptions", N_ ("CHANNELS")),
  NUMBER ("messages_received", N_ ("RECEIVED")),
  ALARM ("errors", N_ ("ERRORS")),
  SET ("slow", N_ ("SLOW"), CHOIR_CTL_WARNING),
};

static const Field user_fields[] = {
  TEXT ("user", N_ ("USER")),
  NUMBER ("connections", N_ ("CONNECTIONS")),
  NUMBER ("waiting", N_ ("WAITING")),
  SIZE ("queued_bytes", N_ ("QUEUED")),
  NUMBER ("messages_received", N_ ("RECEIVED")),
  SET ("blocked", N_ ("BLOCKED"), CHOIR_CTL_BAD),
};

static const Field channel_fields[] = {
  TEXT ("channel", N_ ("CHANNEL")), NUMBER ("subscribers", N_ ("SUBSCRIBERS")),
  NUMBER ("offset", N_ ("OFFSET")), NUMBER ("messages", N_ ("MESSAGES")),
  SIZE ("bytes", N_ ("MEMORY")),    SET ("persistent", N_ ("STORED"), CHOIR_CTL_PLAIN),
};

static const Field document_fields[] = {
  TEXT ("document", N_ ("DOCUMENT")), SET ("open", N_ ("OPEN"), CHOIR_CTL_GOOD),
  NUMBER ("editors", N_ ("EDITORS")), NUMBER ("version", N_ ("VERSION")),
  SIZE ("size", N_ ("SIZE")),         SIZE ("memory", N_ ("MEMORY")),
  AGE ("changed_at", N_ ("CHANGED")),
};

static const Field task_fields[] = {
  ID ("task", N_ ("TASK")),       TEXT ("kind", N_ ("KIND")),
  ID ("state", N_ ("STATE")),     TEXT ("user", N_ ("USER")),
  AGE ("created_at", N_ ("AGE")), NUMBER ("attempt", N_ ("ATTEMPT")),
  TEXT ("worker", N_ ("WORKER")), TEXT ("channel", N_ ("CHANNEL")),
};

static const Field blocked_fields[] = {
  TEXT ("user", N_ ("USER")), TIME ("until", N_ ("UNTIL")),   TIME ("blocked_at", N_ ("SINCE")),
  NUMBER ("uid", N_ ("UID")), TEXT ("reason", N_ ("REASON")),
};

static const Field revoked_fields[] = {
  TEXT ("jti", N_ ("TOKEN")),
  TIME ("revoked_at", N_ ("SINCE")),
  NUMBER ("uid", N_ ("UID")),
};

static char *
count_connections (guint n)
{
  return g_strdup_printf (ngettext ("%u connection", "%u connections", n), n);
}

static char *
count_users (guint n)
{
  return g_strdup_printf (ngettext ("%u user", "%u users", n), n);
}

static char *
count_channels (guint n)
{
  return g_strdup_printf (ngettext ("%u channel", "%u channels", n), n);
}

static char *
count_documents (guint n)
{
  return g_strdup_printf (ngettext ("%u document", "%u documents", n), n);
}

static char *
count_tasks (guint n)
{
  return g_strdup_printf (ngettext ("%u task", "%u tasks", n), n);
}

static char *
count_blocked (guint n)
{
  return g_strdup_printf (ngettext ("%u blocked user", "%u blocked users", n), n);
}

static char *
count_revoked (guint n)
{
  return g_strdup_printf (ngettext ("%u revoked token", "%u revoked tokens", n), n);
}

#define LISTING(method, is_filtered, fields, count)                                                \
  {                                                                                                \
    method, is_filtered, fields, G_N_ELEMENTS (fields), count                                      \
  }

static const Listing connections =
  LISTING ("ListConnections", TRUE, connection_fields, count_connections);
static const Listing users = LISTING ("ListUsers", TRUE, user_fields, count_users);
static const Listing channels = LISTING ("ListChannels", TRUE, channel_fields, count_channels);
static const Listing documents = LISTING ("ListDocuments", TRUE, document_fields, count_documents);
static const Listing tasks = LISTING ("ListTasks", TRUE, task_fields, count_tasks);
static const Listing blocked = LISTING ("ListBlocked", FALSE, blocked_fields, count_blocked);
static const Listing revoked = LISTING ("ListRevoked", FALSE, revoked_fields, count_revoked);

static GVariant *
ask (ChoirCtl *self, const Listing *listing, guint offset, guint limit, GError **error)
{
  g_autoptr (GVariant) reply = NULL;
  GVariant *parameters = listing->is_filtered
                           ? g_variant_new ("(@a{sv}uu)", choir_ctl_filter_new (), offset, limit)
                           : g_variant_new ("(uu)", offset, limit);

  reply = choir_ctl_call (self, listing->method, parameters, "(aa{sv})", error);

  return reply != NULL ? g_variant_get_child_value (reply, 0) : NULL;
}

/* Adds those that are not there yet: what comes or goes between two pages moves all behind it. By
 * its first field an entry is known */
static void
add_entries (GPtrArray *entries, GHashTable *known, const char *key, GVariant *found)
{
  for (gsize i = 0; i < g_variant_n_children (found); i++)
    {
      g_autoptr (GVariant) entry = g_variant_get_child_value (found, i);
      const char *name;

      if (!g_variant_lookup (entry, key, "&s", &name) || g_hash_table_add (known, g_strdup (name)))
        g_ptr_array_add (entries, g_steal_pointer (&entry));
    }
}

/* Page by page, since the service gives no more at once */
static GPtrArray *
collect (ChoirCtl *self, const Listing *listing, const ChoirCtlPage *page, GError **error)
{
  g_autoptr (GPtrArray) entries = g_ptr_array_new_with_free_func ((GDestroyNotify) g_variant_unref);
  g_autoptr (GHashTable) known = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  guint offset = page->offset;
  gboolean is_more = TRUE;

  while (is_more && entries->len < page->n)
    {
      guint wanted = MIN (page->n - entries->len, CHOIR_CTL_PAGE_MAX);
      g_autoptr (GVariant) found = ask (self, listing, offset, wanted, error);
      guint n;

      if (found == NULL)
        return NULL;

      n = (guint) g_variant_n_children (found);
      add_entries (entries, known, listing->fields[0].key, found);
      offset += n;
      is_more = n == wanted;
    }

  return g_steal_pointer (&entries);
}

static void
print_entries_json (GPtrArray *entries)
{
  GVariantBuilder builder;

  g_variant_builder_init (&builder, G_VARIANT_TYPE ("aa{sv}"));
  for (guint i = 0; i < entries->len; i++)
    g_variant_builder_add_value (&builder, g_ptr_array_index (entries, i));
  choir_ctl_print_json (g_variant_builder_end (&builder));
}

static ChoirCtlStyle
get_style (const Field *field, GVariant *entry)
{
  g_autoptr (GVariant) value = g_variant_lookup_value (entry, field->key, NULL);
  gboolean is_set;

  if (value == NULL || field->if_set == CHOIR_CTL_PLAIN)
    return CHOIR_CTL_PLAIN;

  is_set = g_variant_is_of_type (value, G_VARIANT_TYPE_BOOLEAN)  ? g_variant_get_boolean (value)
           : g_variant_is_of_type (value, G_VARIANT_TYPE_UINT64) ? g_variant_get_uint64 (value) > 0
                                                                 : FALSE;

  return is_set ? field->if_set : CHOIR_CTL_PLAIN;
}

static ChoirCtlTable *
make_table (const Listing *listing, GPtrArray *entries)
{
  ChoirCtlTable *table = choir_ctl_table_new ();

  for (guint i = 0; i < listing->n_fields; i++)
    choir_ctl_table_add_column (table, _ (listing->fields[i].title), listing->fields[i].flags);

  for (guint i = 0; i < entries->len; i++)
    for (guint j = 0; j < listing->n_fields; j++)
      {
        const Field *field = &listing->fields[j];
        GVariant *entry = g_ptr_array_index (entries, i);
        g_autofree char *text = choir_ctl_format_member (entry, field->key, field->kind);

        choir_ctl_table_add_cell (table, text, get_style (field, entry));
      }

  return table;
}

static void
print_entries (ChoirCtl *self, const Listing *listing, const ChoirCtlPage *page, GPtrArray *entries)
{
  g_autoptr (ChoirCtlTable) table = make_table (listing, entries);
  g_autofree char *count = listing->count (entries->len);

  if (entries->len > 0)
    choir_ctl_table_print (table, !self->no_legend);
  if (self->no_legend)
    return;

  choir_ctl_print ("%s%s", entries->len > 0 ? "\n" : "", count);
  if (entries->len == page->n)
    choir_ctl_print (_ ("; there may be more: --all, or --offset %u"), page->offset + page->n);
  choir_ctl_print ("\n");
}

static gboolean
list (ChoirCtl *self, const Listing *listing, GError **error)
{
  g_autoptr (GPtrArray) entries = NULL;
  ChoirCtlPage page;

  if (!choir_ctl_filter_get_page (&page, error))
    return FALSE;

  entries = collect (self, listing, &page, error);
  if (entries == NULL)
    return FALSE;

  if (self->json)
    print_entries_json (entries);
  else
    print_entries (self, listing, &page, entries);

  return TRUE;
}

/**
 * choir_ctl_connections:
 * @self: the options and the bus
 * @words: none
 * @error: return location, of %CHOIR_CTL_ERROR
 *
 * `choirctl connections`
 *
 * Returns: whether it worked
 */
gboolean
choir_ctl_connections (ChoirCtl *self, char **words, GError **error)
{
  return list (self, &connections, error);
}

/**
 * choir_ctl_users:
 * @self: the options and the bus
 * @words: none
 * @error: return location, of %CHOIR_CTL_ERROR
 *
 * `choirctl users`
 *
 * Returns: whether it worked
 */
gboolean
choir_ctl_users (ChoirCtl *self, char **words, GError **error)
{
  return list (self, &users, error);
}

/**
 * choir_ctl_channels:
 * @self: the options and the bus
 * @words: none
 * @error: return location, of %CHOIR_CTL_ERROR
 *
 * `choirctl channels`
 *
 * Returns: whether it worked
 */
gboolean
choir_ctl_channels (ChoirCtl *self, char **words, GError **error)
{
  return list (self, &channels, error);
}

/**
 * choir_ctl_documents:
 * @self: the options and the bus
 * @words: none
 * @error: return location, of %CHOIR_CTL_ERROR
 *
 * `choirctl documents`
 *
 * Returns: whether it worked
 */
gboolean
choir_ctl_documents (ChoirCtl *self, char **words, GError **error)
{
  return list (self, &documents, error);
}

/**
 * choir_ctl_tasks:
 * @self: the options and the bus
 * @words: none
 * @error: return location, of %CHOIR_CTL_ERROR
 *
 * `choirctl tasks`
 *
 * Returns: whether it worked
 */
gboolean
choir_ctl_tasks (ChoirCtl *self, char **words, GError **error)
{
  return list (self, &tasks, error);
}

/**
 * choir_ctl_blocked:
 * @self: the options and the bus
 * @words: none
 * @error: return location, of %CHOIR_CTL_ERROR
 *
 * `choirctl blocked`
 *
 * Returns: whether it worked
 */
gboolean
choir_ctl_blocked (ChoirCtl *self, char **words, GError **error)
{
  return list (self, &blocked, error);
}

/**
 * choir_ctl_revoked:
 * @self: the options and the bus
 * @words: none
 * @error: return location, of %CHOIR_CTL_ERROR
 *
 * `choirctl revoked`
 *
 * Returns: whether it worked
 */
gboolean
choir_ctl_revoked (ChoirCtl *self, char **words, GError **error)
{
  return list (self, &revoked, error);
}
