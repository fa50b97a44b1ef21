/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/responder.h"

#include "base/err.h"
#include "sim/pb.h"

/* HandshakeMessage, CertChain (protocol/protos.md). */
enum { CLIENT_HELLO = 2, SERVER_HELLO = 3, CLIENT_FINISH = 4 };
enum { EPHEMERAL = 1, STATIC = 2, PAYLOAD = 3, FINISH_STATIC = 1, FINISH_PAYLOAD = 2 };
enum { CHAIN_LEAF = 1, CHAIN_INTERMEDIATE = 2, CERT_DETAILS = 1, CERT_SIGNATURE = 2 };
enum { DETAILS_SERIAL = 1, DETAILS_ISSUER = 2, DETAILS_KEY = 3, DETAILS_FROM = 4, DETAILS_TO = 5 };
enum { ROOT_SERIAL = 0, INTERMEDIATE_SERIAL = 1, LEAF_SERIAL = 2 };

#define VALID_BEFORE_S (7 * 86400)
#define VALID_AFTER_S (365 * 86400)
#define HELLO_MAX 4096
#define SEALED_KEY_LEN (WA_KEY_LEN + 16)

static const struct bytes prologue = {(const uint8_t *)WA_NOISE_PROLOGUE, WA_NOISE_PROLOGUE_LEN};

void sim_server_keys_init(struct sim_server_keys *keys, const struct wa_host *host)
{
    wa_curve_generate(&keys->root, host);
    wa_curve_generate(&keys->intermediate, host);
    wa_curve_generate(&keys->fixed, host);
}

static void put_certificate(struct buf *chain, uint32_t field, uint32_t serial, uint32_t issuer,
                            const uint8_t key[WA_KEY_LEN], const struct wa_keypair *signer,
                            bool flip, int64_t now_s, const struct wa_host *host)
{
    struct buf AUTO_BUF details, AUTO_BUF certificate;
    uint8_t signature[WA_SIGNATURE_LEN];

    buf_init(&details, HELLO_MAX);
    buf_init(&certificate, HELLO_MAX);
    sim_pb_put_uint(&details, DETAILS_SERIAL, serial);
    sim_pb_put_uint(&details, DETAILS_ISSUER, issuer);
    sim_pb_put_bytes(&details, DETAILS_KEY, BYTES(key, WA_KEY_LEN));
    sim_pb_put_uint(&details, DETAILS_FROM, (uint64_t)(now_s - VALID_BEFORE_S));
    sim_pb_put_uint(&details, DETAILS_TO, (uint64_t)(now_s + VALID_AFTER_S));
    wa_curve_sign(signature, signer->priv, buf_bytes(&details), host);
    if (flip)
        signature[0] ^= 1;
    sim_pb_put_bytes(&certificate, CERT_DETAILS, buf_bytes(&details));
    sim_pb_put_bytes(&certificate, CERT_SIGNATURE, BYTES_ARRAY(signature));
    sim_pb_put_bytes(chain, field, buf_bytes(&certificate));
}

void sim_chain_build(const struct sim_server_keys *keys, enum sim_chain_flaw flaw, int64_t now_s,
                     const struct wa_host *host, struct buf *out)
{
    const struct wa_keypair *leaf =
        flaw == SIM_CHAIN_WRONG_KEY ? &keys->intermediate : &keys->fixed;

    put_certificate(out, CHAIN_LEAF, LEAF_SERIAL, INTERMEDIATE_SERIAL, leaf->pub,
                    &keys->intermediate, flaw == SIM_CHAIN_WRONG_SIGNATURE, now_s, host);
    put_certificate(out, CHAIN_INTERMEDIATE, INTERMEDIATE_SERIAL, ROOT_SERIAL,
                    keys->intermediate.pub, &keys->root, false, now_s, host);
}

static int decrypt_client_key(struct sim_responder *r, struct bytes sealed)
{
    struct buf AUTO_BUF key;
    int rc;

    if (sealed.n != SEALED_KEY_LEN)
        return ERR_INVALID;
    buf_init(&key, WA_KEY_LEN);
    rc = wa_noise_decrypt(&r->noise, sealed, &key);
    if (rc != 0)
        return rc;
    memcpy(r->client_key, key.p, WA_KEY_LEN);
    return 0;
}

/* Steps 3 to 7 of protocol/01 section 4.2 from the other side. */
static int answer_xx(struct sim_responder *r, const struct sim_server_keys *keys,
                     enum sim_chain_flaw flaw, int64_t now_s, const struct wa_host *host,
                     const uint8_t client_ephemeral[WA_KEY_LEN], struct buf *reply)
{
    struct buf AUTO_BUF sealed_key, AUTO_BUF chain, AUTO_BUF sealed_chain, AUTO_BUF hello;

    buf_init(&sealed_key, SEALED_KEY_LEN);
    buf_init(&chain, HELLO_MAX);
    buf_init(&sealed_chain, HELLO_MAX);
    buf_init(&hello, HELLO_MAX);
    wa_noise_mix_hash(&r->noise, BYTES_ARRAY(r->ephemeral.pub));
    sim_chain_build(keys, flaw, now_s, host, &chain);
    if (wa_noise_mix_dh(&r->noise, r->ephemeral.priv, client_ephemeral) != 0 ||
        wa_noise_encrypt(&r->noise, BYTES_ARRAY(keys->fixed.pub), &sealed_key) != 0 ||
        wa_noise_mix_dh(&r->noise, keys->fixed.priv, client_ephemeral) != 0 ||
        wa_noise_encrypt(&r->noise, buf_bytes(&chain), &sealed_chain) != 0)
        return ERR_AUTH;
    sim_pb_put_bytes(&hello, EPHEMERAL, BYTES_ARRAY(r->ephemeral.pub));
    sim_pb_put_bytes(&hello, STATIC, buf_bytes(&sealed_key));
    sim_pb_put_bytes(&hello, PAYLOAD, buf_bytes(&sealed_chain));
    sim_pb_put_bytes(reply, SERVER_HELLO, buf_bytes(&hello));
    return 0;
}

/* Opens a resume with our static key: 0, or a code when it was made for another key. */
static int open_ik(struct sim_responder *r, const struct sim_server_keys *keys,
                   const uint8_t client_ephemeral[WA_KEY_LEN], struct bytes sealed_key,
                   struct bytes sealed_payload, struct buf *payload)
{
    wa_noise_init(&r->noise, WA_NOISE_IK);
    wa_noise_mix_hash(&r->noise, prologue);
    wa_noise_mix_hash(&r->noise, BYTES_ARRAY(keys->fixed.pub));
    wa_noise_mix_hash(&r->noise, BYTES(client_ephemeral, WA_KEY_LEN));
    if (wa_noise_mix_dh(&r->noise, keys->fixed.priv, client_ephemeral) != 0 ||
        decrypt_client_key(r, sealed_key) != 0 ||
        wa_noise_mix_dh(&r->noise, keys->fixed.priv, r->client_key) != 0)
        return ERR_AUTH;
    return wa_noise_decrypt(&r->noise, sealed_payload, payload);
}

static int answer_ik(struct sim_responder *r, const uint8_t client_ephemeral[WA_KEY_LEN],
                     struct buf *reply)
{
    struct buf AUTO_BUF sealed, AUTO_BUF hello;

    buf_init(&sealed, HELLO_MAX);
    buf_init(&hello, HELLO_MAX);
    wa_noise_mix_hash(&r->noise, BYTES_ARRAY(r->ephemeral.pub));
    if (wa_noise_mix_dh(&r->noise, r->ephemeral.priv, client_ephemeral) != 0 ||
        wa_noise_mix_dh(&r->noise, r->ephemeral.priv, r->client_key) != 0 ||
        wa_noise_encrypt(&r->noise, bytes_text("ok"), &sealed) != 0)
        return ERR_AUTH;
    sim_pb_put_bytes(&hello, EPHEMERAL, BYTES_ARRAY(r->ephemeral.pub));
    sim_pb_put_bytes(&hello, PAYLOAD, buf_bytes(&sealed));
    sim_pb_put_bytes(reply, SERVER_HELLO, buf_bytes(&hello));
    return 0;
}

bool sim_responder_is_resume(struct bytes hello)
{
    return sim_pb_bytes(sim_pb_bytes(hello, CLIENT_HELLO), STATIC).n > 0;
}

int sim_responder_hello(struct sim_responder *r, const struct sim_server_keys *keys,
                        enum sim_chain_flaw flaw, int64_t now_s, const struct wa_host *host,
                        struct bytes hello, struct buf *reply, struct buf *payload)
{
    struct bytes message = sim_pb_bytes(hello, CLIENT_HELLO);
    struct bytes ephemeral = sim_pb_bytes(message, EPHEMERAL);
    struct bytes sealed_key = sim_pb_bytes(message, STATIC);
    struct bytes sealed_payload = sim_pb_bytes(message, PAYLOAD);

    if (ephemeral.n != WA_KEY_LEN)
        return ERR_INVALID;
    wa_curve_generate(&r->ephemeral, host);
    if (sealed_key.n && (r->resume == SIM_RESUME_SERVED || r->resume == SIM_RESUME_SPOILED) &&
        open_ik(r, keys, ephemeral.p, sealed_key, sealed_payload, payload) == 0) {
        int rc = answer_ik(r, ephemeral.p, reply);

        r->way = WA_HANDSHAKE_IK;
        if (rc == 0 && r->resume == SIM_RESUME_SPOILED)
            reply->p[reply->n - 1] ^= 1;
        return rc == 0 ? 1 : rc;
    }
    buf_clear(payload);
    r->way =
        sealed_key.n && r->resume != SIM_RESUME_IGNORED ? WA_HANDSHAKE_XXFALLBACK : WA_HANDSHAKE_XX;
    wa_noise_init(&r->noise, r->way == WA_HANDSHAKE_XX ? WA_NOISE_XX : WA_NOISE_XXFALLBACK);
    wa_noise_mix_hash(&r->noise, prologue);
    wa_noise_mix_hash(&r->noise, ephemeral);
    return answer_xx(r, keys, flaw, now_s, host, ephemeral.p, reply);
}

int sim_responder_finish(struct sim_responder *r, struct bytes finish, struct buf *payload)
{
    struct bytes message = sim_pb_bytes(finish, CLIENT_FINISH);
    int rc = decrypt_client_key(r, sim_pb_bytes(message, FINISH_STATIC));

    if (rc != 0)
        return rc;
    rc = wa_noise_mix_dh(&r->noise, r->ephemeral.priv, r->client_key);
    if (rc != 0)
        return rc;
    return wa_noise_decrypt(&r->noise, sim_pb_bytes(message, FINISH_PAYLOAD), payload);
}

void sim_responder_split(struct sim_responder *r, struct wa_cipher *recv, struct wa_cipher *send)
{
    wa_noise_split(&r->noise, recv, send);
    buf_wipe(&r->ephemeral, sizeof r->ephemeral);
}
