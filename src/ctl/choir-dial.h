/* choir-dial.h: a byte stream to a server, each step timed and with a deadline
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * For a program that does one thing after the other: every call turns the default main context
 * until it is done or out of time, which is %G_IO_ERROR_TIMED_OUT.
 */

#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

/* Times of choir_clock_monotonic_us(); 0 for what has not been reached */
typedef struct
{
  gint64 begun_us;
  gint64 resolved_us;
  gint64 connected_us;
  gint64 secured_us;
  gint64 deadline_us; /* of everything that follows; G_MAXINT64: none */
  char *address;      /* (owned) (nullable): the newest one tried */
  GIOStream *stream;  /* (owned) (nullable) */
  GTlsCertificateFlags certificate_errors;
  gboolean takes_any_certificate;

  GAsyncResult *result; /* (owned) (nullable): of the call under way */
  gboolean is_late;
} ChoirDial;

ChoirDial *choir_dial_new (void);
void choir_dial_free (ChoirDial *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirDial, choir_dial_free)

gboolean choir_dial_connect (ChoirDial *self, const char *host, guint16 port, GError **error);
gboolean choir_dial_secure (ChoirDial *self,
                            const char *host,
                            guint16 port,
                            GTlsDatabase *database,
                            gboolean take_any,
                            GError **error);
const char *choir_dial_get_tls_version (ChoirDial *self);
gssize choir_dial_read (ChoirDial *self, void *buffer, gsize size, GError **error);
gboolean choir_dial_write (ChoirDial *self, const void *data, gsize len, GError **error);

G_END_DECLS
