/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A ServerHello against the keys of the vectors, after an XX hello and after a resume: every other
 * one is refused, with a sentence. */
#include "fuzz.h"
#include "fake_host.h"
#include "testing.h"
#include "wa/handshake.h"

#define WITHIN_VALIDITY_S 1780000000

static struct bytes root, ephemeral, server, fixed[2];

static void load(void)
{
    json_t *keys = json_object_get(testing_vectors("noise-xx.json"), "keys");
    root = testing_hex(json_object_get(keys, "test_root_ca"), "public");
    ephemeral = testing_hex(json_object_get(keys, "client_ephemeral"), "private");
    server = testing_hex(json_object_get(keys, "server_static"), "public");
    fixed[0] = testing_hex(json_object_get(keys, "client_static"), "private");
    fixed[1] = testing_hex(json_object_get(keys, "client_static"), "public");
}

static void answer(bool resumed, struct bytes hello)
{
    struct fake_host mem;
    struct wa_handshake hs;
    struct wa_handshake_result result;
    struct wa_server_key known = {.window = {0, INT64_MAX}};
    struct wa_keypair own;
    struct err err = {0};
    AUTO_BUF struct buf out = {.max = 1 << 16};
    memcpy(own.priv, fixed[0].p, sizeof(own.priv));
    memcpy(own.pub, fixed[1].p, sizeof(own.pub));
    memcpy(known.key, server.p, sizeof(known.key));
    memcpy(known.root, root.p, sizeof(known.root));
    fake_host_init(&mem);
    fake_host_script(&mem, ephemeral);
    if (resumed)
        fuzz_require(
            wa_handshake_resume(&hs, &mem.host, &own, &known, bytes_text("payload"), &out) == 0);
    else
        fuzz_require(wa_handshake_begin(&hs, &mem.host, &own, root.p, &out) == 0);
    size_t before = out.n;
    int rc = wa_handshake_finish(&hs, hello, bytes_text("payload"), WITHIN_VALIDITY_S, &out,
                                 &result, &err);
    if (rc < 0)
        fuzz_require(out.n == before && err.text[0]);
    else
        fuzz_require((out.n == before) == (result.way == WA_HANDSHAKE_IK));
    wa_handshake_deinit(&hs);
    fake_host_deinit(&mem);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!root.p)
        load();
    answer(false, BYTES(data, size));
    answer(true, BYTES(data, size));
    return 0;
}
