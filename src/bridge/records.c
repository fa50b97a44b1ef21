/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "bridge/records.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "bridge/seal.h"

/* One table more than wa has: whether, and with which key, the values are sealed. */
#define TABLE_SEAL WA_TABLE_COUNT
#define TABLE_COUNT (WA_TABLE_COUNT + 1)
#define CHECK_KEY "check"
#define CHECK_VALUE "wabridge"
#define SEALED_MAX (WA_RECORD_MAX + BRIDGE_SEAL_OVERHEAD)

static const char *const tables[TABLE_COUNT] = {
#define X(symbol, name) [symbol] = name,
    WA_TABLES(X)
#undef X
        [TABLE_SEAL] = "seal",
};

struct bridge_records {
    struct store_keys *keys;
    struct bridge_seal seal;
    struct buf sealed; /* room for one value on its way */
};

/* ---- what wa asks for ----------------------------------------------------------------------- */

static void host_random(void *ctx, uint8_t *out, size_t n)
{
    (void)ctx;
    random_bytes(out, n);
}

static int64_t host_wall(void *ctx)
{
    (void)ctx;
    return clock_wall_ms();
}

static int64_t host_mono(void *ctx)
{
    (void)ctx;
    return clock_mono_ms();
}

static int host_get(void *ctx, enum wa_table table, const char *key, struct buf *out)
{
    struct bridge_records *r = ctx;
    if (!r->seal.on)
        return store_keys_get(r->keys, table, key, out);
    buf_clear(&r->sealed);
    int rc = store_keys_get(r->keys, table, key, &r->sealed);
    if (rc != 1)
        return rc;
    rc = bridge_seal_open(&r->seal, tables[table], key, buf_bytes(&r->sealed), out);
    if (rc == ERR_AUTH) {
        log_event(LOG_ERROR, "record_not_authentic", LOG_STR("table", tables[table]));
        return ERR_STORE;
    }
    return rc < 0 ? rc : 1;
}

static int host_next(void *ctx, enum wa_table table, const char *after, struct buf *key)
{
    const struct bridge_records *r = ctx;
    return store_keys_next(r->keys, table, after, key, NULL);
}

static int host_put(void *ctx, enum wa_table table, const char *key, struct bytes value)
{
    struct bridge_records *r = ctx;
    if (!r->seal.on)
        return store_keys_put(r->keys, table, key, value);
    buf_clear(&r->sealed);
    int rc = bridge_seal_close(&r->seal, tables[table], key, value, &r->sealed);
    return rc < 0 ? rc : store_keys_put(r->keys, table, key, buf_bytes(&r->sealed));
}

static int host_del(void *ctx, enum wa_table table, const char *key)
{
    const struct bridge_records *r = ctx;
    int rc = store_keys_del(r->keys, table, key);
    return rc < 0 ? rc : 0;
}

static int host_del_prefix(void *ctx, enum wa_table table, const char *prefix)
{
    const struct bridge_records *r = ctx;
    int rc = store_keys_del_prefix(r->keys, table, prefix);
    return rc < 0 ? rc : 0;
}

struct wa_host bridge_records_host(struct bridge_records *r)
{
    return (struct wa_host){
        .ctx = r,
        .random = host_random,
        .wall_ms = host_wall,
        .mono_ms = host_mono,
        .get = host_get,
        .next = host_next,
        .put = host_put,
        .del = host_del,
        .del_prefix = host_del_prefix,
    };
}

/* ---- sealing what is there ------------------------------------------------------------------ */

/* Whether this key, or none, is the one the values are sealed with: 1, 0, or negative. */
static int fits(struct bridge_records *r, const struct bridge_seal *seal)
{
    AUTO_BUF struct buf plain;
    buf_init(&plain, sizeof(CHECK_VALUE));
    buf_clear(&r->sealed);
    int rc = store_keys_get(r->keys, TABLE_SEAL, CHECK_KEY, &r->sealed);
    if (rc < 0)
        return rc;
    if (rc == 0 || !seal->on)
        return rc == 0 && !seal->on;
    return bridge_seal_open(seal, tables[TABLE_SEAL], CHECK_KEY, buf_bytes(&r->sealed), &plain) ==
               0 &&
           bytes_is(buf_bytes(&plain), CHECK_VALUE);
}

static int reseal_table(struct bridge_records *r, size_t table, const struct bridge_seal *old)
{
    AUTO_BUF struct buf key, value, plain;
    int rc;
    buf_init(&key, WA_KEY_MAX);
    buf_init(&value, SEALED_MAX);
    buf_init_secret(&plain, WA_RECORD_MAX);
    while ((rc = store_keys_next(r->keys, table, buf_text(&key), &key, &value)) == 1) {
        buf_clear(&plain);
        buf_clear(&r->sealed);
        rc = bridge_seal_open(old, tables[table], buf_text(&key), buf_bytes(&value), &plain);
        if (rc == 0)
            rc = bridge_seal_close(&r->seal, tables[table], buf_text(&key), buf_bytes(&plain),
                                   &r->sealed);
        if (rc == 0)
            rc = store_keys_put(r->keys, table, buf_text(&key), buf_bytes(&r->sealed));
        if (rc < 0)
            return rc;
    }
    return rc;
}

static int write_check(struct bridge_records *r)
{
    if (!r->seal.on)
        return store_keys_del(r->keys, TABLE_SEAL, CHECK_KEY);
    buf_clear(&r->sealed);
    bridge_seal_close(&r->seal, tables[TABLE_SEAL], CHECK_KEY, bytes_text(CHECK_VALUE), &r->sealed);
    return store_keys_put(r->keys, TABLE_SEAL, CHECK_KEY, buf_bytes(&r->sealed));
}

/* One transaction: a crash leaves all of it under the old key or all under the new one. */
static int reseal(struct bridge_records *r, const struct bridge_seal *old, struct err *err)
{
    int rc = 0;
    for (size_t t = 0; rc == 0 && t < WA_TABLE_COUNT; t++)
        rc = reseal_table(r, t, old);
    if (rc == 0)
        rc = write_check(r);
    if (rc < 0) {
        store_keys_rollback(r->keys);
        return err_set(err, ERR_STORE, "%s",
                       rc == ERR_STORE ? store_keys_error(r->keys)
                                       : "keys.db holds a record that its key does not open");
    }
    rc = store_keys_commit(r->keys, err);
    if (rc == 0)
        rc = store_keys_flush_log(r->keys, err);
    if (rc == 0)
        log_event(LOG_INFO, "keys_resealed", LOG_BOOL("were_sealed", old->on),
                  LOG_BOOL("are_sealed", r->seal.on));
    return rc;
}

static int adopt_key(struct bridge_records *r, const struct bridge_seal *old, struct err *err)
{
    static const struct bridge_seal none = {0};
    int rc = fits(r, &r->seal);
    if (rc != 0)
        return rc < 0 ? err_set(err, rc, "%s", store_keys_error(r->keys)) : 0;
    if (fits(r, old) == 1)
        return reseal(r, old, err);
    if (fits(r, &none) == 1)
        return reseal(r, &none, err);
    return err_set(err, ERR_CONFIG,
                   r->seal.on || old->on
                       ? "keys.db is sealed with another key than private.key_file%s"
                       : "keys.db is sealed: private.key_file must name the file with its key%s",
                   old->on ? " or private.old_key_file" : "");
}

/* ---- handle --------------------------------------------------------------------------------- */

int bridge_records_open(struct bridge_records **out, const char *path, const char *key_file,
                        const char *old_key_file, struct err *err)
{
    struct bridge_records *r = err_calloc(1, sizeof(*r));
    struct bridge_seal old = {0};
    *out = NULL;
    buf_init(&r->sealed, SEALED_MAX);
    int rc = bridge_seal_init(&r->seal, key_file, err);
    if (rc == 0)
        rc = bridge_seal_init(&old, old_key_file, err);
    if (rc == 0)
        rc = store_keys_open(&r->keys, path, tables, TABLE_COUNT, &store_blank_keys, err);
    if (rc == 0)
        rc = adopt_key(r, &old, err);
    bridge_seal_deinit(&old);
    if (rc == 0)
        *out = r;
    else
        bridge_records_close(r);
    return rc;
}

void bridge_records_close(struct bridge_records *r)
{
    if (!r)
        return;
    store_keys_close(r->keys);
    bridge_seal_deinit(&r->seal);
    buf_deinit(&r->sealed);
    free(r);
}

struct store_keys *bridge_records_store(const struct bridge_records *r)
{
    return r->keys;
}

bool bridge_records_same_user(const struct wa_host *host, const struct wa_jid *a,
                              const struct wa_jid *b)
{
    if (wa_jid_same_user(a, b))
        return true;
    const struct wa_jid *pn = wa_jid_is_pn(a) ? a : b, *lid = pn == a ? b : a;
    if (!wa_jid_is_pn(pn) || !wa_jid_is_lid(lid))
        return false;
    struct buf user = {.max = WA_JID_USER_MAX};
    int rc = host->get(host->ctx, WA_TABLE_LID_OF_PN, pn->user, &user);
    bool same = rc == 1 && bytes_is(buf_bytes(&user), lid->user);
    buf_deinit(&user);
    return same;
}

static struct wa_jid other_form(const struct wa_host *host, enum wa_table table,
                                const struct wa_jid *jid, enum wa_server server)
{
    struct wa_jid other = {0};
    struct buf user = {.max = WA_JID_USER_MAX};
    if (host->get(host->ctx, table, jid->user, &user) == 1)
        other = wa_jid_make(server, buf_text(&user), 0);
    buf_deinit(&user);
    return other;
}

void bridge_records_forms(const struct wa_host *host, const struct wa_jid *jid, struct wa_jid *pn,
                          struct wa_jid *lid)
{
    struct wa_jid bare = wa_jid_bare(jid);
    *pn = *lid = (struct wa_jid){0};
    if (wa_jid_is_pn(&bare)) {
        *pn = bare;
        *lid = other_form(host, WA_TABLE_LID_OF_PN, &bare, WA_SERVER_LID);
    } else if (wa_jid_is_lid(&bare)) {
        *lid = bare;
        *pn = other_form(host, WA_TABLE_PN_OF_LID, &bare, WA_SERVER_PN);
    }
}
