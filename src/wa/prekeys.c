/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wa/prekeys.h"

#include "base/err.h"
#include "base/text.h"
#include "wa/crypto.h"

#define KEY_TYPE 0x05

/* ---- making ---------------------------------------------------------------------------------- */

static void prekey_record_key(char out[16], uint32_t id)
{
    struct text_pen pen = text_pen(out, 16);
    text_pen_u64(&pen, id);
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

/* 1 and the pair of a record, 0 when there is none that can be read, ERR_STORE. */
static int load_pair(const struct wa_host *host, enum wa_table table, uint32_t id,
                     struct wa_keypair *out)
{
    char key[16];
    struct buf record = {.max = WA_PREKEY_RECORD_LEN, .secret = true};
    prekey_record_key(key, id);
    int rc = host->get(host->ctx, table, key, &record);
    if (rc == 1 && record.n == WA_PREKEY_RECORD_LEN) {
        memcpy(out->priv, record.p, WA_KEY_LEN);
        memcpy(out->pub, record.p + WA_KEY_LEN, WA_KEY_LEN);
    } else if (rc == 1 || rc == ERR_LIMIT) {
        rc = 0;
    }
    buf_deinit(&record);
    return rc < 0 ? ERR_STORE : rc;
}

int wa_prekeys_build_upload_again(struct wa_node *iq, const struct wa_device *d,
                                  const struct wa_host *host, uint32_t first, size_t count)
{
    int rc = 0;
    uint32_t id = first;
    wa_node_child_be(iq, "registration", 4, d->registration_id);
    add_identity(iq, d);
    struct wa_node *list = wa_node_child(iq, "list");
    for (size_t i = 0; i < count && rc >= 0; i++) {
        struct wa_keypair key;
        rc = load_pair(host, WA_TABLE_PREKEY, id, &key);
        if (rc == 1)
            add_key(list, "key", id, key.pub);
        id = id == WA_PREKEY_ID_MAX ? 1 : id + 1;
        buf_wipe(&key, sizeof(key));
    }
    add_signed_prekey(iq, d);
    return rc < 0 ? rc : 0;
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

/* ---- what the server has (protocol/03 section 7.6) ------------------------------------------- */

/* Appends the public keys that the list names: 1, 0 when one is not here, ERR_STORE. */
static int append_listed(struct buf *out, const struct wa_node *list, const struct wa_host *host)
{
    const struct wa_node *node = wa_node_find(list, "id");
    int rc = 1;
    for (; node && rc == 1; node = wa_node_next(node, "id")) {
        struct reader r = reader_init(wa_node_data(node));
        struct wa_keypair key;
        uint32_t id;
        if (reader_left(&r) != 3 || reader_be(&r, 3, &id) < 0 || out->n > out->max - WA_KEY_LEN)
            return 0;
        rc = load_pair(host, WA_TABLE_PREKEY, id, &key);
        if (rc == 1)
            buf_append(out, BYTES_ARRAY(key.pub));
        buf_wipe(&key, sizeof(key));
    }
    return rc;
}

int wa_prekeys_compare(const struct wa_node *digest, const struct wa_device *d,
                       const struct wa_host *host)
{
    uint8_t sum[WA_SHA1_LEN];
    struct bytes hash = wa_node_child_bytes(digest, "hash");
    const struct wa_node *list = wa_node_find(digest, "list");
    if (hash.n != sizeof(sum) || !list)
        return ERR_INVALID;
    struct buf keys = {.max = 3 * WA_KEY_LEN + WA_SIGNATURE_LEN + WA_PREKEYS_KEPT * WA_KEY_LEN};
    buf_append(&keys, BYTES_ARRAY(d->identity.pub));
    buf_append(&keys, BYTES_ARRAY(d->signed_prekey.key.pub));
    buf_append(&keys, BYTES_ARRAY(d->signed_prekey.signature));
    int rc = append_listed(&keys, list, host);
    struct bytes all = buf_bytes(&keys);
    if (rc == 1) {
        wa_sha1(sum, &all, 1);
        rc = bytes_equal(BYTES_ARRAY(sum), hash);
    }
    buf_deinit(&keys);
    return rc;
}

/* ---- rotation -------------------------------------------------------------------------------- */

#define REFUSED_SKIPPED 16 /* ids that may lie unused between two that were taken */

static void sign_prekey(struct wa_signed_prekey *k, const struct wa_device *d,
                        const struct wa_host *host)
{
    uint8_t typed[1 + WA_KEY_LEN] = {KEY_TYPE};
    memcpy(typed + 1, k->key.pub, WA_KEY_LEN);
    wa_curve_sign(k->signature, d->identity.priv, BYTES_ARRAY(typed), host);
}

static int put_signed(const struct wa_host *host, uint32_t id, const struct wa_keypair *pair)
{
    char key[16];
    uint8_t record[WA_PREKEY_RECORD_LEN];
    prekey_record_key(key, id);
    memcpy(record, pair->priv, WA_KEY_LEN);
    memcpy(record + WA_KEY_LEN, pair->pub, WA_KEY_LEN);
    int rc = host->put(host->ctx, WA_TABLE_SIGNED_PREKEY, key, BYTES_ARRAY(record));
    buf_wipe(record, sizeof(record));
    return rc < 0 ? ERR_STORE : 0;
}

static int del_signed(const struct wa_host *host, uint32_t id)
{
    char key[16];
    prekey_record_key(key, id);
    return host->del(host->ctx, WA_TABLE_SIGNED_PREKEY, key) < 0 ? ERR_STORE : 0;
}

/* 1 and the key that waits for an answer, 0 when there is none, ERR_STORE. */
static int load_offered(const struct wa_device *d, const struct wa_host *host,
                        struct wa_signed_prekey *out)
{
    out->id = d->signed_prekey_last;
    if (out->id == 0 || out->id == d->signed_prekey.id)
        return 0;
    return load_pair(host, WA_TABLE_SIGNED_PREKEY, out->id, &out->key);
}

static int make_offered(struct wa_device *d, const struct wa_host *host,
                        struct wa_signed_prekey *out)
{
    uint32_t last = d->signed_prekey_last ? d->signed_prekey_last : d->signed_prekey.id;
    out->id = last >= WA_PREKEY_ID_MAX ? 1 : last + 1;
    wa_curve_generate(&out->key, host);
    d->signed_prekey_last = out->id;
    int rc = put_signed(host, out->id, &out->key);
    if (rc == 0 && wa_device_save_field(d, "signed_prekey_last", host) < 0)
        rc = ERR_STORE;
    return rc;
}

int wa_prekeys_build_rotation(struct wa_node *iq, struct wa_device *d, const struct wa_host *host,
                              uint8_t signature[WA_SIGNATURE_LEN])
{
    struct wa_signed_prekey k;
    int rc = load_offered(d, host, &k);
    if (rc == 0)
        rc = make_offered(d, host, &k);
    if (rc >= 0) {
        sign_prekey(&k, d, host);
        memcpy(signature, k.signature, WA_SIGNATURE_LEN);
        struct wa_node *skey = add_key(wa_node_child(iq, "rotate"), "skey", k.id, k.key.pub);
        wa_node_child_data(skey, "signature", BYTES_ARRAY(k.signature));
    }
    buf_wipe(&k, sizeof(k));
    return rc < 0 ? rc : 0;
}

/* Writes what the rotation changed in the device. */
static int save_signed(const struct wa_device *d, const struct wa_host *host)
{
    static const char *const fields[] = {"signed_prekey_id", "signed_prekey_private",
                                         "signed_prekey_public", "signed_prekey_signature",
                                         "signed_prekey_at"};
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        if (wa_device_save_field(d, fields[i], host) < 0)
            return ERR_STORE;
    return 0;
}

int wa_prekeys_rotated(struct wa_device *d, const struct wa_host *host,
                       const uint8_t signature[WA_SIGNATURE_LEN], uint32_t now_s)
{
    struct wa_signed_prekey k;
    int rc = load_offered(d, host, &k);
    if (rc == 1)
        rc = put_signed(host, d->signed_prekey.id, &d->signed_prekey.key);
    else
        return rc;
    memcpy(k.signature, signature, WA_SIGNATURE_LEN);
    d->signed_prekey = k;
    d->signed_prekey_at = now_s;
    if (rc == 0)
        rc = save_signed(d, host);
    if (rc == 0)
        rc = del_signed(host, k.id);
    for (uint32_t i = WA_SIGNED_PREKEYS_KEPT + 1; i < REFUSED_SKIPPED && rc == 0 && i < k.id; i++)
        rc = del_signed(host, k.id - i);
    buf_wipe(&k, sizeof(k));
    return rc;
}

int wa_prekeys_rotation_refused(const struct wa_device *d, const struct wa_host *host)
{
    if (d->signed_prekey_last == 0 || d->signed_prekey_last == d->signed_prekey.id)
        return 0;
    return del_signed(host, d->signed_prekey_last);
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
