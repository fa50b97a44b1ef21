/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wa/prekeys.h"

#include <stdio.h>

#include "base/err.h"

#define KEY_TYPE 0x05

/* ---- making ---------------------------------------------------------------------------------- */

static void prekey_record_key(char out[16], uint32_t id)
{
    snprintf(out, 16, "%u", (unsigned)id);
}

/* A server that asks for refills without end must not fill the disk. */
static int forget_prekey(const struct wa_host *host, uint32_t id)
{
    char key[16];
    prekey_record_key(key, id > WA_PREKEYS_KEPT ? id - WA_PREKEYS_KEPT
                                                : id + WA_PREKEY_ID_MAX - WA_PREKEYS_KEPT);
    return host->del(host->ctx, WA_TABLE_PREKEY, key);
}

/* Stores the key; the counter is the caller's to store. */
static int make_prekey(struct wa_device *d, const struct wa_host *host, uint32_t *id,
                       struct wa_keypair *key)
{
    char record_key[16];
    uint8_t record[WA_PREKEY_RECORD_LEN];
    uint32_t next = d->next_prekey_id;
    *id = next >= 1 && next <= WA_PREKEY_ID_MAX ? next : 1;
    d->next_prekey_id = *id == WA_PREKEY_ID_MAX ? 1 : *id + 1;
    wa_curve_generate(key, host);
    memcpy(record, key->priv, WA_KEY_LEN);
    memcpy(record + WA_KEY_LEN, key->pub, WA_KEY_LEN);
    prekey_record_key(record_key, *id);
    int rc = host->put(host->ctx, WA_TABLE_PREKEY, record_key, BYTES_ARRAY(record));
    buf_wipe(record, sizeof(record));
    if (rc >= 0)
        rc = forget_prekey(host, *id);
    return rc < 0 ? ERR_STORE : 0;
}

static int save_counter(const struct wa_device *d, const struct wa_host *host)
{
    return wa_device_save_field(d, "next_prekey_id", host) < 0 ? ERR_STORE : 0;
}

int wa_prekey_generate(struct wa_device *d, const struct wa_host *host, uint32_t *id,
                       struct wa_keypair *key)
{
    int rc = make_prekey(d, host, id, key);
    return rc < 0 ? rc : save_counter(d, host);
}

/* ---- handing out (protocol/03 section 7.3, protocol/05 section 6.2) -------------------------- */

static struct wa_node *add_key(struct wa_node *parent, const char *tag, uint32_t id,
                               const uint8_t pub[WA_KEY_LEN])
{
    struct wa_node *key = wa_node_child(parent, tag);
    wa_node_child_be(key, "id", 3, id);
    wa_node_child_data(key, "value", BYTES(pub, WA_KEY_LEN));
    return key;
}

static void add_identity(struct wa_node *parent, const struct wa_device *d)
{
    const uint8_t type = KEY_TYPE;
    wa_node_child_data(parent, "type", BYTES(&type, 1));
    wa_node_child_data(parent, "identity", BYTES_ARRAY(d->identity.pub));
}

static void add_signed_prekey(struct wa_node *parent, const struct wa_device *d)
{
    const struct wa_signed_prekey *k = &d->signed_prekey;
    struct wa_node *skey = add_key(parent, "skey", k->id, k->key.pub);
    wa_node_child_data(skey, "signature", BYTES_ARRAY(k->signature));
}

int wa_prekeys_build_upload(struct wa_node *iq, struct wa_device *d, const struct wa_host *host,
                            size_t count)
{
    int rc = 0;
    wa_node_child_be(iq, "registration", 4, d->registration_id);
    add_identity(iq, d);
    struct wa_node *list = wa_node_child(iq, "list");
    for (size_t i = 0; i < count && rc == 0; i++) {
        uint32_t id;
        struct wa_keypair key;
        rc = make_prekey(d, host, &id, &key);
        add_key(list, "key", id, key.pub);
        buf_wipe(&key, sizeof(key));
    }
    add_signed_prekey(iq, d);
    return rc < 0 ? rc : save_counter(d, host);
}

int wa_prekeys_build_retry_keys(struct wa_node *receipt, struct wa_device *d,
                                const struct wa_host *host)
{
    uint32_t id;
    struct wa_keypair key;
    int rc = wa_prekey_generate(d, host, &id, &key);
    struct wa_node *keys = wa_node_child(receipt, "keys");
    add_identity(keys, d);
    add_key(keys, "key", id, key.pub);
    add_signed_prekey(keys, d);
    if (d->account_len > 0)
        wa_node_child_data(keys, "device-identity", BYTES(d->account, d->account_len));
    buf_wipe(&key, sizeof(key));
    return rc;
}

/* ---- bundles of others (protocol/06 section 4) ----------------------------------------------- */

void wa_bundle_build_query(struct wa_node *iq, const struct wa_jid *devices, size_t count)
{
    struct wa_node *key = wa_node_child(iq, "key");
    for (size_t i = 0; i < count; i++)
        wa_node_set_jid(wa_node_child(key, "user"), "jid", &devices[i]);
}

static bool read_public(struct bytes data, uint8_t out[WA_KEY_LEN])
{
    if (data.n == WA_KEY_LEN + 1 && data.p[0] == KEY_TYPE)
        data = BYTES(data.p + 1, WA_KEY_LEN);
    if (data.n != WA_KEY_LEN)
        return false;
    memcpy(out, data.p, WA_KEY_LEN);
    return true;
}

static bool read_key(const struct wa_node *key, uint32_t *id, uint8_t pub[WA_KEY_LEN])
{
    return wa_node_child_be_value(key, "id", 3, id) &&
           read_public(wa_node_child_bytes(key, "value"), pub);
}

static bool read_signed(const struct wa_node *skey, struct wa_bundle *out)
{
    struct bytes signature = wa_node_child_bytes(skey, "signature");
    if (signature.n != WA_SIGNATURE_LEN ||
        !read_key(skey, &out->signed_prekey_id, out->signed_prekey))
        return false;
    memcpy(out->signed_prekey_signature, signature.p, WA_SIGNATURE_LEN);
    return true;
}

int wa_bundle_parse(const struct wa_node *node, struct wa_bundle *out,
                    struct bytes *device_identity)
{
    const struct wa_node *keys = wa_node_find(node, "keys");
    const struct wa_node *from = keys ? keys : node, *key = wa_node_find(from, "key");
    const struct wa_node *type = wa_node_find(from, "type");
    const uint8_t wanted = KEY_TYPE;
    *out = (struct wa_bundle){.has_prekey = key != NULL};
    *device_identity = BYTES_NONE;
    if (wa_node_find(node, "error"))
        return ERR_NOT_FOUND;
    if ((type && !bytes_equal(wa_node_data(type), BYTES(&wanted, 1))) ||
        !wa_node_child_be_value(node, "registration", 4, &out->registration_id) ||
        !read_public(wa_node_child_bytes(from, "identity"), out->identity) ||
        !read_signed(wa_node_find(from, "skey"), out) ||
        (key && !read_key(key, &out->prekey_id, out->prekey)))
        return ERR_INVALID;
    *device_identity = wa_node_child_bytes(from, "device-identity");
    return 0;
}
