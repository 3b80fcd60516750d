/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "choir-blocklist-private.h"

#include "choir-clock.h"
#include "choir-error.h"
#include "choir-names.h"

#include <string.h>

/* Changes that may wait for the store */
#define WAITING_MAX 4096
/* Times later than that are no whole numbers in JSON everywhere (RFC 8259 section 6) */
#define UNTIL_MAX_US (G_GINT64_CONSTANT (1) << 53)

G_DEFINE_FINAL_TYPE (ChoirBlocklist, choir_blocklist, G_TYPE_OBJECT)

typedef enum
{
  SIGNAL_BANNED,
  SIGNAL_LIFTED,
  N_SIGNALS
} ChoirBlocklistSignal;

static guint signals[N_SIGNALS];

/* (transfer full): one block of memory */
ChoirBan *
choir_ban_copy (const ChoirBan *self)
{
  gsize name_size = strlen (self->name) + 1;
  gsize reason_size = strlen (self->reason) + 1;
  ChoirBan *copy = g_malloc (sizeof *copy + name_size + reason_size);
  char *text = (char *) (copy + 1);

  *copy = *self;
  copy->name = memcpy (text, self->name, name_size);
  copy->reason = memcpy (text + name_size, self->reason, reason_size);

  return copy;
}

void
choir_ban_change_free (ChoirBanChange *self)
{
  g_free (self->ban);
  g_object_unref (self->task);
  g_free (self);
}

static void
choir_blocklist_finalize (GObject *object)
{
  ChoirBlocklist *self = CHOIR_BLOCKLIST (object);

  for (guint i = 0; i < CHOIR_N_BANS; i++)
    g_hash_table_unref (self->bans[i]);
  g_clear_object (&self->store);

  G_OBJECT_CLASS (choir_blocklist_parent_class)->finalize (object);
}

static void
choir_blocklist_class_init (ChoirBlocklistClass *klass)
{
  G_OBJECT_CLASS (klass)->finalize = choir_blocklist_finalize;

  signals[SIGNAL_BANNED] =
    g_signal_new ("banned", CHOIR_TYPE_BLOCKLIST, G_SIGNAL_RUN_LAST, 0, NULL, NULL, NULL,
                  G_TYPE_NONE, 4, G_TYPE_UINT, G_TYPE_STRING, G_TYPE_INT64, G_TYPE_STRING);
  signals[SIGNAL_LIFTED] = g_signal_new ("lifted", CHOIR_TYPE_BLOCKLIST, G_SIGNAL_RUN_LAST, 0, NULL,
                                         NULL, NULL, G_TYPE_NONE, 2, G_TYPE_UINT, G_TYPE_STRING);
}

static void
choir_blocklist_init (ChoirBlocklist *self)
{
  for (guint i = 0; i < CHOIR_N_BANS; i++)
    self->bans[i] = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, g_free);
  g_queue_init (&self->waiting);
  self->due_us = G_MAXINT64;
}

/**
 * choir_blocklist_new:
 * @stats: what is counted; must outlive the list
 *
 * Returns: (transfer full): an empty list, in memory only until choir_blocklist_load_async()
 */
ChoirBlocklist *
choir_blocklist_new (ChoirStats *stats)
{
  ChoirBlocklist *self = g_object_new (CHOIR_TYPE_BLOCKLIST, NULL);

  self->gauges[CHOIR_BAN_USER] = stats->blocked_users;
  self->gauges[CHOIR_BAN_TOKEN] = stats->revoked_tokens;
  self->refused[CHOIR_BAN_USER] = stats->refused_blocked;
  self->refused[CHOIR_BAN_TOKEN] = stats->refused_revoked;

  return self;
}

/**
 * choir_blocklist_configure:
 * @self: a list
 * @keep_revoked_us: how long a revoked token is remembered; 0: for good
 */
void
choir_blocklist_configure (ChoirBlocklist *self, gint64 keep_revoked_us)
{
  self->keep_revoked_us = keep_revoked_us;
  /* looked at anew with the next sweep */
  self->due_us = 0;
}

/**
 * choir_blocklist_set_enforce:
 * @self: a list
 * @func: (nullable): called for each ban that is added or changed, but not for those that are read
 *   at the start
 * @user_data: for @func
 */
void
choir_blocklist_set_enforce (ChoirBlocklist *self, ChoirBlocklistEnforce func, gpointer user_data)
{
  self->enforce = func;
  self->enforce_data = user_data;
}

/* Wall; G_MAXINT64: never */
static gint64
get_end_us (const ChoirBlocklist *self, ChoirBanKind kind, const ChoirBan *ban)
{
  if (ban->until_us != 0)
    return ban->until_us;

  if (kind == CHOIR_BAN_TOKEN && self->keep_revoked_us > 0)
    return ban->since_us + self->keep_revoked_us;

  return G_MAXINT64;
}

gboolean
choir_blocklist_is_over (const ChoirBlocklist *self, ChoirBanKind kind, const ChoirBan *ban)
{
  return choir_clock_wall_us () >= get_end_us (self, kind, ban);
}

static void
count (ChoirBlocklist *self, ChoirBanKind kind)
{
  *self->gauges[kind] = g_hash_table_size (self->bans[kind]);
}

/* @ban: (transfer full): counts from now on. Returns how many connections were closed for it */
guint
choir_blocklist_put (ChoirBlocklist *self, ChoirBanKind kind, ChoirBan *ban)
{
  guint n_closed = 0;

  self->due_us = MIN (self->due_us, get_end_us (self, kind, ban));
  g_hash_table_replace (self->bans[kind], (char *) ban->name, ban);
  count (self, kind);
  if (self->loading)
    return 0;

  if (self->enforce != NULL)
    n_closed = self->enforce (kind, ban->name, self->enforce_data);
  g_signal_emit (self, signals[SIGNAL_BANNED], 0, kind, ban->name, ban->until_us, ban->reason);

  return n_closed;
}

/* Returns whether it was there */
gboolean
choir_blocklist_drop (ChoirBlocklist *self, ChoirBanKind kind, const char *name)
{
  if (!g_hash_table_remove (self->bans[kind], name))
    return FALSE;

  count (self, kind);
  if (!self->loading)
    g_signal_emit (self, signals[SIGNAL_LIFTED], 0, kind, name);

  return TRUE;
}

static void
sweep_kind (ChoirBlocklist *self, ChoirBanKind kind, gint64 now_us)
{
  g_autoptr (GPtrArray) over = g_ptr_array_new_with_free_func (g_free);
  GHashTableIter iter;
  gpointer value;

  g_hash_table_iter_init (&iter, self->bans[kind]);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      const ChoirBan *ban = value;
      gint64 end_us = get_end_us (self, kind, ban);

      if (end_us <= now_us)
        g_ptr_array_add (over, g_strdup (ban->name));
      else
        self->due_us = MIN (self->due_us, end_us);
    }

  for (guint i = 0; i < over->len; i++)
    choir_blocklist_drop (self, kind, g_ptr_array_index (over, i));
}

/**
 * choir_blocklist_sweep:
 * @self: a list
 *
 * Forgets bans whose time is over. The store forgets them with its next snapshot.
 */
void
choir_blocklist_sweep (ChoirBlocklist *self)
{
  gint64 now_us = choir_clock_wall_us ();

  if (now_us < self->due_us)
    return;

  self->due_us = G_MAXINT64;
  for (guint i = 0; i < CHOIR_N_BANS; i++)
    sweep_kind (self, i, now_us);
}

/**
 * choir_blocklist_find:
 * @self: a list
 * @kind: what @name is
 * @name: a user, or a token's identifier
 *
 * Returns: (transfer none) (nullable): the ban, if there is one and its time is not over
 */
const ChoirBan *
choir_blocklist_find (ChoirBlocklist *self, ChoirBanKind kind, const char *name)
{
  const ChoirBan *ban = g_hash_table_lookup (self->bans[kind], name);

  return ban != NULL && !choir_blocklist_is_over (self, kind, ban) ? ban : NULL;
}

/**
 * choir_blocklist_check:
 * @self: a list
 * @claims: of a token that is good
 * @error: return location: %CHOIR_ERROR_BLOCKED, or %CHOIR_ERROR_AUTH if the token is revoked; fit
 *   for the client
 *
 * Returns: whether its bearer is welcome
 */
gboolean
choir_blocklist_check (ChoirBlocklist *self, const ChoirClaims *claims, GError **error)
{
  const char *jti = choir_claims_get_jti (claims);

  /* nobody vouches for a guest's name */
  if (choir_claims_is_guest (claims))
    return TRUE;

  if (choir_blocklist_find (self, CHOIR_BAN_USER, choir_claims_get_user_id (claims)) != NULL)
    {
      *self->refused[CHOIR_BAN_USER] += 1;
      g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_BLOCKED, "Blocked by an administrator");
      return FALSE;
    }

  if (jti != NULL && choir_blocklist_find (self, CHOIR_BAN_TOKEN, jti) != NULL)
    {
      *self->refused[CHOIR_BAN_TOKEN] += 1;
      g_set_error_literal (error, CHOIR_ERROR, CHOIR_ERROR_AUTH, "Invalid token: it is revoked");
      return FALSE;
    }

  return TRUE;
}

/**
 * choir_blocklist_get_n:
 * @self: a list
 * @kind: of what
 *
 * Returns: how many bans there are, with those whose time has been over since the last sweep
 */
guint
choir_blocklist_get_n (ChoirBlocklist *self, ChoirBanKind kind)
{
  return g_hash_table_size (self->bans[kind]);
}

/**
 * choir_blocklist_visit:
 * @self: a list
 * @kind: of what
 * @visit: called for each ban whose time is not over, in no order; must not change the list
 * @user_data: for @visit
 */
void
choir_blocklist_visit (ChoirBlocklist *self,
                       ChoirBanKind kind,
                       ChoirBanVisitor visit,
                       gpointer user_data)
{
  GHashTableIter iter;
  gpointer value;

  g_hash_table_iter_init (&iter, self->bans[kind]);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    if (!choir_blocklist_is_over (self, kind, value))
      visit (value, user_data);
}

static gboolean
fail (GError **error, ChoirError code, const char *text)
{
  g_set_error_literal (error, CHOIR_ERROR, code, text);

  return FALSE;
}

/* Nothing that could do harm to a terminal or a log that shows it */
static gboolean
is_one_line (const char *text)
{
  if (!g_utf8_validate (text, -1, NULL))
    return FALSE;

  for (; *text != '\0'; text = g_utf8_next_char (text))
    if (g_unichar_iscntrl (g_utf8_get_char (text)))
      return FALSE;

  return TRUE;
}

static gboolean
check_name (ChoirBanKind kind, const char *name, GError **error)
{
  gsize len = strlen (name);

  if (kind == CHOIR_BAN_USER)
    return choir_name_is_user (name, len) ||
           fail (error, CHOIR_ERROR_VALIDATION, "That is no user identifier");

  return (len > 0 && len <= CHOIR_JTI_MAX && is_one_line (name)) ||
         fail (error, CHOIR_ERROR_VALIDATION,
               "A token's identifier is 1-" G_STRINGIFY (CHOIR_JTI_MAX) " bytes of UTF-8 text");
}

static gboolean
check_ban (ChoirBanKind kind, const ChoirBan *ban, GError **error)
{
  if (!check_name (kind, ban->name, error))
    return FALSE;

  if (strlen (ban->reason) > CHOIR_BAN_REASON_MAX || !is_one_line (ban->reason))
    return fail (error, CHOIR_ERROR_VALIDATION,
                 "The reason must be one line of at most " G_STRINGIFY (
                   CHOIR_BAN_REASON_MAX) " bytes of UTF-8");

  if (ban->until_us < 0 || ban->until_us > UNTIL_MAX_US)
    return fail (error, CHOIR_ERROR_VALIDATION, "That time is too far away");

  return ban->until_us == 0 || ban->until_us > choir_clock_wall_us () ||
         fail (error, CHOIR_ERROR_VALIDATION, "That time is past");
}

static guint
count_coming (const GPtrArray *storing, const GQueue *waiting, ChoirBanKind kind)
{
  guint n = 0;

  for (guint i = 0; storing != NULL && i < storing->len; i++)
    n += ((const ChoirBanChange *) g_ptr_array_index (storing, i))->kind == kind;
  for (const GList *link = waiting->head; link != NULL; link = link->next)
    n += ((const ChoirBanChange *) link->data)->kind == kind;

  return n;
}

static gboolean
check_room (ChoirBlocklist *self, ChoirBanKind kind, const char *name, GError **error)
{
  if (self->waiting.length >= WAITING_MAX)
    return fail (error, CHOIR_ERROR_UNAVAILABLE, "Too many changes are waiting to be stored");

  if (name == NULL || g_hash_table_contains (self->bans[kind], name))
    return TRUE;

  choir_blocklist_sweep (self);

  return g_hash_table_size (self->bans[kind]) + count_coming (self->storing, &self->waiting, kind) <
           CHOIR_BANS_MAX ||
         fail (error, CHOIR_ERROR_OVERRUN,
               kind == CHOIR_BAN_USER ? G_STRINGIFY (CHOIR_BANS_MAX) " users are blocked already"
                                      : G_STRINGIFY (CHOIR_BANS_MAX) " tokens are revoked already");
}

/* A change that has been stored, or needs not be: counts, and is answered */
void
choir_blocklist_conclude (ChoirBlocklist *self, ChoirBanChange *change)
{
  if (!change->lift)
    g_task_return_int (change->task,
                       choir_blocklist_put (self, change->kind, g_steal_pointer (&change->ban)));
  else if (choir_blocklist_drop (self, change->kind, change->ban->name))
    g_task_return_int (change->task, 0);
  else
    g_task_return_new_error (change->task, CHOIR_ERROR, CHOIR_ERROR_NOT_FOUND, "%s",
                             change->kind == CHOIR_BAN_USER ? "The user is not blocked"
                                                            : "The token is not revoked");
}

/* @task: (transfer full) */
static void
change (ChoirBlocklist *self, ChoirBanKind kind, gboolean lift, const ChoirBan *ban, GTask *task)
{
  ChoirBanChange *made = g_new0 (ChoirBanChange, 1);

  made->kind = kind;
  made->lift = lift;
  made->ban = choir_ban_copy (ban);
  made->task = task;
  choir_blocklist_store (self, made);
}

/**
 * choir_blocklist_ban_async:
 * @self: a list
 * @kind: whom or what
 * @ban: copied; its `since_us` does not count. One that is there already is replaced
 * @cancellable: (nullable): to stop waiting; the ban may be there all the same
 * @callback: called when it is stored and counts, and connections have been closed for it
 * @user_data: for @callback
 */
void
choir_blocklist_ban_async (ChoirBlocklist *self,
                           ChoirBanKind kind,
                           const ChoirBan *ban,
                           GCancellable *cancellable,
                           GAsyncReadyCallback callback,
                           gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (self, cancellable, callback, user_data);
  ChoirBan now = *ban;
  GError *error = NULL;

  g_task_set_source_tag (task, choir_blocklist_ban_async);
  now.since_us = choir_clock_wall_us ();
  if (check_ban (kind, ban, &error) && check_room (self, kind, ban->name, &error))
    change (self, kind, FALSE, &now, g_steal_pointer (&task));
  else
    g_task_return_error (task, error);
}

/**
 * choir_blocklist_ban_finish:
 * @self: a list
 * @result: what the callback was given
 * @n_closed: (out) (optional): connections that were closed
 * @error: return location: %CHOIR_ERROR_VALIDATION, %CHOIR_ERROR_OVERRUN, %CHOIR_ERROR_UNAVAILABLE
 *
 * Returns: whether the ban counts
 */
gboolean
choir_blocklist_ban_finish (ChoirBlocklist *self,
                            GAsyncResult *result,
                            guint *n_closed,
                            GError **error)
{
  gssize n;

  g_return_val_if_fail (g_task_is_valid (result, self), FALSE);

  n = g_task_propagate_int (G_TASK (result), error);
  if (n < 0)
    return FALSE;

  if (n_closed != NULL)
    *n_closed = (guint) n;

  return TRUE;
}

/**
 * choir_blocklist_lift_async:
 * @self: a list
 * @kind: what @name is
 * @name: a user, or a token's identifier
 * @cancellable: (nullable): to stop waiting
 * @callback: called when that is stored
 * @user_data: for @callback
 */
void
choir_blocklist_lift_async (ChoirBlocklist *self,
                            ChoirBanKind kind,
                            const char *name,
                            GCancellable *cancellable,
                            GAsyncReadyCallback callback,
                            gpointer user_data)
{
  g_autoptr (GTask) task = g_task_new (self, cancellable, callback, user_data);
  const ChoirBan ban = { .name = name, .reason = "", .since_us = choir_clock_wall_us () };
  GError *error = NULL;

  g_task_set_source_tag (task, choir_blocklist_lift_async);
  if (!check_name (kind, name, &error) || !check_room (self, kind, NULL, &error))
    g_task_return_error (task, error);
  else if (choir_blocklist_find (self, kind, name) == NULL &&
           count_coming (self->storing, &self->waiting, kind) == 0)
    g_task_return_new_error (task, CHOIR_ERROR, CHOIR_ERROR_NOT_FOUND, "%s",
                             kind == CHOIR_BAN_USER ? "The user is not blocked"
                                                    : "The token is not revoked");
  else
    change (self, kind, TRUE, &ban, g_steal_pointer (&task));
}

/**
 * choir_blocklist_lift_finish:
 * @self: a list
 * @result: what the callback was given
 * @error: return location: %CHOIR_ERROR_NOT_FOUND, %CHOIR_ERROR_UNAVAILABLE
 *
 * Returns: whether there was a ban, and is none any more
 */
gboolean
choir_blocklist_lift_finish (ChoirBlocklist *self, GAsyncResult *result, GError **error)
{
  return choir_blocklist_ban_finish (self, result, NULL, error);
}
