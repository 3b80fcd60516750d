/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-admin-methods.h"
#include "choir-admin-object.h"
#include "choir-admin-page.h"

#include "choir-close-code.h"
#include "choir-error.h"
#include "choir-hub-operate.h"
#include "choir-names.h"
#include "choir-session.h"

#include <string.h>

static void
kick (ChoirAdminCall *call, const char *connection, const char *reason)
{
  g_autoptr (GError) error = NULL;
  ChoirSession *session;

  if (!choir_admin_check_reason (reason, CHOIR_ADMIN_REASON_MAX, &error))
    {
      choir_admin_call_fail (call, error);
      return;
    }

  session = choir_hub_find_session (call->hub, connection);
  if (session == NULL || choir_session_is_closing (session))
    {
      choir_admin_call_fail_literal (call, CHOIR_ERROR_NOT_FOUND, "There is no such connection");
      return;
    }

  choir_admin_call_log (call, "Connection kicked", CHOIR_LOG_CONNECTION, connection, 1);
  choir_session_close (session, CHOIR_CLOSE_KICKED, reason);
  choir_admin_call_return (call, NULL);
}

static void
perform_kick (ChoirAdminCall *call)
{
  const char *connection, *reason;

  g_variant_get (call->parameters, "(&s&s)", &connection, &reason);
  kick (call, connection, reason);
}

static void
perform_connection_kick (ChoirAdminCall *call)
{
  const char *reason;

  if (choir_admin_call_find_object (call) == NULL)
    return;

  g_variant_get (call->parameters, "(&s)", &reason);
  kick (call, call->name, reason);
}

static void
perform_kick_user (ChoirAdminCall *call)
{
  g_autoptr (GError) error = NULL;
  const char *user, *reason;
  guint count;

  g_variant_get (call->parameters, "(&s&s)", &user, &reason);

  if (!choir_name_is_user (user, strlen (user)))
    g_set_error_literal (&error, CHOIR_ERROR, CHOIR_ERROR_VALIDATION, "That is no user identifier");

  if (error != NULL || !choir_admin_check_reason (reason, CHOIR_ADMIN_REASON_MAX, &error))
    {
      choir_admin_call_fail (call, error);
      return;
    }

  count = choir_hub_kick_user (call->hub, user, reason);
  choir_admin_call_log (call, "User kicked", CHOIR_LOG_USER, user, count);
  choir_admin_call_return (call, g_variant_new ("(u)", count));
}

/* org.choir.Choir1.xml: what is full is no fault of the arguments */
static void
fail_full (ChoirAdminCall *call, GError *error)
{
  if (g_error_matches (error, CHOIR_ERROR, CHOIR_ERROR_OVERRUN))
    {
      error->domain = G_DBUS_ERROR;
      error->code = G_DBUS_ERROR_LIMITS_EXCEEDED;
    }

  choir_admin_call_fail (call, error);
}

/* Until it is stored */
typedef struct
{
  ChoirAdminCall *call; /* (owned) */
  ChoirBanKind kind;
  char *name; /* (owned) */
} Change;

static Change *
change_new (ChoirAdminCall *call, ChoirBanKind kind, const char *name)
{
  Change *self = g_new0 (Change, 1);

  self->call = call;
  self->kind = kind;
  self->name = g_strdup (name);

  return self;
}

static void
change_free (Change *self)
{
  g_free (self->name);
  g_free (self);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Change, change_free)

static const char *
get_field (ChoirBanKind kind)
{
  return kind == CHOIR_BAN_USER ? CHOIR_LOG_USER : CHOIR_LOG_JTI;
}

static void
banned_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (Change) change = user_data;
  g_autoptr (GError) error = NULL;
  guint count;

  if (!choir_blocklist_ban_finish (CHOIR_BLOCKLIST (source), result, &count, &error))
    {
      fail_full (change->call, error);
      return;
    }

  choir_admin_call_log (change->call,
                        change->kind == CHOIR_BAN_USER ? "User blocked" : "Token revoked",
                        get_field (change->kind), change->name, count);
  choir_admin_call_return (change->call, g_variant_new ("(u)", count));
}

static void
ban (ChoirAdminCall *call,
     ChoirBanKind kind,
     const char *name,
     guint64 until_us,
     const char *reason)
{
  const ChoirBan what = {
    .name = name,
    .reason = reason,
    .until_us = (gint64) MIN (until_us, (guint64) G_MAXINT64),
    .uid = call->uid,
  };

  choir_blocklist_ban_async (choir_hub_get_blocklist (call->hub), kind, &what, NULL, banned_cb,
                             change_new (call, kind, name));
}

static void
perform_block_user (ChoirAdminCall *call)
{
  const char *user, *reason;
  guint64 until_us;

  g_variant_get (call->parameters, "(&st&s)", &user, &until_us, &reason);
  ban (call, CHOIR_BAN_USER, user, until_us, reason);
}

static void
perform_revoke_token (ChoirAdminCall *call)
{
  const char *jti;

  g_variant_get (call->parameters, "(&s)", &jti);
  ban (call, CHOIR_BAN_TOKEN, jti, 0, "");
}

static void
lifted_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (Change) change = user_data;
  g_autoptr (GError) error = NULL;

  if (!choir_blocklist_lift_finish (CHOIR_BLOCKLIST (source), result, &error))
    {
      choir_admin_call_fail (change->call, error);
      return;
    }

  choir_admin_call_log (change->call,
                        change->kind == CHOIR_BAN_USER ? "User unblocked" : "Token unrevoked",
                        get_field (change->kind), change->name, 1);
  choir_admin_call_return (change->call, NULL);
}

static void
lift (ChoirAdminCall *call, ChoirBanKind kind)
{
  const char *name;

  g_variant_get (call->parameters, "(&s)", &name);
  choir_blocklist_lift_async (choir_hub_get_blocklist (call->hub), kind, name, NULL, lifted_cb,
                              change_new (call, kind, name));
}

static void
perform_unblock_user (ChoirAdminCall *call)
{
  lift (call, CHOIR_BAN_USER);
}

static void
perform_unrevoke_token (ChoirAdminCall *call)
{
  lift (call, CHOIR_BAN_TOKEN);
}

static void
offer (const ChoirBan *found, gpointer user_data)
{
  choir_admin_page_offer (user_data, found->name, (gpointer) found);
}

static GVariant *
describe (ChoirBanKind kind, const ChoirBan *found)
{
  GVariantDict dict;

  g_variant_dict_init (&dict, NULL);
  if (kind == CHOIR_BAN_USER)
    {
      g_variant_dict_insert (&dict, "user", "s", found->name);
      g_variant_dict_insert (&dict, "until", "t", (guint64) found->until_us);
      g_variant_dict_insert (&dict, "reason", "s", found->reason);
      g_variant_dict_insert (&dict, "blocked_at", "t", (guint64) found->since_us);
    }
  else
    {
      g_variant_dict_insert (&dict, "jti", "s", found->name);
      g_variant_dict_insert (&dict, "revoked_at", "t", (guint64) found->since_us);
    }
  g_variant_dict_insert (&dict, "uid", "u", found->uid);

  return g_variant_dict_end (&dict);
}

static void
list (ChoirAdminCall *call, ChoirBanKind kind)
{
  g_auto (ChoirAdminPage) page = { 0 };
  const ChoirAdminPageEntry *entries;
  GVariantBuilder out;
  guint offset, limit, n_entries;

  g_variant_get (call->parameters, "(uu)", &offset, &limit);
  choir_admin_page_init (&page, offset, limit);
  choir_blocklist_visit (choir_hub_get_blocklist (call->hub), kind, offer, &page);

  g_variant_builder_init (&out, G_VARIANT_TYPE ("aa{sv}"));
  entries = choir_admin_page_end (&page, &n_entries);
  for (guint i = 0; i < n_entries; i++)
    g_variant_builder_add_value (&out, describe (kind, entries[i].item));
  choir_admin_call_return (call, g_variant_new ("(aa{sv})", &out));
}

static void
perform_list_blocked (ChoirAdminCall *call)
{
  list (call, CHOIR_BAN_USER);
}

static void
perform_list_revoked (ChoirAdminCall *call)
{
  list (call, CHOIR_BAN_TOKEN);
}

/* Subscriptions. The session may go meanwhile: only what is logged is kept */
typedef struct
{
  ChoirAdminCall *call; /* (owned) */
  char *channel;        /* (owned) */
} Join;

static void
subscribed_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autofree Join *join = user_data;
  g_autofree char *channel = join->channel;
  g_autoptr (GError) error = NULL;

  if (!choir_hub_subscribe_finish (CHOIR_HUB (source), result, &error))
    {
      fail_full (join->call, error);
      return;
    }

  choir_admin_call_log (join->call, "Connection subscribed", CHOIR_LOG_CHANNEL, channel, 1);
  choir_admin_call_return (join->call, NULL);
}

static void
subscribe (ChoirAdminCall *call, const char *connection, const char *channel)
{
  ChoirSession *session = choir_hub_find_session (call->hub, connection);
  Join *join;

  if (session == NULL)
    {
      choir_admin_call_fail_literal (call, CHOIR_ERROR_NOT_FOUND, "There is no such connection");
      return;
    }

  join = g_new0 (Join, 1);
  join->call = call;
  join->channel = g_strdup (channel);
  choir_hub_subscribe_async (call->hub, session, channel, NULL, subscribed_cb, join);
}

static void
perform_subscribe (ChoirAdminCall *call)
{
  const char *connection, *channel;

  g_variant_get (call->parameters, "(&s&s)", &connection, &channel);
  subscribe (call, connection, channel);
}

static void
perform_connection_subscribe (ChoirAdminCall *call)
{
  const char *channel;

  if (choir_admin_call_find_object (call) == NULL)
    return;

  g_variant_get (call->parameters, "(&s)", &channel);
  subscribe (call, call->name, channel);
}

static void
unsubscribe (ChoirAdminCall *call, const char *connection, const char *channel)
{
  ChoirSession *session = choir_hub_find_session (call->hub, connection);
  g_autoptr (GError) error = NULL;

  if (session == NULL)
    {
      choir_admin_call_fail_literal (call, CHOIR_ERROR_NOT_FOUND, "There is no such connection");
      return;
    }

  if (!choir_hub_unsubscribe (call->hub, session, channel, &error))
    {
      choir_admin_call_fail (call, error);
      return;
    }

  choir_admin_call_log (call, "Connection unsubscribed", CHOIR_LOG_CHANNEL, channel, 1);
  choir_admin_call_return (call, NULL);
}

static void
perform_unsubscribe (ChoirAdminCall *call)
{
  const char *connection, *channel;

  g_variant_get (call->parameters, "(&s&s)", &connection, &channel);
  unsubscribe (call, connection, channel);
}

static void
perform_connection_unsubscribe (ChoirAdminCall *call)
{
  const char *channel;

  if (choir_admin_call_find_object (call) == NULL)
    return;

  g_variant_get (call->parameters, "(&s)", &channel);
  unsubscribe (call, call->name, channel);
}

static void
perform_session_close (ChoirAdminCall *call)
{
  ChoirSession *session = choir_admin_call_find_object (call);
  g_autoptr (GError) error = NULL;
  const char *reason;

  if (session == NULL)
    return;

  g_variant_get (call->parameters, "(&s)", &reason);

  if (!choir_admin_check_reason (reason, CHOIR_ADMIN_REASON_MAX, &error))
    choir_admin_call_fail (call, error);
  else if (choir_session_is_closing (session))
    choir_admin_call_fail_literal (call, CHOIR_ERROR_NOT_FOUND, "The session is ending");
  else
    {
      choir_admin_call_log (call, "Session closed", CHOIR_LOG_SESSION, call->name, 1);
      choir_session_close (session, CHOIR_CLOSE_KICKED, reason);
      choir_admin_call_return (call, NULL);
    }
}

#define ROW(interface, method, target, perform)                                                    \
  {                                                                                                \
    CHOIR_ADMIN_##interface, method, CHOIR_ADMIN_MANAGE_USERS, target, perform, NULL               \
  }

const ChoirAdminMethod choir_admin_users_methods[] = {
  ROW (MANAGER, "Kick", TRUE, perform_kick),
  ROW (CONNECTION, "Kick", FALSE, perform_connection_kick),
  ROW (MANAGER, "KickUser", TRUE, perform_kick_user),
  ROW (MANAGER, "BlockUser", TRUE, perform_block_user),
  ROW (MANAGER, "UnblockUser", TRUE, perform_unblock_user),
  ROW (MANAGER, "RevokeToken", TRUE, perform_revoke_token),
  ROW (MANAGER, "UnrevokeToken", TRUE, perform_unrevoke_token),
  ROW (MANAGER, "Subscribe", TRUE, perform_subscribe),
  ROW (CONNECTION, "Subscribe", FALSE, perform_connection_subscribe),
  ROW (MANAGER, "Unsubscribe", TRUE, perform_unsubscribe),
  ROW (CONNECTION, "Unsubscribe", FALSE, perform_connection_unsubscribe),
  ROW (SESSION, "Close", FALSE, perform_session_close),
  { CHOIR_ADMIN_MANAGER, "ListBlocked", CHOIR_ADMIN_INSPECT, FALSE, perform_list_blocked, NULL },
  { CHOIR_ADMIN_MANAGER, "ListRevoked", CHOIR_ADMIN_INSPECT, FALSE, perform_list_revoked, NULL },
};

const guint choir_admin_users_n_methods = G_N_ELEMENTS (choir_admin_users_methods);
