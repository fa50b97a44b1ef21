/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "bridge/records.h"

#include "base/clock.h"
#include "base/random.h"

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
    return store_keys_get(ctx, table, key, out);
}

static int host_put(void *ctx, enum wa_table table, const char *key, struct bytes value)
{
    return store_keys_put(ctx, table, key, value);
}

static int host_del(void *ctx, enum wa_table table, const char *key)
{
    int rc = store_keys_del(ctx, table, key);
    return rc < 0 ? rc : 0;
}

static int host_del_prefix(void *ctx, enum wa_table table, const char *prefix)
{
    int rc = store_keys_del_prefix(ctx, table, prefix);
    return rc < 0 ? rc : 0;
}

int bridge_records_open(struct store_keys **out, const char *path, struct err *err)
{
    static const char *const tables[WA_TABLE_COUNT] = {
#define X(symbol, name) [symbol] = name,
        WA_TABLES(X)
#undef X
    };
    return store_keys_open(out, path, tables, WA_TABLE_COUNT, err);
}

struct wa_host bridge_records_host(struct store_keys *k)
{
    return (struct wa_host){
        .ctx = k,
        .random = host_random,
        .wall_ms = host_wall,
        .mono_ms = host_mono,
        .get = host_get,
        .put = host_put,
        .del = host_del,
        .del_prefix = host_del_prefix,
    };
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
