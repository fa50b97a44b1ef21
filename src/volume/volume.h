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
};

/*
 * Creates what is missing (volume 0750, control 2770, control/ack, outbox/new 2770, outbox/done,
 * outbox/failed, logs; private 0700), checks that each can be written, sweeps stale temporaries,
 * takes the private lock (OFD write lock on private/lock, pid written into it). 0; ERR_SYSTEM with
 * path, uid and the command that mends it in err; ERR_LOCKED naming the path and the holder's pid.
 */
int volume_open(struct volume *v, const char *path, const char *private_path, struct err *err);
void volume_close(struct volume *v);

/*
 * Publishes one file atomically: never seen half-written; on failure the old one stays. durable does the
 * fsyncs of file and directory. dir_fd is one of the above. 0 or ERR_SYSTEM.
 */
int volume_publish(int dir_fd, const char *name, struct bytes content, bool durable, struct err *err);
/* 0 also when it was not there. */
int volume_unpublish(int dir_fd, const char *name, bool durable, struct err *err);

/* Path of a file in the shared (messages.db) or private (keys.db) directory, into out. */
void volume_file(const struct volume *v, const char *name, char out[1024]);
void volume_private_file(const struct volume *v, const char *name, char out[1024]);

#endif
