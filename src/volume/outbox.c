/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "volume/outbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "volume/inbox.h"

#define SUFFIX ".json"
#define RESULT_MAX 4096
#define UNFINISHED_MS 2000
/* Looking through thousands of results costs; so many more than are kept do no harm. */
#define PRUNE_EVERY 500

struct volume_outbox {
    struct volume *v;
    struct volume_inbox inbox;
    struct volume_entry batch[VOLUME_OUTBOX_BATCH];
    size_t count, at;
    bool unfinished, progress;
    struct json_doc *doc; /* of the message handed out last */
    struct buf content;
    int results; /* published since the last pruning */
};

/* ---- names -------------------------------------------------------------------------------------
 */

static bool is_visible(const char *name)
{
    return name[0] != '.';
}

static bool is_result(const char *name)
{
    size_t n = strlen(name);
    return name[0] != '.' && n > strlen(SUFFIX) && strcmp(name + n - strlen(SUFFIX), SUFFIX) == 0;
}

/* NULL and NAME without its suffix, or what is wrong with it. */
static const char *read_name(const char *file, char name[VOLUME_OUTBOX_NAME_MAX + 1])
{
    size_t n = strlen(file), suffix = strlen(SUFFIX);
    if (n <= suffix || strcmp(file + n - suffix, SUFFIX) != 0)
        return "the name must end in .json; write under a name that begins with a dot, then rename";
    n -= suffix;
    if (n > VOLUME_OUTBOX_NAME_MAX)
        return "the name may have 120 characters before .json";
    for (size_t i = 0; i < n; i++)
        if (!volume_inbox_plain(file[i]) || (i == 0 && strchr("._-", file[i])))
            return "the name must be letters, digits, '.', '_' or '-', a letter or digit first";
    bytes_copy_text(BYTES(file, n), name, VOLUME_OUTBOX_NAME_MAX + 1);
    return NULL;
}

/* A name for the answer to a file whose own cannot be used; no good name begins like it. */
static void stand_in(const char *file, char name[VOLUME_OUTBOX_NAME_MAX + 1])
{
    name[0] = '_';
    bytes_copy_text(bytes_text(file), name + 1, VOLUME_OUTBOX_NAME_MAX);
    for (char *p = name + 1; *p; p++)
        if (!volume_inbox_plain(*p))
            *p = '_';
}

/* ---- results -----------------------------------------------------------------------------------
 */

static void put_or_null(struct json_writer *w, const char *key, const char *text)
{
    json_put_text(w, key, text && text[0] ? text : NULL);
}

static void result_text(const struct volume_outbox_result *r, struct buf *out)
{
    struct json_writer w;
    json_writer_init(&w, out);
    json_open(&w, NULL, '{');
    json_put_text(&w, "name", r->name);
    put_or_null(&w, "id", r->id);
    put_or_null(&w, "status", r->status);
    if (r->error) {
        json_put_text(&w, "error", r->error);
    } else {
        put_or_null(&w, "pn", r->pn);
        put_or_null(&w, "lid", r->lid);
        json_put_time(&w, "server_at", r->server_at);
        json_put_time(&w, "delivered_at", r->delivered_at);
        json_put_time(&w, "read_at", r->read_at);
    }
    json_put_time(&w, "at", clock_wall_ms());
    json_close(&w, '}');
    buf_append_u8(out, '\n');
}

static void prune(struct volume_outbox *o)
{
    if (++o->results < PRUNE_EVERY)
        return;
    o->results = 0;
    volume_prune(o->v->done_fd, is_result, VOLUME_OUTBOX_RESULTS, NULL);
    volume_prune(o->v->failed_fd, is_result, VOLUME_OUTBOX_RESULTS, NULL);
}

int volume_outbox_result(struct volume_outbox *o, const struct volume_outbox_result *r,
                         struct err *err)
{
    AUTO_BUF struct buf text;
    char file[VOLUME_OUTBOX_NAME_MAX + sizeof(SUFFIX)];
    int where = r->error ? o->v->failed_fd : o->v->done_fd;
    int other = r->error ? o->v->done_fd : o->v->failed_fd;
    buf_init(&text, RESULT_MAX);
    result_text(r, &text);
    snprintf(file, sizeof(file), "%s" SUFFIX, r->name);
    /* Not synced: what became of it stands in messages.db, and is published again if need be. */
    int rc = volume_publish(where, file, buf_bytes(&text), false, err);
    if (rc == 0) {
        unlinkat(other, file, 0);
        prune(o);
    }
    return rc;
}

/* The file stays when the answer could not be published; it is looked at again. */
static void refuse_file(struct volume_outbox *o, const char *file, const char *name,
                        const char *error)
{
    struct err err;
    const struct volume_outbox_result r = {.name = name, .status = "refused", .error = error};
    log_event(LOG_WARN, "outbox_refused", LOG_STR("file", file), LOG_STR("reason", error));
    if (volume_outbox_result(o, &r, &err) == 0)
        o->progress = volume_inbox_discard(o->v->new_fd, file) || o->progress;
    else
        log_event(LOG_WARN, "outbox_not_answered", LOG_STR("reason", err.text));
}

void volume_outbox_refuse(struct volume_outbox *o, const char *name, const char *error)
{
    char file[VOLUME_OUTBOX_NAME_MAX + sizeof(SUFFIX)];
    snprintf(file, sizeof(file), "%s" SUFFIX, name);
    refuse_file(o, file, name, error);
}

/* ---- one file ----------------------------------------------------------------------------------
 */

/* NULL, or what is wrong. */
static const char *read_time(const struct json_value *root, const char *key, int64_t *out,
                             struct err *err)
{
    char text[CLOCK_TEXT_SIZE + 8], again[CLOCK_TEXT_SIZE];
    const struct json_value *v = json_get(root, key);
    *out = 0;
    if (!v || json_value_is_null(v))
        return NULL;
    const char *given = json_text(v, "", "");
    size_t n = strlen(given);
    /* `date -u +%FT%TZ` writes no milliseconds. */
    if (n == CLOCK_TEXT_SIZE - 5 && given[n - 1] == 'Z')
        snprintf(text, sizeof(text), "%.*s.000Z", (int)n - 1, given);
    else
        snprintf(text, sizeof(text), "%.*s", CLOCK_TEXT_SIZE, given);
    if (clock_parse(text, out) == 0) {
        clock_format(*out, again);
        if (*out > 0 && strcmp(again, text) == 0)
            return NULL;
    }
    err_set(err, ERR_INVALID, "%s must be a time in UTC as \"2026-01-02T03:04:05Z\"", key);
    return err->text;
}

static const char *read_text(const struct json_value *root, const char *key, bool wanted,
                             const char **out, struct err *err)
{
    const struct json_value *v = json_get(root, key);
    *out = NULL;
    if (!wanted && (!v || json_value_is_null(v)))
        return NULL;
    *out = v ? json_text(v, "", NULL) : NULL;
    if (*out && (*out)[0])
        return NULL;
    err_set(err, ERR_INVALID, v ? "%s must be a text in quotes that is not empty" : "%s is missing",
            key);
    return err->text;
}

static const char *read_message(const struct json_value *root, struct volume_outbox_message *out,
                                struct err *err)
{
    static const char *const members[] = {"to", "text", "quote", "not_before", "expires_at"};
    const char *text = NULL;
    if (!json_value_is_object(root))
        return "the file must hold one JSON object";
    const char *stranger = json_stranger(root, members, ARRAY_LEN(members));
    if (stranger) {
        err_set(err, ERR_INVALID,
                "unknown member \"%.60s\"; there are to, text, quote, not_before, expires_at",
                stranger);
        return err->text;
    }
    const char *wrong = read_text(root, "to", true, &out->to, err);
    if (!wrong)
        wrong = read_text(root, "text", true, &text, err);
    if (!wrong)
        wrong = read_text(root, "quote", false, &out->quote, err);
    if (!wrong)
        wrong = read_time(root, "not_before", &out->not_before, err);
    if (!wrong)
        wrong = read_time(root, "expires_at", &out->expires_at, err);
    if (!wrong && out->expires_at && out->expires_at <= out->not_before)
        wrong = "expires_at must be later than not_before";
    out->text = bytes_text(text ? text : "");
    return wrong;
}

static bool is_fresh(const struct volume_outbox *o, const char *file)
{
    struct stat st;
    if (fstatat(o->v->new_fd, file, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return false;
    int64_t age =
        clock_wall_ms() - ((int64_t)st.st_ctim.tv_sec * 1000 + st.st_ctim.tv_nsec / 1000000);
    return age >= 0 && age < UNFINISHED_MS;
}

enum outcome { GOOD, REFUSED, LEFT };

static enum outcome parse(struct volume_outbox *o, const char *file,
                          struct volume_outbox_message *out, const char **why, struct err *err)
{
    if (json_doc_open(&o->doc, buf_bytes(&o->content), err) != 0) {
        o->doc = NULL;
        *why = err->text;
        return is_fresh(o, file) ? LEFT : REFUSED;
    }
    *why = read_message(json_root(o->doc), out, err);
    return *why ? REFUSED : GOOD;
}

static enum outcome inspect(struct volume_outbox *o, const char *file,
                            struct volume_outbox_message *out, const char **why, struct err *err)
{
    json_doc_close(o->doc);
    o->doc = NULL;
    buf_clear(&o->content);
    *why = read_name(file, out->name);
    if (*why)
        return REFUSED;
    switch (volume_read_given(o->v->new_fd, file, &o->content)) {
    case 0:
        return parse(o, file, out, why, err);
    case ERR_NOT_FOUND:
        return LEFT;
    case ERR_INVALID:
        *why = "not a regular file";
        return REFUSED;
    case ERR_LIMIT:
        *why = "larger than 512 KiB";
        return REFUSED;
    case ERR_EXISTS: /* who delivers by link and unlink is between the two */
        *why = "has another name (a hard link); write it, then rename";
        return is_fresh(o, file) ? LEFT : REFUSED;
    default:
        err_set(err, ERR_SYSTEM, "cannot be read (%s); make it readable for the group (0640)",
                strerror(errno));
        *why = err->text;
        return REFUSED;
    }
}

int volume_outbox_next(struct volume_outbox *o, struct volume_outbox_message *out)
{
    while (o->at < o->count) {
        const char *file = o->batch[o->at++].name, *why;
        struct err err;
        *out = (struct volume_outbox_message){0};
        enum outcome outcome = inspect(o, file, out, &why, &err);
        if (outcome == GOOD)
            return 1;
        if (outcome == LEFT) {
            o->unfinished = true;
            continue;
        }
        char name[VOLUME_OUTBOX_NAME_MAX + 1];
        if (!out->name[0])
            stand_in(file, name);
        refuse_file(o, file, out->name[0] ? out->name : name, why);
    }
    return 0;
}

/* ---- batches -----------------------------------------------------------------------------------
 */

size_t volume_outbox_look(struct volume_outbox *o)
{
    size_t total = 0;
    volume_outbox_drain(o);
    o->count = o->at = 0;
    o->unfinished = o->progress = false;
    if (volume_inbox_look(&o->inbox) != VOLUME_INBOX_AWAY)
        o->count = volume_oldest(o->v->new_fd, is_visible, o->batch, ARRAY_LEN(o->batch), &total);
    return total;
}

bool volume_outbox_unfinished(const struct volume_outbox *o)
{
    return o->unfinished;
}

bool volume_outbox_progress(const struct volume_outbox *o)
{
    return o->progress;
}

void volume_outbox_drain(const struct volume_outbox *o)
{
    volume_inbox_drain(&o->inbox);
}

bool volume_outbox_taken(struct volume_outbox *o, const char *name)
{
    char file[VOLUME_OUTBOX_NAME_MAX + sizeof(SUFFIX)];
    snprintf(file, sizeof(file), "%s" SUFFIX, name);
    if (unlinkat(o->v->new_fd, file, 0) == 0 || errno == ENOENT) {
        o->inbox.complaint = 0;
        return o->progress = true;
    }
    volume_inbox_complain(&o->inbox, "outbox_not_removed", file);
    return false;
}

/* ---- handle ------------------------------------------------------------------------------------
 */

void volume_outbox_open(struct volume_outbox **out, struct volume *v)
{
    struct volume_outbox *o = err_calloc(1, sizeof(*o));
    o->v = v;
    o->results = PRUNE_EVERY;
    buf_init(&o->content, VOLUME_OUTBOX_FILE_MAX);
    volume_inbox_open(&o->inbox, v->outbox_fd, "new", 02770, &v->new_fd);
    *out = o;
}

void volume_outbox_close(struct volume_outbox *o)
{
    if (!o)
        return;
    volume_inbox_close(&o->inbox);
    json_doc_close(o->doc);
    buf_deinit(&o->content);
    free(o);
}

int volume_outbox_fd(const struct volume_outbox *o)
{
    return o->inbox.inotify_fd;
}
