/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Pairwise sessions by libsignal-protocol-c over a host's records, with the policy of wa/signal.h
 * around it: what wabridge ran before it had a ratchet of its own, and the judge of that ratchet.
 */
#ifndef TESTS_LIBRARY_PEER_H
#define TESTS_LIBRARY_PEER_H

#include "wa/signal.h"

struct library_peer;

/* Results of all calls as those of wa/signal.h. d and host are borrowed. */
struct library_peer *library_peer_open(const struct wa_device *d, const struct wa_host *host);
void library_peer_close(struct library_peer *p);

int library_peer_decrypt(struct library_peer *p, const struct wa_jid *jid, enum wa_enc_type type,
                         struct bytes sealed, struct buf *plain, enum wa_signal_fault *fault);
int library_peer_encrypt(struct library_peer *p, const struct wa_jid *jid, struct bytes padded,
                         enum wa_enc_type *type, struct buf *sealed);
int library_peer_process_bundle(struct library_peer *p, const struct wa_jid *jid,
                                const struct wa_bundle *b);
int library_peer_archive(struct library_peer *p, const struct wa_jid *jid);

/* Where no session is at work the library has an empty one, which it archives like any other; ours
 * has none. They are left out of what is stored, unless this was called. */
void library_peer_keep_empty(struct library_peer *p);

#endif
