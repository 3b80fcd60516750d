/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include <glib.h>
#include <stdint.h>

/* Runs a fuzz target over every file of the folders it is given, so that inputs once found are
 * tried on every build, by any compiler. A folder without files is a mistake, not a success. */

int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);

static void
replay_file (const char *path)
{
  g_autofree char *contents = NULL;
  g_autofree uint8_t *exact = NULL;
  g_autoptr (GError) error = NULL;
  gsize len;

  if (!g_file_get_contents (path, &contents, &len, &error))
    g_error ("%s", error->message);

  /* without the NUL GLib adds, so that reading past the end is seen */
  exact = g_memdup2 (contents, len);
  g_print ("%s\n", path);
  LLVMFuzzerTestOneInput (exact, len);
}

static guint
replay_folder (const char *path)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GDir) folder = g_dir_open (path, 0, &error);
  guint n_files = 0;
  const char *name;

  if (folder == NULL)
    g_error ("%s", error->message);

  while ((name = g_dir_read_name (folder)) != NULL)
    {
      g_autofree char *file = g_build_filename (path, name, NULL);

      replay_file (file);
      n_files++;
    }

  return n_files;
}

int
main (int argc, char *argv[])
{
  for (int i = 1; i < argc; i++)
    if (replay_folder (argv[i]) == 0)
      g_error ("%s holds no inputs", argv[i]);

  if (argc < 2)
    g_error ("Usage: %s FOLDER...", argv[0]);

  return 0;
}
