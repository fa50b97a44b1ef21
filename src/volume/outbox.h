/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * outbox/: messages of the portal, one JSON file each (docs/volume.md, outbox/). new/NAME.json is
 * looked at in batches, oldest first, so that memory stays bounded however many there are; what
 * cannot be taken is answered here, in failed/NAME.json. A file stays until volume_outbox_taken:
 * whoever records it removes it after that is durable.
 */
#ifndef VOLUME_OUTBOX_H
#define VOLUME_OUTBOX_H

#include "volume/volume.h"

#define VOLUME_OUTBOX_BATCH 64        /* files of one look */
#define VOLUME_OUTBOX_NAME_MAX 120    /* bytes of NAME: letters, digits, '.', '_', '-' */
#define VOLUME_OUTBOX_FILE_MAX 524288 /* bytes of a file */
#define VOLUME_OUTBOX_RESULTS 10000   /* newest files kept in done/ and in failed/ */

struct json_doc;
struct volume_outbox;

/* Texts are borrowed until the next volume_outbox_next. */
struct volume_outbox_message {
    char name[VOLUME_OUTBOX_NAME_MAX + 1];
    const char *to;
    struct bytes text;
    const char *quote;              /* NULL: none */
    int64_t not_before, expires_at; /* Unix ms, 0: none */
};

/* Watches outbox/new. v is borrowed until volume_outbox_close; its new_fd changes when the
 * directory was replaced. */
void volume_outbox_open(struct volume_outbox **out, struct volume *v);
void volume_outbox_close(struct volume_outbox *o);
/* inotify descriptor, readable when a look is due; -1 when the kernel gave none. */
int volume_outbox_fd(const struct volume_outbox *o);

/* Begins a batch: the oldest files, equally old ones by name. How many there are in all. */
size_t volume_outbox_look(struct volume_outbox *o);
/*
 * The next good message of the batch: 1 and *out, or 0 at its end. Links, FIFOs, directories, names
 * and contents that are not as documented go to failed/ and out of new/; none is followed, none
 * blocks. A file that is no JSON yet and was changed within the last two seconds is left alone.
 */
int volume_outbox_next(struct volume_outbox *o, struct volume_outbox_message *out);
/* Whether the batch left a file alone that may still be written. */
bool volume_outbox_unfinished(const struct volume_outbox *o);
/* Whether anything has left new/ since the look. */
bool volume_outbox_progress(const struct volume_outbox *o);
/* Empties the descriptor. */
void volume_outbox_drain(const struct volume_outbox *o);
/* Removes new/NAME.json; false when that was not possible (logged). */
bool volume_outbox_taken(struct volume_outbox *o, const char *name);

/* id: WhatsApp id, NULL when there is none. Times: Unix ms, 0 unknown. pn, lid: NULL or "":
 * unknown. */
struct volume_outbox_result {
    const char *name, *id, *pn, *lid, *status;
    int64_t server_at, delivered_at, read_at;
    const char *error; /* not NULL: failed/ */
};
/* Publishes done/NAME.json or failed/NAME.json, and removes the other. 0 or ERR_SYSTEM. */
int volume_outbox_result(struct volume_outbox *o, const struct volume_outbox_result *r,
                         struct err *err);
/* A message that was not recorded: failed/NAME.json {error}; then its file is removed. */
void volume_outbox_refuse(struct volume_outbox *o, const char *name, const char *error);

/*
 * The portal's side, for `wabridge send`: drops a message under a fresh name and waits for its
 * result. 0 and the result's text in out; ERR_TIMEOUT (the file withdrawn if nobody took it);
 * ERR_SYSTEM.
 */
int volume_outbox_send(const char *volume_path, const char *to, const char *text, int timeout_ms,
                       struct buf *out, struct err *err);

#endif
