/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdio.h>

#include "sim/iq.h"
#include "wa/crypto.h"

#define KEY_TYPE "\x05"
#define DIGEST_MAX (SIM_PREKEYS_MAX * WA_KEY_LEN + 256)

/* ---- the device's own keys ----------------------------------------------------------------------
 */

static void answer_count(const struct sim_sender *from, const struct wa_node *iq)
{
    struct wa_node *node = sim_iq_result(from, iq);

    wa_node_set_u64(wa_node_child(node, "count"), "value", from->device->keys.count);
    sim_reply(from, node);
}

static void put_signed_key(struct wa_node *node, uint32_t id, const uint8_t key[WA_KEY_LEN],
                           const uint8_t signature[WA_SIGNATURE_LEN])
{
    struct wa_node *skey = wa_node_child(node, "skey");

    wa_node_child_be(skey, "id", 3, id);
    wa_node_child_data(skey, "value", BYTES(key, WA_KEY_LEN));
    wa_node_child_data(skey, "signature", BYTES(signature, WA_SIGNATURE_LEN));
}

struct digest {
    struct wa_node *list;
    struct buf hashed;
};

static void digest_one(void *ctx, uint32_t id, const uint8_t key[WA_KEY_LEN])
{
    struct digest *d = ctx;

    wa_node_child_be(d->list, "id", 3, id);
    buf_append(&d->hashed, BYTES(key, WA_KEY_LEN));
}

static void answer_digest(const struct sim_sender *from, const struct wa_node *iq)
{
    const struct sim_bundle_keys *k = &from->device->keys;
    struct wa_node *node = sim_iq_result(from, iq), *digest = wa_node_child(node, "digest");
    struct digest d;
    struct bytes hashed;
    uint8_t hash[20];

    if (k->count == 0) {
        sim_iq_error(from, iq, "404", "item-not-found");
        return;
    }
    wa_node_child_be(digest, "registration", 4, k->registration_id);
    wa_node_child_data(digest, "type", bytes_text(KEY_TYPE));
    wa_node_child_data(digest, "identity", BYTES_ARRAY(k->identity));
    put_signed_key(digest, k->signed_id, k->signed_key, k->signed_signature);
    d.list = wa_node_child(digest, "list");
    buf_init(&d.hashed, DIGEST_MAX);
    buf_append(&d.hashed, BYTES_ARRAY(k->identity));
    buf_append(&d.hashed, BYTES_ARRAY(k->signed_key));
    buf_append(&d.hashed, BYTES_ARRAY(k->signed_signature));
    sim_keys_each(k, digest_one, &d);
    hashed = buf_bytes(&d.hashed);
    wa_sha1(hash, &hashed, 1);
    wa_node_child_data(digest, "hash", BYTES_ARRAY(hash));
    sim_reply(from, node);
    buf_deinit(&d.hashed);
}

/* ---- upload and rotation ------------------------------------------------------------------------
 */

/* Takes a <skey> whose signature verifies under the device's identity. */
static bool take_signed_key(struct sim_bundle_keys *k, const struct wa_node *skey)
{
    struct bytes value = wa_node_child_bytes(skey, "value");
    struct bytes signature = wa_node_child_bytes(skey, "signature");
    uint8_t message[1 + WA_KEY_LEN] = {5};
    uint32_t id;

    if (!wa_node_child_be_value(skey, "id", 3, &id) || id == 0 || value.n != WA_KEY_LEN ||
        signature.n != WA_SIGNATURE_LEN)
        return false;
    memcpy(message + 1, value.p, WA_KEY_LEN);
    if (wa_curve_verify(BYTES_ARRAY(k->identity), BYTES_ARRAY(message), signature) != 0)
        return false;
    k->signed_id = id;
    memcpy(k->signed_key, value.p, WA_KEY_LEN);
    memcpy(k->signed_signature, signature.p, WA_SIGNATURE_LEN);
    return true;
}

static bool take_keys(struct sim_bundle_keys *k, const struct wa_node *list, size_t *taken)
{
    for (const struct wa_node *n = wa_node_find(list, "key"); n; n = wa_node_next(n, "key")) {
        struct bytes value = wa_node_child_bytes(n, "value");
        uint32_t id;
        int rc;

        if (!wa_node_child_be_value(n, "id", 3, &id) || id == 0 || value.n != WA_KEY_LEN)
            return false;
        rc = sim_keys_add(k, id, value.p);
        if (rc == ERR_LIMIT)
            return false;
        if (rc == 0)
            ++*taken;
    }
    return true;
}

static void take_upload(const struct sim_sender *from, const struct wa_node *iq)
{
    struct sim_bundle_keys *k = &from->device->keys;
    struct wa_jid pn = sim_device_pn(from->device);
    uint32_t registration;
    size_t taken = 0;
    char detail[24];

    if (!bytes_equal(wa_node_child_bytes(iq, "identity"), BYTES_ARRAY(k->identity)) ||
        !bytes_is(wa_node_child_bytes(iq, "type"), KEY_TYPE) ||
        !wa_node_child_be_value(iq, "registration", 4, &registration) ||
        registration != k->registration_id || !take_signed_key(k, wa_node_find(iq, "skey")) ||
        !take_keys(k, wa_node_find(iq, "list"), &taken)) {
        sim_violation(from, wa_node_attr(iq, "id"), "bad prekey upload");
        sim_iq_error(from, iq, "406", "not-acceptable");
        return;
    }
    snprintf(detail, sizeof detail, "%zu", taken);
    sim_note(from->sim, "prekeys_uploaded", &pn, BYTES_NONE, detail);
    sim_reply(from, sim_iq_result(from, iq));
}

static void take_rotation(const struct sim_sender *from, const struct wa_node *iq)
{
    const struct wa_node *rotate = wa_node_find(iq, "rotate");
    struct wa_jid pn = sim_device_pn(from->device);

    if (!take_signed_key(&from->device->keys, wa_node_find(rotate, "skey"))) {
        sim_iq_error(from, iq, "406", "not-acceptable");
        return;
    }
    sim_note(from->sim, "prekey_rotated", &pn, BYTES_NONE, NULL);
    sim_reply(from, sim_iq_result(from, iq));
}

/* ---- bundles of others --------------------------------------------------------------------------
 */

static void put_bundle(struct wa_node *user, const struct wa_bundle *b, const struct sim_device *d)
{
    struct wa_node *key;

    wa_node_set_u64(user, "t", (uint64_t)sim_now_s());
    wa_node_child_be(user, "registration", 4, b->registration_id);
    wa_node_child_data(user, "type", bytes_text(KEY_TYPE));
    wa_node_child_data(user, "identity", BYTES_ARRAY(b->identity));
    if (b->has_prekey) {
        key = wa_node_child(user, "key");
        wa_node_child_be(key, "id", 3, b->prekey_id);
        wa_node_child_data(key, "value", BYTES_ARRAY(b->prekey));
    }
    put_signed_key(user, b->signed_prekey_id, b->signed_prekey, b->signed_prekey_signature);
    if (d->identity_len)
        wa_node_child_data(user, "device-identity", BYTES(d->identity, d->identity_len));
}

static void put_user(const struct sim_sender *from, struct wa_node *list,
                     const struct wa_node *asked)
{
    struct wa_node *user = wa_node_child(list, "user"), *error;
    struct wa_jid jid;
    struct wa_bundle bundle;
    struct sim_device *d;

    sim_copy_jid(user, "jid", asked, "jid");
    d = wa_node_attr_jid(asked, "jid", &jid) ? sim_device_by_jid(from->sim, &jid) : NULL;
    if (d && sim_device_take_bundle(d, &bundle) == 0) {
        put_bundle(user, &bundle, d);
        return;
    }
    error = wa_node_child(user, "error");
    wa_node_set(error, "code", "406");
    wa_node_set(error, "text", "not-acceptable");
}

static void answer_bundles(const struct sim_sender *from, const struct wa_node *iq)
{
    const struct wa_node *n = wa_node_find(wa_node_find(iq, "key"), "user");
    struct wa_node *node = sim_iq_result(from, iq), *list = wa_node_child(node, "list");
    struct wa_jid pn = sim_device_pn(from->device);
    size_t count = 0;
    char detail[24];

    for (; n; n = wa_node_next(n, "user"), count++)
        put_user(from, list, n);
    snprintf(detail, sizeof detail, "%zu", count);
    sim_note(from->sim, "bundles_fetched", &pn, BYTES_NONE, detail);
    sim_reply(from, node);
}

void sim_iq_encrypt(const struct sim_sender *from, struct wa_node *iq)
{
    if (from->client && wa_node_attr_is(iq, "type", "set") &&
        sim_fault_take(&from->client->faults, SIM_FAULT_REFUSE_KEYS)) {
        sim_iq_error(from, iq, from->client->faults.keys_code, "fault");
        return;
    }
    if (wa_node_attr_is(iq, "type", "get")) {
        if (wa_node_find(iq, "count"))
            answer_count(from, iq);
        else if (wa_node_find(iq, "digest"))
            answer_digest(from, iq);
        else if (wa_node_find(iq, "key"))
            answer_bundles(from, iq);
        else
            sim_iq_error(from, iq, "400", "bad-request");
    } else if (wa_node_find(iq, "rotate")) {
        take_rotation(from, iq);
    } else {
        take_upload(from, iq);
    }
}
