/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * The dialects as the service has them, for docs/schemas to be compared with. Prints one JSON
 * object for each text dialect: {"dialect": NAME, "in": {theirs: ours}, "out": {ours: theirs}},
 * "out" with null for what is not sent. Then reads lines
 *   encode DIALECT MESSAGE   a message of choir.v1 that goes out
 *   parse DIALECT MESSAGE    one of the dialect that comes in
 * and prints a line for each: what DIALECT's clients would get, or what the message means in
 * choir.v1; null for what they don't get; else what is wrong, as a string.
 */

#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "choir-envelope.h"
#include "choir-id.h"

#define SEED 1

static const ChoirJsonLimits limits = { 32, G_MAXSIZE, G_MAXSIZE, 8 };

static void
append_pair (GString *out, const char *key, const char *value)
{
  if (out->str[out->len - 1] != '{')
    g_string_append_c (out, ',');

  choir_json_append_string (out, key, -1);
  g_string_append_c (out, ':');
  if (value != NULL)
    choir_json_append_string (out, value, -1);
  else
    g_string_append (out, "null");
}

static void
print_table (const ChoirDialectTable *table)
{
  g_autoptr (GString) out = g_string_new ("{");

  append_pair (out, "dialect", table->name);

  g_string_append (out, ",\"in\":{");
  for (const ChoirDialectInbound *row = table->inbound; row->external != NULL; row++)
    append_pair (out, row->external, row->canonical);

  g_string_append (out, "},\"out\":{");
  for (const ChoirDialectOutbound *row = table->outbound; row->canonical != NULL; row++)
    append_pair (out, row->canonical, row->external);

  puts (g_string_append (out, "}}")->str);
}

static void
print_tables (void)
{
  for (guint i = 0; i < CHOIR_N_DIALECTS; i++)
    {
      const ChoirDialectTable *table =
        choir_dialect_get_table (choir_dialect_get ((ChoirDialectId) i));

      /* the same in another encoding */
      if (!table->binary)
        print_table (table);
    }
}

static void
append_error (GString *out, const GError *error)
{
  choir_json_append_string (out, error->message, -1);
}

/* (transfer full) (nullable): a string of the payload */
static char *
dup_member (ChoirSlice object, const char *key)
{
  ChoirJsonValue value;

  if (!choir_json_slice_get (object, key, &value) || value.kind != CHOIR_JSON_STRING)
    return NULL;

  return choir_json_string_dup (value.raw, G_MAXSIZE);
}

static void
encode (const ChoirDialect *dialect, const char *text, GString *out)
{
  g_auto (ChoirEnvelope) envelope = { 0 };
  g_autoptr (GError) error = NULL;
  g_autofree char *channel = NULL;
  g_autofree char *user_id = NULL;
  g_autofree char *session_id = NULL;
  ChoirMessage message = { 0 };
  ChoirJsonValue offset;
  gint64 n;

  if (!choir_envelope_parse (choir_dialect_get (CHOIR_DIALECT_CHOIR), text, strlen (text), &limits,
                             &envelope, &error))
    {
      append_error (out, error);
      return;
    }

  if (envelope.channel.len > 0)
    message.channel = channel = choir_slice_dup (envelope.channel);
  if (choir_json_slice_get (choir_slice (text), "offset", &offset) &&
      choir_json_number_get_int (offset.raw, &n))
    message.offset = (guint64) n;
  message.type = envelope.type;
  message.payload = envelope.payload;
  message.wall_us = g_get_real_time ();
  message.user_id = user_id = dup_member (envelope.payload, "user_id");
  message.session_id = session_id = dup_member (envelope.payload, "session_id");

  if (!choir_envelope_append (dialect, &message, out))
    g_string_append (out, "null");
}

static void
parse (const ChoirDialect *dialect, const char *text, GString *out)
{
  g_auto (ChoirEnvelope) envelope = { 0 };
  g_autoptr (GError) error = NULL;

  if (!choir_envelope_parse (dialect, text, strlen (text), &limits, &envelope, &error))
    {
      append_error (out, error);
      return;
    }

  g_string_append_c (out, '{');
  append_pair (out, "type", envelope.type);
  g_string_append (out, ",\"payload\":");
  g_string_append_len (out, envelope.payload.data, (gssize) envelope.payload.len);
  if (envelope.channel.len > 0)
    {
      g_string_append (out, ",\"channel\":\"");
      g_string_append_len (out, envelope.channel.data, (gssize) envelope.channel.len);
      g_string_append_c (out, '"');
    }
  g_string_append_c (out, '}');
}

static void
answer (char **words)
{
  const ChoirDialect *dialect = choir_dialect_by_name (words[1]);
  g_autoptr (GString) out = g_string_new (NULL);

  if (dialect == NULL)
    g_error ("There is no dialect %s", words[1]);

  if (strcmp (words[0], "encode") == 0)
    encode (dialect, words[2], out);
  else
    parse (dialect, words[2], out);

  puts (out->str);
}

int
main (void)
{
  g_autofree char *line = NULL;
  size_t size = 0;
  ssize_t len;

  choir_id_seed (SEED);
  print_tables ();

  while ((len = getline (&line, &size, stdin)) > 0)
    {
      g_auto (GStrv) words = NULL;

      if (line[len - 1] == '\n')
        line[len - 1] = '\0';
      words = g_strsplit (line, " ", 3);
      if (g_strv_length (words) != 3)
        g_error ("Not VERB DIALECT MESSAGE: %s", line);
      answer (words);
    }

  return EXIT_SUCCESS;
}
