/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Deflated stanzas: the input itself as the stream, and the input deflated, which must give the
 * same as the input undeflated. */
#include <zlib.h>

#include "fuzz.h"
#include "wa/node.h"

static int decode(struct arena *arena, uint8_t flag, struct bytes body, struct buf *out)
{
    AUTO_BUF struct buf stanza = {.max = body.n + 1};
    struct wa_node *node;
    buf_append_u8(&stanza, flag);
    buf_append(&stanza, body);
    int rc = wa_node_decode(arena, buf_bytes(&stanza), &node);
    return rc == 0 ? wa_node_encode(node, out) : rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_ARENA struct arena arena = {0};
    AUTO_BUF struct buf plain = {.max = WA_STANZA_MAX}, inflated = {.max = WA_STANZA_MAX};
    uLongf n = compressBound((uLong)size);
    uint8_t *packed = err_malloc(n);
    decode(&arena, 2, BYTES(data, size), &plain);
    buf_clear(&plain);
    fuzz_require(compress(packed, &n, data, (uLong)size) == Z_OK);
    int rc = decode(&arena, 2, BYTES(packed, n), &inflated);
    fuzz_require(rc == decode(&arena, 0, BYTES(data, size), &plain));
    fuzz_require(bytes_equal(buf_bytes(&plain), buf_bytes(&inflated)));
    free(packed);
    return 0;
}
