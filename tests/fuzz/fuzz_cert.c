/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The certificate chain of a ServerHello, under the root of the vectors. No input but the vector
 * itself may pass: nobody here can sign. */
#define _GNU_SOURCE /* memmem */
#include "fuzz.h"
#include "testing.h"
#include "wa/cert.h"

#define WITHIN_VALIDITY_S 1780000000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct bytes root, server, details, leaf;
    struct err err;
    if (!root.p) {
        json_t *noise = testing_vectors("noise-xx.json"), *keys = json_object_get(noise, "keys");
        json_t *chain = json_object_get(noise, "certificate_chain");
        root = testing_hex(json_object_get(keys, "test_root_ca"), "public");
        server = testing_hex(json_object_get(keys, "server_static"), "public");
        details = testing_hex(chain, "intermediate_details");
        leaf = testing_hex(chain, "leaf_details");
    }
    if (wa_cert_verify(BYTES(data, size), root.p, server.p, WITHIN_VALIDITY_S, NULL, &err) < 0)
        return 0;
    fuzz_require(memmem(data, size, details.p, details.n) && memmem(data, size, leaf.p, leaf.n));
    return 0;
}
