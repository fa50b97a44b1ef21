/* SPDX-License-Identifier: GPL-3.0-or-later */
/* JIDs: what parses has one text, which parses to the same. */
#include "base/text.h"
#include "fuzz.h"
#include "wa/jid.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wa_jid jid, again;
    char text[WA_JID_TEXT_SIZE], name[WA_JID_NAME_SIZE];
    if (wa_jid_parse(&jid, BYTES(data, size)) < 0) {
        fuzz_require(wa_jid_is_none(&jid));
        return 0;
    }
    fuzz_require(wa_jid_parse(&again, bytes_text(wa_jid_text(&jid, text))) == 0);
    fuzz_require(wa_jid_equal(&jid, &again));
    fuzz_require(text_utf8_valid(bytes_text(text)));
    fuzz_touch(bytes_text(wa_jid_signal_name(&jid, name)));
    again = wa_jid_bare(&jid);
    fuzz_require(wa_jid_same_user(&jid, &again));
    return 0;
}
