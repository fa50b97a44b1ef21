/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wa/app_state.h"

#include "base/err.h"
#include "wa/fields.h"

#define IV_LEN 16

/* Numbers of protos-message.md. */
enum { ID = 1, VERSION = 1, BLOB = 1 };
enum { RECORD_INDEX = 1, RECORD_VALUE = 2, RECORD_KEY = 3 };
enum { MUTATION_OPERATION = 1, MUTATION_RECORD = 2, MUTATIONS = 1 };
enum { SNAPSHOT_VERSION = 1, SNAPSHOT_RECORDS = 2, SNAPSHOT_MAC = 3, SNAPSHOT_KEY = 4 };
enum {
    PATCH_VERSION = 1,
    PATCH_MUTATIONS = 2,
    PATCH_EXTERNAL = 3,
    PATCH_SNAPSHOT_MAC = 4,
    PATCH_MAC = 5,
    PATCH_KEY = 6,
    PATCH_EXIT = 7,
};
enum { DATA_INDEX = 1, DATA_VALUE = 2 };
enum { ACTION_PUSH_NAME = 7, ACTION_NCT_SALT = 80, ACTION_FIRST = 1 };
enum { SET = 1, REMOVE = 2 }; /* in the value MAC; on the wire they are one less */

void wa_app_state_expand(struct wa_app_state_keys *out, const uint8_t key[32])
{
    _Static_assert(sizeof(*out) == 160, "five keys without a gap");
    wa_hkdf_sha256(out->index, sizeof(*out), BYTES(key, 32), BYTES_NONE,
                   bytes_text("WhatsApp Mutation Keys"));
}

/* ---- reading -------------------------------------------------------------------------------- */

/* A message whose first field is all that is wanted of it. */
static int first_of(struct bytes message, struct wa_field *out)
{
    return wa_field_find(message, 1, out);
}

static int read_id(struct bytes message, struct bytes *out)
{
    struct wa_field f;
    if (first_of(message, &f) < 0 || f.bytes.n == 0 || f.bytes.n > WA_APP_STATE_KEY_ID_MAX)
        return ERR_INVALID;
    *out = f.bytes;
    return 0;
}

static int read_version(struct bytes message, uint64_t *out)
{
    struct wa_field f;
    int rc = first_of(message, &f);
    *out = f.value;
    return rc;
}

static int read_record(struct bytes raw, struct wa_app_state_record *out)
{
    struct wa_field index, value, key, blob[2];
    if (wa_field_find(raw, RECORD_INDEX, &index) < 0 || first_of(index.bytes, &blob[0]) < 0 ||
        wa_field_find(raw, RECORD_VALUE, &value) < 0 || first_of(value.bytes, &blob[1]) < 0 ||
        wa_field_find(raw, RECORD_KEY, &key) < 0 || read_id(key.bytes, &out->key_id) < 0)
        return ERR_INVALID;
    out->index_mac = blob[0].bytes;
    out->value = blob[1].bytes;
    if (out->index_mac.n != WA_APP_STATE_MAC_LEN || out->value.n < IV_LEN + WA_APP_STATE_MAC_LEN)
        return ERR_INVALID;
    out->value_mac =
        BYTES(out->value.p + out->value.n - WA_APP_STATE_MAC_LEN, WA_APP_STATE_MAC_LEN);
    return 0;
}

static int read_mutation(struct bytes raw, struct wa_app_state_record *out)
{
    struct wa_field operation, record;
    if (wa_field_find(raw, MUTATION_OPERATION, &operation) < 0 ||
        wa_field_find(raw, MUTATION_RECORD, &record) < 0 || operation.value > REMOVE - 1)
        return ERR_INVALID;
    out->remove = operation.value == REMOVE - 1;
    return read_record(record.bytes, out);
}

int wa_app_state_next(struct wa_app_state_records *from, struct wa_app_state_record *out)
{
    struct wa_field f;
    int rc;
    *out = (struct wa_app_state_record){0};
    while ((rc = wa_field_next(&from->in, &f)) == 1 && f.number != from->field)
        ;
    if (rc == 1)
        rc = from->mutations ? read_mutation(f.bytes, out) : read_record(f.bytes, out);
    else
        return rc;
    return rc < 0 ? rc : 1;
}

int wa_app_state_read_snapshot(struct bytes raw, struct wa_app_state_snapshot *out)
{
    struct reader in = reader_init(raw);
    struct wa_field f;
    int rc;
    *out = (struct wa_app_state_snapshot){
        .records = {.in = in, .field = SNAPSHOT_RECORDS},
    };
    while ((rc = wa_field_next(&in, &f)) == 1) {
        int read = 0;
        if (f.number == SNAPSHOT_VERSION)
            read = read_version(f.bytes, &out->version);
        else if (f.number == SNAPSHOT_MAC)
            out->mac = f.bytes;
        else if (f.number == SNAPSHOT_KEY)
            read = read_id(f.bytes, &out->key_id);
        if (read < 0)
            return read;
    }
    return rc < 0 || out->mac.n != WA_APP_STATE_MAC_LEN || out->key_id.n == 0 ? ERR_INVALID : 0;
}

static int take_patch_field(struct wa_app_state_patch *out, const struct wa_field *f)
{
    switch (f->number) {
    case PATCH_VERSION:
        return read_version(f->bytes, &out->version);
    case PATCH_EXTERNAL:
        out->external = f->bytes;
        return 0;
    case PATCH_SNAPSHOT_MAC:
        out->snapshot_mac = f->bytes;
        return 0;
    case PATCH_MAC:
        out->patch_mac = f->bytes;
        return 0;
    case PATCH_KEY:
        return read_id(f->bytes, &out->key_id);
    case PATCH_EXIT:
        return ERR_INVALID;
    default:
        return 0;
    }
}

int wa_app_state_read_patch(struct bytes raw, struct wa_app_state_patch *out)
{
    struct reader in = reader_init(raw);
    struct wa_field f;
    int rc, read = 0;
    *out = (struct wa_app_state_patch){
        .records = {.in = in, .field = PATCH_MUTATIONS, .mutations = true},
    };
    while (read == 0 && (rc = wa_field_next(&in, &f)) == 1)
        read = take_patch_field(out, &f);
    return read < 0 || rc < 0 || out->snapshot_mac.n != WA_APP_STATE_MAC_LEN ||
                   out->patch_mac.n != WA_APP_STATE_MAC_LEN || out->key_id.n == 0
               ? ERR_INVALID
               : 0;
}

struct wa_app_state_records wa_app_state_external(struct bytes mutations)
{
    return (struct wa_app_state_records){
        .in = reader_init(mutations), .field = MUTATIONS, .mutations = true};
}

/* ---- one value ------------------------------------------------------------------------------ */

static void value_mac(uint8_t out[WA_APP_STATE_MAC_LEN], const struct wa_app_state_keys *keys,
                      bool remove, struct bytes key_id, struct bytes sealed)
{
    uint8_t whole[64], op = remove ? REMOVE : SET, length[8] = {0};
    length[7] = (uint8_t)(1 + key_id.n);
    const struct bytes parts[] = {BYTES(&op, 1), key_id, sealed, BYTES_ARRAY(length)};
    wa_hmac_sha512(whole, BYTES_ARRAY(keys->value_mac), parts, ARRAY_LEN(parts));
    memcpy(out, whole, WA_APP_STATE_MAC_LEN);
}

static int read_action(struct bytes plain, struct wa_app_state_action *out)
{
    struct wa_field index, value, name, salt, part[2];
    if (wa_field_find(plain, DATA_INDEX, &index) < 0 ||
        wa_field_find(plain, DATA_VALUE, &value) < 0 ||
        wa_field_find(value.bytes, ACTION_PUSH_NAME, &name) < 0 ||
        wa_field_find(name.bytes, ACTION_FIRST, &part[0]) < 0 ||
        wa_field_find(value.bytes, ACTION_NCT_SALT, &salt) < 0 ||
        wa_field_find(salt.bytes, ACTION_FIRST, &part[1]) < 0)
        return ERR_INVALID;
    *out = (struct wa_app_state_action){
        .index = index.bytes, .push_name = part[0].bytes, .nct_salt = part[1].bytes};
    return 0;
}

int wa_app_state_open(struct buf *plain, const struct wa_app_state_keys *keys,
                      const struct wa_app_state_record *record, struct wa_app_state_action *out)
{
    uint8_t mac[WA_APP_STATE_MAC_LEN];
    struct bytes sealed = BYTES(record->value.p, record->value.n - WA_APP_STATE_MAC_LEN);
    buf_clear(plain);
    *out = (struct wa_app_state_action){0};
    if (record->value.n > WA_APP_STATE_VALUE_MAX)
        return ERR_LIMIT;
    value_mac(mac, keys, record->remove, record->key_id, sealed);
    if (!bytes_equal_secret(BYTES_ARRAY(mac), record->value_mac))
        return ERR_AUTH;
    int rc = wa_cbc_decrypt(plain, BYTES_ARRAY(keys->value), BYTES(sealed.p, IV_LEN),
                            BYTES(sealed.p + IV_LEN, sealed.n - IV_LEN));
    if (rc == 0)
        rc = read_action(buf_bytes(plain), out);
    if (rc < 0)
        return rc;
    wa_hmac_sha256(mac, BYTES_ARRAY(keys->index), &out->index, 1);
    return bytes_equal_secret(BYTES_ARRAY(mac), record->index_mac) ? 0 : ERR_AUTH;
}

int wa_app_state_seal(struct buf *value, uint8_t index_mac[32],
                      const struct wa_app_state_keys *keys, bool remove, struct bytes key_id,
                      const uint8_t iv[16], struct bytes index, struct bytes sync_action_data)
{
    uint8_t mac[WA_APP_STATE_MAC_LEN];
    size_t start = value->n;
    int rc = buf_append(value, BYTES(iv, IV_LEN));
    if (rc == 0)
        rc = wa_cbc_encrypt(value, BYTES_ARRAY(keys->value), BYTES(iv, IV_LEN), sync_action_data);
    if (rc < 0)
        return rc;
    value_mac(mac, keys, remove, key_id, BYTES(value->p + start, value->n - start));
    wa_hmac_sha256(index_mac, BYTES_ARRAY(keys->index), &index, 1);
    return buf_append(value, BYTES_ARRAY(mac));
}

/* ---- the whole ------------------------------------------------------------------------------ */

static void combine(uint8_t hash[WA_APP_STATE_HASH_LEN], struct bytes mac, bool subtract)
{
    uint8_t element[WA_APP_STATE_HASH_LEN];
    wa_hkdf_sha256(element, sizeof(element), mac, BYTES_NONE,
                   bytes_text("WhatsApp Patch Integrity"));
    for (size_t i = 0; i < sizeof(element); i += 2) {
        unsigned a = hash[i] | (unsigned)hash[i + 1] << 8;
        unsigned b = element[i] | (unsigned)element[i + 1] << 8;
        unsigned sum = subtract ? a - b : a + b;
        hash[i] = (uint8_t)sum;
        hash[i + 1] = (uint8_t)(sum >> 8);
    }
}

void wa_app_state_hash_add(uint8_t hash[WA_APP_STATE_HASH_LEN], struct bytes mac)
{
    combine(hash, mac, false);
}

void wa_app_state_hash_subtract(uint8_t hash[WA_APP_STATE_HASH_LEN], struct bytes mac)
{
    combine(hash, mac, true);
}

static void put_version(uint8_t out[8], uint64_t version)
{
    for (size_t i = 0; i < 8; i++)
        out[i] = (uint8_t)(version >> 8 * (7 - i));
}

void wa_app_state_snapshot_mac(uint8_t out[32], const struct wa_app_state_keys *keys,
                               const uint8_t hash[WA_APP_STATE_HASH_LEN], uint64_t version,
                               const char *collection)
{
    uint8_t number[8];
    put_version(number, version);
    const struct bytes parts[] = {BYTES(hash, WA_APP_STATE_HASH_LEN), BYTES_ARRAY(number),
                                  bytes_text(collection)};
    wa_hmac_sha256(out, BYTES_ARRAY(keys->snapshot_mac), parts, ARRAY_LEN(parts));
}

int wa_app_state_patch_mac(uint8_t out[32], const struct wa_app_state_keys *keys,
                           struct bytes snapshot_mac, struct wa_app_state_records records,
                           uint64_t version, const char *collection)
{
    struct wa_app_state_record r;
    uint8_t number[8], mac[64];
    int rc;
    struct wa_digest *d = wa_hmac_sha256_begin(BYTES_ARRAY(keys->patch_mac));
    wa_digest_update(d, snapshot_mac);
    while ((rc = wa_app_state_next(&records, &r)) == 1)
        wa_digest_update(d, r.value_mac);
    put_version(number, version);
    wa_digest_update(d, BYTES_ARRAY(number));
    wa_digest_update(d, bytes_text(collection));
    wa_digest_final(d, mac);
    wa_digest_free(d);
    memcpy(out, mac, WA_APP_STATE_MAC_LEN);
    return rc;
}
