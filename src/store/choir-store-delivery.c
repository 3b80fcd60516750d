/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-store-delivery.h"

struct _ChoirStoreDelivery
{
  GSource source;

  ChoirStoreFlushFunc flush;
  ChoirStoreNewsFunc deliver;
  gpointer user_data;

  GMutex lock;
  ChoirStoreNews news;
  int woken; /* (atomic): the loop knows that there is something; set with the lock held */
};

/* Before the loop sleeps */
static gboolean
delivery_prepare (GSource *source, int *timeout_ms)
{
  ChoirStoreDelivery *self = (ChoirStoreDelivery *) source;

  *timeout_ms = -1;
  self->flush (self->user_data);

  return g_atomic_int_get (&self->woken);
}

static gboolean
delivery_check (GSource *source)
{
  return g_atomic_int_get (&((ChoirStoreDelivery *) source)->woken);
}

static gboolean
delivery_dispatch (GSource *source, GSourceFunc callback, gpointer user_data)
{
  ChoirStoreDelivery *self = (ChoirStoreDelivery *) source;
  ChoirStoreNews news;

  g_mutex_lock (&self->lock);
  news = self->news;
  self->news = (ChoirStoreNews){ 0 };
  g_atomic_int_set (&self->woken, FALSE);
  g_mutex_unlock (&self->lock);

  self->deliver (&news, self->user_data);
  g_free (news.reason);

  return G_SOURCE_CONTINUE;
}

static void
delivery_finalize (GSource *source)
{
  ChoirStoreDelivery *self = (ChoirStoreDelivery *) source;

  g_free (self->news.reason);
  g_mutex_clear (&self->lock);
}

/**
 * choir_store_delivery_new:
 * @flush: called before the loop sleeps
 * @news: called in the main context with what has come
 * @user_data: for both
 *
 * Returns: (transfer full): a source in the thread's default main context
 */
ChoirStoreDelivery *
choir_store_delivery_new (ChoirStoreFlushFunc flush, ChoirStoreNewsFunc news, gpointer user_data)
{
  static GSourceFuncs funcs = { delivery_prepare, delivery_check, delivery_dispatch,
                                delivery_finalize };
  ChoirStoreDelivery *self = (ChoirStoreDelivery *) g_source_new (&funcs, sizeof *self);

  self->flush = flush;
  self->deliver = news;
  self->user_data = user_data;
  g_mutex_init (&self->lock);
  g_source_set_static_name (&self->source, "choir-store");
  g_source_set_can_recurse (&self->source, TRUE);
  g_source_attach (&self->source, g_main_context_get_thread_default ());

  return self;
}

/**
 * choir_store_delivery_free:
 * @self: a delivery no thread uses any longer
 */
void
choir_store_delivery_free (ChoirStoreDelivery *self)
{
  g_source_destroy (&self->source);
  g_source_unref (&self->source);
}

/* With the lock held, which is given back. Not by a ready time: GLib would wake the loop once more
 * when it is taken back */
static void
wake (ChoirStoreDelivery *self)
{
  gboolean was_woken = g_atomic_int_get (&self->woken);

  g_atomic_int_set (&self->woken, TRUE);
  g_mutex_unlock (&self->lock);

  if (!was_woken)
    g_main_context_wakeup (g_source_get_context (&self->source));
}

/**
 * choir_store_delivery_push:
 * @self: a delivery
 * @answered: empty afterwards
 */
void
choir_store_delivery_push (ChoirStoreDelivery *self, ChoirStoreRequests *answered)
{
  if (answered->first == NULL)
    return;

  g_mutex_lock (&self->lock);
  choir_store_requests_join (&self->news.answered, answered);
  wake (self);
}

/**
 * choir_store_delivery_set_writable:
 * @self: a delivery
 * @writable: how it is
 * @reason: (nullable): why
 *
 * Told before whatever is pushed later.
 */
void
choir_store_delivery_set_writable (ChoirStoreDelivery *self, gboolean writable, const char *reason)
{
  g_mutex_lock (&self->lock);
  self->news.has_state = TRUE;
  self->news.writable = writable;
  g_free (self->news.reason);
  self->news.reason = g_strdup (reason);
  wake (self);
}

/**
 * choir_store_delivery_end:
 * @self: a delivery
 *
 * The last thing a thread says.
 */
void
choir_store_delivery_end (ChoirStoreDelivery *self)
{
  g_mutex_lock (&self->lock);
  self->news.n_ended++;
  wake (self);
}
