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

/* What is larger than an ordinary block goes behind the first one, which has room left. */
static struct arena_block *add_block(struct arena *a, size_t need)
{
    bool large = need > BLOCK_BYTES;
    size_t cap = large ? need : BLOCK_BYTES;
    struct arena_block *b = err_malloc(sizeof(*b) + cap);
    struct arena_block **at = large && a->blocks ? &a->blocks->next : &a->blocks;
    b->next = *at;
    b->used = 0;
    b->cap = cap;
    *at = b;
    return b;
}

/* As arena_alloc, with whatever is in that memory. */
static void *take(struct arena *a, size_t n)
{
    size_t align = _Alignof(max_align_t);
    if (n > SIZE_MAX - BLOCK_BYTES - sizeof(struct arena_block))
        err_fatal("arena: %zu bytes asked for", n);
    size_t need = (n + align - 1) / align * align;
    struct arena_block *b = a->blocks;
    if (!b || b->cap - b->used < need)
        b = add_block(a, need);
    void *p = (uint8_t *)b->data + b->used;
    b->used += need;
    return p;
}

void *arena_alloc(struct arena *a, size_t n)
{
    return memset(take(a, n), 0, n);
}

struct bytes arena_copy(struct arena *a, struct bytes b)
{
    uint8_t *p = take(a, b.n + 1);
    if (b.n)
        memcpy(p, b.p, b.n);
    p[b.n] = '\0';
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
