/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * control/: commands of the portal. inotify is a hint, the directory is the truth: volume_control_scan may
 * be called at any time and finds what is there (DESIGN 3).
 */
#ifndef VOLUME_CONTROL_H
#define VOLUME_CONTROL_H

#include "volume/volume.h"

#define VOLUME_COMMANDS(X)                                                                         \
    X(VOLUME_COMMAND_STOP, "stop")                                                                 \
    X(VOLUME_COMMAND_RELOAD, "reload")                                                             \
    X(VOLUME_COMMAND_LOGOUT, "logout")                                                             \
    X(VOLUME_COMMAND_PAIR, "pair")

enum volume_command {
#define X(symbol, name) symbol,
    VOLUME_COMMANDS(X)
#undef X
};

struct volume_control_request {
    enum volume_command command;
    char name[64];  /* file name */
    char id[128];   /* "id" member of the content, or "" */
    char claim[160]; /* name of the claimed file; removed by volume_control_ack */
};

struct volume_control;

/* Watches first. started_at: wall-clock ms; older files are stale. 0 or ERR_SYSTEM. */
int volume_control_open(struct volume_control **out, struct volume *v, int64_t started_at, struct err *err);
void volume_control_close(struct volume_control *c);
/* inotify descriptor, readable when a scan is due; volume_control_scan empties it. */
int volume_control_fd(const struct volume_control *c);
/*
 * Finds, checks and claims the next command. 1 and *out: do it, then ack; 0 when there is none. Stale,
 * unknown and hostile files (links, FIFOs, devices, directories, over 64 KiB) are acked or removed and
 * logged here. Never follows a link, never blocks. Reopens the directory when it was replaced.
 */
int volume_control_next(struct volume_control *c, struct volume_control_request *out);
/* Publishes control/ack/<id or name>.json {command, id, result, error, detail, at} and removes the claim. detail and
 * error may be NULL. */
int volume_control_ack(struct volume_control *c, const struct volume_control_request *r, const char *result,
                       const char *error, const char *detail);

/* The portal's side, for `wabridge ctl`: writes control/<command> with a fresh id and waits for its ack
 * (timeout_ms). 0 and the ack's text in out; ERR_TIMEOUT; ERR_SYSTEM. */
int volume_control_send(const char *volume_path, const char *command, int timeout_ms, struct buf *out,
                        struct err *err);

#endif
