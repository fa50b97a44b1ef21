/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/login.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/text.h"
#include "sim/gate.h"
#include "sim/notify.h"
#include "sim/pb.h"
#include "sim/scan.h"
#include "sim/typing.h"

/* ClientPayload and DevicePairingRegistrationData (protocol/protos.md). */
enum {
    PAYLOAD_USERNAME = 1,
    PAYLOAD_PASSIVE = 3,
    PAYLOAD_AGENT = 5,
    PAYLOAD_DEVICE = 18,
    PAYLOAD_PAIRING = 19
};
enum { AGENT_VERSION = 2, VERSION_TERTIARY = 3 };
enum {
    REG_ID = 1,
    REG_KEY_TYPE = 2,
    REG_IDENTITY = 3,
    REG_SKEY_ID = 4,
    REG_SKEY = 5,
    REG_SKEY_SIG = 6
};

#define LATER_REF_SHARE 3 /* each ref after the first lives a third as long */
#define REF_GRACE_MS 5000 /* the owner points the camera at what was just replaced */

/* ---- pairing ------------------------------------------------------------------------------------
 */

static bool take_be(struct bytes b, size_t width, uint32_t *out)
{
    struct reader r = reader_init(b);

    return b.n == width && reader_be(&r, width, out) == 0;
}

static bool read_registration(struct bytes pairing, struct sim_bundle_keys *k)
{
    struct bytes identity = sim_pb_bytes(pairing, REG_IDENTITY);
    struct bytes skey = sim_pb_bytes(pairing, REG_SKEY);
    struct bytes signature = sim_pb_bytes(pairing, REG_SKEY_SIG);
    uint8_t signed_bytes[1 + WA_KEY_LEN] = {5};

    if (identity.n != WA_KEY_LEN || skey.n != WA_KEY_LEN || signature.n != WA_SIGNATURE_LEN ||
        !bytes_is(sim_pb_bytes(pairing, REG_KEY_TYPE), "\x05") ||
        !take_be(sim_pb_bytes(pairing, REG_ID), 4, &k->registration_id) ||
        !take_be(sim_pb_bytes(pairing, REG_SKEY_ID), 3, &k->signed_id))
        return false;
    memcpy(k->identity, identity.p, WA_KEY_LEN);
    memcpy(k->signed_key, skey.p, WA_KEY_LEN);
    memcpy(k->signed_signature, signature.p, WA_SIGNATURE_LEN);
    memcpy(signed_bytes + 1, skey.p, WA_KEY_LEN);
    return wa_curve_verify(identity, BYTES_ARRAY(signed_bytes), signature) == 0;
}

static void refs_over(void *arg)
{
    sim_client_end(arg, "pairing refs used up");
}

static void make_refs(struct sim_client *c)
{
    struct sim_registration *g = c->registration;
    int64_t until = clock_mono_ms();

    for (size_t i = 0; i < SIM_REFS; i++) {
        uint8_t raw[30];
        struct buf AUTO_BUF text;

        buf_init(&text, sizeof g->ref_text[i]);
        sim_random_bytes(&c->sim->random, raw, sizeof raw);
        buf_append_text(&text, "2@");
        text_base64_append(&text, BYTES_ARRAY(raw));
        bytes_copy_text(buf_bytes(&text), g->ref_text[i], sizeof g->ref_text[i]);
        g->refs[i] = bytes_text(g->ref_text[i]);
        until += (int64_t)c->sim->ref_seconds * 1000 / (i == 0 ? 1 : LATER_REF_SHARE);
        g->ref_until_ms[i] = until;
    }
    sim_timer_arm(&c->sim->timers, &g->expiry, until, refs_over, c);
}

static void offer_refs(struct sim_client *c, struct bytes pairing)
{
    struct wa_jid server = wa_jid_make(WA_SERVER_PN, "", 0);
    struct wa_node *iq, *pair;
    char id[24];

    c->registration = err_calloc(1, sizeof *c->registration);
    c->registration->keys.end = &c->registration->keys.first;
    if (!read_registration(pairing, &c->registration->keys)) {
        sim_login_failure(c, "400");
        return;
    }
    c->phase = SIM_PHASE_UNPAIRED;
    sim_note(c->sim, "pairing", NULL, BYTES_NONE, NULL);
    make_refs(c);
    iq = wa_node_new(&c->arena, "iq");
    wa_node_set_jid(iq, "from", &server);
    wa_node_set(iq, "type", "set");
    wa_node_set(iq, "id", sim_stanza_id(c->sim, id));
    wa_node_set(iq, "xmlns", "md");
    pair = wa_node_child(iq, "pair-device");
    for (size_t i = 0; i < SIM_REFS; i++)
        wa_node_child_data(pair, "ref", c->registration->refs[i]);
    sim_client_send(c, iq);
    sim_client_faults(c);
}

void sim_registration_free(struct sim_client *c)
{
    if (!c->registration)
        return;
    if (c->registration->scan)
        sim_scan_gone(c->registration->scan);
    sim_gate_free(c->registration->gate);
    sim_typing_free(c->registration->typing);
    sim_timer_cancel(&c->registration->expiry);
    sim_keys_clear(&c->registration->keys);
    free(c->registration);
    c->registration = NULL;
}

struct sim_client *sim_login_find_ref(struct sim *s, struct bytes ref)
{
    int64_t now = clock_mono_ms();

    for (struct sim_client *c = s->clients; c; c = c->next) {
        if (c->phase != SIM_PHASE_UNPAIRED)
            continue;
        for (size_t i = 0; i < SIM_REFS; i++)
            if (bytes_equal(c->registration->refs[i], ref) &&
                now < c->registration->ref_until_ms[i] + REF_GRACE_MS)
                return c;
    }
    return NULL;
}

/* ---- login --------------------------------------------------------------------------------------
 */

void sim_login_failure(struct sim_client *c, const char *reason)
{
    struct wa_node *failure = wa_node_new(&c->arena, "failure");

    wa_node_set(failure, "reason", reason);
    wa_node_set(failure, "location", "sim");
    sim_client_send(c, failure);
    sim_note(c->sim, "failure", &c->who, BYTES_NONE, reason);
    sim_client_end(c, "refused");
}

/* What the server wants to see in the preface of the next connection. */
static void send_routing(struct sim_client *c)
{
    static const uint8_t info[] = {0x08, 0x0c, 0x08, 0x05};
    struct wa_node *ib, *edge = sim_client_ib(c, "edge_routing", &ib);

    wa_node_child_data(edge, "routing_info", BYTES_ARRAY(info));
    sim_client_send(c, ib);
}

static void refuse(struct sim_client *c)
{
    if (!sim_client_last_words(c))
        sim_login_failure(c, c->faults.reason);
}

void sim_login_success(struct sim_client *c)
{
    const struct sim_account *a = c->device->account;
    struct wa_jid lid = sim_device_lid(c->device);
    struct wa_node *success = wa_node_new(&c->arena, "success");

    wa_node_set_u64(success, "t", (uint64_t)sim_now_s());
    wa_node_set(success, "props", "27");
    wa_node_set(success, "companion_enc_static", "NULL");
    wa_node_set_jid(success, "lid", &lid);
    wa_node_set_bytes(success, "display_name", bytes_text(a->name));
    wa_node_set(success, "abprops", "1");
    wa_node_set(success, "group_abprops", "1");
    wa_node_set(success, "location", "sim");
    wa_node_set_u64(success, "creation", (uint64_t)a->created_s);
    sim_client_send(c, success);
    sim_note(c->sim, "login", &c->who, BYTES_NONE, wa_handshake_way_text(c->responder.way));
    send_routing(c);
}

/* One device, one connection: the older one has to go (protocol/01 section 10.3). */
static void attach(struct sim_client *c, struct sim_device *d)
{
    if (d->client)
        sim_client_stream_error(d->client, NULL, "replaced");
    d->client = c;
    c->device = d;
    c->who = sim_device_pn(d);
    c->phase = SIM_PHASE_LINKED;
    sim_faults_take_over(&c->faults, &d->faults);
    sim_queue_rewind(&d->queue);
    c->backlog.left = c->backlog.total = d->queue.count;
}

static void log_in(struct sim_client *c, struct bytes payload)
{
    uint64_t username = sim_pb_uint(payload, PAYLOAD_USERNAME);
    uint64_t device = sim_pb_uint(payload, PAYLOAD_DEVICE);
    struct sim_device *d = NULL;
    struct sim_account *a;
    char phone[24];

    snprintf(phone, sizeof phone, "%llu", (unsigned long long)username);
    a = sim_account_by_phone(c->sim, phone);
    if (a && device > 0 && device <= SIM_DEVICE_ID_MAX)
        d = sim_device_find(a, (uint16_t)device);
    if (!d || !bytes_equal_secret(BYTES_ARRAY(d->noise_key), BYTES_ARRAY(c->noise_key))) {
        sim_login_failure(c, "401");
        return;
    }
    attach(c, d);
    if (sim_fault_take(&c->faults, SIM_FAULT_FAILURE)) {
        refuse(c);
        return;
    }
    sim_login_success(c);
    sim_client_set_passive(c, sim_pb_uint(payload, PAYLOAD_PASSIVE) != 0);
    sim_client_faults(c);
}

static uint64_t version_of(struct bytes payload)
{
    struct bytes agent = sim_pb_bytes(payload, PAYLOAD_AGENT);

    return sim_pb_uint(sim_pb_bytes(agent, AGENT_VERSION), VERSION_TERTIARY);
}

void sim_login(struct sim_client *c, struct bytes payload)
{
    struct bytes pairing = sim_pb_bytes(payload, PAYLOAD_PAIRING);

    memcpy(c->noise_key, c->responder.client_key, sizeof c->noise_key);
    if (sim_fault_take(&c->faults, SIM_FAULT_SILENT_LOGIN))
        c->faults.left[SIM_FAULT_SILENT] = UINT32_MAX;
    else if (sim_fault_take(&c->faults, SIM_FAULT_FAILURE))
        refuse(c);
    else if (version_of(payload) < c->sim->oldest_version)
        sim_login_failure(c, "405");
    else if (pairing.n)
        offer_refs(c, pairing);
    else
        log_in(c, payload);
}

void sim_unlink(struct sim_device *d)
{
    struct sim *s = d->account->sim;
    struct wa_jid pn = sim_device_pn(d);

    if (d->client)
        sim_client_stream_error(d->client, "401", "device_removed");
    sim_note(s, "unlinked", &pn, BYTES_NONE, NULL);
    d->account->devices_changed_s = sim_now_s();
    sim_notify_devices(d, false);
    sim_device_remove(d);
}
