/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * logs/wabridge.log in the volume, rotated by size: wabridge.log.1 is the newest old file. Lines
 * are whole: what a full disk cuts off is taken back, and later lines are written as soon as there
 * is room. Nothing here logs, blocks, follows a link or ends the process.
 */
#ifndef VOLUME_LOGFILE_H
#define VOLUME_LOGFILE_H

#include "volume/volume.h"

#define VOLUME_LOG_NAME "wabridge.log"
#define VOLUME_LOG_KEEP_MAX 20

struct volume_log {
    int dir_fd, fd; /* fd -1: nothing is written now; opened again by volume_log_tend */
    int64_t size, max_bytes;
    int keep;
    int64_t dropped; /* lines not written since the volume was opened */
};

/* Always succeeds; a file that cannot be opened now may be later. */
void volume_log_open(struct volume_log *log, const struct volume *v);
/* max_bytes >= 4096; keep 0 to VOLUME_LOG_KEEP_MAX: old files beside the one that is written. */
void volume_log_set(struct volume_log *log, int64_t max_bytes, int keep);
/* Appends one line, after a rotation when it would grow the file beyond its size. */
void volume_log_write(struct volume_log *log, struct bytes line);
/* At every heartbeat: opens what could not be opened, was removed, renamed or put aside. */
void volume_log_tend(struct volume_log *log);
/* A log that was never opened (zeroed) is fine. */
void volume_log_close(struct volume_log *log);

#endif
