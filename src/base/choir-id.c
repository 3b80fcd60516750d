/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-id.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

/* one system call for 32 ids; getrandom() never returns fewer than asked up to 256 (random(4)) */
#define POOL_SIZE 512
#define CALL_SIZE 256

typedef struct
{
  guint8 bytes[POOL_SIZE];
  guint left;
  guint64 seed; /* 0: the kernel's */
} Pool;

/* per thread, so that a reactor never waits for another */
static __thread Pool pool;

/* Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014): SplitMix64 */
static guint64
next_seeded (void)
{
  guint64 z = (pool.seed += G_GUINT64_CONSTANT (0x9e3779b97f4a7c15));

  z = (z ^ (z >> 30)) * G_GUINT64_CONSTANT (0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * G_GUINT64_CONSTANT (0x94d049bb133111eb);
  return z ^ (z >> 31);
}

static void
refill_from_kernel (void)
{
  for (guint have = 0; have < POOL_SIZE;)
    {
      const gssize n = getrandom (pool.bytes + have, CALL_SIZE, 0);

      if (n > 0)
        have += (guint) n;
      else if (errno != EINTR)
        g_error ("The kernel gives no randomness: %s", g_strerror (errno));
    }
}

static void
refill (void)
{
  if (pool.seed == 0)
    refill_from_kernel ();
  else
    {
      for (guint i = 0; i < POOL_SIZE; i += sizeof (guint64))
        {
          const guint64 word = GUINT64_TO_LE (next_seeded ());
          memcpy (pool.bytes + i, &word, sizeof word);
        }
    }

  pool.left = POOL_SIZE;
}

/* Inline, so that copying and clearing a known number of bytes are a few moves */
G_ALWAYS_INLINE static inline void
take_bytes (void *out, guint n)
{
  if (G_UNLIKELY (pool.left < n))
    refill ();

  pool.left -= n;
  memcpy (out, pool.bytes + pool.left, n);
  /* ids resume sessions: what was given out must not be found in a dump of the pool */
  memset (pool.bytes + pool.left, 0, n);
}

#define EACH(byte) (G_GUINT64_CONSTANT (0x0101010101010101) * (byte))

/* Eight digits at a time: a nibble in each byte of a word, all turned into characters at once */
static inline void
put_hex (char out[8], const guint8 bytes[4])
{
  guint32 word;
  guint64 nibbles, letters, text;

  memcpy (&word, bytes, sizeof word);
  nibbles = GUINT32_FROM_LE (word);
  nibbles = (nibbles | nibbles << 16) & G_GUINT64_CONSTANT (0x0000ffff0000ffff);
  nibbles = (nibbles | nibbles << 8) & G_GUINT64_CONSTANT (0x00ff00ff00ff00ff);
  nibbles = (nibbles >> 4 | nibbles << 8) & EACH (0x0f);

  letters = ((nibbles + EACH (6)) >> 4) & EACH (1);
  text = GUINT64_TO_LE (nibbles + EACH ('0') + letters * ('a' - '0' - 10));
  memcpy (out, &text, sizeof text);
}

/**
 * choir_id_generate:
 * @out: (out): 36 characters and NUL
 *
 * Writes a random UUID (RFC 4122, 4.4) of 122 random bits, which nobody can guess.
 */
void
choir_id_generate (char out[CHOIR_ID_SIZE])
{
  guint8 bytes[16];
  char digits[32];

  take_bytes (bytes, sizeof bytes);
  bytes[6] = (guint8) ((bytes[6] & 0x0f) | 0x40);
  bytes[8] = (guint8) ((bytes[8] & 0x3f) | 0x80);

  for (guint i = 0; i < sizeof bytes; i += 4)
    put_hex (digits + 2 * i, bytes + i);

  memcpy (out, digits, 8);
  out[8] = '-';
  memcpy (out + 9, digits + 8, 4);
  out[13] = '-';
  memcpy (out + 14, digits + 12, 4);
  out[18] = '-';
  memcpy (out + 19, digits + 16, 4);
  out[23] = '-';
  memcpy (out + 24, digits + 20, 12);
  out[36] = '\0';
}

/**
 * choir_id_random:
 *
 * Returns: 32 random bits
 */
guint32
choir_id_random (void)
{
  guint32 value;

  take_bytes (&value, sizeof value);
  return GUINT32_FROM_LE (value);
}

/**
 * choir_id_random_range:
 * @end: at least 1
 *
 * Lemire, "Fast random integer generation in an interval" (2019): without bias.
 *
 * Returns: a number from 0 to @end - 1, all equally likely
 */
guint32
choir_id_random_range (guint32 end)
{
  g_return_val_if_fail (end > 0, 0);

  const guint32 unfair = -end % end;
  guint64 product = (guint64) choir_id_random () * end;

  while ((guint32) product < unfair)
    product = (guint64) choir_id_random () * end;

  return (guint32) (product >> 32);
}

/**
 * choir_id_seed:
 * @seed: where the sequence starts; 0 returns to the kernel's randomness
 *
 * For tests: makes this thread's ids and numbers repeatable, and guessable.
 */
void
choir_id_seed (guint64 seed)
{
  pool.seed = seed;
  pool.left = 0;
}
