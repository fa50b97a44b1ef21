/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/app_state.h"

#include <stdio.h>

#include "sim/media.h"
#include "sim/notify.h"
#include "sim/pb.h"

#define REFERENCE_MAX 512

/* Numbers of protos-message.md. */
enum {
    NESTED = 1,
    MUTATION_OPERATION = 1,
    MUTATION_RECORD = 2,
    RECORD_INDEX = 1,
    RECORD_VALUE = 2
};
enum { SNAPSHOT_VERSION = 1, SNAPSHOT_RECORDS = 2, SNAPSHOT_MAC = 3, SNAPSHOT_KEY = 4 };
enum { PATCH_VERSION = 1, PATCH_MUTATIONS = 2, PATCH_EXTERNAL = 3, PATCH_SNAPSHOT_MAC = 4 };
enum { PATCH_MAC = 5, PATCH_KEY = 6 };

static const char *const names[SIM_COLLECTIONS] = {"critical_block", "critical_unblock_low",
                                                   "regular_high", "regular_low", "regular"};

/* ---- life ---------------------------------------------------------------------------------------
 */

static void release_record(void *record)
{
    buf_deinit(record);
    free(record);
}

struct sim_app_state *sim_app_state_of(struct sim_account *a)
{
    if (a->app_state)
        return a->app_state;
    a->app_state = err_calloc(1, sizeof *a->app_state);
    for (size_t i = 0; i < SIM_COLLECTIONS; i++)
        a->app_state->collections[i].name = names[i];
    /* What was there before a companion is no news to it. */
    a->app_state->rules.quiet = true;
    sim_app_state_new_key(a);
    sim_app_state_rename(a, a->name);
    a->app_state->rules.quiet = false;
    return a->app_state;
}

void sim_app_state_free(struct sim_app_state *state)
{
    if (!state)
        return;
    for (size_t i = 0; i < SIM_COLLECTIONS; i++) {
        struct sim_collection *c = &state->collections[i];

        sim_table_deinit(&c->records, release_record);
        for (uint64_t v = 0; v < c->version; v++)
            buf_deinit(&c->patches[v]);
        free(c->patches);
        buf_deinit(&c->frozen);
    }
    free(state);
}

struct sim_collection *sim_collection(struct sim_app_state *state, struct bytes name)
{
    for (size_t i = 0; i < SIM_COLLECTIONS; i++)
        if (bytes_is(name, names[i]))
            return &state->collections[i];
    return NULL;
}

/* ---- taking -------------------------------------------------------------------------------------
 */

static void put_nested(struct buf *out, uint32_t field, struct bytes inner)
{
    struct buf AUTO_BUF part;

    buf_init(&part, SIM_STATE_MAX);
    sim_pb_put_bytes(&part, NESTED, inner);
    sim_pb_put_bytes(out, field, buf_bytes(&part));
}

static void put_version(struct buf *out, uint32_t field, uint64_t version)
{
    struct buf AUTO_BUF part;

    buf_init(&part, 16);
    sim_pb_put_uint(&part, NESTED, version);
    sim_pb_put_bytes(out, field, buf_bytes(&part));
}

static struct buf *copy_of(struct bytes raw)
{
    struct buf *copy = err_calloc(1, sizeof *copy);

    buf_init(copy, SIM_STATE_MAX);
    buf_append(copy, raw);
    return copy;
}

static void apply(struct sim_collection *c, struct bytes mutation)
{
    struct bytes record = sim_pb_bytes(mutation, MUTATION_RECORD);
    struct bytes index = sim_pb_bytes(sim_pb_bytes(record, RECORD_INDEX), NESTED);
    struct buf *old;

    if (sim_pb_uint(mutation, MUTATION_OPERATION) == 0)
        old = sim_table_put(&c->records, index, copy_of(record));
    else
        old = sim_table_remove(&c->records, index);
    if (old)
        release_record(old);
}

/* Appends the fields of a message that fn wants. */
static void copy_fields(struct buf *out, struct bytes message, bool (*wanted)(uint32_t field))
{
    struct reader r = reader_init(message);
    struct sim_pb_field f;

    while (sim_pb_next(&r, &f) == 1)
        if (wanted(f.number) && f.wire == 2)
            sim_pb_put_bytes(out, f.number, f.bytes);
}

static bool is_no_version(uint32_t field)
{
    return field != PATCH_VERSION;
}

static void notify(struct sim_account *a, const struct sim_collection *c,
                   const struct sim_device *from)
{
    struct wa_jid server = {.server = WA_SERVER_PN};
    struct arena AUTO_ARENA arena;

    arena_init(&arena);
    for (struct sim_device *d = a->devices; d; d = d->next) {
        struct wa_node *node = sim_notification(a->sim, &arena, "server_sync", &server);
        struct wa_node *collection = wa_node_child(node, "collection");

        wa_node_set(collection, "name", c->name);
        wa_node_set_u64(collection, "version", c->version);
        if (!sim_device_is_primary(d) && d != from)
            sim_deliver(d, node, false);
    }
}

int sim_app_state_take(struct sim_account *a, struct sim_collection *c, struct bytes patch,
                       const struct sim_device *from)
{
    struct bytes mac = sim_pb_bytes(patch, PATCH_SNAPSHOT_MAC);
    struct bytes key = sim_pb_bytes(sim_pb_bytes(patch, PATCH_KEY), NESTED);
    struct reader r = reader_init(patch);
    struct sim_pb_field f;
    struct buf *kept;

    if (mac.n != sizeof c->mac || key.n == 0 || key.n > sizeof c->key_id ||
        patch.n > SIM_STATE_MAX / 2)
        return ERR_INVALID;
    while (sim_pb_next(&r, &f) == 1)
        if (f.number == PATCH_MUTATIONS && f.wire == 2)
            apply(c, f.bytes);
    memcpy(c->mac, mac.p, mac.n);
    memcpy(c->key_id, key.p, key.n);
    c->key_id_n = (uint8_t)key.n;
    c->patches = err_realloc(c->patches, (c->version + 1) * sizeof *c->patches);
    kept = &c->patches[c->version++];
    buf_init(kept, SIM_STATE_MAX);
    put_version(kept, PATCH_VERSION, c->version);
    copy_fields(kept, patch, is_no_version);
    if (!a->app_state->rules.quiet)
        notify(a, c, from);
    return 0;
}

/* ---- what is wrong on purpose -------------------------------------------------------------------
 */

static const char *const faults[] = {"",    "snapshot_mac", "patch_mac", "value", "index",
                                     "cut", "missing",      "corrupt",   "silent"};

bool sim_state_fault_is_known(const char *fault)
{
    for (size_t i = 0; i < ARRAY_LEN(faults); i++)
        if (strcmp(fault, faults[i]) == 0)
            return true;
    return strlen(fault) == 3 && strspn(fault, "0123456789") == 3;
}

static void flip(struct buf *b, struct bytes at, size_t i)
{
    if (at.n > i)
        b->p[(size_t)(at.p - b->p) + i] ^= 1;
}

/* A snapshot, or a patch with its mutations within. */
static void spoil(struct buf *b, const char *fault, bool snapshot)
{
    struct bytes all = buf_bytes(b);
    struct bytes first = sim_pb_bytes(all, snapshot ? SNAPSHOT_RECORDS : PATCH_MUTATIONS);
    struct bytes record = snapshot ? first : sim_pb_bytes(first, MUTATION_RECORD);

    if (strcmp(fault, "snapshot_mac") == 0)
        flip(b, sim_pb_bytes(all, snapshot ? SNAPSHOT_MAC : PATCH_SNAPSHOT_MAC), 0);
    else if (strcmp(fault, "patch_mac") == 0)
        flip(b, sim_pb_bytes(all, PATCH_MAC), 31);
    else if (strcmp(fault, "value") == 0)
        flip(b, sim_pb_bytes(sim_pb_bytes(record, RECORD_VALUE), NESTED), 20);
    else if (strcmp(fault, "index") == 0)
        flip(b, sim_pb_bytes(sim_pb_bytes(record, RECORD_INDEX), NESTED), 3);
    else if (strcmp(fault, "cut") == 0)
        b->n /= 2;
}

/* ---- giving out ---------------------------------------------------------------------------------
 */

static void put_record(void *ctx, struct bytes index, void *record)
{
    (void)index;
    sim_pb_put_bytes(ctx, SNAPSHOT_RECORDS, buf_bytes(record));
}

static void build_snapshot(const struct sim_collection *c, struct buf *out)
{
    put_version(out, SNAPSHOT_VERSION, c->version);
    sim_table_each(&c->records, put_record, out);
    sim_pb_put_bytes(out, SNAPSHOT_MAC, BYTES_ARRAY(c->mac));
    put_nested(out, SNAPSHOT_KEY, BYTES(c->key_id, c->key_id_n));
}

void sim_app_state_freeze(struct sim_collection *c)
{
    buf_deinit(&c->frozen);
    buf_init(&c->frozen, SIM_STATE_MAX);
    build_snapshot(c, &c->frozen);
    c->frozen_version = c->version;
}

static void put_file(struct sim *s, struct bytes content, const char *fault, struct buf *reference)
{
    struct sim_media *m = sim_media_add_blob(s, content, reference);

    if (strcmp(fault, "missing") == 0 || strcmp(fault, "corrupt") == 0)
        sim_media_spoil(m, fault);
}

static void give_snapshot(struct sim *s, const struct sim_collection *c, const char *fault,
                          struct wa_node *answer)
{
    struct buf AUTO_BUF snapshot, AUTO_BUF reference;

    buf_init(&snapshot, SIM_STATE_MAX);
    buf_init(&reference, REFERENCE_MAX);
    if (c->frozen_version)
        buf_append(&snapshot, buf_bytes(&c->frozen));
    else
        build_snapshot(c, &snapshot);
    spoil(&snapshot, fault, true);
    put_file(s, buf_bytes(&snapshot), fault, &reference);
    wa_node_child_data(answer, "snapshot", buf_bytes(&reference));
}

static bool is_mutation(uint32_t field)
{
    return field == PATCH_MUTATIONS;
}

static bool is_no_mutation(uint32_t field)
{
    return field != PATCH_MUTATIONS;
}

/* SyncdMutations{1 mutation}: the same messages under another number. */
static void externalise(struct sim *s, struct buf *patch, const char *fault)
{
    struct buf AUTO_BUF inner, AUTO_BUF mutations, AUTO_BUF reference, AUTO_BUF rest;
    struct reader r;
    struct sim_pb_field f;

    buf_init(&inner, SIM_STATE_MAX);
    buf_init(&mutations, SIM_STATE_MAX);
    buf_init(&reference, REFERENCE_MAX);
    buf_init(&rest, SIM_STATE_MAX);
    copy_fields(&inner, buf_bytes(patch), is_mutation);
    for (r = reader_init(buf_bytes(&inner)); sim_pb_next(&r, &f) == 1;)
        sim_pb_put_bytes(&mutations, NESTED, f.bytes);
    put_file(s, buf_bytes(&mutations), fault, &reference);
    copy_fields(&rest, buf_bytes(patch), is_no_mutation);
    sim_pb_put_bytes(&rest, PATCH_EXTERNAL, buf_bytes(&reference));
    buf_clear(patch);
    buf_append(patch, buf_bytes(&rest));
}

static void give_patches(struct sim *s, const struct sim_collection *c,
                         const struct sim_state_rules *rules, const char *fault, uint64_t from,
                         struct wa_node *answer)
{
    struct wa_node *list = wa_node_child(answer, "patches");
    uint64_t end = c->version;

    if (rules->per_answer && end - from > rules->per_answer) {
        end = from + rules->per_answer;
        wa_node_set(answer, "has_more_patches", "true");
    }
    for (uint64_t v = from; v < end; v++) {
        struct buf AUTO_BUF patch;

        buf_init(&patch, SIM_STATE_MAX);
        buf_append(&patch, buf_bytes(&c->patches[v]));
        spoil(&patch, fault, false);
        if (rules->external)
            externalise(s, &patch, fault);
        wa_node_child_data(list, "patch", buf_bytes(&patch));
    }
}

static void give(const struct sim_sender *from, const struct sim_collection *c,
                 struct sim_state_rules *rules, uint64_t version, struct wa_node *answer)
{
    const char *fault = rules->fault_left ? rules->fault : "";
    bool too_old = version > c->version || (rules->kept && c->version - version > rules->kept);

    wa_node_set_u64(answer, "version", c->version);
    if (version == c->version)
        return;
    if (rules->fault_left)
        rules->fault_left--;
    if (version == 0 || too_old)
        give_snapshot(from->sim, c, fault, answer);
    if ((version == 0 || too_old) && !c->frozen_version)
        return;
    if (version == 0 || too_old)
        version = c->frozen_version;
    if (version < c->version)
        give_patches(from->sim, c, rules, fault, version, answer);
}

static void refuse(struct wa_node *answer, const char *code)
{
    wa_node_set(answer, "type", "error");
    wa_node_set(wa_node_child(answer, "error"), "code", code);
}

/* The digits of a fault that is an error code. */
static bool is_error(const struct sim_state_rules *rules)
{
    return rules->fault_left && rules->fault[0] >= '0' && rules->fault[0] <= '9';
}

static bool is_silent(struct sim_state_rules *rules)
{
    if (!rules->fault_left || strcmp(rules->fault, "silent") != 0)
        return false;
    rules->fault_left--;
    return true;
}

static void note(const struct sim_sender *from, const struct sim_collection *c, const char *what,
                 uint64_t version)
{
    struct wa_jid pn = sim_device_pn(from->device);
    char detail[80];

    snprintf(detail, sizeof detail, "%s %s %llu", c ? c->name : "another", what,
             (unsigned long long)version);
    sim_note(from->sim, "app_state", &pn, BYTES_NONE, detail);
}

void sim_app_state_answer(const struct sim_sender *from, const struct wa_node *asked,
                          struct wa_node *answer)
{
    struct sim_app_state *state = sim_app_state_of(from->device->account);
    struct sim_collection *c = sim_collection(state, wa_node_attr(asked, "name"));
    const struct wa_node *patch = wa_node_find(asked, "patch");
    uint64_t version = 0;

    wa_node_attr_u64(asked, "version", &version);
    note(from, c, patch ? "write" : "read", version);
    if (!c) {
        refuse(answer, "404");
    } else if (is_error(&state->rules)) {
        state->rules.fault_left--;
        refuse(answer, state->rules.fault);
    } else if (is_silent(&state->rules)) {
        wa_node_set(answer, "name", "another");
    } else if (!patch) {
        give(from, c, &state->rules, version, answer);
    } else if (version != c->version) {
        refuse(answer, "409");
        give(from, c, &state->rules, version, answer);
    } else if (sim_app_state_take(from->device->account, c, wa_node_data(patch), from->device) !=
               0) {
        refuse(answer, "400");
    } else {
        sim_app_state_follow(from->device->account, wa_node_data(patch));
        wa_node_set_u64(answer, "version", c->version);
    }
}
