/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Memory that lives as long as one piece of work (one stanza, one document) and is released at
 * once. What is allocated here needs no free and must not outlive arena_reset or arena_deinit.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/buf.h"

struct arena_block;

struct arena {
    struct arena_block *blocks;
};

void arena_init(struct arena *a);
/* Releases everything; a zeroed arena is fine. */
void arena_deinit(struct arena *a);
/* Releases everything but one ordinary block, which is kept for the next piece of work. */
void arena_reset(struct arena *a);
/* Zeroed memory, aligned for any type; never NULL. */
void *arena_alloc(struct arena *a, size_t n);
/* A copy inside the arena with a NUL behind it (not counted). */
struct bytes arena_copy(struct arena *a, struct bytes b);
const char *arena_text(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);

#define AUTO_ARENA __attribute__((cleanup(arena_deinit)))

#endif
