/* fake-polkit.h: org.freedesktop.PolicyKit1 that answers what the test wants
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

typedef struct
{
  GDBusConnection *connection; /* (owned) */
  guint object_id;
  guint name_id;

  /* What it answers */
  gboolean authorized;
  gboolean challenge;
  gboolean dismissed;
  const char *error;        /* (nullable): in place of an answer */
  const char *cancel_error; /* (nullable): when a question is taken back */
  gboolean holds;           /* answers nothing until it is told to */

  /* What it was asked last */
  guint n_asked;
  char *subject; /* (owned) (nullable): a unique name */
  char *action;  /* (owned) (nullable) */
  char *call;    /* (owned) (nullable): of the details */
  guint32 flags;

  GQueue held; /* (element-type GDBusMethodInvocation) (owned) */
  guint n_cancelled;
} FakePolkit;

FakePolkit *fake_polkit_new (GDBusConnection *connection); /* takes @connection */
void fake_polkit_free (FakePolkit *self);

void fake_polkit_own_name (FakePolkit *self);
/* Answers the oldest that is held */
void fake_polkit_release (FakePolkit *self);

G_END_DECLS
