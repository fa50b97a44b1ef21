/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/ring.h"

#include "base/err.h"

#define FIRST_SIZE 16

static void **slot(const struct sim_ring *r, int64_t number)
{
    return &r->slots[(size_t)number % r->size];
}

void sim_ring_init(struct sim_ring *r, size_t max)
{
    *r = (struct sim_ring){.max = max};
}

void sim_ring_deinit(struct sim_ring *r, void (*release)(void *value))
{
    for (size_t i = 0; i < r->size; i++)
        if (r->slots[i])
            release(r->slots[i]);
    free(r->slots);
    *r = (struct sim_ring){.max = r->max};
}

static void grow(struct sim_ring *r)
{
    struct sim_ring wider = {.size = r->size ? r->size * 2 : FIRST_SIZE, .max = r->max};

    wider.slots = err_calloc(wider.size, sizeof *wider.slots);
    wider.last = r->last;
    for (int64_t n = r->last - (int64_t)r->size + 1; r->size && n <= r->last; n++)
        *slot(&wider, n) = *slot(r, n);
    free(r->slots);
    *r = wider;
}

void *sim_ring_put(struct sim_ring *r, void *value)
{
    void **at, *old;

    if ((size_t)r->last >= r->size && r->size < r->max)
        grow(r);
    at = slot(r, ++r->last);
    old = *at;
    *at = value;
    return old;
}

void *sim_ring_after(const struct sim_ring *r, int64_t after)
{
    int64_t first = r->last - (int64_t)r->size + 1, number = after < 0 ? 1 : after + 1;

    if (number < first)
        number = first;
    if (number < 1)
        number = 1;
    return r->size && number <= r->last ? *slot(r, number) : NULL;
}
