/* choir-session.h: one client's conversation with the hub
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <gio/gio.h>

#include "choir-channel.h"
#include "choir-claims.h"
#include "choir-hub.h"
#include "choir-link.h"

G_BEGIN_DECLS

/**
 * ChoirSession:
 *
 * Stands between a link, which brings text and takes frames, and the channels. It knows who its
 * client is, what it may, how fast it may go and what it has subscribed to.
 *
 * It outlives its link, if that is lost rather than closed: then it waits for its client to come
 * back (choir_session_is_waiting()) with another. All that it is to others stays: it is the same
 * object, subscribed, a member of documents, known to its user, and what is sent to it is kept.
 * Only what needs a client at the other end has to look: a worker's tasks are given back when its
 * connection is lost.
 */
#define CHOIR_TYPE_SESSION (choir_session_get_type ())
G_DECLARE_FINAL_TYPE (ChoirSession, choir_session, CHOIR, SESSION, GObject)

typedef struct
{
  const ChoirDialect *dialect;
  ChoirClaims *claims;         /* (nullable) (transfer none): authenticated already */
  const char *default_channel; /* (nullable): what the end point subscribes to */
  const char *client_id;       /* (nullable): the client's own name for itself */
  const char *resume_id;       /* (nullable): the session it says it had */
} ChoirSessionParams;

/* A client that comes back */
typedef struct
{
  const ChoirDialect *dialect;
  const char *user_id;    /* proven by a token */
  const char *session_id; /* (nullable): what it says its session was */
  gboolean names_session; /* it says so whatever its contract has: choir_link_names_session() */
  const char *client_id;  /* (nullable) */
  const char *default_channel; /* (nullable) */
} ChoirReturning;

ChoirSession *choir_session_new (ChoirHub *hub, ChoirLink *link, const ChoirSessionParams *params);
void choir_session_start (ChoirSession *self);
void choir_session_receive (ChoirSession *self, const char *text, gsize len);
void choir_session_receive_binary (ChoirSession *self, const guint8 *data, gsize len);
void choir_session_end (ChoirSession *self, guint close_code);

guint choir_session_get_hub_index (ChoirSession *self);

gboolean choir_session_is_closing (ChoirSession *self);
gboolean choir_session_is_waiting (ChoirSession *self);
ChoirSession *choir_session_find_lost (ChoirHub *hub, const ChoirReturning *who);
ChoirHub *choir_session_get_hub (ChoirSession *self);
ChoirLink *choir_session_get_link (ChoirSession *self); /* (nullable): while it waits */
ChoirOutbox *choir_session_get_outbox (ChoirSession *self);
const ChoirDialect *choir_session_get_dialect (ChoirSession *self);
ChoirClaims *choir_session_get_claims (ChoirSession *self);
const char *choir_session_get_user_id (ChoirSession *self);
const char *choir_session_get_id (ChoirSession *self);
const char *choir_session_get_connection_id (ChoirSession *self); /* (nullable): while it waits */
const char *choir_session_get_client_id (ChoirSession *self);
const char *choir_session_get_default_channel (ChoirSession *self);
gint64 choir_session_get_opened_us (ChoirSession *self); /* monotonic: its newest connection */
gint64 choir_session_get_began_us (ChoirSession *self);  /* monotonic: its first */
gint64 choir_session_get_expiry_us (ChoirSession *self); /* wall; G_MAXINT64: never, or not known */
guint64 choir_session_get_n_received (ChoirSession *self);
guint64 choir_session_get_n_errors (ChoirSession *self);

void choir_session_close (ChoirSession *self, guint code, const char *reason);

/* Answers: @request gives the correlation and may be NULL */
void choir_session_send (ChoirSession *self,
                         const ChoirEnvelope *request,
                         const char *type,
                         ChoirSlice payload);
gboolean choir_session_send_message (ChoirSession *self, const ChoirMessage *message);
void choir_session_send_version (ChoirSession *self,
                                 const ChoirEnvelope *request,
                                 const char *type,
                                 ChoirSlice payload,
                                 guint64 version);
void
choir_session_send_error (ChoirSession *self, const ChoirEnvelope *request, const GError *error);
void choir_session_send_error_later (ChoirSession *self,
                                     const ChoirEnvelope *request,
                                     const GError *error,
                                     gint64 retry_after_us);
void choir_session_send_error_details (ChoirSession *self,
                                       const ChoirEnvelope *request,
                                       const GError *error,
                                       const char *details);
void choir_session_refuse (ChoirSession *self,
                           const ChoirEnvelope *request,
                           ChoirError code,
                           const char *format,
                           ...) G_GNUC_PRINTF (4, 5);

void choir_session_refuse_rate (ChoirSession *self, const ChoirEnvelope *request, gint64 wait_us);

gint64 choir_session_take_rate (ChoirSession *self, ChoirRateClass rate_class);
gboolean choir_session_begin_read (ChoirSession *self);
void choir_session_end_read (ChoirSession *self);

/* Authentication */
void
choir_session_authenticate (ChoirSession *self, const char *token, const ChoirEnvelope *request);
gboolean choir_session_may (ChoirSession *self, const char *channel, ChoirPermission wanted);

/* Subscriptions */
gboolean choir_session_may_subscribe (ChoirSession *self, const char *channel, GError **error);
gboolean choir_session_subscribe (ChoirSession *self,
                                  const char *channel,
                                  ChoirChannel **out,
                                  GError **error);
gboolean choir_session_subscribe_granted (ChoirSession *self,
                                          const char *channel,
                                          ChoirChannel **out,
                                          GError **error);
gboolean choir_session_unsubscribe (ChoirSession *self, const char *channel);
guint choir_session_get_n_subscriptions (ChoirSession *self);
const ChoirSubscription *choir_session_get_subscription (ChoirSession *self, guint i);

G_END_DECLS
