/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What our own phone tells its companions in a ProtocolMessage (protocol/05 section 9.2,
 * protocol/07 section 8). The caller has made sure that it is our phone. */
#include <stdio.h>

#include "base/text.h"
#include "wa/pb.h"
#include "wa/proto/message.pb-c.h"
#include "wa/session_internal.h"

#define KEYS_MAX 64 /* of one share */
#define KEY_ID_MAX 32

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

void wa_protocol_take(struct wa_session *s, struct bytes id, const struct wa_content *content)
{
    Wa__ProtocolMessage *m =
        wa__protocol_message__unpack(NULL, content->protocol.n, content->protocol.p);
    if (!m)
        return;
    if (content->protocol_type == WA__PROTOCOL_MESSAGE__TYPE__APP_STATE_SYNC_KEY_SHARE)
        take_keys(s, m->app_state_sync_key_share);
    if (content->protocol_type == WA__PROTOCOL_MESSAGE__TYPE__HISTORY_SYNC_NOTIFICATION)
        wa_history_sync_note(s, id, wa_pb_bytes(m->history_sync_notification));
    if (content->protocol_type == WA__PROTOCOL_MESSAGE__TYPE__LID_MIGRATION_MAPPING_SYNC)
        take_mapping(s, m->lid_migration_mapping_sync_message);
    if (content->protocol_type == WA__PROTOCOL_MESSAGE__TYPE__PEER_DATA_OPERATION_RESPONSE)
        wa_placeholder_take(s, wa_pb_bytes(m->peer_data_operation_request_response_message));
    wa__protocol_message__free_unpacked(m, NULL);
}
