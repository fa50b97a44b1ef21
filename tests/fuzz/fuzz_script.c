/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A session online, and the input as a list of steps: stanzas built from the protocol's own words,
 * answers to what was asked, messages of a contact that really decrypt, time that passes, a store
 * that fails, and our own sends in between.
 */
#include "fuzz.h"
#include "fuzz_session.h"
#include "wa/crypto.h"

#define CHILDREN_MAX 4
#define DEPTH_MAX 4
#define ASKED_MAX 8 /* last requests of the session that can still be answered */
#define STEPS_MAX 64

struct script {
    struct line line;
    struct line_peer peer;
    bool met;
    struct reader in;
    const struct wa_node *sent; /* the last <message>, NULL: none */
    const struct wa_node *asked[ASKED_MAX];
    size_t asked_count;
};

/* ---- words -------------------------------------------------------------------------------------
 */

static const char *const tags[] = {"message",
                                   "receipt",
                                   "ack",
                                   "iq",
                                   "notification",
                                   "call",
                                   "ib",
                                   "success",
                                   "failure",
                                   "stream:error",
                                   "enc",
                                   "participants",
                                   "to",
                                   "list",
                                   "item",
                                   "user",
                                   "usync",
                                   "devices",
                                   "device-list",
                                   "device",
                                   "key-index-list",
                                   "keys",
                                   "key",
                                   "skey",
                                   "id",
                                   "value",
                                   "signature",
                                   "identity",
                                   "registration",
                                   "type",
                                   "error",
                                   "retry",
                                   "offline",
                                   "offline_preview",
                                   "dirty",
                                   "count",
                                   "pair-device",
                                   "pair-success",
                                   "ref",
                                   "ping",
                                   "conflict",
                                   "unavailable",
                                   "group",
                                   "participant",
                                   "privacy",
                                   "tokens",
                                   "token",
                                   "device-identity",
                                   "edge_routing",
                                   "presence",
                                   "chatstate",
                                   "xmlstreamend",
                                   "offer",
                                   "offer_notice",
                                   "terminate",
                                   "video",
                                   "update",
                                   "modify",
                                   "remove",
                                   "add",
                                   "digest",
                                   "client_expiration",
                                   "downgrade_webclient",
                                   "xml-not-well-formed",
                                   "group_info",
                                   "rotate",
                                   "meta"};

static const char *const keys[] = {"id",
                                   "from",
                                   "to",
                                   "type",
                                   "t",
                                   "participant",
                                   "recipient",
                                   "category",
                                   "offline",
                                   "notify",
                                   "sender_pn",
                                   "sender_lid",
                                   "participant_pn",
                                   "participant_lid",
                                   "peer_recipient_pn",
                                   "recipient_lid",
                                   "count",
                                   "value",
                                   "jid",
                                   "lid",
                                   "key-index",
                                   "code",
                                   "reason",
                                   "class",
                                   "error",
                                   "phash",
                                   "v",
                                   "xmlns",
                                   "addressing_mode",
                                   "mode",
                                   "state",
                                   "expire",
                                   "timestamp",
                                   "call-id",
                                   "call-creator",
                                   "caller_pn",
                                   "caller_lid",
                                   "group-jid",
                                   "old",
                                   "new",
                                   "new_lid",
                                   "op_name",
                                   "device_hash",
                                   "message",
                                   "logout_message_subtext",
                                   "display_name"};

static const char *const values[] = {"3A01",
                                     "3EB000",
                                     "1",
                                     "2",
                                     "4",
                                     "5",
                                     "0",
                                     "12",
                                     "99",
                                     "515",
                                     "503",
                                     "401",
                                     "1780000000",
                                     "18446744073709551615",
                                     "set",
                                     "get",
                                     "result",
                                     "error",
                                     "retry",
                                     "read",
                                     "played",
                                     "inactive",
                                     "peer",
                                     "encrypt",
                                     "w:gp2",
                                     "account_sync",
                                     "privacy_token",
                                     "server_sync",
                                     "msg",
                                     "pkmsg",
                                     "skmsg",
                                     "md",
                                     "urn:xmpp:ping",
                                     "lid",
                                     "pn",
                                     "device_removed",
                                     "replaced",
                                     "account_sync",
                                     "Ann",
                                     "-",
                                     "text",
                                     "media",
                                     "medianotify",
                                     "companion_reg_refresh",
                                     "business",
                                     "contacts",
                                     "devices",
                                     "mediaretry",
                                     "mex",
                                     "newsletter",
                                     "picture",
                                     "status",
                                     "link_code_companion_reg",
                                     "402",
                                     "101",
                                     "3600",
                                     "\xff\xfe",
                                     "view_once",
                                     "1780000003",
                                     "hello"};

static const char *const errors[] = {"400", "403", "404", "406", "408", "421", "429",
                                     "463", "475", "479", "487", "500", "503"};

static const char *const jids[] = {"s.whatsapp.net",
                                   "5511987654321@s.whatsapp.net",
                                   LINE_OWN_PN,
                                   "123456789012345@lid",
                                   LINE_OWN_LID,
                                   "222222222222222@lid",
                                   "222222222222222:7@lid",
                                   "4915112345678@s.whatsapp.net",
                                   "120363000000000001@g.us",
                                   "status@broadcast",
                                   "1@broadcast",
                                   "49151@newsletter",
                                   "0@s.whatsapp.net",
                                   "4915112345678:99@hosted",
                                   "g.us"};

#define PICK(s, table) (table)[fuzz_byte(&(s)->in) % ARRAY_LEN(table)]

static struct wa_jid pick_jid(struct script *s)
{
    struct wa_jid jid;
    fuzz_require(wa_jid_parse(&jid, bytes_text(PICK(s, jids))) == 0);
    return jid;
}

/* ---- stanzas -----------------------------------------------------------------------------------
 */

static void add_attr(struct script *s, struct wa_node *node)
{
    const char *key = PICK(s, keys);
    uint8_t form = fuzz_byte(&s->in);
    struct wa_jid jid;
    if (form < 96) {
        jid = pick_jid(s);
        wa_node_set_jid(node, key, &jid);
    } else if (form < 224)
        wa_node_set(node, key, PICK(s, values));
    else
        wa_node_set_bytes(node, key, fuzz_piece(&s->in));
}

static void fill(struct script *s, struct wa_node *node, int depth)
{
    uint8_t shape = fuzz_byte(&s->in);
    for (int i = 0; i < (shape & 7); i++)
        add_attr(s, node);
    if (shape & 0x80)
        wa_node_set_data(node, fuzz_piece(&s->in));
    for (int i = 0; i < ((shape >> 3) & 3) && depth < DEPTH_MAX && !(shape & 0x80); i++)
        fill(s, wa_node_child(node, PICK(s, tags)), depth + 1);
}

static void say_stanza(struct script *s)
{
    struct wa_node *node = line_stanza(&s->line, PICK(s, tags));
    fill(s, node, 0);
    line_say(&s->line, node);
}

static void say_answer(struct script *s)
{
    struct wa_node *iq = line_stanza(&s->line, "iq");
    size_t i = fuzz_byte(&s->in);
    fill(s, iq, 0);
    wa_node_set(iq, "type", i & 0x80 ? "error" : "result");
    if (s->asked_count > 0)
        wa_node_copy_attr(iq, s->asked[i % s->asked_count], "id");
    line_say(&s->line, iq);
}

/* The JSON of limits, with anything in it. */
static void say_limit(struct script *s)
{
    static const char *const before[] = {
        "{\"data\":{\"xwa2_notify_account_reachout_timelock\":",
        "{\"data\":{\"xwa2_notify_account_reachout_timelock\":{\"is_active\":true,"
        "\"time_enforcement_ends\":",
        "{\"data\":{\"xwa2_notify_new_chat_messages_capping_info_update\":{\"capping_status\":"
        "\"CAPPED\",\"cycle_end_timestamp\":",
    };
    struct buf text = {.max = 1 << 20};
    struct wa_node *node = line_stanza(&s->line, "notification");
    struct wa_jid from = pick_jid(s);
    buf_append_text(&text, PICK(s, before));
    buf_append(&text, fuzz_piece(&s->in));
    buf_append_text(&text, "}}}");
    wa_node_set(node, "id", PICK(s, values));
    wa_node_set(node, "type", "mex");
    wa_node_set_jid(node, "from", &from);
    wa_node_child_data(node, "update", buf_bytes(&text));
    line_say(&s->line, node);
    buf_deinit(&text);
}

/* ---- answers that fit, so that sends get as far as their acks ----------------------------------
 */

static void spoil(struct script *s, struct wa_node *node)
{
    uint8_t how = fuzz_byte(&s->in);
    if (how & 0x80)
        add_attr(s, node);
    if ((how & 0x60) == 0x60)
        fill(s, wa_node_child(node, PICK(s, tags)), DEPTH_MAX);
}

static void fit_devices(struct script *s, const struct wa_node *asked, struct wa_node *iq)
{
    struct wa_node *list = wa_node_child(wa_node_child(iq, "usync"), "list");
    const struct wa_node *u =
        wa_node_find(wa_node_find(wa_node_find(asked, "usync"), "list"), "user");
    for (; u; u = wa_node_next(u, "user")) {
        struct wa_node *user = wa_node_child(list, "user");
        wa_node_copy_attr(user, u, "jid");
        struct wa_node *devices = wa_node_child(user, "devices");
        struct wa_node *inner = wa_node_child(devices, "device-list");
        wa_node_set(wa_node_child(inner, "device"), "id", "0");
        for (int i = fuzz_byte(&s->in) & 3; i > 0; i--) {
            struct wa_node *device = wa_node_child(inner, "device");
            wa_node_set(device, "id", PICK(s, values));
            add_attr(s, device);
        }
        spoil(s, devices);
    }
}

static void put_key(struct wa_node *parent, const char *tag, uint32_t id, const uint8_t *key)
{
    struct wa_node *node = wa_node_child(parent, tag);
    wa_node_child_be(node, "id", 3, id);
    wa_node_child_data(node, "value", BYTES(key, WA_KEY_LEN));
}

/* The contact's keys serve for whoever is asked for. */
static void put_bundle(struct script *s, struct wa_node *user)
{
    const struct wa_device *d = &s->peer.device;
    const uint8_t type = 5;
    wa_node_child_be(user, "registration", 4, d->registration_id);
    struct wa_node *bundle = wa_node_is(user, "receipt") ? wa_node_child(user, "keys") : user;
    wa_node_child_data(bundle, "type", BYTES(&type, 1));
    wa_node_child_data(bundle, "identity", BYTES_ARRAY(d->identity.pub));
    put_key(bundle, "skey", d->signed_prekey.id, d->signed_prekey.key.pub);
    wa_node_child_data((struct wa_node *)(uintptr_t)wa_node_find(bundle, "skey"), "signature",
                       BYTES_ARRAY(d->signed_prekey.signature));
}

static void fit_bundles(struct script *s, const struct wa_node *asked, struct wa_node *iq)
{
    struct wa_node *list = wa_node_child(iq, "list");
    const struct wa_node *u = wa_node_find(wa_node_find(asked, "key"), "user");
    for (; u; u = wa_node_next(u, "user")) {
        struct wa_node *user = wa_node_child(list, "user");
        wa_node_copy_attr(user, u, "jid");
        if (fuzz_byte(&s->in) & 3)
            put_bundle(s, user);
        else
            wa_node_set(wa_node_child(user, "error"), "code", "406");
        spoil(s, user);
    }
}

static void fit_group(struct script *s, const struct wa_node *asked, struct wa_node *iq)
{
    struct wa_node *group = wa_node_child(iq, "group");
    struct wa_jid to;
    if (wa_node_attr_jid(asked, "to", &to))
        wa_node_set(group, "id", to.user);
    wa_node_set(group, "addressing_mode", fuzz_byte(&s->in) & 1 ? "pn" : "lid");
    for (int i = fuzz_byte(&s->in) & 7; i >= 0; i--) {
        struct wa_node *p = wa_node_child(group, "participant");
        struct wa_jid jid = pick_jid(s);
        wa_node_set_jid(p, "jid", &jid);
        add_attr(s, p);
    }
    spoil(s, group);
}

static void meet(struct script *s)
{
    if (!s->met)
        line_meet(&s->line, &s->peer);
    s->met = true;
}

static void say_fitting(struct script *s)
{
    struct wa_node *iq = line_stanza(&s->line, "iq");
    if (s->asked_count == 0)
        return;
    const struct wa_node *asked = s->asked[fuzz_byte(&s->in) % s->asked_count];
    meet(s);
    wa_node_set(iq, "type", "result");
    wa_node_copy_attr(iq, asked, "id");
    if (wa_node_find(asked, "usync"))
        fit_devices(s, asked, iq);
    else if (wa_node_find(asked, "key"))
        fit_bundles(s, asked, iq);
    else if (wa_node_attr_is(asked, "xmlns", "w:g2"))
        fit_group(s, asked, iq);
    else if (wa_node_find(asked, "count"))
        wa_node_set(wa_node_child(iq, "count"), "value", PICK(s, values));
    else
        spoil(s, iq);
    line_say(&s->line, iq);
}

static void say_ack(struct script *s)
{
    struct wa_node *ack = line_stanza(&s->line, "ack");
    uint8_t form = fuzz_byte(&s->in);
    if (!s->sent)
        return;
    wa_node_set(ack, "class", "message");
    wa_node_copy_attr(ack, s->sent, "id");
    if (form & 1)
        wa_node_set(ack, "error", PICK(s, errors));
    if (form & 2)
        wa_node_set(ack, "phash", PICK(s, values));
    if (form & 4)
        add_attr(s, ack);
    line_say(&s->line, ack);
}

/* A device that got the last message wants it again, or tells what became of it. */
static void say_receipt(struct script *s)
{
    struct wa_node *receipt = line_stanza(&s->line, "receipt");
    uint8_t form = fuzz_byte(&s->in);
    struct wa_jid to = s->peer.lid, participant = pick_jid(s);
    if (!s->sent)
        return;
    meet(s);
    wa_node_copy_attr(receipt, s->sent, "id");
    if (form & 1)
        wa_node_attr_jid(s->sent, "to", &to);
    wa_node_set_jid(receipt, "from", &to);
    if (form & 2)
        wa_node_set_jid(receipt, "participant", &participant);
    if (form & 4) {
        wa_node_set(receipt, "type", "retry");
        struct wa_node *retry = wa_node_child(receipt, "retry");
        wa_node_copy_attr(retry, s->sent, "id");
        wa_node_set(retry, "count", PICK(s, values));
        if (form & 8)
            put_bundle(s, receipt);
    }
    if (form & 16)
        fill(s, wa_node_child(receipt, "participants"), 0);
    spoil(s, receipt);
    line_say(&s->line, receipt);
}

static void say_plain(struct script *s)
{
    line_say_plain(&s->line, fuzz_piece(&s->in));
}

/* The contact writes any Message, under any name that the server gives it. */
static void say_message(struct script *s)
{
    uint8_t form = fuzz_byte(&s->in);
    meet(s);
    struct wa_node *node = line_message(&s->line, &s->peer, PICK(s, values), fuzz_piece(&s->in));
    struct wa_jid from = form & 1 ? pick_jid(s) : s->peer.lid, participant = pick_jid(s);
    wa_node_set_jid(node, "from", &from);
    if (form & 2)
        wa_node_set_jid(node, "participant", form & 4 ? &s->peer.lid : &participant);
    for (int i = 0; i < ((form >> 4) & 3); i++)
        add_attr(s, node);
    line_say(&s->line, node);
}

/* ---- edits that are sealed, and open ------------------------------------------------------------
 */

#define EDITED "3AED17"
#define NUMBER_SECRET 282 /* tags of length-delimited fields: 35, 82, and those inside */
#define NUMBER_SEALED 658
#define SECRET_BYTE 7

static void put_varint(struct buf *out, size_t v)
{
    for (; v > 127; v >>= 7)
        buf_append_u8(out, (uint8_t)(v | 128));
    buf_append_u8(out, (uint8_t)v);
}

static void put_field(struct buf *out, size_t tag, struct bytes value)
{
    put_varint(out, tag);
    put_varint(out, value.n);
    buf_append(out, value);
}

static void say_of_peer(struct script *s, const char *id, struct bytes message)
{
    struct wa_node *node = line_message(&s->line, &s->peer, id, message);
    wa_node_set_jid(node, "from", &s->peer.lid);
    line_say(&s->line, node);
}

static void seal(struct script *s, struct bytes plain, struct buf *out)
{
    char name[WA_JID_TEXT_SIZE];
    uint8_t secret[32], key[32], iv[12] = {0};
    AUTO_BUF struct buf info = {.max = 512};
    wa_jid_text(&s->peer.lid, name);
    memset(secret, SECRET_BYTE, sizeof(secret));
    buf_printf(&info, EDITED "%s%sMessage Edit", name, name);
    wa_hkdf_sha256(key, 32, BYTES_ARRAY(secret), BYTES_NONE, buf_bytes(&info));
    wa_gcm_seal(out, key, iv, BYTES_NONE, plain);
}

/* A message with a secret, and any Message as an edit of it. */
static void say_sealed(struct script *s)
{
    uint8_t secret[32], iv[12] = {0};
    AUTO_BUF struct buf context = {.max = 64}, original = {.max = 128}, target = {.max = 16},
                        payload = {.max = 1 << 17}, sealed = {.max = 1 << 17},
                        edit = {.max = 1 << 18};
    memset(secret, SECRET_BYTE, sizeof(secret));
    meet(s);
    put_field(&context, 26, BYTES_ARRAY(secret));
    put_field(&original, 10, bytes_text("first"));
    put_field(&original, NUMBER_SECRET, buf_bytes(&context));
    say_of_peer(s, EDITED, buf_bytes(&original));
    seal(s, fuzz_piece(&s->in), &payload);
    put_field(&target, 26, bytes_text(EDITED));
    put_field(&sealed, 10, buf_bytes(&target));
    put_field(&sealed, 18, buf_bytes(&payload));
    put_field(&sealed, 26, BYTES_ARRAY(iv));
    buf_append(&sealed, BYTES("\x20\x02", 2));
    put_field(&edit, NUMBER_SEALED, buf_bytes(&sealed));
    say_of_peer(s, "3AED18", buf_bytes(&edit));
}

/* ---- our side, and the world -------------------------------------------------------------------
 */

static void send_text(struct script *s)
{
    struct wa_outgoing m = {.id = PICK(s, values), .to = pick_jid(s)};
    m.text.text = bytes_text(PICK(s, values));
    wa_session_send(s->line.session, &m);
}

static void say_small(struct script *s)
{
    struct wa_jid chat = pick_jid(s), sender = pick_jid(s);
    wa_session_typing(s->line.session, &chat, fuzz_byte(&s->in) & 1);
    wa_session_mark_read(s->line.session, &chat, &sender, bytes_text(PICK(s, values)));
}

static void log_out(struct script *s)
{
    wa_session_logout(s->line.session);
}

static void pass_time(struct script *s)
{
    static const int64_t steps[] = {1, 100, 1500, 3000, 20000, 60000, 75000, 3600000};
    s->line.mem.now_ms += PICK(s, steps);
}

static void wait_deadline(struct script *s)
{
    int64_t at = wa_session_deadline(s->line.session);
    if (at < LINE_NOW_MS * 2 && at > s->line.mem.now_ms)
        s->line.mem.now_ms = at;
}

static void fail_store(struct script *s)
{
    uint8_t when = fuzz_byte(&s->in);
    s->line.mem.fail_put = when & 1 ? when >> 1 : 0;
    s->line.mem.fail_get = when & 1 ? 0 : when >> 1;
}

/* tests/fuzz/seed.c counts on the first five, on send_text and on say_sealed. */
static void (*const steps[])(struct script *s) = {
    say_fitting, say_fitting, say_fitting,   say_ack,     say_receipt, say_stanza, say_stanza,
    say_answer,  say_answer,  say_message,   say_message, say_plain,   say_limit,  send_text,
    send_text,   pass_time,   wait_deadline, fail_store,  say_small,   log_out,    say_sealed};

static void remember_asked(struct script *s)
{
    struct wa_node *node;
    while ((node = line_hear(&s->line)))
        if (wa_node_is(node, "iq"))
            s->asked[s->asked_count++ % ASKED_MAX] = node;
        else if (wa_node_is(node, "message"))
            s->sent = node;
    if (s->asked_count > ASKED_MAX)
        s->asked_count = ASKED_MAX;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct script s = {.in = reader_init(BYTES(data, size))};
    line_open(&s.line, true);
    line_login(&s.line);
    for (int i = 0; i < STEPS_MAX && reader_left(&s.in) > 0; i++) {
        PICK(&s, steps)(&s);
        bool open = fuzz_session_drain(&s.line);
        remember_asked(&s);
        if (!open)
            break;
    }
    if (s.met)
        line_part(&s.peer);
    line_close(&s.line);
    return 0;
}
