/* choir-names.h: limits and names that several layers must agree on
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* protocol.md, "everything is a channel": 1-255 bytes, printable ASCII without spaces */
#define CHOIR_CHANNEL_NAME_MAX 255
/* protocol.md, "Envelope" */
#define CHOIR_MESSAGE_ID_MAX 128
/* so that "user:ID" is a channel name too */
#define CHOIR_USER_ID_MAX (CHOIR_CHANNEL_NAME_MAX - 5)
#define CHOIR_TYPE_NAME_MAX 64
#define CHOIR_TOKEN_MAX 8192

/* On the message bus; one of several nodes on a host puts ".NODE" behind it */
#define CHOIR_BUS_NAME "org.choir.Choir1"

gboolean choir_name_is_channel (const char *name, gsize len);
gboolean choir_name_is_user (const char *name, gsize len);
gboolean choir_name_is_identifier (const char *name, gsize len);

/* Fields of a structured log line; the journal shows them in this form (journald: upper case, no
 * leading _) */
#define CHOIR_LOG_CONNECTION "CHOIR_CONNECTION"
#define CHOIR_LOG_SESSION "CHOIR_SESSION"
#define CHOIR_LOG_USER "CHOIR_USER"
#define CHOIR_LOG_ADDRESS "CHOIR_ADDRESS"
#define CHOIR_LOG_CHANNEL "CHOIR_CHANNEL"
#define CHOIR_LOG_DIALECT "CHOIR_DIALECT"
#define CHOIR_LOG_CLOSE_CODE "CHOIR_CLOSE_CODE"
#define CHOIR_LOG_ERROR_CODE "CHOIR_ERROR_CODE"
#define CHOIR_LOG_ERROR "CHOIR_ERROR"
#define CHOIR_LOG_BUS_NAME "CHOIR_BUS_NAME"
#define CHOIR_LOG_CALLER "CHOIR_CALLER"
#define CHOIR_LOG_CALLER_UID "CHOIR_CALLER_UID"
#define CHOIR_LOG_METHOD "CHOIR_METHOD"
#define CHOIR_LOG_ACTION "CHOIR_ACTION"
#define CHOIR_LOG_UNLOGGED "CHOIR_UNLOGGED"
#define CHOIR_LOG_TYPE "CHOIR_TYPE"
#define CHOIR_LOG_TASK "CHOIR_TASK"
#define CHOIR_LOG_JTI "CHOIR_JTI"
#define CHOIR_LOG_COUNT "CHOIR_COUNT"
#define CHOIR_LOG_AFTER_MS "CHOIR_AFTER_MS"
#define CHOIR_LOG_LOG_LEVEL "CHOIR_LOG_LEVEL"

G_END_DECLS
