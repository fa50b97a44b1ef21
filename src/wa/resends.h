/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How often a session does again what a peer, or the lack of one, asks for: resends are a sign of
 * abuse to the server, and peers can ask for them without end (protocol/06 section 11). All of it
 * is in a fixed number of places; chats that meet in one share what is there.
 */
#ifndef WA_RESENDS_H
#define WA_RESENDS_H

#include "base/buf.h"
#include "wa/jid.h"

#define WA_RESENDS_BURST 20       /* of one chat at once … */
#define WA_RESENDS_PER_MINUTE 10  /* … and then so many a minute */
#define WA_RESENDS_OF_ONE 5       /* of one message to one device */
#define WA_REBUILD_MIN_MS 3600000 /* between two new sessions with a device that sent no keys */

#define WA_RESENDS_CHATS 128
#define WA_RESENDS_MESSAGES 512
#define WA_RESENDS_DEVICES 256

/* A token bucket; zeroed it is full. */
struct wa_bucket {
    int32_t spent_ms; /* what the tokens that are gone cost, in ms of refilling */
    int64_t at_ms;
};
/* Takes one token; false when there is none. */
bool wa_bucket_take(struct wa_bucket *b, int64_t now_ms);

struct wa_resends {
    struct wa_bucket chats[WA_RESENDS_CHATS];
    struct {
        uint32_t tag;
        uint8_t count;
    } messages[WA_RESENDS_MESSAGES];
    struct {
        uint32_t tag;
        int64_t at_ms;
    } devices[WA_RESENDS_DEVICES];
};

/* Whether the message may go to the device (once more); counts it. */
bool wa_resends_allow(struct wa_resends *r, const struct wa_jid *chat, const struct wa_jid *device,
                      struct bytes id, int64_t now_ms);
/* Whether a new session with the device may be made although it gave no keys; notes it. */
bool wa_resends_may_rebuild(struct wa_resends *r, const struct wa_jid *device, int64_t now_ms);

#endif
