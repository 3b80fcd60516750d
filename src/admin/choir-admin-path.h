/* choir-admin-path.h: where the service's objects are on the bus
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

#include "choir-names.h"

G_BEGIN_DECLS

/* The longest name of an object, and what it may become in a path: bytes */
#define CHOIR_ADMIN_NAME_MAX CHOIR_CHANNEL_NAME_MAX
#define CHOIR_ADMIN_ELEMENT_MAX (3 * CHOIR_ADMIN_NAME_MAX)

/* What there is below the root, a subtree for each kind */
typedef enum
{
  CHOIR_ADMIN_KIND_CONNECTION,
  CHOIR_ADMIN_KIND_SESSION,
  CHOIR_ADMIN_KIND_DOCUMENT,
  CHOIR_ADMIN_KIND_CHANNEL,
  CHOIR_ADMIN_KIND_TASK,
  CHOIR_N_ADMIN_KINDS
} ChoirAdminKind;

/* No object: what a property of type `o` has where there is none */
#define CHOIR_ADMIN_NO_PATH "/"

const char *choir_admin_path_get_subtree (ChoirAdminKind kind);
char *choir_admin_path_new (ChoirAdminKind kind, const char *name);

char *choir_admin_path_escape (const char *name);
char *choir_admin_path_unescape (const char *element);

G_END_DECLS
