/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wa/groups.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/text.h"

#define IDENTITY_HEX 8

/* ---- query and answer ------------------------------------------------------------------------ */

void wa_group_build_query(struct wa_node *iq)
{
    wa_node_set(wa_node_child(iq, "query"), "request", "interactive");
}

/* A member in the namespace of the group: its own name, or the other one that stands beside it. */
static bool read_member(const struct wa_node *participant, bool lid, struct wa_jid *out)
{
    struct wa_jid jid;
    if (!wa_node_attr_jid(participant, "jid", &jid) || !wa_jid_is_user(&jid) ||
        wa_node_attr(participant, "error").p)
        return false;
    if (wa_jid_is_lid(&jid) != lid &&
        (!wa_node_attr_jid(participant, lid ? "lid" : "phone_number", &jid) ||
         wa_jid_is_lid(&jid) != lid || !wa_jid_is_user(&jid)))
        return false;
    *out = wa_jid_bare(&jid);
    return true;
}

static uint32_t read_timer(const struct wa_node *group)
{
    uint64_t seconds = 0;
    wa_node_attr_u64(wa_node_find(group, "ephemeral"), "expiration", &seconds);
    return seconds <= UINT32_MAX ? (uint32_t)seconds : 0;
}

static size_t count_members(const struct wa_node *group)
{
    size_t count = 0;
    const struct wa_node *p = wa_node_find(group, "participant");
    for (; p && count < WA_GROUP_MEMBERS_MAX; p = wa_node_next(p, "participant"))
        count++;
    return count;
}

int wa_group_parse(const struct wa_node *iq, const struct wa_jid *jid, struct wa_group **out)
{
    const struct wa_node *group = wa_node_find(iq, "group");
    struct bytes id = wa_node_attr(group, "id");
    size_t user = strlen(jid->user), room = count_members(group);
    *out = NULL;
    if (!group || id.n < user || memcmp(id.p, jid->user, user) != 0 ||
        (id.n > user && id.p[user] != '@'))
        return ERR_INVALID;
    struct wa_group *g = err_calloc(1, sizeof(*g) + room * sizeof(*g->members));
    g->jid = *jid;
    g->lid = wa_node_attr_is(group, "addressing_mode", "lid");
    g->expiration_s = read_timer(group);
    const struct wa_node *p = wa_node_find(group, "participant");
    for (; p && g->count < room; p = wa_node_next(p, "participant"))
        if (read_member(p, g->lid, &g->members[g->count]) &&
            !wa_group_has(g, &g->members[g->count]))
            g->count++;
    *out = g;
    return 0;
}

bool wa_group_has(const struct wa_group *g, const struct wa_jid *user)
{
    for (size_t i = 0; i < g->count; i++)
        if (wa_jid_same_user(&g->members[i], user))
            return true;
    return false;
}

/* ---- cache ----------------------------------------------------------------------------------- */

struct wa_group_cache {
    struct wa_group *groups[WA_GROUPS_CACHED]; /* oldest first */
    size_t count;
};

struct wa_group_cache *wa_group_cache_open(void)
{
    return err_calloc(1, sizeof(struct wa_group_cache));
}

static void remove_at(struct wa_group_cache *c, size_t i)
{
    free(c->groups[i]);
    c->count--;
    memmove(&c->groups[i], &c->groups[i + 1], (c->count - i) * sizeof(c->groups[0]));
}

void wa_group_cache_close(struct wa_group_cache *c)
{
    while (c && c->count > 0)
        remove_at(c, c->count - 1);
    free(c);
}

void wa_group_cache_drop(struct wa_group_cache *c, const struct wa_jid *jid)
{
    for (size_t i = c->count; i-- > 0;)
        if (wa_jid_equal(&c->groups[i]->jid, jid))
            remove_at(c, i);
}

void wa_group_cache_put(struct wa_group_cache *c, struct wa_group *g, int64_t now_ms)
{
    wa_group_cache_drop(c, &g->jid);
    if (c->count == WA_GROUPS_CACHED)
        remove_at(c, 0);
    g->at_ms = now_ms;
    c->groups[c->count++] = g;
}

const struct wa_group *wa_group_cache_get(const struct wa_group_cache *c, const struct wa_jid *jid,
                                          int64_t now_ms)
{
    for (size_t i = 0; i < c->count; i++)
        if (wa_jid_equal(&c->groups[i]->jid, jid))
            return now_ms - c->groups[i]->at_ms < WA_GROUP_CACHE_TTL_MS ? c->groups[i] : NULL;
    return NULL;
}

/* ---- holders of our sender key --------------------------------------------------------------- */

/* The next line of *rest without its end. */
static bool next_line(struct bytes *rest, struct bytes *line)
{
    if (rest->n == 0)
        return false;
    const uint8_t *end = memchr(rest->p, '\n', rest->n);
    size_t n = end ? (size_t)(end - rest->p) : rest->n, used = end ? n + 1 : n;
    *line = BYTES(rest->p, n);
    *rest = BYTES(rest->p + used, rest->n - used);
    return true;
}

static bool read_holder(struct bytes line, struct wa_holder *out)
{
    if (line.n <= IDENTITY_HEX + 1 || line.p[line.n - IDENTITY_HEX - 1] != ' ')
        return false;
    struct bytes hex = BYTES(line.p + line.n - IDENTITY_HEX, IDENTITY_HEX);
    return text_hex_decode(hex, out->identity, sizeof(out->identity)) == 0 &&
           wa_jid_parse(&out->device, BYTES(line.p, line.n - IDENTITY_HEX - 1)) == 0;
}

static void read_holders(struct wa_holders *h, struct bytes record, struct arena *arena)
{
    struct bytes line;
    if (!next_line(&record, &line) || wa_jid_parse(&h->own, line) < 0)
        return;
    size_t room = 0;
    for (size_t i = 0; i < record.n; i++)
        room += record.p[i] == '\n';
    h->list = arena_alloc(arena, (room + 1) * sizeof(*h->list));
    while (h->count < room && next_line(&record, &line))
        if (read_holder(line, &h->list[h->count]))
            h->count++;
}

int wa_holders_load(struct wa_holders *h, const struct wa_host *host, const struct wa_jid *group,
                    struct arena *arena)
{
    char key[WA_JID_TEXT_SIZE];
    struct buf record = {.max = WA_RECORD_MAX};
    *h = (struct wa_holders){0};
    int rc = host->get(host->ctx, WA_TABLE_SENDER_KEY_HOLDER, wa_jid_text(group, key), &record);
    if (rc == 1)
        read_holders(h, buf_bytes(&record), arena);
    buf_deinit(&record);
    return rc < 0 ? ERR_STORE : 0;
}

int wa_holders_write(const struct wa_holders *h, struct buf *out)
{
    char text[WA_JID_TEXT_SIZE];
    int rc = buf_printf(out, "%s\n", wa_jid_text(&h->own, text));
    for (size_t i = 0; i < h->count && rc >= 0; i++) {
        const struct wa_holder *holder = &h->list[i];
        rc = buf_printf(out, "%s %02x%02x%02x%02x\n", wa_jid_text(&holder->device, text),
                        holder->identity[0], holder->identity[1], holder->identity[2],
                        holder->identity[3]);
    }
    return rc < 0 ? rc : 0;
}

const struct wa_holder *wa_holders_find(const struct wa_holders *h, const struct wa_jid *device)
{
    for (size_t i = 0; i < h->count; i++)
        if (wa_jid_equal(&h->list[i].device, device))
            return &h->list[i];
    return NULL;
}
