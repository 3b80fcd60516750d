/* choir-ctl.h: what every verb of choirctl works with
 *
 * main() reads the options, finds the verb in the table of choir-ctl-verbs.c and calls it with a
 * #ChoirCtl. A verb asks the service through choir_ctl_call(), prints through choir-ctl-output.h
 * and choir-ctl-table.h, and returns %FALSE with an error of %CHOIR_CTL_ERROR; the error's code is
 * what choirctl exits with.
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include "choir-ctl-bus.h"
#include "choir-ctl-error.h"
#include "choir-ctl-output.h"

#include <gio/gio.h>
#include <gio/gunixfdlist.h>

G_BEGIN_DECLS

#define CHOIR_CTL_PATH "/org/choir/Choir1"
#define CHOIR_CTL_INTERFACE(name) "org.choir.Choir1." name
#define CHOIR_CTL_MANAGER CHOIR_CTL_INTERFACE ("Manager")
#define CHOIR_CTL_PROPERTIES "org.freedesktop.DBus.Properties"

typedef struct
{
  ChoirCtlBus bus;    /* where to find the service, and how it is reached */
  gboolean json;      /* print JSON, never tables */
  gboolean no_legend; /* no headings, no counts below */
  gboolean is_unread; /* whoever read what we print has gone */
  int status;         /* ChoirCtlExit, for what was reported and did not end it */
} ChoirCtl;

typedef gboolean (*ChoirCtlRun) (ChoirCtl *self, char **words, GError **error);

typedef struct
{
  const char *name;
  const char *words;   /* (nullable) as the help has it, for translation */
  const char *summary; /* for translation */
  int min_words;
  int max_words;               /* -1: any number */
  const GOptionEntry *entries; /* (nullable) of this verb alone */
  ChoirCtlRun run;
} ChoirCtlVerb;

/* The verbs in the order of the help; the last has no name */
extern const ChoirCtlVerb choir_ctl_verbs[];
const ChoirCtlVerb *choir_ctl_find_verb (const char *name);
const char *choir_ctl_guess_verb (const char *name);

/* Asking the service; all connect when that has not been done yet, and wait for the answer */
GVariant *choir_ctl_call (ChoirCtl *self,
                          const char *method,
                          GVariant *parameters,
                          const char *reply_type,
                          GError **error);
GVariant *choir_ctl_call_object (ChoirCtl *self,
                                 const char *path,
                                 const char *interface,
                                 const char *method,
                                 GVariant *parameters,
                                 const char *reply_type,
                                 GUnixFDList **fds,
                                 GError **error);
GVariant *
choir_ctl_get_all (ChoirCtl *self, const char *path, const char *interface, GError **error);

/* What did not work out for one of several; the verb goes on */
void choir_ctl_report (ChoirCtl *self, const GError *error);

/* What was done: a sentence, or with --json an object */
void choir_ctl_say (ChoirCtl *self, GVariant *done, const char *format, ...) G_GNUC_PRINTF (3, 4);

/* A verb that takes several words does the same with each. What was done goes into @done, and
 * (transfer full) into @sentence, for people */
typedef gboolean (*ChoirCtlOne) (ChoirCtl *self,
                                 const char *word,
                                 GVariantDict *done,
                                 char **sentence,
                                 GError **error);
gboolean choir_ctl_do_each (ChoirCtl *self, char **words, ChoirCtlOne one);

G_END_DECLS
