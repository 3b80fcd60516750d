/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-names.h"

static gboolean
is_graphic (const char *name, gsize len, gsize max)
{
  if (name == NULL || len == 0 || len > max)
    return FALSE;

  for (gsize i = 0; i < len; i++)
    {
      if (name[i] <= ' ' || name[i] >= 0x7f)
        return FALSE;
    }

  return TRUE;
}

/**
 * choir_name_is_channel:
 * @name: (nullable): bytes, not necessarily terminated
 * @len: how many
 *
 * Returns: whether they can name a channel: 1 to %CHOIR_CHANNEL_NAME_MAX bytes of printable ASCII
 *   without spaces (protocol, "everything is a channel")
 */
gboolean
choir_name_is_channel (const char *name, gsize len)
{
  return is_graphic (name, len, CHOIR_CHANNEL_NAME_MAX);
}

/**
 * choir_name_is_user:
 * @name: (nullable): bytes, not necessarily terminated
 * @len: how many
 *
 * Returns: whether they can be a user's id, which also means that "user:" and them name a channel
 */
gboolean
choir_name_is_user (const char *name, gsize len)
{
  return is_graphic (name, len, CHOIR_USER_ID_MAX);
}

/**
 * choir_name_is_identifier:
 * @name: (nullable): bytes, not necessarily terminated
 * @len: how many
 *
 * For message types, namespaces, task kinds and node names.
 *
 * Returns: whether they are a letter or digit followed by letters, digits, '.', '_' and '-', at
 *   most %CHOIR_TYPE_NAME_MAX in all
 */
gboolean
choir_name_is_identifier (const char *name, gsize len)
{
  if (name == NULL || len == 0 || len > CHOIR_TYPE_NAME_MAX || !g_ascii_isalnum (name[0]))
    return FALSE;

  for (gsize i = 1; i < len; i++)
    {
      if (!g_ascii_isalnum (name[i]) && name[i] != '.' && name[i] != '_' && name[i] != '-')
        return FALSE;
    }

  return TRUE;
}
