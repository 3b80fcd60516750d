/* choir-handlers-task.h: what the handlers of tasks share
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-handlers.h"
#include "choir-session.h"

G_BEGIN_DECLS

/**
 * ChoirLater:
 *
 * What is needed to answer a message after its handler has returned.
 */
typedef struct
{
  ChoirSession *session; /* (owned) */
  char *correlation_id;  /* (owned): raw contents */
  char *external_type;   /* (owned) */
} ChoirLater;

ChoirLater *choir_later_new (ChoirSession *session, const ChoirEnvelope *message);
void choir_later_free (ChoirLater *self);
void choir_later_send (ChoirLater *self, const char *type, const GString *payload);
void choir_later_fail (ChoirLater *self, const GError *error);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirLater, choir_later_free)

/* (transfer full) (nullable): a string of the payload; %NULL if it is missing, or `*valid` %FALSE
 * if it is none or longer than @max bytes, and the message has been refused */
char *choir_handlers_dup_text (ChoirSession *session,
                               const ChoirEnvelope *message,
                               const char *key,
                               gsize max,
                               gboolean *valid);
gboolean choir_handlers_is_back_end (ChoirSession *session);

G_END_DECLS
