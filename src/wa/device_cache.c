/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Device lists of the users that were written to last: found by the user's name, and in the order
 * in which they came. */
#include <stdlib.h>

#include "base/err.h"
#include "wa/devices.h"

#define INLINE_DEVICES 6
#define ENTRIES_AT_FIRST 16 /* a power of two, as WA_DEVICES_CACHE_USERS is */
#define NONE UINT16_MAX

/* Nearly all have few devices, all of the user's name: these take no memory of their own, so that
 * the cache does not lie scattered over pages that could be given back. */
struct entry {
    struct wa_jid user;
    int64_t at_ms;
    struct wa_jid *list;         /* owned; NULL: servers and ids say it */
    uint16_t next, older, newer; /* places, or NONE: in its bucket or among the unused; in order */
    uint8_t count, servers[INLINE_DEVICES];
    uint16_t ids[INLINE_DEVICES];
};

struct wa_device_cache {
    struct entry *entries; /* room for as many as there are buckets */
    uint16_t *buckets;     /* place of the first entry, or NONE */
    size_t room, used;     /* used: places that ever were */
    uint16_t unused, oldest, newest;
    struct wa_jid *answer; /* of wa_device_cache_get, for that many devices: */
    size_t answer_room;
};

struct wa_device_cache *wa_device_cache_open(void)
{
    struct wa_device_cache *c = err_calloc(1, sizeof(*c));
    c->unused = c->oldest = c->newest = NONE;
    return c;
}

void wa_device_cache_close(struct wa_device_cache *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->used; i++)
        free(c->entries[i].list);
    free(c->entries);
    free(c->buckets);
    free(c->answer);
    free(c);
}

/* ---- places ---------------------------------------------------------------------------------- */

static uint16_t *bucket_of(const struct wa_device_cache *c, const struct wa_jid *user)
{
    return &c->buckets[bytes_hash(bytes_text(user->user)) & (c->room - 1)];
}

static uint16_t find_user(const struct wa_device_cache *c, const struct wa_jid *user)
{
    uint16_t at = c->room ? *bucket_of(c, user) : NONE;
    while (at != NONE && !wa_jid_same_user(&c->entries[at].user, user))
        at = c->entries[at].next;
    return at;
}

static void put_in_bucket(struct wa_device_cache *c, uint16_t at)
{
    uint16_t *bucket = bucket_of(c, &c->entries[at].user);
    c->entries[at].next = *bucket;
    *bucket = at;
}

static void take_out_of_bucket(struct wa_device_cache *c, uint16_t at)
{
    uint16_t *link = bucket_of(c, &c->entries[at].user);
    while (*link != at)
        link = &c->entries[*link].next;
    *link = c->entries[at].next;
}

static void put_in_order(struct wa_device_cache *c, uint16_t at)
{
    struct entry *e = &c->entries[at];
    e->older = c->newest;
    e->newer = NONE;
    *(e->older == NONE ? &c->oldest : &c->entries[e->older].newer) = at;
    c->newest = at;
}

static void take_out_of_order(struct wa_device_cache *c, uint16_t at)
{
    const struct entry *e = &c->entries[at];
    *(e->older == NONE ? &c->oldest : &c->entries[e->older].newer) = e->newer;
    *(e->newer == NONE ? &c->newest : &c->entries[e->newer].older) = e->older;
}

static void drop_entry(struct wa_device_cache *c, uint16_t at)
{
    struct entry *e = &c->entries[at];
    take_out_of_bucket(c, at);
    take_out_of_order(c, at);
    free(e->list);
    e->list = NULL;
    e->next = c->unused;
    c->unused = at;
}

static void grow(struct wa_device_cache *c)
{
    c->room = c->room ? 2 * c->room : ENTRIES_AT_FIRST;
    c->entries = err_realloc(c->entries, c->room * sizeof(*c->entries));
    c->buckets = err_realloc(c->buckets, c->room * sizeof(*c->buckets));
    memset(c->buckets, 0xff, c->room * sizeof(*c->buckets));
    for (uint16_t at = c->oldest; at != NONE; at = c->entries[at].newer)
        put_in_bucket(c, at);
}

static uint16_t take_place(struct wa_device_cache *c)
{
    if (c->unused == NONE && c->used == WA_DEVICES_CACHE_USERS)
        drop_entry(c, c->oldest);
    uint16_t at = c->unused;
    if (at != NONE) {
        c->unused = c->entries[at].next;
        return at;
    }
    if (c->used == c->room)
        grow(c);
    return (uint16_t)c->used++;
}

/* ---- lists ----------------------------------------------------------------------------------- */

static bool fits_inside(const struct entry *e, const struct wa_jid *devices, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(devices[i].user, e->user.user) != 0)
            return false;
    return count <= INLINE_DEVICES;
}

/* e has no list yet, or gives up the one it has. */
static void set_devices(struct entry *e, const struct wa_jid *devices, size_t count)
{
    struct wa_jid *list = NULL;
    if (!fits_inside(e, devices, count)) {
        list = err_malloc(count * sizeof(*list));
        memcpy(list, devices, count * sizeof(*list));
    }
    for (size_t i = 0; !list && i < count; i++) {
        e->servers[i] = (uint8_t)devices[i].server;
        e->ids[i] = devices[i].device;
    }
    free(e->list);
    e->list = list;
    e->count = (uint8_t)count;
}

void wa_device_cache_put(struct wa_device_cache *c, const struct wa_jid *user,
                         const struct wa_jid *devices, size_t count, int64_t now_ms)
{
    if (count > WA_DEVICES_PER_USER_MAX)
        count = WA_DEVICES_PER_USER_MAX;
    wa_device_cache_drop(c, user);
    uint16_t at = take_place(c);
    struct entry *e = &c->entries[at];
    *e = (struct entry){.user = wa_jid_bare(user), .at_ms = now_ms};
    put_in_bucket(c, at);
    put_in_order(c, at);
    set_devices(e, devices, count);
}

/* In c->answer. */
static struct wa_jid *list_devices(struct wa_device_cache *c, const struct entry *e)
{
    if (c->answer_room < e->count + 1u) {
        c->answer_room = e->count + 1u;
        c->answer = err_realloc(c->answer, c->answer_room * sizeof(*c->answer));
    }
    for (size_t i = 0; i < e->count; i++) {
        c->answer[i] = e->list ? e->list[i] : e->user;
        if (e->list)
            continue;
        c->answer[i].server = (enum wa_server)e->servers[i];
        c->answer[i].device = e->ids[i];
    }
    return c->answer;
}

/* The entry of a user, or NULL when there is none that still counts. */
static const struct entry *find_fresh(const struct wa_device_cache *c, const struct wa_jid *user,
                                      int64_t now_ms)
{
    uint16_t at = find_user(c, user);
    bool fresh = at != NONE && now_ms - c->entries[at].at_ms < WA_DEVICES_CACHE_TTL_MS;
    return fresh ? &c->entries[at] : NULL;
}

const struct wa_jid *wa_device_cache_get(struct wa_device_cache *c, const struct wa_jid *user,
                                         size_t *count, int64_t now_ms)
{
    const struct entry *e = find_fresh(c, user, now_ms);
    *count = e ? e->count : 0;
    return e ? list_devices(c, e) : NULL;
}

bool wa_device_cache_count(const struct wa_device_cache *c, const struct wa_jid *user,
                           size_t *count, int64_t now_ms)
{
    const struct entry *e = find_fresh(c, user, now_ms);
    *count = e ? e->count : 0;
    return e != NULL;
}

void wa_device_cache_drop(struct wa_device_cache *c, const struct wa_jid *user)
{
    uint16_t at = find_user(c, user);
    if (at != NONE)
        drop_entry(c, at);
}

void wa_device_cache_lose(struct wa_device_cache *c, const struct wa_jid *device, int64_t now_ms)
{
    size_t kept = 0;
    uint16_t at = find_user(c, device);
    if (at == NONE)
        return;
    struct entry *e = &c->entries[at];
    if (now_ms - e->at_ms >= WA_DEVICES_FRESH_MS) {
        drop_entry(c, at);
        return;
    }
    struct wa_jid *list = list_devices(c, e);
    for (size_t i = 0; i < e->count; i++)
        if (device->device == 0 || !wa_jid_equal(&list[i], device))
            list[kept++] = list[i];
    set_devices(e, list, kept);
}
