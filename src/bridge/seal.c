/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "bridge/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/random.h"
#include "base/text.h"
#include "wa/crypto.h"

#define VERSION 1
#define INFO "wabridge keys.db 1"
#define HEAD (1 + WA_GCM_NONCE_LEN)
#define FILE_MAX 66 /* 64 digits and a line end of two bytes */
#define AAD_MAX 512

/* ---- the key file --------------------------------------------------------------------------- */

static int read_key_file(const char *path, struct buf *out, struct err *err)
{
    struct stat st;
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0)
        return err_sys(err, ERR_CONFIG, "the key file %s cannot be read", path);
    if (!S_ISREG(st.st_mode))
        return err_set(err, ERR_CONFIG, "the key file %s is not a regular file", path);
    if (st.st_mode & S_IRWXO)
        log_event(LOG_WARN, "key_file_open_to_others", LOG_STR("path", path),
                  LOG_STR("mend", "chmod o-rwx"));
    ssize_t n = read(fd, buf_reserve(out, FILE_MAX + 1), FILE_MAX + 1);
    if (n < 0)
        return err_sys(err, ERR_CONFIG, "the key file %s cannot be read", path);
    out->n = (size_t)n;
    return 0;
}

static bool decode(struct bytes text, uint8_t key[32])
{
    if (text.n == 32) {
        memcpy(key, text.p, 32);
        return true;
    }
    while (text.n > 64 && (text.p[text.n - 1] == '\n' || text.p[text.n - 1] == '\r'))
        text.n--;
    return text.n == 64 && text_hex_decode(text, key, 32) == 0;
}

int bridge_seal_init(struct bridge_seal *s, const char *path, struct err *err)
{
    AUTO_BUF struct buf file;
    uint8_t secret[32];
    *s = (struct bridge_seal){0};
    buf_init_secret(&file, FILE_MAX + 1);
    if (!path[0])
        return 0;
    int rc = read_key_file(path, &file, err);
    if (rc < 0)
        return rc;
    if (!decode(buf_bytes(&file), secret))
        return err_set(err, ERR_CONFIG,
                       "the key file %s must hold 32 bytes or 64 hexadecimal digits", path);
    wa_hkdf_sha256(s->key, sizeof(s->key), BYTES_ARRAY(secret), BYTES_NONE, bytes_text(INFO));
    buf_wipe(secret, sizeof(secret));
    s->on = true;
    return 0;
}

void bridge_seal_deinit(struct bridge_seal *s)
{
    buf_wipe(s, sizeof(*s));
}

/* ---- one value ------------------------------------------------------------------------------ */

static void make_aad(struct buf *out, const char *table, const char *key)
{
    buf_append_text(out, table);
    buf_append_u8(out, 0);
    buf_append_text(out, key);
}

int bridge_seal_close(const struct bridge_seal *s, const char *table, const char *key,
                      struct bytes plain, struct buf *out)
{
    AUTO_BUF struct buf aad = {.max = AAD_MAX};
    uint8_t nonce[WA_GCM_NONCE_LEN];
    if (!s->on)
        return buf_append(out, plain);
    make_aad(&aad, table, key);
    random_bytes(nonce, sizeof(nonce));
    if (aad.full || buf_append_u8(out, VERSION) < 0 || buf_append(out, BYTES_ARRAY(nonce)) < 0)
        return ERR_LIMIT;
    return wa_gcm_seal(out, s->key, nonce, buf_bytes(&aad), plain);
}

int bridge_seal_open(const struct bridge_seal *s, const char *table, const char *key,
                     struct bytes sealed, struct buf *out)
{
    AUTO_BUF struct buf aad = {.max = AAD_MAX};
    if (!s->on)
        return buf_append(out, sealed);
    if (sealed.n < BRIDGE_SEAL_OVERHEAD || sealed.p[0] != VERSION)
        return ERR_AUTH;
    make_aad(&aad, table, key);
    if (aad.full)
        return ERR_LIMIT;
    return wa_gcm_open(out, s->key, sealed.p + 1, buf_bytes(&aad),
                       BYTES(sealed.p + HEAD, sealed.n - HEAD));
}
