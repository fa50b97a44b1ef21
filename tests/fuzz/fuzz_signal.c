/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Ciphertexts of a contact against an object of ours that knows the contact: pairwise, group, and
 * key distribution. What does not open changes no record but those of sender keys. */
#include "fuzz.h"
#include "fake_host.h"
#include "testing.h"
#include "wa/signal.h"

enum kind { KIND_SKDM = WA_ENC_SKMSG + 1, KINDS };

static void open_one(struct wa_signal *s, const struct wa_jid *peer, struct reader *in)
{
    struct wa_jid group = wa_jid_make(WA_SERVER_GROUP, "120363000000000001", 0);
    AUTO_BUF struct buf plain = {.max = WA_ENC_MAX};
    enum wa_signal_fault fault;
    unsigned kind = fuzz_byte(in) % KINDS;
    struct bytes sealed = fuzz_piece(in);
    int rc;
    if (kind == KIND_SKDM)
        wa_signal_process_skdm(s, &group, peer, sealed);
    else if (kind == WA_ENC_SKMSG) {
        rc = wa_signal_group_decrypt(s, &group, peer, sealed, &plain, &fault);
        fuzz_require(rc == 0 || plain.n == 0);
    } else {
        rc = wa_signal_decrypt(s, peer, (enum wa_enc_type)kind, sealed, &plain, &fault);
        fuzz_require(rc == 0 || plain.n == 0);
    }
    fuzz_touch(buf_bytes(&plain));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct wa_device d;
    struct reader in = reader_init(BYTES(data, size));
    struct wa_jid peer = wa_jid_make(WA_SERVER_LID, "111111111111111", 0);
    struct fake_host mem;
    fake_host_init(&mem);
    if (d.registration_id == 0)
        wa_device_generate(&d, &mem.host);
    struct wa_signal *s = wa_signal_open(&d, &mem.host);
    while (reader_left(&in) > 0)
        open_one(s, &peer, &in);
    wa_signal_close(s);
    fake_host_deinit(&mem);
    return 0;
}
