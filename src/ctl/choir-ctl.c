/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-ctl.h"

/**
 * choir_ctl_call_object:
 * @self: the options and the bus
 * @path: the object
 * @interface: the interface's whole name
 * @method: the method
 * @parameters: (nullable): its arguments, a tuple; a floating one is taken
 * @reply_type: what must come back, a tuple's type
 * @fds: (out) (optional) (nullable) (transfer full): descriptors that came with the answer
 * @error: return location, of %CHOIR_CTL_ERROR
 *
 * Calls a method of the service and waits for the answer, as long as `--timeout` says.
 *
 * Returns: (transfer full): the answer, or %NULL
 */
GVariant *
choir_ctl_call_object (ChoirCtl *self,
                       const char *path,
                       const char *interface,
                       const char *method,
                       GVariant *parameters,
                       const char *reply_type,
                       GUnixFDList **fds,
                       GError **error)
{
  g_autoptr (GVariant) arguments = parameters != NULL ? g_variant_ref_sink (parameters) : NULL;
  g_autoptr (GVariant) reply = NULL;
  g_autoptr (GError) problem = NULL;
  /* who only looks must not start what somebody has stopped */
  GDBusCallFlags flags = G_DBUS_CALL_FLAGS_NO_AUTO_START;

  if (!choir_ctl_bus_connect (&self->bus, error))
    return NULL;

  if (!self->bus.no_ask_password)
    flags |= G_DBUS_CALL_FLAGS_ALLOW_INTERACTIVE_AUTHORIZATION;

  reply = g_dbus_connection_call_with_unix_fd_list_sync (
    self->bus.connection, self->bus.name, path, interface, method, arguments,
    G_VARIANT_TYPE (reply_type), flags, self->bus.timeout_ms, NULL, fds, NULL, &problem);
  if (reply == NULL)
    choir_ctl_error_translate (problem, error);

  return g_steal_pointer (&reply);
}

/**
 * choir_ctl_call:
 * @self: the options and the bus
 * @method: a method of the interface Manager
 * @parameters: (nullable): its arguments, a tuple; a floating one is taken
 * @reply_type: what must come back, a tuple's type
 * @error: return location, of %CHOIR_CTL_ERROR
 *
 * Returns: (transfer full): the answer, or %NULL
 */
GVariant *
choir_ctl_call (ChoirCtl *self,
                const char *method,
                GVariant *parameters,
                const char *reply_type,
                GError **error)
{
  return choir_ctl_call_object (self, CHOIR_CTL_PATH, CHOIR_CTL_MANAGER, method, parameters,
                                reply_type, NULL, error);
}

/**
 * choir_ctl_get_all:
 * @self: the options and the bus
 * @path: an object of the service
 * @interface: the whole name of one of its interfaces
 * @error: return location, of %CHOIR_CTL_ERROR
 *
 * Returns: (transfer full): its properties, an `a{sv}`, or %NULL
 */
GVariant *
choir_ctl_get_all (ChoirCtl *self, const char *path, const char *interface, GError **error)
{
  g_autoptr (GVariant) reply =
    choir_ctl_call_object (self, path, CHOIR_CTL_PROPERTIES, "GetAll",
                           g_variant_new ("(s)", interface), "(a{sv})", NULL, error);

  return reply != NULL ? g_variant_get_child_value (reply, 0) : NULL;
}

/**
 * choir_ctl_report:
 * @self: the options and the bus
 * @error: what went wrong, of %CHOIR_CTL_ERROR
 *
 * Says what went wrong with one of several things that were asked for. The first one's code is
 * what choirctl exits with in the end.
 */
void
choir_ctl_report (ChoirCtl *self, const GError *error)
{
  choir_ctl_complain (error->message);
  if (self->status == CHOIR_CTL_DONE)
    self->status = choir_ctl_error_get_status (error);
}

/**
 * choir_ctl_say:
 * @self: the options and the bus
 * @done: what was done, an `a{sv}`; a floating one is taken
 * @format: the same for people, translated, as for printf()
 * @...: the arguments; what others have named may be among them
 *
 * Prints one or the other.
 */
void
choir_ctl_say (ChoirCtl *self, GVariant *done, const char *format, ...)
{
  g_autoptr (GVariant) owned = g_variant_ref_sink (done);
  g_autofree char *sentence = NULL;
  g_autofree char *clean = NULL;
  va_list arguments;

  if (self->json)
    {
      choir_ctl_print_json (owned);
      return;
    }

  va_start (arguments, format);
  sentence = g_strdup_vprintf (format, arguments);
  va_end (arguments);
  clean = choir_ctl_clean (sentence);
  choir_ctl_print ("%s\n", clean);
}

/* A service that is not there or does not allow one will not be or allow the next */
static gboolean
is_hopeless (const GError *error)
{
  ChoirCtlExit status = choir_ctl_error_get_status (error);

  return status == CHOIR_CTL_NO_SERVICE || status == CHOIR_CTL_NOT_ALLOWED;
}

/**
 * choir_ctl_do_each:
 * @self: the options and the bus
 * @words: words of the command line
 * @one: what to do with each
 *
 * Does it with each of the words and goes on if it fails with one, unless it could not but fail
 * with the others too. Reports all errors itself. With `--json` one array is printed, with an
 * object for each word that it worked with.
 *
 * Returns: %TRUE, since what has failed is reported
 */
gboolean
choir_ctl_do_each (ChoirCtl *self, char **words, ChoirCtlOne one)
{
  g_autoptr (GError) error = NULL;
  GVariantBuilder all;

  g_variant_builder_init (&all, G_VARIANT_TYPE ("aa{sv}"));
  for (char **word = words; *word != NULL && (error == NULL || !is_hopeless (error)); word++)
    {
      g_autofree char *sentence = NULL;
      g_autoptr (GVariant) value = NULL;
      GVariantDict done;
      gboolean worked;

      g_clear_error (&error);
      g_variant_dict_init (&done, NULL);
      worked = one (self, *word, &done, &sentence, &error);
      value = g_variant_ref_sink (g_variant_dict_end (&done));

      if (!worked)
        {
          if (!is_hopeless (error))
            g_prefix_error (&error, "%s: ", *word);
          choir_ctl_report (self, error);
        }
      else if (self->json)
        g_variant_builder_add_value (&all, value);
      else
        choir_ctl_say (self, value, "%s", sentence);
    }

  if (self->json)
    choir_ctl_print_json (g_variant_builder_end (&all));
  else
    g_variant_builder_clear (&all);

  return TRUE;
}
