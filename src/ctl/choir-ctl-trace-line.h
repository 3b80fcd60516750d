/* choir-ctl-trace-line.h: one line of a trace, for people or for programs
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

void choir_ctl_trace_line_print (const char *line, gsize len, gboolean as_json);

G_END_DECLS
