/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Secrets that messages carry, and the edits that arrive encrypted under them (protocol/05 section
 * 9.3; the inside of an edit and its empty additional data as in whatsapp-rust, message_edit.rs and
 * secret_enc_addon.rs; key derivation also in whatsmeow, msgsecret.go).
 *
 *   key = HKDF-SHA256(secret, no salt, target id ‖ its author ‖ who edits ‖ use)
 *   content = AES-256-GCM(key, iv, no additional data): a Message
 *
 * Both names are bare JIDs, and of one user: only authors edit. Which of the user's two names went
 * in is for the receiver to find out.
 */
#ifndef WA_SECRETS_H
#define WA_SECRETS_H

#include "wa/host.h"
#include "wa/message.h"

/*
 * The records are a ring of blocks, so that one message costs one page and all of them a fixed
 * room: the newest WA_SECRETS_KEPT to WA_SECRETS_KEPT - WA_SECRETS_PER_BLOCK secrets are known. A
 * block is a number that grows by one with every block (4 bytes, big endian), then its entries:
 * tag (8 bytes), time of the message (4 bytes, Unix s), secret.
 */
#define WA_SECRETS_BLOCKS 128
#define WA_SECRETS_PER_BLOCK 64
#define WA_SECRETS_KEPT (WA_SECRETS_BLOCKS * WA_SECRETS_PER_BLOCK)
#define WA_SECRETS_NAMES 3 /* of one user, at most */
#define WA_SECRETS_DAYS                                                                            \
    30 /* as long as the server may hold an edit back; then they are forgotten */

/* Where the ring is written; zeroed it is not known yet. */
struct wa_secrets {
    bool known;
    uint32_t sequence; /* of the newest block, 0: there is none */
    size_t count;      /* entries in it */
};

/* Keeps the secret of message id, which that user (bare) wrote. Finds the newest block first and
 * forgets blocks that are too old. 0 or ERR_STORE. */
int wa_secrets_keep(struct wa_secrets *r, const struct wa_host *host, struct bytes id,
                    const struct wa_jid *author, int64_t sent_s, struct bytes secret);
/* 1 and the newest secret of the message that the user with these names wrote, 0 none, ERR_STORE.
 */
int wa_secrets_find(const struct wa_host *host, struct bytes id, const struct wa_jid *names,
                    size_t count, uint8_t secret[WA_MESSAGE_SECRET_LEN]);

/* Appends the Message: 0, ERR_AUTH (another secret, another author, damaged), ERR_INVALID (lengths)
 * or ERR_LIMIT. */
int wa_sealed_open(struct buf *out, const struct wa_sealed *sealed, struct bytes id,
                   const struct wa_jid *author, const struct wa_jid *editor,
                   const uint8_t secret[WA_MESSAGE_SECRET_LEN]);

#endif
