/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/ring.h"

#include "base/err.h"

#define BLOCK_RECORDS 4 /* few, since most phones see only some messages */

static uint8_t *place(const struct sim_ring *r, size_t i)
{
    return r->blocks[i / BLOCK_RECORDS] + i % BLOCK_RECORDS * r->width;
}

static size_t index_of(const struct sim_ring *r, int64_t number)
{
    return (size_t)(number - 1) & (r->max - 1);
}

static size_t count(const struct sim_ring *r)
{
    return (size_t)r->last < r->max ? (size_t)r->last : r->max;
}

void sim_ring_init(struct sim_ring *r, size_t width, size_t max)
{
    *r = (struct sim_ring){.width = width, .max = max};
}

void sim_ring_deinit(struct sim_ring *r, void (*release)(void *record))
{
    for (size_t i = 0; release && i < count(r); i++)
        release(place(r, i));
    for (size_t i = 0; i < r->block_count; i++)
        free(r->blocks[i]);
    free(r->blocks);
    sim_ring_init(r, r->width, r->max);
}

/* The list of blocks doubles at each power of two. */
static void add_block(struct sim_ring *r)
{
    size_t n = r->block_count;

    if ((n & (n - 1)) == 0)
        r->blocks = err_realloc(r->blocks, (n ? 2 * n : 1) * sizeof *r->blocks);
    r->blocks[r->block_count++] = err_calloc(BLOCK_RECORDS, r->width);
}

void *sim_ring_next(struct sim_ring *r)
{
    size_t i = index_of(r, ++r->last);

    if (i == r->block_count * BLOCK_RECORDS)
        add_block(r);
    return place(r, i);
}

void *sim_ring_after(const struct sim_ring *r, int64_t after)
{
    int64_t oldest = r->last - (int64_t)count(r) + 1;

    if (r->last == 0 || after >= r->last)
        return NULL;
    return place(r, index_of(r, after < oldest ? oldest : after + 1));
}
