/* choir-ctl-agent.h: the program that asks for a password on the terminal
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct
{
  GPid pid; /* 0: none */
} ChoirCtlAgent;

gboolean choir_ctl_agent_is_wanted (void);
void choir_ctl_agent_start (ChoirCtlAgent *self);
void choir_ctl_agent_stop (ChoirCtlAgent *self);

G_END_DECLS
