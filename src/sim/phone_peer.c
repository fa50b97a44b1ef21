/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the phone and its companions tell each other: keys of the app state, and messages that a
 * companion did not get (protocol/07 section 8.6, protocol/05 section 8). */
#include <stdio.h>

#include "base/clock.h"
#include "base/text.h"
#include "sim/app_state.h"
#include "sim/pb.h"
#include "sim/phone_internal.h"

#define PART_MAX 4096
#define SHARE_MAX 65536

enum { TYPE_KEY_SHARE = 6, TYPE_KEY_REQUEST = 7, TYPE_DATA_REQUEST = 16, TYPE_DATA_ANSWER = 17 };
enum { PROTOCOL_KEY_SHARE = 7, PROTOCOL_KEY_REQUEST = 8 };
enum { PROTOCOL_DATA_REQUEST = 16, PROTOCOL_DATA_ANSWER = 17 };
enum { DATA_PLACEHOLDER_RESEND = 4 };

static void note(const struct sim_phone *p, const struct sim_device *d, const char *what,
                 struct bytes particulars)
{
    struct wa_jid pn = sim_device_pn(d);
    struct buf AUTO_BUF text;

    buf_init(&text, PART_MAX);
    buf_printf(&text, "%s ", what);
    buf_append(&text, particulars);
    sim_note(p->sim, "peer", &pn, BYTES_NONE, buf_text(&text));
}

/* ---- keys ---------------------------------------------------------------------------------------
 */

/* AppStateSyncKey{1 id{1}, 2 data{1 key, 2 fingerprint{1, 2}, 3 ms}}; without data when the phone
 * does not know it. */
static void put_key(struct buf *share, struct sim_device *d, struct bytes id,
                    const struct sim_state_key *key)
{
    struct buf AUTO_BUF named, AUTO_BUF fingerprint, AUTO_BUF data, AUTO_BUF one;

    buf_init(&named, PART_MAX);
    buf_init(&fingerprint, PART_MAX);
    buf_init(&data, PART_MAX);
    buf_init(&one, PART_MAX);
    sim_pb_put_bytes(&named, 1, id);
    sim_pb_put_bytes(&one, 1, buf_bytes(&named));
    if (key) {
        sim_pb_put_uint(&fingerprint, 1, d->account->adv_id);
        sim_pb_put_uint(&fingerprint, 2, d->key_index);
        sim_pb_put_bytes(&data, 1, BYTES_ARRAY(key->key));
        sim_pb_put_bytes(&data, 2, buf_bytes(&fingerprint));
        sim_pb_put_uint(&data, 3, (uint64_t)clock_wall_ms());
        sim_pb_put_bytes(&one, 2, buf_bytes(&data));
    }
    sim_pb_put_bytes(share, 1, buf_bytes(&one));
}

void sim_phone_share_key(struct sim_phone *p, struct sim_device *d)
{
    const struct sim_app_state *state = sim_app_state_of(p->device->account);
    const struct sim_state_key *key = &state->keys[state->key_count - 1];
    struct buf AUTO_BUF share;
    char sent[SIM_ID_MAX + 1];

    buf_init(&share, SHARE_MAX);
    put_key(&share, d, BYTES_ARRAY(key->id), key);
    sim_phone_send_protocol(p, d, TYPE_KEY_SHARE, PROTOCOL_KEY_SHARE, buf_bytes(&share), sent);
}

/* AppStateSyncKeyRequest{1 key ids{1}} */
static void on_key_request(struct sim_phone *p, struct sim_device *d, struct bytes request)
{
    const struct sim_app_state *state = sim_app_state_of(p->device->account);
    struct reader r = reader_init(request);
    struct buf AUTO_BUF share, AUTO_BUF text;
    char sent[SIM_ID_MAX + 1];
    struct sim_pb_field f;

    buf_init(&share, SHARE_MAX);
    buf_init(&text, PART_MAX);
    while (sim_pb_next(&r, &f) == 1) {
        struct bytes id = sim_pb_bytes(f.bytes, 1);

        put_key(&share, d, id, sim_app_state_key(state, id));
        text_hex_append(&text, id);
    }
    note(p, d, "key_request", buf_bytes(&text));
    if (!state->rules.mute)
        sim_phone_send_protocol(p, d, TYPE_KEY_SHARE, PROTOCOL_KEY_SHARE, buf_bytes(&share), sent);
}

/* ---- messages -----------------------------------------------------------------------------------
 */

static const struct sim_arrival *arrival_of(const struct sim_phone *p, struct bytes id)
{
    const struct sim_arrival *m;

    for (int64_t at = 0; (m = sim_phone_arrival(p, at)) != NULL; at = m->seq)
        if (bytes_is(id, m->id) && m->text)
            return m;
    return NULL;
}

/* WebMessageInfo{1 key, 2 message{1 text}, 3 seconds, 19 name} under the key that was asked for. */
static void put_message(struct sim_phone *p, struct buf *result, struct bytes key,
                        const struct sim_arrival *m)
{
    const struct sim_account *author = sim_account_by_jid(p->sim, &m->from);
    struct buf AUTO_BUF message, AUTO_BUF info, AUTO_BUF resent;

    buf_init(&message, WA_MESSAGE_MAX);
    buf_init(&info, WA_MESSAGE_MAX);
    buf_init(&resent, WA_MESSAGE_MAX);
    sim_pb_put_bytes(&message, 1, bytes_text(m->text));
    sim_pb_put_bytes(&info, 1, key);
    sim_pb_put_bytes(&info, 2, buf_bytes(&message));
    sim_pb_put_uint(&info, 3, (uint64_t)(m->at_ms / 1000));
    if (author)
        sim_pb_put_bytes(&info, 19, bytes_text(author->name));
    sim_pb_put_bytes(&resent, 1, buf_bytes(&info));
    sim_pb_put_bytes(result, 4, buf_bytes(&resent));
}

/* PeerDataOperationRequestMessage{1 type, 5 placeholder requests{1 key{3 id}}} */
static void on_data_request(struct sim_phone *p, struct sim_device *d, struct bytes id,
                            struct bytes request)
{
    struct reader r = reader_init(request);
    struct buf AUTO_BUF answer = {.max = 4 * WA_MESSAGE_MAX};
    char sent[SIM_ID_MAX + 1];
    struct sim_pb_field f;

    if (sim_pb_uint(request, 1) != DATA_PLACEHOLDER_RESEND)
        return;
    sim_pb_put_uint(&answer, 1, DATA_PLACEHOLDER_RESEND);
    sim_pb_put_bytes(&answer, 2, id);
    while (sim_pb_next(&r, &f) == 1) {
        struct bytes key = sim_pb_bytes(f.bytes, 1);
        const struct sim_arrival *m = arrival_of(p, sim_pb_bytes(key, 3));
        struct buf AUTO_BUF result = {.max = 2 * WA_MESSAGE_MAX};

        if (f.number != 5)
            continue;
        note(p, d, "placeholder", sim_pb_bytes(key, 3));
        if (m)
            put_message(p, &result, key, m);
        sim_pb_put_bytes(&answer, 3, buf_bytes(&result));
    }
    sim_phone_send_protocol(p, d, TYPE_DATA_ANSWER, PROTOCOL_DATA_ANSWER, buf_bytes(&answer), sent);
}

void sim_phone_peer_data(struct sim_phone *p, struct sim_device *d, struct bytes id,
                         const struct wa_content *content)
{
    if (content->protocol_type == TYPE_KEY_REQUEST)
        on_key_request(p, d, sim_pb_bytes(content->protocol, PROTOCOL_KEY_REQUEST));
    else if (content->protocol_type == TYPE_DATA_REQUEST)
        on_data_request(p, d, id, sim_pb_bytes(content->protocol, PROTOCOL_DATA_REQUEST));
}
