/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/random.h"

#include <errno.h>
#include <sys/random.h>

#include "base/err.h"

void random_bytes(uint8_t *out, size_t n)
{
    while (n > 0) {
        ssize_t got = getrandom(out, n, 0);
        if (got < 0 && errno != EINTR)
            err_fatal("getrandom failed");
        if (got > 0) {
            out += got;
            n -= (size_t)got;
        }
    }
}

uint32_t random_between(uint32_t low, uint32_t high)
{
    uint64_t v = 0;
    random_bytes((uint8_t *)&v, sizeof(v));
    return low + (uint32_t)(v % ((uint64_t)high - low + 1));
}
