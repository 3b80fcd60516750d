/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-admin-error.h"

#include <gio/gio.h>

#define NAME(name) "org.choir.Choir1.Error." name

static const char *const names[] = {
  [CHOIR_ERROR_INTERNAL] = NAME ("Internal"),
  [CHOIR_ERROR_INVALID_JSON] = NAME ("InvalidJson"),
  [CHOIR_ERROR_INVALID_MESSAGE] = NAME ("InvalidMessage"),
  [CHOIR_ERROR_INVALID_MESSAGE_TYPE] = NAME ("InvalidMessageType"),
  [CHOIR_ERROR_VALIDATION] = NAME ("InvalidArgs"),
  [CHOIR_ERROR_TOO_LARGE] = NAME ("TooLarge"),
  [CHOIR_ERROR_AUTH] = NAME ("Auth"),
  [CHOIR_ERROR_PERMISSION_DENIED] = NAME ("PermissionDenied"),
  [CHOIR_ERROR_UNKNOWN_CHANNEL] = NAME ("UnknownChannel"),
  [CHOIR_ERROR_NOT_SUBSCRIBED] = NAME ("NotSubscribed"),
  [CHOIR_ERROR_RATE_LIMITED] = NAME ("RateLimited"),
  [CHOIR_ERROR_CONFLICT] = NAME ("Conflict"),
  [CHOIR_ERROR_NOT_FOUND] = NAME ("NotFound"),
  [CHOIR_ERROR_PROCESSING] = NAME ("Processing"),
  [CHOIR_ERROR_TIMEOUT] = NAME ("Timeout"),
  [CHOIR_ERROR_UNAVAILABLE] = NAME ("Unavailable"),
  [CHOIR_ERROR_CLOSED] = NAME ("Closed"),
  [CHOIR_ERROR_OVERRUN] = NAME ("Overrun"),
  [CHOIR_ERROR_CONFIG] = NAME ("Config"),
  [CHOIR_ERROR_TOKEN_MISSING] = NAME ("TokenMissing"),
  [CHOIR_ERROR_TOKEN_EXPIRED] = NAME ("TokenExpired"),
  [CHOIR_ERROR_BLOCKED] = NAME ("Blocked"),
};

G_STATIC_ASSERT (G_N_ELEMENTS (names) == CHOIR_N_ERRORS);

/**
 * choir_admin_error_register:
 *
 * Makes GDBus send a #ChoirError under its name on the bus. May be called again.
 */
void
choir_admin_error_register (void)
{
  static gsize registered;

  if (!g_once_init_enter (&registered))
    return;

  for (int i = 0; i < CHOIR_N_ERRORS; i++)
    g_dbus_error_register_error (CHOIR_ERROR, i, names[i]);

  g_once_init_leave (&registered, 1);
}
