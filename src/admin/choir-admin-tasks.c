/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-admin-methods.h"
#include "choir-admin-object.h"
#include "choir-error.h"
#include "choir-names.h"

/* org.choir.Choir1.xml, CancelTask: bytes */
#define REASON_MAX 500

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

const ChoirAdminMethod choir_admin_tasks_methods[] = {
  { CHOIR_ADMIN_MANAGER, "CancelTask", CHOIR_ADMIN_MANAGE_USERS, TRUE, perform_cancel_task, NULL },
  { CHOIR_ADMIN_TASK, "Cancel", CHOIR_ADMIN_MANAGE_USERS, FALSE, perform_cancel, NULL },
};

const guint choir_admin_tasks_n_methods = G_N_ELEMENTS (choir_admin_tasks_methods);
