/* choir-log.h: structured logging: journal, console or JSON
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

typedef enum
{
  CHOIR_LOG_FORMAT_AUTO, /* journal when stderr is the journal's stream, else console */
  CHOIR_LOG_FORMAT_CONSOLE,
  CHOIR_LOG_FORMAT_JOURNAL,
  CHOIR_LOG_FORMAT_JSON,
} ChoirLogFormat;

typedef enum
{
  CHOIR_LOG_LEVEL_ERROR,
  CHOIR_LOG_LEVEL_WARNING,
  CHOIR_LOG_LEVEL_NOTICE,
  CHOIR_LOG_LEVEL_INFO,
  CHOIR_LOG_LEVEL_DEBUG,
} ChoirLogLevel;

gboolean choir_log_format_parse (const char *text, ChoirLogFormat *out, GError **error);
gboolean choir_log_level_parse (const char *text, ChoirLogLevel *out, GError **error);

void choir_log_init (ChoirLogFormat format, ChoirLogLevel level);
void choir_log_set_level (ChoirLogLevel level);
const char *choir_log_get_level_name (void);
gboolean choir_log_is_enabled (ChoirLogLevel level);

/* choir_log (CHOIR_LOG_LEVEL_INFO, "connection opened", CHOIR_LOG_USER, user, NULL);
 * The pairs are const char *, NULL values are left out. A message id (nullable, 32 hex digits) lets
 * an operator alert on it. */
#define choir_log(level, ...) choir_log_with_id (level, NULL, __VA_ARGS__)
#define choir_log_with_id(level, message_id, ...)                                                  \
  choir_log_full (__FILE__, G_STRINGIFY (__LINE__), G_STRFUNC, level, message_id, __VA_ARGS__)

void choir_log_full (const char *file,
                     const char *line,
                     const char *func,
                     ChoirLogLevel level,
                     const char *message_id,
                     const char *message,
                     ...) G_GNUC_NULL_TERMINATED;

/* Tests only: where lines go instead of stderr, and datagrams instead of journald's socket
 * (nullable) */
void choir_log_set_output (int fd, const char *journal_socket);

G_END_DECLS
