/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-screen.h"

#include "choir-ctl-error.h"
#include "choir-ctl-output.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <glib/gi18n.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

/* XTerm control sequences, which terminals of today share: other screen, no cursor, no wrapping */
#define ENTER "\x1b[?1049h\x1b[?25l\x1b[?7l"
#define LEAVE "\x1b[?7h\x1b[?25h\x1b[?1049l"
#define HOME "\x1b[H"
#define CLEAR_LINE "\x1b[K"
#define CLEAR_BELOW "\x1b[J"

#define INPUT_MAX 256

/* Those that would leave the terminal as it is now; whoever opens the screen sees to the others */
static const int caught[] = { SIGWINCH, SIGTSTP, SIGQUIT };

/* For the handler, which any thread may run */
static volatile sig_atomic_t signal_fd = -1;

struct _ChoirScreen
{
  ChoirScreenKey key_cb;
  gpointer user_data;
  struct termios before;
  struct sigaction actions_before[G_N_ELEMENTS (caught)];
  int signal_fds[2];
  guint signal_source;
  guint key_source;
  char input[INPUT_MAX];
  gsize n_input;
};

static void
write_all (const char *data, gsize len)
{
  struct pollfd room = { .fd = STDOUT_FILENO, .events = POLLOUT };

  while (len > 0)
    {
      gssize n = write (STDOUT_FILENO, data, len);

      if (n < 0 && errno != EINTR && errno != EAGAIN)
        return;
      /* others who have the terminal may have told it not to wait */
      if (n < 0 && errno == EAGAIN)
        poll (&room, 1, -1);

      data += MAX (n, 0);
      len -= (gsize) MAX (n, 0);
    }
}

static void
enter (ChoirScreen *self)
{
  struct termios raw = self->before;

  raw.c_lflag &= ~(tcflag_t) (ICANON | ECHO);
  raw.c_iflag &= ~(tcflag_t) (IXON | ICRNL);
  raw.c_cc[VMIN] = 1;
  raw.c_cc[VTIME] = 0;
  tcsetattr (STDIN_FILENO, TCSAFLUSH, &raw);
  write_all (ENTER, strlen (ENTER));
}

static void
leave (ChoirScreen *self)
{
  write_all (LEAVE, strlen (LEAVE));
  tcsetattr (STDIN_FILENO, TCSAFLUSH, &self->before);
}

static void
catch_signal (int number)
{
  guint8 byte = (guint8) number;
  int before = errno;

  /* a full pipe has enough to tell */
  if (write (signal_fd, &byte, sizeof byte) < 0)
    errno = before;
}

/* ^Z; we are back in here when the shell lets us go on */
static void
pause_for_shell (ChoirScreen *self)
{
  leave (self);
  kill (getpid (), SIGSTOP);
  enter (self);
  self->key_cb (CHOIR_KEY_RESIZE, self->user_data);
}

static gboolean
signal_cb (int fd, GIOCondition condition, gpointer user_data)
{
  ChoirScreen *self = user_data;
  guint8 number;

  if (read (fd, &number, sizeof number) != sizeof number)
    return G_SOURCE_CONTINUE;

  if (number == SIGWINCH)
    self->key_cb (CHOIR_KEY_RESIZE, self->user_data);
  else if (number == SIGTSTP)
    pause_for_shell (self);
  else
    self->key_cb (CHOIR_KEY_END, self->user_data);

  return G_SOURCE_CONTINUE;
}

static const struct
{
  const char *bytes;
  guint key;
} sequences[] = {
  { "\x1b[A", CHOIR_KEY_UP },       { "\x1b[B", CHOIR_KEY_DOWN },
  { "\x1b[C", CHOIR_KEY_RIGHT },    { "\x1b[D", CHOIR_KEY_LEFT },
  { "\x1bOA", CHOIR_KEY_UP },       { "\x1bOB", CHOIR_KEY_DOWN },
  { "\x1bOC", CHOIR_KEY_RIGHT },    { "\x1bOD", CHOIR_KEY_LEFT },
  { "\x1b[5~", CHOIR_KEY_PAGE_UP }, { "\x1b[6~", CHOIR_KEY_PAGE_DOWN },
  { "\x1b[H", CHOIR_KEY_HOME },     { "\x1b[1~", CHOIR_KEY_HOME },
  { "\x1b[F", CHOIR_KEY_LAST },     { "\x1b[4~", CHOIR_KEY_LAST },
};

/* Where an escape sequence ends that is none of ours (ECMA-48 section 5.4); 0: not yet */
static gsize
find_sequence_end (const char *bytes, gsize len)
{
  if (len < 2)
    return 0;

  if (bytes[1] == 'O')
    return len >= 3 ? 3 : 0;

  if (bytes[1] != '[')
    return 1;

  for (gsize i = 2; i < len; i++)
    if (bytes[i] >= 0x40 && bytes[i] <= 0x7e)
      return i + 1;

  return 0;
}

/**
 * choir_screen_take_key:
 * @bytes: (array length=len): what came from the terminal
 * @len: bytes in @bytes, at least 1
 * @taken: (out): how many of them make the key; 0: more have to come
 *
 * Returns: the key; 0 for one that has no meaning here
 */
guint
choir_screen_take_key (const char *bytes, gsize len, gsize *taken)
{
  if (*bytes != '\x1b')
    {
      *taken = 1;
      return (guint8) *bytes < 0x80 ? (guint) *bytes : 0;
    }

  for (guint i = 0; i < G_N_ELEMENTS (sequences); i++)
    {
      gsize n = strlen (sequences[i].bytes);

      if (len >= n && memcmp (bytes, sequences[i].bytes, n) == 0)
        {
          *taken = n;
          return sequences[i].key;
        }
    }

  *taken = find_sequence_end (bytes, len);

  return 0;
}

static gboolean
key_cb (int fd, GIOCondition condition, gpointer user_data)
{
  ChoirScreen *self = user_data;
  gssize n = read (fd, self->input + self->n_input, INPUT_MAX - self->n_input);
  gsize at = 0, taken;

  /* the terminal has been closed */
  if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN))
    {
      self->key_source = 0;
      self->key_cb (CHOIR_KEY_END, self->user_data);
      return G_SOURCE_REMOVE;
    }

  self->n_input += (gsize) MAX (n, 0);
  while (at < self->n_input)
    {
      guint key = choir_screen_take_key (self->input + at, self->n_input - at, &taken);

      if (taken == 0)
        break;

      at += taken;
      if (key != 0)
        self->key_cb (key, self->user_data);
    }

  self->n_input -= at;
  memmove (self->input, self->input + at, self->n_input);
  /* no key is as long as that */
  if (self->n_input == INPUT_MAX)
    self->n_input = 0;

  return G_SOURCE_CONTINUE;
}

static gboolean
catch_signals (ChoirScreen *self, GError **error)
{
  const struct sigaction action = { .sa_handler = catch_signal, .sa_flags = SA_RESTART };

  if (!g_unix_open_pipe (self->signal_fds, FD_CLOEXEC, error))
    return FALSE;

  for (guint i = 0; i < G_N_ELEMENTS (self->signal_fds); i++)
    g_unix_set_fd_nonblocking (self->signal_fds[i], TRUE, NULL);

  signal_fd = self->signal_fds[1];
  self->signal_source = g_unix_fd_add (self->signal_fds[0], G_IO_IN, signal_cb, self);
  for (guint i = 0; i < G_N_ELEMENTS (caught); i++)
    sigaction (caught[i], &action, &self->actions_before[i]);

  return TRUE;
}

static void
let_signals (ChoirScreen *self)
{
  for (guint i = 0; i < G_N_ELEMENTS (caught); i++)
    sigaction (caught[i], &self->actions_before[i], NULL);

  signal_fd = -1;
  g_source_remove (self->signal_source);
  close (self->signal_fds[0]);
  close (self->signal_fds[1]);
}

/**
 * choir_screen_open:
 * @key_cb: is told of keys, from the default main context
 * @user_data: for @key_cb
 * @error: return location, of %CHOIR_CTL_ERROR
 *
 * Returns: (transfer full): the screen, %NULL where there is no terminal
 */
ChoirScreen *
choir_screen_open (ChoirScreenKey key_callback, gpointer user_data, GError **error)
{
  ChoirScreen *self;
  struct termios before;

  if (isatty (STDOUT_FILENO) != 1 || tcgetattr (STDIN_FILENO, &before) < 0)
    {
      g_set_error_literal (error, CHOIR_CTL_ERROR, CHOIR_CTL_USAGE,
                           _ ("There is no terminal to draw on; --batch prints plain text"));
      return NULL;
    }

  self = g_new0 (ChoirScreen, 1);
  self->key_cb = key_callback;
  self->user_data = user_data;
  self->before = before;

  if (!catch_signals (self, error))
    {
      g_free (self);
      return NULL;
    }

  self->key_source = g_unix_fd_add (STDIN_FILENO, G_IO_IN | G_IO_HUP | G_IO_ERR, key_cb, self);

  enter (self);

  return self;
}

/**
 * choir_screen_close:
 * @self: (transfer full): a screen
 *
 * Gives the terminal back as it was.
 */
void
choir_screen_close (ChoirScreen *self)
{
  leave (self);
  if (self->key_source != 0)
    g_source_remove (self->key_source);
  let_signals (self);
  g_free (self);
}

/**
 * choir_screen_get_size:
 * @self: a screen
 * @columns: (out): its width
 * @rows: (out): its height
 */
void
choir_screen_get_size (ChoirScreen *self, guint *columns, guint *rows)
{
  struct winsize size;

  /* before what the environment says, which does not change with the window */
  if (ioctl (STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 && size.ws_row > 0)
    {
      *columns = size.ws_col;
      *rows = size.ws_row;
      return;
    }

  *columns = choir_ctl_get_columns ();
  *rows = choir_ctl_get_rows ();
}

/**
 * choir_screen_draw:
 * @self: a screen
 * @lines: (array zero-terminated=1): what it shows from now on, from the top, each no wider than
 *   it is, and no more than fit
 */
void
choir_screen_draw (ChoirScreen *self, char **lines)
{
  g_autoptr (GString) frame = g_string_new (HOME);

  /* behind a line that fills its row the cursor stays on the last character: clearing comes first
   */
  for (char **line = lines; *line != NULL; line++)
    {
      if (line != lines)
        g_string_append (frame, "\r\n");
      g_string_append (frame, line[1] != NULL ? CLEAR_LINE : CLEAR_BELOW);
      g_string_append (frame, *line);
    }

  write_all (frame->str, frame->len);
}
