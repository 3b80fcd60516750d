/* choir-http-idempotency.h: the same request again is answered as before
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-http-request.h"

G_BEGIN_DECLS

/* How long an answer is kept, and how many are: the oldest go first */
#define CHOIR_HTTP_IDEMPOTENCY_S (5 * 60)
#define CHOIR_HTTP_IDEMPOTENCY_MAX 10000

/**
 * ChoirHttpIdempotency:
 *
 * Answers to requests that had an `Idempotency-Key`, in memory; for those that leave nothing behind
 * in which their repetition could be recognised.
 */
typedef struct _ChoirHttpIdempotency ChoirHttpIdempotency;

ChoirHttpIdempotency *choir_http_idempotency_new (void);
void choir_http_idempotency_free (ChoirHttpIdempotency *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirHttpIdempotency, choir_http_idempotency_free)

/* FALSE: it is answered. One that may go on ends with one of the other two */
gboolean choir_http_once_begin (ChoirHttpRequest *request);
void choir_http_once_answer (ChoirHttpRequest *request, GString *body);
void choir_http_once_forget (ChoirHttpRequest *request);
void choir_http_once_refuse (ChoirHttpRequest *request, const GError *error);

G_END_DECLS
