/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-hub-private.h"

#include "choir-close-code.h"
#include "choir-observer.h"
#include "choir-session-private.h"

#include <string.h>

/*
 * What the hub does about blocked users and revoked tokens: every door asks the verifier, which
 * asks here; and what is open already is closed.
 */

static gboolean
judge (const ChoirClaims *claims, gpointer user_data, GError **error)
{
  ChoirHub *self = user_data;

  return choir_blocklist_check (self->blocklist, claims, error);
}

/* A new token lets the client in again, so the code is that of a bad one */
static guint
close_token (ChoirHub *self, const char *jti)
{
  guint n = 0;

  for (guint i = 0; i < self->sessions->len; i++)
    {
      ChoirSession *session = g_ptr_array_index (self->sessions, i);
      const ChoirDialectTable *table = choir_dialect_get_table (session->dialect);

      if (session->claims == NULL || choir_session_is_closing (session) ||
          g_strcmp0 (choir_claims_get_jti (session->claims), jti) != 0)
        continue;

      n += choir_session_is_waiting (session) ? 0 : 1;
      choir_session_close (session, table->auth_close_code, "Token revoked");
    }

  return n;
}

static guint
enforce (ChoirBanKind kind, const char *name, gpointer user_data)
{
  ChoirHub *self = user_data;

  if (kind == CHOIR_BAN_TOKEN)
    return close_token (self, name);

  return choir_hub_kick_user (self, name, "Blocked by an administrator");
}

static void
banned_cb (ChoirBlocklist *list,
           guint kind,
           const char *name,
           gint64 until_us,
           const char *reason,
           gpointer user_data)
{
  if (kind == CHOIR_BAN_USER)
    choir_hub_report_blocked (user_data, name, until_us, reason);
}

static void
lifted_cb (ChoirBlocklist *list, guint kind, const char *name, gpointer user_data)
{
  if (kind == CHOIR_BAN_USER)
    choir_hub_report_unblocked (user_data, name);
}

/* From now on there is a list, in memory only until it is loaded, and every door asks it */
void
choir_hub_make_blocklist (ChoirHub *self)
{
  self->blocklist = choir_blocklist_new (self->stats);
  choir_blocklist_set_enforce (self->blocklist, enforce, self);
  choir_verifier_set_judge (self->verifier, judge, self);
  g_signal_connect (self->blocklist, "banned", G_CALLBACK (banned_cb), self);
  g_signal_connect (self->blocklist, "lifted", G_CALLBACK (lifted_cb), self);
}

void
choir_hub_drop_blocklist (ChoirHub *self)
{
  choir_verifier_set_judge (self->verifier, NULL, NULL);
  choir_blocklist_set_enforce (self->blocklist, NULL, NULL);
  g_signal_handlers_disconnect_by_data (self->blocklist, self);
  g_clear_object (&self->blocklist);
}

/**
 * choir_hub_get_blocklist:
 * @self: a hub
 *
 * Returns: (transfer none): blocked users and revoked tokens
 */
ChoirBlocklist *
choir_hub_get_blocklist (ChoirHub *self)
{
  return self->blocklist;
}
