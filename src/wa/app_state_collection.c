/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wa/app_state_collection.h"

#include <stdio.h>

#include "base/err.h"
#include "base/text.h"
#include "wa/fields.h"

#define VERSION_LEN 8
#define KEY_DATA_MAX 1024 /* bytes of an AppStateSyncKeyData */
#define INDEX_PUSH_NAME "[\"setting_pushName\"]"
#define INDEX_NCT_SALT "[\"nct_salt_sync\"]"
#define NCT_SALT_HOME "regular_high"

struct work {
    const struct wa_host *host;
    const char *collection;
    uint64_t version;
    uint8_t hash[WA_APP_STATE_HASH_LEN];
    uint8_t key_id[WA_APP_STATE_KEY_ID_MAX]; /* of keys */
    size_t key_id_len;                       /* 0: none yet */
    struct wa_app_state_keys keys;
    struct buf plain;
    struct wa_app_state_news *news;
    struct buf salt;
    bool salt_gone;
};

static int begin(struct work *w, const struct wa_host *host, const char *collection,
                 struct wa_app_state_news *news)
{
    AUTO_BUF struct buf raw = {.max = VERSION_LEN + WA_APP_STATE_HASH_LEN};
    *w = (struct work){.host = host, .collection = collection, .news = news};
    *news = (struct wa_app_state_news){0};
    buf_init_secret(&w->plain, WA_APP_STATE_VALUE_MAX);
    buf_init_secret(&w->salt, WA_APP_STATE_SALT_MAX);
    int rc = host->get(host->ctx, WA_TABLE_APP_STATE, collection, &raw);
    if (rc < 0)
        return ERR_STORE;
    if (rc == 0 || raw.n != VERSION_LEN + WA_APP_STATE_HASH_LEN)
        return 0;
    for (size_t i = 0; i < VERSION_LEN; i++)
        w->version = w->version << 8 | raw.p[i];
    memcpy(w->hash, raw.p + VERSION_LEN, sizeof(w->hash));
    return 0;
}

static int finish(struct work *w, int rc)
{
    buf_deinit(&w->plain);
    buf_deinit(&w->salt);
    buf_wipe(&w->keys, sizeof(w->keys));
    if (rc == 0)
        return 0;
    w->news->push_name[0] = 0;
    if (rc == ERR_NOT_FOUND || rc == ERR_STATE || rc == ERR_STORE)
        return rc;
    return wa_app_state_reset(w->host, w->collection) < 0 ? ERR_STORE : rc;
}

int wa_app_state_version(const struct wa_host *host, const char *collection, uint64_t *out)
{
    struct wa_app_state_news news;
    struct work w;
    int rc = begin(&w, host, collection, &news);
    *out = w.version;
    return finish(&w, rc);
}

static void record_prefix(const char *collection, struct buf *out)
{
    buf_printf(out, "%s/", collection);
}

int wa_app_state_reset(const struct wa_host *host, const char *collection)
{
    AUTO_BUF struct buf prefix = {.max = WA_KEY_MAX};
    record_prefix(collection, &prefix);
    if (host->del(host->ctx, WA_TABLE_APP_STATE, collection) < 0 ||
        host->del_prefix(host->ctx, WA_TABLE_APP_STATE, buf_text(&prefix)) < 0)
        return ERR_STORE;
    return 0;
}

/* ---- keys ----------------------------------------------------------------------------------- */

/* 0, ERR_NOT_FOUND, ERR_STORE. */
static int use_key(struct work *w, struct bytes id)
{
    AUTO_BUF struct buf name = {.max = 2 * WA_APP_STATE_KEY_ID_MAX};
    AUTO_BUF struct buf data = {.max = KEY_DATA_MAX, .secret = true};
    struct wa_field key;
    if (bytes_equal(id, BYTES(w->key_id, w->key_id_len)))
        return 0;
    text_hex_append(&name, id);
    int rc = w->host->get(w->host->ctx, WA_TABLE_APP_STATE_KEY, buf_text(&name), &data);
    if (rc == ERR_STORE)
        return rc;
    if (rc != 1 || wa_field_find(buf_bytes(&data), 1, &key) < 0 || key.bytes.n != 32) {
        bytes_copy_text(buf_bytes(&name), w->news->missing_key, sizeof(w->news->missing_key));
        return ERR_NOT_FOUND;
    }
    wa_app_state_expand(&w->keys, key.bytes.p);
    memcpy(w->key_id, id.p, id.n);
    w->key_id_len = id.n;
    return 0;
}

/* Before anything is changed: whether all can be opened, and it is not too much. */
static int look_through(struct work *w, struct wa_app_state_records records)
{
    struct wa_app_state_record r;
    int rc;
    for (size_t n = 0; (rc = wa_app_state_next(&records, &r)) == 1; n++) {
        if (n >= WA_APP_STATE_RECORDS_MAX)
            return ERR_LIMIT;
        rc = use_key(w, r.key_id);
        if (rc < 0)
            return rc;
    }
    return rc;
}

/* ---- records -------------------------------------------------------------------------------- */

static int replace(struct work *w, const struct wa_app_state_record *r)
{
    AUTO_BUF struct buf key = {.max = WA_KEY_MAX};
    AUTO_BUF struct buf old = {.max = WA_APP_STATE_MAC_LEN};
    record_prefix(w->collection, &key);
    text_hex_append(&key, r->index_mac);
    int rc = w->host->get(w->host->ctx, WA_TABLE_APP_STATE, buf_text(&key), &old);
    if (rc == 1)
        wa_app_state_hash_subtract(w->hash, buf_bytes(&old));
    if (rc >= 0 && r->remove)
        rc = w->host->del(w->host->ctx, WA_TABLE_APP_STATE, buf_text(&key));
    else if (rc >= 0) {
        wa_app_state_hash_add(w->hash, r->value_mac);
        rc = w->host->put(w->host->ctx, WA_TABLE_APP_STATE, buf_text(&key), r->value_mac);
    }
    return rc < 0 ? ERR_STORE : 0;
}

static void take_action(struct work *w, bool remove, const struct wa_app_state_action *a)
{
    struct wa_app_state_news *news = w->news;
    if (bytes_is(a->index, INDEX_PUSH_NAME) && !remove && a->push_name.n > 0 &&
        a->push_name.n < sizeof(news->push_name) && !memchr(a->push_name.p, 0, a->push_name.n) &&
        text_utf8_valid(a->push_name))
        bytes_copy_text(a->push_name, news->push_name, sizeof(news->push_name));
    if (!bytes_is(a->index, INDEX_NCT_SALT))
        return;
    buf_clear(&w->salt);
    w->salt_gone = remove;
    if (!remove && a->nct_salt.n <= WA_APP_STATE_SALT_MAX)
        (void)!buf_append(&w->salt, a->nct_salt);
}

static int take_records(struct work *w, struct wa_app_state_records records)
{
    struct wa_app_state_record r;
    struct wa_app_state_action action;
    int rc;
    while ((rc = wa_app_state_next(&records, &r)) == 1) {
        rc = use_key(w, r.key_id);
        if (rc == 0)
            rc = wa_app_state_open(&w->plain, &w->keys, &r, &action);
        if (rc == 0)
            rc = replace(w, &r);
        if (rc < 0)
            return rc;
        take_action(w, r.remove, &action);
    }
    return rc;
}

/* Whether it is now what its writer had. */
static int check_whole(struct work *w, struct bytes key_id, uint64_t version, struct bytes mac)
{
    uint8_t own[WA_APP_STATE_MAC_LEN];
    int rc = use_key(w, key_id);
    if (rc < 0)
        return rc;
    wa_app_state_snapshot_mac(own, &w->keys, w->hash, version, w->collection);
    return bytes_equal_secret(BYTES_ARRAY(own), mac) ? 0 : ERR_AUTH;
}

static int save(struct work *w, uint64_t version)
{
    const struct wa_host *host = w->host;
    uint8_t raw[VERSION_LEN + WA_APP_STATE_HASH_LEN];
    for (size_t i = 0; i < VERSION_LEN; i++)
        raw[i] = (uint8_t)(version >> 8 * (VERSION_LEN - 1 - i));
    memcpy(raw + VERSION_LEN, w->hash, sizeof(w->hash));
    int rc = host->put(host->ctx, WA_TABLE_APP_STATE, w->collection, BYTES_ARRAY(raw));
    if (rc >= 0 && w->salt.n > 0)
        rc = host->put(host->ctx, WA_TABLE_APP_STATE, WA_APP_STATE_NCT_SALT, buf_bytes(&w->salt));
    else if (rc >= 0 && w->salt_gone)
        rc = host->del(host->ctx, WA_TABLE_APP_STATE, WA_APP_STATE_NCT_SALT);
    return rc < 0 ? ERR_STORE : 0;
}

/* ---- the two -------------------------------------------------------------------------------- */

int wa_app_state_take_snapshot(const struct wa_host *host, const char *collection,
                               struct bytes snapshot, struct wa_app_state_news *news)
{
    struct wa_app_state_snapshot s = {0};
    struct work w;
    int rc = begin(&w, host, collection, news);
    if (rc == 0)
        rc = wa_app_state_read_snapshot(snapshot, &s);
    if (rc == 0 && s.version == 0)
        rc = ERR_INVALID;
    if (rc == 0)
        rc = use_key(&w, s.key_id);
    if (rc == 0)
        rc = look_through(&w, s.records);
    if (rc == 0)
        rc = wa_app_state_reset(host, collection);
    memset(w.hash, 0, sizeof(w.hash));
    w.salt_gone = strcmp(collection, NCT_SALT_HOME) == 0;
    if (rc == 0)
        rc = take_records(&w, s.records);
    if (rc == 0)
        rc = check_whole(&w, s.key_id, s.version, s.mac);
    if (rc == 0)
        rc = save(&w, s.version);
    return finish(&w, rc);
}

static int check_patch(struct work *w, const struct wa_app_state_patch *p,
                       struct wa_app_state_records records, uint64_t version)
{
    uint8_t mac[WA_APP_STATE_MAC_LEN];
    int rc = use_key(w, p->key_id);
    if (rc == 0)
        rc =
            wa_app_state_patch_mac(mac, &w->keys, p->snapshot_mac, records, version, w->collection);
    if (rc < 0)
        return rc;
    return bytes_equal_secret(BYTES_ARRAY(mac), p->patch_mac) ? 0 : ERR_AUTH;
}

int wa_app_state_take_patch(const struct wa_host *host, const char *collection, struct bytes patch,
                            struct bytes external, struct wa_app_state_news *news)
{
    struct wa_app_state_patch p = {0};
    struct work w;
    int rc = begin(&w, host, collection, news);
    if (rc == 0)
        rc = wa_app_state_read_patch(patch, &p);
    if (rc < 0)
        return finish(&w, rc);
    uint64_t version = p.version ? p.version : w.version + 1;
    struct wa_app_state_records records = external.p ? wa_app_state_external(external) : p.records;
    if (version != w.version + 1)
        rc = ERR_STATE;
    if (rc == 0)
        rc = look_through(&w, records);
    if (rc == 0)
        rc = check_patch(&w, &p, records, version);
    if (rc == 0)
        rc = take_records(&w, records);
    if (rc == 0)
        rc = check_whole(&w, p.key_id, version, p.snapshot_mac);
    if (rc == 0)
        rc = save(&w, version);
    return finish(&w, rc);
}
