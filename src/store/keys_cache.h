/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Records of keys.db in memory, as the open group sees them: those of the chats at hand are read
 * once, and written once for each commit however often a message turned them. Bounded; what was
 * used longest ago goes first, and what waits to be written never. Values are wiped.
 */
#ifndef STORE_KEYS_CACHE_H
#define STORE_KEYS_CACHE_H

#include "base/buf.h"

#define STORE_CACHE_BYTES 524288         /* of records, all in all */
#define STORE_CACHE_WAITING_BYTES 262144 /* that wait; more are to be written before the commit */

struct store_record {
    struct store_record *next;          /* of its bucket */
    struct store_record *older, *newer; /* of its list */
    uint32_t hash;                      /* of table and key */
    size_t table, key_n;
    bool exists, waits; /* waits: it is not as the database has it */
    struct buf value;
    char key[];
};

struct store_record_list {
    struct store_record *oldest, *newest;
    size_t bytes;
};

struct store_cache {
    struct store_record **buckets; /* owned; NULL while there are no records */
    size_t bucket_count, count;    /* a power of two, not below the number of records */
    struct store_record_list known, waiting;
};

/* A zeroed cache is empty. Forgets everything. */
void store_cache_clear(struct store_cache *c);
/* NULL when the record is not here. */
struct store_record *store_cache_find(struct store_cache *c, size_t table, const char *key);
/* One that is not here, as the database has it: absent, or with this value. Borrowed until the next
 * call. */
struct store_record *store_cache_add(struct store_cache *c, size_t table, const char *key,
                                     bool exists, struct bytes value);
/* What it is from now on; waits to be written unless it was so already. */
void store_cache_set(struct store_cache *c, struct store_record *r, bool exists,
                     struct bytes value);
/* The first after that key (byte order) among those of the table that wait, those to be deleted
 * too; NULL when there is none. */
const struct store_record *store_cache_next_waiting(const struct store_cache *c, size_t table,
                                                    const char *after);
static inline struct bytes store_record_key(const struct store_record *r)
{
    return BYTES(r->key, r->key_n);
}
/* The oldest that waits was written. */
void store_cache_written(struct store_cache *c);

#endif
