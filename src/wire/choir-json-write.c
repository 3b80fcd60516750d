/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-json-gate.h"

#include "choir-json-plain.h"

#include <math.h>
#include <string.h>

/* 17 significant digits tell every double from the next; sign, point, exponent */
#define NUMBER_SIZE 32

/* What is written without the C library's help: up to so many decimal places, below so many units
 * of the last one */
#define SHORT_PLACES 15
#define SHORT_MAX 1e15

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

static gboolean
is_same (double a, double b)
{
  return !(a < b) && !(a > b);
}

/* As a decimal of few digits, by arithmetic that is exact: a whole number below 2^53 divided by a
 * power of ten below 10^22 is rounded once, as whoever reads the text will round it */
static gboolean
format_short (double value, char text[NUMBER_SIZE])
{
  double size = fabs (value);
  double scale = 1;

  for (int places = 1; places <= SHORT_PLACES; places++)
    {
      guint64 digits;

      scale *= 10;
      if (size * scale >= SHORT_MAX)
        return FALSE;

      digits = (guint64) (size * scale + 0.5);
      if (is_same ((double) digits / scale, size))
        {
          guint64 whole = (guint64) scale;

          g_snprintf (text, NUMBER_SIZE, "%s%" G_GUINT64_FORMAT ".%0*" G_GUINT64_FORMAT,
                      signbit (value) ? "-" : "", digits / whole, places, digits % whole);
          return TRUE;
        }
    }

  return FALSE;
}

/* The shortest of printf()'s texts that means @value, and can be seen to be no integer */
static void
format_double (double value, char text[NUMBER_SIZE])
{
  static const char *const formats[] = { "%.15g", "%.16g", "%.17g" };

  for (guint i = 0; i < G_N_ELEMENTS (formats); i++)
    {
      g_ascii_formatd (text, NUMBER_SIZE, formats[i], value);
      if (is_same (g_ascii_strtod (text, NULL), value))
        break;
    }

  if (strpbrk (text, ".e") == NULL)
    g_strlcat (text, ".0", NUMBER_SIZE);
}

/**
 * choir_json_append_double:
 * @out: where to
 * @value: a finite number
 *
 * Appends @value with as few digits as bring it back, and always with a point or an exponent, so
 * that it stays a floating-point number where JSON's readers tell these from integers.
 */
void
choir_json_append_double (GString *out, double value)
{
  char text[NUMBER_SIZE];

  g_return_if_fail (isfinite (value));

  if (!format_short (value, text))
    format_double (value, text);
  g_string_append (out, text);
}
