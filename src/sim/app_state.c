/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/app_state.h"

#include "base/clock.h"
#include "sim/media.h"
#include "sim/notify.h"
#include "sim/pb.h"
#include "wa/app_state.h"

#define COLLECTION "critical_block"
#define INDEX "[\"setting_pushName\"]"
#define PART_MAX 4096

static void put_nested(struct buf *out, uint32_t field, struct bytes inner)
{
    struct buf AUTO_BUF part;

    buf_init(&part, PART_MAX);
    sim_pb_put_bytes(&part, 1, inner);
    sim_pb_put_bytes(out, field, buf_bytes(&part));
}

static void put_version(struct buf *out, uint64_t version)
{
    struct buf AUTO_BUF part;

    buf_init(&part, PART_MAX);
    sim_pb_put_uint(&part, 1, version);
    sim_pb_put_bytes(out, 1, buf_bytes(&part));
}

/* SyncActionData{1 index, 2 SyncActionValue{1 ms, 7 PushNameSetting{1 name}}, 3 padding, 4 version}
 */
static void build_action(struct buf *out, const char *name)
{
    struct buf AUTO_BUF value;

    buf_init(&value, PART_MAX);
    sim_pb_put_uint(&value, 1, (uint64_t)clock_wall_ms());
    put_nested(&value, 7, bytes_text(name));
    sim_pb_put_bytes(out, 1, bytes_text(INDEX));
    sim_pb_put_bytes(out, 2, buf_bytes(&value));
    sim_pb_put_uint(out, 4, 1);
}

/* SyncdRecord{1 index{1}, 2 value{1}, 3 key{1}}; the collection has this one only. */
static void build_record(struct sim_app_state *state, struct sim *s, const char *name,
                         const struct wa_app_state_keys *keys, struct buf *record, uint8_t mac[32])
{
    struct buf AUTO_BUF action, AUTO_BUF value;
    uint8_t index_mac[32], iv[16];

    buf_init(&action, PART_MAX);
    buf_init(&value, PART_MAX);
    build_action(&action, name);
    sim_random_bytes(&s->random, iv, sizeof iv);
    wa_app_state_seal(&value, index_mac, keys, false, BYTES_ARRAY(state->key_id), iv,
                      bytes_text(INDEX), buf_bytes(&action));
    put_nested(record, 1, BYTES_ARRAY(index_mac));
    put_nested(record, 2, buf_bytes(&value));
    put_nested(record, 3, BYTES_ARRAY(state->key_id));
    memcpy(mac, value.p + value.n - 32, 32);
}

static void next_version(struct sim_app_state *state, struct sim *s, const char *name)
{
    struct wa_app_state_keys keys;
    uint8_t hash[WA_APP_STATE_HASH_LEN] = {0}, value_mac[32], mac[32];
    struct buf AUTO_BUF record, AUTO_BUF mutation;
    struct wa_app_state_records mutations = {.field = 2, .mutations = true};

    buf_init(&record, PART_MAX);
    buf_init(&mutation, PART_MAX);
    buf_clear(&state->patch);
    buf_clear(&state->snapshot);
    state->version++;
    wa_app_state_expand(&keys, state->key);
    build_record(state, s, name, &keys, &record, value_mac);
    wa_app_state_hash_add(hash, BYTES_ARRAY(value_mac));
    wa_app_state_snapshot_mac(mac, &keys, hash, state->version, COLLECTION);
    put_version(&state->snapshot, state->version);
    sim_pb_put_bytes(&state->snapshot, 2, buf_bytes(&record));
    sim_pb_put_bytes(&state->snapshot, 3, BYTES_ARRAY(mac));
    put_nested(&state->snapshot, 4, BYTES_ARRAY(state->key_id));
    sim_pb_put_uint(&mutation, 1, 0);
    sim_pb_put_bytes(&mutation, 2, buf_bytes(&record));
    put_version(&state->patch, state->version);
    sim_pb_put_bytes(&state->patch, 2, buf_bytes(&mutation));
    sim_pb_put_bytes(&state->patch, 4, BYTES_ARRAY(mac));
    mutations.in = reader_init(buf_bytes(&state->patch));
    wa_app_state_patch_mac(value_mac, &keys, BYTES_ARRAY(mac), mutations, state->version,
                           COLLECTION);
    sim_pb_put_bytes(&state->patch, 5, BYTES_ARRAY(value_mac));
    put_nested(&state->patch, 6, BYTES_ARRAY(state->key_id));
}

struct sim_app_state *sim_app_state_of(struct sim_account *a)
{
    struct sim_app_state *state = a->app_state;

    if (state)
        return state;
    state = a->app_state = err_calloc(1, sizeof *state);
    buf_init(&state->patch, PART_MAX);
    buf_init(&state->snapshot, PART_MAX);
    sim_random_bytes(&a->sim->random, state->key_id + 2, sizeof state->key_id - 2);
    sim_random_bytes(&a->sim->random, state->key, sizeof state->key);
    next_version(state, a->sim, a->name);
    return state;
}

void sim_app_state_free(struct sim_app_state *state)
{
    if (!state)
        return;
    buf_deinit(&state->patch);
    buf_deinit(&state->snapshot);
    free(state);
}

void sim_app_state_answer(const struct sim_sender *from, const struct wa_node *asked,
                          struct wa_node *answer)
{
    struct sim_app_state *state = from->device->account->app_state;
    uint64_t version = 0;
    struct buf AUTO_BUF reference;

    buf_init(&reference, PART_MAX);
    wa_node_attr_u64(asked, "version", &version);
    if (!state || !wa_node_attr_is(asked, "name", COLLECTION)) {
        wa_node_set_u64(answer, "version", version);
        return;
    }
    wa_node_set_u64(answer, "version", state->version);
    if (version + 1 == state->version && version > 0) {
        wa_node_child_data(wa_node_child(answer, "patches"), "patch", buf_bytes(&state->patch));
    } else if (version != state->version) {
        sim_media_add_blob(from->sim, buf_bytes(&state->snapshot), &reference);
        wa_node_child_data(answer, "snapshot", buf_bytes(&reference));
    }
}

void sim_app_state_rename(struct sim_account *a, const char *name)
{
    struct sim_app_state *state = sim_app_state_of(a);
    struct arena arena = {0};
    struct wa_jid server = {.server = WA_SERVER_PN};

    bytes_copy_text(bytes_text(name), a->name, sizeof a->name);
    next_version(state, a->sim, a->name);
    for (struct sim_device *d = a->devices; d; d = d->next) {
        struct wa_node *node = sim_notification(a->sim, &arena, "server_sync", &server);
        struct wa_node *collection = wa_node_child(node, "collection");

        wa_node_set(collection, "name", COLLECTION);
        wa_node_set_u64(collection, "version", state->version);
        if (!sim_device_is_primary(d))
            sim_deliver(d, node, false);
    }
    arena_deinit(&arena);
}
