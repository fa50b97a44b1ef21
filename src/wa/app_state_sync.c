/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Fetches the app state that is of use here, read only and one collection at a time (protocol/07
 * sections 8.2, 8.3 and 8.6). Nothing waits for it: whatever goes wrong ends with the state that
 * there was, and is tried again after an hour.
 */
#include <stdio.h>

#include "base/clock.h"
#include "base/text.h"
#include "wa/app_state_collection.h"
#include "wa/fields.h"
#include "wa/pb.h"
#include "wa/proto/message.pb-c.h"
#include "wa/session_internal.h"

#define AGAIN_MS 3600000 /* what could not be had is tried again, and these limits begin anew: */
#define FETCHES_MAX 64
#define RESETS_MAX 2 /* of one collection, one after the other */
#define PATCHES_MAX 256
#define PATCH_MAX (1u << 20) /* bytes of a patch that waits for its file */
#define FILE_MAX (8u << 20)  /* bytes in memory while it is read */
#define ASK_AGAIN_S 86400
#define ASK_SLOTS 16

static const char *const names[WA_APP_STATE_COLLECTIONS] = {"critical_block", "regular_high"};

static void go(struct wa_session *s);

/* ---- a key that is not here ------------------------------------------------------------------ */

/* A slot is one of a few, so that names that the server makes up do not add up. */
static bool may_ask(struct wa_session *s, struct bytes id)
{
    uint8_t record[8];
    char slot[16];
    AUTO_BUF struct buf last = {.max = sizeof(record)};
    unsigned sum = 0;
    for (size_t i = 0; i < id.n; i++)
        sum += id.p[i];
    snprintf(slot, sizeof(slot), "asked/%u", sum % ASK_SLOTS);
    uint64_t now_s = (uint64_t)(s->host->wall_ms(s->host->ctx) / 1000), then_s = 0;
    int rc = s->host->get(s->host->ctx, WA_TABLE_APP_STATE, slot, &last);
    for (size_t i = 0; rc == 1 && i < last.n; i++)
        then_s = then_s << 8 | last.p[i];
    if (rc == 1 && then_s <= now_s && now_s - then_s < ASK_AGAIN_S)
        return false;
    for (size_t i = 0; i < sizeof(record); i++)
        record[i] = (uint8_t)(now_s >> 8 * (sizeof(record) - 1 - i));
    if (rc >= 0)
        rc = s->host->put(s->host->ctx, WA_TABLE_APP_STATE, slot, BYTES_ARRAY(record));
    if (rc < 0)
        wa_session_end_store(s);
    return rc >= 0;
}

static void ask_key(struct wa_session *s, struct bytes id)
{
    AUTO_BUF struct buf protocol = {.max = WA_MESSAGE_MAX};
    AUTO_BUF struct buf out = {.max = WA_MESSAGE_MAX};
    Wa__AppStateSyncKeyShare__Id one = WA__APP_STATE_SYNC_KEY_SHARE__ID__INIT;
    Wa__AppStateSyncKeyShare__Id *list[] = {&one};
    Wa__AppStateSyncKeyRequest request = WA__APP_STATE_SYNC_KEY_REQUEST__INIT;
    Wa__ProtocolMessage p = WA__PROTOCOL_MESSAGE__INIT;
    Wa__Message message = WA__MESSAGE__INIT;
    if (!may_ask(s, id))
        return;
    one.has_key_id = true;
    one.key_id = wa_pb_data(id);
    request.n_key_ids = 1;
    request.key_ids = list;
    p.has_type = true;
    p.type = WA__PROTOCOL_MESSAGE__TYPE__APP_STATE_SYNC_KEY_REQUEST;
    p.app_state_sync_key_request = &request;
    if (wa_pb_append(&protocol, &p.base) < 0)
        return;
    message.has_protocol_message = true;
    message.protocol_message = wa_pb_data(buf_bytes(&protocol));
    if (wa_pb_append(&out, &message.base) == 0)
        wa_send_peer(s, buf_bytes(&out));
}

static void park(struct wa_session *s, unsigned i, const char *missing)
{
    uint8_t id[WA_APP_STATE_KEY_ID_MAX];
    size_t n = strlen(missing) / 2;
    s->app_state.parked[i] = true;
    if (text_hex_decode(bytes_text(missing), id, n) == 0)
        ask_key(s, BYTES(id, n));
}

/* ---- what came ------------------------------------------------------------------------------- */

static void learn_name(struct wa_session *s, const char *name)
{
    if (!name[0] || strcmp(name, s->device.push_name) == 0)
        return;
    bytes_copy_text(bytes_text(name), s->device.push_name, sizeof(s->device.push_name));
    if (wa_device_save_field(&s->device, "push_name", s->host) < 0) {
        wa_session_end_store(s);
        return;
    }
    wa_online_announce_name(s);
    wa_session_emit_account(s, WA_EVENT_ACCOUNT);
}

static void put_off(struct wa_session *s, unsigned i)
{
    s->app_state.later[i] = true;
}

/* The collection was forgotten; its snapshot is asked for, but not without end. */
static void begin_anew(struct wa_session *s, unsigned i)
{
    if (s->app_state.resets[i]++ < RESETS_MAX)
        s->app_state.wanted[i] = true;
    else
        put_off(s, i);
}

/* After a snapshot or a patch; again: there may be more behind it. */
static void took(struct wa_session *s, unsigned i, int rc, const struct wa_app_state_news *news,
                 bool again)
{
    switch (rc) {
    case 0:
        s->app_state.resets[i] = 0;
        s->app_state.wanted[i] |= again;
        learn_name(s, news->push_name);
        break;
    case ERR_STORE:
        wa_session_end_store(s);
        break;
    case ERR_NOT_FOUND:
        park(s, i, news->missing_key);
        break;
    default:
        begin_anew(s, i);
    }
}

/* An ExternalBlobReference. False when nothing can be fetched by it. */
static bool want_file(struct wa_session *s, unsigned i, struct bytes reference,
                      struct bytes for_patch)
{
    struct wa_app_state_sync *a = &s->app_state;
    struct wa_field key, path, length, sha256, sealed;
    if (wa_field_find(reference, 1, &key) < 0 || wa_field_find(reference, 2, &path) < 0 ||
        wa_field_find(reference, 4, &length) < 0 || wa_field_find(reference, 5, &sha256) < 0 ||
        wa_field_find(reference, 6, &sealed) < 0)
        return false;
    const struct wa_media m = {.type = WA_MEDIA_APP_STATE,
                               .key = key.bytes,
                               .direct_path = path.bytes,
                               .sha256 = sha256.bytes,
                               .sealed_sha256 = sealed.bytes};
    buf_clear(&a->patch);
    a->patch.max = PATCH_MAX;
    if (!wa_media_is_fetchable(&m) || buf_append(&a->patch, for_patch) < 0)
        return false;
    a->file_of = i;
    a->file = true;
    wa_files_want(s, WA_FILE_OF_APP_STATE, &m, FILE_MAX);
    return true;
}

void wa_app_state_file(struct wa_session *s, enum wa_file_end how, struct buf *plain)
{
    struct wa_app_state_sync *a = &s->app_state;
    struct wa_app_state_news news;
    unsigned i = a->file_of;
    int rc;
    a->file = false;
    if (how == WA_FILE_CAME) {
        rc = a->patch.n == 0
                 ? wa_app_state_take_snapshot(s->host, names[i], buf_bytes(plain), &news)
                 : wa_app_state_take_patch(s->host, names[i], buf_bytes(&a->patch),
                                           buf_bytes(plain), &news);
        took(s, i, rc, &news, true);
    } else
        put_off(s, i);
    buf_deinit(&a->patch);
    go(s);
}

static void take_patches(struct wa_session *s, unsigned i, const struct wa_node *collection)
{
    const struct wa_node *node = wa_node_find(wa_node_find(collection, "patches"), "patch");
    bool more = wa_node_attr_is(collection, "has_more_patches", "true");
    struct wa_app_state_news news;
    struct wa_app_state_patch p;
    int rc = 0;
    for (size_t n = 0; node && rc == 0 && n < PATCHES_MAX && s->phase == WA_PHASE_ONLINE; n++) {
        struct bytes raw = wa_node_data(node);
        if (wa_app_state_read_patch(raw, &p) == 0 && p.external.n > 0) {
            if (!want_file(s, i, p.external, raw))
                took(s, i, ERR_INVALID, NULL, false);
            return;
        }
        rc = wa_app_state_take_patch(s->host, names[i], raw, BYTES_NONE, &news);
        node = wa_node_next(node, "patch");
        took(s, i, rc, &news, more || node);
    }
}

/* What is refused is had anew as a snapshot (section 8.3). */
static void take_refusal(struct wa_session *s, unsigned i, const struct wa_node *error)
{
    uint64_t code = 0;
    wa_node_attr_u64(error, "code", &code);
    if (code != 400 && code != 404)
        put_off(s, i);
    else if (wa_app_state_reset(s->host, names[i]) < 0)
        wa_session_end_store(s);
    else
        begin_anew(s, i);
}

static void on_answer(void *ctx, void *arg, const struct wa_node *answer, unsigned code)
{
    struct wa_session *s = ctx;
    unsigned i = s->app_state.fetched;
    (void)arg;
    (void)code;
    s->app_state.fetching = false;
    const struct wa_node *c = answer ? wa_node_find(answer, "sync") : NULL;
    for (c = wa_node_find(c, "collection"); c; c = wa_node_next(c, "collection"))
        if (wa_node_attr_is(c, "name", names[i]))
            break;
    const struct wa_node *snapshot = wa_node_find(c, "snapshot");
    if (wa_node_find(c, "error"))
        take_refusal(s, i, wa_node_find(c, "error"));
    else if (snapshot && !want_file(s, i, wa_node_data(snapshot), BYTES_NONE))
        begin_anew(s, i);
    else if (c && !snapshot)
        take_patches(s, i, c);
    else if (!c)
        put_off(s, i);
    go(s);
}

/* ---- when ------------------------------------------------------------------------------------ */

static void fetch(struct wa_session *s, unsigned i)
{
    struct wa_app_state_sync *a = &s->app_state;
    uint64_t version;
    if (wa_app_state_version(s->host, names[i], &version) < 0) {
        wa_session_end_store(s);
        return;
    }
    struct wa_node *iq = wa_session_query(s, "set", "w:sync:app:state");
    struct wa_node *c = wa_node_child(wa_node_child(iq, "sync"), "collection");
    wa_node_set(c, "name", names[i]);
    if (version > 0)
        wa_node_set_u64(c, "version", version);
    wa_node_set(c, "return_snapshot", version > 0 ? "false" : "true");
    a->wanted[i] = false;
    a->fetching = true;
    a->fetched = i;
    a->fetches++;
    if (s->app_state_at == CLOCK_NEVER)
        s->app_state_at = wa_session_now(s) + AGAIN_MS;
    wa_session_ask(s, iq, on_answer, NULL);
}

static void go(struct wa_session *s)
{
    struct wa_app_state_sync *a = &s->app_state;
    if (s->phase != WA_PHASE_ONLINE || a->fetching || a->file || a->fetches >= FETCHES_MAX)
        return;
    for (unsigned i = 0; i < WA_APP_STATE_COLLECTIONS; i++)
        if (a->wanted[i]) {
            fetch(s, i);
            return;
        }
}

void wa_app_state_again(struct wa_session *s)
{
    struct wa_app_state_sync *a = &s->app_state;
    s->app_state_at = CLOCK_NEVER;
    a->fetches = 0;
    memset(a->resets, 0, sizeof(a->resets));
    for (unsigned i = 0; i < WA_APP_STATE_COLLECTIONS; i++) {
        a->wanted[i] |= a->later[i] && !a->parked[i];
        a->later[i] = false;
    }
    go(s);
}

void wa_app_state_begin(struct wa_session *s)
{
    /* On the first connection the keys are still to come. */
    if (s->device.login_count < 2 || s->app_state.begun)
        return;
    wa_app_state_keys_came(s);
}

void wa_app_state_keys_came(struct wa_session *s)
{
    struct wa_app_state_sync *a = &s->app_state;
    for (unsigned i = 0; i < WA_APP_STATE_COLLECTIONS; i++) {
        a->wanted[i] |= !a->begun || a->parked[i];
        a->parked[i] = false;
    }
    a->begun = true;
    go(s);
}

void wa_app_state_dirty(struct wa_session *s)
{
    for (unsigned i = 0; i < WA_APP_STATE_COLLECTIONS; i++)
        s->app_state.wanted[i] |= !s->app_state.parked[i];
    go(s);
}

void wa_app_state_notification(struct wa_session *s, const struct wa_node *node)
{
    const struct wa_node *c = wa_node_find(node, "collection");
    for (; c; c = wa_node_next(c, "collection"))
        for (unsigned i = 0; i < WA_APP_STATE_COLLECTIONS; i++)
            if (wa_node_attr_is(c, "name", names[i]) && !s->app_state.parked[i])
                s->app_state.wanted[i] = true;
    go(s);
}
