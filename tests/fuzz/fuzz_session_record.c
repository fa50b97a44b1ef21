/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Bytes as a session record, and a message to it. What can be read is written as it was, nothing
 * ends the process, and whatever lies there the peer can be written to again. */
#include "fake_host.h"
#include "fuzz.h"
#include "testing.h"
#include "wa/session_record.h"
#include "wa/signal.h"

#define PEER_KEY "111111111111111_1:0"

/* ---- the record ------------------------------------------------------------------------------ */

static void require_same_sessions(const struct wa_session_record *record, const struct buf *written)
{
    struct wa_session_record again;
    fuzz_require(wa_session_record_parse(buf_bytes(written), &again) == 0);
    fuzz_require(bytes_equal(again.current, record->current));
    fuzz_require(again.archived_count == record->archived_count);
    for (size_t i = 0; i < again.archived_count; i++)
        fuzz_require(bytes_equal(again.archived[i], record->archived[i]));
}

/* A session that was read is written in one form, whichever it had. */
static void require_one_form(const struct wa_session_record *record, const struct wa_ratchet *r)
{
    AUTO_BUF struct buf first = {.max = WA_RECORD_MAX}, second = {.max = WA_RECORD_MAX};
    struct wa_session_record read;
    struct wa_ratchet again;
    fuzz_require(wa_session_record_write(&first, record, r) == 0);
    fuzz_require(wa_session_record_parse(buf_bytes(&first), &read) == 0);
    wa_ratchet_init(&again);
    fuzz_require(wa_session_parse(read.current, &again) == 0);
    fuzz_require(wa_session_record_write(&second, &read, &again) == 0);
    fuzz_require(bytes_equal(buf_bytes(&first), buf_bytes(&second)));
    wa_ratchet_wipe(&again);
}

static void read_and_write(struct bytes value)
{
    AUTO_BUF struct buf out = {.max = WA_RECORD_MAX};
    struct wa_session_record record;
    struct wa_ratchet r;
    if (wa_session_record_parse(value, &record) < 0)
        return;
    fuzz_touch(record.current);
    for (size_t i = 0; i < record.archived_count; i++)
        fuzz_touch(record.archived[i]);
    fuzz_require(wa_session_record_write(&out, &record, NULL) == 0);
    require_same_sessions(&record, &out);
    wa_ratchet_init(&r);
    if (wa_session_parse(record.current, &r) == 0)
        require_one_form(&record, &r);
    wa_ratchet_wipe(&r);
}

/* ---- a peer whose record it is --------------------------------------------------------------- */

static struct wa_bundle bundle_of(const struct wa_device *d)
{
    struct wa_bundle b = {.registration_id = d->registration_id,
                          .signed_prekey_id = d->signed_prekey.id};
    memcpy(b.identity, d->identity.pub, WA_KEY_LEN);
    memcpy(b.signed_prekey, d->signed_prekey.key.pub, WA_KEY_LEN);
    memcpy(b.signed_prekey_signature, d->signed_prekey.signature, WA_SIGNATURE_LEN);
    return b;
}

static int seal(struct wa_signal *s, const struct wa_jid *peer)
{
    AUTO_BUF struct buf sealed = {.max = WA_ENC_MAX};
    enum wa_enc_type type;
    int rc = wa_signal_encrypt(s, peer, bytes_text("padded"), &type, &sealed);
    fuzz_require(rc == 0 ? sealed.n > 0 : rc == ERR_NOT_FOUND && sealed.n == 0);
    return rc;
}

static void open_one(struct wa_signal *s, const struct wa_jid *peer, enum wa_enc_type type,
                     struct bytes sealed)
{
    AUTO_BUF struct buf plain = {.max = WA_ENC_MAX};
    enum wa_signal_fault fault;
    int rc = wa_signal_decrypt(s, peer, type, sealed, &plain, &fault);
    fuzz_require(rc == 0 || ((rc == 1 || rc == ERR_AUTH) && plain.n == 0));
    /* What opened is at work now. */
    if (rc == 0)
        fuzz_require(wa_signal_registration(s, peer, &(uint32_t){0}) >= 0);
}

static void use(struct wa_signal *s, const struct wa_jid *peer, enum wa_enc_type type,
                struct bytes sealed)
{
    int has = wa_signal_has_session(s, peer);
    fuzz_require(has == 0 || has == 1);
    open_one(s, peer, type, sealed);
    has = wa_signal_has_session(s, peer);
    fuzz_require(seal(s, peer) == (has == 1 ? 0 : ERR_NOT_FOUND));
    fuzz_require(wa_signal_archive_session(s, peer) == 0);
    open_one(s, peer, type, sealed);
}

static void renew(struct wa_signal *s, const struct wa_jid *peer, const struct wa_bundle *b,
                  enum wa_enc_type type, struct bytes sealed)
{
    fuzz_require(wa_signal_process_bundle(s, peer, b) == 0);
    fuzz_require(wa_signal_has_session(s, peer) == 1 && seal(s, peer) == 0);
    open_one(s, peer, type, sealed);
    fuzz_require(wa_signal_archive_session(s, peer) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct wa_device own, other;
    struct reader in = reader_init(BYTES(data, size));
    struct wa_jid peer = wa_jid_make(WA_SERVER_LID, "111111111111111", 0);
    struct fake_host mem;
    fake_host_init(&mem);
    if (own.registration_id == 0) {
        wa_device_generate(&own, &mem.host);
        wa_device_generate(&other, &mem.host);
    }
    uint8_t how = fuzz_byte(&in);
    enum wa_enc_type type = how & 1 ? WA_ENC_PKMSG : WA_ENC_MSG;
    struct bytes value = fuzz_piece(&in);
    struct wa_bundle b = bundle_of(&other);
    read_and_write(value);
    fake_host_put(&mem, WA_TABLE_SESSION, PEER_KEY, value);
    struct wa_signal *s = wa_signal_open(&own, &mem.host);
    use(s, &peer, type, BYTES(in.p, reader_left(&in)));
    if ((how & 6) == 0) /* costs more than all the rest */
        renew(s, &peer, &b, type, BYTES(in.p, reader_left(&in)));
    wa_signal_close(s);
    fake_host_deinit(&mem);
    return 0;
}
