/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/reuse.h"

#include "base/err.h"
#include "sim/pb.h"
#include "wa/crypto.h"

#define HASH_LEN 32
#define MAC_LEN 8

/* Numbers of the protobuf fields: protocol/04 section 5. */
enum { FIELD_RATCHET_KEY = 1, FIELD_COUNTER = 2, FIELD_INNER = 4 };

struct seen {
    uint8_t key[HASH_LEN], sealed[HASH_LEN];
};

void sim_reuse_init(struct sim_reuse *r)
{
    *r = (struct sim_reuse){.by_key = {0}};
    sim_ring_init(&r->order, sizeof(struct seen), SIM_REUSE_KEPT);
}

void sim_reuse_deinit(struct sim_reuse *r)
{
    sim_table_deinit(&r->by_key, NULL);
    sim_ring_deinit(&r->order, NULL);
}

/* Takes the version byte and what follows the protobuf off. */
static bool strip(struct bytes *sealed, size_t tail)
{
    if (sealed->n <= 1 + tail)
        return false;
    *sealed = BYTES(sealed->p + 1, sealed->n - 1 - tail);
    return true;
}

/* The protobuf of a msg, or of the msg inside a pkmsg: its cover may change, its key may not. */
static bool open_cover(enum wa_enc_type type, struct bytes *sealed)
{
    if (type == WA_ENC_SKMSG || (type == WA_ENC_PKMSG && !strip(sealed, 0)))
        return false;
    if (type == WA_ENC_PKMSG)
        *sealed = sim_pb_bytes(*sealed, FIELD_INNER);
    return strip(sealed, MAC_LEN) && sim_pb_bytes(*sealed, FIELD_RATCHET_KEY).n > 0;
}

static void name_key(const struct wa_jid *from, const struct wa_jid *to, struct bytes message,
                     uint8_t out[HASH_LEN])
{
    char sender[WA_JID_TEXT_SIZE], receiver[WA_JID_TEXT_SIZE];
    uint64_t counter = sim_pb_uint(message, FIELD_COUNTER);
    const struct bytes parts[] = {BYTES(sender, strlen(wa_jid_text(from, sender)) + 1),
                                  BYTES(receiver, strlen(wa_jid_text(to, receiver)) + 1),
                                  sim_pb_bytes(message, FIELD_RATCHET_KEY),
                                  BYTES(&counter, sizeof counter)};

    wa_sha256(out, parts, ARRAY_LEN(parts));
}

bool sim_reuse_look(struct sim_reuse *r, const struct wa_jid *from, const struct wa_jid *to,
                    enum wa_enc_type type, struct bytes sealed)
{
    struct seen now, *known;

    if (!open_cover(type, &sealed))
        return false;
    name_key(from, to, sealed, now.key);
    wa_sha256(now.sealed, &sealed, 1);
    known = sim_table_get(&r->by_key, BYTES_ARRAY(now.key));
    if (known)
        return memcmp(known->sealed, now.sealed, HASH_LEN) != 0;
    known = sim_ring_next(&r->order);
    if (r->order.last > SIM_REUSE_KEPT)
        sim_table_remove(&r->by_key, BYTES_ARRAY(known->key));
    *known = now;
    sim_table_put(&r->by_key, BYTES_ARRAY(known->key), known);
    return false;
}
