/* recovery-fixture.h: a hub whose channels keep more in the store than in memory
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <json-glib/json-glib.h>
#include <string.h>

#include "fake-link.h"
#include "slow-store.h"

/* Of the messages that say() publishes about 13 stay in memory */
#define RECOVERY_SETTINGS "[protocol]\nmax-history-bytes=16K\n[namespace chat]\nreplay=20\n"
#define RECOVERY_USUAL "history-size=1000\n"

typedef struct
{
  FakeHub *hub;
  SlowStore *store;
} Fixture;

static inline void
recovery_fixture_open (Fixture *self, const char *settings)
{
  self->hub = fake_hub_new_without_store (settings);
  choir_hub_set_store (self->hub->hub, CHOIR_STORE (self->store));
}

/* The service starts again: what is in the store is there, what was in memory is not */
static inline void
recovery_fixture_restart (Fixture *self, const char *settings)
{
  fake_hub_free (self->hub);
  recovery_fixture_open (self, settings);
}

/* @data: settings of the namespace and further sections; %NULL: RECOVERY_USUAL */
static inline void
recovery_fixture_set_up (Fixture *self, gconstpointer data)
{
  g_autofree char *settings =
    g_strconcat (RECOVERY_SETTINGS, data != NULL ? (const char *) data : RECOVERY_USUAL, NULL);

  self->store = slow_store_new ();
  recovery_fixture_open (self, settings);
}

static inline void
recovery_fixture_tear_down (Fixture *self, gconstpointer data)
{
  slow_store_release_all (self->store);
  fake_hub_free (self->hub);
  g_assert_finalize_object (self->store);
}

static inline void
say (Fixture *self, const char *channel, guint n)
{
  g_autofree char *filler = g_strnfill (1000, 'x');
  g_autofree char *payload = g_strdup_printf ("{\"t\":\"%s\"}", filler);

  for (guint i = 0; i < n; i++)
    fake_hub_publish (self->hub, channel, "note", payload);
}

static inline ChoirChannel *
get_channel (Fixture *self, const char *name)
{
  ChoirChannel *channel = choir_hub_find_channel (self->hub->hub, name);

  g_assert_nonnull (channel);

  return channel;
}

/* (transfer full): offsets in an array of messages, which are neighbours, as "3-8" or "8-3"; "none"
 */
static inline char *
read_offsets (JsonArray *messages)
{
  guint n = json_array_get_length (messages);
  gint64 first = 0, previous = 0;
  gint64 step = 0;

  for (guint i = 0; i < n; i++)
    {
      JsonObject *message = json_array_get_object_element (messages, i);
      gint64 offset = json_object_get_int_member (message, "offset");

      if (i == 0)
        first = offset;
      else if (i == 1)
        step = offset - first;
      else
        g_assert_cmpint (offset - previous, ==, step);
      previous = offset;
    }

  g_assert_true (step >= -1 && step <= 1);

  return n == 0 ? g_strdup ("none")
                : g_strdup_printf ("%" G_GINT64_FORMAT "-%" G_GINT64_FORMAT, first, previous);
}
