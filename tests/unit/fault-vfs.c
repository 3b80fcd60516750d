/* SPDX-FileCopyrightText: Copyright © the Choir contributors
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */

#include "config.h"

#include "fault-vfs.h"

#include <sqlite3.h>
#include <string.h>

typedef struct
{
  sqlite3_file base;
  gboolean concerned;
  /* behind it: the real file */
} FaultFile;

static sqlite3_vfs *real_vfs;
static int fault;
static int countdown;
static int n_syncs;

static sqlite3_file *
real (sqlite3_file *file)
{
  return (sqlite3_file *) (gpointer) ((FaultFile *) file + 1);
}

static gboolean
strikes (sqlite3_file *file, Fault which)
{
  if (!((FaultFile *) file)->concerned || g_atomic_int_get (&fault) != (int) which)
    return FALSE;

  return g_atomic_int_get (&countdown) <= 0 || g_atomic_int_add (&countdown, -1) <= 0;
}

static int
fault_close (sqlite3_file *file)
{
  return real (file)->pMethods->xClose (real (file));
}

static int
fault_read (sqlite3_file *file, void *out, int n, sqlite3_int64 offset)
{
  return real (file)->pMethods->xRead (real (file), out, n, offset);
}

static gboolean
makes_longer (sqlite3_file *file, sqlite3_int64 end)
{
  sqlite3_int64 size = 0;

  real (file)->pMethods->xFileSize (real (file), &size);

  return end > size;
}

static int
fault_write (sqlite3_file *file, const void *data, int n, sqlite3_int64 offset)
{
  if (g_atomic_int_get (&fault) == FAULT_FULL && makes_longer (file, offset + n) &&
      strikes (file, FAULT_FULL))
    return SQLITE_FULL;
  if (strikes (file, FAULT_WRITE))
    return SQLITE_IOERR_WRITE;
  if (strikes (file, FAULT_READONLY))
    return SQLITE_READONLY;
  if (strikes (file, FAULT_TORN))
    {
      real (file)->pMethods->xWrite (real (file), data, n / 2, offset);
      return SQLITE_IOERR_WRITE;
    }

  return real (file)->pMethods->xWrite (real (file), data, n, offset);
}

static int
fault_truncate (sqlite3_file *file, sqlite3_int64 size)
{
  return real (file)->pMethods->xTruncate (real (file), size);
}

static int
fault_sync (sqlite3_file *file, int flags)
{
  if (strikes (file, FAULT_SYNC))
    return SQLITE_IOERR_FSYNC;

  g_atomic_int_inc (&n_syncs);

  return real (file)->pMethods->xSync (real (file), flags);
}

static int
fault_file_size (sqlite3_file *file, sqlite3_int64 *size)
{
  return real (file)->pMethods->xFileSize (real (file), size);
}

static int
fault_lock (sqlite3_file *file, int level)
{
  return real (file)->pMethods->xLock (real (file), level);
}

static int
fault_unlock (sqlite3_file *file, int level)
{
  return real (file)->pMethods->xUnlock (real (file), level);
}

static int
fault_check_reserved_lock (sqlite3_file *file, int *out)
{
  return real (file)->pMethods->xCheckReservedLock (real (file), out);
}

static int
fault_file_control (sqlite3_file *file, int op, void *argument)
{
  return real (file)->pMethods->xFileControl (real (file), op, argument);
}

static int
fault_sector_size (sqlite3_file *file)
{
  return real (file)->pMethods->xSectorSize (real (file));
}

static int
fault_device_characteristics (sqlite3_file *file)
{
  return real (file)->pMethods->xDeviceCharacteristics (real (file));
}

static int
fault_shm_map (sqlite3_file *file, int page, int size, int extend, void volatile **out)
{
  return real (file)->pMethods->xShmMap (real (file), page, size, extend, out);
}

static int
fault_shm_lock (sqlite3_file *file, int offset, int n, int flags)
{
  return real (file)->pMethods->xShmLock (real (file), offset, n, flags);
}

static void
fault_shm_barrier (sqlite3_file *file)
{
  real (file)->pMethods->xShmBarrier (real (file));
}

static int
fault_shm_unmap (sqlite3_file *file, int remove)
{
  return real (file)->pMethods->xShmUnmap (real (file), remove);
}

/* Version 2: without memory mapping, so that all writing passes here */
static const sqlite3_io_methods methods = {
  .iVersion = 2,
  .xClose = fault_close,
  .xRead = fault_read,
  .xWrite = fault_write,
  .xTruncate = fault_truncate,
  .xSync = fault_sync,
  .xFileSize = fault_file_size,
  .xLock = fault_lock,
  .xUnlock = fault_unlock,
  .xCheckReservedLock = fault_check_reserved_lock,
  .xFileControl = fault_file_control,
  .xSectorSize = fault_sector_size,
  .xDeviceCharacteristics = fault_device_characteristics,
  .xShmMap = fault_shm_map,
  .xShmLock = fault_shm_lock,
  .xShmBarrier = fault_shm_barrier,
  .xShmUnmap = fault_shm_unmap,
};

static int
fault_open (sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *file, int flags, int *out_flags)
{
  int status = real_vfs->xOpen (real_vfs, name, real (file), flags, out_flags);

  ((FaultFile *) file)->concerned = (flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL)) != 0;
  file->pMethods = real (file)->pMethods != NULL ? &methods : NULL;

  return status;
}

void
fault_vfs_register (void)
{
  static sqlite3_vfs vfs;

  real_vfs = sqlite3_vfs_find (NULL);
  vfs = *real_vfs;
  vfs.pNext = NULL;
  vfs.zName = "fault";
  vfs.szOsFile = (int) sizeof (FaultFile) + real_vfs->szOsFile;
  vfs.xOpen = fault_open;
  g_assert_cmpint (sqlite3_vfs_register (&vfs, 1), ==, SQLITE_OK);
}

void
fault_vfs_set (Fault which, guint after)
{
  g_atomic_int_set (&fault, FAULT_NONE);
  g_atomic_int_set (&countdown, (int) after);
  g_atomic_int_set (&fault, (int) which);
}

guint
fault_vfs_get_n_syncs (void)
{
  return (guint) g_atomic_int_get (&n_syncs);
}
