/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config/report.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/json.h"
#include "base/text.h"

#define REPORT_BYTES (64u * 1024)
#define QUOTED_BYTES 48u
#define NAME_BYTES 32u
#define NEAR_DISTANCE 2u

void config_report_add(struct config_report *report, struct config_place at, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    report->errors++;
    struct buf *out = &report->text;
    if (out->max == 0)
        out->max = REPORT_BYTES;
    if (at.line > 0)
        buf_printf(out, "%s:%d:%d: %s\n", at.path, at.line, at.column, text);
    else
        buf_printf(out, "%s%s%s\n", at.path, *at.path ? ": " : "", text);
}

void config_report_deinit(struct config_report *report)
{
    buf_deinit(&report->text);
    report->errors = 0;
}

void config_report_unknown(struct config_report *report, struct config_place at, struct bytes name,
                           const char *const *known, size_t count)
{
    char quoted[CONFIG_QUOTE_SIZE];
    const char *near = config_nearest(name, known, count);
    config_quote(name, quoted);
    if (near)
        config_report_add(report, at, "unknown key %s (did you mean \"%s\"?)", quoted, near);
    else
        config_report_add(report, at, "unknown key %s", quoted);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Three rows of the distance matrix are enough: a swap looks back two. */
static size_t distance(struct bytes a, struct bytes b)
{
    size_t rows[3][NAME_BYTES + 1];
    size_t *before = rows[0], *last = rows[1], *now = rows[2];
    for (size_t j = 0; j <= b.n; j++)
        last[j] = before[j] = j;
    for (size_t i = 1; i <= a.n; i++) {
        now[0] = i;
        for (size_t j = 1; j <= b.n; j++) {
            size_t change = last[j - 1] + (a.p[i - 1] != b.p[j - 1]);
            now[j] = least(change, least(last[j], now[j - 1]) + 1);
            if (i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] && a.p[i - 2] == b.p[j - 1])
                now[j] = least(now[j], before[j - 2] + 1);
        }
        size_t *free_row = before;
        before = last;
        last = now;
        now = free_row;
    }
    return last[b.n];
}

const char *config_nearest(struct bytes name, const char *const *known, size_t count)
{
    const char *nearest = NULL;
    size_t best = NEAR_DISTANCE + 1;
    for (size_t i = 0; i < count && name.n <= NAME_BYTES; i++) {
        struct bytes candidate = bytes_text(known[i]);
        if (candidate.n > NAME_BYTES)
            continue;
        size_t d = distance(name, candidate);
        if (d < best && d < candidate.n) {
            best = d;
            nearest = known[i];
        }
    }
    return nearest;
}

const char *config_quote(struct bytes text, char out[CONFIG_QUOTE_SIZE])
{
    AUTO_BUF struct buf b;
    struct bytes cut = text_utf8_cut(text, QUOTED_BYTES);
    buf_init(&b, CONFIG_QUOTE_SIZE - 1);
    json_escape(&b, cut);
    if (cut.n < text.n)
        buf_append_text(&b, "...");
    bytes_copy_text(buf_bytes(&b), out, CONFIG_QUOTE_SIZE);
    return out;
}
