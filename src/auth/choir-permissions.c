/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-permissions.h"

#include <string.h>

#include "choir-names.h"

/* RESOURCE and ID make a channel name, ":write" comes on top */
#define PERMISSION_MAX (CHOIR_CHANNEL_NAME_MAX + 6)

typedef struct
{
  const char *resource;
  gsize resource_len;
  const char *id;
  gsize id_len;
  const char *action;
} Parts;

static gboolean
is_wildcard (const char *text, gsize len)
{
  return len == 1 && text[0] == '*';
}

static gboolean
is_printable (const char *text)
{
  for (; *text != '\0'; text++)
    {
      if (*text <= ' ' || *text >= 0x7f)
        return FALSE;
    }
  return TRUE;
}

/* The id may hold ':', so it lies between the first one and the last */
static gboolean
split (const char *permission, Parts *out)
{
  const char *first = strchr (permission, ':');
  const char *last = strrchr (permission, ':');

  if (first == NULL || first == last || first == permission)
    return FALSE;
  *out = (Parts){ .resource = permission,
                  .resource_len = first - permission,
                  .id = first + 1,
                  .id_len = last - first - 1,
                  .action = last + 1 };
  return TRUE;
}

static gboolean
action_allows (const char *action, ChoirPermission wanted)
{
  if (g_str_equal (action, "*"))
    return TRUE;
  return g_str_equal (action, wanted == CHOIR_PERMISSION_READ ? "read" : "write");
}

/**
 * choir_permission_is_valid:
 * @permission: text of one permission
 *
 * A '*' inside a longer resource is refused: it would look like a pattern and be none.
 *
 * Returns: whether @permission has the form `RESOURCE:ID:ACTION`
 */
gboolean
choir_permission_is_valid (const char *permission)
{
  Parts parts;

  if (strnlen (permission, PERMISSION_MAX + 1) > PERMISSION_MAX || !is_printable (permission))
    return FALSE;
  if (!split (permission, &parts))
    return FALSE;
  if (!is_wildcard (parts.resource, parts.resource_len) &&
      memchr (parts.resource, '*', parts.resource_len) != NULL)
    return FALSE;
  return action_allows (parts.action, CHOIR_PERMISSION_READ) ||
         action_allows (parts.action, CHOIR_PERMISSION_WRITE);
}

/**
 * choir_permission_matches:
 * @permission: `RESOURCE:ID:ACTION`; anything else matches nothing
 * @channel: "namespace:id", or a bare name whose id counts as ""
 * @wanted: what is to be done there
 *
 * Returns: whether @permission allows @wanted on @channel
 */
gboolean
choir_permission_matches (const char *permission, const char *channel, ChoirPermission wanted)
{
  const char *colon = strchr (channel, ':');
  gsize resource_len = colon != NULL ? (gsize) (colon - channel) : strlen (channel);
  const char *id = colon != NULL ? colon + 1 : "";
  gsize id_len = strlen (id);
  Parts parts;

  if (channel[0] == '\0' || !split (permission, &parts) || !action_allows (parts.action, wanted))
    return FALSE;
  if (!is_wildcard (parts.resource, parts.resource_len) &&
      (parts.resource_len != resource_len || memcmp (parts.resource, channel, resource_len) != 0))
    return FALSE;
  return is_wildcard (parts.id, parts.id_len) ||
         (parts.id_len == id_len && memcmp (parts.id, id, id_len) == 0);
}
