/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-admin-call.h"

#include "choir-admin-private.h"
#include "choir-error.h"
#include "choir-log.h"
#include "choir-names.h"

#include <gio/gunixfdlist.h>
#include <string.h>
#include <unistd.h>

/* GDBus owns the invocation once it was answered */
static void
end_call (ChoirAdminCall *call)
{
  choir_admin_unref (call->admin);
  g_clear_object (&call->hub);
  g_free (call->kind);
  g_free (call->name);
  g_free (call);
}

/* Also a method that has nothing particular to say */
static void
ensure_logged (ChoirAdminCall *call)
{
  if (call->action != CHOIR_ADMIN_INSPECT && !call->logged)
    choir_admin_call_log (call, "Administration", CHOIR_LOG_METHOD,
                          g_dbus_method_invocation_get_method_name (call->invocation), 0);
}

/**
 * choir_admin_call_return:
 * @call: (transfer full): a call
 * @result: (transfer floating) (nullable): a tuple of what the method gives back; %NULL if nothing
 *
 * Answers a call; with an error instead if the bus has not taken what was answered before.
 */
void
choir_admin_call_return (ChoirAdminCall *call, GVariant *result)
{
  g_autoptr (GVariant) held = result != NULL ? g_variant_ref_sink (result) : NULL;

  if (call->admin->backlog != NULL && !choir_admin_backlog_add_answer (call->admin->backlog, held))
    {
      g_autoptr (GError) error =
        g_error_new_literal (G_DBUS_ERROR, G_DBUS_ERROR_LIMITS_EXCEEDED,
                             "Too much of what was answered has not been taken yet");

      choir_admin_call_fail (call, error);
      return;
    }

  ensure_logged (call);
  g_dbus_method_invocation_return_value (g_steal_pointer (&call->invocation), held);
  end_call (call);
}

/**
 * choir_admin_call_return_fd:
 * @call: (transfer full): a call of a method that gives one file descriptor back
 * @fd: (transfer full): the descriptor
 *
 * Answers a call; if the descriptor can't be passed on, with an error.
 */
void
choir_admin_call_return_fd (ChoirAdminCall *call, int fd)
{
  g_autoptr (GUnixFDList) fds = g_unix_fd_list_new ();
  g_autoptr (GError) error = NULL;
  /* the list takes a duplicate */
  int handle = g_unix_fd_list_append (fds, fd, &error);

  close (fd);
  if (handle < 0)
    {
      choir_admin_call_fail_literal (call, CHOIR_ERROR_UNAVAILABLE, "Out of file descriptors");
      return;
    }

  ensure_logged (call);
  g_dbus_method_invocation_return_value_with_unix_fd_list (g_steal_pointer (&call->invocation),
                                                           g_variant_new ("(h)", handle), fds);
  end_call (call);
}

/**
 * choir_admin_call_fail:
 * @call: (transfer full): a call
 * @error: why; of #ChoirError or #GDBusError
 *
 * Answers a call that can't be done.
 */
void
choir_admin_call_fail (ChoirAdminCall *call, const GError *error)
{
  g_dbus_method_invocation_return_gerror (g_steal_pointer (&call->invocation), error);
  end_call (call);
}

/**
 * choir_admin_call_fail_literal:
 * @call: (transfer full): a call
 * @code: of #ChoirError
 * @text: why, for the caller
 *
 * Answers a call that can't be done.
 */
void
choir_admin_call_fail_literal (ChoirAdminCall *call, int code, const char *text)
{
  g_autoptr (GError) error = g_error_new_literal (CHOIR_ERROR, code, text);

  choir_admin_call_fail (call, error);
}

/**
 * choir_admin_call_log:
 * @call: what is being done
 * @what: in words
 * @field: (nullable): a journal field, a CHOIR_LOG_ name
 * @target: (nullable): its value
 * @count: of those it happened to
 *
 * Notes in the log who did what, once; never what a message says or a token is.
 */
void
choir_admin_call_log (ChoirAdminCall *call,
                      const char *what,
                      const char *field,
                      const char *target,
                      guint count)
{
  g_autofree char *uid_text = g_strdup_printf ("%u", call->uid);
  g_autofree char *count_text = g_strdup_printf ("%u", count);

  call->logged = TRUE;
  choir_log (CHOIR_LOG_LEVEL_NOTICE, what, CHOIR_LOG_CALLER,
             g_dbus_method_invocation_get_sender (call->invocation), CHOIR_LOG_CALLER_UID, uid_text,
             CHOIR_LOG_COUNT, count_text, field, target, NULL);
}

/**
 * choir_admin_check_reason:
 * @reason: what somebody is told
 * @max_len: most bytes it may have
 * @error: return location: %CHOIR_ERROR_VALIDATION
 *
 * Returns: whether it is short enough
 */
gboolean
choir_admin_check_reason (const char *reason, gsize max_len, GError **error)
{
  if (strlen (reason) <= max_len)
    return TRUE;

  g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION,
               "The reason is longer than %" G_GSIZE_FORMAT " bytes of UTF-8", max_len);

  return FALSE;
}
