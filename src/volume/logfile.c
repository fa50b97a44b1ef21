/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "volume/logfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "volume/volume_internal.h"

#define DIRECTORY_MODE 02750
#define FILE_MODE 0640

static const char *old_name(int number, char out[32])
{
    snprintf(out, 32, VOLUME_LOG_NAME ".%d", number);
    return out;
}

static void shut(struct volume_log *log)
{
    if (log->fd >= 0)
        close(log->fd);
    log->fd = -1;
}

/* O_NONBLOCK: a FIFO in its place must not hold the bridge. */
static void open_file(struct volume_log *log)
{
    struct stat st;
    log->fd =
        openat(log->dir_fd, VOLUME_LOG_NAME,
               O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, FILE_MODE);
    if (log->fd < 0)
        return;
    if (fstat(log->fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        shut(log);
        return;
    }
    if ((st.st_mode & 07777) != FILE_MODE && fchmod(log->fd, FILE_MODE) != 0)
        errno = 0; /* where modes do not exist, it stays as it is */
    log->size = st.st_size;
}

void volume_log_open(struct volume_log *log, const struct volume *v)
{
    *log = (struct volume_log){.dir_fd = volume_directory(v->root_fd, "logs", DIRECTORY_MODE),
                               .fd = -1,
                               .max_bytes = INT64_MAX};
    if (log->dir_fd >= 0)
        open_file(log);
}

void volume_log_set(struct volume_log *log, int64_t max_bytes, int keep)
{
    log->max_bytes = max_bytes;
    log->keep = keep;
}

/*
 * 0 and an empty file; else the full one stays as it is and is written no more until the next
 * volume_log_tend: rather a gap in the copy than a volume that fills up. The newest old file takes
 * its place by a rename, so that at no moment a line is in none of them.
 */
static int rotate(struct volume_log *log)
{
    char from[32], to[32];
    for (int i = log->keep > 0 ? log->keep : 1; i <= VOLUME_LOG_KEEP_MAX; i++)
        unlinkat(log->dir_fd, old_name(i, to), 0);
    for (int i = log->keep - 1; i >= 1; i--)
        renameat(log->dir_fd, old_name(i, from), log->dir_fd, old_name(i + 1, to));
    int rc = log->keep > 0 ? renameat(log->dir_fd, VOLUME_LOG_NAME, log->dir_fd, old_name(1, to))
                           : unlinkat(log->dir_fd, VOLUME_LOG_NAME, 0);
    shut(log);
    if (rc == 0)
        open_file(log);
    return log->fd >= 0 ? 0 : -1;
}

void volume_log_write(struct volume_log *log, struct bytes line)
{
    bool full = log->size > 0 && (int64_t)line.n > log->max_bytes - log->size;
    if (log->fd < 0 || (full && rotate(log) != 0)) {
        log->dropped++;
        return;
    }
    ssize_t n = write(log->fd, line.p, line.n);
    if (n == (ssize_t)line.n) {
        log->size += n;
        return;
    }
    log->dropped++;
    if (n > 0 && ftruncate(log->fd, log->size) != 0)
        log->size += n;
}

void volume_log_tend(struct volume_log *log)
{
    struct stat held, named;
    if (log->dir_fd < 0)
        return;
    if (log->fd >= 0 && (fstat(log->fd, &held) != 0 ||
                         fstatat(log->dir_fd, VOLUME_LOG_NAME, &named, AT_SYMLINK_NOFOLLOW) != 0 ||
                         held.st_ino != named.st_ino || held.st_dev != named.st_dev))
        shut(log);
    if (log->fd >= 0)
        log->size = held.st_size;
    else
        open_file(log);
}

void volume_log_close(struct volume_log *log)
{
    if (log->max_bytes == 0)
        return;
    shut(log);
    if (log->dir_fd >= 0)
        close(log->dir_fd);
    *log = (struct volume_log){0};
}
