/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/blank.h"

#include "base/err.h"

#define SECTOR 512

void store_blank_expand(const struct store_blank *b, uint8_t *out)
{
    struct reader r = reader_init(BYTES(b->runs, b->runs_n));
    uint32_t at, n;
    struct bytes run;
    while (reader_be(&r, 4, &at) == 0 && reader_be(&r, 2, &n) == 0 &&
           reader_take(&r, n, &run) == 0 && at <= b->size && n <= b->size - at)
        memcpy(out + at, run.p, run.n);
}

static bool is_zero(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i])
            return false;
    return true;
}

enum store_blank_likeness store_blank_compare(const struct store_blank *b, struct bytes file)
{
    if (file.n > b->size)
        return STORE_BLANK_OTHER;
    AUTO_FREE uint8_t *blank = err_calloc(1, b->size + 1);
    store_blank_expand(b, blank);
    bool whole = file.n == b->size;
    for (size_t at = 0; at < file.n; at += SECTOR) {
        size_t n = file.n - at < SECTOR ? file.n - at : SECTOR;
        bool same = memcmp(file.p + at, blank + at, n) == 0;
        if (!same && !is_zero(file.p + at, n))
            return STORE_BLANK_OTHER;
        whole = whole && same;
    }
    return whole ? STORE_BLANK_WHOLE : STORE_BLANK_TORN;
}
