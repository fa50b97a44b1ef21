/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "volume/passkey.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/json.h"
#include "volume/volume_internal.h"

#define FILE_NAME "passkey.json"
#define DOCUMENT_MAX (64u << 10)
#define VERSION 1

static void put_error(struct json_writer *w, const struct volume_passkey *p)
{
    if (!p->error_code) {
        json_put_null(w, "last_error");
        return;
    }
    json_open(w, "last_error", '{');
    json_put_text(w, "code", p->error_code);
    json_put_text(w, "detail", p->error_detail);
    json_put_time(w, "at", p->error_at);
    json_close(w, '}');
}

int volume_passkey_write(const struct volume_passkey *p, struct buf *out)
{
    struct json_writer w;
    json_writer_init(&w, out);
    w.pretty = true;
    json_open(&w, NULL, '{');
    json_put_int(&w, "v", VERSION);
    json_put_text(&w, "state", p->state);
    json_put_text(&w, "phase", p->phase);
    json_put_text(&w, "request_id", p->request_id);
    json_put_time(&w, "issued_at", p->issued_at);
    json_put_time(&w, "expires_at", p->expires_at);
    json_put_time(&w, "handoff_expires_at", p->handoff_expires_at);
    json_put_text(&w, "page", p->public_key.p ? VOLUME_PASSKEY_PAGE : NULL);
    json_put_json(&w, "public_key", p->public_key);
    json_put_text(&w, "code", p->code);
    json_put_bool(&w, "confirm_required", p->confirm_required);
    put_error(&w, p);
    json_close(&w, '}');
    buf_append_u8(out, '\n');
    return out->full ? ERR_LIMIT : 0;
}

int volume_passkey_publish(const struct volume_passkey *p, const struct volume *v, struct err *err)
{
    AUTO_BUF struct buf text;
    buf_init_secret(&text, DOCUMENT_MAX);
    int rc = volume_passkey_write(p, &text);
    if (rc != 0)
        return err_set(err, rc, FILE_NAME " would be larger than %u bytes", DOCUMENT_MAX);
    return volume_publish(v->root_fd, FILE_NAME, buf_bytes(&text), true, err);
}

int volume_passkey_remove(const struct volume *v, struct err *err)
{
    return volume_unpublish(v->root_fd, FILE_NAME, true, err);
}

int volume_passkey_read(const char *volume_path, struct buf *out, struct err *err)
{
    AUTO_CLOSE int root = open(volume_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root < 0)
        return err_sys(err, ERR_SYSTEM, "cannot open %s", volume_path);
    int rc = volume_read(root, FILE_NAME, out);
    if (rc == ERR_NOT_FOUND)
        return err_set(err, rc, "no passkey is asked for");
    return rc < 0 ? err_set(err, ERR_SYSTEM, "cannot read %s/" FILE_NAME " (%s)", volume_path,
                            err_name(rc))
                  : 0;
}
