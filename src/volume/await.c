/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How the portal's side waits for an answer, in the verbs ctl and send. */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/inotify.h>

#include "base/clock.h"
#include "volume/volume_internal.h"

#define LOOK_EVERY_MS 500 /* some mounts deliver no events */

int volume_open_under(int parent_fd, const char *name)
{
    return openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

int volume_await_watch(const int *dir_fds, size_t count)
{
    int inotify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    for (size_t i = 0; inotify_fd >= 0 && i < count; i++) {
        char path[64];
        snprintf(path, sizeof(path), "/proc/self/fd/%d/.", dir_fds[i]);
        inotify_add_watch(inotify_fd, path, IN_MOVED_TO | IN_ONLYDIR);
    }
    return inotify_fd;
}

static void sleep_until_event(int inotify_fd, int64_t left_ms)
{
    uint8_t events[4096];
    struct pollfd p = {.fd = inotify_fd, .events = POLLIN};
    if (poll(&p, 1, left_ms < LOOK_EVERY_MS ? (int)left_ms : LOOK_EVERY_MS) > 0) {
        while (read(inotify_fd, events, sizeof(events)) > 0) {
        }
    }
}

int volume_await(const int *dir_fds, size_t count, int inotify_fd, const char *name, int timeout_ms,
                 struct buf *out)
{
    int64_t deadline = clock_mono_ms() + timeout_ms;
    for (;;) {
        for (size_t i = 0; i < count; i++) {
            int rc = volume_read(dir_fds[i], name, out);
            if (rc != ERR_NOT_FOUND)
                return rc;
        }
        int64_t left = deadline - clock_mono_ms();
        if (left <= 0)
            return ERR_TIMEOUT;
        sleep_until_event(inotify_fd, left);
    }
}
