/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-user-command.h"

#include "choir-clock.h"
#include "choir-error.h"
#include "choir-json-gate.h"
#include "choir-names.h"
#include "choir-stores.h"

#include <glib/gi18n.h>
#include <string.h>

/* Users asked for at a time */
#define PAGE 1000
#define CLOSE_US (10 * G_USEC_PER_SEC)

static char *opt_config;
static char **opt_sets;
static char *opt_name;
static gboolean opt_json;
static char **opt_words;

static const GOptionEntry entries[] = {
  { "config", 0, 0, G_OPTION_ARG_FILENAME, &opt_config, N_ ("Read only this configuration file"),
    N_ ("FILE") },
  { "set", 0, 0, G_OPTION_ARG_STRING_ARRAY, &opt_sets, N_ ("Set one key"),
    N_ ("SECTION.KEY=VALUE") },
  { "name", 0, 0, G_OPTION_ARG_STRING, &opt_name, N_ ("With add: the name to show"), N_ ("NAME") },
  { "json", 0, 0, G_OPTION_ARG_NONE, &opt_json, N_ ("With list: one JSON object a line"), NULL },
  { G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_STRING_ARRAY, &opt_words, NULL,
    N_ ("add ID | enable ID | disable ID | list") },
  G_OPTION_ENTRY_NULL,
};

/* The store's calls, waited for */

static void
save_result_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  *(GAsyncResult **) user_data = g_object_ref (result);
}

static GAsyncResult *
wait_for (GAsyncResult **result)
{
  while (*result == NULL)
    g_main_context_iteration (NULL, TRUE);

  return *result;
}

static ChoirStoreUser *
get_user (ChoirStore *store, const char *id, GError **error)
{
  g_autoptr (GAsyncResult) result = NULL;

  choir_store_get_user_async (store, id, NULL, save_result_cb, &result);

  return choir_store_get_user_finish (store, wait_for (&result), error);
}

static gboolean
put_user (ChoirStore *store, const ChoirStoreUser *user, GError **error)
{
  g_autoptr (GAsyncResult) result = NULL;

  choir_store_put_user_async (store, user, NULL, save_result_cb, &result);

  return choir_store_put_user_finish (store, wait_for (&result), error);
}

static GPtrArray *
list_users (ChoirStore *store, const char *after, GError **error)
{
  g_autoptr (GAsyncResult) result = NULL;

  choir_store_list_users_async (store, after, PAGE, NULL, save_result_cb, &result);

  return choir_store_list_users_finish (store, wait_for (&result), error);
}

/* What can be asked for */

static gboolean
add_user (ChoirStore *store, const char *id, GError **error)
{
  const ChoirStoreUser user = { .id = (char *) id, .name = opt_name, .active = TRUE };
  g_autoptr (ChoirStoreUser) old = NULL;
  g_autoptr (GError) problem = NULL;

  old = get_user (store, id, &problem);
  if (old != NULL)
    {
      g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFLICT,
                   old->active ? _ ("“%s” is there already")
                               : _ ("“%s” is there already, disabled; “choird user enable” lets "
                                    "it in again"),
                   id);
      return FALSE;
    }

  if (!g_error_matches (problem, CHOIR_ERROR, CHOIR_ERROR_NOT_FOUND))
    {
      g_propagate_error (error, g_steal_pointer (&problem));
      return FALSE;
    }

  return put_user (store, &user, error);
}

static gboolean
set_active (ChoirStore *store, const char *id, gboolean active, GError **error)
{
  g_autoptr (ChoirStoreUser) user = get_user (store, id, error);

  if (user == NULL)
    {
      g_prefix_error (error, "“%s”: ", id);
      return FALSE;
    }

  user->active = active;

  return put_user (store, user, error);
}

static gboolean
enable_user (ChoirStore *store, const char *id, GError **error)
{
  return set_active (store, id, TRUE, error);
}

static gboolean
disable_user (ChoirStore *store, const char *id, GError **error)
{
  return set_active (store, id, FALSE, error);
}

static void
print_json (const ChoirStoreUser *user)
{
  g_autoptr (GString) line = g_string_new ("{\"id\":");
  char created[CHOIR_CLOCK_ISO8601_SIZE];

  choir_clock_format_iso8601 (user->created_us, created);
  choir_json_append_string (line, user->id, -1);
  if (user->name != NULL)
    {
      g_string_append (line, ",\"name\":");
      choir_json_append_string (line, user->name, -1);
    }
  g_string_append_printf (line, ",\"active\":%s,\"created_at\":\"%s\"}",
                          user->active ? "true" : "false", created);
  g_print ("%s\n", line->str);
}

static void
print_line (const ChoirStoreUser *user)
{
  g_print ("%s\t%s\t%s\n", user->id, user->active ? "active" : "disabled",
           user->name != NULL ? user->name : "");
}

static gboolean
print_users (ChoirStore *store, const char *id, GError **error)
{
  g_autofree char *after = NULL;

  for (;;)
    {
      g_autoptr (GPtrArray) users = list_users (store, after, error);
      const ChoirStoreUser *last;

      if (users == NULL || users->len == 0)
        return users != NULL;

      for (guint i = 0; i < users->len; i++)
        if (opt_json)
          print_json (g_ptr_array_index (users, i));
        else
          print_line (g_ptr_array_index (users, i));

      last = g_ptr_array_index (users, users->len - 1);
      g_free (after);
      after = g_strdup (last->id);
    }
}

typedef struct
{
  const char *word;
  const char *done; /* (nullable): what to say */
  gboolean with_id;
  gboolean makes_database;
  gboolean (*run) (ChoirStore *store, const char *id, GError **error);
} Verb;

static const Verb verbs[] = {
  { "add", N_ ("added"), TRUE, TRUE, add_user },
  { "enable", N_ ("enabled"), TRUE, FALSE, enable_user },
  { "disable", N_ ("disabled"), TRUE, FALSE, disable_user },
  { "list", NULL, FALSE, FALSE, print_users },
};

static const Verb *
find_verb (GError **error)
{
  guint n_words = opt_words != NULL ? g_strv_length (opt_words) : 0;

  for (guint i = 0; n_words > 0 && i < G_N_ELEMENTS (verbs); i++)
    if (strcmp (opt_words[0], verbs[i].word) == 0 && n_words == (verbs[i].with_id ? 2 : 1))
      return &verbs[i];

  g_set_error_literal (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                       _ ("“add ID”, “enable ID”, “disable ID” or “list” is needed"));

  return NULL;
}

static gboolean
check_words (const Verb *verb, GError **error)
{
  if (verb->with_id && !choir_name_is_user (opt_words[1], strlen (opt_words[1])))
    {
      g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                   _ ("“%s” is no user: 1-250 printable ASCII characters without spaces"),
                   opt_words[1]);
      return FALSE;
    }

  if (opt_name != NULL && (strlen (opt_name) > CHOIR_STORE_NAME_MAX ||
                           !g_utf8_validate (opt_name, -1, NULL) || strpbrk (opt_name, "\t\n")))
    {
      g_set_error (error, G_OPTION_ERROR, G_OPTION_ERROR_BAD_VALUE,
                   _ ("--name: one line of at most %d bytes of UTF-8 is needed"),
                   CHOIR_STORE_NAME_MAX);
      return FALSE;
    }

  return TRUE;
}

/* Which database it was is said, since it is found in more than one way */
static gboolean
run_verb (const Verb *verb, const char *path, GError **error)
{
  g_autoptr (ChoirStore) store = choir_stores_open_beside (path, verb->makes_database, error);
  gboolean done;

  if (store == NULL)
    return FALSE;

  done = verb->run (store, opt_words[1], error);
  choir_stores_close (store, CLOSE_US);
  if (done && verb->done != NULL)
    g_print ("%s: %s, %s\n", opt_words[1], _ (verb->done), path);

  return done;
}

static gboolean
run (GError **error)
{
  g_autoptr (ChoirConfig) config = choir_config_new ();
  g_auto (GStrv) environment = g_get_environ ();
  g_autofree char *path = NULL;
  const Verb *verb = find_verb (error);

  if (verb == NULL || !check_words (verb, error) ||
      !choir_config_load (config, opt_config, (const char *const *) environment,
                          (const char *const *) opt_sets, error))
    return FALSE;

  path = choir_stores_dup_path (config, error);

  return path != NULL && run_verb (verb, path, error);
}

static void
forget_options (void)
{
  g_clear_pointer (&opt_config, g_free);
  g_clear_pointer (&opt_sets, g_strfreev);
  g_clear_pointer (&opt_name, g_free);
  g_clear_pointer (&opt_words, g_strfreev);
  opt_json = FALSE;
}

/**
 * choir_user_command:
 * @argc: number of arguments, the first of which is ignored
 * @argv: the arguments
 *
 * Changes or prints the users in the store. A service that runs sees it at the next authentication.
 *
 * Returns: exit status
 */
int
choir_user_command (int argc, char **argv)
{
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);
  g_autoptr (GError) error = NULL;

  g_option_context_set_summary (context, _ ("Users who may come in with [auth] users=store"));
  g_option_context_add_main_entries (context, entries, GETTEXT_PACKAGE);
  if (g_option_context_parse (context, &argc, &argv, &error))
    run (&error);
  forget_options ();

  if (error == NULL)
    return 0;

  g_printerr ("choird user: %s\n", error->message);

  return 1;
}
