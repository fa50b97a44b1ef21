/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wa/tokens.h"

#include <endian.h>

#include "wa/tokens.inc"

#define TOKEN_MAX 48 /* bytes of the longest */

static struct bytes text_of(size_t code)
{
    return BYTES(token_texts + token_starts[code],
                 (size_t)(token_starts[code + 1] - token_starts[code]));
}

struct bytes wa_token_single(uint8_t byte)
{
    return byte > 0 && byte < WA_TOKENS_SINGLE ? text_of(byte) : BYTES_NONE;
}

struct bytes wa_token_double(unsigned dictionary, uint8_t index)
{
    if (dictionary >= WA_TOKENS_DICTIONARIES)
        return BYTES_NONE;
    return text_of(WA_TOKENS_SINGLE + dictionary * WA_TOKENS_PER_DICTIONARY + index);
}

/* ---- text to token: most strings of a stanza are none ---------------------------------------- */

static uint64_t load_64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof(v));
    return le64toh(v);
}

static uint32_t load_32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof(v));
    return le32toh(v);
}

/* Of the length, the first and the last eight bytes: the texts need no more to be told apart. */
static uint64_t hash(struct bytes text)
{
    const uint8_t *p = text.p;
    size_t n = text.n;
    uint64_t head, tail = 0;
    if (n >= 8) {
        head = load_64(p);
        tail = load_64(p + n - 8);
    } else if (n >= 4) {
        head = load_32(p);
        tail = load_32(p + n - 4);
    } else {
        head = (uint64_t)p[0] | (uint64_t)p[n / 2] << 8 | (uint64_t)p[n - 1] << 16;
    }
    uint64_t h = head * UINT64_C(0x9e3779b97f4a7c15) + tail + n;
    return (h ^ h >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
}

/*
 * A slot is 0, or a code below five bits of its text's hash, which spare most comparisons; code 0
 * is no token. Who finds the slot of the hash taken has gone to the next free one.
 */
static size_t find_code(struct bytes text)
{
    uint64_t h = hash(text);
    unsigned mark = (unsigned)(h >> 47 & 31);
    for (size_t at = h >> 52; token_slots[at]; at = (at + 1) % ARRAY_LEN(token_slots)) {
        size_t code = token_slots[at] & 0x7ffu;
        if (token_slots[at] >> 11 == mark && bytes_equal(text, text_of(code)))
            return code;
    }
    return 0;
}

size_t wa_token_find(struct bytes text, uint8_t form[2])
{
    size_t code = text.n > 0 && text.n <= TOKEN_MAX ? find_code(text) : 0;
    if (code < WA_TOKENS_SINGLE) {
        form[0] = (uint8_t)code;
        return code > 0;
    }
    form[0] = (uint8_t)(WA_TOKENS_SINGLE + (code - WA_TOKENS_SINGLE) / 256);
    form[1] = (uint8_t)((code - WA_TOKENS_SINGLE) % 256);
    return 2;
}
