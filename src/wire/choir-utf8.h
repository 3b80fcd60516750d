/* choir-utf8.h: UTF-8 as RFC 3629 has it, checked as it arrives
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* A state between chunks; zero is "at a character's start" */
typedef guint8 ChoirUtf8State;

/* FALSE as soon as no continuation could be valid (fail-fast: overlong, surrogates, > U+10FFFF) */
gboolean choir_utf8_feed (ChoirUtf8State *state, const guint8 *data, gsize len);
gboolean choir_utf8_is_complete (ChoirUtf8State state);
gboolean choir_utf8_validate (const guint8 *data, gsize len);

G_END_DECLS
