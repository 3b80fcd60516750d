/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-check.h"

#include "choir-gateway.h"
#include "choir-hub.h"
#include "choir-keys.h"
#include "choir-listener.h"

/**
 * choir_check_config:
 * @config: settings that were loaded
 * @error: return location: %CHOIR_ERROR_CONFIG
 *
 * Everything but opening the sockets: the same reading of the same values as a start.
 *
 * Returns: whether the service could run with @config
 */
gboolean
choir_check_config (ChoirConfig *config, GError **error)
{
  g_autoptr (ChoirVerifier) verifier = choir_keys_load (config, error);
  g_autoptr (ChoirTimerWheel) wheel = choir_timer_wheel_new (NULL, 1000);
  g_autoptr (ChoirCounters) counters = choir_counters_new ();
  g_autoptr (GTlsCertificate) certificate = NULL;
  g_autoptr (ChoirHub) hub = NULL;
  ChoirGateway *gateway;

  if (verifier == NULL || !choir_listener_load_certificate (config, &certificate, error))
    return FALSE;

  hub = choir_hub_new (config, verifier, NULL, wheel, counters, error);
  if (hub == NULL)
    return FALSE;

  gateway = choir_gateway_new (config, hub, NULL, counters, error);
  if (gateway == NULL)
    return FALSE;

  choir_gateway_free (gateway);

  return TRUE;
}
