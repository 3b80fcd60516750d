/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-admission.h"

#include <string.h>
#include <sys/resource.h>

/* Addresses whose connect rate is known at a time */
#define RATE_SUBJECTS_MAX 65536

typedef struct
{
  ChoirAddress address; /* first: the table takes the entry for its key */
  guint count;
} Entry;

struct _ChoirAdmission
{
  GHashTable *entries;     /* (owned) (element-type Entry Entry), only those with connections */
  ChoirRateLimiter *rates; /* (owned) */
  guint total;
  guint max_total;
  guint max_per_address;
};

static guint
get_descriptor_limit (void)
{
  struct rlimit limit;

  if (getrlimit (RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
    return G_MAXUINT;
  if (limit.rlim_cur <= CHOIR_ADMISSION_RESERVE)
    return 1;
  return (guint) MIN (limit.rlim_cur - CHOIR_ADMISSION_RESERVE, G_MAXUINT);
}

/**
 * choir_admission_new:
 * @max_total: connections in all
 * @max_per_address: connections per IPv4 address or IPv6 /64
 * @connect_rule: (nullable): held; connections per time and address
 *
 * Zero means no limit. The descriptor limit lowers @max_total, for accepting until EMFILE leaves a
 * service that can't even say so.
 *
 * Returns: (transfer full): an empty admission
 */
ChoirAdmission *
choir_admission_new (guint max_total, guint max_per_address, ChoirRateRule *connect_rule)
{
  ChoirAdmission *self = g_new0 (ChoirAdmission, 1);

  self->entries = g_hash_table_new_full (choir_address_hash, choir_address_equal, g_free, NULL);
  self->rates = choir_rate_limiter_new (connect_rule, RATE_SUBJECTS_MAX);
  choir_admission_configure (self, max_total, max_per_address, connect_rule);
  return self;
}

/**
 * choir_admission_free:
 * @self: (transfer full):
 */
void
choir_admission_free (ChoirAdmission *self)
{
  choir_rate_limiter_free (self->rates);
  g_hash_table_unref (self->entries);
  g_free (self);
}

/**
 * choir_admission_configure:
 *
 * After a reload; see choir_admission_new(). Nobody is sent away: lower limits hold for those who
 * come.
 */
void
choir_admission_configure (ChoirAdmission *self,
                           guint max_total,
                           guint max_per_address,
                           ChoirRateRule *connect_rule)
{
  self->max_total = MIN (max_total != 0 ? max_total : G_MAXUINT, get_descriptor_limit ());
  self->max_per_address = max_per_address != 0 ? max_per_address : G_MAXUINT;
  choir_rate_limiter_set_rule (self->rates, connect_rule);
}

static gboolean
take_rate (ChoirAdmission *self, const ChoirAddress *subject, gint64 now_us)
{
  char text[CHOIR_ADDRESS_TEXT_SIZE];

  choir_address_format (subject, text);
  return choir_rate_limiter_take (self->rates, text, now_us) == 0;
}

static Entry *
add_entry (ChoirAdmission *self, const ChoirAddress *subject)
{
  Entry *entry = g_new0 (Entry, 1);

  entry->address = *subject;
  g_hash_table_add (self->entries, entry);

  return entry;
}

static void
count_in (ChoirAdmission *self, Entry *entry, const ChoirAddress *subject)
{
  if (entry == NULL)
    entry = add_entry (self, subject);

  entry->count++;
}

/**
 * choir_admission_enter:
 * @address: (nullable): the client's; %NULL: a unix socket, bound by the total only
 * @now_us: monotonic time
 *
 * What is refused for another reason doesn't count towards the rate.
 *
 * Returns: %CHOIR_ADMISSION_OK, which choir_admission_leave() must follow, or the reason
 */
ChoirAdmissionResult
choir_admission_enter (ChoirAdmission *self, const ChoirAddress *address, gint64 now_us)
{
  if (self->total >= self->max_total)
    return CHOIR_ADMISSION_FULL;
  if (address != NULL)
    {
      ChoirAddress subject = choir_address_get_subject (address);
      Entry *entry = g_hash_table_lookup (self->entries, &subject);

      if (entry != NULL && entry->count >= self->max_per_address)
        return CHOIR_ADMISSION_ADDRESS_FULL;
      if (!take_rate (self, &subject, now_us))
        return CHOIR_ADMISSION_ADDRESS_RATE;
      count_in (self, entry, &subject);
    }
  self->total++;
  return CHOIR_ADMISSION_OK;
}

/**
 * choir_admission_leave:
 * @address: (nullable): as it entered
 */
void
choir_admission_leave (ChoirAdmission *self, const ChoirAddress *address)
{
  ChoirAddress subject;
  Entry *entry;

  g_return_if_fail (self->total > 0);

  if (address != NULL)
    {
      subject = choir_address_get_subject (address);
      entry = g_hash_table_lookup (self->entries, &subject);
      g_return_if_fail (entry != NULL);
      if (--entry->count == 0)
        g_hash_table_remove (self->entries, &subject);
    }
  self->total--;
}

/**
 * choir_admission_sweep:
 * @now_us: monotonic time
 *
 * Gives back the memory of addresses that have been quiet for the longest window.
 */
void
choir_admission_sweep (ChoirAdmission *self, gint64 now_us)
{
  choir_rate_limiter_sweep (self->rates, now_us);
}

/**
 * choir_admission_get_total:
 *
 * Returns: connections inside
 */
guint
choir_admission_get_total (const ChoirAdmission *self)
{
  return self->total;
}

/**
 * choir_admission_get_max_total:
 *
 * Returns: the limit in force
 */
guint
choir_admission_get_max_total (const ChoirAdmission *self)
{
  return self->max_total;
}

/**
 * choir_admission_get_n_addresses:
 *
 * Returns: how many addresses (IPv6: networks) they come from
 */
guint
choir_admission_get_n_addresses (const ChoirAdmission *self)
{
  return g_hash_table_size (self->entries);
}

/**
 * choir_admission_get_count:
 * @address: an address
 *
 * Returns: connections counted with those of @address
 */
guint
choir_admission_get_count (const ChoirAdmission *self, const ChoirAddress *address)
{
  ChoirAddress subject = choir_address_get_subject (address);
  const Entry *entry = g_hash_table_lookup (self->entries, &subject);

  return entry != NULL ? entry->count : 0;
}
