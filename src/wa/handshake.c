/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wa/handshake.h"

#include "wa/cert.h"
#include "wa/frame.h"
#include "wa/pb.h"
#include "wa/proto/transport.pb-c.h"

static const char unreadable[] = "the server's handshake answer cannot be read";
static const char not_genuine[] = "the server's handshake answer was not made for this connection";

static int append_message(struct buf *out, const Wa__HandshakeMessage *message)
{
    AUTO_BUF struct buf packed;
    buf_init(&packed, WA_FRAME_MAX);
    int rc = wa_pb_append(&packed, &message->base);
    return rc ? rc : wa_frame_append(out, buf_bytes(&packed));
}

static int append_hello(struct buf *out, const uint8_t ephemeral[WA_KEY_LEN])
{
    Wa__HandshakeMessage message = WA__HANDSHAKE_MESSAGE__INIT;
    Wa__HandshakeMessage__ClientHello hello = WA__HANDSHAKE_MESSAGE__CLIENT_HELLO__INIT;
    hello.has_ephemeral = 1;
    hello.ephemeral = wa_pb_data(BYTES(ephemeral, WA_KEY_LEN));
    message.client_hello = &hello;
    return append_message(out, &message);
}

int wa_handshake_begin(struct wa_handshake *hs, const struct wa_host *host,
                       const struct wa_keypair *noise_key, const uint8_t root[WA_KEY_LEN],
                       struct buf *out)
{
    const struct bytes prologue = BYTES(WA_NOISE_PROLOGUE, WA_NOISE_PROLOGUE_LEN);
    size_t before = out->n;
    memset(hs, 0, sizeof(*hs));
    hs->fixed = *noise_key;
    memcpy(hs->root, root, WA_KEY_LEN);
    wa_curve_generate(&hs->ephemeral, host);
    wa_noise_init(&hs->noise, WA_NOISE_XX);
    wa_noise_mix_hash(&hs->noise, prologue);
    wa_noise_mix_hash(&hs->noise, BYTES_ARRAY(hs->ephemeral.pub));
    int rc = buf_append(out, prologue);
    if (rc == 0)
        rc = append_hello(out, hs->ephemeral.pub);
    if (rc)
        out->n = before;
    return rc;
}

/* Steps 3 to 7 of protocol/01 section 4.2. */
static int read_server_hello(struct wa_handshake *hs,
                             const Wa__HandshakeMessage__ServerHello *hello, int64_t now_s,
                             struct err *err)
{
    AUTO_BUF struct buf server_static, chain;
    buf_init(&server_static, WA_KEY_LEN);
    buf_init(&chain, hello->payload.len);
    wa_noise_mix_hash(&hs->noise, wa_pb_bytes(hello->ephemeral));
    if (wa_noise_mix_dh(&hs->noise, hs->ephemeral.priv, hello->ephemeral.data) ||
        wa_noise_decrypt(&hs->noise, wa_pb_bytes(hello->static_), &server_static) ||
        server_static.n != WA_KEY_LEN ||
        wa_noise_mix_dh(&hs->noise, hs->ephemeral.priv, server_static.p) ||
        wa_noise_decrypt(&hs->noise, wa_pb_bytes(hello->payload), &chain))
        return err_set(err, ERR_AUTH, "%s", not_genuine);
    return wa_cert_verify(buf_bytes(&chain), hs->root, server_static.p, now_s, err);
}

/* Steps 8 to 11. */
static int append_finish(struct wa_handshake *hs, const uint8_t *server_ephemeral,
                         struct bytes client_payload, struct buf *out, struct err *err)
{
    Wa__HandshakeMessage message = WA__HANDSHAKE_MESSAGE__INIT;
    Wa__HandshakeMessage__ClientFinish finish = WA__HANDSHAKE_MESSAGE__CLIENT_FINISH__INIT;
    AUTO_BUF struct buf sealed_static, sealed_payload;
    buf_init(&sealed_static, WA_FRAME_MAX);
    buf_init(&sealed_payload, WA_FRAME_MAX);
    if (wa_noise_encrypt(&hs->noise, BYTES_ARRAY(hs->fixed.pub), &sealed_static))
        return err_set(err, ERR_LIMIT, "the handshake does not fit into a frame");
    if (wa_noise_mix_dh(&hs->noise, hs->fixed.priv, server_ephemeral))
        return err_set(err, ERR_AUTH, "%s", not_genuine);
    if (wa_noise_encrypt(&hs->noise, client_payload, &sealed_payload))
        return err_set(err, ERR_LIMIT, "the handshake does not fit into a frame");
    finish.has_static_ = finish.has_payload = 1;
    finish.static_ = wa_pb_data(buf_bytes(&sealed_static));
    finish.payload = wa_pb_data(buf_bytes(&sealed_payload));
    message.client_finish = &finish;
    if (append_message(out, &message))
        return err_set(err, ERR_LIMIT, "the handshake does not fit into the output");
    return 0;
}

int wa_handshake_finish(struct wa_handshake *hs, struct bytes server_hello,
                        struct bytes client_payload, int64_t now_s, struct buf *out,
                        struct wa_cipher *send, struct wa_cipher *recv, struct err *err)
{
    AUTO_PB Wa__HandshakeMessage *message =
        wa_pb_unpack(&wa__handshake_message__descriptor, server_hello);
    const Wa__HandshakeMessage__ServerHello *hello = message ? message->server_hello : NULL;
    int rc;
    if (!hello || hello->ephemeral.len != WA_KEY_LEN || hello->static_.len == 0 ||
        hello->payload.len == 0)
        rc = err_set(err, ERR_INVALID, "%s", unreadable);
    else
        rc = read_server_hello(hs, hello, now_s, err);
    if (rc == 0)
        rc = append_finish(hs, hello->ephemeral.data, client_payload, out, err);
    if (rc == 0)
        wa_noise_split(&hs->noise, send, recv);
    wa_handshake_deinit(hs);
    return rc;
}

void wa_handshake_deinit(struct wa_handshake *hs)
{
    buf_wipe(hs, sizeof(*hs));
}
