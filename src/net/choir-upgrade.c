/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-upgrade-private.h"

#include "choir-close-code.h"
#include "choir-id.h"
#include "choir-names.h"
#include "choir-session.h"

#include <string.h>

#define RETRY_AFTER_S 5

/* Decides against it; @detail: in words fit for anyone */
void
choir_upgrade_refuse (ChoirUpgrade *self, guint status, ChoirError problem, const char *detail)
{
  self->status = status;
  self->problem = problem;
  g_free (self->detail);
  self->detail = g_strdup (detail);
}

/* A refusal in the contract's way: a status, or a close code after the upgrade */
static void
refuse_token (ChoirUpgrade *self, ChoirError problem, const char *detail)
{
  const ChoirDialectTable *table = choir_dialect_get_table (self->dialect);

  if (table->auth_style == CHOIR_REFUSE_BY_CLOSE && !self->is_stream)
    {
      gboolean fixed = table->auth_close_code == CHOIR_CLOSE_AUTH_FAILED;

      choir_upgrade_refuse (self, 101, problem, fixed ? "Authentication failed" : detail);
      self->close_code = table->auth_close_code;
      return;
    }

  choir_upgrade_refuse (self, problem == CHOIR_ERROR_PERMISSION_DENIED ? 403 : 401, problem,
                        detail);
}

/* Browsers don't show a status: in our own protocol a close code tells them to stay away, as in
 * contracts whose clients read such codes. An event stream stays away for a status, too */
static void
refuse_blocked (ChoirUpgrade *self, const char *detail)
{
  const ChoirDialectTable *table = choir_dialect_get_table (self->dialect);

  if (table->auth_style == CHOIR_REFUSE_BEFORE_UPGRADE || self->is_stream)
    {
      choir_upgrade_refuse (self, 403, CHOIR_ERROR_BLOCKED, detail);
      return;
    }

  choir_upgrade_refuse (self, 101, CHOIR_ERROR_BLOCKED, detail);
  self->close_code = CHOIR_CLOSE_KICKED;
}

static void
refuse_full (ChoirUpgrade *self, const char *detail)
{
  if (choir_dialect_get_table (self->dialect)->capacity_by_close && !self->is_stream)
    {
      choir_upgrade_refuse (self, 101, CHOIR_ERROR_UNAVAILABLE, detail);
      self->close_code = CHOIR_CLOSE_TRY_AGAIN_LATER;
      return;
    }

  choir_upgrade_refuse (self, 503, CHOIR_ERROR_UNAVAILABLE, detail);
  self->retry_after_s = RETRY_AFTER_S;
}

/* The contracts' clients know these words (contracts.md C) */
static void
refuse_error (ChoirUpgrade *self, const GError *error)
{
  if (error->code == CHOIR_ERROR_UNAVAILABLE)
    refuse_full (self, "Tokens can't be checked at the moment");
  else if (error->code == CHOIR_ERROR_TOKEN_EXPIRED)
    refuse_token (self, error->code, "Token expired");
  else if (error->code == CHOIR_ERROR_BLOCKED)
    refuse_blocked (self, error->message);
  else
    refuse_token (self, CHOIR_ERROR_AUTH, "Invalid token");
}

static void
choose_subprotocol (ChoirUpgrade *self, const char *protocols)
{
  g_auto (GStrv) offered = NULL;

  if (protocols == NULL)
    return;

  offered = g_strsplit (protocols, ",", 32);
  for (char **offer = offered; *offer != NULL && self->dialect == NULL; offer++)
    self->dialect = choir_dialect_by_subprotocol (g_strstrip (*offer));

  if (self->dialect != NULL)
    self->subprotocol = choir_dialect_get_table (self->dialect)->subprotocol;
}

/* contracts.md: the subprotocol, the query, the end point's own, the default */
static void
choose_dialect (ChoirUpgrade *self,
                ChoirGateway *gateway,
                const ChoirUpgradeRequest *request,
                ChoirDialectId end_point)
{
  g_autofree char *name = NULL;

  choose_subprotocol (self, request->protocols);
  if (self->dialect != NULL)
    return;

  name = choir_upgrade_dup_parameter (request->query, "dialect");
  if (name != NULL)
    self->dialect = choir_dialect_by_name (name);
  if (self->dialect == NULL)
    self->dialect = choir_dialect_get (end_point);
}

static char *
dup_segment (const char *path, const char *prefix)
{
  const char *rest = path + strlen (prefix);

  if (!g_str_has_prefix (path, prefix) || *rest == '\0' || strchr (rest, '/') != NULL)
    return NULL;

  return g_uri_unescape_segment (rest, NULL, "/");
}

typedef struct
{
  const char *prefix;
  const char *channel; /* what stands before the identifier */
  ChoirDialectId dialect;
} EndPoint;

/* Below /ws, and below /sse as well */
static const EndPoint end_points[] = {
  { "/document/", "document:", CHOIR_DIALECT_JDDB },
  { "/chat/", "chat:", CHOIR_DIALECT_TRIPSAGE },
  { "/agent-status/", "agent-status:", CHOIR_DIALECT_TRIPSAGE },
};

/* (nullable): what stands behind @prefix in @path */
static const char *
skip_prefix (const char *path, const char *prefix)
{
  return g_str_has_prefix (path, prefix) ? path + strlen (prefix) : NULL;
}

/* Whether a WebSocket or an event stream is served at the path; finds dialect, channel and the
 * path's token */
static gboolean
route (ChoirUpgrade *self, ChoirGateway *gateway, const ChoirUpgradeRequest *request)
{
  const char *path = skip_prefix (request->path, "/sse");

  self->is_stream = path != NULL;
  if (path == NULL)
    path = skip_prefix (request->path, "/ws");
  if (path == NULL)
    return FALSE;

  if (*path == '\0' || strcmp (path, "/") == 0)
    {
      choose_dialect (self, gateway, request, gateway->default_dialect);
      return TRUE;
    }

  for (guint i = 0; i < G_N_ELEMENTS (end_points); i++)
    {
      g_autofree char *id = dup_segment (path, end_points[i].prefix);
      g_autofree char *channel = NULL;

      if (id == NULL)
        continue;

      channel = g_strconcat (end_points[i].channel, id, NULL);
      if (!choir_name_is_channel (channel, strlen (channel)))
        return FALSE;

      choose_dialect (self, gateway, request, end_points[i].dialect);
      self->default_channel = g_steal_pointer (&channel);
      return TRUE;
    }

  self->token = dup_segment (path, "/");
  if (self->token == NULL || strcmp (self->token, "config") == 0)
    return FALSE;

  choose_dialect (self, gateway, request, CHOIR_DIALECT_REVIEWPOINT);

  return TRUE;
}

static void
negotiate_extensions (ChoirUpgrade *self, ChoirGateway *gateway, const char *offers)
{
  if (offers != NULL && gateway->compression)
    choir_deflate_negotiate (offers, &gateway->deflate, &self->deflate, &self->extensions);
}

/**
 * choir_upgrade_new:
 * @gateway: the gateway
 * @request: the handshake
 *
 * Reads the request. Nothing is decided yet, except that there is no such end point (404) or that
 * the origin is refused (403, in every contract: RFC 6455 10.2).
 *
 * Returns: (transfer full): to be decided with choir_upgrade_decide()
 */
ChoirUpgrade *
choir_upgrade_new (ChoirGateway *gateway, const ChoirUpgradeRequest *request)
{
  ChoirUpgrade *self = g_new0 (ChoirUpgrade, 1);
  g_autofree char *batch = NULL;

  self->problem = CHOIR_ERROR_INTERNAL;
  self->has_address =
    choir_forwarded_resolve (gateway->forwarded, request->peer, request->x_forwarded_for,
                             request->forwarded, &self->address);

  if (gateway->echo_path != NULL && strcmp (request->path, gateway->echo_path) == 0)
    {
      self->is_websocket_path = TRUE;
      self->status = 101;
      negotiate_extensions (self, gateway, request->extensions);
      return self;
    }

  if (!route (self, gateway, request))
    {
      choir_upgrade_refuse (self, 404, CHOIR_ERROR_NOT_FOUND, "There is nothing at this address");
      return self;
    }

  self->is_websocket_path = TRUE;
  if (!choir_origin_policy_allows (gateway->origins, request->origin))
    {
      choir_upgrade_refuse (self, 403, CHOIR_ERROR_PERMISSION_DENIED, "Origin not allowed");
      return self;
    }

  choir_upgrade_read_token (self, request);
  negotiate_extensions (self, gateway, request->extensions);
  self->client_id = choir_upgrade_dup_parameter (request->query, "client_id");
  if (self->client_id != NULL &&
      !choir_name_is_identifier (self->client_id, strlen (self->client_id)))
    g_clear_pointer (&self->client_id, g_free);
  self->resume_id = choir_upgrade_dup_parameter (request->query, "session_id");
  if (self->resume_id != NULL && strlen (self->resume_id) >= CHOIR_ID_SIZE)
    g_clear_pointer (&self->resume_id, g_free);
  if (self->is_stream && !choir_upgrade_read_stream (self, request))
    return self;

  batch = choir_upgrade_dup_parameter (request->query, "batch");
  self->batching = g_strcmp0 (batch, "1") == 0;

  return self;
}

void
choir_upgrade_free (ChoirUpgrade *self)
{
  g_free (self->detail);
  g_free (self->extensions);
  g_free (self->default_channel);
  g_free (self->client_id);
  g_free (self->resume_id);
  g_free (self->token);
  g_clear_pointer (&self->positions, choir_event_positions_free);
  g_clear_pointer (&self->claims, choir_claims_unref);
  g_free (self);
}

/* Whether it takes the place of a connection that is still counted */
static gboolean
takes_over (ChoirUpgrade *self, ChoirGateway *gateway)
{
  const ChoirReturning who = {
    .dialect = self->dialect,
    .user_id = choir_claims_get_user_id (self->claims),
    .session_id = self->resume_id,
    .names_session = self->is_stream,
    .client_id = self->client_id,
    .default_channel = self->default_channel,
  };
  ChoirSession *lost = choir_session_find_lost (gateway->hub, &who);

  return lost != NULL && !choir_session_is_waiting (lost);
}

static gboolean
check_capacity (ChoirUpgrade *self, ChoirGateway *gateway)
{
  const char *user_id = self->claims != NULL ? choir_claims_get_user_id (self->claims) : NULL;

  switch (choir_hub_admit (gateway->hub, choir_dialect_get_id (self->dialect), user_id))
    {
    case CHOIR_ADMIT_FULL:
      self->limit = "connections";
      refuse_full (self, "Server at capacity");
      return FALSE;

    case CHOIR_ADMIT_USER_FULL:
      if (takes_over (self, gateway))
        return TRUE;
      self->limit = "user";
      choir_upgrade_refuse (self, 429, CHOIR_ERROR_RATE_LIMITED,
                            "Too many connections of this user");
      self->retry_after_s = RETRY_AFTER_S;
      return FALSE;

    case CHOIR_ADMIT_DRAINING:
      choir_upgrade_refuse (self, 503, CHOIR_ERROR_UNAVAILABLE, "The server is going down");
      self->retry_after_s = RETRY_AFTER_S;
      return FALSE;

    case CHOIR_ADMIT_OK:
    default:
      return TRUE;
    }
}

/* With a verified token, or none: is this one welcome? */
static void
conclude (ChoirUpgrade *self, ChoirGateway *gateway)
{
  const ChoirDialectTable *table = choir_dialect_get_table (self->dialect);

  if (self->claims != NULL && table->token_type != NULL && !choir_claims_is_guest (self->claims) &&
      g_strcmp0 (choir_claims_get_token_type (self->claims), table->token_type) != 0)
    {
      refuse_token (self, CHOIR_ERROR_AUTH, "Invalid token");
      return;
    }

  if (self->claims != NULL && self->default_channel != NULL &&
      !choir_namespace_allows (choir_hub_get_namespace (gateway->hub, self->default_channel),
                               self->claims, NULL, self->default_channel, CHOIR_PERMISSION_READ))
    {
      refuse_token (self, CHOIR_ERROR_PERMISSION_DENIED, "Unauthorized");
      return;
    }

  if (self->is_stream)
    choir_upgrade_settle_stream (self, gateway);
  if (check_capacity (self, gateway))
    self->status = 101;
}

static void
welcome_guest (ChoirUpgrade *self, ChoirGateway *gateway)
{
  g_autofree char *id = g_strdup_printf ("guest-%08x%08x", choir_id_random (), choir_id_random ());

  self->claims = choir_claims_new_guest (id);
  conclude (self, gateway);
}

static void
decide_without_token (ChoirUpgrade *self, ChoirGateway *gateway)
{
  /* a stream has no first message that could bring one */
  if (self->is_stream && gateway->require_auth)
    {
      refuse_token (self, CHOIR_ERROR_TOKEN_MISSING, "Missing authentication");
      return;
    }

  switch (choir_dialect_get_table (self->dialect)->auth_style)
    {
    case CHOIR_AUTH_BY_MESSAGE:
    case CHOIR_AUTH_BEFORE_OR_BY_MESSAGE:
      if (!gateway->require_auth)
        welcome_guest (self, gateway);
      else
        conclude (self, gateway);
      break;

    case CHOIR_REFUSE_BEFORE_UPGRADE:
    case CHOIR_REFUSE_BY_CLOSE:
    default:
      if (!gateway->require_auth)
        welcome_guest (self, gateway);
      else
        refuse_token (self, CHOIR_ERROR_TOKEN_MISSING, "Missing authentication");
    }
}

static gboolean
needs_directory (ChoirUpgrade *self, ChoirGateway *gateway)
{
  return choir_hub_get_directory (gateway->hub) != NULL && self->claims != NULL &&
         !choir_claims_is_guest (self->claims);
}

/**
 * choir_upgrade_decide:
 * @self: a new upgrade
 * @gateway: the gateway
 *
 * Decides if that can be done at once.
 *
 * Returns: %FALSE if choir_upgrade_decide_async() has to be used
 */
gboolean
choir_upgrade_decide (ChoirUpgrade *self, ChoirGateway *gateway)
{
  g_autoptr (GError) error = NULL;

  if (self->status != 0)
    return TRUE;

  if (!gateway->ready || choir_hub_is_draining (gateway->hub))
    {
      choir_upgrade_refuse (self, 503, CHOIR_ERROR_UNAVAILABLE, "The server is not ready");
      self->retry_after_s = RETRY_AFTER_S;
      return TRUE;
    }

  if (self->token == NULL || *self->token == '\0')
    {
      decide_without_token (self, gateway);
      return TRUE;
    }

  switch (
    choir_verifier_try (choir_hub_get_verifier (gateway->hub), self->token, &self->claims, &error))
    {
    case CHOIR_VERIFY_OK:
      if (needs_directory (self, gateway))
        return FALSE;
      conclude (self, gateway);
      return TRUE;

    case CHOIR_VERIFY_LATER:
      return FALSE;

    case CHOIR_VERIFY_FAILED:
    default:
      refuse_error (self, error);
      return TRUE;
    }
}

/* The upgrade must outlive its task: it is the task's data's to keep */
typedef struct
{
  ChoirUpgrade *upgrade;
  ChoirGateway *gateway;
} Decision;

static void
checked_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  Decision *decision = g_task_get_task_data (task);
  g_autoptr (GError) error = NULL;

  if (choir_directory_check_finish (CHOIR_DIRECTORY (source), result, &error) &&
      choir_verifier_check (choir_hub_get_verifier (decision->gateway->hub),
                            decision->upgrade->claims, &error))
    conclude (decision->upgrade, decision->gateway);
  else
    refuse_error (decision->upgrade, error);

  g_task_return_boolean (task, TRUE);
}

static void
check_user (GTask *task)
{
  Decision *decision = g_task_get_task_data (task);
  ChoirUpgrade *upgrade = decision->upgrade;

  if (!needs_directory (upgrade, decision->gateway))
    {
      conclude (upgrade, decision->gateway);
      g_task_return_boolean (task, TRUE);
      g_object_unref (task);
      return;
    }

  choir_directory_check_async (choir_hub_get_directory (decision->gateway->hub),
                               choir_claims_get_user_id (upgrade->claims),
                               g_task_get_cancellable (task), checked_cb, task);
}

static void
verified_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (GTask) task = user_data;
  Decision *decision = g_task_get_task_data (task);
  g_autoptr (GError) error = NULL;

  decision->upgrade->claims =
    choir_verifier_verify_finish (CHOIR_VERIFIER (source), result, &error);
  if (decision->upgrade->claims != NULL)
    {
      check_user (g_steal_pointer (&task));
      return;
    }

  refuse_error (decision->upgrade, error);
  g_task_return_boolean (task, TRUE);
}

/**
 * choir_upgrade_decide_async:
 * @self: an upgrade for which choir_upgrade_decide() returned %FALSE; must live until @callback
 * @gateway: the gateway
 * @cancellable: (nullable): to stop waiting
 * @callback: called when `status` is set
 * @user_data: for @callback
 */
void
choir_upgrade_decide_async (ChoirUpgrade *self,
                            ChoirGateway *gateway,
                            GCancellable *cancellable,
                            GAsyncReadyCallback callback,
                            gpointer user_data)
{
  GTask *task = g_task_new (NULL, cancellable, callback, user_data);
  Decision *decision = g_new (Decision, 1);

  *decision = (Decision){ self, gateway };
  g_task_set_source_tag (task, choir_upgrade_decide_async);
  g_task_set_task_data (task, decision, g_free);

  if (self->claims != NULL)
    check_user (task);
  else
    choir_verifier_verify_async (choir_hub_get_verifier (gateway->hub), self->token, cancellable,
                                 verified_cb, task);
}

/**
 * choir_upgrade_decide_finish:
 * @self: the upgrade
 * @result: what the callback was given
 * @error: return location: only a cancellation
 *
 * Returns: whether `status` is set
 */
gboolean
choir_upgrade_decide_finish (ChoirUpgrade *self, GAsyncResult *result, GError **error)
{
  g_return_val_if_fail (g_task_is_valid (result, NULL), FALSE);

  return g_task_propagate_boolean (G_TASK (result), error);
}
