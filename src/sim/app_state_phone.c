/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/clock.h"
#include "sim/app_state.h"
#include "sim/pb.h"
#include "wa/app_state.h"

#define PART_MAX 8192
#define NAME "critical_block"
#define INDEX_NAME "[\"setting_pushName\"]"

enum { VALUE_TIMESTAMP = 1, VALUE_PUSH_NAME = 7 };

static void put_nested(struct buf *out, uint32_t field, struct bytes inner)
{
    struct buf AUTO_BUF part;

    buf_init(&part, 2 * PART_MAX);
    sim_pb_put_bytes(&part, 1, inner);
    sim_pb_put_bytes(out, field, buf_bytes(&part));
}

/* SyncActionData{1 index, 2 SyncActionValue, 3 padding, 4 version}; it is cut nowhere. */
static void build_action(struct buf *out, const struct sim_state_action *action)
{
    sim_pb_put_bytes(out, 1, action->index);
    sim_pb_put_bytes(out, 2, action->value);
    sim_pb_put_bytes(out, 3, BYTES_NONE);
    sim_pb_put_uint(out, 4, 1);
}

/* SyncdMutation{1 operation, 2 SyncdRecord{1 index{1}, 2 value{1}, 3 key{1}}} */
static int build_mutation(struct sim *s, const struct sim_state_key *key,
                          const struct wa_app_state_keys *keys,
                          const struct sim_state_action *action, struct buf *out)
{
    struct buf AUTO_BUF data, AUTO_BUF value, AUTO_BUF record;
    uint8_t index_mac[32], iv[16];

    buf_init(&data, PART_MAX);
    buf_init(&value, PART_MAX);
    buf_init(&record, 2 * PART_MAX);
    build_action(&data, action);
    sim_random_bytes(&s->random, iv, sizeof iv);
    if (data.full ||
        wa_app_state_seal(&value, index_mac, keys, action->remove, BYTES_ARRAY(key->id), iv,
                          action->index, buf_bytes(&data)) != 0)
        return ERR_INVALID;
    put_nested(&record, 1, BYTES_ARRAY(index_mac));
    put_nested(&record, 2, buf_bytes(&value));
    put_nested(&record, 3, BYTES_ARRAY(key->id));
    sim_pb_put_uint(out, 1, action->remove);
    sim_pb_put_bytes(out, 2, buf_bytes(&record));
    return 0;
}

struct sum {
    struct bytes but; /* index MAC that is left out */
    uint8_t hash[WA_APP_STATE_HASH_LEN];
};

static struct bytes value_mac_of(struct bytes record)
{
    struct bytes value = sim_pb_bytes(sim_pb_bytes(record, 2), 1);

    return BYTES(value.p + value.n - 32, 32);
}

static void add(void *ctx, struct bytes index, void *record)
{
    struct sum *sum = ctx;

    if (!bytes_equal(index, sum->but))
        wa_app_state_hash_add(sum->hash, value_mac_of(buf_bytes(record)));
}

/* Of the collection after a mutation. */
static void sum_up(const struct sim_collection *c, struct bytes mutation, bool remove,
                   uint8_t hash[WA_APP_STATE_HASH_LEN])
{
    struct bytes record = sim_pb_bytes(mutation, 2);
    struct sum sum = {.but = sim_pb_bytes(sim_pb_bytes(record, 1), 1)};

    sim_table_each(&c->records, add, &sum);
    if (!remove)
        wa_app_state_hash_add(sum.hash, value_mac_of(record));
    memcpy(hash, sum.hash, sizeof sum.hash);
}

int sim_app_state_write(struct sim_account *a, struct sim_collection *c,
                        const struct sim_state_action *action)
{
    const struct sim_state_key *key = &a->app_state->keys[a->app_state->key_count - 1];
    struct wa_app_state_keys keys;
    uint8_t hash[WA_APP_STATE_HASH_LEN], mac[32], patch_mac[32];
    struct wa_app_state_records mutations = {.field = 2, .mutations = true};
    struct buf AUTO_BUF mutation, AUTO_BUF patch;

    buf_init(&mutation, 3 * PART_MAX);
    buf_init(&patch, 3 * PART_MAX);
    wa_app_state_expand(&keys, key->key);
    if (build_mutation(a->sim, key, &keys, action, &mutation) != 0)
        return ERR_INVALID;
    sum_up(c, buf_bytes(&mutation), action->remove, hash);
    hash[0] ^= action->wrong;
    wa_app_state_snapshot_mac(mac, &keys, hash, c->version + 1, c->name);
    sim_pb_put_bytes(&patch, 2, buf_bytes(&mutation));
    mutations.in = reader_init(buf_bytes(&patch));
    wa_app_state_patch_mac(patch_mac, &keys, BYTES_ARRAY(mac), mutations, c->version + 1, c->name);
    sim_pb_put_bytes(&patch, 4, BYTES_ARRAY(mac));
    sim_pb_put_bytes(&patch, 5, BYTES_ARRAY(patch_mac));
    put_nested(&patch, 6, BYTES_ARRAY(key->id));
    return sim_app_state_take(a, c, buf_bytes(&patch), a->devices);
}

void sim_app_state_rename(struct sim_account *a, const char *name)
{
    struct sim_app_state *state = sim_app_state_of(a);
    struct buf AUTO_BUF value;

    buf_init(&value, PART_MAX);
    if (name != a->name)
        bytes_copy_text(bytes_text(name), a->name, sizeof a->name);
    sim_pb_put_uint(&value, VALUE_TIMESTAMP, (uint64_t)clock_wall_ms());
    put_nested(&value, VALUE_PUSH_NAME, bytes_text(name));
    sim_app_state_write(
        a, sim_collection(state, bytes_text(NAME)),
        &(struct sim_state_action){.index = bytes_text(INDEX_NAME), .value = buf_bytes(&value)});
}

void sim_app_state_follow(struct sim_account *a, struct bytes patch)
{
    struct wa_app_state_patch p;
    struct wa_app_state_record record;
    struct wa_app_state_action action;
    struct wa_app_state_keys keys;
    struct buf AUTO_BUF plain;

    buf_init(&plain, WA_APP_STATE_VALUE_MAX);
    if (wa_app_state_read_patch(patch, &p) != 0)
        return;
    while (wa_app_state_next(&p.records, &record) == 1) {
        const struct sim_state_key *key = sim_app_state_key(a->app_state, record.key_id);

        if (!key)
            continue;
        wa_app_state_expand(&keys, key->key);
        if (wa_app_state_open(&plain, &keys, &record, &action) == 0 && action.push_name.n > 0 &&
            action.push_name.n <= SIM_NAME_MAX)
            bytes_copy_text(action.push_name, a->name, sizeof a->name);
    }
}

int sim_app_state_new_key(struct sim_account *a)
{
    struct sim_app_state *state = sim_app_state_of(a);
    struct sim_state_key *key = &state->keys[state->key_count];

    if (state->key_count == SIM_STATE_KEYS)
        return ERR_LIMIT;
    state->key_count++;
    sim_random_bytes(&a->sim->random, key->id + 2, sizeof key->id - 2);
    sim_random_bytes(&a->sim->random, key->key, sizeof key->key);
    return 0;
}

const struct sim_state_key *sim_app_state_key(const struct sim_app_state *state, struct bytes id)
{
    for (size_t i = 0; i < state->key_count; i++)
        if (bytes_equal(id, BYTES_ARRAY(state->keys[i].id)))
            return &state->keys[i];
    return NULL;
}
