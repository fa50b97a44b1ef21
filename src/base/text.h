/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Text forms of bytes: UTF-8 validity, hexadecimal, base64; and short texts put together. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include "base/buf.h"

/* Well-formed UTF-8 per RFC 3629: no surrogates, no overlong forms, nothing above U+10FFFF. */
bool text_utf8_valid(struct bytes b);
/* The longest prefix of at most max bytes that does not cut a UTF-8 sequence. */
struct bytes text_utf8_cut(struct bytes b, size_t max);

int text_hex_append(struct buf *out, struct bytes b); /* lower case */
/* Even number of hex digits of either case into exactly n bytes; 0 or ERR_INVALID. */
int text_hex_decode(struct bytes hex, uint8_t *out, size_t n);

/*
 * A short text put together in an array of fixed size, piece by piece: terminated after each of
 * them, and cut where the array ends. For keys and names of every message, where printf would cost
 * more than what they are for.
 */
struct text_pen {
    char *at, *end; /* where the next byte goes; the last byte, which only the NUL may have */
};
struct text_pen text_pen(char *out, size_t size); /* size >= 1 */
void text_pen_put(struct text_pen *pen, struct bytes piece);
void text_pen_text(struct text_pen *pen, const char *piece);
void text_pen_u64(struct text_pen *pen, uint64_t v);        /* in decimal */
void text_pen_hex(struct text_pen *pen, struct bytes data); /* upper case */

/* Standard alphabet with padding (RFC 4648 section 4). */
int text_base64_append(struct buf *out, struct bytes b);
int text_base64_decode(struct bytes text, struct buf *out);
/* The alphabet for URLs, without padding (RFC 4648 section 5). */
int text_base64url_append(struct buf *out, struct bytes b);
/* Either alphabet, padded or not: 0, ERR_INVALID or ERR_LIMIT. */
int text_base64_any_decode(struct bytes text, struct buf *out);

#endif
