/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "volume/metrics.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define METRICS_MAX (64u << 10)

/* ---- measuring -------------------------------------------------------------------------- */

static int64_t size_of(int dir_fd, const char *name)
{
    struct stat st;
    return fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 ? st.st_size : -1;
}

static int64_t resident_bytes(void)
{
    char text[128];
    AUTO_CLOSE int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
    long long total, resident;
    if (n <= 0)
        return -1;
    text[n] = '\0';
    return sscanf(text, "%lld %lld", &total, &resident) == 2 ? resident * sysconf(_SC_PAGESIZE)
                                                             : -1;
}

static int64_t cpu_ms(void)
{
    struct rusage u;
    if (getrusage(RUSAGE_SELF, &u) != 0)
        return -1;
    return (int64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000 +
           (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1000;
}

void volume_metrics_measure(const struct volume *v, struct volume_gauges *out)
{
    struct statvfs fs;
    out->rss_bytes = resident_bytes();
    out->cpu_ms = cpu_ms();
    out->messages_db_bytes = size_of(v->root_fd, "messages.db");
    out->messages_wal_bytes = size_of(v->root_fd, "messages.db-wal");
    out->keys_db_bytes = size_of(v->private_fd, "keys.db");
    out->keys_wal_bytes = size_of(v->private_fd, "keys.db-wal");
    out->volume_free_bytes = -1;
    if (fstatvfs(v->root_fd, &fs) == 0)
        out->volume_free_bytes = (int64_t)(fs.f_bavail * fs.f_frsize);
}

/* ---- writing ---------------------------------------------------------------------------- */

struct page {
    struct buf *out;
    const char *tenant;
};

/* Of a page that is written again and again: not by printf. */
static void put(struct page *p, const char *a, const char *b, const char *c, const char *d)
{
    const char *const texts[] = {a, b, c, d};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        buf_append_text(p->out, texts[i]);
}

static void family(struct page *p, const char *name, const char *type, const char *help)
{
    put(p, "# HELP wabridge_", name, " ", help);
    put(p, "\n# TYPE wabridge_", name, " ", type);
    buf_append_u8(p->out, '\n');
}

/* The three characters that a label value must escape; what we put in is UTF-8. */
static void label(struct page *p, const char *name, const char *value)
{
    put(p, ",", name, "=\"", "");
    for (; *value; value++) {
        if (*value == '\\' || *value == '"')
            buf_append_u8(p->out, '\\');
        if (*value == '\n')
            buf_append_text(p->out, "\\n");
        else
            buf_append_u8(p->out, (uint8_t)*value);
    }
    buf_append_u8(p->out, '"');
}

/* More labels may follow before the value. */
static void begin(struct page *p, const char *name)
{
    put(p, "wabridge_", name, "{tenant=\"", p->tenant);
    buf_append_u8(p->out, '"');
}

static void value(struct page *p, int64_t v)
{
    buf_append_text(p->out, "} ");
    buf_append_int(p->out, v);
    buf_append_u8(p->out, '\n');
}

static void seconds(struct page *p, int64_t ms)
{
    const char digits[] = {'.', (char)('0' + ms / 100 % 10), (char)('0' + ms / 10 % 10),
                           (char)('0' + ms % 10), '\n'};
    buf_append_text(p->out, "} ");
    buf_append_int(p->out, ms / 1000);
    buf_append(p->out, BYTES_ARRAY(digits));
}

static void number(struct page *p, const char *name, const char *type, const char *help, int64_t v)
{
    if (v < 0)
        return;
    family(p, name, type, help);
    begin(p, name);
    value(p, v);
}

/* 0: it has not happened, and a time series without a sample says so. */
static void moment(struct page *p, const char *name, const char *help, int64_t ms)
{
    if (ms <= 0)
        return;
    family(p, name, "gauge", help);
    begin(p, name);
    seconds(p, ms);
}

static bool among(const char *text, const char *const *first, const char *const *end)
{
    while (first < end)
        if (strcmp(*first++, text) == 0)
            return true;
    return false;
}

static void one_of(struct page *p, const char *name, const char *help, const char *key,
                   const char *const *all, const char *now)
{
    family(p, name, "gauge", help);
    for (const char *const *at = all; *at; at++) {
        if (among(*at, all, at))
            continue;
        begin(p, name);
        label(p, key, *at);
        value(p, now && strcmp(*at, now) == 0);
    }
}

static void write_session(struct page *p, const struct volume_state *s,
                          const struct volume_gauges *g, int64_t now_ms)
{
    family(p, "info", "gauge", "Versions of the program and of WhatsApp Web it announces.");
    begin(p, "info");
    label(p, "version", s->process.version ? s->process.version : "");
    label(p, "wa_version", s->process.wa_version ? s->process.wa_version : "");
    value(p, 1);
    one_of(p, "status", "1 for the status of state.json, 0 for the others.", "status", g->statuses,
           s->status);
    one_of(p, "session_state", "1 for session.state of state.json, 0 for the others.", "state",
           g->sessions, s->session_state);
    moment(p, "session_since_timestamp_seconds", "Since when the session is in its state.",
           s->session_since);
    moment(p, "heartbeat_timestamp_seconds", "When this file was written.", now_ms);
    moment(p, "heartbeat_stale_after_seconds", "Age from which this file is stale.",
           s->stale_after_ms);
    moment(p, "last_seen_timestamp_seconds", "Last bytes from the server.", s->last_seen_at);
    moment(p, "last_message_timestamp_seconds", "Last message from somebody else.",
           s->last_message_at);
    moment(p, "config_loaded_timestamp_seconds", "When the configuration was last accepted.",
           s->config.loaded_at);
    number(p, "reconnect_attempts", "gauge", "Attempts to connect that failed in a row.",
           s->reconnect.attempt);
    if (s->last_error.at) {
        family(p, "last_error_timestamp_seconds", "gauge", "When last_error happened.");
        begin(p, "last_error_timestamp_seconds");
        label(p, "code", s->last_error.code);
        seconds(p, s->last_error.at);
    }
}

static void write_counters(struct page *p, const struct volume_state *s)
{
#define X(name)                                                                                    \
    number(p, #name "_total", "counter", "counters." #name " of state.json.", s->counters.name);
    VOLUME_COUNTERS(X)
#undef X
    family(p, "queue_length", "gauge", "Messages that wait to be sent.");
    begin(p, "queue_length");
    label(p, "queue", "replies");
    value(p, s->queue_replies);
    begin(p, "queue_length");
    label(p, "queue", "outbox");
    value(p, s->queue_outbox);
}

static void sizes(struct page *p, const char *name, const char *help, int64_t messages,
                  int64_t keys)
{
    const int64_t values[] = {messages, keys};
    static const char *const names[] = {"messages", "keys"};
    family(p, name, "gauge", help);
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        if (values[i] < 0)
            continue;
        begin(p, name);
        label(p, "database", names[i]);
        value(p, values[i]);
    }
}

static void write_process(struct page *p, const struct volume_state *s,
                          const struct volume_gauges *g)
{
    moment(p, "process_start_time_seconds", "When the process started.", s->process.started_at);
    number(p, "process_resident_memory_bytes", "gauge", "Memory of the process.", g->rss_bytes);
    if (g->cpu_ms >= 0) {
        family(p, "process_cpu_seconds_total", "counter", "Processor time of the process.");
        begin(p, "process_cpu_seconds_total");
        seconds(p, g->cpu_ms);
    }
    sizes(p, "database_bytes", "Size of the database file.", g->messages_db_bytes,
          g->keys_db_bytes);
    sizes(p, "database_wal_bytes", "Size of the -wal file.", g->messages_wal_bytes,
          g->keys_wal_bytes);
    number(p, "volume_free_bytes", "gauge", "Space left on the file system of the volume.",
           g->volume_free_bytes);
    number(p, "log_lines_dropped_total", "counter", "Lines that logs/wabridge.log lacks.",
           g->log_dropped);
}

int volume_metrics_write(const struct volume_state *s, const struct volume_gauges *g,
                         int64_t now_ms, struct buf *out)
{
    struct page p = {.out = out, .tenant = s->tenant_id};
    write_session(&p, s, g, now_ms);
    write_counters(&p, s);
    write_process(&p, s, g);
    return out->full ? ERR_LIMIT : 0;
}

int volume_metrics_publish(const struct volume_state *s, const struct volume_gauges *g,
                           const struct volume *v, int64_t now_ms, struct err *err)
{
    struct buf text = {.max = METRICS_MAX};
    int rc = volume_metrics_write(s, g, now_ms, &text);
    if (rc == 0)
        rc = volume_publish(v->root_fd, VOLUME_METRICS_NAME, buf_bytes(&text), false, err);
    else
        err_set(err, rc, "%s would be larger than %u bytes", VOLUME_METRICS_NAME, METRICS_MAX);
    buf_deinit(&text);
    return rc;
}
