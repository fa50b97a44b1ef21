/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "volume/inbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"

/* A missing directory is made again only after this: in `mv control old; mv new control` ours must
 * not stand in the way. */
#define MISSING_MS 1000

/*
 * Not IN_CREATE: `echo … > control/stop` would be taken before its content was written. What
 * appears without being closed or renamed (a hard link) is found by the next look, and so is the
 * removal of the directory, of which the kernel says nothing while we hold it open.
 */
#define EVENTS (IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVE_SELF)
#define PARENT_EVENTS (IN_CREATE | IN_MOVED_TO)

void volume_inbox_complain(struct volume_inbox *i, const char *event, const char *file)
{
    if (i->complaint == errno)
        return;
    i->complaint = errno;
    log_event(LOG_WARN, event, LOG_STR("file", file), LOG_STR("reason", strerror(errno)));
}

/* ---- watching ----------------------------------------------------------------------------------
 */

static int watch_directory(const struct volume_inbox *i, int dir_fd, uint32_t events)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/fd/%d/.", dir_fd);
    int watch = inotify_add_watch(i->inotify_fd, path, events | IN_ONLYDIR);
    if (watch < 0)
        log_event(LOG_WARN, "inbox_unwatched", LOG_STR("directory", i->name),
                  LOG_STR("reason", strerror(errno)));
    return watch;
}

static void unwatch(const struct volume_inbox *i, int *watch)
{
    if (*watch >= 0)
        inotify_rm_watch(i->inotify_fd, *watch);
    *watch = -1;
}

static void watch_held(struct volume_inbox *i)
{
    if (i->inotify_fd < 0)
        return;
    unwatch(i, &i->watch);
    unwatch(i, &i->parent_watch);
    i->watch = watch_directory(i, *i->held, EVENTS);
}

/* Bounded, for whoever writes there can make events as fast as we read them. */
void volume_inbox_drain(const struct volume_inbox *i)
{
    uint8_t events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
    for (int n = 0; n < 64 && i->inotify_fd >= 0; n++) {
        if (read(i->inotify_fd, events, sizeof(events)) <= 0)
            return;
    }
}

/* ---- the directory itself ----------------------------------------------------------------------
 */

bool volume_inbox_is_held(int parent_fd, const char *name, int held_fd)
{
    struct stat there, held;
    return fstatat(parent_fd, name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
           fstat(held_fd, &held) == 0 && there.st_dev == held.st_dev && there.st_ino == held.st_ino;
}

bool volume_inbox_reopen(int *slot, int parent_fd, const char *name, mode_t mode)
{
    int fd = volume_directory(parent_fd, name, mode);
    if (fd < 0)
        return false;
    close(*slot);
    *slot = fd;
    return true;
}

static bool may_be_made(struct volume_inbox *i)
{
    int64_t now = clock_mono_ms();
    if (faccessat(i->parent_fd, i->name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        return true;
    if (i->missing_since == 0) {
        log_event(LOG_WARN, "inbox_missing", LOG_STR("directory", i->name));
        i->missing_since = now;
        if (i->inotify_fd >= 0)
            i->parent_watch = watch_directory(i, i->parent_fd, PARENT_EVENTS);
    }
    return now - i->missing_since >= MISSING_MS;
}

enum volume_inbox_look volume_inbox_look(struct volume_inbox *i)
{
    if (volume_inbox_is_held(i->parent_fd, i->name, *i->held))
        return VOLUME_INBOX_SAME;
    if (!may_be_made(i))
        return VOLUME_INBOX_AWAY;
    if (!volume_inbox_reopen(i->held, i->parent_fd, i->name, i->mode)) {
        volume_inbox_complain(i, "inbox_refused", i->name);
        return VOLUME_INBOX_AWAY;
    }
    i->missing_since = 0;
    watch_held(i);
    return VOLUME_INBOX_REPLACED;
}

/* ---- handle ------------------------------------------------------------------------------------
 */

void volume_inbox_open(struct volume_inbox *i, int parent_fd, const char *name, mode_t mode,
                       int *held)
{
    *i = (struct volume_inbox){.name = name,
                               .parent_fd = parent_fd,
                               .mode = mode,
                               .held = held,
                               .watch = -1,
                               .parent_watch = -1};
    i->inotify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    /* The kernel allows few instances per user (fs.inotify.max_user_instances, 128 by default), and
     * many bridges share one user: the looks at every heartbeat then do alone. */
    if (i->inotify_fd < 0)
        log_event(LOG_WARN, "inbox_unwatched", LOG_STR("directory", name),
                  LOG_STR("reason", strerror(errno)),
                  LOG_STR("mend", "raise fs.inotify.max_user_instances"));
    watch_held(i);
}

void volume_inbox_close(struct volume_inbox *i)
{
    if (i->inotify_fd >= 0)
        close(i->inotify_fd);
    i->inotify_fd = -1;
}

/* ---- what is in it -----------------------------------------------------------------------------
 */

bool volume_inbox_plain(char ch)
{
    return (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || (ch >= '0' && ch <= '9') ||
           ch == '.' || ch == '_' || ch == '-';
}

bool volume_inbox_discard(int dir_fd, const char *name)
{
    if (unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT ||
        unlinkat(dir_fd, name, AT_REMOVEDIR) == 0)
        return true;
    char aside[256];
    snprintf(aside, sizeof(aside), ".refused%.240s", name);
    bool moved = renameat(dir_fd, name, dir_fd, aside) == 0;
    log_event(LOG_WARN, "inbox_put_aside", LOG_STR("file", aside), LOG_BOOL("done", moved));
    return moved;
}
