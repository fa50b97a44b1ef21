/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/err.h"

uint32_t bytes_hash(struct bytes b)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < b.n; i++)
        hash = (hash ^ b.p[i]) * 16777619u;
    return hash ^ hash >> 16;
}

bool bytes_equal_secret(struct bytes a, struct bytes b)
{
    if (a.n != b.n)
        return false;
    volatile uint8_t diff = 0;
    for (size_t i = 0; i < a.n; i++)
        diff = (uint8_t)(diff | (a.p[i] ^ b.p[i]));
    return diff == 0;
}

char *bytes_strdup(struct bytes b)
{
    char *s = err_malloc(b.n + 1);
    if (b.n)
        memcpy(s, b.p, b.n);
    s[b.n] = '\0';
    return s;
}

bool bytes_copy_text(struct bytes b, char *out, size_t size)
{
    size_t n = b.n < size ? b.n : size - 1;
    if (n)
        memcpy(out, b.p, n);
    out[n] = '\0';
    return n == b.n;
}

bool bytes_to_u64(struct bytes b, uint64_t *out)
{
    uint64_t v = 0;
    if (b.n == 0 || b.n > 20)
        return false;
    for (size_t i = 0; i < b.n; i++) {
        if (b.p[i] < '0' || b.p[i] > '9')
            return false;
        uint64_t digit = (uint64_t)(b.p[i] - '0');
        if (v > (UINT64_MAX - digit) / 10)
            return false;
        v = v * 10 + digit;
    }
    *out = v;
    return true;
}

struct bytes bytes_decimal(uint64_t v, char room[BYTES_DECIMAL_MAX])
{
    char *end = room + BYTES_DECIMAL_MAX, *at = end;
    do
        *--at = (char)('0' + v % 10);
    while (v /= 10);
    return BYTES(at, (size_t)(end - at));
}

int reader_u8(struct reader *r, uint8_t *out)
{
    if (r->p == r->end)
        return ERR_INVALID;
    *out = *r->p++;
    return 0;
}

int reader_be(struct reader *r, size_t width, uint32_t *out)
{
    if (reader_left(r) < width)
        return ERR_INVALID;
    uint32_t v = 0;
    for (size_t i = 0; i < width; i++)
        v = v << 8 | r->p[i];
    r->p += width;
    *out = v;
    return 0;
}

int reader_take(struct reader *r, size_t n, struct bytes *out)
{
    if (reader_left(r) < n)
        return ERR_INVALID;
    *out = (struct bytes){r->p, n};
    r->p += n;
    return 0;
}

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){.max = max};
}

void buf_init_secret(struct buf *b, size_t max)
{
    *b = (struct buf){.max = max, .secret = true};
}

void buf_deinit(struct buf *b)
{
    if (b->secret && b->p)
        buf_wipe(b->p, b->cap);
    free(b->p);
    b->p = NULL;
    b->n = b->cap = 0;
    b->full = false;
}

void buf_clear(struct buf *b)
{
    if (b->secret && b->p)
        buf_wipe(b->p, b->n);
    b->n = 0;
    b->full = false;
}

static void buf_grow(struct buf *b, size_t need)
{
    size_t cap = b->cap ? b->cap : 64;
    while (cap < need)
        cap *= 2;
    if (b->secret) {
        uint8_t *moved = err_malloc(cap);
        if (b->n)
            memcpy(moved, b->p, b->n);
        if (b->p)
            buf_wipe(b->p, b->cap);
        free(b->p);
        b->p = moved;
    } else {
        b->p = err_realloc(b->p, cap);
    }
    b->cap = cap;
}

uint8_t *buf_reserve(struct buf *b, size_t n)
{
    if (n > b->max || b->n > b->max - n) {
        b->full = true;
        return NULL;
    }
    if (b->n + n > b->cap)
        buf_grow(b, b->n + n);
    return b->p + b->n;
}

int buf_append(struct buf *b, struct bytes data)
{
    if (data.n == 0)
        return 0;
    uint8_t *at = buf_reserve(b, data.n);
    if (!at)
        return ERR_LIMIT;
    memcpy(at, data.p, data.n);
    b->n += data.n;
    return 0;
}

int buf_append_u8(struct buf *b, uint8_t v)
{
    return buf_append(b, BYTES(&v, 1));
}

int buf_append_be(struct buf *b, size_t width, uint32_t v)
{
    uint8_t out[4];
    for (size_t i = 0; i < width; i++)
        out[i] = (uint8_t)(v >> (8 * (width - 1 - i)));
    return buf_append(b, BYTES(out, width));
}

int buf_append_text(struct buf *b, const char *s)
{
    return buf_append(b, bytes_text(s));
}

int buf_append_int(struct buf *b, int64_t v)
{
    char room[1 + BYTES_DECIMAL_MAX];
    struct bytes digits = bytes_decimal(v < 0 ? 0 - (uint64_t)v : (uint64_t)v, room + 1);
    if (v >= 0)
        return buf_append(b, digits);
    char *sign = room + (digits.p - (const uint8_t *)room) - 1;
    *sign = '-';
    return buf_append(b, BYTES(sign, digits.n + 1));
}

/* What is longer than the room that is there is formatted a second time. */
int buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    size_t room = b->cap - b->n;
    int need = vsnprintf(room ? (char *)b->p + b->n : NULL, room, fmt, ap);
    va_end(ap);
    if (need < 0)
        return ERR_INTERNAL;
    size_t n = (size_t)need;
    if (!buf_reserve(b, n))
        return ERR_LIMIT;
    if (n + 1 > room) {
        if (b->n + n + 1 > b->cap)
            buf_grow(b, b->n + n + 1);
        va_start(ap, fmt);
        vsnprintf((char *)b->p + b->n, n + 1, fmt, ap);
        va_end(ap);
    }
    b->n += n;
    return 0;
}

void buf_drop_front(struct buf *b, size_t n)
{
    memmove(b->p, b->p + n, b->n - n);
    if (b->secret)
        buf_wipe(b->p + b->n - n, n);
    b->n -= n;
}

const char *buf_text(struct buf *b)
{
    if (b->n + 1 > b->cap)
        buf_grow(b, b->n + 1);
    b->p[b->n] = '\0';
    return (const char *)b->p;
}

void buf_wipe(void *p, size_t n)
{
    explicit_bzero(p, n);
}
