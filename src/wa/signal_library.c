/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the Signal library is given for sender keys: primitives, and its store over the overlay. */
#include "wa/signal_library.h"

#include <errno.h>
#include <protobuf-c/protobuf-c.h>

#include "base/err.h"
#include "base/text.h"
#include "wa/crypto.h"

#define PROTOBUF_C_WANTED 1003000 /* the Signal library brings an older copy of its own */

/* ---- primitives (protocol/04 section 14.2) --------------------------------------------------- */

static int give(signal_buffer **out, struct bytes data)
{
    *out = signal_buffer_create(data.p, data.n);
    return *out ? SG_SUCCESS : SG_ERR_NOMEM;
}

static int give_random(uint8_t *data, size_t n, void *ctx)
{
    const struct wa_signal *s = ctx;
    s->overlay.host->random(s->overlay.host->ctx, data, n);
    return SG_SUCCESS;
}

static int hmac_init(void **digest, const uint8_t *key, size_t n, void *ctx)
{
    (void)ctx;
    *digest = wa_hmac_sha256_begin(BYTES(key, n));
    return SG_SUCCESS;
}

static int digest_update(void *digest, const uint8_t *data, size_t n, void *ctx)
{
    (void)ctx;
    wa_digest_update(digest, BYTES(data, n));
    return SG_SUCCESS;
}

static int digest_final(void *digest, signal_buffer **out, void *ctx)
{
    uint8_t sum[64];
    (void)ctx;
    int rc = give(out, BYTES(sum, wa_digest_final(digest, sum)));
    buf_wipe(sum, sizeof(sum));
    return rc;
}

static void digest_cleanup(void *digest, void *ctx)
{
    (void)ctx;
    wa_digest_free(digest);
}

typedef int cbc_function(struct buf *out, struct bytes key, struct bytes iv, struct bytes in);

/* The message error is what a wrong padding is to the caller (protocol/04 section 12). */
static int run_cbc(cbc_function *run, signal_buffer **out, int cipher, struct bytes key,
                   struct bytes iv, struct bytes in)
{
    struct buf made;
    if (cipher != SG_CIPHER_AES_CBC_PKCS5)
        return SG_ERR_INVAL;
    buf_init_secret(&made, in.n + 64);
    int rc = run(&made, key, iv, in);
    rc = rc == 0 ? give(out, buf_bytes(&made)) : SG_ERR_INVALID_MESSAGE;
    buf_deinit(&made);
    return rc;
}

static int encrypt_cbc(signal_buffer **out, int cipher, const uint8_t *key, size_t key_n,
                       const uint8_t *iv, size_t iv_n, const uint8_t *in, size_t in_n, void *ctx)
{
    (void)ctx;
    return run_cbc(wa_cbc_encrypt, out, cipher, BYTES(key, key_n), BYTES(iv, iv_n),
                   BYTES(in, in_n));
}

static int decrypt_cbc(signal_buffer **out, int cipher, const uint8_t *key, size_t key_n,
                       const uint8_t *iv, size_t iv_n, const uint8_t *in, size_t in_n, void *ctx)
{
    (void)ctx;
    return run_cbc(wa_cbc_decrypt, out, cipher, BYTES(key, key_n), BYTES(iv, iv_n),
                   BYTES(in, in_n));
}

/* ---- sender keys ----------------------------------------------------------------------------- */

void wa_signal_sender_key(const signal_protocol_sender_key_name *name, char out[WA_KEY_MAX])
{
    struct text_pen pen = text_pen(out, WA_KEY_MAX);
    text_pen_put(&pen, BYTES(name->group_id, name->group_id_len));
    text_pen_text(&pen, "/");
    text_pen_put(&pen, BYTES(name->sender.name, name->sender.name_len));
    text_pen_text(&pen, ":");
    text_pen_u64(&pen, (uint32_t)name->sender.device_id);
}

/* The overlay remembers why it refused; to the library all refusals are one. */
static int refused(int rc)
{
    return rc < 0 ? SG_ERR_UNKNOWN : rc;
}

static int store_sender_key(const signal_protocol_sender_key_name *name, uint8_t *record, size_t n,
                            uint8_t *extra, size_t extra_n, void *ctx)
{
    struct wa_signal *s = ctx;
    char key[WA_KEY_MAX];
    (void)extra;
    (void)extra_n;
    wa_signal_sender_key(name, key);
    return refused(wa_overlay_put(&s->overlay, WA_TABLE_SENDER_KEY, key, BYTES(record, n)));
}

static int load_sender_key(signal_buffer **record, signal_buffer **extra,
                           const signal_protocol_sender_key_name *name, void *ctx)
{
    struct wa_signal *s = ctx;
    struct bytes value;
    char key[WA_KEY_MAX];
    (void)extra;
    wa_signal_sender_key(name, key);
    int rc = wa_overlay_get(&s->overlay, WA_TABLE_SENDER_KEY, key, &value);
    if (rc != 1)
        return refused(rc);
    return give(record, value) == SG_SUCCESS ? 1 : SG_ERR_NOMEM;
}

/* ---- the library ------------------------------------------------------------------------------
 */

int wa_signal_memory(int rc)
{
    if (rc == SG_ERR_NOMEM || (rc < 0 && errno == ENOMEM))
        err_fatal("out of memory in the Signal library");
    return rc;
}

/* Only what the library calls on the paths used here. */
static bool attach(struct wa_signal_library *library, struct wa_signal *s)
{
    const signal_crypto_provider provider = {.random_func = give_random,
                                             .hmac_sha256_init_func = hmac_init,
                                             .hmac_sha256_update_func = digest_update,
                                             .hmac_sha256_final_func = digest_final,
                                             .hmac_sha256_cleanup_func = digest_cleanup,
                                             .encrypt_func = encrypt_cbc,
                                             .decrypt_func = decrypt_cbc,
                                             .user_data = s};
    const signal_protocol_sender_key_store sender_keys = {
        .store_sender_key = store_sender_key, .load_sender_key = load_sender_key, .user_data = s};
    return signal_context_create(&library->context, s) == 0 &&
           signal_context_set_crypto_provider(library->context, &provider) == 0 &&
           signal_protocol_store_context_create(&library->stores, library->context) == 0 &&
           signal_protocol_store_context_set_sender_key_store(library->stores, &sender_keys) == 0;
}

struct wa_signal_library *wa_signal_library(struct wa_signal *s)
{
    if (s->library)
        return s->library;
    if (protobuf_c_version_number() < PROTOBUF_C_WANTED)
        err_fatal("linked in the wrong order: protobuf-c is %s", protobuf_c_version());
    s->library = err_calloc(1, sizeof(*s->library));
    if (!attach(s->library, s))
        err_fatal("signal: no context");
    return s->library;
}

void wa_signal_library_close(struct wa_signal_library *library)
{
    if (!library)
        return;
    signal_protocol_store_context_destroy(library->stores);
    signal_context_destroy(library->context);
    free(library);
}
