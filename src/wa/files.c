/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Files that the session itself wants. Each part of it may want one; they are fetched one after the
 * other, so that none pushes another aside. */
#include <stdlib.h>

#include "wa/session_internal.h"

struct wa_file_request {
    enum wa_media_type type;
    uint64_t max;
    uint8_t key[WA_MEDIA_KEY_LEN], sha256[WA_SHA256_LEN], sealed_sha256[WA_SHA256_LEN];
    char path[WA_MEDIA_PATH_MAX + 1];
};

static void (*const answer[WA_FILE_OWNERS])(struct wa_session *s, enum wa_file_end how,
                                            struct buf *plain) = {
    [WA_FILE_OF_APP_STATE] = wa_app_state_file,
    [WA_FILE_OF_HISTORY] = wa_history_sync_file,
};

static void ask_next(struct wa_session *s)
{
    struct wa_files *f = &s->files;
    for (unsigned i = 0; i < WA_FILE_OWNERS && f->id == 0; i++) {
        const struct wa_file_request *r = f->wanted[i];
        if (!r)
            continue;
        struct wa_media *m = arena_alloc(&s->arena, sizeof(*m));
        *m = (struct wa_media){
            .type = r->type,
            .key = arena_copy(&s->arena, BYTES_ARRAY(r->key)),
            .sha256 = arena_copy(&s->arena, BYTES_ARRAY(r->sha256)),
            .sealed_sha256 = arena_copy(&s->arena, BYTES_ARRAY(r->sealed_sha256)),
            .direct_path = arena_copy(&s->arena, bytes_text(r->path)),
        };
        f->owner = i;
        f->id = ++f->made;
        struct wa_event *ev = wa_session_emit(s, WA_EVENT_FILE_WANTED);
        ev->u.file.id = f->id;
        ev->u.file.media = m;
        ev->u.file.max = r->max;
    }
}

void wa_files_want(struct wa_session *s, enum wa_file_owner owner, const struct wa_media *m,
                   uint64_t max)
{
    struct wa_file_request *r = err_calloc(1, sizeof(*r));
    r->type = m->type;
    r->max = max;
    memcpy(r->key, m->key.p, sizeof(r->key));
    memcpy(r->sha256, m->sha256.p, sizeof(r->sha256));
    memcpy(r->sealed_sha256, m->sealed_sha256.p, sizeof(r->sealed_sha256));
    bytes_copy_text(m->direct_path, r->path, sizeof(r->path));
    wa_files_forget(s, owner);
    s->files.wanted[owner] = r;
    ask_next(s);
}

void wa_files_forget(struct wa_session *s, enum wa_file_owner owner)
{
    if (!s->files.wanted[owner])
        return;
    if (s->files.id != 0 && s->files.owner == owner)
        s->files.id = 0;
    buf_wipe(s->files.wanted[owner], sizeof(*s->files.wanted[owner]));
    free(s->files.wanted[owner]);
    s->files.wanted[owner] = NULL;
}

void wa_session_file(struct wa_session *s, unsigned id, enum wa_file_end how, struct buf *plain)
{
    enum wa_file_owner owner = s->files.owner;
    if (s->phase != WA_PHASE_ONLINE || id == 0 || id != s->files.id)
        return;
    wa_files_forget(s, owner);
    answer[owner](s, how, plain);
    ask_next(s);
}
