/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/blank.h"

void store_blank_expand(const struct store_blank *b, uint8_t *out)
{
    struct reader r = reader_init(BYTES(b->runs, b->runs_n));
    uint32_t at, n;
    struct bytes run;
    while (reader_be(&r, 4, &at) == 0 && reader_be(&r, 2, &n) == 0 &&
           reader_take(&r, n, &run) == 0 && at <= b->size && n <= b->size - at)
        memcpy(out + at, run.p, run.n);
}
