/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Groups: the w:g2 query and its answer, a cache of them, and who holds our sender key (protocol/06
 * section 14, protocol/04 section 11.3). */
#ifndef WA_GROUPS_H
#define WA_GROUPS_H

#include "wa/host.h"
#include "wa/node.h"

#define WA_GROUP_MEMBERS_MAX 4096
#define WA_GROUPS_CACHED 64       /* the oldest goes first */
#define WA_GROUP_DEVICES_MAX 8192 /* devices of all members that are written to */
#define WA_GROUP_CACHE_TTL_MS 3600000

struct wa_group {
    struct wa_jid jid;
    bool lid;              /* addressing mode: members are named by LID, else by phone number */
    uint32_t expiration_s; /* messages disappear after so long, 0: never */
    int64_t at_ms;
    size_t count;
    struct wa_jid members[]; /* bare, in the namespace of the group */
};

/* <query request="interactive"/>; the <iq> goes to the group. */
void wa_group_build_query(struct wa_node *iq);
/* 0 and *out owned (free), or ERR_INVALID when it is no answer for this group. */
int wa_group_parse(const struct wa_node *iq, const struct wa_jid *jid, struct wa_group **out);
bool wa_group_has(const struct wa_group *g, const struct wa_jid *user);

struct wa_group_cache;
struct wa_group_cache *wa_group_cache_open(void);
void wa_group_cache_close(struct wa_group_cache *c);
void wa_group_cache_put(struct wa_group_cache *c, struct wa_group *g, int64_t now_ms); /* takes g */
/* Borrowed until the next call that changes the cache; NULL when unknown or too old. */
const struct wa_group *wa_group_cache_get(const struct wa_group_cache *c, const struct wa_jid *jid,
                                          int64_t now_ms);
void wa_group_cache_drop(struct wa_group_cache *c, const struct wa_jid *jid);

/*
 * Who holds our current sender key of a group: the record "<group>" of WA_TABLE_SENDER_KEY_HOLDER,
 * a line with our own name in the group, then one line "<device jid> <identity>" for each holder;
 * identity is 8 hex digits of its identity key at that time.
 */
struct wa_holder {
    struct wa_jid device;
    uint8_t identity[4];
};
struct wa_holders {
    struct wa_jid own;      /* none: nobody holds it */
    struct wa_holder *list; /* in the arena */
    size_t count;
};
/* 0, or ERR_STORE; a damaged record reads as nobody. */
int wa_holders_load(struct wa_holders *h, const struct wa_host *host, const struct wa_jid *group,
                    struct arena *arena);
/* Appends the record. 0 or ERR_LIMIT. */
int wa_holders_write(const struct wa_holders *h, struct buf *out);
const struct wa_holder *wa_holders_find(const struct wa_holders *h, const struct wa_jid *device);

#endif
