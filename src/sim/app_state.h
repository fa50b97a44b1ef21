/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The app state of an account (protocol/07 section 8). The server half keeps collections whose
 * content it cannot read: records and patches as devices wrote them (app_state.c). The phone half
 * has the keys, writes, and shares them with companions (app_state_phone.c).
 */
#ifndef SIM_APP_STATE_H
#define SIM_APP_STATE_H

#include "sim/account.h"
#include "sim/stanza.h"

#define SIM_COLLECTIONS 5
#define SIM_STATE_KEYS 8
#define SIM_STATE_MAX (1u << 20) /* bytes of a patch or a snapshot */

struct sim_collection {
    const char *name;
    uint64_t version;
    struct sim_table records;              /* index MAC -> struct buf with its SyncdRecord */
    struct buf *patches;                   /* SyncdPatch of version i + 1 at i */
    struct buf frozen;                     /* a snapshot that is given out although it is old */
    uint64_t frozen_version;               /* 0 none */
    uint8_t mac[32], key_id[32], key_id_n; /* of the last patch */
};

/* What the server does with a companion that asks; all zero: what it should. */
struct sim_state_rules {
    uint32_t kept;       /* patches that there are still; 0 all */
    uint32_t per_answer; /* patches of one answer; 0 all */
    bool external;       /* mutations of patches lie on the media host */
    bool mute;           /* the phone does not answer who asks for a key */
    bool quiet;          /* companions are not told of a new version */
    char fault[16];      /* see sim_state_fault_is_known */
    uint32_t fault_left; /* answers that have it */
};

struct sim_state_key {
    uint8_t id[6], key[32];
};

struct sim_app_state {
    struct sim_collection collections[SIM_COLLECTIONS];
    struct sim_state_key keys[SIM_STATE_KEYS];
    size_t key_count; /* the last one is in use */
    struct sim_state_rules rules;
};

/* ---- server ------------------------------------------------------------------------------------
 */

/* The account's, made with the account's name in it when there is none. */
struct sim_app_state *sim_app_state_of(struct sim_account *a);
void sim_app_state_free(struct sim_app_state *state);
/* NULL for a name that is none. */
struct sim_collection *sim_collection(struct sim_app_state *state, struct bytes name);
/* Takes a SyncdPatch of a device as the next version, and tells the other companions of it. 0 or
 * ERR_INVALID. */
int sim_app_state_take(struct sim_account *a, struct sim_collection *c, struct bytes patch,
                       const struct sim_device *from);
/* Serves one <collection> of a request, which may bring a patch, and fills that of the answer. */
void sim_app_state_answer(const struct sim_sender *from, const struct wa_node *asked,
                          struct wa_node *answer);
/* The snapshot as it is now is given out from now on, with the patches behind it. */
void sim_app_state_freeze(struct sim_collection *c);
/* "snapshot_mac", "patch_mac", "value", "index": one byte of that is another; "cut": the half of a
 * snapshot or patch; "missing", "corrupt": the file on the media host; "silent": the collection is
 * not in the answer; three digits: that error instead. */
bool sim_state_fault_is_known(const char *fault);

/* ---- phone -------------------------------------------------------------------------------------
 */

struct sim_state_action {
    struct bytes index; /* JSON array, as text */
    struct bytes value; /* SyncActionValue */
    bool remove;
    bool wrong; /* the patch vouches for another state than it makes */
};
/* 0; ERR_INVALID when it is too long. */
int sim_app_state_write(struct sim_account *a, struct sim_collection *c,
                        const struct sim_state_action *action);
/* A companion wrote a patch: a new name of the account is the phone's, too. */
void sim_app_state_follow(struct sim_account *a, struct bytes patch);
/* The phone's owner takes another name. */
void sim_app_state_rename(struct sim_account *a, const char *name);
/* What is written next is under a key that no companion has. 0 or ERR_LIMIT. */
int sim_app_state_new_key(struct sim_account *a);
const struct sim_state_key *sim_app_state_key(const struct sim_app_state *state, struct bytes id);

#endif
