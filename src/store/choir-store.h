/* choir-store.h: what must survive
 *
 * SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#pragma once

#include <gio/gio.h>

G_BEGIN_DECLS

/**
 * ChoirStore:
 *
 * Durable state behind one interface. It holds **streams**: named, ordered logs of entries numbered
 * 1, 2, 3..., each with snapshots that stand for everything up to an offset. A document is a stream
 * whose entries are operations and whose offset is its version; a channel's log is one as well.
 * Besides there is the table of users.
 *
 * Everything is asynchronous and everything is called, and calls back, in the main context. What an
 * append has reported as stored is on disk as far as the backend's durability goes. Errors are
 * CHOIR_ERROR_UNAVAILABLE (the backend fails or is overloaded; trying again later makes sense),
 * CHOIR_ERROR_NOT_FOUND, CHOIR_ERROR_CONFLICT and CHOIR_ERROR_VALIDATION; their messages may be
 * internal and are for the log.
 */
#define CHOIR_TYPE_STORE (choir_store_get_type ())
G_DECLARE_INTERFACE (ChoirStore, choir_store, CHOIR, STORE, GObject)

/* Longest stream name, key, id, label: bytes. Names, keys and labels have at least one */
#define CHOIR_STORE_NAME_MAX 255
/* Entries of one append, and bytes of data they may have together */
#define CHOIR_STORE_APPEND_MAX 10000
#define CHOIR_STORE_APPEND_BYTES_MAX (64 * 1024 * 1024)
/* Contents of a snapshot: bytes */
#define CHOIR_STORE_SNAPSHOT_BYTES_MAX (512 * 1024 * 1024)
/* What one load or read gives at most, where it is not told to give less */
#define CHOIR_STORE_PART_MAX 1000000
#define CHOIR_STORE_PART_BYTES_MAX (256 * 1024 * 1024)
/* What one list has at most; whoever wants all goes on after the last until there is none */
#define CHOIR_STORE_LIST_MAX 10000
/* Named snapshots of one offset */
#define CHOIR_STORE_LABELS_MAX 100

/* choir_store_append_async(): whatever the stream's last offset is */
#define CHOIR_STORE_ANY_OFFSET G_MAXUINT64

/* An entry of a log. Strings are the caller's on the way in, the result's on the way out */
typedef struct
{
  guint64 offset; /* given by the store */
  gint64 wall_us;
  const char *type;       /* (nullable) */
  const char *id;         /* (nullable) */
  const char *user_id;    /* (nullable) */
  const char *session_id; /* (nullable) */
  const char *key;        /* (nullable): no two retained entries of a stream have the same */
  const char *data;
  gsize len;
} ChoirStoreEntry;

typedef enum
{
  CHOIR_APPEND_STORED,
  CHOIR_APPEND_CONFLICT,  /* the stream's last offset or its epoch is another; nothing was stored */
  CHOIR_APPEND_DUPLICATE, /* a key is there already; nothing was stored */
} ChoirAppendStatus;

typedef struct
{
  ChoirAppendStatus status;
  guint64 offset;  /* stored: of the last entry; conflict: the stream's last; duplicate: of the
                      entry that holds the key */
  guint duplicate; /* duplicate: index of the first entry whose key is taken */
  char epoch[17];  /* names this life of the stream; another after deletion */
} ChoirAppended;

/* A snapshot without, or with, what it holds */
typedef struct
{
  guint64 offset;
  gint64 wall_us;
  char *label;   /* (owned) (nullable): automatic if NULL */
  char *user_id; /* (owned) (nullable) */
  gsize len;     /* bytes of the contents */
  GBytes *data;  /* (owned) (nullable): only where it was asked for */
} ChoirSnapshot;

void choir_snapshot_free (ChoirSnapshot *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirSnapshot, choir_snapshot_free)

/* A stream, or a part of it, as it was when it was read */
typedef struct
{
  gboolean exists;
  char epoch[17];
  guint64 first;            /* oldest entry retained; head + 1 if none is */
  guint64 head;             /* newest; 0 if there never was one */
  ChoirSnapshot *snapshot;  /* (owned) (nullable) */
  ChoirStoreEntry *entries; /* (owned array): rising offsets, falling if read in reverse */
  guint n_entries;
  gboolean complete; /* nothing was left out for a limit */
  GPtrArray *blocks; /* (owned): what the entries point into */
} ChoirStreamPart;

void choir_stream_part_free (ChoirStreamPart *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirStreamPart, choir_stream_part_free)

typedef struct
{
  char *name; /* (owned) */
  char epoch[17];
  guint64 head;
  gint64 changed_us; /* wall */
} ChoirStreamInfo;

void choir_stream_info_free (ChoirStreamInfo *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirStreamInfo, choir_stream_info_free)

typedef struct
{
  char *id;   /* (owned) */
  char *name; /* (owned) (nullable): to be shown */
  gboolean active;
  gint64 created_us; /* wall; 0: now. That of a user who is there already stays */
} ChoirStoreUser;

void choir_store_user_free (ChoirStoreUser *self);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (ChoirStoreUser, choir_store_user_free)

struct _ChoirStoreInterface
{
  GTypeInterface parent_interface;

  /* The arguments have been checked. @task is the implementation's (transfer full): it returns,
   * always later, what the _finish function gives (ChoirAppended, ChoirStreamPart, ChoirStoreUser,
   * a GPtrArray, for find_key a guint64, all owned; else a boolean), or an error */
  void (*append_async) (ChoirStore *self,
                        const char *stream,
                        const char *epoch,
                        guint64 expected,
                        const ChoirStoreEntry *entries,
                        guint n_entries,
                        GTask *task);
  void (*load_async) (ChoirStore *self, const char *stream, guint64 at_most, GTask *task);
  void (*read_async) (ChoirStore *self,
                      const char *stream,
                      guint64 after,
                      guint limit,
                      gboolean reverse,
                      GTask *task);
  void (*find_key_async) (ChoirStore *self, const char *stream, const char *key, GTask *task);
  void (*trim_async) (ChoirStore *self, const char *stream, guint64 before, GTask *task);
  void (*delete_async) (ChoirStore *self,
                        const char *stream,
                        const char *epoch,
                        guint64 expected,
                        GTask *task);
  void (*list_async) (ChoirStore *self,
                      const char *prefix,
                      const char *after,
                      guint limit,
                      GTask *task);
  void (*put_snapshot_async) (ChoirStore *self,
                              const char *stream,
                              const ChoirSnapshot *snapshot,
                              guint64 replaces,
                              GTask *task);
  void (*list_snapshots_async) (ChoirStore *self,
                                const char *stream,
                                guint64 before,
                                guint limit,
                                GTask *task);
  void (*put_user_async) (ChoirStore *self, const ChoirStoreUser *user, GTask *task);
  void (*get_user_async) (ChoirStore *self, const char *id, GTask *task);
  void (*list_users_async) (ChoirStore *self, const char *after, guint limit, GTask *task);
  void (*close_async) (ChoirStore *self, GTask *task);
  gboolean (*is_writable) (ChoirStore *self);
};

/* Streams */
void choir_store_append_async (ChoirStore *self,
                               const char *stream,
                               guint64 expected,
                               const ChoirStoreEntry *entries,
                               guint n_entries,
                               GCancellable *cancellable,
                               GAsyncReadyCallback callback,
                               gpointer user_data);
/* @epoch: (nullable): the life of the stream that is meant: one that has another is in conflict,
 * one that does not exist begins with it */
void choir_store_append_epoch_async (ChoirStore *self,
                                     const char *stream,
                                     const char *epoch,
                                     guint64 expected,
                                     const ChoirStoreEntry *entries,
                                     guint n_entries,
                                     GCancellable *cancellable,
                                     GAsyncReadyCallback callback,
                                     gpointer user_data);
gboolean choir_store_append_finish (ChoirStore *self,
                                    GAsyncResult *result,
                                    ChoirAppended *out,
                                    GError **error);

/* The newest snapshot at or before @at_most and the entries after it up to @at_most */
void choir_store_load_async (ChoirStore *self,
                             const char *stream,
                             guint64 at_most,
                             GCancellable *cancellable,
                             GAsyncReadyCallback callback,
                             gpointer user_data);
ChoirStreamPart *choir_store_load_finish (ChoirStore *self, GAsyncResult *result, GError **error);

/* Entries after @after, or in @reverse those before it, newest first; @limit 0: only first and head
 */
void choir_store_read_async (ChoirStore *self,
                             const char *stream,
                             guint64 after,
                             guint limit,
                             gboolean reverse,
                             GCancellable *cancellable,
                             GAsyncReadyCallback callback,
                             gpointer user_data);
ChoirStreamPart *choir_store_read_finish (ChoirStore *self, GAsyncResult *result, GError **error);

/* Offset of the retained entry with @key; 0: none */
void choir_store_find_key_async (ChoirStore *self,
                                 const char *stream,
                                 const char *key,
                                 GCancellable *cancellable,
                                 GAsyncReadyCallback callback,
                                 gpointer user_data);
gboolean choir_store_find_key_finish (ChoirStore *self,
                                      GAsyncResult *result,
                                      guint64 *offset,
                                      GError **error);

/* Forgets entries before @before, never one that the newest snapshot does not cover when there is a
 * snapshot, and automatic snapshots that no retained entry needs. CHOIR_ERROR_NOT_FOUND if there is
 * no such stream; likewise choir_store_delete_async() */
void choir_store_trim_async (ChoirStore *self,
                             const char *stream,
                             guint64 before,
                             GCancellable *cancellable,
                             GAsyncReadyCallback callback,
                             gpointer user_data);
gboolean choir_store_trim_finish (ChoirStore *self, GAsyncResult *result, GError **error);

/* Only the life of the stream that has @epoch (nullable), and only if it ends with @expected (or
 * CHOIR_STORE_ANY_OFFSET): CHOIR_ERROR_CONFLICT, and nothing is deleted, if it is another */
void choir_store_delete_async (ChoirStore *self,
                               const char *stream,
                               const char *epoch,
                               guint64 expected,
                               GCancellable *cancellable,
                               GAsyncReadyCallback callback,
                               gpointer user_data);
gboolean choir_store_delete_finish (ChoirStore *self, GAsyncResult *result, GError **error);

/* (element-type ChoirStreamInfo), by name, those after @after (nullable) that begin with @prefix
 * (nullable) */
void choir_store_list_async (ChoirStore *self,
                             const char *prefix,
                             const char *after,
                             guint limit,
                             GCancellable *cancellable,
                             GAsyncReadyCallback callback,
                             gpointer user_data);
GPtrArray *choir_store_list_finish (ChoirStore *self, GAsyncResult *result, GError **error);

/* Snapshots: @snapshot's label NULL means automatic; the automatic one at @replaces goes, 0: none.
 * One of the same offset and label is replaced. Creates the stream if there is none and the offset
 * is 0; CHOIR_ERROR_NOT_FOUND if there is none and it is another, CHOIR_ERROR_VALIDATION if it is
 * to come. @snapshot is not needed any longer when this returns, its data is kept by reference */
void choir_store_put_snapshot_async (ChoirStore *self,
                                     const char *stream,
                                     const ChoirSnapshot *snapshot,
                                     guint64 replaces,
                                     GCancellable *cancellable,
                                     GAsyncReadyCallback callback,
                                     gpointer user_data);
gboolean choir_store_put_snapshot_finish (ChoirStore *self, GAsyncResult *result, GError **error);
/* (element-type ChoirSnapshot) without contents, newest first, those before @before (0: all); more
 * than @limit where the last of them share an offset, so that going on before it misses none */
void choir_store_list_snapshots_async (ChoirStore *self,
                                       const char *stream,
                                       guint64 before,
                                       guint limit,
                                       GCancellable *cancellable,
                                       GAsyncReadyCallback callback,
                                       gpointer user_data);
GPtrArray *
choir_store_list_snapshots_finish (ChoirStore *self, GAsyncResult *result, GError **error);

/* Users */
void choir_store_put_user_async (ChoirStore *self,
                                 const ChoirStoreUser *user,
                                 GCancellable *cancellable,
                                 GAsyncReadyCallback callback,
                                 gpointer user_data);
gboolean choir_store_put_user_finish (ChoirStore *self, GAsyncResult *result, GError **error);
/* CHOIR_ERROR_NOT_FOUND if unknown */
void choir_store_get_user_async (ChoirStore *self,
                                 const char *id,
                                 GCancellable *cancellable,
                                 GAsyncReadyCallback callback,
                                 gpointer user_data);
ChoirStoreUser *
choir_store_get_user_finish (ChoirStore *self, GAsyncResult *result, GError **error);
/* (element-type ChoirStoreUser), by id, those after @after (nullable) */
void choir_store_list_users_async (ChoirStore *self,
                                   const char *after,
                                   guint limit,
                                   GCancellable *cancellable,
                                   GAsyncReadyCallback callback,
                                   gpointer user_data);
GPtrArray *choir_store_list_users_finish (ChoirStore *self, GAsyncResult *result, GError **error);

/* Ends when everything handed in before has been stored or has failed. From its call on everything
 * else is refused */
void choir_store_close_async (ChoirStore *self,
                              GCancellable *cancellable,
                              GAsyncReadyCallback callback,
                              gpointer user_data);
gboolean choir_store_close_finish (ChoirStore *self, GAsyncResult *result, GError **error);

/* FALSE from the first write that failed until one has succeeded again: the store tries by itself,
 * refuses other writes at once meanwhile, and goes on reading. Signal "notify::writable" */
gboolean choir_store_is_writable (ChoirStore *self);

/* Backends. The memory's forgets everything with the process; it holds at most @max_bytes */
#define CHOIR_TYPE_STORE_MEMORY (choir_store_memory_get_type ())
G_DECLARE_FINAL_TYPE (ChoirStoreMemory, choir_store_memory, CHOIR, STORE_MEMORY, GObject)
ChoirStore *choir_store_memory_new (gsize max_bytes);
/* Tests: the next writes fail until it is set back */
void choir_store_memory_set_failing (ChoirStoreMemory *self, gboolean failing);

typedef enum
{
  CHOIR_DURABILITY_FULL,   /* fsync before an append is reported */
  CHOIR_DURABILITY_NORMAL, /* a power cut may lose the last moments, never consistency */
} ChoirDurability;

#define CHOIR_TYPE_STORE_SQLITE (choir_store_sqlite_get_type ())
G_DECLARE_FINAL_TYPE (ChoirStoreSqlite, choir_store_sqlite, CHOIR, STORE_SQLITE, GObject)
ChoirStore *choir_store_sqlite_open (const char *path, ChoirDurability durability, GError **error);
/* What another process may do while a service has the file open */
ChoirStore *choir_store_sqlite_open_beside (const char *path, GError **error);
gboolean choir_store_sqlite_backup (const char *path, const char *to, GError **error);

G_END_DECLS
