/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-admin-methods.h"
#include "choir-admin-private.h"

#include "choir-error.h"
#include "choir-log.h"
#include "choir-names.h"

/* A day: longer is no drain but a plan */
#define DRAIN_MAX_MS (24 * 3600 * 1000)

static void
perform_drain (ChoirAdminCall *call)
{
  ChoirAdmin *self = call->admin;
  g_autofree char *after = NULL;
  guint64 after_ms;

  g_variant_get (call->parameters, "(t)", &after_ms);
  if (after_ms > DRAIN_MAX_MS)
    {
      choir_admin_call_fail_literal (call, CHOIR_ERROR_VALIDATION,
                                     "A drain begins within 86400000 milliseconds");
      return;
    }

  after = g_strdup_printf ("%" G_GUINT64_FORMAT, after_ms);
  choir_admin_call_log (call, "Drain asked for", CHOIR_LOG_AFTER_MS, after,
                        choir_hub_get_n_connections (call->hub));
  self->draining = TRUE;
  self->host->drain (self->host_data, after_ms);
  choir_admin_call_return (call, NULL);
}

static void
perform_reload (ChoirAdminCall *call)
{
  ChoirAdmin *self = call->admin;
  g_autoptr (GError) error = NULL;

  choir_admin_call_log (call, "Reload asked for", NULL, NULL, 1);
  if (self->host->reload (self->host_data, &error))
    choir_admin_call_return (call, NULL);
  else
    choir_admin_call_fail (call, error);
}

static void
perform_set_log_level (ChoirAdminCall *call)
{
  g_autoptr (GError) error = NULL;
  const char *name;
  ChoirLogLevel level;

  g_variant_get (call->parameters, "(&s)", &name);
  if (!choir_log_level_parse (name, &level, &error))
    {
      /* whose sentence is good, but here it is no fault of the configuration */
      choir_admin_call_fail_literal (call, CHOIR_ERROR_VALIDATION, error->message);
      return;
    }

  /* who silences the log is noted before */
  if (!choir_log_is_enabled (level))
    choir_log_set_level (level);
  choir_admin_call_log (call, "Log level set", CHOIR_LOG_LOG_LEVEL, name, 1);
  choir_log_set_level (level);
  choir_admin_call_return (call, NULL);
}

const ChoirAdminMethod choir_admin_service_methods[] = {
  { CHOIR_ADMIN_MANAGER, "Drain", CHOIR_ADMIN_MANAGE_SERVICE, FALSE, perform_drain, NULL },
  { CHOIR_ADMIN_MANAGER, "Reload", CHOIR_ADMIN_MANAGE_SERVICE, FALSE, perform_reload, NULL },
  { CHOIR_ADMIN_MANAGER, "SetLogLevel", CHOIR_ADMIN_MANAGE_SERVICE, FALSE, perform_set_log_level,
    NULL },
};

const guint choir_admin_service_n_methods = G_N_ELEMENTS (choir_admin_service_methods);
