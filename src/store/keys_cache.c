/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/keys_cache.h"

#include <stdlib.h>

#include "base/err.h"

#define BUCKETS_AT_FIRST 64

/* Most keys are of one user and stand in several tables. */
static uint32_t hash_of(size_t table, struct bytes key)
{
    return bytes_hash(key) + (uint32_t)table * 0x9e3779b9u;
}

static struct store_record **bucket_of(const struct store_cache *c, uint32_t hash)
{
    return &c->buckets[hash & (c->bucket_count - 1)];
}

/* Records that are absent are small: there may be thousands, and a bucket should hold one. */
static void grow(struct store_cache *c)
{
    struct store_cache old = *c;
    c->bucket_count = old.bucket_count ? 2 * old.bucket_count : BUCKETS_AT_FIRST;
    c->buckets = err_calloc(c->bucket_count, sizeof(*c->buckets));
    for (size_t i = 0; i < old.bucket_count; i++) {
        for (struct store_record *r = old.buckets[i], *next; r; r = next) {
            next = r->next;
            r->next = *bucket_of(c, r->hash);
            *bucket_of(c, r->hash) = r;
        }
    }
    free(old.buckets);
}

static size_t size_of(const struct store_record *r)
{
    return sizeof(*r) + r->key_n + 1 + r->value.cap;
}

static struct store_record_list *list_of(struct store_cache *c, const struct store_record *r)
{
    return r->waits ? &c->waiting : &c->known;
}

static void take_out(struct store_cache *c, struct store_record *r)
{
    struct store_record_list *list = list_of(c, r);
    *(r->older ? &r->older->newer : &list->oldest) = r->newer;
    *(r->newer ? &r->newer->older : &list->newest) = r->older;
    list->bytes -= size_of(r);
}

static void put_in(struct store_cache *c, struct store_record *r)
{
    struct store_record_list *list = list_of(c, r);
    r->older = list->newest;
    r->newer = NULL;
    *(r->older ? &r->older->newer : &list->oldest) = r;
    list->newest = r;
    list->bytes += size_of(r);
}

static void forget(struct store_cache *c, struct store_record *r)
{
    struct store_record **at = bucket_of(c, r->hash);
    while (*at != r)
        at = &(*at)->next;
    *at = r->next;
    take_out(c, r);
    buf_deinit(&r->value);
    free(r);
    c->count--;
}

static void make_room(struct store_cache *c)
{
    while (c->known.oldest != c->known.newest &&
           c->known.bytes + c->waiting.bytes > STORE_CACHE_BYTES)
        forget(c, c->known.oldest);
}

void store_cache_clear(struct store_cache *c)
{
    while (c->waiting.oldest)
        forget(c, c->waiting.oldest);
    while (c->known.oldest)
        forget(c, c->known.oldest);
    free(c->buckets);
    c->buckets = NULL;
    c->bucket_count = 0;
}

struct store_record *store_cache_find(struct store_cache *c, size_t table, const char *key)
{
    struct bytes k = bytes_text(key);
    uint32_t hash = hash_of(table, k);
    struct store_record *r = c->count ? *bucket_of(c, hash) : NULL;
    while (r && (r->hash != hash || r->table != table || !bytes_equal(BYTES(r->key, r->key_n), k)))
        r = r->next;
    if (r && !r->waits) {
        take_out(c, r);
        put_in(c, r);
    }
    return r;
}

static void set_value(struct store_record *r, bool exists, struct bytes value)
{
    r->exists = exists;
    buf_clear(&r->value);
    buf_append(&r->value, value);
}

struct store_record *store_cache_add(struct store_cache *c, size_t table, const char *key,
                                     bool exists, struct bytes value)
{
    size_t n = strlen(key);
    struct store_record *r = err_calloc(1, sizeof(*r) + n + 1);
    if (c->count == c->bucket_count)
        grow(c);
    r->hash = hash_of(table, BYTES(key, n));
    r->table = table;
    r->key_n = n;
    memcpy(r->key, key, n + 1);
    buf_init_secret(&r->value, SIZE_MAX);
    set_value(r, exists, value);
    r->next = *bucket_of(c, r->hash);
    *bucket_of(c, r->hash) = r;
    c->count++;
    put_in(c, r);
    make_room(c);
    return r;
}

void store_cache_set(struct store_cache *c, struct store_record *r, bool exists, struct bytes value)
{
    if (r->exists == exists && bytes_equal(buf_bytes(&r->value), value))
        return;
    bool waited = r->waits;
    take_out(c, r);
    set_value(r, exists, value);
    r->waits = true;
    put_in(c, r);
    if (!waited)
        make_room(c);
}

const struct store_record *store_cache_next_waiting(const struct store_cache *c, size_t table,
                                                    const char *after)
{
    const struct store_record *first = NULL;
    struct bytes low = BYTES(after, strlen(after));
    for (const struct store_record *r = c->waiting.oldest; r; r = r->newer) {
        struct bytes key = store_record_key(r);
        if (r->table == table && bytes_compare(key, low) > 0 &&
            (!first || bytes_compare(key, store_record_key(first)) < 0))
            first = r;
    }
    return first;
}

void store_cache_written(struct store_cache *c)
{
    struct store_record *r = c->waiting.oldest;
    take_out(c, r);
    r->waits = false;
    put_in(c, r);
    make_room(c);
}
