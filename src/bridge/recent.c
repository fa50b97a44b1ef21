/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "bridge/bridge_internal.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"

#define FILE_NAME "recent.json"
#define MESSAGES 50
#define TEXT_MAX 1000 /* bytes; the rest is in messages.db */
#define FILE_MAX ((size_t)512 << 10)
#define INTERVAL_MS 1000 /* between two publishes, however much happens */

static int put_message(void *ctx, const struct store_row *r)
{
    struct json_writer *w = ctx;
    json_open(w, NULL, '{');
    json_put_int(w, "id", r->id);
    json_put_bytes(w, "direction", r->direction);
    json_put_bool(w, "from_me", r->from_me != 0);
    json_put_bytes(w, "chat", r->chat_pn.p ? r->chat_pn : r->chat);
    json_put_bytes(w, "name", r->sender_name);
    json_put_bytes(w, "kind", r->kind);
    json_put_bytes(w, "text", text_utf8_cut(r->text, TEXT_MAX));
    json_put_bytes(w, "media_file", r->media_file);
    json_put_bool(w, "cut", r->text.n > TEXT_MAX);
    json_put_bool(w, "history", r->history != 0);
    json_put_bytes(w, "status", r->status);
    json_put_bytes(w, "error", r->error.p ? r->error : r->fault);
    json_put_bytes(w, "intent", r->intent);
    json_put_time(w, "at", r->received_at);
    json_close(w, '}');
    return 0;
}

static int write_document(struct bridge *b, struct buf *out)
{
    const struct store_query newest = {.after_id = -1, .limit = MESSAGES, .recent = true};
    struct json_writer w;
    json_writer_init(&w, out);
    json_open(&w, NULL, '{');
    json_put_text(&w, "schema", "wabridge.recent/1");
    json_put_text(&w, "tenant_id", b->config.tenant_id);
    json_put_time(&w, "at", clock_wall_ms());
    json_open(&w, "messages", '[');
    int rc = store_messages_each(b->messages, &newest, put_message, &w);
    json_close(&w, ']');
    json_close(&w, '}');
    return rc < 0 ? rc : out->full ? ERR_LIMIT : 0;
}

static int publish(struct bridge *b, struct err *err)
{
    AUTO_BUF struct buf out = {0};
    if (!b->config.volume_recent)
        return volume_unpublish(b->volume.root_fd, FILE_NAME, false, err);
    buf_init(&out, FILE_MAX);
    int rc = write_document(b, &out);
    if (rc < 0)
        return err_set(err, rc, "cannot write %s", FILE_NAME);
    return volume_publish(b->volume.root_fd, FILE_NAME, buf_bytes(&out), false, err);
}

void bridge_recent_want(struct bridge *b)
{
    int64_t next = b->recent_done_at + INTERVAL_MS, now = clock_mono_ms();
    if (b->recent_at == CLOCK_NEVER)
        b->recent_at = b->recent_done_at && next > now ? next : now;
}

void bridge_recent_flush(struct bridge *b, int64_t now)
{
    struct err err;
    if (b->recent_at > now)
        return;
    int rc = publish(b, &err);
    if (rc < 0 && !b->recent_failed)
        log_event(LOG_ERROR, "recent_not_published", LOG_STR("error", err.text));
    b->recent_failed = rc < 0;
    b->recent_done_at = now;
    b->recent_at = rc < 0 ? b->heartbeat_at : CLOCK_NEVER;
}
