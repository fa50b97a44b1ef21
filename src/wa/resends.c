/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wa/resends.h"

#include "wa/crypto.h"

#define TOKEN_MS (60000 / WA_RESENDS_PER_MINUTE)
#define FULL_MS (WA_RESENDS_BURST * TOKEN_MS)

bool wa_bucket_take(struct wa_bucket *b, int64_t now_ms)
{
    int64_t passed = now_ms - b->at_ms;
    b->spent_ms = passed >= b->spent_ms ? 0 : (int32_t)(b->spent_ms - passed);
    b->at_ms = now_ms;
    if (b->spent_ms + TOKEN_MS > FULL_MS)
        return false;
    b->spent_ms += TOKEN_MS;
    return true;
}

/* Where something has its place, and what tells it apart from others there. */
struct place {
    uint32_t slot, tag;
};

static struct place place_of(const struct wa_jid *jid, struct bytes id)
{
    char text[WA_JID_TEXT_SIZE];
    uint8_t digest[WA_SHA256_LEN];
    struct place p;
    const struct bytes parts[] = {bytes_text(wa_jid_text(jid, text)), BYTES("/", 1), id};
    wa_sha256(digest, parts, ARRAY_LEN(parts));
    memcpy(&p.slot, digest, sizeof(p.slot));
    memcpy(&p.tag, digest + sizeof(p.slot), sizeof(p.tag));
    return p;
}

bool wa_resends_allow(struct wa_resends *r, const struct wa_jid *chat, const struct wa_jid *device,
                      struct bytes id, int64_t now_ms)
{
    struct place message = place_of(device, id), place = place_of(chat, BYTES_NONE);
    size_t at = message.slot % WA_RESENDS_MESSAGES;
    if (r->messages[at].tag != message.tag)
        r->messages[at].count = 0;
    r->messages[at].tag = message.tag;
    if (r->messages[at].count >= WA_RESENDS_OF_ONE)
        return false;
    r->messages[at].count++;
    return wa_bucket_take(&r->chats[place.slot % WA_RESENDS_CHATS], now_ms);
}

bool wa_resends_may_rebuild(struct wa_resends *r, const struct wa_jid *device, int64_t now_ms)
{
    struct place p = place_of(device, BYTES_NONE);
    size_t at = p.slot % WA_RESENDS_DEVICES;
    if (r->devices[at].tag == p.tag && now_ms - r->devices[at].at_ms < WA_REBUILD_MIN_MS)
        return false;
    r->devices[at].tag = p.tag;
    r->devices[at].at_ms = now_ms;
    return true;
}
