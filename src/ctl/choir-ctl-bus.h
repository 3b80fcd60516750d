/* choir-ctl-bus.h: the way to the service: a bus of this host, or over ssh that of another
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-ctl-agent.h"

#include <gio/gio.h>

G_BEGIN_DECLS

typedef struct
{
  /* as the options have it */
  gboolean session;
  const char *address; /* (nullable) (unowned) */
  const char *host;    /* (nullable) (unowned): [USER@]HOST */
  gboolean no_ask_password;
  int timeout_ms;       /* for one answer */
  gboolean has_timeout; /* the user said so */

  char *name;                  /* (owned): the service's name on the bus */
  GDBusConnection *connection; /* (owned) (nullable) until it is connected */
  GSubprocess *ssh;            /* (owned) (nullable) */
  ChoirCtlAgent agent;
} ChoirCtlBus;

gboolean choir_ctl_bus_set_node (ChoirCtlBus *self, const char *node, GError **error);
gboolean choir_ctl_bus_connect (ChoirCtlBus *self, GError **error);
void choir_ctl_bus_clear (ChoirCtlBus *self);

G_END_DECLS
