/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wa/handshake.h"

#include "wa/frame.h"
#include "wa/pb.h"
#include "wa/proto/transport.pb-c.h"

static const struct bytes prologue = {(const uint8_t *)WA_NOISE_PROLOGUE, WA_NOISE_PROLOGUE_LEN};
static const char unreadable[] = "the server's handshake answer cannot be read";
static const char not_genuine[] = "the server's handshake answer was not made for this connection";

static int append_message(struct buf *out, const Wa__HandshakeMessage *message)
{
    AUTO_BUF struct buf packed;
    buf_init(&packed, WA_FRAME_MAX);
    int rc = wa_pb_append(&packed, &message->base);
    return rc ? rc : wa_frame_append(out, buf_bytes(&packed));
}

const char *wa_handshake_way_text(enum wa_handshake_way way)
{
    static const char *const names[] = {
#define X(symbol, name) [symbol] = name,
        WA_HANDSHAKE_WAYS(X)
#undef X
    };
    return names[way];
}

/* ---- the hello ------------------------------------------------------------------------------ */

/* Of a resume sealed_static and sealed_payload are not empty. */
static int append_hello(struct buf *out, const uint8_t ephemeral[WA_KEY_LEN],
                        struct bytes sealed_static, struct bytes sealed_payload)
{
    size_t before = out->n;
    Wa__HandshakeMessage message = WA__HANDSHAKE_MESSAGE__INIT;
    Wa__HandshakeMessage__ClientHello hello = WA__HANDSHAKE_MESSAGE__CLIENT_HELLO__INIT;
    hello.has_ephemeral = 1;
    hello.ephemeral = wa_pb_data(BYTES(ephemeral, WA_KEY_LEN));
    hello.has_static_ = sealed_static.n > 0;
    hello.static_ = wa_pb_data(sealed_static);
    hello.has_payload = sealed_payload.n > 0;
    hello.payload = wa_pb_data(sealed_payload);
    message.client_hello = &hello;
    int rc = buf_append(out, prologue);
    if (rc == 0)
        rc = append_message(out, &message);
    if (rc)
        out->n = before;
    return rc;
}

static void init(struct wa_handshake *hs, const struct wa_host *host,
                 const struct wa_keypair *noise_key, const uint8_t root[WA_KEY_LEN])
{
    memset(hs, 0, sizeof(*hs));
    hs->fixed = *noise_key;
    memcpy(hs->root, root, WA_KEY_LEN);
    wa_curve_generate(&hs->ephemeral, host);
}

/* The transcript of XX and of XXfallback up to the hello. */
static void begin_transcript(struct wa_handshake *hs, const char *protocol_name)
{
    wa_noise_init(&hs->noise, protocol_name);
    wa_noise_mix_hash(&hs->noise, prologue);
    wa_noise_mix_hash(&hs->noise, BYTES_ARRAY(hs->ephemeral.pub));
}

int wa_handshake_begin(struct wa_handshake *hs, const struct wa_host *host,
                       const struct wa_keypair *noise_key, const uint8_t root[WA_KEY_LEN],
                       struct buf *out)
{
    init(hs, host, noise_key, root);
    begin_transcript(hs, WA_NOISE_XX);
    return append_hello(out, hs->ephemeral.pub, BYTES_NONE, BYTES_NONE);
}

int wa_handshake_resume(struct wa_handshake *hs, const struct wa_host *host,
                        const struct wa_keypair *noise_key, const struct wa_server_key *known,
                        struct bytes client_payload, struct buf *out)
{
    AUTO_BUF struct buf sealed_static, sealed_payload;
    buf_init(&sealed_static, WA_FRAME_MAX);
    buf_init(&sealed_payload, WA_FRAME_MAX);
    init(hs, host, noise_key, known->root);
    hs->resuming = true;
    wa_noise_init(&hs->noise, WA_NOISE_IK);
    wa_noise_mix_hash(&hs->noise, prologue);
    wa_noise_mix_hash(&hs->noise, BYTES_ARRAY(known->key));
    wa_noise_mix_hash(&hs->noise, BYTES_ARRAY(hs->ephemeral.pub));
    int rc = wa_noise_mix_dh(&hs->noise, hs->ephemeral.priv, known->key);
    if (rc == 0)
        rc = wa_noise_encrypt(&hs->noise, BYTES_ARRAY(hs->fixed.pub), &sealed_static);
    if (rc == 0)
        rc = wa_noise_mix_dh(&hs->noise, hs->fixed.priv, known->key);
    if (rc == 0)
        rc = wa_noise_encrypt(&hs->noise, client_payload, &sealed_payload);
    if (rc == 0)
        rc = append_hello(out, hs->ephemeral.pub, buf_bytes(&sealed_static),
                          buf_bytes(&sealed_payload));
    return rc;
}

/* ---- the answer ----------------------------------------------------------------------------- */

/* Steps 3 to 5 of protocol/01 section 4.2; false when the transcript is another one. */
static bool open_static(struct wa_handshake *hs, const Wa__HandshakeMessage__ServerHello *hello,
                        struct buf *server_static)
{
    wa_noise_mix_hash(&hs->noise, wa_pb_bytes(hello->ephemeral));
    return wa_noise_mix_dh(&hs->noise, hs->ephemeral.priv, hello->ephemeral.data) == 0 &&
           wa_noise_decrypt(&hs->noise, wa_pb_bytes(hello->static_), server_static) == 0 &&
           server_static->n == WA_KEY_LEN;
}

/* A refused resume goes on as XXfallback. A server that knows XX only has not looked at what the
 * hello held beyond it. */
static int find_transcript(struct wa_handshake *hs, const Wa__HandshakeMessage__ServerHello *hello,
                           struct buf *server_static, enum wa_handshake_way *way, struct err *err)
{
    *way = WA_HANDSHAKE_XX;
    if (hs->resuming) {
        begin_transcript(hs, WA_NOISE_XXFALLBACK);
        if (open_static(hs, hello, server_static)) {
            *way = WA_HANDSHAKE_XXFALLBACK;
            return 0;
        }
        buf_clear(server_static);
        begin_transcript(hs, WA_NOISE_XX);
    }
    return open_static(hs, hello, server_static) ? 0 : err_set(err, ERR_AUTH, "%s", not_genuine);
}

/* Steps 3 to 7. */
static int read_server_hello(struct wa_handshake *hs,
                             const Wa__HandshakeMessage__ServerHello *hello, int64_t now_s,
                             struct wa_handshake_result *result, struct err *err)
{
    AUTO_BUF struct buf server_static, chain;
    struct wa_server_key *server = &result->server;
    buf_init(&server_static, WA_KEY_LEN);
    buf_init(&chain, hello->payload.len);
    int rc = find_transcript(hs, hello, &server_static, &result->way, err);
    if (rc)
        return rc;
    if (wa_noise_mix_dh(&hs->noise, hs->ephemeral.priv, server_static.p) ||
        wa_noise_decrypt(&hs->noise, wa_pb_bytes(hello->payload), &chain))
        return err_set(err, ERR_AUTH, "%s", not_genuine);
    memcpy(server->key, server_static.p, WA_KEY_LEN);
    memcpy(server->root, hs->root, WA_KEY_LEN);
    return wa_cert_verify(buf_bytes(&chain), hs->root, server_static.p, now_s, &server->window,
                          err);
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

static int finish_xx(struct wa_handshake *hs, const Wa__HandshakeMessage__ServerHello *hello,
                     struct bytes client_payload, int64_t now_s, struct buf *out,
                     struct wa_handshake_result *result, struct err *err)
{
    int rc = read_server_hello(hs, hello, now_s, result, err);
    return rc ? rc : append_finish(hs, hello->ephemeral.data, client_payload, out, err);
}

/* Step 4a of section 15: who can seal this holds the known static key. */
static int finish_ik(struct wa_handshake *hs, const Wa__HandshakeMessage__ServerHello *hello,
                     struct wa_handshake_result *result, struct err *err)
{
    AUTO_BUF struct buf ignored;
    buf_init(&ignored, hello->payload.len);
    result->way = WA_HANDSHAKE_IK;
    wa_noise_mix_hash(&hs->noise, wa_pb_bytes(hello->ephemeral));
    if (wa_noise_mix_dh(&hs->noise, hs->ephemeral.priv, hello->ephemeral.data) ||
        wa_noise_mix_dh(&hs->noise, hs->fixed.priv, hello->ephemeral.data) ||
        wa_noise_decrypt(&hs->noise, wa_pb_bytes(hello->payload), &ignored))
        return err_set(err, ERR_AUTH, "%s", not_genuine);
    return 0;
}

int wa_handshake_finish(struct wa_handshake *hs, struct bytes server_hello,
                        struct bytes client_payload, int64_t now_s, struct buf *out,
                        struct wa_handshake_result *result, struct err *err)
{
    AUTO_PB Wa__HandshakeMessage *message =
        wa_pb_unpack(&wa__handshake_message__descriptor, server_hello);
    const Wa__HandshakeMessage__ServerHello *hello = message ? message->server_hello : NULL;
    int rc;
    memset(result, 0, sizeof(*result));
    if (!hello || hello->ephemeral.len != WA_KEY_LEN || hello->payload.len == 0)
        rc = err_set(err, ERR_INVALID, "%s", unreadable);
    else if (hello->static_.len > 0)
        rc = finish_xx(hs, hello, client_payload, now_s, out, result, err);
    else if (hs->resuming)
        rc = finish_ik(hs, hello, result, err);
    else
        rc = err_set(err, ERR_INVALID, "%s", unreadable);
    if (rc == 0)
        wa_noise_split(&hs->noise, &result->send, &result->recv);
    else
        buf_wipe(result, sizeof(*result));
    wa_handshake_deinit(hs);
    return rc;
}

void wa_handshake_deinit(struct wa_handshake *hs)
{
    buf_wipe(hs, sizeof(*hs));
}
