/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wa_line.h"

#include "base/err.h"
#include "testing.h"
#include "wa/crypto.h"
#include "wa/frame.h"
#include "wa/prekeys.h"

#define FRAME_MAX (5u << 20)

/* What every line needs of the vectors; decoded once, since a fuzzer opens a line for each input.
 */
static struct {
    struct bytes root, ephemeral, server_hello, to_client_key, from_client_key;
    struct wa_device device;
} facts;

static void load_keypair(struct wa_keypair *out, json_t *keys, const char *name)
{
    json_t *pair = json_object_get(keys, name);
    memcpy(out->priv, testing_hex(pair, "private").p, WA_KEY_LEN);
    memcpy(out->pub, testing_hex(pair, "public").p, WA_KEY_LEN);
}

static void sign_prekey(struct wa_device *d, const struct wa_host *host)
{
    uint8_t typed[WA_KEY_LEN + 1] = {5};
    memcpy(typed + 1, d->signed_prekey.key.pub, WA_KEY_LEN);
    wa_curve_sign(d->signed_prekey.signature, d->identity.priv, BYTES_ARRAY(typed), host);
}

static void load_facts(const struct wa_host *host)
{
    json_t *noise = testing_vectors("noise-xx.json"), *keys = json_object_get(noise, "keys");
    json_t *xx = json_object_get(noise, "xx"), *transport = json_object_get(xx, "transport");
    facts.root = testing_hex(json_object_get(keys, "test_root_ca"), "public");
    facts.ephemeral = testing_hex(json_object_get(keys, "client_ephemeral"), "private");
    facts.server_hello = testing_hex(xx, "server_hello_on_wire");
    facts.to_client_key = testing_hex(transport, "server_to_client_key");
    facts.from_client_key = testing_hex(transport, "client_to_server_key");
    wa_device_generate(&facts.device, host);
    load_keypair(&facts.device.noise, keys, "client_static");
    load_keypair(&facts.device.identity, keys, "client_identity");
    sign_prekey(&facts.device, host);
}

static void link_device(struct wa_device *d)
{
    json_t *adv = testing_vectors("adv-pairing.json");
    struct bytes account =
        testing_hex(json_array_get(json_object_get(adv, "cases"), 0), "stored_account");
    ck_assert_int_eq(wa_jid_parse(&d->pn, bytes_text(LINE_OWN_PN)), 0);
    ck_assert_int_eq(wa_jid_parse(&d->lid, bytes_text(LINE_OWN_LID)), 0);
    memcpy(d->account, account.p, account.n);
    d->account_len = account.n;
    d->prekeys_uploaded = true;
}

static void drop_sent(struct line *l)
{
    struct bytes payload;
    size_t used;
    struct buf *out = wa_session_output(l->session);
    while (wa_frame_next(buf_bytes(out), WA_FRAME_MAX, &payload, &used) == 1)
        buf_drop_front(out, used);
}

static void open_line(struct line *l, bool linked, const char *field, struct bytes value)
{
    struct err err = {0};
    struct wa_event ev;
    *l = (struct line){.config = {.version = WA_VERSION_DEFAULT, .device_label = "test"}};
    fake_host_init(&l->mem);
    l->mem.now_ms = LINE_NOW_MS;
    if (!facts.root.p)
        load_facts(&l->mem.host);
    memcpy(l->config.noise_root, facts.root.p, WA_KEY_LEN);
    l->device = facts.device;
    if (linked)
        link_device(&l->device);
    ck_assert_int_eq(wa_device_save(&l->device, &l->mem.host), 0);
    if (field)
        fake_host_put(&l->mem, WA_TABLE_DEVICE, field, value);
    fake_host_script(&l->mem, facts.ephemeral);
    ck_assert_int_eq(wa_session_open(&l->session, &l->config, &l->mem.host, &err), 0);
    wa_session_feed(l->session, facts.server_hello);
    ck_assert_int_eq(wa_session_next(l->session, &ev), 0);
    memcpy(l->to_client.key, facts.to_client_key.p, sizeof(l->to_client.key));
    memcpy(l->from_client.key, facts.from_client_key.p, sizeof(l->from_client.key));
    buf_drop_front(wa_session_output(l->session), WA_NOISE_PROLOGUE_LEN);
    drop_sent(l);
}

void line_open(struct line *l, bool linked)
{
    open_line(l, linked, NULL, BYTES_NONE);
}

void line_open_with(struct line *l, const char *field, struct bytes value)
{
    open_line(l, true, field, value);
}

void line_close(struct line *l)
{
    wa_session_close(l->session);
    arena_deinit(&l->arena);
    fake_host_deinit(&l->mem);
}

void line_login(struct line *l)
{
    struct wa_event ev;
    struct wa_node *success = line_stanza(l, "success");
    wa_node_set(success, "t", "1780000000");
    ck_assert(line_say(l, success));
    ck_assert_int_eq(wa_session_next(l->session, &ev), 1);
    ck_assert_int_eq((int)ev.type, WA_EVENT_CONNECTED);
    line_forget_output(l);
}

void line_say_plain(struct line *l, struct bytes stanza)
{
    struct buf frame = {.max = FRAME_MAX};
    ck_assert_int_eq(wa_frame_begin(&frame, stanza.n + WA_GCM_TAG_LEN), 0);
    ck_assert_int_eq(wa_cipher_seal(&l->to_client, stanza, &frame), 0);
    wa_session_feed(l->session, buf_bytes(&frame));
    buf_deinit(&frame);
}

bool line_say(struct line *l, const struct wa_node *node)
{
    struct buf stanza = {.max = FRAME_MAX};
    int rc = wa_node_encode(node, &stanza);
    if (rc == 0)
        line_say_plain(l, buf_bytes(&stanza));
    buf_deinit(&stanza);
    return rc == 0;
}

struct wa_node *line_stanza(struct line *l, const char *tag)
{
    return wa_node_new(&l->arena, tag);
}

struct wa_node *line_hear(struct line *l)
{
    struct buf *out = wa_session_output(l->session), plain = {.max = WA_FRAME_MAX};
    struct bytes payload;
    size_t used;
    struct wa_node *node;
    if (wa_frame_next(buf_bytes(out), WA_FRAME_MAX, &payload, &used) != 1)
        return NULL;
    ck_assert_int_eq(wa_cipher_open(&l->from_client, payload, &plain), 0);
    ck_assert_int_eq(wa_node_decode(&l->arena, buf_bytes(&plain), &node), 0);
    buf_drop_front(out, used);
    buf_deinit(&plain);
    return node;
}

void line_forget_output(struct line *l)
{
    while (line_hear(l))
        continue;
}

/* ---- a contact ---------------------------------------------------------------------------------
 */

void line_meet(struct line *l, struct line_peer *p)
{
    struct wa_bundle b = {.registration_id = l->device.registration_id,
                          .signed_prekey_id = l->device.signed_prekey.id};
    *p = (struct line_peer){.lid = wa_jid_make(WA_SERVER_LID, "222222222222222", 0),
                            .pn = wa_jid_make(WA_SERVER_PN, "4915112345678", 0),
                            .us = l->device.lid};
    fake_host_init(&p->mem);
    p->mem.counter = 77;
    wa_device_generate(&p->device, &p->mem.host);
    p->signal = wa_signal_open(&p->device, &p->mem.host);
    memcpy(b.identity, l->device.identity.pub, WA_KEY_LEN);
    memcpy(b.signed_prekey, l->device.signed_prekey.key.pub, WA_KEY_LEN);
    memcpy(b.signed_prekey_signature, l->device.signed_prekey.signature, WA_SIGNATURE_LEN);
    ck_assert_int_eq(wa_signal_process_bundle(p->signal, &p->us, &b), 0);
}

void line_part(struct line_peer *p)
{
    wa_signal_close(p->signal);
    fake_host_deinit(&p->mem);
}

struct wa_node *line_message(struct line *l, struct line_peer *p, const char *id,
                             struct bytes message)
{
    struct buf padded = {.max = FRAME_MAX}, sealed = {.max = FRAME_MAX};
    enum wa_enc_type type;
    ck_assert_int_eq(wa_padding_add(&padded, message, 5), 0);
    ck_assert_int_eq(wa_signal_encrypt(p->signal, &p->us, buf_bytes(&padded), &type, &sealed), 0);
    struct wa_node *node = line_stanza(l, "message");
    wa_node_set(node, "id", id);
    wa_node_set(node, "t", "1780000001");
    wa_node_set(node, "type", "text");
    struct wa_node *enc = wa_node_child_data(node, "enc", buf_bytes(&sealed));
    wa_node_set(enc, "v", "2");
    wa_node_set(enc, "type", wa_enc_text(type));
    buf_deinit(&padded);
    buf_deinit(&sealed);
    return node;
}
