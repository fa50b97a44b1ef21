/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Frames off the wire: what is cut off is inside the input and goes back as it came. */
#include "fuzz.h"
#include "wa/frame.h"

#define ACCEPTED_MAX 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes left = BYTES(data, size), payload;
    struct buf again = {.max = size + 1};
    size_t used;
    while (wa_frame_next(left, ACCEPTED_MAX, &payload, &used) == 1) {
        fuzz_require(used <= left.n && payload.n <= ACCEPTED_MAX);
        fuzz_require(wa_frame_append(&again, payload) == 0);
        fuzz_require(bytes_equal(buf_bytes(&again), BYTES(left.p, used)));
        buf_clear(&again);
        left = BYTES(left.p + used, left.n - used);
    }
    buf_deinit(&again);
    return 0;
}
