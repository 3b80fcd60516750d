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

/* By which people and programs end us */
static const int endings[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
/* For the handler: the one agent there is */
static volatile sig_atomic_t running;

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

/* Nothing but what a signal's handler may call (signal-safety(7)) */
static void
end_agent (pid_t pid)
{
  kill (pid, SIGTERM);
  kill (pid, SIGCONT);
  while (waitpid (pid, NULL, 0) < 0 && errno == EINTR)
    ;
}

/* While the agent puts the terminal in order nobody else may read it: it would be too late for that
 * once we are gone, and the shell is back */
static void
ending_cb (int number)
{
  end_agent (running);
  /* held back until this returns, and then nothing keeps it from ending us */
  raise (number);
}

static void
catch_endings (void)
{
  struct sigaction action = { .sa_handler = ending_cb, .sa_flags = (int) SA_RESETHAND };

  sigfillset (&action.sa_mask);
  for (guint i = 0; i < G_N_ELEMENTS (endings); i++)
    {
      struct sigaction before;

      /* as nohup(1) has left it */
      if (sigaction (endings[i], NULL, &before) == 0 && before.sa_handler == SIG_DFL)
        sigaction (endings[i], &action, NULL);
    }
}

/* What others have put in our handler's place is theirs */
static void
release_endings (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (endings); i++)
    {
      struct sigaction now;

      if (sigaction (endings[i], NULL, &now) == 0 && now.sa_handler == ending_cb)
        signal (endings[i], SIG_DFL);
    }
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
      running = self->pid;
      catch_endings ();
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

  release_endings ();
  end_agent (self->pid);
  g_spawn_close_pid (self->pid);
  self->pid = 0;
}
