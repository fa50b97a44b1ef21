/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "bridge/blob.h"

#include "base/log.h"
#include "bridge/bridge_internal.h"
#include "bridge/fetch.h"
#include "wa/media.h"

#define PLAIN_MAX (8u << 20) /* bytes in memory while it is read */
#define SEALED_EXTRA 26      /* bytes of padding and MAC, at most */
#define TRIES 3

struct bridge_blob {
    struct bridge *b;
    unsigned id, tries;
    enum wa_media_type type;
    uint8_t key[32], sha256[32], sealed_sha256[32];
    char path[WA_MEDIA_PATH_MAX + 1];
    struct bridge_fetch *fetch; /* NULL: to be begun */
    struct wa_media_reader *reader;
    struct buf plain;
};

void bridge_blob_drop(struct bridge *b)
{
    struct bridge_blob *f = b->blob;
    if (!f)
        return;
    bridge_fetch_cancel(f->fetch);
    wa_media_close(f->reader);
    buf_deinit(&f->plain);
    buf_wipe(f->key, sizeof(f->key));
    free(f);
    b->blob = NULL;
}

void bridge_blob_want(struct bridge *b, const struct wa_event *ev)
{
    const struct wa_media *m = ev->u.file.media;
    bridge_blob_drop(b);
    struct bridge_blob *f = b->blob = err_calloc(1, sizeof(*f));
    f->b = b;
    f->id = ev->u.file.id;
    f->type = m->type;
    memcpy(f->key, m->key.p, sizeof(f->key));
    memcpy(f->sha256, m->sha256.p, sizeof(f->sha256));
    memcpy(f->sealed_sha256, m->sealed_sha256.p, sizeof(f->sealed_sha256));
    bytes_copy_text(m->direct_path, f->path, sizeof(f->path));
    buf_init_secret(&f->plain, PLAIN_MAX);
    b->media_at = 0;
}

/* The session hears of it, with BYTES_NONE when it cannot be had. */
static void end(struct bridge_blob *f, const char *trouble)
{
    struct bridge *b = f->b;
    struct bytes plain = trouble ? BYTES_NONE : buf_bytes(&f->plain);
    log_event(trouble ? LOG_INFO : LOG_DEBUG, "blob", LOG_STR("type", wa_media_mms_type(f->type)),
              LOG_STR("error", trouble));
    wa_session_file(b->session, f->id, plain);
    bridge_blob_drop(b);
    bridge_touch(b);
}

static int on_data(void *ctx, struct bytes piece)
{
    struct bridge_blob *f = ctx;
    return wa_media_feed(f->reader, piece, &f->plain);
}

static void on_done(void *ctx, const struct bridge_fetch_result *result)
{
    struct bridge_blob *f = ctx;
    struct bridge *b = f->b;
    bool came = result->rc == 0 && result->status == 200;
    f->fetch = NULL;
    if (came && wa_media_end(f->reader, &f->plain) == 0)
        end(f, NULL);
    else if (came || ++f->tries == TRIES)
        end(f, came ? "it is damaged" : "it is not to be had");
    else
        b->media_at = 0;
    bridge_touch(b);
}

void bridge_blob_tend(struct bridge *b, int64_t now)
{
    struct bridge_blob *f = b->blob;
    struct err err;
    if (!f || f->fetch || !bridge_media_have_hosts(b, now))
        return;
    const struct wa_media_expected expected = {.type = f->type,
                                               .key = f->key,
                                               .sha256 = f->sha256,
                                               .sealed_sha256 = f->sealed_sha256,
                                               .max = PLAIN_MAX};
    const struct bridge_fetch_events events = {.ctx = f, .data = on_data, .done = on_done};
    const struct bridge_media_source source = {.type = f->type,
                                               .path = f->path,
                                               .sealed_sha256 = f->sealed_sha256,
                                               .host = f->tries,
                                               .body_max = PLAIN_MAX + SEALED_EXTRA};
    buf_clear(&f->plain);
    wa_media_close(f->reader);
    f->reader = wa_media_open(&expected);
    f->fetch = bridge_media_fetch(b, &source, &events, &err);
    if (!f->fetch)
        end(f, err.text);
}
