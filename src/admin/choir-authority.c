/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-authority.h"

#include "choir-asker.h"
#include "choir-clock.h"
#include "choir-log.h"
#include "choir-names.h"
#include "choir-rate-limit.h"

#include <unistd.h>

/* The bus daemon answers from its own memory */
#define ANSWER_TIMEOUT_MS 5000
/* Lines a stranger can have logged */
#define REFUSALS_LOGGED "10/10s;100/10m"

struct _ChoirAuthority
{
  GObject parent_instance;

  ChoirBusChoice bus;
  guint n_checks;
  GHashTable *callers; /* (owned) (element-type utf8 guint): unique name to checks under way */

  ChoirRateRule *refusal_rule; /* (owned) */
  ChoirRateMeter refusals;
  guint n_unlogged; /* refusals since the last one that was */

  ChoirAsker *asker; /* (owned) */
};

G_DEFINE_FINAL_TYPE (ChoirAuthority, choir_authority, G_TYPE_OBJECT)

/* One call under way */
typedef struct
{
  GDBusMethodInvocation *invocation; /* (owned) */
  ChoirAdminAction action;
  char *target; /* (owned) (nullable) */
  guint32 uid;  /* once it is known */
  char uid_text[12];
} Check;

static const char *const action_ids[] = {
  [CHOIR_ADMIN_INSPECT] = "org.choir.Choir1.inspect",
  [CHOIR_ADMIN_READ_CONTENT] = "org.choir.Choir1.read-content",
  [CHOIR_ADMIN_MESSAGE] = "org.choir.Choir1.message",
  [CHOIR_ADMIN_MANAGE_USERS] = "org.choir.Choir1.manage-users",
  [CHOIR_ADMIN_MANAGE_SERVICE] = "org.choir.Choir1.manage-service",
};

G_STATIC_ASSERT (G_N_ELEMENTS (action_ids) == CHOIR_N_ADMIN_ACTIONS);

static const GDBusErrorEntry error_entries[] = {
  { CHOIR_AUTHORITY_ERROR_INTERACTION_REQUIRED,
    "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired" },
};

G_STATIC_ASSERT (G_N_ELEMENTS (error_entries) == CHOIR_N_AUTHORITY_ERRORS);

GQuark
choir_authority_error_quark (void)
{
  static gsize quark;

  g_dbus_error_register_error_domain ("choir-authority-error-quark", &quark, error_entries,
                                      G_N_ELEMENTS (error_entries));

  return (GQuark) quark;
}

/**
 * choir_admin_action_get_id:
 * @action: what a call does
 *
 * Returns: (transfer none): its name in polkit
 */
const char *
choir_admin_action_get_id (ChoirAdminAction action)
{
  g_return_val_if_fail (action < CHOIR_N_ADMIN_ACTIONS, NULL);

  return action_ids[action];
}

static void
check_free (gpointer data)
{
  Check *check = data;

  g_object_unref (check->invocation);
  g_free (check->target);
  g_free (check);
}

/* Counters by name, in a table that holds no zero */

static gboolean
count_up (GHashTable *table, const char *name, guint max)
{
  guint n = GPOINTER_TO_UINT (g_hash_table_lookup (table, name));

  if (n >= max)
    return FALSE;

  g_hash_table_insert (table, g_strdup (name), GUINT_TO_POINTER (n + 1));

  return TRUE;
}

static void
count_down (GHashTable *table, const char *name)
{
  guint n = GPOINTER_TO_UINT (g_hash_table_lookup (table, name));

  if (n > 1)
    g_hash_table_insert (table, g_strdup (name), GUINT_TO_POINTER (n - 1));
  else
    g_hash_table_remove (table, name);
}

/* One more check of @sender; who has none under way is heard even where others have too many */
static gboolean
check_begin (ChoirAuthority *self, const char *sender)
{
  gboolean is_full = self->n_checks >= CHOIR_AUTHORITY_CHECKS_MAX;
  guint max = is_full ? 1 : CHOIR_AUTHORITY_CALLER_MAX;

  if (g_hash_table_size (self->callers) >= CHOIR_AUTHORITY_CALLERS_MAX ||
      !count_up (self->callers, sender, max))
    return FALSE;

  self->n_checks++;

  return TRUE;
}

/* The caller's leave is decided on: nothing is under way for it any more */
static void
check_end (ChoirAuthority *self, Check *check)
{
  self->n_checks--;
  count_down (self->callers, g_dbus_method_invocation_get_sender (check->invocation));
}

static void
log_refusal (ChoirAuthority *self, const Check *check)
{
  gint64 now_us = choir_clock_monotonic_us ();
  g_autofree char *unlogged = NULL;

  if (choir_rate_meter_take (&self->refusals, self->refusal_rule, now_us) > 0)
    {
      self->n_unlogged++;
      return;
    }

  if (self->n_unlogged > 0)
    unlogged = g_strdup_printf ("%u", self->n_unlogged);
  self->n_unlogged = 0;

  choir_log (CHOIR_LOG_LEVEL_NOTICE, "Administration refused to a stranger", CHOIR_LOG_CALLER,
             g_dbus_method_invocation_get_sender (check->invocation), CHOIR_LOG_CALLER_UID,
             check->uid_text, CHOIR_LOG_METHOD,
             g_dbus_method_invocation_get_method_name (check->invocation), CHOIR_LOG_ACTION,
             action_ids[check->action], CHOIR_LOG_UNLOGGED, unlogged, NULL);
}

/* @error: (transfer full) */
static void
refuse (GTask *task, GError *error)
{
  ChoirAuthority *self = g_task_get_source_object (task);
  Check *check = g_task_get_task_data (task);

  check_end (self, check);
  if (g_error_matches (error, G_DBUS_ERROR, G_DBUS_ERROR_ACCESS_DENIED))
    log_refusal (self, check);
  g_task_return_error (task, error);
}

static void
deny (GTask *task, const char *text)
{
  refuse (task, g_error_new_literal (G_DBUS_ERROR, G_DBUS_ERROR_ACCESS_DENIED, text));
}

static void
allow (GTask *task)
{
  const Check *check = g_task_get_task_data (task);

  check_end (g_task_get_source_object (task), g_task_get_task_data (task));
  g_task_return_int (task, check->uid);
}

static void
asked_cb (GObject *object, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  g_autoptr (GError) error = NULL;

  if (choir_asker_ask_finish (CHOIR_ASKER (object), result, &error))
    allow (task);
  else
    refuse (task, g_steal_pointer (&error));
}

static void
judge (ChoirAuthority *self, GTask *task)
{
  const Check *check = g_task_get_task_data (task);

  if (check->uid == 0 || (self->bus == CHOIR_BUS_SESSION && check->uid == geteuid ()))
    {
      allow (task);
      return;
    }

  if (self->bus == CHOIR_BUS_SESSION)
    {
      deny (task, "Only root and the service's own user may do this");
      return;
    }

  choir_asker_ask_async (self->asker, check->invocation, check->uid, action_ids[check->action],
                         check->target, g_task_get_cancellable (task), asked_cb,
                         g_object_ref (task));
}

static void
got_uid_cb (GObject *object, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  ChoirAuthority *self = g_task_get_source_object (task);
  Check *check = g_task_get_task_data (task);
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) answer = NULL;

  answer = g_dbus_connection_call_finish (G_DBUS_CONNECTION (object), result, &error);
  if (answer == NULL)
    {
      check_end (self, check);
      g_task_return_new_error (task, G_DBUS_ERROR, G_DBUS_ERROR_ACCESS_DENIED,
                               "Could not find out who is calling");
      return;
    }

  g_variant_get (answer, "(u)", &check->uid);
  g_snprintf (check->uid_text, sizeof check->uid_text, "%u", check->uid);
  judge (self, task);
}

/**
 * choir_authority_check_async:
 * @self: an authority
 * @invocation: (transfer none): a call that waits for leave; must stay unanswered until @callback
 * @action: what it would do
 * @target: (nullable): on what, for the person who is asked for a password
 * @cancellable: (nullable): a #GCancellable
 * @callback: called in the main context
 * @user_data: for @callback
 *
 * Finds out whether the caller may have @action done. A person is asked only if the message allows
 * it, and for five minutes at most.
 */
void
choir_authority_check_async (ChoirAuthority *self,
                             GDBusMethodInvocation *invocation,
                             ChoirAdminAction action,
                             const char *target,
                             GCancellable *cancellable,
                             GAsyncReadyCallback callback,
                             gpointer user_data)
{
  g_autoptr (GTask) task = NULL;
  const char *sender = g_dbus_method_invocation_get_sender (invocation);
  Check *check;

  g_return_if_fail (action < CHOIR_N_ADMIN_ACTIONS);

  check = g_new0 (Check, 1);
  check->invocation = g_object_ref (invocation);
  check->action = action;
  check->target = g_strdup (target);

  task = g_task_new (self, cancellable, callback, user_data);
  g_task_set_source_tag (task, choir_authority_check_async);
  g_task_set_task_data (task, check, check_free);

  if (sender == NULL)
    {
      g_task_return_new_error (task, G_DBUS_ERROR, G_DBUS_ERROR_ACCESS_DENIED,
                               "Only calls over a message bus are taken");
      return;
    }

  if (!check_begin (self, sender))
    {
      g_task_return_new_error (task, G_DBUS_ERROR, G_DBUS_ERROR_LIMITS_EXCEEDED,
                               "Too many calls are waiting");
      return;
    }

  g_dbus_connection_call (g_dbus_method_invocation_get_connection (invocation),
                          "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
                          "GetConnectionUnixUser", g_variant_new ("(s)", sender),
                          G_VARIANT_TYPE ("(u)"), G_DBUS_CALL_FLAGS_NO_AUTO_START,
                          ANSWER_TIMEOUT_MS, cancellable, got_uid_cb, g_steal_pointer (&task));
}

/**
 * choir_authority_check_finish:
 * @self: an authority
 * @result: what the callback got
 * @uid: (out): who calls
 * @error: return location: %G_DBUS_ERROR_ACCESS_DENIED, %G_DBUS_ERROR_LIMITS_EXCEEDED,
 *   %CHOIR_AUTHORITY_ERROR_INTERACTION_REQUIRED or %G_IO_ERROR_CANCELLED
 *
 * Returns: whether the call may go on
 */
gboolean
choir_authority_check_finish (ChoirAuthority *self,
                              GAsyncResult *result,
                              guint32 *uid,
                              GError **error)
{
  g_autoptr (GError) failure = NULL;
  gssize value;

  g_return_val_if_fail (g_task_is_valid (result, self), FALSE);

  value = g_task_propagate_int (G_TASK (result), &failure);
  if (failure != NULL)
    {
      g_propagate_error (error, g_steal_pointer (&failure));
      return FALSE;
    }

  *uid = (guint32) value;

  return TRUE;
}

static void
choir_authority_finalize (GObject *object)
{
  ChoirAuthority *self = CHOIR_AUTHORITY (object);

  g_clear_object (&self->asker);
  g_hash_table_unref (self->callers);
  choir_rate_meter_clear (&self->refusals);
  choir_rate_rule_unref (self->refusal_rule);

  G_OBJECT_CLASS (choir_authority_parent_class)->finalize (object);
}

static void
choir_authority_class_init (ChoirAuthorityClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = choir_authority_finalize;
}

static void
choir_authority_init (ChoirAuthority *self)
{
  self->callers = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  self->refusal_rule = choir_rate_rule_parse (REFUSALS_LOGGED, NULL);
  self->asker = choir_asker_new ();
}

/**
 * choir_authority_new:
 * @bus: which bus the calls come from
 *
 * Returns: (transfer full): an authority
 */
ChoirAuthority *
choir_authority_new (ChoirBusChoice bus)
{
  ChoirAuthority *self = g_object_new (CHOIR_TYPE_AUTHORITY, NULL);

  self->bus = bus;

  return self;
}
