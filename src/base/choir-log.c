/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-log.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "choir-clock.h"
#include "choir-error.h"

/**
 * ChoirLog:
 *
 * One line or datagram a message, written whole, so threads need no lock and lines never mix.
 * Whatever the form, values are cut and control characters escaped: a client chooses its user
 * agent, and must not be able to write lines of its own. Anything that looks like a signed token
 * is replaced, because messages of libraries may quote a request.
 */

#define PAIRS_MAX 32
/* with PAIRS_MAX, what journald takes in one datagram */
#define VALUE_MAX 4096
#define JOURNAL_SOCKET "/run/systemd/journal/socket"

typedef struct
{
  const char *key;
  const char *value;
} Pair;

typedef struct
{
  ChoirLogLevel level;
  const char *message;
  Pair pairs[PAIRS_MAX];
  guint n_pairs;
} Record;

static const char *const level_names[] = { "error", "warning", "notice", "info", "debug" };
static const char *const format_names[] = { "auto", "console", "journal", "json" };

static int current_level = CHOIR_LOG_LEVEL_NOTICE; /* (atomic) */
static ChoirLogFormat current_format = CHOIR_LOG_FORMAT_CONSOLE;
static GLogLevelFlags fatal_levels;
static int output_fd = STDERR_FILENO;
static int journal_fd = -1;
static struct sockaddr_un journal_address = { AF_UNIX, JOURNAL_SOCKET };

static gboolean
parse_name (const char *text,
            const char *const *names,
            guint n_names,
            const char *what,
            guint *out,
            GError **error)
{
  g_autoptr (GString) all = g_string_new (NULL);

  for (guint i = 0; i < n_names; i++)
    {
      if (strcmp (text, names[i]) == 0)
        {
          *out = i;
          return TRUE;
        }

      g_string_append_printf (all, "%s%s", i > 0 ? ", " : "", names[i]);
    }

  g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG, "“%s” is not a log %s: it must be one of %s",
               text, what, all->str);
  return FALSE;
}

/**
 * choir_log_format_parse:
 * @text: "auto", "console", "journal" or "json"
 * @out: (out): the format
 * @error: return location for a #GError of %CHOIR_ERROR_CONFIG
 *
 * Returns: whether @text is one
 */
gboolean
choir_log_format_parse (const char *text, ChoirLogFormat *out, GError **error)
{
  guint i;

  if (!parse_name (text, format_names, G_N_ELEMENTS (format_names), "format", &i, error))
    return FALSE;

  *out = (ChoirLogFormat) i;
  return TRUE;
}

/**
 * choir_log_level_parse:
 * @text: "error", "warning", "notice", "info" or "debug"
 * @out: (out): the level
 * @error: return location for a #GError of %CHOIR_ERROR_CONFIG
 *
 * Returns: whether @text is one
 */
gboolean
choir_log_level_parse (const char *text, ChoirLogLevel *out, GError **error)
{
  guint i;

  if (!parse_name (text, level_names, G_N_ELEMENTS (level_names), "level", &i, error))
    return FALSE;

  *out = (ChoirLogLevel) i;
  return TRUE;
}

/* Values */

/* RFC 7515, 7.1: base64url parts joined by dots; a JSON header always begins with "eyJ" */
static gsize
get_token_length (const char *text)
{
  gsize n = 0;

  if (!g_str_has_prefix (text, "eyJ"))
    return 0;

  while (g_ascii_isalnum (text[n]) || (text[n] != '\0' && strchr ("-_.", text[n]) != NULL))
    n++;

  return n >= 20 ? n : 0;
}

/* A cut, valid and harmless copy */
static char *
clean_value (const char *text)
{
  g_autofree char *valid = g_utf8_make_valid (text, (gssize) strnlen (text, VALUE_MAX));
  GString *out = g_string_sized_new (strlen (valid));

  for (const char *at = valid; *at != '\0';)
    {
      const gsize n = get_token_length (at);

      if (n > 0)
        g_string_append (out, "[token]");
      else
        g_string_append_c (out, *at);

      at += MAX (n, 1);
    }

  return g_string_free (out, FALSE);
}

/* JSON's escapes (RFC 8259, 7) serve the console as well */
static void
append_escaped (GString *out, const char *text)
{
  for (const char *at = text; *at != '\0'; at++)
    {
      if (*at == '"' || *at == '\\')
        g_string_append_printf (out, "\\%c", *at);
      else if (*at == '\n')
        g_string_append (out, "\\n");
      else if ((guchar) *at < 0x20 || *at == 0x7f)
        g_string_append_printf (out, "\\u%04x", (guint) (guchar) *at);
      else
        g_string_append_c (out, *at);
    }
}

static gboolean
is_plain (const char *text)
{
  if (*text == '\0')
    return FALSE;

  for (const char *at = text; *at != '\0'; at++)
    {
      if ((guchar) *at <= ' ' || *at == '"' || *at == '\\' || *at == 0x7f)
        return FALSE;
    }

  return TRUE;
}

/* CHOIR_USER -> user: people and JSON readers know whose log it is */
static void
append_short_key (GString *out, const char *key)
{
  if (g_str_has_prefix (key, "CHOIR_"))
    key += strlen ("CHOIR_");

  for (; *key != '\0'; key++)
    g_string_append_c (out, g_ascii_tolower (*key));
}

static gboolean
is_code_key (const char *key)
{
  return g_str_has_prefix (key, "CODE_");
}

static void
append_now (GString *out)
{
  char now[CHOIR_CLOCK_ISO8601_SIZE];

  choir_clock_format_iso8601 (choir_clock_wall_us (), now);
  g_string_append (out, now);
}

/* Forms */

static void
write_whole (const GString *line)
{
  gssize n;

  do
    n = write (output_fd, line->str, line->len);
  while (n < 0 && errno == EINTR);
}

static void
write_console (const Record *record)
{
  g_autoptr (GString) line = g_string_new (NULL);
  g_autofree char *message = clean_value (record->message);

  append_now (line);
  g_string_append_printf (line, " %s: ", level_names[record->level]);

  for (const char *at = message; *at != '\0'; at++)
    {
      if ((guchar) *at < 0x20 || *at == 0x7f)
        g_string_append_printf (line, "\\u%04x", (guint) (guchar) *at);
      else
        g_string_append_c (line, *at);
    }

  for (guint i = 0; i < record->n_pairs; i++)
    {
      g_autofree char *value = clean_value (record->pairs[i].value);
      const char *quote = is_plain (value) ? "" : "\"";

      if (is_code_key (record->pairs[i].key) || strcmp (record->pairs[i].key, "MESSAGE_ID") == 0)
        continue;

      g_string_append_c (line, ' ');
      append_short_key (line, record->pairs[i].key);
      g_string_append_printf (line, "=%s", quote);
      append_escaped (line, value);
      g_string_append (line, quote);
    }

  g_string_append_c (line, '\n');
  write_whole (line);
}

static void
append_json_member (GString *line, const char *key, const char *value)
{
  g_autofree char *clean = clean_value (value);

  g_string_append (line, ",\"");
  append_short_key (line, key);
  g_string_append (line, "\":\"");
  append_escaped (line, clean);
  g_string_append_c (line, '"');
}

static void
write_json (const Record *record)
{
  g_autoptr (GString) line = g_string_new ("{\"time\":\"");

  append_now (line);
  g_string_append_c (line, '"');
  append_json_member (line, "level", level_names[record->level]);
  append_json_member (line, "message", record->message);

  for (guint i = 0; i < record->n_pairs; i++)
    append_json_member (line, record->pairs[i].key, record->pairs[i].value);

  g_string_append (line, "}\n");
  write_whole (line);
}

/* systemd, "Native Journal Protocol": a value with a newline goes with its length */
static void
append_journal_field (GString *datagram, const char *key, const char *value)
{
  g_autofree char *clean = clean_value (value);

  if (strchr (clean, '\n') != NULL)
    {
      const guint64 length = GUINT64_TO_LE ((guint64) strlen (clean));

      g_string_append_printf (datagram, "%s\n", key);
      g_string_append_len (datagram, (const char *) &length, sizeof length);
      g_string_append_printf (datagram, "%s\n", clean);
    }
  else
    g_string_append_printf (datagram, "%s=%s\n", key, clean);
}

static gboolean
write_journal (const Record *record)
{
  /* syslog(3): error 3, warning 4, notice 5, info 6, debug 7 */
  const char priority[] = { (char) ('3' + record->level), '\0' };
  g_autoptr (GString) datagram = g_string_new (NULL);

  append_journal_field (datagram, "PRIORITY", priority);
  append_journal_field (datagram, "SYSLOG_IDENTIFIER", PACKAGE_NAME "d");
  append_journal_field (datagram, "MESSAGE", record->message);

  for (guint i = 0; i < record->n_pairs; i++)
    append_journal_field (datagram, record->pairs[i].key, record->pairs[i].value);

  return sendto (journal_fd, datagram->str, datagram->len, MSG_NOSIGNAL | MSG_DONTWAIT,
                 (const struct sockaddr *) &journal_address, sizeof journal_address) >= 0;
}

static void
write_record (const Record *record)
{
  if (current_format == CHOIR_LOG_FORMAT_JSON)
    write_json (record);
  /* a journal that is away or full must not silence the service */
  else if (current_format != CHOIR_LOG_FORMAT_JOURNAL || !write_journal (record))
    write_console (record);
}

static void
add_pair (Record *record, const char *key, const char *value)
{
  if (value != NULL && record->n_pairs < PAIRS_MAX)
    record->pairs[record->n_pairs++] = (Pair){ key, value };
}

/* GLib's messages */

static ChoirLogLevel
from_glib_level (GLogLevelFlags flags)
{
  if (flags & (G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL))
    return CHOIR_LOG_LEVEL_ERROR;
  if (flags & G_LOG_LEVEL_WARNING)
    return CHOIR_LOG_LEVEL_WARNING;
  if (flags & G_LOG_LEVEL_MESSAGE)
    return CHOIR_LOG_LEVEL_NOTICE;
  return flags & G_LOG_LEVEL_INFO ? CHOIR_LOG_LEVEL_INFO : CHOIR_LOG_LEVEL_DEBUG;
}

static GLogWriterOutput
glib_writer (GLogLevelFlags flags, const GLogField *fields, gsize n_fields, gpointer user_data)
{
  Record record = { .level = from_glib_level (flags), .message = "" };
  const char *domain = NULL;
  gboolean is_old_api = FALSE;

  for (gsize i = 0; i < n_fields; i++)
    {
      const char *key = fields[i].key;

      /* other lengths are binary */
      if (fields[i].length != -1)
        continue;

      if (strcmp (key, "MESSAGE") == 0)
        record.message = fields[i].value;
      else if (strcmp (key, "GLIB_DOMAIN") == 0)
        domain = fields[i].value;
      else if (strcmp (key, "GLIB_OLD_LOG_API") == 0)
        is_old_api = TRUE;
      else if (strcmp (key, "PRIORITY") != 0)
        add_pair (&record, key, fields[i].value);
    }

  add_pair (&record, "GLIB_DOMAIN", domain);

  /* a library's debug messages stay a developer's wish: G_MESSAGES_DEBUG */
  if (choir_log_is_enabled (record.level) && !g_log_writer_default_would_drop (flags, domain))
    write_record (&record);

  /* g_log() ends the process itself; for g_log_structured() that is the writer's part */
  if (!is_old_api && (flags & fatal_levels) != 0)
    G_BREAKPOINT ();

  return G_LOG_WRITER_HANDLED;
}

/* Interface */

static gboolean
open_journal (void)
{
  if (journal_fd < 0)
    journal_fd = socket (AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

  return journal_fd >= 0;
}

/**
 * choir_log_init:
 * @format: how to write; "auto" looks at stderr once, here
 * @level: the least urgent level to write
 *
 * Also takes over GLib's messages. To be called before other threads log; until then lines go to
 * stderr from level notice on.
 */
void
choir_log_init (ChoirLogFormat format, ChoirLogLevel level)
{
  static gsize writer_set;

  if (format == CHOIR_LOG_FORMAT_AUTO)
    format = g_log_writer_is_journald (STDERR_FILENO) ? CHOIR_LOG_FORMAT_JOURNAL
                                                      : CHOIR_LOG_FORMAT_CONSOLE;

  if (format == CHOIR_LOG_FORMAT_JOURNAL && !open_journal ())
    format = CHOIR_LOG_FORMAT_CONSOLE;

  current_format = format;
  choir_log_set_level (level);

  /* GLib allows this only once in a process */
  if (g_once_init_enter (&writer_set))
    {
      fatal_levels = g_log_set_always_fatal (G_LOG_FATAL_MASK);
      g_log_set_always_fatal (fatal_levels);
      g_log_set_writer_func (glib_writer, NULL, NULL);
      g_once_init_leave (&writer_set, 1);
    }
}

/**
 * choir_log_set_level:
 * @level: the least urgent level to write; any thread, any time
 */
void
choir_log_set_level (ChoirLogLevel level)
{
  g_atomic_int_set (&current_level, (int) level);
}

/**
 * choir_log_get_level_name:
 *
 * Returns: the least urgent level that is written, in the word choir_log_level_parse() takes
 */
const char *
choir_log_get_level_name (void)
{
  return level_names[g_atomic_int_get (&current_level)];
}

/**
 * choir_log_is_enabled:
 * @level: a level
 *
 * Returns: whether a message of it is written; to be asked before making a costly one
 */
gboolean
choir_log_is_enabled (ChoirLogLevel level)
{
  return (int) level <= g_atomic_int_get (&current_level);
}

/**
 * choir_log_full:
 * @file: source file, for the journal's CODE_FILE
 * @line: its line
 * @func: the function
 * @level: how urgent
 * @message_id: (nullable): 32 hex digits; journalctl MESSAGE_ID= finds it
 * @message: a constant sentence; what varies goes into the pairs
 * @...: names of fields and their values, %NULL-terminated; a field whose value is %NULL is left
 * out
 *
 * What the macros choir_log() and choir_log_with_id() call. Values are cut at 4 KiB.
 */
void
choir_log_full (const char *file,
                const char *line,
                const char *func,
                ChoirLogLevel level,
                const char *message_id,
                const char *message,
                ...)
{
  Record record = { .level = level, .message = message };
  const char *key;
  va_list pairs;

  if (!choir_log_is_enabled (level))
    return;

  add_pair (&record, "MESSAGE_ID", message_id);
  add_pair (&record, "CODE_FILE", file);
  add_pair (&record, "CODE_LINE", line);
  add_pair (&record, "CODE_FUNC", func);

  va_start (pairs, message);
  while ((key = va_arg (pairs, const char *)) != NULL)
    add_pair (&record, key, va_arg (pairs, const char *));
  va_end (pairs);

  write_record (&record);
}

/**
 * choir_log_set_output:
 * @fd: a file descriptor that stays the caller's; -1 is stderr
 * @journal_socket: (nullable): path of the socket that stands for journald's; %NULL is the real one
 *
 * For tests.
 */
void
choir_log_set_output (int fd, const char *journal_socket)
{
  const char *path = journal_socket != NULL ? journal_socket : JOURNAL_SOCKET;

  output_fd = fd >= 0 ? fd : STDERR_FILENO;
  g_strlcpy (journal_address.sun_path, path, sizeof journal_address.sun_path);
}
