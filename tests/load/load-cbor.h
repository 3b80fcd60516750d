/* load-cbor.h: as much CBOR (RFC 8949) as the generator's own messages take
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>
#include <string.h>

G_BEGIN_DECLS

/* Of less than 64 KiB */
static inline void
load_cbor_begin_text (GString *out, gsize len)
{
  if (len < 24)
    g_string_append_c (out, (char) (0x60 | len));
  else
    {
      g_string_append_c (out, 0x79);
      g_string_append_c (out, (char) (len >> 8));
      g_string_append_c (out, (char) len);
    }
}

static inline void
load_cbor_append_text (GString *out, const char *text)
{
  load_cbor_begin_text (out, strlen (text));
  g_string_append (out, text);
}

/* Of less than 24 pairs */
static inline void
load_cbor_begin_map (GString *out, guint n_pairs)
{
  g_string_append_c (out, (char) (0xa0 | n_pairs));
}

G_END_DECLS
