/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wa/cert.h"

#include "wa/pb.h"
#include "wa/proto/transport.pb-c.h"

#define ROOT_SERIAL 0

const uint8_t wa_cert_root[WA_KEY_LEN] = {
    0x14, 0x23, 0x75, 0x57, 0x4d, 0x0a, 0x58, 0x71, 0x66, 0xaa, 0xe7, 0x1e, 0xbe, 0x51, 0x64, 0x37,
    0xc4, 0xa2, 0x8b, 0x73, 0xe3, 0x69, 0x5c, 0x6c, 0xe1, 0xf7, 0xf9, 0x54, 0x5d, 0xa8, 0xee, 0x6b,
};

/* One certificate of the chain; bytes are borrowed from the unpacked messages. */
struct certificate {
    const char *name;
    struct bytes details, signature; /* as received: what was signed, by the issuer's key */
    Wa__CertChain__NoiseCertificate__Details *fields;
};

/* Check 1. */
static int read_certificate(struct certificate *c, const Wa__CertChain__NoiseCertificate *in,
                            const char *name, struct err *err)
{
    c->name = name;
    if (!in || !in->has_details || in->details.len == 0 || !in->has_signature ||
        in->signature.len != WA_SIGNATURE_LEN)
        return err_set(err, ERR_INVALID, "the server's %s certificate is missing", name);
    c->details = wa_pb_bytes(in->details);
    c->signature = wa_pb_bytes(in->signature);
    c->fields = wa_pb_unpack(&wa__cert_chain__noise_certificate__details__descriptor, c->details);
    if (!c->fields)
        return err_set(err, ERR_INVALID, "the server's %s certificate cannot be read", name);
    return 0;
}

/* Checks 2, 3 and 5, 6. */
static int check_issuer(const struct certificate *c, struct bytes issuer_key,
                        uint32_t issuer_serial, struct err *err)
{
    if (wa_curve_verify(issuer_key, c->details, c->signature))
        return err_set(err, ERR_AUTH,
                       "the server's %s certificate is not signed by whom it should be", c->name);
    if (c->fields->issuer_serial != issuer_serial)
        return err_set(err, ERR_AUTH, "the server's %s certificate names issuer %u, not %u",
                       c->name, c->fields->issuer_serial, issuer_serial);
    return 0;
}

/* Check 8. */
static int check_time(const struct certificate *c, int64_t now_s, struct err *err)
{
    const uint64_t tolerance = WA_CERT_CLOCK_TOLERANCE_S;
    uint64_t now = now_s > 0 ? (uint64_t)now_s : 0;
    /* What the signed details do not say is no bound: of the clients compared in protocol/01
     * section 5 three never look at the times. */
    if (c->fields->not_before > tolerance && now < c->fields->not_before - tolerance)
        return err_set(err, ERR_AUTH,
                       "the server's %s certificate is not valid yet; check this machine's clock",
                       c->name);
    if (c->fields->has_not_after && now > tolerance && now - tolerance > c->fields->not_after)
        return err_set(err, ERR_AUTH,
                       "the server's %s certificate has expired; check this machine's clock",
                       c->name);
    return 0;
}

static int check_chain(const struct certificate *intermediate, const struct certificate *leaf,
                       struct bytes root, struct bytes server_static, int64_t now_s,
                       struct err *err)
{
    int rc = check_issuer(intermediate, root, ROOT_SERIAL, err);
    if (rc)
        return rc;
    struct bytes key = wa_pb_bytes(intermediate->fields->key);
    if (key.n != WA_KEY_LEN)
        return err_set(err, ERR_AUTH, "the server's intermediate certificate has no key");
    rc = check_issuer(leaf, key, intermediate->fields->serial, err);
    if (rc)
        return rc;
    if (!bytes_equal_secret(wa_pb_bytes(leaf->fields->key), server_static))
        return err_set(err, ERR_AUTH, "the server's certificate is for another key");
    rc = check_time(intermediate, now_s, err);
    return rc ? rc : check_time(leaf, now_s, err);
}

static void narrow(struct wa_cert_window *window, const struct certificate *c)
{
    uint64_t from = c->fields->not_before, until = c->fields->not_after;
    if (from > (uint64_t)window->from_s)
        window->from_s = from < INT64_MAX ? (int64_t)from : INT64_MAX;
    if (c->fields->has_not_after && until < (uint64_t)window->until_s)
        window->until_s = (int64_t)until;
}

int wa_cert_verify(struct bytes chain, const uint8_t root[WA_KEY_LEN],
                   const uint8_t server_static[WA_KEY_LEN], int64_t now_s,
                   struct wa_cert_window *window, struct err *err)
{
    struct certificate leaf = {0}, intermediate = {0};
    AUTO_PB Wa__CertChain *certs = wa_pb_unpack(&wa__cert_chain__descriptor, chain);
    if (!certs)
        return err_set(err, ERR_INVALID, "the server's certificate chain cannot be read");
    int rc = read_certificate(&leaf, certs->leaf, "leaf", err);
    if (rc == 0)
        rc = read_certificate(&intermediate, certs->intermediate, "intermediate", err);
    if (rc == 0)
        rc = check_chain(&intermediate, &leaf, BYTES(root, WA_KEY_LEN),
                         BYTES(server_static, WA_KEY_LEN), now_s, err);
    if (rc == 0 && window) {
        *window = (struct wa_cert_window){0, INT64_MAX};
        narrow(window, &intermediate);
        narrow(window, &leaf);
    }
    wa_pb_free(leaf.fields);
    wa_pb_free(intermediate.fields);
    return rc;
}
