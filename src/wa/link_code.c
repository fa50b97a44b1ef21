/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wa/link_code.h"

#include <stdio.h>

#include "wa/crypto.h"

#define ITERATIONS 131072
#define IV_LEN 16
#define PHONE_MIN 7
#define PHONE_MAX 15
#define BUNDLE_INFO "link_code_pairing_key_bundle_encryption_key"

void wa_link_code(char out[WA_LINK_CODE_LEN + 1], const uint8_t random[5])
{
    static const char alphabet[] = "123456789ABCDEFGHJKLMNPQRSTVWXYZ";
    uint64_t bits = 0;
    for (size_t i = 0; i < 5; i++)
        bits = bits << 8 | random[i];
    for (size_t i = 0; i < WA_LINK_CODE_LEN; i++)
        out[i] = alphabet[bits >> (35 - 5 * i) & 31];
    out[WA_LINK_CODE_LEN] = '\0';
}

void wa_link_code_shown(char out[WA_LINK_CODE_SHOWN_SIZE], const char *code)
{
    snprintf(out, WA_LINK_CODE_SHOWN_SIZE, "%.4s-%.4s", code, code + 4);
}

int wa_link_check_phone(const char *phone)
{
    size_t n = strlen(phone);
    bool digits = strspn(phone, "0123456789") == n;
    return digits && n >= PHONE_MIN && n <= PHONE_MAX && phone[0] != '0' ? 0 : ERR_INVALID;
}

void wa_link_wrap(uint8_t out[WA_LINK_WRAP_LEN], const char *code,
                  const uint8_t salt[WA_LINK_SALT_LEN], const uint8_t iv[16],
                  const uint8_t pub[WA_KEY_LEN])
{
    uint8_t key[32];
    wa_pbkdf2_sha256(key, bytes_text(code), BYTES(salt, WA_LINK_SALT_LEN), ITERATIONS);
    memcpy(out, salt, WA_LINK_SALT_LEN);
    memcpy(out + WA_LINK_SALT_LEN, iv, IV_LEN);
    wa_ctr_crypt(out + WA_LINK_SALT_LEN + IV_LEN, key, iv, BYTES(pub, WA_KEY_LEN));
    buf_wipe(key, sizeof(key));
}

void wa_link_unwrap(uint8_t pub[WA_KEY_LEN], const char *code,
                    const uint8_t wrapped[WA_LINK_WRAP_LEN])
{
    uint8_t key[32];
    wa_pbkdf2_sha256(key, bytes_text(code), BYTES(wrapped, WA_LINK_SALT_LEN), ITERATIONS);
    wa_ctr_crypt(pub, key, wrapped + WA_LINK_SALT_LEN,
                 BYTES(wrapped + WA_LINK_SALT_LEN + IV_LEN, WA_KEY_LEN));
    buf_wipe(key, sizeof(key));
}

static void seal_bundle(uint8_t bundle[WA_LINK_BUNDLE_LEN], const uint8_t shared[32],
                        struct bytes plain, const struct wa_link_random *random)
{
    uint8_t key[32];
    struct buf sealed = {.max = WA_LINK_BUNDLE_LEN};
    wa_hkdf_sha256(key, sizeof(key), BYTES(shared, 32), BYTES_ARRAY(random->salt),
                   bytes_text(BUNDLE_INFO));
    buf_append(&sealed, BYTES_ARRAY(random->salt));
    buf_append(&sealed, BYTES_ARRAY(random->nonce));
    wa_gcm_seal(&sealed, key, random->nonce, BYTES_NONE, plain);
    memcpy(bundle, sealed.p, WA_LINK_BUNDLE_LEN);
    buf_deinit(&sealed);
    buf_wipe(key, sizeof(key));
}

int wa_link_finish(uint8_t bundle[WA_LINK_BUNDLE_LEN], uint8_t adv_secret[32],
                   const struct wa_keypair *identity, const struct wa_keypair *ephemeral,
                   const uint8_t phone_ephemeral[WA_KEY_LEN],
                   const uint8_t phone_identity[WA_KEY_LEN], const struct wa_link_random *random)
{
    struct {
        uint8_t ephemeral[32], identity[32], adv[32];
    } shared;
    uint8_t plain[96];
    int rc = wa_curve_agree(shared.ephemeral, ephemeral->priv, phone_ephemeral);
    if (rc == 0)
        rc = wa_curve_agree(shared.identity, identity->priv, phone_identity);
    if (rc == 0) {
        memcpy(plain, identity->pub, 32);
        memcpy(plain + 32, phone_identity, 32);
        memcpy(plain + 64, random->adv, 32);
        seal_bundle(bundle, shared.ephemeral, BYTES_ARRAY(plain), random);
        memcpy(shared.adv, random->adv, 32);
        wa_hkdf_sha256(adv_secret, 32, BYTES(&shared, sizeof(shared)), BYTES_NONE,
                       bytes_text("adv_secret"));
    }
    buf_wipe(&shared, sizeof(shared));
    buf_wipe(plain, sizeof(plain));
    return rc;
}
