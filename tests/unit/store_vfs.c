/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store_vfs.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"

#define SECTOR 512

struct store_vfs store_vfs;

struct shim_file {
    sqlite3_file base;
    const char *name; /* SQLite keeps it until the file is closed */
    sqlite3_file *real;
};

static sqlite3_vfs *real_vfs;

static sqlite3_file *real_of(sqlite3_file *f)
{
    return ((struct shim_file *)f)->real;
}

/* ---- whole files ------------------------------------------------------------------------ */

struct blob {
    char *p;
    size_t n;
};

static struct blob slurp(const char *path)
{
    struct blob b = {NULL, 0};
    FILE *f = fopen(path, "rb");
    if (!f)
        return b;
    fseek(f, 0, SEEK_END);
    b.n = (size_t)ftell(f);
    rewind(f);
    b.p = err_malloc(b.n + 1);
    b.n = fread(b.p, 1, b.n, f);
    fclose(f);
    return b;
}

static void spill(const char *path, const char *p, size_t n)
{
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(p, 1, n, f) != n || fclose(f) != 0)
        err_fatal("cannot write %s", path);
}

static void path_in(char *out, size_t size, const char *dir, const char *name)
{
    snprintf(out, size, "%s/%s", dir, name);
}

void store_vfs_synced(const char *name)
{
    if (!name || !store_vfs.watched)
        return;
    size_t n = strlen(store_vfs.watched);
    if (strncmp(name, store_vfs.watched, n) != 0 || name[n] != '/')
        return;
    char to[512];
    path_in(to, sizeof(to), store_vfs.image, name + n + 1);
    struct blob b = slurp(name);
    spill(to, b.p, b.n);
    free(b.p);
}

static void cut_file(const char *name, const char *suffix, const char *out, unsigned *seed)
{
    char file[256], path[512];
    snprintf(file, sizeof(file), "%s%s", name, suffix);
    path_in(path, sizeof(path), store_vfs.watched, file);
    struct blob now = slurp(path);
    path_in(path, sizeof(path), store_vfs.image, file);
    struct blob then = slurp(path);
    size_t n = rand_r(seed) % 2 ? now.n : then.n;
    char *mixed = err_calloc(1, n + SECTOR);
    for (size_t at = 0; at < n; at += SECTOR) {
        const struct blob *from = rand_r(seed) % 2 ? &now : &then;
        if (at < from->n)
            memcpy(mixed + at, from->p + at, from->n - at < SECTOR ? from->n - at : SECTOR);
    }
    path_in(path, sizeof(path), out, file);
    spill(path, mixed, n);
    free(mixed);
    free(now.p);
    free(then.p);
}

void store_vfs_power_cut(const char *name, const char *to, unsigned *seed)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s-shm", to, name);
    unlink(path);
    cut_file(name, "", to, seed);
    cut_file(name, "-wal", to, seed);
}

/* ---- what fails ------------------------------------------------------------------------- */

static bool due(long *countdown)
{
    if (*countdown == 0 || --*countdown > 0)
        return false;
    *countdown = store_vfs.lasting ? 1 : 0;
    return true;
}

static int shim_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
    store_vfs.writes++;
    if (due(&store_vfs.fail_write)) {
        if (store_vfs.torn)
            real_of(f)->pMethods->xWrite(real_of(f), p, n / 16 * store_vfs.torn, at);
        return store_vfs.code;
    }
    return real_of(f)->pMethods->xWrite(real_of(f), p, n, at);
}

static int shim_sync(sqlite3_file *f, int flags)
{
    store_vfs.syncs++;
    if (due(&store_vfs.fail_sync))
        return store_vfs.code;
    int rc = real_of(f)->pMethods->xSync(real_of(f), flags);
    if (rc == SQLITE_OK)
        store_vfs_synced(((struct shim_file *)f)->name);
    return rc;
}

/* ---- what is passed on ------------------------------------------------------------------ */

static int shim_close(sqlite3_file *f)
{
    return real_of(f)->pMethods->xClose(real_of(f));
}

static int shim_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at)
{
    return real_of(f)->pMethods->xRead(real_of(f), p, n, at);
}

static int shim_truncate(sqlite3_file *f, sqlite3_int64 n)
{
    return real_of(f)->pMethods->xTruncate(real_of(f), n);
}

static int shim_size(sqlite3_file *f, sqlite3_int64 *n)
{
    return real_of(f)->pMethods->xFileSize(real_of(f), n);
}

static int shim_lock(sqlite3_file *f, int level)
{
    return real_of(f)->pMethods->xLock(real_of(f), level);
}

static int shim_unlock(sqlite3_file *f, int level)
{
    return real_of(f)->pMethods->xUnlock(real_of(f), level);
}

static int shim_reserved(sqlite3_file *f, int *out)
{
    return real_of(f)->pMethods->xCheckReservedLock(real_of(f), out);
}

static int shim_control(sqlite3_file *f, int op, void *arg)
{
    return real_of(f)->pMethods->xFileControl(real_of(f), op, arg);
}

static int shim_sector(sqlite3_file *f)
{
    return real_of(f)->pMethods->xSectorSize(real_of(f));
}

static int shim_traits(sqlite3_file *f)
{
    return real_of(f)->pMethods->xDeviceCharacteristics(real_of(f));
}

static int shim_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **out)
{
    return real_of(f)->pMethods->xShmMap(real_of(f), page, size, extend, out);
}

static int shim_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
    return real_of(f)->pMethods->xShmLock(real_of(f), offset, n, flags);
}

static void shim_shm_barrier(sqlite3_file *f)
{
    real_of(f)->pMethods->xShmBarrier(real_of(f));
}

static int shim_shm_unmap(sqlite3_file *f, int remove_it)
{
    return real_of(f)->pMethods->xShmUnmap(real_of(f), remove_it);
}

static const sqlite3_io_methods methods = {.iVersion = 2,
                                           .xClose = shim_close,
                                           .xRead = shim_read,
                                           .xWrite = shim_write,
                                           .xTruncate = shim_truncate,
                                           .xSync = shim_sync,
                                           .xFileSize = shim_size,
                                           .xLock = shim_lock,
                                           .xUnlock = shim_unlock,
                                           .xCheckReservedLock = shim_reserved,
                                           .xFileControl = shim_control,
                                           .xSectorSize = shim_sector,
                                           .xDeviceCharacteristics = shim_traits,
                                           .xShmMap = shim_shm_map,
                                           .xShmLock = shim_shm_lock,
                                           .xShmBarrier = shim_shm_barrier,
                                           .xShmUnmap = shim_shm_unmap};

static int shim_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *got)
{
    (void)vfs;
    struct shim_file *s = (struct shim_file *)f;
    s->name = name;
    s->real = (sqlite3_file *)(s + 1);
    int rc = real_vfs->xOpen(real_vfs, name, s->real, flags, got);
    s->base.pMethods = s->real->pMethods ? &methods : NULL;
    return rc;
}

void store_vfs_install(void)
{
    static sqlite3_vfs shim;
    if (real_vfs)
        return;
    real_vfs = sqlite3_vfs_find(NULL);
    shim = *real_vfs;
    shim.zName = "shim";
    shim.szOsFile = (int)sizeof(struct shim_file) + real_vfs->szOsFile;
    shim.xOpen = shim_open;
    sqlite3_vfs_register(&shim, 1);
}

void store_vfs_clear(void)
{
    store_vfs = (struct store_vfs){.watched = store_vfs.watched, .image = store_vfs.image};
}
