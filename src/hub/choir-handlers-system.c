/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-handlers.h"

#include "choir-clock.h"
#include "choir-error.h"
#include "choir-names.h"
#include "choir-payload.h"
#include "choir-session.h"

#include <string.h>

/* ping {ping_id?} -> pong {ping_id, timestamp}; the id is passed on as it came, whatever it is */
static void
handle_ping (ChoirSession *session, const ChoirEnvelope *message)
{
  static const char id_key[] = "\"ping_id\":", time_key[] = "\"timestamp\":\"";
  ChoirJsonValue ping_id = { 0 };
  char timestamp[CHOIR_CLOCK_ISO8601_SIZE];
  g_autofree char *payload = NULL;
  char *end;

  choir_json_slice_get (message->payload, "ping_id", &ping_id);
  choir_clock_format_iso8601 (choir_clock_wall_us (), timestamp);

  /* the size is known, and nothing is asked for more often: one block, no string builder */
  payload = g_malloc (sizeof id_key + sizeof time_key + sizeof timestamp + ping_id.raw.len + 8);
  end = payload;
  *end++ = '{';
  if (ping_id.raw.len > 0)
    {
      end = mempcpy (end, id_key, sizeof id_key - 1);
      end = mempcpy (end, ping_id.raw.data, ping_id.raw.len);
      *end++ = ',';
    }
  end = mempcpy (end, time_key, sizeof time_key - 1);
  end = mempcpy (end, timestamp, sizeof timestamp - 1);
  end = mempcpy (end, "\"}", 2);

  choir_session_send (session, message, "pong", (ChoirSlice){ payload, end - payload });
}

static void
handle_heartbeat (ChoirSession *session, const ChoirEnvelope *message)
{
  g_autoptr (GString) payload = g_string_sized_new (64);

  choir_payload_open (payload);
  choir_payload_add_time (payload, "timestamp", choir_clock_wall_us ());
  choir_payload_close (payload);

  choir_session_send (session, message, "heartbeat", choir_payload_as_slice (payload));
}

/* auth {token} */
static void
handle_auth (ChoirSession *session, const ChoirEnvelope *message)
{
  g_autofree char *token = NULL;
  ChoirJsonValue value;

  if (choir_json_slice_get (message->payload, "token", &value) && value.kind == CHOIR_JSON_STRING)
    token = choir_json_string_dup (value.raw, CHOIR_TOKEN_MAX);

  /* an empty token fails like any other bad one, in the dialect's way */
  choir_session_authenticate (session, token != NULL ? token : "", message);
}

static const ChoirRoute routes[] = {
  { "ping", handle_ping, CHOIR_RATE_DEFAULT, CHOIR_ROUTE_BEFORE_AUTH },
  { "heartbeat", handle_heartbeat, CHOIR_RATE_DEFAULT, CHOIR_ROUTE_BEFORE_AUTH },
  { "auth", handle_auth, CHOIR_RATE_DEFAULT, CHOIR_ROUTE_BEFORE_AUTH },
};

void
choir_handlers_register_system (ChoirRouter *router)
{
  choir_router_add (router, routes, G_N_ELEMENTS (routes));
}

/**
 * choir_handlers_register:
 * @router: a router
 *
 * Adds everything this version handles.
 */
void
choir_handlers_register (ChoirRouter *router)
{
  choir_handlers_register_system (router);
  choir_handlers_register_subscribe (router);
  choir_handlers_register_channel (router);
  choir_handlers_register_publish (router);
  choir_handlers_register_history (router);
  choir_handlers_register_chat (router);
  choir_handlers_register_chunk (router);
  choir_handlers_register_document (router);
  choir_handlers_register_task (router);
  choir_handlers_register_work (router);
}
