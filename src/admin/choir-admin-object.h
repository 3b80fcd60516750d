/* choir-admin-object.h: the things of the hub as objects on the bus
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-admin-call.h"
#include "choir-admin-path.h"

G_BEGIN_DECLS

/* Sessions, channels or documents that one property names at most */
#define CHOIR_ADMIN_NAMES_MAX 1000

typedef struct
{
  const char *name;
  /* (transfer floating): of the type the interface's description says */
  GVariant *(*get) (ChoirHub *hub, gpointer object);
} ChoirAdminProperty;

/* @name: borrowed, as is @object */
typedef void (*ChoirAdminVisitor) (gpointer object, const char *name, gpointer user_data);

/**
 * ChoirAdminClass:
 *
 * What objects of one kind have in common: how one is found, which there are, and what can be read
 * of it. The objects themselves are the hub's: a #ChoirSession for connections and sessions, a
 * #ChoirDocument, a #ChoirChannel, a #ChoirTask. Nothing on the bus is kept for any of them.
 */
typedef struct
{
  const char *interface;
  const char *kind; /* #ChoirAdminCall has it */
  const ChoirAdminProperty *properties;
  const guint *n_properties;
  gpointer (*find) (ChoirHub *hub, const char *name); /* (nullable) (transfer none) */
  guint (*count) (ChoirHub *hub);                     /* how many visit() may visit */
  void (*visit) (ChoirHub *hub, ChoirAdminVisitor visit, gpointer user_data);
} ChoirAdminClass;

extern const ChoirAdminClass choir_admin_connection_class;
extern const ChoirAdminClass choir_admin_session_class;
extern const ChoirAdminClass choir_admin_document_class;
extern const ChoirAdminClass choir_admin_channel_class;
extern const ChoirAdminClass choir_admin_task_class;

const ChoirAdminClass *choir_admin_class_get (ChoirAdminKind kind);
GVariant *choir_admin_class_get_all (const ChoirAdminClass *self, ChoirHub *hub, gpointer object);

/* (nullable) (transfer none): what the call is about; if there is no such object it has been
 * answered with that */
gpointer choir_admin_call_find_object (ChoirAdminCall *call);

/* For the properties */
GVariant *choir_admin_value_string (const char *text); /* (nullable): empty then */
GVariant *choir_admin_value_wall (gint64 wall_us);
GVariant *choir_admin_value_monotonic (gint64 monotonic_us);
GVariant *choir_admin_value_path (ChoirAdminKind kind, const char *name);
GVariant *choir_admin_value_sessions (const ChoirChannel *channel);
GVariant *choir_admin_value_user (ChoirHub *hub, gpointer session);
GVariant *choir_admin_value_subscriptions (ChoirHub *hub, gpointer session);

G_END_DECLS
