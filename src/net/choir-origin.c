/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-origin.h"

#include <arpa/inet.h>
#include <string.h>

#include "choir-error.h"

#define PATTERNS_MAX 256
/* RFC 1035 2.3.4 */
#define HOST_MAX 253
#define LABEL_MAX 63
#define SCHEME_MAX 32
#define PORT_ANY -1

typedef struct
{
  char scheme[SCHEME_MAX + 1];
  char host[HOST_MAX + 1]; /* lower case; of a wildcard, what follows "*." */
  int port;                /* 0: the scheme has none by default */
  gboolean is_wildcard;
} Origin;

struct _ChoirOriginPolicy
{
  GArray *patterns; /* (owned) (element-type Origin) */
  gboolean allow_no_origin;
  gboolean allow_any;
};

/* RFC 3986 3.1 */
static gboolean
take_scheme (const char **text, Origin *out)
{
  const char *end = strstr (*text, "://");
  gsize len = end != NULL ? (gsize) (end - *text) : 0;

  if (len == 0 || len > SCHEME_MAX || !g_ascii_isalpha (**text))
    return FALSE;
  for (gsize i = 0; i < len; i++)
    {
      char c = (*text)[i];

      if (!g_ascii_isalnum (c) && c != '+' && c != '-' && c != '.')
        return FALSE;
      out->scheme[i] = g_ascii_tolower (c);
    }
  out->scheme[len] = '\0';
  *text = end + strlen ("://");
  return TRUE;
}

static gboolean
is_dns_name (const char *host)
{
  gsize label_len = 0;

  for (; *host != '\0'; host++)
    {
      if (*host == '.' && label_len == 0)
        return FALSE;
      if (*host != '.' && !g_ascii_isalnum (*host) && *host != '-' && *host != '_')
        return FALSE;
      label_len = *host == '.' ? 0 : label_len + 1;
      if (label_len > LABEL_MAX)
        return FALSE;
    }
  return label_len > 0;
}

/* "[::1]": spelled in one way only, so that texts can be compared */
static gboolean
normalize_ipv6 (char *host)
{
  gsize len = strlen (host);
  guint8 address[16];

  if (len < 4 || host[len - 1] != ']')
    return FALSE;
  host[len - 1] = '\0';
  if (inet_pton (AF_INET6, host + 1, address) != 1)
    return FALSE;
  inet_ntop (AF_INET6, address, host + 1, HOST_MAX - 2);
  g_strlcat (host, "]", HOST_MAX);
  return TRUE;
}

static gboolean
take_host (const char **text, Origin *out)
{
  gsize len = **text == '[' ? strcspn (*text, "]") + 1 : strcspn (*text, ":");

  if (len > HOST_MAX || len > strlen (*text))
    return FALSE;
  for (gsize i = 0; i < len; i++)
    out->host[i] = g_ascii_tolower ((*text)[i]);
  out->host[len] = '\0';
  *text += len;
  return out->host[0] == '[' ? normalize_ipv6 (out->host) : is_dns_name (out->host);
}

static int
get_default_port (const char *scheme)
{
  if (g_str_equal (scheme, "https"))
    return 443;
  return g_str_equal (scheme, "http") ? 80 : 0;
}

/* Takes ":port" or nothing up to the end */
static gboolean
take_port (const char *text, Origin *out)
{
  guint64 port;

  out->port = get_default_port (out->scheme);
  if (*text == '\0')
    return TRUE;
  if (text[0] != ':' || text[1] < '1' || text[1] > '9' ||
      !g_ascii_string_to_unsigned (text + 1, 10, 1, 65535, &port, NULL))
    return FALSE;
  out->port = (int) port;
  return TRUE;
}

/* RFC 6454 6.2 */
static gboolean
parse_origin (const char *text, Origin *out)
{
  return take_scheme (&text, out) && take_host (&text, out) && take_port (text, out);
}

static gboolean
refuse (GError **error, const char *pattern, const char *what)
{
  g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG, "origin “%s”: %s", pattern, what);
  return FALSE;
}

/* Below a public suffix such as "com" anyone may have a name */
static gboolean
check_wildcard (const Origin *pattern)
{
  const char *dot = strrchr (pattern->host, '.');

  return pattern->host[0] != '[' && dot != NULL && !g_ascii_isdigit (dot[1]);
}

static gboolean
parse_pattern (const char *text, Origin *out, GError **error)
{
  const char *rest = text;

  if (!take_scheme (&rest, out))
    return refuse (error, text, "does not begin with a scheme such as https://");
  if (g_str_has_prefix (rest, "*."))
    {
      out->is_wildcard = TRUE;
      rest += 2;
    }
  if (!take_host (&rest, out))
    return refuse (error, text, "no host name; “*.” may stand before at least two labels");
  if (out->is_wildcard && !check_wildcard (out))
    return refuse (error, text, "“*.” needs at least two labels after it");
  if (g_str_equal (rest, ":*"))
    out->port = PORT_ANY;
  else if (!take_port (rest, out))
    return refuse (error, text, "after the host only a port may follow, or “:*”");
  return TRUE;
}

static gboolean
add_pattern (ChoirOriginPolicy *self, const char *text, gboolean is_development, GError **error)
{
  Origin pattern = { 0 };

  if (g_str_equal (text, "*"))
    {
      self->allow_any = TRUE;
      return is_development || refuse (error, text, "allowed in development only");
    }
  if (self->patterns->len == PATTERNS_MAX)
    return refuse (error, text, "too many patterns");
  if (!parse_pattern (text, &pattern, error))
    return FALSE;
  g_array_append_val (self->patterns, pattern);
  return TRUE;
}

/**
 * choir_origin_policy_new:
 * @patterns: (nullable): at most 256, ending with %NULL
 * @allow_no_origin: whether clients that send no Origin, so no browsers, may connect
 * @is_development: whether a lone `*` may stand for every origin
 * @error: set with %CHOIR_ERROR_CONFIG
 *
 * Returns: (transfer full): the policy, or %NULL
 */
ChoirOriginPolicy *
choir_origin_policy_new (const char *const *patterns,
                         gboolean allow_no_origin,
                         gboolean is_development,
                         GError **error)
{
  g_autoptr (ChoirOriginPolicy) self = g_new0 (ChoirOriginPolicy, 1);

  self->patterns = g_array_new (FALSE, FALSE, sizeof (Origin));
  self->allow_no_origin = allow_no_origin;
  for (; patterns != NULL && *patterns != NULL; patterns++)
    {
      if (!add_pattern (self, *patterns, is_development, error))
        return NULL;
    }
  return g_steal_pointer (&self);
}

/**
 * choir_origin_policy_free:
 * @self: (transfer full):
 */
void
choir_origin_policy_free (ChoirOriginPolicy *self)
{
  g_array_unref (self->patterns);
  g_free (self);
}

static gboolean
host_matches (const Origin *pattern, const char *host)
{
  const char *dot;

  if (!pattern->is_wildcard)
    return g_str_equal (pattern->host, host);
  dot = strchr (host, '.');
  return dot != NULL && g_str_equal (pattern->host, dot + 1);
}

static gboolean
pattern_matches (const Origin *pattern, const Origin *origin)
{
  return (pattern->port == PORT_ANY || pattern->port == origin->port) &&
         g_str_equal (pattern->scheme, origin->scheme) && host_matches (pattern, origin->host);
}

/**
 * choir_origin_policy_allows:
 * @origin: (nullable): value of the header Origin; %NULL if there was none
 *
 * What is not exactly one origin (`null`, a path, a user, a list, a final dot) is never allowed.
 *
 * Returns: whether that page may connect
 */
gboolean
choir_origin_policy_allows (const ChoirOriginPolicy *self, const char *origin)
{
  Origin parsed = { 0 };

  if (origin == NULL)
    return self->allow_no_origin;
  if (!parse_origin (origin, &parsed))
    return FALSE;
  for (guint i = 0; i < self->patterns->len; i++)
    {
      if (pattern_matches (&g_array_index (self->patterns, Origin, i), &parsed))
        return TRUE;
    }
  return self->allow_any;
}
