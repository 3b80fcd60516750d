/* choir-ctl-error.h: what can go wrong, and what choirctl exits with then
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Documented in choirctl(1): scripts rely on them */
typedef enum
{
  CHOIR_CTL_DONE = 0,
  CHOIR_CTL_FAILED = 1,
  CHOIR_CTL_USAGE = 2,       /* wrong options or words */
  CHOIR_CTL_NO_SERVICE = 3,  /* no bus, or nobody on it */
  CHOIR_CTL_NOT_ALLOWED = 4, /* nor after a password was asked for */
  CHOIR_CTL_NOT_FOUND = 5,   /* no such connection, document, ... */
  CHOIR_CTL_TIMED_OUT = 6,
} ChoirCtlExit;

/* An error of this domain has a #ChoirCtlExit as its code and a translated message for people */
#define CHOIR_CTL_ERROR (choir_ctl_error_quark ())

GQuark choir_ctl_error_quark (void);

void choir_ctl_error_translate (const GError *problem, GError **error);
void choir_ctl_error_set_no_connection (GError **error);
ChoirCtlExit choir_ctl_error_get_status (const GError *error);

G_END_DECLS
