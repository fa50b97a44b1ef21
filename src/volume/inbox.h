/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A directory that the portal writes into: watched, looked at, and taken over again when it was
 * replaced. inotify is a hint, the directory is the truth. Internal to src/volume.
 */
#ifndef VOLUME_INBOX_H
#define VOLUME_INBOX_H

#include "volume/volume_internal.h"

struct volume_inbox {
    const char *name; /* in parent_fd; both borrowed for life, as is what held points to */
    int parent_fd;
    mode_t mode;
    int *held; /* the descriptor of the directory; another one after it was replaced */
    int inotify_fd, watch, parent_watch;
    int64_t missing_since; /* clock_mono_ms; 0: it is there */
    int complaint; /* errno that was logged last, so that each heartbeat does not repeat it */
};

/* Watches *held. Without inotify (logged) the looks at every heartbeat do alone. */
void volume_inbox_open(struct volume_inbox *i, int parent_fd, const char *name, mode_t mode,
                       int *held);
void volume_inbox_close(struct volume_inbox *i);
/* Empties the descriptor; what the events said does not matter, every look is at all there is. */
void volume_inbox_drain(const struct volume_inbox *i);

enum volume_inbox_look { VOLUME_INBOX_AWAY, VOLUME_INBOX_SAME, VOLUME_INBOX_REPLACED };
/* Whether *held is the directory that the portal sees; takes over a new one, and makes it when it
 * stays away for a second. */
enum volume_inbox_look volume_inbox_look(struct volume_inbox *i);
/* Whether name in parent_fd is the open directory held_fd. */
bool volume_inbox_is_held(int parent_fd, const char *name, int held_fd);
/* Puts the directory into *slot, made when missing; false with errno. */
bool volume_inbox_reopen(int *slot, int parent_fd, const char *name, mode_t mode);
/* Logs errno, once until another one or a success (complaint = 0). */
void volume_inbox_complain(struct volume_inbox *i, const char *event, const char *file);

/* Removes what is called `name`, whatever it is; a directory that is not empty is put aside under a
 * name with a dot, which no look takes up. Whether it is gone.
 */
bool volume_inbox_discard(int dir_fd, const char *name);
/* Letters, digits, '.', '_' and '-'. */
bool volume_inbox_plain(char ch);

#endif
