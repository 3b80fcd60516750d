/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-http-api.h"
#include "choir-http-private.h"

#include "choir-clock.h"
#include "choir-error.h"
#include "choir-observer.h"

#include <string.h>

/*
 * From a request's head to its admission: who is it, may it, and is there room. Tokens come in the
 * header: an address is written into logs and histories. A route whose clients have theirs in an
 * address anyway has a parameter for it.
 */

/* (transfer full) (nullable): RFC 6750 2.1 */
static char *
dup_token (const ChoirHttpRequest *self)
{
  const char *authorization = choir_http_request_get_header (self, "Authorization");

  if (authorization == NULL || g_ascii_strncasecmp (authorization, "Bearer ", 7) != 0)
    return g_strdup (choir_http_request_get_parameter (self, "token"));

  return g_strstrip (g_strdup (authorization + 7));
}

/* Of guests all that tells one from another is where they are; those whose address nobody names,
 * behind a unix socket, are one */
static void
format_guest (const ChoirHttpRequest *self, char out[CHOIR_ADDRESS_TEXT_SIZE])
{
  const ChoirHttpPeer *peer =
    choir_http_find_peer (choir_http_api_get_server (self->api), self->message);
  g_autofree char *x_forwarded_for =
    g_strdup (choir_http_request_get_header (self, "X-Forwarded-For"));
  g_autofree char *forwarded = g_strdup (choir_http_request_get_header (self, "Forwarded"));
  ChoirAddress client;

  *out = '\0';
  if (peer == NULL ||
      !choir_forwarded_resolve (self->gateway->forwarded, peer->has_peer ? &peer->peer : NULL,
                                x_forwarded_for, forwarded, &client))
    return;

  client = choir_address_get_subject (&client);
  choir_address_format (&client, out);
}

static gint64
take_rate (ChoirHttpRequest *self)
{
  gint64 now_us = choir_clock_monotonic_us ();
  char guest[CHOIR_ADDRESS_TEXT_SIZE];

  if (!choir_claims_is_guest (self->claims))
    return choir_rate_limiter_take (self->gateway->api_rate,
                                    choir_claims_get_user_id (self->claims), now_us);

  format_guest (self, guest);

  return choir_rate_limiter_take (self->gateway->guest_rate, guest, now_us);
}

static gboolean
check_rate (ChoirHttpRequest *self)
{
  gint64 wait_us = take_rate (self);

  if (wait_us == 0)
    return TRUE;

  choir_http_request_refuse_rate (self, wait_us, "Too many requests");

  return FALSE;
}

/**
 * choir_http_request_is_back_end:
 * @self: a request that has been admitted
 *
 * Returns: whether it may do everything
 */
gboolean
choir_http_request_is_back_end (const ChoirHttpRequest *self)
{
  const ChoirSettings *settings = choir_hub_get_settings (self->gateway->hub);

  return choir_claims_has_role (self->claims, settings->service_role) ||
         choir_claims_has_role (self->claims, "admin");
}

/* Others may do what they may on a connection too */
static gboolean
check_permission (ChoirHttpRequest *self)
{
  ChoirHub *hub = self->gateway->hub;
  const ChoirHttpRoute *route = self->route;
  ChoirPermission wanted =
    route->access == CHOIR_HTTP_MAY_READ ? CHOIR_PERMISSION_READ : CHOIR_PERMISSION_WRITE;

  if (choir_http_request_is_back_end (self))
    return TRUE;

  if (route->access == CHOIR_HTTP_MAY_ASK || route->access == CHOIR_HTTP_MAY_SPEAK ||
      (route->access == CHOIR_HTTP_MAY_WORK &&
       choir_claims_has_role (self->claims, self->gateway->worker_role)))
    return TRUE;

  if (self->channel != NULL && route->access != CHOIR_HTTP_MAY_SERVE &&
      choir_namespace_allows (choir_hub_get_namespace (hub, self->channel), self->claims, NULL,
                              self->channel, wanted))
    return TRUE;

  choir_http_request_refuse (self, 403, CHOIR_ERROR_PERMISSION_DENIED,
                             "The token does not allow this");

  return FALSE;
}

static gboolean
check_accept (ChoirHttpRequest *self)
{
  self->wanted =
    choir_http_choose_media (choir_http_request_get_header (self, "Accept"), self->route->gives);
  if (self->wanted != CHOIR_HTTP_NO_MEDIA)
    return TRUE;

  choir_http_request_refuse (
    self, 406, CHOIR_ERROR_VALIDATION, "There is only %s here",
    self->route->gives & CHOIR_HTTP_TEXT ? "application/json and text/plain" : "application/json");

  return FALSE;
}

static gboolean
refuse_media (ChoirHttpRequest *self)
{
  const char *taken =
    self->route->takes & CHOIR_HTTP_TEXT ? "application/json, text/plain" : "application/json";

  /* RFC 9110 15.5.16 */
  choir_http_request_set_header (self, "Accept", taken);
  choir_http_request_refuse (self, 415, CHOIR_ERROR_VALIDATION,
                             "The body must be one of %s, in UTF-8 and not compressed", taken);

  return FALSE;
}

static gboolean
check_body (ChoirHttpRequest *self)
{
  SoupMessageHeaders *headers = soup_server_message_get_request_headers (self->message);
  goffset len = soup_message_headers_get_content_length (headers);
  gboolean chunked = soup_message_headers_get_encoding (headers) == SOUP_ENCODING_CHUNKED;
  const char *coding = soup_message_headers_get_list (headers, "Content-Encoding");
  gsize max;

  if (self->route->takes == CHOIR_HTTP_NO_MEDIA)
    return TRUE;

  self->media = choir_http_parse_media (choir_http_request_get_header (self, "Content-Type")) &
                self->route->takes;
  if ((self->media == CHOIR_HTTP_NO_MEDIA && (self->route->needs_body || chunked || len > 0)) ||
      (coding != NULL && g_ascii_strcasecmp (coding, "identity") != 0))
    return refuse_media (self);

  max = self->route->get_max_body (self);
  if (len <= 0 || (guint64) len <= max)
    return TRUE;

  choir_http_request_refuse (self, 413, CHOIR_ERROR_TOO_LARGE,
                             "The body is larger than %" G_GSIZE_FORMAT " bytes", max);

  return FALSE;
}

static void
admit (ChoirHttpRequest *self)
{
  if (!check_rate (self) || !check_permission (self))
    return;

  self->flags |= CHOIR_HTTP_REQUEST_ALLOWED;
  if (!check_accept (self) || !check_body (self))
    return;

  if (choir_http_api_enter (self->api, self))
    {
      choir_http_request_resume (self);
      return;
    }

  choir_hub_report_overload (self->gateway->hub, "api", "user",
                             choir_claims_get_user_id (self->claims));
  choir_http_request_refuse (self, 503, CHOIR_ERROR_UNAVAILABLE,
                             "Too many requests are being handled");
}

/* In words that do not say which check it was */
static void
refuse_token (ChoirHttpRequest *self, const GError *error)
{
  if (g_error_matches (error, CHOIR_ERROR, CHOIR_ERROR_UNAVAILABLE))
    choir_http_request_refuse (self, 503, CHOIR_ERROR_UNAVAILABLE,
                               "Tokens can't be checked at the moment");
  else if (g_error_matches (error, CHOIR_ERROR, CHOIR_ERROR_TOKEN_EXPIRED))
    choir_http_request_refuse (self, 401, CHOIR_ERROR_TOKEN_EXPIRED, "Token expired");
  else if (g_error_matches (error, CHOIR_ERROR, CHOIR_ERROR_BLOCKED))
    choir_http_request_refuse (self, 403, CHOIR_ERROR_BLOCKED, "%s", error->message);
  else
    choir_http_request_refuse (self, 401, CHOIR_ERROR_AUTH, "Invalid token");
}

static void
checked_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (ChoirHttpRequest) self = user_data;
  g_autoptr (GError) error = NULL;
  gboolean known =
    choir_directory_check_finish (CHOIR_DIRECTORY (source), result, &error) &&
    choir_verifier_check (choir_hub_get_verifier (self->gateway->hub), self->claims, &error);

  if (choir_http_request_is_gone (self))
    return;

  if (known)
    admit (self);
  else
    refuse_token (self, error);
}

static void
check_user (ChoirHttpRequest *self)
{
  ChoirDirectory *directory = choir_hub_get_directory (self->gateway->hub);

  if (directory == NULL)
    {
      admit (self);
      return;
    }

  choir_http_request_pause (self);
  choir_directory_check_async (directory, choir_claims_get_user_id (self->claims),
                               self->cancellable, checked_cb, choir_http_request_ref (self));
}

static void
verified_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (ChoirHttpRequest) self = user_data;
  g_autoptr (GError) error = NULL;
  ChoirClaims *claims = choir_verifier_verify_finish (CHOIR_VERIFIER (source), result, &error);

  g_clear_pointer (&self->claims, choir_claims_unref);
  self->claims = claims;
  if (choir_http_request_is_gone (self))
    return;

  if (claims != NULL)
    check_user (self);
  else
    refuse_token (self, error);
}

/**
 * choir_http_request_is_welcome:
 * @self: a request that was admitted a while ago, and is not answered
 *
 * Returns: %FALSE if its user has been blocked, or its token revoked, since then: it has been
 * refused
 */
gboolean
choir_http_request_is_welcome (ChoirHttpRequest *self)
{
  ChoirVerifier *verifier = choir_hub_get_verifier (self->gateway->hub);
  g_autoptr (GError) error = NULL;

  if (choir_verifier_check (verifier, self->claims, &error))
    return TRUE;

  refuse_token (self, error);

  return FALSE;
}

/**
 * choir_http_request_authenticate:
 * @self: a request that has its route
 *
 * Goes on with it if all is well, else answers it; may pause it meanwhile.
 */
void
choir_http_request_authenticate (ChoirHttpRequest *self)
{
  ChoirVerifier *verifier = choir_hub_get_verifier (self->gateway->hub);
  g_autofree char *token = dup_token (self);
  g_autoptr (GError) error = NULL;

  if (!self->gateway->ready || choir_hub_is_draining (self->gateway->hub))
    {
      choir_http_request_refuse (self, 503, CHOIR_ERROR_UNAVAILABLE, "The server is not ready");
      return;
    }

  if ((token == NULL || *token == '\0') && self->route->access == CHOIR_HTTP_MAY_SPEAK &&
      !self->gateway->require_auth)
    {
      self->claims = choir_claims_new_guest ("guest");
      admit (self);
      return;
    }

  if (token == NULL || *token == '\0')
    {
      choir_http_request_refuse (self, 401, CHOIR_ERROR_TOKEN_MISSING,
                                 "Authorization: Bearer and a token are needed");
      return;
    }

  switch (choir_verifier_try (verifier, token, &self->claims, &error))
    {
    case CHOIR_VERIFY_OK:
      check_user (self);
      break;

    case CHOIR_VERIFY_LATER:
      choir_http_request_pause (self);
      choir_verifier_verify_async (verifier, token, self->cancellable, verified_cb,
                                   choir_http_request_ref (self));
      break;

    case CHOIR_VERIFY_FAILED:
    default:
      refuse_token (self, error);
    }
}
