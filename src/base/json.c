/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/json.h"

#include <jansson.h>

#include "base/clock.h"
#include "base/text.h"

#define DEPTH_MAX 64
#define KEY_MAX 128

/* ---- writing --------------------------------------------------------------------------------- */

void json_writer_init(struct json_writer *w, struct buf *out)
{
    *w = (struct json_writer){.out = out};
}

static size_t valid_prefix(struct bytes b)
{
    size_t n = 1;
    while (n <= 4 && n <= b.n && !text_utf8_valid(BYTES(b.p, n)))
        n++;
    return n <= 4 && n <= b.n ? n : 0;
}

void json_escape(struct buf *out, struct bytes text)
{
    buf_append_u8(out, '"');
    for (size_t i = 0; i < text.n;) {
        uint8_t c = text.p[i];
        size_t run = 0;
        while (i + run < text.n && text.p[i + run] >= 0x20 && text.p[i + run] < 0x7f &&
               text.p[i + run] != '"' && text.p[i + run] != '\\')
            run++;
        if (run) {
            buf_append(out, BYTES(text.p + i, run));
            i += run;
        } else if (c < 0x80) {
            if (c == '"' || c == '\\')
                buf_printf(out, "\\%c", c);
            else if (c == '\n')
                buf_append_text(out, "\\n");
            else
                buf_printf(out, "\\u%04x", (unsigned)c);
            i++;
        } else {
            size_t n = valid_prefix(BYTES(text.p + i, text.n - i));
            if (n)
                buf_append(out, BYTES(text.p + i, n));
            else
                buf_append_text(out, "\xef\xbf\xbd");
            i += n ? n : 1;
        }
    }
    buf_append_u8(out, '"');
}

static void indent(struct json_writer *w)
{
    if (!w->pretty)
        return;
    buf_append_u8(w->out, '\n');
    for (int i = 0; i < w->depth; i++)
        buf_append_text(w->out, "  ");
}

static void begin(struct json_writer *w, const char *key)
{
    if (w->comma)
        buf_append_u8(w->out, ',');
    if (w->depth > 0)
        indent(w);
    if (key) {
        json_escape(w->out, bytes_text(key));
        buf_append_text(w->out, w->pretty ? ": " : ":");
    }
    w->comma = true;
}

void json_open(struct json_writer *w, const char *key, char bracket)
{
    begin(w, key);
    buf_append_u8(w->out, (uint8_t)bracket);
    w->depth++;
    w->comma = false;
}

void json_close(struct json_writer *w, char bracket)
{
    w->depth--;
    if (w->comma)
        indent(w);
    buf_append_u8(w->out, (uint8_t)bracket);
    w->comma = true;
}

void json_put_bytes(struct json_writer *w, const char *key, struct bytes text)
{
    begin(w, key);
    if (text.p)
        json_escape(w->out, text);
    else
        buf_append_text(w->out, "null");
}

void json_put_json(struct json_writer *w, const char *key, struct bytes json)
{
    begin(w, key);
    buf_append(w->out, json.p ? json : bytes_text("null"));
}

void json_put_text(struct json_writer *w, const char *key, const char *text)
{
    json_put_bytes(w, key, bytes_text(text));
}

void json_put_int(struct json_writer *w, const char *key, int64_t v)
{
    begin(w, key);
    buf_append_int(w->out, v);
}

void json_put_bool(struct json_writer *w, const char *key, bool v)
{
    begin(w, key);
    buf_append_text(w->out, v ? "true" : "false");
}

void json_put_null(struct json_writer *w, const char *key)
{
    json_put_bytes(w, key, BYTES_NONE);
}

void json_put_time(struct json_writer *w, const char *key, int64_t wall_ms)
{
    char text[CLOCK_TEXT_SIZE];
    clock_format(wall_ms, text);
    json_put_text(w, key, wall_ms ? text : NULL);
}

/* ---- reading --------------------------------------------------------------------------------- */

static const json_t *as_json(const struct json_value *v)
{
    return (const json_t *)v;
}

static const struct json_value *as_value(const json_t *j)
{
    return (const struct json_value *)j;
}

/* jansson recurses up to 2048 levels; documents of ours are flat, so bound it first. */
static bool too_deep(struct bytes text)
{
    int depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < text.n; i++) {
        uint8_t c = text.p[i];
        if (quoted) {
            if (c == '\\')
                i++;
            else if (c == '"')
                quoted = false;
        } else if (c == '"') {
            quoted = true;
        } else if (c == '{' || c == '[') {
            if (++depth > DEPTH_MAX)
                return true;
        } else if (c == '}' || c == ']') {
            depth--;
        }
    }
    return false;
}

/* What people run into, in their words; NULL when the parser's own will do. */
static const char *not_json(struct bytes text)
{
    if (text.n == 0)
        return "the JSON is empty";
    if (text.n >= 3 && memcmp(text.p, "\xef\xbb\xbf", 3) == 0)
        return "the JSON begins with a byte order mark; write UTF-8 without one";
    if (text.n >= 2 && (memcmp(text.p, "\xff\xfe", 2) == 0 || memcmp(text.p, "\xfe\xff", 2) == 0))
        return "the JSON is UTF-16; write UTF-8";
    if (memchr(text.p, '\0', text.n))
        return "the JSON has a NUL character";
    return NULL;
}

int json_doc_open(struct json_doc **out, struct bytes text, struct err *err)
{
    json_error_t at;
    const char *wrong = not_json(text);
    if (wrong)
        return err_set(err, ERR_INVALID, "line 1: %s", wrong);
    if (too_deep(text))
        return err_set(err, ERR_INVALID, "JSON is nested deeper than %d levels", DEPTH_MAX);
    json_set_alloc_funcs(err_malloc, free); /* else "out of memory" would look like bad JSON */
    json_t *root =
        json_loadb(text.n ? (const char *)text.p : "", text.n, JSON_REJECT_DUPLICATES, &at);
    if (!root)
        return err_set(err, ERR_INVALID, "line %d column %d: %s", at.line, at.column,
                       strstr(at.text, "JSON_ALLOW_NUL") ? "\\u0000 is not allowed" : at.text);
    *out = (struct json_doc *)root;
    return 0;
}

void json_doc_close(struct json_doc *doc)
{
    json_decref((json_t *)doc);
}

const struct json_value *json_root(const struct json_doc *doc)
{
    return (const struct json_value *)doc;
}

const struct json_value *json_get(const struct json_value *v, const char *path)
{
    while (v && *path) {
        size_t n = strcspn(path, ".");
        char key[KEY_MAX];
        if (n >= sizeof(key))
            return NULL;
        memcpy(key, path, n);
        key[n] = '\0';
        v = as_value(json_object_get(as_json(v), key));
        path += n + (path[n] == '.');
    }
    return v;
}

const struct json_value *json_at(const struct json_value *v, size_t index)
{
    return as_value(json_array_get(as_json(v), index));
}

size_t json_length(const struct json_value *v)
{
    return json_array_size(as_json(v));
}

bool json_value_is_object(const struct json_value *v)
{
    return v && json_typeof(as_json(v)) == JSON_OBJECT;
}

bool json_value_is_text(const struct json_value *v)
{
    return v && json_typeof(as_json(v)) == JSON_STRING;
}

bool json_value_is_null(const struct json_value *v)
{
    return v && json_typeof(as_json(v)) == JSON_NULL;
}

const char *json_stranger(const struct json_value *object, const char *const *known, size_t count)
{
    const json_t *j = as_json(object);
    /* the iterator of jansson wants an object it could change */
    for (void *at = json_object_iter((json_t *)(uintptr_t)j); at;
         at = json_object_iter_next((json_t *)(uintptr_t)j, at)) {
        const char *key = json_object_iter_key(at);
        size_t i = 0;
        while (i < count && strcmp(key, known[i]) != 0)
            i++;
        if (i == count)
            return key;
    }
    return NULL;
}

const char *json_text(const struct json_value *v, const char *path, const char *fallback)
{
    const char *s = json_string_value(as_json(json_get(v, path)));
    return s ? s : fallback;
}

int64_t json_int(const struct json_value *v, const char *path, int64_t fallback)
{
    const json_t *j = as_json(json_get(v, path));
    return j && json_typeof(j) == JSON_INTEGER ? json_integer_value(j) : fallback;
}

bool json_bool(const struct json_value *v, const char *path, bool fallback)
{
    const json_t *j = as_json(json_get(v, path));
    if (!j || (json_typeof(j) != JSON_TRUE && json_typeof(j) != JSON_FALSE))
        return fallback;
    return json_typeof(j) == JSON_TRUE;
}

static int append_piece(const char *text, size_t n, void *out)
{
    return buf_append(out, BYTES(text, n)) < 0 ? -1 : 0;
}

int json_value_append(struct buf *out, const struct json_value *v)
{
    size_t flags = JSON_COMPACT | JSON_ENSURE_ASCII | JSON_ENCODE_ANY;
    return json_dump_callback(as_json(v), append_piece, out, flags) == 0 ? 0 : ERR_LIMIT;
}
