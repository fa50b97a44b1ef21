/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One-time prekeys: making, uploading, and reading other devices' bundles (protocol/03 section 7,
 * protocol/06 section 4). */
#ifndef WA_PREKEYS_H
#define WA_PREKEYS_H

#include "wa/node.h"
#include "wa/signal.h"

#define WA_PREKEYS_FIRST 812 /* first upload after pairing */
#define WA_PREKEYS_REFILL 50
#define WA_PREKEYS_MINIMUM 5      /* fewer on the server: refill */
#define WA_PREKEYS_KEPT 4096      /* the latest ones; older ones that nobody used are forgotten */
#define WA_PREKEY_ID_MAX 0xfffffe /* 0xffffff means "last resort" to the Signal library */

/* Record of WA_TABLE_PREKEY, and of WA_TABLE_SIGNED_PREKEY for signed prekeys before the current
 * one: private key, then public key. */
#define WA_PREKEY_RECORD_LEN (2 * WA_KEY_LEN)

/* Makes a one-time prekey with the next id of d (1..WA_PREKEY_ID_MAX, wrapping), and stores it and
 * d's counter. 0 or ERR_STORE; an id is used up in either case. */
int wa_prekey_generate(struct wa_device *d, const struct wa_host *host, uint32_t *id,
                       struct wa_keypair *key);
/* Appends to iq (type set, xmlns encrypt) the children of an upload with count fresh prekeys. 0, or
 * ERR_STORE: then do not send it. */
int wa_prekeys_build_upload(struct wa_node *iq, struct wa_device *d, const struct wa_host *host,
                            size_t count);
/* Appends the <keys> of a retry receipt: identity, one fresh prekey, signed prekey, account blob.
 * 0, or ERR_STORE. */
int wa_prekeys_build_retry_keys(struct wa_node *receipt, struct wa_device *d,
                                const struct wa_host *host);

/* Appends <key><user jid/>…</key> to iq (type get, xmlns encrypt). */
void wa_bundle_build_query(struct wa_node *iq, const struct wa_jid *devices, size_t count);
/*
 * Reads a <user> of a bundle answer, or a <receipt type="retry"> with <keys>. Tolerates 33-byte
 * keys with leading 05. 0; ERR_INVALID; ERR_NOT_FOUND when it carries <error>. *device_identity is
 * the blob that vouches for a companion, borrowed from node, or BYTES_NONE.
 */
int wa_bundle_parse(const struct wa_node *node, struct wa_bundle *out,
                    struct bytes *device_identity);

#endif
