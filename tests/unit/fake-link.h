/* fake-link.h: a hub without sockets: links that keep what they are sent, and a hub to put them on
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-hub.h"
#include "choir-session.h"

G_BEGIN_DECLS

/* Where the frozen clock starts */
#define FAKE_NOW_S G_GINT64_CONSTANT (1700000000)

/**
 * FakeHub:
 *
 * A hub with a configuration file, an HMAC key and a frozen clock of its own.
 */
typedef struct
{
  char *directory;             /* (owned) */
  char *file;                  /* (owned): the configuration */
  ChoirConfig *config;         /* (owned) */
  ChoirVerifier *verifier;     /* (owned) */
  ChoirDirectoryMemory *users; /* (owned) (nullable) */
  ChoirTimerWheel *wheel;      /* (owned) */
  ChoirCounters *counters;     /* (owned) */
  ChoirStore *store;           /* (owned): memory */
  ChoirHub *hub;               /* (owned) */
  gboolean is_shared;          /* the store is somebody else's as well */
} FakeHub;

FakeHub *fake_hub_new (const char *settings);
FakeHub *fake_hub_new_with_users (const char *settings);
FakeHub *fake_hub_new_with_store (const char *settings, ChoirStore *store);
FakeHub *fake_hub_new_without_store (const char *settings);
void fake_hub_free (FakeHub *self);
gboolean fake_hub_reload (FakeHub *self, const char *settings, GError **error);
void fake_hub_advance (FakeHub *self, gint64 us);
void fake_hub_iterate (void);
char *fake_hub_mint (FakeHub *self, const char *user_id, const char *more_claims);
gint64 fake_hub_count (FakeHub *self, const char *name, const char *label);
ChoirDocument *fake_hub_find_document (FakeHub *self, const char *id);
guint fake_hub_count_open (FakeHub *self);
/* For good; returns how many connections were closed */
guint fake_hub_ban (FakeHub *self, ChoirBanKind kind, const char *name);
guint fake_hub_publish (FakeHub *self, const char *channel, const char *type, const char *payload);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (FakeHub, fake_hub_free)

#define FAKE_TYPE_LINK (fake_link_get_type ())
G_DECLARE_FINAL_TYPE (FakeLink, fake_link, FAKE, LINK, GObject)

/* @claims: members of a token's payload behind `sub`, as `"exp":1700000600`; @user_id NULL: not
 * authenticated */
FakeLink *fake_link_open (FakeHub *hub,
                          ChoirDialectId dialect,
                          const char *user_id,
                          const char *claims,
                          const char *default_channel);
FakeLink *fake_link_open_guest (FakeHub *hub, ChoirDialectId dialect, const char *id);
FakeLink *fake_link_join (FakeHub *hub, const char *user_id);
FakeLink *fake_link_edit (FakeHub *hub, ChoirDialectId dialect, const char *user_id);
/* One who says what it had before; both nullable, as its claims */
FakeLink *fake_link_return (FakeHub *hub,
                            ChoirDialectId dialect,
                            const char *user_id,
                            const char *claims,
                            const char *session_id,
                            const char *client_id);
void fake_link_open_document (FakeLink *self, const char *id);
void fake_link_end (FakeLink *self, guint code);
ChoirSession *fake_link_get_session (FakeLink *self);
guint fake_link_get_close_code (FakeLink *self);
const char *fake_link_get_close_reason (FakeLink *self);
guint fake_link_get_n_overflows (FakeLink *self);
/* Messages that were taken out of a block, and blocks: none if there is none */
guint fake_link_get_n_frames (FakeLink *self);
ChoirOutbox *fake_link_get_outbox (FakeLink *self);

void fake_link_say (FakeLink *self, const char *format, ...) G_GNUC_PRINTF (2, 3);
void fake_link_ask (FakeLink *self, const char *type, const char *payload);
void fake_link_refuse (FakeLink *self, const char *type, const char *payload, const char *code);
void fake_link_change (FakeLink *self, const char *operation);
void fake_link_write (FakeLink *self, const char *operation);
char *fake_link_take (FakeLink *self);
void fake_link_forget (FakeLink *self);
char *fake_link_read (const char *json, const char *path);
/* Pairs of a path like "payload.channels.0.offset" and what is there: a string's contents, or other
 * JSON as it is written; "-" for nothing */
void fake_link_expect (FakeLink *self, const char *type, ...) G_GNUC_NULL_TERMINATED;
void fake_link_expect_nothing (FakeLink *self);
void fake_link_expect_error (FakeLink *self, const char *code);

G_END_DECLS
