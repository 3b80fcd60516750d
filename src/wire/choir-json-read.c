/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-json-gate.h"

#include "choir-json-plain.h"

#include <math.h>
#include <string.h>

/* Longest number text that is read as a double */
#define NUMBER_TEXT_MAX 512

/* 2^53: every smaller integer is exact in a double, so in every JSON parser */
#define INT_MAX_EXACT G_GINT64_CONSTANT (9007199254740992)

/* The bytes of a string's contents with its escapes resolved */
typedef struct
{
  const char *p;
  const char *end;
  char pending[6];
  guint n_pending;
  guint next_pending;
} Unescaper;

/**
 * choir_slice_equals:
 * @a: bytes
 * @text: NUL-terminated
 *
 * Returns: TRUE if @a holds exactly the bytes of @text
 */
gboolean
choir_slice_equals (ChoirSlice a, const char *text)
{
  return a.len == strlen (text) && (a.len == 0 || memcmp (a.data, text, a.len) == 0);
}

/**
 * choir_slice_dup:
 * @self: bytes
 *
 * Returns: (transfer full): a NUL-terminated copy, byte for byte; "" for an empty slice
 */
char *
choir_slice_dup (ChoirSlice self)
{
  return g_strndup (self.data != NULL ? self.data : "", self.len);
}

static void
unescaper_init (Unescaper *self, ChoirSlice contents)
{
  self->p = contents.data;
  self->end = contents.data + contents.len;
  self->n_pending = self->next_pending = 0;
}

static gunichar
read_hex4 (const char *p)
{
  gunichar code = 0;

  for (guint i = 0; i < 4; i++)
    code = code << 4 | (gunichar) g_ascii_xdigit_value (p[i]);

  return code;
}

/* self->p stands behind "\u" */
static int
unescape_unicode (Unescaper *self)
{
  gunichar code;

  if (self->end - self->p < 4)
    return -1;

  code = read_hex4 (self->p);
  self->p += 4;
  if (code >= 0xd800 && code <= 0xdbff && self->end - self->p >= 6)
    {
      code = 0x10000 + ((code - 0xd800) << 10) + (read_hex4 (self->p + 2) - 0xdc00);
      self->p += 6;
    }

  self->n_pending = (guint) g_unichar_to_utf8 (code, self->pending);
  self->next_pending = 1;
  return (guint8) self->pending[0];
}

/* The next byte, or -1 at the end */
static int
unescaper_next (Unescaper *self)
{
  static const char letters[] = "bfnrt";
  static const char meanings[] = "\b\f\n\r\t";
  const char *letter;
  char c;

  if (self->next_pending < self->n_pending)
    return (guint8) self->pending[self->next_pending++];
  if (self->p == self->end)
    return -1;

  c = *self->p++;
  if (c != '\\' || self->p == self->end)
    return (guint8) c;

  c = *self->p++;
  if (c == 'u')
    return unescape_unicode (self);

  letter = strchr (letters, c);
  return letter != NULL ? meanings[letter - letters] : (guint8) c;
}

static inline gboolean
has_escapes (ChoirSlice contents)
{
  return contents.len > 0 && memchr (contents.data, '\\', contents.len) != NULL;
}

/**
 * choir_json_key_equals:
 * @a: contents of a JSON string that passed the gate
 * @b: likewise
 *
 * Returns: TRUE if both say the same once their escapes are resolved
 */
gboolean
choir_json_key_equals (ChoirSlice a, ChoirSlice b)
{
  Unescaper in_a;
  Unescaper in_b;
  int byte;

  if (a.len == b.len && (a.len == 0 || memcmp (a.data, b.data, a.len) == 0))
    return TRUE;
  if (a.len > 0 && b.len > 0 && *a.data != *b.data && *a.data != '\\' && *b.data != '\\')
    return FALSE;
  /* escapes are longer than what they stand for, so the longer side must have one */
  if (!has_escapes (a.len >= b.len ? a : b))
    return FALSE;

  unescaper_init (&in_a, a);
  unescaper_init (&in_b, b);
  do
    {
      byte = unescaper_next (&in_a);
      if (byte != unescaper_next (&in_b))
        return FALSE;
    }
  while (byte != -1);

  return TRUE;
}

/* choir_json_key_equals(), which most keys need not be asked: their first bytes differ */
static inline gboolean
may_equal (ChoirSlice key, ChoirSlice wanted)
{
  return key.len > 0 && (*key.data == *wanted.data || *key.data == '\\') &&
         choir_json_key_equals (key, wanted);
}

/**
 * choir_json_object_find:
 * @self: what the gate made of a message
 * @key: plain text without a backslash
 *
 * Returns: (nullable): the member of that name
 */
const ChoirJsonMember *
choir_json_object_find (const ChoirJsonObject *self, const char *key)
{
  ChoirSlice wanted = choir_slice (key);

  for (guint i = 0; i < self->n_members; i++)
    if (may_equal (self->members[i].key, wanted))
      return &self->members[i];

  return NULL;
}

static inline gboolean
is_blank (char c)
{
  return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static gsize
skip_blanks (ChoirSlice text, gsize at)
{
  while (at < text.len && is_blank (text.data[at]))
    at++;

  return at;
}

/* @at stands on the opening quote; behind the closing one */
static gsize
skip_string (ChoirSlice text, gsize at, ChoirJsonFlags *flags)
{
  const guint8 *end = (const guint8 *) text.data + text.len;

  for (at++; at < text.len; at++)
    {
      at = (gsize) (choir_json_skip_plain ((const guint8 *) text.data + at, end) -
                    (const guint8 *) text.data);
      if (at >= text.len || text.data[at] == '"')
        break;
      if (text.data[at] != '\\')
        continue;
      *flags |= CHOIR_JSON_HAS_ESCAPES;
      at++;
    }

  return MIN (at + 1, text.len);
}

static gsize
skip_container (ChoirSlice text, gsize at, ChoirJsonFlags *flags)
{
  gsize depth = 0;

  while (at < text.len)
    {
      char c = text.data[at];

      if (c == '"')
        {
          at = skip_string (text, at, flags);
          continue;
        }

      at++;
      if (c == '{' || c == '[')
        depth++;
      else if ((c == '}' || c == ']') && --depth == 0)
        break;
    }

  return at;
}

static gsize
skip_word (ChoirSlice text, gsize at)
{
  while (at < text.len && !is_blank (text.data[at]) && text.data[at] != ',' &&
         text.data[at] != '}' && text.data[at] != ']')
    at++;

  return at;
}

/* The value that starts at @at, with its kind; returns the offset behind it */
static gsize
take_value (ChoirSlice text, gsize at, ChoirJsonValue *out)
{
  gsize start = at;

  out->flags = 0;
  switch (text.data[at])
    {
    case '{':
    case '[':
      out->kind = text.data[at] == '{' ? CHOIR_JSON_OBJECT : CHOIR_JSON_ARRAY;
      at = skip_container (text, at, &out->flags);
      break;

    case '"':
      out->kind = CHOIR_JSON_STRING;
      at = skip_string (text, at, &out->flags);
      break;

    default:
      out->kind = text.data[at] == 't'   ? CHOIR_JSON_TRUE
                  : text.data[at] == 'f' ? CHOIR_JSON_FALSE
                  : text.data[at] == 'n' ? CHOIR_JSON_NULL
                                         : CHOIR_JSON_NUMBER;
      at = skip_word (text, at);
      break;
    }

  out->raw = (ChoirSlice){ text.data + start, at - start };
  return at;
}

/* Moves @cursor onto the next item of the container that @opening opens; FALSE when there is none
 */
static gboolean
next_item (ChoirSlice text, gsize *cursor, char opening)
{
  gsize at = skip_blanks (text, *cursor);

  if (at >= text.len || text.data[at] != (*cursor == 0 ? opening : ','))
    return FALSE;

  at = skip_blanks (text, at + 1);
  *cursor = at;
  return at < text.len && text.data[at] != '}' && text.data[at] != ']';
}

/**
 * choir_json_slice_next_element:
 * @array: raw text that passed the gate
 * @cursor: (inout): 0 to begin with
 * @out: (out caller-allocates): the element
 *
 * Returns: FALSE behind the last element, and at once when @array is no array
 */
gboolean
choir_json_slice_next_element (ChoirSlice array, gsize *cursor, ChoirJsonValue *out)
{
  if (!next_item (array, cursor, '['))
    return FALSE;

  *cursor = take_value (array, *cursor, out);
  return TRUE;
}

/**
 * choir_json_slice_next_member:
 * @object: raw text that passed the gate
 * @cursor: (inout): 0 to begin with
 * @out: (out caller-allocates): the member
 *
 * Returns: FALSE behind the last member, and at once when @object is no object
 */
gboolean
choir_json_slice_next_member (ChoirSlice object, gsize *cursor, ChoirJsonMember *out)
{
  ChoirJsonFlags key_flags = 0;
  gsize key;
  gsize at;

  if (!next_item (object, cursor, '{') || object.data[*cursor] != '"')
    return FALSE;

  key = *cursor + 1;
  at = skip_string (object, *cursor, &key_flags);
  out->key = (ChoirSlice){ object.data + key, at - key - 1 };

  at = skip_blanks (object, at);
  at = skip_blanks (object, at + 1);
  if (at >= object.len)
    return FALSE;

  *cursor = take_value (object, at, &out->value);
  return TRUE;
}

/**
 * choir_json_slice_get:
 * @object: raw text that passed the gate
 * @key: plain text without a backslash
 * @out: (out caller-allocates): the value; of the flags only CHOIR_JSON_HAS_ESCAPES is told
 *
 * Returns: FALSE when @object is no object or has no such member; the first one counts
 */
gboolean
choir_json_slice_get (ChoirSlice object, const char *key, ChoirJsonValue *out)
{
  ChoirSlice wanted = choir_slice (key);
  ChoirJsonMember member;
  gsize cursor = 0;

  while (choir_json_slice_next_member (object, &cursor, &member))
    if (may_equal (member.key, wanted))
      {
        *out = member.value;
        return TRUE;
      }

  return FALSE;
}

/**
 * choir_json_slice_get_many:
 * @object: raw text that passed the gate
 * @keys: (array length=n_keys): plain texts without a backslash
 * @n_keys: how many
 * @out: (array length=n_keys): the values; one that is not there has an empty `raw`
 *
 * choir_json_slice_get() for several members in one walk.
 */
void
choir_json_slice_get_many (ChoirSlice object,
                           const ChoirSlice *keys,
                           guint n_keys,
                           ChoirJsonValue *out)
{
  ChoirJsonMember member;
  gsize cursor = 0;

  memset (out, 0, n_keys * sizeof *out);

  while (choir_json_slice_next_member (object, &cursor, &member))
    for (guint i = 0; i < n_keys; i++)
      if (out[i].raw.len == 0 && may_equal (member.key, keys[i]))
        {
          out[i] = member.value;
          break;
        }
}

/**
 * choir_json_string_contents:
 * @raw_string: a string with its quotes
 *
 * Returns: what is between the quotes, escapes as they were written
 */
ChoirSlice
choir_json_string_contents (ChoirSlice raw_string)
{
  if (raw_string.len < 2)
    return (ChoirSlice){ raw_string.data, 0 };

  return (ChoirSlice){ raw_string.data + 1, raw_string.len - 2 };
}

/**
 * choir_json_string_dup:
 * @raw_string: a string with its quotes, passed by the gate
 * @max_len: longest result, bytes without the NUL
 *
 * Returns: (transfer full) (nullable): the text with its escapes resolved, NULL if longer than
 * @max_len
 */
char *
choir_json_string_dup (ChoirSlice raw_string, gsize max_len)
{
  ChoirSlice contents = choir_json_string_contents (raw_string);
  g_autofree char *text = NULL;
  Unescaper unescaper;
  gsize n = 0;
  int byte;

  if (!has_escapes (contents))
    return contents.len <= max_len ? choir_slice_dup (contents) : NULL;

  /* escapes only ever get shorter */
  text = g_malloc (MIN (contents.len, max_len) + 1);
  unescaper_init (&unescaper, contents);
  while ((byte = unescaper_next (&unescaper)) != -1)
    {
      if (n == max_len)
        return NULL;
      text[n++] = (char) byte;
    }

  text[n] = '\0';
  return g_steal_pointer (&text);
}

/* Adds up the exponent of @text, a number the gate passed; clamped, as it may have any length */
static gint64
read_exponent (ChoirSlice text, gsize at)
{
  gboolean negative = FALSE;
  gint64 exponent = 0;

  if (at < text.len && (text.data[at] == '+' || text.data[at] == '-'))
    negative = text.data[at++] == '-';
  for (; at < text.len; at++)
    exponent = MIN (exponent * 10 + (text.data[at] - '0'), G_MAXINT32);

  return negative ? -exponent : exponent;
}

/* @mantissa * 10^@exponent if that is a whole number in range */
static gboolean
scale (guint64 mantissa, gint64 exponent, guint64 *out)
{
  for (; exponent < 0; exponent++)
    {
      if (mantissa % 10 != 0)
        return FALSE;
      mantissa /= 10;
    }
  for (; exponent > 0; exponent--)
    {
      mantissa *= 10;
      if (mantissa > INT_MAX_EXACT)
        return FALSE;
    }

  *out = mantissa;
  return mantissa <= INT_MAX_EXACT;
}

/**
 * choir_json_number_get_int:
 * @raw_number: a number that passed the gate
 * @out: (out): its value
 *
 * Exact for every notation and length: "1e2" and "1.0" are whole numbers as well.
 *
 * Returns: FALSE for anything that is not whole or not within -2^53 to 2^53
 */
gboolean
choir_json_number_get_int (ChoirSlice raw_number, gint64 *out)
{
  gboolean negative = raw_number.len > 0 && raw_number.data[0] == '-';
  gboolean in_fraction = FALSE;
  guint64 mantissa = 0;
  gint64 exponent = 0;
  gint64 zeros = 0; /* seen and not yet multiplied in: trailing ones must not overflow */
  gsize at;

  for (at = negative ? 1 : 0; at < raw_number.len; at++)
    {
      char c = raw_number.data[at];

      if (c == '.')
        {
          in_fraction = TRUE;
          continue;
        }
      if (!g_ascii_isdigit (c))
        break;

      exponent -= in_fraction ? 1 : 0;
      zeros++;
      if (c == '0')
        continue;
      for (; zeros > 0 && mantissa <= INT_MAX_EXACT; zeros--)
        mantissa *= 10;
      zeros = 0;
      mantissa += (guint64) (c - '0');
      if (mantissa > INT_MAX_EXACT * 10)
        return FALSE;
    }

  if (at < raw_number.len)
    exponent += read_exponent (raw_number, at + 1);

  *out = 0;
  if (mantissa == 0)
    return TRUE;
  if (exponent + zeros > 16 || exponent + zeros < -20 ||
      !scale (mantissa, exponent + zeros, &mantissa))
    return FALSE;

  *out = negative ? -(gint64) mantissa : (gint64) mantissa;
  return TRUE;
}

/**
 * choir_json_number_get_double:
 * @raw_number: a number that passed the gate
 * @out: (out): the nearest double
 *
 * Returns: FALSE when it is beyond the range of a double or written with more than 511 bytes
 */
gboolean
choir_json_number_get_double (ChoirSlice raw_number, double *out)
{
  char text[NUMBER_TEXT_MAX];

  if (raw_number.len == 0 || raw_number.len >= sizeof text)
    return FALSE;

  memcpy (text, raw_number.data, raw_number.len);
  text[raw_number.len] = '\0';
  *out = g_ascii_strtod (text, NULL);
  return isfinite (*out);
}
