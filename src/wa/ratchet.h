/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One pairwise session: its beginning (X3DH) and its double ratchet (protocol/04 sections 3 and 4).
 * Knows nothing of records that are stored, of peers and of trust; works on the struct it is given,
 * which is of no more use after a failure: callers work on a copy (wa/session_record.h reads a
 * fresh one for every call).
 */
#ifndef WA_RATCHET_H
#define WA_RATCHET_H

#include "wa/envelope.h"

#define WA_RATCHET_CHAINS 5             /* of the peer, the newest ones are kept */
#define WA_RATCHET_JUMP_MAX 2000        /* messages that may be missing before one */
#define WA_RATCHET_SKIPPED_MAX 2000     /* keys kept for them in each chain */
#define WA_RATCHET_INDEX_END UINT32_MAX /* of no message: behind the last one of a chain */

struct wa_chain {
    uint8_t key[32];
    uint32_t index; /* of the next message */
};

struct wa_receiving_chain {
    uint8_t ratchet[WA_KEY_LEN];
    struct wa_chain chain;
    struct bytes skipped; /* as in the record; borrowed from it, or from wa_ratchet.skipped */
};

/* Holds secrets: wipe it. */
struct wa_ratchet {
    uint8_t own_identity[WA_KEY_LEN], peer_identity[WA_KEY_LEN];
    uint32_t own_registration, peer_registration;
    uint8_t base_key[WA_KEY_LEN]; /* of who wrote first: names the session */
    uint8_t root[32];
    struct wa_keypair ratchet; /* our current one */
    struct wa_chain sending;
    uint32_t previous; /* last index of the sending chain before, 0 when there was none */
    struct wa_receiving_chain receiving[WA_RATCHET_CHAINS]; /* oldest first */
    size_t receiving_count;
    bool unacknowledged; /* nothing came back yet: what is sent is a pkmsg that names these */
    bool has_prekey;
    uint32_t prekey_id, signed_prekey_id;
    struct buf skipped; /* keys of the one chain that a call changed */
};

/* A device's prekey bundle (protocol/06 section 4). Keys are 32 raw bytes. */
struct wa_bundle {
    uint32_t registration_id;
    uint8_t identity[WA_KEY_LEN];
    bool has_prekey;
    uint32_t prekey_id;
    uint8_t prekey[WA_KEY_LEN];
    uint32_t signed_prekey_id;
    uint8_t signed_prekey[WA_KEY_LEN];
    uint8_t signed_prekey_signature[WA_SIGNATURE_LEN];
};

/* Who we are in a session. Borrowed. */
struct wa_ratchet_self {
    const struct wa_keypair *identity;
    uint32_t registration_id;
};

/* Empty; release with wa_ratchet_wipe. */
void wa_ratchet_init(struct wa_ratchet *r);
void wa_ratchet_wipe(struct wa_ratchet *r);

/* Begins a session as the one who writes first; the signature of the bundle is the caller's to
 * verify. Draws two key pairs. 0, or ERR_AUTH when a key of the peer is of small order. */
int wa_ratchet_initiate(struct wa_ratchet *r, const struct wa_ratchet_self *self,
                        const struct wa_bundle *b, const struct wa_host *host);
/* Begins a session as the one who is written to; prekey is NULL when the message names none. 0 or
 * ERR_AUTH. */
int wa_ratchet_respond(struct wa_ratchet *r, const struct wa_ratchet_self *self,
                       const struct wa_keypair *signed_prekey, const struct wa_keypair *prekey,
                       const struct wa_prekey_message *first);

/* Appends a pkmsg (r->unacknowledged) or msg; the chain must not be at WA_RATCHET_INDEX_END. 0, or
 * ERR_LIMIT when sealed is full. */
int wa_ratchet_seal(struct wa_ratchet *r, struct bytes padded, struct buf *sealed);
/* Appends the padded plaintext; draws a key pair when the peer's ratchet key is new. 0; 1 when this
 * counter was consumed before; ERR_AUTH when it is none of this session, forged, or too far ahead;
 * ERR_LIMIT when plain is full; ERR_INVALID when the skipped keys are damaged. */
int wa_ratchet_open(struct wa_ratchet *r, const struct wa_signal_message *m,
                    const struct wa_host *host, struct buf *plain);

#endif
