/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/store.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/random.h"
#include "wa/crypto.h"

struct record {
    size_t n;
    uint8_t p[];
};

static void kernel_bytes(struct sim_random *r, uint8_t *out, size_t n)
{
    if (n > sizeof r->drawn) {
        random_bytes(out, n);
        return;
    }
    if (n > r->left) {
        random_bytes(r->drawn, sizeof r->drawn);
        r->left = sizeof r->drawn;
    }
    memcpy(out, r->drawn + sizeof r->drawn - r->left, n);
    r->left -= n;
}

void sim_random_bytes(struct sim_random *r, uint8_t *out, size_t n)
{
    uint8_t block[WA_SHA256_LEN];

    if (!r->seeded) {
        kernel_bytes(r, out, n);
        return;
    }
    while (n) {
        uint64_t input[2] = {r->seed, r->counter++};
        struct bytes part = BYTES(input, sizeof input);
        size_t take = n < sizeof block ? n : sizeof block;

        wa_sha256(block, &part, 1);
        memcpy(out, block, take);
        out += take;
        n -= take;
    }
}

void sim_store_deinit(struct sim_store *s)
{
    for (size_t i = 0; i < WA_TABLE_COUNT; i++)
        sim_table_deinit(&s->tables[i], free);
}

static void host_random(void *ctx, uint8_t *out, size_t n)
{
    struct sim_store *s = ctx;

    sim_random_bytes(s->random, out, n);
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
    struct sim_store *s = ctx;
    const struct record *r = sim_table_get(&s->tables[table], bytes_text(key));

    if (!r)
        return 0;
    return buf_append(out, BYTES(r->p, r->n)) == 0 ? 1 : ERR_STORE;
}

struct walk {
    struct bytes after, next;
};

static void keep_next(void *ctx, struct bytes key, void *value)
{
    struct walk *w = ctx;
    (void)value;
    if (bytes_compare(key, w->after) > 0 && (!w->next.p || bytes_compare(key, w->next) < 0))
        w->next = key;
}

static int host_next(void *ctx, enum wa_table table, const char *after, struct buf *key)
{
    const struct sim_store *s = ctx;
    struct walk w = {.after = bytes_text(after)};

    sim_table_each(&s->tables[table], keep_next, &w);
    if (!w.next.p)
        return 0;
    buf_clear(key);
    return buf_append(key, w.next) == 0 ? 1 : ERR_STORE;
}

static int host_put(void *ctx, enum wa_table table, const char *key, struct bytes value)
{
    struct sim_store *s = ctx;
    struct record *r = err_malloc(sizeof *r + value.n);

    r->n = value.n;
    if (value.n)
        memcpy(r->p, value.p, value.n);
    free(sim_table_put(&s->tables[table], bytes_text(key), r));
    return 0;
}

static int host_del(void *ctx, enum wa_table table, const char *key)
{
    struct sim_store *s = ctx;

    free(sim_table_remove(&s->tables[table], bytes_text(key)));
    return 0;
}

static int host_del_prefix(void *ctx, enum wa_table table, const char *prefix)
{
    struct sim_store *s = ctx;

    sim_table_remove_prefix(&s->tables[table], bytes_text(prefix), free);
    return 0;
}

struct wa_host sim_store_host(struct sim_store *s)
{
    return (struct wa_host){.ctx = s,
                            .random = host_random,
                            .wall_ms = host_wall,
                            .mono_ms = host_mono,
                            .get = host_get,
                            .next = host_next,
                            .put = host_put,
                            .del = host_del,
                            .del_prefix = host_del_prefix};
}
