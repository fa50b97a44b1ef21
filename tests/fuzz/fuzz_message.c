/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The end-to-end payload: padded or not, what comes out is clean text inside the bounds. */
#include "base/text.h"
#include "fuzz.h"
#include "wa/message.h"

static void require_text(struct bytes b, size_t max)
{
    fuzz_require(b.n <= max && text_utf8_valid(b));
    fuzz_require(b.n == 0 || !memchr(b.p, 0, b.n));
}

static void parse(struct bytes message)
{
    AUTO_ARENA struct arena arena = {0};
    struct wa_content c;
    if (wa_message_parse(message, &arena, &c) < 0)
        return;
    require_text(c.text, 3 * WA_MESSAGE_MAX);
    require_text(c.quoted_id, 255);
    require_text(c.target_id, 255);
    require_text(c.destination, 255);
    fuzz_touch(c.protocol);
    fuzz_touch(c.skdm);
    fuzz_touch(c.secret);
    fuzz_require(c.secret.n == 0 || c.secret.n == WA_MESSAGE_SECRET_LEN);
    fuzz_touch(c.sealed.payload);
    fuzz_touch(c.sealed.iv);
    fuzz_require(!c.sealed.use || c.kind == WA_KIND_EDIT);
    fuzz_touch(bytes_text(wa_kind_text(c.kind)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes padded = BYTES(data, size);
    parse(padded);
    if (wa_padding_remove(&padded) == 0)
        parse(padded);
    return 0;
}
