/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/deflate.h"

#include <zlib.h>

#include "base/err.h"

#define FLAG_COMPRESSED 0x02

int sim_deflate(struct buf *out, struct bytes data)
{
    uLong n = compressBound((uLong)data.n);
    uint8_t *packed AUTO_FREE = err_malloc(n);

    if (compress2(packed, &n, data.p, (uLong)data.n, Z_DEFAULT_COMPRESSION) != Z_OK)
        return ERR_LIMIT;
    return buf_append(out, BYTES(packed, n));
}

int sim_deflate_stanza(struct buf *out, struct bytes stanza)
{
    if (stanza.n < 2 || buf_append_u8(out, FLAG_COMPRESSED) != 0)
        return ERR_LIMIT;
    return sim_deflate(out, BYTES(stanza.p + 1, stanza.n - 1));
}

int sim_deflate_bomb(struct buf *out, size_t count)
{
    /* <ib>zeros</ib>: list of 2, raw tag "ib", BINARY_32 */
    static const uint8_t head[] = {0xf8, 0x02, 0xfc, 0x02, 'i', 'b', 0xfe};
    size_t n = sizeof head + 4 + count;
    uint8_t *node AUTO_FREE = err_calloc(1, n);

    memcpy(node, head, sizeof head);
    for (size_t i = 0; i < 4; i++)
        node[sizeof head + i] = (uint8_t)(count >> (24 - 8 * i));
    if (buf_append_u8(out, FLAG_COMPRESSED) != 0)
        return ERR_LIMIT;
    return sim_deflate(out, BYTES(node, n));
}
