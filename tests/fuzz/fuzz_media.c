/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Files of messages. First byte: 0 the input as a Message, what it says of a file; 1 a piece sealed
 * as the phone's answer about a file that is gone, then a piece as a whole such answer; 2 a plain
 * file sealed, and read in pieces with a byte changed; 3 the input as a file whose hashes and MAC
 * are right, whatever it holds.
 */
#include "base/text.h"
#include "fuzz.h"
#include "wa/media.h"
#include "wa/message.h"

#define ROOM (1u << 18)
#define ID "3EB0FF"

static const uint8_t key[WA_MEDIA_KEY_LEN] = {7};

/* ---- what a message says ----------------------------------------------------------------------
 */

static void look(const struct wa_media *m)
{
    AUTO_BUF struct buf path = {.max = 2 * WA_MEDIA_PATH_MAX};
    fuzz_require(text_utf8_valid(m->file_name) && m->file_name.n <= WA_MEDIA_NAME_MAX);
    fuzz_require(m->mimetype.n <= WA_MEDIA_MIME_MAX);
    for (size_t i = 0; i < m->mimetype.n; i++)
        fuzz_require(m->mimetype.p[i] >= ' ' && m->mimetype.p[i] <= '~');
    if (!wa_media_is_fetchable(m))
        return;
    fuzz_require(m->key.n == 32 && m->sha256.n == 32 && m->sealed_sha256.n == 32);
    fuzz_require(wa_media_append_path(&path, m->type, m->direct_path, m->sealed_sha256) == 0);
    fuzz_require(path.p[0] == '/' && path.p[1] != '/');
    for (size_t i = 0; i < path.n; i++)
        fuzz_require(path.p[i] > ' ' && path.p[i] <= '~' && path.p[i] != '#' && path.p[i] != '\\');
}

static void read_message(struct bytes message)
{
    struct arena arena;
    struct wa_content content;
    arena_init(&arena);
    if (wa_message_parse(message, &arena, &content) == 0)
        look(&content.media);
    arena_deinit(&arena);
}

/* ---- the phone's answer -----------------------------------------------------------------------
 */

static int open_answer(struct bytes nonce, struct bytes sealed)
{
    AUTO_BUF struct buf plain = {.max = WA_MEDIA_RETRY_MAX};
    struct bytes path = BYTES_NONE;
    uint32_t result = 0;
    int rc = wa_media_retry_open(&plain, key, nonce, bytes_text(ID), sealed, &path, &result);
    if (rc == 0)
        fuzz_touch(path);
    return rc;
}

static void read_answers(struct reader *in)
{
    static const uint8_t nonce[WA_GCM_NONCE_LEN] = {3};
    AUTO_BUF struct buf sealed = {.max = ROOM};
    uint8_t derived[32];
    wa_hkdf_sha256(derived, 32, BYTES_ARRAY(key), BYTES_NONE,
                   bytes_text("WhatsApp Media Retry Notification"));
    wa_gcm_seal(&sealed, derived, nonce, bytes_text(ID), fuzz_piece(in));
    int rc = open_answer(BYTES_ARRAY(nonce), buf_bytes(&sealed));
    fuzz_require(rc == 0 || rc == ERR_INVALID || rc == ERR_LIMIT);
    struct bytes other = fuzz_piece(in);
    fuzz_require(open_answer(other, fuzz_piece(in)) < 0);
}

/* ---- files ------------------------------------------------------------------------------------
 */

struct file {
    struct bytes sealed;
    uint8_t sha256[32], sealed_sha256[32];
};

static int read_file(const struct file *f, size_t step, uint64_t max, struct buf *plain)
{
    const struct wa_media_expected expected = {.type = WA_MEDIA_IMAGE,
                                               .key = key,
                                               .sealed_sha256 = f->sealed_sha256,
                                               .sha256 = f->sha256,
                                               .max = max};
    struct wa_media_reader *r = wa_media_open(&expected);
    int rc = 0;
    for (size_t at = 0; rc == 0 && at < f->sealed.n; at += step) {
        size_t n = f->sealed.n - at < step ? f->sealed.n - at : step, before = plain->n;
        rc = wa_media_feed(r, BYTES(f->sealed.p + at, n), plain);
        fuzz_require(rc < 0 || plain->n - before <= n + 32);
    }
    if (rc == 0)
        rc = wa_media_end(r, plain);
    wa_media_close(r);
    fuzz_require(rc == 0 || rc == ERR_AUTH || rc == ERR_LIMIT);
    return rc;
}

static void read_sealed(struct reader *in)
{
    AUTO_BUF struct buf sealed = {.max = ROOM}, back = {.max = ROOM};
    size_t step = fuzz_byte(in) + 1u, max = fuzz_byte(in) * 64u;
    uint32_t at = 0;
    (void)!reader_be(in, 2, &at);
    uint8_t change = fuzz_byte(in);
    struct bytes plain = BYTES(in->p, reader_left(in));
    struct file f;
    wa_media_seal(&sealed, WA_MEDIA_IMAGE, key, plain);
    wa_sha256(f.sha256, &plain, 1);
    f.sealed = buf_bytes(&sealed);
    wa_sha256(f.sealed_sha256, &f.sealed, 1);
    int rc = read_file(&f, step, max, &back);
    fuzz_require(rc == (plain.n <= max ? 0 : ERR_LIMIT));
    fuzz_require(rc < 0 || bytes_equal(buf_bytes(&back), plain));
    buf_clear(&back);
    sealed.p[at % sealed.n] ^= change;
    if (change)
        fuzz_require(read_file(&f, step, ROOM, &back) < 0);
}

/* Only the padding and the hash of the plain file can be wrong. */
static void read_vouched(struct bytes content)
{
    AUTO_BUF struct buf sealed = {.max = ROOM}, plain = {.max = ROOM};
    struct wa_media_keys keys;
    struct file f = {.sha256 = {0}};
    uint8_t mac[32];
    wa_media_expand(&keys, WA_MEDIA_IMAGE, key);
    buf_append(&sealed, content);
    wa_hmac_sha256(mac, BYTES_ARRAY(keys.mac), (struct bytes[]){BYTES_ARRAY(keys.iv), content}, 2);
    buf_append(&sealed, BYTES(mac, WA_MEDIA_MAC_LEN));
    f.sealed = buf_bytes(&sealed);
    wa_sha256(f.sealed_sha256, &f.sealed, 1);
    fuzz_require(read_file(&f, 7, ROOM, &plain) < 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader in = reader_init(BYTES(data, size));
    uint8_t form = fuzz_byte(&in) & 3;
    if (form == 0)
        read_message(BYTES(in.p, reader_left(&in)));
    else if (form == 1)
        read_answers(&in);
    else if (form == 2)
        read_sealed(&in);
    else
        read_vouched(BYTES(in.p, reader_left(&in)));
    return 0;
}
