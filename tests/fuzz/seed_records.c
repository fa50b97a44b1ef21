/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "seed_records.h"

#include "fake_host.h"
#include "fuzz.h"
#include "wa/signal.h"

struct side {
    struct fake_host fake;
    struct wa_device device;
    struct wa_signal *signal;
    struct wa_jid jid;
    const char *key; /* of what the peer has stored about it */
};

static void side_init(struct side *s, const char *user, const char *key)
{
    fake_host_init(&s->fake);
    s->fake.counter = strlen(key) + (uint64_t)user[0];
    wa_device_generate(&s->device, &s->fake.host);
    s->jid = wa_jid_make(WA_SERVER_LID, user, 0);
    s->key = key;
    s->signal = wa_signal_open(&s->device, &s->fake.host);
}

static void side_deinit(struct side *s)
{
    wa_signal_close(s->signal);
    fake_host_deinit(&s->fake);
}

static void begin(struct side *from, struct side *to)
{
    struct wa_bundle b = {.registration_id = to->device.registration_id,
                          .signed_prekey_id = to->device.signed_prekey.id};
    memcpy(b.identity, to->device.identity.pub, WA_KEY_LEN);
    memcpy(b.signed_prekey, to->device.signed_prekey.key.pub, WA_KEY_LEN);
    memcpy(b.signed_prekey_signature, to->device.signed_prekey.signature, WA_SIGNATURE_LEN);
    fuzz_require(wa_signal_process_bundle(from->signal, &to->jid, &b) == 0);
}

static enum wa_enc_type seal(struct side *from, struct side *to, struct buf *sealed)
{
    enum wa_enc_type type;
    buf_clear(sealed);
    fuzz_require(wa_signal_encrypt(from->signal, &to->jid, bytes_text("padded"), &type, sealed) ==
                 0);
    return type;
}

/* Both halves of a seed: the receiver's record and a message that it opens. */
static void write_pair(seed_writer *write, void *ctx, struct side *to, const struct side *from,
                       enum wa_enc_type type, const struct buf *sealed)
{
    AUTO_BUF struct buf value = {.max = WA_RECORD_MAX}, out = {.max = WA_RECORD_MAX};
    if (to->fake.host.get(&to->fake, WA_TABLE_SESSION, from->key, &value) != 1)
        return;
    buf_append_u8(&out, type == WA_ENC_PKMSG);
    buf_append_be(&out, 2, (uint32_t)value.n);
    buf_append(&out, buf_bytes(&value));
    buf_append(&out, buf_bytes(sealed));
    write(ctx, buf_bytes(&out));
}

static void say(seed_writer *write, void *ctx, struct side *from, struct side *to)
{
    AUTO_BUF struct buf sealed = {.max = WA_ENC_MAX}, plain = {.max = WA_ENC_MAX};
    enum wa_signal_fault fault;
    enum wa_enc_type type = seal(from, to, &sealed);
    write_pair(write, ctx, to, from, type, &sealed);
    fuzz_require(
        wa_signal_decrypt(to->signal, &from->jid, type, buf_bytes(&sealed), &plain, &fault) == 0);
}

void seed_records(seed_writer *write, void *ctx)
{
    struct side alice, bob;
    AUTO_BUF struct buf late = {.max = WA_ENC_MAX}, lost = {.max = WA_ENC_MAX};
    side_init(&alice, "111111111111111", "111111111111111_1:0");
    side_init(&bob, "222222222222222", "222222222222222_1:0");
    for (int session = 0; session < 3; session++) {
        begin(&alice, &bob);
        say(write, ctx, &alice, &bob);
        say(write, ctx, &alice, &bob);
        enum wa_enc_type type = seal(&alice, &bob, &late);
        for (int i = 0; i < 3; i++)
            seal(&alice, &bob, &lost);
        for (int i = 0; i < 2; i++) {
            say(write, ctx, &alice, &bob);
            say(write, ctx, &bob, &alice);
        }
        write_pair(write, ctx, &bob, &alice, type, &late);
        fuzz_require(wa_signal_archive_session(bob.signal, &alice.jid) == 0);
        write_pair(write, ctx, &bob, &alice, type, &late);
    }
    side_deinit(&alice);
    side_deinit(&bob);
}
