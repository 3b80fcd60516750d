/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include <glib/gstdio.h>
#include <string.h>

#include "choir-config-private.h"
#include "choir-error.h"

typedef struct
{
  char *root;    /* stands for / */
  char *sysconf; /* ROOT/etc/choir */
  char **environ_list;
  ChoirConfig *config;
} Fixture;

static void
write_file (const char *directory, const char *name, const char *text)
{
  g_autofree char *path = g_build_filename (directory, name, NULL);
  g_autoptr (GError) error = NULL;

  g_assert_cmpint (g_mkdir_with_parents (directory, 0700), ==, 0);
  g_file_set_contents (path, text, -1, &error);
  g_assert_no_error (error);
}

static void
fixture_setup (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  f->root = g_dir_make_tmp ("choir-config-XXXXXX", &error);
  g_assert_no_error (error);
  f->sysconf = g_build_filename (f->root, "etc", "choir", NULL);
  f->config = choir_config_new ();

  g_autofree char *data_dir = g_build_filename (f->root, "share", NULL);
  g_autofree char *etc_dir = g_build_filename (f->root, "etc", NULL);
  f->environ_list = g_environ_setenv (f->environ_list, "CHOIR_CONFIG_DATADIR", data_dir, TRUE);
  f->environ_list = g_environ_setenv (f->environ_list, "CHOIR_CONFIG_SYSCONFDIR", etc_dir, TRUE);
}

static void
remove_tree (const char *path)
{
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  const char *name;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *child = g_build_filename (path, name, NULL);
      remove_tree (child);
    }

  g_remove (path);
}

static void
fixture_teardown (Fixture *f, gconstpointer data)
{
  remove_tree (f->root);
  g_assert_finalize_object (f->config);
  g_strfreev (f->environ_list);
  g_free (f->sysconf);
  g_free (f->root);
}

static void
load (Fixture *f, const char *const *sets)
{
  g_autoptr (GError) error = NULL;

  choir_config_load (f->config, NULL, (const char *const *) f->environ_list, sets, &error);
  g_assert_no_error (error);
}

static void
set_environ (Fixture *f, const char *name, const char *value)
{
  f->environ_list = g_environ_setenv (f->environ_list, name, value, TRUE);
}

static void
write_etc (Fixture *f, const char *text)
{
  write_file (f->sysconf, "choir.conf", text);
}

/* Every key of the shipped file is in the table with the default it shows, and the other way round
 */
static void
test_shipped_file (void)
{
  g_autofree char *path =
    g_build_filename (g_getenv ("G_TEST_SRCDIR"), "..", "data", "choir.conf", NULL);
  g_autoptr (GHashTable) builtin = choir_config_values_new ();
  g_autoptr (GHashTable) shipped = choir_config_values_new ();
  g_autoptr (GError) error = NULL;
  GHashTableIter iter;
  gpointer name, data;
  const char *file_prefix = path;

  choir_config_values_read_file (shipped, path, &error);
  g_assert_no_error (error);
  g_assert_true (choir_config_values_check (shipped, &error));
  g_assert_cmpuint (g_hash_table_size (shipped), ==, g_hash_table_size (builtin));

  g_hash_table_iter_init (&iter, shipped);
  while (g_hash_table_iter_next (&iter, &name, &data))
    {
      const ChoirConfigValue *in_file = data;
      const ChoirConfigValue *in_table = g_hash_table_lookup (builtin, name);

      g_test_message ("%s", (char *) name);
      g_assert_nonnull (in_table);
      g_assert_cmpstr (in_file->text, ==, in_table->text);
      g_assert_true (g_str_has_prefix (in_file->origin, file_prefix));
    }
}

static void
test_table (void)
{
  guint n;
  const ChoirConfigKey *keys = choir_config_table_get_keys (&n);

  for (guint i = 0; i < n; i++)
    {
      g_test_message ("%s.%s", keys[i].section, keys[i].key);
      g_assert_true (choir_config_table_find (keys[i].section, keys[i].key) == &keys[i]);
      g_assert_true (keys[i].doc != NULL && *keys[i].doc != '\0');
      g_assert_true (keys[i].min <= keys[i].max);
      g_assert_true ((keys[i].type == CHOIR_CONFIG_CHOICE) == (keys[i].choices != NULL));

      if (keys[i].fallback != NULL)
        {
          g_auto (GStrv) parts = g_strsplit (keys[i].fallback, ".", 2);
          const ChoirConfigKey *fallback = choir_config_table_find (parts[0], parts[1]);

          g_assert_nonnull (fallback);
          g_assert_cmpint (fallback->type, ==, keys[i].type);
          g_assert_cmpint (fallback->min, ==, keys[i].min);
          g_assert_cmpint (fallback->max, ==, keys[i].max);
          g_assert_cmpstr (fallback->choices, ==, keys[i].choices);
        }
    }
}

static void
test_defaults (void)
{
  g_autoptr (ChoirConfig) config = choir_config_new ();
  const char *const *list = choir_config_get_list (config, "server", "listen");

  g_assert_cmpuint (g_strv_length ((char **) list), ==, 1);
  g_assert_cmpstr (list[0], ==, "127.0.0.1:8800");
  g_assert_cmpuint (g_strv_length ((char **) choir_config_get_list (config, "auth", "key")), ==, 0);
  g_assert_cmpuint (choir_config_get_uint (config, "server", "max-connections"), ==, 10000);
  g_assert_cmpuint (choir_config_get_size (config, "protocol", "max-message-size"), ==, 65536);
  g_assert_cmpint (choir_config_get_duration_us (config, "namespace", "history-age"), ==,
                   24 * 3600 * G_GINT64_CONSTANT (1000000));
  g_assert_true (choir_config_get_boolean (config, "auth", "require-auth"));
  g_assert_cmpstr (choir_config_get_string (config, "rate", "default"), ==, "10/1s;300/60s");
  g_assert_cmpuint (choir_config_get_choice (config, "auth", "users"), ==, CHOIR_USERS_NONE);
  g_assert_cmpuint (choir_config_get_choice (config, "log", "level"), ==, 3);
}

static void
test_instances (void)
{
  g_autoptr (ChoirConfig) config = choir_config_new ();
  g_auto (GStrv) namespaces = choir_config_list_instances (config, "namespace");
  g_auto (GStrv) dialects = choir_config_list_instances (config, "dialect");
  g_autofree char *all_namespaces = g_strjoinv (" ", namespaces);
  g_autofree char *all_dialects = g_strjoinv (" ", dialects);

  g_assert_cmpstr (all_namespaces, ==, "agent-status all chat document event session user");
  g_assert_cmpstr (all_dialects, ==, "choir choir-cbor jddb netra netra-spec reviewpoint tripsage");

  g_assert_cmpuint (choir_config_get_choice (config, "namespace user", "subscribe"), ==,
                    CHOIR_ACCESS_OWNER);
  g_assert_cmpuint (choir_config_get_choice (config, "namespace never-named", "subscribe"), ==,
                    CHOIR_ACCESS_PERMISSION);
  g_assert_cmpuint (choir_config_get_uint (config, "namespace chat", "history-size"), ==, 100);

  g_assert_cmpstr (choir_config_get_string (config, "dialect netra", "rate"), ==, "30/60s");
  g_assert_cmpuint (choir_config_get_choice (config, "dialect netra", "rate-scope"), ==,
                    CHOIR_SCOPE_CONNECTION);
  g_assert_cmpuint (choir_config_get_uint (config, "dialect netra", "burst-queue"), ==, 0);
  g_assert_cmpuint (choir_config_get_uint (config, "dialect netra-spec", "burst-queue"), ==, 32);
  g_assert_cmpuint (choir_config_get_size (config, "dialect netra-spec", "max-message-size"), ==,
                    10240);
  g_assert_cmpuint (choir_config_get_choice (config, "dialect reviewpoint", "per-user-policy"), ==,
                    CHOIR_PER_USER_REJECT);
  g_assert_cmpuint (choir_config_get_choice (config, "dialect choir", "per-user-policy"), ==,
                    CHOIR_PER_USER_EVICT_OLDEST);
  g_assert_cmpint (choir_config_get_duration_us (config, "dialect reviewpoint", "idle-timeout"), ==,
                   60 * G_USEC_PER_SEC);
  g_assert_cmpstr (choir_config_get_string (config, "dialect tripsage", "rate"), ==,
                   "10/1s;300/60s");
}

/* The same contract in another encoding: nobody gets round a limit by choosing that */
static void
test_parent (Fixture *f, gconstpointer data)
{
  write_etc (f, "[dialect choir]\nrate=3/1s\nrate-scope=user\nmax-message-size=1K\n"
                "[dialect choir-cbor]\nmax-message-size=2K\n");
  set_environ (f, "CHOIR_DIALECT_CHOIR_CBOR_BURST_QUEUE", "7");
  load (f, NULL);
  g_assert_cmpstr (choir_config_get_string (f->config, "dialect choir-cbor", "rate"), ==, "3/1s");
  g_assert_cmpuint (choir_config_get_choice (f->config, "dialect choir-cbor", "rate-scope"), ==,
                    CHOIR_SCOPE_USER);
  g_assert_cmpuint (choir_config_get_size (f->config, "dialect choir-cbor", "max-message-size"), ==,
                    2048);
  g_assert_cmpuint (choir_config_get_size (f->config, "dialect choir", "max-message-size"), ==,
                    1024);
  g_assert_cmpuint (choir_config_get_uint (f->config, "dialect choir-cbor", "burst-queue"), ==, 7);
  g_assert_cmpuint (choir_config_get_uint (f->config, "dialect choir", "burst-queue"), ==, 32);
  /* what neither says */
  g_assert_cmpint (choir_config_get_duration_us (f->config, "dialect choir-cbor", "idle-timeout"),
                   ==, 300 * G_USEC_PER_SEC);
}

static void
test_syntax (Fixture *f, gconstpointer data)
{
  write_etc (f, "# first\n"
                "   # indented\r\n"
                "\n"
                "[server]   # after a header\n"
                "  listen = 127.0.0.1:1 ; [::1]:2;;unix:/run/x  # after a value\r\n"
                "node=a\t#tab\n"
                "[auth]\n"
                "issuer=https://idp/#frag # a hash inside a word stays\n"
                "audience=a=b\n"
                "[server]\n"
                "name=\n"
                "[ namespace   chat ]\n"
                "history-size=7");
  load (f, NULL);

  const char *const *listen = choir_config_get_list (f->config, "server", "listen");
  g_autofree char *joined = g_strjoinv (" ", (char **) listen);

  g_assert_cmpstr (joined, ==, "127.0.0.1:1 [::1]:2 unix:/run/x");
  g_assert_cmpstr (choir_config_get_string (f->config, "server", "node"), ==, "a");
  g_assert_cmpstr (choir_config_get_string (f->config, "auth", "issuer"), ==, "https://idp/#frag");
  g_assert_cmpstr (choir_config_get_string (f->config, "auth", "audience"), ==, "a=b");
  g_assert_cmpuint (choir_config_get_uint (f->config, "namespace chat", "history-size"), ==, 7);
  g_assert_cmpuint (choir_config_get_uint (f->config, "namespace", "history-size"), ==, 100);
}

static void
test_order (Fixture *f, gconstpointer data)
{
  g_autofree char *share = g_build_filename (f->root, "share", "choir", NULL);
  g_autofree char *drop_ins = g_build_filename (f->sysconf, "choir.conf.d", NULL);
  const char *const sets[] = { "task.max-queued=6", NULL };

  write_file (share, "choir.conf",
              "[task]\nmax-queued=1\nmax-per-user=1\nlease=1s\ntimeout=1s\n"
              "[document]\nhorizon=1\nmax-open=1\n");
  write_etc (f, "[task]\nmax-queued=2\nmax-per-user=2\nlease=2s\ntimeout=2s\n"
                "[document]\nhorizon=2\n");
  write_file (drop_ins, "20-b.conf", "[task]\nmax-queued=4\nmax-per-user=4\nlease=4s\n");
  write_file (drop_ins, "10-a.conf",
              "[task]\nmax-queued=3\nmax-per-user=3\nlease=3s\ntimeout=3s\n");
  write_file (drop_ins, "30-c.conf.bak", "not a drop-in");
  write_file (drop_ins, ".hidden.conf", "not a drop-in");
  set_environ (f, "CHOIR_TASK_MAX_QUEUED", "5");
  set_environ (f, "CHOIR_TASK_MAX_PER_USER", "5");
  load (f, sets);

  g_assert_cmpuint (choir_config_get_uint (f->config, "task", "max-queued"), ==, 6);
  g_assert_cmpuint (choir_config_get_uint (f->config, "task", "max-per-user"), ==, 5);
  g_assert_cmpstr (choir_config_get_string (f->config, "task", "lease"), ==, "4s");
  g_assert_cmpstr (choir_config_get_string (f->config, "task", "timeout"), ==, "3s");
  g_assert_cmpuint (choir_config_get_uint (f->config, "document", "horizon"), ==, 2);
  g_assert_cmpuint (choir_config_get_uint (f->config, "document", "max-open"), ==, 1);
  g_assert_cmpuint (choir_config_get_uint (f->config, "document", "snapshot-every"), ==, 500);
}

static void
test_only_file (Fixture *f, gconstpointer data)
{
  g_autofree char *path = g_build_filename (f->root, "own.conf", NULL);
  g_autofree char *missing = g_build_filename (f->root, "missing.conf", NULL);
  g_autoptr (GError) error = NULL;
  const char *const *environ_list;

  write_etc (f, "[task]\nmax-queued=2\nmax-per-user=2\n");
  write_file (f->root, "own.conf", "[task]\nmax-queued=3\n");
  set_environ (f, "CHOIR_TASK_LEASE", "9s");
  environ_list = (const char *const *) f->environ_list;

  g_assert_true (choir_config_load (f->config, path, environ_list, NULL, &error));
  g_assert_cmpuint (choir_config_get_uint (f->config, "task", "max-queued"), ==, 3);
  g_assert_cmpuint (choir_config_get_uint (f->config, "task", "max-per-user"), ==, 10);
  g_assert_cmpstr (choir_config_get_string (f->config, "task", "lease"), ==, "9s");

  g_assert_false (choir_config_load (f->config, missing, environ_list, NULL, &error));
  g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG);
  g_assert_nonnull (strstr (error->message, "missing.conf"));
  g_assert_cmpuint (choir_config_get_uint (f->config, "task", "max-queued"), ==, 3);
}

static void
test_environment (Fixture *f, gconstpointer data)
{
  set_environ (f, "CHOIR_SERVER_MAX_CONNECTIONS", "77");
  set_environ (f, "CHOIR_NAMESPACE_PRESENCE_LIMIT", "5");
  set_environ (f, "CHOIR_NAMESPACE_AGENT_STATUS_HISTORY_SIZE", "6");
  set_environ (f, "CHOIR_DIALECT_NETRA_SPEC_RATE", "1/1s");
  set_environ (f, "CHOIR_DIALECT_JDDB_RATE_SCOPE", "user");
  set_environ (f, "CHOIR_TEST_ANYTHING", "x");
  load (f, NULL);

  g_assert_cmpuint (choir_config_get_uint (f->config, "server", "max-connections"), ==, 77);
  g_assert_cmpuint (choir_config_get_uint (f->config, "namespace", "presence-limit"), ==, 5);
  g_assert_cmpuint (choir_config_get_uint (f->config, "namespace agent-status", "history-size"), ==,
                    6);
  g_assert_cmpstr (choir_config_get_string (f->config, "dialect netra-spec", "rate"), ==, "1/1s");
  g_assert_cmpuint (choir_config_get_choice (f->config, "dialect jddb", "rate-scope"), ==,
                    CHOIR_SCOPE_USER);
  /* the dialect's own figure does not move with the fallback */
  g_assert_cmpuint (choir_config_get_uint (f->config, "dialect reviewpoint", "max-connections"), ==,
                    1000);
  g_assert_cmpuint (choir_config_get_uint (f->config, "dialect netra", "max-connections"), ==, 77);
}

static void
test_contract_b (Fixture *f, gconstpointer data)
{
  static const char *const lists[] = { "allowed", "allowed-staging", "allowed-production" };

  set_environ (f, "ENVIRONMENT", "production");
  set_environ (f, "WEBSOCKET_ALLOWED_ORIGINS", "https://a.example, https://*.b.example");
  set_environ (f, "WEBSOCKET_MAX_CONNECTIONS_PER_USER", "9");
  set_environ (f, "WEBSOCKET_MAX_MESSAGE_RATE", "120");
  set_environ (f, "WEBSOCKET_HEARTBEAT_INTERVAL", "45000");
  set_environ (f, "WEBSOCKET_ENABLE_CORS", "false");
  set_environ (f, "WEBSOCKET_REQUIRE_AUTH", "false");
  write_etc (f, "[origin]\nenvironment=staging\n[rate]\ndefault=1/1s\n");
  load (f, NULL);

  g_assert_cmpuint (choir_config_get_choice (f->config, "origin", "environment"), ==,
                    CHOIR_ENVIRONMENT_PRODUCTION);
  for (guint i = 0; i < G_N_ELEMENTS (lists); i++)
    {
      const char *const *list = choir_config_get_list (f->config, "origin", lists[i]);
      g_autofree char *joined = g_strjoinv (" ", (char **) list);

      g_assert_cmpstr (joined, ==, "https://a.example https://*.b.example");
    }
  g_assert_cmpuint (choir_config_get_uint (f->config, "server", "max-connections-per-user"), ==, 9);
  g_assert_cmpuint (
    choir_config_get_uint (f->config, "dialect netra-spec", "max-connections-per-user"), ==, 9);
  g_assert_cmpuint (
    choir_config_get_uint (f->config, "dialect reviewpoint", "max-connections-per-user"), ==, 3);
  g_assert_cmpstr (choir_config_get_string (f->config, "rate", "default"), ==, "120/60s");
  g_assert_cmpstr (choir_config_get_string (f->config, "dialect netra-spec", "rate"), ==,
                   "120/60s");
  g_assert_cmpint (
    choir_config_get_duration_us (f->config, "dialect netra-spec", "heartbeat-interval"), ==,
    45 * G_USEC_PER_SEC);
  g_assert_false (choir_config_get_boolean (f->config, "origin", "cors"));
  g_assert_false (choir_config_get_boolean (f->config, "auth", "require-auth"));
}

/* What is wrong, and what the message must say about it; the name of the file stands before */
static const struct
{
  const char *text;
  const char *message;
} bad_files[] = {
  { "[server]\nmax-conections=1\n",
    ":2: There is no key “max-conections” in [server]; did you mean “max-connections”?" },
  { "[sever]\n", ":1: There is no section [sever]; did you mean “server”?" },
  { "[quite-different]\n", ":1: There is no section [quite-different]" },
  { "[server chat]\n", ":1: [server] does not take a name" },
  { "[dialect]\n", ":1: [dialect] needs a name" },
  { "[dialect netr]\n", ":1: There is no dialect “netr”; did you mean “netra”?" },
  { "[namespace a/b]\n", ":1: “a/b” cannot name a namespace" },
  { "\n\nlisten=x\n", ":3: “listen=x” stands before any [section]" },
  { "[server]\nlisten\n", ":2: “listen” is neither" },
  { "[server\n", ":1: “[server” lacks" },
  { "[server]\n=1\n", ":2: “=1” is neither" },
  { "[server]\nmax-connections=\n", ":2: max-connections: “” must be a whole number" },
  { "[server]\nmax-connections=0\n", ":2: max-connections: “0” must be from 1 to 10000000" },
  { "[server]\nmax-connections=-1\n", "must be a whole number" },
  { "[server]\nmax-connections=99999999999999999999\n", "must be a whole number" },
  { "[server]\nnode=a\n[task]\n[server]\nnode=b\n", ":5: node is set a second time, after line 2" },
  { "[server]\nplayground=maybe\n", "“maybe” must be yes or no" },
  { "[server]\nper-user-policy=shout\n", "“shout” must be one of evict-oldest, reject" },
  { "[server]\ndrain-timeout=30\n", "“30” is not a time" },
  { "[server]\nhandshake-timeout=1ms\n", "“1ms” must be from 100ms to 3600000ms" },
  { "[protocol]\nmax-message-size=64X\n", "“64X” is not a size" },
  { "[rate]\ndefault=10\n", "“10” is not a rate" },
  { "[rate]\ndefault=0/1s\n", "“0/1s” is not a rate" },
  { "[rate]\ndefault=1/2d\n", "“2d” is not a time" },
  { "[rate]\ndefault=1/25h\n", "must be from 1ms to 24h" },
  { "[server]\nlisten=8800\n", "“8800” must be ADDRESS:PORT" },
  { "[server]\nlisten=[::1:8800\n", "must be ADDRESS:PORT" },
  { "[server]\nlisten=h:99999\n", "must be ADDRESS:PORT" },
  { "[server]\ntrusted-proxies=::1;somewhere\n", "“somewhere” must be an IP address" },
  { "[server]\ntls-certificate=/x\n", "tls-certificate and tls-key need each other" },
  { "[server]\necho-path=echo\n", "must be a path that begins with /" },
  { "[auth]\nkey=HS256:file\n", "must be ALGORITHM:ID:FILE" },
  { "[origin]\nallowed=https://a/b\n", "without a path" },
  { "[origin]\nallowed=*://a\n", "without a path" },
  { "[store]\nbackend=redis\n", "needs [cluster] redis" },
  { "[cluster]\nredis=http://h\n", "must be redis://" },
  { "[api]\nservice-role=\n", "service-role must not be empty" },
  { "[bus]\nname=org.choir.Choir2\n", "“org.choir.Choir2” must be org.choir.Choir1, or that" },
  { "[bus]\nname=org.choir.Choir12\n", "must be org.choir.Choir1, or that" },
  { "[bus]\nname=org.choir.Choir1.\n", "must be org.choir.Choir1, or that" },
  { "[bus]\nname=org.choir.Choir1.2\n", "must be org.choir.Choir1, or that" },
  { "[bus]\nname=:1.7\n", "must be org.choir.Choir1, or that" },
  { "[bus]\nname=\n", "name must not be empty" },
  { "[server]\nnode=\xff\n", "UTF-8" },
};

static void
test_bad_files (Fixture *f, gconstpointer data)
{
  g_autofree char *path = g_build_filename (f->sysconf, "choir.conf", NULL);

  for (guint i = 0; i < G_N_ELEMENTS (bad_files); i++)
    {
      g_autoptr (GError) error = NULL;

      write_etc (f, bad_files[i].text);
      g_assert_false (
        choir_config_load (f->config, NULL, (const char *const *) f->environ_list, NULL, &error));
      g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG);
      g_test_message ("%s", error->message);
      g_assert_nonnull (strstr (error->message, bad_files[i].message));
      if (*bad_files[i].message == ':')
        g_assert_true (g_str_has_prefix (error->message, path));
      g_assert_cmpuint (choir_config_get_uint (f->config, "server", "max-connections"), ==, 10000);
    }
}

static void
check_bad_environment (const char *variable, const char *message)
{
  const char *const environ_list[] = { variable, NULL };
  g_autoptr (GHashTable) values = choir_config_values_new ();
  g_autoptr (GError) error = NULL;

  g_assert_false (choir_config_values_read_environ (values, environ_list, &error));
  g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG);
  g_test_message ("%s", error->message);
  g_assert_true (g_str_has_prefix (error->message, message));
}

static void
check_bad_set (const char *set, const char *message)
{
  const char *const sets[] = { set, NULL };
  g_autoptr (GHashTable) values = choir_config_values_new ();
  g_autoptr (GError) error = NULL;

  g_assert_false (choir_config_values_read_sets (values, sets, &error));
  g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG);
  g_test_message ("%s", error->message);
  g_assert_true (g_str_has_prefix (error->message, message));
}

static void
test_bad_others (void)
{
  check_bad_environment ("CHOIR_SERVER_MAX_CONECTIONS=1",
                         "environment CHOIR_SERVER_MAX_CONECTIONS: There is no such setting");
  check_bad_environment ("CHOIR_NOWHERE=1", "environment CHOIR_NOWHERE: ");
  check_bad_environment ("CHOIR_DIALECT_RATE=1/1s", "environment CHOIR_DIALECT_RATE: ");
  check_bad_environment ("CHOIR_DIALECT_NETRAA_RATE=1/1s",
                         "environment CHOIR_DIALECT_NETRAA_RATE: There is no dialect “netraa”");
  check_bad_environment ("CHOIR_TASK_LEASE=soon", "environment CHOIR_TASK_LEASE: lease: “soon”");
  check_bad_environment ("CHOIR_SERVER_NODE=\xff", "environment CHOIR_SERVER_NODE: ");
  check_bad_environment ("ENVIRONMENT=test", "environment ENVIRONMENT: environment: “test”");
  check_bad_environment ("WEBSOCKET_MAX_MESSAGE_RATE=many",
                         "environment WEBSOCKET_MAX_MESSAGE_RATE: ");
  check_bad_environment ("WEBSOCKET_ALLOWED_ORIGINS=null",
                         "environment WEBSOCKET_ALLOWED_ORIGINS: ");

  check_bad_set ("server.node", "--set server.node: This must be");
  check_bad_set ("node=x", "--set node=x: This must be");
  check_bad_set ("server.nod=x", "--set server.nod=x: There is no key “nod” in [server]; did you");
  check_bad_set ("task.lease=0s", "--set task.lease=0s: lease: “0s” must be from 100ms");
}

static void
count_cb (gpointer counter)
{
  *(guint *) counter += 1;
}

static void
test_reload (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  guint n_changed = 0;

  write_etc (f, "[task]\nmax-queued=1\n[server]\nnode=one\n[namespace extra]\npresence=no\n");
  load (f, NULL);
  g_signal_connect_swapped (f->config, "changed", G_CALLBACK (count_cb), &n_changed);

  write_etc (f, "[task]\nmax-queued=2\nlease=never\n");
  g_assert_false (choir_config_reload (f->config, &error));
  g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG);
  g_assert_nonnull (strstr (error->message, "choir.conf:3: lease"));
  g_clear_error (&error);
  g_assert_cmpuint (n_changed, ==, 0);
  g_assert_cmpuint (choir_config_get_uint (f->config, "task", "max-queued"), ==, 1);
  g_assert_false (choir_config_get_boolean (f->config, "namespace extra", "presence"));

  write_etc (f, "[task]\nmax-queued=2\n[server]\nnode=two\n");
  g_assert_true (choir_config_reload (f->config, &error));
  g_assert_no_error (error);
  g_assert_cmpuint (n_changed, ==, 1);
  g_assert_cmpuint (choir_config_get_uint (f->config, "task", "max-queued"), ==, 2);
  g_assert_true (choir_config_get_boolean (f->config, "namespace extra", "presence"));
  /* a node's name can't change while it runs */
  g_assert_cmpstr (choir_config_get_string (f->config, "server", "node"), ==, "one");
}

static void
test_dump (Fixture *f, gconstpointer data)
{
  g_autoptr (GString) out = g_string_new (NULL);
  g_autofree char *expected =
    g_strdup_printf ("\ntask.max-queued=1  # %s/choir.conf:2\n", f->sysconf);
  const char *const sets[] = { "cluster.redis=redis://user:hidden@h:6379/0",
                               "namespace extra.presence=no", NULL };

  write_etc (f, "[task]\nmax-queued=1\n");
  set_environ (f, "CHOIR_TASK_LEASE", "9s");
  load (f, sets);
  choir_config_dump (f->config, out);

  g_assert_true (g_str_has_prefix (out->str, "server.listen=127.0.0.1:8800  # built-in\n"));
  g_assert_nonnull (strstr (out->str, expected));
  g_assert_nonnull (strstr (out->str, "\ntask.lease=9s  # environment CHOIR_TASK_LEASE\n"));
  g_assert_nonnull (strstr (out->str, "\ncluster.redis=redis://***@h:6379/0  # --set\n"));
  g_assert_nonnull (strstr (out->str, "\nnamespace extra.presence=no  # --set\n"));
  g_assert_nonnull (strstr (out->str, "\nnamespace extra.history-size=100  # built-in\n"));
  g_assert_nonnull (strstr (out->str, "\ndialect netra.rate=30/60s  # built-in\n"));
  g_assert_null (strstr (out->str, "hidden"));
}

static void
test_namespaces_bounded (void)
{
  g_autoptr (GHashTable) values = choir_config_values_new ();
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i < CHOIR_CONFIG_NAMESPACES_MAX; i++)
    {
      g_autofree char *group = g_strdup_printf ("namespace n%u", i);

      g_assert_true (choir_config_values_set (values, group, "presence", "no", "here", &error));
    }

  g_assert_false (choir_config_values_check (values, &error));
  g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG);
}

static void
test_units (void)
{
  guint64 bytes = 1;
  gint64 us = 1;

  g_assert_true (choir_config_parse_duration ("15m", &us, NULL));
  g_assert_cmpint (us, ==, 15 * 60 * G_GINT64_CONSTANT (1000000));
  g_assert_true (choir_config_parse_duration ("50ms", &us, NULL));
  g_assert_cmpint (us, ==, 50000);
  g_assert_true (choir_config_parse_duration ("0", &us, NULL));
  g_assert_cmpint (us, ==, 0);
  g_assert_false (choir_config_parse_duration ("", &us, NULL));
  g_assert_false (choir_config_parse_duration ("s", &us, NULL));
  g_assert_false (choir_config_parse_duration ("1 s", &us, NULL));
  g_assert_false (choir_config_parse_duration ("9223372036854775807h", &us, NULL));
  g_assert_true (choir_config_parse_size ("2G", &bytes, NULL));
  g_assert_cmpuint (bytes, ==, G_GUINT64_CONSTANT (2147483648));
  g_assert_true (choir_config_parse_size ("17", &bytes, NULL));
  g_assert_cmpuint (bytes, ==, 17);
  g_assert_false (choir_config_parse_size ("-1", &bytes, NULL));
  g_assert_false (choir_config_parse_size ("9999999999999999G", &bytes, NULL));
}

#define ADD(name, func)                                                                            \
  g_test_add ("/config/" name, Fixture, NULL, fixture_setup, func, fixture_teardown)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/config/shipped-file", test_shipped_file);
  g_test_add_func ("/config/table", test_table);
  g_test_add_func ("/config/defaults", test_defaults);
  g_test_add_func ("/config/instances", test_instances);
  ADD ("parent", test_parent);
  ADD ("syntax", test_syntax);
  ADD ("order", test_order);
  ADD ("only-file", test_only_file);
  ADD ("environment", test_environment);
  ADD ("contract-b", test_contract_b);
  ADD ("bad-files", test_bad_files);
  g_test_add_func ("/config/bad-others", test_bad_others);
  ADD ("reload", test_reload);
  ADD ("dump", test_dump);
  g_test_add_func ("/config/namespaces-bounded", test_namespaces_bounded);
  g_test_add_func ("/config/units", test_units);

  return g_test_run ();
}
