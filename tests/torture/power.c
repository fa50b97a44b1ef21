/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The model of a power cut. Of each file every change since its last sync may be missing, alone or
 * with others, and a write that is there may be torn at any sector. Of each directory the last
 * changes since its last sync are missing, from some point on: file systems keep their order.
 * What SQLite maps (-shm) is never durable.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "faults.h"

#define SECTOR 512
#define FILES_MAX 64 /* watched at once; the longest untouched is taken for written back */
#define FIRST_FD 300 /* our descriptors stay clear of the program's */

struct change {
    bool truncate;
    off_t at, old_length; /* at: of the write, or the new length */
    size_t n, old_n;
    uint8_t *data, *old; /* what was written; what was there, up to the old end */
};

struct file {
    int fd; /* ours, read and write; never closed for a database, whose locks it would drop */
    dev_t dev;
    ino_t ino;
    struct change *changes;
    size_t count;
    uint64_t used;
};

struct move {
    char *from, *to, *kept; /* to NULL: removed. from NULL: made. kept: the old file behind to */
};

static struct {
    bool on;
    const char *dirs, *keep;
    struct file files[FILES_MAX];
    struct move *moves;
    size_t move_count;
    uint64_t clock, kept;
    bool inside; /* our own calls are not watched */
} power;

static void *must(void *p)
{
    if (!p)
        abort();
    return p;
}

void power_init(const char *dirs, const char *keep)
{
    power.dirs = dirs;
    power.keep = keep;
    power.on = true;
}

bool power_on(void)
{
    return power.on && !power.inside;
}

/* ---- files --------------------------------------------------------------------------------------
 */

static void forget_changes(struct file *f)
{
    for (size_t i = 0; i < f->count; i++) {
        free(f->changes[i].data);
        free(f->changes[i].old);
    }
    free(f->changes);
    f->changes = NULL;
    f->count = 0;
}

static bool is_database(const char *path)
{
    return strstr(path, ".db") != NULL;
}

static struct file *free_slot(void)
{
    struct file *oldest = NULL;
    char path[FAULTS_PATH];
    for (size_t i = 0; i < FILES_MAX; i++) {
        struct file *f = &power.files[i];
        if (f->fd == 0)
            return f;
        if (!(faults_path_of(f->fd, path) && is_database(path)) &&
            (!oldest || f->used < oldest->used))
            oldest = f;
    }
    forget_changes(must(oldest));
    close(oldest->fd);
    return oldest;
}

static struct file *file_of(int fd)
{
    struct stat st;
    char link[64];
    if (fstat(fd, &st) != 0)
        return NULL;
    for (size_t i = 0; i < FILES_MAX; i++) {
        struct file *f = &power.files[i];
        if (f->fd && f->dev == st.st_dev && f->ino == st.st_ino) {
            f->used = ++power.clock;
            return f;
        }
    }
    struct file *f = free_slot();
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    char path[FAULTS_PATH];
    int low = open(link, O_RDWR | O_CLOEXEC);
    if (low < 0)
        return NULL;
    *f = (struct file){.fd = fcntl(low, F_DUPFD_CLOEXEC, FIRST_FD),
                       .dev = st.st_dev,
                       .ino = st.st_ino,
                       .used = ++power.clock};
    if (!(faults_path_of(fd, path) && is_database(path)))
        close(low);
    return f;
}

static struct change *add_change(struct file *f)
{
    f->changes = must(realloc(f->changes, (f->count + 1) * sizeof *f->changes));
    struct change *c = &f->changes[f->count++];
    *c = (struct change){.at = 0};
    return c;
}

static void keep_old(struct file *f, struct change *c, off_t at, off_t end)
{
    struct stat st;
    c->old_length = fstat(f->fd, &st) == 0 ? st.st_size : 0;
    if (end > c->old_length)
        end = c->old_length;
    c->old_n = end > at ? (size_t)(end - at) : 0;
    c->old = must(malloc(c->old_n + 1));
    if (c->old_n && pread(f->fd, c->old, c->old_n, at) != (ssize_t)c->old_n)
        abort();
}

void power_write(int fd, const void *data, size_t n, off_t at)
{
    struct file *f = file_of(fd);
    if (!f)
        return;
    struct change *c = add_change(f);
    c->at = at;
    c->n = n;
    c->data = must(malloc(n + 1));
    memcpy(c->data, data, n);
    keep_old(f, c, at, at + (off_t)n);
}

void power_truncate(int fd, off_t length)
{
    struct file *f = file_of(fd);
    struct stat st;
    if (!f || fstat(fd, &st) != 0)
        return;
    struct change *c = add_change(f);
    c->truncate = true;
    c->at = length;
    keep_old(f, c, length, st.st_size);
}

static void put(int fd, const uint8_t *data, size_t n, off_t at)
{
    if (n && pwrite(fd, data, n, at) != (ssize_t)n)
        abort();
}

static void take_back(struct file *f, const struct change *c)
{
    if (ftruncate(f->fd, c->old_length) != 0)
        abort();
    put(f->fd, c->old, c->old_n, c->at);
}

/* 0 none of it, 1 all, 2 each sector for itself. */
static void apply(struct file *f, const struct change *c, uint64_t how)
{
    if (c->truncate) {
        if (how == 1 && ftruncate(f->fd, c->at) != 0)
            abort();
        return;
    }
    for (size_t i = 0; i < c->n;) {
        size_t n = SECTOR - (size_t)(c->at + (off_t)i) % SECTOR;
        if (n > c->n - i)
            n = c->n - i;
        if (how == 1 || (how == 2 && faults_random(2)))
            put(f->fd, c->data + i, n, c->at + (off_t)i);
        i += n;
    }
}

static void cut_file(struct file *f)
{
    for (size_t i = f->count; i-- > 0;)
        take_back(f, &f->changes[i]);
    uint64_t mood = faults_random(4); /* nothing got through; everything; any of it */
    for (size_t i = 0; i < f->count; i++)
        apply(f, &f->changes[i], mood < 2 ? mood : faults_random(3));
}

/* ---- names --------------------------------------------------------------------------------------
 */

static struct move *add_move(const char *from, const char *to)
{
    power.moves = must(realloc(power.moves, (power.move_count + 1) * sizeof *power.moves));
    struct move *m = &power.moves[power.move_count++];
    *m =
        (struct move){.from = from ? must(strdup(from)) : NULL, .to = to ? must(strdup(to)) : NULL};
    return m;
}

static void keep_link(struct move *m, const char *path)
{
    char kept[FAULTS_PATH];
    snprintf(kept, sizeof kept, "%s/%d-%llu", power.keep, getpid(),
             (unsigned long long)power.kept++);
    if (link(path, kept) == 0)
        m->kept = must(strdup(kept));
}

void power_created(const char *path)
{
    add_move(NULL, path);
}

void power_moving(const char *from, const char *to)
{
    power.inside = true;
    keep_link(add_move(from, to), to ? to : from);
    power.inside = false;
}

static size_t parent(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? (size_t)(slash - path) : 0;
}

static bool move_is_in(const struct move *m, const char *dir, size_t n)
{
    const char *path = m->to ? m->to : m->from;
    return parent(path) == n && strncmp(path, dir, n) == 0;
}

static void drop_move(size_t i)
{
    struct move *m = &power.moves[i];
    power.inside = true;
    if (m->kept)
        unlink(m->kept);
    power.inside = false;
    free(m->from);
    free(m->to);
    free(m->kept);
    memmove(m, m + 1, (--power.move_count - i) * sizeof *m);
}

static void undo_move(const struct move *m)
{
    if (m->to && m->from)
        rename(m->to, m->from);
    else if (m->to)
        unlink(m->to);
    if (m->kept && link(m->kept, m->to ? m->to : m->from) != 0)
        abort();
}

/* Takes back the last changes of one directory, a drawn number of them. */
static void cut_directory(const char *dir, size_t n)
{
    size_t here = 0;
    for (size_t i = 0; i < power.move_count; i++)
        here += move_is_in(&power.moves[i], dir, n);
    uint64_t lost = faults_random(here + 1);
    for (size_t i = power.move_count; i-- > 0;) {
        if (!move_is_in(&power.moves[i], dir, n))
            continue;
        if (lost > 0) {
            lost--;
            undo_move(&power.moves[i]);
        }
        drop_move(i);
    }
}

/* ---- syncs and the cut
 * ---------------------------------------------------------------------------- */

void power_synced(int fd, const char *path)
{
    struct stat st;
    if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
        for (size_t i = power.move_count; i-- > 0;)
            if (move_is_in(&power.moves[i], path, strlen(path)))
                drop_move(i);
        return;
    }
    struct file *f = file_of(fd);
    if (f)
        forget_changes(f);
}

static void drop_maps(const char *dir)
{
    DIR *d = opendir(dir);
    struct dirent *e;
    while (d && (e = readdir(d)) != NULL) {
        size_t n = strlen(e->d_name);
        if (n > 4 && strcmp(e->d_name + n - 4, "-shm") == 0)
            unlinkat(dirfd(d), e->d_name, 0);
    }
    if (d)
        closedir(d);
}

void power_cut(void)
{
    power.inside = true;
    power.on = false;
    for (size_t i = 0; i < FILES_MAX; i++)
        if (power.files[i].fd)
            cut_file(&power.files[i]);
    while (power.move_count) {
        const struct move *m = &power.moves[power.move_count - 1];
        char dir[FAULTS_PATH];
        snprintf(dir, sizeof dir, "%s", m->to ? m->to : m->from);
        cut_directory(dir, parent(dir));
    }
    for (const char *at = power.dirs; *at;) {
        char dir[FAULTS_PATH];
        size_t n = strcspn(at, ":");
        snprintf(dir, sizeof dir, "%.*s", (int)n, at);
        drop_maps(dir);
        at += n + (at[n] == ':');
    }
}
