/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-admin-object.h"

/* org.choir.Choir1.Task: one that the table still knows */

static GVariant *
get_id (ChoirHub *hub, gpointer object)
{
  return choir_admin_value_string (choir_task_get_id (object));
}

static GVariant *
get_kind (ChoirHub *hub, gpointer object)
{
  return choir_admin_value_string (choir_task_get_kind (object));
}

static GVariant *
get_user (ChoirHub *hub, gpointer object)
{
  return choir_admin_value_string (choir_task_get_user_id (object));
}

static GVariant *
get_channel (ChoirHub *hub, gpointer object)
{
  return choir_admin_value_string (choir_task_get_channel (object));
}

static GVariant *
get_state (ChoirHub *hub, gpointer object)
{
  return choir_admin_value_string (choir_task_state_get_name (choir_task_get_state (object)));
}

static GVariant *
get_attempt (ChoirHub *hub, gpointer object)
{
  return g_variant_new_uint32 (choir_task_get_attempt (object));
}

static GVariant *
get_worker (ChoirHub *hub, gpointer object)
{
  return choir_admin_value_string (choir_task_get_worker_id (object));
}

static GVariant *
get_created_at (ChoirHub *hub, gpointer object)
{
  return choir_admin_value_wall (choir_task_get_created_us (object));
}

static GVariant *
get_timeout_at (ChoirHub *hub, gpointer object)
{
  return choir_admin_value_wall (choir_task_get_timeout_us (object));
}

static const ChoirAdminProperty properties[] = {
  { "Id", get_id },
  { "Kind", get_kind },
  { "User", get_user },
  { "Channel", get_channel },
  { "State", get_state },
  { "Attempt", get_attempt },
  { "Worker", get_worker },
  { "CreatedAt", get_created_at },
  { "TimeoutAt", get_timeout_at },
};

static const guint n_properties = G_N_ELEMENTS (properties);

static gpointer
find (ChoirHub *hub, const char *name)
{
  return choir_task_table_find (choir_hub_get_tasks (hub), name);
}

static guint
count (ChoirHub *hub)
{
  return choir_task_table_get_n_tasks (choir_hub_get_tasks (hub));
}

static void
visit_all (ChoirHub *hub, ChoirAdminVisitor visit, gpointer user_data)
{
  const ChoirTaskQuery query = { .limit = G_MAXUINT };
  gboolean complete;
  g_autoptr (GPtrArray) tasks =
    choir_task_table_list (choir_hub_get_tasks (hub), &query, &complete, NULL);

  for (guint i = 0; i < tasks->len; i++)
    visit (tasks->pdata[i], choir_task_get_id (tasks->pdata[i]), user_data);
}

const ChoirAdminClass choir_admin_task_class = {
  .interface = CHOIR_ADMIN_TASK,
  .kind = "task",
  .properties = properties,
  .n_properties = &n_properties,
  .find = find,
  .count = count,
  .visit = visit_all,
};
