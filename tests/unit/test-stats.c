/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-stats.h"

#include <string.h>

static void
test_types (void)
{
  ChoirCounters *counters = choir_counters_new ();
  ChoirStats *stats = choir_stats_new (counters);
  g_autoptr (GString) text = g_string_new (NULL);
  ChoirTypeStats *note;

  g_assert_true (choir_stats_for_type (stats, "note") == stats->other);
  choir_stats_add_type (stats, "note");
  note = choir_stats_for_type (stats, "note");
  g_assert_true (note != stats->other);
  choir_stats_add_type (stats, "note");
  g_assert_true (choir_stats_for_type (stats, "note") == note);
  *note->received += 3;
  /* what clients invent makes no new label */
  *choir_stats_for_type (stats, "invented")->sent += 2;

  choir_counters_write_text (counters, CHOIR_COUNTERS_OPENMETRICS, text);
  g_assert_nonnull (
    strstr (text->str, "websocket_messages_total{type=\"note\",direction=\"in\"} 3\n"));
  g_assert_nonnull (
    strstr (text->str, "websocket_messages_total{type=\"other\",direction=\"out\"} 2\n"));
  g_assert_null (strstr (text->str, "invented"));
  choir_stats_free (stats);
  choir_counters_free (counters);
}

/* The figures that the contracts' dashboards read are there from the start */
static void
test_names (void)
{
  static const char *const names[] = {
    "websocket_active_connections 0",
    "websocket_connections_total{status=\"accepted\"} 0",
    "websocket_connections_total{status=\"rejected\"} 0",
    "websocket_errors_total{code=\"RATE_LIMIT_EXCEEDED\"} 0",
    "choir_dialect_connections{dialect=\"jddb\"} 0",
    "websocket_connection_duration_seconds_count 0",
    "choir_recoveries_total{outcome=\"lost\"} 0",
    "choir_documents_open 0",
    "choir_document_changes_total{status=\"committed\"} 0",
    "choir_document_changes_total{status=\"duplicate\"} 0",
    "choir_document_changes_total{status=\"conflict\"} 0",
    "choir_document_changes_total{status=\"refused\"} 0",
    "choir_document_change_seconds_count 0",
    "choir_store_writable 0",
  };
  ChoirCounters *counters = choir_counters_new ();
  ChoirStats *stats = choir_stats_new (counters);
  g_autoptr (GString) text = g_string_new (NULL);

  choir_counters_write_text (counters, CHOIR_COUNTERS_OPENMETRICS, text);
  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    if (strstr (text->str, names[i]) == NULL)
      g_error ("%s is not in %s", names[i], text->str);
  choir_stats_free (stats);
  choir_counters_free (counters);
}

/* Close codes that peers invent make no new label either */
static void
test_closes (void)
{
  ChoirCounters *counters = choir_counters_new ();
  ChoirStats *stats = choir_stats_new (counters);

  for (guint code = 3000; code < 5000; code++)
    choir_stats_count_closed (stats, code);
  g_assert_cmpint (*choir_counters_get_cell (counters, "choir_closes", "other"), >, 1900);
  choir_stats_count_closed (stats, 1001);
  g_assert_cmpint (*choir_counters_get_cell (counters, "choir_closes", "going-away"), ==, 1);
  choir_stats_free (stats);
  choir_counters_free (counters);
}

/* Recognised by address, or not: counted the same */
static void
test_answers (void)
{
  static const char pong[] = "pong";
  char other[] = "pong";
  ChoirCounters *counters = choir_counters_new ();
  ChoirStats *stats = choir_stats_new (counters);

  choir_stats_add_type (stats, "pong");
  g_assert_true (choir_stats_for_answer (stats, pong) == choir_stats_for_type (stats, "pong"));
  g_assert_true (choir_stats_for_answer (stats, "nothing") == stats->other);
  g_assert_true (choir_stats_for_answer (stats, other) == choir_stats_for_type (stats, "pong"));
  choir_stats_free (stats);
  choir_counters_free (counters);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/stats/types", test_types);
  g_test_add_func ("/stats/names", test_names);
  g_test_add_func ("/stats/closes", test_closes);
  g_test_add_func ("/stats/answers", test_answers);

  return g_test_run ();
}
