/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Files that came with messages, in media/ (docs/volume.md): written beside, published whole. */
#ifndef VOLUME_MEDIA_H
#define VOLUME_MEDIA_H

#include "volume/volume.h"

#define VOLUME_MEDIA_NAME_SIZE 32

/* "<id>.<extension>": the extension comes from a list of ours by the mimetype (parameters are left
 * out), "bin" for one that is not in it. Nothing of it is the sender's. */
void volume_media_name(int64_t id, struct bytes mimetype, char out[VOLUME_MEDIA_NAME_SIZE]);
/* The id of such a name, or 0. */
int64_t volume_media_id(const char *name);

struct volume_media_file {
    int dir_fd, fd; /* fd -1: none is open */
    char temporary[256];
};
/* 0, or ERR_SYSTEM. A file that is not published is removed by volume_media_drop, or at the next
 * start. */
int volume_media_create(struct volume_media_file *f, const struct volume *v, struct err *err);
int volume_media_write(struct volume_media_file *f, struct bytes data, struct err *err);
/* Makes it durable under its name: afterwards a power cut leaves all of it. */
int volume_media_publish(struct volume_media_file *f, const char *name, struct err *err);
void volume_media_drop(struct volume_media_file *f); /* nothing when none is open */

struct volume_media_keep {
    int64_t days;  /* files so old go; 0: none */
    int64_t bytes; /* of all files; then the oldest go; 0: no bound */
};
/* Looks at every file: deletes what is over, and what `known` (1, 0, negative) does not know.
 * `gone` is told before a file is deleted, and may refuse with a negative result. The number
 * deleted. */
struct volume_media_events {
    void *ctx;
    int (*known)(void *ctx, int64_t id, const char *name);
    int (*gone)(void *ctx, const char *name);
};
size_t volume_media_trim(const struct volume *v, const struct volume_media_keep *keep,
                         int64_t now_ms, const struct volume_media_events *events);

#endif
