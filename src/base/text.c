/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/text.h"

#include <stddef.h>

#include "base/err.h"

/* Length of the well-formed sequence at p, or 0. */
static size_t sequence(const uint8_t *p, const uint8_t *end)
{
    uint8_t c = *p;
    if (c < 0x80)
        return 1;
    size_t n = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
    if (c < 0xc2 || c > 0xf4 || (size_t)(end - p) < n)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((c == 0xe0 && p[1] < 0xa0) || (c == 0xed && p[1] > 0x9f) || (c == 0xf0 && p[1] < 0x90) ||
        (c == 0xf4 && p[1] > 0x8f))
        return 0;
    return n;
}

/* Eight bytes at a time, since nearly all texts are ASCII. */
static const uint8_t *skip_ascii(const uint8_t *p, const uint8_t *end)
{
    uint64_t eight;
    for (; end - p >= (ptrdiff_t)sizeof(eight); p += sizeof(eight)) {
        memcpy(&eight, p, sizeof(eight));
        if (eight & UINT64_C(0x8080808080808080))
            break;
    }
    while (p < end && *p < 0x80)
        p++;
    return p;
}

bool text_utf8_valid(struct bytes b)
{
    const uint8_t *p = b.p, *end = b.n ? b.p + b.n : b.p;
    while ((p = skip_ascii(p, end)) < end) {
        size_t n = sequence(p, end);
        if (n == 0)
            return false;
        p += n;
    }
    return true;
}

struct bytes text_utf8_cut(struct bytes b, size_t max)
{
    if (b.n <= max)
        return b;
    while (max > 0 && (b.p[max] & 0xc0) == 0x80)
        max--;
    return BYTES(b.p, max);
}

int text_hex_append(struct buf *out, struct bytes b)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t *at = buf_reserve(out, b.n * 2);
    if (!at)
        return ERR_LIMIT;
    for (size_t i = 0; i < b.n; i++) {
        at[2 * i] = (uint8_t)digits[b.p[i] >> 4];
        at[2 * i + 1] = (uint8_t)digits[b.p[i] & 15];
    }
    out->n += b.n * 2;
    return 0;
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

int text_hex_decode(struct bytes hex, uint8_t *out, size_t n)
{
    if (hex.n != n * 2)
        return ERR_INVALID;
    for (size_t i = 0; i < n; i++) {
        int hi = hex_digit(hex.p[2 * i]), lo = hex_digit(hex.p[2 * i + 1]);
        if (hi < 0 || lo < 0)
            return ERR_INVALID;
        out[i] = (uint8_t)(hi << 4 | lo);
    }
    return 0;
}

/* ---- short texts ------------------------------------------------------------------------------
 */

struct text_pen text_pen(char *out, size_t size)
{
    *out = '\0';
    return (struct text_pen){out, out + size - 1};
}

void text_pen_put(struct text_pen *pen, struct bytes piece)
{
    size_t room = (size_t)(pen->end - pen->at), n = piece.n < room ? piece.n : room;
    if (piece.p)
        memcpy(pen->at, piece.p, n);
    pen->at += n;
    *pen->at = '\0';
}

void text_pen_text(struct text_pen *pen, const char *piece)
{
    text_pen_put(pen, bytes_text(piece));
}

void text_pen_u64(struct text_pen *pen, uint64_t v)
{
    char room[BYTES_DECIMAL_MAX];
    text_pen_put(pen, bytes_decimal(v, room));
}

void text_pen_hex(struct text_pen *pen, struct bytes data)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < data.n; i++) {
        char pair[2] = {digits[data.p[i] >> 4], digits[data.p[i] & 15]};
        text_pen_put(pen, BYTES(pair, 2));
    }
}

/* ---- base64 ------------------------------------------------------------------------------------
 */

static const char base64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char base64url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static int append_base64(struct buf *out, struct bytes b, const char *alphabet, bool padded)
{
    for (size_t i = 0; i < b.n; i += 3) {
        size_t left = b.n - i;
        uint32_t v = (uint32_t)b.p[i] << 16;
        if (left > 1)
            v |= (uint32_t)b.p[i + 1] << 8;
        if (left > 2)
            v |= b.p[i + 2];
        char quad[4] = {alphabet[v >> 18], alphabet[v >> 12 & 63],
                        left > 1 ? alphabet[v >> 6 & 63] : '=', left > 2 ? alphabet[v & 63] : '='};
        if (buf_append(out, BYTES(quad, padded || left > 2 ? 4 : left + 1)) < 0)
            return ERR_LIMIT;
    }
    return 0;
}

int text_base64_append(struct buf *out, struct bytes b)
{
    return append_base64(out, b, base64, true);
}

int text_base64url_append(struct buf *out, struct bytes b)
{
    return append_base64(out, b, base64url, false);
}

int text_base64_decode(struct bytes text, struct buf *out)
{
    if (text.n % 4 != 0)
        return ERR_INVALID;
    for (size_t i = 0; i < text.n; i += 4) {
        size_t pad = 0;
        uint32_t v = 0;
        for (size_t j = 0; j < 4; j++) {
            uint8_t c = text.p[i + j];
            const char *at = c ? strchr(base64, c) : NULL;
            if (c == '=' && i + 4 == text.n && j >= 2) {
                pad++;
                at = base64;
            } else if (!at || pad) {
                return ERR_INVALID;
            }
            v = v << 6 | (uint32_t)(at - base64);
        }
        uint8_t triple[3] = {(uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
        if (buf_append(out, BYTES(triple, 3 - pad)) < 0)
            return ERR_LIMIT;
    }
    return 0;
}

int text_base64_any_decode(struct bytes text, struct buf *out)
{
    AUTO_BUF struct buf standard;
    buf_init_secret(&standard, text.n + 3);
    for (size_t i = 0; i < text.n; i++) {
        uint8_t c = text.p[i];
        buf_append_u8(&standard, c == '-' ? '+' : c == '_' ? '/' : c);
    }
    while (standard.n % 4 != 0)
        buf_append_u8(&standard, '=');
    return text_base64_decode(buf_bytes(&standard), out);
}
