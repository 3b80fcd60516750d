/* choir-http-request.h: one request to the API, from its head to its answer
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <libsoup/soup.h>

#include "choir-claims.h"
#include "choir-gateway.h"
#include "choir-http-negotiate.h"

G_BEGIN_DECLS

typedef struct _ChoirHttpApi ChoirHttpApi;
typedef struct _ChoirHttpRequest ChoirHttpRequest;
typedef struct _ChoirHttpWait ChoirHttpWait;

/* Who may */
typedef enum
{
  CHOIR_HTTP_MAY_READ,  /* who may read the channel that the address names */
  CHOIR_HTTP_MAY_WRITE, /* who may write to it */
  CHOIR_HTTP_MAY_SERVE, /* back ends only */
  CHOIR_HTTP_MAY_WORK,  /* workers, and back ends */
  CHOIR_HTTP_MAY_ASK,   /* whoever has a token: the handler decides */
  CHOIR_HTTP_MAY_SPEAK, /* likewise, and where no token is needed, whoever has none */
} ChoirHttpAccess;

/* Variable parts of a path, and parameters of a query */
#define CHOIR_HTTP_SEGMENTS_MAX 2
#define CHOIR_HTTP_PARAMETERS_MAX 6

/**
 * ChoirHttpRoute:
 *
 * A row of the API's table: everything about an address that can be decided before its handler is
 * called. The handler answers, at once or later.
 */
typedef struct
{
  const char *method;
  const char *path;      /* below /api/v1/; `{}` stands for one segment */
  const char *namespace; /* (nullable): `document:`, whose ids the first variable segment has */
  ChoirHttpAccess access;
  const char *parameters[CHOIR_HTTP_PARAMETERS_MAX]; /* of the query; any other is refused */
  ChoirHttpMedia takes;                              /* none: no body is looked at */
  ChoirHttpMedia gives;
  gboolean needs_body;
  gsize (*get_max_body) (const ChoirHttpRequest *request); /* bytes; of a route that takes any */
  void (*handle) (ChoirHttpRequest *request);
} ChoirHttpRoute;

/**
 * ChoirHttpRequest:
 *
 * Belongs to its message; whoever waits for something on its behalf holds a reference and looks at
 * `message` when it has come. Handlers read the fields and use the functions.
 */
struct _ChoirHttpRequest
{
  ChoirHttpApi *api;          /* (nullable) borrowed: NULL when the server has gone */
  ChoirGateway *gateway;      /* borrowed: as long as @message */
  SoupServerMessage *message; /* (nullable) weak: NULL when the client has gone */
  const ChoirHttpRoute *route;
  char *segments[CHOIR_HTTP_SEGMENTS_MAX]; /* (owned): decoded */
  char *values[CHOIR_HTTP_PARAMETERS_MAX]; /* (owned) (nullable): of the route's parameters */
  char *channel;                           /* (owned) (nullable): the namespace and the id */
  ChoirClaims *claims;                     /* (owned): once admitted */
  GByteArray *body;                        /* (owned) */
  ChoirHttpMedia media;                    /* of the body */
  ChoirHttpMedia wanted;                   /* of the answer */
  GCancellable *cancellable;               /* (owned): when the client goes */
  gpointer data;                           /* (owned) (nullable): the handler's */
  GDestroyNotify free_data;                /* called as soon as there is an answer */
  char *once; /* (owned) (nullable): by which the API knows it again, see choir_http_once_begin() */
  ChoirHttpWait *wait; /* (owned) (nullable): while it waits */
  gsize n_bytes;       /* of bodies, in and out, as the API counts them */
  guint n_refs;
  guint8 flags;
};

ChoirHttpRequest *choir_http_request_ref (ChoirHttpRequest *self);
void choir_http_request_unref (ChoirHttpRequest *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirHttpRequest, choir_http_request_unref)

/* What was asked */
gboolean choir_http_request_is_gone (const ChoirHttpRequest *self);
const char *choir_http_request_get_header (const ChoirHttpRequest *self, const char *name);
const char *choir_http_request_get_parameter (const ChoirHttpRequest *self, const char *name);
gboolean choir_http_request_get_uint (ChoirHttpRequest *self,
                                      const char *name,
                                      guint64 fallback,
                                      guint64 min,
                                      guint64 max,
                                      guint64 *out);
ChoirSlice choir_http_request_get_body (const ChoirHttpRequest *self);
gboolean choir_http_request_is_back_end (const ChoirHttpRequest *self);
void choir_http_request_set_data (ChoirHttpRequest *self, gpointer data, GDestroyNotify free_data);

/* What is answered, once; nothing happens if the client has gone */
void choir_http_request_set_header (ChoirHttpRequest *self, const char *name, const char *value);
void choir_http_request_answer_json (ChoirHttpRequest *self, guint status, GString *body);
void choir_http_request_answer_empty (ChoirHttpRequest *self, guint status);
void choir_http_request_refuse (ChoirHttpRequest *self,
                                guint status,
                                ChoirError problem,
                                const char *format,
                                ...) G_GNUC_PRINTF (4, 5);
void choir_http_request_refuse_with (ChoirHttpRequest *self,
                                     guint status,
                                     ChoirError problem,
                                     const char *detail,
                                     const GString *members);
void choir_http_request_refuse_error (ChoirHttpRequest *self, const GError *error);
void choir_http_request_refuse_rate (ChoirHttpRequest *self, gint64 wait_us, const char *detail);

/* Or in pieces: whatever is added after begin() is the body, up to end() */
gboolean choir_http_request_begin (ChoirHttpRequest *self, guint status, gsize n_bytes);
void choir_http_request_add (ChoirHttpRequest *self, GString *piece);
void choir_http_request_end (ChoirHttpRequest *self);

G_END_DECLS
