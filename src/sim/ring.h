/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The last so many records of a kind, numbered from 1 and kept in place. */
#ifndef SIM_RING_H
#define SIM_RING_H

#include <stddef.h>
#include <stdint.h>

struct sim_ring {
    uint8_t **blocks; /* of some records each, made when they are reached */
    size_t block_count;
    size_t width, max; /* bytes of a record; records */
    int64_t last;      /* number of the newest; 0 before the first */
};

/* max is a power of two, 8 at least. */
void sim_ring_init(struct sim_ring *r, size_t width, size_t max);
/* release may be NULL; it is given each record. */
void sim_ring_deinit(struct sim_ring *r, void (*release)(void *record));
/* The place of the next record, which gets the number r->last: zero bytes, or the oldest record,
 * whose place it takes. A record stays where it is as long as it is there. */
void *sim_ring_next(struct sim_ring *r);
/* The oldest that is still there with a number above after; NULL. */
void *sim_ring_after(const struct sim_ring *r, int64_t after);

#endif
