/* choir-ctl-live.h: the verbs that go on until they are told to stop, and the one that asks no bus
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-ctl.h"

G_BEGIN_DECLS

extern const GOptionEntry choir_ctl_check_entries[];
extern const GOptionEntry choir_ctl_top_entries[];
extern const GOptionEntry choir_ctl_trace_entries[];

gboolean choir_ctl_check (ChoirCtl *self, char **words, GError **error);
gboolean choir_ctl_top (ChoirCtl *self, char **words, GError **error);
gboolean choir_ctl_trace (ChoirCtl *self, char **words, GError **error);
gboolean choir_ctl_watch (ChoirCtl *self, char **words, GError **error);

gboolean choir_ctl_parse_interval (const char *option,
                                   const char *text,
                                   gint64 min_us,
                                   gint64 max_us,
                                   gint64 *out_us,
                                   GError **error);

/* Until it is stopped, a signal asks for the end, or the service has gone */
typedef struct
{
  ChoirCtl *ctl;
  GMainLoop *loop; /* (owned) */
  GError *error;   /* (owned) (nullable): why it ended */
  guint signals[3];
  guint name_watch;
  guint output_source;
} ChoirCtlLoop;

void choir_ctl_loop_init (ChoirCtlLoop *self, ChoirCtl *ctl);
void choir_ctl_loop_catch_signals (ChoirCtlLoop *self);
gboolean choir_ctl_loop_watch_service (ChoirCtlLoop *self, GError **error);
void choir_ctl_loop_fail (ChoirCtlLoop *self, GError *error);
gboolean choir_ctl_loop_run (ChoirCtlLoop *self, GError **error);
void choir_ctl_loop_clear (ChoirCtlLoop *self);

G_END_DECLS
