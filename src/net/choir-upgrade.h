/* choir-upgrade.h: whether a WebSocket or an event stream may be opened, and as what
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <gio/gio.h>

#include "choir-address.h"
#include "choir-claims.h"
#include "choir-deflate.h"
#include "choir-dialect.h"
#include "choir-error.h"
#include "choir-event-positions.h"
#include "choir-gateway.h"

G_BEGIN_DECLS

/* The request as either front end has read it; strings are borrowed for the call */
typedef struct
{
  const char *path;            /* raw, without the query */
  const char *query;           /* (nullable) raw */
  const char *origin;          /* (nullable) */
  const char *protocols;       /* (nullable) all lines, joined by commas */
  const char *extensions;      /* (nullable) likewise */
  const char *authorization;   /* (nullable) */
  const char *x_forwarded_for; /* (nullable) */
  const char *forwarded;       /* (nullable) */
  const char *last_event_id;   /* (nullable) */
  const ChoirAddress *peer;    /* (nullable): a unix socket */
} ChoirUpgradeRequest;

/**
 * ChoirUpgrade:
 *
 * The one decision about a handshake, made the same way for both front ends (the fast one that
 * reads heads itself and libsoup). `status` says what to do: 101, or refuse with that status.
 * A contract whose clients read close codes gets a 101 and `close_code` (contracts.md A, C).
 */
struct _ChoirUpgrade
{
  guint status;
  ChoirError problem;          /* why not, if status is not 101 */
  char *detail;                /* (owned) (nullable): the same in words */
  guint retry_after_s;         /* 0: none */
  guint close_code;            /* 0, or open and close with this */
  const ChoirDialect *dialect; /* NULL for the echo end point */
  const char *subprotocol;     /* (nullable) static */
  char *extensions;            /* (owned) (nullable): Sec-WebSocket-Extensions of the answer */
  ChoirDeflateParams deflate;
  ChoirClaims *claims;            /* (owned) (nullable): not authenticated yet */
  char *default_channel;          /* (owned) (nullable) */
  char *client_id;                /* (owned) (nullable) */
  char *resume_id;                /* (owned) (nullable): the session the client says it had */
  char *token;                    /* (owned) (nullable): still to be verified */
  guint64 seen;                   /* of a stream: the number of the last event, if is_returning */
  ChoirEventPositions *positions; /* (owned) (nullable): of a stream whose address names channels */
  ChoirAddress address;           /* the client's, if has_address */
  gboolean has_address;
  gboolean counted;  /* the admission has counted it for @address */
  const char *limit; /* (nullable): which one it was refused for, as administrators are told */
  gboolean batching;
  gboolean is_returning;      /* to a stream: it says which event was its last */
  gboolean is_stream;         /* server-sent events; 101 stands for the answer that opens them */
  gboolean is_websocket_path; /* FALSE: no WebSocket is served at this path */
};

ChoirUpgrade *choir_upgrade_new (ChoirGateway *gateway, const ChoirUpgradeRequest *request);
void choir_upgrade_free (ChoirUpgrade *self);
/* TRUE: decided. FALSE: the token or the user has to be looked at elsewhere first */
gboolean choir_upgrade_decide (ChoirUpgrade *self, ChoirGateway *gateway);
void choir_upgrade_decide_async (ChoirUpgrade *self,
                                 ChoirGateway *gateway,
                                 GCancellable *cancellable,
                                 GAsyncReadyCallback callback,
                                 gpointer user_data);
gboolean choir_upgrade_decide_finish (ChoirUpgrade *self, GAsyncResult *result, GError **error);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirUpgrade, choir_upgrade_free)

G_END_DECLS
