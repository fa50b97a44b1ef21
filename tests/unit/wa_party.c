/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wa_party.h"

#include <stdio.h>

#include "base/err.h"
#include "wa/prekeys.h"

void party_key(uint8_t out[WA_KEY_LEN], const json_t *object, const char *name)
{
    struct bytes b = testing_hex(object, name);
    size_t skip = b.n - WA_KEY_LEN;
    ck_assert_uint_le(skip, 1);
    memcpy(out, b.p + skip, WA_KEY_LEN);
}

uint32_t party_number(const json_t *object, const char *name)
{
    return (uint32_t)json_integer_value(json_object_get(object, name));
}

struct wa_jid party_jid(const json_t *address)
{
    char user[WA_JID_USER_MAX + 1];
    const char *name = testing_text(address, "name");
    size_t n = strlen(name) - 2;
    ck_assert_str_eq(name + n, "_1");
    bytes_copy_text(BYTES(name, n), user, sizeof(user));
    return wa_jid_make(WA_SERVER_LID, user, (uint16_t)party_number(address, "device_id"));
}

void party_put_prekey(struct party *p, const json_t *prekey)
{
    char key[16];
    uint8_t record[WA_PREKEY_RECORD_LEN];
    snprintf(key, sizeof(key), "%u", party_number(prekey, "id"));
    party_key(record, prekey, "private");
    party_key(record + WA_KEY_LEN, prekey, "public");
    fake_host_put(&p->fake, WA_TABLE_PREKEY, key, BYTES_ARRAY(record));
}

const json_t *party_prekey(const struct party *p, uint32_t id)
{
    const json_t *list = json_object_get(p->about, "prekeys");
    for (size_t i = 0; i < json_array_size(list); i++)
        if (party_number(json_array_get(list, i), "id") == id)
            return json_array_get(list, i);
    ck_abort_msg("no prekey %u", id);
}

void party_init(struct party *p, const json_t *about)
{
    const json_t *prekeys = json_object_get(about, "prekeys");
    const json_t *skey = json_array_get(json_object_get(about, "signed_prekeys"), 0);
    struct wa_device *d = &p->device;
    *p = (struct party){.about = about, .jid = party_jid(json_object_get(about, "address"))};
    fake_host_init(&p->fake);
    d->registration_id = party_number(about, "registration_id");
    party_key(d->identity.priv, about, "identity_private");
    party_key(d->identity.pub, about, "identity_public");
    d->signed_prekey.id = party_number(skey, "id");
    party_key(d->signed_prekey.key.priv, skey, "private");
    party_key(d->signed_prekey.key.pub, skey, "public");
    memcpy(d->signed_prekey.signature, testing_hex(skey, "signature").p, WA_SIGNATURE_LEN);
    for (size_t i = 0; i < json_array_size(prekeys); i++)
        party_put_prekey(p, json_array_get(prekeys, i));
    p->signal = wa_signal_open(d, &p->fake.host);
}

void party_deinit(struct party *p)
{
    wa_signal_close(p->signal);
    fake_host_deinit(&p->fake);
}

struct wa_bundle party_bundle(const json_t *b)
{
    struct wa_bundle out = {.registration_id = party_number(b, "registration_id"),
                            .signed_prekey_id = party_number(b, "signed_prekey_id")};
    const json_t *id = json_object_get(b, "prekey_id");
    party_key(out.identity, b, "identity_public");
    party_key(out.signed_prekey, b, "signed_prekey_public");
    memcpy(out.signed_prekey_signature, testing_hex(b, "signed_prekey_signature").p,
           WA_SIGNATURE_LEN);
    if (!json_is_integer(id))
        return out;
    out.has_prekey = true;
    out.prekey_id = party_number(b, "prekey_id");
    party_key(out.prekey, b, "prekey_public");
    return out;
}

const json_t *party_scenario(const json_t *vectors, const char *name)
{
    const json_t *all = json_object_get(vectors, "scenarios");
    for (size_t i = 0; i < json_array_size(all); i++)
        if (strcmp(testing_text(json_array_get(all, i), "name"), name) == 0)
            return json_array_get(all, i);
    ck_abort_msg("no scenario %s", name);
}

/* What each "expect" of the vectors is to us: result and fault. A changed identity is accepted. */
static const struct {
    const char *expect;
    int rc;
    enum wa_signal_fault fault;
} expectations[] = {
    {"ok", 0, WA_FAULT_UNKNOWN},
    {"duplicate", 1, WA_FAULT_UNKNOWN},
    {"bad_mac", ERR_AUTH, WA_FAULT_INVALID_MESSAGE},
    {"no_session", ERR_AUTH, WA_FAULT_NO_SESSION},
    {"invalid_prekey_id", ERR_AUTH, WA_FAULT_INVALID_KEY_ID},
    {"untrusted_identity", 0, WA_FAULT_UNKNOWN},
    {"bad_signature", ERR_AUTH, WA_FAULT_INVALID_SIGNATURE},
    {"no_sender_key", ERR_AUTH, WA_FAULT_NO_SESSION},
};

void party_check_outcome(const char *expect, int rc, enum wa_signal_fault fault)
{
    for (size_t i = 0; i < ARRAY_LEN(expectations); i++) {
        if (strcmp(expectations[i].expect, expect) != 0)
            continue;
        ck_assert_msg(rc == expectations[i].rc && fault == expectations[i].fault,
                      "%s: got %d, fault %s", expect, rc, wa_fault_text(fault));
        return;
    }
    ck_abort_msg("what is %s?", expect);
}
