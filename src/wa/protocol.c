/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What our own phone tells its companions in a ProtocolMessage (protocol/05 section 9.2,
 * protocol/07 section 8). The caller has made sure that it is our phone. */
#include <stdio.h>

#include "base/text.h"
#include "wa/history.h"
#include "wa/pb.h"
#include "wa/privacy.h"
#include "wa/proto/message.pb-c.h"
#include "wa/session_internal.h"

#define KEYS_MAX 64 /* of one share */
#define KEY_ID_MAX 32
#define HISTORY_MAX (32u << 20) /* bytes of the first history, inflated */

bool wa_protocol_is_own_only(int32_t type)
{
    static const int32_t types[] = {5, 6, 7, 9, 10, 16, 17, 22};
    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (types[i] == type)
            return true;
    return false;
}

/* They are shared once. */
static int keep_key(struct wa_session *s, const Wa__AppStateSyncKeyShare__Key *key)
{
    struct buf id = {.max = 2 * KEY_ID_MAX};
    if (!key->key_id || key->key_id->key_id.len == 0 || key->key_id->key_id.len > KEY_ID_MAX ||
        key->key_data.len == 0)
        return 0;
    text_hex_append(&id, wa_pb_bytes(key->key_id->key_id));
    int rc = s->host->put(s->host->ctx, WA_TABLE_APP_STATE_KEY, buf_text(&id),
                          wa_pb_bytes(key->key_data));
    buf_deinit(&id);
    return rc;
}

static void take_keys(struct wa_session *s, const Wa__AppStateSyncKeyShare *share)
{
    for (size_t i = 0; share && i < share->n_keys && i < KEYS_MAX; i++) {
        if (keep_key(s, share->keys[i]) >= 0)
            continue;
        wa_session_end_store(s);
        return;
    }
    if (share && share->n_keys > 0)
        wa_app_state_keys_came(s);
}

static void learn_pair(struct wa_session *s,
                       const Wa__LIDMigrationMappingSyncPayload__Mapping *pair)
{
    struct wa_jid pn = {.server = WA_SERVER_PN}, lid = {.server = WA_SERVER_LID};
    uint64_t number = pair->latest_lid ? pair->latest_lid : pair->assigned_lid;
    if (pair->pn == 0 || number == 0)
        return;
    snprintf(pn.user, sizeof(pn.user), "%llu", (unsigned long long)pair->pn);
    snprintf(lid.user, sizeof(lid.user), "%llu", (unsigned long long)number);
    wa_session_learn_lid(s, &pn, &lid);
}

static void take_mapping(struct wa_session *s, const Wa__LIDMigrationMappingSyncMessage *m)
{
    if (!m || m->encoded_mapping_payload.len == 0)
        return;
    Wa__LIDMigrationMappingSyncPayload *payload = wa__lidmigration_mapping_sync_payload__unpack(
        NULL, m->encoded_mapping_payload.len, m->encoded_mapping_payload.data);
    if (!payload)
        return;
    for (size_t i = 0; i < payload->n_pn_to_lid_mappings && s->phase != WA_PHASE_CLOSED; i++)
        learn_pair(s, payload->pn_to_lid_mappings[i]);
    wa__lidmigration_mapping_sync_payload__free_unpacked(payload, NULL);
    if (s->device.lid_migrated)
        return;
    s->device.lid_migrated = true;
    if (wa_device_save_field(&s->device, "lid_migrated", s->host) < 0)
        wa_session_end_store(s);
}

/* ---- the first history (protocol/07 section 7.4) ----------------------------------------------
 */

/* What stands in an old conversation is believed only where nothing is known. */
static int learn_mapping(void *ctx, struct bytes a_text, struct bytes b_text)
{
    struct wa_session *s = ctx;
    struct wa_jid a, b;
    if (wa_jid_parse(&a, a_text) < 0 || wa_jid_parse(&b, b_text) < 0 || !wa_jid_is_user(&a) ||
        !wa_jid_is_user(&b) || wa_jid_is_lid(&a) == wa_jid_is_lid(&b))
        return 0;
    struct wa_jid known = wa_jid_is_lid(&a) ? wa_session_pn_of(s, &a) : wa_session_lid_of(s, &a);
    a = wa_jid_bare(&a);
    b = wa_jid_bare(&b);
    if (wa_jid_is_none(&known))
        wa_session_learn_lid(s, &a, &b);
    return s->phase == WA_PHASE_CLOSED ? ERR_STORE : 0;
}

static int learn_token(void *ctx, struct bytes chat, struct bytes token, uint64_t token_s)
{
    struct wa_session *s = ctx;
    struct wa_jid jid;
    if (wa_jid_parse(&jid, chat) < 0 || !wa_jid_is_user(&jid) || token_s > INT64_MAX)
        return 0;
    jid = wa_session_address(s, &jid);
    jid = wa_jid_bare(&jid);
    int rc = wa_privacy_take(s->host, &jid, token, (int64_t)token_s);
    if (rc < 0)
        wa_session_end_store(s);
    return rc < 0 ? rc : 0;
}

static int learn_name(void *ctx, struct bytes jid_text, struct bytes name)
{
    struct wa_session *s = ctx;
    struct wa_jid jid;
    if (s->device.push_name[0] || wa_jid_parse(&jid, jid_text) < 0 ||
        !wa_device_is_own(&s->device, &jid) || name.n >= sizeof(s->device.push_name) ||
        memchr(name.p, 0, name.n) || !text_utf8_valid(name))
        return 0;
    bytes_copy_text(name, s->device.push_name, sizeof(s->device.push_name));
    int rc = wa_device_save_field(&s->device, "push_name", s->host);
    if (rc < 0)
        wa_session_end_store(s);
    return rc;
}

static int learn_migrated(void *ctx)
{
    struct wa_session *s = ctx;
    if (s->device.lid_migrated)
        return 0;
    s->device.lid_migrated = true;
    int rc = wa_device_save_field(&s->device, "lid_migrated", s->host);
    if (rc < 0)
        wa_session_end_store(s);
    return rc;
}

/* Tokens make answers to old customers possible at once; the rest of the history is not read. */
static void take_history(struct wa_session *s, struct bytes notification)
{
    const struct wa_history_events events = {.ctx = s,
                                             .mapping = learn_mapping,
                                             .token = learn_token,
                                             .push_name = learn_name,
                                             .migrated = learn_migrated};
    AUTO_PB Wa__HistorySyncNotification *m =
        wa_pb_unpack(&wa__history_sync_notification__descriptor, notification);
    if (!m || m->initial_hist_bootstrap_inline_payload.len == 0)
        return;
    struct wa_history *h = wa_history_open(&events, HISTORY_MAX);
    /* What was read before a fault is as good as it was. */
    (void)!wa_history_feed(h, wa_pb_bytes(m->initial_hist_bootstrap_inline_payload));
    wa_history_close(h);
}

void wa_protocol_take(struct wa_session *s, const struct wa_content *content)
{
    Wa__ProtocolMessage *m =
        wa__protocol_message__unpack(NULL, content->protocol.n, content->protocol.p);
    if (!m)
        return;
    if (content->protocol_type == WA__PROTOCOL_MESSAGE__TYPE__APP_STATE_SYNC_KEY_SHARE)
        take_keys(s, m->app_state_sync_key_share);
    if (content->protocol_type == WA__PROTOCOL_MESSAGE__TYPE__HISTORY_SYNC_NOTIFICATION)
        take_history(s, wa_pb_bytes(m->history_sync_notification));
    if (content->protocol_type == WA__PROTOCOL_MESSAGE__TYPE__LID_MIGRATION_MAPPING_SYNC)
        take_mapping(s, m->lid_migration_mapping_sync_message);
    if (content->protocol_type == WA__PROTOCOL_MESSAGE__TYPE__PEER_DATA_OPERATION_RESPONSE)
        wa_placeholder_take(s, wa_pb_bytes(m->peer_data_operation_request_response_message));
    wa__protocol_message__free_unpacked(m, NULL);
}
