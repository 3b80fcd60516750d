/* choir-blocklist.h: users and tokens that are refused although nothing is wrong with the token
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <gio/gio.h>

#include "choir-claims.h"
#include "choir-stats.h"
#include "choir-store.h"

G_BEGIN_DECLS

/* Of each kind */
#define CHOIR_BANS_MAX 100000
/* Bytes of a token's identifier, and of what is noted about a block */
#define CHOIR_JTI_MAX 255
#define CHOIR_BAN_REASON_MAX 500

/* Whom or what a ban is about */
typedef enum
{
  CHOIR_BAN_USER,
  CHOIR_BAN_TOKEN,
  CHOIR_N_BANS
} ChoirBanKind;

typedef struct
{
  const char *name;   /* the user, or the token's claim `jti` */
  const char *reason; /* for administrators; "" for none */
  gint64 since_us;    /* wall */
  gint64 until_us;    /* wall; 0: for good, or for a token as long as `auth.keep-revoked` says */
  guint32 uid;        /* of the system, who did it */
} ChoirBan;

/**
 * ChoirBlocklist:
 *
 * Blocked users and revoked tokens: in memory, since every door asks for every token, and in a
 * stream of the store, so that they outlive the service. What changes is stored first; then it
 * counts, and then it is answered. A ban whose time is over counts no longer, and is forgotten.
 *
 * Signals: `banned (kind: uint, name: string, until_us: int64, reason: string)` and
 * `lifted (kind: uint, name: string)`, the latter also when the time is over, within half a minute.
 */
#define CHOIR_TYPE_BLOCKLIST (choir_blocklist_get_type ())
G_DECLARE_FINAL_TYPE (ChoirBlocklist, choir_blocklist, CHOIR, BLOCKLIST, GObject)

/* A ban counts from now on. Returns: how many connections were closed for it */
typedef guint (*ChoirBlocklistEnforce) (ChoirBanKind kind, const char *name, gpointer user_data);
typedef void (*ChoirBanVisitor) (const ChoirBan *ban, gpointer user_data);

ChoirBlocklist *choir_blocklist_new (ChoirStats *stats);
void choir_blocklist_configure (ChoirBlocklist *self, gint64 keep_revoked_us);
void
choir_blocklist_set_enforce (ChoirBlocklist *self, ChoirBlocklistEnforce func, gpointer user_data);
void choir_blocklist_sweep (ChoirBlocklist *self);

/* Asking: CHOIR_ERROR_BLOCKED, or CHOIR_ERROR_AUTH for a token that is revoked */
gboolean choir_blocklist_check (ChoirBlocklist *self, const ChoirClaims *claims, GError **error);
const ChoirBan *
choir_blocklist_find (ChoirBlocklist *self, ChoirBanKind kind, const char *name); /* (nullable) */
guint choir_blocklist_get_n (ChoirBlocklist *self, ChoirBanKind kind);
void choir_blocklist_visit (ChoirBlocklist *self,
                            ChoirBanKind kind,
                            ChoirBanVisitor visit,
                            gpointer user_data);

/* Changing. Errors: CHOIR_ERROR_VALIDATION, CHOIR_ERROR_OVERRUN with CHOIR_BANS_MAX,
 * CHOIR_ERROR_UNAVAILABLE if it can't be stored, CHOIR_ERROR_NOT_FOUND where there is nothing to
 * lift. Where there is an error nothing has changed */
void choir_blocklist_ban_async (ChoirBlocklist *self,
                                ChoirBanKind kind,
                                const ChoirBan *ban,
                                GCancellable *cancellable,
                                GAsyncReadyCallback callback,
                                gpointer user_data);
gboolean choir_blocklist_ban_finish (ChoirBlocklist *self,
                                     GAsyncResult *result,
                                     guint *n_closed,
                                     GError **error);
void choir_blocklist_lift_async (ChoirBlocklist *self,
                                 ChoirBanKind kind,
                                 const char *name,
                                 GCancellable *cancellable,
                                 GAsyncReadyCallback callback,
                                 gpointer user_data);
gboolean choir_blocklist_lift_finish (ChoirBlocklist *self, GAsyncResult *result, GError **error);

/* Before the service listens. Until it has been read nothing can be changed */
void choir_blocklist_load_async (ChoirBlocklist *self,
                                 ChoirStore *store,
                                 GCancellable *cancellable,
                                 GAsyncReadyCallback callback,
                                 gpointer user_data);
gboolean choir_blocklist_load_finish (ChoirBlocklist *self, GAsyncResult *result, GError **error);

G_END_DECLS
