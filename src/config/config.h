/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Configuration: one YAML file and a few environment variables become one plain struct. Strict:
 * unknown or repeated keys, wrong types and values out of range are errors with file:line:column
 * and, where a known key is near, a hint. All problems are reported, not only the first.
 */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define CONFIG_TEXT_MAX 512

/*
 * X(section, key, member, type, default, min, max, environment, reloadable): the one list of keys.
 * type TEXT: char[CONFIG_TEXT_MAX], min/max are lengths in bytes; INT: int64_t; BOOL: bool.
 */
#define CONFIG_KEYS(X)                                                                             \
    X("tenant", "id", tenant_id, TEXT, "", 1, 64, "TENANT_ID", false)                              \
    X("tenant", "business_name", business_name, TEXT, "", 0, 128, NULL, true)                      \
    X("volume", "path", volume_path, TEXT, "/volume", 1, 480, "VOLUME_PATH", false)                \
    X("volume", "recent", volume_recent, BOOL, true, 0, 1, NULL, true)                             \
    X("private", "path", private_path, TEXT, "/private", 1, 480, "SESSIONS_PATH", false)           \
    X("private", "key_file", key_file, TEXT, "", 0, 500, NULL, false)                              \
    X("private", "old_key_file", old_key_file, TEXT, "", 0, 500, NULL, false)                      \
    X("whatsapp", "endpoint", endpoint, TEXT, "wss://web.whatsapp.com/ws/chat", 1, 500,            \
      "WABRIDGE_ENDPOINT", false)                                                                  \
    X("whatsapp", "noise_root", noise_root, TEXT,                                                  \
      "142375574d0a587166aae71ebe516437c4a28b73e3695c6ce1f7f9545da8ee6b", 64, 64,                  \
      "WABRIDGE_NOISE_ROOT", false)                                                                \
    X("whatsapp", "version", wa_version, TEXT, "", 0, 32, NULL, true)                              \
    X("whatsapp", "version_url", version_url, TEXT, "", 0, 500, NULL, false)                       \
    X("whatsapp", "device_name", device_name, TEXT, "wabridge", 1, 64, NULL, true)                 \
    X("whatsapp", "ca_file", ca_file, TEXT, "", 0, 500, NULL, false)                               \
    X("whatsapp", "read_receipts", read_receipts, BOOL, true, 0, 1, NULL, true)                    \
    X("replies", "enabled", replies_enabled, BOOL, true, 0, 1, NULL, true)                         \
    X("replies", "type", replies_type, TEXT, "", 0, 64, NULL, true)                                \
    X("replies", "file", replies_file, TEXT, "", 0, 500, NULL, true)                               \
    X("replies", "directory", replies_directory, TEXT, "", 0, 480, NULL, true)                     \
    X("replies", "language", replies_language, TEXT, "auto", 1, 35, NULL, true)                    \
    X("replies", "hours", replies_hours, TEXT, "", 0, 500, NULL, true)                             \
    X("replies", "time_zone", replies_time_zone, TEXT, "UTC", 1, 64, NULL, true)                   \
    X("replies", "handover_s", replies_handover_s, INT, 43200, 0, 31536000, NULL, true)            \
    X("replies", "groups", replies_groups, BOOL, false, 0, 1, NULL, true)                          \
    X("replies", "max_reply_age_s", max_reply_age_s, INT, 600, 0, 604800, NULL, true)              \
    X("replies", "queue_per_chat", queue_per_chat, INT, 1000, 1, 10000, NULL, true)                \
    X("replies", "wait_text", replies_wait_text, TEXT,                                             \
      "We got your messages. Please wait a moment; we answer one after the other.", 0, 511, NULL,  \
      true)                                                                                        \
    X("replies", "call_text", replies_call_text, TEXT, "", 0, 511, NULL, true)                     \
    X("replies", "cooldown_s", replies_cooldown_s, INT, 0, 0, 86400, NULL, true)                   \
    X("replies", "daily_cap", replies_daily_cap, INT, 0, 0, 100000, NULL, true)                    \
    X("replies", "ping_pong_messages", ping_pong_messages, INT, 24, 0, 50, NULL, true)             \
    X("replies", "ping_pong_window_s", ping_pong_window_s, INT, 60, 1, 3600, NULL, true)           \
    X("replies", "ping_pong_silence_s", ping_pong_silence_s, INT, 3600, 1, 86400, NULL, true)      \
    X("replies", "delay_min_ms", delay_min_ms, INT, 0, 0, 60000, NULL, true)                       \
    X("replies", "delay_max_ms", delay_max_ms, INT, 0, 0, 60000, NULL, true)                       \
    X("rate_limit", "max_per_minute", rate_limit_max_per_minute, INT, 60, 0, 1000000,              \
      "RATE_LIMIT_MAX_PER_MINUTE", true)                                                           \
    X("rate_limit", "warning", rate_limit_warning, TEXT,                                           \
      "We are receiving many messages right now. Please give us a minute; we will answer.", 0,     \
      511, NULL, true)                                                                             \
    X("outbox", "max_per_minute", outbox_max_per_minute, INT, 30, 0, 1000000, NULL, true)          \
    X("outbox", "queue_messages", outbox_queue_messages, INT, 1000, 100, 1000000, NULL, true)      \
    X("heartbeat", "interval_ms", heartbeat_interval_ms, INT, 15000, 100, 3600000,                 \
      "HEARTBEAT_INTERVAL_MS", true)                                                               \
    X("messages", "keep_days", messages_keep_days, INT, 0, 0, 36500, NULL, true)                   \
    X("messages", "keep_mb", messages_keep_mb, INT, 0, 0, 1000000, NULL, true)                     \
    X("history", "days", history_days, INT, 0, 0, 365, NULL, true)                                 \
    X("media", "download", media_download, BOOL, false, 0, 1, NULL, true)                          \
    X("media", "types", media_types, TEXT, "image,audio,video,document,sticker", 0, 500, NULL,     \
      true)                                                                                        \
    X("media", "max_mb", media_max_mb, INT, 20, 1, 2000, NULL, true)                               \
    X("media", "keep_days", media_keep_days, INT, 0, 0, 36500, NULL, true)                         \
    X("media", "keep_mb", media_keep_mb, INT, 0, 0, 1000000, NULL, true)                           \
    X("reconnect", "initial_ms", reconnect_initial_ms, INT, 1000, 10, 3600000, NULL, true)         \
    X("reconnect", "max_ms", reconnect_max_ms, INT, 300000, 10, 86400000, NULL, true)              \
    X("reconnect", "max_attempts", reconnect_max_attempts, INT, 20, 1, 1000000, NULL, true)        \
    X("pairing", "rounds", pairing_rounds, INT, 5, 1, 1000000, NULL, true)                         \
    X("pairing", "pause_s", pairing_pause_s, INT, 3600, 1, 604800, NULL, true)                     \
    X("log", "level", log_level, TEXT, "info", 4, 5, "LOG_LEVEL", true)                            \
    X("log", "format", log_format, TEXT, "json", 4, 4, NULL, true)                                 \
    X("log", "content", log_content, BOOL, false, 0, 1, "WABRIDGE_LOG_CONTENT", true)              \
    X("log", "file", log_file, BOOL, true, 0, 1, NULL, true)                                       \
    X("log", "max_mb", log_max_mb, INT, 10, 1, 10000, NULL, true)                                  \
    X("log", "keep", log_keep, INT, 5, 0, 20, NULL, true)

/* CONFIG_KEY_<member>: the place of a key in the list. */
enum config_key {
#define X(section, key, member, ...) CONFIG_KEY_##member,
    CONFIG_KEYS(X) CONFIG_KEY_COUNT
#undef X
};

/* Where a value came from; line and column (from 1) are of the value in the file. */
enum config_from { CONFIG_FROM_DEFAULT, CONFIG_FROM_FILE, CONFIG_FROM_ENVIRONMENT };
struct config_origin {
    enum config_from from;
    int line, column;
};

struct config {
    char path[CONFIG_TEXT_MAX]; /* file it came from, "" when none */
    struct config_origin origins[CONFIG_KEY_COUNT];
#define CONFIG_MEMBER_TEXT(m) char m[CONFIG_TEXT_MAX];
#define CONFIG_MEMBER_INT(m) int64_t m;
#define CONFIG_MEMBER_BOOL(m) bool m;
#define X(section, key, member, type, def, min, max, env, reload) CONFIG_MEMBER_##type(member)
    CONFIG_KEYS(X)
#undef X
};

/*
 * Collects problems, one "file:line:column: text" per line; those of the environment begin with
 * "environment NAME: ". A zeroed report is ready for use, and one report may go through several
 * calls. text is held below 64 KiB; errors counts all.
 */
struct config_report {
    struct buf text;
    int errors;
};

/*
 * Defaults, then the file (path NULL or "": none), then the environment (env: getenv or a fake; an
 * empty variable is not set), then checks across keys: tenant id present and [A-Za-z0-9._-];
 * endpoint ws:// or wss://, plain ws:// only for loopback names; noise root hex; version; level;
 * format; business hours; private.path and the key files not inside volume.path;
 * reconnect.initial_ms not above reconnect.max_ms. An empty business name becomes the tenant id. 0,
 * or ERR_CONFIG with every problem in report; out then holds what was good, and defaults.
 */
int config_load(struct config *out, const char *path, const char *(*env)(const char *name),
                struct config_report *report);
/* A zeroed report is fine; leaves a zeroed one. */
void config_report_deinit(struct config_report *report);
/* "section.key" of each key that differs, with ", " between: those that apply at once, and those
 * that need a restart. */
void config_diff(const struct config *old, const struct config *fresh, struct buf *applied,
                 struct buf *restart);
/* Every key with its value and where it came from, as YAML that loads again, for check-config. */
void config_print(const struct config *c, struct buf *out);

#endif
