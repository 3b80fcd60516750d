/* choir-admission.h: who may connect: in all, per address, per second
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

#include "choir-address.h"
#include "choir-rate-limit.h"

G_BEGIN_DECLS

/* Descriptors connections leave to the store, the log, the bus and to saying no */
#define CHOIR_ADMISSION_RESERVE 64

typedef enum
{
  CHOIR_ADMISSION_OK,
  CHOIR_ADMISSION_FULL,
  CHOIR_ADMISSION_ADDRESS_FULL,
  CHOIR_ADMISSION_ADDRESS_RATE,
} ChoirAdmissionResult;

typedef struct _ChoirAdmission ChoirAdmission;

/* 0 for a number: no limit of that kind; @connect_rule NULL likewise. @max_total is lowered to what
 * the descriptor limit leaves. */
ChoirAdmission *
choir_admission_new (guint max_total, guint max_per_address, ChoirRateRule *connect_rule);
void choir_admission_free (ChoirAdmission *self);
void choir_admission_configure (ChoirAdmission *self,
                                guint max_total,
                                guint max_per_address,
                                ChoirRateRule *connect_rule);
/* @address NULL: a unix socket, counted in the total only. Each OK needs one leave with the same
 * address. */
ChoirAdmissionResult
choir_admission_enter (ChoirAdmission *self, const ChoirAddress *address, gint64 now_us);
void choir_admission_leave (ChoirAdmission *self, const ChoirAddress *address);
/* Forgets addresses whose rate is idle: call every minute or so */
void choir_admission_sweep (ChoirAdmission *self, gint64 now_us);
guint choir_admission_get_total (const ChoirAdmission *self);
guint choir_admission_get_max_total (const ChoirAdmission *self);
guint choir_admission_get_n_addresses (const ChoirAdmission *self);
guint choir_admission_get_count (const ChoirAdmission *self, const ChoirAddress *address);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirAdmission, choir_admission_free)

G_END_DECLS
