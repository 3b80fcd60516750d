/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-polkit.h"

#include <polkit/polkit.h>

struct _ChoirPolkit
{
  GObject parent_instance;

  PolkitAuthority *authority; /* (owned) (nullable): until it was found */
  GDBusConnection *bus;       /* (owned) (nullable): while it is looked for */
  GQueue waiting;             /* (element-type GTask) (owned): until it was found */
  gboolean looking;
};

G_DEFINE_FINAL_TYPE (ChoirPolkit, choir_polkit, G_TYPE_OBJECT)

typedef struct
{
  PolkitSubject *subject; /* (owned) */
  char *action_id;        /* (owned) */
  PolkitDetails *details; /* (owned) */
  PolkitCheckAuthorizationFlags flags;
  GSource *cancelled; /* (owned) (nullable): while it waits for polkit to be found */
} Question;

static void
question_stop_waiting (Question *question)
{
  if (question->cancelled == NULL)
    return;

  g_source_destroy (question->cancelled);
  g_clear_pointer (&question->cancelled, g_source_unref);
}

static void
question_free (gpointer data)
{
  Question *question = data;

  question_stop_waiting (question);
  g_object_unref (question->subject);
  g_object_unref (question->details);
  g_free (question->action_id);
  g_free (question);
}

static void
answered_cb (GObject *object, GAsyncResult *async_result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  ChoirPolkit *self = g_task_get_source_object (task);
  g_autoptr (GError) error = NULL;
  g_autoptr (PolkitAuthorizationResult) result = NULL;
  ChoirPolkitAnswer answer = CHOIR_POLKIT_NO;

  result =
    polkit_authority_check_authorization_finish (POLKIT_AUTHORITY (object), async_result, &error);

  if (result == NULL && !g_error_matches (error, POLKIT_ERROR, POLKIT_ERROR_CANCELLED))
    {
      /* of no use once its connection is closed */
      if (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CLOSED))
        g_clear_object (&self->authority);
      g_task_return_error (task, g_steal_pointer (&error));
      return;
    }

  if (result == NULL || polkit_authorization_result_get_dismissed (result))
    answer = CHOIR_POLKIT_DISMISSED;
  else if (polkit_authorization_result_get_is_authorized (result))
    answer = CHOIR_POLKIT_YES;
  else if (polkit_authorization_result_get_is_challenge (result))
    answer = CHOIR_POLKIT_CHALLENGE;

  g_task_return_int (task, answer);
}

static void
ask (ChoirPolkit *self, GTask *task)
{
  const Question *question = g_task_get_task_data (task);

  polkit_authority_check_authorization (
    self->authority, question->subject, question->action_id, question->details, question->flags,
    g_task_get_cancellable (task), answered_cb, g_object_ref (task));
}

static void
end_search (ChoirPolkit *self, const GError *error)
{
  GTask *waiting;

  self->looking = FALSE;
  g_clear_object (&self->bus);

  while ((waiting = g_queue_pop_head (&self->waiting)) != NULL)
    {
      g_autoptr (GTask) task = waiting;

      question_stop_waiting (g_task_get_task_data (task));
      if (error != NULL)
        g_task_return_error (task, g_error_copy (error));
      else
        ask (self, task);
    }
}

static void
got_authority_cb (GObject *object, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (ChoirPolkit) self = user_data;
  g_autoptr (GError) error = NULL;

  self->authority = polkit_authority_get_finish (result, &error);
  end_search (self, error);
}

static void
got_bus_cb (GObject *object, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (ChoirPolkit) self = user_data;
  g_autoptr (GError) error = NULL;

  self->bus = g_bus_get_finish (result, &error);
  if (self->bus == NULL)
    {
      end_search (self, error);
      return;
    }

  /* polkit's library takes this same connection, and GIO would end the process with it */
  g_dbus_connection_set_exit_on_close (self->bus, FALSE);
  polkit_authority_get_async (NULL, got_authority_cb, g_steal_pointer (&self));
}

/* The library holds a lock for as long as its thread looks for polkit, and would stop the loop at
 * it: nothing else is asked of it meanwhile */
static void
search (ChoirPolkit *self)
{
  if (self->looking)
    return;

  self->looking = TRUE;
  g_bus_get (G_BUS_TYPE_SYSTEM, NULL, got_bus_cb, g_object_ref (self));
}

static gboolean
cancelled_cb (GCancellable *cancellable, gpointer user_data)
{
  g_autoptr (GTask) task = user_data; /* what the queue owned */
  ChoirPolkit *self = g_task_get_source_object (task);

  g_queue_remove (&self->waiting, task);
  question_stop_waiting (g_task_get_task_data (task));
  g_task_return_error_if_cancelled (task);

  return G_SOURCE_REMOVE;
}

static void
await_search (ChoirPolkit *self, GTask *task)
{
  Question *question = g_task_get_task_data (task);

  g_queue_push_tail (&self->waiting, g_object_ref (task));
  if (g_task_get_cancellable (task) != NULL)
    {
      question->cancelled = g_cancellable_source_new (g_task_get_cancellable (task));
      g_source_set_callback (question->cancelled, G_SOURCE_FUNC (cancelled_cb), task, NULL);
      g_source_attach (question->cancelled, g_main_context_get_thread_default ());
    }

  search (self);
}

/**
 * choir_polkit_check_async:
 * @self: a polkit
 * @sender: a unique name on the system bus
 * @action_id: what it wants to have done
 * @details: keys and values in turn, %NULL-terminated, for the dialogue's text
 * @interactive: whether a person may be asked, however long that takes
 * @cancellable: (nullable): takes the dialogue away too
 * @callback: called in the main context
 * @user_data: for @callback
 */
void
choir_polkit_check_async (ChoirPolkit *self,
                          const char *sender,
                          const char *action_id,
                          const char *const *details,
                          gboolean interactive,
                          GCancellable *cancellable,
                          GAsyncReadyCallback callback,
                          gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (self, cancellable, callback, user_data);
  Question *question = g_new0 (Question, 1);

  question->subject = polkit_system_bus_name_new (sender);
  question->action_id = g_strdup (action_id);
  question->details = polkit_details_new ();
  for (guint i = 0; details[i] != NULL; i += 2)
    polkit_details_insert (question->details, details[i], details[i + 1]);
  if (interactive)
    question->flags = POLKIT_CHECK_AUTHORIZATION_FLAGS_ALLOW_USER_INTERACTION;

  g_task_set_source_tag (task, choir_polkit_check_async);
  g_task_set_task_data (task, question, question_free);

  if (self->authority != NULL)
    ask (self, task);
  else
    await_search (self, task);
}

/**
 * choir_polkit_check_finish:
 * @self: a polkit
 * @result: what the callback got
 * @answer: (out): what polkit says
 * @error: return location: %G_IO_ERROR_CANCELLED, or why there is no answer
 *
 * Returns: whether there is an answer
 */
gboolean
choir_polkit_check_finish (ChoirPolkit *self,
                           GAsyncResult *result,
                           ChoirPolkitAnswer *answer,
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

  *answer = (ChoirPolkitAnswer) value;

  return TRUE;
}

static void
choir_polkit_dispose (GObject *object)
{
  ChoirPolkit *self = CHOIR_POLKIT (object);

  g_clear_object (&self->authority);
  g_clear_object (&self->bus);

  G_OBJECT_CLASS (choir_polkit_parent_class)->dispose (object);
}

static void
choir_polkit_class_init (ChoirPolkitClass *klass)
{
  G_OBJECT_CLASS (klass)->dispose = choir_polkit_dispose;
}

static void
choir_polkit_init (ChoirPolkit *self)
{
  g_queue_init (&self->waiting);
}

/**
 * choir_polkit_new:
 *
 * Returns: (transfer full): to ask with; nothing was asked yet
 */
ChoirPolkit *
choir_polkit_new (void)
{
  return g_object_new (CHOIR_TYPE_POLKIT, NULL);
}
