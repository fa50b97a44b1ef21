/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Records of one simulated phone, in memory, and the wa_host over them. */
#ifndef SIM_STORE_H
#define SIM_STORE_H

#include "sim/table.h"
#include "wa/host.h"

/* Randomness of the whole simulator: the kernel's, or a stream from a seed. */
struct sim_random {
    bool seeded;
    uint64_t seed, counter;
    uint8_t drawn[512]; /* from the kernel, in one call for many small wishes */
    size_t left;        /* of drawn, at its end */
};
void sim_random_bytes(struct sim_random *r, uint8_t *out, size_t n);

struct sim_store {
    struct sim_table tables[WA_TABLE_COUNT];
    struct sim_random *random; /* borrowed */
};

void sim_store_deinit(struct sim_store *s);
/* The host's ctx is s, which must stay where it is. */
struct wa_host sim_store_host(struct sim_store *s);

#endif
