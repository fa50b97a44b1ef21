/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store/keys_cache.h"

#include <stdlib.h>

#include "base/err.h"

#define FNV_BASIS 2166136261u
#define FNV_PRIME 16777619u

static struct store_record **bucket_of(struct store_cache *c, size_t table, const char *key)
{
    uint32_t hash = (FNV_BASIS ^ (uint32_t)table) * FNV_PRIME;
    for (; *key; key++)
        hash = (hash ^ (uint8_t)*key) * FNV_PRIME;
    return &c->buckets[(hash ^ hash >> 16) % ARRAY_LEN(c->buckets)];
}

static size_t size_of(const struct store_record *r)
{
    return sizeof(*r) + r->value.cap;
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
    struct store_record **at = bucket_of(c, r->table, r->key);
    while (*at != r)
        at = &(*at)->next;
    *at = r->next;
    take_out(c, r);
    buf_deinit(&r->value);
    free(r);
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
}

struct store_record *store_cache_find(struct store_cache *c, size_t table, const char *key)
{
    struct store_record *r = *bucket_of(c, table, key);
    while (r && (r->table != table || strcmp(r->key, key) != 0))
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
    struct store_record **bucket = bucket_of(c, table, key);
    struct store_record *r = err_calloc(1, sizeof(*r) + n + 1);
    r->table = table;
    memcpy(r->key, key, n + 1);
    buf_init_secret(&r->value, SIZE_MAX);
    set_value(r, exists, value);
    r->next = *bucket;
    *bucket = r;
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

void store_cache_written(struct store_cache *c)
{
    struct store_record *r = c->waiting.oldest;
    take_out(c, r);
    r->waits = false;
    put_in(c, r);
    make_room(c);
}
