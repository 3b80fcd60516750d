/* choir-ctl-words.h: what the words behind a verb and its options mean
 *
 * All fail with %CHOIR_CTL_USAGE, and name the option or word they are about.
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

gboolean
choir_ctl_word_duration (const char *what, const char *text, gint64 *out_us, GError **error);
gboolean choir_ctl_word_time (const char *what, const char *text, gint64 *out_us, GError **error);
gboolean choir_ctl_word_number (const char *what,
                                const char *text,
                                guint64 max,
                                guint64 *out,
                                GError **error);
char *choir_ctl_word_dup_json (const char *text, GError **error);

G_END_DECLS
