/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-clock.h"
#include "choir-event-stream-private.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SECOND ((gint64) G_USEC_PER_SEC)
#define SESSION "0f0e0d0c-0b0a-4908-8706-050403020100"
#define HEAD "HTTP/1.1 200 OK\r\n\r\n"
/* printf format: with the connection's id */
#define OPENED                                                                                     \
  "retry: 1000\nevent: session\nid: " SESSION ".0\n"                                               \
  "data: {\"session_id\":\"" SESSION "\",\"connection_id\":\"%s\",\"resumed\":false}\n\n"

/* A stream on one end of a socket pair, the test on the other */
typedef struct
{
  ChoirReactor *reactor;
  ChoirTimerWheel *wheel;
  ChoirOutboxLimits limits;
  ChoirConnectionProfile profile;
  ChoirEventLog *log;
  ChoirEventStream *stream; /* borrowed: until it is closed */
  ChoirOutbox *outbox;
  GString *received;
  gint64 n_slow;
  int fd;
  guint close_code;
  guint n_left;
  gboolean for_good;
  gboolean at_end;
} Fixture;

static void
on_closed (ChoirEventStream *stream,
           ChoirSession *session,
           guint close_code,
           gboolean for_good,
           gpointer user_data)
{
  Fixture *self = user_data;

  g_assert_null (session);
  self->close_code = close_code;
  self->for_good = for_good;
  self->stream = NULL;
  self->outbox = NULL;
}

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
receive (Fixture *self)
{
  char buffer[65536];

  iterate ();
  for (;;)
    {
      gssize n = recv (self->fd, buffer, sizeof buffer, 0);

      if (n > 0)
        g_string_append_len (self->received, buffer, n);
      else if (n == 0)
        self->at_end = TRUE;
      if (n <= 0)
        return;
      iterate ();
    }
}

static void
expect (Fixture *self, const char *text)
{
  receive (self);
  g_assert_cmpstr (self->received->str, ==, text);
  g_string_truncate (self->received, 0);
}

static void
set_up (Fixture *self, gconstpointer data)
{
  g_autoptr (GString) head = g_string_new (HEAD);
  g_autofree char *opened = NULL;
  g_autoptr (GError) error = NULL;
  ChoirAddress address;
  int pair[2], size = 4096;

  choir_clock_freeze (1000 * SECOND, 1700000000 * SECOND);
  self->reactor = choir_reactor_new (NULL, &error);
  g_assert_no_error (error);
  self->wheel = choir_timer_wheel_new (NULL, 10);
  self->limits.max_bytes = 64 * 1024;
  self->profile = (ChoirConnectionProfile){
    .reactor = self->reactor,
    .wheel = self->wheel,
    .outbox = &self->limits,
    .heartbeat_us = 30 * SECOND,
    .n_slow = &self->n_slow,
    .left = on_left,
    .user_data = self,
  };
  self->received = g_string_new (NULL);
  self->log = choir_event_log_new (60 * SECOND);
  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), ==,
                   0);
  g_assert_cmpint (setsockopt (pair[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size), ==, 0);
  g_assert_true (choir_address_parse ("192.0.2.1", &address));
  self->fd = pair[1];
  self->stream =
    choir_event_stream_new (&self->profile, choir_transport_new_for_fd (pair[0]), &address, TRUE);
  self->outbox = choir_link_get_outbox (CHOIR_LINK (self->stream));
  g_assert_true (choir_event_stream_start (self->stream, head, on_closed, self));
  choir_event_stream_open (self->stream,
                           &(ChoirEventStreamOpening){ .session_id = SESSION, .log = self->log });
  opened = g_strdup_printf (HEAD OPENED, choir_link_get_id (CHOIR_LINK (self->stream)));
  expect (self, opened);
}

static void
tear_down (Fixture *self, gconstpointer data)
{
  close (self->fd);
  iterate ();
  g_assert_null (self->stream);
  /* exactly once, whatever way it went */
  g_assert_cmpuint (self->n_left, ==, 1);
  choir_event_log_free (self->log);
  choir_timer_wheel_free (self->wheel);
  choir_reactor_free (self->reactor);
  g_string_free (self->received, TRUE);
  choir_clock_thaw ();
}

static void
push (Fixture *self, const char *message)
{
  g_autoptr (ChoirFrame) frame = choir_frame_new (CHOIR_OPCODE_TEXT, message, strlen (message));

  choir_outbox_push (self->outbox, frame);
}

static void
push_large (Fixture *self, gsize len)
{
  g_autofree char *message = g_strnfill (len, 'x');

  push (self, message);
}

static void
test_messages (Fixture *self, gconstpointer data)
{
  guint64 turns;

  push (self, "{\"a\":1}");
  push (self, "{\"b\":2}");
  turns = choir_reactor_get_n_turns (self->reactor);
  expect (self, "id: " SESSION ".1\ndata: {\"a\":1}\n\nid: " SESSION ".2\ndata: {\"b\":2}\n\n");
  g_assert_cmpuint (choir_reactor_get_n_turns (self->reactor) - turns, <=, 2);
  push (self, "{\"c\":3}");
  expect (self, "id: " SESSION ".3\ndata: {\"c\":3}\n\n");
  g_assert_cmpuint (choir_event_log_get_last (self->log), ==, 3);
}

/* In as many pieces as the socket wants */
static void
test_blocked (Fixture *self, gconstpointer data)
{
  gsize expected;

  push_large (self, 60000);
  push (self, "{}");
  receive (self);
  expected = 60000 + strlen ("{}") + 2 * strlen ("id: " SESSION ".1\ndata: \n\n");
  g_assert_cmpuint (self->received->len, ==, expected);
  g_assert_true (g_str_has_suffix (self->received->str, "xx\n\nid: " SESSION ".2\ndata: {}\n\n"));
  g_assert_cmpuint (self->outbox->n_bytes, ==, 0);
}

static void
test_close (Fixture *self, gconstpointer data)
{
  push (self, "{}");
  choir_link_close (CHOIR_LINK (self->stream), 4002, "Sent \"away\"");
  choir_link_close (CHOIR_LINK (self->stream), 1000, "not heard any more");
  push (self, "{}");
  expect (self, "id: " SESSION ".1\ndata: {}\n\n"
                "event: close\ndata: {\"code\":4002,\"reason\":\"Sent \\\"away\\\"\"}\n\n");
  g_assert_true (self->at_end);
  close (self->fd);
  self->fd = -1;
  iterate ();
  g_assert_cmpuint (self->close_code, ==, 4002);
  g_assert_true (self->for_good);
}

/* Those who are all sent away at once do not all return at once */
static void
test_going_away (Fixture *self, gconstpointer data)
{
  choir_link_close (CHOIR_LINK (self->stream), 1012, "Restarting");
  receive (self);
  g_assert_true (g_str_has_prefix (self->received->str, "event: close\nretry: "));
  g_assert_cmpint (atoi (self->received->str + strlen ("event: close\nretry: ")), >=, 1000);
  g_assert_true (g_str_has_suffix (self->received->str,
                                   "\ndata: {\"code\":1012,\"reason\":\"Restarting\"}\n\n"));
  /* and one who stays is let go all the same */
  advance (self, 2 * SECOND);
  g_assert_null (self->stream);
}

/* Never more than the limit, and what the socket had taken */
static void
test_slow (Fixture *self, gconstpointer data)
{
  for (guint i = 0; i < 200 && self->n_slow == 0; i++)
    {
      push_large (self, 2000);
      iterate ();
      g_assert_cmpuint (self->outbox->n_bytes, <=, self->limits.max_bytes);
    }
  g_assert_cmpint (self->n_slow, ==, 1);
  g_assert_cmpuint (self->outbox->n_bytes, ==, 0);
  receive (self);
  g_assert_true (self->at_end);
  g_assert_nonnull (strstr (self->received->str, "\n\nevent: close\ndata: {\"code\":4008,"));
  close (self->fd);
  self->fd = -1;
  iterate ();
  g_assert_cmpuint (self->close_code, ==, 4008);
  g_assert_false (self->for_good);
}

/* One who reads nothing at all is not waited for */
static void
test_stuck (Fixture *self, gconstpointer data)
{
  for (guint i = 0; i < 200 && self->n_slow == 0; i++)
    {
      push_large (self, 2000);
      iterate ();
    }
  advance (self, 4 * SECOND);
  g_assert_nonnull (self->stream);
  advance (self, 2 * SECOND);
  g_assert_null (self->stream);
  g_assert_cmpuint (self->close_code, ==, 4008);
}

/* A message that was cut off is not ended as if it was whole */
static void
test_cut_off (Fixture *self, gconstpointer data)
{
  g_autoptr (ChoirFrame) first =
    choir_frame_new_fragment (CHOIR_OPCODE_TEXT, FALSE, "{\"content\":\"", 12);

  choir_outbox_push (self->outbox, first);
  expect (self, "id: " SESSION ".1\ndata: {\"content\":\"");
  choir_link_close (CHOIR_LINK (self->stream), 4008, "slow consumer");
  expect (self, "");
  g_assert_true (self->at_end);
}

static void
test_keep_alive (Fixture *self, gconstpointer data)
{
  advance (self, 29 * SECOND);
  expect (self, "");
  push (self, "{}");
  expect (self, "id: " SESSION ".1\ndata: {}\n\n");
  advance (self, 29 * SECOND);
  expect (self, "");
  advance (self, 2 * SECOND);
  expect (self, ":\n\n");
  advance (self, 31 * SECOND);
  expect (self, ":\n\n");
}

static void
test_hang_up (Fixture *self, gconstpointer data)
{
  close (self->fd);
  self->fd = -1;
  iterate ();
  g_assert_null (self->stream);
  g_assert_cmpuint (self->close_code, ==, 1006);
}

static void
ignore (ChoirOutbox *outbox)
{
}

/* What comes between the end of the connection and that of the session is not lost */
static void
test_last_moment (Fixture *self, gconstpointer data)
{
  static const ChoirOutboxFuncs funcs = { ignore, ignore };
  ChoirOutbox into;

  choir_outbox_init (&into, &funcs, &self->limits);
  push (self, "{\"a\":1}");
  choir_event_stream_die (self->stream);
  push (self, "{\"b\":2}");
  g_assert_true (choir_link_take_unsent (CHOIR_LINK (self->stream), &into));
  g_assert_cmpuint (into.n_frames, ==, 2);
  g_assert_cmpuint (self->outbox->n_frames, ==, 0);
  choir_outbox_clear (&into);
  iterate ();
}

/* And what was refused can't be given elsewhere */
static void
test_refused (Fixture *self, gconstpointer data)
{
  static const ChoirOutboxFuncs funcs = { ignore, ignore };
  ChoirOutbox into;

  choir_outbox_init (&into, &funcs, &self->limits);
  choir_link_close (CHOIR_LINK (self->stream), 1000, NULL);
  g_assert_true (choir_link_take_unsent (CHOIR_LINK (self->stream), &into));
  push (self, "{}");
  g_assert_false (choir_link_take_unsent (CHOIR_LINK (self->stream), &into));
  choir_outbox_clear (&into);
}

/* What a client says here is not heard; one who goes on is let go */
static void
test_chatter (Fixture *self, gconstpointer data)
{
  char junk[1024] = { 0 };
  gsize sent = 0;

  g_assert_cmpint (send (self->fd, junk, sizeof junk, MSG_NOSIGNAL), ==, sizeof junk);
  push (self, "{}");
  expect (self, "id: " SESSION ".1\ndata: {}\n\n");

  while (self->stream != NULL)
    {
      gssize n = send (self->fd, junk, sizeof junk, MSG_NOSIGNAL);

      g_assert_cmpuint (sent, <, 1024 * 1024);
      sent += n > 0 ? (gsize) n : 0;
      iterate ();
    }
  g_assert_cmpuint (sent, >, 60 * 1024);
}

/* The greeting has no id; what was missed has the one it had */
static void
test_replay (Fixture *self, gconstpointer data)
{
  static const char *const missed[] = { "{\"a\":1}", "{\"b\":2}", "{\"c\":3}" };

  for (guint i = 0; i < G_N_ELEMENTS (missed); i++)
    {
      g_autoptr (ChoirFrame) frame =
        choir_frame_new (CHOIR_OPCODE_TEXT, missed[i], strlen (missed[i]));

      choir_event_log_add (self->log, frame);
    }
  push (self, "{\"greeting\":1}");
  push (self, "{\"d\":4}");
  choir_event_stream_replay (self->stream, 1, 1);
  expect (self, "data: {\"greeting\":1}\n\n"
                "id: " SESSION ".2\ndata: {\"b\":2}\n\n"
                "id: " SESSION ".3\ndata: {\"c\":3}\n\n"
                "id: " SESSION ".4\ndata: {\"d\":4}\n\n");
}

#define ADD(name, func) g_test_add ("/event-stream/" name, Fixture, NULL, set_up, func, tear_down)

int
main (int argc, char *argv[])
{
  g_test_init (&argc, &argv, NULL);

  ADD ("messages", test_messages);
  ADD ("blocked", test_blocked);
  ADD ("close", test_close);
  ADD ("going-away", test_going_away);
  ADD ("slow", test_slow);
  ADD ("stuck", test_stuck);
  ADD ("cut-off", test_cut_off);
  ADD ("keep-alive", test_keep_alive);
  ADD ("hang-up", test_hang_up);
  ADD ("last-moment", test_last_moment);
  ADD ("refused", test_refused);
  ADD ("chatter", test_chatter);
  ADD ("replay", test_replay);

  return g_test_run ();
}
