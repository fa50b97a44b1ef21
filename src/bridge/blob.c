/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "bridge/blob.h"

#include "base/log.h"
#include "bridge/bridge_internal.h"
#include "bridge/fetch.h"
#include "wa/media.h"

#define SEALED_EXTRA 26 /* bytes of padding and MAC, at most */
#define TRIES 3

struct bridge_blob {
    struct bridge *b;
    unsigned id, tries;
    size_t max; /* bytes, which are in memory */
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
    f->max = (size_t)ev->u.file.max;
    f->type = m->type;
    memcpy(f->key, m->key.p, sizeof(f->key));
    memcpy(f->sha256, m->sha256.p, sizeof(f->sha256));
    memcpy(f->sealed_sha256, m->sealed_sha256.p, sizeof(f->sealed_sha256));
    bytes_copy_text(m->direct_path, f->path, sizeof(f->path));
    buf_init_secret(&f->plain, f->max);
    b->media_at = 0;
}

/* The session hears of it, and may want another one at once. */
static void end(struct bridge_blob *f, enum wa_file_end how, const char *trouble)
{
    struct bridge *b = f->b;
    struct buf plain = f->plain;
    unsigned id = f->id;
    f->plain = (struct buf){0};
    log_event(trouble ? LOG_INFO : LOG_DEBUG, "blob", LOG_STR("type", wa_media_mms_type(f->type)),
              LOG_STR("error", trouble));
    bridge_blob_drop(b);
    wa_session_file(b->session, id, how, &plain);
    buf_deinit(&plain);
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
        end(f, WA_FILE_CAME, NULL);
    else if (came || result->rc == ERR_LIMIT)
        end(f, WA_FILE_DAMAGED, came ? "it is damaged" : "it is too long");
    else if (++f->tries == TRIES)
        end(f, WA_FILE_MISSING, "it is not to be had");
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
                                               .max = f->max};
    const struct bridge_fetch_events events = {.ctx = f, .data = on_data, .done = on_done};
    const struct bridge_media_source source = {.type = f->type,
                                               .path = f->path,
                                               .sealed_sha256 = f->sealed_sha256,
                                               .host = f->tries,
                                               .body_max = f->max + SEALED_EXTRA};
    buf_clear(&f->plain);
    wa_media_close(f->reader);
    f->reader = wa_media_open(&expected);
    f->fetch = bridge_media_fetch(b, &source, &events, &err);
    if (!f->fetch)
        end(f, WA_FILE_MISSING, err.text);
}
