/* choir-hub.h: the domain: sessions, users, channels
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <gio/gio.h>

#include "choir-blocklist.h"
#include "choir-broadcaster.h"
#include "choir-channel.h"
#include "choir-config.h"
#include "choir-directory.h"
#include "choir-document.h"
#include "choir-link.h"
#include "choir-router.h"
#include "choir-settings.h"
#include "choir-stats.h"
#include "choir-task-table.h"
#include "choir-timer-wheel.h"
#include "choir-turn.h"
#include "choir-user.h"
#include "choir-verifier.h"
#include "choir-waiting-room.h"

G_BEGIN_DECLS

/**
 * ChoirHub:
 *
 * Owns all state of the service and runs in the main context only. It knows no socket, no bus and
 * no HTTP: those reach it through sessions and the functions below.
 */
#define CHOIR_TYPE_HUB (choir_hub_get_type ())
G_DECLARE_FINAL_TYPE (ChoirHub, choir_hub, CHOIR, HUB, GObject)

typedef struct _ChoirChat ChoirChat;

ChoirHub *choir_hub_new (ChoirConfig *config,
                         ChoirVerifier *verifier,
                         ChoirDirectory *directory,
                         ChoirTimerWheel *wheel,
                         ChoirCounters *counters,
                         GError **error);
gboolean choir_hub_configure (ChoirHub *self, GError **error);
void choir_hub_set_store (ChoirHub *self, ChoirStore *store);
void choir_hub_shutdown (ChoirHub *self);

/* What the parts of the hub share */
const ChoirSettings *choir_hub_get_settings (ChoirHub *self);
ChoirStats *choir_hub_get_stats (ChoirHub *self);
ChoirBroadcaster *choir_hub_get_broadcaster (ChoirHub *self);
ChoirRouter *choir_hub_get_router (ChoirHub *self);
ChoirTimerWheel *choir_hub_get_wheel (ChoirHub *self);
ChoirTurn *choir_hub_get_turn (ChoirHub *self);
ChoirVerifier *choir_hub_get_verifier (ChoirHub *self);
ChoirDirectory *choir_hub_get_directory (ChoirHub *self);
ChoirChat *choir_hub_get_chat (ChoirHub *self);
ChoirBlocklist *choir_hub_get_blocklist (ChoirHub *self);
ChoirStore *choir_hub_get_store (ChoirHub *self);             /* (nullable) */
ChoirDocumentTable *choir_hub_get_documents (ChoirHub *self); /* (nullable): without a store */
ChoirTaskTable *choir_hub_get_tasks (ChoirHub *self);
const char *choir_hub_get_node (ChoirHub *self);
ChoirNamespace *choir_hub_get_namespace (ChoirHub *self, const char *channel);

/* Admission */
typedef enum
{
  CHOIR_ADMIT_OK,
  CHOIR_ADMIT_FULL,      /* the service, or this dialect's share of it */
  CHOIR_ADMIT_USER_FULL, /* this user, by policy reject */
  CHOIR_ADMIT_DRAINING,
} ChoirAdmit;

ChoirAdmit choir_hub_admit (ChoirHub *self, ChoirDialectId dialect, const char *user_id);

/* Sessions */
guint choir_hub_get_n_connections (ChoirHub *self);
/* With those that wait for their client to come back, which are no connections */
guint choir_hub_get_n_sessions (ChoirHub *self);
ChoirSession *choir_hub_get_session (ChoirHub *self, guint i);
ChoirSession *choir_hub_find_session (ChoirHub *self, const char *connection_id);
ChoirSession *choir_hub_find_by_id (ChoirHub *self, const char *session_id);
ChoirUser *choir_hub_find_user (ChoirHub *self, const char *user_id);
guint choir_hub_get_n_users (ChoirHub *self);
guint choir_hub_kick_user (ChoirHub *self, const char *user_id, const char *reason);

/* For sessions only */
void choir_hub_add_session (ChoirHub *self, ChoirSession *session);
void choir_hub_remove_session (ChoirHub *self, ChoirSession *session);
void choir_hub_replace_session (ChoirHub *self, ChoirSession *session, ChoirSession *lost);
void choir_hub_lose_connection (ChoirHub *self, ChoirSession *session, guint close_code);
ChoirWaitingBudget *choir_hub_get_waiting (ChoirHub *self);
ChoirUser *choir_hub_ensure_user (ChoirHub *self, const char *user_id);
void choir_hub_join_user (ChoirHub *self, ChoirUser *user, ChoirSession *session);
void choir_hub_leave_user (ChoirHub *self, ChoirUser *user, ChoirSession *session);

/* Channels */
ChoirChannel *choir_hub_find_channel (ChoirHub *self, const char *name);
ChoirChannel *choir_hub_ensure_channel (ChoirHub *self, const char *name, GError **error);
void choir_hub_release_channel (ChoirHub *self, ChoirChannel *channel);
/* Until it is let go it stays in memory, whoever is in it */
void choir_hub_hold_channel (ChoirHub *self, ChoirChannel *channel);
void choir_hub_let_channel_go (ChoirHub *self, ChoirChannel *channel);
guint choir_hub_get_n_channels (ChoirHub *self);

typedef struct
{
  const char *channel;
  const char *type;
  ChoirSlice payload;         /* raw JSON object */
  const char *user_id;        /* (nullable) */
  const char *session_id;     /* (nullable) */
  const ChoirSession *except; /* (nullable): not sent to this one */
  const char *key;       /* (nullable): the same again is acknowledged, not published again; the
                            caller puts into it whose key it is */
  gboolean transient;    /* not kept, takes no offset */
  const char *live_type; /* (nullable): with @live_payload, what those who are there get instead, as
                            far as their dialects have this type; the log keeps @type, @payload */
  ChoirSlice live_payload;
  gpointer (*keep) (gpointer user_data); /* (nullable): called if the answer comes later: gives what
                                            is then said in its place, so that until then it may be
                                            on the stack */
} ChoirPublication;

typedef struct
{
  ChoirChannel *channel; /* (nullable): none was needed for a transient message that nobody hears */
  guint64 offset;
  guint n_recipients;
  gboolean duplicate; /* was published before, with the same key; nobody got it now */
} ChoirPublished;

/* @published: (nullable): %NULL if it failed */
typedef void (*ChoirPublishedFunc) (const ChoirPublished *published,
                                    const GError *error,
                                    gpointer user_data);

gboolean choir_hub_publish (ChoirHub *self,
                            const ChoirPublication *publication,
                            ChoirPublished *out,
                            GError **error);

void choir_hub_publish_async (ChoirHub *self,
                              const ChoirPublication *publication,
                              ChoirPublishedFunc done,
                              gpointer user_data);
guint choir_hub_send_to_channel (ChoirHub *self,
                                 const ChoirChannel *channel,
                                 const ChoirMessage *message,
                                 const ChoirSession *except);
gboolean choir_hub_is_durable (ChoirHub *self, const char *channel);

/* @channel: (nullable): in memory with its epoch, its offset and its newest messages; %NULL if that
 * failed. Without a subscriber it need not outlive the call */
typedef void (*ChoirChannelFunc) (ChoirChannel *channel, const GError *error, gpointer user_data);
void choir_hub_open_channel (ChoirHub *self,
                             const char *name,
                             ChoirChannelFunc opened,
                             gpointer user_data);

/* Leaving */
gboolean choir_hub_is_draining (ChoirHub *self);
void choir_hub_drain_async (ChoirHub *self,
                            GCancellable *cancellable,
                            GAsyncReadyCallback callback,
                            gpointer user_data);
guint choir_hub_get_n_unstored (ChoirHub *self);
gboolean choir_hub_drain_finish (ChoirHub *self, GAsyncResult *result, GError **error);

G_END_DECLS
