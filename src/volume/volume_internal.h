/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of this folder share: safe reading, temporaries, directories. All work under a
 * held descriptor, follow no link and never block on what they find. */
#ifndef VOLUME_INTERNAL_H
#define VOLUME_INTERNAL_H

#include <dirent.h>
#include <sys/types.h>

#include "volume/volume.h"

#define VOLUME_NAME_MAX 200 /* bytes of a published name, so that its temporary fits NAME_MAX */

/*
 * Appends a regular file to out. 0; ERR_NOT_FOUND; ERR_INVALID when it is not a regular file;
 * ERR_LIMIT when it is larger than out->max; ERR_SYSTEM with errno.
 */
int volume_read(int dir_fd, const char *name, struct buf *out);
/* The same for what somebody gives us: ERR_EXISTS when it has another name, too. A hard link could
 * be to a file that only the bridge can read. */
int volume_read_given(int dir_fd, const char *name, struct buf *out);

/* Creates `.NAME.tmp-<pid>-<random>`, mode 0640; its name in out. A descriptor, or -1 with errno.
 */
int volume_temporary(int dir_fd, const char *name, char out[256]);
/* All of it: 0, or -1 with errno. */
int volume_write_all(int fd, struct bytes content);
/* Sets the mode; the content is on the disk before another file's name can be taken by it, and at
 * once when durable: 0, or -1 with errno. */
int volume_finish(int fd, bool durable);
int volume_sync_directory(int dir_fd);
/* Removes what volume_temporary left behind in an earlier life and is at least min_age_ms old. */
void volume_sweep(int dir_fd, int64_t min_age_ms);

/*
 * Opens a directory, made when missing. Mode bits it lacks are added, none is taken away; where the
 * owner is another that fails, which is logged and not an error. A descriptor, or -1 with errno.
 */
int volume_directory(int parent_fd, const char *name, mode_t mode);
/* An independent stream over a held directory, from its beginning; NULL with errno. closedir. */
DIR *volume_list(int dir_fd);

struct volume_entry {
    struct timespec at; /* of the content's last change */
    char name[256];
};
/* The files with wanted names, oldest first, equally old ones by name: at most max of them into
 * out; their number, and in *total how many there are. */
size_t volume_oldest(int dir_fd, bool (*wanted)(const char *name), struct volume_entry *out,
                     size_t max, size_t *total);
/* Removes the oldest until `kept` are left, never the one called keep (or NULL). */
void volume_prune(int dir_fd, bool (*wanted)(const char *name), size_t kept, const char *keep);

/* ---- the portal's side ------------------------------------------------------------------------
 */
/* A directory that must be there, links not followed; -1 with errno. */
int volume_open_under(int parent_fd, const char *name);
/* Watches directories for what is published in them: an inotify descriptor, or -1. To be called
 * before the question is written, so that no answer is missed. */
int volume_await_watch(const int *dir_fds, size_t count);
/* Waits until one of the directories has the file, and appends it to out. 0; ERR_TIMEOUT; as
 * volume_read. inotify_fd may be -1: it looks twice a second. */
int volume_await(const int *dir_fds, size_t count, int inotify_fd, const char *name, int timeout_ms,
                 struct buf *out);

#endif
