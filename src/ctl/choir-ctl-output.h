/* choir-ctl-output.h: what choirctl prints: cleaned, coloured, or as JSON
 *
 * Everything choirctl prints goes through here, so that nothing that somebody else has named
 * reaches a terminal as a command, and a full disk or a closed pipe is noticed.
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

typedef enum
{
  CHOIR_CTL_COLOR_AUTO,
  CHOIR_CTL_COLOR_ALWAYS,
  CHOIR_CTL_COLOR_NEVER,
} ChoirCtlColor;

/* What a text is, rather than how it looks */
typedef enum
{
  CHOIR_CTL_PLAIN,
  CHOIR_CTL_HEADING,
  CHOIR_CTL_GOOD,
  CHOIR_CTL_WARNING,
  CHOIR_CTL_BAD,
  CHOIR_CTL_FAINT,
  CHOIR_CTL_N_STYLES
} ChoirCtlStyle;

gboolean choir_ctl_color_parse (const char *text, ChoirCtlColor *out, GError **error);
void choir_ctl_output_init (ChoirCtlColor color);

/* The terminal */
gboolean choir_ctl_is_terminal (void);
guint choir_ctl_get_columns (void);
guint choir_ctl_get_rows (void);

/* "" unless there are colours */
const char *choir_ctl_style (ChoirCtlStyle style);
const char *choir_ctl_style_end (ChoirCtlStyle style);

/* Texts of others */
gboolean choir_ctl_is_command (gunichar c);
char *choir_ctl_clean (const char *text);
char *choir_ctl_clean_lines (const char *text);
guint choir_ctl_text_width (const char *text);
char *choir_ctl_text_cut (const char *text, guint columns);

/* Printing */
void choir_ctl_print (const char *format, ...) G_GNUC_PRINTF (1, 2);
void choir_ctl_write (const char *data, gssize len);
void choir_ctl_die_of_pipe (void);
gboolean choir_ctl_flush (GError **error);
void choir_ctl_complain (const char *message);

/* JSON; bus values as they are */
char *choir_ctl_dup_json (GVariant *value, gboolean pretty);
char *choir_ctl_escape_json (const char *json);
void choir_ctl_print_json (GVariant *value);
void choir_ctl_print_json_line (GVariant *value);

G_END_DECLS
