/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-http-messages.h"

#include "choir-channel-history.h"
#include "choir-chat.h"
#include "choir-payload.h"

#include <string.h>

/* After which a page ends early: bytes */
#define HISTORY_BYTES (4 * 1024 * 1024)

/* (transfer full): the page, without the brace at its end */
static GString *
write_page (ChoirHub *hub, const ChoirHistoryPage *page)
{
  const ChoirDialect *dialect = choir_dialect_get (CHOIR_DIALECT_CHOIR);
  GString *body = g_string_new (NULL);

  choir_payload_open (body);
  choir_channel_append_state (body, page->channel);
  choir_chat_streams_append (hub, page->channel, NULL, body);
  choir_payload_add_key (body, "messages");
  g_string_append_c (body, '[');
  for (guint i = 0; i < page->n_messages; i++)
    {
      if (i > 0)
        g_string_append_c (body, ',');
      choir_envelope_append (dialect, &page->messages[i], body);
    }
  g_string_append_c (body, ']');
  choir_payload_add_boolean (body, "complete", page->complete);
  choir_payload_close (body);

  return body;
}

/* What the channel keeps may change without its offset: the oldest goes, a streamed message grows
 */
static char *
dup_etag (const ChoirHistoryPage *page, const GString *body)
{
  g_autofree char *sum =
    g_compute_checksum_for_data (G_CHECKSUM_SHA256, (const guchar *) body->str, body->len);

  return g_strdup_printf ("\"%s-%" G_GUINT64_FORMAT "-%.16s\"", page->channel->epoch,
                          page->channel->offset, sum);
}

static void
answer_page (ChoirHttpRequest *request, const ChoirHistoryPage *page)
{
  g_autoptr (GString) body = write_page (request->gateway->hub, page);
  g_autofree char *etag = dup_etag (page, body);
  const char *etags = choir_http_request_get_header (request, "If-None-Match");
  gboolean has_same =
    etags != NULL && (choir_http_is_any (etags) || choir_http_has_etag (etags, etag, TRUE));

  if (has_same)
    {
      choir_http_request_set_header (request, "ETag", etag);
      choir_http_request_set_header (request, "Cache-Control", "private, no-cache");
      choir_http_request_answer_empty (request, 304);
      return;
    }

  if (!choir_http_request_begin (request, 200, body->len))
    return;

  choir_http_request_set_header (request, "ETag", etag);
  choir_http_request_set_header (request, "Cache-Control", "private, no-cache");
  choir_http_request_add (request, g_steal_pointer (&body));
  choir_http_request_end (request);
}

static void
read_cb (const ChoirHistoryPage *page, const GError *error, gpointer user_data)
{
  g_autoptr (ChoirHttpRequest) request = user_data;

  if (choir_http_request_is_gone (request))
    return;

  if (page == NULL)
    choir_http_request_refuse_error (request, error);
  else
    answer_page (request, page);
}

/* Refuses the request if it is neither */
static gboolean
read_flag (ChoirHttpRequest *request, const char *name, gboolean *value)
{
  const char *text = choir_http_request_get_parameter (request, name);

  *value = g_strcmp0 (text, "true") == 0;
  if (text == NULL || *value || g_str_equal (text, "false"))
    return TRUE;

  choir_http_request_refuse (request, 400, CHOIR_ERROR_VALIDATION, "%s must be true or false",
                             name);

  return FALSE;
}

/**
 * choir_http_get_history:
 * @request: names a channel
 *
 * Answers a page of what it keeps, as messages of the canonical protocol.
 */
void
choir_http_get_history (ChoirHttpRequest *request)
{
  ChoirHistoryQuery query = { .channel = request->channel, .max_bytes = HISTORY_BYTES };
  guint64 limit;

  if (!read_flag (request, "reverse", &query.reverse) ||
      !choir_http_request_get_uint (request, "since", query.reverse ? G_MAXUINT64 : 0, 0,
                                    G_MAXINT64, &query.since) ||
      !choir_http_request_get_uint (request, "limit", CHOIR_HISTORY_LIMIT_DEFAULT, 1,
                                    CHOIR_HISTORY_LIMIT_MAX, &limit))
    return;

  if (choir_channel_kind_of (request->channel) == CHOIR_CHANNEL_DOCUMENT)
    {
      choir_http_request_refuse (request, 400, CHOIR_ERROR_VALIDATION,
                                 "The past of a document is below /api/v1/documents/");
      return;
    }

  query.limit = (guint) limit;
  choir_channel_history_read (request->gateway->hub, &query, read_cb,
                              choir_http_request_ref (request));
}
