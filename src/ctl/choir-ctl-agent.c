/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-ctl-agent.h"

#include <errno.h>
#include <glib-unix.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the agent finds its end of the pipe as */
#define NOTIFY_FD 3
/* Registering takes milliseconds; a polkit that hangs must not stop us */
#define READY_MS 5000

/**
 * choir_ctl_agent_is_wanted:
 *
 * Returns: whether somebody is at the terminal who could be asked, and may have to be
 */
gboolean
choir_ctl_agent_is_wanted (void)
{
  return geteuid () != 0 && isatty (STDIN_FILENO) == 1 && isatty (STDERR_FILENO) == 1;
}

static void
die_with_parent (gpointer user_data)
{
  prctl (PR_SET_PDEATHSIG, SIGTERM);
}

/* The agent closes its end once it is registered, the system when it dies */
static void
wait_until_ready (int fd)
{
  struct pollfd wait = { .fd = fd, .events = POLLIN };
  int n;

  do
    n = poll (&wait, 1, READY_MS);
  while (n < 0 && errno == EINTR);
}

/**
 * choir_ctl_agent_start:
 * @self: zeroed
 *
 * Starts `pkttyagent` for this process, and waits until polkit knows of it. Without it polkit can
 * ask nobody, and refuses: that is the worst that happens when there is none to start.
 */
void
choir_ctl_agent_start (ChoirCtlAgent *self)
{
  g_autofree char *process = g_strdup_printf ("%d", (int) getpid ());
  const char *argv[] = { "pkttyagent", "--process", process, "--notify-fd", G_STRINGIFY (NOTIFY_FD),
                         "--fallback", NULL };
  const int target = NOTIFY_FD;
  int pipes[2];

  if (!g_unix_open_pipe (pipes, FD_CLOEXEC, NULL))
    return;

  /* it talks to the terminal itself: only its complaints are left out */
  if (g_spawn_async_with_pipes_and_fds (NULL, argv, NULL,
                                        G_SPAWN_SEARCH_PATH | G_SPAWN_DO_NOT_REAP_CHILD |
                                          G_SPAWN_STDOUT_TO_DEV_NULL | G_SPAWN_STDERR_TO_DEV_NULL,
                                        die_with_parent, NULL, -1, -1, -1, &pipes[1], &target, 1,
                                        &self->pid, NULL, NULL, NULL, NULL))
    {
      close (pipes[1]);
      wait_until_ready (pipes[0]);
    }
  else
    {
      close (pipes[1]);
      self->pid = 0;
    }

  close (pipes[0]);
}

/**
 * choir_ctl_agent_stop:
 * @self: started or not
 *
 * Ends it, so that the terminal is as it was before.
 */
void
choir_ctl_agent_stop (ChoirCtlAgent *self)
{
  if (self->pid == 0)
    return;

  kill (self->pid, SIGTERM);
  kill (self->pid, SIGCONT);
  while (waitpid (self->pid, NULL, 0) < 0 && errno == EINTR)
    ;
  g_spawn_close_pid (self->pid);
  self->pid = 0;
}
