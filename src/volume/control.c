/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "volume/control.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/random.h"
#include "volume/inbox.h"

#define CONTENT_MAX (64u << 10)
#define ID_MAX 120
#define ACKS_KEPT 100
#define CLAIM_PREFIX ".claimed-"
#define CLAIM_RANDOM 16 /* hex digits, then '-' and the command's name */

/* Refusals in one call: a flood of junk must not hold up the loop. Each refusal's own rename is an
 * event, so the descriptor stays readable until the directory is clean. */
#define REFUSALS_PER_CALL 64
#define LEFTOVERS_ACKED 64

/*
 * A file's times come from the kernel's coarse clock, which lags behind the fine one by up to a
 * tick (10 ms at 100 Hz): a touch right after the start may carry a time before it.
 */
#define CLOCK_SLACK_MS 20

struct volume_control {
    struct volume *v;
    int64_t started_at;
    struct volume_inbox inbox;
    struct json_doc *content; /* of the passkey response at hand */
};

static const char *const command_names[] = {
#define X(symbol, name) [symbol] = name,
    VOLUME_COMMANDS(X)
#undef X
        [VOLUME_COMMAND_PASSKEY] = VOLUME_PASSKEY_RESPONSE,
};

/* ---- the directory itself ----------------------------------------------------------------------
 */

/* Whether control/ and control/ack, as the portal sees them, are the ones held; takes over new
 * ones. */
static bool refresh(struct volume_control *c)
{
    struct volume *v = c->v;
    enum volume_inbox_look look = volume_inbox_look(&c->inbox);
    if (look == VOLUME_INBOX_AWAY)
        return false;
    if (look == VOLUME_INBOX_SAME && volume_inbox_is_held(v->control_fd, "ack", v->ack_fd))
        return true;
    if (!volume_inbox_reopen(&v->ack_fd, v->control_fd, "ack", 02750)) {
        volume_inbox_complain(&c->inbox, "control_refused", "control/ack");
        return false;
    }
    log_event(LOG_INFO, "control_reopened", LOG_STR("volume", v->path));
    return true;
}

/* ---- acknowledgements --------------------------------------------------------------------------
 */

static bool is_ack(const char *name)
{
    size_t n = strlen(name);
    return name[0] != '.' && n > 5 && strcmp(name + n - 5, ".json") == 0;
}

/* keep: the one just written, whose time may tie with others. */
static void prune_acks(int ack_fd, const char *keep)
{
    volume_prune(ack_fd, is_ack, ACKS_KEPT, keep);
}

/* <id or name>.json: whatever the name was, a visible file inside ack/. */
static void ack_name(const struct volume_control_request *r, char out[ID_MAX + 8])
{
    char stem[ID_MAX + 1];
    bytes_copy_text(bytes_text(r->id[0] ? r->id : r->name), stem, sizeof(stem));
    for (char *p = stem; *p; p++) {
        if (!volume_inbox_plain(*p) || (p == stem && *p == '.'))
            *p = '_';
    }
    snprintf(out, ID_MAX + 8, "%s%s", stem, is_ack(stem) ? "" : ".json");
}

static void ack_text(const struct volume_control_request *r, const char *result, const char *error,
                     const char *detail, struct buf *out)
{
    struct json_writer w;
    json_writer_init(&w, out);
    json_open(&w, NULL, '{');
    json_put_text(&w, "command", r->name);
    json_put_text(&w, "id", r->id[0] ? r->id : NULL);
    json_put_text(&w, "result", result);
    json_put_text(&w, "error", error);
    json_put_text(&w, "detail", detail);
    json_put_time(&w, "at", clock_wall_ms());
    json_close(&w, '}');
    buf_append_u8(out, '\n');
}

static int publish_ack(struct volume_control *c, const struct volume_control_request *r,
                       struct bytes text, bool durable, struct err *err)
{
    char name[ID_MAX + 8];
    ack_name(r, name);
    int rc = volume_publish(c->v->ack_fd, name, text, durable, err);
    /* ack/ may have been replaced since the command was claimed. */
    if (rc != 0 && refresh(c))
        rc = volume_publish(c->v->ack_fd, name, text, durable, err);
    if (rc == 0)
        prune_acks(c->v->ack_fd, name);
    return rc;
}

static int answer(struct volume_control *c, const struct volume_control_request *r,
                  const char *result, const char *error, const char *detail, bool durable)
{
    AUTO_BUF struct buf text;
    struct err err;
    buf_init(&text, CONTENT_MAX);
    ack_text(r, result, error, detail, &text);
    int rc = text.full ? err_set(&err, ERR_LIMIT, "the text is too long")
                       : publish_ack(c, r, buf_bytes(&text), durable, &err);
    if (rc != 0)
        log_event(LOG_WARN, "ack_failed", LOG_STR("command", r->name), LOG_STR("id", r->id),
                  LOG_STR("result", result), LOG_STR("reason", err.text));
    volume_inbox_discard(c->v->control_fd, r->claim);
    return rc;
}

int volume_control_ack(struct volume_control *c, const struct volume_control_request *r,
                       const char *result, const char *error, const char *detail)
{
    return answer(c, r, result, error, detail, true);
}

static void refuse(struct volume_control *c, const struct volume_control_request *r,
                   const char *result, const char *why)
{
    log_event(LOG_WARN, "control_refused", LOG_STR("file", r->name), LOG_STR("id", r->id),
              LOG_STR("result", result), LOG_STR("reason", why));
    answer(c, r, result, why, NULL, false);
}

/* ---- one file ----------------------------------------------------------------------------------
 */

static int64_t time_ms(struct timespec t)
{
    /* Whole seconds: a file system that keeps no finer time; it may have been any part of that
     * second. */
    return (int64_t)t.tv_sec * 1000 + (t.tv_nsec ? t.tv_nsec / 1000000 : 999);
}

/*
 * The change time is when the command came, by rename and link too; the content's time is looked at
 * as well, for file systems that keep only that. The future is not the past: skewed clocks lose no
 * command.
 */
static bool is_stale(const struct volume_control *c, const struct stat *st)
{
    int64_t changed = time_ms(st->st_ctim), written = time_ms(st->st_mtim);
    int64_t newest = changed > written ? changed : written;
    return newest < c->started_at - CLOCK_SLACK_MS;
}

static bool id_ok(const char *id)
{
    size_t n = strlen(id);
    if (n == 0 || n > ID_MAX || id[0] == '.')
        return false;
    while (n > 0 && volume_inbox_plain(id[n - 1]))
        n--;
    return n == 0;
}

/* NULL with id, chat and phone, "" where the content names none; or why the command is refused. The
 * document goes to *kept unless that is NULL. */
static const char *read_content(struct bytes content, struct volume_control_request *r,
                                struct json_doc **kept)
{
    struct json_doc *doc;
    const char *why = NULL;
    r->odd = content.n > 0 && json_doc_open(&doc, content, NULL) != 0;
    if (content.n == 0 || r->odd)
        return NULL;
    const struct json_value *id = json_get(json_root(doc), "id"),
                            *chat = json_get(json_root(doc), "chat");
    const char *chat_text = chat ? json_text(chat, "", "") : "";
    r->odd = !json_value_is_object(json_root(doc));
    if (id && id_ok(json_text(id, "", "")))
        bytes_copy_text(bytes_text(json_text(id, "", "")), r->id, sizeof(r->id));
    else if (id)
        why = "id must be a text of 1 to 120 letters, digits, '.', '_' or '-', not beginning with "
              "'.'";
    if (chat && (!*chat_text || strlen(chat_text) > ID_MAX))
        why = "chat must be a text of 1 to 120 bytes";
    else
        bytes_copy_text(bytes_text(chat_text), r->chat, sizeof(r->chat));
    bytes_copy_text(bytes_text(json_text(json_root(doc), "phone", "")), r->phone, sizeof(r->phone));
    if (kept)
        *kept = doc;
    else
        json_doc_close(doc);
    return why;
}

/* Looks at a claimed file. Content that cannot be read (another owner, no permission) names
 * nothing, and is odd. */
static const char *inspect(const struct volume_control *c, struct volume_control_request *r,
                           struct json_doc **kept)
{
    AUTO_BUF struct buf content;
    buf_init_secret(&content, CONTENT_MAX);
    switch (volume_read_given(c->v->control_fd, r->claim, &content)) {
    case 0:
        return read_content(buf_bytes(&content), r, kept);
    case ERR_INVALID:
        return "not a regular file";
    case ERR_LIMIT:
        return "larger than 64 KiB";
    default:
        r->odd = true;
        return NULL;
    }
}

static void fill_request(struct volume_control_request *r, const char *name)
{
    *r = (struct volume_control_request){0};
    bytes_copy_text(bytes_text(name), r->name, sizeof(r->name));
    uint64_t random;
    random_bytes((uint8_t *)&random, sizeof(random));
    snprintf(r->claim, sizeof(r->claim), CLAIM_PREFIX "%016" PRIx64 "-%s", random, r->name);
}

/*
 * Takes a file out of the portal's reach: from here on nobody else acts on it, nor do we twice. Its
 * time is read first, for the rename changes it; a file that took its place in between is new. 1
 * claimed, 0 not.
 */
static int claim(struct volume_control *c, const char *name, struct volume_control_request *r,
                 bool *stale)
{
    struct stat before, after;
    int fd = c->v->control_fd;
    bool there = fstatat(fd, name, &before, AT_SYMLINK_NOFOLLOW) == 0;
    if (there)
        fill_request(r, name);
    if (!there || renameat(fd, name, fd, r->claim) != 0) {
        if (errno != ENOENT)
            volume_inbox_complain(&c->inbox, "control_unclaimed", name);
        return 0;
    }
    c->inbox.complaint = 0;
    bool same = fstatat(fd, r->claim, &after, AT_SYMLINK_NOFOLLOW) == 0 &&
                before.st_ino == after.st_ino && before.st_dev == after.st_dev;
    *stale = same && is_stale(c, &before);
    return 1;
}

/* ---- scanning ----------------------------------------------------------------------------------
 */

static int take_command(struct volume_control *c, enum volume_command command,
                        struct volume_control_request *out)
{
    bool stale;
    if (!claim(c, command_names[command], out, &stale))
        return 0;
    out->command = command;
    bool passkey = command == VOLUME_COMMAND_PASSKEY;
    const char *why = inspect(c, out, passkey ? &c->content : NULL);
    if (passkey)
        volume_inbox_discard(c->v->control_fd, out->claim);
    if (!why && !stale)
        return 1;
    refuse(c, out, why ? "refused" : "stale", why ? why : "older than the start of this process");
    return 0;
}

static bool is_command(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(command_names); i++) {
        if (strcmp(name, command_names[i]) == 0)
            return true;
    }
    return false;
}

static bool refuse_unknown(struct volume_control *c, const char *name)
{
    struct volume_control_request r;
    bool stale;
    if (!claim(c, name, &r, &stale))
        return false;
    const char *why = inspect(c, &r, NULL);
    if (why)
        refuse(c, &r, "refused", why);
    else
        refuse(c, &r, "unknown command", "the commands are stop, reload, logout, pair and release");
    return true;
}

static void refuse_others(struct volume_control *c)
{
    DIR *dir = volume_list(c->v->control_fd);
    const struct dirent *entry;
    int refused = 0;
    while (dir && refused < REFUSALS_PER_CALL && (entry = readdir(dir)) != NULL) {
        const char *name = entry->d_name;
        if (name[0] != '.' && strcmp(name, "ack") != 0 && !is_command(name) &&
            refuse_unknown(c, name))
            refused++;
    }
    if (dir)
        closedir(dir);
}

static void forget_content(struct volume_control *c)
{
    json_doc_close(c->content);
    c->content = NULL;
}

const struct json_value *volume_control_content(const struct volume_control *c)
{
    return c->content ? json_root(c->content) : NULL;
}

int volume_control_next(struct volume_control *c, struct volume_control_request *out)
{
    volume_inbox_drain(&c->inbox);
    forget_content(c);
    if (!refresh(c))
        return 0;
    /* By name and before the rest, so that a flood of other files cannot delay a stop. */
    for (size_t i = 0; i < ARRAY_LEN(command_names); i++) {
        if (take_command(c, (enum volume_command)i, out))
            return 1;
    }
    refuse_others(c);
    return 0;
}

/* ---- handle ------------------------------------------------------------------------------------
 */

/* `.claimed-…` of a process that ended between claim and ack: whether it acted nobody knows, and an
 * edge of an earlier life is stale in any case. */
static void answer_leftovers(struct volume_control *c)
{
    const size_t prefix = strlen(CLAIM_PREFIX) + CLAIM_RANDOM + 1;
    DIR *dir = volume_list(c->v->control_fd);
    const struct dirent *entry;
    int answered = 0;
    while (dir && (entry = readdir(dir)) != NULL) {
        struct volume_control_request r = {0};
        const char *name = entry->d_name;
        if (strncmp(name, CLAIM_PREFIX, strlen(CLAIM_PREFIX)) != 0)
            continue;
        if (strlen(name) <= prefix || strlen(name) >= sizeof(r.claim) ||
            answered++ >= LEFTOVERS_ACKED) {
            volume_inbox_discard(c->v->control_fd, name);
            continue;
        }
        bytes_copy_text(bytes_text(name), r.claim, sizeof(r.claim));
        bytes_copy_text(bytes_text(name + prefix), r.name, sizeof(r.name));
        inspect(c, &r, NULL);
        refuse(c, &r, "stale", "claimed by a process that ended before it answered");
    }
    if (dir)
        closedir(dir);
}

int volume_control_open(struct volume_control **out, struct volume *v, int64_t started_at,
                        struct err *err)
{
    struct volume_control *c = err_calloc(1, sizeof(*c));
    c->v = v;
    c->started_at = started_at;
    volume_inbox_open(&c->inbox, v->root_fd, "control", 02770, &v->control_fd);
    if (!refresh(c)) {
        volume_control_close(c);
        return err_set(err, ERR_SYSTEM, "%s/control is not a directory any more", v->path);
    }
    answer_leftovers(c);
    *out = c;
    return 0;
}

void volume_control_close(struct volume_control *c)
{
    if (!c)
        return;
    volume_inbox_close(&c->inbox);
    forget_content(c);
    free(c);
}

int volume_control_fd(const struct volume_control *c)
{
    return c->inbox.inotify_fd;
}
