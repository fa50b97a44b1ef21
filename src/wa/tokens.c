/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wa/tokens.h"

#include "wa/tokens.inc"

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

static int compare(struct bytes a, struct bytes b)
{
    int order = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);
    return order ? order : (a.n > b.n) - (a.n < b.n);
}

size_t wa_token_find(struct bytes text, uint8_t form[2])
{
    size_t low = 0, high = text.n ? ARRAY_LEN(token_order) : 0;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        unsigned code = token_order[middle];
        int order = compare(text, text_of(code));
        if (order < 0) {
            high = middle;
        } else if (order > 0) {
            low = middle + 1;
        } else if (code < WA_TOKENS_SINGLE) {
            form[0] = (uint8_t)code;
            return 1;
        } else {
            form[0] = (uint8_t)(WA_TOKENS_SINGLE + (code - WA_TOKENS_SINGLE) / 256);
            form[1] = (uint8_t)((code - WA_TOKENS_SINGLE) % 256);
            return 2;
        }
    }
    return 0;
}
