/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-ctl-output.h"

#include "choir-ctl-error.h"

#include <errno.h>
#include <glib/gi18n.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Of a terminal that does not tell */
#define COLUMNS_DEFAULT 80
#define ROWS_DEFAULT 24
#define COLUMNS_MAX 10000

static const char *const styles[CHOIR_CTL_N_STYLES] = {
  [CHOIR_CTL_PLAIN] = "",           [CHOIR_CTL_HEADING] = "\x1b[1m", [CHOIR_CTL_GOOD] = "\x1b[32m",
  [CHOIR_CTL_WARNING] = "\x1b[33m", [CHOIR_CTL_BAD] = "\x1b[31m",    [CHOIR_CTL_FAINT] = "\x1b[2m",
};

static gboolean with_color;

/**
 * choir_ctl_color_parse:
 * @text: `auto`, `always` or `never`
 * @out: (out): when to colour
 * @error: return location, of %CHOIR_CTL_ERROR
 *
 * Returns: whether @text is one of them
 */
gboolean
choir_ctl_color_parse (const char *text, ChoirCtlColor *out, GError **error)
{
  static const char *const words[] = { "auto", "always", "never" };

  for (guint i = 0; i < G_N_ELEMENTS (words); i++)
    if (strcmp (text, words[i]) == 0)
      {
        *out = (ChoirCtlColor) i;
        return TRUE;
      }

  g_set_error (error, CHOIR_CTL_ERROR, CHOIR_CTL_USAGE,
               _ ("--color: “%s” is none of auto, always, never"), text);

  return FALSE;
}

/**
 * choir_ctl_output_init:
 * @color: when to colour
 *
 * To be called before anything is printed. NO_COLOR is that of https://no-color.org.
 */
void
choir_ctl_output_init (ChoirCtlColor color)
{
  const char *no_color = g_getenv ("NO_COLOR");
  const char *term = g_getenv ("TERM");

  with_color = color == CHOIR_CTL_COLOR_ALWAYS ||
               (color == CHOIR_CTL_COLOR_AUTO && choir_ctl_is_terminal () &&
                (no_color == NULL || *no_color == '\0') && g_strcmp0 (term, "dumb") != 0);
}

/* The terminal */

/**
 * choir_ctl_is_terminal:
 *
 * Returns: whether a terminal shows what is printed
 */
gboolean
choir_ctl_is_terminal (void)
{
  return isatty (STDOUT_FILENO) == 1;
}

static guint
get_size (const char *variable, gboolean of_columns, guint fallback)
{
  const char *text = g_getenv (variable);
  struct winsize size = { 0 };
  guint64 number;

  if (text != NULL && g_ascii_string_to_unsigned (text, 10, 1, COLUMNS_MAX, &number, NULL))
    return (guint) number;

  if (ioctl (STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
    {
      guint found = of_columns ? size.ws_col : size.ws_row;

      if (found > 0)
        return found;
    }

  return fallback;
}

/**
 * choir_ctl_get_columns:
 *
 * Returns: the terminal's width at this moment; the environment's COLUMNS goes first
 */
guint
choir_ctl_get_columns (void)
{
  return get_size ("COLUMNS", TRUE, COLUMNS_DEFAULT);
}

/**
 * choir_ctl_get_rows:
 *
 * Returns: the terminal's height at this moment; the environment's LINES goes first
 */
guint
choir_ctl_get_rows (void)
{
  return get_size ("LINES", FALSE, ROWS_DEFAULT);
}

/**
 * choir_ctl_style:
 * @style: what a text is
 *
 * Returns: what to print before it
 */
const char *
choir_ctl_style (ChoirCtlStyle style)
{
  return with_color ? styles[style] : "";
}

/**
 * choir_ctl_style_end:
 * @style: what a text is
 *
 * Returns: what to print after it
 */
const char *
choir_ctl_style_end (ChoirCtlStyle style)
{
  return with_color && style != CHOIR_CTL_PLAIN ? "\x1b[0m" : "";
}

/* Texts of others */

/**
 * choir_ctl_is_command:
 * @c: a character
 *
 * Returns: whether a terminal does something with it rather than show it: control characters,
 *   those that turn the direction of what follows, and those that break the line
 */
gboolean
choir_ctl_is_command (gunichar c)
{
  return c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0x61c || c == 0x200e || c == 0x200f ||
         (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

/* All but the line breaks and tabs of a longer text, if those are to stay */
static char *
clean (const char *text, gboolean with_lines)
{
  g_autofree char *valid = g_utf8_make_valid (text, -1);
  GString *out = g_string_sized_new (strlen (valid));

  for (const char *at = valid; *at != '\0'; at = g_utf8_next_char (at))
    {
      gunichar c = g_utf8_get_char (at);

      if (!choir_ctl_is_command (c) || (with_lines && (c == '\n' || c == '\t')))
        g_string_append_len (out, at, g_utf8_next_char (at) - at);
      else
        g_string_append_printf (out, "\\u%04x", c);
    }

  return g_string_free (out, FALSE);
}

/**
 * choir_ctl_clean:
 * @text: any text, from whomever
 *
 * Makes it fit for a line of a terminal: what the terminal would take as a command is shown as
 * `\u001b`, what is no UTF-8 is replaced.
 *
 * Returns: (transfer full): the text
 */
char *
choir_ctl_clean (const char *text)
{
  return clean (text, FALSE);
}

/**
 * choir_ctl_clean_lines:
 * @text: any text, from whomever
 *
 * Returns: (transfer full): as choir_ctl_clean() does it, but line breaks and tabs stay
 */
char *
choir_ctl_clean_lines (const char *text)
{
  return clean (text, TRUE);
}

static guint
char_width (gunichar c)
{
  if (g_unichar_iszerowidth (c))
    return 0;

  return g_unichar_iswide (c) ? 2 : 1;
}

/**
 * choir_ctl_text_width:
 * @text: clean UTF-8
 *
 * Returns: how many columns of a terminal it takes
 */
guint
choir_ctl_text_width (const char *text)
{
  guint width = 0;

  for (const char *at = text; *at != '\0'; at = g_utf8_next_char (at))
    width += char_width (g_utf8_get_char (at));

  return width;
}

/**
 * choir_ctl_text_cut:
 * @text: clean UTF-8
 * @columns: how wide it may be, at least 1
 *
 * Returns: (transfer full): the text, or its beginning and an ellipsis if it is wider
 */
char *
choir_ctl_text_cut (const char *text, guint columns)
{
  const char *at = text;
  guint width = 0;

  if (choir_ctl_text_width (text) <= columns)
    return g_strdup (text);

  for (; width + char_width (g_utf8_get_char (at)) < columns; at = g_utf8_next_char (at))
    width += char_width (g_utf8_get_char (at));

  return g_strdup_printf ("%.*s…", (int) (at - text), text);
}

/* Printing */

/**
 * choir_ctl_die_of_pipe:
 *
 * Ends “choirctl … | head” as SIGPIPE ends others; GLib has it ignored, for its sockets.
 */
void
choir_ctl_die_of_pipe (void)
{
  signal (SIGPIPE, SIG_DFL);
  raise (SIGPIPE);
}

/**
 * choir_ctl_write:
 * @data: bytes
 * @len: how many, or -1 up to the NUL
 *
 * Prints them as they are.
 */
void
choir_ctl_write (const char *data, gssize len)
{
  gsize n = len < 0 ? strlen (data) : (gsize) len;

  if (fwrite (data, 1, n, stdout) < n && errno == EPIPE)
    choir_ctl_die_of_pipe ();
}

/**
 * choir_ctl_print:
 * @format: as for printf()
 * @...: the arguments, UTF-8; what others have named passes choir_ctl_clean() first
 *
 * Prints a text for people, in the terminal's character set.
 */
void
choir_ctl_print (const char *format, ...)
{
  g_autofree char *text = NULL;
  g_autofree char *converted = NULL;
  const char *charset;
  va_list arguments;

  va_start (arguments, format);
  text = g_strdup_vprintf (format, arguments);
  va_end (arguments);

  if (!g_get_charset (&charset))
    converted = g_convert_with_fallback (text, -1, charset, "UTF-8", "?", NULL, NULL, NULL);
  choir_ctl_write (converted != NULL ? converted : text, -1);
}

/**
 * choir_ctl_flush:
 * @error: return location, of %CHOIR_CTL_ERROR
 *
 * Returns: whether everything printed so far has been taken
 */
gboolean
choir_ctl_flush (GError **error)
{
  if (fflush (stdout) == 0 && !ferror (stdout))
    return TRUE;

  if (errno == EPIPE)
    choir_ctl_die_of_pipe ();
  g_set_error (error, CHOIR_CTL_ERROR, CHOIR_CTL_FAILED, _ ("The output cannot be written: %s"),
               g_strerror (errno));

  return FALSE;
}

/**
 * choir_ctl_complain:
 * @message: one sentence, translated
 *
 * Says on standard error what went wrong.
 */
void
choir_ctl_complain (const char *message)
{
  g_autofree char *clean = choir_ctl_clean (message);

  fflush (stdout);
  g_printerr ("choirctl: %s\n", clean);
}
