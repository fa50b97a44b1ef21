/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The two directories of a tenant (DESIGN 3; docs/volume.md): made, checked, locked, and held by
 * directory descriptors for life, so that nothing done by path later can be led astray.
 */
#ifndef VOLUME_VOLUME_H
#define VOLUME_VOLUME_H

#include "base/buf.h"
#include "base/err.h"

struct volume {
    char path[512], private_path[512];
    int root_fd, control_fd, ack_fd, private_fd, lock_fd;
    int outbox_fd, new_fd, done_fd, failed_fd, media_fd;
};

/*
 * Locks the private directory, then makes what is missing: volume 2750, control 2770, control/ack
 * 2750, outbox 2750, outbox/new 2770, outbox/done and outbox/failed 2750, media 2750,
 * logs 2750; private 0700,
 * ours. An existing shared directory keeps its mode, what it lacks is added where we own it. Each
 * is tried by making a file in it; stale temporaries are swept (outbox/new is the portal's and left
 * alone). The lock is an OFD write lock on private/lock, our pid written into it. 0; ERR_SYSTEM
 * with path, owner, our uid:gid and the command that mends it in err (exit 69); ERR_LOCKED naming
 * the path and the holder's pid (exit 100). A full disk is logged and no error.
 */
int volume_open(struct volume *v, const char *path, const char *private_path, struct err *err);
/* NULL or zeroed is fine. Releases the lock; its file stays. */
void volume_close(struct volume *v);

/*
 * Publishes one file atomically, mode 0640: never seen half-written, not even after a power cut; on
 * failure the old one stays. durable also syncs the directory, so that a power cut does not bring
 * the old one back; when only that fails the new file is seen already. Without durable the file
 * itself is not synced where the file system orders that (ext4, btrfs). dir_fd is one of the above,
 * or any directory. name: at most 200 bytes, no '/', no '.' first. 0; ERR_INVALID for another name;
 * ERR_SYSTEM.
 */
int volume_publish(int dir_fd, const char *name, struct bytes content, bool durable,
                   struct err *err);
/* 0 also when it was not there. */
int volume_unpublish(int dir_fd, const char *name, bool durable, struct err *err);

/* Path of a file in the shared (messages.db) or private (keys.db) directory, into out. */
void volume_file(const struct volume *v, const char *name, char out[1024]);
void volume_private_file(const struct volume *v, const char *name, char out[1024]);

#endif
