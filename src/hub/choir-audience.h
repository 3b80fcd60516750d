/* choir-audience.h: who is meant by a message that goes to no channel
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-hub.h"
#include "choir-session.h"

G_BEGIN_DECLS

/* More than this are not named one by one */
#define CHOIR_AUDIENCE_NAMES_MAX 1000

typedef enum
{
  CHOIR_AUDIENCE_USER = 1 << 0,
  CHOIR_AUDIENCE_ADDRESS = 1 << 1,
  CHOIR_AUDIENCE_CHANNEL = 1 << 2,
  CHOIR_AUDIENCE_DIALECT = 1 << 3,
  CHOIR_AUDIENCE_SLOW = 1 << 4,
  CHOIR_AUDIENCE_EXCLUDE = 1 << 5,
  CHOIR_AUDIENCE_CONNECTION = 1 << 6,
  CHOIR_AUDIENCE_USERS = 1 << 7,
  CHOIR_AUDIENCE_EXCLUDE_USERS = 1 << 8,
} ChoirAudienceKeys;

/**
 * ChoirAudience:
 *
 * Picks connections: those that match every key there is, and all without any. It is held against a
 * #ChoirAudienceSubject, not a session, so that the rules can be tested alone.
 */
typedef struct
{
  ChoirAudienceKeys keys; /* which of the following count */
  char *connection;       /* (owned) (nullable): its identifier */
  char *user;             /* (owned) (nullable) */
  char *address;          /* (owned) (nullable) */
  char *channel;          /* (owned) (nullable): it is subscribed to */
  ChoirDialectId dialect;
  gboolean slow;
  GHashTable *users;         /* (owned) (element-type utf8): a set; any of them */
  GHashTable *exclude;       /* (owned) (element-type utf8): set of connection identifiers */
  GHashTable *exclude_users; /* (owned) (element-type utf8): a set */
} ChoirAudience;

/* One connection. @address is only looked at if the audience has CHOIR_AUDIENCE_ADDRESS */
typedef struct
{
  const char *connection;
  const char *user;    /* (nullable) */
  const char *address; /* (nullable) */
  ChoirDialectId dialect;
  gboolean slow;
  gboolean (*has_channel) (gconstpointer data, const char *channel);
  gconstpointer data; /* of @has_channel */
} ChoirAudienceSubject;

void choir_audience_clear (ChoirAudience *self);
gboolean choir_audience_matches (const ChoirAudience *self, const ChoirAudienceSubject *subject);
gboolean choir_audience_picks (const ChoirAudience *self, ChoirSession *session);
gboolean choir_audience_is_slow (ChoirSession *session);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (ChoirAudience, choir_audience_clear)

/* choir-hub-broadcast.c */
gboolean choir_hub_check_message (ChoirHub *self,
                                  const char *type,
                                  ChoirSlice payload,
                                  gsize max_payload,
                                  GError **error);
guint choir_hub_broadcast (ChoirHub *self,
                           const char *type,
                           ChoirSlice payload,
                           const ChoirAudience *audience);

G_END_DECLS
