/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wa/payload.h"

#include "base/text.h"
#include "wa/crypto.h"
#include "wa/pb.h"
#include "wa/proto/transport.pb-c.h"

#define KEY_TYPE 0x05
#define LABEL_MAX 64
#define DEVICE_PROPS_MAX 512

/* An optional scalar or bytes field that is to be written, also when it is 0. */
#define SET(message, field, value) ((message)->has_##field = 1, (message)->field = (value))

/* ---- what both payloads say (sections 7.1 and 7.4) ------------------------------------------ */

struct common {
    Wa__ClientPayload__UserAgent agent;
    Wa__ClientPayload__UserAgent__AppVersion version;
    Wa__ClientPayload__WebInfo web;
};

static void fill_agent(Wa__ClientPayload__UserAgent *agent)
{
    SET(agent, platform, WA__CLIENT_PAYLOAD__USER_AGENT__PLATFORM__WEB);
    agent->mcc = wa_pb_text("000");
    agent->mnc = wa_pb_text("000");
    agent->os_version = wa_pb_text("0.1");
    agent->manufacturer = wa_pb_text("");
    agent->device = wa_pb_text("Desktop");
    agent->os_build_number = wa_pb_text("0.1");
    SET(agent, release_channel, WA__CLIENT_PAYLOAD__USER_AGENT__RELEASE_CHANNEL__RELEASE);
    agent->locale_language_iso6391 = wa_pb_text("en");
    agent->locale_country_iso31661_alpha2 = wa_pb_text("US");
}

/* The payload borrows from parts. */
static void fill_common(Wa__ClientPayload *payload, struct common *parts,
                        const struct wa_version *v)
{
    wa__client_payload__user_agent__init(&parts->agent);
    wa__client_payload__user_agent__app_version__init(&parts->version);
    wa__client_payload__web_info__init(&parts->web);
    fill_agent(&parts->agent);
    SET(&parts->version, primary, v->primary);
    SET(&parts->version, secondary, v->secondary);
    SET(&parts->version, tertiary, v->tertiary);
    parts->agent.app_version = &parts->version;
    SET(&parts->web, web_sub_platform, WA__CLIENT_PAYLOAD__WEB_INFO__WEB_SUB_PLATFORM__WEB_BROWSER);
    payload->user_agent = &parts->agent;
    payload->web_info = &parts->web;
    SET(payload, connect_type, WA__CLIENT_PAYLOAD__CONNECT_TYPE__WIFI_UNKNOWN);
    SET(payload, connect_reason, WA__CLIENT_PAYLOAD__CONNECT_REASON__USER_ACTIVATED);
}

/* ---- registration (sections 7.2 and 7.5) ---------------------------------------------------- */

/*
 * Two shapes that phones know (section 7.5). Where no message is kept, that of Baileys: without
 * call log, thumbnails, group history. Else what three of the four sources agree on, with
 * whatsmeow's quota, and the days, which evolution-go sends.
 */
static void fill_history(Wa__DeviceProps__HistorySyncConfig *h, int64_t days)
{
    bool much = days > 0;
    SET(h, storage_quota_mb, 10240);
    SET(h, inline_initial_payload_in_e2ee_msg, 1);
    SET(h, support_call_log_history, much);
    SET(h, support_bot_user_agent_chat_history, 1);
    SET(h, support_cag_reactions_and_polls, 1);
    SET(h, support_biz_hosted_msg, 1);
    SET(h, support_recent_sync_chunk_message_count_tuning, 1);
    SET(h, support_hosted_group_msg, 1);
    SET(h, support_fbid_bot_chat_history, 1);
    SET(h, support_message_association, 1);
    SET(h, support_group_history, much);
    if (!much)
        return;
    SET(h, recent_sync_days_limit, (uint32_t)days);
    SET(h, thumbnail_sync_days_limit, 60);
    SET(h, support_manus_history, 1);
    SET(h, support_hatch_history, 1);
}

static int append_device_props(struct buf *out, const char *label, int64_t history_days)
{
    Wa__DeviceProps props = WA__DEVICE_PROPS__INIT;
    Wa__DeviceProps__AppVersion version = WA__DEVICE_PROPS__APP_VERSION__INIT;
    Wa__DeviceProps__HistorySyncConfig history = WA__DEVICE_PROPS__HISTORY_SYNC_CONFIG__INIT;
    char os[LABEL_MAX + 1];
    bytes_copy_text(text_utf8_cut(bytes_text(label), LABEL_MAX), os, sizeof(os));
    SET(&version, primary, 0);
    SET(&version, secondary, 1);
    SET(&version, tertiary, 0);
    fill_history(&history, history_days);
    props.os = os;
    props.version = &version;
    SET(&props, platform_type, WA__DEVICE_PROPS__PLATFORM_TYPE__CHROME);
    SET(&props, require_full_sync, 0);
    props.history_sync_config = &history;
    return wa_pb_append(out, &props.base);
}

/* The numbers of the pairing data in their wire form. */
struct pairing_numbers {
    uint8_t registration_id[4], prekey_id[3], build_hash[16], key_type[1];
};

static void fill_numbers(struct pairing_numbers *n, const struct wa_device *d,
                         const struct wa_version *v)
{
    char version[40];
    for (size_t i = 0; i < 4; i++)
        n->registration_id[i] = (uint8_t)(d->registration_id >> (8 * (3 - i)));
    for (size_t i = 0; i < 3; i++)
        n->prekey_id[i] = (uint8_t)(d->signed_prekey.id >> (8 * (2 - i)));
    wa_md5(n->build_hash, bytes_text(wa_version_text(v, version)));
    n->key_type[0] = KEY_TYPE;
}

int wa_payload_registration(struct buf *out, const struct wa_device *d, const struct wa_version *v,
                            const char *label, int64_t history_days)
{
    Wa__ClientPayload payload = WA__CLIENT_PAYLOAD__INIT;
    Wa__ClientPayload__DevicePairingRegistrationData data =
        WA__CLIENT_PAYLOAD__DEVICE_PAIRING_REGISTRATION_DATA__INIT;
    struct common parts;
    struct pairing_numbers numbers;
    AUTO_BUF struct buf props;
    buf_init(&props, DEVICE_PROPS_MAX);
    int rc = append_device_props(&props, label, history_days);
    if (rc)
        return rc;
    fill_numbers(&numbers, d, v);
    fill_common(&payload, &parts, v);
    SET(&data, e_regid, wa_pb_data(BYTES_ARRAY(numbers.registration_id)));
    SET(&data, e_keytype, wa_pb_data(BYTES_ARRAY(numbers.key_type)));
    SET(&data, e_ident, wa_pb_data(BYTES_ARRAY(d->identity.pub)));
    SET(&data, e_skey_id, wa_pb_data(BYTES_ARRAY(numbers.prekey_id)));
    SET(&data, e_skey_val, wa_pb_data(BYTES_ARRAY(d->signed_prekey.key.pub)));
    SET(&data, e_skey_sig, wa_pb_data(BYTES_ARRAY(d->signed_prekey.signature)));
    SET(&data, build_hash, wa_pb_data(BYTES_ARRAY(numbers.build_hash)));
    SET(&data, device_props, wa_pb_data(buf_bytes(&props)));
    SET(&payload, passive, 0);
    SET(&payload, pull, 0);
    payload.device_pairing_data = &data;
    return wa_pb_append(out, &payload.base);
}

/* ---- login (section 7.3) -------------------------------------------------------------------- */

int wa_payload_login(struct buf *out, const struct wa_device *d, const struct wa_version *v)
{
    Wa__ClientPayload payload = WA__CLIENT_PAYLOAD__INIT;
    struct common parts;
    uint64_t username;
    if (!wa_device_is_paired(d) || !bytes_to_u64(bytes_text(d->pn.user), &username))
        return ERR_STATE;
    fill_common(&payload, &parts, v);
    SET(&payload, username, username);
    SET(&payload, device, d->pn.device);
    /* The server holds live traffic back until <active/>. */
    SET(&payload, passive, 1);
    SET(&payload, pull, 1);
    SET(&payload, lc, (int32_t)(d->login_count & INT32_MAX));
    SET(&payload, lid_db_migrated, d->lid_migrated);
    return wa_pb_append(out, &payload.base);
}
