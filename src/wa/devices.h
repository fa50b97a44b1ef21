/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which devices a user has: the usync query, its answer, the cache, the hash (protocol/06 section
 * 3). */
#ifndef WA_DEVICES_H
#define WA_DEVICES_H

#include "wa/curve.h"
#include "wa/node.h"

#define WA_DEVICES_PER_USER_MAX 100
#define WA_DEVICES_CACHE_USERS 2048 /* the list that came first goes first */
#define WA_DEVICES_CACHE_TTL_MS 3600000

/* Appends <usync><query><devices version="2"/><lid/></query><list>users</list></usync> to iq. */
void wa_usync_build(struct wa_node *iq, const char *sid, const struct wa_jid *users, size_t count);

/* One user of the answer. */
struct wa_usync_user {
    struct wa_jid user;     /* as asked */
    struct wa_jid lid;      /* none when not told */
    struct wa_jid *devices; /* in the namespace of user, filtered (section 3.3), device 0 first */
    size_t count;
    bool failed; /* the server gave an error for this user */
    struct wa_usync_user *next;
};
/* Whose signature a list of devices must carry: false when that user's primary is not known. */
struct wa_account_keys {
    bool (*find)(void *ctx, const struct wa_jid *user, uint8_t key[WA_KEY_LEN]);
    void *ctx;
};
/* Everything lives in the node's arena. keys may be NULL: none is known. Of a user whose primary is
 * known and did not sign the list of key indexes only the primary is left. 0 or ERR_INVALID. */
int wa_usync_parse(const struct wa_node *iq, const struct wa_account_keys *keys,
                   struct wa_usync_user **out);

/* The cache: device_cache.c. */
struct wa_device_cache;
struct wa_device_cache *wa_device_cache_open(void);
void wa_device_cache_close(struct wa_device_cache *c);
void wa_device_cache_put(struct wa_device_cache *c, const struct wa_jid *user,
                         const struct wa_jid *devices, size_t count, int64_t now_ms);
/* Borrowed until the next call; NULL when unknown or older than the TTL. */
const struct wa_jid *wa_device_cache_get(struct wa_device_cache *c, const struct wa_jid *user,
                                         size_t *count, int64_t now_ms);
/* Whether it is known, and how many they are. */
bool wa_device_cache_count(const struct wa_device_cache *c, const struct wa_jid *user,
                           size_t *count, int64_t now_ms);
void wa_device_cache_drop(struct wa_device_cache *c, const struct wa_jid *user);
/* The server knows no such device: its user is asked for again, or, when the list is younger than
 * WA_DEVICES_FRESH_MS, a companion is struck off it. */
#define WA_DEVICES_FRESH_MS 60000
void wa_device_cache_lose(struct wa_device_cache *c, const struct wa_jid *device, int64_t now_ms);

/* Participant hash "2:" + 8 characters (section 8.1). */
#define WA_PHASH_SIZE 11
void wa_phash(char out[WA_PHASH_SIZE], const struct wa_jid *devices, size_t count);

#endif
