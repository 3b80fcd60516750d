/* choir-http-head.h: the head of an ordinary WebSocket upgrade, read strictly
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <glib.h>

#include "choir-json-gate.h"

G_BEGIN_DECLS

#define CHOIR_HTTP_HEAD_MAX 8192
#define CHOIR_HTTP_HEAD_LINES_MAX 64
/* Lines of one list header kept apart */
#define CHOIR_HTTP_HEAD_LIST_MAX 4

typedef enum
{
  CHOIR_HTTP_HEAD_COMPLETE,
  CHOIR_HTTP_HEAD_PARTIAL, /* nothing wrong so far; more bytes are needed */
  CHOIR_HTTP_HEAD_ODD,     /* not an ordinary upgrade: for the HTTP library to answer */
} ChoirHttpHeadResult;

/**
 * ChoirHttpHead:
 *
 * Slices of the caller's buffer; data is %NULL for what isn't there.
 */
typedef struct
{
  ChoirSlice path;  /* raw, begins with '/' */
  ChoirSlice query; /* raw, without '?' */
  ChoirSlice host;
  ChoirSlice origin;
  ChoirSlice key;
  ChoirSlice authorization;
  ChoirSlice x_forwarded_for;
  ChoirSlice forwarded;
  ChoirSlice user_agent;
  ChoirSlice protocols[CHOIR_HTTP_HEAD_LIST_MAX];
  guint n_protocols;
  ChoirSlice extensions[CHOIR_HTTP_HEAD_LIST_MAX];
  guint n_extensions;
  gsize head_len; /* bytes up to and with the empty line */
} ChoirHttpHead;

ChoirHttpHeadResult choir_http_head_parse (const char *data, gsize len, ChoirHttpHead *out);

G_END_DECLS
