/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A record of WA_TABLE_SESSION: the session at work with a device, and the ones before it, which
 * open what was sent under them and is late. A protobuf, to the byte as libsignal-protocol-c 2.3.3
 * writes it (RecordStructure), whose records of earlier versions are read and might be read again;
 * its fields were found in records that it wrote, and tests compare with it.
 *
 *   record    1 session at work   2 earlier session, newest first …
 *   session   1 version (3)  2, 3 identity, own and peer's  4 root key  5 previous counter
 *             6 sending chain {1 ratchet key  2 its private half  3 chain key}
 *             7 receiving chain {1 ratchet key  3 chain key  4 skipped message key …}, oldest first
 * … 9 unacknowledged {1 prekey id  2 base key  3 signed prekey id} 10, 11 registration id, peer's
 * and own  12 (0)  13 base key chain key 1 index  2 key          skipped  1 index  2 cipher key  3
 * MAC key  4 IV
 */
#ifndef WA_SESSION_RECORD_H
#define WA_SESSION_RECORD_H

#include "wa/ratchet.h"

#define WA_SESSION_ARCHIVED_MAX 40

/* Sessions as they were written, borrowed: the ones that a call does not touch are never parsed. */
struct wa_session_record {
    struct bytes current; /* BYTES_NONE when there is none at work */
    struct bytes archived[WA_SESSION_ARCHIVED_MAX];
    size_t archived_count;
};

/* 0 or ERR_INVALID. value stays borrowed. */
int wa_session_record_parse(struct bytes value, struct wa_session_record *out);
/* The session at work becomes the newest of the archived ones; the oldest is given up when there
 * are too many. */
void wa_session_record_archive(struct wa_session_record *record);
/* Takes an archived one out. */
void wa_session_record_remove(struct wa_session_record *record, size_t archived);
/* Whether session is with that identity and began with that base key. */
bool wa_session_is_of(struct bytes session, const uint8_t peer_identity[WA_KEY_LEN],
                      const uint8_t base_key[WA_KEY_LEN]);
/* Appends a record whose session at work is current, or record->current when it is NULL. 0 or
 * ERR_LIMIT. */
int wa_session_record_write(struct buf *out, const struct wa_session_record *record,
                            const struct wa_ratchet *current);

/* Into an initialised r, which then borrows from session: 0 or ERR_INVALID. */
int wa_session_parse(struct bytes session, struct wa_ratchet *r);

/* ---- skipped message keys, as they stand in a receiving chain -------------------------------- */
struct wa_skipped {
    uint32_t index;
    struct bytes cipher, mac, iv; /* 32, 32 and 16 bytes, borrowed */
};

/* Appends one; out turns full when there is no room. */
void wa_skipped_put(struct buf *out, const struct wa_skipped *keys);
/* Looks for one, and appends all others to rest: 1; 0 when it is not there; ERR_INVALID when that
 * cannot be told, since skipped is damaged. found borrows from skipped. */
int wa_skipped_take(struct bytes skipped, uint32_t index, struct wa_skipped *found,
                    struct buf *rest);
/* The last max of them. */
struct bytes wa_skipped_newest(struct bytes skipped, size_t max);

#endif
