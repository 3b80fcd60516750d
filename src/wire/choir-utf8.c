/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-utf8.h"

#include <string.h>

/* High bit of each byte: clear in all of them means eight ASCII characters */
#define HIGH_BITS G_GUINT64_CONSTANT (0x8080808080808080)

/* What the next byte has to be. The four special states exist because the byte behind these lead
 * bytes is where overlong forms, surrogates and code points past U+10FFFF show (RFC 3629 section 4)
 */
enum
{
  STATE_START,
  STATE_ONE_LEFT,
  STATE_TWO_LEFT,
  STATE_THREE_LEFT,
  STATE_AFTER_E0,
  STATE_AFTER_ED,
  STATE_AFTER_F0,
  STATE_AFTER_F4,
  STATE_INVALID,
};

typedef struct
{
  guint8 low;
  guint8 high;
  guint8 next;
} Continuation;

static const Continuation continuations[] = {
  [STATE_ONE_LEFT] = { 0x80, 0xbf, STATE_START },
  [STATE_TWO_LEFT] = { 0x80, 0xbf, STATE_ONE_LEFT },
  [STATE_THREE_LEFT] = { 0x80, 0xbf, STATE_TWO_LEFT },
  [STATE_AFTER_E0] = { 0xa0, 0xbf, STATE_ONE_LEFT },
  [STATE_AFTER_ED] = { 0x80, 0x9f, STATE_ONE_LEFT },
  [STATE_AFTER_F0] = { 0x90, 0xbf, STATE_TWO_LEFT },
  [STATE_AFTER_F4] = { 0x80, 0x8f, STATE_TWO_LEFT },
  /* nothing lies between 1 and 0: a state that failed keeps failing */
  [STATE_INVALID] = { 1, 0, STATE_INVALID },
};

static guint8
state_after_lead (guint8 lead)
{
  if (lead < 0x80)
    return STATE_START;
  if (lead < 0xc2)
    return STATE_INVALID;
  if (lead < 0xe0)
    return STATE_ONE_LEFT;
  if (lead == 0xe0)
    return STATE_AFTER_E0;
  if (lead == 0xed)
    return STATE_AFTER_ED;
  if (lead < 0xf0)
    return STATE_TWO_LEFT;
  if (lead == 0xf0)
    return STATE_AFTER_F0;
  if (lead < 0xf4)
    return STATE_THREE_LEFT;

  return lead == 0xf4 ? STATE_AFTER_F4 : STATE_INVALID;
}

static const guint8 *
skip_ascii (const guint8 *at, const guint8 *end)
{
  while (end - at >= 8)
    {
      guint64 word;

      memcpy (&word, at, sizeof word);
      if ((word & HIGH_BITS) != 0)
        break;
      at += 8;
    }

  while (at < end && *at < 0x80)
    at++;

  return at;
}

/**
 * choir_utf8_feed:
 * @state: where the last chunk ended; zero before the first one
 * @data: (array length=len): the next bytes
 * @len: bytes in @data
 *
 * Checks a text that arrives in pieces, cut anywhere. Source: RFC 3629 section 4.
 *
 * Returns: %FALSE as soon as a byte can't belong to any valid text; further calls with that @state
 * fail too
 */
gboolean
choir_utf8_feed (ChoirUtf8State *state, const guint8 *data, gsize len)
{
  /* nothing may come as a null pointer, to which not even 0 may be added */
  const guint8 *end = len > 0 ? data + len : data;
  guint8 current = *state;

  for (const guint8 *at = data; at < end;)
    {
      if (current == STATE_START)
        {
          at = skip_ascii (at, end);
          if (at == end)
            break;
          current = state_after_lead (*at++);
        }
      else
        {
          const Continuation *wanted = &continuations[current];

          current = *at >= wanted->low && *at <= wanted->high ? wanted->next : STATE_INVALID;
          at++;
        }

      if (current == STATE_INVALID)
        break;
    }

  *state = current;

  return current != STATE_INVALID;
}

/**
 * choir_utf8_is_complete:
 * @state: a state choir_utf8_feed() has left
 *
 * Returns: whether the text may end here, i.e. not inside a character
 */
gboolean
choir_utf8_is_complete (ChoirUtf8State state)
{
  return state == STATE_START;
}

/**
 * choir_utf8_validate:
 * @data: (array length=len): a whole text; NUL bytes count as characters
 * @len: bytes in @data
 *
 * Returns: whether it is valid UTF-8 from its first byte to its last
 */
gboolean
choir_utf8_validate (const guint8 *data, gsize len)
{
  ChoirUtf8State state = STATE_START;

  return choir_utf8_feed (&state, data, len) && choir_utf8_is_complete (state);
}
