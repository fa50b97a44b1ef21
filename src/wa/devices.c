/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wa/devices.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/text.h"
#include "wa/crypto.h"
#include "wa/pairing.h"
#include "wa/pb.h"
#include "wa/proto/transport.pb-c.h"

#define DEVICE_HOSTED 99

/* ---- query ----------------------------------------------------------------------------------- */

void wa_usync_build(struct wa_node *iq, const char *sid, const struct wa_jid *users, size_t count)
{
    struct wa_node *usync = wa_node_child(iq, "usync");
    wa_node_set(usync, "sid", sid);
    wa_node_set(usync, "mode", "query");
    wa_node_set(usync, "last", "true");
    wa_node_set(usync, "index", "0");
    wa_node_set(usync, "context", "message");
    struct wa_node *query = wa_node_child(usync, "query");
    wa_node_set(wa_node_child(query, "devices"), "version", "2");
    wa_node_child(query, "lid");
    struct wa_node *list = wa_node_child(usync, "list");
    for (size_t i = 0; i < count; i++) {
        struct wa_jid bare = wa_jid_bare(&users[i]);
        wa_node_set_jid(wa_node_child(list, "user"), "jid", &bare);
    }
}

/* ---- answer ---------------------------------------------------------------------------------- */

/* The signed list of key indexes of a user; NULL when there is none. *forged: it is not what the
 * primary, whose key is known, has signed. */
static Wa__ADVKeyIndexList *open_index_list(struct bytes data, const struct wa_jid *user,
                                            const struct wa_account_keys *keys, bool *forged)
{
    uint8_t account_key[WA_KEY_LEN];
    *forged = false;
    if (data.n == 0)
        return NULL;
    AUTO_PB Wa__ADVSignedKeyIndexList *outer =
        wa_pb_unpack(&wa__advsigned_key_index_list__descriptor, data);
    struct bytes details = outer ? wa_pb_bytes(outer->details) : BYTES_NONE;
    if (keys && keys->find(keys->ctx, user, account_key))
        *forged = !outer || wa_pairing_verify_key_indexes(
                                details, wa_pb_bytes(outer->account_signature), account_key) < 0;
    if (*forged || details.n == 0)
        return NULL;
    return wa_pb_unpack(&wa__advkey_index_list__descriptor, details);
}

static bool index_is_valid(const Wa__ADVKeyIndexList *list, uint64_t index)
{
    if (!list || index > list->current_index)
        return true;
    for (size_t i = 0; i < list->n_valid_indexes; i++)
        if (list->valid_indexes[i] == index)
            return true;
    return false;
}

/* A companion without key index cannot be checked against the list. */
static bool device_counts(const struct wa_node *device, const Wa__ADVKeyIndexList *list,
                          uint64_t *id)
{
    uint64_t index;
    if (!wa_node_attr_u64(device, "id", id) || *id > UINT16_MAX || *id == 0)
        return false;
    return !wa_node_attr_u64(device, "key-index", &index) || index_is_valid(list, index);
}

static struct wa_jid device_jid(const struct wa_jid *user, const struct wa_node *device,
                                uint16_t id)
{
    struct wa_jid jid = wa_jid_with_device(user, id);
    if (id == DEVICE_HOSTED || wa_node_attr_is(device, "is_hosted", "true"))
        jid.server = wa_jid_is_lid(user) ? WA_SERVER_HOSTED_LID : WA_SERVER_HOSTED;
    return jid;
}

static bool is_listed(const struct wa_usync_user *u, const struct wa_jid *jid)
{
    for (size_t i = 0; i < u->count; i++)
        if (wa_jid_equal(&u->devices[i], jid))
            return true;
    return false;
}

static void read_devices(struct wa_usync_user *u, const struct wa_node *devices,
                         const Wa__ADVKeyIndexList *list)
{
    const struct wa_node *device = wa_node_find(wa_node_find(devices, "device-list"), "device");
    u->devices[u->count++] = u->user;
    for (; device && u->count < WA_DEVICES_PER_USER_MAX; device = wa_node_next(device, "device")) {
        uint64_t id;
        if (!device_counts(device, list, &id))
            continue;
        struct wa_jid jid = device_jid(&u->user, device, (uint16_t)id);
        if (!is_listed(u, &jid))
            u->devices[u->count++] = jid;
    }
}

/* Room for the primary and those that are listed: countless users must not get a full list each. */
static size_t listed_devices(const struct wa_node *devices)
{
    const struct wa_node *device = wa_node_find(wa_node_find(devices, "device-list"), "device");
    size_t n = 1;
    for (; device && n < WA_DEVICES_PER_USER_MAX; device = wa_node_next(device, "device"))
        n++;
    return n;
}

static struct wa_usync_user *read_user(const struct wa_node *node,
                                       const struct wa_account_keys *keys)
{
    bool forged;
    struct wa_usync_user *u = arena_alloc(node->arena, sizeof(*u));
    const struct wa_node *devices = wa_node_find(node, "devices");
    if (!wa_node_attr_jid(node, "jid", &u->user) || !wa_jid_is_user(&u->user))
        return NULL;
    u->user = wa_jid_bare(&u->user);
    if (wa_node_attr_jid(wa_node_find(node, "lid"), "val", &u->lid) && !wa_jid_is_lid(&u->lid))
        u->lid = (struct wa_jid){0};
    u->failed = !devices || wa_node_find(devices, "error");
    if (u->failed)
        return u;
    u->devices = arena_alloc(node->arena, listed_devices(devices) * sizeof(*u->devices));
    AUTO_PB Wa__ADVKeyIndexList *list =
        open_index_list(wa_node_child_bytes(devices, "key-index-list"), &u->user, keys, &forged);
    read_devices(u, forged ? NULL : devices, list);
    return u;
}

int wa_usync_parse(const struct wa_node *iq, const struct wa_account_keys *keys,
                   struct wa_usync_user **out)
{
    const struct wa_node *list = wa_node_find(wa_node_find(iq, "usync"), "list");
    struct wa_usync_user **tail = out;
    *out = NULL;
    if (!list)
        return ERR_INVALID;
    for (const struct wa_node *n = wa_node_find(list, "user"); n; n = wa_node_next(n, "user")) {
        *tail = read_user(n, keys);
        if (*tail)
            tail = &(*tail)->next;
    }
    return 0;
}

/* ---- participant hash (protocol/06 section 8.1) ---------------------------------------------- */

#define PHASH_BYTES 6
#define FEW_DEVICES 8

static int compare_names(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* user.0:device@server, also where the text form leaves agent and device out. */
static void write_name(char out[WA_JID_TEXT_SIZE], const struct wa_jid *device)
{
    struct text_pen pen = text_pen(out, WA_JID_TEXT_SIZE);
    text_pen_text(&pen, device->user);
    text_pen_text(&pen, ".0:");
    text_pen_u64(&pen, device->device);
    text_pen_text(&pen, "@");
    text_pen_text(&pen, wa_server_text(device->server));
}

/* The sorted names one behind the other, which is what is hashed; in their own memory. */
static struct bytes join_names(char (*names)[WA_JID_TEXT_SIZE], size_t count)
{
    char *text = (char *)names, *end = text;
    qsort(names, count, sizeof(*names), compare_names);
    for (size_t i = 0; i < count; i++) {
        size_t n = strlen(names[i]);
        memmove(end, names[i], n);
        end += n;
    }
    return BYTES(text, (size_t)(end - text));
}

static void hash_names(uint8_t hash[WA_SHA256_LEN], const struct wa_jid *devices, size_t count)
{
    char few[FEW_DEVICES][WA_JID_TEXT_SIZE], (*names)[WA_JID_TEXT_SIZE] = few;
    if (count > FEW_DEVICES)
        names = err_malloc(count * sizeof(*names));
    for (size_t i = 0; i < count; i++)
        write_name(names[i], &devices[i]);
    wa_sha256(hash, (struct bytes[]){join_names(names, count)}, 1);
    if (names != few)
        free(names);
}

void wa_phash(char out[WA_PHASH_SIZE], const struct wa_jid *devices, size_t count)
{
    uint8_t hash[WA_SHA256_LEN];
    struct buf text = {.max = WA_PHASH_SIZE - 1};
    hash_names(hash, devices, count);
    buf_append_text(&text, "2:");
    text_base64_append(&text, BYTES(hash, PHASH_BYTES));
    bytes_copy_text(buf_bytes(&text), out, WA_PHASH_SIZE);
    buf_deinit(&text);
}
