/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdio.h>

#include "base/clock.h"
#include "base/json.h"
#include "cli/log.h"

struct printer {
    bool json;
    int64_t last_id;
    struct buf line;
};

static void write_json(struct buf *out, const struct store_event *e)
{
    struct json_writer w;
    json_writer_init(&w, out);
    json_open(&w, NULL, '{');
    json_put_int(&w, "id", e->id);
    json_put_time(&w, "at", e->at);
    json_put_text(&w, "kind", e->kind);
    json_put_text(&w, "status", e->status);
    json_put_text(&w, "session", e->session);
    json_put_text(&w, "code", e->code);
    json_put_text(&w, "message", e->message);
    json_put_text(&w, "chat", e->chat);
    json_close(&w, '}');
    buf_append_u8(out, '\n');
}

static void write_words(struct buf *out, const struct store_event *e)
{
    char time[CLOCK_TEXT_SIZE], state[64];
    clock_format(e->at, time);
    snprintf(state, sizeof(state), "%s (%s)", e->status, e->session);
    buf_printf(out, "%s %-6s %-28s %s", time, e->kind, state, e->code);
    if (e->chat) {
        buf_append_u8(out, ' ');
        cli_append_plain(out, bytes_text(e->chat));
    }
    if (e->message) {
        buf_append_text(out, ": ");
        cli_append_plain(out, bytes_text(e->message));
    }
    buf_append_u8(out, '\n');
}

static int print_event(void *ctx, const struct store_event *e)
{
    struct printer *p = ctx;
    buf_clear(&p->line);
    (p->json ? write_json : write_words)(&p->line, e);
    p->last_id = e->id;
    return fwrite(p->line.p, 1, p->line.n, stdout) == p->line.n ? 0 : 1;
}

static int print_all(struct store_messages *m, const struct cli_options *o)
{
    struct printer p = {.json = o->json, .line = {.max = CLI_ROW_MAX}};
    int rc = store_messages_each_event(m, -1, o->limit, print_event, &p);
    while (rc == 0 && o->follow && fflush(stdout) == 0) {
        cli_sleep_ms(CLI_LOOK_EVERY_MS);
        rc = store_messages_each_event(m, p.last_id, -1, print_event, &p);
    }
    buf_deinit(&p.line);
    return rc;
}

int cli_events(int argc, char **argv)
{
    struct cli_options options;
    int code = cli_parse(argc, argv, "cdjfn", 0, &options);
    return code >= 0 ? code : cli_read_messages(argv[0], &options, print_all);
}
