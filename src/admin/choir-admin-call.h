/* choir-admin-call.h: a method that was called on the bus
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <gio/gio.h>

#include "choir-authority.h"
#include "choir-hub.h"

G_BEGIN_DECLS

typedef struct _ChoirAdmin ChoirAdmin;

#define CHOIR_ADMIN_MANAGER "org.choir.Choir1.Manager"
#define CHOIR_ADMIN_CONNECTION "org.choir.Choir1.Connection"
#define CHOIR_ADMIN_SESSION "org.choir.Choir1.Session"
#define CHOIR_ADMIN_DOCUMENT "org.choir.Choir1.Document"
#define CHOIR_ADMIN_CHANNEL "org.choir.Choir1.Channel"
#define CHOIR_ADMIN_TASK "org.choir.Choir1.Task"
#define CHOIR_ADMIN_PROPERTIES "org.freedesktop.DBus.Properties"
#define CHOIR_ADMIN_OBJECT_MANAGER "org.freedesktop.DBus.ObjectManager"

/**
 * ChoirAdminCall:
 *
 * One call, by somebody who may make it. It is answered once, by choir_admin_call_return() or
 * choir_admin_call_fail(), at once or later; that ends it. GDBus has checked the parameters' types.
 * One that was done and took more than leave to inspect is in the log, once.
 */
typedef struct
{
  ChoirAdmin *admin;                 /* (owned) */
  ChoirHub *hub;                     /* (owned) */
  GDBusMethodInvocation *invocation; /* (owned): for its sender and its parameters */
  GVariant *parameters;              /* borrowed of @invocation */
  char *kind;                        /* (owned): of the object, "channel" for one; "" at the root */
  char *name;                        /* (owned): of the object, unescaped; "" at the root */
  guint32 uid;                       /* who calls */
  ChoirAdminAction action;           /* what it took leave for */
  gboolean logged;                   /* as what it does says it best */
} ChoirAdminCall;

typedef void (*ChoirAdminPerform) (ChoirAdminCall *call);

/* One method. Files that hold some export a table of them; choir-admin-dispatch.c names the tables
 */
typedef struct
{
  const char *interface;
  const char *method;
  ChoirAdminAction action;
  gboolean has_target; /* the first argument, a string, says whom or what it is about */
  ChoirAdminPerform perform;
  ChoirAdminAction (*choose) (GVariant *parameters); /* (nullable): where the action depends on the
                                                        arguments; used in place of @action */
} ChoirAdminMethod;

typedef struct
{
  const ChoirAdminMethod *methods;
  const guint *n_methods;
} ChoirAdminMethodTable;

void choir_admin_call_return (ChoirAdminCall *call, GVariant *result);
void choir_admin_call_return_fd (ChoirAdminCall *call, int fd);
void choir_admin_call_fail (ChoirAdminCall *call, const GError *error);
void choir_admin_call_fail_literal (ChoirAdminCall *call, int code, const char *text);
void choir_admin_call_log (ChoirAdminCall *call,
                           const char *what,
                           const char *field,
                           const char *target,
                           guint count);
gboolean choir_admin_check_reason (const char *reason, gsize max_len, GError **error);

/* RFC 6455 section 5.5: a control frame holds 125 bytes, two of them the close code */
#define CHOIR_ADMIN_REASON_MAX 123

/* The method_call of every object: finds the method, asks whether the caller may, then has it
 * performed. @user_data: a #ChoirAdmin */
void choir_admin_dispatch (GDBusConnection *connection,
                           const char *sender,
                           const char *object_path,
                           const char *interface,
                           const char *method,
                           GVariant *parameters,
                           GDBusMethodInvocation *invocation,
                           gpointer user_data);
const ChoirAdminMethod *choir_admin_find_method (const char *interface, const char *method);

G_END_DECLS
