/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include <gio/gio.h>
#include <string.h>

#include "choir-config-private.h"
#include "choir-names.h"

/* Checks of the text of one item: NULL when it is right, else what it must be */

static gboolean
is_host_port (const char *text)
{
  const char *colon = strrchr (text, ':');
  guint64 port;

  if (colon == NULL || colon == text ||
      !g_ascii_string_to_unsigned (colon + 1, 10, 0, G_MAXUINT16, &port, NULL))
    return FALSE;

  g_autofree char *host = g_strndup (text, (gsize) (colon - text));

  if (*host == '[' && host[strlen (host) - 1] == ']')
    {
      host[strlen (host) - 1] = '\0';
      return g_hostname_is_ip_address (host + 1) && strchr (host + 1, ':') != NULL;
    }

  return strpbrk (host, ":[]/ ") == NULL;
}

static const char *
check_listen (const char *text)
{
  if (g_str_has_prefix (text, "unix:/") || is_host_port (text))
    return NULL;

  return "ADDRESS:PORT, [ADDRESS]:PORT or unix:/PATH";
}

static const char *
check_address (const char *text)
{
  g_autoptr (GInetAddressMask) mask = g_inet_address_mask_new_from_string (text, NULL);

  return mask != NULL ? NULL : "an IP address, or a network like 10.0.0.0/8";
}

static const char *
check_path (const char *text)
{
  return *text == '/' ? NULL : "a path that begins with /";
}

static const char *
check_identifier (const char *text)
{
  return choir_name_is_identifier (text, strlen (text))
           ? NULL
           : "letters, digits, '.', '_' and '-', at most 64";
}

static const char *
check_key (const char *text)
{
  g_auto (GStrv) parts = g_strsplit (text, ":", 3);

  if (g_strv_length (parts) == 3 && *parts[0] != '\0' && *parts[1] != '\0' && *parts[2] != '\0')
    return NULL;

  return "ALGORITHM:ID:FILE, like HS256:main:/etc/choir/hs256.key";
}

static const char *
check_origin (const char *text)
{
  const char *host = strstr (text, "://");

  if (host != NULL && host > text && host[3] != '\0' && strchr (host + 3, '/') == NULL &&
      memchr (text, '*', (gsize) (host - text)) == NULL)
    return NULL;

  return "SCHEME://HOST or SCHEME://HOST:PORT without a path, like https://*.example.com";
}

static const char *
check_redis (const char *text)
{
  g_autoptr (GUri) uri = g_uri_parse (text, G_URI_FLAGS_HAS_PASSWORD, NULL);

  if (uri != NULL && g_uri_get_host (uri) != NULL && *g_uri_get_host (uri) != '\0' &&
      (strcmp (g_uri_get_scheme (uri), "redis") == 0 ||
       strcmp (g_uri_get_scheme (uri), "rediss") == 0))
    return NULL;

  return "redis://HOST:PORT/NUMBER or rediss://HOST:PORT/NUMBER";
}

/* Nothing else is let through by the bus's policy */
static const char *
check_bus_name (const char *text)
{
  if (strcmp (text, CHOIR_BUS_NAME) == 0 ||
      (g_str_has_prefix (text, CHOIR_BUS_NAME ".") && g_dbus_is_name (text)))
    return NULL;

  return CHOIR_BUS_NAME ", or that and a name for the node, like " CHOIR_BUS_NAME ".second";
}

/* clang-format off */
#define DIALECTS "choir|netra|netra-spec|jddb|reviewpoint|tripsage|choir-cbor"
#define ACCESS "anyone|authenticated|owner|permission"
#define PER_USER "evict-oldest|reject"
#define KIB G_GINT64_CONSTANT (1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)
#define MSEC G_GINT64_CONSTANT (1000)
#define SEC (1000 * MSEC)
#define HOUR (3600 * SEC)
#define DAY (24 * HOUR)

#define TEXT(s, k, value, check, ...) \
  { s, k, CHOIR_CONFIG_STRING, value, 0, 4096, NULL, NULL, check, __VA_ARGS__ }
#define LIST(s, k, value, check, ...) \
  { s, k, CHOIR_CONFIG_LIST, value, 0, CHOIR_CONFIG_LIST_MAX, NULL, NULL, check, __VA_ARGS__ }
#define BOOL(s, k, value, ...) \
  { s, k, CHOIR_CONFIG_BOOLEAN, value, 0, 1, NULL, NULL, NULL, __VA_ARGS__ }
#define UINT(s, k, value, min, max, ...) \
  { s, k, CHOIR_CONFIG_UINT, value, min, max, NULL, NULL, NULL, __VA_ARGS__ }
#define SIZE(s, k, value, min, max, ...) \
  { s, k, CHOIR_CONFIG_SIZE, value, min, max, NULL, NULL, NULL, __VA_ARGS__ }
#define TIME(s, k, value, min, max, ...) \
  { s, k, CHOIR_CONFIG_DURATION, value, min, max, NULL, NULL, NULL, __VA_ARGS__ }
#define ENUM(s, k, value, choices, ...) \
  { s, k, CHOIR_CONFIG_CHOICE, value, 0, 0, choices, NULL, NULL, __VA_ARGS__ }
#define RATE(s, k, value, ...) \
  { s, k, CHOIR_CONFIG_RATE, value, 0, 0, NULL, NULL, NULL, __VA_ARGS__ }
#define OVER(s, k, type, min, max, choices, fallback, ...) \
  { s, k, type, NULL, min, max, choices, fallback, NULL, __VA_ARGS__ }

static const ChoirConfigKey keys[] = {
  LIST ("server", "listen", "127.0.0.1:8800", check_listen, TRUE,
        "Where to listen; sockets given by systemd come first"),
  TEXT ("server", "tls-certificate", "", check_path, TRUE, "PEM file; with tls-key the listeners speak TLS"),
  TEXT ("server", "tls-key", "", check_path, TRUE, "PEM file with the certificate's private key"),
  LIST ("server", "trusted-proxies", "127.0.0.1;::1", check_address, FALSE,
        "Whose X-Forwarded-For and Forwarded are believed"),
  UINT ("server", "max-connections", "10000", 1, 10000000, FALSE, "Most connections at a time"),
  UINT ("server", "max-connections-per-user", "5", 1, 1000000, FALSE, "Most connections of one user"),
  ENUM ("server", "per-user-policy", "evict-oldest", PER_USER, FALSE, "What one connection too many of a user does"),
  UINT ("server", "max-connections-per-address", "1000", 1, 10000000, FALSE, "Most connections of one address"),
  TIME ("server", "handshake-timeout", "10s", 100 * MSEC, HOUR, FALSE, "How long a handshake may take"),
  TIME ("server", "drain-timeout", "30s", 0, DAY, FALSE, "How long clients are told to leave over when stopping"),
  TEXT ("server", "node", "", check_identifier, TRUE, "Name of this node; empty: made from the host name"),
  TEXT ("server", "name", "", NULL, FALSE, "Value of the Server header; empty: no such header"),
  BOOL ("server", "playground", "no", FALSE, "Serve the try-it page at /"),
  TEXT ("server", "echo-path", "", check_path, FALSE, "Where frames come back unchanged, for conformance tools"),

  ENUM ("protocol", "default-dialect", "choir", DIALECTS, FALSE, "Dialect of /ws when the client names none"),
  SIZE ("protocol", "max-message-size", "64K", 128, GIB, FALSE, "Largest message, reassembled and inflated"),
  SIZE ("protocol", "max-queue-bytes", "1M", KIB, GIB, FALSE, "Most bytes waiting for one client; past it close 4008"),
  SIZE ("protocol", "max-history-bytes", "256M", 0, 1024 * GIB, FALSE, "Most bytes all channels' histories hold in memory"),
  UINT ("protocol", "max-batch", "100", 1, 100000, FALSE, "Most messages in one inbound array"),
  TIME ("protocol", "heartbeat-interval", "30s", 10 * MSEC, DAY, FALSE, "Time between pings"),
  TIME ("protocol", "idle-timeout", "300s", 10 * MSEC, 30 * DAY, FALSE, "Silence after which a connection is closed"),
  BOOL ("protocol", "compression", "yes", FALSE, "Offer permessage-deflate"),
  SIZE ("protocol", "compression-threshold", "1K", 0, GIB, FALSE, "Smallest message that is compressed"),
  BOOL ("protocol", "compression-context-takeover", "no", FALSE,
        "Keep a compression window per connection: smaller messages for more memory"),
  UINT ("protocol", "batch-size", "10", 1, 10000, FALSE, "Most messages in one outbound array"),
  TIME ("protocol", "batch-delay", "0ms", 0, 10 * SEC, FALSE, "How long a batch may wait to fill"),

  BOOL ("auth", "require-auth", "yes", FALSE, "Refuse connections without a token"),
  LIST ("auth", "key", "", check_key, FALSE, "Keys that sign tokens"),
  TEXT ("auth", "issuer", "", NULL, FALSE, "Required iss claim; empty: any"),
  TEXT ("auth", "audience", "", NULL, FALSE, "Required aud claim; empty: any"),
  TIME ("auth", "leeway", "30s", 0, HOUR, FALSE, "How far clocks may differ"),
  LIST ("auth", "required-claims", "sub;exp", check_identifier, FALSE, "Claims a token must have"),
  TIME ("auth", "keep-revoked", "720h", 0, 3650 * DAY, FALSE, "How long a token that was revoked is remembered; 0 is for good"),
  TIME ("auth", "auth-timeout", "10s", 10 * MSEC, HOUR, FALSE, "How long a first message may take to authenticate"),
  { "auth", "users", CHOIR_CONFIG_CHOICE, "", 0, 0, "none|store", NULL, NULL, FALSE,
    "Whether users must be in the store and active; empty is none" },
  LIST ("auth", "known-users", "", NULL, FALSE, "Users who exist, ID or ID:inactive, besides those in the store"),

  ENUM ("origin", "environment", "development", "development|staging|production", FALSE, "Which lists of origins apply"),
  LIST ("origin", "allowed", "http://localhost:*;http://127.0.0.1:*;https://localhost:*", check_origin, FALSE,
        "Origins allowed in development"),
  LIST ("origin", "allowed-staging", "", check_origin, FALSE, "Origins allowed in staging, besides those of development"),
  LIST ("origin", "allowed-production", "", check_origin, FALSE, "Origins allowed in production"),
  BOOL ("origin", "allow-no-origin", "yes", FALSE, "Let clients in that send no Origin: those that are no browsers"),
  BOOL ("origin", "cors", "yes", FALSE, "Send CORS headers from HTTP end points"),

  RATE ("rate", "default", "10/1s;300/60s", FALSE, "Messages of a session"),
  RATE ("rate", "cursor", "20/1s", FALSE, "Cursor and selection moves of a session"),
  RATE ("rate", "document", "50/1s;1500/60s", FALSE, "Document changes of a session"),
  RATE ("rate", "chunk", "200/1s", FALSE, "Pieces of streamed messages of a session that is no back end's"),
  RATE ("rate", "api", "1000/1s", FALSE, "Requests of a back end"),
  UINT ("rate", "burst-queue", "32", 0, 10000, FALSE, "Messages held back rather than refused"),
  RATE ("rate", "connect-per-address", "50/1s", FALSE, "New connections of one address"),

  ENUM ("sanitize", "markup", "escape", "escape|off", FALSE, "What happens to markup in user content"),
  UINT ("sanitize", "max-string", "10000", 1, 100000000, FALSE, "Code points after which a string is cut"),
  UINT ("sanitize", "max-array", "100", 1, 10000000, FALSE, "Elements after which an array is cut"),
  UINT ("sanitize", "max-depth", "32", 2, 1000, FALSE, "Deepest nesting accepted"),

  ENUM ("namespace", "subscribe", "permission", ACCESS, FALSE, "Who may subscribe"),
  ENUM ("namespace", "publish", "permission", ACCESS, FALSE, "Who may publish"),
  UINT ("namespace", "history-size", "100", 0, 1000000, FALSE, "Messages kept per channel"),
  TIME ("namespace", "history-age", "24h", 0, 3650 * DAY, FALSE, "How long they are kept"),
  BOOL ("namespace", "presence", "yes", FALSE, "Show who is on a channel"),
  UINT ("namespace", "presence-limit", "200", 0, 1000000, FALSE, "Members past which joins and leaves are not announced"),
  BOOL ("namespace", "persist", "no", FALSE, "Keep messages in the store: acknowledged means stored"),
  UINT ("namespace", "replay", "0", 0, 1000, FALSE, "Newest messages sent to whom an end point subscribes, in contracts without offsets"),
  UINT ("namespace", "priority", "0", 0, 9, FALSE, "Which messages go first where a queue has built up; 9 is first"),
  UINT ("namespace", "max-channels", "100000", 1, 100000000, FALSE, "Most channels in memory"),

  LIST ("events", "allowed",
        "upload.progress;upload.completed;upload.error;upload.cancelled;review.updated;review.created;"
        "review.deleted;system.notification;system.maintenance;user.status_changed;file.processing;file.ready",
        check_identifier, FALSE, "Events that may be subscribed to"),

  SIZE ("document", "max-size", "4M", KIB, GIB, FALSE, "Largest document"),
  UINT ("document", "horizon", "10000", 1, 10000000, FALSE, "Operations kept for late clients"),
  UINT ("document", "snapshot-every", "500", 1, 10000000, FALSE, "Operations between snapshots"),
  TIME ("document", "idle-after", "60s", 0, 365 * DAY, FALSE, "Silence after which an editor counts as inactive; 0: never"),
  UINT ("document", "max-open", "10000", 1, 10000000, FALSE, "Most documents in memory"),

  TIME ("task", "lease", "60s", 100 * MSEC, DAY, FALSE, "How long a worker may be silent"),
  TIME ("task", "timeout", "15m", 100 * MSEC, 30 * DAY, FALSE, "How long a task may take"),
  UINT ("task", "max-per-user", "10", 1, 1000000, FALSE, "Most unfinished tasks of one user"),
  UINT ("task", "max-queued", "10000", 1, 10000000, FALSE, "Most tasks waiting for a worker"),

  UINT ("task", "max-attempts", "3", 1, 1000, FALSE, "Workers a task is given to before it has failed"),
  UINT ("task", "max-slots", "64", 1, 100000, FALSE, "Most tasks one worker may have at a time"),
  TIME ("task", "keep", "1h", 0, 365 * DAY, FALSE, "How long what became of a task can be asked"),
  TEXT ("task", "worker-role", "worker", check_identifier, FALSE, "Role a worker's token must have"),

  SIZE ("chat", "max-message", "256K", KIB, 64 * MIB, FALSE, "Largest message that is streamed in chunks"),
  SIZE ("chat", "max-bytes", "64M", KIB, GIB, FALSE, "Most bytes of all messages that are being streamed"),
  UINT ("chat", "max-streams", "16", 1, 10000, FALSE, "Most messages streamed in one channel at a time"),
  TIME ("chat", "stream-timeout", "60s", 100 * MSEC, DAY, FALSE, "Silence after which a streamed message is aborted"),
  TIME ("chat", "typing-timeout", "6s", 100 * MSEC, HOUR, FALSE, "How long somebody who says no more is shown as typing"),

  TIME ("session", "resume-window", "120s", 0, DAY, FALSE, "How long a session waits for its client to come back"),
  UINT ("session", "max-waiting", "10000", 0, 10000000, FALSE, "Most sessions that wait for their clients"),
  SIZE ("session", "max-waiting-bytes", "64M", 0, 1024 * GIB, FALSE, "Most bytes kept for them together"),
  UINT ("session", "max-subscriptions", "128", 1, 1000000, FALSE, "Most channels one session is subscribed to"),

  ENUM ("store", "backend", "sqlite", "memory|sqlite|redis", TRUE, "Where messages are kept"),
  TEXT ("store", "path", "", check_path, TRUE, "Database file; empty: choir.db in the state directory"),
  SIZE ("store", "memory-size", "256M", KIB, 1024 * GIB, TRUE, "Most bytes the backend memory holds"),
  ENUM ("store", "durability", "full", "full|normal", TRUE, "full: acknowledged means on disk"),

  TEXT ("cluster", "redis", "", check_redis, TRUE, "Redis that joins the nodes; empty: one node"),
  TEXT ("cluster", "prefix", "choir", check_identifier, TRUE, "Beginning of every name in Redis"),
  TIME ("cluster", "lease", "10s", 500 * MSEC, HOUR, TRUE, "How long a silent node is believed alive"),

  TEXT ("api", "service-role", "service", check_identifier, FALSE, "Role a back end's token must have"),
  UINT ("api", "max-requests", "256", 1, 100000, FALSE, "Most requests handled at a time"),
  UINT ("api", "max-waiting", "1000", 1, 100000, FALSE, "Most requests that wait for something to happen"),
  SIZE ("api", "max-bytes", "64M", KIB, 1024 * GIB, FALSE, "Most bytes of bodies, in and out, held at a time"),

  ENUM ("bus", "bus", "system", "system|session|none", TRUE, "D-Bus to appear on"),
  TEXT ("bus", "name", CHOIR_BUS_NAME, check_bus_name, TRUE, "Name to have there; several nodes on a host need one each"),

  ENUM ("log", "level", "info", "error|warning|notice|info|debug", FALSE, "Least urgent messages to log"),

  OVER ("dialect", "rate", CHOIR_CONFIG_RATE, 0, 0, NULL, "rate.default", FALSE, "Messages of a client"),
  { "dialect", "rate-scope", CHOIR_CONFIG_CHOICE, "session", 0, 0, "connection|session|user", NULL, NULL, FALSE,
    "What the rate counts for" },
  OVER ("dialect", "burst-queue", CHOIR_CONFIG_UINT, 0, 10000, NULL, "rate.burst-queue", FALSE,
        "Messages held back rather than refused"),
  OVER ("dialect", "max-message-size", CHOIR_CONFIG_SIZE, 128, GIB, NULL, "protocol.max-message-size", FALSE,
        "Largest message"),
  OVER ("dialect", "heartbeat-interval", CHOIR_CONFIG_DURATION, 10 * MSEC, DAY, NULL, "protocol.heartbeat-interval",
        FALSE, "Time between pings"),
  OVER ("dialect", "idle-timeout", CHOIR_CONFIG_DURATION, 10 * MSEC, 30 * DAY, NULL, "protocol.idle-timeout", FALSE,
        "Silence after which a connection is closed"),
  OVER ("dialect", "max-connections", CHOIR_CONFIG_UINT, 1, 10000000, NULL, "server.max-connections", FALSE,
        "Most connections at a time"),
  OVER ("dialect", "max-connections-per-user", CHOIR_CONFIG_UINT, 1, 1000000, NULL,
        "server.max-connections-per-user", FALSE, "Most connections of one user"),
  OVER ("dialect", "per-user-policy", CHOIR_CONFIG_CHOICE, 0, 0, PER_USER, "server.per-user-policy", FALSE,
        "What one connection too many of a user does"),
};

static const ChoirConfigBuiltin builtins[] = {
  { "namespace all", "subscribe", "anyone" },
  { "namespace all", "publish", "permission" },
  { "namespace all", "presence", "no" },
  { "namespace user", "subscribe", "owner" },
  { "namespace user", "publish", "permission" },
  { "namespace user", "presence", "no" },
  { "namespace session", "subscribe", "owner" },
  { "namespace session", "publish", "permission" },
  { "namespace session", "presence", "no" },
  { "namespace event", "subscribe", "authenticated" },
  { "namespace event", "publish", "permission" },
  { "namespace event", "presence", "no" },
  { "namespace event", "history-size", "100" },
  { "namespace chat", "subscribe", "authenticated" },
  { "namespace chat", "publish", "authenticated" },
  { "namespace chat", "presence", "yes" },
  { "namespace chat", "persist", "yes" },
  { "namespace chat", "replay", "50" },
  { "namespace chat", "priority", "5" },
  { "namespace agent-status", "subscribe", "authenticated" },
  { "namespace agent-status", "publish", "permission" },
  { "namespace document", "subscribe", "permission" },
  { "namespace document", "publish", "permission" },
  { "dialect choir", "rate-scope", "session" },
  { "dialect netra", "rate", "30/60s" },
  { "dialect netra", "rate-scope", "connection" },
  { "dialect netra", "burst-queue", "0" },
  { "dialect netra-spec", "rate", "60/60s" },
  { "dialect netra-spec", "rate-scope", "user" },
  { "dialect netra-spec", "max-message-size", "10K" },
  { "dialect jddb", "rate", "10/1s;300/60s" },
  { "dialect jddb", "rate-scope", "session" },
  { "dialect jddb", "burst-queue", "0" },
  { "dialect jddb", "max-message-size", "1M" },
  { "dialect reviewpoint", "rate", "100/60s" },
  { "dialect reviewpoint", "rate-scope", "user" },
  { "dialect reviewpoint", "burst-queue", "0" },
  { "dialect reviewpoint", "max-connections", "1000" },
  { "dialect reviewpoint", "max-connections-per-user", "3" },
  { "dialect reviewpoint", "per-user-policy", "reject" },
  { "dialect reviewpoint", "idle-timeout", "60s" },
  { "dialect tripsage", "rate-scope", "session" },
};
/* clang-format on */

/**
 * choir_config_table_get_keys:
 * @n_keys: (out): how many
 *
 * Returns: (transfer none): every key there is; those of an instance stand under its section
 */
const ChoirConfigKey *
choir_config_table_get_keys (guint *n_keys)
{
  *n_keys = G_N_ELEMENTS (keys);
  return keys;
}

/**
 * choir_config_table_get_builtins:
 * @n_builtins: (out): how many
 *
 * Returns: (transfer none): what built-in instances say otherwise than their section
 */
const ChoirConfigBuiltin *
choir_config_table_get_builtins (guint *n_builtins)
{
  *n_builtins = G_N_ELEMENTS (builtins);
  return builtins;
}

/**
 * choir_config_table_get_dialects:
 *
 * Returns: (transfer none) (array zero-terminated=1): the only instances of "dialect"
 */
const char *const *
choir_config_table_get_dialects (void)
{
  static const char *const dialects[] = { "choir",      "choir-cbor",  "jddb",     "netra",
                                          "netra-spec", "reviewpoint", "tripsage", NULL };

  return dialects;
}

/**
 * choir_config_table_get_parent:
 * @group: a section, or a section and the name of an instance
 *
 * The same protocol in another encoding is held to the same limits, unless it is told otherwise.
 *
 * Returns: (transfer none) (nullable): the instance that says what @group does not
 */
const char *
choir_config_table_get_parent (const char *group)
{
  return strcmp (group, "dialect choir-cbor") == 0 ? "dialect choir" : NULL;
}

/**
 * choir_config_table_find:
 * @section: a section, without the name of an instance
 * @key: a key
 *
 * Returns: (transfer none) (nullable): its row
 */
const ChoirConfigKey *
choir_config_table_find (const char *section, const char *key)
{
  for (guint i = 0; i < G_N_ELEMENTS (keys); i++)
    {
      if (strcmp (keys[i].section, section) == 0 && strcmp (keys[i].key, key) == 0)
        return &keys[i];
    }

  return NULL;
}

/**
 * choir_config_table_has_section:
 * @section: a name
 *
 * Returns: whether any key stands in such a section
 */
gboolean
choir_config_table_has_section (const char *section)
{
  for (guint i = 0; i < G_N_ELEMENTS (keys); i++)
    {
      if (strcmp (keys[i].section, section) == 0)
        return TRUE;
    }

  return FALSE;
}

/**
 * choir_config_table_has_instances:
 * @section: a name
 *
 * Returns: whether "[@section NAME]" can be written
 */
gboolean
choir_config_table_has_instances (const char *section)
{
  return strcmp (section, "namespace") == 0 || strcmp (section, "dialect") == 0;
}
