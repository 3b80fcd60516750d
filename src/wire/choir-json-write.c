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
/* Likewise with more digits */
#define MANY_MIN 1e-5
#define MANY_MAX 1e15
#define DIGITS_MAX 24

/* The mantissa of those, as 53 bits */
#define POWER_OF_TWO (G_GUINT64_CONSTANT (1) << 52)

__extension__ typedef unsigned __int128 Wide;

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

static Wide
power_of_ten (guint n)
{
  Wide power = 1;

  while (n-- > 0)
    power *= 10;

  return power;
}

/* @digits of the last decimal place, of which there are @places, without the zeroes at the end */
static void
write_decimal (gboolean negative, guint64 digits, guint places, char text[NUMBER_SIZE])
{
  char buffer[DIGITS_MAX + 1];
  gsize n;

  for (; digits % 10 == 0 && places > 1; places--)
    digits /= 10;
  n = (gsize) g_snprintf (buffer, sizeof buffer, "%0*" G_GUINT64_FORMAT, (int) places + 1, digits);
  g_snprintf (text, NUMBER_SIZE, "%s%.*s.%s", negative ? "-" : "", (int) (n - places), buffer,
              buffer + n - places);
}

/* 15 to 17 digits, as few as bring @value back: it is m / 2^s, so with k places more it is m * 10^k
 * / 2^s, for which 128 bits suffice between these borders. Whatever is nearer to it than half the
 * distance to the next double, 10^k / 2 in the same units, is read as @value */
static gboolean
format_many (double value, char text[NUMBER_SIZE])
{
  double size = fabs (value);
  double ten = 1e13;
  int exponent;
  guint64 mantissa = (guint64) (frexp (size, &exponent) * 0x1p53);
  guint shift = (guint) (53 - exponent);
  guint places = 1;

  if (size < MANY_MIN || size >= MANY_MAX)
    return FALSE;

  /* so many that there are 15 digits; one in any case */
  while (size < ten)
    {
      ten /= 10;
      places++;
    }

  for (guint n_more = 0; n_more <= 2; n_more++)
    {
      Wide power = power_of_ten (places + n_more);
      Wide scaled = mantissa * power;
      Wide digits = (scaled + ((Wide) 1 << (shift - 1))) >> shift;
      Wide rounded = digits << shift;
      Wide error = rounded > scaled ? rounded - scaled : scaled - rounded;

      /* the doubles below a power of two are twice as close */
      if (error * (mantissa == POWER_OF_TWO ? 4 : 2) >= power)
        continue;

      write_decimal (signbit (value) != 0, (guint64) digits, places + n_more, text);
      return TRUE;
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

  if (!format_short (value, text) && !format_many (value, text))
    format_double (value, text);
  g_string_append (out, text);
}
