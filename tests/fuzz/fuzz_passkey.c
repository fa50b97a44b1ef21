/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a server and a browser say about a passkey: options, the assertion that answers them, and
 * the phone's message. */
#include "base/json.h"
#include "base/text.h"
#include "fuzz.h"
#include "wa/passkey.h"

static void answer(const struct wa_passkey_options *options, struct bytes text)
{
    struct json_doc *doc;
    struct wa_passkey_assertion a = {0};
    if (json_doc_open(&doc, text, NULL) != 0)
        return;
    if (wa_passkey_assertion_read(&a, options, json_root(doc)) == WA_PASSKEY_OK) {
        fuzz_require(a.credential_id_len <= sizeof(a.credential_id));
        fuzz_require(text_utf8_valid(buf_bytes(&a.text)));
    }
    wa_passkey_assertion_deinit(&a);
    json_doc_close(doc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader in = reader_init(BYTES(data, size));
    struct wa_passkey_options options = {0};
    struct wa_passkey_phone phone;
    struct bytes first = fuzz_piece(&in);
    if (wa_passkey_options_read(&options, first) == 0) {
        fuzz_require(options.challenge_len > 0);
        fuzz_require(options.challenge_len <= sizeof(options.challenge));
        fuzz_require(options.timeout_ms >= 0 && options.timeout_ms <= 600000);
        answer(&options, fuzz_piece(&in));
    }
    wa_passkey_options_deinit(&options);
    wa_passkey_phone_read(&phone, first);
    return 0;
}
