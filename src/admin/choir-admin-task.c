/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-admin-object.h"

#include "choir-admin-methods.h"
#include "choir-error.h"
#include "choir-names.h"

/* org.choir.Choir1.xml, CancelTask: bytes */
#define REASON_MAX 500

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

static void
settled_cb (ChoirTask *task, const GError *error, gpointer user_data)
{
  ChoirAdminCall *call = user_data;

  if (error != NULL)
    {
      choir_admin_call_fail (call, error);
      return;
    }

  choir_admin_call_log (call, "Task cancelled", CHOIR_LOG_TASK, choir_task_get_id (task), 1);
  choir_admin_call_return (call, NULL);
}

static void
cancel (ChoirAdminCall *call, ChoirTask *task, const char *reason)
{
  g_autoptr (GError) error = NULL;

  if (!choir_admin_check_reason (reason, REASON_MAX, &error))
    choir_admin_call_fail (call, error);
  else
    choir_task_table_cancel (choir_hub_get_tasks (call->hub), task, *reason != '\0' ? reason : NULL,
                             settled_cb, call);
}

static void
perform_cancel_task (ChoirAdminCall *call)
{
  const char *id, *reason;
  ChoirTask *task;

  g_variant_get (call->parameters, "(&s&s)", &id, &reason);

  task = choir_task_table_find (choir_hub_get_tasks (call->hub), id);
  if (task == NULL)
    choir_admin_call_fail_literal (call, CHOIR_ERROR_NOT_FOUND, "There is no such task");
  else
    cancel (call, task, reason);
}

static void
perform_cancel (ChoirAdminCall *call)
{
  ChoirTask *task = choir_admin_call_find_object (call);
  const char *reason;

  if (task == NULL)
    return;

  g_variant_get (call->parameters, "(&s)", &reason);
  cancel (call, task, reason);
}

const ChoirAdminMethod choir_admin_task_methods[] = {
  { CHOIR_ADMIN_MANAGER, "CancelTask", CHOIR_ADMIN_MANAGE_USERS, TRUE, perform_cancel_task, NULL },
  { CHOIR_ADMIN_TASK, "Cancel", CHOIR_ADMIN_MANAGE_USERS, FALSE, perform_cancel, NULL },
};

const guint choir_admin_task_n_methods = G_N_ELEMENTS (choir_admin_task_methods);
