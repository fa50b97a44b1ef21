/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * App state ("syncd"): what a collection's snapshots and patches are made of, and the cryptography
 * of each part (protocol/07 section 8.4). Pure functions; wa/app_state_collection.h keeps state.
 */
#ifndef WA_APP_STATE_H
#define WA_APP_STATE_H

#include "wa/crypto.h"

#define WA_APP_STATE_MAC_LEN 32
#define WA_APP_STATE_HASH_LEN 128    /* LTHash: 64 lanes, uint16 little-endian */
#define WA_APP_STATE_VALUE_MAX 65536 /* bytes of one value; larger ones are refused */
#define WA_APP_STATE_KEY_ID_MAX 32   /* bytes */

struct wa_app_state_keys {
    uint8_t index[32], value[32], value_mac[32], snapshot_mac[32], patch_mac[32];
};
void wa_app_state_expand(struct wa_app_state_keys *out, const uint8_t key[32]);

/* ---- records -------------------------------------------------------------------------------- */

/* Borrowed. index_mac and value_mac are 32 bytes each, and value ends with value_mac. */
struct wa_app_state_record {
    bool remove;
    struct bytes index_mac, value, value_mac, key_id;
};

/* Records of a snapshot, a patch or a SyncdMutations blob, read one by one. */
struct wa_app_state_records {
    struct reader in;
    uint64_t field;
    bool mutations; /* each with an operation */
};
/* 1, 0 at the end, or ERR_INVALID. */
int wa_app_state_next(struct wa_app_state_records *from, struct wa_app_state_record *out);

struct wa_app_state_snapshot {
    uint64_t version;
    struct bytes mac, key_id;
    struct wa_app_state_records records;
};
int wa_app_state_read_snapshot(struct bytes raw, struct wa_app_state_snapshot *out);

struct wa_app_state_patch {
    uint64_t version; /* 0: not said */
    struct bytes snapshot_mac, patch_mac, key_id;
    struct bytes external; /* ExternalBlobReference of the mutations; empty: they are here */
    struct wa_app_state_records records;
};
/* 0 or ERR_INVALID (also for a patch that says it is an abort). */
int wa_app_state_read_patch(struct bytes raw, struct wa_app_state_patch *out);
/* The records of the file that `external` points to. */
struct wa_app_state_records wa_app_state_external(struct bytes mutations);

/* What a record says; bytes borrow from the plain buffer, unchecked text. Of all actions those that
 * are used here. */
struct wa_app_state_action {
    struct bytes index; /* JSON array, as text */
    struct bytes push_name, nct_salt;
};
/* Checks both MACs and decrypts. plain is cleared first. 0; ERR_AUTH; ERR_INVALID; ERR_LIMIT. */
int wa_app_state_open(struct buf *plain, const struct wa_app_state_keys *keys,
                      const struct wa_app_state_record *record, struct wa_app_state_action *out);
/* The other way, for whoever writes: appends the value, and the index MAC to index_mac. 0 or
 * ERR_LIMIT. */
int wa_app_state_seal(struct buf *value, uint8_t index_mac[32],
                      const struct wa_app_state_keys *keys, bool remove, struct bytes key_id,
                      const uint8_t iv[16], struct bytes index, struct bytes sync_action_data);

/* ---- the whole ------------------------------------------------------------------------------ */

void wa_app_state_hash_add(uint8_t hash[WA_APP_STATE_HASH_LEN], struct bytes value_mac);
void wa_app_state_hash_subtract(uint8_t hash[WA_APP_STATE_HASH_LEN], struct bytes value_mac);
void wa_app_state_snapshot_mac(uint8_t out[32], const struct wa_app_state_keys *keys,
                               const uint8_t hash[WA_APP_STATE_HASH_LEN], uint64_t version,
                               const char *collection);
/* 0 or ERR_INVALID when the records cannot be read. */
int wa_app_state_patch_mac(uint8_t out[32], const struct wa_app_state_keys *keys,
                           struct bytes snapshot_mac, struct wa_app_state_records records,
                           uint64_t version, const char *collection);

#endif
