/* choir-admin-describe.h: a connection as the bus lists it
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-session.h"

G_BEGIN_DECLS

/* What many connections of a page have in common is made once: it is most of what a page costs */
typedef enum
{
  CHOIR_ADMIN_REPEAT_USER,
  CHOIR_ADMIN_REPEAT_ADDRESS,
  CHOIR_ADMIN_REPEAT_DIALECT,
  CHOIR_ADMIN_REPEAT_AGE,
  CHOIR_ADMIN_REPEAT_SUBSCRIPTIONS,
  CHOIR_ADMIN_REPEAT_QUEUED,
  CHOIR_ADMIN_REPEAT_RECEIVED,
  CHOIR_ADMIN_REPEAT_ERRORS,
  CHOIR_ADMIN_REPEAT_SLOW,
  CHOIR_N_ADMIN_REPEATS
} ChoirAdminRepeat;

/* The last entry of each of these keys: a `{sv}` */
typedef struct
{
  GVariant *entries[CHOIR_N_ADMIN_REPEATS]; /* (owned) (nullable) */
  guint64 numbers[CHOIR_N_ADMIN_REPEATS];   /* their values, if they are numbers */
  char *texts[CHOIR_N_ADMIN_REPEATS];       /* (owned) (nullable): or else strings */
} ChoirAdminRepeats;

GVariant *choir_admin_describe_connection (ChoirSession *session);
GVariant *choir_admin_describe_repeated (ChoirSession *session, ChoirAdminRepeats *repeats);
void choir_admin_repeats_clear (ChoirAdminRepeats *self);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (ChoirAdminRepeats, choir_admin_repeats_clear)

G_END_DECLS
