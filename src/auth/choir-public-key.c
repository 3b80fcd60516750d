/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-public-key.h"

#include <string.h>

#include "choir-error.h"

/* RFC 7518 3.3 */
#define RSA_BITS_MIN 2048

#define PEM_BEGIN "-----BEGIN PUBLIC KEY-----"
#define PEM_END "-----END PUBLIC KEY-----"

enum
{
  DER_INTEGER = 0x02,
  DER_BIT_STRING = 0x03,
  DER_OID = 0x06,
  DER_SEQUENCE = 0x30,
};

typedef struct
{
  const guint8 *data;
  gsize len;
} Der;

typedef struct
{
  const char *name;
  guint8 oid[8];
  gsize oid_len;
  gsize coordinate_len;
} Curve;

static const guint8 rsa_oid[] = { 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01 };
static const guint8 ec_oid[] = { 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01 };

/* RFC 5480 2.1.1.1 */
static const Curve curves[] = {
  { "P-256", { 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07 }, 8, 32 },
  { "P-384", { 0x2b, 0x81, 0x04, 0x00, 0x22 }, 5, 48 },
  { "P-521", { 0x2b, 0x81, 0x04, 0x00, 0x23 }, 5, 66 },
};

static gboolean
refuse (GError **error, const char *what)
{
  g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG, what);
  return FALSE;
}

static gboolean
read_length (Der *in, gsize *out)
{
  guint n_bytes;

  if (in->len == 0)
    return FALSE;
  *out = in->data[0];
  n_bytes = *out >= 0x80 ? *out - 0x80 : 0;
  if (n_bytes > 2 || *out == 0x80 || in->len < 1 + n_bytes)
    return FALSE;
  if (n_bytes > 0)
    *out = 0;
  for (guint i = 0; i < n_bytes; i++)
    *out = *out << 8 | in->data[1 + i];
  in->data += 1 + n_bytes;
  in->len -= 1 + n_bytes;
  return TRUE;
}

/* Takes one element off the front of @in */
static gboolean
take (Der *in, guint8 tag, Der *content)
{
  if (in->len == 0 || in->data[0] != tag)
    return FALSE;
  in->data++;
  in->len--;
  if (!read_length (in, &content->len) || content->len > in->len)
    return FALSE;
  content->data = in->data;
  in->data += content->len;
  in->len -= content->len;
  return TRUE;
}

static gboolean
equals (Der der, const guint8 *data, gsize len)
{
  return der.len == len && memcmp (der.data, data, len) == 0;
}

/* SubjectPublicKeyInfo, RFC 5280 4.1: a BIT STRING begins with the number of unused bits */
static gboolean
take_key_info (Der in, Der *kind, Der *parameters, Der *key)
{
  Der info;

  if (!take (&in, DER_SEQUENCE, &info) || in.len != 0 || !take (&info, DER_SEQUENCE, parameters) ||
      !take (&info, DER_BIT_STRING, key) || info.len != 0)
    return FALSE;
  if (!take (parameters, DER_OID, kind) || key->len < 2 || key->data[0] != 0)
    return FALSE;
  key->data++;
  key->len--;
  return TRUE;
}

/* RFC 8017 A.1.1 */
static gboolean
check_rsa (Der kind, Der key, GError **error)
{
  Der body, modulus, exponent;

  if (!equals (kind, rsa_oid, sizeof rsa_oid))
    return refuse (error, "not an RSA key");
  if (!take (&key, DER_SEQUENCE, &body) || key.len != 0 || !take (&body, DER_INTEGER, &modulus) ||
      !take (&body, DER_INTEGER, &exponent) || body.len != 0 || exponent.len == 0)
    return refuse (error, "not a readable RSA key");
  while (modulus.len > 0 && modulus.data[0] == 0)
    {
      modulus.data++;
      modulus.len--;
    }
  if (modulus.len < RSA_BITS_MIN / 8 || modulus.data[0] < 0x80)
    return refuse (error, "RSA key of less than 2048 bits");
  return TRUE;
}

/* SEC 1 2.3.3: 4 and both coordinates, or 2 or 3 and one */
static gboolean
is_point (Der key, gsize coordinate_len)
{
  if (key.data[0] == 4)
    return key.len == 1 + 2 * coordinate_len;
  return (key.data[0] == 2 || key.data[0] == 3) && key.len == 1 + coordinate_len;
}

static gboolean
check_ec (Der kind, Der parameters, Der key, const Curve *curve, GError **error)
{
  Der named;

  if (!equals (kind, ec_oid, sizeof ec_oid))
    return refuse (error, "not an elliptic-curve key");
  if (!take (&parameters, DER_OID, &named) || parameters.len != 0 ||
      !equals (named, curve->oid, curve->oid_len))
    {
      g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG, "not a key on the curve %s",
                   curve->name);
      return FALSE;
    }
  if (!is_point (key, curve->coordinate_len))
    return refuse (error, "not a readable elliptic-curve key");
  return TRUE;
}

static guint8 *
decode_pem (const char *pem, gsize len, gsize *out_len, GError **error)
{
  g_autofree char *text = g_strndup (pem, len);
  char *begin = strstr (text, PEM_BEGIN);
  char *end = begin != NULL ? strstr (begin, PEM_END) : NULL;

  if (strstr (text, "PRIVATE KEY-----") != NULL)
    {
      refuse (error, "holds a private key; only the public one belongs here");
      return NULL;
    }
  if (end == NULL || strlen (text) != len || strstr (end, "-----BEGIN") != NULL)
    {
      refuse (error, "not one PEM block \"PUBLIC KEY\"");
      return NULL;
    }
  *end = '\0';
  return g_base64_decode (begin + strlen (PEM_BEGIN), out_len);
}

/**
 * choir_public_key_check:
 * @pem: contents of the file
 * @len: bytes
 * @algorithm: an RS or ES algorithm
 *
 * libjwt reports a wrong key as a wrong signature, for every token there will ever be; this says
 * so at start. ES algorithms go with one curve each (RFC 7518 3.4).
 *
 * Returns: %FALSE with %CHOIR_ERROR_CONFIG
 */
gboolean
choir_public_key_check (const char *pem, gsize len, ChoirAlgorithm algorithm, GError **error)
{
  gsize der_len = 0;
  g_autofree guint8 *data = decode_pem (pem, len, &der_len, error);
  Der kind, parameters, key;

  if (data == NULL)
    return FALSE;
  if (!take_key_info ((Der){ data, der_len }, &kind, &parameters, &key))
    return refuse (error, "not a readable public key");
  if (algorithm >= CHOIR_ALGORITHM_ES256)
    return check_ec (kind, parameters, key, &curves[algorithm - CHOIR_ALGORITHM_ES256], error);
  return check_rsa (kind, key, error);
}
