/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Structured log: one event per line, JSON for machines or text for people, to stderr and,
 * when asked, to one more place. An event has a name (snake_case, stable: people grep for it) and
 * typed fields.
 *
 *   log_event(LOG_INFO, "reply_sent", LOG_STR("chat", masked), LOG_INT("ms", took));
 *
 * Rule of the house: no message text, key, QR payload or whole phone number at info or above.
 * A line is at most 4 KiB; longer values are cut. No allocation, no failure.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdint.h>

#include "base/buf.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_JSON, LOG_TEXT };

struct log_field {
    const char *key; /* NULL: nothing */
    enum { LOG_FIELD_TEXT, LOG_FIELD_INT, LOG_FIELD_BOOL } type;
    struct bytes text; /* any bytes; what is not UTF-8 is shown as U+FFFD */
    int64_t number;
};

#define LOG_STR(k, v)                                                                              \
    ((struct log_field){.key = (k), .type = LOG_FIELD_TEXT, .text = bytes_text(v)})
#define LOG_BYTES(k, v) ((struct log_field){.key = (k), .type = LOG_FIELD_TEXT, .text = (v)})
#define LOG_INT(k, v)                                                                              \
    ((struct log_field){.key = (k), .type = LOG_FIELD_INT, .number = (int64_t)(v)})
#define LOG_BOOL(k, v)                                                                             \
    ((struct log_field){.key = (k), .type = LOG_FIELD_BOOL, .number = (v) ? 1 : 0})

#define LOG_FIELDS_(...) ((const struct log_field[]){{.key = NULL}, ##__VA_ARGS__})
#define log_event(level, name, ...)                                                                \
    log_write((level), (name), LOG_FIELDS_(__VA_ARGS__),                                           \
              sizeof(LOG_FIELDS_(__VA_ARGS__)) / sizeof(struct log_field))

void log_write(enum log_level level, const char *name, const struct log_field *fields, size_t n);

/* Settings of the one sink. Defaults: LOG_INFO, LOG_JSON, no tenant, stderr only. */
void log_set_level(enum log_level level);
void log_set_format(enum log_format format);
void log_set_tenant(const char *tenant_id); /* copied, cut to 64 bytes */
/* Also gives each line, newline included, to write; NULL: stops doing so. write must not log. */
void log_set_copy(void (*write)(void *ctx, struct bytes line), void *ctx);
/* "debug", "info", "warn", "error"; 0 or ERR_INVALID. */
int log_level_parse(const char *text, enum log_level *out);

/* "+4915112345678" or "4915112345678@s.whatsapp.net" with the middle digits as '*'; borrowed out.
 */
const char *log_mask(struct bytes id, char out[64]);

#endif
