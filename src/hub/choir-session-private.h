/* choir-session-private.h: the session's insides, for the files that make it up
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-session.h"
#include "choir-waiting-room.h"

G_BEGIN_DECLS

typedef enum
{
  CHOIR_SESSION_STARTED = 1 << 0,
  CHOIR_SESSION_CLOSING = 1 << 1,   /* told to go; nothing more is handled */
  CHOIR_SESSION_VERIFYING = 1 << 2, /* a token is being checked: messages wait */
  CHOIR_SESSION_WARNED = 1 << 3,    /* auth.expiring has been sent */
  CHOIR_SESSION_ENDED = 1 << 4,
  CHOIR_SESSION_RELEASING = 1 << 5, /* messages that waited are being handled */
  CHOIR_SESSION_LATE = 1 << 6,      /* its token was past its end, but within the leeway */
  CHOIR_SESSION_WAITING = 1 << 7,   /* its link is gone; the client may come back */
} ChoirSessionFlags;

/* A message that has to wait: for the rate limit, or for a token to be verified */
typedef struct
{
  gsize len;
  char text[];
} ChoirHeldMessage;

/* What few sessions ever need */
typedef struct
{
  GQueue held; /* (element-type ChoirHeldMessage) (owned) */
  gsize held_bytes;
  ChoirRateMeter class_meters[CHOIR_RATE_NONE];
  char *default_channel; /* (owned) (nullable) */
  char *client_id;       /* (owned) (nullable) */
  char *resume_id;       /* (owned) (nullable): the session that the handshake asked for */
  /* (owned) (nullable): where the link's outbox was; until the next one has been caught up */
  ChoirWaitingRoom *room;
  ChoirSession *successor; /* (owned) (nullable): has taken over the link; gets what is left of a
                              batch */
  GQueue opening;          /* (element-type ChoirDocumentRequest): documents that are being read */
  GQueue requests;         /* (element-type ChoirSubscribeRequest): messages wait for them */
  gint64 began_us;         /* monotonic: 0 unless it had another connection before this one */
  gint64 content_us;       /* monotonic: when conflict.detected last had a text; 0: never */
  guint8 n_reads;          /* of the past, under way */
} ChoirSessionExtra;

struct _ChoirSession
{
  GObject parent_instance;

  ChoirHub *hub;       /* borrowed: outlives every session */
  ChoirLink *link;     /* (nullable) borrowed: until the session has ended, or waits */
  ChoirOutbox *outbox; /* (nullable) the link's, or the waiting room's */
  const ChoirDialect *dialect;
  ChoirUser *user;                   /* (nullable) the hub's */
  ChoirClaims *claims;               /* (owned) (nullable) */
  ChoirSubscription **subscriptions; /* (owned) */
  ChoirSessionExtra *extra;          /* (owned) (nullable) */
  ChoirRateMeter meter;
  ChoirTimer timer;
  gint64 opened_us;
  gint64 heartbeat_due_us;
  guint64 n_received;
  guint32 n_errors;
  guint32 hub_index;
  guint16 n_subscriptions;
  guint16 subscriptions_capacity;
  guint8 flags;
  char id[CHOIR_ID_SIZE];
};

ChoirSessionExtra *choir_session_ensure_extra (ChoirSession *self);
void choir_session_release_held (ChoirSession *self);
gint64 choir_session_get_held_due (ChoirSession *self, gint64 now_us);
void choir_session_drop_held (ChoirSession *self);
void choir_session_unsubscribe_all (ChoirSession *self);
void choir_session_arm_timer (ChoirSession *self);
gboolean choir_session_accept_claims (ChoirSession *self, ChoirClaims *claims, GError **error);
void choir_session_set_claims (ChoirSession *self, ChoirClaims *claims);
void choir_session_drop_forbidden (ChoirSession *self);
gboolean choir_session_check_place (ChoirSession *self, const char *user_id, GError **error);
void choir_session_make_place (ChoirSession *self);
void choir_session_send_established (ChoirSession *self, gboolean resumed);
void choir_session_open_default_channel (ChoirSession *self);
void choir_session_finish (ChoirSession *self);

/* Waiting for the client to come back, choir-session-wait.c */
void choir_session_set_outbox (ChoirSession *self, ChoirOutbox *outbox);
gboolean choir_session_wait (ChoirSession *self, guint close_code);
gint64 choir_session_get_wait_due (ChoirSession *self, gint64 now_us);
void choir_session_check_wait (ChoirSession *self, gint64 now_us);
void choir_session_end_wait (ChoirSession *self, gint64 *reason);

/* Its coming back, choir-session-resume.c */
ChoirSession *
choir_session_resume (ChoirSession *self, ChoirClaims *claims, const char *session_id);
void choir_session_catch_up (ChoirSession *self);

static inline const ChoirDialectSettings *
choir_session_get_settings (ChoirSession *self)
{
  return &choir_hub_get_settings (self->hub)->dialects[choir_dialect_get_id (self->dialect)];
}

G_END_DECLS
