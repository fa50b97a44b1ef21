/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Borrowed bytes, a reading cursor over them, and a growing buffer with a compulsory ceiling.
 * Text from a peer is bytes until it was validated; none of these is NUL-terminated.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/attr.h"

struct bytes {
    const uint8_t *p;
    size_t n;
};

#define BYTES(ptr, len) ((struct bytes){(const uint8_t *)(ptr), (len)})
#define BYTES_ARRAY(a) ((struct bytes){(const uint8_t *)(a), sizeof(a)})
#define BYTES_NONE ((struct bytes){NULL, 0})

/* Borrows a C string without its NUL; NULL gives BYTES_NONE. */
static inline struct bytes bytes_text(const char *s)
{
    return s ? BYTES(s, strlen(s)) : BYTES_NONE;
}

static inline bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}
/* Below, equal to or above zero, as memcmp; a beginning stands before the whole. */
static inline int bytes_compare(struct bytes a, struct bytes b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n ? memcmp(a.p, b.p, n) : 0;
    return order != 0 ? order : (a.n > b.n) - (a.n < b.n);
}
static inline bool bytes_begin_with(struct bytes a, struct bytes beginning)
{
    return a.n >= beginning.n && bytes_equal(BYTES(a.p, beginning.n), beginning);
}
static inline bool bytes_is(struct bytes a, const char *text)
{
    return a.p && bytes_equal(a, bytes_text(text));
}
/* FNV-1a, for tables in memory whose size is bounded; no protection against who seeks collisions.
 */
uint32_t bytes_hash(struct bytes b);
/* Same length and content, in time that depends on the length only. */
bool bytes_equal_secret(struct bytes a, struct bytes b);
/* Heap copy with a NUL behind it; *owned*, release with free. */
char *bytes_strdup(struct bytes b);
/* Copies into out and terminates; cuts to size - 1 bytes. Returns whether all of it fitted. */
bool bytes_copy_text(struct bytes b, char *out, size_t size);
/* Decimal digits only, no sign, no blank. Returns false on anything else or on overflow. */
bool bytes_to_u64(struct bytes b, uint64_t *out);
/* Its inverse: the digits stand in room, without a NUL. */
#define BYTES_DECIMAL_MAX 20
struct bytes bytes_decimal(uint64_t v, char room[BYTES_DECIMAL_MAX]);

/*
 * Reading: each call takes from the front and returns 0, or ERR_INVALID when the input is too
 * short, in which case nothing was taken.
 */
struct reader {
    const uint8_t *p;
    const uint8_t *end;
};

static inline struct reader reader_init(struct bytes b)
{
    return (struct reader){b.p, b.p ? b.p + b.n : b.p};
}
static inline size_t reader_left(const struct reader *r)
{
    return (size_t)(r->end - r->p);
}
int reader_u8(struct reader *r, uint8_t *out) MUST_CHECK;
int reader_be(struct reader *r, size_t width, uint32_t *out) MUST_CHECK; /* width 1..4 bytes */
int reader_take(struct reader *r, size_t n, struct bytes *out) MUST_CHECK;

/*
 * A growing buffer. max is compulsory: an append beyond it changes nothing, returns ERR_LIMIT and
 * sets `full`, which sticks, so that a builder may append freely and look once at the end.
 * A buffer with `secret` set is wiped whenever its memory is released or moved.
 */
struct buf {
    uint8_t *p;
    size_t n, cap, max;
    bool full, secret;
};

void buf_init(struct buf *b, size_t max);
void buf_init_secret(struct buf *b, size_t max);
/* Releases and zeroes; a zeroed buffer is fine. Keeps max and secret, so the buffer can be reused.
 */
void buf_deinit(struct buf *b);
/* Forgets the content, keeps the memory; clears full. Wipes when secret. */
void buf_clear(struct buf *b);
/* Makes room for n more bytes and returns where they go (then add to b->n), or NULL when over max.
 */
uint8_t *buf_reserve(struct buf *b, size_t n);
int buf_append(struct buf *b, struct bytes data);
int buf_append_u8(struct buf *b, uint8_t v);
int buf_append_be(struct buf *b, size_t width, uint32_t v); /* width 1..4 bytes */
int buf_append_text(struct buf *b, const char *s);
int buf_append_int(struct buf *b, int64_t v); /* in decimal */
int buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Removes n (<= b->n) bytes from the front. */
void buf_drop_front(struct buf *b, size_t n);
/* NUL-terminates (not counted in n, nor against max); the text is borrowed until the next change.
 */
const char *buf_text(struct buf *b);

static inline struct bytes buf_bytes(const struct buf *b)
{
    return (struct bytes){b->p, b->n};
}

#define AUTO_BUF __attribute__((cleanup(buf_deinit)))

/* Overwrites memory in a way that the compiler does not remove. */
void buf_wipe(void *p, size_t n);

#endif
