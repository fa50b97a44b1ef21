/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/scan.h"

#include "base/text.h"
#include "sim/gate.h"
#include "sim/login.h"
#include "sim/notify.h"
#include "sim/pb.h"
#include "sim/phone.h"
#include "wa/crypto.h"

/* ADV messages (protocol/protos.md). */
enum { HMAC_DETAILS = 1, HMAC_HMAC = 2 };
enum { SIGNED_DETAILS = 1, SIGNED_KEY = 2, SIGNED_ACCOUNT_SIG = 3, SIGNED_DEVICE_SIG = 4 };
enum {
    ADV_RAW_ID = 1,
    ADV_TIMESTAMP = 2,
    ADV_KEY_INDEX = 3,
    ADV_ACCOUNT_TYPE = 4,
    ADV_DEVICE_TYPE = 5
};
enum { PROPS_LID_MIGRATED = 1 };

#define QR_PARTS 5
#define QR_PREFIX "https://wa.me/settings/linked_devices#"
#define BLOB_MAX 1024

struct qr {
    struct bytes ref;
    uint8_t noise[WA_KEY_LEN], identity[WA_KEY_LEN], secret[WA_KEY_LEN];
};

/* ---- reading the picture ------------------------------------------------------------------------
 */

static int decode_key(struct bytes text, const char *what, uint8_t out[WA_KEY_LEN], struct err *err)
{
    struct buf AUTO_BUF raw;

    buf_init(&raw, 64);
    if (text_base64_decode(text, &raw) != 0 || raw.n != WA_KEY_LEN)
        return err_set(err, ERR_INVALID, "the QR's %s is not base64 of 32 bytes", what);
    memcpy(out, raw.p, WA_KEY_LEN);
    return 0;
}

static size_t split_commas(struct bytes text, struct bytes parts[QR_PARTS])
{
    size_t n = 0, start = 0;

    for (size_t i = 0; i <= text.n; i++) {
        if (i < text.n && text.p[i] != ',')
            continue;
        if (n < QR_PARTS)
            parts[n] = BYTES(text.p + start, i - start);
        n++;
        start = i + 1;
    }
    return n;
}

static int parse_qr(struct bytes text, struct qr *qr, struct err *err)
{
    struct bytes parts[QR_PARTS], prefix = bytes_text(QR_PREFIX);
    size_t n;
    int rc;

    if (text.n >= prefix.n && bytes_equal(BYTES(text.p, prefix.n), prefix))
        text = BYTES(text.p + prefix.n, text.n - prefix.n);
    n = split_commas(text, parts);
    if (n != QR_PARTS)
        return err_set(err, ERR_INVALID, "the QR has %zu parts instead of 5", n);
    if (parts[4].n != 1 || parts[4].p[0] == '0' || !strchr("123456789cdef", parts[4].p[0]))
        return err_set(err, ERR_INVALID, "the QR names no platform that a phone accepts");
    qr->ref = parts[0];
    rc = decode_key(parts[1], "noise key", qr->noise, err);
    if (rc == 0)
        rc = decode_key(parts[2], "identity key", qr->identity, err);
    if (rc == 0)
        rc = decode_key(parts[3], "ADV secret", qr->secret, err);
    return rc;
}

static int find_client(struct sim *s, const struct qr *qr, struct sim_client **out, struct err *err)
{
    struct sim_client *c = sim_login_find_ref(s, qr->ref);

    if (!c)
        return err_set(err, ERR_NOT_FOUND, "the QR is not on show (any more)");
    if (c->registration->scan || c->registration->gate)
        return err_set(err, ERR_STATE, "the QR is being scanned already");
    if (!bytes_equal(BYTES_ARRAY(qr->noise), BYTES_ARRAY(c->noise_key)))
        return err_set(err, ERR_AUTH, "the QR's noise key is not that of the connection");
    if (!bytes_equal(BYTES_ARRAY(qr->identity), BYTES_ARRAY(c->registration->keys.identity)))
        return err_set(err, ERR_AUTH, "the QR's identity key is not the registered one");
    *out = c;
    return 0;
}

/* ---- pair-success -------------------------------------------------------------------------------
 */

/* ADVDeviceIdentity and the account's signature over it and the companion's identity. */
static void sign_details(struct sim_scan *scan, bool wrong)
{
    struct sim_account *a = scan->account;
    struct buf AUTO_BUF details, AUTO_BUF message;
    const struct wa_keypair *key = sim_phone_identity(a->phone);

    buf_init(&details, sizeof scan->details);
    buf_init(&message, BLOB_MAX);
    sim_pb_put_uint(&details, ADV_RAW_ID, a->adv_id);
    sim_pb_put_uint(&details, ADV_TIMESTAMP, (uint64_t)sim_now_s());
    sim_pb_put_uint(&details, ADV_KEY_INDEX, scan->key_index);
    sim_pb_put_uint(&details, ADV_ACCOUNT_TYPE, 0);
    sim_pb_put_uint(&details, ADV_DEVICE_TYPE, 0);
    memcpy(scan->details, details.p, details.n);
    scan->details_len = details.n;
    buf_append(&message, BYTES("\x06\x00", 2));
    buf_append(&message, buf_bytes(&details));
    buf_append(&message, BYTES_ARRAY(scan->client->registration->keys.identity));
    wa_curve_sign(scan->account_signature, key->priv, buf_bytes(&message), &a->sim->host);
    if (wrong)
        scan->account_signature[5] ^= 1;
}

static void put_signed_identity(const struct sim_scan *scan, struct buf *out)
{
    sim_pb_put_bytes(out, SIGNED_DETAILS, BYTES(scan->details, scan->details_len));
    sim_pb_put_bytes(out, SIGNED_KEY, BYTES_ARRAY(sim_phone_identity(scan->account->phone)->pub));
    sim_pb_put_bytes(out, SIGNED_ACCOUNT_SIG, BYTES_ARRAY(scan->account_signature));
}

static void put_sealed_identity(const struct sim_scan *scan, const uint8_t secret[WA_KEY_LEN],
                                bool wrong_hmac, struct buf *out)
{
    struct buf AUTO_BUF identity;
    struct bytes part;
    uint8_t hmac[WA_SHA256_LEN];

    buf_init(&identity, BLOB_MAX);
    put_signed_identity(scan, &identity);
    part = buf_bytes(&identity);
    wa_hmac_sha256(hmac, BYTES(secret, WA_KEY_LEN), &part, 1);
    if (wrong_hmac)
        hmac[0] ^= 1;
    sim_pb_put_bytes(out, HMAC_DETAILS, part);
    sim_pb_put_bytes(out, HMAC_HMAC, BYTES_ARRAY(hmac));
}

static void put_children(struct wa_node *success, const struct sim_scan *scan, struct bytes sealed)
{
    const struct sim_account *a = scan->account;
    struct wa_jid pn = wa_jid_with_device(&a->pn, scan->device_id);
    struct wa_jid lid = wa_jid_with_device(&a->lid, scan->device_id);
    struct buf AUTO_BUF props;
    struct wa_node *child;

    buf_init(&props, 16);
    sim_pb_put_uint(&props, PROPS_LID_MIGRATED, 1);
    wa_node_child_data(success, "device-identity", sealed);
    child = wa_node_child(success, "device");
    wa_node_set_jid(child, "jid", &pn);
    wa_node_set_jid(child, "lid", &lid);
    child = wa_node_child(success, "platform");
    wa_node_set(child, "name", a->business[0] ? "smba" : "android");
    if (a->business[0]) {
        child = wa_node_child(success, "biz");
        wa_node_set_bytes(child, "name", bytes_text(a->business));
    }
    wa_node_child_data(success, "client-props", buf_bytes(&props));
}

/* The fault was given to the connection or to the phone. */
static bool strikes(const struct sim_scan *scan, enum sim_fault f)
{
    return sim_fault_take(&scan->client->faults, f) ||
           sim_fault_take(&scan->account->devices->faults, f);
}

static void send_pair_success(struct sim_scan *scan, const uint8_t secret[WA_KEY_LEN])
{
    struct sim_client *c = scan->client;
    struct wa_jid server = wa_jid_make(WA_SERVER_PN, "", 0);
    struct wa_node *iq = wa_node_new(&c->arena, "iq");
    struct buf AUTO_BUF sealed;

    buf_init(&sealed, BLOB_MAX);
    sign_details(scan, strikes(scan, SIM_FAULT_WRONG_ADV_SIGNATURE));
    put_sealed_identity(scan, secret, strikes(scan, SIM_FAULT_WRONG_ADV_HMAC), &sealed);
    wa_node_set_jid(iq, "from", &server);
    wa_node_set(iq, "type", "set");
    wa_node_set(iq, "id", sim_stanza_id(c->sim, scan->iq_id));
    wa_node_set(iq, "xmlns", "md");
    wa_node_set_u64(iq, "t", (uint64_t)sim_now_s());
    put_children(wa_node_child(iq, "pair-success"), scan, buf_bytes(&sealed));
    sim_client_send(c, iq);
}

int sim_scan_vouch(struct sim_account *a, struct sim_client *c, const uint8_t secret[WA_KEY_LEN],
                   struct sim_scan **out, struct err *err)
{
    struct sim_scan *scan;

    if (a->last_device_id >= SIM_DEVICE_ID_MAX)
        return err_set(err, ERR_LIMIT, "no device number is left; make another account");
    scan = err_calloc(1, sizeof *scan);
    scan->account = a;
    scan->client = c;
    scan->device_id = ++a->last_device_id;
    scan->key_index = ++a->last_key_index;
    c->registration->scan = scan;
    send_pair_success(scan, secret);
    *out = scan;
    return 0;
}

int sim_scan_begin(struct sim_account *a, struct bytes text, struct sim_scan **out, struct err *err)
{
    struct qr qr = {.ref = BYTES_NONE};
    struct sim_client *c = NULL;
    int rc = parse_qr(text, &qr, err);

    *out = NULL;
    if (rc == 0)
        rc = find_client(a->sim, &qr, &c, err);
    if (rc != 0)
        return rc;
    if (!a->gate.on)
        return sim_scan_vouch(a, c, qr.secret, out, err);
    sim_gate_open(a, c, qr.secret);
    return 0;
}

/* Nobody has seen the number but the companion that did not want it. */
static void give_number_back(const struct sim_scan *scan)
{
    if (scan->account->last_device_id == scan->device_id)
        scan->account->last_device_id--;
}

void sim_scan_free(struct sim_scan *scan)
{
    if (!scan)
        return;
    if (scan->client) {
        scan->client->registration->scan = NULL;
        give_number_back(scan);
    }
    free(scan);
}

/* ---- the answer ---------------------------------------------------------------------------------
 */

static void decide(struct sim_scan *scan)
{
    scan->client->registration->scan = NULL;
    scan->client = NULL;
    if (scan->err.code != 0)
        give_number_back(scan);
    scan->account->sim->activity++;
}

void sim_scan_gone(struct sim_scan *scan)
{
    err_set(&scan->err, ERR_PROTOCOL, "the companion closed the connection");
    decide(scan);
}

static int verify_answer(const struct sim_scan *scan, const struct wa_node *iq,
                         struct bytes *signature, struct err *err)
{
    const struct wa_node *sign = wa_node_find(iq, "pair-device-sign");
    const struct wa_node *node = wa_node_find(sign, "device-identity");
    const uint8_t *identity = scan->client->registration->keys.identity;
    struct bytes blob = wa_node_data(node);
    struct buf AUTO_BUF message;
    uint64_t key_index;

    buf_init(&message, BLOB_MAX);
    if (!wa_node_attr_u64(node, "key-index", &key_index) || key_index != scan->key_index)
        return err_set(err, ERR_PROTOCOL, "pair-device-sign has no or a wrong key-index");
    if (!bytes_equal(sim_pb_bytes(blob, SIGNED_DETAILS), BYTES(scan->details, scan->details_len)))
        return err_set(err, ERR_PROTOCOL, "pair-device-sign has other details than were signed");
    if (!bytes_equal(sim_pb_bytes(blob, SIGNED_ACCOUNT_SIG), BYTES_ARRAY(scan->account_signature)))
        return err_set(err, ERR_PROTOCOL, "pair-device-sign has another account signature");
    *signature = sim_pb_bytes(blob, SIGNED_DEVICE_SIG);
    buf_append(&message, BYTES("\x06\x01", 2));
    buf_append(&message, BYTES(scan->details, scan->details_len));
    buf_append(&message, BYTES(identity, WA_KEY_LEN));
    buf_append(&message, BYTES_ARRAY(sim_phone_identity(scan->account->phone)->pub));
    if (wa_curve_verify(BYTES(identity, WA_KEY_LEN), buf_bytes(&message), *signature) != 0)
        return err_set(err, ERR_AUTH, "the companion's device signature does not verify");
    return 0;
}

/* The registration's keys become the device's; its identity blob gets all four fields. */
static struct sim_device *add_device(struct sim_scan *scan, struct bytes device_signature)
{
    struct sim_device *d = sim_device_add(scan->account, scan->device_id);
    struct sim_bundle_keys *keys = &scan->client->registration->keys;
    struct buf AUTO_BUF blob;

    buf_init(&blob, sizeof d->identity);
    put_signed_identity(scan, &blob);
    sim_pb_put_bytes(&blob, SIGNED_DEVICE_SIG, device_signature);
    memcpy(d->identity, blob.p, blob.n);
    d->identity_len = blob.n;
    d->key_index = scan->key_index;
    memcpy(d->noise_key, scan->client->noise_key, sizeof d->noise_key);
    d->keys = *keys;
    d->keys.first = NULL;
    d->keys.end = &d->keys.first;
    d->keys.count = 0;
    scan->account->devices_changed_s = sim_now_s();
    return d;
}

void sim_scan_answer(struct sim_scan *scan, const struct wa_node *iq)
{
    struct sim_client *c = scan->client;
    const struct wa_node *error = wa_node_find(iq, "error");
    struct bytes signature = BYTES_NONE, text = wa_node_attr(error, "text");
    struct sim_device *d;
    struct wa_jid pn;

    if (!wa_node_attr_is(iq, "type", "result"))
        err_set(&scan->err, ERR_AUTH, "the companion refused: %.*s", (int)(text.n & 0xff),
                text.n ? (const char *)text.p : "");
    else
        verify_answer(scan, iq, &signature, &scan->err);
    if (scan->err.code != 0) {
        decide(scan);
        sim_client_end(c, "pairing failed");
        return;
    }
    d = scan->device = add_device(scan, signature);
    pn = sim_device_pn(d);
    decide(scan);
    sim_note(c->sim, "paired", &pn, BYTES_NONE, NULL);
    sim_client_stream_error(c, "515", NULL); /* the scan of a typed code goes with the client */
    sim_notify_devices(d, true);
}
