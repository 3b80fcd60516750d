/* choir-config.h: the settings: typed, checked, reloadable
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

#define CHOIR_TYPE_CONFIG (choir_config_get_type ())
G_DECLARE_FINAL_TYPE (ChoirConfig, choir_config, CHOIR, CONFIG, GObject)

/* Holds the built-in defaults until loaded. Signal "changed" after a reload that succeeded. */
ChoirConfig *choir_config_new (void);

/* @file NULL: the standard places (DATADIR/choir/choir.conf, SYSCONFDIR/choir/choir.conf, conf.d/
 * *.conf);
 * @environ: g_get_environ() form; @sets: "section.key=value" (nullable). Errors: CHOIR_ERROR_CONFIG
 * with "file:line: what". */
gboolean choir_config_load (ChoirConfig *self,
                            const char *file,
                            const char *const *environ_list,
                            const char *const *sets,
                            GError **error);
/* Reads the same sources again; on error all values stay as they were */
gboolean choir_config_reload (ChoirConfig *self, GError **error);
ChoirConfig *choir_config_read_again (ChoirConfig *self, GError **error);

/* @group is a section ("server") or an instance ("namespace chat", "dialect netra"): an instance's
 * key falls back as the table says (namespace chat -> namespace; dialect X's rate -> [rate]
 * default). An unknown group or key is a programming error. */
const char *choir_config_get_string (ChoirConfig *self, const char *group, const char *key);
const char *const *choir_config_get_list (ChoirConfig *self, const char *group, const char *key);
gboolean choir_config_get_boolean (ChoirConfig *self, const char *group, const char *key);
guint choir_config_get_uint (ChoirConfig *self, const char *group, const char *key);
guint64 choir_config_get_size (ChoirConfig *self, const char *group, const char *key); /* bytes */
gint64 choir_config_get_duration_us (ChoirConfig *self,
                                     const char *group,
                                     const char *key); /* microseconds */
guint choir_config_get_choice (ChoirConfig *self,
                               const char *group,
                               const char *key); /* index in the table's choices */

/* Names of configured or built-in instances of a section: "namespace" -> all, user, session, event,
 * chat ... */
char **choir_config_list_instances (ChoirConfig *self, const char *section);

/* Unknown to the table, so that a manual or a dump can be made from it: "section.key=value" lines
 * with origin */
void choir_config_dump (ChoirConfig *self, GString *out);

gboolean choir_config_parse_duration (const char *text, gint64 *out_us, GError **error);
gboolean choir_config_parse_size (const char *text, guint64 *out_bytes, GError **error);

/* Indexes of the choices, in the order of the table */
typedef enum
{
  CHOIR_PER_USER_EVICT_OLDEST,
  CHOIR_PER_USER_REJECT
} ChoirPerUserPolicy;
typedef enum
{
  CHOIR_SCOPE_CONNECTION,
  CHOIR_SCOPE_SESSION,
  CHOIR_SCOPE_USER
} ChoirRateScope;
typedef enum
{
  CHOIR_ENVIRONMENT_DEVELOPMENT,
  CHOIR_ENVIRONMENT_STAGING,
  CHOIR_ENVIRONMENT_PRODUCTION
} ChoirEnvironment;
typedef enum
{
  CHOIR_ACCESS_ANYONE,
  CHOIR_ACCESS_AUTHENTICATED,
  CHOIR_ACCESS_OWNER,
  CHOIR_ACCESS_PERMISSION
} ChoirAccessPolicy;
typedef enum
{
  CHOIR_USERS_NONE,
  CHOIR_USERS_STORE
} ChoirUsersPolicy;
typedef enum
{
  CHOIR_BACKEND_MEMORY,
  CHOIR_BACKEND_SQLITE,
  CHOIR_BACKEND_REDIS
} ChoirBackend;
typedef enum
{
  CHOIR_MARKUP_ESCAPE,
  CHOIR_MARKUP_OFF
} ChoirMarkupPolicy;
typedef enum
{
  CHOIR_BUS_SYSTEM,
  CHOIR_BUS_SESSION,
  CHOIR_BUS_NONE
} ChoirBusChoice;

G_END_DECLS
