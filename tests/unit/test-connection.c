/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-clock.h"
#include "choir-connection.h"
#include "frame-stream.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define SECOND ((gint64) G_USEC_PER_SEC)

/* A connection on one end of a socket pair, the test on the other */
typedef struct
{
  ChoirReactor *reactor;
  ChoirTimerWheel *wheel;
  ChoirOutboxLimits limits;
  ChoirConnectionProfile profile;
  ChoirConnection *connection; /* borrowed: until it is closed */
  ChoirOutbox *outbox;
  GString *log;
  GByteArray *received;
  gint64 n_slow;
  gsize answer_size; /* each message is answered with that much */
  int fd;
  guint n_left;
  gboolean at_end;
} Fixture;

static void
on_message (ChoirConnection *connection,
            ChoirOpcode opcode,
            const guint8 *data,
            gsize len,
            gpointer user_data)
{
  Fixture *self = user_data;

  g_string_append_printf (self->log, "%c:%.*s;", opcode == CHOIR_OPCODE_TEXT ? 't' : 'b',
                          (int) MIN (len, 20), (const char *) data);
  if (self->answer_size > 0)
    {
      g_autofree char *text = g_strnfill (self->answer_size, 'a');

      choir_connection_send (connection, CHOIR_OPCODE_TEXT, (const guint8 *) text,
                             self->answer_size);
    }
}

static void
on_closed (ChoirConnection *connection, guint close_code, gpointer user_data)
{
  Fixture *self = user_data;

  g_string_append_printf (self->log, "closed %u;", close_code);
  self->connection = NULL;
  self->outbox = NULL;
}

static void
on_leaving (ChoirConnection *connection, guint close_code, gpointer user_data)
{
  Fixture *self = user_data;

  g_string_append_printf (self->log, "leaving %u;", close_code);
}

static const ChoirConnectionHandler handler = { on_message, on_leaving, on_closed };

static void
on_left (const ChoirAddress *address, gpointer user_data)
{
  Fixture *self = user_data;

  g_assert_nonnull (address);
  self->n_left++;
}

static void
iterate (void)
{
  while (g_main_context_iteration (NULL, FALSE))
    continue;
}

static void
advance (Fixture *self, gint64 us)
{
  for (; us > 0; us -= 50 * 1000)
    {
      choir_clock_advance (MIN (us, 50 * 1000));
      choir_timer_wheel_advance (self->wheel);
      iterate ();
    }
}

static void
start (Fixture *self, gboolean batching)
{
  static const ChoirDeflateParams no_deflate = { 0 };
  ChoirAddress address;
  int pair[2], size = 4096;

  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), ==,
                   0);
  g_assert_cmpint (setsockopt (pair[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size), ==, 0);
  g_assert_true (choir_address_parse ("192.0.2.1", &address));
  self->fd = pair[1];
  self->connection = choir_connection_new (&self->profile, choir_transport_new_for_fd (pair[0]),
                                           &no_deflate, &address, TRUE);
  self->outbox = choir_link_get_outbox (CHOIR_LINK (self->connection));
  choir_connection_set_batching (self->connection, batching);
  g_assert_true (choir_connection_start (self->connection, &handler, self));
  iterate ();
}

static void
set_up (Fixture *self, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  choir_clock_freeze (1000 * SECOND, 1700000000 * (gint64) SECOND);
  self->reactor = choir_reactor_new (NULL, &error);
  g_assert_no_error (error);
  self->wheel = choir_timer_wheel_new (NULL, 10);
  self->limits.max_bytes = 64 * 1024;
  self->profile = (ChoirConnectionProfile){
    .reactor = self->reactor,
    .wheel = self->wheel,
    .outbox = &self->limits,
    .frames = { .max_message = 65536 },
    .batch_size = 3,
    .n_slow = &self->n_slow,
    .left = on_left,
    .user_data = self,
  };
  self->log = g_string_new (NULL);
  self->received = g_byte_array_new ();
  self->fd = -1;
  if (data == NULL)
    start (self, FALSE);
}

static void
hang_up (Fixture *self)
{
  if (self->fd >= 0)
    close (self->fd);
  self->fd = -1;
  iterate ();
}

static void
tear_down (Fixture *self, gconstpointer data)
{
  hang_up (self);
  g_assert_null (self->connection);
  /* exactly once, whatever way it went */
  g_assert_cmpuint (self->n_left, ==, 1);
  choir_timer_wheel_free (self->wheel);
  choir_reactor_free (self->reactor);
  g_string_free (self->log, TRUE);
  g_byte_array_unref (self->received);
  choir_clock_thaw ();
}

static void
say_frame (Fixture *self, guint8 first, const char *payload, gsize len)
{
  g_autoptr (GByteArray) bytes = stream_new ();

  stream_append_frame (bytes, first, 0x01020304, payload, len);
  g_assert_cmpint (send (self->fd, bytes->data, bytes->len, 0), ==, bytes->len);
}

static void
say (Fixture *self, const char *text)
{
  say_frame (self, FIN | CHOIR_OPCODE_TEXT, text, strlen (text));
  iterate ();
}

static void
say_close (Fixture *self, guint code)
{
  char body[2] = { code >> 8, code & 0xff };

  say_frame (self, FIN | CHOIR_OPCODE_CLOSE, body, code != 0 ? 2 : 0);
  iterate ();
}

static void
receive (Fixture *self)
{
  guint8 buffer[65536];

  for (;;)
    {
      gssize n = recv (self->fd, buffer, sizeof buffer, 0);

      if (n > 0)
        g_byte_array_append (self->received, buffer, n);
      else if (n == 0)
        self->at_end = TRUE;
      if (n <= 0)
        return;
      iterate ();
    }
}

/* (transfer full) (nullable): the next frame: "t:text", "9:ping", "8:1000 reason"; "t>" and "0>" if
 * more of the message follows */
static char *
next_frame (Fixture *self)
{
  const guint8 *data;
  gsize len, at = 2;
  int opcode;
  char *text;

  receive (self);
  data = self->received->data;
  if (self->received->len < 2)
    return NULL;

  opcode = data[0] & 0xf;
  len = data[1];
  if (len == 126)
    {
      len = data[2] << 8 | data[3];
      at = 4;
    }
  else if (len == 127)
    {
      len = (gsize) data[6] << 24 | data[7] << 16 | data[8] << 8 | data[9];
      at = 10;
    }
  if (self->received->len < at + len)
    return NULL;

  if (opcode == CHOIR_OPCODE_CLOSE && len >= 2)
    text =
      g_strdup_printf ("8:%d %.*s", (data[at] << 8) | data[at + 1], (int) len - 2, data + at + 2);
  else
    text = g_strdup_printf ("%c%c%.*s", opcode == CHOIR_OPCODE_TEXT ? 't' : '0' + opcode,
                            (data[0] & FIN) != 0 ? ':' : '>', (int) len, (const char *) data + at);
  g_byte_array_remove_range (self->received, 0, at + len);

  return text;
}

static void
expect (Fixture *self, const char *expected)
{
  g_autofree char *found = next_frame (self);

  g_assert_cmpstr (found, ==, expected);
}

static void
push_text (Fixture *self, const char *text)
{
  if (self->connection != NULL)
    choir_connection_send (self->connection, CHOIR_OPCODE_TEXT, (const guint8 *) text,
                           strlen (text));
}

static void
test_messages (Fixture *self, gconstpointer data)
{
  say (self, "one");
  say_frame (self, FIN | CHOIR_OPCODE_BINARY, "two", 3);
  say_frame (self, CHOIR_OPCODE_TEXT, "thr", 3);
  say_frame (self, FIN | CHOIR_OPCODE_CONTINUATION, "ee", 2);
  iterate ();
  g_assert_cmpstr (self->log->str, ==, "t:one;b:two;t:three;");
  push_text (self, "answer");
  push_text (self, "another");
  iterate ();
  expect (self, "t:answer");
  expect (self, "t:another");
  expect (self, NULL);
}

/* However the bytes are cut */
static void
test_chops (Fixture *self, gconstpointer data)
{
  g_autoptr (GByteArray) bytes = stream_new ();
  g_autofree char *long_text = g_strnfill (300, 'l');

  stream_append_text (bytes, FIN | CHOIR_OPCODE_TEXT, "one");
  stream_append_text (bytes, FIN | CHOIR_OPCODE_PING, "p");
  stream_append_text (bytes, FIN | CHOIR_OPCODE_TEXT, long_text);
  for (guint i = 0; i < bytes->len; i++)
    {
      g_assert_cmpint (send (self->fd, bytes->data + i, 1, 0), ==, 1);
      iterate ();
    }
  g_assert_cmpstr (self->log->str, ==, "t:one;t:llllllllllllllllllll;");
  expect (self, "::p");
}

static void
test_feed (Fixture *self, gconstpointer data)
{
  g_autoptr (GByteArray) bytes = stream_new ();

  stream_append_text (bytes, FIN | CHOIR_OPCODE_TEXT, "early");
  stream_append_text (bytes, FIN | CHOIR_OPCODE_TEXT, "cut");
  choir_connection_feed (self->connection, bytes->data, bytes->len - 2);
  g_assert_cmpstr (self->log->str, ==, "t:early;");
  g_assert_cmpint (send (self->fd, bytes->data + bytes->len - 2, 2, 0), ==, 2);
  iterate ();
  g_assert_cmpstr (self->log->str, ==, "t:early;t:cut;");
}

static void
test_client_closes (Fixture *self, gconstpointer data)
{
  push_text (self, "before");
  say_close (self, 4321);
  expect (self, "t:before");
  expect (self, "8:4321 ");
  receive (self);
  g_assert_true (self->at_end);
  g_assert_cmpstr (self->log->str, ==, "leaving 4321;");
  /* what it says behind its close frame is not heard */
  say (self, "late");
  hang_up (self);
  g_assert_cmpstr (self->log->str, ==, "leaving 4321;closed 4321;");
}

static void
test_client_closes_empty (Fixture *self, gconstpointer data)
{
  say_close (self, 0);
  expect (self, "8:");
  hang_up (self);
  g_assert_cmpstr (self->log->str, ==, "leaving 1005;closed 1005;");
}

static void
test_server_closes (Fixture *self, gconstpointer data)
{
  push_text (self, "before");
  choir_connection_close (self->connection, 4002, "Out");
  choir_connection_close (self->connection, 1000, "Twice");
  push_text (self, "after");
  iterate ();
  expect (self, "t:before");
  expect (self, "8:4002 Out");
  say (self, "not heard");
  g_assert_false (self->at_end);
  say_close (self, 4002);
  receive (self);
  g_assert_true (self->at_end);
  /* the peer keeps its side open: not for ever */
  g_assert_cmpstr (self->log->str, ==, "");
  advance (self, 1100 * 1000);
  g_assert_cmpstr (self->log->str, ==, "closed 4002;");
}

static void
test_close_deadline (Fixture *self, gconstpointer data)
{
  choir_connection_close (self->connection, 4002, NULL);
  iterate ();
  expect (self, "8:4002 ");
  advance (self, 4900 * 1000);
  g_assert_cmpstr (self->log->str, ==, "");
  advance (self, 200 * 1000);
  g_assert_cmpstr (self->log->str, ==, "closed 4002;");
}

static void
test_end_of_stream (Fixture *self, gconstpointer data)
{
  say (self, "last");
  hang_up (self);
  g_assert_cmpstr (self->log->str, ==, "t:last;closed 1006;");
}

/* More than one turn reads lies before the end, and no edge tells of the end again */
static void
test_end_of_stream_behind_much (Fixture *self, gconstpointer data)
{
  g_autofree char *text = g_strnfill (10000, 'm');
  g_autoptr (GByteArray) bytes = stream_new ();
  int size = 1024 * 1024;
  guint n = 0;

  g_assert_cmpint (setsockopt (self->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size), ==, 0);
  stream_append_text (bytes, FIN | CHOIR_OPCODE_TEXT, text);
  while (send (self->fd, bytes->data, bytes->len, MSG_NOSIGNAL) == (gssize) bytes->len)
    n++;
  g_assert_cmpuint (n * bytes->len, >, CHOIR_REACTOR_BUFFER_SIZE);

  hang_up (self);
  g_assert_null (self->connection);
  g_assert_cmpuint (self->log->len, ==,
                    n * strlen ("t:mmmmmmmmmmmmmmmmmmmm;") + strlen ("closed 1006;"));
}

/* The end comes while nothing is read, because the answers are not fetched */
static void
test_end_of_stream_while_paused (Fixture *self, gconstpointer data)
{
  g_autofree char *text = g_strnfill (200, 'q');
  g_autoptr (GByteArray) bytes = stream_new ();
  guint n_sent = 0, n_answers = 0;

  self->answer_size = 2000;
  stream_append_text (bytes, FIN | CHOIR_OPCODE_TEXT, text);
  while (n_sent < 2000 && send (self->fd, bytes->data, bytes->len, 0) == (gssize) bytes->len)
    {
      n_sent++;
      iterate ();
    }
  g_assert_cmpuint (n_sent, <, 2000);
  g_assert_cmpint (shutdown (self->fd, SHUT_WR), ==, 0);
  iterate ();

  /* it is heard once reading goes on; answers that did not fit by then are the peer's loss */
  for (char *frame; (frame = next_frame (self)) != NULL; n_answers++)
    g_free (frame);
  g_assert_cmpuint (n_answers, >, 0);
  g_assert_null (self->connection);
  g_assert_true (g_str_has_suffix (self->log->str, ";closed 1006;"));
}

static void
test_abort (Fixture *self, gconstpointer data)
{
  choir_connection_abort (self->connection);
  choir_connection_abort (self->connection);
  push_text (self, "nothing");
  iterate ();
  g_assert_cmpstr (self->log->str, ==, "closed 1006;");
  receive (self);
  g_assert_true (self->at_end);
  g_assert_cmpuint (self->received->len, ==, 0);
}

static void
ignore_outbox (ChoirOutbox *outbox)
{
}

/* What comes between the end of the connection and that of its session is not lost */
static void
test_last_moment (Fixture *self, gconstpointer data)
{
  static const ChoirOutboxFuncs funcs = { ignore_outbox, ignore_outbox };
  ChoirOutbox into;

  choir_outbox_init (&into, &funcs, &self->limits);
  choir_connection_abort (self->connection);
  choir_connection_send (self->connection, CHOIR_OPCODE_TEXT, (const guint8 *) "{}", 2);
  g_assert_true (choir_link_take_unsent (CHOIR_LINK (self->connection), &into));
  g_assert_cmpuint (into.n_frames, ==, 1);
  choir_outbox_clear (&into);
  iterate ();
}

/* A session can't go on without what was refused since its connection began to close */
static void
test_refused (Fixture *self, gconstpointer data)
{
  static const ChoirOutboxFuncs funcs = { ignore_outbox, ignore_outbox };
  ChoirOutbox into;

  choir_outbox_init (&into, &funcs, &self->limits);
  choir_connection_close (self->connection, CHOIR_CLOSE_GOING_AWAY, NULL);
  choir_connection_send (self->connection, CHOIR_OPCODE_TEXT, (const guint8 *) "{}", 2);
  g_assert_false (choir_link_take_unsent (CHOIR_LINK (self->connection), &into));
  choir_outbox_clear (&into);
}

/* One who holds on to it may still talk to it */
static void
test_held_on (Fixture *self, gconstpointer data)
{
  g_autoptr (ChoirConnection) connection = g_object_ref (self->connection);
  g_autofree char *address = choir_link_dup_address (CHOIR_LINK (connection));

  g_assert_cmpstr (address, ==, "192.0.2.1");
  hang_up (self);
  choir_connection_close (connection, 1000, NULL);
  choir_connection_send (connection, CHOIR_OPCODE_TEXT, (const guint8 *) "x", 1);
  choir_connection_abort (connection);
  advance (self, 10 * SECOND);
  g_assert_cmpstr (self->log->str, ==, "closed 1006;");
}

static void
test_faults (Fixture *self, gconstpointer data)
{
  static const struct
  {
    guint8 first;
    const char *payload;
    guint code;
  } rows[] = {
    { FIN | 0x3, "x", 1002 },
    { FIN | RSV1 | CHOIR_OPCODE_TEXT, "x", 1002 },
    { FIN | CHOIR_OPCODE_CONTINUATION, "x", 1002 },
    { FIN | CHOIR_OPCODE_TEXT, "\xff", 1007 },
    { FIN | CHOIR_OPCODE_CLOSE, "x", 1002 },
  };

  for (guint i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autofree char *frame = NULL;
      g_autofree char *code = g_strdup_printf ("8:%u", rows[i].code);
      g_autofree char *closed = g_strdup_printf ("closed %u;", rows[i].code);

      g_test_message ("row %u", i);
      if (i > 0)
        {
          hang_up (self);
          self->at_end = FALSE;
          g_string_truncate (self->log, 0);
          start (self, FALSE);
        }
      say_frame (self, rows[i].first, rows[i].payload, 1);
      say_frame (self, FIN | CHOIR_OPCODE_TEXT, "deaf", 4);
      iterate ();
      frame = next_frame (self);
      g_assert_true (g_str_has_prefix (frame, code));
      /* nothing more is expected of such a peer */
      receive (self);
      g_assert_true (self->at_end);
      g_assert_cmpstr (self->log->str, ==, "");
      advance (self, 1100 * 1000);
      g_assert_cmpstr (self->log->str, ==, closed);
    }
  self->n_left -= G_N_ELEMENTS (rows) - 1;
}

static void
test_too_big (Fixture *self, gconstpointer data)
{
  const guint8 header[] = { FIN | CHOIR_OPCODE_TEXT, 0x80 | 127, 0, 0, 0, 0, 0, 1, 0, 1 };
  g_autofree char *frame = NULL;

  g_assert_cmpint (send (self->fd, header, sizeof header, 0), ==, sizeof header);
  iterate ();
  frame = next_frame (self);
  g_assert_true (g_str_has_prefix (frame, "8:1009"));
}

static void
test_pings (Fixture *self, gconstpointer data)
{
  say_frame (self, FIN | CHOIR_OPCODE_PING, "hello", 5);
  iterate ();
  expect (self, "::hello");
}

/* A flood of pings is not answered one by one, but the last always is */
static void
test_ping_flood (Fixture *self, gconstpointer data)
{
  g_autoptr (GByteArray) bytes = stream_new ();
  g_autofree char *last = NULL;
  guint n = 0;

  for (guint i = 0; i < 200; i++)
    {
      g_autofree char *id = g_strdup_printf ("%03u", i);

      stream_append_text (bytes, FIN | CHOIR_OPCODE_PING, id);
    }
  g_assert_cmpint (send (self->fd, bytes->data, bytes->len, 0), ==, bytes->len);
  iterate ();
  for (char *frame; (frame = next_frame (self)) != NULL; n++)
    {
      g_free (last);
      last = frame;
    }
  g_assert_cmpuint (n, ==, 33);
  g_assert_cmpstr (last, ==, "::199");
}

static guint
fill (Fixture *self, gsize size)
{
  g_autofree char *text = g_strnfill (size, 'x');
  guint n = 0;

  for (; self->outbox != NULL && !(self->outbox->flags & CHOIR_OUTBOX_CLOSED) && n < 10000; n++)
    {
      push_text (self, text);
      if (n % 8 == 0)
        iterate ();
    }

  return n;
}

/* One who does not read is let go, with what it began to get and the reason */
static void
test_slow_reader (Fixture *self, gconstpointer data)
{
  g_autofree char *frame = NULL;
  guint n;

  n = fill (self, 1000);
  g_assert_cmpuint (n, >, 60);
  g_assert_cmpint (self->n_slow, ==, 1);
  iterate ();
  while ((frame = next_frame (self)) != NULL && frame[0] == 't')
    g_clear_pointer (&frame, g_free);
  g_assert_nonnull (frame);
  g_assert_cmpstr (frame, ==, "8:4008 slow consumer");
}

/* And one who never reads costs no longer than the deadline */
static void
test_silent_reader (Fixture *self, gconstpointer data)
{
  fill (self, 1000);
  advance (self, 5100 * 1000);
  g_assert_cmpstr (self->log->str, ==, "closed 4008;");
}

/* A ping that meets the limit must not put the deadline off */
static void
test_slow_reader_ping (Fixture *self, gconstpointer data)
{
  self->profile.heartbeat_us = 20 * SECOND;
  start (self, FALSE);
  for (guint i = 0; i < 64; i++)
    {
      g_autofree char *text = g_strnfill (1000, 'x');

      push_text (self, text);
      iterate ();
    }
  g_assert_cmpuint (self->outbox->n_bytes, >, 0);
  self->limits.max_bytes = self->outbox->n_bytes;
  advance (self, 20050 * 1000);
  g_assert_cmpint (self->n_slow, ==, 1);
  advance (self, 5100 * 1000);
  g_assert_cmpstr (self->log->str, ==, "closed 4008;");
}

/* Who does not fetch its answers is not read from, and goes on when it does */
static void
test_back_pressure (Fixture *self, gconstpointer data)
{
  guint n_sent = 0, n_answers = 0, n_heard;
  g_autoptr (GByteArray) bytes = stream_new ();
  g_autofree char *text = g_strnfill (200, 'q');

  self->answer_size = 2000;
  stream_append_text (bytes, FIN | CHOIR_OPCODE_TEXT, text);
  while (n_sent < 2000 && send (self->fd, bytes->data, bytes->len, 0) == (gssize) bytes->len)
    {
      n_sent++;
      iterate ();
    }
  /* the kernel's buffers are full, nobody was thrown out */
  g_assert_cmpuint (n_sent, <, 2000);
  g_assert_nonnull (self->connection);
  g_assert_cmpint (self->n_slow, ==, 0);
  n_heard = self->log->len / strlen ("t:qqqqqqqqqqqqqqqqqqqq;");
  g_assert_cmpuint (n_heard, <, n_sent);

  for (char *frame; (frame = next_frame (self)) != NULL; n_answers++)
    g_free (frame);
  g_assert_cmpuint (n_answers, ==, n_sent);
}

static void
test_batching (Fixture *self, gconstpointer data)
{
  start (self, TRUE);
  for (guint i = 0; i < 7; i++)
    {
      g_autofree char *text = g_strdup_printf ("{\"n\":%u}", i);

      push_text (self, text);
    }
  iterate ();
  expect (self, "t:[{\"n\":0},{\"n\":1},{\"n\":2}]");
  expect (self, "t:[{\"n\":3},{\"n\":4},{\"n\":5}]");
  expect (self, "t:{\"n\":6}");

  /* a control frame stays where it is */
  push_text (self, "{}");
  push_text (self, "{}");
  choir_connection_send (self->connection, CHOIR_OPCODE_PING, (const guint8 *) "p", 1);
  push_text (self, "{}");
  push_text (self, "{}");
  iterate ();
  expect (self, "t:[{},{}]");
  expect (self, "9:p");
  expect (self, "t:[{},{}]");
}

static void
push_item (Fixture *self, const char *item)
{
  g_autoptr (ChoirFrame) frame = choir_frame_new (CHOIR_OPCODE_BINARY, item, strlen (item));

  choir_outbox_push (self->outbox, frame);
}

static void
push_joined (Fixture *self)
{
  g_autoptr (ChoirFrame) one = choir_frame_new (CHOIR_OPCODE_TEXT, "{\"j\":1}", 7);
  g_autoptr (ChoirFrame) two = choir_frame_new (CHOIR_OPCODE_TEXT, "{\"j\":2}", 7);
  ChoirFrame *const frames[] = { one, two };
  g_autoptr (ChoirFrame) joined = choir_frame_new_joined (frames, G_N_ELEMENTS (frames));

  choir_outbox_push (self->outbox, joined);
}

/* Several frames in one block, and the parts of a message, stay what they are; and who makes such
 * blocks is told what this client takes */
static void
test_batching_blocks (Fixture *self, gconstpointer data)
{
  g_autoptr (ChoirFrame) first = choir_frame_new_fragment (CHOIR_OPCODE_TEXT, FALSE, "{\"p\"", 4);
  g_autoptr (ChoirFrame) last =
    choir_frame_new_fragment (CHOIR_OPCODE_CONTINUATION, TRUE, ":1}", 3);

  start (self, TRUE);
  g_assert_true ((self->outbox->flags & CHOIR_OUTBOX_BATCHES) != 0);
  push_text (self, "{}");
  push_joined (self);
  push_text (self, "{}");
  push_text (self, "{}");
  choir_outbox_push (self->outbox, first);
  choir_outbox_push (self->outbox, last);
  push_text (self, "{}");
  iterate ();
  expect (self, "t:{}");
  expect (self, "t:{\"j\":1}");
  expect (self, "t:{\"j\":2}");
  expect (self, "t:[{},{}]");
  expect (self, "t>{\"p\"");
  expect (self, "0::1}");
  expect (self, "t:{}");

  choir_connection_set_batching (self->connection, FALSE);
  g_assert_false ((self->outbox->flags & CHOIR_OUTBOX_BATCHES) != 0);
}

/* Maps become one array; what is no map is left alone */
static void
test_batching_binary (Fixture *self, gconstpointer data)
{
  start (self, TRUE);
  for (guint i = 0; i < 4; i++)
    push_item (self, "\xa1x1");
  push_item (self, "\x82\xa1x1\xa1y2");
  push_item (self, "\xa1z3");
  push_item (self, "\xa1z4");
  iterate ();
  expect (self, "2:\x83\xa1x1\xa1x1\xa1x1");
  expect (self, "2:\xa1x1");
  expect (self, "2:\x82\xa1x1\xa1y2");
  expect (self, "2:\x82\xa1z3\xa1z4");
}

/* What is a batch already is not put into another while the socket is full */
static void
test_batching_blocked (Fixture *self, gconstpointer data)
{
  g_autofree char *filler = g_strnfill (900, 'x');
  guint n = 0;

  self->limits.max_bytes = 1024 * 1024;
  start (self, TRUE);
  for (guint i = 0; i < 200; i++)
    {
      g_autofree char *text = g_strdup_printf ("{\"n\":%u,\"t\":\"%s\"}", i, filler);

      push_text (self, text);
      if (i % 20 == 0)
        iterate ();
    }
  g_assert_cmpuint (self->outbox->n_bytes, >, 0);

  for (char *frame; (frame = next_frame (self)) != NULL;)
    {
      g_autofree char *owned = frame;
      const char *at = owned;

      g_assert_true (g_str_has_prefix (frame, "t:[{") || g_str_has_prefix (frame, "t:{"));
      g_assert_null (strstr (frame, "[["));
      g_assert_null (strstr (frame, ",["));
      while ((at = strstr (at, "\"n\":")) != NULL)
        {
          at += strlen ("\"n\":");
          g_assert_cmpuint (g_ascii_strtoull (at, NULL, 10), ==, n++);
        }
    }
  g_assert_cmpuint (n, ==, 200);
}

static void
test_batch_delay (Fixture *self, gconstpointer data)
{
  self->profile.batch_delay_us = 100 * 1000;
  start (self, TRUE);
  push_text (self, "{\"a\":1}");
  iterate ();
  expect (self, NULL);
  advance (self, 50 * 1000);
  push_text (self, "{\"a\":2}");
  expect (self, NULL);
  advance (self, 70 * 1000);
  expect (self, "t:[{\"a\":1},{\"a\":2}]");
  /* a close frame waits for nothing */
  push_text (self, "{}");
  choir_connection_close (self->connection, 1000, NULL);
  iterate ();
  expect (self, "t:{}");
  expect (self, "8:1000 ");
}

/* A full batch does not wait for the rest of the delay */
static void
test_batch_delay_full (Fixture *self, gconstpointer data)
{
  self->profile.batch_delay_us = 100 * 1000;
  start (self, TRUE);
  for (guint i = 0; i < 3; i++)
    push_text (self, "{}");
  iterate ();
  expect (self, "t:[{},{},{}]");
}

static void
test_never_started (Fixture *self, gconstpointer data)
{
  static const ChoirDeflateParams no_deflate = { 0 };
  int pair[2];
  ChoirConnection *connection;

  self->profile.batch_delay_us = 100 * 1000;
  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM, 0, pair), ==, 0);
  connection = choir_connection_new (&self->profile, choir_transport_new_for_fd (pair[0]),
                                     &no_deflate, NULL, FALSE);
  choir_connection_set_batching (connection, TRUE);
  g_object_unref (connection);
  close (pair[1]);
  self->n_left = 1;
}

static void
test_heartbeat (Fixture *self, gconstpointer data)
{
  self->profile.heartbeat_us = 10 * SECOND;
  self->profile.idle_us = 35 * SECOND;
  start (self, FALSE);
  advance (self, 9900 * 1000);
  expect (self, NULL);
  advance (self, 200 * 1000);
  expect (self, "9:");
  say_frame (self, FIN | CHOIR_OPCODE_PONG, "", 0);
  iterate ();
  advance (self, 9800 * 1000);
  expect (self, NULL);
  advance (self, 300 * 1000);
  expect (self, "9:");
  /* nothing for the whole of the idle time since it was last heard */
  advance (self, 24500 * 1000);
  expect (self, "9:");
  expect (self, "9:");
  expect (self, NULL);
  advance (self, 1000 * 1000);
  expect (self, "8:1000 Connection timeout");
  /* it may be dead, and its client about to come back */
  advance (self, 5100 * 1000);
  g_assert_cmpstr (self->log->str, ==, "leaving 1006;closed 1000;");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);

#define ADD(name, func) g_test_add ("/connection/" name, Fixture, NULL, set_up, func, tear_down)
#define ADD_UNSTARTED(name, func)                                                                  \
  g_test_add ("/connection/" name, Fixture, "unstarted", set_up, func, tear_down)
  ADD ("messages", test_messages);
  ADD ("chops", test_chops);
  ADD ("feed", test_feed);
  ADD ("close/client", test_client_closes);
  ADD ("close/client-empty", test_client_closes_empty);
  ADD ("close/server", test_server_closes);
  ADD ("close/deadline", test_close_deadline);
  ADD ("end-of-stream", test_end_of_stream);
  ADD ("end-of-stream-behind-much", test_end_of_stream_behind_much);
  ADD ("end-of-stream-while-paused", test_end_of_stream_while_paused);
  ADD ("abort", test_abort);
  ADD ("last-moment", test_last_moment);
  ADD ("refused", test_refused);
  ADD ("held-on", test_held_on);
  ADD ("faults", test_faults);
  ADD ("too-big", test_too_big);
  ADD ("pings", test_pings);
  ADD ("ping-flood", test_ping_flood);
  ADD ("slow-reader", test_slow_reader);
  ADD ("silent-reader", test_silent_reader);
  ADD_UNSTARTED ("slow-reader-ping", test_slow_reader_ping);
  ADD ("back-pressure", test_back_pressure);
  ADD_UNSTARTED ("batching", test_batching);
  ADD_UNSTARTED ("batching/binary", test_batching_binary);
  ADD_UNSTARTED ("batching/blocks", test_batching_blocks);
  ADD_UNSTARTED ("batching/blocked", test_batching_blocked);
  ADD_UNSTARTED ("batching/delay", test_batch_delay);
  ADD_UNSTARTED ("batching/delay-full", test_batch_delay_full);
  ADD_UNSTARTED ("never-started", test_never_started);
  ADD_UNSTARTED ("heartbeat", test_heartbeat);

  return g_test_run ();
}
