/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wa/ratchet.h"

#include "base/err.h"
#include "wa/crypto.h"
#include "wa/fields.h"
#include "wa/session_record.h"

#define CBC_BLOCK 16
#define PREKEY_HEAD_MAX 128 /* bytes of a pkmsg around its message */

struct message_keys {
    uint8_t cipher[32], mac[32], iv[16];
};

void wa_ratchet_init(struct wa_ratchet *r)
{
    *r = (struct wa_ratchet){0};
    buf_init_secret(&r->skipped, WA_RECORD_MAX);
}

void wa_ratchet_wipe(struct wa_ratchet *r)
{
    buf_deinit(&r->skipped);
    buf_wipe(r, sizeof(*r));
}

/* ---- derivations (protocol/04 section 4) ----------------------------------------------------- */

static void chain_hmac(const struct wa_chain *chain, uint8_t label, uint8_t out[32])
{
    struct bytes part = BYTES(&label, 1);
    wa_hmac_sha256(out, BYTES_ARRAY(chain->key), &part, 1);
}

/* The keys of the message at the chain's index. */
static void derive_keys(const struct wa_chain *chain, struct message_keys *out)
{
    uint8_t seed[32], made[sizeof(*out)];
    chain_hmac(chain, 1, seed);
    wa_hkdf_sha256(made, sizeof(made), BYTES_ARRAY(seed), BYTES_NONE,
                   bytes_text("WhisperMessageKeys"));
    memcpy(out, made, sizeof(made));
    buf_wipe(seed, sizeof(seed));
    buf_wipe(made, sizeof(made));
}

static void chain_step(struct wa_chain *chain)
{
    uint8_t next[32];
    chain_hmac(chain, 2, next);
    memcpy(chain->key, next, sizeof(next));
    buf_wipe(next, sizeof(next));
    chain->index++;
}

static void split_root(struct bytes secret, struct bytes salt, const char *info, uint8_t root[32],
                       struct wa_chain *chain)
{
    uint8_t made[64];
    wa_hkdf_sha256(made, sizeof(made), secret, salt, bytes_text(info));
    memcpy(root, made, 32);
    memcpy(chain->key, made + 32, 32);
    chain->index = 0;
    buf_wipe(made, sizeof(made));
}

/* One half of a turn: the chain that follows from our key and theirs, and the root behind it. */
static int root_step(struct wa_ratchet *r, const uint8_t theirs[WA_KEY_LEN], struct wa_chain *chain)
{
    uint8_t shared[32];
    if (wa_curve_agree(shared, r->ratchet.priv, theirs) < 0)
        return ERR_AUTH;
    split_root(BYTES_ARRAY(shared), BYTES_ARRAY(r->root), "WhisperRatchet", r->root, chain);
    buf_wipe(shared, sizeof(shared));
    return 0;
}

static int begin_sending(struct wa_ratchet *r, const uint8_t theirs[WA_KEY_LEN],
                         const struct wa_host *host)
{
    wa_curve_generate(&r->ratchet, host);
    return root_step(r, theirs, &r->sending);
}

static struct wa_receiving_chain *add_receiving(struct wa_ratchet *r,
                                                const uint8_t theirs[WA_KEY_LEN])
{
    if (r->receiving_count == WA_RATCHET_CHAINS) {
        r->receiving_count--;
        memmove(r->receiving, r->receiving + 1, r->receiving_count * sizeof(r->receiving[0]));
    }
    struct wa_receiving_chain *added = &r->receiving[r->receiving_count++];
    *added = (struct wa_receiving_chain){0};
    memcpy(added->ratchet, theirs, WA_KEY_LEN);
    return added;
}

/* ---- beginning (protocol/04 section 3) ------------------------------------------------------- */

#define AGREEMENTS_MAX 4

/* The secret of X3DH: 32 bytes FF, then the agreements in the order of the protocol. */
struct x3dh {
    uint8_t secret[32 * (1 + AGREEMENTS_MAX)];
    size_t n;
    bool refused;
};

static void x3dh_init(struct x3dh *x)
{
    memset(x->secret, 0xff, 32);
    x->n = 32;
    x->refused = false;
}

static void x3dh_add(struct x3dh *x, const uint8_t own[WA_KEY_LEN],
                     const uint8_t theirs[WA_KEY_LEN])
{
    x->refused = wa_curve_agree(x->secret + x->n, own, theirs) < 0 || x->refused;
    x->n += 32;
}

static int x3dh_split(struct x3dh *x, uint8_t root[32], struct wa_chain *chain)
{
    split_root(BYTES(x->secret, x->n), BYTES_NONE, "WhisperText", root, chain);
    buf_wipe(x->secret, sizeof(x->secret));
    return x->refused ? ERR_AUTH : 0;
}

static void introduce(struct wa_ratchet *r, const struct wa_ratchet_self *self,
                      const uint8_t peer_identity[WA_KEY_LEN], uint32_t peer_registration,
                      const uint8_t base_key[WA_KEY_LEN])
{
    memcpy(r->own_identity, self->identity->pub, WA_KEY_LEN);
    memcpy(r->peer_identity, peer_identity, WA_KEY_LEN);
    memcpy(r->base_key, base_key, WA_KEY_LEN);
    r->own_registration = self->registration_id;
    r->peer_registration = peer_registration;
}

int wa_ratchet_initiate(struct wa_ratchet *r, const struct wa_ratchet_self *self,
                        const struct wa_bundle *b, const struct wa_host *host)
{
    struct wa_keypair base;
    struct x3dh x;
    wa_curve_generate(&base, host);
    x3dh_init(&x);
    x3dh_add(&x, self->identity->priv, b->signed_prekey);
    x3dh_add(&x, base.priv, b->identity);
    x3dh_add(&x, base.priv, b->signed_prekey);
    if (b->has_prekey)
        x3dh_add(&x, base.priv, b->prekey);
    introduce(r, self, b->identity, b->registration_id, base.pub);
    buf_wipe(&base, sizeof(base));
    /* What they would send before they saw a key of ours would come in this chain. */
    int rc = x3dh_split(&x, r->root, &add_receiving(r, b->signed_prekey)->chain);
    if (rc == 0)
        rc = begin_sending(r, b->signed_prekey, host);
    r->unacknowledged = true;
    r->has_prekey = b->has_prekey;
    r->prekey_id = b->prekey_id;
    r->signed_prekey_id = b->signed_prekey_id;
    return rc;
}

int wa_ratchet_respond(struct wa_ratchet *r, const struct wa_ratchet_self *self,
                       const struct wa_keypair *signed_prekey, const struct wa_keypair *prekey,
                       const struct wa_prekey_message *first)
{
    struct x3dh x;
    x3dh_init(&x);
    x3dh_add(&x, signed_prekey->priv, first->identity);
    x3dh_add(&x, self->identity->priv, first->base_key);
    x3dh_add(&x, signed_prekey->priv, first->base_key);
    if (prekey)
        x3dh_add(&x, prekey->priv, first->base_key);
    introduce(r, self, first->identity, first->registration_id, first->base_key);
    r->ratchet = *signed_prekey;
    return x3dh_split(&x, r->root, &r->sending);
}

/* ---- sealing --------------------------------------------------------------------------------- */

/* The MAC of a message that from sent to to. */
static void message_mac(const struct message_keys *keys, const uint8_t from[WA_KEY_LEN],
                        const uint8_t to[WA_KEY_LEN], struct bytes covered,
                        uint8_t out[WA_ENVELOPE_MAC_LEN])
{
    uint8_t sender[WA_TYPED_KEY_LEN], receiver[WA_TYPED_KEY_LEN], mac[32];
    struct bytes parts[] = {BYTES_ARRAY(sender), BYTES_ARRAY(receiver), covered};
    wa_typed_key(sender, from);
    wa_typed_key(receiver, to);
    wa_hmac_sha256(mac, BYTES_ARRAY(keys->mac), parts, ARRAY_LEN(parts));
    memcpy(out, mac, WA_ENVELOPE_MAC_LEN);
}

static int put_message(const struct wa_ratchet *r, const struct message_keys *keys,
                       struct bytes padded, size_t ciphertext_n, struct buf *sealed)
{
    uint8_t mac[WA_ENVELOPE_MAC_LEN];
    size_t start = sealed->n;
    wa_signal_message_put_head(sealed, r->ratchet.pub, r->sending.index, r->previous, ciphertext_n);
    if (wa_cbc_encrypt(sealed, BYTES_ARRAY(keys->cipher), BYTES_ARRAY(keys->iv), padded) < 0)
        return ERR_LIMIT;
    message_mac(keys, r->own_identity, r->peer_identity,
                BYTES(sealed->p + start, sealed->n - start), mac);
    return buf_append(sealed, BYTES_ARRAY(mac));
}

static int put_prekey_message(const struct wa_ratchet *r, const struct message_keys *keys,
                              struct bytes padded, size_t ciphertext_n, struct buf *sealed)
{
    struct wa_prekey_message about = {.registration_id = r->own_registration,
                                      .has_prekey = r->has_prekey,
                                      .prekey_id = r->prekey_id,
                                      .signed_prekey_id = r->signed_prekey_id};
    memcpy(about.base_key, r->base_key, WA_KEY_LEN);
    memcpy(about.identity, r->own_identity, WA_KEY_LEN);
    wa_prekey_message_put_head(sealed, &about,
                               wa_signal_message_size(r->sending.index, r->previous, ciphertext_n));
    int rc = put_message(r, keys, padded, ciphertext_n, sealed);
    wa_prekey_message_put_tail(sealed, &about);
    return rc;
}

int wa_ratchet_seal(struct wa_ratchet *r, struct bytes padded, struct buf *sealed)
{
    struct message_keys keys;
    size_t ciphertext_n = (padded.n / CBC_BLOCK + 1) * CBC_BLOCK;
    size_t message_n = wa_signal_message_size(r->sending.index, r->previous, ciphertext_n);
    if (!buf_reserve(sealed, message_n + (r->unacknowledged ? PREKEY_HEAD_MAX : 0)))
        return ERR_LIMIT;
    derive_keys(&r->sending, &keys);
    int rc = r->unacknowledged ? put_prekey_message(r, &keys, padded, ciphertext_n, sealed)
                               : put_message(r, &keys, padded, ciphertext_n, sealed);
    buf_wipe(&keys, sizeof(keys));
    chain_step(&r->sending);
    return rc < 0 || sealed->full ? ERR_LIMIT : 0;
}

/* ---- opening --------------------------------------------------------------------------------- */

/* The peer has a new ratchet key: its chain, then a new key and chain of ours. */
static int turn(struct wa_ratchet *r, const uint8_t theirs[WA_KEY_LEN], const struct wa_host *host)
{
    int rc = root_step(r, theirs, &add_receiving(r, theirs)->chain);
    if (rc < 0)
        return rc;
    r->previous = r->sending.index > 0 ? r->sending.index - 1 : 0;
    return begin_sending(r, theirs, host);
}

static int chain_of(struct wa_ratchet *r, const uint8_t theirs[WA_KEY_LEN],
                    const struct wa_host *host, struct wa_receiving_chain **out)
{
    for (size_t i = 0; i < r->receiving_count; i++) {
        *out = &r->receiving[i];
        if (memcmp((*out)->ratchet, theirs, WA_KEY_LEN) == 0)
            return 0;
    }
    int rc = turn(r, theirs, host);
    *out = &r->receiving[r->receiving_count - 1];
    return rc;
}

static void keep_skipped(struct wa_ratchet *r, const struct wa_receiving_chain *c)
{
    struct message_keys keys;
    derive_keys(&c->chain, &keys);
    wa_skipped_put(&r->skipped, &(struct wa_skipped){.index = c->chain.index,
                                                     .cipher = BYTES_ARRAY(keys.cipher),
                                                     .mac = BYTES_ARRAY(keys.mac),
                                                     .iv = BYTES_ARRAY(keys.iv)});
    buf_wipe(&keys, sizeof(keys));
}

/* The keys of a message that was skipped before; they are given once. 0; 1 when they are gone;
 * ERR_INVALID. */
static int take_skipped(struct wa_ratchet *r, struct wa_receiving_chain *c, uint32_t counter,
                        struct message_keys *keys)
{
    struct wa_skipped found;
    int rc = wa_skipped_take(c->skipped, counter, &found, &r->skipped);
    if (rc != 1)
        return rc < 0 ? rc : 1;
    memcpy(keys->cipher, found.cipher.p, sizeof(keys->cipher));
    memcpy(keys->mac, found.mac.p, sizeof(keys->mac));
    memcpy(keys->iv, found.iv.p, sizeof(keys->iv));
    c->skipped = buf_bytes(&r->skipped);
    return 0;
}

/* Without a change to the chain: the message may be forged, and the keys of those before it are
 * work. */
static int keys_ahead(const struct wa_receiving_chain *c, uint32_t counter,
                      struct message_keys *keys)
{
    struct wa_chain at = c->chain;
    if (counter == WA_RATCHET_INDEX_END || counter - at.index > WA_RATCHET_JUMP_MAX)
        return ERR_AUTH;
    while (at.index < counter)
        chain_step(&at);
    derive_keys(&at, keys);
    buf_wipe(&at, sizeof(at));
    return 0;
}

/* Goes behind a message that was opened; the keys of those that are missing before it are kept. */
static void move_past(struct wa_ratchet *r, struct wa_receiving_chain *c, uint32_t counter)
{
    if (counter < c->chain.index)
        return;
    if (counter > c->chain.index) {
        size_t missing = counter - c->chain.index;
        buf_append(&r->skipped, wa_skipped_newest(c->skipped, WA_RATCHET_SKIPPED_MAX - missing));
        for (; c->chain.index < counter; chain_step(&c->chain))
            keep_skipped(r, c);
        c->skipped = buf_bytes(&r->skipped);
    }
    chain_step(&c->chain);
}

static int open_with(const struct wa_ratchet *r, const struct message_keys *keys,
                     const struct wa_signal_message *m, struct buf *plain)
{
    uint8_t mac[WA_ENVELOPE_MAC_LEN];
    message_mac(keys, r->peer_identity, r->own_identity, m->covered, mac);
    if (!bytes_equal_secret(BYTES_ARRAY(mac), m->mac))
        return ERR_AUTH;
    int rc = wa_cbc_decrypt(plain, BYTES_ARRAY(keys->cipher), BYTES_ARRAY(keys->iv), m->ciphertext);
    return rc == ERR_INVALID ? ERR_AUTH : rc;
}

int wa_ratchet_open(struct wa_ratchet *r, const struct wa_signal_message *m,
                    const struct wa_host *host, struct buf *plain)
{
    struct message_keys keys;
    struct wa_receiving_chain *c;
    int rc = chain_of(r, m->ratchet, host, &c);
    if (rc == 0)
        rc = m->counter < c->chain.index ? take_skipped(r, c, m->counter, &keys)
                                         : keys_ahead(c, m->counter, &keys);
    if (rc == 0) {
        rc = open_with(r, &keys, m, plain);
        buf_wipe(&keys, sizeof(keys));
    }
    if (rc == 0) {
        move_past(r, c, m->counter);
        r->unacknowledged = false;
    }
    return rc;
}
