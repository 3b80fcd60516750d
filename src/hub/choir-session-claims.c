/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-session-private.h"

#include "choir-clock.h"
#include "choir-error.h"
#include "choir-handlers-document.h"
#include "choir-observer.h"

#include <string.h>

/*
 * What a session's token says: whose it is, who of that user's sessions has to make room for it,
 * and what it may no longer hear.
 */

static void
evict_oldest (ChoirSession *self)
{
  for (guint i = 0; i < self->user->n_sessions; i++)
    {
      ChoirSession *oldest = self->user->sessions[i];
      const ChoirDialectTable *table = choir_dialect_get_table (oldest->dialect);

      if (oldest->flags & (CHOIR_SESSION_CLOSING | CHOIR_SESSION_WAITING))
        continue;

      *choir_hub_get_stats (self->hub)->evictions += 1;
      choir_session_close (oldest, table->eviction_close_code,
                           "Replaced by a newer connection of the same user");
      return;
    }
}

/* Whether the user may have one connection more than there are; @self has none yet */
gboolean
choir_session_check_place (ChoirSession *self, const char *user_id, GError **error)
{
  const ChoirDialectSettings *settings = choir_session_get_settings (self);
  ChoirUser *known = choir_hub_find_user (self->hub, user_id);
  guint n = known != NULL ? choir_user_count_staying (known) : 0;

  if (settings->max_per_user > 0 && n >= settings->max_per_user &&
      settings->per_user_policy == CHOIR_PER_USER_REJECT)
    {
      g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_OVERRUN, "At most %u connections per user",
                   settings->max_per_user);
      return FALSE;
    }

  return TRUE;
}

/* Sends away the user's oldest, as far as one more than there are would be too many */
void
choir_session_make_place (ChoirSession *self)
{
  guint max = choir_session_get_settings (self)->max_per_user;
  guint n = choir_user_count_staying (self->user);

  if (max > 0)
    for (; n >= max; n--)
      evict_oldest (self);
}

static gboolean
join_user (ChoirSession *self, const char *user_id, GError **error)
{
  if (!choir_session_check_place (self, user_id, error))
    return FALSE;

  self->user = choir_hub_ensure_user (self->hub, user_id);
  choir_session_make_place (self);
  choir_hub_join_user (self->hub, self->user, self);

  return TRUE;
}

static void
end_subscription (ChoirSession *self, const char *name)
{
  g_autofree char *channel = g_strdup (name);

  choir_session_unsubscribe (self, channel);
  if (choir_channel_kind_of (channel) == CHOIR_CHANNEL_DOCUMENT)
    choir_handlers_document_lost (self, channel, "You may no longer read this document");
}

/* What the newest token says, which is for the same user as the one before */
void
choir_session_set_claims (ChoirSession *self, ChoirClaims *claims)
{
  choir_claims_ref (claims);
  g_clear_pointer (&self->claims, choir_claims_unref);
  self->claims = claims;
  self->flags &= ~(CHOIR_SESSION_WARNED | CHOIR_SESSION_LATE);
  if (choir_claims_get_expiry_us (claims) <= choir_clock_wall_us ())
    self->flags |= CHOIR_SESSION_LATE;
}

/* Ends the subscriptions that its claims do not permit */
void
choir_session_drop_forbidden (ChoirSession *self)
{
  for (guint i = self->n_subscriptions; i-- > 0;)
    {
      const char *channel = self->subscriptions[i]->channel->name;

      if (!self->subscriptions[i]->granted &&
          !choir_session_may (self, channel, CHOIR_PERMISSION_READ))
        end_subscription (self, channel);
    }
}

/*
 * Takes over what a token says. The first time the session joins its user; later the token must
 * be for the same user, and subscriptions it no longer permits end.
 */
gboolean
choir_session_accept_claims (ChoirSession *self, ChoirClaims *claims, GError **error)
{
  const char *user_id = choir_claims_get_user_id (claims);
  ChoirUser *guest = NULL;
  gboolean is_new;

  /* a guest who shows a token becomes that user */
  if (self->user != NULL && strcmp (self->user->id, user_id) != 0)
    guest = g_steal_pointer (&self->user);

  if (self->user == NULL && !join_user (self, user_id, error))
    {
      self->user = guest;
      return FALSE;
    }

  if (guest != NULL)
    choir_hub_leave_user (self->hub, guest, self);

  is_new = self->claims == NULL && self->link != NULL;
  choir_session_set_claims (self, claims);
  choir_session_drop_forbidden (self);
  if (is_new)
    choir_hub_report_connected (self->hub, self);

  return TRUE;
}
