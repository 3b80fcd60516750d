/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* “choirctl watch”: what the service tells those who ask to be told, a line each. */

#include "config.h"

#include "choir-clock.h"
#include "choir-ctl-live.h"

#include <glib/gi18n.h>
#include <string.h>

#define OBJECT_MANAGER "org.freedesktop.DBus.ObjectManager"

static const char *const all_kinds[] = { "connections", "users",      "overload", "drain",
                                         "tasks",       "properties", "objects" };

/* Unless others are named: what tells the same again is left out */
static const char *const usual_kinds[] = { "connections", "users", "overload",
                                           "drain",       "tasks", NULL };

typedef struct
{
  ChoirCtlLoop loop;
  guint subscriptions[3];
} Watch;

/* The names of the arguments, as the interface's description has them; "" for what stands for
 * itself */
static const struct
{
  const char *signal;
  const char *arguments[6];
} signals[] = {
  { "ConnectionAdded", { "path", "" } },
  { "ConnectionRemoved", { "path", "connection", "user", "code" } },
  { "UserBlocked", { "user", "until", "reason" } },
  { "UserUnblocked", { "user" } },
  { "Overloaded", { "what", "" } },
  { "DrainProgress", { "remaining", "total" } },
  { "TaskFailed", { "path", "task", "kind", "user", "code" } },
  { "Dropped", { "signals" } },
  { "PropertiesChanged", { "interface", "", "invalidated" } },
  { "InterfacesAdded", { "path", "interfaces" } },
  { "InterfacesRemoved", { "path", "interfaces" } },
};

static const char *const *
find_arguments (const char *signal)
{
  for (guint i = 0; i < G_N_ELEMENTS (signals); i++)
    if (strcmp (signals[i].signal, signal) == 0)
      return signals[i].arguments;

  return NULL;
}

static void
add_dictionary (GVariantDict *out, GVariant *dictionary)
{
  GVariantIter iter;
  const char *key;
  GVariant *value;

  g_variant_iter_init (&iter, dictionary);
  while (g_variant_iter_loop (&iter, "{&sv}", &key, &value))
    g_variant_dict_insert_value (out, key, value);
}

/* (transfer floating): an a{sv} of all arguments by name; a later version's by number */
static GVariant *
name_arguments (const char *signal, GVariant *parameters)
{
  const char *const *names = find_arguments (signal);
  GVariantDict out;

  g_variant_dict_init (&out, NULL);
  for (gsize i = 0; i < g_variant_n_children (parameters); i++)
    {
      g_autoptr (GVariant) value = g_variant_get_child_value (parameters, i);
      g_autofree char *number = g_strdup_printf ("argument%" G_GSIZE_FORMAT, i);
      const char *name;

      if (names != NULL && names[i] == NULL)
        names = NULL;
      name = names != NULL ? names[i] : number;

      if (*name == '\0' && g_variant_is_of_type (value, G_VARIANT_TYPE_VARDICT))
        add_dictionary (&out, value);
      else
        g_variant_dict_insert_value (&out, *name != '\0' ? name : number, value);
    }

  return g_variant_dict_end (&out);
}

static void
print_json_line (const char *time, const char *signal, GVariant *arguments)
{
  GVariantDict out;

  g_variant_dict_init (&out, arguments);
  g_variant_dict_insert (&out, "time", "s", time);
  g_variant_dict_insert (&out, "signal", "s", signal);
  choir_ctl_print_json_line (g_variant_dict_end (&out));
}

/* A value as a word: texts bare, all else as JSON has it */
static char *
dup_word (GVariant *value)
{
  g_autofree char *text = NULL;

  if (g_variant_is_of_type (value, G_VARIANT_TYPE_VARIANT))
    {
      g_autoptr (GVariant) inner = g_variant_get_variant (value);

      return dup_word (inner);
    }

  if (!g_variant_is_of_type (value, G_VARIANT_TYPE_STRING) &&
      !g_variant_is_of_type (value, G_VARIANT_TYPE_OBJECT_PATH))
    return choir_ctl_dup_json (value, FALSE);

  text = choir_ctl_clean (g_variant_get_string (value, NULL));

  return *text == '\0' || strchr (text, ' ') != NULL ? g_strdup_printf ("“%s”", text)
                                                     : g_steal_pointer (&text);
}

/* A point in time is read as the one at the beginning of the line is */
static char *
dup_time (GVariant *value)
{
  guint64 us = g_variant_get_uint64 (value);
  char text[CHOIR_CLOCK_ISO8601_SIZE];

  if (us == 0)
    return g_strdup ("never");

  choir_clock_format_iso8601 ((gint64) us, text);

  return g_strdup (text);
}

static int
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

static void
print_text_line (const char *time, const char *signal, GVariant *arguments)
{
  g_autoptr (GPtrArray) words = g_ptr_array_new_with_free_func (g_free);
  g_autofree char *clean = choir_ctl_clean (signal);
  GVariantIter iter;
  const char *key;
  GVariant *value;

  g_variant_iter_init (&iter, arguments);
  while (g_variant_iter_loop (&iter, "{&sv}", &key, &value))
    {
      gboolean is_time =
        strcmp (key, "until") == 0 && g_variant_is_of_type (value, G_VARIANT_TYPE_UINT64);
      g_autofree char *word = is_time ? dup_time (value) : dup_word (value);
      g_autofree char *name = choir_ctl_clean (key);

      /* the other arguments say it, and shorter */
      if (strcmp (key, "path") != 0 && strcmp (key, "session_path") != 0)
        g_ptr_array_add (words, g_strdup_printf ("%s=%s", name, word));
    }
  g_ptr_array_sort (words, compare_names);

  choir_ctl_print ("%s%s%s %s%s%s", choir_ctl_style (CHOIR_CTL_FAINT), time,
                   choir_ctl_style_end (CHOIR_CTL_FAINT), choir_ctl_style (CHOIR_CTL_HEADING),
                   clean, choir_ctl_style_end (CHOIR_CTL_HEADING));
  for (guint i = 0; i < words->len; i++)
    choir_ctl_print (" %s", (const char *) g_ptr_array_index (words, i));
  choir_ctl_print ("\n");
}

static void
signal_cb (GDBusConnection *connection,
           const char *sender,
           const char *path,
           const char *interface,
           const char *signal,
           GVariant *parameters,
           gpointer user_data)
{
  Watch *self = user_data;
  g_autoptr (GVariant) arguments = g_variant_ref_sink (name_arguments (signal, parameters));
  char time[CHOIR_CLOCK_ISO8601_SIZE];
  GError *error = NULL;

  choir_clock_format_iso8601 (choir_clock_wall_us (), time);
  if (self->loop.ctl->json)
    print_json_line (time, signal, arguments);
  else
    print_text_line (time, signal, arguments);

  if (!choir_ctl_flush (&error))
    choir_ctl_loop_fail (&self->loop, error);
}

static void
subscribe (Watch *self)
{
  static const char *const interfaces[] = { CHOIR_CTL_MANAGER, CHOIR_CTL_PROPERTIES,
                                            OBJECT_MANAGER };
  ChoirCtlBus *bus = &self->loop.ctl->bus;

  for (guint i = 0; i < G_N_ELEMENTS (interfaces); i++)
    self->subscriptions[i] = g_dbus_connection_signal_subscribe (
      bus->connection, bus->name, interfaces[i], NULL, CHOIR_CTL_PATH, NULL,
      G_DBUS_SIGNAL_FLAGS_NONE, signal_cb, self, NULL);
}

static void
unsubscribe (Watch *self)
{
  for (guint i = 0; i < G_N_ELEMENTS (self->subscriptions); i++)
    if (self->subscriptions[i] != 0)
      g_dbus_connection_signal_unsubscribe (self->loop.ctl->bus.connection, self->subscriptions[i]);
}

static gboolean
check_kinds (char **words, GError **error)
{
  for (char **word = words; *word != NULL; word++)
    {
      gboolean known = FALSE;

      for (guint i = 0; i < G_N_ELEMENTS (all_kinds); i++)
        known |= strcmp (all_kinds[i], *word) == 0;

      if (!known)
        {
          g_set_error (error, CHOIR_CTL_ERROR, CHOIR_CTL_USAGE,
                       _ ("“%s” is none of connections, users, overload, drain, tasks, "
                          "properties, objects"),
                       *word);
          return FALSE;
        }
    }

  return TRUE;
}

static gboolean
watch (Watch *self, const char *const *kinds, GError **error)
{
  g_autoptr (GVariant) reply = NULL;

  if (!choir_ctl_loop_watch_service (&self->loop, error))
    return FALSE;

  subscribe (self);
  reply = choir_ctl_call (self->loop.ctl, "Watch", g_variant_new ("(^as)", kinds), "()", error);
  if (reply == NULL)
    return FALSE;

  choir_ctl_loop_catch_signals (&self->loop);
  if (!self->loop.ctl->json && !self->loop.ctl->no_legend && choir_ctl_is_terminal ())
    choir_ctl_print (_ ("Watching; ^C ends it\n"));

  return choir_ctl_flush (error) && choir_ctl_loop_run (&self->loop, error);
}

/**
 * choir_ctl_watch:
 * @self: the options and the bus
 * @words: the kinds; none: what is usual
 * @error: return location, of %CHOIR_CTL_ERROR
 *
 * Prints signals as they come, until it is told to stop.
 *
 * Returns: whether it was
 */
gboolean
choir_ctl_watch (ChoirCtl *self, char **words, GError **error)
{
  Watch state = { 0 };
  gboolean fine;

  if (!check_kinds (words, error))
    return FALSE;

  choir_ctl_loop_init (&state.loop, self);
  fine = watch (&state, *words != NULL ? (const char *const *) words : usual_kinds, error);
  unsubscribe (&state);
  choir_ctl_loop_clear (&state.loop);

  return fine;
}
