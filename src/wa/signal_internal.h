/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The inside of the door to the Signal library, shared by signal.c (pairwise sessions),
 * signal_group.c (sender keys) and signal_store.c (what the library is given). Nobody else includes
 * this.
 */
#ifndef WA_SIGNAL_INTERNAL_H
#define WA_SIGNAL_INTERNAL_H

#include <signal/signal_protocol.h>

#include "wa/overlay.h"
#include "wa/signal.h"

#define WA_SIGNAL_DEVICES 100 /* device numbers that are tried where records cannot be listed */
#define WA_SIGNAL_DEVICE_HOSTED 99

#define WA_SIGNAL_KNOWN 32

/* Checksums of session records that the library made or that were parsed, so that asking for a
 * session need not parse the same bytes again. */
struct wa_signal_known {
    uint32_t sums[WA_SIGNAL_KNOWN];
    unsigned count;
};

struct wa_signal {
    const struct wa_device *device;
    struct wa_overlay overlay;           /* empty between two calls */
    uint64_t set_aside, setting_aside;   /* counted once the call went well */
    bool taking_identity, took_identity; /* in the call at work; since it was asked for */
    struct wa_signal_known known;
    signal_context *context;
    signal_protocol_store_context *stores;
};

/* A Signal address with the memory that the library's form points into: do not copy. */
struct wa_signal_peer {
    char name[WA_JID_NAME_SIZE];
    signal_protocol_address at;
};

/* ---- signal_store.c -------------------------------------------------------------------------- */
/* The context with its crypto provider, and the stores over s->overlay; both owned by s. */
void wa_signal_attach(struct wa_signal *s);
void wa_signal_peer_init(struct wa_signal_peer *p, const struct wa_jid *jid);
/* Record keys: "<name>:<device>" and "<group>/<name>:<device>". */
void wa_signal_peer_key(const signal_protocol_address *at, char out[WA_KEY_MAX]);
void wa_signal_sender_key(const signal_protocol_sender_key_name *name, char out[WA_KEY_MAX]);
void wa_signal_know(struct wa_signal *s, struct bytes record);
bool wa_signal_knows(const struct wa_signal *s, struct bytes record);
/* 05 || key, for the library. */
void wa_signal_typed_key(uint8_t out[1 + WA_KEY_LEN], const uint8_t key[WA_KEY_LEN]);

/* ---- signal.c -------------------------------------------------------------------------------- */
/* Ends a call: commits when rc is 0, forgets in any case. rc, or ERR_STORE. */
int wa_signal_finish(struct wa_signal *s, int rc);
/*
 * Ends a call that opened something: rc is the library's. On success the plaintext goes to plain
 * and the changes to the host. Frees opened. Results as wa_signal_decrypt.
 */
int wa_signal_deliver(struct wa_signal *s, int rc, signal_buffer *opened, struct buf *plain,
                      enum wa_signal_fault *fault);
/* Gives a record up within the call: it stays under WA_TABLE_SET_ASIDE for who wants to know what
 * happened to it; whether that went well. */
bool wa_signal_set_aside(struct wa_signal *s, enum wa_table table, const char *key);
/*
 * Around every call of the library: it tells some failures to allocate as malformed data, and then
 * a good session would be given up. errno must be 0 before. rc.
 */
int wa_signal_memory(int rc);
/* Appends what the library made. 0 or ERR_LIMIT. */
int wa_signal_append(struct buf *out, const signal_buffer *made);
/* The library's error code for a call that only builds: ERR_STORE, ERR_AUTH, ERR_LIMIT … */
int wa_signal_error(const struct wa_signal *s, int rc);

#endif
