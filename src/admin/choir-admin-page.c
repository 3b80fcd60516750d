/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-admin-page.h"

#include <string.h>

/* Sorted at once: so many more than are wanted */
#define SLACK 256

/**
 * choir_admin_page_get_limit:
 * @limit: what a caller said
 *
 * Returns: how many things a page has at most
 */
guint
choir_admin_page_get_limit (guint limit)
{
  return limit == 0 ? CHOIR_ADMIN_LIMIT_DEFAULT : MIN (limit, CHOIR_ADMIN_LIMIT_MAX);
}

/**
 * choir_admin_page_init:
 * @self: memory for a page
 * @offset: things to pass over
 * @limit: as the caller said it, see choir_admin_page_get_limit()
 */
void
choir_admin_page_init (ChoirAdminPage *self, guint offset, guint limit)
{
  *self = (ChoirAdminPage){
    .entries = g_array_new (FALSE, FALSE, sizeof (ChoirAdminPageEntry)),
    .n_wanted = (gsize) offset + choir_admin_page_get_limit (limit),
    .offset = offset,
  };
}

void
choir_admin_page_clear (ChoirAdminPage *self)
{
  g_clear_pointer (&self->entries, g_array_unref);
}

static int
compare_entries (gconstpointer a, gconstpointer b)
{
  const ChoirAdminPageEntry *first = a, *second = b;

  if (first->weight > second->weight || first->weight < second->weight)
    return first->weight > second->weight ? -1 : 1;

  return strcmp (first->name, second->name);
}

/* Leaves what is wanted, in order */
static void
keep_first (ChoirAdminPage *self)
{
  g_array_sort (self->entries, compare_entries);
  if (self->entries->len < self->n_wanted)
    return;

  g_array_set_size (self->entries, (guint) self->n_wanted);
  self->bounded = TRUE;
}

/**
 * choir_admin_page_offer:
 * @self: a page
 * @name: of a thing; must stay as it is while the page is used, and is its alone
 * @item: the thing
 */
void
choir_admin_page_offer (ChoirAdminPage *self, const char *name, gpointer item)
{
  choir_admin_page_offer_weighted (self, name, item, 0);
}

/**
 * choir_admin_page_offer_weighted:
 * @self: a page
 * @name: as for choir_admin_page_offer()
 * @item: the thing
 * @weight: the more, the further to the front
 */
void
choir_admin_page_offer_weighted (ChoirAdminPage *self,
                                 const char *name,
                                 gpointer item,
                                 double weight)
{
  const ChoirAdminPageEntry entry = { name, item, weight };

  if (self->bounded && compare_entries (&entry, &g_array_index (self->entries, ChoirAdminPageEntry,
                                                                self->n_wanted - 1)) > 0)
    return;

  g_array_append_val (self->entries, entry);
  if (self->entries->len >= self->n_wanted + MAX (SLACK, self->n_wanted / 2))
    keep_first (self);
}

/**
 * choir_admin_page_end:
 * @self: a page that has been offered everything
 * @n_entries: filled with how many things are on it
 *
 * Returns: (array length=n_entries) (transfer none): those, in order
 */
const ChoirAdminPageEntry *
choir_admin_page_end (ChoirAdminPage *self, guint *n_entries)
{
  keep_first (self);
  *n_entries = self->entries->len > self->offset ? self->entries->len - self->offset : 0;

  return *n_entries > 0 ? &g_array_index (self->entries, ChoirAdminPageEntry, self->offset) : NULL;
}
