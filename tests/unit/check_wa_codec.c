/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Hashes and ciphers, Curve25519, JIDs, the token dictionary, stanzas, frames. */
#define _GNU_SOURCE /* RTLD_NEXT */
#include "testing.h"

#include <dlfcn.h>
#include <stdlib.h>

#include <zlib.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/text.h"
#include "wa/crypto.h"
#include "wa/curve.h"
#include "wa/frame.h"
#include "wa/node.h"
#include "wa/tokens.h"
#include "wa/x25519.h"

/* ---- hashes, key derivation, ciphers -------------------------------------------------------- */

static void assert_hex(struct bytes got, const char *hex)
{
    testing_assert_bytes(got, testing_unhex(hex), hex);
}

START_TEST(test_hashes_of_standard_inputs_match_their_standards)
{
    uint8_t out[32];
    const struct bytes split[] = {bytes_text("a"), BYTES_NONE, bytes_text("bc")};
    wa_sha256(out, split, ARRAY_LEN(split)); /* FIPS 180-4 */
    assert_hex(BYTES(out, 32), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    wa_sha1(out, split, ARRAY_LEN(split));
    assert_hex(BYTES(out, 20), "a9993e364706816aba3e25717850c26c9cd0d89d");
    wa_md5(out, bytes_text("abc")); /* RFC 1321 */
    assert_hex(BYTES(out, 16), "900150983cd24fb0d6963f7d28e17f72");
}
END_TEST

START_TEST(test_hmac_sha256_of_rfc4231_case_2_matches)
{
    static const char want[] = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    const struct bytes parts[] = {bytes_text("what do ya want "), bytes_text("for nothing?")};
    uint8_t out[64];
    wa_hmac_sha256(out, bytes_text("Jefe"), parts, ARRAY_LEN(parts));
    assert_hex(BYTES(out, 32), want);
    struct wa_digest *d = wa_hmac_sha256_begin(bytes_text("Jefe"));
    wa_digest_update(d, parts[0]);
    wa_digest_update(d, parts[1]);
    ck_assert_uint_eq(wa_digest_final(d, out), 32);
    wa_digest_free(d);
    assert_hex(BYTES(out, 32), want);
}
END_TEST

START_TEST(test_hmac_sha256_with_empty_key_matches)
{
    uint8_t out[32];
    wa_hmac_sha256(out, BYTES_NONE, NULL, 0);
    assert_hex(BYTES_ARRAY(out),
               "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}
END_TEST

/* By Python's hashlib and hmac, as are those below: lengths at which a block is just full or not.
 */
START_TEST(test_sha256_of_lengths_around_a_block_matches)
{
    static const struct {
        size_t n;
        const char *want;
    } cases[] = {
        {0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {55, "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318"},
        {56, "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a"},
        {64, "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb"},
        {65, "635361c48bb9eab14198e76ea8ab7f1a41685d6ad62aa9146d301d4f17eb0ae0"},
        {1000, "41edece42d63e8d9bf515a9ba6932e1c20cbc9f5a5d134645adb5db1b9737ea3"},
    };
    uint8_t text[1000], out[64];
    memset(text, 'a', sizeof(text));
    struct wa_digest *d = wa_sha256_begin();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct bytes whole = BYTES(text, cases[i].n);
        wa_sha256(out, &whole, 1);
        assert_hex(BYTES(out, 32), cases[i].want);
        for (size_t at = 0; at < cases[i].n; at++)
            wa_digest_update(d, BYTES(text + at, 1));
        ck_assert_uint_eq(wa_digest_final(d, out), 32);
        assert_hex(BYTES(out, 32), cases[i].want);
    }
    wa_digest_free(d);
}
END_TEST

START_TEST(test_hmac_sha256_with_keys_around_a_block_matches)
{
    static const struct {
        size_t n;
        const char *want;
    } cases[] = {
        {0, "76d9e7194e7dbc3aa00bbe8ffb9f6fcb5a932170f971f948bb2ab61607d2b9d6"},
        {63, "029f327b3c5f4b59bcd1d5cd77bafa863c866f4e9c890b9540a8dfb3fcef5b50"},
        {64, "5431cc41830bee7889a6b5d04b33877387ea9b8170759f4dca4323cfb5725508"},
        {65, "b8510ec6c86f16d7c86061bd02266a93ffa7add59683bd03dc645ba1f238c38c"},
        {131, "69d9292d5a0eaaf5bdfb72a8b819482dac82c5047a00f4cca1198ebcc039a6ee"},
    };
    const struct bytes text = bytes_text("what do ya want for nothing?");
    uint8_t key[131], out[64];
    for (size_t i = 0; i < sizeof(key); i++)
        key[i] = (uint8_t)i;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        wa_hmac_sha256(out, BYTES(key, cases[i].n), &text, 1);
        assert_hex(BYTES(out, 32), cases[i].want);
        struct wa_digest *d = wa_hmac_sha256_begin(BYTES(key, cases[i].n));
        wa_digest_update(d, BYTES_NONE);
        wa_digest_update(d, text);
        ck_assert_uint_eq(wa_digest_final(d, out), 32);
        wa_digest_free(d);
        assert_hex(BYTES(out, 32), cases[i].want);
    }
}
END_TEST

START_TEST(test_hmac_sha512_of_rfc4231_case_2_matches)
{
    const struct bytes parts[] = {bytes_text("what do ya want "), bytes_text("for nothing?")};
    uint8_t out[64];
    wa_hmac_sha512(out, bytes_text("Jefe"), parts, ARRAY_LEN(parts));
    assert_hex(BYTES_ARRAY(out),
               "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
               "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737");
}
END_TEST

START_TEST(test_sha512_digest_after_final_starts_anew)
{
    static const char want[] = "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
                               "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";
    uint8_t out[64];
    struct wa_digest *d = wa_sha512_begin();
    for (int round = 0; round < 2; round++) {
        wa_digest_update(d, bytes_text("abc"));
        ck_assert_uint_eq(wa_digest_final(d, out), 64);
        assert_hex(BYTES_ARRAY(out), want);
    }
    wa_digest_free(d);
}
END_TEST

START_TEST(test_hkdf_sha256_of_rfc5869_cases_matches)
{
    uint8_t out[82];
    wa_hkdf_sha256(out, 42, testing_unhex("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b"),
                   testing_unhex("000102030405060708090a0b0c"),
                   testing_unhex("f0f1f2f3f4f5f6f7f8f9"));
    assert_hex(BYTES(out, 42), "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"
                               "34007208d5b887185865");
    wa_hkdf_sha256(out, 42, testing_unhex("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b"),
                   BYTES_NONE, BYTES_NONE);
    assert_hex(BYTES(out, 42), "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
                               "9d201395faa4b61a96c8");
}
END_TEST

START_TEST(test_hkdf_sha256_of_every_kind_of_length_matches)
{
    static const struct {
        size_t n;
        const char *hash;
    } cases[] = {
        {0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {1, "dabd3aff769f07eb2965401eb029974ebba3407afd02b26ddb564ea5f8efae72"},
        {32, "8368ec2ea306ad2d2c4526cb18926e5f2d0fa95f9fb87a640d39e80b2bea41bf"},
        {33, "a4f0d7aa02bb5d1a1ae603067574cad28352de571a2fe130df633347ce5babf8"},
        {80, "fc610b935e2451c8b9c72eda68affbb1879986ce232400f4b969c36a9279cbba"},
        {8160, "06ce7419405a88a66ba5c9795579cb05130c85101924d187552a0f7f57deb091"},
    };
    uint8_t out[8160 + 1], hash[32];
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        memset(out, 0xee, sizeof(out));
        wa_hkdf_sha256(
            out, cases[i].n, testing_unhex("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b"),
            testing_unhex("000102030405060708090a0b0c"), testing_unhex("f0f1f2f3f4f5f6f7f8f9"));
        struct bytes made = BYTES(out, cases[i].n);
        wa_sha256(hash, &made, 1);
        assert_hex(BYTES_ARRAY(hash), cases[i].hash);
        ck_assert_uint_eq(out[cases[i].n], 0xee);
    }
}
END_TEST

START_TEST(test_hkdf_sha256_with_a_salt_longer_than_a_block_matches)
{
    uint8_t salt[100], out[80], hash[32];
    for (size_t i = 0; i < sizeof(salt); i++)
        salt[i] = (uint8_t)i;
    wa_hkdf_sha256(out, sizeof(out), testing_unhex("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b"),
                   BYTES_ARRAY(salt), bytes_text("info"));
    wa_sha256(hash, (struct bytes[]){BYTES_ARRAY(out)}, 1);
    assert_hex(BYTES_ARRAY(hash),
               "11a156d34a36d33081d372537c1284cee2951d3b3bf67c7f03a234c04716af61");
}
END_TEST

/* NIST's test case 16 of the GCM specification. */
static const char gcm_key[] = "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308";
static const char gcm_nonce[] = "cafebabefacedbaddecaf888";
static const char gcm_aad[] = "feedfacedeadbeeffeedfacedeadbeefabaddad2";
static const char gcm_plain[] = "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
                                "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39";
static const char gcm_sealed[] = "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
                                 "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
                                 "76fc6ece0f4e1768cddf8853bb2d551b";

START_TEST(test_gcm_of_nist_case_16_matches_both_ways)
{
    AUTO_BUF struct buf out;
    buf_init(&out, 1024);
    const uint8_t *key = testing_unhex(gcm_key).p, *nonce = testing_unhex(gcm_nonce).p;
    struct bytes aad = testing_unhex(gcm_aad);
    ck_assert_int_eq(wa_gcm_seal(&out, key, nonce, aad, testing_unhex(gcm_plain)), 0);
    assert_hex(buf_bytes(&out), gcm_sealed);
    buf_clear(&out);
    ck_assert_int_eq(wa_gcm_open(&out, key, nonce, aad, testing_unhex(gcm_sealed)), 0);
    assert_hex(buf_bytes(&out), gcm_plain);
}
END_TEST

START_TEST(test_gcm_open_of_damaged_input_appends_nothing)
{
    AUTO_BUF struct buf out;
    buf_init(&out, 1024);
    const uint8_t *key = testing_unhex(gcm_key).p, *nonce = testing_unhex(gcm_nonce).p;
    struct bytes aad = testing_unhex(gcm_aad), sealed = testing_unhex(gcm_sealed);
    for (size_t n = 0; n < sealed.n; n++) {
        int want = n < WA_GCM_TAG_LEN ? ERR_INVALID : ERR_AUTH;
        ck_assert_int_eq(wa_gcm_open(&out, key, nonce, aad, BYTES(sealed.p, n)), want);
    }
    ck_assert_int_eq(wa_gcm_open(&out, key, nonce, BYTES_NONE, sealed), ERR_AUTH);
    ck_assert_uint_eq(out.n, 0);
    struct buf small;
    buf_init(&small, 10);
    ck_assert_int_eq(wa_gcm_open(&small, key, nonce, aad, sealed), ERR_LIMIT);
    ck_assert_int_eq(wa_gcm_seal(&small, key, nonce, aad, sealed), ERR_LIMIT);
    ck_assert_uint_eq(small.n, 0);
    buf_deinit(&small);
}
END_TEST

START_TEST(test_gcm_under_a_prepared_key_matches_each_time)
{
    AUTO_BUF struct buf out;
    buf_init(&out, 1024);
    const uint8_t *nonce = testing_unhex(gcm_nonce).p, other[12] = {1};
    const struct bytes aad = testing_unhex(gcm_aad);
    const struct bytes plain = testing_unhex(gcm_plain), sealed = testing_unhex(gcm_sealed);
    struct wa_gcm *g = wa_gcm_begin(testing_unhex(gcm_key).p);
    for (int round = 0; round < 2; round++) {
        ck_assert_int_eq(wa_gcm_seal_next(g, &out, nonce, aad, plain), 0);
        assert_hex(buf_bytes(&out), gcm_sealed);
        buf_clear(&out);
        ck_assert_int_eq(wa_gcm_open_next(g, &out, other, aad, sealed), ERR_AUTH);
        ck_assert_int_eq(wa_gcm_open_next(g, &out, nonce, BYTES_NONE, sealed), ERR_AUTH);
        ck_assert_int_eq(wa_gcm_open_next(g, &out, nonce, aad, BYTES(sealed.p, 15)), ERR_INVALID);
        ck_assert_uint_eq(out.n, 0);
        ck_assert_int_eq(wa_gcm_open_next(g, &out, nonce, aad, sealed), 0);
        assert_hex(buf_bytes(&out), gcm_plain);
        buf_clear(&out);
    }
    wa_gcm_free(g);
    wa_gcm_free(NULL);
}
END_TEST

START_TEST(test_gcm_of_empty_plaintext_is_a_tag_alone)
{
    AUTO_BUF struct buf sealed, out;
    uint8_t key[32] = {0}, nonce[12] = {0};
    buf_init(&sealed, 64);
    buf_init(&out, 64);
    ck_assert_int_eq(wa_gcm_seal(&sealed, key, nonce, BYTES_NONE, BYTES_NONE), 0);
    assert_hex(buf_bytes(&sealed), "530f8afbc74536b9a963b4f1c4cb738b"); /* NIST case 13 */
    ck_assert_int_eq(wa_gcm_open(&out, key, nonce, BYTES_NONE, buf_bytes(&sealed)), 0);
    ck_assert_uint_eq(out.n, 0);
}
END_TEST

START_TEST(test_cbc_of_nist_block_matches_and_bad_padding_is_refused)
{
    AUTO_BUF struct buf sealed, plain;
    buf_init(&sealed, 64);
    buf_init(&plain, 64);
    struct bytes key = /* SP 800-38A F.2.5 */
        testing_unhex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4");
    struct bytes iv = testing_unhex("000102030405060708090a0b0c0d0e0f");
    struct bytes block = testing_unhex("6bc1bee22e409f96e93d7e117393172a");
    ck_assert_int_eq(wa_cbc_encrypt(&sealed, key, iv, block), 0);
    ck_assert_uint_eq(sealed.n, 32);
    assert_hex(BYTES(sealed.p, 16), "f58c4c04d6e5f1ba779eabfb5f7bfbd6");
    ck_assert_int_eq(wa_cbc_decrypt(&plain, key, iv, buf_bytes(&sealed)), 0);
    testing_assert_bytes(buf_bytes(&plain), block, "plaintext");
    buf_clear(&plain);
    for (size_t n = 0; n < sealed.n; n++)
        ck_assert_int_eq(wa_cbc_decrypt(&plain, key, iv, BYTES(sealed.p, n)), ERR_INVALID);
    ck_assert_int_eq(wa_cbc_encrypt(&plain, BYTES(key.p, 31), iv, block), ERR_INVALID);
    ck_assert_int_eq(wa_cbc_encrypt(&plain, key, BYTES(iv.p, 12), block), ERR_INVALID);
    ck_assert_uint_eq(plain.n, 0);
}
END_TEST

START_TEST(test_cbc_decrypt_of_every_other_padding_is_refused_and_appends_nothing)
{
    AUTO_BUF struct buf sealed, plain;
    buf_init(&sealed, 64);
    buf_init(&plain, 64);
    const uint8_t key[32] = {1}, iv[16] = {2};
    struct bytes text = bytes_text("sixteen letters!"); /* hence a block of padding, all 16 */
    ck_assert_int_eq(wa_cbc_encrypt(&sealed, BYTES_ARRAY(key), BYTES_ARRAY(iv), text), 0);
    for (unsigned change = 1; change < 256; change++) {
        bool one = (16 ^ change) == 1; /* valid again */
        sealed.p[15] ^= (uint8_t)change;
        ck_assert_int_eq(
            wa_cbc_decrypt(&plain, BYTES_ARRAY(key), BYTES_ARRAY(iv), buf_bytes(&sealed)),
            one ? 0 : ERR_INVALID);
        ck_assert_uint_eq(plain.n, one ? 31 : 0);
        sealed.p[15] ^= (uint8_t)change;
        buf_clear(&plain);
    }
    ck_assert_int_eq(wa_cbc_decrypt(&plain, BYTES_ARRAY(key), BYTES_ARRAY(iv), buf_bytes(&sealed)),
                     0);
    testing_assert_bytes(buf_bytes(&plain), text, "plaintext");
}
END_TEST

/* ---- Curve25519 ----------------------------------------------------------------------------- */

/* Randomness from a script; drawing more than there is fails the test. */
static void scripted_random(void *ctx, uint8_t *out, size_t n)
{
    struct bytes *script = ctx;
    ck_assert_uint_ge(script->n, n);
    memcpy(out, script->p, n);
    *script = BYTES(script->p + n, script->n - n);
}

START_TEST(test_curve_sign_with_vector_randomness_reproduces_signatures)
{
    json_t *all = json_object_get(testing_vectors("xeddsa.json"), "valid"), *v;
    size_t i;
    json_array_foreach(all, i, v)
    {
        struct bytes script = testing_hex(v, "random_64"), message = testing_hex(v, "message");
        struct wa_host host = {.ctx = &script, .random = scripted_random};
        uint8_t signature[64], pub[32];
        wa_curve_public(pub, testing_hex(v, "private").p);
        testing_assert_bytes(BYTES_ARRAY(pub), testing_hex(v, "public"), "public");
        wa_curve_sign(signature, testing_hex(v, "private").p, message, &host);
        testing_assert_bytes(BYTES_ARRAY(signature), testing_hex(v, "signature"), "signature");
        ck_assert_uint_eq(script.n, 0);
        ck_assert_int_eq(wa_curve_verify(BYTES_ARRAY(pub), message, BYTES_ARRAY(signature)), 0);
    }
    ck_assert_uint_eq(i, 6);
}
END_TEST

START_TEST(test_curve_verify_of_invalid_vectors_is_refused)
{
    json_t *all = json_object_get(testing_vectors("xeddsa.json"), "invalid"), *v;
    size_t i;
    json_array_foreach(all, i, v)
        ck_assert_msg(wa_curve_verify(testing_hex(v, "public"), testing_hex(v, "message"),
                                      testing_hex(v, "signature")) == ERR_AUTH,
                      "accepted: %s", testing_text(v, "name"));
    ck_assert_uint_eq(i, 7);
}
END_TEST

START_TEST(test_curve_verify_of_changed_signature_bits_is_refused)
{
    json_t *v = json_array_get(json_object_get(testing_vectors("xeddsa.json"), "valid"), 1);
    struct bytes pub = testing_hex(v, "public"), message = testing_hex(v, "message");
    uint8_t signature[64];
    memcpy(signature, testing_hex(v, "signature").p, sizeof(signature));
    for (size_t bit = 0; bit < 512; bit++) {
        signature[bit / 8] ^= (uint8_t)(1u << bit % 8);
        ck_assert_int_eq(wa_curve_verify(pub, message, BYTES_ARRAY(signature)), ERR_AUTH);
        signature[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t n = 0; n < 64; n++)
        ck_assert_int_eq(wa_curve_verify(pub, message, BYTES(signature, n)), ERR_AUTH);
    ck_assert_int_eq(wa_curve_verify(BYTES(pub.p, 31), message, BYTES_ARRAY(signature)), ERR_AUTH);
}
END_TEST

START_TEST(test_curve_generate_draws_32_bytes_and_clamps)
{
    uint8_t ones[32];
    memset(ones, 0xff, sizeof(ones));
    struct bytes script = BYTES_ARRAY(ones);
    struct wa_host host = {.ctx = &script, .random = scripted_random};
    struct wa_keypair pair;
    wa_curve_generate(&pair, &host);
    ck_assert_uint_eq(script.n, 0);
    ck_assert_uint_eq(pair.priv[0], 0xf8);
    ck_assert_uint_eq(pair.priv[31], 0x7f);
    uint8_t pub[32];
    wa_curve_public(pub, pair.priv);
    testing_assert_bytes(BYTES_ARRAY(pair.pub), BYTES_ARRAY(pub), "public");
}
END_TEST

START_TEST(test_curve_agree_matches_rfc7748_and_refuses_a_zero_result)
{
    uint8_t out[32], zero[32] = {0};
    const uint8_t *priv = /* RFC 7748 section 5.2, first vector, the library clamps the scalar */
        testing_unhex("a046e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449a44").p;
    const uint8_t *pub =
        testing_unhex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c").p;
    ck_assert_int_eq(wa_curve_agree(out, priv, pub), 0);
    assert_hex(BYTES_ARRAY(out),
               "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552");
    ck_assert_int_eq(wa_curve_agree(out, priv, zero), ERR_AUTH);
    /* A refusal leaves nothing behind for the next one. */
    ck_assert_int_eq(wa_curve_agree(out, priv, pub), 0);
    assert_hex(BYTES_ARRAY(out),
               "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552");
}
END_TEST

typedef int x25519_function(uint8_t *out, const uint8_t *scalar, const uint8_t *point);

static x25519_function *library_x25519(void)
{
    x25519_function *found;
    void *symbol = dlsym(RTLD_DEFAULT, "curve25519_donna");
    memcpy(&found, &symbol, sizeof(found));
    return found;
}

START_TEST(test_x25519_of_edge_points_matches_the_signal_library)
{
    static const char *const points[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "0900000000000000000000000000000000000000000000000000000000000000",
        "0900000000000000000000000000000000000000000000000000000000000080",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", /* p - 1 */
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "f6ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157", /* of order 8 */
    };
    x25519_function *theirs = library_x25519();
    uint8_t scalar[32], ours[32], want[32];
    for (size_t i = 0; theirs && i < 64 * ARRAY_LEN(points); i++) {
        struct bytes seed = BYTES(&i, sizeof(i));
        wa_sha256(scalar, &seed, 1);
        scalar[0] &= 0xf8; /* theirs leaves it as it is */
        scalar[31] = (uint8_t)((scalar[31] & 0x7f) | 0x40);
        const uint8_t *point = testing_unhex(points[i % ARRAY_LEN(points)]).p;
        wa_x25519(ours, scalar, point);
        theirs(want, scalar, point);
        testing_assert_bytes(BYTES_ARRAY(ours), BYTES_ARRAY(want), points[i % ARRAY_LEN(points)]);
    }
}
END_TEST

START_TEST(test_x25519_of_a_thousand_iterations_matches_rfc7748)
{
    uint8_t k[32] = {9}, u[32] = {9}, next[32];
    for (int i = 0; i < 1000; i++) {
        wa_x25519(next, k, u);
        memcpy(u, k, sizeof(u));
        memcpy(k, next, sizeof(k));
    }
    assert_hex(BYTES_ARRAY(k), "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51");
}
END_TEST

/* ---- JIDs ----------------------------------------------------------------------------------- */

static const struct {
    const char *in, *out;
    enum wa_server server;
    unsigned device;
    const char *user;
} jids[] = {
    {"5511987654321@s.whatsapp.net", NULL, WA_SERVER_PN, 0, "5511987654321"},
    {"5511987654321:12@s.whatsapp.net", NULL, WA_SERVER_PN, 12, "5511987654321"},
    {"5511987654321.0:12@s.whatsapp.net", "5511987654321:12@s.whatsapp.net", WA_SERVER_PN, 12,
     "5511987654321"},
    {"5511987654321:0@s.whatsapp.net", "5511987654321@s.whatsapp.net", WA_SERVER_PN, 0,
     "5511987654321"},
    {"5511987654321@c.us", "5511987654321@s.whatsapp.net", WA_SERVER_PN, 0, "5511987654321"},
    {"123.456:3@lid", NULL, WA_SERVER_LID, 3, "123.456"},
    {"120363021234567890@g.us", NULL, WA_SERVER_GROUP, 0, "120363021234567890"},
    {"5511987654321-1400000000@g.us", NULL, WA_SERVER_GROUP, 0, "5511987654321-1400000000"},
    {"status@broadcast", NULL, WA_SERVER_BROADCAST, 0, "status"},
    {"5511987654321:99@hosted", NULL, WA_SERVER_HOSTED, 99, "5511987654321"},
    {"123456789012345:99@hosted.lid", NULL, WA_SERVER_HOSTED_LID, 99, "123456789012345"},
    {"1:65535@msgr", NULL, WA_SERVER_MSGR, 65535, "1"},
    {"7-abc123:2@interop", NULL, WA_SERVER_INTEROP, 2, "7-abc123"},
    {"867051314767696@bot", NULL, WA_SERVER_BOT, 0, "867051314767696"},
    {"120363021234567890@newsletter", NULL, WA_SERVER_NEWSLETTER, 0, "120363021234567890"},
    {"0123ABCD@call", NULL, WA_SERVER_CALL, 0, "0123ABCD"},
    {"s.whatsapp.net", NULL, WA_SERVER_PN, 0, ""},
    {"g.us", NULL, WA_SERVER_GROUP, 0, ""},
};

START_TEST(test_jid_parse_of_text_forms_gives_parts_and_text_again)
{
    for (size_t i = 0; i < ARRAY_LEN(jids); i++) {
        char text[WA_JID_TEXT_SIZE];
        struct wa_jid jid;
        ck_assert_msg(wa_jid_parse(&jid, bytes_text(jids[i].in)) == 0, "%s", jids[i].in);
        ck_assert_int_eq(jid.server, jids[i].server);
        ck_assert_uint_eq(jid.device, jids[i].device);
        ck_assert_str_eq(jid.user, jids[i].user);
        ck_assert_str_eq(wa_jid_text(&jid, text), jids[i].out ? jids[i].out : jids[i].in);
    }
}
END_TEST

START_TEST(test_jid_parse_of_malformed_text_is_refused_and_zeroes)
{
    static const char *const bad[] = {
        "",
        "@",
        "@s.whatsapp.net",
        ":5@s.whatsapp.net",
        "123@",
        "123@nowhere",
        "123",
        "nowhere",
        "123:@lid",
        "123:x@lid",
        "123:65536@lid",
        "123:-1@lid",
        "1:2:3@lid",
        "a@b@lid",
        "a/b@lid",
        "a b@lid",
        "a\nb@lid",
        "123.1:2@s.whatsapp.net",
        "12.3@s.whatsapp.net",
        "1.2.0@s.whatsapp.net",
        "\xff@lid",
        "1234567890123456789012345678901234567890123456789012345678901234@lid"};
    struct wa_jid none = {0};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct wa_jid jid = wa_jid_make(WA_SERVER_LID, "1", 1);
        ck_assert_msg(wa_jid_parse(&jid, bytes_text(bad[i])) == ERR_INVALID, "'%s'", bad[i]);
        ck_assert(wa_jid_equal(&jid, &none));
    }
    struct wa_jid jid;
    ck_assert_int_eq(wa_jid_parse(&jid, BYTES("1\0002@lid", 7)), ERR_INVALID);
}
END_TEST

START_TEST(test_jid_parse_of_longest_user_fits_its_text)
{
    char user[WA_JID_USER_MAX + 1], text[WA_JID_TEXT_SIZE];
    memset(user, '7', WA_JID_USER_MAX);
    user[WA_JID_USER_MAX] = '\0';
    struct wa_jid jid = wa_jid_make(WA_SERVER_PN, user, 65535), again;
    ck_assert_int_eq(wa_jid_parse(&again, bytes_text(wa_jid_text(&jid, text))), 0);
    ck_assert(wa_jid_equal(&jid, &again));
}
END_TEST

START_TEST(test_jid_comparisons_treat_hosted_as_its_base)
{
    struct wa_jid pn = wa_jid_make(WA_SERVER_PN, "1", 0), pn5 = wa_jid_with_device(&pn, 5);
    struct wa_jid hosted = wa_jid_make(WA_SERVER_HOSTED, "1", 99);
    struct wa_jid lid = wa_jid_make(WA_SERVER_LID, "1", 0);
    struct wa_jid bare = wa_jid_bare(&hosted);
    ck_assert(!wa_jid_equal(&pn, &pn5));
    ck_assert(wa_jid_same_user(&pn, &pn5));
    ck_assert(wa_jid_same_user(&pn, &hosted));
    ck_assert(wa_jid_equal(&bare, &pn));
    ck_assert(!wa_jid_same_user(&pn, &lid));
    ck_assert(wa_jid_is_pn(&hosted) && !wa_jid_is_lid(&hosted) && wa_jid_is_lid(&lid));
}
END_TEST

START_TEST(test_jid_is_user_excludes_servers_groups_and_announcements)
{
    struct wa_jid jid;
    ck_assert(wa_jid_parse(&jid, bytes_text("1@s.whatsapp.net")) == 0 && wa_jid_is_user(&jid));
    ck_assert(wa_jid_parse(&jid, bytes_text("1:9@hosted.lid")) == 0 && wa_jid_is_user(&jid));
    ck_assert(wa_jid_parse(&jid, bytes_text("0@s.whatsapp.net")) == 0 && !wa_jid_is_user(&jid));
    ck_assert(wa_jid_parse(&jid, bytes_text("s.whatsapp.net")) == 0 && !wa_jid_is_user(&jid));
    ck_assert(wa_jid_parse(&jid, bytes_text("1@g.us")) == 0 && !wa_jid_is_user(&jid));
    ck_assert(wa_jid_parse(&jid, bytes_text("1@bot")) == 0 && !wa_jid_is_user(&jid));
}
END_TEST

START_TEST(test_jid_signal_names_differ_between_servers)
{
    static const struct {
        enum wa_server server;
        const char *name;
    } want[] = {{WA_SERVER_PN, "1"},         {WA_SERVER_LID, "1_1"},
                {WA_SERVER_HOSTED, "1_128"}, {WA_SERVER_HOSTED_LID, "1_129"},
                {WA_SERVER_MSGR, "1@msgr"},  {WA_SERVER_BOT, "1@bot"}};
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        char name[WA_JID_NAME_SIZE];
        struct wa_jid jid = wa_jid_make(want[i].server, "1", 7);
        ck_assert_str_eq(wa_jid_signal_name(&jid, name), want[i].name);
    }
}
END_TEST

START_TEST(test_jid_make_with_overlong_user_is_none)
{
    char user[WA_JID_USER_MAX + 2];
    memset(user, '7', sizeof(user) - 1);
    user[sizeof(user) - 1] = '\0';
    struct wa_jid jid = wa_jid_make(WA_SERVER_PN, user, 0);
    ck_assert(wa_jid_is_none(&jid));
}
END_TEST

/* ---- tokens --------------------------------------------------------------------------------- */

/* SHA-256 of the published word lists, one token a line (protocol/02). */
static const char *const dictionary_sha256[] = {
    "34af7d0ba6b51a2a59091374163c9fc6be56ee7957781d6ec4cda91c4ae09cc0",
    "9caea4f9c169762e49bbe19e6af8cf9a04a9e0ebb76584f202ebd7b59c87d769",
    "7c99ed9e1ae1c8a3274dc560664a5d7b808396ba3aaafe5b11da8e838de6750b",
    "ee7425b329885fcf5aaaf4a184f30e1fed21fcf0bbdcf98bd8cef1fe3dd66803",
    "056e3944ba065b904089f490a3f0fc588248825e3d84768c849436515fc7661a",
};

START_TEST(test_token_dictionaries_hash_to_the_published_values)
{
    for (unsigned list = 0; list < ARRAY_LEN(dictionary_sha256); list++) {
        AUTO_BUF struct buf text;
        uint8_t hash[32];
        buf_init(&text, 65536);
        for (unsigned i = 0; i < (list == 0 ? WA_TOKENS_SINGLE : WA_TOKENS_PER_DICTIONARY); i++) {
            buf_append(&text, list == 0 ? wa_token_single((uint8_t)i)
                                        : wa_token_double(list - 1, (uint8_t)i));
            buf_append_text(&text, "\n");
        }
        struct bytes all = buf_bytes(&text);
        wa_sha256(hash, &all, 1);
        assert_hex(BYTES_ARRAY(hash), dictionary_sha256[list]);
    }
}
END_TEST

START_TEST(test_token_find_of_every_token_gives_its_bytes)
{
    uint8_t form[2];
    for (unsigned i = 1; i < WA_TOKENS_SINGLE; i++) {
        ck_assert_uint_eq(wa_token_find(wa_token_single((uint8_t)i), form), 1);
        ck_assert_uint_eq(form[0], i);
    }
    for (unsigned d = 0; d < WA_TOKENS_DICTIONARIES; d++) {
        for (unsigned i = 0; i < WA_TOKENS_PER_DICTIONARY; i++) {
            ck_assert_uint_eq(wa_token_find(wa_token_double(d, (uint8_t)i), form), 2);
            ck_assert_uint_eq(form[0], 236 + d);
            ck_assert_uint_eq(form[1], i);
        }
    }
}
END_TEST

/* As wa_token_find, by looking at every token. */
static size_t find_slowly(struct bytes text, uint8_t form[2])
{
    for (unsigned i = 1; i < WA_TOKENS_SINGLE; i++) {
        form[0] = (uint8_t)i;
        if (bytes_equal(text, wa_token_single((uint8_t)i)))
            return 1;
    }
    for (unsigned i = 0; i < WA_TOKENS_DICTIONARIES * WA_TOKENS_PER_DICTIONARY; i++) {
        form[0] = (uint8_t)(WA_TOKENS_SINGLE + i / WA_TOKENS_PER_DICTIONARY);
        form[1] = (uint8_t)(i % WA_TOKENS_PER_DICTIONARY);
        if (bytes_equal(text, wa_token_double(i / WA_TOKENS_PER_DICTIONARY, (uint8_t)i)))
            return 2;
    }
    return 0;
}

static void assert_found_rightly(const uint8_t *text, size_t n)
{
    uint8_t found[2], right[2];
    size_t count = find_slowly(BYTES(text, n), right);
    ck_assert_uint_eq(wa_token_find(BYTES(text, n), found), count);
    ck_assert_mem_eq(found, right, count);
}

/* One byte changed, added, taken away, at every place. */
static void assert_neighbours_are_found_rightly(struct bytes token)
{
    uint8_t text[64];
    ck_assert_uint_lt(token.n, sizeof(text));
    for (size_t at = 0; at <= token.n; at++) {
        memcpy(text, token.p, token.n);
        if (at < token.n) {
            text[at] = (uint8_t)(text[at] ^ 1u << at % 8);
            assert_found_rightly(text, token.n);
            memmove(text + at, token.p + at + 1, token.n - at - 1);
            assert_found_rightly(text, token.n - 1);
        }
        memcpy(text, token.p, at);
        text[at] = '0';
        memcpy(text + at + 1, token.p + at, token.n - at);
        assert_found_rightly(text, token.n + 1);
        assert_found_rightly(text, at);
    }
}

START_TEST(test_token_find_of_what_is_nearly_a_token_finds_what_is_one)
{
    for (unsigned i = 1; i < WA_TOKENS_SINGLE; i++)
        assert_neighbours_are_found_rightly(wa_token_single((uint8_t)i));
    for (unsigned d = 0; d < WA_TOKENS_DICTIONARIES; d++)
        for (unsigned i = 0; i < WA_TOKENS_PER_DICTIONARY; i++)
            assert_neighbours_are_found_rightly(wa_token_double(d, (uint8_t)i));
}
END_TEST

START_TEST(test_token_find_of_other_text_finds_nothing)
{
    static const char *const other[] = {"", "iqq", "i", "IQ", "pair-success", "\xff\xff", "zzzz"};
    uint8_t form[2];
    for (size_t i = 0; i < ARRAY_LEN(other); i++)
        ck_assert_uint_eq(wa_token_find(bytes_text(other[i]), form), 0);
    ck_assert_ptr_null(wa_token_single(0).p);
    ck_assert_ptr_null(wa_token_single(236).p);
    ck_assert_ptr_null(wa_token_double(4, 0).p);
}
END_TEST

/* ---- stanzas: vectors ----------------------------------------------------------------------- */

static struct arena arena;

static void setup(void)
{
    arena_init(&arena);
}

static void teardown(void)
{
    arena_deinit(&arena);
}

static struct wa_node *node_of_json(const json_t *v)
{
    struct wa_node *node = wa_node_new(&arena, testing_text(v, "tag"));
    const json_t *content = json_object_get(v, "content"), *children;
    json_t *item;
    size_t i;
    json_array_foreach(json_object_get(v, "attrs"), i, item)
    {
        const char *key = json_string_value(json_array_get(item, 0));
        const char *value = json_string_value(json_array_get(item, 1));
        struct wa_jid jid;
        if (wa_jid_parse(&jid, bytes_text(value)) == 0)
            wa_node_set_jid(node, key, &jid);
        else
            wa_node_set(node, key, value);
    }
    if (json_is_string(json_object_get(content, "bytes")))
        wa_node_set_data(node, testing_hex(content, "bytes"));
    if ((children = json_object_get(content, "nodes")) != NULL) {
        node->content = WA_CONTENT_NODES;
        json_array_foreach(children, i, item) wa_node_append(node, node_of_json(item));
    }
    return node;
}

static void assert_same_node(const struct wa_node *got, const struct wa_node *want)
{
    AUTO_BUF struct buf a, b;
    buf_init(&a, 1 << 20);
    buf_init(&b, 1 << 20);
    wa_node_print(got, &a, 1 << 16);
    wa_node_print(want, &b, 1 << 16);
    ck_assert_str_eq(buf_text(&a), buf_text(&b));
}

START_TEST(test_node_encode_of_vectors_gives_their_bytes)
{
    json_t *all = json_object_get(testing_vectors("nodes.json"), "encode"), *v;
    size_t i;
    json_array_foreach(all, i, v)
    {
        AUTO_BUF struct buf out;
        buf_init(&out, 65536);
        ck_assert_int_eq(wa_node_encode(node_of_json(json_object_get(v, "node")), &out), 0);
        testing_assert_bytes(buf_bytes(&out), testing_hex(v, "hex"), testing_text(v, "name"));
    }
    ck_assert_uint_ge(i, 30);
}
END_TEST

START_TEST(test_node_decode_of_encode_vectors_gives_their_nodes)
{
    json_t *all = json_object_get(testing_vectors("nodes.json"), "encode"), *v;
    size_t i;
    json_array_foreach(all, i, v)
    {
        const char *second = testing_text(v, "second_encoder");
        struct wa_node *want = node_of_json(json_object_get(v, "node")), *node;
        ck_assert_int_eq(wa_node_decode(&arena, testing_hex(v, "hex"), &node), 0);
        assert_same_node(node, want);
        if (strcmp(second, "identical") != 0) {
            ck_assert_int_eq(wa_node_decode(&arena, testing_unhex(second), &node), 0);
            assert_same_node(node, want);
        }
    }
}
END_TEST

START_TEST(test_node_decode_of_decode_vectors_gives_their_nodes)
{
    json_t *all = json_object_get(testing_vectors("nodes.json"), "decode"), *v;
    size_t i;
    json_array_foreach(all, i, v)
    {
        struct wa_node *node;
        int rc = wa_node_decode(&arena, testing_hex(v, "hex"), &node);
        ck_assert_msg(rc == 0, "%s: %d", testing_text(v, "name"), rc);
        assert_same_node(node, node_of_json(json_object_get(v, "decoded")));
    }
    ck_assert_uint_ge(i, 15);
}
END_TEST

START_TEST(test_node_decode_of_malformed_vectors_is_refused)
{
    json_t *all = json_object_get(testing_vectors("nodes.json"), "malformed"), *v;
    size_t i;
    json_array_foreach(all, i, v)
    {
        struct wa_node *node;
        int rc = wa_node_decode(&arena, testing_hex(v, "hex"), &node);
        ck_assert_msg(rc == ERR_INVALID, "%s: %d", testing_text(v, "name"), rc);
        ck_assert_ptr_null(node);
    }
    ck_assert_uint_eq(i, 23);
}
END_TEST

/* Decodes a copy that ends where the input ends, so that reading on is seen by the sanitizer. */
static int decode_exactly(struct bytes stanza, struct wa_node **node)
{
    uint8_t *copy = err_malloc(stanza.n ? stanza.n : 1);
    if (stanza.n)
        memcpy(copy, stanza.p, stanza.n);
    int rc = wa_node_decode(&arena, BYTES(copy, stanza.n), node);
    free(copy);
    return rc;
}

static void for_each_stanza(void (*visit)(struct bytes stanza))
{
    static const char *const lists[] = {"encode", "decode"};
    for (size_t list = 0; list < ARRAY_LEN(lists); list++) {
        json_t *all = json_object_get(testing_vectors("nodes.json"), lists[list]), *v;
        size_t i;
        json_array_foreach(all, i, v) visit(testing_hex(v, "hex"));
    }
}

static void check_truncations(struct bytes stanza)
{
    for (size_t n = 0; n < stanza.n; n++) {
        struct wa_node *node;
        if (n == 1 && stanza.p[0] == 0x02)
            continue; /* the end of the stream */
        ck_assert_int_eq(decode_exactly(BYTES(stanza.p, n), &node), ERR_INVALID);
    }
}

START_TEST(test_node_decode_of_every_truncation_is_refused)
{
    for_each_stanza(check_truncations);
}
END_TEST

/* Whatever decodes must survive being encoded and decoded again. */
static void check_survival(struct bytes stanza)
{
    struct wa_node *node, *again;
    AUTO_BUF struct buf out;
    buf_init(&out, 1 << 20);
    int rc = decode_exactly(stanza, &node);
    ck_assert(rc == 0 || rc == ERR_INVALID || rc == ERR_LIMIT);
    if (rc == 0) {
        ck_assert_int_eq(wa_node_encode(node, &out), 0);
        ck_assert_int_eq(decode_exactly(buf_bytes(&out), &again), 0);
        assert_same_node(again, node);
    }
    arena_reset(&arena);
}

static void check_changes(struct bytes stanza)
{
    static const uint8_t values[] = {0, 1, 3, 236, 245, 246, 247, 248, 249, 250, 251, 252, 255};
    uint8_t copy[512];
    if (stanza.n > sizeof(copy))
        return;
    for (size_t i = 0; i < stanza.n; i++) {
        memcpy(copy, stanza.p, stanza.n);
        for (size_t v = 0; v < ARRAY_LEN(values); v++) {
            copy[i] = values[v];
            check_survival(BYTES(copy, stanza.n));
        }
        copy[i] = (uint8_t)(stanza.p[i] + 1);
        check_survival(BYTES(copy, stanza.n));
    }
}

START_TEST(test_node_decode_of_changed_bytes_is_refused_or_survives_encoding)
{
    for_each_stanza(check_changes);
}
END_TEST

/* ---- stanzas: sizes ------------------------------------------------------------------------- */

static struct wa_node *children(const char *parent, const char *tag, size_t count)
{
    struct wa_node *list = wa_node_new(&arena, parent), *last = NULL;
    list->content = WA_CONTENT_NODES;
    for (size_t i = 0; i < count; i++) {
        struct wa_node *child = wa_node_new(&arena, tag);
        *(last ? &last->next : &list->first) = child;
        last = child;
    }
    return list;
}

static struct wa_node *filled(size_t n)
{
    struct wa_node *node = wa_node_new(&arena, "value");
    uint8_t *data = err_malloc(n);
    memset(data, 0x5a, n);
    wa_node_set_data(node, BYTES(data, n));
    free(data);
    return node;
}

static struct wa_node *with_attributes(size_t count)
{
    struct wa_node *node = wa_node_new(&arena, "item");
    for (size_t i = 0; i < count; i++)
        wa_node_set(node, arena_text(&arena, "a%zu", i), arena_text(&arena, "b%zu", i));
    return node;
}

START_TEST(test_node_encode_of_large_vectors_matches_size_and_hash)
{
    json_t *all = json_object_get(testing_vectors("nodes.json"), "large");
    struct wa_node *nodes[] = {filled(1048575), filled(1048576), children("list", "item", 255),
                               children("list", "item", 256), with_attributes(128)};
    ck_assert_uint_eq(json_array_size(all), ARRAY_LEN(nodes));
    for (size_t i = 0; i < ARRAY_LEN(nodes); i++) {
        json_t *v = json_array_get(all, i);
        AUTO_BUF struct buf out;
        uint8_t hash[32];
        struct wa_node *again;
        buf_init(&out, WA_STANZA_MAX);
        ck_assert_int_eq(wa_node_encode(nodes[i], &out), 0);
        struct bytes stanza = buf_bytes(&out);
        ck_assert_int_eq((json_int_t)stanza.n,
                         json_integer_value(json_object_get(v, "total_bytes")));
        wa_sha256(hash, &stanza, 1);
        testing_assert_bytes(BYTES_ARRAY(hash), testing_hex(v, "sha256_of_whole_stanza_with_flag"),
                             testing_text(v, "name"));
        ck_assert_int_eq(wa_node_decode(&arena, stanza, &again), 0);
        assert_same_node(again, nodes[i]);
    }
}
END_TEST

START_TEST(test_node_encode_of_too_many_items_is_refused_and_appends_nothing)
{
    AUTO_BUF struct buf out, small;
    buf_init(&out, WA_STANZA_MAX);
    ck_assert_int_eq(wa_node_encode(children("list", "item", 65535), &out), 0);
    buf_clear(&out);
    ck_assert_int_eq(wa_node_encode(children("list", "item", 65536), &out), ERR_INVALID);
    ck_assert_uint_eq(out.n, 0);
    buf_init(&small, 100);
    buf_append_text(&small, "x");
    ck_assert_int_eq(wa_node_encode(filled(200), &small), ERR_LIMIT);
    ck_assert_uint_eq(small.n, 1);
}
END_TEST

static void nest(struct buf *out, size_t levels)
{
    buf_append_u8(out, 0);
    for (size_t i = 1; i < levels; i++)
        buf_append(out, testing_unhex("f80271f801"));
    buf_append(out, testing_unhex("f8013f"));
}

START_TEST(test_node_decode_nested_deeper_than_the_limit_is_refused)
{
    AUTO_BUF struct buf most, more, vector;
    struct wa_node *node;
    buf_init(&most, 65536);
    buf_init(&more, 65536);
    buf_init(&vector, 65536);
    nest(&most, WA_NODE_DEPTH_MAX);
    nest(&more, WA_NODE_DEPTH_MAX + 1);
    nest(&vector, 2001);
    ck_assert_int_eq(wa_node_decode(&arena, buf_bytes(&most), &node), 0);
    ck_assert_int_eq(wa_node_decode(&arena, buf_bytes(&more), &node), ERR_LIMIT);
    ck_assert_int_eq(wa_node_decode(&arena, buf_bytes(&vector), &node), ERR_LIMIT);
    ck_assert_ptr_null(node);
}
END_TEST

/* lists times a <list> of 65535 <item/>. */
static void tiny_nodes(struct buf *out, uint8_t lists)
{
    buf_append(out, testing_unhex("00f80271f8"));
    buf_append_u8(out, lists);
    for (unsigned i = 0; i < lists; i++) {
        buf_append(out, testing_unhex("f80271f9ffff"));
        for (unsigned k = 0; k < 65535; k++)
            buf_append(out, BYTES("\xf8\x01\x3f", 3));
    }
}

START_TEST(test_node_decode_of_too_many_tiny_nodes_is_refused)
{
    AUTO_BUF struct buf fits, bomb;
    struct wa_node *node;
    buf_init(&fits, WA_STANZA_MAX);
    buf_init(&bomb, WA_STANZA_MAX);
    tiny_nodes(&fits, 3);
    tiny_nodes(&bomb, 80);
    ck_assert_int_eq(wa_node_decode(&arena, buf_bytes(&fits), &node), 0);
    ck_assert_int_eq(wa_node_decode(&arena, buf_bytes(&bomb), &node), ERR_LIMIT);
}
END_TEST

/* ---- stanzas: deflated ---------------------------------------------------------------------- */

static struct bytes deflated(struct bytes nodes)
{
    uLongf n = compressBound(nodes.n);
    uint8_t *out = arena_alloc(&arena, n + 1);
    out[0] = 0x02;
    ck_assert_int_eq(compress2(out + 1, &n, nodes.p, nodes.n, 6), Z_OK);
    return BYTES(out, n + 1);
}

START_TEST(test_node_decode_of_deflated_stanza_gives_its_node)
{
    AUTO_BUF struct buf out;
    struct wa_node *node, *want = filled(1048576);
    buf_init(&out, WA_STANZA_MAX);
    ck_assert_int_eq(wa_node_encode(want, &out), 0);
    struct bytes stanza = deflated(BYTES(out.p + 1, out.n - 1));
    ck_assert_int_eq(wa_node_decode(&arena, stanza, &node), 0);
    assert_same_node(node, want);
    buf_clear(&out);
    buf_append(&out, stanza);
    buf_append_u8(&out, 0);
    ck_assert_int_eq(wa_node_decode(&arena, buf_bytes(&out), &node), ERR_INVALID);
}
END_TEST

START_TEST(test_node_decode_inflating_beyond_the_limit_is_refused)
{
    size_t n = WA_STANZA_MAX + 1;
    uint8_t *zeros = err_calloc(1, n);
    struct wa_node *node;
    struct bytes most = deflated(BYTES(zeros, n - 1)), more = deflated(BYTES(zeros, n));
    free(zeros);
    ck_assert_int_eq(wa_node_decode(&arena, most, &node), ERR_INVALID);
    ck_assert_int_eq(wa_node_decode(&arena, more, &node), ERR_LIMIT);
}
END_TEST

START_TEST(test_node_decode_of_stream_end_forms_gives_its_tag)
{
    struct wa_node *node;
    ck_assert_int_eq(wa_node_decode(&arena, testing_unhex("02"), &node), 0);
    ck_assert(wa_node_is(node, "xmlstreamend"));
    ck_assert_int_eq(wa_node_decode(&arena, testing_unhex("00f80102"), &node), 0);
    ck_assert(wa_node_is(node, "xmlstreamend"));
}
END_TEST

/* ---- stanzas: tree -------------------------------------------------------------------------- */

START_TEST(test_node_set_twice_replaces_and_keeps_order)
{
    AUTO_BUF struct buf text;
    buf_init(&text, 1024);
    struct wa_node *node = wa_node_new(&arena, "iq");
    struct wa_jid jid = wa_jid_make(WA_SERVER_LID, "1", 2);
    wa_node_set(node, "id", "1");
    wa_node_set_jid(node, "to", &jid);
    wa_node_set_u64(node, "id", UINT64_MAX);
    wa_node_child_be(node, "count", 3, 0x010203);
    wa_node_print(node, &text, 2);
    ck_assert_str_eq(buf_text(&text), "<iq id=\"18446744073709551615\" to=\"1:2@lid\">"
                                      "<count>0102...(3 bytes)</count></iq>");
}
END_TEST

START_TEST(test_node_readers_of_absent_parts_answer_with_nothing)
{
    struct wa_node *node = wa_node_new(&arena, "iq");
    struct wa_jid jid;
    uint64_t number;
    uint32_t value;
    wa_node_set(node, "t", "12x");
    wa_node_child_be(node, "count", 2, 7);
    ck_assert(!wa_node_is(NULL, "iq") && !wa_node_attr(NULL, "id").p);
    ck_assert_ptr_null(wa_node_attr(node, "id").p);
    ck_assert(!wa_node_attr_is(node, "id", ""));
    ck_assert(!wa_node_attr_jid(node, "t", &jid) && wa_jid_is_none(&jid));
    ck_assert(!wa_node_attr_u64(node, "t", &number));
    ck_assert_ptr_null(wa_node_find(NULL, "count"));
    ck_assert_ptr_null(wa_node_next(wa_node_find(node, "count"), "count"));
    ck_assert_ptr_null(wa_node_child_bytes(node, "list").p);
    ck_assert(!wa_node_child_be_value(node, "count", 3, &value));
    ck_assert(wa_node_child_be_value(node, "count", 2, &value) && value == 7);
}
END_TEST

START_TEST(test_node_copy_attr_keeps_the_jid_form)
{
    AUTO_BUF struct buf out;
    struct wa_node *in, *ack = wa_node_new(&arena, "ack");
    buf_init(&out, 1024);
    ck_assert_int_eq(wa_node_decode(&arena, testing_unhex("00f8030706f70103ff021234"), &in), 0);
    wa_node_copy_attr(ack, in, "from");
    wa_node_copy_attr(ack, in, "absent");
    ck_assert_int_eq(wa_node_encode(ack, &out), 0);
    assert_hex(buf_bytes(&out), "00f8031b06f70103ff021234");
}
END_TEST

START_TEST(test_node_encode_of_unknown_server_goes_back_as_it_came)
{
    AUTO_BUF struct buf out;
    struct wa_node *node;
    /* <receipt from="123@new"/> as JID_PAIR */
    struct bytes stanza = testing_unhex("00f8030706faff82123ffc036e6577");
    buf_init(&out, 1024);
    ck_assert_int_eq(wa_node_decode(&arena, stanza, &node), 0);
    ck_assert(wa_node_attr_is(node, "from", "123@new"));
    ck_assert_int_eq(wa_node_encode(node, &out), 0);
    testing_assert_bytes(buf_bytes(&out), stanza, "stanza");
}
END_TEST

START_TEST(test_node_encode_of_foreign_jids_gives_their_forms)
{
    static const char *const stanzas[] = {"00f8030706f6fc0f3130303031323334353637383930310005cc",
                                          "00f8030706f5fc0661626331323300020007fc07696e7465726f70"};
    for (size_t i = 0; i < ARRAY_LEN(stanzas); i++) {
        AUTO_BUF struct buf out;
        struct wa_node *node, *again;
        buf_init(&out, 1024);
        ck_assert_int_eq(wa_node_decode(&arena, testing_unhex(stanzas[i]), &node), 0);
        ck_assert_int_eq(wa_node_encode(node, &out), 0);
        ck_assert_uint_eq(out.p[5], testing_unhex(stanzas[i]).p[5]);
        ck_assert_int_eq(wa_node_decode(&arena, buf_bytes(&out), &again), 0);
        assert_same_node(again, node);
    }
}
END_TEST

START_TEST(test_node_encode_of_empty_jid_is_refused)
{
    AUTO_BUF struct buf out;
    struct wa_jid none = {0};
    struct wa_node *node = wa_node_new(&arena, "ack");
    buf_init(&out, 1024);
    wa_node_set_jid(node, "to", &none);
    ck_assert_int_eq(wa_node_encode(node, &out), ERR_INVALID);
    ck_assert_uint_eq(out.n, 0);
}
END_TEST

START_TEST(test_node_print_of_hostile_text_stays_on_one_line)
{
    AUTO_BUF struct buf text;
    buf_init(&text, 1024);
    struct wa_node *node = wa_node_new(&arena, "a");
    wa_node_set(node, "k", "x\"\n\\\xc3\xa9");
    wa_node_set(node, "l", "\xc3(");
    wa_node_print(node, &text, 16);
    ck_assert_str_eq(buf_text(&text), "<a k=\"x\\x22\\x0a\\x5c\xc3\xa9\" l=\"\\xc3(\"/>");
}
END_TEST

/* ---- frames --------------------------------------------------------------------------------- */

START_TEST(test_frame_next_of_growing_input_waits_then_cuts)
{
    AUTO_BUF struct buf wire;
    struct bytes payload;
    size_t used;
    buf_init(&wire, 1024);
    ck_assert_int_eq(wa_frame_append(&wire, bytes_text("hello")), 0);
    ck_assert_int_eq(wa_frame_append(&wire, BYTES_NONE), 0);
    assert_hex(buf_bytes(&wire), "00000568656c6c6f000000");
    for (size_t n = 0; n < 8; n++)
        ck_assert_int_eq(wa_frame_next(BYTES(wire.p, n), WA_FRAME_MAX, &payload, &used), 0);
    ck_assert_int_eq(wa_frame_next(buf_bytes(&wire), WA_FRAME_MAX, &payload, &used), 1);
    ck_assert(bytes_is(payload, "hello"));
    ck_assert_uint_eq(used, 8);
    ck_assert_int_eq(wa_frame_next(BYTES(wire.p + 8, 3), WA_FRAME_MAX, &payload, &used), 1);
    ck_assert_uint_eq(payload.n, 0);
    ck_assert_uint_eq(used, 3);
}
END_TEST

START_TEST(test_frame_next_announcing_more_than_the_limit_is_refused)
{
    struct bytes payload;
    size_t used;
    ck_assert_int_eq(wa_frame_next(testing_unhex("000101"), 256, &payload, &used), ERR_LIMIT);
    ck_assert_int_eq(wa_frame_next(testing_unhex("000100"), 256, &payload, &used), 0);
    ck_assert_int_eq(wa_frame_next(testing_unhex("ffffff"), WA_FRAME_MAX, &payload, &used), 0);
}
END_TEST

START_TEST(test_frame_append_of_too_much_appends_nothing)
{
    AUTO_BUF struct buf out;
    buf_init(&out, 8);
    ck_assert_int_eq(wa_frame_begin(&out, WA_FRAME_MAX + 1u), ERR_LIMIT);
    ck_assert_int_eq(wa_frame_append(&out, bytes_text("123456")), ERR_LIMIT);
    ck_assert_uint_eq(out.n, 0);
    ck_assert_int_eq(wa_frame_append(&out, bytes_text("12345")), 0);
}
END_TEST

static void add_primitives(Suite *suite)
{
    TCase *crypto = tcase_create("crypto");
    tcase_add_test(crypto, test_hashes_of_standard_inputs_match_their_standards);
    tcase_add_test(crypto, test_hmac_sha256_of_rfc4231_case_2_matches);
    tcase_add_test(crypto, test_hmac_sha256_with_empty_key_matches);
    tcase_add_test(crypto, test_sha256_of_lengths_around_a_block_matches);
    tcase_add_test(crypto, test_hmac_sha256_with_keys_around_a_block_matches);
    tcase_add_test(crypto, test_hmac_sha512_of_rfc4231_case_2_matches);
    tcase_add_test(crypto, test_sha512_digest_after_final_starts_anew);
    tcase_add_test(crypto, test_hkdf_sha256_of_rfc5869_cases_matches);
    tcase_add_test(crypto, test_hkdf_sha256_of_every_kind_of_length_matches);
    tcase_add_test(crypto, test_hkdf_sha256_with_a_salt_longer_than_a_block_matches);
    tcase_add_test(crypto, test_gcm_of_nist_case_16_matches_both_ways);
    tcase_add_test(crypto, test_gcm_open_of_damaged_input_appends_nothing);
    tcase_add_test(crypto, test_gcm_under_a_prepared_key_matches_each_time);
    tcase_add_test(crypto, test_gcm_of_empty_plaintext_is_a_tag_alone);
    tcase_add_test(crypto, test_cbc_of_nist_block_matches_and_bad_padding_is_refused);
    tcase_add_test(crypto, test_cbc_decrypt_of_every_other_padding_is_refused_and_appends_nothing);
    suite_add_tcase(suite, crypto);
    TCase *curve = tcase_create("curve");
    tcase_set_timeout(curve, 60);
    tcase_add_test(curve, test_curve_sign_with_vector_randomness_reproduces_signatures);
    tcase_add_test(curve, test_curve_verify_of_invalid_vectors_is_refused);
    tcase_add_test(curve, test_curve_verify_of_changed_signature_bits_is_refused);
    tcase_add_test(curve, test_curve_generate_draws_32_bytes_and_clamps);
    tcase_add_test(curve, test_curve_agree_matches_rfc7748_and_refuses_a_zero_result);
    tcase_add_test(curve, test_x25519_of_edge_points_matches_the_signal_library);
    tcase_add_test(curve, test_x25519_of_a_thousand_iterations_matches_rfc7748);
    suite_add_tcase(suite, curve);
    TCase *jid = tcase_create("jid");
    tcase_add_test(jid, test_jid_parse_of_text_forms_gives_parts_and_text_again);
    tcase_add_test(jid, test_jid_parse_of_malformed_text_is_refused_and_zeroes);
    tcase_add_test(jid, test_jid_parse_of_longest_user_fits_its_text);
    tcase_add_test(jid, test_jid_comparisons_treat_hosted_as_its_base);
    tcase_add_test(jid, test_jid_is_user_excludes_servers_groups_and_announcements);
    tcase_add_test(jid, test_jid_signal_names_differ_between_servers);
    tcase_add_test(jid, test_jid_make_with_overlong_user_is_none);
    suite_add_tcase(suite, jid);
}

static void add_stanzas(Suite *suite)
{
    TCase *tokens = tcase_create("tokens");
    tcase_add_test(tokens, test_token_dictionaries_hash_to_the_published_values);
    tcase_add_test(tokens, test_token_find_of_every_token_gives_its_bytes);
    tcase_add_test(tokens, test_token_find_of_what_is_nearly_a_token_finds_what_is_one);
    tcase_add_test(tokens, test_token_find_of_other_text_finds_nothing);
    suite_add_tcase(suite, tokens);
    TCase *node = tcase_create("node");
    tcase_add_checked_fixture(node, setup, teardown);
    tcase_set_timeout(node, 120);
    tcase_add_test(node, test_node_encode_of_vectors_gives_their_bytes);
    tcase_add_test(node, test_node_decode_of_encode_vectors_gives_their_nodes);
    tcase_add_test(node, test_node_decode_of_decode_vectors_gives_their_nodes);
    tcase_add_test(node, test_node_decode_of_malformed_vectors_is_refused);
    tcase_add_test(node, test_node_decode_of_every_truncation_is_refused);
    tcase_add_test(node, test_node_decode_of_changed_bytes_is_refused_or_survives_encoding);
    tcase_add_test(node, test_node_encode_of_large_vectors_matches_size_and_hash);
    tcase_add_test(node, test_node_encode_of_too_many_items_is_refused_and_appends_nothing);
    tcase_add_test(node, test_node_decode_nested_deeper_than_the_limit_is_refused);
    tcase_add_test(node, test_node_decode_of_too_many_tiny_nodes_is_refused);
    tcase_add_test(node, test_node_decode_of_deflated_stanza_gives_its_node);
    tcase_add_test(node, test_node_decode_inflating_beyond_the_limit_is_refused);
    tcase_add_test(node, test_node_decode_of_stream_end_forms_gives_its_tag);
    tcase_add_test(node, test_node_set_twice_replaces_and_keeps_order);
    tcase_add_test(node, test_node_readers_of_absent_parts_answer_with_nothing);
    tcase_add_test(node, test_node_copy_attr_keeps_the_jid_form);
    tcase_add_test(node, test_node_encode_of_unknown_server_goes_back_as_it_came);
    tcase_add_test(node, test_node_encode_of_foreign_jids_gives_their_forms);
    tcase_add_test(node, test_node_encode_of_empty_jid_is_refused);
    tcase_add_test(node, test_node_print_of_hostile_text_stays_on_one_line);
    suite_add_tcase(suite, node);
    TCase *frame = tcase_create("frame");
    tcase_add_test(frame, test_frame_next_of_growing_input_waits_then_cuts);
    tcase_add_test(frame, test_frame_next_announcing_more_than_the_limit_is_refused);
    tcase_add_test(frame, test_frame_append_of_too_much_appends_nothing);
    suite_add_tcase(suite, frame);
}

int main(void)
{
    Suite *suite = suite_create("wa_codec");
    add_primitives(suite);
    add_stanzas(suite);
    return testing_run(suite);
}
