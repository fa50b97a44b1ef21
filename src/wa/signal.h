/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The Signal protocol over the host's records (protocol/04): pairwise sessions by wa/ratchet.h,
 * sender keys by the Signal library. Each call is all or nothing: on any error no record was
 * written.
 */
#ifndef WA_SIGNAL_H
#define WA_SIGNAL_H

#include "wa/device.h"
#include "wa/ratchet.h"

#define WA_ENC_MAX (1u << 20) /* bytes of one <enc>; larger is refused (protocol/04 section 14) */

enum wa_enc_type { WA_ENC_MSG, WA_ENC_PKMSG, WA_ENC_SKMSG };

const char *wa_enc_text(enum wa_enc_type type);             /* "msg", "pkmsg", "skmsg" */
int wa_enc_parse(struct bytes text, enum wa_enc_type *out); /* 0, or ERR_UNSUPPORTED */

/* Why something did not decrypt; the numbers are the retry reasons of protocol/05 section 6.2. */
enum wa_signal_fault {
    WA_FAULT_UNKNOWN = 0,
    WA_FAULT_NO_SESSION = 1,
    WA_FAULT_INVALID_KEY = 2,
    WA_FAULT_INVALID_KEY_ID = 3, /* one-time or signed prekey not ours (any more) */
    WA_FAULT_INVALID_MESSAGE = 4,
    WA_FAULT_INVALID_SIGNATURE = 5,
    WA_FAULT_BAD_MAC = 7,
    WA_FAULT_INVALID_SESSION = 8,
    WA_FAULT_UNTRUSTED = 12,
};

const char *wa_fault_text(enum wa_signal_fault fault); /* "no session", … */

struct wa_signal;

/* Records that were given up since it was opened: they could not be read or outgrew their bound. */
uint64_t wa_signal_set_aside_count(const struct wa_signal *s);

/* d and host are borrowed for the life of the object. Owned; release with wa_signal_close. */
struct wa_signal *wa_signal_open(const struct wa_device *d, const struct wa_host *host);
void wa_signal_close(struct wa_signal *s);

/* Gives back what is kept between two calls. */
void wa_signal_rest(struct wa_signal *s);

/*
 * Opens one pkmsg or msg from a device. peer is the address to use (LID form when known). Appends
 * the padded plaintext. 0; 1 when this counter was consumed before (a duplicate: nothing appended);
 * ERR_AUTH with *fault when it cannot be decrypted, malformed and overlong ones included; ERR_STORE
 * when records could not be read or written (then answer nothing and drop the connection);
 * ERR_LIMIT when plain is full. A changed identity replaces the stored one and archives the old
 * session (protocol/04 section 8), but for our own phone's: that is refused. A consumed one-time
 * prekey is deleted with the session it became (D4).
 */
int wa_signal_decrypt(struct wa_signal *s, const struct wa_jid *peer, enum wa_enc_type type,
                      struct bytes sealed, struct buf *plain, enum wa_signal_fault *fault);

/* Seals padded plaintext for one device with which a session exists. 0 and *type (MSG or PKMSG);
 * ERR_NOT_FOUND without a usable session; ERR_STORE; ERR_LIMIT when sealed is full. */
int wa_signal_encrypt(struct wa_signal *s, const struct wa_jid *peer, struct bytes padded,
                      enum wa_enc_type *type, struct buf *sealed);

/* 1 when there is a usable session, 0 when not, ERR_STORE. */
int wa_signal_has_session(struct wa_signal *s, const struct wa_jid *peer);
/* Puts the session aside: what is still sent under it can be opened, and the next message to the
 * peer needs a new one (wa_signal_has_session says 0). 0 or ERR_STORE. */
int wa_signal_archive_session(struct wa_signal *s, const struct wa_jid *peer);
/* The registration id that the peer had when the usable session was made: 1, 0, ERR_STORE. */
int wa_signal_registration(struct wa_signal *s, const struct wa_jid *peer, uint32_t *id);
/* Forgets the session (not the identity). */
int wa_signal_drop_session(struct wa_signal *s, const struct wa_jid *peer);
/* Moves session and identity rows of a user's devices from its PN to its LID name, unless the LID
 * has its own, and deletes the PN rows (protocol/04 section 10). 0 or ERR_STORE. */
int wa_signal_migrate(struct wa_signal *s, const struct wa_jid *pn, const struct wa_jid *lid);

/* Builds a session from a bundle; verifies the signed prekey; archives a session that was there; a
 * changed identity replaces the stored one. 0, ERR_AUTH, ERR_INVALID, ERR_STORE. */
int wa_signal_process_bundle(struct wa_signal *s, const struct wa_jid *peer,
                             const struct wa_bundle *b);

/* Whether a call since the last question replaced an identity key that was known by another. */
bool wa_signal_took_identity(struct wa_signal *s);
/* Trusts identity as that of jid from now on (pairing: the primary's key). 0 or ERR_STORE. */
int wa_signal_set_identity(struct wa_signal *s, const struct wa_jid *jid,
                           const uint8_t identity[WA_KEY_LEN]);
/* 1 and the 32-byte key, 0 when unknown, ERR_STORE. */
int wa_signal_get_identity(struct wa_signal *s, const struct wa_jid *jid,
                           uint8_t identity[WA_KEY_LEN]);

/*
 * Sender keys (protocol/04 section 11). group is the bare JID of the chat, sender the device as for
 * wa_signal_decrypt. A distribution that is known already changes nothing. 0, ERR_INVALID,
 * ERR_STORE.
 */
int wa_signal_process_skdm(struct wa_signal *s, const struct wa_jid *group,
                           const struct wa_jid *sender, struct bytes axolotl_message);
/* Results as wa_signal_decrypt. The key may have come under another device number of the sender; a
 * key that is missing is WA_FAULT_NO_SESSION. */
int wa_signal_group_decrypt(struct wa_signal *s, const struct wa_jid *group,
                            const struct wa_jid *sender, struct bytes sealed, struct buf *plain,
                            enum wa_signal_fault *fault);
/* Seals with our own sender key as own (made when absent) and appends the current
 * SenderKeyDistributionMessage (state before this message) to skdm. 0, ERR_STORE, ERR_LIMIT; then
 * nothing was appended. */
int wa_signal_group_encrypt(struct wa_signal *s, const struct wa_jid *group,
                            const struct wa_jid *own, struct bytes padded, struct buf *sealed,
                            struct buf *skdm);
/* Appends our current SenderKeyDistributionMessage; the key is made when absent. 0, ERR_STORE,
 * ERR_LIMIT. */
int wa_signal_group_distribution(struct wa_signal *s, const struct wa_jid *group,
                                 const struct wa_jid *own, struct buf *skdm);
/* 1 when our sender key as own is there and can be read, 0 when the next message would make a new
 * one, or ERR_STORE. */
int wa_signal_group_has_key(struct wa_signal *s, const struct wa_jid *group,
                            const struct wa_jid *own);
/* Forgets a sender key, so that the next message makes a new one. 0 or ERR_STORE. */
int wa_signal_group_forget(struct wa_signal *s, const struct wa_jid *group,
                           const struct wa_jid *sender);

#endif
