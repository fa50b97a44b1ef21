/* SPDX-License-Identifier: GPL-3.0-or-later */
#define _GNU_SOURCE /* F_OFD_SETLK */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/log.h"
#include "volume/volume_internal.h"

#define ROOT_MODE 02750
#define PRIVATE_MODE 0700
#define LOCK_MODE 0600
/* `wabridge ctl` publishes into control/ while the bridge starts: its temporary is not stale yet.
 */
#define FOREIGN_TEMPORARY_MS 60000

struct place {
    const char *name;
    mode_t mode;
    int64_t sweep_age_ms; /* -1: the files in there are not ours to sweep */
    size_t slot;          /* offset of its descriptor in struct volume */
};
#define NOT_HELD SIZE_MAX

static const struct place places[] = {
    {"control", 02770, FOREIGN_TEMPORARY_MS, offsetof(struct volume, control_fd)},
    {"control/ack", 02750, 0, offsetof(struct volume, ack_fd)},
    {"outbox", 02750, -1, offsetof(struct volume, outbox_fd)},
    {"outbox/new", 02770, -1, offsetof(struct volume, new_fd)},
    {"outbox/done", 02750, 0, offsetof(struct volume, done_fd)},
    {"outbox/failed", 02750, 0, offsetof(struct volume, failed_fd)},
    {"media", 02750, 0, offsetof(struct volume, media_fd)},
    {"logs", 02750, -1, NOT_HELD},
};

/* ---- words for the operator --------------------------------------------------------------------
 */

static void remedy(char *out, size_t size, const char *path, const struct stat *st, int why)
{
    if (why == EROFS)
        snprintf(out, size, "mount it writable");
    else if (why == ENOTDIR || why == ELOOP)
        snprintf(out, size, "it must be a directory, links are not followed: rm %s", path);
    else if (!st)
        snprintf(out, size, "mkdir -p %s && chown %u:%u %s", path, geteuid(), getegid(), path);
    else if (why == ENOSPC || why == EDQUOT)
        snprintf(out, size, "make room there");
    else if (st->st_uid != geteuid())
        snprintf(out, size, "chown %u:%u %s", geteuid(), getegid(), path);
    else
        snprintf(out, size, "chmod u+rwx %s", path);
}

/* ERR_SYSTEM with path, owner, who asks, and the command that mends it; errno says why. */
static int explain(struct err *err, const char *what, const char *path)
{
    int why = errno;
    char mend[1200], owner[64] = "";
    struct stat st;
    bool known = lstat(path, &st) == 0;
    if (known)
        snprintf(owner, sizeof(owner), " owner %u:%u mode %04o;", st.st_uid, st.st_gid,
                 (unsigned)st.st_mode & 07777u);
    remedy(mend, sizeof(mend), path, known ? &st : NULL, why);
    return err_set(err, ERR_SYSTEM, "cannot %s %s: %s;%s this process is %u:%u; mend: %s", what,
                   path, strerror(why), owner, geteuid(), getegid(), mend);
}

static void join(const char *dir, const char *name, char out[1024])
{
    snprintf(out, 1024, "%s/%s", dir, name);
}

/* ---- directories -------------------------------------------------------------------------------
 */

/* Owner's choices stay: bits are added, never taken away. */
static void add_mode(int fd, const char *name, mode_t mode)
{
    struct stat st;
    if (fstat(fd, &st) != 0 || (st.st_mode & mode) == mode)
        return;
    if (fchmod(fd, (st.st_mode | mode) & 07777) != 0)
        log_event(LOG_WARN, "volume_mode_kept", LOG_STR("directory", name),
                  LOG_INT("owner", st.st_uid), LOG_STR("reason", strerror(errno)));
    else if ((mode & S_ISGID) && fstat(fd, &st) == 0 && !(st.st_mode & S_ISGID))
        /* The kernel drops the bit silently when we are not in the directory's group. */
        log_event(LOG_WARN, "volume_setgid_lost", LOG_STR("directory", name),
                  LOG_INT("group", st.st_gid));
}

int volume_directory(int parent_fd, const char *name, mode_t mode)
{
    if (mkdirat(parent_fd, name, mode & 0777) != 0 && errno != EEXIST)
        return -1;
    int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0)
        add_mode(fd, name, mode);
    return fd;
}

/* The two roots may be links: the operator chose them. */
static int open_root(const char *path, mode_t mode)
{
    if (mkdir(path, mode & 0777) != 0 && errno != EEXIST)
        return -1;
    return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* By trying, for modes say nothing about read-only mounts, NFS root squash or ACLs. A full disk is
 * not a reason to refuse: the bridge runs on it and publishes when there is room again. */
static int probe(int dir_fd, const char *path, struct err *err)
{
    char name[256];
    AUTO_CLOSE int fd = volume_temporary(dir_fd, "probe", name);
    if (fd >= 0) {
        unlinkat(dir_fd, name, 0);
        return 0;
    }
    if (errno != ENOSPC && errno != EDQUOT)
        return explain(err, "write in", path);
    log_event(LOG_WARN, "volume_full", LOG_STR("directory", path));
    return 0;
}

static int open_place(struct volume *v, size_t i, struct err *err)
{
    const struct place *place = &places[i];
    char path[1024];
    join(v->path, place->name, path);
    int fd = volume_directory(v->root_fd, place->name, place->mode);
    if (fd < 0)
        return explain(err, "make or open", path);
    int rc = probe(fd, path, err);
    if (rc == 0 && place->sweep_age_ms >= 0)
        volume_sweep(fd, place->sweep_age_ms);
    if (place->slot == NOT_HELD)
        close(fd);
    else
        memcpy((char *)v + place->slot, &fd, sizeof(fd));
    return rc;
}

static int open_shared(struct volume *v, struct err *err)
{
    v->root_fd = open_root(v->path, ROOT_MODE);
    if (v->root_fd < 0)
        return explain(err, "make or open", v->path);
    add_mode(v->root_fd, v->path, ROOT_MODE);
    int rc = probe(v->root_fd, v->path, err);
    if (rc != 0)
        return rc;
    volume_sweep(v->root_fd, 0);
    for (size_t i = 0; i < ARRAY_LEN(places) && rc == 0; i++)
        rc = open_place(v, i, err);
    return rc;
}

/* ---- the private directory and its lock --------------------------------------------------------
 */

static int open_private(struct volume *v, struct err *err)
{
    struct stat st;
    v->private_fd = open_root(v->private_path, PRIVATE_MODE);
    if (v->private_fd < 0 || fstat(v->private_fd, &st) != 0)
        return explain(err, "make or open", v->private_path);
    if (st.st_uid != geteuid()) {
        errno = EPERM;
        return explain(err, "keep keys in a directory of another owner:", v->private_path);
    }
    if ((st.st_mode & 07777) != PRIVATE_MODE && fchmod(v->private_fd, PRIVATE_MODE) != 0)
        return explain(err, "set mode 0700 of", v->private_path);
    return probe(v->private_fd, v->private_path, err);
}

static int locked_by_other(int fd, const char *path, struct err *err)
{
    char pid[16] = "";
    ssize_t n = pread(fd, pid, sizeof(pid) - 1, 0);
    pid[n > 0 ? strspn(pid, "0123456789") : 0] = '\0';
    return err_set(err, ERR_LOCKED,
                   "%s is held by another bridge (process %s, as numbered where it runs); two "
                   "bridges cannot share one account",
                   path, pid[0] ? pid : "unknown");
}

/* For the person who finds the lock held; the lock itself does not depend on it. */
static void note_holder(int fd)
{
    char pid[16];
    int n = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, pid, (size_t)n, 0) != n)
        log_event(LOG_WARN, "lock_pid_not_written", LOG_STR("reason", strerror(errno)));
}

static int take_lock(struct volume *v, struct err *err)
{
    char path[1024];
    struct stat st;
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    volume_private_file(v, "lock", path);
    v->lock_fd = openat(v->private_fd, "lock",
                        O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, LOCK_MODE);
    if (v->lock_fd < 0 || fstat(v->lock_fd, &st) != 0)
        return explain(err, "open", path);
    if (!S_ISREG(st.st_mode))
        return err_set(err, ERR_SYSTEM, "%s is not a regular file; mend: rm %s", path, path);
    if (fcntl(v->lock_fd, F_OFD_SETLK, &lock) != 0) {
        if (errno == EAGAIN || errno == EACCES)
            return locked_by_other(v->lock_fd, path, err);
        return err_sys(err, ERR_SYSTEM, "cannot lock %s (the file system must support locks)",
                       path);
    }
    note_holder(v->lock_fd);
    return 0;
}

/* Before anything is made: tightening the private directory would shut the portal out of its
 * volume. */
static int check_apart(const struct volume *v, struct err *err)
{
    struct stat a, b;
    bool both = stat(v->path, &a) == 0 && stat(v->private_path, &b) == 0;
    if (both ? a.st_dev == b.st_dev && a.st_ino == b.st_ino : strcmp(v->path, v->private_path) == 0)
        return err_set(err, ERR_SYSTEM,
                       "%s is both the shared volume and the private directory; give the keys a "
                       "directory that the portal does not see",
                       v->path);
    return 0;
}

/* ---- handle ------------------------------------------------------------------------------------
 */

static int set_paths(struct volume *v, const char *path, const char *private_path, struct err *err)
{
    *v = (struct volume){.root_fd = -1,
                         .control_fd = -1,
                         .ack_fd = -1,
                         .private_fd = -1,
                         .lock_fd = -1,
                         .outbox_fd = -1,
                         .new_fd = -1,
                         .done_fd = -1,
                         .failed_fd = -1,
                         .media_fd = -1};
    if (!path[0] || !private_path[0] ||
        !bytes_copy_text(bytes_text(path), v->path, sizeof(v->path)) ||
        !bytes_copy_text(bytes_text(private_path), v->private_path, sizeof(v->private_path)))
        return err_set(err, ERR_SYSTEM, "the path of a volume is 1 to %zu bytes long: %.80s",
                       sizeof(v->path) - 1, path);
    return 0;
}

int volume_open(struct volume *v, const char *path, const char *private_path, struct err *err)
{
    int rc = set_paths(v, path, private_path, err);
    if (rc == 0)
        rc = check_apart(v, err);
    if (rc == 0)
        rc = open_private(v, err);
    if (rc == 0)
        rc = take_lock(v, err);
    /* Only with the lock held: what another bridge is writing must not be swept. */
    if (rc == 0) {
        volume_sweep(v->private_fd, 0);
        rc = open_shared(v, err);
    }
    if (rc != 0)
        volume_close(v);
    return rc;
}

void volume_close(struct volume *v)
{
    if (!v || !v->path[0])
        return;
    int *fds[] = {&v->media_fd, &v->new_fd,     &v->done_fd, &v->failed_fd, &v->outbox_fd,
                  &v->ack_fd,   &v->control_fd, &v->root_fd, &v->lock_fd,   &v->private_fd};
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        if (*fds[i] >= 0)
            close(*fds[i]);
        *fds[i] = -1;
    }
    v->path[0] = '\0';
}

void volume_file(const struct volume *v, const char *name, char out[1024])
{
    join(v->path, name, out);
}

void volume_private_file(const struct volume *v, const char *name, char out[1024])
{
    join(v->private_path, name, out);
}
