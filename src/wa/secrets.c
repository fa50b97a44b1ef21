/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wa/secrets.h"

#include "base/err.h"
#include "base/text.h"
#include "wa/crypto.h"

#define HEAD 4
#define TAG 8
#define ENTRY (TAG + 4 + WA_MESSAGE_SECRET_LEN)
#define BLOCK_MAX (HEAD + WA_SECRETS_PER_BLOCK * ENTRY)
#define KEY_SIZE 8

static void put_u32(uint8_t *at, uint32_t v)
{
    for (size_t i = 0; i < 4; i++)
        at[i] = (uint8_t)(v >> (24 - 8 * i));
}

static uint32_t get_u32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void make_tag(uint8_t tag[TAG], struct bytes id, const struct wa_jid *author)
{
    char text[WA_JID_TEXT_SIZE];
    uint8_t digest[WA_SHA256_LEN];
    const struct bytes parts[] = {bytes_text(wa_jid_text(author, text)), BYTES("/", 1), id};
    wa_sha256(digest, parts, ARRAY_LEN(parts));
    memcpy(tag, digest, TAG);
}

/* ---- the ring -------------------------------------------------------------------------------- */

struct block {
    char key[KEY_SIZE];
    uint8_t bytes[BLOCK_MAX];
    size_t count; /* entries */
};

static const uint8_t *entry(const struct block *b, size_t i)
{
    return b->bytes + HEAD + i * ENTRY;
}

/* 1, 0 when there is none (one that is damaged is as good), or ERR_STORE. */
static int load_block(const struct wa_host *host, uint32_t number, struct block *b)
{
    AUTO_BUF struct buf value;
    buf_init_secret(&value, WA_RECORD_MAX);
    struct text_pen key = text_pen(b->key, sizeof(b->key));
    text_pen_u64(&key, number % WA_SECRETS_BLOCKS);
    b->count = 0;
    int rc = host->get(host->ctx, WA_TABLE_MESSAGE_SECRET, b->key, &value);
    if (rc != 1)
        return rc < 0 ? ERR_STORE : 0;
    if (value.n <= HEAD || value.n > BLOCK_MAX || (value.n - HEAD) % ENTRY != 0)
        return 0;
    memcpy(b->bytes, value.p, value.n);
    b->count = (value.n - HEAD) / ENTRY;
    return 1;
}

static bool too_old(const struct block *b, int64_t now_s)
{
    int64_t newest = get_u32(entry(b, b->count - 1) + TAG);
    return now_s - newest > WA_SECRETS_DAYS * 86400;
}

/* Sequences may wrap; the ring is so short that the later one is always near. 0 is none. */
static bool is_later(uint32_t a, uint32_t b)
{
    return a != 0 && (b == 0 || (int32_t)(a - b) > 0);
}

static int find_newest(struct wa_secrets *r, const struct wa_host *host)
{
    struct block b;
    int64_t now_s = host->wall_ms(host->ctx) / 1000;
    *r = (struct wa_secrets){.known = true};
    for (uint32_t i = 0; i < WA_SECRETS_BLOCKS; i++) {
        int rc = load_block(host, i, &b);
        if (rc == 1 && too_old(&b, now_s)) {
            rc = host->del(host->ctx, WA_TABLE_MESSAGE_SECRET, b.key);
        } else if (rc == 1 && is_later(get_u32(b.bytes), r->sequence)) {
            r->sequence = get_u32(b.bytes);
            r->count = b.count;
        }
        if (rc < 0)
            return ERR_STORE;
    }
    return 0;
}

int wa_secrets_keep(struct wa_secrets *r, const struct wa_host *host, struct bytes id,
                    const struct wa_jid *author, int64_t sent_s, struct bytes secret)
{
    struct block b = {.count = 0};
    if (!r->known && find_newest(r, host) < 0)
        return ERR_STORE;
    bool fresh = r->sequence == 0 || r->count >= WA_SECRETS_PER_BLOCK;
    uint32_t sequence = r->sequence + fresh;
    sequence += sequence == 0;
    if (load_block(host, sequence, &b) < 0)
        return ERR_STORE;
    if (fresh)
        b.count = 0;
    uint8_t *at = b.bytes + HEAD + b.count * ENTRY;
    put_u32(b.bytes, sequence);
    make_tag(at, id, author);
    put_u32(at + TAG, sent_s > 0 && sent_s < UINT32_MAX ? (uint32_t)sent_s : 0);
    memcpy(at + TAG + 4, secret.p, WA_MESSAGE_SECRET_LEN);
    b.count++;
    int rc = host->put(host->ctx, WA_TABLE_MESSAGE_SECRET, b.key,
                       BYTES(b.bytes, HEAD + b.count * ENTRY));
    r->sequence = sequence;
    r->count = b.count;
    buf_wipe(&b, sizeof(b));
    return rc < 0 ? ERR_STORE : 0;
}

static bool is_tagged(const uint8_t *entry, const uint8_t (*tags)[TAG], size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (memcmp(entry, tags[i], TAG) == 0)
            return true;
    return false;
}

int wa_secrets_find(const struct wa_host *host, struct bytes id, const struct wa_jid *names,
                    size_t count, uint8_t secret[WA_MESSAGE_SECRET_LEN])
{
    uint8_t tags[WA_SECRETS_NAMES][TAG];
    uint32_t found = 0;
    struct block b;
    int rc = 0;
    for (size_t i = 0; i < count; i++)
        make_tag(tags[i], id, &names[i]);
    for (uint32_t i = 0; i < WA_SECRETS_BLOCKS && rc >= 0; i++) {
        rc = load_block(host, i, &b);
        uint32_t sequence = rc == 1 ? get_u32(b.bytes) : 0;
        for (size_t k = 0; k < b.count; k++) {
            if (is_later(found, sequence) || !is_tagged(entry(&b, k), tags, count))
                continue;
            found = sequence;
            memcpy(secret, entry(&b, k) + TAG + 4, WA_MESSAGE_SECRET_LEN);
        }
    }
    buf_wipe(&b, sizeof(b));
    return rc < 0 ? ERR_STORE : found != 0;
}

/* ---- what is sealed -------------------------------------------------------------------------- */

int wa_sealed_open(struct buf *out, const struct wa_sealed *sealed, struct bytes id,
                   const struct wa_jid *author, const struct wa_jid *editor,
                   const uint8_t secret[WA_MESSAGE_SECRET_LEN])
{
    char text[WA_JID_TEXT_SIZE];
    uint8_t key[32];
    AUTO_BUF struct buf info = {.max = 1024};
    if (sealed->iv.n != WA_GCM_NONCE_LEN)
        return ERR_INVALID;
    buf_append(&info, id);
    buf_append_text(&info, wa_jid_text(author, text));
    buf_append_text(&info, wa_jid_text(editor, text));
    if (buf_append_text(&info, sealed->use) < 0)
        return ERR_LIMIT;
    wa_hkdf_sha256(key, sizeof(key), BYTES(secret, WA_MESSAGE_SECRET_LEN), BYTES_NONE,
                   buf_bytes(&info));
    int rc = wa_gcm_open(out, key, sealed->iv.p, BYTES_NONE, sealed->payload);
    buf_wipe(key, sizeof(key));
    return rc;
}
