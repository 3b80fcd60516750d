/* choir-admin-page.h: a part of a list, in the order of weights or names
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* org.choir.Choir1.xml, the lists: what `limit` means */
#define CHOIR_ADMIN_LIMIT_DEFAULT 100
#define CHOIR_ADMIN_LIMIT_MAX 1000

guint choir_admin_page_get_limit (guint limit);

/* Name and item are borrowed */
typedef struct
{
  const char *name;
  gpointer item;
  double weight;
} ChoirAdminPageEntry;

/**
 * ChoirAdminPage:
 *
 * Picks those of many things that are on one page of a list sorted by weight, the heaviest first,
 * and among those of one weight by name, without sorting all of them: what stands behind the page
 * is dropped as it comes. On the stack.
 */
typedef struct
{
  GArray *entries; /* (element-type ChoirAdminPageEntry) (owned) */
  gsize n_wanted;  /* those before the page and those on it */
  guint offset;
  gboolean bounded; /* what is behind the last entry is of no interest */
} ChoirAdminPage;

void choir_admin_page_init (ChoirAdminPage *self, guint offset, guint limit);
void choir_admin_page_clear (ChoirAdminPage *self);
void choir_admin_page_offer (ChoirAdminPage *self, const char *name, gpointer item);
void choir_admin_page_offer_weighted (ChoirAdminPage *self,
                                      const char *name,
                                      gpointer item,
                                      double weight);
const ChoirAdminPageEntry *choir_admin_page_end (ChoirAdminPage *self, guint *n_entries);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (ChoirAdminPage, choir_admin_page_clear)

G_END_DECLS
