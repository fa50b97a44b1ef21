/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wa/device.h"

#include <stddef.h>

#include "base/err.h"

#define REGISTRATION_ID_MAX 16380
#define PREKEY_ID_MAX 0xfffffe
#define KEY_TYPE 0x05

/* ---- fresh credentials ---------------------------------------------------------------------- */

/* What the signature of a signed prekey covers. */
struct typed_key {
    uint8_t type;
    uint8_t pub[WA_KEY_LEN];
};

static struct typed_key typed_prekey(const struct wa_device *d)
{
    struct typed_key key = {.type = KEY_TYPE};
    memcpy(key.pub, d->signed_prekey.key.pub, WA_KEY_LEN);
    return key;
}

void wa_device_generate(struct wa_device *d, const struct wa_host *host)
{
    uint32_t random;
    memset(d, 0, sizeof(*d));
    wa_curve_generate(&d->noise, host);
    wa_curve_generate(&d->identity, host);
    host->random(host->ctx, (uint8_t *)&random, sizeof(random));
    d->registration_id = 1 + random % REGISTRATION_ID_MAX;
    d->signed_prekey.id = 1;
    wa_curve_generate(&d->signed_prekey.key, host);
    struct typed_key key = typed_prekey(d);
    wa_curve_sign(d->signed_prekey.signature, d->identity.priv, BYTES(&key, sizeof(key)), host);
    host->random(host->ctx, d->adv_secret, sizeof(d->adv_secret));
    d->next_prekey_id = 1;
}

/* ---- records -------------------------------------------------------------------------------- */

enum field_type {
    FIELD_BYTES, /* exactly size bytes */
    FIELD_U32,   /* 4 bytes, big-endian */
    FIELD_BOOL,  /* 1 byte, 0 or 1 */
    FIELD_TEXT,  /* without its NUL */
    FIELD_JID,   /* as text; empty: none */
    FIELD_BLOB,  /* account, account_len */
};

struct field {
    const char *name; /* key in WA_TABLE_DEVICE */
    enum field_type type;
    bool needed; /* a device without it is damaged; else it is empty or 0 when missing */
    size_t offset, size;
};

#define MEMBER(member)                                                                             \
    offsetof(struct wa_device, member), sizeof(((struct wa_device *)NULL)->member)

static const struct field fields[] = {
    {"noise_private", FIELD_BYTES, true, MEMBER(noise.priv)},
    {"noise_public", FIELD_BYTES, true, MEMBER(noise.pub)},
    {"identity_private", FIELD_BYTES, true, MEMBER(identity.priv)},
    {"identity_public", FIELD_BYTES, true, MEMBER(identity.pub)},
    {"registration_id", FIELD_U32, true, MEMBER(registration_id)},
    {"signed_prekey_id", FIELD_U32, true, MEMBER(signed_prekey.id)},
    {"signed_prekey_private", FIELD_BYTES, true, MEMBER(signed_prekey.key.priv)},
    {"signed_prekey_public", FIELD_BYTES, true, MEMBER(signed_prekey.key.pub)},
    {"signed_prekey_signature", FIELD_BYTES, true, MEMBER(signed_prekey.signature)},
    {"adv_secret", FIELD_BYTES, true, MEMBER(adv_secret)},
    {"next_prekey_id", FIELD_U32, true, MEMBER(next_prekey_id)},
    {"pn", FIELD_JID, false, MEMBER(pn)},
    {"lid", FIELD_JID, false, MEMBER(lid)},
    {"account", FIELD_BLOB, false, MEMBER(account)},
    {"platform", FIELD_TEXT, false, MEMBER(platform)},
    {"business_name", FIELD_TEXT, false, MEMBER(business_name)},
    {"push_name", FIELD_TEXT, false, MEMBER(push_name)},
    {"login_count", FIELD_U32, false, MEMBER(login_count)},
    {"prekeys_uploaded", FIELD_BOOL, false, MEMBER(prekeys_uploaded)},
    {"lid_migrated", FIELD_BOOL, false, MEMBER(lid_migrated)},
    {"signed_prekey_at", FIELD_U32, false, MEMBER(signed_prekey_at)},
    {"signed_prekey_last", FIELD_U32, false, MEMBER(signed_prekey_last)},
    {"prekeys_checked_at", FIELD_U32, false, MEMBER(prekeys_checked_at)},
};

static void *member_of(struct wa_device *d, const struct field *f)
{
    return (uint8_t *)d + f->offset;
}

static const void *const_member_of(const struct wa_device *d, const struct field *f)
{
    return (const uint8_t *)d + f->offset;
}

static void write_field(const struct wa_device *d, const struct field *f, struct buf *out)
{
    char text[WA_JID_TEXT_SIZE];
    uint32_t number;
    const void *member = const_member_of(d, f);
    switch (f->type) {
    case FIELD_BYTES:
        buf_append(out, BYTES(member, f->size));
        break;
    case FIELD_U32:
        memcpy(&number, member, sizeof(number));
        buf_append_be(out, 4, number);
        break;
    case FIELD_BOOL:
        buf_append_u8(out, *(const bool *)member ? 1 : 0);
        break;
    case FIELD_TEXT:
        buf_append_text(out, member);
        break;
    case FIELD_JID:
        buf_append_text(out, wa_jid_text(member, text));
        break;
    case FIELD_BLOB:
        buf_append(out, BYTES(member, d->account_len));
        break;
    }
}

static int read_u32(uint32_t *out, struct bytes value)
{
    struct reader r = reader_init(value);
    return value.n == 4 ? reader_be(&r, 4, out) : ERR_INVALID;
}

static int read_field(struct wa_device *d, const struct field *f, struct bytes value)
{
    void *member = member_of(d, f);
    switch (f->type) {
    case FIELD_BYTES:
        if (value.n != f->size)
            return ERR_INVALID;
        memcpy(member, value.p, value.n);
        return 0;
    case FIELD_U32:
        return read_u32(member, value);
    case FIELD_BOOL:
        if (value.n != 1 || value.p[0] > 1)
            return ERR_INVALID;
        *(bool *)member = value.p[0];
        return 0;
    case FIELD_TEXT:
        if (value.n && memchr(value.p, '\0', value.n))
            return ERR_INVALID;
        return bytes_copy_text(value, member, f->size) ? 0 : ERR_INVALID;
    case FIELD_JID:
        return value.n ? wa_jid_parse(member, value) : 0;
    case FIELD_BLOB:
        if (value.n > f->size)
            return ERR_INVALID;
        if (value.n)
            memcpy(member, value.p, value.n);
        d->account_len = value.n;
        return 0;
    }
    return ERR_INTERNAL;
}

static int save_field(const struct wa_device *d, const struct field *f, const struct wa_host *host)
{
    AUTO_BUF struct buf value;
    buf_init_secret(&value, WA_ACCOUNT_MAX);
    write_field(d, f, &value);
    return host->put(host->ctx, WA_TABLE_DEVICE, f->name, buf_bytes(&value));
}

int wa_device_save(const struct wa_device *d, const struct wa_host *host)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < ARRAY_LEN(fields); i++)
        rc = save_field(d, &fields[i], host);
    return rc;
}

int wa_device_save_field(const struct wa_device *d, const char *name, const struct wa_host *host)
{
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        if (strcmp(fields[i].name, name) == 0)
            return save_field(d, &fields[i], host);
    }
    return ERR_NOT_FOUND;
}

/* ---- loading -------------------------------------------------------------------------------- */

static bool pair_belongs(const struct wa_keypair *pair)
{
    uint8_t pub[WA_KEY_LEN];
    wa_curve_public(pub, pair->priv);
    return memcmp(pub, pair->pub, WA_KEY_LEN) == 0;
}

/* Fields that contradict each other were damaged, one by one readable as they may be. */
static bool is_sound(const struct wa_device *d)
{
    struct typed_key key = typed_prekey(d);
    return pair_belongs(&d->noise) && pair_belongs(&d->identity) &&
           pair_belongs(&d->signed_prekey.key) &&
           wa_curve_verify(BYTES_ARRAY(d->identity.pub), BYTES(&key, sizeof(key)),
                           BYTES_ARRAY(d->signed_prekey.signature)) == 0 &&
           d->registration_id >= 1 && d->registration_id <= REGISTRATION_ID_MAX &&
           d->signed_prekey.id >= 1 && d->signed_prekey.id <= PREKEY_ID_MAX &&
           d->next_prekey_id >= 1 && d->next_prekey_id <= PREKEY_ID_MAX &&
           (wa_jid_is_none(&d->pn) || wa_device_is_paired(d)) &&
           (d->account_len > 0) == wa_device_is_paired(d);
}

/* 1 read, 0 absent. */
static int load_field(struct wa_device *d, const struct field *f, const struct wa_host *host)
{
    AUTO_BUF struct buf value;
    buf_init_secret(&value, WA_ACCOUNT_MAX);
    int found = host->get(host->ctx, WA_TABLE_DEVICE, f->name, &value);
    if (found < 0)
        return found == ERR_LIMIT ? ERR_INVALID : found;
    if (found == 0)
        return 0;
    int rc = read_field(d, f, buf_bytes(&value));
    return rc ? rc : 1;
}

static int load_fields(struct wa_device *d, const struct wa_host *host)
{
    bool any = false, all_needed = true;
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        int found = load_field(d, &fields[i], host);
        if (found < 0)
            return found;
        any = any || found;
        all_needed = all_needed && (found || !fields[i].needed);
    }
    if (!any)
        return 0;
    return all_needed && is_sound(d) ? 1 : ERR_INVALID;
}

int wa_device_load(struct wa_device *d, const struct wa_host *host)
{
    memset(d, 0, sizeof(*d));
    int rc = load_fields(d, host);
    if (rc != 1)
        wa_device_wipe(d);
    return rc;
}

/* ---- questions ------------------------------------------------------------------------------ */

bool wa_device_is_paired(const struct wa_device *d)
{
    return d->pn.server == WA_SERVER_PN && d->pn.user[0] != '\0';
}

bool wa_device_is_own(const struct wa_device *d, const struct wa_jid *jid)
{
    return (!wa_jid_is_none(&d->pn) && wa_jid_same_user(&d->pn, jid)) ||
           (!wa_jid_is_none(&d->lid) && wa_jid_same_user(&d->lid, jid));
}

int wa_device_forget(const struct wa_host *host)
{
    for (int table = 0; table < WA_TABLE_COUNT; table++) {
        int rc = host->del_prefix(host->ctx, (enum wa_table)table, "");
        if (rc)
            return rc;
    }
    return 0;
}

void wa_device_wipe(struct wa_device *d)
{
    buf_wipe(d, sizeof(*d));
}
