/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wa/privacy.h"

#include "base/err.h"
#include "wa/crypto.h"

bool wa_privacy_expired(int64_t token_s, int64_t now_s)
{
    int64_t first = now_s / WA_PRIVACY_BUCKET_S - (WA_PRIVACY_BUCKETS - 1);
    return token_s < first * WA_PRIVACY_BUCKET_S;
}

bool wa_privacy_due(int64_t issued_s, int64_t now_s)
{
    return issued_s <= 0 || now_s / WA_PRIVACY_BUCKET_S > issued_s / WA_PRIVACY_BUCKET_S;
}

/* ---- the record ------------------------------------------------------------------------------ */

static int read_time(struct reader *r, int64_t *out)
{
    uint32_t high, low;
    if (reader_be(r, 4, &high) < 0 || reader_be(r, 4, &low) < 0)
        return ERR_INVALID;
    *out = (int64_t)((uint64_t)high << 32 | low);
    return 0;
}

static void write_time(struct buf *out, int64_t t)
{
    buf_append_be(out, 4, (uint32_t)((uint64_t)t >> 32));
    buf_append_be(out, 4, (uint32_t)t);
}

static bool read_record(struct wa_privacy *p, struct bytes record)
{
    struct reader r = reader_init(record);
    if (read_time(&r, &p->token_s) < 0 || read_time(&r, &p->issued_s) < 0)
        return false;
    p->length = reader_left(&r);
    if (p->length > sizeof(p->token))
        return false;
    if (p->length > 0)
        memcpy(p->token, r.p, p->length);
    return true;
}

int wa_privacy_load(struct wa_privacy *out, const struct wa_host *host, const struct wa_jid *user)
{
    char key[WA_JID_TEXT_SIZE];
    struct buf record = {.max = WA_RECORD_MAX};
    *out = (struct wa_privacy){0};
    int rc = host->get(host->ctx, WA_TABLE_PRIVACY_TOKEN, wa_jid_text(user, key), &record);
    if (rc == 1 && !read_record(out, buf_bytes(&record))) {
        *out = (struct wa_privacy){0};
        rc = 0;
    }
    buf_deinit(&record);
    return rc < 0 ? ERR_STORE : rc;
}

int wa_privacy_save(const struct wa_privacy *p, const struct wa_host *host,
                    const struct wa_jid *user)
{
    char key[WA_JID_TEXT_SIZE];
    struct buf record = {.max = 16 + WA_PRIVACY_TOKEN_MAX};
    write_time(&record, p->token_s);
    write_time(&record, p->issued_s);
    buf_append(&record, BYTES(p->token, p->length));
    int rc =
        host->put(host->ctx, WA_TABLE_PRIVACY_TOKEN, wa_jid_text(user, key), buf_bytes(&record));
    buf_deinit(&record);
    return rc < 0 ? ERR_STORE : 0;
}

int wa_privacy_take(const struct wa_host *host, const struct wa_jid *user, struct bytes token,
                    int64_t token_s)
{
    struct wa_privacy p;
    if (token.n == 0 || token.n > sizeof(p.token))
        return 0;
    if (wa_privacy_load(&p, host, user) < 0)
        return ERR_STORE;
    if (p.length > 0 && p.token_s >= token_s)
        return 0;
    p.token_s = token_s;
    p.length = token.n;
    memcpy(p.token, token.p, token.n);
    return wa_privacy_save(&p, host, user);
}

int wa_privacy_issued(const struct wa_host *host, const struct wa_jid *user, int64_t issued_s)
{
    struct wa_privacy p;
    if (wa_privacy_load(&p, host, user) < 0)
        return ERR_STORE;
    if (p.issued_s >= issued_s)
        return 0;
    p.issued_s = issued_s;
    return wa_privacy_save(&p, host, user);
}

void wa_privacy_stranger_token(uint8_t out[WA_PRIVACY_STRANGER_LEN], struct bytes salt,
                               const struct wa_jid *lid)
{
    char text[WA_JID_TEXT_SIZE];
    const struct bytes user = bytes_text(wa_jid_text(lid, text));
    wa_hmac_sha256(out, salt, &user, 1);
}
