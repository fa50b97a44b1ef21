/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The last so many things of a kind, numbered from 1. */
#ifndef SIM_RING_H
#define SIM_RING_H

#include <stddef.h>
#include <stdint.h>

struct sim_ring {
    void **slots;
    size_t size, max; /* size grows up to max */
    int64_t last;     /* number of the newest; 0 before the first */
};

/* max is a power of two. */
void sim_ring_init(struct sim_ring *r, size_t max);
void sim_ring_deinit(struct sim_ring *r, void (*release)(void *value));
/* Appends; returns what had to give way, or NULL. The new one has number r->last. */
void *sim_ring_put(struct sim_ring *r, void *value);
/* The oldest that is still there with a number above after; NULL. */
void *sim_ring_after(const struct sim_ring *r, int64_t after);

#endif
