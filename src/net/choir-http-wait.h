/* choir-http-wait.h: requests that wait until something happens
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-http-request.h"

G_BEGIN_DECLS

/**
 * ChoirHttpWaitFunc:
 * @request: has waited as long as it may; to be answered
 */
typedef void (*ChoirHttpWaitFunc) (ChoirHttpRequest *request);

gboolean choir_http_request_wait (ChoirHttpRequest *self, gint64 wait_us, ChoirHttpWaitFunc over);
gboolean choir_http_request_has_hung_up (const ChoirHttpRequest *self);
void choir_http_request_drop (ChoirHttpRequest *self);

/* For requests only */
void choir_http_wait_end (ChoirHttpRequest *request);

G_END_DECLS
