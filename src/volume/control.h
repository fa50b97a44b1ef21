/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * control/: commands of the portal. inotify is a hint, the directory is the truth:
 * volume_control_next may be called at any time and finds what is there (DESIGN 3). Call it until
 * it says 0 when the descriptor is readable, and at every heartbeat.
 */
#ifndef VOLUME_CONTROL_H
#define VOLUME_CONTROL_H

#include "base/json.h"
#include "volume/volume.h"

#define VOLUME_COMMANDS(X)                                                                         \
    X(VOLUME_COMMAND_STOP, "stop")                                                                 \
    X(VOLUME_COMMAND_RELOAD, "reload")                                                             \
    X(VOLUME_COMMAND_LOGOUT, "logout")                                                             \
    X(VOLUME_COMMAND_PAIR, "pair")                                                                 \
    X(VOLUME_COMMAND_RELEASE, "release")

/* The answer to passkey.json comes as a file of control/, too; it is nothing to be touched. */
#define VOLUME_PASSKEY_RESPONSE "passkey-response.json"

enum volume_command {
#define X(symbol, name) symbol,
    VOLUME_COMMANDS(X)
#undef X
        VOLUME_COMMAND_PASSKEY
};

#define VOLUME_CONTROL_CLAIM_SIZE 160

struct volume_control_request {
    enum volume_command command;
    char name[64]; /* file name */
    char id[128];  /* "id" member of the content: 1 to 120 of [A-Za-z0-9._-], no '.' first; or "" */
    char phone[24]; /* "phone" member of the content, cut; or "" */
    char chat[128]; /* "chat" member of the content, 1 to 120 bytes of UTF-8; or "" */
    bool odd;       /* there is content, and it is no JSON object */
    char claim[VOLUME_CONTROL_CLAIM_SIZE]; /* name of the claimed file; removed by
                                              volume_control_ack */
};

struct volume_control;

/*
 * Watches first; answers `stale` to what an earlier process claimed and never answered. started_at:
 * wall-clock ms; older files are stale. v is borrowed until volume_control_close, and its
 * control_fd and ack_fd change when the directory was replaced. 0 or ERR_SYSTEM.
 */
int volume_control_open(struct volume_control **out, struct volume *v, int64_t started_at,
                        struct err *err);
void volume_control_close(struct volume_control *c);
/*
 * inotify descriptor, readable when volume_control_next is due, which empties it; -1 when the
 * kernel gave none (fs.inotify.max_user_instances), and the calls at every heartbeat do alone.
 */
int volume_control_fd(const struct volume_control *c);
/*
 * Finds, checks and claims the next command. 1 and *out: do it, then ack; 0 when there is none.
 * Stale, unknown and hostile files (links, FIFOs, devices, directories, over 64 KiB) are acked,
 * removed and logged here, at most 64 of the unknown ones in one call. Never follows a link, never
 * blocks. Reopens the directory when it was replaced, and makes it again when it stays away for a
 * second.
 */
int volume_control_next(struct volume_control *c, struct volume_control_request *out);
/*
 * The content of a VOLUME_COMMAND_PASSKEY, whose file is gone from the disk before it is acted on,
 * since it holds a credential. Borrowed until the next volume_control_next; NULL when there is none
 * that can be read.
 */
const struct json_value *volume_control_content(const struct volume_control *c);
/*
 * Publishes control/ack/<id or name>.json {command, id, result, error, detail, at} and removes the
 * claim, also when publishing fails (which is logged here). result: "done", "refused", "failed"
 * ("stale" and "unknown command" are answered by volume_control_next); error and detail may be
 * NULL. The newest 100 acks are kept. 0 or ERR_…. c may not be closed in between; a command without
 * an ack is answered "stale" by the next process.
 */
int volume_control_ack(struct volume_control *c, const struct volume_control_request *r,
                       const char *result, const char *error, const char *detail);

/* A member of what a command says, beside its id: text, or valid JSON. */
struct volume_control_member {
    const char *name, *text;
    struct bytes json; /* when text is NULL */
};

/*
 * The portal's side, for `wabridge ctl`: writes control/<command> with a fresh id and these
 * members, and waits for its ack (timeout_ms). 0 and the ack's text in out; ERR_TIMEOUT, the
 * command withdrawn unless a bridge had taken it already; ERR_SYSTEM; ERR_INVALID for a name that
 * is no file name, ERR_LIMIT for more than 64 KiB.
 */
int volume_control_send(const char *volume_path, const char *command,
                        const struct volume_control_member *members, size_t count, int timeout_ms,
                        struct buf *out, struct err *err);

#endif
