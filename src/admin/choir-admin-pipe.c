/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-admin-pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <unistd.h>

/* Room for the line that tells of lines left out */
#define DROPPED_MAX 64
/* Written at a time: a reader that keeps up must not keep the loop */
#define CHUNK 65536

struct _ChoirAdminPipe
{
  int fd;
  GString *buffer; /* (owned) */
  gsize n_written; /* of what is in it */
  guint64 n_dropped;
  guint closed_id; /* looks for the reader's end */
  guint write_id;  /* 0: nothing waits */
  ChoirAdminPipeClosed closed;
  gpointer user_data;
};

static void
tell_dropped (ChoirAdminPipe *self)
{
  if (self->n_dropped == 0)
    return;

  g_string_append_printf (self->buffer, "{\"dropped\":%" G_GUINT64_FORMAT "}\n", self->n_dropped);
  self->n_dropped = 0;
}

static gboolean
closed_cb (int fd, GIOCondition condition, gpointer user_data)
{
  ChoirAdminPipe *self = user_data;

  self->closed_id = 0;
  self->closed (self->user_data);

  return G_SOURCE_REMOVE;
}

static gboolean
write_cb (int fd, GIOCondition condition, gpointer user_data)
{
  ChoirAdminPipe *self = user_data;
  gsize left = self->buffer->len - self->n_written;
  gssize n = write (fd, self->buffer->str + self->n_written, MIN (left, CHUNK));

  if (n < 0)
    {
      if (errno == EAGAIN || errno == EINTR)
        return G_SOURCE_CONTINUE;

      /* the other source tells of it */
      self->write_id = 0;
      return G_SOURCE_REMOVE;
    }

  self->n_written += (gsize) n;
  if (self->n_written < self->buffer->len)
    {
      if (self->n_written > CHOIR_ADMIN_PIPE_MAX / 2)
        {
          g_string_erase (self->buffer, 0, (gssize) self->n_written);
          self->n_written = 0;
        }
      return G_SOURCE_CONTINUE;
    }

  g_string_truncate (self->buffer, 0);
  self->n_written = 0;
  tell_dropped (self);
  if (self->buffer->len > 0)
    return G_SOURCE_CONTINUE;

  self->write_id = 0;

  return G_SOURCE_REMOVE;
}

/**
 * choir_admin_pipe_new:
 * @reading_fd: (out): the reading end, the caller's to close
 * @closed: called once when nobody reads any more; may free the pipe
 * @user_data: for @closed
 * @error: return location: of %G_UNIX_ERROR or #GFileError
 *
 * Returns: (transfer full) (nullable): a pipe that does not block its writer
 */
ChoirAdminPipe *
choir_admin_pipe_new (int *reading_fd,
                      ChoirAdminPipeClosed closed,
                      gpointer user_data,
                      GError **error)
{
  ChoirAdminPipe *self;
  int fds[2];

  if (!g_unix_open_pipe (fds, FD_CLOEXEC, error))
    return NULL;

  /* of this end only: the reader may want to wait */
  if (!g_unix_set_fd_nonblocking (fds[1], TRUE, error))
    {
      close (fds[0]);
      close (fds[1]);
      return NULL;
    }

  /* has SIGPIPE ignored, as GLib's sockets need it */
  g_type_ensure (G_TYPE_SOCKET);
  g_type_class_unref (g_type_class_ref (G_TYPE_SOCKET));

  self = g_new0 (ChoirAdminPipe, 1);
  self->fd = fds[1];
  self->buffer = g_string_new (NULL);
  self->closed = closed;
  self->user_data = user_data;
  self->closed_id = g_unix_fd_add (self->fd, G_IO_ERR | G_IO_HUP, closed_cb, self);
  *reading_fd = fds[0];

  return self;
}

/**
 * choir_admin_pipe_free:
 * @self: (transfer full): a pipe; what still waits is lost
 */
void
choir_admin_pipe_free (ChoirAdminPipe *self)
{
  g_clear_handle_id (&self->closed_id, g_source_remove);
  g_clear_handle_id (&self->write_id, g_source_remove);
  g_string_free (self->buffer, TRUE);
  close (self->fd);
  g_free (self);
}

/**
 * choir_admin_pipe_get_n_waiting:
 * @self: a pipe
 *
 * Returns: bytes; at most %CHOIR_ADMIN_PIPE_MAX
 */
gsize
choir_admin_pipe_get_n_waiting (const ChoirAdminPipe *self)
{
  return self->buffer->len - self->n_written;
}

/**
 * choir_admin_pipe_push:
 * @self: a pipe
 * @line: without its end
 *
 * Has a line written when the loop gets to it, or left out if too much waits.
 */
void
choir_admin_pipe_push (ChoirAdminPipe *self, const GString *line)
{
  if (choir_admin_pipe_get_n_waiting (self) + line->len + 1 + DROPPED_MAX > CHOIR_ADMIN_PIPE_MAX)
    {
      self->n_dropped++;
      return;
    }

  tell_dropped (self);
  g_string_append_len (self->buffer, line->str, (gssize) line->len);
  g_string_append_c (self->buffer, '\n');
  if (self->write_id == 0)
    self->write_id = g_unix_fd_add (self->fd, G_IO_OUT, write_cb, self);
}
