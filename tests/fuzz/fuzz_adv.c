/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What vouches for devices: the pairing answer of a server, the device identity of a contact, and
 * the QR of any ref. */
#include "fuzz.h"
#include "fake_host.h"
#include "testing.h"
#include "wa/pairing.h"

static void accept(struct wa_device d, const struct wa_host *host, struct bytes identity)
{
    struct wa_pair_result result = {0};
    struct err err = {0};
    if (wa_pairing_accept(&d, identity, host, &result, &err) == 0) {
        fuzz_touch(BYTES(result.answer, result.answer_len));
        fuzz_touch(BYTES(d.account, d.account_len));
    } else {
        fuzz_require(result.error_code && result.error_text && err.text[0]);
        fuzz_require(d.account_len == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct bytes secret, identity_private, identity_public;
    struct fake_host mem;
    struct wa_device d = {0};
    AUTO_BUF struct buf qr = {.max = 2048};
    if (!secret.p) {
        json_t *adv = testing_vectors("adv-pairing.json"), *keys = json_object_get(adv, "keys");
        secret = testing_hex(adv, "adv_secret");
        identity_private = testing_hex(json_object_get(keys, "companion_identity"), "private");
        identity_public = testing_hex(json_object_get(keys, "companion_identity"), "public");
    }
    memcpy(d.adv_secret, secret.p, sizeof(d.adv_secret));
    memcpy(d.identity.priv, identity_private.p, WA_KEY_LEN);
    memcpy(d.identity.pub, identity_public.p, WA_KEY_LEN);
    fake_host_init(&mem);
    accept(d, &mem.host, BYTES(data, size));
    wa_pairing_verify_companion(BYTES(data, size), d.identity.pub, BYTES_NONE);
    wa_pairing_verify_companion(BYTES(data, size), d.identity.pub, BYTES_ARRAY(d.identity.pub));
    wa_pairing_qr(&qr, BYTES(data, size), &d);
    fake_host_deinit(&mem);
    return 0;
}
