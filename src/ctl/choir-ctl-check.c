/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* “choirctl check URL”: the service as a client finds it. Asks no bus. */

#include "config.h"

#include "choir-config.h"
#include "choir-ctl-live.h"
#include "choir-probe.h"

#include <errno.h>
#include <glib/gi18n.h>
#include <stdio.h>
#include <string.h>

#define COUNT_DEFAULT 5
#define INTERVAL_DEFAULT_US (G_USEC_PER_SEC / 5)
#define INTERVAL_MIN_US 1000
#define TIMEOUT_DEFAULT_US (10 * G_USEC_PER_SEC)
#define TIME_MAX_US (G_TIME_SPAN_HOUR)
#define TOKEN_MAX 65536

static char *opt_token;
static char *opt_dialect;
static char *opt_origin;
static char *opt_ca;
static gboolean opt_insecure;
static int opt_count = COUNT_DEFAULT;
static char *opt_interval;

const GOptionEntry choir_ctl_check_entries[] = {
  { "token", 0, 0, G_OPTION_ARG_FILENAME, &opt_token,
    N_ ("A token, or the file it is in; better there or in CHOIR_TOKEN, where others don’t see it"),
    N_ ("TOKEN|@FILE") },
  { "dialect", 0, 0, G_OPTION_ARG_FILENAME, &opt_dialect,
    N_ ("The subprotocol to ask for, as in choir.v1"), N_ ("NAME") },
  { "origin", 0, 0, G_OPTION_ARG_FILENAME, &opt_origin,
    N_ ("The Origin to name, as a browser would"), N_ ("ORIGIN") },
  { "count", 0, 0, G_OPTION_ARG_INT, &opt_count, N_ ("How many pings to send (default: 5)"),
    N_ ("N") },
  { "interval", 0, 0, G_OPTION_ARG_FILENAME, &opt_interval,
    N_ ("Time between two of them (default: 200ms)"), N_ ("TIME") },
  { "ca", 0, 0, G_OPTION_ARG_FILENAME, &opt_ca,
    N_ ("Trust the authorities in this file, instead of those the system trusts"), N_ ("FILE") },
  { "insecure", 0, 0, G_OPTION_ARG_NONE, &opt_insecure, N_ ("Go on whatever the certificate is"),
    NULL },
  G_OPTION_ENTRY_NULL,
};

static char *
read_token_file (const char *path, GError **error)
{
  g_autofree char *token = g_malloc0 (TOKEN_MAX + 1);
  FILE *file = strcmp (path, "-") == 0 ? stdin : fopen (path, "re");
  gsize n;

  if (file == NULL)
    {
      g_set_error (error, CHOIR_CTL_ERROR, CHOIR_CTL_FAILED, _ ("The token’s file: %s"),
                   g_strerror (errno));
      return NULL;
    }

  n = fread (token, 1, TOKEN_MAX + 1, file);
  if (file != stdin)
    fclose (file);

  if (n <= TOKEN_MAX && *g_strstrip (token) != '\0')
    return g_steal_pointer (&token);

  g_set_error_literal (error, CHOIR_CTL_ERROR, CHOIR_CTL_FAILED,
                       _ ("The token’s file holds no token"));

  return NULL;
}

/* %NULL without @error: none */
static char *
find_token (GError **error)
{
  const char *from_environment = g_getenv ("CHOIR_TOKEN");

  if (opt_token == NULL)
    return from_environment != NULL && *from_environment != '\0' ? g_strdup (from_environment)
                                                                 : NULL;

  return *opt_token == '@' ? read_token_file (opt_token + 1, error) : g_strdup (opt_token);
}

static gboolean
read_options (ChoirCtl *self, ChoirProbeOptions *options, GError **error)
{
  options->protocol = opt_dialect;
  options->origin = opt_origin;
  options->insecure = opt_insecure;
  options->interval_us = INTERVAL_DEFAULT_US;
  options->timeout_us = self->bus.has_timeout
                          ? MIN (self->bus.timeout_ms * G_GINT64_CONSTANT (1000), TIME_MAX_US)
                          : TIMEOUT_DEFAULT_US;
  options->n_pings = (guint) MAX (opt_count, 0);

  if (opt_count < 1 || opt_count > CHOIR_PROBE_PINGS_MAX)
    {
      g_set_error (error, CHOIR_CTL_ERROR, CHOIR_CTL_USAGE, _ ("--count: 1 to %d are possible"),
                   CHOIR_PROBE_PINGS_MAX);
      return FALSE;
    }

  return opt_interval == NULL ||
         choir_ctl_parse_interval ("--interval", opt_interval, INTERVAL_MIN_US, TIME_MAX_US,
                                   &options->interval_us, error);
}

static GTlsDatabase *
open_authorities (GError **error)
{
  g_autoptr (GError) problem = NULL;
  g_autofree char *path = g_canonicalize_filename (opt_ca, NULL);
  GTlsDatabase *database = g_tls_file_database_new (path, &problem);

  if (database == NULL)
    g_set_error (error, CHOIR_CTL_ERROR, CHOIR_CTL_FAILED, _ ("--ca: %s"), problem->message);

  return database;
}

/* What the round trips were */

typedef struct
{
  double min_ms;
  double mean_ms;
  double max_ms;
  double p99_ms;
} Summary;

static int
compare (gconstpointer a, gconstpointer b)
{
  gint64 first = *(const gint64 *) a, second = *(const gint64 *) b;

  return (first > second) - (first < second);
}

static void
summarize (const ChoirProbeReport *report, Summary *out)
{
  g_autoptr (GArray) sorted = g_array_copy (report->round_trips);
  guint n = sorted->len;
  /* the nearest rank, from 1 */
  guint rank_p99 = (n * 99 + 99) / 100;
  gint64 sum_us = 0;

  g_array_sort (sorted, compare);
  for (guint i = 0; i < n; i++)
    sum_us += g_array_index (sorted, gint64, i);

  out->min_ms = (double) g_array_index (sorted, gint64, 0) / 1000;
  out->max_ms = (double) g_array_index (sorted, gint64, n - 1) / 1000;
  out->mean_ms = (double) sum_us / n / 1000;
  out->p99_ms = (double) g_array_index (sorted, gint64, rank_p99 - 1) / 1000;
}

/* For programs */

static void
add_text (GVariantBuilder *out, const char *name, const char *text)
{
  if (text != NULL)
    g_variant_builder_add (out, "{sv}", name, g_variant_new_string (text));
}

static void
add_time (GVariantBuilder *out, const char *name, gint64 us)
{
  if (us >= 0)
    g_variant_builder_add (out, "{sv}", name, g_variant_new_double ((double) us / 1000));
}

static void
add_pings (GVariantBuilder *out, const ChoirProbeReport *report)
{
  GVariantBuilder pings;
  Summary summary;

  g_variant_builder_init (&pings, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add (&pings, "{sv}", "sent", g_variant_new_uint32 (report->n_sent));
  g_variant_builder_add (&pings, "{sv}", "answered",
                         g_variant_new_uint32 (report->round_trips->len));
  if (report->round_trips->len > 0)
    {
      summarize (report, &summary);
      g_variant_builder_add (&pings, "{sv}", "min_ms", g_variant_new_double (summary.min_ms));
      g_variant_builder_add (&pings, "{sv}", "mean_ms", g_variant_new_double (summary.mean_ms));
      g_variant_builder_add (&pings, "{sv}", "max_ms", g_variant_new_double (summary.max_ms));
      g_variant_builder_add (&pings, "{sv}", "p99_ms", g_variant_new_double (summary.p99_ms));
    }
  g_variant_builder_add (out, "{sv}", "pings", g_variant_builder_end (&pings));
}

static void
print_json (const ChoirProbeReport *report, const GError *problem)
{
  GVariantBuilder out;

  g_variant_builder_init (&out, G_VARIANT_TYPE_VARDICT);
  add_text (&out, "url", report->url);
  g_variant_builder_add (&out, "{sv}", "ok", g_variant_new_boolean (problem == NULL));
  add_text (&out, "address", report->address);
  add_text (&out, "tls_version", report->tls_version);
  add_text (&out, "subprotocol", report->protocol);
  add_text (&out, "server", report->server);
  add_text (&out, "first_message", report->first_type);
  if (report->http_status != 0)
    g_variant_builder_add (&out, "{sv}", "http_status", g_variant_new_uint32 (report->http_status));
  if (report->close_code != 0)
    g_variant_builder_add (&out, "{sv}", "close_code", g_variant_new_uint32 (report->close_code));
  add_time (&out, "resolve_ms", report->resolve_us);
  add_time (&out, "connect_ms", report->connect_us);
  add_time (&out, "tls_ms", report->tls_us);
  add_time (&out, "handshake_ms", report->handshake_us);
  add_time (&out, "first_message_ms", report->first_message_us);
  add_pings (&out, report);
  add_text (&out, "code", report->code);
  if (problem != NULL)
    {
      add_text (&out, "error", problem->message);
      g_variant_builder_add (&out, "{sv}", "status",
                             g_variant_new_int32 ((int) choir_ctl_error_get_status (problem)));
    }

  choir_ctl_print_json (g_variant_builder_end (&out));
}

/* For people */

static void
print_step (const char *title, gint64 us, const char *detail)
{
  g_autofree char *clean = detail != NULL ? choir_ctl_clean (detail) : NULL;
  guint width = choir_ctl_text_width (title);

  if (us < 0)
    return;

  choir_ctl_print ("  %s%*s %9.3f ms%s%s\n", title, (int) (width < 16 ? 16 - width : 0), "",
                   (double) us / 1000, clean != NULL ? "   " : "", clean != NULL ? clean : "");
}

static void
print_text (const ChoirProbeReport *report)
{
  g_autofree char *url = choir_ctl_clean (report->url);
  Summary summary;

  choir_ctl_print ("%s%s%s\n", choir_ctl_style (CHOIR_CTL_HEADING), url,
                   choir_ctl_style_end (CHOIR_CTL_HEADING));
  print_step (_ ("resolve"), report->resolve_us, report->address);
  print_step (_ ("connect"), report->connect_us, NULL);
  print_step (_ ("TLS"), report->tls_us, report->tls_version);
  print_step (_ ("handshake"), report->handshake_us, report->protocol);
  print_step (_ ("first message"), report->first_message_us, report->first_type);
  if (report->round_trips->len == 0)
    return;

  summarize (report, &summary);
  choir_ctl_print (
    ngettext ("  %u of %u ping answered: ", "  %u of %u pings answered: ", report->n_sent),
    report->round_trips->len, report->n_sent);
  choir_ctl_print (_ ("min %.3f, mean %.3f, max %.3f, p99 %.3f ms\n"), summary.min_ms,
                   summary.mean_ms, summary.max_ms, summary.p99_ms);
}

/**
 * choir_ctl_check:
 * @self: the options
 * @words: the URL
 * @error: return location, of %CHOIR_CTL_ERROR
 *
 * Returns: whether everything was as it should be
 */
gboolean
choir_ctl_check (ChoirCtl *self, char **words, GError **error)
{
  g_autoptr (ChoirProbeReport) report = choir_probe_report_new ();
  g_autoptr (GTlsDatabase) database = NULL;
  g_autofree char *token = NULL;
  ChoirProbeOptions options = { .url = words[0] };
  GError *problem = NULL;

  if (!read_options (self, &options, error))
    return FALSE;

  token = find_token (&problem);
  if (problem == NULL && opt_ca != NULL)
    database = open_authorities (&problem);
  if (problem != NULL)
    {
      g_propagate_error (error, problem);
      return FALSE;
    }

  options.token = token;
  options.database = database;
  choir_probe_run (&options, report, &problem);

  if (self->json)
    print_json (report, problem);
  else if (report->url != NULL)
    print_text (report);

  if (problem == NULL)
    return TRUE;

  g_propagate_error (error, problem);

  return FALSE;
}
