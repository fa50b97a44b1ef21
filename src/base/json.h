/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The JSON door. Writing is a thin writer over struct buf (no tree, no allocation of its own), so
 * that log lines and heartbeats cost nothing; reading goes through jansson, whose types stay here.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/* ---- writing ---------------------------------------------------------------------------------
 * A failed append (ceiling reached) is remembered by out->full. key is NULL inside arrays and for
 * the root. A NULL text or BYTES_NONE is written as null. */
struct json_writer {
    struct buf *out;
    bool comma;  /* a value went before on this level */
    int depth;   /* open containers */
    bool pretty; /* two blanks per level, one value a line */
};

void json_writer_init(struct json_writer *w, struct buf *out);
void json_open(struct json_writer *w, const char *key, char bracket); /* '{' or '[' */
void json_close(struct json_writer *w, char bracket);                 /* '}' or ']' */
void json_put_text(struct json_writer *w, const char *key, const char *text);
void json_put_bytes(struct json_writer *w, const char *key,
                    struct bytes text); /* bad UTF-8: U+FFFD */
void json_put_int(struct json_writer *w, const char *key, int64_t v);
void json_put_bool(struct json_writer *w, const char *key, bool v);
/* JSON text, spliced in as it is; BYTES_NONE is null. The caller knows that it is valid. */
void json_put_json(struct json_writer *w, const char *key, struct bytes json);
void json_put_null(struct json_writer *w, const char *key);
/* A time in wall-clock milliseconds as RFC 3339 text; 0 is written as null. */
void json_put_time(struct json_writer *w, const char *key, int64_t wall_ms);
/* The bytes as a quoted JSON string, alone. */
void json_escape(struct buf *out, struct bytes text);

/* ---- reading ---------------------------------------------------------------------------------
 * A document owns its values; a value is borrowed until the document is closed. Missing members,
 * wrong types and NULL values answer with the given default. */
struct json_doc;
struct json_value;

/* Strict RFC 8259, no duplicate keys, at most 64 levels deep. 0 and an owned document
 * (json_doc_close), or ERR_INVALID with the position in err. */
int json_doc_open(struct json_doc **out, struct bytes text, struct err *err);
void json_doc_close(struct json_doc *doc);
const struct json_value *json_root(const struct json_doc *doc);
/* Member by dotted path ("session.state"); NULL when there is none. */
const struct json_value *json_get(const struct json_value *v, const char *path);
const struct json_value *json_at(const struct json_value *v, size_t index);
size_t json_length(const struct json_value *v); /* of an array; else 0 */
bool json_value_is_object(const struct json_value *v);
bool json_value_is_text(const struct json_value *v);
bool json_value_is_null(const struct json_value *v); /* the value null; not a missing one */
/* A member of an object that is none of the known ones, borrowed; NULL when there is none. */
const char *json_stranger(const struct json_value *object, const char *const *known, size_t count);
/* Text value at path ("" = v itself), NUL-terminated, borrowed; fallback otherwise. */
const char *json_text(const struct json_value *v, const char *path, const char *fallback);
int64_t json_int(const struct json_value *v, const char *path, int64_t fallback);
bool json_bool(const struct json_value *v, const char *path, bool fallback);
/* Appends it as compact JSON of ASCII characters alone; members stay in their order. 0 or
 * ERR_LIMIT.
 */
int json_value_append(struct buf *out, const struct json_value *v);

#endif
