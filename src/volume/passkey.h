/* SPDX-License-Identifier: GPL-3.0-or-later */
/* passkey.json: the step of linking that wants the owner's passkey (docs/passkey.schema.json). It
 * is there as long as the step is. */
#ifndef VOLUME_PASSKEY_H
#define VOLUME_PASSKEY_H

#include <stdint.h>

#include "volume/volume.h"

#define VOLUME_PASSKEY_PAGE                                                                        \
    "https://web.whatsapp.com/" /* where a browser lets the passkey be used */

/* Texts are borrowed; NULL is written as null. Times are wall-clock ms, 0 null. */
struct volume_passkey {
    const char *state, *phase, *request_id;
    int64_t issued_at, expires_at, handoff_expires_at;
    struct bytes public_key; /* valid JSON, written as it is; BYTES_NONE null */
    const char *code;
    bool confirm_required;
    const char *error_code, *error_detail;
    int64_t error_at;
};

/* 0 or ERR_LIMIT. */
int volume_passkey_write(const struct volume_passkey *p, struct buf *out);
/* Durable. Call it before the state document that tells of it. 0, ERR_LIMIT or ERR_SYSTEM. */
int volume_passkey_publish(const struct volume_passkey *p, const struct volume *v, struct err *err);
/* After the state document that no longer tells of it was published. */
int volume_passkey_remove(const struct volume *v, struct err *err);

/* The portal's side: appends the file. 0; ERR_NOT_FOUND when no step is open; ERR_SYSTEM. */
int volume_passkey_read(const char *volume_path, struct buf *out, struct err *err);

#endif
