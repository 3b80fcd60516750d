/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-claims.h"

#include <string.h>

#include "choir-claims-private.h"
#include "choir-error.h"
#include "choir-names.h"

/* More roles or permissions than this is no token for a person */
#define LIST_MAX 256
#define ROLE_MAX 128
#define TEXT_MAX 255

/* A service holds one of these for every connection: one allocation, and offsets of two bytes into
 * @text instead of pointers. @text begins with the user id, so offset 0 stands for it or for
 * "none". */
struct _ChoirClaims
{
  gint64 expiry_us;
  guint32 ref_count;
  guint16 name;
  guint16 type;
  guint16 jti;
  guint16 lists;
  guint16 n_roles;
  guint16 n_permissions;
  guint8 is_guest;
  guint8 is_admin;
  char text[]; /* NUL-terminated strings; from @lists on the roles, then the permissions */
};

G_STATIC_ASSERT (CHOIR_TOKEN_MAX < G_MAXUINT16);

typedef struct
{
  ChoirClaims *claims; /* (owned) still without its text */
  GString *text;       /* (owned) */
} Builder;

static gboolean
refuse (GError **error, const char *claim, const char *what)
{
  g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_AUTH, "Invalid token: claim %s %s", claim, what);
  return FALSE;
}

static guint16
builder_add (Builder *self, const char *text)
{
  guint16 offset = self->text->len;

  g_string_append_len (self->text, text, strlen (text) + 1);
  return offset;
}

static gboolean
has_control_character (const char *text)
{
  for (; *text != '\0'; text++)
    {
      if ((guchar) *text < ' ' || *text == 0x7f)
        return TRUE;
    }
  return FALSE;
}

/* Some issuers write null for what they don't know */
static const json_t *
get_claim (const json_t *payload, const char *key)
{
  const json_t *value = json_object_get (payload, key);

  return json_is_null (value) ? NULL : value;
}

static gboolean
read_text (const json_t *payload, const char *key, const char **out, GError **error)
{
  const json_t *value = get_claim (payload, key);

  if (value == NULL)
    return TRUE;
  if (!json_is_string (value))
    return refuse (error, key, "is not a string");
  if (json_string_length (value) > TEXT_MAX)
    return refuse (error, key, "is too long");
  if (has_control_character (json_string_value (value)))
    return refuse (error, key, "holds control characters");
  if (json_string_length (value) > 0)
    *out = json_string_value (value);
  return TRUE;
}

static gboolean
builder_add_subject (Builder *self, const json_t *payload, GError **error)
{
  const json_t *value = json_object_get (payload, "sub");

  if (value == NULL)
    return refuse (error, "sub", "is missing");
  if (!json_is_string (value) ||
      !choir_name_is_user (json_string_value (value), json_string_length (value)))
    return refuse (error, "sub", "is not a user id");
  builder_add (self, json_string_value (value));
  return TRUE;
}

static gboolean
builder_add_texts (Builder *self, const json_t *payload, GError **error)
{
  const char *name = NULL, *type = NULL, *jti = NULL;

  if (!read_text (payload, "preferred_username", &name, error) ||
      !read_text (payload, "name", &name, error) || !read_text (payload, "type", &type, error) ||
      !read_text (payload, "jti", &jti, error))
    return FALSE;
  if (name != NULL && !g_str_equal (name, self->text->str))
    self->claims->name = builder_add (self, name);
  if (type != NULL)
    self->claims->type = builder_add (self, type);
  if (jti != NULL)
    self->claims->jti = builder_add (self, jti);
  return TRUE;
}

static gboolean
builder_add_role (Builder *self, const char *claim, const json_t *value, GError **error)
{
  if (!json_is_string (value))
    return refuse (error, claim, "holds something other than strings");
  if (json_string_length (value) > ROLE_MAX)
    return refuse (error, claim, "holds a name that is too long");
  if (json_string_length (value) == 0)
    return TRUE;
  builder_add (self, json_string_value (value));
  self->claims->n_roles++;
  self->claims->is_admin |= g_str_equal (json_string_value (value), "admin");
  return TRUE;
}

static gboolean
check_list (const json_t *value, const char *claim, GError **error)
{
  if (!json_is_array (value))
    return refuse (error, claim, "is not an array");
  if (json_array_size (value) > LIST_MAX)
    return refuse (error, claim, "holds too many entries");
  return TRUE;
}

static gboolean
builder_add_roles (Builder *self, const json_t *payload, GError **error)
{
  const json_t *roles = get_claim (payload, "roles");
  const json_t *role = get_claim (payload, "role");

  if (role != NULL && !builder_add_role (self, "role", role, error))
    return FALSE;
  if (roles == NULL)
    return TRUE;
  if (!check_list (roles, "roles", error))
    return FALSE;
  for (gsize i = 0; i < json_array_size (roles); i++)
    {
      if (!builder_add_role (self, "roles", json_array_get (roles, i), error))
        return FALSE;
    }
  return TRUE;
}

/* Tokens serve other services too: what is no permission of ours is no error, and not kept */
static void
builder_add_permission (Builder *self, const char *permission)
{
  if (!choir_permission_is_valid (permission))
    return;
  builder_add (self, permission);
  self->claims->n_permissions++;
}

static gboolean
builder_add_permissions (Builder *self, const json_t *payload, GError **error)
{
  const json_t *permissions = get_claim (payload, "permissions");

  if (permissions == NULL)
    return TRUE;
  if (!check_list (permissions, "permissions", error))
    return FALSE;
  for (gsize i = 0; i < json_array_size (permissions); i++)
    {
      const json_t *value = json_array_get (permissions, i);

      if (!json_is_string (value))
        return refuse (error, "permissions", "holds something other than strings");
      builder_add_permission (self, json_string_value (value));
    }
  return TRUE;
}

/* RFC 8693 4.2: one string, single spaces between */
static gboolean
builder_add_scope (Builder *self, const json_t *payload, GError **error)
{
  const json_t *scope = get_claim (payload, "scope");
  g_auto (GStrv) words = NULL;

  if (scope == NULL)
    return TRUE;
  if (!json_is_string (scope))
    return refuse (error, "scope", "is not a string");
  words = g_strsplit (json_string_value (scope), " ", LIST_MAX + 1);
  if (g_strv_length (words) > LIST_MAX)
    return refuse (error, "scope", "holds too many entries");
  for (char **word = words; *word != NULL; word++)
    builder_add_permission (self, *word);
  return TRUE;
}

static gboolean
builder_fill (Builder *self, const json_t *payload, GError **error)
{
  if (!choir_claims_read_time (payload, "exp", &self->claims->expiry_us, error) ||
      !builder_add_subject (self, payload, error) || !builder_add_texts (self, payload, error))
    return FALSE;
  self->claims->lists = self->text->len;
  return builder_add_roles (self, payload, error) &&
         builder_add_permissions (self, payload, error) && builder_add_scope (self, payload, error);
}

static ChoirClaims *
builder_end (Builder *self)
{
  ChoirClaims *claims =
    g_realloc (self->claims, G_STRUCT_OFFSET (ChoirClaims, text) + self->text->len);

  memcpy (claims->text, self->text->str, self->text->len);
  self->claims = NULL;
  return claims;
}

/**
 * choir_claims_new_from_object:
 * @payload: the payload of a verified token, from a text of at most %CHOIR_TOKEN_MAX bytes
 *
 * Reads what is known and passes over the rest. Roles are the strings of `roles` and `role`,
 * permissions those of `permissions` and of the space-separated `scope`.
 *
 * Returns: (transfer full): the claims, or %NULL with %CHOIR_ERROR_AUTH
 */
ChoirClaims *
choir_claims_new_from_object (const json_t *payload, GError **error)
{
  Builder builder = { g_new0 (ChoirClaims, 1), g_string_sized_new (256) };
  ChoirClaims *claims = NULL;

  builder.claims->expiry_us = G_MAXINT64;
  builder.claims->ref_count = 1;
  if (builder_fill (&builder, payload, error))
    claims = builder_end (&builder);
  g_free (builder.claims);
  g_string_free (builder.text, TRUE);
  return claims;
}

/**
 * choir_claims_read_time:
 * @payload: an object
 * @key: name of a NumericDate (RFC 7519 2): seconds, maybe with a fraction
 * @out_wall_us: (out): left alone when there is no such claim; saturates
 *
 * Returns: %FALSE with %CHOIR_ERROR_AUTH if the claim is there and no number
 */
gboolean
choir_claims_read_time (const json_t *payload, const char *key, gint64 *out_wall_us, GError **error)
{
  const json_t *value = json_object_get (payload, key);
  double us;

  if (value == NULL)
    return TRUE;
  if (!json_is_number (value))
    return refuse (error, key, "is not a number");
  us = json_number_value (value) * G_USEC_PER_SEC;
  if (us >= 9e18)
    *out_wall_us = G_MAXINT64;
  else if (us <= -9e18)
    *out_wall_us = G_MININT64;
  else
    *out_wall_us = (gint64) us;
  return TRUE;
}

/**
 * choir_claims_parse:
 * @json: text of one object
 * @len: its length in bytes
 *
 * Strict: RFC 8259, valid UTF-8, no NUL, no key twice (RFC 7519 4 leaves that open; two readers
 * that differ about it are an attack).
 *
 * Returns: (transfer full): the object, or %NULL with %CHOIR_ERROR_AUTH
 */
json_t *
choir_claims_parse (const char *json, gsize len, GError **error)
{
  json_t *object = NULL;
  json_error_t problem;

  if (len <= CHOIR_TOKEN_MAX)
    object = json_loadb (json, len, JSON_REJECT_DUPLICATES, &problem);
  if (!json_is_object (object))
    {
      json_decref (object);
      g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_AUTH, "Invalid token");
      return NULL;
    }
  return object;
}

/**
 * choir_claims_new_from_json:
 * @json: payload of a token, at most %CHOIR_TOKEN_MAX bytes
 * @len: bytes, or -1 if @json ends with a NUL
 *
 * Checks form only; whether the token holds now, and for whom, is the verifier's question.
 *
 * Returns: (transfer full): the claims, or %NULL with %CHOIR_ERROR_AUTH
 */
ChoirClaims *
choir_claims_new_from_json (const char *json, gssize len, GError **error)
{
  json_auto_t *payload = choir_claims_parse (json, len < 0 ? strlen (json) : (gsize) len, error);

  return payload != NULL ? choir_claims_new_from_object (payload, error) : NULL;
}

/**
 * choir_claims_new_guest:
 * @user_id: the id the caller made up
 *
 * Returns: (transfer full): claims without roles and permissions that never expire
 */
ChoirClaims *
choir_claims_new_guest (const char *user_id)
{
  gsize len = strlen (user_id);
  ChoirClaims *self;

  g_return_val_if_fail (len > 0 && len <= CHOIR_USER_ID_MAX, NULL);

  self = g_malloc0 (G_STRUCT_OFFSET (ChoirClaims, text) + len + 1);
  self->expiry_us = G_MAXINT64;
  self->ref_count = 1;
  self->is_guest = TRUE;
  self->lists = len + 1;
  memcpy (self->text, user_id, len + 1);
  return self;
}

/**
 * choir_claims_ref:
 *
 * Returns: (transfer full): @self; not for two threads at a time
 */
ChoirClaims *
choir_claims_ref (ChoirClaims *self)
{
  self->ref_count++;
  return self;
}

/**
 * choir_claims_unref:
 * @self: (transfer full):
 */
void
choir_claims_unref (ChoirClaims *self)
{
  if (--self->ref_count == 0)
    g_free (self);
}

/**
 * choir_claims_get_user_id:
 *
 * Returns: the subject, RFC 7519 4.1.2
 */
const char *
choir_claims_get_user_id (const ChoirClaims *self)
{
  return self->text;
}

/**
 * choir_claims_get_name:
 *
 * Returns: a name to show: `name`, else `preferred_username`, else the user id
 */
const char *
choir_claims_get_name (const ChoirClaims *self)
{
  return self->text + self->name;
}

/**
 * choir_claims_get_token_type:
 *
 * Returns: (nullable): the claim `type`
 */
const char *
choir_claims_get_token_type (const ChoirClaims *self)
{
  return self->type != 0 ? self->text + self->type : NULL;
}

/**
 * choir_claims_get_jti:
 *
 * Returns: (nullable): the token's id, RFC 7519 4.1.7
 */
const char *
choir_claims_get_jti (const ChoirClaims *self)
{
  return self->jti != 0 ? self->text + self->jti : NULL;
}

/**
 * choir_claims_get_expiry_us:
 *
 * Returns: wall time in microseconds, without leeway; %G_MAXINT64: never
 */
gint64
choir_claims_get_expiry_us (const ChoirClaims *self)
{
  return self->expiry_us;
}

/**
 * choir_claims_is_guest:
 *
 * Returns: whether no token stands behind these claims
 */
gboolean
choir_claims_is_guest (const ChoirClaims *self)
{
  return self->is_guest;
}

/**
 * choir_claims_has_role:
 * @role: exact name
 *
 * Returns: whether the token lists @role
 */
gboolean
choir_claims_has_role (const ChoirClaims *self, const char *role)
{
  const char *held = self->text + self->lists;

  for (guint i = 0; i < self->n_roles; i++)
    {
      if (g_str_equal (held, role))
        return TRUE;
      held += strlen (held) + 1;
    }
  return FALSE;
}

/**
 * choir_claims_allow:
 * @channel: a channel's name
 * @wanted: what is to be done there
 *
 * Returns: whether a permission of the token, or the role admin, allows it
 */
gboolean
choir_claims_allow (const ChoirClaims *self, const char *channel, ChoirPermission wanted)
{
  const char *held = self->text + self->lists;

  if (self->is_admin)
    return TRUE;
  for (guint i = 0; i < self->n_roles; i++)
    held += strlen (held) + 1;
  for (guint i = 0; i < self->n_permissions; i++)
    {
      if (choir_permission_matches (held, channel, wanted))
        return TRUE;
      held += strlen (held) + 1;
    }
  return FALSE;
}
