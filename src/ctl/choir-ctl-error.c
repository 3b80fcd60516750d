/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-ctl-error.h"

#include <gio/gio.h>
#include <glib/gi18n.h>
#include <string.h>

G_DEFINE_QUARK (choir - ctl - error, choir_ctl_error)

#define BUS_ERROR(name) "org.freedesktop.DBus.Error." name
#define OWN_ERROR(name) "org.choir.Choir1.Error." name

/* The plain sentence stands for the text that came over the bus where that helps nobody */
static const struct
{
  const char *name;
  ChoirCtlExit status;
  const char *sentence; /* (nullable): the service's own text is the sentence */
} bus_errors[] = {
  { BUS_ERROR ("ServiceUnknown"), CHOIR_CTL_NO_SERVICE,
    N_ ("Choir is not running on this bus; start it with “systemctl start choir”, or "
        "choir@NODE for a node, or say with --session, --address, --node or --host where it is") },
  { BUS_ERROR ("NameHasNoOwner"), CHOIR_CTL_NO_SERVICE,
    N_ ("Choir is not running on this bus; start it with “systemctl start choir”, or "
        "choir@NODE for a node, or say with --session, --address, --node or --host where it is") },
  { BUS_ERROR ("NoReply"), CHOIR_CTL_NO_SERVICE,
    N_ ("Choir went away before it answered; “systemctl status choir” tells why") },
  { BUS_ERROR ("Disconnected"), CHOIR_CTL_NO_SERVICE, N_ ("The bus has closed the connection") },
  { BUS_ERROR ("AccessDenied"), CHOIR_CTL_NOT_ALLOWED,
    N_ ("You are not allowed to do that; ask as root, or as a member of the group “choir”") },
  { BUS_ERROR ("AuthFailed"), CHOIR_CTL_NOT_ALLOWED,
    N_ ("You are not allowed to do that; ask as root, or as a member of the group “choir”") },
  { BUS_ERROR ("InteractiveAuthorizationRequired"), CHOIR_CTL_NOT_ALLOWED,
    N_ ("That needs a password; ask from a terminal and without --no-ask-password, or as root") },
  { BUS_ERROR ("UnknownObject"), CHOIR_CTL_NOT_FOUND, NULL },
  { BUS_ERROR ("UnknownMethod"), CHOIR_CTL_FAILED,
    N_ ("The Choir that is running does not know how to do that; it is of another version than "
        "choirctl") },
  { BUS_ERROR ("UnknownInterface"), CHOIR_CTL_FAILED,
    N_ ("The Choir that is running does not know how to do that; it is of another version than "
        "choirctl") },
  { BUS_ERROR ("Timeout"), CHOIR_CTL_TIMED_OUT,
    N_ ("Choir has not answered in time; --timeout gives it longer") },
  { BUS_ERROR ("TimedOut"), CHOIR_CTL_TIMED_OUT,
    N_ ("Choir has not answered in time; --timeout gives it longer") },
  { OWN_ERROR ("PermissionDenied"), CHOIR_CTL_NOT_ALLOWED, NULL },
  { OWN_ERROR ("Auth"), CHOIR_CTL_NOT_ALLOWED, NULL },
  { OWN_ERROR ("NotFound"), CHOIR_CTL_NOT_FOUND, NULL },
  { OWN_ERROR ("UnknownChannel"), CHOIR_CTL_NOT_FOUND, NULL },
  { OWN_ERROR ("Timeout"), CHOIR_CTL_TIMED_OUT, NULL },
  { OWN_ERROR ("InvalidArgs"), CHOIR_CTL_USAGE, NULL },
  { OWN_ERROR ("InvalidJson"), CHOIR_CTL_USAGE, NULL },
  { OWN_ERROR ("InvalidMessage"), CHOIR_CTL_USAGE, NULL },
  { OWN_ERROR ("InvalidMessageType"), CHOIR_CTL_USAGE, NULL },
};

/* systemd starts the service when it is asked for, and says so when it could not */
static gboolean
is_start_failure (const char *name)
{
  return g_str_has_prefix (name, BUS_ERROR ("Spawn.")) ||
         g_str_has_prefix (name, "org.freedesktop.systemd1.");
}

static void
translate_remote (const GError *problem, const char *name, GError **error)
{
  g_autoptr (GError) bare = g_error_copy (problem);

  g_dbus_error_strip_remote_error (bare);

  for (guint i = 0; i < G_N_ELEMENTS (bus_errors); i++)
    if (strcmp (name, bus_errors[i].name) == 0)
      {
        g_set_error_literal (error, CHOIR_CTL_ERROR, bus_errors[i].status,
                             bus_errors[i].sentence != NULL ? _ (bus_errors[i].sentence)
                                                            : bare->message);
        return;
      }

  if (is_start_failure (name))
    g_set_error (error, CHOIR_CTL_ERROR, CHOIR_CTL_NO_SERVICE,
                 _ ("Choir could not be started: %s; “systemctl status choir” tells why"),
                 bare->message);
  else
    g_set_error_literal (error, CHOIR_CTL_ERROR, CHOIR_CTL_FAILED, bare->message);
}

/**
 * choir_ctl_error_translate:
 * @problem: an error of GDBus, from the service, the bus or on the way there
 * @error: return location, of %CHOIR_CTL_ERROR
 *
 * Turns it into a sentence for people and a code to exit with.
 */
void
choir_ctl_error_translate (const GError *problem, GError **error)
{
  g_autofree char *name = g_dbus_error_get_remote_error (problem);

  if (problem->domain == CHOIR_CTL_ERROR)
    g_propagate_error (error, g_error_copy (problem));
  else if (name != NULL)
    translate_remote (problem, name, error);
  else if (g_error_matches (problem, G_IO_ERROR, G_IO_ERROR_TIMED_OUT))
    g_set_error_literal (error, CHOIR_CTL_ERROR, CHOIR_CTL_TIMED_OUT,
                         _ ("Choir has not answered in time; --timeout gives it longer"));
  else if (g_error_matches (problem, G_IO_ERROR, G_IO_ERROR_CLOSED))
    g_set_error_literal (error, CHOIR_CTL_ERROR, CHOIR_CTL_NO_SERVICE,
                         _ ("The bus has closed the connection"));
  else if (g_error_matches (problem, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT))
    g_set_error_literal (error, CHOIR_CTL_ERROR, CHOIR_CTL_FAILED,
                         _ ("The answer is not understood; the Choir that is running is of "
                            "another version than choirctl"));
  else
    g_set_error_literal (error, CHOIR_CTL_ERROR, CHOIR_CTL_FAILED, problem->message);
}

/**
 * choir_ctl_error_set_no_connection:
 * @error: return location, of %CHOIR_CTL_ERROR
 *
 * Of a user whom a verb was about, and who is not there: the service counts 0 and is content.
 */
void
choir_ctl_error_set_no_connection (GError **error)
{
  g_set_error_literal (error, CHOIR_CTL_ERROR, CHOIR_CTL_NOT_FOUND, _ ("Has no connection"));
}

/**
 * choir_ctl_error_get_status:
 * @error: any error
 *
 * Returns: what to exit with
 */
ChoirCtlExit
choir_ctl_error_get_status (const GError *error)
{
  if (error->domain == CHOIR_CTL_ERROR)
    return error->code;

  return error->domain == G_OPTION_ERROR ? CHOIR_CTL_USAGE : CHOIR_CTL_FAILED;
}
