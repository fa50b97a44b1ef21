/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "cli/log.h"

struct printer {
    bool json;
    int64_t last_id;
    struct buf line;
};

static void put_int(struct json_writer *w, const char *key, int64_t v)
{
    /* No column that is a plain number holds 0 but attempts; elsewhere that is NULL. */
    if (v == 0 && strcmp(key, "attempts") != 0)
        json_put_null(w, key);
    else
        json_put_int(w, key, v);
}

static void put_bool(struct json_writer *w, const char *key, int64_t v)
{
    json_put_bool(w, key, v != 0);
}

#define PUT_INT put_int
#define PUT_TIME json_put_time
#define PUT_BOOL put_bool
#define PUT_TEXT json_put_bytes

/* Every column, under its own name. */
static void write_json(struct buf *out, const struct store_row *r)
{
    struct json_writer w;
    json_writer_init(&w, out);
    json_open(&w, NULL, '{');
#define X(name, type) PUT_##type(&w, #name, r->name);
    STORE_COLUMNS(X)
#undef X
    json_close(&w, '}');
    buf_append_u8(out, '\n');
}

static void write_words(struct buf *out, const struct store_row *r)
{
    char time[CLOCK_TEXT_SIZE];
    clock_format(r->received_at, time);
    buf_printf(out, "%s %-3s %-13s ", time, r->direction.p, r->status.p);
    cli_append_plain(out, r->chat);
    buf_append_u8(out, ' ');
    if (r->sender_name.p) {
        cli_append_plain(out, r->sender_name);
        buf_append_text(out, ": ");
    }
    if (r->text.p)
        cli_append_plain(out, r->text);
    else
        buf_printf(out, "[%s]", r->kind.p ? (const char *)r->kind.p : "");
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
    struct printer p = {.json = o->json, .last_id = 0, .line = {.max = CLI_ROW_MAX}};
    struct store_query q = {
        .after_id = -1, .chat = o->chat, .search = o->search, .limit = o->limit};
    int rc = store_messages_each(m, &q, print_row, &p);
    q.limit = -1;
    while (rc == 0 && o->follow && fflush(stdout) == 0) {
        cli_sleep_ms(CLI_LOOK_EVERY_MS);
        q.after_id = p.last_id;
        rc = store_messages_each(m, &q, print_row, &p);
    }
    buf_deinit(&p.line);
    return rc;
}

int cli_messages(int argc, char **argv)
{
    struct cli_options options;
    int code = cli_parse(argc, argv, "cdjfCsn", 0, &options);
    if (code >= 0)
        return code;
    if (options.search && !options.search[strspn(options.search, " \t\r\n")])
        return cli_usage_error(argv[0], "--search needs a word");
    return cli_read_messages(argv[0], &options, print_all);
}
