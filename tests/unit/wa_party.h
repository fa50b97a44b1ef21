/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Parties of the Signal vectors: a host, a device and a Signal object each. */
#ifndef TESTS_WA_PARTY_H
#define TESTS_WA_PARTY_H

#include "fake_host.h"
#include "testing.h"
#include "wa/signal.h"

struct party {
    struct fake_host fake;
    struct wa_device device;
    struct wa_signal *signal;
    struct wa_jid jid;
    const json_t *about;
};

/* about: a member of "parties". */
void party_init(struct party *p, const json_t *about);
void party_deinit(struct party *p);
void party_put_prekey(struct party *p, const json_t *prekey);
const json_t *party_prekey(const struct party *p, uint32_t id);

/* 32 bytes of a hex member with or without the leading 05. */
void party_key(uint8_t out[WA_KEY_LEN], const json_t *object, const char *name);
uint32_t party_number(const json_t *object, const char *name);
/* {"name": "111_1", "device_id": 3} */
struct wa_jid party_jid(const json_t *address);
struct wa_bundle party_bundle(const json_t *b);
const json_t *party_scenario(const json_t *vectors, const char *name);
/* Compares with what an "expect" of the vectors is to us. */
void party_check_outcome(const char *expect, int rc, enum wa_signal_fault fault);

#endif
