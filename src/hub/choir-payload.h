/* choir-payload.h: writing the payload objects of the service's own messages
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

#include "choir-json-gate.h"

G_BEGIN_DECLS

/* Appends `"key":value` to an object under construction, with the comma if it is not the first.
 * Keys are ours: plain ASCII that needs no escaping. */
void choir_payload_open (GString *out);
void choir_payload_close (GString *out);
void choir_payload_add_string (GString *out, const char *key, const char *value);
void choir_payload_add_int (GString *out, const char *key, gint64 value);
void choir_payload_add_boolean (GString *out, const char *key, gboolean value);
void choir_payload_add_raw (GString *out, const char *key, ChoirSlice json);
void choir_payload_add_time (GString *out, const char *key, gint64 wall_us);
void choir_payload_add_key (GString *out, const char *key);
ChoirSlice choir_payload_as_slice (const GString *out);

/* The way back, of what the service itself has written */
char *choir_payload_read_string (ChoirSlice object, const char *key, gsize max_len);
gint64 choir_payload_read_int (ChoirSlice object, const char *key);

G_END_DECLS
