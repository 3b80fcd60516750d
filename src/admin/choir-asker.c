/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-asker.h"

#include "choir-authority.h"
#include "choir-clock.h"
#include "choir-log.h"
#include "choir-names.h"
#include "choir-polkit.h"

/* Callers wait for 25 s, unless they know that a person is asked */
#define QUESTION_TIMEOUT_MS (20 * 1000)
#define DIALOG_TIMEOUT_MS (5 * 60 * 1000)
/* Characters of what a person is told the call is about */
#define TARGET_MAX 64
/* A polkit that comes and goes is not logged more often than that */
#define SAID_US (60 * G_USEC_PER_SEC)

struct _ChoirAsker
{
  GObject parent_instance;

  guint question_timeout_ms;
  guint dialog_timeout_ms;
  guint n_questions;
  GHashTable *users; /* (owned): uid to questions under way */
  gint64 missing_us; /* when it was said that polkit gives no answer; 0: it does */
};

G_DEFINE_FINAL_TYPE (ChoirAsker, choir_asker, G_TYPE_OBJECT)

/* One under way */
typedef struct
{
  guint32 uid;
  GCancellable *cancellable; /* (owned): ends it, for whatever reason */
  gulong outer_id;           /* on the cancellable of the task */
  guint watch_id;
  guint timeout_id;
} Question;

static void
question_free (gpointer data)
{
  Question *question = data;

  g_object_unref (question->cancellable);
  g_free (question);
}

static gboolean
count_up (ChoirAsker *self, guint32 uid)
{
  guint n = GPOINTER_TO_UINT (g_hash_table_lookup (self->users, GUINT_TO_POINTER (uid)));

  if (self->n_questions >= CHOIR_ASKER_QUESTIONS_MAX || n >= CHOIR_ASKER_USER_MAX)
    return FALSE;

  self->n_questions++;
  g_hash_table_insert (self->users, GUINT_TO_POINTER (uid), GUINT_TO_POINTER (n + 1));

  return TRUE;
}

static void
count_down (ChoirAsker *self, guint32 uid)
{
  guint n = GPOINTER_TO_UINT (g_hash_table_lookup (self->users, GUINT_TO_POINTER (uid)));

  self->n_questions--;
  if (n > 1)
    g_hash_table_insert (self->users, GUINT_TO_POINTER (uid), GUINT_TO_POINTER (n - 1));
  else
    g_hash_table_remove (self->users, GUINT_TO_POINTER (uid));
}

/* Once, until polkit has answered again */
static void
say_missing (ChoirAsker *self, const GError *error)
{
  if (self->missing_us != 0)
    return;

  self->missing_us = choir_clock_monotonic_us ();
  choir_log (CHOIR_LOG_LEVEL_WARNING,
             "polkit gives no answer; until it does, root alone steers the service",
             CHOIR_LOG_ERROR, error->message, NULL);
}

static void
say_found (ChoirAsker *self)
{
  if (self->missing_us == 0 || choir_clock_monotonic_us () - self->missing_us < SAID_US)
    return;

  self->missing_us = 0;
  choir_log (CHOIR_LOG_LEVEL_INFO, "polkit answers again", NULL);
}

/* A name that a stranger chose, fit to be put before a person */
static char *
describe_target (const char *target)
{
  g_autofree char *valid = g_utf8_make_valid (target, -1);
  GString *text = g_string_new (NULL);
  glong n = 0;

  for (const char *c = valid; *c != '\0'; c = g_utf8_next_char (c))
    {
      gunichar character = g_utf8_get_char (c);

      if (n++ == TARGET_MAX)
        {
          g_string_append (text, "…");
          break;
        }

      g_string_append_unichar (text, g_unichar_isprint (character) ? character : '?');
    }

  return g_string_free (text, FALSE);
}

static void
question_end (GTask *task)
{
  Question *question = g_task_get_task_data (task);

  count_down (g_task_get_source_object (task), question->uid);
  g_cancellable_disconnect (g_task_get_cancellable (task), question->outer_id);
  g_clear_handle_id (&question->watch_id, g_bus_unwatch_name);
  g_clear_handle_id (&question->timeout_id, g_source_remove);
}

static void
refuse (GTask *task, const char *text)
{
  g_task_return_new_error (task, G_DBUS_ERROR, G_DBUS_ERROR_ACCESS_DENIED, "%s", text);
}

static void
answered_cb (GObject *object, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  ChoirAsker *self = g_task_get_source_object (task);
  g_autoptr (GError) error = NULL;
  ChoirPolkitAnswer answer;

  question_end (task);

  if (!choir_polkit_check_finish (result, &answer, &error))
    {
      /* of a bus that is gone is told elsewhere */
      if (!g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED) &&
          !g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CLOSED))
        say_missing (self, error);
      refuse (task, "Only root may do this while polkit gives no answer");
      return;
    }

  say_found (self);

  switch (answer)
    {
    case CHOIR_POLKIT_YES:
      g_task_return_boolean (task, TRUE);
      break;

    case CHOIR_POLKIT_CHALLENGE:
      g_task_return_new_error (task, CHOIR_AUTHORITY_ERROR,
                               CHOIR_AUTHORITY_ERROR_INTERACTION_REQUIRED,
                               "This takes a password, and there was nobody to ask for it");
      break;

    case CHOIR_POLKIT_DISMISSED:
      refuse (task, "The question for a password was dismissed");
      break;

    case CHOIR_POLKIT_NO:
    default:
      refuse (task, "polkit does not let you do this");
      break;
    }
}

static void
outer_cancelled_cb (GCancellable *outer, gpointer inner)
{
  g_cancellable_cancel (inner);
}

static void
caller_vanished_cb (GDBusConnection *connection, const char *name, gpointer cancellable)
{
  g_cancellable_cancel (cancellable);
}

static gboolean
timeout_cb (gpointer user_data)
{
  Question *question = user_data;

  question->timeout_id = 0;
  g_cancellable_cancel (question->cancellable);

  return G_SOURCE_REMOVE;
}

static gboolean
allows_interaction (GDBusMethodInvocation *invocation)
{
  GDBusMessage *message = g_dbus_method_invocation_get_message (invocation);

  return (g_dbus_message_get_flags (message) &
          G_DBUS_MESSAGE_FLAGS_ALLOW_INTERACTIVE_AUTHORIZATION) != 0;
}

/* Whatever ends a question but its answer */
static void
watch (GTask *task, GDBusMethodInvocation *invocation, guint timeout_ms)
{
  Question *question = g_task_get_task_data (task);

  question->timeout_id = g_timeout_add (timeout_ms, timeout_cb, question);
  question->watch_id = g_bus_watch_name_on_connection (
    g_dbus_method_invocation_get_connection (invocation),
    g_dbus_method_invocation_get_sender (invocation), G_BUS_NAME_WATCHER_FLAGS_NONE, NULL,
    caller_vanished_cb, g_object_ref (question->cancellable), g_object_unref);

  if (g_task_get_cancellable (task) != NULL)
    question->outer_id =
      g_cancellable_connect (g_task_get_cancellable (task), G_CALLBACK (outer_cancelled_cb),
                             g_object_ref (question->cancellable), g_object_unref);
}

/**
 * choir_asker_ask_async:
 * @self: an asker
 * @invocation: (transfer none): a call over the system bus
 * @uid: who calls
 * @action_id: what it would do
 * @target: (nullable): on what, for the person who is asked for a password
 * @cancellable: (nullable): a #GCancellable
 * @callback: called in the main context
 * @user_data: for @callback
 *
 * A person is asked only if the message allows it, and for five minutes at most.
 */
void
choir_asker_ask_async (ChoirAsker *self,
                       GDBusMethodInvocation *invocation,
                       guint32 uid,
                       const char *action_id,
                       const char *target,
                       GCancellable *cancellable,
                       GAsyncReadyCallback callback,
                       gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (self, cancellable, callback, user_data);
  const char *method = g_dbus_method_invocation_get_method_name (invocation);
  gboolean interactive = allows_interaction (invocation);
  g_autofree char *shown = describe_target (target != NULL ? target : "");
  g_autofree char *call = g_strdup_printf ("%s%s%s", method, *shown != '\0' ? " " : "", shown);
  const char *const details[] = { "method", method, "target", shown, "call", call, NULL };
  Question *question;

  g_task_set_source_tag (task, choir_asker_ask_async);

  if (!count_up (self, uid))
    {
      g_task_return_new_error (task, G_DBUS_ERROR, G_DBUS_ERROR_LIMITS_EXCEEDED,
                               "Too many calls wait for polkit");
      return;
    }

  question = g_new0 (Question, 1);
  question->uid = uid;
  question->cancellable = g_cancellable_new ();
  g_task_set_task_data (task, question, question_free);

  watch (task, invocation, interactive ? self->dialog_timeout_ms : self->question_timeout_ms);
  choir_polkit_check_async (g_dbus_method_invocation_get_connection (invocation),
                            g_dbus_method_invocation_get_sender (invocation), action_id, details,
                            interactive, question->cancellable, answered_cb,
                            g_steal_pointer (&task));
}

/**
 * choir_asker_ask_finish:
 * @self: an asker
 * @result: what the callback got
 * @error: return location: %G_DBUS_ERROR_ACCESS_DENIED, %G_DBUS_ERROR_LIMITS_EXCEEDED,
 *   %CHOIR_AUTHORITY_ERROR_INTERACTION_REQUIRED or %G_IO_ERROR_CANCELLED
 *
 * Returns: whether the caller may
 */
gboolean
choir_asker_ask_finish (ChoirAsker *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, self), FALSE);

  return g_task_propagate_boolean (G_TASK (result), error);
}

static void
choir_asker_finalize (GObject *object)
{
  ChoirAsker *self = CHOIR_ASKER (object);

  g_hash_table_unref (self->users);

  G_OBJECT_CLASS (choir_asker_parent_class)->finalize (object);
}

static void
choir_asker_class_init (ChoirAskerClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = choir_asker_finalize;
}

static void
choir_asker_init (ChoirAsker *self)
{
  self->users = g_hash_table_new (NULL, NULL);
  choir_asker_set_timeouts (self, QUESTION_TIMEOUT_MS, DIALOG_TIMEOUT_MS);
}

/**
 * choir_asker_new:
 *
 * Returns: (transfer full): polkit is asked nothing yet
 */
ChoirAsker *
choir_asker_new (void)
{
  return g_object_new (CHOIR_TYPE_ASKER, NULL);
}

/**
 * choir_asker_set_timeouts:
 * @self: an asker
 * @question_ms: how long polkit may take by itself, in milliseconds
 * @dialog_ms: how long a person may take
 *
 * For tests that can't wait.
 */
void
choir_asker_set_timeouts (ChoirAsker *self, guint question_ms, guint dialog_ms)
{
  self->question_timeout_ms = question_ms;
  self->dialog_timeout_ms = dialog_ms;
}
