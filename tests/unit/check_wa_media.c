/* SPDX-License-Identifier: GPL-3.0-or-later */
/* wa/media.h against vectors of an independent implementation, and everything that can be wrong. */
#include "check_wa_signal.h"
#include "testing.h"

#include "base/err.h"
#include "wa/media.h"
#include "wa/message.h"

#define PLAIN_MAX 300000

struct file {
    enum wa_media_type type;
    struct bytes key, sealed, plain, sealed_sha256, sha256;
};

/* A voice note is an audio file to the keys. */
static struct file file_of(const json_t *c)
{
    struct file f = {
        .key = testing_hex(c, "media_key"),
        .sealed = testing_hex(c, "encrypted_file"),
        .plain = testing_hex(c, "plaintext"),
        .sealed_sha256 = testing_hex(c, "file_enc_sha256"),
        .sha256 = testing_hex(c, "file_sha256"),
    };
    ck_assert_int_eq(wa_media_type_parse(bytes_text(testing_text(c, "mms_type")), &f.type), 0);
    return f;
}

static json_t *cases(void)
{
    return json_object_get(testing_vectors("media.json"), "cases");
}

/* Reads the file in pieces of so many bytes (0: at once) and appends to plain. */
static int read_file(const struct file *f, size_t piece, uint64_t length, uint64_t max,
                     struct buf *plain)
{
    const struct wa_media_expected expected = {.type = f->type,
                                               .key = f->key.p,
                                               .sealed_sha256 = f->sealed_sha256.p,
                                               .sha256 = f->sha256.p,
                                               .length = length,
                                               .max = max};
    struct wa_media_reader *r = wa_media_open(&expected);
    int rc = 0;
    for (size_t at = 0; at < f->sealed.n && rc == 0;) {
        size_t n = piece && piece < f->sealed.n - at ? piece : f->sealed.n - at;
        rc = wa_media_feed(r, BYTES(f->sealed.p + at, n), plain);
        at += n;
    }
    if (rc == 0)
        rc = wa_media_end(r, plain);
    wa_media_close(r);
    return rc;
}

static int reads(const struct file *f, uint64_t length, uint64_t max)
{
    AUTO_BUF struct buf plain;
    buf_init(&plain, PLAIN_MAX);
    return read_file(f, 0, length, max, &plain);
}

START_TEST(test_media_expand_vectors)
{
    const json_t *c;
    size_t i;
    json_array_foreach(cases(), i, c)
    {
        struct file f = file_of(c);
        struct wa_media_keys keys;
        wa_media_expand(&keys, f.type, f.key.p);
        testing_assert_bytes(BYTES_ARRAY(keys.iv), testing_hex(c, "iv"), "iv");
        testing_assert_bytes(BYTES_ARRAY(keys.cipher), testing_hex(c, "cipher_key"), "cipher");
        testing_assert_bytes(BYTES_ARRAY(keys.mac), testing_hex(c, "mac_key"), "mac");
        testing_assert_bytes(BYTES_ARRAY(keys.ref), testing_hex(c, "ref_key"), "ref");
    }
}
END_TEST

START_TEST(test_media_seal_vectors)
{
    const json_t *c;
    size_t i;
    json_array_foreach(cases(), i, c)
    {
        struct file f = file_of(c);
        AUTO_BUF struct buf out;
        buf_init(&out, PLAIN_MAX);
        ck_assert_int_eq(wa_media_seal(&out, f.type, f.key.p, f.plain), 0);
        testing_assert_bytes(buf_bytes(&out), f.sealed, "sealed file");
    }
}
END_TEST

START_TEST(test_media_feed_vectors_in_any_cut)
{
    static const size_t pieces[] = {0, 1, 2, 7, 9, 10, 11, 16, 17, 100};
    const json_t *c;
    size_t i;
    json_array_foreach(cases(), i, c)
    {
        struct file f = file_of(c);
        for (size_t p = 0; p < ARRAY_LEN(pieces); p++) {
            AUTO_BUF struct buf plain;
            buf_init(&plain, PLAIN_MAX);
            ck_assert_int_eq(read_file(&f, pieces[p], f.plain.n, f.plain.n, &plain), 0);
            testing_assert_bytes(buf_bytes(&plain), f.plain, "plain file");
        }
    }
}
END_TEST

START_TEST(test_media_end_every_flipped_byte_is_refused)
{
    const json_t *c;
    size_t i;
    json_array_foreach(cases(), i, c)
    {
        struct file f = file_of(c), bad = f;
        AUTO_FREE uint8_t *copy = err_malloc(f.sealed.n);
        memcpy(copy, f.sealed.p, f.sealed.n);
        bad.sealed = BYTES(copy, f.sealed.n);
        for (size_t at = 0; at < f.sealed.n; at++) {
            copy[at] ^= 1;
            ck_assert_int_eq(reads(&bad, 0, PLAIN_MAX), ERR_AUTH);
            copy[at] ^= 1;
        }
        ck_assert_int_eq(reads(&bad, 0, PLAIN_MAX), 0);
    }
}
END_TEST

START_TEST(test_media_end_every_truncation_is_refused)
{
    const json_t *c;
    size_t i;
    json_array_foreach(cases(), i, c)
    {
        struct file f = file_of(c);
        size_t all = f.sealed.n;
        for (f.sealed.n = 0; f.sealed.n < all; f.sealed.n++)
            ck_assert_int_eq(reads(&f, 0, PLAIN_MAX), ERR_AUTH);
    }
}
END_TEST

/* Whoever knows the key makes a file whose hash is right and whose MAC is not, and the like. */
static int reads_with_hashes_of(struct file f, struct bytes sealed)
{
    uint8_t hash[WA_SHA256_LEN];
    wa_sha256(hash, &sealed, 1);
    f.sealed = sealed;
    f.sealed_sha256 = BYTES_ARRAY(hash);
    return reads(&f, 0, PLAIN_MAX);
}

START_TEST(test_media_end_each_check_alone_refuses)
{
    struct file f = file_of(json_array_get(cases(), 5)), other = f;
    uint8_t copy[2000], wrong[WA_SHA256_LEN] = {0};
    AUTO_BUF struct buf sealed;
    buf_init(&sealed, PLAIN_MAX);
    ck_assert_uint_lt(f.sealed.n, sizeof(copy));
    memcpy(copy, f.sealed.p, f.sealed.n);
    copy[f.sealed.n - 1] ^= 1; /* the MAC only */
    ck_assert_int_eq(reads_with_hashes_of(f, BYTES(copy, f.sealed.n)), ERR_AUTH);
    ck_assert_int_eq(reads_with_hashes_of(f, f.sealed), 0);
    other.sha256 = BYTES_ARRAY(wrong); /* the hash of the plain file only */
    ck_assert_int_eq(reads(&other, 0, PLAIN_MAX), ERR_AUTH);
    ck_assert_int_eq(reads(&f, f.plain.n + 1, PLAIN_MAX), ERR_AUTH); /* the length only */
    ck_assert_int_eq(reads(&f, f.plain.n, f.plain.n - 1), ERR_LIMIT);
    ck_assert_int_eq(wa_media_seal(&sealed, WA_MEDIA_VIDEO, f.key.p, f.plain), 0);
    ck_assert_int_eq(reads_with_hashes_of(f, buf_bytes(&sealed)), ERR_AUTH); /* another type */
    ck_assert_int_eq(reads_with_hashes_of(f, BYTES(copy, WA_MEDIA_MAC_LEN)), ERR_AUTH);
}
END_TEST

START_TEST(test_media_feed_large_file_as_vector)
{
    const json_t *c = json_object_get(testing_vectors("media.json"), "sidecar_case");
    struct bytes key = testing_hex(c, "media_key");
    AUTO_BUF struct buf sealed, plain, piece;
    buf_init(&plain, PLAIN_MAX);
    buf_init(&sealed, PLAIN_MAX);
    buf_init(&piece, PLAIN_MAX);
    for (size_t i = 0; i < 150000; i++)
        buf_append_u8(&plain, (uint8_t)(i % 251));
    ck_assert_int_eq(wa_media_seal(&sealed, WA_MEDIA_VIDEO, key.p, buf_bytes(&plain)), 0);
    struct file f = {.type = WA_MEDIA_VIDEO,
                     .key = key,
                     .sealed = buf_bytes(&sealed),
                     .sealed_sha256 = testing_hex(c, "file_enc_sha256"),
                     .sha256 = testing_hex(c, "file_sha256")};
    ck_assert_int_eq(read_file(&f, 8192, plain.n, PLAIN_MAX, &piece), 0);
    testing_assert_bytes(buf_bytes(&piece), buf_bytes(&plain), "plain file");
}
END_TEST

/* ---- where it lies -------------------------------------------------------------------------- */

START_TEST(test_media_append_path_vector)
{
    const json_t *c = json_array_get(cases(), 0);
    struct file f = file_of(c);
    AUTO_BUF struct buf out, want;
    buf_init(&out, 4096);
    buf_init(&want, 4096);
    buf_printf(&want, "/v/t62/x?ccb=1&oh=2&hash=%s&mms-type=image&__wa-mms=",
               testing_text(c, "file_enc_sha256_base64url"));
    ck_assert_int_eq(wa_media_append_path(&out, WA_MEDIA_IMAGE, bytes_text("/v/t62/x?ccb=1&oh=2"),
                                          f.sealed_sha256),
                     0);
    ck_assert_str_eq(buf_text(&out), buf_text(&want));
}
END_TEST

START_TEST(test_media_append_path_refuses_what_leads_elsewhere)
{
    static const char *const bad[] = {"",
                                      "/",
                                      "v/x",
                                      "//evil.example/x",
                                      "https://evil.example/x",
                                      "@evil.example/x",
                                      ":80/x",
                                      "/a b",
                                      "/a\r\nHost: x",
                                      "/a#b",
                                      "/a\\b",
                                      "/\xc3\xa4"};
    uint8_t hash[32] = {0};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        AUTO_BUF struct buf out;
        buf_init(&out, 4096);
        ck_assert_msg(wa_media_append_path(&out, WA_MEDIA_IMAGE, bytes_text(bad[i]),
                                           BYTES_ARRAY(hash)) == ERR_INVALID,
                      "%s", bad[i]);
        ck_assert_uint_eq(out.n, 0);
    }
}
END_TEST

/* ---- the retry ------------------------------------------------------------------------------ */

START_TEST(test_media_retry_vectors)
{
    const json_t *v = testing_vectors("media-retry.json");
    const json_t *asked = json_object_get(v, "request"), *told = json_object_get(v, "response");
    struct bytes key = testing_hex(v, "media_key"), id = bytes_text(testing_text(v, "message_id"));
    struct bytes sealed = testing_hex(told, "enc_p"), nonce = testing_hex(told, "enc_iv"), path;
    uint32_t result;
    AUTO_BUF struct buf out;
    buf_init(&out, 4096);
    ck_assert_int_eq(wa_media_retry_seal(&out, key.p, testing_hex(asked, "enc_iv").p, id), 0);
    testing_assert_bytes(buf_bytes(&out), testing_hex(asked, "enc_p"), "request");
    buf_clear(&out);
    ck_assert_int_eq(wa_media_retry_open(&out, key.p, nonce, id, sealed, &path, &result), 0);
    ck_assert(bytes_is(path, testing_text(told, "direct_path")));
    ck_assert_uint_eq(result, 1);
    buf_clear(&out);
    ck_assert_int_eq(
        wa_media_retry_open(&out, key.p, nonce, bytes_text("OTHER"), sealed, &path, &result),
        ERR_AUTH);
    ck_assert_int_eq(
        wa_media_retry_open(&out, key.p, BYTES(nonce.p, 11), id, sealed, &path, &result),
        ERR_INVALID);
    for (size_t n = 0; n < sealed.n; n++)
        ck_assert_int_lt(
            wa_media_retry_open(&out, key.p, nonce, id, BYTES(sealed.p, n), &path, &result), 0);
}
END_TEST

/* ---- what a message says of a file ---------------------------------------------------------- */

START_TEST(test_message_parse_image_tells_its_file)
{
    /* imageMessage: mimetype, caption, length 5, height 3, width 4, path */
    static const char raw[] = "\x1a\x20\x12\x0aimage/jpeg\x1a\x02hi\x28\x05\x30\x03\x38\x04"
                              "\x5a\x08/v/t62/x";
    struct arena arena = {0};
    struct wa_content c;
    ck_assert_int_eq(wa_message_parse(BYTES(raw, sizeof(raw) - 1), &arena, &c), 0);
    ck_assert_int_eq(c.kind, WA_KIND_IMAGE);
    ck_assert(bytes_is(c.text, "hi"));
    ck_assert_int_eq(c.media.type, WA_MEDIA_IMAGE);
    ck_assert(bytes_is(c.media.mimetype, "image/jpeg"));
    ck_assert(bytes_is(c.media.direct_path, "/v/t62/x"));
    ck_assert_uint_eq(c.media.length, 5);
    ck_assert_uint_eq(c.media.height, 3);
    ck_assert_uint_eq(c.media.width, 4);
    ck_assert(!wa_media_is_fetchable(&c.media)); /* no key, no hashes */
    arena_deinit(&arena);
}
END_TEST

TCase *media_cases(void)
{
    TCase *t = tcase_create("media");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, test_media_expand_vectors);
    tcase_add_test(t, test_media_seal_vectors);
    tcase_add_test(t, test_media_feed_vectors_in_any_cut);
    tcase_add_test(t, test_media_end_every_flipped_byte_is_refused);
    tcase_add_test(t, test_media_end_every_truncation_is_refused);
    tcase_add_test(t, test_media_end_each_check_alone_refuses);
    tcase_add_test(t, test_media_feed_large_file_as_vector);
    tcase_add_test(t, test_media_append_path_vector);
    tcase_add_test(t, test_media_append_path_refuses_what_leads_elsewhere);
    tcase_add_test(t, test_media_retry_vectors);
    tcase_add_test(t, test_message_parse_image_tells_its_file);
    return t;
}
