/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-clock.h"

#include <string.h>
#include <time.h>

/* 9999-12-31T23:59:59 and 0000-01-01T00:00:00: what four digits of year can say (RFC 3339, 5.6) */
#define SECONDS_MAX G_GINT64_CONSTANT (253402300799)
#define SECONDS_MIN (-G_GINT64_CONSTANT (62167219200))

static gboolean frozen;
static gint64 frozen_monotonic_us;
static gint64 frozen_wall_us;

/**
 * choir_clock_monotonic_us:
 *
 * Returns: microseconds since some start; never goes back; for deadlines and rates
 */
gint64
choir_clock_monotonic_us (void)
{
  return G_UNLIKELY (frozen) ? frozen_monotonic_us : g_get_monotonic_time ();
}

/**
 * choir_clock_wall_us:
 *
 * Returns: microseconds since 1970-01-01 UTC; for what people and tokens see
 */
gint64
choir_clock_wall_us (void)
{
  return G_UNLIKELY (frozen) ? frozen_wall_us : g_get_real_time ();
}

static char *
put_digits (char *out, guint value, guint width)
{
  for (guint i = width; i > 0; i--)
    {
      out[i - 1] = (char) ('0' + value % 10);
      value /= 10;
    }

  return out + width;
}

static char *
put_field (char *out, guint value, guint width, char after)
{
  out = put_digits (out, value, width);
  *out = after;
  return out + 1;
}

/* "2026-01-08T10:30:00." */
#define SECOND_SIZE 20

/* Every message carries a time, and most the same second as the one before */
static _Thread_local struct
{
  gint64 second;
  gboolean valid;
  char text[SECOND_SIZE];
} formatted;

static void
format_second (gint64 second)
{
  const time_t clamped = (time_t) CLAMP (second, SECONDS_MIN, SECONDS_MAX);
  char *end = formatted.text;
  struct tm tm;

  if (formatted.valid && formatted.second == second)
    return;

  gmtime_r (&clamped, &tm);
  end = put_field (end, (guint) (tm.tm_year + 1900), 4, '-');
  end = put_field (end, (guint) (tm.tm_mon + 1), 2, '-');
  end = put_field (end, (guint) tm.tm_mday, 2, 'T');
  end = put_field (end, (guint) tm.tm_hour, 2, ':');
  end = put_field (end, (guint) tm.tm_min, 2, ':');
  put_field (end, (guint) tm.tm_sec, 2, '.');
  formatted.second = second;
  formatted.valid = TRUE;
}

/**
 * choir_clock_format_iso8601:
 * @wall_us: microseconds since 1970-01-01 UTC
 * @out: (out): where to write "2026-01-08T10:30:00.123Z"
 *
 * Milliseconds are cut, not rounded, so that a formatted time is never in the future. A time
 * outside the years 0 to 9999 becomes the nearest that is inside.
 */
void
choir_clock_format_iso8601 (gint64 wall_us, char out[CHOIR_CLOCK_ISO8601_SIZE])
{
  gint64 second = wall_us / G_USEC_PER_SEC;
  gint64 rest_us = wall_us % G_USEC_PER_SEC;
  char *end;

  if (rest_us < 0)
    {
      second--;
      rest_us += G_USEC_PER_SEC;
    }

  format_second (second);
  memcpy (out, formatted.text, SECOND_SIZE);
  end = put_field (out + SECOND_SIZE, (guint) (rest_us / 1000), 3, 'Z');
  *end = '\0';
}

typedef struct
{
  const char *at;
  const char *end;
} Cursor;

static gboolean
take_number (Cursor *cursor, guint width, int max, int *out)
{
  int value = 0;

  if ((gsize) (cursor->end - cursor->at) < width)
    return FALSE;

  for (guint i = 0; i < width; i++, cursor->at++)
    {
      if (!g_ascii_isdigit (*cursor->at))
        return FALSE;
      value = value * 10 + (*cursor->at - '0');
    }

  *out = value;
  return value <= max;
}

static gboolean
take_char (Cursor *cursor, const char *any_of)
{
  if (cursor->at == cursor->end || *cursor->at == '\0' || strchr (any_of, *cursor->at) == NULL)
    return FALSE;

  cursor->at++;
  return TRUE;
}

static gboolean
take_date_time (Cursor *cursor, struct tm *tm)
{
  int year, month;

  if (!take_number (cursor, 4, 9999, &year) || !take_char (cursor, "-") ||
      !take_number (cursor, 2, 12, &month) || !take_char (cursor, "-") ||
      !take_number (cursor, 2, 31, &tm->tm_mday) || !take_char (cursor, "Tt ") ||
      !take_number (cursor, 2, 23, &tm->tm_hour) || !take_char (cursor, ":") ||
      !take_number (cursor, 2, 59, &tm->tm_min) || !take_char (cursor, ":") ||
      !take_number (cursor, 2, 60, &tm->tm_sec))
    return FALSE;

  tm->tm_year = year - 1900;
  tm->tm_mon = month - 1;

  /* GDate's years start at 1; year 0 is leap as 2000 is */
  return month > 0 && tm->tm_mday > 0 &&
         tm->tm_mday <=
           g_date_get_days_in_month ((GDateMonth) month, (GDateYear) (year == 0 ? 2000 : year));
}

static gboolean
take_fraction (Cursor *cursor, gint64 *out_us)
{
  gint64 unit = G_USEC_PER_SEC / 10;
  const char *start;

  *out_us = 0;

  if (!take_char (cursor, ".,"))
    return TRUE;

  for (start = cursor->at; cursor->at < cursor->end && g_ascii_isdigit (*cursor->at); cursor->at++)
    {
      *out_us += (*cursor->at - '0') * unit;
      unit /= 10;
    }

  return cursor->at > start;
}

static gboolean
take_zone (Cursor *cursor, gint64 *out_seconds)
{
  int hours, minutes, sign;

  *out_seconds = 0;

  if (cursor->at == cursor->end || take_char (cursor, "Zz"))
    return TRUE;

  sign = *cursor->at == '-' ? -1 : 1;

  if (!take_char (cursor, "+-") || !take_number (cursor, 2, 23, &hours))
    return FALSE;

  (void) take_char (cursor, ":");

  if (!take_number (cursor, 2, 59, &minutes))
    return FALSE;

  *out_seconds = sign * (hours * 3600 + minutes * 60);
  return TRUE;
}

/**
 * choir_clock_parse_iso8601:
 * @text: a date and time, not necessarily terminated
 * @len: its length in bytes
 * @out_wall_us: (out): microseconds since 1970-01-01 UTC
 *
 * Takes RFC 3339's date-time and, because clients of the contracts send them, times without a zone
 * (they are UTC) and zones without a colon. Digits past the microsecond are cut.
 *
 * Returns: whether @text was such a time; @out_wall_us is untouched if not
 */
gboolean
choir_clock_parse_iso8601 (const char *text, gsize len, gint64 *out_wall_us)
{
  Cursor cursor = { text, text + len };
  struct tm tm = { 0 };
  gint64 rest_us, zone;

  if (!take_date_time (&cursor, &tm) || !take_fraction (&cursor, &rest_us) ||
      !take_zone (&cursor, &zone) || cursor.at != cursor.end)
    return FALSE;

  *out_wall_us = ((gint64) timegm (&tm) - zone) * G_USEC_PER_SEC + rest_us;
  return TRUE;
}

/**
 * choir_clock_freeze:
 * @monotonic_us: what choir_clock_monotonic_us() answers from now on
 * @wall_us: what choir_clock_wall_us() answers
 *
 * For tests, before other threads read the time.
 */
void
choir_clock_freeze (gint64 monotonic_us, gint64 wall_us)
{
  frozen_monotonic_us = monotonic_us;
  frozen_wall_us = wall_us;
  frozen = TRUE;
}

/**
 * choir_clock_advance:
 * @us: microseconds to move both frozen clocks by
 */
void
choir_clock_advance (gint64 us)
{
  g_return_if_fail (frozen);

  frozen_monotonic_us += us;
  frozen_wall_us += us;
}

/**
 * choir_clock_thaw:
 *
 * Returns to the kernel's clocks.
 */
void
choir_clock_thaw (void)
{
  frozen = FALSE;
}
