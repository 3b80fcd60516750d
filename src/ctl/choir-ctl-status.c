/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-ctl-format.h"
#include "choir-ctl-verbs.h"

#include <glib/gi18n.h>

/* Columns of the names before the colon */
#define NAME_WIDTH 12
/* Of the connections there may be, of the bytes that may wait: from here on it is worth a word */
#define NEARLY_FULL 0.9

typedef struct
{
  GVariant *manager; /* (unowned): its properties */
  GVariant *stats;   /* (unowned): may be empty */
} Status;

/* Values; 0 and "" where an older service has none */

static guint
get_count (GVariant *from, const char *key)
{
  guint value = 0;

  g_variant_lookup (from, key, "u", &value);

  return value;
}

static guint64
get_size (GVariant *from, const char *key)
{
  guint64 value = 0;

  g_variant_lookup (from, key, "t", &value);

  return value;
}

static double
get_number (GVariant *from, const char *key)
{
  double value = 0;

  g_variant_lookup (from, key, "d", &value);

  return value;
}

static const char *
get_text (GVariant *from, const char *key)
{
  const char *value = "";

  g_variant_lookup (from, key, "&s", &value);

  return value;
}

static gboolean
get_flag (GVariant *from, const char *key, gboolean otherwise)
{
  gboolean value = otherwise;

  g_variant_lookup (from, key, "b", &value);

  return value;
}

/* Lines */

static void
print_line (const char *name, const char *text)
{
  g_autofree char *clean = choir_ctl_clean (text);
  guint width = choir_ctl_text_width (name);

  choir_ctl_print ("%*s%s: %s\n", width < NAME_WIDTH ? (int) (NAME_WIDTH - width) : 0, "", name,
                   clean);
}

static void
print_title (const Status *status)
{
  gboolean draining = get_flag (status->manager, "Draining", FALSE);
  ChoirCtlStyle style = draining ? CHOIR_CTL_WARNING : CHOIR_CTL_GOOD;
  g_autofree char *node = choir_ctl_clean (get_text (status->manager, "Node"));
  g_autofree char *version = choir_ctl_clean (get_text (status->manager, "Version"));

  choir_ctl_print ("%s●%s choir %s, ", choir_ctl_style (style), choir_ctl_style_end (style),
                   version);
  choir_ctl_print (_ ("node %s: "), node);
  choir_ctl_print ("%s%s%s\n", choir_ctl_style (style), draining ? _ ("draining") : _ ("running"),
                   choir_ctl_style_end (style));
}

static void
print_since (const Status *status)
{
  guint64 started_us = get_size (status->manager, "StartedAt");
  g_autofree char *time = choir_ctl_format_time (started_us);
  g_autofree char *age = choir_ctl_format_age (started_us);
  g_autofree char *text = NULL;

  if (time == NULL)
    return;

  text = g_strdup_printf (_ ("%s; %s ago"), time, age);
  print_line (_ ("Since"), text);
}

static void
print_clients (const Status *status)
{
  guint n_connections = get_count (status->manager, "NConnections");
  guint n_users = get_count (status->manager, "NUsers");
  guint n_waiting = get_count (status->stats, "waiting_sessions");
  g_autofree char *connections =
    g_strdup_printf (ngettext ("%u connection", "%u connections", n_connections), n_connections);
  g_autofree char *users = g_strdup_printf (ngettext ("%u user", "%u users", n_users), n_users);
  g_autofree char *waiting = g_strdup_printf (
    ngettext ("%u session waits for its client", "%u sessions wait for their clients", n_waiting),
    n_waiting);
  g_autofree char *text =
    g_strdup_printf (_ ("%s of at most %u, %s, %s"), connections,
                     get_count (status->manager, "MaxConnections"), users, waiting);

  print_line (_ ("Clients"), text);
}

static void
print_work (const Status *status)
{
  guint n_channels = get_count (status->manager, "NChannels");
  guint n_documents = get_count (status->manager, "NDocuments");
  guint n_tasks = get_count (status->manager, "NTasks");
  g_autofree char *channels =
    g_strdup_printf (ngettext ("%u channel", "%u channels", n_channels), n_channels);
  g_autofree char *documents =
    g_strdup_printf (ngettext ("%u document", "%u documents", n_documents), n_documents);
  g_autofree char *tasks = g_strdup_printf (ngettext ("%u task", "%u tasks", n_tasks), n_tasks);
  g_autofree char *text = g_strdup_printf ("%s, %s, %s", channels, documents, tasks);

  print_line (_ ("In memory"), text);
}

static void
print_traffic (const Status *status)
{
  g_autofree char *in =
    choir_ctl_format_rate (get_number (status->stats, "messages_received_per_s"));
  g_autofree char *out = choir_ctl_format_rate (get_number (status->stats, "messages_sent_per_s"));
  g_autofree char *published =
    choir_ctl_format_rate (get_number (status->stats, "publishes_per_s"));
  g_autofree char *connects = choir_ctl_format_rate (get_number (status->stats, "connects_per_s"));
  g_autofree char *errors = choir_ctl_format_rate (get_number (status->stats, "errors_per_s"));
  g_autofree char *text =
    g_strdup_printf (_ ("%s in, %s out, %s published, %s connects, %s errors"), in, out, published,
                     connects, errors);

  print_line (_ ("Traffic"), text);
}

static void
print_latency (const Status *status)
{
  g_autofree char *p50 = choir_ctl_format_latency (get_number (status->stats, "latency_p50_us"));
  g_autofree char *p95 = choir_ctl_format_latency (get_number (status->stats, "latency_p95_us"));
  g_autofree char *p99 = choir_ctl_format_latency (get_number (status->stats, "latency_p99_us"));
  g_autofree char *text = g_strdup_printf (_ ("%s median, %s p95, %s p99"), p50, p95, p99);

  print_line (_ ("Latency"), text);
}

static void
print_queues (const Status *status)
{
  guint n_slow = get_count (status->stats, "slow_connections");
  g_autofree char *all = choir_ctl_format_bytes (get_size (status->stats, "queued_bytes"));
  g_autofree char *longest = choir_ctl_format_bytes (get_size (status->stats, "queued_bytes_max"));
  g_autofree char *limit = choir_ctl_format_bytes (get_size (status->manager, "MaxQueueBytes"));
  g_autofree char *slow =
    g_strdup_printf (ngettext ("%u slow client", "%u slow clients", n_slow), n_slow);
  g_autofree char *text =
    g_strdup_printf (_ ("%s, the longest %s of at most %s, %s"), all, longest, limit, slow);

  print_line (_ ("Queues"), text);
}

static void
print_tasks (const Status *status)
{
  g_autofree char *text =
    g_strdup_printf (_ ("%u queued, %u running"), get_count (status->stats, "tasks_queued"),
                     get_count (status->stats, "tasks_running"));

  print_line (_ ("Tasks"), text);
}

static void
print_process (const Status *status)
{
  g_autofree char *memory = choir_ctl_format_bytes (get_size (status->stats, "memory_bytes"));
  g_autofree char *text = g_strdup_printf (_ ("%s of memory, %.1f %% of a core"), memory,
                                           get_number (status->stats, "cpu_percent"));

  print_line (_ ("Process"), text);
}

static void
print_contracts (const Status *status)
{
  g_autoptr (GVariant) dialects =
    g_variant_lookup_value (status->stats, "dialects", G_VARIANT_TYPE ("a{sa{sv}}"));
  g_autoptr (GString) text = g_string_new (NULL);

  for (gsize i = 0; dialects != NULL && i < g_variant_n_children (dialects); i++)
    {
      g_autoptr (GVariant) figures = NULL;
      const char *name;

      g_variant_get_child (dialects, i, "{&s@a{sv}}", &name, &figures);
      if (get_count (figures, "connections") > 0)
        g_string_append_printf (text, "%s%s %u", text->len > 0 ? ", " : "", name,
                                get_count (figures, "connections"));
    }

  if (text->len > 0)
    print_line (_ ("Contracts"), text->str);
}

static void
print_warning (const char *text)
{
  choir_ctl_print ("%s%s%s\n", choir_ctl_style (CHOIR_CTL_WARNING), text,
                   choir_ctl_style_end (CHOIR_CTL_WARNING));
}

static void
print_warnings (const Status *status)
{
  double n_connections = get_count (status->manager, "NConnections");
  double max_connections = get_count (status->manager, "MaxConnections");

  if (get_flag (status->manager, "Draining", FALSE))
    print_warning (_ ("Clients are being told to leave; the service ends when they have."));
  if (!get_flag (status->stats, "store_writable", TRUE))
    print_warning (_ ("The store can not be written: what must be kept is refused. Is the disk "
                      "full?"));
  if (max_connections > 0 && n_connections >= NEARLY_FULL * max_connections)
    print_warning (_ ("Nearly as many clients are connected as server.max-connections allows."));
  if (get_count (status->stats, "slow_connections") > 0)
    print_warning (_ ("Some clients do not keep up: “choirctl connections --slow” lists them."));
}

static void
print_status (const Status *status)
{
  print_title (status);
  print_since (status);
  print_clients (status);
  print_work (status);

  if (g_variant_n_children (status->stats) > 0)
    {
      print_traffic (status);
      print_latency (status);
      print_queues (status);
      print_tasks (status);
      print_line (_ ("Store"), get_flag (status->stats, "store_writable", TRUE)
                                 ? _ ("writable")
                                 : _ ("not writable"));
      print_process (status);
      print_contracts (status);
    }

  print_line (_ ("Log level"), get_text (status->manager, "LogLevel"));
  print_warnings (status);
}

static void
print_status_json (const Status *status)
{
  GVariantDict both;

  g_variant_dict_init (&both, NULL);
  g_variant_dict_insert_value (&both, "manager", status->manager);
  g_variant_dict_insert_value (&both, "stats", status->stats);
  choir_ctl_print_json (g_variant_dict_end (&both));
}

/* Who may not see the figures may still see the properties */
static GVariant *
get_stats (ChoirCtl *self)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GVariant) reply = choir_ctl_call (self, "GetStats", NULL, "(a{sv})", &error);

  if (reply != NULL)
    return g_variant_get_child_value (reply, 0);

  choir_ctl_report (self, error);

  return g_variant_ref_sink (g_variant_new ("a{sv}", NULL));
}

/**
 * choir_ctl_status:
 * @self: the options and the bus
 * @words: none
 * @error: return location, of %CHOIR_CTL_ERROR
 *
 * `choirctl status`
 *
 * Returns: whether the service is there
 */
gboolean
choir_ctl_status (ChoirCtl *self, char **words, GError **error)
{
  g_autoptr (GVariant) manager = choir_ctl_get_all (self, CHOIR_CTL_PATH, CHOIR_CTL_MANAGER, error);
  g_autoptr (GVariant) stats = NULL;
  Status status;

  if (manager == NULL)
    return FALSE;

  stats = get_stats (self);
  status = (Status){ manager, stats };
  if (self->json)
    print_status_json (&status);
  else
    print_status (&status);

  return TRUE;
}
