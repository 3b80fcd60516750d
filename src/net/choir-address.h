/* choir-address.h: an IP address in 16 bytes
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Longest text with NUL, INET6_ADDRSTRLEN */
#define CHOIR_ADDRESS_TEXT_SIZE 46

/**
 * ChoirAddress:
 *
 * IPv6, or IPv4 in the form ::ffff:a.b.c.d (RFC 4291 2.5.5.2), so that one address has one form.
 */
typedef struct
{
  guint8 bytes[16];
} ChoirAddress;

gboolean choir_address_parse (const char *text, ChoirAddress *out);
void choir_address_format (const ChoirAddress *self, char out[CHOIR_ADDRESS_TEXT_SIZE]);
char *choir_address_dup_text (const ChoirAddress *self);
gboolean choir_address_is_ipv4 (const ChoirAddress *self);
ChoirAddress choir_address_get_subject (const ChoirAddress *self);
/* For a GHashTable */
guint choir_address_hash (gconstpointer self);
gboolean choir_address_equal (gconstpointer a, gconstpointer b);

G_END_DECLS
