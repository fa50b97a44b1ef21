/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * This companion device: credentials made once, and what pairing adds (protocol/03 section 1). Each
 * field is one record of WA_TABLE_DEVICE under its own name: "noise_private", "noise_public",
 * "identity_private", "identity_public", "registration_id", "signed_prekey_id",
 * "signed_prekey_private", "signed_prekey_public", "signed_prekey_signature", "adv_secret",
 * "next_prekey_id", "pn", "lid", "account", "platform", "business_name", "push_name",
 * "login_count", "prekeys_uploaded", "lid_migrated", "signed_prekey_at", "signed_prekey_last",
 * "prekeys_checked_at".
 * Numbers are 4 bytes big-endian, booleans 1 byte, JIDs text. Next to them lie the records of
 * wa/resume.h.
 */
#ifndef WA_DEVICE_H
#define WA_DEVICE_H

#include "wa/curve.h"
#include "wa/jid.h"

#define WA_ADV_SECRET_LEN 32
#define WA_ACCOUNT_MAX 1024 /* bytes of a serialised ADVSignedDeviceIdentity */

struct wa_signed_prekey {
    uint32_t id; /* 1..0xfffffe */
    struct wa_keypair key;
    uint8_t signature[WA_SIGNATURE_LEN]; /* over 05 || pub, by the identity key */
};

struct wa_device {
    /* made once */
    struct wa_keypair noise;
    struct wa_keypair identity;
    uint32_t registration_id; /* 1..16380 */
    struct wa_signed_prekey signed_prekey;
    uint8_t adv_secret[WA_ADV_SECRET_LEN];
    uint32_t next_prekey_id; /* next id to generate */
    /* given by pairing; pn is none until then */
    struct wa_jid pn, lid;           /* with device number */
    uint8_t account[WA_ACCOUNT_MAX]; /* ADVSignedDeviceIdentity, all four fields */
    size_t account_len;
    char platform[32];
    char business_name[128];
    char push_name[128];
    uint32_t login_count;        /* ClientPayload.lc */
    bool prekeys_uploaded;       /* the server confirmed an upload since pairing */
    uint32_t signed_prekey_at;   /* Unix s: of the first login with it; 0 unknown */
    uint32_t signed_prekey_last; /* highest id that was ever made; 0: that of signed_prekey */
    uint32_t prekeys_checked_at; /* Unix s: the server had what we have; 0: not known */
    bool lid_migrated;
};

/* Fresh credentials, unpaired. Nothing is stored: pairing does that, before it is answered (D5). */
void wa_device_generate(struct wa_device *d, const struct wa_host *host);
/* 1 loaded, 0 none stored, negative when the store failed or a field is missing, malformed or does
 * not belong to the others (ERR_INVALID); *d is zeroed unless loaded. */
int wa_device_load(struct wa_device *d, const struct wa_host *host);
/* Writes every field: 0 or negative. */
int wa_device_save(const struct wa_device *d, const struct wa_host *host);
/* Writes one of them, by record name: 0 or negative, ERR_NOT_FOUND for an unknown name. */
int wa_device_save_field(const struct wa_device *d, const char *name, const struct wa_host *host);
bool wa_device_is_paired(const struct wa_device *d);
/* Is jid (any device) this account, in either namespace? */
bool wa_device_is_own(const struct wa_device *d, const struct wa_jid *jid);
/* Deletes every record of every table: the device was unlinked. 0 or negative. */
int wa_device_forget(const struct wa_host *host);
void wa_device_wipe(struct wa_device *d);

#endif
