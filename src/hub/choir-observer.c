/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-observer.h"

#include "choir-hub-private.h"

#define CODE_MAX 64

/* One may remove itself */
#define NOTIFY(hub, member, ...)                                                                   \
  G_STMT_START                                                                                     \
  {                                                                                                \
    ChoirObserver *next_;                                                                          \
                                                                                                   \
    for (ChoirObserver *at_ = (hub)->observers; at_ != NULL; at_ = next_)                          \
      {                                                                                            \
        next_ = at_->next;                                                                         \
        if (at_->funcs->member != NULL)                                                            \
          at_->funcs->member (__VA_ARGS__, at_->user_data);                                        \
      }                                                                                            \
  }                                                                                                \
  G_STMT_END

/**
 * choir_hub_add_observer:
 * @self: a hub
 * @observer: borrowed until it is removed, which must be before the hub goes
 *
 * Has @observer told of all that happens from now on.
 */
void
choir_hub_add_observer (ChoirHub *self, ChoirObserver *observer)
{
  observer->next = self->observers;
  self->observers = observer;
}

/**
 * choir_hub_remove_observer:
 * @self: a hub
 * @observer: one of its observers; any other is left alone
 */
void
choir_hub_remove_observer (ChoirHub *self, ChoirObserver *observer)
{
  for (ChoirObserver **at = &self->observers; *at != NULL; at = &(*at)->next)
    if (*at == observer)
      {
        *at = observer->next;
        observer->next = NULL;
        return;
      }
}

void
choir_hub_report_connected (ChoirHub *self, ChoirSession *session)
{
  NOTIFY (self, connected, session);
}

void
choir_hub_report_disconnected (ChoirHub *self, ChoirSession *session, guint close_code)
{
  NOTIFY (self, disconnected, session, close_code);
}

void
choir_hub_report_received (ChoirHub *self, ChoirSession *session, const ChoirEnvelope *message)
{
  NOTIFY (self, received, session, message);
}

void
choir_hub_report_published (ChoirHub *self,
                            const ChoirMessage *message,
                            const ChoirAudience *audience,
                            guint n_recipients)
{
  NOTIFY (self, published, message, audience, n_recipients);
}

void
choir_hub_report_answered (ChoirHub *self, ChoirSession *session, const ChoirMessage *message)
{
  NOTIFY (self, answered, session, message);
}

/**
 * choir_hub_report_overload:
 * @self: a hub
 * @what: the limit, a constant: one of those that org.choir.Choir1.Manager::Overloaded names
 * @key: (nullable): what @value is: `user`, `address` or `channel`
 * @value: (nullable): of whom
 *
 * A limit was met, and somebody was refused or cut off for it. Tells those who look on; may be
 * called as often as it happens.
 */
void
choir_hub_report_overload (ChoirHub *self, const char *what, const char *key, const char *value)
{
  NOTIFY (self, overloaded, what, value != NULL ? key : NULL, value);
}

/* @payload: what is told of its end */
void
choir_hub_report_task_failed (ChoirHub *self, const ChoirTask *task, ChoirSlice payload)
{
  g_autofree char *code = NULL;
  ChoirJsonValue value;

  if (self->observers == NULL)
    return;

  if (choir_json_slice_get (payload, "code", &value) && value.kind == CHOIR_JSON_STRING)
    code = choir_json_string_dup (value.raw, CODE_MAX);
  NOTIFY (self, task_failed, task, code != NULL ? code : "");
}

/* Called when clients are told to leave, and when one has left */
void
choir_hub_report_drain (ChoirHub *self)
{
  NOTIFY (self, drain_progress, self->sessions->len, self->drain_total);
}

/**
 * choir_hub_report_blocked:
 * @self: a hub
 * @user_id: who may no longer come in
 * @until_us: until when, wall clock; 0: for good
 * @reason: for administrators
 */
void
choir_hub_report_blocked (ChoirHub *self, const char *user_id, gint64 until_us, const char *reason)
{
  NOTIFY (self, user_blocked, user_id, until_us, reason);
}

/**
 * choir_hub_report_unblocked:
 * @self: a hub
 * @user_id: who may come in again
 */
void
choir_hub_report_unblocked (ChoirHub *self, const char *user_id)
{
  NOTIFY (self, user_unblocked, user_id);
}
