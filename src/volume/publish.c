/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "volume/volume_internal.h"

#define FILE_MODE 0640
#define MARK ".tmp-"

DIR *volume_list(int dir_fd)
{
    int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir && fd >= 0)
        close(fd);
    return dir;
}

int volume_temporary(int dir_fd, const char *name, char out[256])
{
    uint64_t random;
    random_bytes((uint8_t *)&random, sizeof(random));
    snprintf(out, 256, ".%.*s" MARK "%ld-%016" PRIx64, VOLUME_NAME_MAX, name, (long)getpid(),
             random);
    return openat(dir_fd, out, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, FILE_MODE);
}

static bool is_temporary(const char *name)
{
    const char *at = NULL;
    if (name[0] != '.')
        return false;
    for (const char *p = strstr(name, MARK); p; p = strstr(p + 1, MARK))
        at = p + strlen(MARK);
    if (!at)
        return false;
    size_t digits = strspn(at, "0123456789");
    return digits > 0 && at[digits] == '-' && strlen(at + digits + 1) == 16 &&
           strspn(at + digits + 1, "0123456789abcdef") == 16;
}

static int64_t age_ms(const struct stat *st)
{
    return clock_wall_ms() - ((int64_t)st->st_mtim.tv_sec * 1000 + st->st_mtim.tv_nsec / 1000000);
}

void volume_sweep(int dir_fd, int64_t min_age_ms)
{
    DIR *dir = volume_list(dir_fd);
    if (!dir)
        return;
    const struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        struct stat st;
        if (!is_temporary(entry->d_name) ||
            fstatat(dir_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 || S_ISDIR(st.st_mode))
            continue;
        if (min_age_ms > 0 && age_ms(&st) < min_age_ms)
            continue;
        if (unlinkat(dir_fd, entry->d_name, 0) == 0)
            log_event(LOG_INFO, "temporary_swept", LOG_STR("file", entry->d_name));
    }
    closedir(dir);
}

int volume_write_all(int fd, struct bytes content)
{
    while (content.n > 0) {
        ssize_t n = write(fd, content.p, content.n);
        if (n < 0 && errno != EINTR)
            return -1;
        if (n > 0)
            content = BYTES(content.p + n, content.n - (size_t)n);
    }
    return 0;
}

/* Some network and user-space file systems cannot sync a directory; they say EINVAL. */
int volume_sync_directory(int dir_fd)
{
    return fsync(dir_fd) == 0 || errno == EINVAL || errno == ENOTSUP ? 0 : -1;
}

/*
 * Whether a file that takes another's name is written before the name is, without being asked to:
 * ext4 and btrfs do so, for the programs that trust in it.
 */
static bool orders_renames(int fd)
{
    struct statfs fs;
    return fstatfs(fd, &fs) == 0 &&
           (fs.f_type == EXT4_SUPER_MAGIC || (unsigned)fs.f_type == BTRFS_SUPER_MAGIC);
}

/* Synced also when it may get lost, where a power cut could leave the new name on an empty file. */
int volume_finish(int fd, bool durable)
{
    /* The umask may have narrowed it; where modes do not exist, it stays as it is. */
    if (fchmod(fd, FILE_MODE) != 0 && errno != EPERM && errno != ENOTSUP)
        return -1;
    return durable || !orders_renames(fd) ? fsync(fd) : 0;
}

static int fill(int fd, struct bytes content, bool durable)
{
    return volume_write_all(fd, content) != 0 ? -1 : volume_finish(fd, durable);
}

static int put(int dir_fd, const char *name, struct bytes content, bool durable)
{
    char temporary[256];
    int fd = volume_temporary(dir_fd, name, temporary);
    if (fd < 0)
        return -1;
    int failed = fill(fd, content, durable);
    int why = errno;
    if (close(fd) != 0 && !failed) {
        failed = -1;
        why = errno;
    }
    if (!failed && renameat(dir_fd, temporary, dir_fd, name) != 0) {
        failed = -1;
        why = errno;
    }
    if (failed) {
        unlinkat(dir_fd, temporary, 0);
        errno = why;
        return -1;
    }
    return durable ? volume_sync_directory(dir_fd) : 0;
}

static bool name_ok(const char *name)
{
    size_t n = strlen(name);
    return n > 0 && n <= VOLUME_NAME_MAX && name[0] != '.' && !strchr(name, '/');
}

int volume_publish(int dir_fd, const char *name, struct bytes content, bool durable,
                   struct err *err)
{
    if (!name_ok(name))
        return err_set(err, ERR_INVALID, "not a name for a published file: %.80s", name);
    if (put(dir_fd, name, content, durable) != 0)
        return err_sys(err, ERR_SYSTEM, "cannot publish %s", name);
    return 0;
}

int volume_unpublish(int dir_fd, const char *name, bool durable, struct err *err)
{
    if (unlinkat(dir_fd, name, 0) != 0)
        return errno == ENOENT ? 0 : err_sys(err, ERR_SYSTEM, "cannot remove %s", name);
    if (durable && volume_sync_directory(dir_fd) != 0)
        return err_sys(err, ERR_SYSTEM, "cannot make the removal of %s durable", name);
    return 0;
}

static int read_all(int fd, struct buf *out)
{
    for (;;) {
        uint8_t chunk[4096];
        ssize_t n = read(fd, chunk, sizeof(chunk));
        if (n == 0)
            return 0;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ERR_SYSTEM;
        if (buf_append(out, BYTES(chunk, (size_t)n)) != 0)
            return ERR_LIMIT;
    }
}

static int read_regular(int dir_fd, const char *name, nlink_t names, struct buf *out)
{
    struct stat st;
    /* Looked at before it is opened, for opening a device may already do something. */
    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? ERR_NOT_FOUND : ERR_SYSTEM;
    if (!S_ISREG(st.st_mode))
        return ERR_INVALID;
    AUTO_CLOSE int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? ERR_NOT_FOUND : errno == ELOOP ? ERR_INVALID : ERR_SYSTEM;
    if (fstat(fd, &st) != 0)
        return ERR_SYSTEM;
    if (!S_ISREG(st.st_mode))
        return ERR_INVALID;
    return st.st_nlink <= names ? read_all(fd, out) : ERR_EXISTS;
}

int volume_read(int dir_fd, const char *name, struct buf *out)
{
    return read_regular(dir_fd, name, (nlink_t)-1, out);
}

int volume_read_given(int dir_fd, const char *name, struct buf *out)
{
    return read_regular(dir_fd, name, 1, out);
}
