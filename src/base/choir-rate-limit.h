/* choir-rate-limit.h: sliding windows: never more than N in any window
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * ChoirRateRule:
 *
 * Parsed form of `10/1s;300/60s`: all windows must hold. Immutable, shared by every meter.
 */
typedef struct _ChoirRateRule ChoirRateRule;

ChoirRateRule *
choir_rate_rule_parse (const char *text,
                       GError **error); /* empty text: NULL without error = unlimited */
ChoirRateRule *choir_rate_rule_ref (ChoirRateRule *self);
void choir_rate_rule_unref (ChoirRateRule *self);
guint choir_rate_rule_get_max_in_longest (const ChoirRateRule *self); /* e.g. 300 */
gint64 choir_rate_rule_get_longest_us (const ChoirRateRule *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirRateRule, choir_rate_rule_unref)

/**
 * ChoirRateMeter:
 *
 * What one subject has used. Zero-filled is the empty meter; it takes memory only while
 * something lies within the longest window, at most 4 bytes x the largest N.
 */
typedef struct
{
  guint32 *ring;    /* (owned) (nullable) milliseconds, see choir-rate-limit.c */
  guint16 capacity; /* a rule's N is at most 65535 */
  guint16 head;
  guint16 used;
  guint16 reserved;
} ChoirRateMeter;

/* Returns 0 when taken; else how many microseconds until it could be (nothing is taken). @rule
 * NULL: always 0 */
gint64 choir_rate_meter_take (ChoirRateMeter *self, const ChoirRateRule *rule, gint64 now_us);
/* Same answer as take, takes nothing */
gint64 choir_rate_meter_peek (const ChoirRateMeter *self, const ChoirRateRule *rule, gint64 now_us);
/* Gives memory back when all is outside the longest window; TRUE if the meter is empty now */
gboolean choir_rate_meter_trim (ChoirRateMeter *self, const ChoirRateRule *rule, gint64 now_us);
void choir_rate_meter_clear (ChoirRateMeter *self);

/**
 * ChoirRateLimiter:
 *
 * Meters by subject (address, user), bounded: past @max_subjects an unknown subject is refused only
 * if no idle one can be dropped.
 */
typedef struct _ChoirRateLimiter ChoirRateLimiter;

ChoirRateLimiter *choir_rate_limiter_new (ChoirRateRule *rule, guint max_subjects);
void choir_rate_limiter_free (ChoirRateLimiter *self);
void choir_rate_limiter_set_rule (ChoirRateLimiter *self, ChoirRateRule *rule);
gint64 choir_rate_limiter_take (ChoirRateLimiter *self, const char *subject, gint64 now_us);
guint choir_rate_limiter_sweep (ChoirRateLimiter *self, gint64 now_us); /* returns subjects left */
guint choir_rate_limiter_get_n_subjects (ChoirRateLimiter *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirRateLimiter, choir_rate_limiter_free)

G_END_DECLS
