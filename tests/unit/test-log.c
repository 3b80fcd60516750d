/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "choir-clock.h"
#include "choir-error.h"
#include "choir-log.h"
#include "choir-names.h"

/* signed tokens begin with {" in base64url */
#define TOKEN "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl"

typedef struct
{
  int fds[2];
} Fixture;

static void
fixture_setup (Fixture *f, gconstpointer data)
{
  g_assert_cmpint (pipe2 (f->fds, O_CLOEXEC | O_NONBLOCK), ==, 0);
  choir_clock_freeze (0, G_GINT64_CONSTANT (1767868200123000));
  choir_log_set_output (f->fds[1], NULL);
}

static void
fixture_teardown (Fixture *f, gconstpointer data)
{
  choir_log_set_output (-1, NULL);
  choir_log_init (CHOIR_LOG_FORMAT_CONSOLE, CHOIR_LOG_LEVEL_NOTICE);
  choir_clock_thaw ();
  close (f->fds[0]);
  close (f->fds[1]);
}

static char *
read_output (Fixture *f)
{
  char buffer[65536];
  const gssize n = read (f->fds[0], buffer, sizeof buffer - 1);

  return g_strndup (buffer, (gsize) MAX (n, 0));
}

static void
test_console (Fixture *f, gconstpointer data)
{
  g_autofree char *text = NULL;

  choir_log_init (CHOIR_LOG_FORMAT_CONSOLE, CHOIR_LOG_LEVEL_INFO);
  choir_log (CHOIR_LOG_LEVEL_INFO, "connection opened", CHOIR_LOG_USER, "alice", CHOIR_LOG_SESSION,
             NULL, CHOIR_LOG_ADDRESS, "a\n\"b\x1b", NULL);
  choir_log (CHOIR_LOG_LEVEL_DEBUG, "not shown", NULL);
  text = read_output (f);
  g_assert_cmpstr (text, ==,
                   "2026-01-08T10:30:00.123Z info: connection opened user=alice"
                   " address=\"a\\n\\\"b\\u001b\"\n");
}

static void
test_json (Fixture *f, gconstpointer data)
{
  g_autofree char *text = NULL;

  choir_log_init (CHOIR_LOG_FORMAT_JSON, CHOIR_LOG_LEVEL_WARNING);
  choir_log_with_id (CHOIR_LOG_LEVEL_ERROR, "0123456789abcdef0123456789abcdef", "it \"broke\"",
                     CHOIR_LOG_CLOSE_CODE, "1006\xff", NULL);
  choir_log (CHOIR_LOG_LEVEL_NOTICE, "not shown", NULL);
  text = read_output (f);
  g_assert_true (g_str_has_prefix (text,
                                   "{\"time\":\"2026-01-08T10:30:00.123Z\",\"level\":\"error\","
                                   "\"message\":\"it \\\"broke\\\"\","
                                   "\"message_id\":\"0123456789abcdef0123456789abcdef\","));
  g_assert_nonnull (strstr (text, "\"code_func\":\"test_json\""));
  g_assert_true (g_str_has_suffix (text, ",\"close_code\":\"1006\xef\xbf\xbd\"}\n"));
}

static void
test_journal (Fixture *f, gconstpointer data)
{
  g_autofree char *dir = g_dir_make_tmp ("choir-log-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (dir, "socket", NULL);
  g_autofree char *fallback = NULL;
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  char buffer[65536];
  const int fd = socket (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const char binary[] = "CHOIR_USER\n\x03\0\0\0\0\0\0\0a\nb\n";
  gssize n;

  g_strlcpy (address.sun_path, path, sizeof address.sun_path);
  g_assert_cmpint (bind (fd, (struct sockaddr *) &address, sizeof address), ==, 0);
  choir_log_set_output (f->fds[1], path);
  choir_log_init (CHOIR_LOG_FORMAT_JOURNAL, CHOIR_LOG_LEVEL_INFO);

  choir_log_with_id (CHOIR_LOG_LEVEL_WARNING, "0123456789abcdef0123456789abcdef", "said",
                     CHOIR_LOG_USER, "a\nb", NULL);
  n = recv (fd, buffer, sizeof buffer - 1, 0);
  g_assert_cmpint (n, >, 0);
  buffer[n] = '\0';
  g_assert_true (g_str_has_prefix (buffer, "PRIORITY=4\n"));
  g_assert_nonnull (strstr (buffer, "\nMESSAGE=said\n"));
  g_assert_nonnull (strstr (buffer, "\nMESSAGE_ID=0123456789abcdef0123456789abcdef\n"));
  g_assert_nonnull (strstr (buffer, "\nCODE_FUNC=test_journal\n"));
  g_assert_nonnull (memmem (buffer, (gsize) n, binary, sizeof binary - 1));

  /* without a journal the line still gets out */
  close (fd);
  g_remove (path);
  choir_log (CHOIR_LOG_LEVEL_WARNING, "alone", NULL);
  fallback = read_output (f);
  g_assert_nonnull (strstr (fallback, " warning: alone\n"));
  g_rmdir (dir);
}

static void
test_glib (Fixture *f, gconstpointer data)
{
  g_autofree char *text = NULL;

  choir_log_init (CHOIR_LOG_FORMAT_CONSOLE, CHOIR_LOG_LEVEL_INFO);
  g_log ("other", G_LOG_LEVEL_MESSAGE, "GET /ws?token=%s HTTP/1.1", TOKEN);
  g_log_structured ("other", G_LOG_LEVEL_MESSAGE, "MESSAGE", "two\nlines");
  g_log ("other", G_LOG_LEVEL_DEBUG, "not asked for");
  text = read_output (f);
  g_assert_cmpstr (text, ==,
                   "2026-01-08T10:30:00.123Z notice: GET /ws?token=[token] HTTP/1.1"
                   " glib_domain=other\n"
                   "2026-01-08T10:30:00.123Z notice: two\\u000alines glib_domain=other\n");
}

static void
test_cut (Fixture *f, gconstpointer data)
{
  g_autofree char *longest = g_strnfill (100000, 'x');
  g_autofree char *text = NULL;

  choir_log_init (CHOIR_LOG_FORMAT_CONSOLE, CHOIR_LOG_LEVEL_INFO);
  choir_log (CHOIR_LOG_LEVEL_ERROR, "long", CHOIR_LOG_USER, longest, NULL);
  text = read_output (f);
  g_assert_cmpuint (strlen (text), <, 5000);
  g_assert_true (g_str_has_suffix (text, "x\n"));
}

static void
test_parse (void)
{
  g_autoptr (GError) error = NULL;
  ChoirLogFormat format = CHOIR_LOG_FORMAT_AUTO;
  ChoirLogLevel level = CHOIR_LOG_LEVEL_ERROR;

  g_assert_true (choir_log_format_parse ("json", &format, NULL));
  g_assert_cmpint (format, ==, CHOIR_LOG_FORMAT_JSON);
  g_assert_true (choir_log_level_parse ("debug", &level, NULL));
  g_assert_cmpint (level, ==, CHOIR_LOG_LEVEL_DEBUG);
  g_assert_false (choir_log_level_parse ("loud", &level, &error));
  g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG);
  g_assert_nonnull (strstr (error->message, "error, warning, notice, info, debug"));
  g_clear_error (&error);
  g_assert_false (choir_log_format_parse ("", &format, &error));
  g_assert_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG);
}

#define ADD(name, func)                                                                            \
  g_test_add ("/log/" name, Fixture, NULL, fixture_setup, func, fixture_teardown)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_unsetenv ("G_MESSAGES_DEBUG");

  ADD ("console", test_console);
  ADD ("json", test_json);
  ADD ("journal", test_journal);
  ADD ("glib", test_glib);
  ADD ("cut", test_cut);
  g_test_add_func ("/log/parse", test_parse);

  return g_test_run ();
}
