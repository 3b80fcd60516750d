/* choir-admin-sampler.h: how fast things go
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-hub.h"

G_BEGIN_DECLS

/**
 * ChoirAdminSampler:
 *
 * Looks at some counters once a second and remembers a minute of that, so that rates and
 * percentiles of the last while can be told at any time, from the first question on.
 */
typedef struct _ChoirAdminSampler ChoirAdminSampler;

/* What is between two moments */
typedef struct
{
  double received_per_s;
  double sent_per_s;
  double publishes_per_s;
  double connects_per_s;
  double errors_per_s;
  double cpu_percent;
} ChoirAdminPace;

ChoirAdminSampler *choir_admin_sampler_new (ChoirHub *hub);
void choir_admin_sampler_free (ChoirAdminSampler *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirAdminSampler, choir_admin_sampler_free)

void choir_admin_sampler_get_pace (ChoirAdminSampler *self, ChoirAdminPace *out);
void choir_admin_sampler_get_latencies (ChoirAdminSampler *self,
                                        const double *quantiles,
                                        double *latencies_us,
                                        guint n);

G_END_DECLS
