/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/arena.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include "base/err.h"

#define BLOCK_BYTES 4096u

struct arena_block {
    struct arena_block *next;
    size_t used, cap;
    max_align_t data[];
};

void arena_init(struct arena *a)
{
    a->blocks = NULL;
}

static void release(struct arena_block *b)
{
    while (b) {
        struct arena_block *next = b->next;
        free(b);
        b = next;
    }
}

void arena_deinit(struct arena *a)
{
    release(a->blocks);
    a->blocks = NULL;
}

void arena_reset(struct arena *a)
{
    struct arena_block *keep = NULL;
    for (struct arena_block **at = &a->blocks; *at; at = &(*at)->next) {
        if ((*at)->cap == BLOCK_BYTES) {
            keep = *at;
            *at = keep->next;
            break;
        }
    }
    release(a->blocks);
    a->blocks = keep;
    if (keep) {
        keep->next = NULL;
        keep->used = 0;
    }
}

void *arena_alloc(struct arena *a, size_t n)
{
    size_t align = _Alignof(max_align_t);
    if (n > SIZE_MAX - BLOCK_BYTES - sizeof(struct arena_block))
        err_fatal("arena: %zu bytes asked for", n);
    size_t need = (n + align - 1) / align * align;
    struct arena_block *b = a->blocks;
    if (!b || b->cap - b->used < need) {
        size_t cap = need > BLOCK_BYTES ? need : BLOCK_BYTES;
        b = err_malloc(sizeof(*b) + cap);
        b->next = a->blocks;
        b->used = 0;
        b->cap = cap;
        a->blocks = b;
    }
    void *p = (uint8_t *)b->data + b->used;
    b->used += need;
    return memset(p, 0, need);
}

struct bytes arena_copy(struct arena *a, struct bytes b)
{
    uint8_t *p = arena_alloc(a, b.n + 1);
    if (b.n)
        memcpy(p, b.p, b.n);
    return (struct bytes){p, b.n};
}

const char *arena_text(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0)
        err_fatal("arena_text: bad format");
    char *s = arena_alloc(a, (size_t)n + 1);
    va_start(ap, fmt);
    vsnprintf(s, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return s;
}
