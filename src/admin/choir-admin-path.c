/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-admin-path.h"

#include <string.h>

#define ROOT "/org/choir/Choir1/"

static const char *const subtrees[CHOIR_N_ADMIN_KINDS] = {
  [CHOIR_ADMIN_KIND_CONNECTION] = ROOT "connection",
  [CHOIR_ADMIN_KIND_SESSION] = ROOT "session",
  [CHOIR_ADMIN_KIND_DOCUMENT] = ROOT "document",
  [CHOIR_ADMIN_KIND_CHANNEL] = ROOT "channel",
  [CHOIR_ADMIN_KIND_TASK] = ROOT "task",
};

/**
 * choir_admin_path_get_subtree:
 * @kind: of objects
 *
 * Returns: the path below which they all are, without a slash at its end
 */
const char *
choir_admin_path_get_subtree (ChoirAdminKind kind)
{
  return subtrees[kind];
}

/* @out: has room for three times the name, and the NUL */
static void
escape_into (char *out, const char *name)
{
  static const char digits[] = "0123456789abcdef";

  if (*name == '\0')
    *out++ = '_';

  for (const char *in = name; *in != '\0'; in++)
    {
      guchar byte = (guchar) *in;

      if (g_ascii_isalpha (byte) || (in > name && g_ascii_isdigit (byte)))
        {
          *out++ = *in;
          continue;
        }

      *out++ = '_';
      *out++ = digits[byte >> 4];
      *out++ = digits[byte & 15];
    }

  *out = '\0';
}

/**
 * choir_admin_path_escape:
 * @name: any name
 *
 * Writes it as sd_bus_path_encode(3) does: ASCII letters stay, and digits except at the beginning;
 * every other byte becomes `_` and two lower-case hexadecimal digits; the empty name becomes `_`.
 *
 * Returns: (transfer full): one element of an object path
 */
char *
choir_admin_path_escape (const char *name)
{
  char *element = g_malloc (3 * strlen (name) + 2);

  escape_into (element, name);

  return element;
}

/* Whether @name is written as @element, and not in another way that would mean the same */
static gboolean
is_written_as (const char *name, const char *element)
{
  char again[CHOIR_ADMIN_ELEMENT_MAX + 2];

  escape_into (again, name);

  return strcmp (again, element) == 0;
}

/**
 * choir_admin_path_unescape:
 * @element: one element of an object path
 *
 * The reverse. Each object has one path only: what choir_admin_path_escape() would not have written
 * is no name, such as upper-case digits, an escaped letter, or a `_` that begins nothing.
 *
 * Returns: (transfer full) (nullable): the name, of at most %CHOIR_ADMIN_NAME_MAX bytes, which need
 * not be UTF-8; %NULL if there is none that is written so
 */
char *
choir_admin_path_unescape (const char *element)
{
  g_autofree char *name = NULL;
  char *out;

  if (strlen (element) > CHOIR_ADMIN_ELEMENT_MAX)
    return NULL;

  if (strcmp (element, "_") == 0)
    return g_strdup ("");

  name = out = g_malloc (strlen (element) + 1);
  for (const char *in = element; *in != '\0'; in++)
    {
      if (*in != '_')
        {
          *out++ = *in;
          continue;
        }

      if (!g_ascii_isxdigit (in[1]) || !g_ascii_isxdigit (in[2]))
        return NULL;

      *out++ = (char) (g_ascii_xdigit_value (in[1]) << 4 | g_ascii_xdigit_value (in[2]));
      in += 2;
    }
  *out = '\0';

  if (strlen (name) > CHOIR_ADMIN_NAME_MAX || !is_written_as (name, element))
    return NULL;

  return g_steal_pointer (&name);
}

/**
 * choir_admin_path_new:
 * @kind: of object
 * @name: its name
 *
 * Returns: (transfer full): its path
 */
char *
choir_admin_path_new (ChoirAdminKind kind, const char *name)
{
  gsize prefix = strlen (subtrees[kind]);
  char *path = g_malloc (prefix + 1 + 3 * strlen (name) + 2);

  memcpy (path, subtrees[kind], prefix);
  path[prefix] = '/';
  escape_into (path + prefix + 1, name);

  return path;
}
