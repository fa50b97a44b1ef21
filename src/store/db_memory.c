/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/db_memory.h"

#include <malloc.h>
#include <sqlite3.h>
#include <stdlib.h>

#define STEP 16u /* sizes of malloc's blocks; 8 bytes of each are its own */
#define OVERHEAD 8u
#define SMALL_MAX 1024u

struct block {
    struct block *next;
};

/* In the file's scope, since SQLite hands its allocator nothing to find it by. */
static struct {
    struct block *blocks[SMALL_MAX / STEP + 1];
    size_t bytes;
} at_hand;

static size_t class_size(size_t class)
{
    return class * STEP - OVERHEAD;
}

static int round_up(int n)
{
    size_t class = ((size_t)n + OVERHEAD + STEP - 1) / STEP;
    return (int)class_size(class < 2 ? 2 : class);
}

/* As large as the whole block, so that one that comes back fits the next of its class. */
static void *take(int n)
{
    size_t size = (size_t)round_up(n), class = (size + OVERHEAD) / STEP;
    struct block *b =
        class < sizeof(at_hand.blocks) / sizeof(at_hand.blocks[0]) ? at_hand.blocks[class] : NULL;
    if (!b)
        return malloc(size);
    at_hand.blocks[class] = b->next;
    at_hand.bytes -= size;
    return b;
}

static void give_back(void *p)
{
    size_t class = (malloc_usable_size(p) + OVERHEAD) / STEP;
    if (class < 2 || class >= sizeof(at_hand.blocks) / sizeof(at_hand.blocks[0]) ||
        at_hand.bytes + class_size(class) > STORE_MEMORY_KEPT_BYTES) {
        free(p);
        return;
    }
    struct block *b = p;
    b->next = at_hand.blocks[class];
    at_hand.blocks[class] = b;
    at_hand.bytes += class_size(class);
}

static void *resize(void *p, int n)
{
    return realloc(p, (size_t)round_up(n));
}

static int size_of(void *p)
{
    return (int)malloc_usable_size(p);
}

static int start(void *ctx)
{
    (void)ctx;
    return SQLITE_OK;
}

static void stop(void *ctx)
{
    (void)ctx;
}

void store_memory_prepare(void)
{
    const sqlite3_mem_methods methods = {.xMalloc = take,
                                         .xFree = give_back,
                                         .xRealloc = resize,
                                         .xSize = size_of,
                                         .xRoundup = round_up,
                                         .xInit = start,
                                         .xShutdown = stop};
    sqlite3_config(SQLITE_CONFIG_MALLOC, &methods);
}

size_t store_memory_rest(void)
{
    size_t bytes = at_hand.bytes;
    for (size_t class = 0; class < sizeof(at_hand.blocks) / sizeof(at_hand.blocks[0]); class ++) {
        struct block *b;
        while ((b = at_hand.blocks[class])) {
            at_hand.blocks[class] = b->next;
            free(b);
        }
    }
    at_hand.bytes = 0;
    return bytes;
}
