/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "fake-link.h"

#include "choir-admin-pipe.h"
#include "choir-admin-redact.h"
#include "choir-admin-sampler.h"
#include "choir-admin-trace.h"
#include "choir-error.h"

#include <fcntl.h>
#include <glib-unix.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const redactions[][2] = {
  { "{}", "{}" },
  { "{\"a\":1}", "{\"a\":1}" },
  { " { \"a\" :\n [ 1 ,\t\"x y\" ] } ", "{\"a\":[1,\"x y\"]}" },
  { "{\"token\":\"secret\"}", "{\"token\":\"***\"}" },
  { "{\"token\" :\n \"secret\" , \"b\":2}", "{\"token\":\"***\",\"b\":2}" },
  { "{\"a\":[{\"b\":{\"token\":\"secret\"}}]}", "{\"a\":[{\"b\":{\"token\":\"***\"}}]}" },
  { "{\"token\":{\"token\":\"secret\",\"x\":[\"}\"]},\"c\":3}", "{\"token\":\"***\",\"c\":3}" },
  { "{\"token\":[\"se\\\"cret\",[1]],\"c\":3}", "{\"token\":\"***\",\"c\":3}" },
  { "{\"token\":12345}", "{\"token\":\"***\"}" },
  { "{\"a\":{\"token\":null }}", "{\"a\":{\"token\":\"***\"}}" },
  { "{\"t\\u006fken\":\"secret\"}", "{\"t\\u006fken\":\"***\"}" },
  { "{\"refreshToken\":\"secret\"}", "{\"refreshToken\":\"***\"}" },
  { "{\"Authorization\":\"Bearer secret\"}", "{\"Authorization\":\"***\"}" },
  { "{\"a\":\"token\",\"b\":[\"token\",\"x\"]}", "{\"a\":\"token\",\"b\":[\"token\",\"x\"]}" },
  { "{\"tokens\":5,\"a\":\"\\\"token\\\":\"}", "{\"tokens\":5,\"a\":\"\\\"token\\\":\"}" },
};

static void
test_redact (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (redactions); i++)
    {
      g_autoptr (GString) out = g_string_new (NULL);

      choir_admin_redact (choir_slice (redactions[i][0]), out);
      g_assert_cmpstr (out->str, ==, redactions[i][1]);
    }
}

/* What there is to be read by now */
static char *
read_all (int fd)
{
  GString *text = g_string_new (NULL);
  char block[4096];

  g_unix_set_fd_nonblocking (fd, TRUE, NULL);
  for (;;)
    {
      gssize n = 0;

      while (g_main_context_iteration (NULL, FALSE))
        continue;
      n = read (fd, block, sizeof block);
      if (n <= 0)
        break;
      g_string_append_len (text, block, n);
    }

  return g_string_free (text, FALSE);
}

static void
count_cb (gpointer user_data)
{
  *(guint *) user_data += 1;
}

static void
push (ChoirAdminPipe *pipe, const char *format, guint i)
{
  g_autoptr (GString) line = g_string_new (NULL);

  g_string_append_printf (line, "%s %u", format, i);
  choir_admin_pipe_push (pipe, line);
}

/* A reader who reads nothing costs a bounded number of bytes; what it then reads is whole lines in
 * order, and how many it has missed, where they are missing */
static void
test_pipe_bounds (void)
{
  guint n_closed = 0;
  int fd = -1;
  g_autoptr (ChoirAdminPipe) pipe = choir_admin_pipe_new (&fd, count_cb, &n_closed, NULL);
  g_autofree char *filler = g_strnfill (1000, 'x');
  g_autofree char *text = NULL;
  g_auto (GStrv) lines = NULL;
  const guint n = 5000;
  guint expected = 0;
  guint n_dropped = 0;

  g_assert_nonnull (pipe);
  for (guint i = 0; i < n; i++)
    {
      push (pipe, filler, i);
      g_assert_cmpuint (choir_admin_pipe_get_n_waiting (pipe), <=, CHOIR_ADMIN_PIPE_MAX);
      if (i % 100 == 0)
        while (g_main_context_iteration (NULL, FALSE))
          continue;
    }

  text = read_all (fd);
  lines = g_strsplit (text, "\n", -1);
  for (char **line = lines; *line != NULL && **line != '\0'; line++)
    {
      guint number = 0;

      if (sscanf (*line, "{\"dropped\":%u}", &number) == 1)
        {
          n_dropped += number;
          expected += number;
          continue;
        }

      g_assert_cmpuint (strspn (*line, "x"), ==, 1000);
      g_assert_cmpint (sscanf (*line + 1000, "%u", &number), ==, 1);
      g_assert_cmpuint (number, ==, expected);
      expected++;
    }

  g_assert_cmpuint (n_dropped, >, n / 2);
  g_assert_cmpuint (expected, ==, n);
  g_assert_cmpuint (n_closed, ==, 0);
  close (fd);
}

static void
test_pipe_closed (gconstpointer data)
{
  gboolean waits = GPOINTER_TO_INT (data);
  guint n_closed = 0;
  int fd = -1;
  g_autoptr (ChoirAdminPipe) pipe = choir_admin_pipe_new (&fd, count_cb, &n_closed, NULL);

  for (guint i = 0; waits && i < 50000; i++)
    push (pipe, "line", i);
  while (g_main_context_iteration (NULL, FALSE))
    continue;
  g_assert_cmpuint (n_closed, ==, 0);

  close (fd);
  while (n_closed == 0)
    g_main_context_iteration (NULL, TRUE);
  push (pipe, "line", 1);
  while (g_main_context_iteration (NULL, FALSE))
    continue;
  g_assert_cmpuint (n_closed, ==, 1);
}

static int
open_trace (ChoirAdminTraces *traces, const char *filter, GError **error)
{
  g_autoptr (GVariant) dict = g_variant_parse (G_VARIANT_TYPE_VARDICT, filter, NULL, NULL, NULL);

  g_assert_nonnull (dict);

  return choir_admin_traces_open (traces, dict, error);
}

typedef struct
{
  const char *filter;
  const char *types; /* in the order in which they are seen */
} TraceCase;

/* What alice and bob do is the same each time */
static const TraceCase trace_cases[] = {
  { "{}", "in:ping out:pong in:ping out:pong out:note out:note out:note" },
  { "{'user': <'alice'>}", "in:ping out:pong out:note out:note" },
  { "{'user': <'bob'>}", "in:ping out:pong out:note" },
  { "{'user': <'carol'>}", "" },
  { "{'direction': <'in'>}", "in:ping in:ping" },
  { "{'direction': <'out'>, 'user': <'bob'>}", "out:pong out:note" },
  { "{'type': <'note'>}", "out:note out:note out:note" },
  { "{'channel': <'chat:lobby'>}", "out:note" },
  { "{'channel': <'chat:lobby'>, 'user': <'alice'>}", "out:note" },
  { "{'channel': <'chat:lobby'>, 'user': <'bob'>}", "" },
};

static char *
summarize (const char *text)
{
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);
  g_autoptr (GPtrArray) seen = g_ptr_array_new_with_free_func (g_free);

  for (char **line = lines; *line != NULL && **line != '\0'; line++)
    {
      g_autofree char *direction = fake_link_read (*line, "direction");
      g_autofree char *type = fake_link_read (*line, "type");

      g_ptr_array_add (seen, g_strdup_printf ("%s:%s", direction, type));
    }
  g_ptr_array_add (seen, NULL);

  return g_strjoinv (" ", (char **) seen->pdata);
}

static void
test_trace_filter (gconstpointer data)
{
  const TraceCase *test = data;
  g_autoptr (FakeHub) hub = fake_hub_new (NULL);
  g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");
  g_autoptr (FakeLink) bob = fake_link_join (hub, "bob");
  g_autoptr (ChoirAdminTraces) traces = choir_admin_traces_new (hub->hub);
  g_autofree char *text = NULL;
  g_autofree char *seen = NULL;
  int fd;

  fake_link_ask (alice, "subscribe", "{\"channels\":[\"chat:lobby\"]}");
  fd = open_trace (traces, test->filter, NULL);
  g_assert_cmpint (fd, >=, 0);

  fake_link_ask (alice, "ping", "{}");
  fake_link_ask (bob, "ping", "{}");
  fake_hub_publish (hub, "chat:lobby", "note", "{}");
  fake_hub_publish (hub, "user:alice", "note", "{}");
  fake_hub_publish (hub, "user:bob", "note", "{}");

  text = read_all (fd);
  seen = summarize (text);
  g_assert_cmpstr (seen, ==, test->types);
  close (fd);
}

static void
test_trace_line (gconstpointer data)
{
  gboolean bodies = GPOINTER_TO_INT (data);
  g_autoptr (FakeHub) hub = fake_hub_new (NULL);
  g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");
  g_autoptr (ChoirAdminTraces) traces = choir_admin_traces_new (hub->hub);
  g_autofree char *text = NULL;
  g_autofree char *connection = NULL;
  int fd = open_trace (
    traces, bodies ? "{'bodies': <true>, 'direction': <'in'>}" : "{'direction': <'in'>}", NULL);

  fake_link_say (alice, "{\"type\":\"ping\",\"payload\":{\"token\":\"secret\",\"a\":1}}");
  text = read_all (fd);
  g_assert_true (g_str_has_suffix (text, "}\n"));
  g_assert_null (strstr (text, "secret"));
  g_assert_cmpint (strstr (text, ",\"payload\":{\"token\":\"***\",\"a\":1}}\n") != NULL, ==,
                   bodies);
  g_assert_cmpint (strstr (text, "payload") != NULL, ==, bodies);
  connection = fake_link_read (text, "connection");
  g_assert_cmpstr (connection, ==, choir_session_get_connection_id (fake_link_get_session (alice)));
  close (fd);
}

/* Whatever stands in them */
static void
test_trace_tokens (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (NULL);
  g_autofree char *token = fake_hub_mint (hub, "alice", NULL);
  g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");
  g_autoptr (ChoirAdminTraces) traces = choir_admin_traces_new (hub->hub);
  g_autofree char *text = NULL;
  int fd = open_trace (traces, "{'bodies': <true>}", NULL);

  fake_link_say (alice, "{\"type\":\"auth\",\"payload\":{\"token\":\"%s\",\"x\":\"%s\"}}", token,
                 token);
  fake_hub_iterate ();
  text = read_all (fd);
  g_assert_nonnull (strstr (text, "\"direction\":\"in\",\"type\":\"auth\""));
  g_assert_nonnull (strstr (text, "\"payload\":\"***\""));
  g_assert_null (strstr (text, token));
  close (fd);
}

static const char *const bad_filters[] = {
  "{'users': <'alice'>}",    "{'user': <1>}",
  "{'user': <'two words'>}", "{'channel': <'two words'>}",
  "{'direction': <'up'>}",   "{'bodies': <'yes'>}",
  "{'type': <''>}",          "{'connection': <''>}",
};

static void
test_trace_bad_filters (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (NULL);
  g_autoptr (ChoirAdminTraces) traces = choir_admin_traces_new (hub->hub);

  for (guint i = 0; i < G_N_ELEMENTS (bad_filters); i++)
    {
      g_autoptr (GError) error = NULL;

      g_assert_cmpint (open_trace (traces, bad_filters[i], &error), ==, -1);
      g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION);
    }
  g_assert_cmpuint (choir_admin_traces_get_n (traces), ==, 0);
}

static void
test_trace_limit (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (NULL);
  g_autoptr (ChoirAdminTraces) traces = choir_admin_traces_new (hub->hub);
  g_autoptr (GError) error = NULL;
  int fds[CHOIR_ADMIN_TRACES_MAX];
  char c;

  for (guint i = 0; i < CHOIR_ADMIN_TRACES_MAX; i++)
    fds[i] = open_trace (traces, "{}", NULL);
  g_assert_cmpint (open_trace (traces, "{}", &error), ==, -1);
  g_assert_error (error, G_DBUS_ERROR, G_DBUS_ERROR_LIMITS_EXCEEDED);

  close (fds[0]);
  while (choir_admin_traces_get_n (traces) == CHOIR_ADMIN_TRACES_MAX)
    g_main_context_iteration (NULL, TRUE);
  fds[0] = open_trace (traces, "{}", NULL);
  g_assert_cmpint (fds[0], >=, 0);

  choir_admin_traces_clear (traces);
  for (guint i = 0; i < CHOIR_ADMIN_TRACES_MAX; i++)
    {
      g_assert_cmpint (read (fds[i], &c, 1), ==, 0);
      close (fds[i]);
    }
}

static void
assert_about (double value, double expected)
{
  g_assert_cmpfloat_with_epsilon (value, expected, 0.001);
}

static void
test_sampler (void)
{
  g_autoptr (FakeHub) hub = fake_hub_new (NULL);
  g_autoptr (FakeLink) alice = fake_link_join (hub, "alice");
  g_autoptr (ChoirAdminSampler) sampler = choir_admin_sampler_new (hub->hub);
  const double quantiles[] = { 0.5, 0.99 };
  ChoirAdminPace rates;
  double latencies[2];

  choir_admin_sampler_get_pace (sampler, &rates);
  assert_about (rates.received_per_s, 0.0);
  choir_admin_sampler_get_latencies (sampler, quantiles, latencies, 2);
  assert_about (latencies[0], 0.0);

  /* two in each second, and an error in every other one */
  for (guint i = 0; i < 20; i++)
    {
      fake_link_ask (alice, "ping", "{}");
      fake_link_ask (alice, i % 2 == 0 ? "ping" : "explode", "{}");
      fake_hub_publish (hub, "chat:lobby", "note", "{}");
      fake_hub_advance (hub, G_USEC_PER_SEC);
    }

  choir_admin_sampler_get_pace (sampler, &rates);
  assert_about (rates.received_per_s, 2.0);
  assert_about (rates.errors_per_s, 0.5);
  assert_about (rates.publishes_per_s, 1.0);
  assert_about (rates.connects_per_s, 0.0);
  choir_admin_sampler_get_latencies (sampler, quantiles, latencies, 2);
  g_assert_cmpfloat (latencies[0], >, 0.0);
  g_assert_cmpfloat (latencies[1], >=, latencies[0]);

  /* what is longer ago does not count */
  for (guint i = 0; i < 12; i++)
    fake_hub_advance (hub, G_USEC_PER_SEC);
  choir_admin_sampler_get_pace (sampler, &rates);
  assert_about (rates.received_per_s, 0.0);
  choir_admin_sampler_get_latencies (sampler, quantiles, latencies, 2);
  g_assert_cmpfloat (latencies[0], >, 0.0);

  for (guint i = 0; i < 60; i++)
    fake_hub_advance (hub, G_USEC_PER_SEC);
  choir_admin_sampler_get_latencies (sampler, quantiles, latencies, 2);
  assert_about (latencies[0], 0.0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/admin-trace/redact", test_redact);
  g_test_add_func ("/admin-trace/pipe/bounds", test_pipe_bounds);
  g_test_add_data_func ("/admin-trace/pipe/closed", GINT_TO_POINTER (FALSE), test_pipe_closed);
  g_test_add_data_func ("/admin-trace/pipe/closed-while-writing", GINT_TO_POINTER (TRUE),
                        test_pipe_closed);
  for (guint i = 0; i < G_N_ELEMENTS (trace_cases); i++)
    {
      g_autofree char *name = g_strdup_printf ("/admin-trace/filter/%u", i);

      g_test_add_data_func (name, &trace_cases[i], test_trace_filter);
    }
  g_test_add_data_func ("/admin-trace/line", GINT_TO_POINTER (FALSE), test_trace_line);
  g_test_add_data_func ("/admin-trace/line-with-body", GINT_TO_POINTER (TRUE), test_trace_line);
  g_test_add_func ("/admin-trace/tokens", test_trace_tokens);
  g_test_add_func ("/admin-trace/bad-filters", test_trace_bad_filters);
  g_test_add_func ("/admin-trace/limit", test_trace_limit);
  g_test_add_func ("/admin-trace/sampler", test_sampler);

  return g_test_run ();
}
