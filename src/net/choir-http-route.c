/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-http-api.h"
#include "choir-http-messages.h"
#include "choir-http-private.h"
#include "choir-http-tasks.h"

#include "choir-names.h"

#include <string.h>

/* What the API serves, and which row of it a request is for */

typedef struct
{
  const ChoirHttpRoute *routes;
  const guint *n_routes;
} Table;

/* Not below the API's prefix: its path is as old as the transport that it stands in for */
static const Table emulation = { choir_http_emulation_routes, &choir_http_emulation_n_routes };

static const Table tables[] = {
  { choir_http_documents_routes, &choir_http_documents_n_routes },
  { choir_http_publish_routes, &choir_http_publish_n_routes },
  { choir_http_send_routes, &choir_http_send_n_routes },
  { choir_http_notify_routes, &choir_http_notify_n_routes },
  { choir_http_connections_routes, &choir_http_connections_n_routes },
  { choir_http_channels_routes, &choir_http_channels_n_routes },
  { choir_http_stats_routes, &choir_http_stats_n_routes },
  { choir_http_tasks_routes, &choir_http_tasks_n_routes },
};

/* The variable segments' raw texts, if @path is of the form @pattern */
static gboolean
match_path (const char *pattern, const char *path, ChoirSlice variables[])
{
  guint n = 0;

  for (;;)
    {
      gsize pattern_len = strcspn (pattern, "/");
      gsize len = strcspn (path, "/");

      if (pattern_len == 2 && memcmp (pattern, "{}", 2) == 0)
        {
          if (len == 0)
            return FALSE;
          variables[n++] = (ChoirSlice){ path, len };
        }
      else if (len != pattern_len || memcmp (pattern, path, len) != 0)
        return FALSE;

      if (pattern[pattern_len] == '\0' || path[len] == '\0')
        return pattern[pattern_len] == path[len];

      pattern += pattern_len + 1;
      path += len + 1;
    }
}

/* A HEAD is a GET whose body is left out */
static gboolean
match_method (const ChoirHttpRoute *route, const char *method)
{
  return strcmp (route->method, method) == 0 ||
         (strcmp (method, "HEAD") == 0 && strcmp (route->method, "GET") == 0);
}

static void
append_method (GString *allowed, const char *method)
{
  if (allowed->len > 0)
    g_string_append (allowed, ", ");
  g_string_append (allowed, method);
  if (strcmp (method, "GET") == 0)
    g_string_append (allowed, ", HEAD");
}

/* (nullable): the row; @allowed: the methods that the path has */
static const ChoirHttpRoute *
find_in_table (const Table *table,
               const char *path,
               const char *method,
               ChoirSlice variables[],
               GString *allowed)
{
  const ChoirHttpRoute *found = NULL;

  for (guint i = 0; i < *table->n_routes; i++)
    {
      const ChoirHttpRoute *route = &table->routes[i];
      ChoirSlice matched[CHOIR_HTTP_SEGMENTS_MAX] = { { NULL, 0 } };

      if (!match_path (route->path, path, matched))
        continue;

      append_method (allowed, route->method);
      if (match_method (route, method))
        {
          found = route;
          memcpy (variables, matched, sizeof matched);
        }
    }

  return found;
}

static const ChoirHttpRoute *
find_route (const char *path, const char *method, ChoirSlice variables[], GString *allowed)
{
  const ChoirHttpRoute *found = NULL;

  if (!g_str_has_prefix (path, CHOIR_HTTP_API_PREFIX))
    return find_in_table (&emulation, path + 1, method, variables, allowed);

  for (guint i = 0; i < G_N_ELEMENTS (tables) && found == NULL; i++)
    found =
      find_in_table (&tables[i], path + strlen (CHOIR_HTTP_API_PREFIX), method, variables, allowed);

  return found;
}

static gboolean
decode_segments (ChoirHttpRequest *self, const ChoirSlice variables[])
{
  for (guint i = 0; i < CHOIR_HTTP_SEGMENTS_MAX && variables[i].data != NULL; i++)
    {
      const char *end = variables[i].data + variables[i].len;

      self->segments[i] = g_uri_unescape_segment (variables[i].data, end, NULL);
      if (self->segments[i] == NULL)
        {
          choir_http_request_refuse (self, 400, CHOIR_ERROR_VALIDATION,
                                     "The address can't be decoded");
          return FALSE;
        }
    }

  return TRUE;
}

static gboolean
make_channel (ChoirHttpRequest *self)
{
  if (self->route->namespace == NULL)
    return TRUE;

  self->channel = g_strconcat (self->route->namespace, self->segments[0], NULL);
  if (choir_name_is_channel (self->channel, strlen (self->channel)))
    return TRUE;

  choir_http_request_refuse (self, 400, CHOIR_ERROR_VALIDATION,
                             "An id is 1-%d printable ASCII characters without spaces",
                             CHOIR_CHANNEL_NAME_MAX - (int) strlen (self->route->namespace));

  return FALSE;
}

/* (nullable): where a parameter's value goes */
static char **
find_value (ChoirHttpRequest *self, const char *name, gsize len)
{
  for (guint i = 0; i < CHOIR_HTTP_PARAMETERS_MAX; i++)
    {
      const char *known = self->route->parameters[i];

      if (known != NULL && strlen (known) == len && memcmp (known, name, len) == 0)
        return &self->values[i];
    }

  return NULL;
}

/* A misspelt parameter must not be taken for one that was left out */
static gboolean
read_parameter (ChoirHttpRequest *self, const char *text, gsize len)
{
  const char *equals = memchr (text, '=', len);
  gsize name_len = equals != NULL ? (gsize) (equals - text) : len;
  char **value = find_value (self, text, name_len);

  if (value == NULL)
    {
      choir_http_request_refuse (self, 400, CHOIR_ERROR_VALIDATION,
                                 "The query has a parameter that is unknown here");
      return FALSE;
    }

  if (*value == NULL && equals != NULL)
    *value = g_uri_unescape_segment (equals + 1, text + len, NULL);
  else
    g_clear_pointer (value, g_free);

  if (*value == NULL || !g_utf8_validate (*value, -1, NULL))
    {
      choir_http_request_refuse (self, 400, CHOIR_ERROR_VALIDATION,
                                 "A parameter of the query can't be decoded, or stands twice");
      return FALSE;
    }

  return TRUE;
}

static gboolean
read_query (ChoirHttpRequest *self, const char *query)
{
  while (query != NULL && *query != '\0')
    {
      gsize len = strcspn (query, "&");

      if (len > 0 && !read_parameter (self, query, len))
        return FALSE;
      query += len + (query[len] == '&' ? 1 : 0);
    }

  return TRUE;
}

/**
 * choir_http_route_find:
 * @request: a request
 * @method: its method
 * @uri: its address
 *
 * Finds the request's row of the table, and reads its path and query.
 *
 * Returns: %FALSE if there is none, or the address makes no sense: the request is answered then
 */
gboolean
choir_http_route_find (ChoirHttpRequest *request, const char *method, GUri *uri)
{
  ChoirSlice variables[CHOIR_HTTP_SEGMENTS_MAX] = { { NULL, 0 } };
  const char *path = g_uri_get_path (uri);
  g_autoptr (GString) allowed = g_string_new (NULL);
  const ChoirHttpRoute *route = find_route (path, method, variables, allowed);

  if (allowed->len == 0)
    {
      choir_http_request_refuse (request, 404, CHOIR_ERROR_NOT_FOUND,
                                 "There is nothing at this address");
      return FALSE;
    }

  if (route == NULL)
    {
      g_string_append (allowed, ", OPTIONS");
      choir_http_request_set_header (request, "Allow", allowed->str);
      if (strcmp (method, "OPTIONS") == 0)
        choir_http_request_answer_empty (request, 204);
      else
        choir_http_request_refuse (request, 405, CHOIR_ERROR_VALIDATION,
                                   "This address does not have that method");
      return FALSE;
    }

  request->route = route;

  return decode_segments (request, variables) && make_channel (request) &&
         read_query (request, g_uri_get_query (uri));
}

/**
 * choir_http_route_get:
 * @i: from 0
 *
 * Returns: (transfer none) (nullable): a row, with its path below #CHOIR_HTTP_API_PREFIX; %NULL
 * past the last one
 */
const ChoirHttpRoute *
choir_http_route_get (guint i)
{
  for (guint t = 0; t < G_N_ELEMENTS (tables); t++)
    {
      if (i < *tables[t].n_routes)
        return &tables[t].routes[i];
      i -= *tables[t].n_routes;
    }

  return NULL;
}
