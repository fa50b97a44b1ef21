/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What travels in an <enc> of a pairwise session: SignalMessage (msg) and PreKeySignalMessage
 * (pkmsg), version 3 (protocol/04 section 5). Keys are 32 raw bytes here; their leading 05 is added
 * and removed. Parsing believes nothing: what it gives is not authenticated.
 */
#ifndef WA_ENVELOPE_H
#define WA_ENVELOPE_H

#include "wa/curve.h"

#define WA_ENVELOPE_VERSION 0x33 /* of the message, and the highest that its sender speaks */
#define WA_ENVELOPE_MAC_LEN 8

/* All bytes are borrowed from what was parsed. */
struct wa_signal_message {
    uint8_t ratchet[WA_KEY_LEN]; /* the sender's current ratchet key */
    uint32_t counter;            /* in the chain of that key */
    struct bytes ciphertext;
    struct bytes covered; /* by the MAC: version byte and protobuf */
    struct bytes mac;
};

struct wa_prekey_message {
    uint32_t registration_id; /* of the sender */
    bool has_prekey;
    uint32_t prekey_id, signed_prekey_id; /* ours */
    uint8_t base_key[WA_KEY_LEN];
    uint8_t identity[WA_KEY_LEN];
    struct wa_signal_message message;
};

/* 0; ERR_INVALID when malformed or of another version; ERR_AUTH when a key is none of Curve25519.
 */
int wa_signal_message_parse(struct bytes sealed, struct wa_signal_message *out);
int wa_prekey_message_parse(struct bytes sealed, struct wa_prekey_message *out);

/*
 * Writing, piece by piece, so that nothing is copied: the head, the ciphertext of exactly
 * ciphertext_n bytes, the MAC; of a pkmsg the head before all that, and its tail behind. The buffer
 * turns full when there is no room.
 */
size_t wa_signal_message_size(uint32_t counter, uint32_t previous, size_t ciphertext_n);
void wa_signal_message_put_head(struct buf *out, const uint8_t ratchet[WA_KEY_LEN],
                                uint32_t counter, uint32_t previous, size_t ciphertext_n);
/* Of head, only message is not used: message_n bytes come next. */
void wa_prekey_message_put_head(struct buf *out, const struct wa_prekey_message *head,
                                size_t message_n);
void wa_prekey_message_put_tail(struct buf *out, const struct wa_prekey_message *head);

/* A key in the form with the leading 05: false when it has another length or type. */
#define WA_TYPED_KEY_LEN (1 + WA_KEY_LEN)
bool wa_typed_key_open(struct bytes typed, uint8_t key[WA_KEY_LEN]);
void wa_typed_key(uint8_t out[WA_TYPED_KEY_LEN], const uint8_t key[WA_KEY_LEN]);
/* As a field of a protobuf. */
void wa_field_put_key(struct buf *out, uint64_t number, const uint8_t key[WA_KEY_LEN]);

#endif
