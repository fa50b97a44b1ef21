/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A ServerHello against the keys of the vectors: every other one is refused, with a sentence. */
#include "fuzz.h"
#include "fake_host.h"
#include "testing.h"
#include "wa/handshake.h"

#define WITHIN_VALIDITY_S 1780000000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct bytes root, ephemeral, fixed[2];
    struct fake_host mem;
    struct wa_handshake hs;
    struct wa_cipher ends[2];
    struct err err = {0};
    AUTO_BUF struct buf out = {.max = 1 << 16};
    if (!root.p) {
        json_t *keys = json_object_get(testing_vectors("noise-xx.json"), "keys");
        root = testing_hex(json_object_get(keys, "test_root_ca"), "public");
        ephemeral = testing_hex(json_object_get(keys, "client_ephemeral"), "private");
        fixed[0] = testing_hex(json_object_get(keys, "client_static"), "private");
        fixed[1] = testing_hex(json_object_get(keys, "client_static"), "public");
    }
    struct wa_keypair own;
    memcpy(own.priv, fixed[0].p, sizeof(own.priv));
    memcpy(own.pub, fixed[1].p, sizeof(own.pub));
    fake_host_init(&mem);
    fake_host_script(&mem, ephemeral);
    fuzz_require(wa_handshake_begin(&hs, &mem.host, &own, root.p, &out) == 0);
    size_t before = out.n;
    int rc = wa_handshake_finish(&hs, BYTES(data, size), bytes_text("payload"), WITHIN_VALIDITY_S,
                                 &out, &ends[0], &ends[1], &err);
    fuzz_require(rc == 0 ? out.n > before : out.n == before && err.text[0]);
    wa_handshake_deinit(&hs);
    fake_host_deinit(&mem);
    return 0;
}
