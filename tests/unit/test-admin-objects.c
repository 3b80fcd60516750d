/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-admin-dbus.h"
#include "choir-admin-list.h"
#include "choir-admin-object.h"
#include "choir-admin-tree.h"
#include "choir-close-code.h"
#include "choir-error.h"
#include "task-fixture.h"

#define RESUMES QUIET "[dialect choir]\nheartbeat-interval=1h\n[session]\nresume-window=120s\n"

static GDBusInterfaceInfo *(*const infos[CHOIR_N_ADMIN_KINDS]) (void) = {
  [CHOIR_ADMIN_KIND_CONNECTION] = choir_dbus_connection_interface_info,
  [CHOIR_ADMIN_KIND_SESSION] = choir_dbus_session_interface_info,
  [CHOIR_ADMIN_KIND_DOCUMENT] = choir_dbus_document_interface_info,
  [CHOIR_ADMIN_KIND_CHANNEL] = choir_dbus_channel_interface_info,
  [CHOIR_ADMIN_KIND_TASK] = choir_dbus_task_interface_info,
};

/* (transfer full): an entry of a list, or some of its keys, as text */
static char *
print_keys (GVariant *dict, const char *const *keys)
{
  GString *text = g_string_new (NULL);

  for (; *keys != NULL; keys++)
    {
      g_autoptr (GVariant) value = g_variant_lookup_value (dict, *keys, NULL);
      g_autofree char *printed = value != NULL ? g_variant_print (value, FALSE) : g_strdup ("-");

      g_string_append_printf (text, "%s%s", text->len > 0 ? " " : "", printed);
    }

  return g_string_free (text, FALSE);
}

/* @list: (transfer floating). The entries' keys of these names, entries separated by "; " */
static void
expect_list (GVariant *list, const char *names, const char *expected)
{
  g_autoptr (GVariant) owned = g_variant_ref_sink (list);
  g_auto (GStrv) keys = g_strsplit (names, " ", -1);
  g_autoptr (GString) text = g_string_new (NULL);

  g_assert_cmpstr (g_variant_get_type_string (owned), ==, "aa{sv}");
  for (gsize i = 0; i < g_variant_n_children (owned); i++)
    {
      g_autoptr (GVariant) entry = g_variant_get_child_value (owned, i);
      g_autofree char *printed = print_keys (entry, (const char *const *) keys);

      g_string_append_printf (text, "%s%s", text->len > 0 ? "; " : "", printed);
    }

  g_assert_cmpstr (text->str, ==, expected);
}

typedef gboolean (*ParseFunc) (ChoirAdminSelection *self, GVariant *dict, GError **error);

static void
select_by (ChoirAdminSelection *selection, ParseFunc parse, const char *filter)
{
  g_autoptr (GVariant) dict = g_variant_parse (G_VARIANT_TYPE_VARDICT, filter, NULL, NULL, NULL);
  g_autoptr (GError) error = NULL;

  g_assert_nonnull (dict);
  parse (selection, dict, &error);
  g_assert_no_error (error);
}

static void
expect_users (FakeHub *hub, const char *filter, guint offset, guint limit, const char *expected)
{
  g_auto (ChoirAdminSelection) selection = { 0 };

  select_by (&selection, choir_admin_selection_parse_users, filter);
  expect_list (choir_admin_list_users (hub->hub, &selection, offset, limit),
               "user connections waiting", expected);
}

static void
test_users (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (RESUMES);
  G_GNUC_UNUSED g_autoptr (FakeLink) first = fake_link_join (hub, "bob");
  g_autoptr (FakeLink) second = fake_link_join (hub, "bob");
  G_GNUC_UNUSED g_autoptr (FakeLink) ann = fake_link_join (hub, "ann");
  g_autoptr (FakeLink) bea = fake_link_join (hub, "bea");

  fake_link_end (second, CHOIR_CLOSE_ABNORMAL);
  fake_link_end (bea, CHOIR_CLOSE_NORMAL);
  g_object_unref (bea);
  bea = fake_link_join (hub, "bea");

  expect_users (hub, "{}", 0, 0, "'ann' 1 0; 'bea' 1 0; 'bob' 1 1");
  expect_users (hub, "{}", 1, 1, "'bea' 1 0");
  expect_users (hub, "{'prefix': <'b'>}", 0, 0, "'bea' 1 0; 'bob' 1 1");
  expect_users (hub, "{'prefix': <'b'>}", 1, 5, "'bob' 1 1");
  expect_users (hub, "{'prefix': <'x'>}", 0, 0, "");
  expect_users (hub, "{'blocked': <true>}", 0, 0, "");
  expect_users (hub, "{'blocked': <false>, 'prefix': <'a'>}", 0, 0, "'ann' 1 0");
}

static void
expect_channels (FakeHub *hub, const char *filter, const char *expected)
{
  g_auto (ChoirAdminSelection) selection = { 0 };

  select_by (&selection, choir_admin_selection_parse_channels, filter);
  expect_list (choir_admin_list_channels (hub->hub, &selection, 0, 0),
               "channel path subscribers offset messages persistent", expected);
}

#define CHANNELS "/org/choir/Choir1/channel/"
#define ROOM "'room:1' '" CHANNELS "room_3a1' 1 2 2 false"
#define ROOMS "'rooms:1' '" CHANNELS "rooms_3a1' 1 0 0 false"
#define BARE "'room' '" CHANNELS "room' 1 0 0 false"

static void
test_channels (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (QUIET);
  g_autoptr (FakeLink) ann =
    fake_link_open (hub, CHOIR_DIALECT_CHOIR, "ann", "\"permissions\":[\"*:*:*\"]", NULL);

  fake_link_say (ann, "{\"type\":\"subscribe\",\"payload\":{\"channels\":[\"rooms:1\",\"room:1\","
                      "\"room\"]}}");
  fake_hub_iterate ();
  fake_hub_publish (hub, "room:1", "note", "{}");
  fake_hub_publish (hub, "room:1", "note", "{}");

  expect_channels (hub, "{'prefix': <'room'>}", BARE "; " ROOM "; " ROOMS);
  expect_channels (hub, "{'prefix': <'room:'>}", ROOM);
  expect_channels (hub, "{'namespace': <'room'>}", BARE "; " ROOM);
  expect_channels (hub, "{'namespace': <'roo'>}", "");
  expect_channels (hub, "{'namespace': <'room'>, 'prefix': <'room:'>}", ROOM);
}

static void
expect_documents (FakeHub *hub,
                  const char *filter,
                  const GPtrArray *stored,
                  guint offset,
                  guint limit,
                  const char *expected)
{
  g_auto (ChoirAdminSelection) selection = { 0 };

  select_by (&selection, choir_admin_selection_parse_documents, filter);
  expect_list (choir_admin_list_documents (hub->hub, &selection, stored, offset, limit),
               "document open editors size version", expected);
}

/* Those in memory and those in the store stand together, each once */
static void
test_documents (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (QUIET);
  g_autoptr (FakeLink) ann = fake_link_edit (hub, CHOIR_DIALECT_CHOIR, "ann");
  ChoirStreamInfo infos_in_store[] = {
    { .name = (char *) "document:a1", .head = 7, .changed_us = 1 },
    { .name = (char *) "document:d1", .head = 3, .changed_us = 2 },
    { .name = (char *) "document:z1", .head = 9, .changed_us = 3 },
  };
  g_autoptr (GPtrArray) stored = g_ptr_array_new ();
  const char *a1 = "'a1' false - - 7";
  const char *d1 = "'d1' true 1 0 0";
  const char *d2 = "'d2' true 1 0 0";
  const char *z1 = "'z1' false - - 9";
  g_autofree char *open = g_strdup_printf ("%s; %s", d1, d2);
  g_autofree char *all = g_strdup_printf ("%s; %s; %s; %s", a1, d1, d2, z1);
  g_autofree char *last = g_strdup_printf ("%s; %s", d2, z1);

  for (guint i = 0; i < G_N_ELEMENTS (infos_in_store); i++)
    g_ptr_array_add (stored, &infos_in_store[i]);
  fake_link_open_document (ann, "d2");
  fake_link_open_document (ann, "d1");

  expect_documents (hub, "{}", NULL, 0, 0, open);
  expect_documents (hub, "{}", NULL, 1, 1, d2);
  expect_documents (hub, "{'prefix': <'d2'>}", NULL, 0, 0, d2);
  expect_documents (hub, "{'stored': <true>}", stored, 0, 0, all);
  expect_documents (hub, "{'stored': <true>}", stored, 2, 2, last);
  expect_documents (hub, "{'stored': <true>}", stored, 4, 2, "");
}

static void
expect_tasks (FakeHub *hub, const char *filter, guint offset, guint limit, const char *expected)
{
  g_auto (ChoirAdminSelection) selection = { 0 };

  select_by (&selection, choir_admin_selection_parse_tasks, filter);
  expect_list (choir_admin_list_tasks (hub->hub, &selection, offset, limit),
               "kind user state attempt", expected);
}

static void
test_tasks (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (QUIET);
  g_autoptr (FakeLink) ann = fake_link_join (hub, "ann");
  g_autoptr (FakeLink) bob = fake_link_join (hub, "bob");
  g_autoptr (FakeLink) robot = open_worker (hub);
  G_GNUC_UNUSED g_autofree char *sum = request_task (ann, "{\"kind\":\"sum\"}");
  g_autofree char *draw = request_task (ann, "{\"kind\":\"draw\"}");
  G_GNUC_UNUSED g_autofree char *other = request_task (bob, "{\"kind\":\"sum\"}");

  pull (robot, "[\"draw\"]", 1);
  expect_assigned (robot, draw, "1");

  expect_tasks (hub, "{}", 0, 0,
                "'sum' 'bob' 'queued' 0; 'draw' 'ann' 'running' 1; "
                "'sum' 'ann' 'queued' 0");
  expect_tasks (hub, "{}", 1, 1, "'draw' 'ann' 'running' 1");
  expect_tasks (hub, "{'user': <'ann'>, 'kind': <'sum'>}", 0, 0, "'sum' 'ann' 'queued' 0");
  expect_tasks (hub, "{'state': <'running'>}", 0, 0, "'draw' 'ann' 'running' 1");
  expect_tasks (hub, "{'user': <'eve'>}", 0, 0, "");
}

typedef struct
{
  ParseFunc parse;
  const char *filter;
  const char *says;
} RefuseCase;

static const RefuseCase refuse_cases[] = {
  { choir_admin_selection_parse_users, "{'user': <'a'>}", "*\"user\" is unknown*" },
  { choir_admin_selection_parse_users, "{'prefix': <''>}", "*\"prefix\" begins no name*" },
  { choir_admin_selection_parse_users, "{'prefix': <'a b'>}", "*\"prefix\" begins no name*" },
  { choir_admin_selection_parse_users, "{'prefix': <1>}", "*must be of type \"s\", not \"i\"*" },
  { choir_admin_selection_parse_users, "{'blocked': <'yes'>}", "*must be of type \"b\"*" },
  { choir_admin_selection_parse_users, "{'prefix': <'a'>, 'prefix': <'b'>}", "*is there twice*" },
  { choir_admin_selection_parse_channels, "{'blocked': <true>}", "*\"blocked\" is unknown*" },
  { choir_admin_selection_parse_channels, "{'namespace': <'a:b'>}", "*is no namespace*" },
  { choir_admin_selection_parse_channels, "{'namespace': <''>}", "*is no namespace*" },
  { choir_admin_selection_parse_documents, "{'namespace': <'a'>}", "*is unknown*" },
  { choir_admin_selection_parse_documents, "{'stored': <1>}", "*must be of type \"b\"*" },
  { choir_admin_selection_parse_tasks, "{'prefix': <'a'>}", "*\"prefix\" is unknown*" },
  { choir_admin_selection_parse_tasks, "{'state': <'done'>}", "*is no state of a task*" },
  { choir_admin_selection_parse_tasks, "{'kind': <'*'>}", "*is no kind of task*" },
  { choir_admin_selection_parse_tasks, "{'kind': <''>}", "*is no kind of task*" },
  { choir_admin_selection_parse_tasks, "{'user': <'a b'>}", "*is no user identifier*" },
};

static void
test_refuses (gconstpointer data)
{
  const RefuseCase *c = data;
  g_autoptr (GVariant) dict = g_variant_parse (G_VARIANT_TYPE_VARDICT, c->filter, NULL, NULL, NULL);
  g_autoptr (GError) error = NULL;
  ChoirAdminSelection selection;

  g_assert_false (c->parse (&selection, dict, &error));
  g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION);
  g_assert_true (g_pattern_match_simple (c->says, error->message));
}

/* The hub of the tests of objects: one of each kind, and a session that waits */
typedef struct
{
  FakeHub *hub;
  FakeLink *ann;
  FakeLink *lost;
  char *task;
} Fixture;

static void
set_up (Fixture *self, gconstpointer data)
{
  self->hub = fake_hub_new (RESUMES);
  self->ann = fake_link_edit (self->hub, CHOIR_DIALECT_CHOIR, "ann");
  self->lost = fake_link_join (self->hub, "bob");
  self->task = request_task (self->ann, "{\"kind\":\"sum\"}");
  fake_link_open_document (self->ann, "d1");
  fake_link_end (self->lost, CHOIR_CLOSE_ABNORMAL);
}

static void
tear_down (Fixture *self, gconstpointer data)
{
  g_clear_object (&self->ann);
  g_clear_object (&self->lost);
  fake_hub_free (self->hub);
  g_free (self->task);
}

typedef struct
{
  ChoirHub *hub;
  ChoirAdminKind kind;
  guint n;
} Check;

/* What the description of the interface promises, with the types it says, and nothing else */
static void
check_object (gpointer object, const char *name, gpointer user_data)
{
  Check *self = user_data;
  const ChoirAdminClass *class = choir_admin_class_get (self->kind);
  GDBusInterfaceInfo *info = infos[self->kind]();
  g_autoptr (GVariant) all =
    g_variant_ref_sink (choir_admin_class_get_all (class, self->hub, object));
  guint n = 0;

  g_assert_cmpstr (class->interface, ==, info->name);
  for (; info->properties[n] != NULL; n++)
    {
      const GVariantType *type = G_VARIANT_TYPE (info->properties[n]->signature);
      g_autoptr (GVariant) value = g_variant_lookup_value (all, info->properties[n]->name, type);

      if (value == NULL)
        g_error ("%s.%s is not there or of another type", info->name, info->properties[n]->name);
    }

  g_assert_cmpuint (g_variant_n_children (all), ==, n);
  g_assert_true (class->find (self->hub, name) == object);
  self->n++;
}

static void
test_properties (Fixture *self, gconstpointer data)
{
  static const guint n_expected[CHOIR_N_ADMIN_KINDS] = {
    [CHOIR_ADMIN_KIND_CONNECTION] = 1, [CHOIR_ADMIN_KIND_SESSION] = 2,
    [CHOIR_ADMIN_KIND_DOCUMENT] = 1,   [CHOIR_ADMIN_KIND_CHANNEL] = 1,
    [CHOIR_ADMIN_KIND_TASK] = 1,
  };

  for (guint kind = 0; kind < CHOIR_N_ADMIN_KINDS; kind++)
    {
      const ChoirAdminClass *class = choir_admin_class_get (kind);
      Check check = { self->hub->hub, kind, 0 };

      class->visit (self->hub->hub, check_object, &check);
      g_assert_cmpuint (check.n, ==, n_expected[kind]);
      g_assert_cmpuint (class->count (self->hub->hub), ==, check.n);
      g_assert_null (class->find (self->hub->hub, "nobody"));
      g_assert_null (class->find (self->hub->hub, ""));
    }
}

/* A session that waits is one without a connection */
static void
test_waiting_session (Fixture *self, gconstpointer data)
{
  const ChoirAdminClass *class = choir_admin_class_get (CHOIR_ADMIN_KIND_SESSION);
  static const char *const keys[] = { "Connection", "User", "Waiting", "Documents", NULL };
  ChoirUser *bob = choir_hub_find_user (self->hub->hub, "bob");
  g_autoptr (GVariant) all =
    g_variant_ref_sink (choir_admin_class_get_all (class, self->hub->hub, bob->sessions[0]));
  g_autofree char *text = print_keys (all, keys);

  g_assert_cmpstr (text, ==, "'/' 'bob' true []");
}

/* The ObjectManager's answer has each of them under its path */
static void
test_managed_objects (Fixture *self, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  GVariant *floating = choir_admin_tree_describe (self->hub->hub, &error);
  g_autoptr (GVariant) objects = floating != NULL ? g_variant_ref_sink (floating) : NULL;
  g_autofree char *path = choir_admin_path_new (CHOIR_ADMIN_KIND_TASK, self->task);
  g_autoptr (GVariant) interfaces = NULL;
  g_autoptr (GVariant) properties = NULL;
  const char *kind;

  g_assert_no_error (error);
  g_assert_cmpstr (g_variant_get_type_string (objects), ==, "a{oa{sa{sv}}}");
  g_assert_cmpuint (g_variant_n_children (objects), ==, 6);
  g_assert_true (g_variant_lookup (objects, path, "@a{sa{sv}}", &interfaces));
  g_assert_cmpuint (g_variant_n_children (interfaces), ==, 1);
  g_assert_true (g_variant_lookup (interfaces, CHOIR_ADMIN_TASK, "@a{sv}", &properties));
  g_assert_true (g_variant_lookup (properties, "Kind", "&s", &kind));
  g_assert_cmpstr (kind, ==, "sum");
}

static void
expect_too_many (ChoirHub *hub)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (choir_admin_tree_describe (hub, &error));
  g_assert_error (error, G_DBUS_ERROR, G_DBUS_ERROR_LIMITS_EXCEEDED);
}

static void
subscribe (FakeLink *link, guint first, guint n)
{
  g_autoptr (GString) channels = g_string_new (NULL);

  for (guint i = 0; i < n; i++)
    g_string_append_printf (channels, "%s\"room:%u\"", i > 0 ? "," : "", first + i);
  fake_link_say (link, "{\"type\":\"subscribe\",\"payload\":{\"channels\":[%s]}}", channels->str);
  fake_hub_iterate ();
  fake_link_forget (link);
}

/* 2,000 are listed, 2,001 are not */
static void
test_too_many_objects (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (QUIET "[session]\nmax-subscriptions=5000\n");
  g_autoptr (FakeLink) ann =
    fake_link_open (hub, CHOIR_DIALECT_CHOIR, "ann", "\"permissions\":[\"*:*:*\"]", NULL);
  g_autoptr (GVariant) objects = NULL;
  g_autoptr (GError) error = NULL;
  /* a connection and its session are there already */
  guint n = CHOIR_ADMIN_OBJECTS_MAX - 2;

  subscribe (ann, 0, n);
  g_assert_cmpuint (choir_hub_get_n_channels (hub->hub), ==, n);
  objects = choir_admin_tree_describe (hub->hub, &error);
  g_assert_no_error (error);
  g_variant_ref_sink (objects);
  g_assert_cmpuint (g_variant_n_children (objects), ==, CHOIR_ADMIN_OBJECTS_MAX);

  subscribe (ann, n, 1);
  expect_too_many (hub->hub);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/admin/list/users", test_users);
  g_test_add_func ("/admin/list/channels", test_channels);
  g_test_add_func ("/admin/list/documents", test_documents);
  g_test_add_func ("/admin/list/tasks", test_tasks);

  for (guint i = 0; i < G_N_ELEMENTS (refuse_cases); i++)
    {
      g_autofree char *path = g_strdup_printf ("/admin/list/refuses/%u", i);

      g_test_add_data_func (path, &refuse_cases[i], test_refuses);
    }

#define ADD(name, func) g_test_add ("/admin/objects/" name, Fixture, NULL, set_up, func, tear_down)

  ADD ("properties", test_properties);
  ADD ("waiting-session", test_waiting_session);
  ADD ("managed", test_managed_objects);
  g_test_add_func ("/admin/objects/too-many", test_too_many_objects);

  return g_test_run ();
}
