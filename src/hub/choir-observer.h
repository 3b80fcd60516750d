/* choir-observer.h: whoever is told what happens in a hub
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-audience.h"
#include "choir-hub.h"
#include "choir-session.h"

G_BEGIN_DECLS

/**
 * ChoirObserver:
 *
 * Looks on, for an administrator. While there is none a message costs one branch for it. Its
 * functions are called in the middle of things: they must change nothing in the hub, and may remove
 * their own observer, but add or remove no other.
 */
typedef struct _ChoirObserver ChoirObserver;

/* Each may be NULL */
typedef struct
{
  /* A connection has become somebody's, which in some contracts takes a message */
  void (*connected) (ChoirSession *session, gpointer user_data);
  /* One that was told of is gone; @session is still whole */
  void (*disconnected) (ChoirSession *session, guint close_code, gpointer user_data);
  /* A client has said something that could be read; it need not be allowed, or known */
  void (*received) (ChoirSession *session, const ChoirEnvelope *message, gpointer user_data);
  /* To many: those of @audience or, if it is %NULL, who hear the message's channel */
  void (*published) (const ChoirMessage *message,
                     const ChoirAudience *audience,
                     guint n_recipients,
                     gpointer user_data);
  /* To one; what is not at hand as JSON has a length only */
  void (*answered) (ChoirSession *session, const ChoirMessage *message, gpointer user_data);
  /* A limit was met, see choir_hub_report_overload() */
  void (*overloaded) (const char *what, const char *key, const char *value, gpointer user_data);
  void (*task_failed) (const ChoirTask *task, const char *code, gpointer user_data);
  void (*drain_progress) (guint remaining, guint total, gpointer user_data);
  /* @until_us: wall; 0: for good */
  void (*user_blocked) (const char *user_id,
                        gint64 until_us,
                        const char *reason,
                        gpointer user_data);
  void (*user_unblocked) (const char *user_id, gpointer user_data);
} ChoirObserverFuncs;

struct _ChoirObserver
{
  const ChoirObserverFuncs *funcs;
  gpointer user_data;
  ChoirObserver *next; /* (nullable): the hub's */
};

void choir_hub_add_observer (ChoirHub *self, ChoirObserver *observer);
void choir_hub_remove_observer (ChoirHub *self, ChoirObserver *observer);

/* For those in whose hands it happens */
void choir_hub_report_connected (ChoirHub *self, ChoirSession *session);
void choir_hub_report_disconnected (ChoirHub *self, ChoirSession *session, guint close_code);
void
choir_hub_report_received (ChoirHub *self, ChoirSession *session, const ChoirEnvelope *message);
void choir_hub_report_published (ChoirHub *self,
                                 const ChoirMessage *message,
                                 const ChoirAudience *audience,
                                 guint n_recipients);
void choir_hub_report_answered (ChoirHub *self, ChoirSession *session, const ChoirMessage *message);
void
choir_hub_report_overload (ChoirHub *self, const char *what, const char *key, const char *value);
void choir_hub_report_task_failed (ChoirHub *self, const ChoirTask *task, ChoirSlice payload);
void choir_hub_report_drain (ChoirHub *self);
void
choir_hub_report_blocked (ChoirHub *self, const char *user_id, gint64 until_us, const char *reason);
void choir_hub_report_unblocked (ChoirHub *self, const char *user_id);

G_END_DECLS
