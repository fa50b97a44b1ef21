/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Accounts, their devices, and what the server keeps of each device: keys and queue. */
#ifndef SIM_ACCOUNT_H
#define SIM_ACCOUNT_H

#include "sim/queue.h"
#include "sim/sim.h"
#include "wa/prekeys.h"

#define SIM_NAME_MAX 100      /* bytes of a push or business name */
#define SIM_PREKEYS_MAX 20000 /* one-time prekeys that the server keeps for one device */
#define SIM_IDENTITY_MAX 512  /* bytes of an ADVSignedDeviceIdentity */
#define SIM_DEVICE_ID_MAX 98  /* 99 is that of hosted devices */

struct sim_authenticator;
struct sim_phone;
struct sim_prekey;

/* The key bundle as the device uploaded it. */
struct sim_bundle_keys {
    uint32_t registration_id;
    uint8_t identity[WA_KEY_LEN];
    uint32_t signed_id;
    uint8_t signed_key[WA_KEY_LEN];
    uint8_t signed_signature[WA_SIGNATURE_LEN];
    struct sim_prekey *first, **end; /* one-time keys, given out from the front */
    size_t count;
};

/* The passkey gate of an account (protocol/08), as it was set up; what it does wrong on purpose. */
struct sim_gate_rules {
    bool on;
    bool no_options;       /* the push comes without the challenge */
    bool no_continuation;  /* the phone never answers */
    bool bad_continuation; /* … or answers what cannot be read */
    char refuse[8];        /* error code to the prologue; "" none */
};

struct sim_device {
    struct sim_device *next;
    struct sim_account *account;
    uint16_t id;
    uint32_t key_index;
    uint8_t noise_key[WA_KEY_LEN];
    struct sim_bundle_keys keys;
    uint8_t identity[SIM_IDENTITY_MAX]; /* vouches for a companion; all four fields */
    size_t identity_len;
    bool vouched; /* its identity was found good, by any phone; it has no other one for life */
    struct sim_queue queue;
    struct sim_client *client; /* its connection; NULL when offline and for the primary */
    struct sim_faults faults;
    bool greeted; /* the phone has sent it the first history */
};

struct sim_account {
    struct sim_account *next;
    struct sim *sim;
    struct wa_jid pn, lid; /* bare */
    char name[SIM_NAME_MAX + 1];
    char business[SIM_NAME_MAX + 1]; /* "" for a private account */
    bool pn_addressed;               /* its messages name it by phone number instead of LID */
    uint32_t adv_id;
    uint16_t last_device_id;
    uint32_t last_key_index;
    int64_t created_s, devices_changed_s;
    struct sim_device *devices; /* primary first */
    struct sim_phone *phone;
    struct sim_gate_rules gate;
    struct sim_authenticator *authenticator; /* with its passkey; NULL: it has none */
    struct sim_app_state *app_state;         /* NULL until a companion is there */
    struct sim_table peers; /* PN user part -> struct sim_account: whoever it has written with */
};

struct sim_account_spec {
    const char *phone, *name, *lid, *business; /* lid and business may be NULL */
    bool pn_addressed;
};
/* Makes an account with its phone. 0; ERR_INVALID, ERR_EXISTS with err. Lives as long as the sim.
 */
int sim_account_create(struct sim *s, const struct sim_account_spec *spec, struct sim_account **out,
                       struct err *err);
void sim_account_free(struct sim_account *a);
/* By phone number text or by JID of either namespace (device ignored); NULL. */
struct sim_account *sim_account_by_phone(struct sim *s, const char *phone);
struct sim_account *sim_account_by_jid(struct sim *s, const struct wa_jid *jid);
/* The account in the namespace of like. */
struct wa_jid sim_account_jid(const struct sim_account *a, const struct wa_jid *like);
void sim_account_meet(struct sim_account *a, struct sim_account *other);

struct sim_device *sim_device_find(const struct sim_account *a, uint16_t id);
struct sim_device *sim_device_by_jid(struct sim *s, const struct wa_jid *jid);
struct sim_device *sim_device_add(struct sim_account *a, uint16_t id);
/* Takes it off the account and frees it; its connection must be gone. */
void sim_device_remove(struct sim_device *d);
struct wa_jid sim_device_pn(const struct sim_device *d);
struct wa_jid sim_device_lid(const struct sim_device *d);
/* JID of the device in the namespace of like. */
struct wa_jid sim_device_jid(const struct sim_device *d, const struct wa_jid *like);
bool sim_device_is_primary(const struct sim_device *d);

/* Appends a one-time key: 0, ERR_LIMIT, or ERR_EXISTS when the id is there. */
int sim_keys_add(struct sim_bundle_keys *k, uint32_t id, const uint8_t key[WA_KEY_LEN]);
void sim_keys_clear(struct sim_bundle_keys *k);
/* Calls fn for each one-time key in order. */
void sim_keys_each(const struct sim_bundle_keys *k,
                   void (*fn)(void *ctx, uint32_t id, const uint8_t key[WA_KEY_LEN]), void *ctx);
/*
 * A device's bundle as the server hands it out; a one-time key is used up by it. ERR_NOT_FOUND when
 * the device has never uploaded any. Tells the device when few keys are left.
 */
int sim_device_take_bundle(struct sim_device *d, struct wa_bundle *out);

#endif
