/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wa/media.h"

#include "base/err.h"
#include "base/text.h"
#include "wa/pb.h"
#include "wa/proto/message.pb-c.h"

static const struct {
    const char *mms, *info;
} types[] = {
#define X(symbol, mms_, info_) [symbol] = {mms_, info_},
    WA_MEDIA_TYPES(X)
#undef X
};

const char *wa_media_mms_type(enum wa_media_type type)
{
    return types[type].mms;
}

int wa_media_type_parse(struct bytes mms_type, enum wa_media_type *out)
{
    for (size_t i = 1; i < WA_MEDIA_TYPE_COUNT; i++)
        if (bytes_is(mms_type, types[i].mms)) {
            *out = (enum wa_media_type)i;
            return 0;
        }
    return ERR_NOT_FOUND;
}

/* ---- where it lies -------------------------------------------------------------------------- */

/* "//host/…" would name another host. */
static bool path_is_good(struct bytes path)
{
    if (path.n < 2 || path.n > WA_MEDIA_PATH_MAX || path.p[0] != '/' || path.p[1] == '/')
        return false;
    for (size_t i = 0; i < path.n; i++)
        if (path.p[i] <= ' ' || path.p[i] > '~' || strchr("#\\\"<>^`{|}", path.p[i]))
            return false;
    return true;
}

bool wa_media_is_fetchable(const struct wa_media *m)
{
    return m->type != WA_MEDIA_NONE && m->key.n == WA_MEDIA_KEY_LEN &&
           m->sha256.n == WA_SHA256_LEN && m->sealed_sha256.n == WA_SHA256_LEN &&
           path_is_good(m->direct_path);
}

int wa_media_append_path(struct buf *out, enum wa_media_type type, struct bytes direct_path,
                         struct bytes sealed_sha256)
{
    if (!path_is_good(direct_path))
        return ERR_INVALID;
    buf_append(out, direct_path);
    buf_append_text(out, memchr(direct_path.p, '?', direct_path.n) ? "&hash=" : "?hash=");
    text_base64url_append(out, sealed_sha256);
    return buf_printf(out, "&mms-type=%s&__wa-mms=", types[type].mms);
}

/* ---- keys ----------------------------------------------------------------------------------- */

void wa_media_expand(struct wa_media_keys *out, enum wa_media_type type, const uint8_t key[32])
{
    uint8_t all[112];
    wa_hkdf_sha256(all, sizeof(all), BYTES(key, WA_MEDIA_KEY_LEN), BYTES_NONE,
                   bytes_text(types[type].info));
    memcpy(out->iv, all, 16);
    memcpy(out->cipher, all + 16, 32);
    memcpy(out->mac, all + 48, 32);
    memcpy(out->ref, all + 80, 32);
    buf_wipe(all, sizeof(all));
}

int wa_media_seal(struct buf *out, enum wa_media_type type, const uint8_t key[32],
                  struct bytes plain)
{
    struct wa_media_keys keys;
    uint8_t mac[WA_SHA256_LEN];
    size_t before = out->n;
    wa_media_expand(&keys, type, key);
    int rc = wa_cbc_encrypt(out, BYTES_ARRAY(keys.cipher), BYTES_ARRAY(keys.iv), plain);
    if (rc == 0) {
        wa_hmac_sha256(
            mac, BYTES_ARRAY(keys.mac),
            (struct bytes[]){BYTES_ARRAY(keys.iv), BYTES(out->p + before, out->n - before)}, 2);
        rc = buf_append(out, BYTES(mac, WA_MEDIA_MAC_LEN));
    }
    buf_wipe(&keys, sizeof(keys));
    return rc;
}

/* ---- reading -------------------------------------------------------------------------------- */

struct wa_media_reader {
    struct wa_digest *sealed_hash, *plain_hash, *mac;
    struct wa_cbc *cipher;
    uint8_t sealed_sha256[WA_SHA256_LEN], sha256[WA_SHA256_LEN];
    uint64_t length, max, taken, given;
    uint8_t tail[WA_MEDIA_MAC_LEN]; /* the last bytes so far: may be the MAC */
    size_t tail_n;
};

struct wa_media_reader *wa_media_open(const struct wa_media_expected *e)
{
    struct wa_media_reader *r = err_calloc(1, sizeof(*r));
    struct wa_media_keys keys;
    wa_media_expand(&keys, e->type, e->key);
    r->sealed_hash = wa_sha256_begin();
    r->plain_hash = wa_sha256_begin();
    r->mac = wa_hmac_sha256_begin(BYTES_ARRAY(keys.mac));
    wa_digest_update(r->mac, BYTES_ARRAY(keys.iv));
    r->cipher = wa_cbc_decrypt_begin(keys.cipher, keys.iv);
    memcpy(r->sealed_sha256, e->sealed_sha256, WA_SHA256_LEN);
    memcpy(r->sha256, e->sha256, WA_SHA256_LEN);
    r->length = e->length;
    r->max = e->max;
    buf_wipe(&keys, sizeof(keys));
    return r;
}

void wa_media_close(struct wa_media_reader *r)
{
    if (!r)
        return;
    wa_digest_free(r->sealed_hash);
    wa_digest_free(r->plain_hash);
    wa_digest_free(r->mac);
    wa_cbc_free(r->cipher);
    free(r);
}

static int take_plain(struct wa_media_reader *r, const struct buf *plain, size_t before)
{
    struct bytes fresh = BYTES(plain->p + before, plain->n - before);
    wa_digest_update(r->plain_hash, fresh);
    r->given += fresh.n;
    return r->given > r->max ? ERR_LIMIT : 0;
}

static int decrypt(struct wa_media_reader *r, struct bytes sealed, struct buf *plain)
{
    size_t before = plain->n;
    if (sealed.n == 0)
        return 0;
    wa_digest_update(r->mac, sealed);
    int rc = wa_cbc_update(r->cipher, sealed, plain);
    return rc < 0 ? rc : take_plain(r, plain, before);
}

int wa_media_feed(struct wa_media_reader *r, struct bytes sealed, struct buf *plain)
{
    wa_digest_update(r->sealed_hash, sealed);
    r->taken += sealed.n;
    /* All but the last ten bytes of tail and piece together are ciphertext. */
    size_t all = r->tail_n + sealed.n, keep = all < WA_MEDIA_MAC_LEN ? all : WA_MEDIA_MAC_LEN;
    size_t of_tail = all - keep < r->tail_n ? all - keep : r->tail_n;
    int rc = decrypt(r, BYTES(r->tail, of_tail), plain);
    memmove(r->tail, r->tail + of_tail, r->tail_n - of_tail);
    r->tail_n -= of_tail;
    size_t whole = sealed.n - (keep - r->tail_n);
    if (rc == 0)
        rc = decrypt(r, BYTES(sealed.p, whole), plain);
    memcpy(r->tail + r->tail_n, sealed.p + whole, sealed.n - whole);
    r->tail_n += sealed.n - whole;
    return rc;
}

static bool digest_is(struct wa_digest *d, const uint8_t *want, size_t n)
{
    uint8_t got[64];
    wa_digest_final(d, got);
    return bytes_equal_secret(BYTES(got, n), BYTES(want, n));
}

int wa_media_end(struct wa_media_reader *r, struct buf *plain)
{
    size_t before = plain->n;
    if (r->taken <= WA_MEDIA_MAC_LEN || !digest_is(r->sealed_hash, r->sealed_sha256, 32) ||
        !digest_is(r->mac, r->tail, WA_MEDIA_MAC_LEN))
        return ERR_AUTH;
    int rc = wa_cbc_final(r->cipher, plain);
    if (rc == 0)
        rc = take_plain(r, plain, before);
    if (rc == ERR_LIMIT)
        return rc;
    if (rc < 0 || !digest_is(r->plain_hash, r->sha256, 32) ||
        (r->length > 0 && r->length != r->given))
        return ERR_AUTH;
    return 0;
}

/* ---- the retry ------------------------------------------------------------------------------ */

static void retry_key(uint8_t out[32], const uint8_t key[32])
{
    wa_hkdf_sha256(out, 32, BYTES(key, WA_MEDIA_KEY_LEN), BYTES_NONE,
                   bytes_text("WhatsApp Media Retry Notification"));
}

int wa_media_retry_seal(struct buf *out, const uint8_t key[32], const uint8_t nonce[12],
                        struct bytes message_id)
{
    Wa__ServerErrorReceipt receipt = WA__SERVER_ERROR_RECEIPT__INIT;
    AUTO_BUF struct buf plain;
    uint8_t derived[32];
    receipt.has_stanza_id = 1;
    receipt.stanza_id = wa_pb_data(message_id);
    buf_init(&plain, WA_MEDIA_RETRY_MAX);
    int rc = wa_pb_append(&plain, &receipt.base);
    retry_key(derived, key);
    if (rc == 0)
        rc = wa_gcm_seal(out, derived, nonce, message_id, buf_bytes(&plain));
    buf_wipe(derived, sizeof(derived));
    return rc;
}

int wa_media_retry_open(struct buf *out, const uint8_t key[32], struct bytes nonce,
                        struct bytes message_id, struct bytes sealed, struct bytes *path,
                        uint32_t *result)
{
    AUTO_BUF struct buf plain = {.max = WA_MEDIA_RETRY_MAX};
    uint8_t derived[32];
    if (nonce.n != WA_GCM_NONCE_LEN || sealed.n > WA_MEDIA_RETRY_MAX)
        return ERR_INVALID;
    retry_key(derived, key);
    int rc = wa_gcm_open(&plain, derived, nonce.p, message_id, sealed);
    buf_wipe(derived, sizeof(derived));
    if (rc < 0)
        return rc;
    AUTO_PB Wa__MediaRetryNotification *m =
        wa_pb_unpack(&wa__media_retry_notification__descriptor, buf_bytes(&plain));
    if (!m || !bytes_equal(wa_pb_bytes(m->stanza_id), message_id))
        return ERR_INVALID;
    *result = m->has_result ? m->result : 0;
    rc = buf_append(out, wa_pb_bytes(m->direct_path));
    *path = buf_bytes(out);
    return rc;
}
