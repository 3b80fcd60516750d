/* choir-screen.h: the whole terminal, for a program that draws and takes single keys
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 *
 * Between open and close the terminal shows its other screen and hands over keys as they are
 * pressed. ^Z puts everything back until the shell goes on with us, and ^\ comes as
 * %CHOIR_KEY_END. Whoever opens a screen turns the other signals that would end the program into
 * an orderly end, which closes it.
 */

#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Other keys are their characters */
enum
{
  CHOIR_KEY_UP = 0x110000,
  CHOIR_KEY_DOWN,
  CHOIR_KEY_LEFT,
  CHOIR_KEY_RIGHT,
  CHOIR_KEY_PAGE_UP,
  CHOIR_KEY_PAGE_DOWN,
  CHOIR_KEY_HOME,
  CHOIR_KEY_LAST,
  CHOIR_KEY_RESIZE, /* the terminal has another size: draw again */
  CHOIR_KEY_END,    /* SIGQUIT, or the terminal is gone */
};

typedef void (*ChoirScreenKey) (guint key, gpointer user_data);

typedef struct _ChoirScreen ChoirScreen;

ChoirScreen *choir_screen_open (ChoirScreenKey key_cb, gpointer user_data, GError **error);
void choir_screen_close (ChoirScreen *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirScreen, choir_screen_close)

void choir_screen_get_size (ChoirScreen *self, guint *columns, guint *rows);
void choir_screen_draw (ChoirScreen *self, char **lines);

guint choir_screen_take_key (const char *bytes, gsize len, gsize *taken);

G_END_DECLS
