/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-token.h"

#include <string.h>

#include "choir-claims-private.h"
#include "choir-error.h"
#include "choir-names.h"

#define KID_MAX 128

static gboolean
refuse (GError **error)
{
  g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_AUTH, "Invalid token");
  return FALSE;
}

/* RFC 4648 5 */
static int
sextet (char c)
{
  if (c >= 'A' && c <= 'Z')
    return c - 'A';
  if (c >= 'a' && c <= 'z')
    return c - 'a' + 26;
  if (c >= '0' && c <= '9')
    return c - '0' + 52;
  if (c == '-')
    return 62;
  return c == '_' ? 63 : -1;
}

/* No padding, no characters outside the alphabet, no bits left over: there is one spelling of each
 * token. libjwt's decoder passes over what it doesn't know, so it must never see any.
 * @out: (nullable) room for 3 bytes per 4 of @len */
static gboolean
decode (const char *text, gsize len, char *out, gsize *out_len)
{
  guint32 bits = 0;
  guint n_bits = 0;
  gsize n = 0;

  if (len == 0 || len % 4 == 1)
    return FALSE;
  for (gsize i = 0; i < len; i++)
    {
      int value = sextet (text[i]);

      if (value < 0)
        return FALSE;
      bits = (bits << 6 | (guint32) value) & 0xffff;
      n_bits += 6;
      if (n_bits < 8)
        continue;
      n_bits -= 8;
      if (out != NULL)
        out[n] = (char) (bits >> n_bits);
      n++;
    }
  *out_len = n;
  return (bits & ((1u << n_bits) - 1)) == 0;
}

static json_t *
parse_part (const char *text, gsize len, GError **error)
{
  char json[CHOIR_TOKEN_MAX];
  gsize json_len;

  if (!decode (text, len, json, &json_len))
    {
      refuse (error);
      return NULL;
    }
  return choir_claims_parse (json, json_len, error);
}

/* RFC 7515 4.1: `crit` names extensions one must understand; we know none. Of types, libjwt 1.10
 * takes JWT only. */
static gboolean
read_header (ChoirToken *self, GError **error)
{
  const json_t *kid = json_object_get (self->header, "kid");
  const json_t *type = json_object_get (self->header, "typ");

  self->algorithm = json_string_value (json_object_get (self->header, "alg"));
  if (self->algorithm == NULL || json_object_get (self->header, "crit") != NULL)
    return refuse (error);
  if (type != NULL &&
      (!json_is_string (type) || g_ascii_strcasecmp (json_string_value (type), "JWT") != 0))
    return refuse (error);
  if (kid == NULL)
    return TRUE;
  self->kid = json_string_value (kid);
  return (self->kid != NULL && json_string_length (kid) <= KID_MAX) || refuse (error);
}

/**
 * choir_token_parse:
 * @text: the token; must outlive @out
 * @out: (out caller-allocates): zero-filled
 *
 * Checks the length, the three parts and the header, and leaves the payload alone: it is read
 * when the signature has been found good.
 *
 * Returns: %FALSE with %CHOIR_ERROR_AUTH
 */
gboolean
choir_token_parse (const char *text, ChoirToken *out, GError **error)
{
  const char *dot, *second;
  gsize len = strnlen (text, CHOIR_TOKEN_MAX + 1);
  gsize signature_len;

  if (len > CHOIR_TOKEN_MAX)
    return refuse (error);
  dot = strchr (text, '.');
  second = dot != NULL ? strchr (dot + 1, '.') : NULL;
  if (second == NULL || !decode (second + 1, text + len - second - 1, NULL, &signature_len))
    return refuse (error);
  out->text = text;
  out->payload = dot + 1;
  out->payload_len = second - dot - 1;
  out->header = parse_part (text, dot - text, error);
  return out->header != NULL && read_header (out, error);
}

/**
 * choir_token_parse_payload:
 *
 * Returns: (transfer full): the claims object, or %NULL with %CHOIR_ERROR_AUTH
 */
json_t *
choir_token_parse_payload (const ChoirToken *self, GError **error)
{
  return parse_part (self->payload, self->payload_len, error);
}

/**
 * choir_token_clear:
 *
 * Frees what @self owns.
 */
void
choir_token_clear (ChoirToken *self)
{
  json_decref (self->header);
  *self = (ChoirToken){ 0 };
}
