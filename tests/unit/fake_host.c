/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "fake_host.h"

#include <stdio.h>

#include "base/err.h"
#include "base/text.h"
#include "testing.h"

struct fake_record {
    struct fake_record *next; /* sorted by table, then key */
    enum wa_table table;
    char key[WA_KEY_MAX];
    struct buf value;
};

static int order(const struct fake_record *r, enum wa_table table, const char *key)
{
    return r->table != table ? (int)r->table - (int)table : strcmp(r->key, key);
}

/* Where the record is, or would be. */
static struct fake_record **place(struct fake_host *h, enum wa_table table, const char *key)
{
    struct fake_record **at = &h->records;
    while (*at && order(*at, table, key) < 0)
        at = &(*at)->next;
    return at;
}

static bool due(int *countdown)
{
    return *countdown > 0 && --*countdown == 0;
}

static void draw(void *ctx, uint8_t *out, size_t n)
{
    struct fake_host *h = ctx;
    if (h->script_next < h->script_count && h->script[h->script_next].n == n) {
        memcpy(out, h->script[h->script_next++].p, n);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        h->counter = h->counter * 6364136223846793005u + 1442695040888963407u;
        out[i] = (uint8_t)(h->counter >> 56);
    }
}

static int64_t now(void *ctx)
{
    return ((struct fake_host *)ctx)->now_ms;
}

static int get(void *ctx, enum wa_table table, const char *key, struct buf *out)
{
    struct fake_host *h = ctx;
    h->gets++;
    if (due(&h->fail_get))
        return ERR_STORE;
    struct fake_record *r = *place(h, table, key);
    if (!r || order(r, table, key) != 0)
        return 0;
    return buf_append(out, buf_bytes(&r->value)) < 0 ? ERR_LIMIT : 1;
}

static int next(void *ctx, enum wa_table table, const char *after, struct buf *key)
{
    struct fake_host *h = ctx;
    const struct fake_record *r = h->records;
    h->gets++;
    if (due(&h->fail_get))
        return ERR_STORE;
    while (r && order(r, table, after) <= 0)
        r = r->next;
    if (!r || r->table != table)
        return 0;
    buf_clear(key);
    return buf_append(key, bytes_text(r->key)) < 0 ? ERR_LIMIT : 1;
}

static int put(void *ctx, enum wa_table table, const char *key, struct bytes value)
{
    struct fake_host *h = ctx;
    h->puts++;
    if (due(&h->fail_put))
        return ERR_STORE;
    struct fake_record **at = place(h, table, key);
    if (!*at || order(*at, table, key) != 0) {
        struct fake_record *r = err_calloc(1, sizeof(*r));
        r->next = *at;
        r->table = table;
        ck_assert_uint_lt(strlen(key), sizeof(r->key));
        snprintf(r->key, sizeof(r->key), "%s", key);
        buf_init(&r->value, WA_RECORD_MAX);
        *at = r;
    }
    buf_clear(&(*at)->value);
    return buf_append(&(*at)->value, value);
}

static void remove_at(struct fake_record **at)
{
    struct fake_record *r = *at;
    *at = r->next;
    buf_deinit(&r->value);
    free(r);
}

static int del(void *ctx, enum wa_table table, const char *key)
{
    struct fake_host *h = ctx;
    h->dels++;
    if (due(&h->fail_del))
        return ERR_STORE;
    struct fake_record **at = place(h, table, key);
    if (*at && order(*at, table, key) == 0)
        remove_at(at);
    return 0;
}

static int del_prefix(void *ctx, enum wa_table table, const char *prefix)
{
    struct fake_host *h = ctx;
    struct fake_record **at = &h->records;
    while (*at) {
        if ((*at)->table == table && strncmp((*at)->key, prefix, strlen(prefix)) == 0)
            remove_at(at);
        else
            at = &(*at)->next;
    }
    return 0;
}

void fake_host_init(struct fake_host *h)
{
    *h = (struct fake_host){.counter = 1, .now_ms = 1756000000000};
    h->host = (struct wa_host){.ctx = h,
                               .random = draw,
                               .wall_ms = now,
                               .mono_ms = now,
                               .get = get,
                               .next = next,
                               .put = put,
                               .del = del,
                               .del_prefix = del_prefix};
}

void fake_host_deinit(struct fake_host *h)
{
    while (h->records)
        remove_at(&h->records);
}

void fake_host_script(struct fake_host *h, struct bytes bytes)
{
    if (h->script_next == h->script_count)
        h->script_next = h->script_count = 0;
    ck_assert_uint_lt(h->script_count, ARRAY_LEN(h->script));
    h->script[h->script_count++] = bytes;
}

void fake_host_script_done(struct fake_host *h, const char *what)
{
    ck_assert_msg(h->script_next == h->script_count, "%s: %zu of %zu draws used", what,
                  h->script_next, h->script_count);
}

void fake_host_dump(const struct fake_host *h, struct buf *out)
{
    buf_init(out, 64u << 20);
    for (const struct fake_record *r = h->records; r; r = r->next) {
        buf_printf(out, "%d %s ", (int)r->table, r->key);
        text_hex_append(out, buf_bytes(&r->value));
        buf_append_u8(out, '\n');
    }
}

bool fake_host_has(const struct fake_host *h, enum wa_table table, const char *key)
{
    for (const struct fake_record *r = h->records; r; r = r->next)
        if (order(r, table, key) == 0)
            return true;
    return false;
}

size_t fake_host_count(const struct fake_host *h, enum wa_table table)
{
    size_t n = 0;
    for (const struct fake_record *r = h->records; r; r = r->next)
        n += r->table == table;
    return n;
}

void fake_host_each(const struct fake_host *h,
                    void (*take)(void *ctx, enum wa_table table, const char *key,
                                 struct bytes value),
                    void *ctx)
{
    for (const struct fake_record *r = h->records; r; r = r->next)
        take(ctx, r->table, r->key, buf_bytes(&r->value));
}

void fake_host_put(struct fake_host *h, enum wa_table table, const char *key, struct bytes value)
{
    ck_assert_int_eq(put(h, table, key, value), 0);
}
