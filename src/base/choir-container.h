/* choir-container.h: from a member that is embedded to what it is embedded in
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

/* @pointer is the address of @member in a @type */
#define CHOIR_CONTAINER_OF(pointer, type, member)                                                  \
  ((type *) (gpointer) ((char *) (pointer) -G_STRUCT_OFFSET (type, member)))
