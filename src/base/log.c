/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/log.h"

#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"

#define LINE_MAX_BYTES 4096u
#define VALUE_MAX_BYTES 1024u

static struct {
    enum log_level level;
    enum log_format format;
    void (*copy)(void *ctx, struct bytes line);
    void *copy_ctx;
    char tenant[65];
} sink = {.level = LOG_INFO};

static const char *const level_names[] = {"debug", "info", "warn", "error"};

void log_set_level(enum log_level level)
{
    sink.level = level;
}

void log_set_format(enum log_format format)
{
    sink.format = format;
}

void log_set_tenant(const char *tenant_id)
{
    bytes_copy_text(bytes_text(tenant_id), sink.tenant, sizeof(sink.tenant));
}

void log_set_copy(void (*write)(void *ctx, struct bytes line), void *ctx)
{
    sink.copy = write;
    sink.copy_ctx = ctx;
}

int log_level_parse(const char *text, enum log_level *out)
{
    for (size_t i = 0; i < ARRAY_LEN(level_names); i++) {
        if (strcmp(text, level_names[i]) == 0) {
            *out = (enum log_level)i;
            return 0;
        }
    }
    return ERR_INVALID;
}

const char *log_mask(struct bytes id, char out[64])
{
    bytes_copy_text(id, out, 64);
    size_t digits = strspn(out, "+0123456789");
    for (size_t i = 3; digits > 5 && i + 2 < digits; i++)
        out[i] = '*';
    return out;
}

static struct bytes cut(struct bytes v)
{
    return v.n > VALUE_MAX_BYTES ? BYTES(v.p, VALUE_MAX_BYTES) : v;
}

static void write_json(struct buf *line, enum log_level level, const char *name, const char *at,
                       const struct log_field *fields, size_t n)
{
    struct json_writer w;
    json_writer_init(&w, line);
    json_open(&w, NULL, '{');
    json_put_text(&w, "time", at);
    json_put_text(&w, "level", level_names[level]);
    if (sink.tenant[0])
        json_put_text(&w, "tenant", sink.tenant);
    json_put_text(&w, "event", name);
    for (size_t i = 0; i < n; i++) {
        const struct log_field *f = &fields[i];
        if (!f->key)
            continue;
        if (f->type == LOG_FIELD_TEXT)
            json_put_bytes(&w, f->key, cut(f->text));
        else if (f->type == LOG_FIELD_INT)
            json_put_int(&w, f->key, f->number);
        else
            json_put_bool(&w, f->key, f->number != 0);
    }
    json_close(&w, '}');
}

static void write_text(struct buf *line, enum log_level level, const char *name, const char *at,
                       const struct log_field *fields, size_t n)
{
    buf_printf(line, "%s %-5s %s", at, level_names[level], name);
    for (size_t i = 0; i < n; i++) {
        const struct log_field *f = &fields[i];
        if (!f->key)
            continue;
        buf_printf(line, " %s=", f->key);
        if (f->type == LOG_FIELD_INT)
            buf_printf(line, "%lld", (long long)f->number);
        else if (f->type == LOG_FIELD_BOOL)
            buf_append_text(line, f->number ? "true" : "false");
        else
            json_escape(line, cut(f->text));
    }
}

void log_write(enum log_level level, const char *name, const struct log_field *fields, size_t n)
{
    if (level < sink.level)
        return;
    uint8_t memory[LINE_MAX_BYTES + 1];
    struct buf line = {.p = memory, .cap = sizeof(memory), .max = LINE_MAX_BYTES - 1};
    char at[CLOCK_TEXT_SIZE];
    clock_format(clock_wall_ms(), at);
    (sink.format == LOG_JSON ? write_json : write_text)(&line, level, name, at, fields, n);
    if (line.full) {
        /* Too many long fields: say what happened without them rather than print broken JSON. */
        line.n = 0;
        line.full = false;
        const struct log_field note[] = {LOG_BOOL("fields_dropped", true)};
        (sink.format == LOG_JSON ? write_json : write_text)(&line, level, name, at, note, 1);
    }
    line.p[line.n++] = '\n';
    ssize_t ignored = write(STDERR_FILENO, line.p, line.n);
    (void)ignored; /* a log that cannot be written has nowhere to say so */
    if (sink.copy)
        sink.copy(sink.copy_ctx, BYTES(line.p, line.n));
}
