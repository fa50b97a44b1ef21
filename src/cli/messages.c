/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/cli.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/json.h"
#include "store/messages.h"

#define LOOK_EVERY_MS 500
#define EXIT_UNREADABLE 1
#define ROW_MAX (1u << 21)

struct printer {
    bool json;
    int64_t last_id;
    struct buf line;
};

static struct bytes row_text(const struct store_row *r)
{
    return r->text ? BYTES(r->text, r->text_bytes) : BYTES_NONE;
}

static void write_json(struct buf *out, const struct store_row *r)
{
    struct json_writer w;
    json_writer_init(&w, out);
    json_open(&w, NULL, '{');
    json_put_int(&w, "id", r->id);
    json_put_text(&w, "direction", r->direction);
    json_put_text(&w, "wa_id", r->wa_id);
    json_put_text(&w, "chat", r->chat);
    json_put_text(&w, "sender", r->sender);
    json_put_text(&w, "sender_name", r->sender_name);
    json_put_text(&w, "kind", r->kind);
    json_put_bytes(&w, "text", row_text(r));
    json_put_text(&w, "status", r->status);
    json_put_text(&w, "intent", r->intent);
    json_put_time(&w, "sent_at", r->sent_at);
    json_put_time(&w, "received_at", r->received_at);
    if (r->reply_to)
        json_put_int(&w, "reply_to", r->reply_to);
    else
        json_put_null(&w, "reply_to");
    json_close(&w, '}');
    buf_append_u8(out, '\n');
}

/* Control characters of a stranger must not reach the terminal. */
static void append_plain(struct buf *out, struct bytes text)
{
    for (size_t i = 0; i < text.n; i++)
        buf_append_u8(out, text.p[i] < 0x20 || text.p[i] == 0x7f ? ' ' : text.p[i]);
}

static void write_words(struct buf *out, const struct store_row *r)
{
    char time[CLOCK_TEXT_SIZE];
    clock_format(r->received_at, time);
    buf_printf(out, "%s %-3s %-13s %s ", time, r->direction, r->status ? r->status : "",
               r->chat ? r->chat : "");
    if (r->sender_name) {
        append_plain(out, bytes_text(r->sender_name));
        buf_append_text(out, ": ");
    }
    if (r->text)
        append_plain(out, row_text(r));
    else
        buf_printf(out, "[%s]", r->kind ? r->kind : "");
    buf_append_u8(out, '\n');
}

static int print_row(void *ctx, const struct store_row *r)
{
    struct printer *p = ctx;
    buf_clear(&p->line);
    if (p->json)
        write_json(&p->line, r);
    else
        write_words(&p->line, r);
    p->last_id = r->id;
    return fwrite(p->line.p, 1, p->line.n, stdout) == p->line.n ? 0 : 1;
}

static int print_all(struct store_messages *m, const struct cli_options *o)
{
    struct printer p = {.json = o->json, .last_id = -1, .line = {.max = ROW_MAX}};
    int rc = store_messages_each(m, -1, o->chat, o->limit, print_row, &p);
    if (p.last_id < 0)
        p.last_id = 0;
    while (rc == 0 && o->follow && fflush(stdout) == 0) {
        cli_sleep_ms(LOOK_EVERY_MS);
        rc = store_messages_each(m, p.last_id, o->chat, -1, print_row, &p);
    }
    buf_deinit(&p.line);
    return rc;
}

int cli_messages(int argc, char **argv)
{
    struct cli_options options;
    struct store_messages *m = NULL;
    struct err err;
    char volume[512], path[600];
    int code = cli_parse(argc, argv, "cdjfCn", false, &options);
    if (code >= 0)
        return code;
    cli_volume_path(&options, volume);
    snprintf(path, sizeof(path), "%s/messages.db", volume);
    int rc = store_messages_open_readonly(&m, path, &err);
    if (rc == 0 && (rc = print_all(m, &options)) < 0)
        err_set(&err, rc, "%s", store_messages_error(m));
    if (rc < 0)
        fprintf(stderr, "wabridge messages: %s\n", err.text);
    store_messages_close(m);
    return rc < 0 ? EXIT_UNREADABLE : 0;
}
