/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-json-gate.h"

#include "choir-json-plain.h"

#include <string.h>

/**
 * choir_json_append_contents:
 * @out: where to
 * @text: valid UTF-8
 * @len: bytes, or -1 if NUL-terminated
 *
 * choir_json_append_string() without the quotes, for strings that come in pieces.
 */
void
choir_json_append_contents (GString *out, const char *text, gssize len)
{
  static const char hex[] = "0123456789abcdef";
  static const char letters[] = {
    ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n',  ['\f'] = 'f',
    ['\r'] = 'r', ['"'] = '"',  ['\\'] = '\\',
  };
  gsize end = len < 0 ? strlen (text) : (gsize) len;
  const guint8 *bytes = (const guint8 *) text;
  gsize start = 0;

  for (gsize i = (gsize) (choir_json_skip_plain (bytes, bytes + end) - bytes); i < end; i++)
    {
      guint8 c = bytes[i];

      if (c >= 0x20 && c != '"' && c != '\\')
        continue;

      g_string_append_len (out, text + start, (gssize) (i - start));
      start = i + 1;
      g_string_append_c (out, '\\');
      if (c < sizeof letters && letters[c] != '\0')
        g_string_append_c (out, letters[c]);
      else
        {
          g_string_append (out, "u00");
          g_string_append_c (out, hex[c >> 4]);
          g_string_append_c (out, hex[c & 15]);
        }
    }

  g_string_append_len (out, text + start, (gssize) (end - start));
}

/**
 * choir_json_append_string:
 * @out: where to
 * @text: valid UTF-8
 * @len: bytes, or -1 if NUL-terminated
 *
 * Appends @text as a JSON string: quoted, and escaped as far as RFC 8259 section 7 demands, in the
 * shortest way, which is the one of ECMAScript's JSON.stringify().
 */
void
choir_json_append_string (GString *out, const char *text, gssize len)
{
  g_string_append_c (out, '"');
  choir_json_append_contents (out, text, len);
  g_string_append_c (out, '"');
}
