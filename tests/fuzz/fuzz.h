/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the fuzz targets share. Each target is one program; an input that breaks a promise of a
 * header ends it through fuzz_require, one that breaks memory through the sanitizers.
 */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define fuzz_require(condition)                                                                    \
    do {                                                                                           \
        if (!(condition))                                                                          \
            err_fatal("%s:%d: broken promise: %s", __FILE__, __LINE__, #condition);                \
    } while (0)

/* Taking an input apart; what is missing reads as 0 or as nothing. */
static inline uint8_t fuzz_byte(struct reader *r)
{
    uint8_t v = 0;
    return reader_u8(r, &v) == 0 ? v : 0;
}

/* 16 bits of length and that many bytes, or all that is left. */
static inline struct bytes fuzz_piece(struct reader *r)
{
    uint32_t n = 0;
    struct bytes out = BYTES_NONE;
    if (reader_be(r, 2, &n) < 0 || n > reader_left(r))
        n = (uint32_t)reader_left(r);
    return reader_take(r, n, &out) == 0 ? out : BYTES_NONE;
}

/* Reads every byte, so that the sanitizer sees a length that is too long. */
static inline void fuzz_touch(struct bytes b)
{
    volatile uint8_t sum = 0;
    for (size_t i = 0; i < b.n; i++)
        sum = (uint8_t)(sum + b.p[i]);
}

#endif
