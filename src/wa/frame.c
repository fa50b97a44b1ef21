/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wa/frame.h"

#include "base/err.h"

#define HEADER_LEN 3

int wa_frame_begin(struct buf *out, size_t n)
{
    if (n > WA_FRAME_MAX)
        return ERR_LIMIT;
    return buf_append_be(out, HEADER_LEN, (uint32_t)n);
}

int wa_frame_append(struct buf *out, struct bytes payload)
{
    size_t before = out->n;
    int rc = wa_frame_begin(out, payload.n);
    if (rc == 0)
        rc = buf_append(out, payload);
    if (rc)
        out->n = before;
    return rc;
}

int wa_frame_next(struct bytes received, size_t max, struct bytes *payload, size_t *used)
{
    uint32_t n;
    struct reader r = reader_init(received);
    if (reader_be(&r, HEADER_LEN, &n))
        return 0;
    if (n > max)
        return ERR_LIMIT;
    if (reader_take(&r, n, payload))
        return 0;
    *used = HEADER_LEN + (size_t)n;
    return 1;
}
