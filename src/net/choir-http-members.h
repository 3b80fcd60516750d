/* choir-http-members.h: reading the members of an object that came in a body
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-http-request.h"

G_BEGIN_DECLS

/* All set CHOIR_ERROR_VALIDATION, or what the gate says, in words fit for the client */
gboolean choir_http_members_scan (ChoirHttpRequest *request,
                                  ChoirSlice text,
                                  const char *const *known,
                                  ChoirJsonObject *out,
                                  GError **error);
/* @json: one object as it came; @user_data: of who reads it */
typedef gboolean (*ChoirHttpReadOne) (gpointer user_data, ChoirSlice json, GError **error);
gboolean choir_http_members_read_body (const ChoirHttpRequest *request,
                                       ChoirHttpReadOne read_one,
                                       gpointer user_data,
                                       gboolean *is_array,
                                       GError **error);
gboolean choir_http_members_check_known (const ChoirJsonObject *object,
                                         const char *const *known,
                                         GError **error);
gboolean choir_http_members_get_string (const ChoirJsonObject *object,
                                        const char *name,
                                        gsize max_len,
                                        char **out,
                                        GError **error);
gboolean choir_http_members_get_object (const ChoirJsonObject *object,
                                        const char *name,
                                        ChoirJsonValue *out,
                                        GError **error);
gboolean choir_http_members_get_names (const ChoirJsonObject *object,
                                       const char *name,
                                       guint max,
                                       GHashTable **out,
                                       GError **error);

/* Keys by which a client has its request carried out once: 1-128 printable ASCII characters */
#define CHOIR_HTTP_KEY_MAX 128
gboolean choir_http_check_key (const char *name, const char *key, GError **error);

G_END_DECLS
