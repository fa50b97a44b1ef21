/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Stanzas: what decodes can be printed, and what encodes again is a fixed point from then on. */
#include "fuzz.h"
#include "wa/node.h"

static void encode_again(struct wa_node *node)
{
    AUTO_BUF struct buf first = {.max = WA_STANZA_MAX}, second = {.max = WA_STANZA_MAX};
    AUTO_ARENA struct arena arena = {0};
    if (wa_node_encode(node, &first) < 0)
        return;
    fuzz_require(wa_node_decode(&arena, buf_bytes(&first), &node) == 0);
    fuzz_require(wa_node_encode(node, &second) == 0);
    fuzz_require(bytes_equal(buf_bytes(&first), buf_bytes(&second)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_ARENA struct arena arena = {0};
    AUTO_BUF struct buf text = {.max = 1 << 16};
    struct wa_node *node;
    if (wa_node_decode(&arena, BYTES(data, size), &node) < 0) {
        fuzz_require(!node);
        return 0;
    }
    wa_node_print(node, &text, 32);
    fuzz_touch(buf_bytes(&text));
    encode_again(node);
    return 0;
}
