/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

/* “choirctl trace”: messages while they happen. They come through a pipe whose end the service
 * hands over; that is possible on one host only, so to another one choirctl itself is sent. */

#include "config.h"

#include "choir-ctl-live.h"
#include "choir-ctl-trace-line.h"

#include <errno.h>
#include <glib-unix.h>
#include <glib/gi18n.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

/* A line holds one message, and those are far smaller */
#define LINE_MAX_BYTES (64 * 1024 * 1024)
#define READ_SIZE 65536

/* What a shell says when it finds no such program, and ssh when it did not get there */
#define STATUS_NO_PROGRAM 127
#define STATUS_NO_HOST 255

static char *opt_user;
static char *opt_connection;
static char *opt_channel;
static char *opt_type;
static char *opt_direction;
static gboolean opt_bodies;

const GOptionEntry choir_ctl_trace_entries[] = {
  { "user", 0, 0, G_OPTION_ARG_FILENAME, &opt_user, N_ ("Only messages of this user"),
    N_ ("USER") },
  { "connection", 0, 0, G_OPTION_ARG_FILENAME, &opt_connection,
    N_ ("Only messages of this connection"), N_ ("ID") },
  { "channel", 0, 0, G_OPTION_ARG_FILENAME, &opt_channel, N_ ("Only messages of this channel"),
    N_ ("CHANNEL") },
  { "type", 0, 0, G_OPTION_ARG_FILENAME, &opt_type, N_ ("Only messages of this type"),
    N_ ("TYPE") },
  { "direction", 0, 0, G_OPTION_ARG_FILENAME, &opt_direction,
    N_ ("Only what clients say (in), or only what they are told (out)"), "in|out" },
  { "bodies", 0, 0, G_OPTION_ARG_NONE, &opt_bodies, N_ ("With what they say"), NULL },
  G_OPTION_ENTRY_NULL,
};

static const struct
{
  const char *name;
  char **value;
} texts[] = {
  { "user", &opt_user }, { "connection", &opt_connection }, { "channel", &opt_channel },
  { "type", &opt_type }, { "direction", &opt_direction },
};

typedef struct
{
  ChoirCtlLoop loop;
  int pipe; /* (owned): -1: none */
  guint source;
  GString *input; /* (owned): a line that is not complete */
} Trace;

static gboolean
take_lines (Trace *self, GError **error)
{
  const char *at = self->input->str;
  const char *end;

  while ((end = memchr (at, '\n', self->input->len - (gsize) (at - self->input->str))) != NULL)
    {
      choir_ctl_trace_line_print (at, (gsize) (end - at), self->loop.ctl->json);
      at = end + 1;
    }

  g_string_erase (self->input, 0, at - self->input->str);
  if (self->input->len < LINE_MAX_BYTES)
    return choir_ctl_flush (error);

  g_set_error_literal (error, CHOIR_CTL_ERROR, CHOIR_CTL_FAILED,
                       _ ("What comes from the service has no end"));

  return FALSE;
}

static gboolean
pipe_cb (int fd, GIOCondition condition, gpointer user_data)
{
  Trace *self = user_data;
  char buffer[READ_SIZE];
  gssize n = read (fd, buffer, sizeof buffer);
  GError *error = NULL;

  if (n < 0 && (errno == EINTR || errno == EAGAIN))
    return G_SOURCE_CONTINUE;

  if (n <= 0)
    g_set_error_literal (&error, CHOIR_CTL_ERROR, CHOIR_CTL_NO_SERVICE,
                         _ ("The service has ended the trace; “systemctl status choir” tells "
                            "why"));
  else
    {
      g_string_append_len (self->input, buffer, n);
      if (take_lines (self, &error))
        return G_SOURCE_CONTINUE;
    }

  self->source = 0;
  choir_ctl_loop_fail (&self->loop, error);

  return G_SOURCE_REMOVE;
}

static GVariant *
make_filter (void)
{
  GVariantBuilder filter;

  g_variant_builder_init (&filter, G_VARIANT_TYPE_VARDICT);
  for (guint i = 0; i < G_N_ELEMENTS (texts); i++)
    if (*texts[i].value != NULL)
      g_variant_builder_add (&filter, "{sv}", texts[i].name,
                             g_variant_new_string (*texts[i].value));
  if (opt_bodies)
    g_variant_builder_add (&filter, "{sv}", "bodies", g_variant_new_boolean (TRUE));

  return g_variant_builder_end (&filter);
}

static int
take_pipe (GVariant *reply, GUnixFDList *fds, GError **error)
{
  g_autoptr (GError) problem = NULL;
  gint32 handle;
  int fd = -1;

  g_variant_get (reply, "(h)", &handle);
  if (fds != NULL)
    fd = g_unix_fd_list_get (fds, handle, &problem);

  if (fd < 0 || !g_unix_set_fd_nonblocking (fd, TRUE, NULL))
    g_set_error_literal (error, CHOIR_CTL_ERROR, CHOIR_CTL_FAILED,
                         _ ("The service has handed over no pipe"));

  return fd;
}

static gboolean
begin (Trace *self, GError **error)
{
  g_autoptr (GUnixFDList) fds = NULL;
  g_autoptr (GVariant) reply = NULL;

  if (!choir_ctl_loop_watch_service (&self->loop, error))
    return FALSE;

  reply = choir_ctl_call_object (self->loop.ctl, CHOIR_CTL_PATH, CHOIR_CTL_MANAGER, "Trace",
                                 g_variant_new ("(@a{sv})", make_filter ()), "(h)", &fds, error);
  if (reply == NULL)
    return FALSE;

  self->pipe = take_pipe (reply, fds, error);
  if (self->pipe < 0)
    return FALSE;

  choir_ctl_loop_catch_signals (&self->loop);
  self->source = g_unix_fd_add (self->pipe, G_IO_IN | G_IO_HUP | G_IO_ERR, pipe_cb, self);
  if (!self->loop.ctl->json && !self->loop.ctl->no_legend && choir_ctl_is_terminal ())
    choir_ctl_print (_ ("Tracing; → is what clients say, ← what they are told; ^C ends it\n"));

  return choir_ctl_flush (error);
}

static gboolean
trace_here (ChoirCtl *ctl, GError **error)
{
  Trace self = { .pipe = -1 };
  gboolean fine;

  self.input = g_string_new (NULL);
  choir_ctl_loop_init (&self.loop, ctl);
  fine = begin (&self, error) && choir_ctl_loop_run (&self.loop, error);

  if (self.source != 0)
    g_source_remove (self.source);
  if (self.pipe >= 0)
    close (self.pipe);
  choir_ctl_loop_clear (&self.loop);
  g_string_free (self.input, TRUE);

  return fine;
}

/* On another host */

static void
add_option (GString *command, const char *name, const char *value)
{
  g_autofree char *quoted = g_shell_quote (value);

  g_string_append_printf (command, " --%s=%s", name, quoted);
}

/* What the shell there is given: the same question, asked there */
static char *
dup_command (ChoirCtl *ctl)
{
  GString *command = g_string_new ("choirctl --no-ask-password");
  const char *node = strchr (ctl->bus.name + strlen ("org.choir."), '.');

  if (ctl->json)
    g_string_append (command, " --json");
  if (ctl->no_legend || !choir_ctl_is_terminal ())
    g_string_append (command, " --no-legend");
  if (*choir_ctl_style (CHOIR_CTL_FAINT) != '\0')
    g_string_append (command, " --color=always");
  if (ctl->bus.has_timeout)
    g_string_append_printf (command, " --timeout=%dms", ctl->bus.timeout_ms);
  if (ctl->bus.session)
    g_string_append (command, " --session");
  if (ctl->bus.address != NULL)
    add_option (command, "address", ctl->bus.address);
  if (node != NULL)
    add_option (command, "node", node + 1);
  g_string_append (command, " trace");
  for (guint i = 0; i < G_N_ELEMENTS (texts); i++)
    if (*texts[i].value != NULL)
      add_option (command, texts[i].name, *texts[i].value);
  if (opt_bodies)
    g_string_append (command, " --bodies");

  return g_string_free (command, FALSE);
}

/* The far end has said itself what went wrong, on our standard error */
static void
judge_far_end (ChoirCtl *ctl, GSubprocess *ssh, ChoirCtlLoop *loop)
{
  int status = g_subprocess_get_if_exited (ssh) ? g_subprocess_get_exit_status (ssh) : -1;

  if (status == STATUS_NO_PROGRAM)
    choir_ctl_loop_fail (loop, g_error_new (CHOIR_CTL_ERROR, CHOIR_CTL_NO_SERVICE,
                                            _ ("There is no choirctl on %s"), ctl->bus.host));
  else if (status == STATUS_NO_HOST)
    choir_ctl_loop_fail (loop, g_error_new (CHOIR_CTL_ERROR, CHOIR_CTL_NO_SERVICE,
                                            _ ("ssh did not get to %s"), ctl->bus.host));
  else if (status != 0)
    choir_ctl_loop_fail (loop, g_error_new (CHOIR_CTL_ERROR, status > 0 ? status : 1,
                                            _ ("The trace on %s has ended"), ctl->bus.host));
  else
    g_main_loop_quit (loop->loop);
}

static void
ssh_done_cb (GObject *source, GAsyncResult *result, gpointer user_data)
{
  ChoirCtlLoop *loop = user_data;

  if (g_subprocess_wait_finish (G_SUBPROCESS (source), result, NULL))
    judge_far_end (loop->ctl, G_SUBPROCESS (source), loop);
}

static gboolean
trace_there (ChoirCtl *ctl, GError **error)
{
  g_autofree char *command = dup_command (ctl);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GError) problem = NULL;
  g_autoptr (GSubprocess) ssh = NULL;
  ChoirCtlLoop loop;
  gboolean fine;

  ssh = g_subprocess_new (G_SUBPROCESS_FLAGS_STDIN_PIPE, &problem, "ssh", "-xT", "--",
                          ctl->bus.host, command, NULL);
  if (ssh == NULL)
    {
      g_set_error (error, CHOIR_CTL_ERROR, CHOIR_CTL_NO_SERVICE, _ ("ssh does not start: %s"),
                   problem->message);
      return FALSE;
    }

  choir_ctl_loop_init (&loop, ctl);
  choir_ctl_loop_catch_signals (&loop);
  g_subprocess_wait_async (ssh, cancellable, ssh_done_cb, &loop);
  fine = choir_ctl_loop_run (&loop, error);

  /* the far end sees its output closed, and goes */
  g_cancellable_cancel (cancellable);
  g_subprocess_send_signal (ssh, SIGTERM);
  g_subprocess_wait (ssh, NULL, NULL);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  choir_ctl_loop_clear (&loop);

  return fine;
}

static gboolean
check_direction (GError **error)
{
  if (opt_direction == NULL || strcmp (opt_direction, "in") == 0 ||
      strcmp (opt_direction, "out") == 0)
    return TRUE;

  g_set_error (error, CHOIR_CTL_ERROR, CHOIR_CTL_USAGE, _ ("--direction: “%s” is not in or out"),
               opt_direction);

  return FALSE;
}

/**
 * choir_ctl_trace:
 * @self: the options and the bus
 * @words: none
 * @error: return location, of %CHOIR_CTL_ERROR
 *
 * Prints messages while they happen, until it is told to stop.
 *
 * Returns: whether it was
 */
gboolean
choir_ctl_trace (ChoirCtl *self, char **words, GError **error)
{
  if (!check_direction (error))
    return FALSE;

  return self->bus.host != NULL ? trace_there (self, error) : trace_here (self, error);
}
