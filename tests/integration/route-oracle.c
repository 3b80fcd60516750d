/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-http-api.h"
#include "choir-http-private.h"

/* Prints what the API serves, one address a line: method, path, and the parameters of its query */
int
main (void)
{
  const ChoirHttpRoute *route;

  for (guint i = 0; (route = choir_http_route_get (i)) != NULL; i++)
    {
      g_print ("%s %s%s", route->method, CHOIR_HTTP_API_PREFIX, route->path);
      for (guint j = 0; j < CHOIR_HTTP_PARAMETERS_MAX && route->parameters[j] != NULL; j++)
        g_print (" %s", route->parameters[j]);
      g_print ("\n");
    }

  return 0;
}
