/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-dialect-table.h"

/* choir: the canonical protocol */

static const ChoirDialectInbound choir_inbound[] = {
  { "auth", "auth", NULL },
  { "ping", "ping", NULL },
  { "heartbeat", "heartbeat", NULL },
  { "subscribe", "subscribe", NULL },
  { "unsubscribe", "unsubscribe", NULL },
  { "publish", "publish", NULL },
  { "history", "history", NULL },
  { "presence", "presence", NULL },
  { "chat.message", "chat.message", NULL },
  { "chat.typing", "chat.typing", NULL },
  { "chat.chunk", "chat.chunk", NULL },
  { "task.request", "task.request", NULL },
  { "task.cancel", "task.cancel", NULL },
  { "task.status", "task.status", NULL },
  { "task.pull", "task.pull", NULL },
  { "task.started", "task.started", NULL },
  { "task.thinking", "task.thinking", NULL },
  { "task.progress", "task.progress", NULL },
  { "task.tool", "task.tool", NULL },
  { "task.chunk", "task.chunk", NULL },
  { "task.heartbeat", "task.heartbeat", NULL },
  { "task.completed", "task.completed", NULL },
  { "task.failed", "task.failed", NULL },
  { "task.release", "task.release", NULL },
  { "document.open", "document.open", NULL },
  { "document.close", "document.close", NULL },
  { "document.change", "document.change", NULL },
  { "document.save", "document.save", NULL },
  { "document.versions", "document.versions", NULL },
  { "document.at", "document.at", NULL },
  { "cursor.position", "cursor.position", NULL },
  { "selection.change", "selection.change", NULL },
  { "sync.request", "sync.request", NULL },
  { "session.reconnect", "session.reconnect", NULL },
  { NULL },
};

/* Its own type here, because contract E's clients take every user_typing as typing */
#define TYPING_END                                                                                 \
  {                                                                                                \
    "chat.typing.end", "chat.typing", NULL                                                         \
  }

static const ChoirDialectOutbound choir_outbound[] = {
  TYPING_END,
  { "auth.failed", "error", "code='AUTH_ERROR' message recoverable=#false *" },
  { NULL },
};

/* netra: agent platform */

static const ChoirDialectInbound netra_inbound[] = {
  { "auth", "auth", NULL },
  { "ping", "ping", NULL },
  { "subscribe", "subscribe", NULL },
  { "unsubscribe", "unsubscribe", NULL },
  { "chat_message", "chat.message", "content=content|message *" },
  { "optimization_request", "task.request",
    "kind='optimization' message workload_id parameters thread_id *" },
  { "stop_processing", "task.cancel", NULL },
  { NULL },
};

#define NETRA_ERROR "code message details retry_after original_message=original_type"
#define NETRA_UPDATE(status)                                                                       \
  "agent=agent|kind status='" status "' message=message|content|tool progress details content "    \
  "tool *"
#define NETRA_EVENT(name)                                                                          \
  {                                                                                                \
    name, "notification", "event='" name "' *"                                                     \
  }

static const ChoirDialectOutbound netra_outbound[] = {
  { "connection.established", "status", "status='connected' connection_id user_id *" },
  { "auth.ok", "status", "status='authenticated' *" },
  { "auth.failed", "error", "code='AUTH_ERROR' message" },
  { "auth.expiring", "status", "status='auth_expiring' *" },
  { "system.reconnect", "status", "status='reconnect' *" },
  { "subscription.confirmed", "status", "status='subscribed' channels events rejected" },
  { "subscription.removed", "status", "status='unsubscribed' channels events" },
  { "heartbeat", NULL, NULL },
  { "error", "error", NETRA_ERROR },
  { "publish.ok", "status", "status='received' channel offset" },
  { "chat.message", "chat_response", NULL },
  { "chat.chunk", NULL, NULL }, /* its clients take every chat_response as a message */
  TYPING_END,
  { "task.accepted", "status", "status='received' task_id replayed duplicate" },
  { "task.started", "agent_update", NETRA_UPDATE ("started") },
  { "task.thinking", "agent_update", NETRA_UPDATE ("thinking") },
  { "task.progress", "agent_update", NETRA_UPDATE ("running") },
  { "task.tool", "agent_update", NETRA_UPDATE ("tool_executing") },
  { "task.chunk", "agent_update", NETRA_UPDATE ("streaming") },
  { "task.completed", "agent_result", "agent=agent|kind *" },
  { "task.failed", "error", "code='PROCESSING_ERROR' message details={ task_id kind code }" },
  { "task.cancelled", "status", "status='cancelled' task_id task_ids reason" },
  NETRA_EVENT ("upload.progress"),
  NETRA_EVENT ("upload.completed"),
  NETRA_EVENT ("upload.error"),
  NETRA_EVENT ("upload.cancelled"),
  NETRA_EVENT ("review.updated"),
  NETRA_EVENT ("review.created"),
  NETRA_EVENT ("review.deleted"),
  NETRA_EVENT ("system.notification"),
  NETRA_EVENT ("system.maintenance"),
  NETRA_EVENT ("user.status_changed"),
  NETRA_EVENT ("file.processing"),
  NETRA_EVENT ("file.ready"),
  { NULL },
};

static const ChoirDialectError netra_errors[] = {
  { CHOIR_ERROR_INVALID_JSON, "MESSAGE_ERROR", NULL },
  { CHOIR_ERROR_INVALID_MESSAGE, "MESSAGE_ERROR", NULL },
  { CHOIR_ERROR_INVALID_MESSAGE_TYPE, "MESSAGE_ERROR", NULL },
  { CHOIR_ERROR_TOO_LARGE, "MESSAGE_ERROR", NULL },
  { CHOIR_ERROR_VALIDATION, "VALIDATION_ERROR", NULL },
  { CHOIR_ERROR_AUTH, "AUTH_ERROR", NULL },
  { CHOIR_ERROR_TOKEN_MISSING, "AUTH_ERROR", NULL },
  { CHOIR_ERROR_TOKEN_EXPIRED, "AUTH_ERROR", NULL },
  { CHOIR_ERROR_BLOCKED, "AUTH_ERROR", NULL },
  { CHOIR_ERROR_PERMISSION_DENIED, "AUTH_ERROR", NULL },
  { CHOIR_ERROR_RATE_LIMITED, "RATE_LIMIT_EXCEEDED", NULL },
  { CHOIR_ERROR_TIMEOUT, "TIMEOUT", NULL },
  { CHOIR_ERROR_PROCESSING, "PROCESSING_ERROR", NULL },
  { CHOIR_ERROR_UNAVAILABLE, "PROCESSING_ERROR", NULL },
  { CHOIR_ERROR_CLOSED, "CONNECTION_ERROR", NULL },
  { CHOIR_ERROR_OVERRUN, "CONNECTION_ERROR", NULL },
  { CHOIR_ERROR_INTERNAL, "UNKNOWN_ERROR", NULL },
  { CHOIR_ERROR_UNKNOWN_CHANNEL, "UNKNOWN_ERROR", NULL },
  { CHOIR_ERROR_NOT_SUBSCRIBED, "UNKNOWN_ERROR", NULL },
  { CHOIR_ERROR_CONFLICT, "UNKNOWN_ERROR", NULL },
  { CHOIR_ERROR_NOT_FOUND, "UNKNOWN_ERROR", NULL },
  { CHOIR_ERROR_CONFIG, "UNKNOWN_ERROR", NULL },
  { 0, NULL, NULL },
};

/* netra-spec: its stricter successor */

static const ChoirDialectInbound netra_spec_inbound[] = {
  { "auth", "auth", NULL },
  { "ping", "ping", NULL },
  { "heartbeat", "heartbeat", NULL },
  { "subscribe", "subscribe", NULL },
  { "unsubscribe", "unsubscribe", NULL },
  { "publish", "publish", NULL },
  { "history", "history", NULL },
  { "presence", "presence", NULL },
  { "user_message", "chat.message", NULL },
  { "agent_request", "task.request", "kind='agent' *" },
  { "task.cancel", "task.cancel", NULL },
  { NULL },
};

#define NETRA_SPEC_ERROR "code error=message timestamp=$now_s recoverable help retry_after"

static const ChoirDialectOutbound netra_spec_outbound[] = {
  { "connection.established", "connection_established", NULL },
  { "auth.failed", "error",
    "code='AUTH_ERROR' error=message timestamp=$now_s recoverable=#false "
    "help='Connect again with a valid token.'" },
  { "error", "error", NETRA_SPEC_ERROR },
  { "chat.message", "user_message", NULL },
  { "chat.chunk", "partial_result", NULL },
  TYPING_END,
  { "task.started", "agent_started", NULL },
  { "task.thinking", "agent_thinking", NULL },
  { "task.progress", "partial_result", NULL },
  { "task.chunk", "partial_result", NULL },
  { "task.tool", "tool_executing", NULL },
  { "task.completed", "agent_completed", NULL },
  { "task.cancelled", "agent_completed", "status='cancelled' *" },
  { "task.failed", "error",
    "code='PROCESSING_ERROR' error=message timestamp=$now_s recoverable=#true "
    "help='The agent failed; the request can be sent again.' task_id" },
  { NULL },
};

/* jddb: collaborative editing */

#define JDDB_IN "document_id=documentId *"

static const ChoirDialectInbound jddb_inbound[] = {
  { "ping", "ping", "ping_id=pingId *" },
  { "system.heartbeat", "heartbeat", NULL },
  { "system.reconnect", "session.reconnect",
    "document_id=documentId session_id=sessionId change_id=changeId last_version=lastVersion *" },
  { "document.open", "document.open", JDDB_IN },
  { "document.close", "document.close", JDDB_IN },
  { "document.change", "document.change", "document_id=documentId change_id=changeId *" },
  { "document.save", "document.save", JDDB_IN },
  { "document.versions", "document.versions", JDDB_IN },
  { "document.at", "document.at", JDDB_IN },
  { "cursor.position", "cursor.position",
    "document_id=documentId anchor=anchor|position head=head|position *" },
  { "selection.change", "selection.change",
    "document_id=documentId anchor=anchor|start|selection.start|selection.anchor "
    "head=head|end|selection.end|selection.head *" },
  { "sync.request", "sync.request", JDDB_IN },
  { "user.presence", "presence", JDDB_IN },
  { NULL },
};

#define JDDB_WHO "documentId=document_id userId=user_id sessionId=session_id"
#define JDDB_MEMBER                                                                                \
  "userId=user_id sessionId=session_id userName=user_name color isActive=is_active "               \
  "lastActivity=last_activity position selection=selection{ start=anchor end=head } *"
#define JDDB_PRESENCE(event)                                                                       \
  "event='" event "' documentId=document_id member=member{ " JDDB_MEMBER                           \
  " } members=members[ " JDDB_MEMBER " ] " JDDB_MEMBER
#define JDDB_STATE                                                                                 \
  JDDB_WHO " content version operations=operations[ userId=user_id sessionId=session_id "          \
           "changeId=change_id * ] members=members[ " JDDB_MEMBER " ] *"
#define JDDB_ERROR "code message retryAfter=retry_after details"

static const ChoirDialectOutbound jddb_outbound[] = {
  { "connection.established", NULL, NULL },
  { "heartbeat", "system.heartbeat", NULL },
  { "pong", "pong", "pingId=ping_id *" },
  { "error", "system.error", JDDB_ERROR },
  { "auth.failed", "system.error", "code='AUTH_ERROR' message" },
  { "system.reconnect", "system.reconnect", "afterMs=after_ms *" },
  { "document.opened", "document.open", JDDB_STATE },
  { "document.closed", "document.close", JDDB_WHO " *" },
  { "document.saved", "document.save", JDDB_WHO " *" },
  { "document.ack", "document.change", JDDB_WHO " changeId=change_id version *" },
  { "document.change", "document.change", JDDB_WHO " changeId=change_id version *" },
  { "document.versions", "document.versions",
    JDDB_WHO " versions=versions[ version label userId=user_id * ] *" },
  { "document.at", "document.at", JDDB_WHO " *" },
  { "cursor.position", "cursor.position", JDDB_WHO " position=position|head anchor head *" },
  { "selection.change", "selection.change",
    JDDB_WHO " selection={ start=anchor end=head } anchor head *" },
  { "sync.response", "sync.response", JDDB_STATE },
  { "conflict.detected", "conflict.detected", JDDB_WHO " changeId=change_id *" },
  { "chat.chunk", NULL, NULL },
  { "chat.typing.end", NULL, NULL },
  { "presence.joined", "user.presence", JDDB_PRESENCE ("user_joined") },
  { "presence.left", "user.presence", JDDB_PRESENCE ("user_left") },
  { "presence.state", "user.presence", JDDB_PRESENCE ("state") },
  { "user.presence", "user.presence",
    "event documentId=document_id member=member{ " JDDB_MEMBER " } members=members[ " JDDB_MEMBER
    " ] " JDDB_MEMBER },
  { "task.accepted", NULL, NULL },
  { "task.started", NULL, NULL },
  { "task.thinking", NULL, NULL },
  { "task.progress", NULL, NULL },
  { "task.tool", NULL, NULL },
  { "task.chunk", NULL, NULL },
  { "task.completed", NULL, NULL },
  { "task.failed", NULL, NULL },
  { "task.cancelled", NULL, NULL },
  { NULL },
};

static const ChoirDialectError jddb_errors[] = {
  { CHOIR_ERROR_INVALID_JSON, "INVALID_JSON",
    "{\"type\":\"error\",\"error\":\"Invalid message format\"}" },
  { CHOIR_ERROR_INVALID_MESSAGE, "INVALID_MESSAGE",
    "{\"type\":\"error\",\"error\":\"Invalid message format\"}" },
  { CHOIR_ERROR_RATE_LIMITED, "RATE_LIMIT_EXCEEDED",
    "{\"type\":\"error\",\"error\":\"Rate limit exceeded\"}" },
  { 0, NULL, NULL },
};

/* reviewpoint: notifications */

static const ChoirDialectInbound reviewpoint_inbound[] = {
  { "ping", "ping", "ping_id=pingId *" },
  { "heartbeat", "heartbeat", NULL },
  { "subscribe", "subscribe", NULL },
  { "unsubscribe", "unsubscribe", NULL },
  { "upload.cancel", "task.request", "kind='upload.cancel' upload_id *" },
  { NULL },
};

#define REVIEWPOINT_ERROR "code message retry_after"

static const ChoirDialectOutbound reviewpoint_outbound[] = {
  { "connection.established", "connection.established",
    "connection_id user_id server_time "
    "features=#[\"heartbeat\",\"subscriptions\",\"rate_limiting\"]" },
  { "pong", "pong", "timestamp=$now_iso pingId=ping_id" },
  { "subscription.confirmed", "subscription.confirmed", "events channels rejected" },
  { "subscription.removed", "subscription.removed", "events channels" },
  { "chat.chunk", NULL, NULL },
  TYPING_END,
  { "error", "error", REVIEWPOINT_ERROR },
  { "auth.failed", "error", "code='AUTH_ERROR' message" },
  { "task.started", NULL, NULL },
  { "task.thinking", NULL, NULL },
  { "task.progress", NULL, NULL },
  { "task.tool", NULL, NULL },
  { "task.chunk", NULL, NULL },
  { "task.completed", NULL, NULL },
  { "task.cancelled", NULL, NULL },
  { "task.failed", "error", "code='PROCESSING_ERROR' message" },
  { NULL },
};

/* tripsage: chat and agent status */

static const ChoirDialectInbound tripsage_inbound[] = {
  { "auth", "auth", "token session_id=sessionId channels *" },
  { "ping", "ping", "ping_id=pingId *" },
  { "connection_heartbeat", "heartbeat", NULL },
  { "subscribe", "subscribe", NULL },
  { "unsubscribe", "unsubscribe", NULL },
  { "chat_message", "chat.message", "session_id=sessionId message_id=messageId *" },
  { "chat_message_chunk", "chat.chunk",
    "session_id=sessionId message_id=messageId complete=isComplete *" },
  { "user_typing", "chat.typing", "user_id=userId session_id=sessionId *" },
  { "task.request", "task.request", NULL },
  { "task.cancel", "task.cancel", NULL },
  { NULL },
};

#define TRIPSAGE_STATUS(active, progress)                                                          \
  "isActive=#" active " " progress " currentTask=message|kind taskId=task_id *"

static const ChoirDialectOutbound tripsage_outbound[] = {
  { "connection.established", "connection_status",
    "status='connected' connectionId=connection_id userId=user_id sessionId=session_id *" },
  { "system.reconnect", "connection_status", "status='reconnecting' afterMs=after_ms *" },
  { "auth.ok", "",
    "success=#true connectionId=connection_id userId=user_id sessionId=$channel_id|session_id" },
  { "auth.failed", "", "success=#false error=message" },
  { "heartbeat", "connection_heartbeat", "timestamp=$now_ms" },
  { "pong", "pong", "pingId=ping_id *" },
  { "chat.message", "chat_message",
    "content role messageId=message_id userId=user_id sessionId=$channel_id|session_id *" },
  { "chat.chunk", "chat_message_chunk",
    "content isComplete=complete messageId=message_id userId=user_id "
    "sessionId=$channel_id|session_id *" },
  { "chat.typing", "user_typing", "userId=user_id sessionId=$channel_id|session_id *" },
  { "chat.typing.end", NULL, NULL },
  { "task.accepted", "agent_status_update", TRIPSAGE_STATUS ("true", "progress=progress|#0") },
  { "task.started", "agent_status_update", TRIPSAGE_STATUS ("true", "progress=progress|#0") },
  { "task.thinking", "agent_status_update", TRIPSAGE_STATUS ("true", "progress") },
  { "task.progress", "agent_status_update", TRIPSAGE_STATUS ("true", "progress") },
  { "task.tool", "agent_status_update", TRIPSAGE_STATUS ("true", "progress") },
  { "task.chunk", NULL, NULL },
  { "task.completed", "agent_status_update", TRIPSAGE_STATUS ("false", "progress=progress|#100") },
  { "task.failed", "agent_status_update", TRIPSAGE_STATUS ("false", "progress") },
  { "task.cancelled", "agent_status_update", TRIPSAGE_STATUS ("false", "progress") },
  { NULL },
};

/* Names stay the canonical ones */
static const ChoirDialectError no_errors[] = { { 0, NULL, NULL } };

/* The canonical protocol's, in either encoding */
#define CHOIR_FIELDS                                                                               \
  .payload_key = "payload", .with_id = TRUE, .with_correlation = TRUE, .with_channel = TRUE,       \
  .timestamp = CHOIR_TIMESTAMP_ISO, .auth_style = CHOIR_AUTH_BEFORE_OR_BY_MESSAGE,                 \
  .auth_close_code = 4000, .eviction_close_code = 4009, .resume = CHOIR_RESUME_BY_SESSION,         \
  .passes_unknown = TRUE, .heartbeat = TRUE, .inbound = choir_inbound, .outbound = choir_outbound, \
  .errors = no_errors

const ChoirDialectTable choir_dialect_tables[CHOIR_N_DIALECTS] = {
  [CHOIR_DIALECT_CHOIR] = {
    .id = CHOIR_DIALECT_CHOIR,
    .name = "choir",
    .subprotocol = "choir.v1",
    CHOIR_FIELDS,
  },
  [CHOIR_DIALECT_NETRA] = {
    .id = CHOIR_DIALECT_NETRA,
    .name = "netra",
    .subprotocol = "choir.v1.netra",
    .payload_key = "data",
    .payload_required = TRUE,
    .with_id = TRUE,
    .with_correlation = TRUE,
    .timestamp = CHOIR_TIMESTAMP_ISO,
    .auth_style = CHOIR_REFUSE_BY_CLOSE,
    .auth_close_code = 4000,
    .token_type = "access",
    .eviction_close_code = 4009,
    .resume = CHOIR_RESUME_BY_CLIENT,
    .capacity_by_close = TRUE,
    .inbound = netra_inbound,
    .outbound = netra_outbound,
    .errors = netra_errors,
    .error_payload = NETRA_ERROR,
  },
  [CHOIR_DIALECT_NETRA_SPEC] = {
    .id = CHOIR_DIALECT_NETRA_SPEC,
    .name = "netra-spec",
    .subprotocol = "choir.v1.netra-spec",
    .payload_key = "payload",
    .with_correlation = TRUE,
    .timestamp = CHOIR_TIMESTAMP_UNIX_S,
    .auth_style = CHOIR_REFUSE_BEFORE_UPGRADE,
    .auth_close_code = 4001,
    .eviction_close_code = 4008,
    .resume = CHOIR_RESUME_BY_USER,
    .heartbeat = TRUE,
    .inbound = netra_spec_inbound,
    .outbound = netra_spec_outbound,
    .errors = no_errors,
    .error_payload = NETRA_SPEC_ERROR,
  },
  [CHOIR_DIALECT_JDDB] = {
    .id = CHOIR_DIALECT_JDDB,
    .name = "jddb",
    .subprotocol = "choir.v1.jddb",
    .payload_key = "payload",
    .with_correlation = TRUE,
    .timestamp = CHOIR_TIMESTAMP_METADATA,
    .auth_style = CHOIR_REFUSE_BY_CLOSE,
    .auth_close_code = 1008,
    .eviction_close_code = 4009,
    .heartbeat = TRUE,
    .binary_text = TRUE,
    .inbound = jddb_inbound,
    .outbound = jddb_outbound,
    .errors = jddb_errors,
    .error_payload = JDDB_ERROR,
  },
  [CHOIR_DIALECT_REVIEWPOINT] = {
    .id = CHOIR_DIALECT_REVIEWPOINT,
    .name = "reviewpoint",
    .subprotocol = "choir.v1.reviewpoint",
    .payload_key = "data",
    .with_id = TRUE,
    .timestamp = CHOIR_TIMESTAMP_ISO,
    .auth_style = CHOIR_REFUSE_BEFORE_UPGRADE,
    .auth_close_code = 4001,
    .eviction_close_code = 4009,
    .heartbeat = TRUE,
    .bounded_out = TRUE,
    .inbound = reviewpoint_inbound,
    .outbound = reviewpoint_outbound,
    .errors = no_errors,
    .error_payload = REVIEWPOINT_ERROR,
  },
  [CHOIR_DIALECT_TRIPSAGE] = {
    .id = CHOIR_DIALECT_TRIPSAGE,
    .name = "tripsage",
    .subprotocol = "choir.v1.tripsage",
    .payload_key = "payload",
    .with_id = TRUE,
    .timestamp = CHOIR_TIMESTAMP_ISO,
    .auth_style = CHOIR_AUTH_BY_MESSAGE,
    .auth_close_code = 4001,
    .eviction_close_code = 4009,
    .heartbeat = TRUE,
    .bare_auth = TRUE,
    .inbound = tripsage_inbound,
    .outbound = tripsage_outbound,
    .errors = no_errors,
  },
  [CHOIR_DIALECT_CHOIR_CBOR] = {
    .id = CHOIR_DIALECT_CHOIR_CBOR,
    .name = "choir-cbor",
    .subprotocol = "choir.v1.cbor",
    .binary = TRUE,
    CHOIR_FIELDS,
  },
};
