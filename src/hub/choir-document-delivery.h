/* choir-document-delivery.h: showing everybody what was committed
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-document.h"

G_BEGIN_DECLS

/* One committed change on its way out */
typedef struct
{
  const ChoirRevision *revision;
  ChoirSession *session;     /* (nullable): gets an acknowledgement in its place */
  ChoirSlice correlation_id; /* for that */
} ChoirCommitted;

/**
 * choir_document_deliver:
 *
 * Called by the document when a batch is stored and applied. Every session that has the document
 * open gets the changes in order, in one piece; each change's sender gets the acknowledgement where
 * the others get the change.
 */
void choir_document_deliver (ChoirDocument *document, const ChoirCommitted *changes, guint n);

/* A version that somebody has saved */
typedef struct
{
  guint64 version;
  gint64 wall_us;
  const char *label;
  const char *user_id;
} ChoirSavedVersion;

void choir_document_append_saved (ChoirDocument *document,
                                  const ChoirSavedVersion *saved,
                                  GString *payload);
void choir_document_announce_saved (ChoirDocument *document,
                                    const ChoirSavedVersion *saved,
                                    const ChoirSession *except);

void choir_document_append_change (const ChoirRevision *revision,
                                   const ChoirDialect *dialect,
                                   GString *payload);

G_END_DECLS
