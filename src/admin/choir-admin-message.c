/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-admin-broadcast.h"
#include "choir-admin-filter.h"
#include "choir-admin-methods.h"

#include "choir-names.h"

static void
perform_broadcast (ChoirAdminCall *call)
{
  g_auto (ChoirAudience) audience = { 0 };
  g_autoptr (GVariant) dict = NULL;
  g_autoptr (GError) error = NULL;
  const char *type, *payload;
  guint n_recipients = 0;

  g_variant_get (call->parameters, "(&s&s@a{sv})", &type, &payload, &dict);

  if (!choir_admin_filter_parse (&audience, dict, &error) ||
      !choir_admin_broadcast (call->hub, type, choir_slice (payload), &audience, &n_recipients,
                              &error))
    {
      choir_admin_call_fail (call, error);
      return;
    }

  choir_admin_call_log (call, "Message broadcast", CHOIR_LOG_TYPE, type, n_recipients);
  choir_admin_call_return (call, g_variant_new ("(u)", n_recipients));
}

const ChoirAdminMethod choir_admin_message_methods[] = {
  { CHOIR_ADMIN_MANAGER, "Broadcast", CHOIR_ADMIN_MESSAGE, FALSE, perform_broadcast, NULL },
};

const guint choir_admin_message_n_methods = G_N_ELEMENTS (choir_admin_message_methods);
