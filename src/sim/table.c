/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/table.h"

#include "base/err.h"

#define FIRST_SLOTS 16

struct sim_table_entry {
    struct sim_table_entry *next;
    void *value;
    uint64_t hash;
    size_t n;
    uint8_t key[];
};

static uint64_t hash_of(struct bytes key)
{
    uint64_t h = 0xcbf29ce484222325u; /* FNV-1a */

    for (size_t i = 0; i < key.n; i++)
        h = (h ^ key.p[i]) * 0x100000001b3u;
    return h;
}

static struct sim_table_entry **find(const struct sim_table *t, struct bytes key, uint64_t hash)
{
    struct sim_table_entry **at = &t->slots[hash & (t->slot_count - 1)];

    while (*at && ((*at)->hash != hash || !bytes_equal(BYTES((*at)->key, (*at)->n), key)))
        at = &(*at)->next;
    return at;
}

static void grow(struct sim_table *t)
{
    size_t count = t->slot_count ? t->slot_count * 2 : FIRST_SLOTS;
    struct sim_table_entry **slots = err_calloc(count, sizeof *slots);

    for (size_t i = 0; i < t->slot_count; i++) {
        struct sim_table_entry *e = t->slots[i];

        while (e) {
            struct sim_table_entry *next = e->next;

            e->next = slots[e->hash & (count - 1)];
            slots[e->hash & (count - 1)] = e;
            e = next;
        }
    }
    free(t->slots);
    t->slots = slots;
    t->slot_count = count;
}

static void drop(struct sim_table *t, struct sim_table_entry **at, void (*release)(void *value))
{
    struct sim_table_entry *e = *at;

    *at = e->next;
    if (release)
        release(e->value);
    free(e);
    t->count--;
}

void sim_table_deinit(struct sim_table *t, void (*release)(void *value))
{
    for (size_t i = 0; i < t->slot_count; i++)
        while (t->slots[i])
            drop(t, &t->slots[i], release);
    free(t->slots);
    *t = (struct sim_table){0};
}

void *sim_table_get(const struct sim_table *t, struct bytes key)
{
    struct sim_table_entry *e = t->slot_count ? *find(t, key, hash_of(key)) : NULL;

    return e ? e->value : NULL;
}

void *sim_table_put(struct sim_table *t, struct bytes key, void *value)
{
    uint64_t hash = hash_of(key);
    struct sim_table_entry **at, *e;

    if (t->count >= t->slot_count)
        grow(t);
    at = find(t, key, hash);
    if (*at) {
        void *old = (*at)->value;

        (*at)->value = value;
        return old;
    }
    e = err_malloc(sizeof *e + key.n);
    *e = (struct sim_table_entry){.next = NULL, .value = value, .hash = hash, .n = key.n};
    if (key.n)
        memcpy(e->key, key.p, key.n);
    *at = e;
    t->count++;
    return NULL;
}

void *sim_table_remove(struct sim_table *t, struct bytes key)
{
    struct sim_table_entry **at = t->slot_count ? find(t, key, hash_of(key)) : NULL;
    void *value;

    if (!at || !*at)
        return NULL;
    value = (*at)->value;
    drop(t, at, NULL);
    return value;
}

void sim_table_remove_prefix(struct sim_table *t, struct bytes prefix, void (*release)(void *value))
{
    for (size_t i = 0; i < t->slot_count; i++) {
        struct sim_table_entry **at = &t->slots[i];

        while (*at) {
            struct bytes key = BYTES((*at)->key, (*at)->n);

            if (key.n >= prefix.n && bytes_equal(BYTES(key.p, prefix.n), prefix))
                drop(t, at, release);
            else
                at = &(*at)->next;
        }
    }
}

void sim_table_each(const struct sim_table *t, void (*fn)(void *ctx, struct bytes key, void *value),
                    void *ctx)
{
    for (size_t i = 0; i < t->slot_count; i++)
        for (struct sim_table_entry *e = t->slots[i]; e; e = e->next)
            fn(ctx, BYTES(e->key, e->n), e->value);
}
