/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-key-set.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "choir-error.h"
#include "choir-public-key.h"

#define KEYS_MAX 32
#define KEY_FILE_MAX 65536
#define KEY_ID_MAX 128

struct _ChoirKeySet
{
  gatomicrefcount ref_count;
  GArray *keys; /* (owned) (element-type ChoirKey) */
};

typedef struct
{
  gsize len;
  char data[];
} Secret;

static const struct
{
  const char *name;
  guint secret_min; /* bytes, RFC 7518 3.2; 0: public key */
} algorithms[] = {
  [CHOIR_ALGORITHM_HS256] = { "HS256", 32 }, [CHOIR_ALGORITHM_HS384] = { "HS384", 48 },
  [CHOIR_ALGORITHM_HS512] = { "HS512", 64 }, [CHOIR_ALGORITHM_RS256] = { "RS256", 0 },
  [CHOIR_ALGORITHM_RS384] = { "RS384", 0 },  [CHOIR_ALGORITHM_RS512] = { "RS512", 0 },
  [CHOIR_ALGORITHM_ES256] = { "ES256", 0 },  [CHOIR_ALGORITHM_ES384] = { "ES384", 0 },
  [CHOIR_ALGORITHM_ES512] = { "ES512", 0 },
};

static void
secret_free (gpointer data)
{
  Secret *self = data;

  explicit_bzero (self->data, self->len);
  g_free (self);
}

static void
key_clear (gpointer data)
{
  ChoirKey *self = data;

  g_clear_pointer (&self->id, g_free);
  g_clear_pointer (&self->data, g_bytes_unref);
}

/**
 * choir_algorithm_get_name:
 *
 * Returns: the name in a token's header, RFC 7518 3.1
 */
const char *
choir_algorithm_get_name (ChoirAlgorithm self)
{
  return algorithms[self].name;
}

/**
 * choir_algorithm_is_symmetric:
 *
 * Returns: whether the key is a secret shared with the issuer
 */
gboolean
choir_algorithm_is_symmetric (ChoirAlgorithm self)
{
  return algorithms[self].secret_min != 0;
}

static gboolean
parse_algorithm (const char *text, ChoirAlgorithm *out)
{
  for (guint i = 0; i < G_N_ELEMENTS (algorithms); i++)
    {
      if (g_str_equal (text, algorithms[i].name))
        {
          *out = i;
          return TRUE;
        }
    }
  return FALSE;
}

static gboolean
is_key_id (const char *text)
{
  gsize len = strnlen (text, KEY_ID_MAX + 1);

  for (gsize i = 0; i < len; i++)
    {
      if (text[i] <= ' ' || text[i] >= 0x7f)
        return FALSE;
    }
  return len > 0 && len <= KEY_ID_MAX;
}

static gboolean
check_file (int fd, gboolean is_secret, gsize *out_len, GError **error)
{
  struct stat status;

  if (fstat (fd, &status) < 0 || !S_ISREG (status.st_mode))
    g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG, "not a regular file");
  else if (is_secret && (status.st_mode & S_IRWXO) != 0)
    g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG,
                 "a secret that other users may reach; chmod o= is needed");
  else if (status.st_size == 0)
    g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG, "the file is empty");
  else if (status.st_size > KEY_FILE_MAX)
    g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG, "larger than %d bytes", KEY_FILE_MAX);
  else
    {
      *out_len = status.st_size;
      return TRUE;
    }
  return FALSE;
}

static gboolean
read_fully (int fd, Secret *secret, GError **error)
{
  gsize done = 0;

  while (done < secret->len)
    {
      gssize n = read (fd, secret->data + done, secret->len - done);

      if (n < 0 && errno == EINTR)
        continue;
      if (n <= 0)
        {
          g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG, "%s",
                       n < 0 ? g_strerror (errno) : "the file became shorter");
          return FALSE;
        }
      done += n;
    }
  return TRUE;
}

static Secret *
read_file (const char *path, gboolean is_secret, GError **error)
{
  Secret *secret = NULL;
  gsize len = 0;
  /* without O_NONBLOCK a named pipe would hold up the start */
  int fd = open (path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

  if (fd < 0)
    {
      g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG, g_strerror (errno));
      return NULL;
    }
  if (check_file (fd, is_secret, &len, error))
    {
      secret = g_malloc (sizeof *secret + len);
      secret->len = len;
      if (!read_fully (fd, secret, error))
        g_clear_pointer (&secret, secret_free);
    }
  close (fd);
  return secret;
}

/* A text editor ends the file with a newline nobody meant; random bytes may end in 0x0a */
static gsize
trim_text (const char *data, gsize len)
{
  gsize end = len;

  if (end > 0 && data[end - 1] == '\n')
    end--;
  if (end > 0 && end < len && data[end - 1] == '\r')
    end--;
  for (gsize i = 0; i < end; i++)
    {
      if ((guchar) data[i] < ' ' || (guchar) data[i] >= 0x7f)
        return len;
    }
  return end;
}

static GBytes *
load_secret (const char *path, guint min, GError **error)
{
  Secret *secret = read_file (path, TRUE, error);
  gsize len;

  if (secret == NULL)
    return NULL;
  len = trim_text (secret->data, secret->len);
  if (len < min)
    {
      g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG,
                   "the secret has %" G_GSIZE_FORMAT " bytes, this algorithm needs %u", len, min);
      secret_free (secret);
      return NULL;
    }
  return g_bytes_new_with_free_func (secret->data, len, secret_free, secret);
}

static GBytes *
load_public_key (const char *path, ChoirAlgorithm algorithm, GError **error)
{
  Secret *pem = read_file (path, FALSE, error);

  if (pem == NULL)
    return NULL;
  if (!choir_public_key_check (pem->data, pem->len, algorithm, error))
    {
      secret_free (pem);
      return NULL;
    }
  return g_bytes_new_with_free_func (pem->data, pem->len, secret_free, pem);
}

/* systemd.exec(5): what LoadCredential= did not find is an empty line by SetCredential=, which
 * takes no empty text */
static gboolean
is_given (const char *path)
{
  struct stat status;

  return stat (path, &status) == 0 && status.st_size > 1;
}

/* A bare name is what the service manager gave the service, or else one of the configuration's */
static char *
dup_path (const char *file)
{
  const char *credentials = g_getenv ("CREDENTIALS_DIRECTORY");
  const char *sysconfdir = g_getenv ("CHOIR_CONFIG_SYSCONFDIR");
  g_autofree char *given = NULL;

  if (strchr (file, '/') != NULL)
    return g_strdup (file);

  if (credentials != NULL)
    given = g_build_filename (credentials, file, NULL);
  if (given != NULL && is_given (given))
    return g_steal_pointer (&given);

  return g_build_filename (sysconfdir != NULL ? sysconfdir : SYSCONFDIR, "choir", file, NULL);
}

static gboolean
has_id (const ChoirKeySet *self, const char *id)
{
  for (guint i = 0; i < self->keys->len; i++)
    {
      if (g_str_equal (choir_key_set_get_key (self, i)->id, id))
        return TRUE;
    }
  return FALSE;
}

static gboolean
check_spec (const ChoirKeySet *self, char **parts, ChoirAlgorithm *algorithm, GError **error)
{
  if (g_strv_length (parts) != 3 || *parts[2] == '\0')
    g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG, "a key is ALGORITHM:ID:FILE");
  else if (!parse_algorithm (parts[0], algorithm))
    g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG,
                 "“%s” is not one of HS256 HS384 HS512 RS256 RS384 RS512 ES256 ES384 ES512",
                 parts[0]);
  else if (!is_key_id (parts[1]))
    g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG,
                 "a key's id is 1 to %d printable characters without spaces", KEY_ID_MAX);
  else if (has_id (self, parts[1]))
    g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG, "there is another key “%s”", parts[1]);
  else
    return TRUE;
  return FALSE;
}

static gboolean
add_spec (ChoirKeySet *self, const char *spec, GError **error)
{
  g_auto (GStrv) parts = g_strsplit (spec, ":", 3);
  g_autofree char *path = NULL;
  ChoirKey key = { 0 };

  if (!check_spec (self, parts, &key.algorithm, error))
    {
      g_prefix_error (error, "key “%s”: ", spec);
      return FALSE;
    }
  path = dup_path (parts[2]);
  key.data = choir_algorithm_is_symmetric (key.algorithm)
               ? load_secret (path, algorithms[key.algorithm].secret_min, error)
               : load_public_key (path, key.algorithm, error);
  if (key.data == NULL)
    {
      g_prefix_error (error, "key “%s”: %s: ", parts[1], path);
      return FALSE;
    }
  key.id = g_steal_pointer (&parts[1]);
  /* g_strfreev() would stop at the gap */
  g_free (g_steal_pointer (&parts[2]));
  g_array_append_val (self->keys, key);
  return TRUE;
}

/**
 * choir_key_set_new_from_specs:
 * @specs: `ALGORITHM:ID:FILE` each, at most 32; none is fine
 *
 * A secret is taken as it stands in its file, less one newline at the end of a text. A FILE without
 * a slash is looked for in `$CREDENTIALS_DIRECTORY`, and then in the directory of the
 * configuration.
 *
 * Returns: (transfer full): the keys, or %NULL with %CHOIR_ERROR_CONFIG
 */
ChoirKeySet *
choir_key_set_new_from_specs (const char *const *specs, GError **error)
{
  g_autoptr (ChoirKeySet) self = g_new0 (ChoirKeySet, 1);

  g_atomic_ref_count_init (&self->ref_count);
  self->keys = g_array_new (FALSE, FALSE, sizeof (ChoirKey));
  g_array_set_clear_func (self->keys, key_clear);
  for (; specs != NULL && *specs != NULL; specs++)
    {
      if (self->keys->len == KEYS_MAX)
        {
          g_set_error (error, CHOIR_ERROR, CHOIR_ERROR_CONFIG, "more than %d keys", KEYS_MAX);
          return NULL;
        }
      if (!add_spec (self, *specs, error))
        return NULL;
    }
  return g_steal_pointer (&self);
}

/**
 * choir_key_set_ref:
 *
 * Returns: (transfer full): @self; any thread
 */
ChoirKeySet *
choir_key_set_ref (ChoirKeySet *self)
{
  g_atomic_ref_count_inc (&self->ref_count);
  return self;
}

/**
 * choir_key_set_unref:
 * @self: (transfer full): any thread; secrets are wiped with the last reference
 */
void
choir_key_set_unref (ChoirKeySet *self)
{
  if (!g_atomic_ref_count_dec (&self->ref_count))
    return;
  g_array_unref (self->keys);
  g_free (self);
}

/**
 * choir_key_set_get_n_keys:
 *
 * Returns: how many keys there are
 */
guint
choir_key_set_get_n_keys (const ChoirKeySet *self)
{
  return self->keys->len;
}

/**
 * choir_key_set_get_key:
 * @i: less than choir_key_set_get_n_keys()
 *
 * Returns: a key, in the order of the specs
 */
const ChoirKey *
choir_key_set_get_key (const ChoirKeySet *self, guint i)
{
  return &g_array_index (self->keys, ChoirKey, i);
}

/**
 * choir_key_is_candidate:
 * @algorithm_name: `alg` of a token's header; case matters
 * @kid: (nullable): its `kid`
 *
 * A key never serves another algorithm than its own, whatever the token says: else an HMAC over
 * the public key would pass for the issuer's signature (RFC 8725 3.1).
 *
 * Returns: whether the token may be checked against @self
 */
gboolean
choir_key_is_candidate (const ChoirKey *self, const char *algorithm_name, const char *kid)
{
  return g_str_equal (algorithms[self->algorithm].name, algorithm_name) &&
         (kid == NULL || g_str_equal (kid, self->id));
}
