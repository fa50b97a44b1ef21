/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A whole session behind a real handshake, and a server that says anything: first byte linked (and
 * online) or not, then pieces, each of them the plaintext of one frame.
 */
#include "fuzz.h"
#include "fuzz_session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader in = reader_init(BYTES(data, size));
    uint8_t form = fuzz_byte(&in);
    struct line l;
    line_open(&l, form & 1);
    if ((form & 3) == 3)
        line_login(&l);
    while (reader_left(&in) > 0 && fuzz_session_drain(&l)) {
        line_say_plain(&l, fuzz_piece(&in));
        line_forget_output(&l);
    }
    fuzz_session_drain(&l);
    line_close(&l);
    return 0;
}
