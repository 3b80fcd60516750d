/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-json-scanner.h"

#include "choir-json-plain.h"

#include <string.h>

typedef enum
{
  CLASS_PLAIN,
  CLASS_QUOTE,
  CLASS_BACKSLASH,
  CLASS_CONTROL,
  CLASS_MARKUP,
  CLASS_HIGH,
} CharClass;

/* What a byte means inside a string (RFC 8259 section 7) */
static const guint8 char_classes[256] = {
  [0x00 ... 0x1f] = CLASS_CONTROL,
  ['"'] = CLASS_QUOTE,
  ['\\'] = CLASS_BACKSLASH,
  ['<'] = CLASS_MARKUP,
  ['>'] = CLASS_MARKUP,
  ['&'] = CLASS_MARKUP,
  [0x80 ... 0xff] = CLASS_HIGH,
};

/**
 * choir_json_scanner_init:
 * @self: the scanner
 * @text: borrowed for as long as the scanner is used
 * @len: bytes
 * @limits: copied; max_depth is held to CHOIR_JSON_DEPTH_MAX
 */
void
choir_json_scanner_init (ChoirJsonScanner *self,
                         const char *text,
                         gsize len,
                         const ChoirJsonLimits *limits)
{
  /* an empty text may have no address, and none must be reckoned from that */
  self->start = self->p = (const guint8 *) (len > 0 ? text : "");
  self->end = self->start + len;
  self->expected = NULL;
  self->max_string = limits->max_string;
  self->max_array = limits->max_array;
  self->max_depth = MIN (limits->max_depth, CHOIR_JSON_DEPTH_MAX);
  self->depth = 0;
  self->flags = 0;
  self->is_object[0] = self->is_object[1] = 0;
}

/**
 * choir_json_scanner_fail:
 * @self: the scanner
 * @expected: static text, completes "expected ..."
 *
 * Returns: FALSE, always
 */
gboolean
choir_json_scanner_fail (ChoirJsonScanner *self, const char *expected)
{
  self->expected = expected;
  return FALSE;
}

/* Four hexadecimal digits at @p, or -1 */
static int
hex4 (const guint8 *p, const guint8 *end)
{
  int code = 0;

  if (end - p < 4)
    return -1;

  for (guint i = 0; i < 4; i++)
    {
      int digit = g_ascii_xdigit_value ((char) p[i]);

      if (digit < 0)
        return -1;
      code = code << 4 | digit;
    }

  return code;
}

/* self->p stands on the 'u' */
static gboolean
scan_unicode_escape (ChoirJsonScanner *self)
{
  int code = hex4 (self->p + 1, self->end);

  if (code < 0)
    return choir_json_scanner_fail (self, "four hexadecimal digits");
  if (code == 0)
    return choir_json_scanner_fail (self, "a character other than NUL");
  if (code == '<' || code == '>' || code == '&')
    self->flags |= CHOIR_JSON_HAS_MARKUP;

  if (code >= 0xdc00 && code <= 0xdfff)
    return choir_json_scanner_fail (self, "a high surrogate before a low one");
  if (code >= 0xd800 && code <= 0xdbff)
    {
      int low = -1;

      if (self->end - self->p >= 11 && self->p[5] == '\\' && self->p[6] == 'u')
        low = hex4 (self->p + 7, self->end);
      if (low < 0xdc00 || low > 0xdfff)
        return choir_json_scanner_fail (self, "a low surrogate after a high one");
      self->p += 6;
    }

  self->p += 5;
  return TRUE;
}

/* self->p stands on the backslash (RFC 8259 section 7) */
static gboolean
scan_escape (ChoirJsonScanner *self)
{
  self->flags |= CHOIR_JSON_HAS_ESCAPES;
  self->p++;
  if (self->p == self->end)
    return choir_json_scanner_fail (self, "an escaped character");

  switch (*self->p)
    {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
      self->p++;
      return TRUE;

    case 'u':
      return scan_unicode_escape (self);

    default:
      return choir_json_scanner_fail (self, "an escape that JSON knows");
    }
}

/* Length of the well-formed sequence at @p, or 0 (RFC 3629 section 4) */
static guint
utf8_sequence_length (const guint8 *p, const guint8 *end)
{
  guint n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
  guint8 low = 0x80;
  guint8 high = 0xbf;

  if (p[0] < 0xc2 || p[0] > 0xf4 || end - p < (gssize) n)
    return 0;

  if (p[0] == 0xe0)
    low = 0xa0;
  else if (p[0] == 0xed)
    high = 0x9f;
  else if (p[0] == 0xf0)
    low = 0x90;
  else if (p[0] == 0xf4)
    high = 0x8f;

  if (p[1] < low || p[1] > high)
    return 0;
  for (guint i = 2; i < n; i++)
    if ((p[i] & 0xc0) != 0x80)
      return 0;

  return n;
}

/* One character of a string that is not plain; FALSE at its end (@p behind the quote) or on failure
 */
static gboolean
scan_special (ChoirJsonScanner *self)
{
  guint n;

  if (self->p == self->end)
    return choir_json_scanner_fail (self, "the end of the string");

  switch ((CharClass) char_classes[*self->p])
    {
    case CLASS_QUOTE:
      self->p++;
      return FALSE;

    case CLASS_BACKSLASH:
      return scan_escape (self);

    case CLASS_MARKUP:
      self->flags |= CHOIR_JSON_HAS_MARKUP;
      self->p++;
      return TRUE;

    case CLASS_HIGH:
      n = utf8_sequence_length (self->p, self->end);
      if (n == 0)
        return choir_json_scanner_fail (self, "valid UTF-8");
      self->p += n;
      return TRUE;

    case CLASS_CONTROL:
      return choir_json_scanner_fail (self, "no raw control character in a string");

    case CLASS_PLAIN:
    default:
      self->p++;
      return TRUE;
    }
}

/* self->p stands on the opening quote */
static gboolean
scan_string (ChoirJsonScanner *self)
{
  const guint8 *end = self->end;
  const guint8 *contents = ++self->p;

  do
    {
      const guint8 *p = choir_json_skip_plain (self->p, end);

      while (p < end && char_classes[*p] == CLASS_PLAIN)
        p++;
      self->p = p;
    }
  while (scan_special (self));

  /* bytes are never fewer than characters, so this errs on the side of looking closer */
  if ((gsize) (self->p - contents) - 1 > self->max_string)
    self->flags |= CHOIR_JSON_HAS_LONG;

  return self->expected == NULL;
}

static gboolean
scan_digits (ChoirJsonScanner *self)
{
  if (self->p == self->end || !g_ascii_isdigit (*self->p))
    return choir_json_scanner_fail (self, "a digit");

  while (self->p < self->end && g_ascii_isdigit (*self->p))
    self->p++;

  return TRUE;
}

/* Whether @n digits without a leading zero mean more than 2^53 */
static gboolean
is_big (const guint8 *digits, gsize n)
{
  static const char largest[] = "9007199254740992";

  return n > 16 || (n == 16 && memcmp (digits, largest, 16) > 0);
}

/* RFC 8259 section 6 */
static gboolean
scan_number (ChoirJsonScanner *self)
{
  const guint8 *digits;
  gsize n_digits;
  gboolean is_integer = TRUE;

  if (*self->p == '-')
    self->p++;

  digits = self->p;
  if (choir_json_scanner_next_is (self, '0'))
    self->p++;
  else if (!scan_digits (self))
    return FALSE;
  n_digits = (gsize) (self->p - digits);

  if (choir_json_scanner_next_is (self, '.'))
    {
      is_integer = FALSE;
      self->p++;
      if (!scan_digits (self))
        return FALSE;
    }

  if (choir_json_scanner_next_is (self, 'e') || choir_json_scanner_next_is (self, 'E'))
    {
      is_integer = FALSE;
      self->p++;
      if (choir_json_scanner_next_is (self, '+') || choir_json_scanner_next_is (self, '-'))
        self->p++;
      if (!scan_digits (self))
        return FALSE;
    }

  if (is_integer && is_big (digits, n_digits))
    self->flags |= CHOIR_JSON_HAS_BIG_INT;

  return TRUE;
}

static gboolean
scan_word (ChoirJsonScanner *self, const char *word, gsize len)
{
  if ((gsize) (self->end - self->p) < len || memcmp (self->p, word, len) != 0)
    return choir_json_scanner_fail (self, "a JSON value");

  self->p += len;
  return TRUE;
}

static gboolean
scan_scalar (ChoirJsonScanner *self)
{
  switch (*self->p)
    {
    case '"':
      return scan_string (self);

    case 't':
      return scan_word (self, "true", 4);

    case 'f':
      return scan_word (self, "false", 5);

    case 'n':
      return scan_word (self, "null", 4);

    case '-':
    case '0':
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
    case '7':
    case '8':
    case '9':
      return scan_number (self);

    default:
      return choir_json_scanner_fail (self, "a JSON value");
    }
}

/**
 * choir_json_scanner_take_key:
 * @self: where a key is to start
 * @key: (out) (optional): what is between its quotes
 *
 * Takes a key and its colon, up to where the value starts.
 *
 * Returns: FALSE on failure
 */
gboolean
choir_json_scanner_take_key (ChoirJsonScanner *self, ChoirSlice *key)
{
  const guint8 *start = self->p + 1;

  if (!choir_json_scanner_next_is (self, '"'))
    return choir_json_scanner_fail (self, "a key in quotes");
  if (!scan_string (self))
    return FALSE;
  if (key != NULL)
    *key = (ChoirSlice){ (const char *) start, (gsize) (self->p - start) - 1 };

  choir_json_scanner_skip_blanks (self);
  if (!choir_json_scanner_next_is (self, ':'))
    return choir_json_scanner_fail (self, "a colon");

  self->p++;
  choir_json_scanner_skip_blanks (self);
  return TRUE;
}

/**
 * choir_json_scanner_enter:
 * @self: on the opening bracket
 * @object: whether it is one of an object
 *
 * Returns: FALSE when nested too deep
 */
gboolean
choir_json_scanner_enter (ChoirJsonScanner *self, gboolean object)
{
  guint64 bit = G_GUINT64_CONSTANT (1) << (self->depth % 64);

  if (self->depth >= self->max_depth)
    return choir_json_scanner_fail (self, "less nesting");

  if (object)
    self->is_object[self->depth / 64] |= bit;
  else
    self->is_object[self->depth / 64] &= ~bit;
  /* only arrays are held to max_array */
  self->n_elements[self->depth] = object ? 0 : 1;
  self->depth++;
  self->p++;
  return TRUE;
}

static inline gboolean
in_object (const ChoirJsonScanner *self)
{
  guint level = self->depth - 1;

  return (self->is_object[level / 64] >> (level % 64)) & 1;
}

static void
pop (ChoirJsonScanner *self)
{
  self->p++;
  self->depth--;
  if (self->n_elements[self->depth] > self->max_array)
    self->flags |= CHOIR_JSON_HAS_LONG;
}

typedef enum
{
  STEP_FAILED,
  STEP_TO_VALUE, /* self->p stands where a value starts */
  STEP_VALUE_ENDED,
} Step;

static Step
step_to (gboolean found, Step next)
{
  return found ? next : STEP_FAILED;
}

/* A scalar, or a container's opening up to its first value */
static Step
enter_value (ChoirJsonScanner *self)
{
  gboolean object;

  if (self->p == self->end)
    return step_to (choir_json_scanner_fail (self, "a JSON value"), STEP_FAILED);

  object = *self->p == '{';
  if (!object && *self->p != '[')
    return step_to (scan_scalar (self), STEP_VALUE_ENDED);
  if (!choir_json_scanner_enter (self, object))
    return STEP_FAILED;

  choir_json_scanner_skip_blanks (self);
  if (choir_json_scanner_next_is (self, object ? '}' : ']'))
    {
      self->n_elements[self->depth - 1] = 0;
      pop (self);
      return STEP_VALUE_ENDED;
    }
  return step_to (!object || choir_json_scanner_take_key (self, NULL), STEP_TO_VALUE);
}

/* Behind a value inside a container: the next one's start, or the container's end */
static Step
leave_value (ChoirJsonScanner *self)
{
  gboolean object = in_object (self);

  choir_json_scanner_skip_blanks (self);
  if (choir_json_scanner_next_is (self, object ? '}' : ']'))
    {
      pop (self);
      return STEP_VALUE_ENDED;
    }
  if (!choir_json_scanner_next_is (self, ','))
    {
      choir_json_scanner_fail (self, object ? "a comma or '}'" : "a comma or ']'");
      return STEP_FAILED;
    }

  self->p++;
  choir_json_scanner_skip_blanks (self);
  if (object)
    return step_to (choir_json_scanner_take_key (self, NULL), STEP_TO_VALUE);

  self->n_elements[self->depth - 1]++;
  return STEP_TO_VALUE;
}

/**
 * choir_json_scanner_take_value:
 * @self: where a value is to start
 *
 * Takes one value from its first byte to behind its last (RFC 8259 sections 3 to 7). No recursion:
 * the way down is in the scanner. What was seen on the way is added to self->flags.
 *
 * Returns: FALSE on failure
 */
gboolean
choir_json_scanner_take_value (ChoirJsonScanner *self)
{
  guint base = self->depth;
  Step step = STEP_TO_VALUE;

  while (step != STEP_FAILED)
    {
      step = step == STEP_TO_VALUE ? enter_value (self) : leave_value (self);
      if (step == STEP_VALUE_ENDED && self->depth == base)
        return TRUE;
    }

  return FALSE;
}
