/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-http-messages.h"

#include <string.h>

static int
compare_items (gconstpointer a, gconstpointer b, gpointer user_data)
{
  const ChoirHttpPage *self = user_data;

  return strcmp (self->get_name (*(const gpointer *) a), self->get_name (*(const gpointer *) b));
}

/* Leaves the first of them: one more than are wanted, to see whether there are more */
static void
keep_first (ChoirHttpPage *self)
{
  g_ptr_array_sort_with_data (self->items, compare_items, self);
  if (self->items->len > self->limit + 1)
    g_ptr_array_set_size (self->items, (int) self->limit + 1);
}

/**
 * choir_http_page_begin:
 * @self: memory for a page
 * @request: says which, in its parameters `limit`, and `after` and `prefix` if it has them
 * @get_name: gives an item's name
 *
 * Returns: %FALSE if that makes no sense: the request has been refused then
 */
gboolean
choir_http_page_begin (ChoirHttpPage *self,
                       ChoirHttpRequest *request,
                       const char *(*get_name) (gconstpointer item))
{
  guint64 limit;

  *self = (ChoirHttpPage){ 0 };
  if (!choir_http_request_get_uint (request, "limit", CHOIR_HTTP_PAGE_DEFAULT, 1,
                                    CHOIR_HTTP_PAGE_MAX, &limit))
    return FALSE;

  self->items = g_ptr_array_new ();
  self->get_name = get_name;
  self->limit = (guint) limit;
  self->after = choir_http_request_get_parameter (request, "after");
  self->prefix = choir_http_request_get_parameter (request, "prefix");

  return TRUE;
}

/**
 * choir_http_page_offer:
 * @self: a page
 * @item: one of what there is, in any order
 *
 * Never holds much more than the page.
 */
void
choir_http_page_offer (ChoirHttpPage *self, gconstpointer item)
{
  const char *name = self->get_name (item);

  if ((self->after != NULL && strcmp (name, self->after) <= 0) ||
      (self->prefix != NULL && !g_str_has_prefix (name, self->prefix)))
    return;

  g_ptr_array_add (self->items, (gpointer) item);
  if (self->items->len >= 2 * (self->limit + 1))
    keep_first (self);
}

/**
 * choir_http_page_end:
 * @self: a page that has been offered everything
 *
 * From now on `items` has what is on it, in order.
 *
 * Returns: whether nothing lies beyond it
 */
gboolean
choir_http_page_end (ChoirHttpPage *self)
{
  keep_first (self);
  if (self->items->len <= self->limit)
    return TRUE;

  g_ptr_array_set_size (self->items, (int) self->limit);

  return FALSE;
}

void
choir_http_page_clear (ChoirHttpPage *self)
{
  g_clear_pointer (&self->items, g_ptr_array_unref);
}
