/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-clock.h"
#include "choir-event-encoder.h"

#include <string.h>

#define SECOND ((gint64) G_USEC_PER_SEC)
#define SESSION "0f0e0d0c-0b0a-4908-8706-050403020100"

static ChoirFrame *
text (const char *message)
{
  return choir_frame_new (CHOIR_OPCODE_TEXT, message, strlen (message));
}

static ChoirFrame *
fragment (ChoirOpcode opcode, gboolean final, const char *part)
{
  return choir_frame_new_fragment (opcode, final, part, strlen (part));
}

static ChoirFrame *
join (const char *const *messages)
{
  g_autoptr (GPtrArray) frames =
    g_ptr_array_new_with_free_func ((GDestroyNotify) choir_frame_unref);

  for (; *messages != NULL; messages++)
    g_ptr_array_add (frames, text (*messages));

  return choir_frame_new_joined ((ChoirFrame *const *) frames->pdata, frames->len);
}

/* @frame: (transfer full) */
static void
encode (ChoirEventEncoder *encoder, ChoirFrame *frame, guint64 first, guint skipped, GString *out)
{
  ChoirEventEntry entry = { .frame = frame, .first = first, .n_skipped = skipped };
  char piece[4096];

  g_assert_true (choir_event_encoder_is_idle (encoder));
  choir_event_encoder_begin (encoder, &entry);
  g_assert_null (entry.frame);
  while (!choir_event_encoder_is_idle (encoder))
    {
      gsize n = choir_event_encoder_run (encoder, piece, sizeof piece);

      g_string_append_len (out, piece, (gssize) n);
    }
}

static void
test_messages (void)
{
  static const char *const three[] = { "{\"a\":1}", "{\"b\":2}", "{\"c\":3}", NULL };
  g_autoptr (GString) out = g_string_new (NULL);
  ChoirEventEncoder encoder;

  choir_event_encoder_init (&encoder);
  choir_event_encoder_name (&encoder, SESSION, NULL);
  encode (&encoder, text ("{}"), 7, 0, out);
  g_assert_cmpstr (out->str, ==, "id: " SESSION ".7\ndata: {}\n\n");

  g_string_truncate (out, 0);
  encode (&encoder, join (three), 8, 0, out);
  g_assert_cmpstr (out->str, ==,
                   "id: " SESSION ".8\ndata: {\"a\":1}\n\n"
                   "id: " SESSION ".9\ndata: {\"b\":2}\n\n"
                   "id: " SESSION ".10\ndata: {\"c\":3}\n\n");

  /* one who has seen two of them */
  g_string_truncate (out, 0);
  encode (&encoder, join (three), 8, 2, out);
  g_assert_cmpstr (out->str, ==, "id: " SESSION ".10\ndata: {\"c\":3}\n\n");

  /* a greeting that moves nobody's position */
  g_string_truncate (out, 0);
  encode (&encoder, text ("{}"), 0, 0, out);
  g_assert_cmpstr (out->str, ==, "data: {}\n\n");
  choir_event_encoder_clear (&encoder);
}

/* A text of a document goes as three frames */
static void
test_fragments (void)
{
  g_autoptr (GString) out = g_string_new (NULL);
  ChoirEventEncoder encoder;

  choir_event_encoder_init (&encoder);
  choir_event_encoder_name (&encoder, SESSION, NULL);
  encode (&encoder, fragment (CHOIR_OPCODE_TEXT, FALSE, "{\"content\":\""), 1, 0, out);
  g_assert_true (choir_event_encoder_is_inside (&encoder));
  encode (&encoder, fragment (CHOIR_OPCODE_CONTINUATION, FALSE, "long"), 2, 0, out);
  g_assert_true (choir_event_encoder_is_inside (&encoder));
  encode (&encoder, fragment (CHOIR_OPCODE_CONTINUATION, TRUE, "\"}"), 2, 0, out);
  g_assert_false (choir_event_encoder_is_inside (&encoder));
  g_assert_cmpstr (out->str, ==, "id: " SESSION ".1\ndata: {\"content\":\"long\"}\n\n");
  choir_event_encoder_clear (&encoder);
}

/* White space between tokens must not end an event */
static void
test_line_ends (void)
{
  g_autoptr (GString) out = g_string_new (NULL);
  ChoirEventEncoder encoder;

  choir_event_encoder_init (&encoder);
  encode (&encoder, text ("{\n\"a\":\r\n1,\r\"b\":\n\n\n2}"), 0, 0, out);
  g_assert_cmpstr (out->str, ==, "data: { \"a\":  1, \"b\":   2}\n\n");
  choir_event_encoder_clear (&encoder);
}

/* Whatever the sizes of the pieces, and of the three lengths a frame may have */
static void
test_pieces (void)
{
  static const gsize lens[] = { 0, 1, 125, 126, 65535, 65536, 200000 };

  for (guint i = 0; i < G_N_ELEMENTS (lens); i++)
    for (gsize room = CHOIR_EVENT_HEAD_MAX; room < CHOIR_EVENT_HEAD_MAX + 5; room++)
      {
        g_autofree char *message = g_strnfill (lens[i], 'x');
        g_autofree char *expected =
          g_strconcat ("id: " SESSION ".1\ndata: ", message, "\n\n", NULL);
        g_autofree char *piece = g_malloc (room);
        g_autoptr (GString) out = g_string_new (NULL);
        ChoirEventEntry entry = { .frame = text (message), .first = 1 };
        ChoirEventEncoder encoder;

        choir_event_encoder_init (&encoder);
        choir_event_encoder_name (&encoder, SESSION, NULL);
        choir_event_encoder_begin (&encoder, &entry);
        while (!choir_event_encoder_is_idle (&encoder))
          {
            gsize n = choir_event_encoder_run (&encoder, piece, room);

            g_assert_cmpuint (n, <=, room);
            g_assert_true (n > 0 || choir_event_encoder_is_idle (&encoder));
            g_string_append_len (out, piece, (gssize) n);
          }
        g_assert_cmpstr (out->str, ==, expected);
      }
}

static ChoirEventPositions *
make_positions (const char *channels)
{
  gboolean fits;
  ChoirEventPositions *self = choir_event_positions_new (channels, &fits);

  g_assert_true (fits);
  g_assert_nonnull (self);

  return self;
}

static void
assert_positions (const ChoirEventPositions *self, const char *expected)
{
  char out[CHOIR_EVENT_POSITIONS_SIZE];

  g_assert_true (choir_event_positions_write (self, out) == out + strlen (out));
  g_assert_cmpstr (out, ==, expected);
}

/* Read off what is sent: never ahead of it */
static void
test_positions (void)
{
  g_autoptr (ChoirEventPositions) positions = make_positions ("chat:a,chat:b");
  g_autoptr (ChoirEventPositions) back = make_positions ("chat:a,chat:b");
  g_autoptr (GString) message = NULL;

  assert_positions (positions, ";-;-");
  /* without an answer to the subscription an offset means nothing */
  choir_event_positions_watch (
    positions, choir_slice ("{\"type\":\"x\",\"payload\":{},\"channel\":\"chat:a\",\"offset\":4}"));
  assert_positions (positions, ";-;-");
  choir_event_positions_watch (
    positions, choir_slice ("{\"type\":\"subscription.confirmed\",\"payload\":{\"channels\":["
                            "{\"channel\":\"chat:b\",\"epoch\":\"e1\",\"offset\":7},"
                            "{\"channel\":\"chat:z\",\"epoch\":\"e2\",\"offset\":9}]}}"));
  assert_positions (positions, ";-;e1.7");
  choir_event_positions_watch (
    positions, choir_slice ("{\"type\":\"x\",\"payload\":{\"channels\":[]},\"channel\":\"chat:b\","
                            "\"offset\":8}"));
  assert_positions (positions, ";-;e1.8");
  /* nor does what takes no offset move anything */
  choir_event_positions_watch (
    positions, choir_slice ("{\"type\":\"x\",\"payload\":{\"offset\":99},\"channel\":\"chat:b\"}"));
  assert_positions (positions, ";-;e1.8");

  choir_event_positions_parse (back, ";-;e1.8");
  assert_positions (back, ";-;e1.8");
  message = choir_event_positions_make_subscribe (back, choir_dialect_get (CHOIR_DIALECT_CHOIR));
  g_assert_cmpstr (message->str, ==,
                   "{\"type\":\"subscribe\",\"payload\":{\"channels\":[\"chat:a\","
                   "{\"channel\":\"chat:b\",\"epoch\":\"e1\",\"offset\":8}]}}");
}

static void
test_positions_garbage (void)
{
  static const char *const garbage[] = {
    "",
    "x",
    ";",
    ";;;;;",
    ";e1",
    ";e1.",
    ";.5",
    ";e1.-1",
    ";e1.x",
    ";e\"1.5",
    ";e1.99999999999999999999",
    ";e1.9007199254740993",
    ";0123456789012345678901234567890123456789.1",
    ";e1 .1",
    ";e1.1x",
  };

  for (guint i = 0; i < G_N_ELEMENTS (garbage); i++)
    {
      g_autoptr (ChoirEventPositions) positions = make_positions ("chat:a,chat:b");

      choir_event_positions_parse (positions, garbage[i]);
      assert_positions (positions, ";-;-");
    }
}

static void
test_channels (void)
{
  static const char *const bad[] = { "chat:a,", ",chat:a", "chat: a", "chat:a,,chat:b",
                                     "a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q" };
  gboolean fits;

  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_assert_null (choir_event_positions_new (bad[i], &fits));
      g_assert_false (fits);
    }
  g_assert_null (choir_event_positions_new ("", &fits));
  g_assert_true (fits);
  choir_event_positions_free (make_positions ("a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p"));
}

/* The id of an event has what its own message brought */
static void
test_positions_in_ids (void)
{
  g_autoptr (ChoirEventPositions) positions = make_positions ("chat:a");
  g_autoptr (GString) out = g_string_new (NULL);
  ChoirEventEncoder encoder;

  choir_event_positions_parse (positions, ";e1.8");
  choir_event_encoder_init (&encoder);
  choir_event_encoder_name (&encoder, SESSION, positions);
  encode (&encoder, text ("{\"channel\":\"chat:a\",\"offset\":9}"), 3, 0, out);
  g_assert_true (g_str_has_prefix (out->str, "id: " SESSION ".3;e1.9\n"));
  choir_event_encoder_clear (&encoder);
}

/* The longest id there can be leaves room */
static void
test_longest_id (void)
{
  g_autoptr (GString) names = g_string_new (NULL), known = g_string_new (NULL);
  g_autoptr (ChoirEventPositions) positions = NULL;
  g_autoptr (GString) out = g_string_new (NULL);
  char id[CHOIR_EVENT_ID_MAX + 1];
  ChoirEventEncoder encoder;

  for (guint i = 0; i < CHOIR_EVENT_CHANNELS_MAX; i++)
    {
      g_string_append_printf (names, "%schat:%u", i > 0 ? "," : "", i);
      g_string_append_printf (known, ";%s.9007199254740992", SESSION);
    }
  positions = make_positions (names->str);
  choir_event_positions_parse (positions, known->str);
  assert_positions (positions, known->str);
  choir_event_encoder_init (&encoder);
  choir_event_encoder_name (&encoder, SESSION, positions);
  choir_event_encoder_write_id (&encoder, G_MAXUINT64, id);
  g_assert_cmpuint (strlen (id), <=, CHOIR_EVENT_ID_MAX);
  encode (&encoder, text (""), G_MAXUINT64 - 1, 0, out);
  g_assert_cmpuint (out->len - strlen ("\n\n"), <=, CHOIR_EVENT_HEAD_MAX);
  choir_event_encoder_clear (&encoder);
}

/* Takes over the reference */
static guint64
add (ChoirEventLog *log, ChoirFrame *frame)
{
  guint64 first = choir_event_log_add (log, frame);

  choir_frame_unref (frame);

  return first;
}

static guint
count_replayed (ChoirEventLog *log, guint64 seen)
{
  g_autoptr (GArray) entries = g_array_new (FALSE, FALSE, sizeof (ChoirEventEntry));
  guint n = 0;

  g_array_set_clear_func (entries, (GDestroyNotify) choir_event_entry_clear);
  choir_event_log_replay (log, seen, entries);
  for (guint i = 0; i < entries->len; i++)
    {
      ChoirEventEntry *entry = &g_array_index (entries, ChoirEventEntry, i);

      n += entry->n_events - entry->n_skipped;
    }

  return n;
}

static void
test_log (void)
{
  static const char *const three[] = { "{}", "{}", "{}", NULL };
  g_autoptr (ChoirEventLog) log = choir_event_log_new (60 * SECOND);

  g_assert_true (choir_event_log_reaches (log, 0));
  g_assert_false (choir_event_log_reaches (log, 1));
  g_assert_cmpuint (add (log, text ("{}")), ==, 1);
  g_assert_cmpuint (add (log, join (three)), ==, 2);
  g_assert_cmpuint (add (log, fragment (CHOIR_OPCODE_TEXT, FALSE, "{")), ==, 5);
  g_assert_cmpuint (add (log, fragment (CHOIR_OPCODE_CONTINUATION, TRUE, "}")), ==, 6);
  g_assert_cmpuint (add (log, text ("{}")), ==, 6);
  g_assert_cmpuint (choir_event_log_get_last (log), ==, 6);

  for (guint seen = 0; seen <= 6; seen++)
    {
      g_assert_true (choir_event_log_reaches (log, seen));
      g_assert_cmpuint (count_replayed (log, seen), ==, 6 - seen);
    }
  g_assert_false (choir_event_log_reaches (log, 7));
  g_assert_false (choir_event_log_reaches (log, G_MAXUINT64));
}

/* As many as there may be, as large, and as old */
static void
test_log_limits (void)
{
  g_autoptr (ChoirEventLog) log = NULL;
  g_autofree char *large = g_strnfill (CHOIR_EVENT_LOG_BYTES_MAX / 2, 'x');

  choir_clock_freeze (1000 * SECOND, 1700000000 * SECOND);
  log = choir_event_log_new (60 * SECOND);
  for (guint i = 0; i < CHOIR_EVENT_LOG_FRAMES_MAX + 10; i++)
    add (log, text ("{}"));
  g_assert_false (choir_event_log_reaches (log, 9));
  g_assert_true (choir_event_log_reaches (log, 10));

  add (log, text (large));
  add (log, text (large));
  g_assert_cmpuint (count_replayed (log, choir_event_log_get_last (log) - 1), ==, 1);
  g_assert_false (choir_event_log_reaches (log, choir_event_log_get_last (log) - 2));

  choir_clock_advance (61 * SECOND);
  choir_event_log_trim (log);
  g_assert_false (choir_event_log_reaches (log, choir_event_log_get_last (log) - 1));
  g_assert_true (choir_event_log_reaches (log, choir_event_log_get_last (log)));
  choir_clock_thaw ();
}

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  g_test_add_func ("/event-encoder/messages", test_messages);
  g_test_add_func ("/event-encoder/fragments", test_fragments);
  g_test_add_func ("/event-encoder/line-ends", test_line_ends);
  g_test_add_func ("/event-encoder/pieces", test_pieces);
  g_test_add_func ("/event-encoder/positions", test_positions);
  g_test_add_func ("/event-encoder/positions-garbage", test_positions_garbage);
  g_test_add_func ("/event-encoder/channels", test_channels);
  g_test_add_func ("/event-encoder/positions-in-ids", test_positions_in_ids);
  g_test_add_func ("/event-encoder/longest-id", test_longest_id);
  g_test_add_func ("/event-encoder/log", test_log);
  g_test_add_func ("/event-encoder/log-limits", test_log_limits);

  return g_test_run ();
}
