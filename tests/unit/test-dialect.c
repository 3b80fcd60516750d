/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include <string.h>

#include "choir-dialect.h"

static const char *const canonical_types[] = {
  "auth",
  "ping",
  "heartbeat",
  "subscribe",
  "unsubscribe",
  "publish",
  "history",
  "presence",
  "chat.message",
  "chat.typing",
  "chat.chunk",
  "task.request",
  "task.cancel",
  "task.status",
  "task.pull",
  "task.started",
  "task.thinking",
  "task.progress",
  "task.tool",
  "task.chunk",
  "task.heartbeat",
  "task.completed",
  "task.failed",
  "task.release",
  "document.open",
  "document.close",
  "document.change",
  "document.save",
  "document.versions",
  "document.at",
  "cursor.position",
  "selection.change",
  "sync.request",
  "session.reconnect",
};

static void
test_lookup (void)
{
  static const char *const names[] = { "choir",       "netra",    "netra-spec", "jddb",
                                       "reviewpoint", "tripsage", "choir-cbor" };
  static const char *const subprotocols[] = {
    "choir.v1",      "choir.v1.netra",       "choir.v1.netra-spec",
    "choir.v1.jddb", "choir.v1.reviewpoint", "choir.v1.tripsage",
    "choir.v1.cbor",
  };

  G_STATIC_ASSERT (G_N_ELEMENTS (names) == CHOIR_N_DIALECTS);
  for (guint i = 0; i < CHOIR_N_DIALECTS; i++)
    {
      const ChoirDialect *dialect = choir_dialect_get ((ChoirDialectId) i);
      const ChoirDialectTable *table = choir_dialect_get_table (dialect);

      g_assert_cmpuint (table->id, ==, i);
      g_assert_cmpuint (choir_dialect_get_id (dialect), ==, i);
      g_assert_cmpstr (table->name, ==, names[i]);
      g_assert_cmpstr (table->subprotocol, ==, subprotocols[i]);
      g_assert_true (choir_dialect_by_name (names[i]) == dialect);
      g_assert_true (choir_dialect_by_subprotocol (subprotocols[i]) == dialect);
      g_assert_true (choir_dialect_get ((ChoirDialectId) i) == dialect);
    }

  g_assert_null (choir_dialect_by_name ("Netra"));
  g_assert_null (choir_dialect_by_name (NULL));
  g_assert_null (choir_dialect_by_subprotocol ("choir.v2"));
}

/* A type the core has no handler for would be a slip in the table */
static void
test_inbound_is_canonical (void)
{
  for (guint i = 0; i < CHOIR_N_DIALECTS; i++)
    {
      const ChoirDialect *dialect = choir_dialect_get ((ChoirDialectId) i);
      const ChoirDialectTable *table = choir_dialect_get_table (dialect);

      for (const ChoirDialectInbound *in = table->inbound; in->external != NULL; in++)
        {
          const ChoirDialectRow *row =
            choir_dialect_find_inbound (dialect, choir_slice (in->external));
          gboolean known = FALSE;

          g_assert_nonnull (row);
          g_assert_true (row->canonical == g_intern_string (in->canonical));
          g_assert_true ((row->payload != NULL) == (in->payload != NULL));
          for (guint j = 0; j < G_N_ELEMENTS (canonical_types); j++)
            known |= g_str_equal (canonical_types[j], row->canonical);
          g_assert_true (known);
        }
    }

  for (guint i = 0; i < G_N_ELEMENTS (canonical_types); i++)
    g_assert_nonnull (choir_dialect_find_inbound (choir_dialect_get (CHOIR_DIALECT_CHOIR),
                                                  choir_slice (canonical_types[i])));
}

static void
test_inbound_unknown (void)
{
  const ChoirDialect *netra = choir_dialect_get (CHOIR_DIALECT_NETRA);
  g_autofree char *endless = g_strnfill (1000, 'x');

  g_assert_null (choir_dialect_find_inbound (netra, choir_slice ("chat.message")));
  g_assert_null (choir_dialect_find_inbound (netra, choir_slice ("Ping")));
  g_assert_null (choir_dialect_find_inbound (netra, choir_slice ("")));
  g_assert_null (choir_dialect_find_inbound (netra, choir_slice (endless)));
  g_assert_null (choir_dialect_find_inbound (netra, (ChoirSlice){ "ping", 3 }));
  g_assert_nonnull (choir_dialect_find_inbound (netra, (ChoirSlice){ "pings", 4 }));

  for (guint i = 0; i < 1000; i++)
    {
      g_autofree char *name = g_strdup_printf ("type-%u", i);

      g_assert_null (choir_dialect_find_inbound (netra, choir_slice (name)));
    }
}

static void
test_outbound (void)
{
  for (guint i = 0; i < CHOIR_N_DIALECTS; i++)
    {
      const ChoirDialect *dialect = choir_dialect_get ((ChoirDialectId) i);
      const ChoirDialectTable *table = choir_dialect_get_table (dialect);

      for (const ChoirDialectOutbound *out = table->outbound; out->canonical != NULL; out++)
        {
          const ChoirDialectOutRow *row = choir_dialect_find_outbound (dialect, out->canonical);

          g_assert_nonnull (row);
          g_assert_cmpstr (row->external, ==, out->external);
          g_assert_true ((row->payload != NULL) == (out->payload != NULL));
        }
      g_assert_null (choir_dialect_find_outbound (dialect, "my.own.type"));
    }
}

static void
test_errors (void)
{
  static const char *const netra_codes[] = {
    "CONNECTION_ERROR", "MESSAGE_ERROR",    "VALIDATION_ERROR", "AUTH_ERROR", "RATE_LIMIT_EXCEEDED",
    "TIMEOUT",          "PROCESSING_ERROR", "UNKNOWN_ERROR",    NULL
  };
  const ChoirDialect *netra = choir_dialect_get (CHOIR_DIALECT_NETRA);
  const ChoirDialect *jddb = choir_dialect_get (CHOIR_DIALECT_JDDB);
  const ChoirDialect *choir = choir_dialect_get (CHOIR_DIALECT_CHOIR);

  for (guint i = 0; i < CHOIR_N_ERRORS; i++)
    {
      g_assert_true (
        g_strv_contains (netra_codes, choir_dialect_get_error_code (netra, (ChoirError) i)));
      g_assert_cmpstr (choir_dialect_get_error_code (choir, (ChoirError) i), ==,
                       choir_error_get_code ((ChoirError) i));
      g_assert_null (choir_dialect_get_error_frame (netra, (ChoirError) i));
    }

  g_assert_cmpstr (choir_dialect_get_error_frame (jddb, CHOIR_ERROR_INVALID_JSON), ==,
                   "{\"type\":\"error\",\"error\":\"Invalid message format\"}");
  g_assert_cmpstr (choir_dialect_get_error_frame (jddb, CHOIR_ERROR_RATE_LIMITED), ==,
                   "{\"type\":\"error\",\"error\":\"Rate limit exceeded\"}");
  g_assert_null (choir_dialect_get_error_frame (jddb, CHOIR_ERROR_CONFLICT));
  g_assert_null (choir_dialect_get_error_template (choir));
  g_assert_nonnull (choir_dialect_get_error_template (netra));
}

static void
test_refusals (void)
{
  static const struct
  {
    ChoirAuthStyle style;
    guint auth_close_code;
    guint eviction_close_code;
  } rows[CHOIR_N_DIALECTS] = {
    [CHOIR_DIALECT_CHOIR] = { CHOIR_AUTH_BEFORE_OR_BY_MESSAGE, 4000, 4009 },
    [CHOIR_DIALECT_NETRA] = { CHOIR_REFUSE_BY_CLOSE, 4000, 4009 },
    [CHOIR_DIALECT_NETRA_SPEC] = { CHOIR_REFUSE_BEFORE_UPGRADE, 4001, 4008 },
    [CHOIR_DIALECT_JDDB] = { CHOIR_REFUSE_BY_CLOSE, 1008, 4009 },
    [CHOIR_DIALECT_REVIEWPOINT] = { CHOIR_REFUSE_BEFORE_UPGRADE, 4001, 4009 },
    [CHOIR_DIALECT_TRIPSAGE] = { CHOIR_AUTH_BY_MESSAGE, 4001, 4009 },
    [CHOIR_DIALECT_CHOIR_CBOR] = { CHOIR_AUTH_BEFORE_OR_BY_MESSAGE, 4000, 4009 },
  };

  for (guint i = 0; i < CHOIR_N_DIALECTS; i++)
    {
      const ChoirDialectTable *table =
        choir_dialect_get_table (choir_dialect_get ((ChoirDialectId) i));

      g_assert_cmpint (table->auth_style, ==, rows[i].style);
      g_assert_cmpuint (table->auth_close_code, ==, rows[i].auth_close_code);
      g_assert_cmpuint (table->eviction_close_code, ==, rows[i].eviction_close_code);
      g_assert_true (table->capacity_by_close == (i == CHOIR_DIALECT_NETRA));
      g_assert_true (table->passes_unknown ==
                     (i == CHOIR_DIALECT_CHOIR || i == CHOIR_DIALECT_CHOIR_CBOR));
      g_assert_true (table->binary == (i == CHOIR_DIALECT_CHOIR_CBOR));
      g_assert_true (table->bare_auth == (i == CHOIR_DIALECT_TRIPSAGE));
      g_assert_true (table->heartbeat == (i != CHOIR_DIALECT_NETRA));
    }
}

/* One protocol in two encodings */
static void
test_encodings (void)
{
  ChoirDialectTable text = *choir_dialect_get_table (choir_dialect_get (CHOIR_DIALECT_CHOIR));
  ChoirDialectTable binary =
    *choir_dialect_get_table (choir_dialect_get (CHOIR_DIALECT_CHOIR_CBOR));

  text.id = binary.id = 0;
  text.name = binary.name = NULL;
  text.subprotocol = binary.subprotocol = NULL;
  text.binary = binary.binary = FALSE;
  g_assert_cmpmem (&text, sizeof text, &binary, sizeof binary);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/dialect/lookup", test_lookup);
  g_test_add_func ("/dialect/inbound-is-canonical", test_inbound_is_canonical);
  g_test_add_func ("/dialect/inbound-unknown", test_inbound_unknown);
  g_test_add_func ("/dialect/outbound", test_outbound);
  g_test_add_func ("/dialect/errors", test_errors);
  g_test_add_func ("/dialect/refusals", test_refusals);
  g_test_add_func ("/dialect/encodings", test_encodings);

  return g_test_run ();
}
