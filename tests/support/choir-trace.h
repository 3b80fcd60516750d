/* choir-trace.h: reads an editing session of tests/data/traces
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <gio/gio.h>
#include <string.h>

typedef struct
{
  gsize position; /* code points */
  gsize n_deleted;
  const char *text; /* inserted after deleting; belongs to the trace */
  gsize n_bytes;    /* of @text */
} ChoirEdit;

typedef struct
{
  char *data;         /* (owned) the file, unescaped in place */
  const char *sha256; /* of the text at the end */
  ChoirEdit *edits;   /* (owned) (array length=n_edits) */
  guint n_edits;
} ChoirTrace;

static inline void
choir_trace_free (ChoirTrace *self)
{
  g_free (self->data);
  g_free (self->edits);
  g_free (self);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirTrace, choir_trace_free)

/* Takes the escapes out of a text that ends at @end; it gets shorter */
static inline gsize
choir_trace_unescape (char *text, const char *end)
{
  char *to = text;

  for (const char *at = text; at < end; at++)
    {
      if (*at != '\\')
        *to++ = *at;
      else
        *to++ = *++at == 'n' ? '\n' : *at;
    }

  return (gsize) (to - text);
}

/* Position and deletion stand in front of the text; positions are relative */
static inline ChoirEdit
choir_trace_read_edit (char *line, const char *end, gsize behind_last)
{
  char *at = line;
  ChoirEdit edit = { .position = behind_last + (gsize) g_ascii_strtoll (at, &at, 10) };

  edit.n_deleted = g_ascii_strtoull (at, &at, 10);
  g_assert_cmpint (*at, ==, ' ');
  edit.text = ++at;
  edit.n_bytes = choir_trace_unescape (at, end);

  return edit;
}

/* (transfer full) */
static inline GBytes *
choir_trace_inflate (const char *path, GError **error)
{
  g_autoptr (GFile) file = g_file_new_for_path (path);
  g_autoptr (GFileInputStream) compressed = g_file_read (file, NULL, error);
  g_autoptr (GZlibDecompressor) inflater = g_zlib_decompressor_new (G_ZLIB_COMPRESSOR_FORMAT_GZIP);
  g_autoptr (GOutputStream) memory = g_memory_output_stream_new_resizable ();
  g_autoptr (GInputStream) plain = NULL;

  if (compressed == NULL)
    return NULL;

  plain = g_converter_input_stream_new (G_INPUT_STREAM (compressed), G_CONVERTER (inflater));
  if (g_output_stream_splice (memory, plain, G_OUTPUT_STREAM_SPLICE_CLOSE_TARGET, NULL, error) < 0)
    return NULL;

  return g_memory_output_stream_steal_as_bytes (G_MEMORY_OUTPUT_STREAM (memory));
}

/**
 * choir_trace_load:
 * @path: an `.edits.gz` file, as the README beside them describes it
 *
 * Returns: (transfer full): the trace, or %NULL with @error set
 */
static inline ChoirTrace *
choir_trace_load (const char *path, GError **error)
{
  g_autoptr (GBytes) bytes = choir_trace_inflate (path, error);
  g_autoptr (GArray) edits = g_array_new (FALSE, FALSE, sizeof (ChoirEdit));
  ChoirTrace *self;
  gsize behind_last = 0;
  char *line_end;

  if (bytes == NULL)
    return NULL;

  self = g_new0 (ChoirTrace, 1);
  self->data = g_strndup (g_bytes_get_data (bytes, NULL), g_bytes_get_size (bytes));
  self->sha256 = self->data;
  line_end = strchr (self->data, '\n');
  *line_end = '\0';

  for (char *line = line_end + 1; *line != '\0'; line = line_end + 1)
    {
      ChoirEdit edit;

      line_end = strchr (line, '\n');
      edit = choir_trace_read_edit (line, line_end, behind_last);
      behind_last = edit.position + (gsize) g_utf8_strlen (edit.text, (gssize) edit.n_bytes);
      g_array_append_val (edits, edit);
    }
  self->n_edits = edits->len;
  self->edits = (ChoirEdit *) (void *) g_array_free (g_steal_pointer (&edits), FALSE);

  return self;
}
