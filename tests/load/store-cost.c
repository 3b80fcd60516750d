/* store-cost.c: what storing an append costs, and what sharing a transaction gains
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Prints three lines of key=value pairs, the first and the last for the same appends:
 *  group  through the store, --in-flight at a time
 *  load   the first stream, whole, as if it had no snapshot
 *  each   by the same statements, one transaction for each
 * CPU is that of the whole process: the caller's loop, the writer, the kernel on their behalf.
 */

#include "config.h"

#include "choir-store-file.h"
#include "choir-store-writes.h"

#include <glib/gstdio.h>
#include <locale.h>
#include <sys/resource.h>

#include "load-stats.h"

#define TEXT_MAX 65536

static int opt_appends = 40000;
static int opt_in_flight = 20;
static int opt_streams = 1;
static int opt_bytes = 120;
static gboolean opt_normal;

static const GOptionEntry options[] = {
  { "appends", 0, 0, G_OPTION_ARG_INT, &opt_appends, "How many (40000)", "N" },
  { "in-flight", 0, 0, G_OPTION_ARG_INT, &opt_in_flight, "How many at a time (20)", "N" },
  { "streams", 0, 0, G_OPTION_ARG_INT, &opt_streams, "Into how many streams (1)", "N" },
  { "bytes", 0, 0, G_OPTION_ARG_INT, &opt_bytes, "Data of each (120)", "N" },
  { "normal", 0, 0, G_OPTION_ARG_NONE, &opt_normal, "Without an fsync for each transaction", NULL },
  G_OPTION_ENTRY_NULL,
};

typedef struct Run Run;

/* One of those under way */
typedef struct
{
  Run *run;
  gint64 begin_ns;
} Flight;

struct Run
{
  ChoirStore *store;
  guint n_begun;
  guint n_done;
  guint n_failed;
  LoadHistogram latency;
};

static char text[TEXT_MAX];

/* As an operation of a document comes: ids of 36 bytes, a key of a session's id and a number */
static void
fill_entry (ChoirStoreEntry *entry, char key[64], guint i)
{
  g_snprintf (key, 64, "%08x-1d8f-4f29-9d08-5f8c6d4b7a11:%u", (i % 20) * 0x9e3779b9U, i);
  *entry = (ChoirStoreEntry){
    .wall_us = 1700000000000000 + i,
    .type = "document.change",
    .user_id = "alice",
    .session_id = "0c5d7a3e-1d8f-4f29-9d08-5f8c6d4b7a11",
    .key = key,
    .data = text,
    .len = (gsize) opt_bytes,
  };
}

static const char *
fill_stream (char name[64], guint i)
{
  g_snprintf (name, 64, "document:%u", i % (guint) opt_streams);

  return name;
}

static void
print (const char *mode, guint n, gint64 elapsed_ns, gint64 cpu_ns, const LoadHistogram *latency)
{
  g_print ("mode=%s appends=%u per_second=%.0f cpu_us=%.2f p50_us=%.0f p99_us=%.0f p9999_us=%.0f\n",
           mode, n, n * 1e9 / (double) elapsed_ns, (double) cpu_ns / n / 1e3,
           (double) load_histogram_get_quantile_ns (latency, 0.5) / 1e3,
           (double) load_histogram_get_quantile_ns (latency, 0.99) / 1e3,
           (double) load_histogram_get_quantile_ns (latency, 0.9999) / 1e3);
}

static void begin_append (Flight *flight);

static void
appended_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  Flight *flight = user_data;
  Run *run = flight->run;
  ChoirAppended appended;

  run->n_done++;
  load_histogram_record (&run->latency, load_now_ns () - flight->begin_ns);
  if (!choir_store_append_finish (run->store, result, &appended, NULL) ||
      appended.status != CHOIR_APPEND_STORED)
    run->n_failed++;
  if (run->n_begun < (guint) opt_appends)
    begin_append (flight);
}

static void
begin_append (Flight *flight)
{
  Run *run = flight->run;
  ChoirStoreEntry entry;
  char key[64];
  char stream[64];

  fill_entry (&entry, key, run->n_begun);
  flight->begin_ns = load_now_ns ();
  choir_store_append_async (run->store, fill_stream (stream, run->n_begun), CHOIR_STORE_ANY_OFFSET,
                            &entry, 1, NULL, appended_cb, flight);
  run->n_begun++;
}

static void
loaded_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  ChoirStreamPart **part = user_data;

  *part = choir_store_load_finish (CHOIR_STORE (source), result, NULL);
}

static void
run_load (ChoirStore *store)
{
  g_autoptr (ChoirStreamPart) part = NULL;
  gint64 begin_ns = load_now_ns ();
  gint64 cpu_ns = load_self_get_cpu_ns ();
  char stream[64];

  choir_store_load_async (store, fill_stream (stream, 0), CHOIR_STORE_ANY_OFFSET, NULL, loaded_cb,
                          &part);
  while (part == NULL)
    g_main_context_iteration (NULL, TRUE);

  g_print ("mode=load entries=%u ms=%.1f cpu_ms=%.1f\n", part->n_entries,
           (double) (load_now_ns () - begin_ns) / 1e6,
           (double) (load_self_get_cpu_ns () - cpu_ns) / 1e6);
}

static gboolean
run_group (const char *path, ChoirDurability durability, GError **error)
{
  g_autoptr (ChoirStore) store = choir_store_sqlite_open (path, durability, error);
  g_autofree Flight *flights = g_new0 (Flight, opt_in_flight);
  g_autofree Run *run = g_new0 (Run, 1);
  gint64 begin_ns, cpu_ns;

  if (store == NULL)
    return FALSE;

  run->store = store;
  begin_ns = load_now_ns ();
  cpu_ns = load_self_get_cpu_ns ();
  for (int i = 0; i < MIN (opt_in_flight, opt_appends); i++)
    {
      flights[i].run = run;
      begin_append (&flights[i]);
    }
  while (run->n_done < (guint) opt_appends)
    g_main_context_iteration (NULL, TRUE);

  print ("group", run->n_done, load_now_ns () - begin_ns, load_self_get_cpu_ns () - cpu_ns,
         &run->latency);
  run_load (store);
  if (run->n_failed > 0)
    g_printerr ("%u failed\n", run->n_failed);

  return TRUE;
}

static gboolean
write_one (ChoirStoreWrites *writes, guint i, GError **error)
{
  ChoirStoreEntry entry;
  char key[64];
  char stream[64];
  GTask *task = g_task_new (NULL, NULL, NULL, NULL);
  ChoirStoreRequest *request;
  gboolean fine;

  fill_entry (&entry, key, i);
  request = choir_store_request_new_append (task, choir_store_work_append, fill_stream (stream, i),
                                            NULL, &entry, 1);
  request->number = CHOIR_STORE_ANY_OFFSET;
  fine = choir_store_writes_begin (writes, error) &&
         choir_store_work_append (request, writes, error) &&
         choir_store_writes_commit (writes, error);
  choir_store_request_clear_answer (request);
  g_object_unref (request->task);
  g_free (request);

  return fine;
}

static gboolean
run_each (const char *path, ChoirDurability durability, GError **error)
{
  sqlite3 *db = choir_store_file_open (path, durability, TRUE, error);
  g_autoptr (ChoirStoreWrites) writes = db != NULL ? choir_store_writes_new (db, error) : NULL;
  g_autofree LoadHistogram *latency = g_new0 (LoadHistogram, 1);
  gint64 begin_ns = load_now_ns ();
  gint64 cpu_ns = load_self_get_cpu_ns ();

  if (writes == NULL)
    return FALSE;

  for (guint i = 0; i < (guint) opt_appends; i++)
    {
      gint64 one_ns = load_now_ns ();

      if (!write_one (writes, i, error))
        return FALSE;
      load_histogram_record (latency, load_now_ns () - one_ns);
      if (i % 500 == 499)
        sqlite3_wal_checkpoint_v2 (db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    }

  print ("each", (guint) opt_appends, load_now_ns () - begin_ns, load_self_get_cpu_ns () - cpu_ns,
         latency);

  return TRUE;
}

static void
remove_database (const char *path)
{
  static const char *const suffixes[] = { "", "-wal", "-shm", ".lock" };

  for (guint i = 0; i < G_N_ELEMENTS (suffixes); i++)
    {
      g_autofree char *file = g_strconcat (path, suffixes[i], NULL);

      g_unlink (file);
    }
}

static gboolean
run (const char *directory, GError **error)
{
  ChoirDurability durability = opt_normal ? CHOIR_DURABILITY_NORMAL : CHOIR_DURABILITY_FULL;
  g_autofree char *group = g_build_filename (directory, "store-cost-group.db", NULL);
  g_autofree char *each = g_build_filename (directory, "store-cost-each.db", NULL);
  gboolean fine;

  remove_database (group);
  remove_database (each);
  fine = run_group (group, durability, error) && run_each (each, durability, error);
  remove_database (group);
  remove_database (each);

  return fine;
}

int
main (int argc, char **argv)
{
  g_autoptr (GOptionContext) context = g_option_context_new ("DIRECTORY");
  g_autoptr (GError) error = NULL;

  setlocale (LC_ALL, "");
  g_option_context_add_main_entries (context, options, NULL);
  if (!g_option_context_parse (context, &argc, &argv, &error) ||
      (argc == 2 && opt_appends > 0 && opt_in_flight > 0 && opt_streams > 0 && opt_bytes >= 0 &&
       opt_bytes <= TEXT_MAX && !run (argv[1], &error)))
    {
      g_printerr ("store-cost: %s\n", error->message);
      return 1;
    }

  if (argc != 2)
    {
      g_printerr ("store-cost: one directory is needed, on the disk that is meant\n");
      return 1;
    }

  return 0;
}
