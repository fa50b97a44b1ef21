/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "volume/state.h"

#include <errno.h>
#include <fcntl.h>

#include "base/clock.h"
#include "base/json.h"
#include "volume/volume_internal.h"

#define FILE_NAME "state.json"
#define SCHEMA "wabridge.state/1"
#define DOCUMENT_MAX (64u << 10)

/* ---- writing -----------------------------------------------------------------------------------
 */

static void put_text(struct json_writer *w, const char *key, const char *text)
{
    json_put_text(w, key, text && text[0] ? text : NULL);
}

static void put_session(struct json_writer *w, const struct volume_state *s)
{
    json_open(w, "session", '{');
    put_text(w, "state", s->session_state);
    json_put_time(w, "since", s->session_since);
    json_close(w, '}');
    json_open(w, "account", '{');
    put_text(w, "pn", s->account.pn);
    put_text(w, "lid", s->account.lid);
    put_text(w, "push_name", s->account.push_name);
    put_text(w, "platform", s->account.platform);
    json_close(w, '}');
}

/* generation stays after the picture is gone: a portal that caches pictures by it never shows an
 * old one. */
static void put_qr(struct json_writer *w, const struct volume_state *s)
{
    bool live = s->qr.live;
    json_open(w, "qr", '{');
    json_put_int(w, "generation", s->qr.generation);
    json_put_text(w, "png", live ? "qr.png" : NULL);
    json_put_text(w, "svg", live ? "qr.svg" : NULL);
    json_put_time(w, "issued_at", live ? s->qr.issued_at : 0);
    json_put_time(w, "expires_at", live ? s->qr.expires_at : 0);
    json_close(w, '}');
    put_text(w, "pairing_code", s->pairing_code);
}

static void put_liveness(struct json_writer *w, const struct volume_state *s, int64_t now_ms)
{
    json_open(w, "heartbeat", '{');
    json_put_time(w, "at", now_ms);
    json_put_int(w, "interval_ms", s->heartbeat_interval_ms);
    json_put_int(w, "stale_after_ms", s->stale_after_ms);
    json_close(w, '}');
    json_put_time(w, "last_seen_at", s->last_seen_at);
    json_put_time(w, "last_message_at", s->last_message_at);
    json_open(w, "reconnect", '{');
    json_put_int(w, "attempt", s->reconnect.attempt);
    json_put_time(w, "next_at", s->reconnect.next_at);
    json_put_int(w, "max_attempts", s->reconnect.max_attempts);
    json_close(w, '}');
}

static void put_limit(struct json_writer *w, const struct volume_state *s)
{
    if (!s->limit.kind[0]) {
        json_put_null(w, "limit");
        return;
    }
    json_open(w, "limit", '{');
    json_put_text(w, "kind", s->limit.kind);
    json_put_time(w, "until", s->limit.until);
    json_close(w, '}');
}

static void put_last(struct json_writer *w, const struct volume_state *s)
{
    if (s->last_error.code[0]) {
        json_open(w, "last_error", '{');
        json_put_text(w, "code", s->last_error.code);
        json_put_text(w, "message", s->last_error.message);
        json_put_time(w, "at", s->last_error.at);
        json_close(w, '}');
    } else {
        json_put_null(w, "last_error");
    }
    if (s->last_command.name[0]) {
        json_open(w, "last_command", '{');
        json_put_text(w, "name", s->last_command.name);
        put_text(w, "id", s->last_command.id);
        put_text(w, "result", s->last_command.result);
        json_put_time(w, "at", s->last_command.at);
        json_close(w, '}');
    } else {
        json_put_null(w, "last_command");
    }
}

static void put_numbers(struct json_writer *w, const struct volume_state *s)
{
    json_open(w, "config", '{');
    put_text(w, "path", s->config.path);
    json_put_time(w, "loaded_at", s->config.loaded_at);
    json_put_int(w, "generation", s->config.generation);
    json_close(w, '}');
    json_open(w, "counters", '{');
#define X(name) json_put_int(w, #name, s->counters.name);
    VOLUME_COUNTERS(X)
#undef X
    json_close(w, '}');
    json_open(w, "queues", '{');
    json_put_int(w, "replies", s->queue_replies);
    json_put_int(w, "outbox", s->queue_outbox);
    json_put_bool(w, "outbox_full", s->outbox_full);
    json_close(w, '}');
}

static void put_process(struct json_writer *w, const struct volume_state *s)
{
    json_open(w, "process", '{');
    json_put_int(w, "pid", getpid());
    json_put_time(w, "started_at", s->process.started_at);
    put_text(w, "version", s->process.version);
    put_text(w, "wa_version", s->process.wa_version);
    json_close(w, '}');
    if (s->exit.set) {
        json_open(w, "exit", '{');
        json_put_int(w, "code", s->exit.code);
        put_text(w, "reason", s->exit.reason);
        json_close(w, '}');
    } else {
        json_put_null(w, "exit");
    }
}

int volume_state_write(const struct volume_state *s, int64_t now_ms, struct buf *out)
{
    struct json_writer w;
    json_writer_init(&w, out);
    w.pretty = true;
    json_open(&w, NULL, '{');
    json_put_text(&w, "schema", SCHEMA);
    json_put_int(&w, "seq", s->seq);
    put_text(&w, "boot_id", s->boot_id);
    put_text(&w, "tenant_id", s->tenant_id);
    put_text(&w, "status", s->status);
    put_session(&w, s);
    put_qr(&w, s);
    put_liveness(&w, s, now_ms);
    put_limit(&w, s);
    put_last(&w, s);
    put_numbers(&w, s);
    put_process(&w, s);
    json_close(&w, '}');
    buf_append_u8(out, '\n');
    return out->full ? ERR_LIMIT : 0;
}

int volume_state_publish(struct volume_state *s, const struct volume *v, int64_t now_ms,
                         bool durable, struct err *err)
{
    AUTO_BUF struct buf text;
    buf_init(&text, DOCUMENT_MAX);
    s->seq++;
    int rc = volume_state_write(s, now_ms, &text);
    if (rc != 0)
        return err_set(err, rc, FILE_NAME " would be larger than %u bytes", DOCUMENT_MAX);
    return volume_publish(v->root_fd, FILE_NAME, buf_bytes(&text), durable, err);
}

/* ---- reading -----------------------------------------------------------------------------------
 */

static void copy_text(const struct json_value *root, const char *path, char *out, size_t size)
{
    bytes_copy_text(bytes_text(json_text(root, path, "")), out, size);
}

static bool read_time(const struct json_value *root, const char *path, int64_t *out)
{
    return clock_parse(json_text(root, path, ""), out) == 0;
}

/* Within what every JSON reader holds exactly (RFC 8259 section 6). */
static int64_t read_count(const struct json_value *root, const char *path)
{
    int64_t n = json_int(root, path, 0);
    return n >= 0 && n < INT64_C(1) << 53 ? n : 0;
}

void volume_state_restore(struct volume_state *s, const struct volume *v)
{
    AUTO_BUF struct buf text;
    struct json_doc *doc;
    buf_init(&text, DOCUMENT_MAX);
    if (volume_read(v->root_fd, FILE_NAME, &text) != 0 ||
        json_doc_open(&doc, buf_bytes(&text), NULL) != 0)
        return;
    const struct json_value *root = json_root(doc);
    s->seq = read_count(root, "seq");
    s->qr.generation = read_count(root, "qr.generation");
    copy_text(root, "limit.kind", s->limit.kind, sizeof(s->limit.kind));
    if (!read_time(root, "limit.until", &s->limit.until))
        s->limit.kind[0] = '\0';
    copy_text(root, "last_error.code", s->last_error.code, sizeof(s->last_error.code));
    copy_text(root, "last_error.message", s->last_error.message, sizeof(s->last_error.message));
    if (!read_time(root, "last_error.at", &s->last_error.at))
        s->last_error.at = 0;
    if (!read_time(root, "last_message_at", &s->last_message_at))
        s->last_message_at = 0;
#define X(name) s->counters.name = read_count(root, "counters." #name);
    VOLUME_COUNTERS(X)
#undef X
    json_doc_close(doc);
}

static int load(struct volume_view *view, const char *volume_path, struct err *err)
{
    AUTO_CLOSE int dir = open(volume_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = dir >= 0          ? volume_read(dir, FILE_NAME, &view->text)
             : errno == ENOENT ? ERR_NOT_FOUND
                               : ERR_SYSTEM;
    if (rc == ERR_SYSTEM)
        return err_sys(err, rc, "cannot read %s/" FILE_NAME, volume_path);
    if (rc == ERR_NOT_FOUND)
        return err_set(err, rc, "there is no %s/" FILE_NAME ": no bridge has run on this volume",
                       volume_path);
    if (rc != 0)
        return err_set(err, ERR_INVALID, "%s/" FILE_NAME " is no state document (%s)", volume_path,
                       rc == ERR_LIMIT ? "too large" : "not a regular file");
    struct err why;
    if (json_doc_open(&view->doc, buf_bytes(&view->text), &why) != 0)
        return err_set(err, ERR_INVALID, "%s/" FILE_NAME ": %.200s", volume_path, why.text);
    return 0;
}

static int look(struct volume_view *view, int64_t now_ms, struct err *err)
{
    const struct json_value *root = json_root(view->doc);
    const char *schema = json_text(root, "schema", "");
    int64_t at;
    if (strcmp(schema, SCHEMA) != 0)
        return err_set(err, ERR_INVALID,
                       "state document of another version: \"%.60s\", not " SCHEMA, schema);
    if (!read_time(root, "heartbeat.at", &at))
        return err_set(err, ERR_INVALID, "state document without heartbeat.at");
    /* Another machine's clock may be ahead of ours; that is not an age. */
    view->heartbeat_age_ms = now_ms > at ? now_ms - at : 0;
    view->stale = view->heartbeat_age_ms > json_int(root, "heartbeat.stale_after_ms", 0);
    return 0;
}

int volume_view_open(struct volume_view *view, const char *volume_path, int64_t now_ms,
                     struct err *err)
{
    *view = (struct volume_view){0};
    buf_init(&view->text, DOCUMENT_MAX);
    int rc = load(view, volume_path, err);
    if (rc == 0)
        rc = look(view, now_ms, err);
    if (rc != 0)
        volume_view_close(view);
    return rc;
}

void volume_view_close(struct volume_view *view)
{
    if (!view)
        return;
    if (view->doc)
        json_doc_close(view->doc);
    buf_deinit(&view->text);
    *view = (struct volume_view){0};
}
