/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/notify.h"

#include "base/log.h"
#include "sim/client.h"
#include "sim/pb.h"
#include "sim/phone.h"
#include "wa/devices.h"

/* ADVKeyIndexList, ADVSignedKeyIndexList (protocol/protos.md). */
enum { LIST_RAW_ID = 1, LIST_TIMESTAMP = 2, LIST_CURRENT = 3, LIST_VALID = 4 };
enum { SIGNED_DETAILS = 1, SIGNED_SIGNATURE = 2 };

#define LIST_MAX 1024
#define TOKEN_LEN 32

int sim_deliver(struct sim_device *to, const struct wa_node *stanza, bool own_copy)
{
    int rc = sim_queue_put(&to->queue, stanza, own_copy, &to->account->sim->encoded);

    if (rc != 0) {
        log_event(LOG_WARN, "sim_not_queued", LOG_STR("why", err_name(rc)));
        return rc;
    }
    if (sim_device_is_primary(to))
        sim_phone_wake(to->account->phone);
    else if (to->client)
        sim_client_pump(to->client);
    return 0;
}

struct wa_node *sim_notification(struct sim *s, struct arena *arena, const char *type,
                                 const struct wa_jid *from)
{
    struct wa_node *n = wa_node_new(arena, "notification");
    char id[24];

    wa_node_set_jid(n, "from", from);
    wa_node_set(n, "type", type);
    wa_node_set(n, "id", sim_stanza_id(s, id));
    wa_node_set_u64(n, "t", (uint64_t)sim_now_s());
    return n;
}

void sim_notify_prekeys(struct sim_device *d, size_t count)
{
    struct wa_jid server = wa_jid_make(WA_SERVER_PN, "", 0);
    struct arena AUTO_ARENA arena;
    struct wa_node *n;

    arena_init(&arena);
    n = sim_notification(d->account->sim, &arena, "encrypt", &server);
    wa_node_set_u64(wa_node_child(n, "count"), "value", count);
    sim_deliver(d, n, false);
}

/* ---- devices ------------------------------------------------------------------------------------
 */

static void device_hash(const struct sim_account *a, const struct wa_jid *like,
                        char out[WA_PHASH_SIZE])
{
    struct wa_jid devices[SIM_DEVICE_ID_MAX + 1];
    size_t n = 0;

    for (const struct sim_device *d = a->devices; d && n < ARRAY_LEN(devices); d = d->next)
        devices[n++] = sim_device_jid(d, like);
    wa_phash(out, devices, n);
}

struct change {
    struct sim_device *companion;
    bool added;
};

static void notify_one(const struct change *change, struct sim_device *to)
{
    struct sim_account *a = change->companion->account;
    struct wa_jid device = sim_device_pn(change->companion),
                  lid = sim_device_lid(change->companion);
    struct arena AUTO_ARENA arena;
    struct wa_node *n, *kind, *child;
    char hash[WA_PHASH_SIZE], lid_hash[WA_PHASH_SIZE];

    arena_init(&arena);
    device_hash(a, &a->pn, hash);
    device_hash(a, &a->lid, lid_hash);
    n = sim_notification(a->sim, &arena, "devices", &a->pn);
    wa_node_set_jid(n, "lid", &a->lid);
    kind = wa_node_child(n, change->added ? "add" : "remove");
    wa_node_set(kind, "device_hash", hash);
    wa_node_set(kind, "device_lid_hash", lid_hash);
    child = wa_node_child(kind, "device");
    wa_node_set_jid(child, "jid", &device);
    wa_node_set_jid(child, "lid", &lid);
    wa_node_set_u64(child, "key-index", change->companion->key_index);
    child = wa_node_child(kind, "key-index-list");
    wa_node_set_u64(child, "ts", (uint64_t)a->devices_changed_s);
    sim_deliver(to, n, false);
}

static void notify_account(void *ctx, struct bytes key, void *value)
{
    const struct sim_account *a = value;
    const struct change *change = ctx;

    (void)key;
    for (struct sim_device *d = a->devices->next; d; d = d->next)
        if (d != change->companion)
            notify_one(change, d);
}

void sim_notify_devices(struct sim_device *companion, bool added)
{
    struct change change = {.companion = companion, .added = added};

    notify_account(&change, BYTES_NONE, companion->account);
    sim_table_each(&companion->account->peers, notify_account, &change);
}

static void put_key_index_list(struct wa_node *devices, const struct sim_account *a)
{
    struct buf AUTO_BUF list, AUTO_BUF message, AUTO_BUF blob;
    uint8_t signature[WA_SIGNATURE_LEN], valid[SIM_DEVICE_ID_MAX + 1];
    struct wa_node *child = wa_node_child(devices, "key-index-list");
    size_t n = 0;

    buf_init(&list, LIST_MAX);
    buf_init(&message, LIST_MAX);
    buf_init(&blob, LIST_MAX);
    for (const struct sim_device *d = a->devices; d && n < sizeof valid; d = d->next)
        valid[n++] = (uint8_t)d->key_index; /* below 128: packed varints of one byte */
    sim_pb_put_uint(&list, LIST_RAW_ID, a->adv_id);
    sim_pb_put_uint(&list, LIST_TIMESTAMP, (uint64_t)a->devices_changed_s);
    sim_pb_put_uint(&list, LIST_CURRENT, a->last_key_index);
    sim_pb_put_bytes(&list, LIST_VALID, BYTES(valid, n));
    buf_append(&message, BYTES("\x06\x02", 2));
    buf_append(&message, buf_bytes(&list));
    wa_curve_sign(signature, sim_phone_identity(a->phone)->priv, buf_bytes(&message),
                  &a->sim->host);
    sim_pb_put_bytes(&blob, SIGNED_DETAILS, buf_bytes(&list));
    sim_pb_put_bytes(&blob, SIGNED_SIGNATURE, BYTES_ARRAY(signature));
    wa_node_set_u64(child, "ts", (uint64_t)a->devices_changed_s);
    wa_node_set_data(child, buf_bytes(&blob));
}

void sim_devices_describe(struct wa_node *devices, const struct sim_account *a,
                          const struct wa_jid *like)
{
    struct wa_node *list = wa_node_child(devices, "device-list"), *child;
    char hash[WA_PHASH_SIZE];

    device_hash(a, like, hash);
    wa_node_set(list, "hash", hash);
    for (const struct sim_device *d = a->devices; d; d = d->next) {
        child = wa_node_child(list, "device");
        wa_node_set_u64(child, "id", d->id);
        if (!sim_device_is_primary(d))
            wa_node_set_u64(child, "key-index", d->key_index);
    }
    if (a->devices->next)
        put_key_index_list(devices, a);
}

/* ---- privacy tokens -----------------------------------------------------------------------------
 */

void sim_notify_privacy_token(struct sim_account *from, struct sim_account *to, uint64_t t_s)
{
    uint8_t bytes[TOKEN_LEN];

    sim_random_bytes(&from->sim->random, bytes, sizeof bytes);
    for (struct sim_device *d = to->devices->next; d; d = d->next) {
        struct arena AUTO_ARENA arena;
        struct wa_node *n, *token;

        arena_init(&arena);
        n = sim_notification(from->sim, &arena, "privacy_token", &from->pn);
        wa_node_set_jid(n, "sender_lid", &from->lid);
        token = wa_node_child(wa_node_child(n, "tokens"), "token");
        wa_node_set_jid(token, "jid", &to->pn);
        wa_node_set_u64(token, "t", t_s);
        wa_node_set(token, "type", "trusted_contact");
        wa_node_set_data(token, BYTES_ARRAY(bytes));
        sim_deliver(d, n, false);
    }
}
