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
/* The same with keys that were made for an upload whose answer never came: count ids from first.
 * Those that are gone meanwhile are left out. */
int wa_prekeys_build_upload_again(struct wa_node *iq, const struct wa_device *d,
                                  const struct wa_host *host, uint32_t first, size_t count);

/*
 * Compares what the server says it has of our keys, a <digest>, with our own (protocol/03 section
 * 7.6). 1 the same; 0 not: another identity, signed prekey or list, or a key that is not here;
 * ERR_INVALID when it cannot be read; ERR_STORE.
 */
int wa_prekeys_compare(const struct wa_node *digest, const struct wa_device *d,
                       const struct wa_host *host);

/* ---- rotation of the signed prekey (protocol/03 section 7.5) ----------------------------------
 * An offered key is a record already, so that it opens messages whatever becomes of the answer. */
#define WA_SIGNED_PREKEY_DAYS 27
#define WA_SIGNED_PREKEYS_KEPT 3 /* older ones, for messages that took their time */

/* Appends <rotate><skey/></rotate>: the key that was offered before and had no answer, else a fresh
 * one. signature: what to keep until the answer. 0 or ERR_STORE. */
int wa_prekeys_build_rotation(struct wa_node *iq, struct wa_device *d, const struct wa_host *host,
                              uint8_t signature[WA_SIGNATURE_LEN]);
/* The server took it: it is the current one now. 0 or ERR_STORE. */
int wa_prekeys_rotated(struct wa_device *d, const struct wa_host *host,
                       const uint8_t signature[WA_SIGNATURE_LEN], uint32_t now_s);
/* The server does not want it: another one is made next time. 0 or ERR_STORE. */
int wa_prekeys_rotation_refused(const struct wa_device *d, const struct wa_host *host);

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
