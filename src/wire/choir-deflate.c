/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-deflate.h"

#include <string.h>

#define EXTENSION_NAME "permessage-deflate"

/* RFC 7692 7.1.2: what a side that names no window may use */
#define WINDOW_BITS_DEFAULT 15

/* Of ours: zlib's raw deflate refuses 8, and what it makes of it elsewhere is 9 */
#define WINDOW_BITS_MIN 9

/* One offer as it was read so far */
typedef struct
{
  gboolean is_acceptable;
  guint seen; /* of 1 << index into parameters[] */
  guint server_bits;
  guint client_bits;
} Offer;

typedef enum
{
  PARAMETER_SERVER_NO_CONTEXT,
  PARAMETER_CLIENT_NO_CONTEXT,
  PARAMETER_SERVER_BITS,
  PARAMETER_CLIENT_BITS,
} Parameter;

static const char *const parameters[] = {
  [PARAMETER_SERVER_NO_CONTEXT] = "server_no_context_takeover",
  [PARAMETER_CLIENT_NO_CONTEXT] = "client_no_context_takeover",
  [PARAMETER_SERVER_BITS] = "server_max_window_bits",
  [PARAMETER_CLIENT_BITS] = "client_max_window_bits",
};

static gboolean
is_token_char (char c)
{
  return g_ascii_isalnum (c) || (c != '\0' && strchr ("!#$%&'*+-.^_`|~", c) != NULL);
}

static void
skip_blanks (const char **at)
{
  *at += strspn (*at, " \t");
}

static gboolean
skip_char (const char **at, char wanted)
{
  skip_blanks (at);
  if (**at != wanted)
    return FALSE;

  *at += 1;
  skip_blanks (at);

  return TRUE;
}

/* Returns: (transfer full) (nullable) */
static char *
read_token (const char **at)
{
  const char *start = *at;

  while (is_token_char (**at))
    *at += 1;

  return *at > start ? g_strndup (start, *at - start) : NULL;
}

/* RFC 6455 9.1: what stands between the quotes must be a token too once backslashes are resolved */
static char *
read_quoted (const char **at)
{
  g_autoptr (GString) value = g_string_new (NULL);
  const char *next = *at + 1;

  for (; *next != '"'; next++)
    {
      if (*next == '\\')
        next++;
      if (!is_token_char (*next))
        return NULL;
      g_string_append_c (value, *next);
    }

  *at = next + 1;

  return value->len > 0 ? g_string_free (g_steal_pointer (&value), FALSE) : NULL;
}

/* Leaves @at on the comma that ends this element, or on the end; commas in quotes don't count */
static void
skip_element (const char **at)
{
  gboolean quoted = FALSE;

  for (; **at != '\0' && (quoted || **at != ','); *at += 1)
    {
      if (**at == '"')
        quoted = !quoted;
      else if (quoted && **at == '\\' && (*at)[1] != '\0')
        *at += 1;
    }
}

/* RFC 7692 7.1.2: decimal, 8 to 15, no leading zero */
static guint
parse_window_bits (const char *value)
{
  if (value == NULL || !g_ascii_isdigit (value[0]) || value[0] == '0')
    return 0;
  if (value[1] == '\0')
    return value[0] >= '8' ? (guint) (value[0] - '0') : 0;
  if (value[0] != '1' || value[1] < '0' || value[1] > '5' || value[2] != '\0')
    return 0;

  return 10 + (guint) (value[1] - '0');
}

static gboolean
apply_parameter (Offer *offer, const char *name, const char *value)
{
  guint i = 0;

  while (i < G_N_ELEMENTS (parameters) && strcmp (parameters[i], name) != 0)
    i++;
  if (i == G_N_ELEMENTS (parameters) || (offer->seen & (1u << i)) != 0)
    return FALSE;
  offer->seen |= 1u << i;

  switch ((Parameter) i)
    {
    case PARAMETER_SERVER_BITS:
      offer->server_bits = parse_window_bits (value);
      return offer->server_bits >= WINDOW_BITS_MIN;

    case PARAMETER_CLIENT_BITS:
      offer->client_bits = value == NULL ? WINDOW_BITS_DEFAULT : parse_window_bits (value);
      return offer->client_bits != 0;

    case PARAMETER_SERVER_NO_CONTEXT:
    case PARAMETER_CLIENT_NO_CONTEXT:
    default:
      return value == NULL;
    }
}

/* Returns: FALSE if the grammar is broken */
static gboolean
read_parameter (const char **at, Offer *offer)
{
  g_autofree char *name = read_token (at);
  g_autofree char *value = NULL;

  if (name == NULL)
    return FALSE;

  if (skip_char (at, '='))
    {
      value = **at == '"' ? read_quoted (at) : read_token (at);
      if (value == NULL)
        return FALSE;
    }

  if (!apply_parameter (offer, name, value))
    offer->is_acceptable = FALSE;

  return TRUE;
}

/* Reads one element of the list; RFC 6455 9.1 has the grammar */
static Offer
read_offer (const char **at)
{
  g_autofree char *name = read_token (at);
  Offer offer = { .is_acceptable = g_strcmp0 (name, EXTENSION_NAME) == 0 };

  while (skip_char (at, ';'))
    if (!read_parameter (at, &offer))
      {
        offer.is_acceptable = FALSE;
        break;
      }

  skip_blanks (at);
  if (**at != ',' && **at != '\0')
    offer.is_acceptable = FALSE;
  skip_element (at);

  return offer;
}

static gboolean
has_parameter (const Offer *offer, Parameter parameter)
{
  return (offer->seen & (1u << parameter)) != 0;
}

static void
agree (const Offer *offer, const ChoirDeflatePolicy *policy, ChoirDeflateParams *out)
{
  out->enabled = TRUE;
  out->server_no_context_takeover =
    !policy->allow_server_context || has_parameter (offer, PARAMETER_SERVER_NO_CONTEXT);
  out->client_no_context_takeover =
    !policy->allow_client_context || has_parameter (offer, PARAMETER_CLIENT_NO_CONTEXT);

  out->server_max_window_bits = policy->max_window_bits;
  if (has_parameter (offer, PARAMETER_SERVER_BITS))
    out->server_max_window_bits = MIN (policy->max_window_bits, offer->server_bits);

  /* RFC 7692 7.1.2.2: a client that did not offer it can't be told to use less */
  out->client_max_window_bits = WINDOW_BITS_DEFAULT;
  if (has_parameter (offer, PARAMETER_CLIENT_BITS))
    out->client_max_window_bits = MIN (policy->max_window_bits, offer->client_bits);
}

static char *
format_response (const Offer *offer, const ChoirDeflateParams *params)
{
  GString *text = g_string_new (EXTENSION_NAME);

  if (params->server_no_context_takeover)
    g_string_append_printf (text, "; %s", parameters[PARAMETER_SERVER_NO_CONTEXT]);
  if (params->client_no_context_takeover)
    g_string_append_printf (text, "; %s", parameters[PARAMETER_CLIENT_NO_CONTEXT]);
  if (has_parameter (offer, PARAMETER_SERVER_BITS) ||
      params->server_max_window_bits < WINDOW_BITS_DEFAULT)
    g_string_append_printf (text, "; %s=%u", parameters[PARAMETER_SERVER_BITS],
                            (guint) params->server_max_window_bits);
  if (has_parameter (offer, PARAMETER_CLIENT_BITS))
    g_string_append_printf (text, "; %s=%u", parameters[PARAMETER_CLIENT_BITS],
                            (guint) params->client_max_window_bits);

  return g_string_free (text, FALSE);
}

/**
 * choir_deflate_negotiate:
 * @offers: (nullable): the value of Sec-WebSocket-Extensions, several fields joined by commas
 * @policy: what we want
 * @out: (out): what was agreed on; zero-filled if nothing
 * @response: (out) (transfer full) (nullable): the answer's value of the same field
 *
 * Source: RFC 7692 sections 5 and 7.1, RFC 6455 9.1. Names are compared as they are registered, in
 * lower case.
 *
 * Returns: whether an offer was accepted, the first one that can be
 */
gboolean
choir_deflate_negotiate (const char *offers,
                         const ChoirDeflatePolicy *policy,
                         ChoirDeflateParams *out,
                         char **response)
{
  const char *at = offers;

  *out = (ChoirDeflateParams){ 0 };
  *response = NULL;
  g_return_val_if_fail (policy->max_window_bits >= WINDOW_BITS_MIN &&
                          policy->max_window_bits <= WINDOW_BITS_DEFAULT,
                        FALSE);
  if (offers == NULL)
    return FALSE;

  skip_blanks (&at);
  while (*at != '\0')
    {
      Offer offer = read_offer (&at);

      if (offer.is_acceptable)
        {
          agree (&offer, policy, out);
          *response = format_response (&offer, out);
          return TRUE;
        }
      skip_char (&at, ',');
    }

  return FALSE;
}
