/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Files of messages: what is to be fetched stands in messages.db (table media) and its keys in
 * keys.db, so that a restart goes on where it was. A file is durable under its name before its row
 * says so, and its keys go last.
 */
#include "bridge/media.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "bridge/blob.h"
#include "bridge/bridge_internal.h"
#include "bridge/fetch.h"
#include "config/check.h"
#include "volume/media.h"

#define JOBS 2            /* files fetched at once */
#define FETCH_MS 300000   /* for one file */
#define SEALED_EXTRA 26   /* bytes of padding and MAC, at most */
#define PLAIN_PIECE 32768 /* bytes of a piece of the plain file */
#define TRIES 8           /* of a file that the hosts do not give */
#define TRY_AGAIN_MS 5000 /* after the first try; four times as long each time */
#define TRY_AGAIN_MAX_MS 3600000
#define DISK_AGAIN_MS 60000              /* when it could not be written */
#define PHONE_MS (24 * INT64_C(3600000)) /* how long the phone has time to upload it again */
#define HOSTS_DEFAULT_MS 300000          /* when the server names none */
#define ASK_AGAIN_MS 30000               /* for hosts */
#define TRIM_MS 3600000                  /* between two looks at all files */
#define HOST_SIZE 256

/* ---- the record of the keys ----------------------------------------------------------------- */

/* In WA_TABLE_MEDIA under the row's number: a fixed head, then texts that each end with NUL: id,
 * chat, author (groups), path. */
#define HEAD 107
#define RECORD_MAX 4096
struct record {
    enum wa_media_type type;
    bool asked; /* the phone, to upload it again */
    bool from_me;
    uint8_t key[32], sha256[32], sealed_sha256[32];
    uint64_t length;
    char id[256], chat[WA_JID_TEXT_SIZE], author[WA_JID_TEXT_SIZE], path[WA_MEDIA_PATH_MAX + 1];
};

static void record_key(int64_t row, char out[24])
{
    snprintf(out, 24, "%lld", (long long)row);
}

static int save(struct bridge *b, int64_t row, const struct record *r)
{
    char key[24];
    AUTO_BUF struct buf out;
    buf_init_secret(&out, RECORD_MAX);
    buf_append_u8(&out, (uint8_t)r->type);
    buf_append_u8(&out, r->asked);
    buf_append_u8(&out, r->from_me);
    buf_append(&out, BYTES_ARRAY(r->key));
    buf_append(&out, BYTES_ARRAY(r->sha256));
    buf_append(&out, BYTES_ARRAY(r->sealed_sha256));
    buf_append_be(&out, 4, (uint32_t)(r->length >> 32));
    buf_append_be(&out, 4, (uint32_t)r->length);
    const char *const texts[] = {r->id, r->chat, r->author, r->path};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        buf_append(&out, BYTES(texts[i], strlen(texts[i]) + 1));
    record_key(row, key);
    return out.full ? ERR_LIMIT : b->host.put(b->host.ctx, WA_TABLE_MEDIA, key, buf_bytes(&out));
}

static bool take_text(struct reader *in, char *out, size_t size)
{
    const uint8_t *end = memchr(in->p, 0, reader_left(in));
    struct bytes text;
    if (!end || reader_take(in, (size_t)(end - in->p) + 1, &text) < 0)
        return false;
    return bytes_copy_text(BYTES(text.p, text.n - 1), out, size);
}

static bool parse(struct bytes raw, struct record *r)
{
    if (raw.n < HEAD || raw.p[0] == 0 || raw.p[0] >= WA_MEDIA_TYPE_COUNT)
        return false;
    r->type = (enum wa_media_type)raw.p[0];
    r->asked = raw.p[1];
    r->from_me = raw.p[2];
    memcpy(r->key, raw.p + 3, 32);
    memcpy(r->sha256, raw.p + 35, 32);
    memcpy(r->sealed_sha256, raw.p + 67, 32);
    for (size_t i = 99; i < HEAD; i++)
        r->length = r->length << 8 | raw.p[i];
    struct reader in = reader_init(BYTES(raw.p + HEAD, raw.n - HEAD));
    return take_text(&in, r->id, sizeof(r->id)) && take_text(&in, r->chat, sizeof(r->chat)) &&
           take_text(&in, r->author, sizeof(r->author)) && take_text(&in, r->path, sizeof(r->path));
}

/* 1, 0 when there is none that can be read, ERR_STORE. */
static int load(struct bridge *b, int64_t row, struct record *r)
{
    char key[24];
    AUTO_BUF struct buf raw;
    buf_init_secret(&raw, RECORD_MAX);
    *r = (struct record){0};
    record_key(row, key);
    int rc = b->host.get(b->host.ctx, WA_TABLE_MEDIA, key, &raw);
    return rc == 1 ? parse(buf_bytes(&raw), r) : rc;
}

static int forget(struct bridge *b, int64_t row)
{
    char key[24];
    record_key(row, key);
    return b->host.del(b->host.ctx, WA_TABLE_MEDIA, key);
}

/* ---- state ---------------------------------------------------------------------------------- */

struct job {
    struct bridge *b;
    int64_t row; /* 0: free */
    int attempts;
    struct record record;
    struct bridge_fetch *fetch; /* NULL once over */
    struct wa_media_reader *reader;
    struct volume_media_file file;
    struct buf plain;
    char name[VOLUME_MEDIA_NAME_SIZE];
    bool disk;      /* it was the disk that failed */
    struct err err; /* of the reader or the disk */
    int rc, status; /* of the fetch, once over */
    int64_t retry_after_s;
};

struct bridge_media {
    struct job jobs[JOBS];
    char hosts[WA_MEDIA_HOSTS_MAX][HOST_SIZE];
    size_t host_count;
    int64_t hosts_until, ask_at; /* monotonic; 0 */
    int64_t trim_at;
    bool disk_said;
};

void bridge_media_open(struct bridge *b)
{
    b->media = err_calloc(1, sizeof(*b->media));
    for (size_t i = 0; i < JOBS; i++) {
        b->media->jobs[i].b = b;
        b->media->jobs[i].file.fd = -1;
        buf_init(&b->media->jobs[i].plain, PLAIN_PIECE);
    }
    b->media_at = 0;
}

static void end_job(struct job *j)
{
    bridge_fetch_cancel(j->fetch);
    wa_media_close(j->reader);
    volume_media_drop(&j->file);
    buf_deinit(&j->plain);
    buf_wipe(&j->record, sizeof(j->record));
    j->fetch = NULL;
    j->reader = NULL;
    j->row = 0;
}

void bridge_media_close(struct bridge *b)
{
    if (!b->media)
        return;
    for (size_t i = 0; i < JOBS; i++)
        end_job(&b->media->jobs[i]);
    free(b->media);
    b->media = NULL;
}

/* ---- a message with a file ------------------------------------------------------------------- */

/* Whether one of the words of the list (commas between) is the kind or the mimetype. */
static bool is_allowed(const char *list, const char *kind, struct bytes mimetype)
{
    size_t whole = 0;
    while (whole < mimetype.n && mimetype.p[whole] != ';')
        whole++;
    while (*list) {
        list += strspn(list, ", ");
        size_t n = strcspn(list, ", ");
        struct bytes word = BYTES(list, n);
        if (n > 0 && (bytes_is(word, kind) || bytes_equal(word, BYTES(mimetype.p, whole))))
            return true;
        list += n;
    }
    return false;
}

static const char *first_status(const struct config *c, const struct wa_content *content)
{
    const struct wa_media *m = &content->media;
    const char *kind = content->kind == WA_KIND_VOICE ? "audio" : wa_kind_text(content->kind);
    if (!c->media_download)
        return STORE_MEDIA_LISTED;
    if (!is_allowed(c->media_types, kind, m->mimetype))
        return STORE_MEDIA_TYPE_REFUSED;
    if (m->length > (uint64_t)c->media_max_mb * 1048576)
        return STORE_MEDIA_TOO_LARGE;
    return wa_media_is_fetchable(m) ? STORE_MEDIA_WANTED : STORE_MEDIA_FAILED;
}

static int save_keys(struct bridge *b, const struct wa_incoming *in, int64_t row)
{
    const struct wa_media *m = &in->content->media;
    struct record r = {.type = m->type, .from_me = in->from_me, .length = m->length};
    struct wa_jid author = wa_jid_bare(&in->sender);
    memcpy(r.key, m->key.p, sizeof(r.key));
    memcpy(r.sha256, m->sha256.p, sizeof(r.sha256));
    memcpy(r.sealed_sha256, m->sealed_sha256.p, sizeof(r.sealed_sha256));
    bytes_copy_text(in->id, r.id, sizeof(r.id));
    wa_jid_text(&in->chat, r.chat);
    if (in->group)
        wa_jid_text(&author, r.author);
    bytes_copy_text(m->direct_path, r.path, sizeof(r.path));
    int rc = save(b, row, &r);
    buf_wipe(&r, sizeof(r));
    return rc == ERR_LIMIT ? 0 : rc;
}

int bridge_media_listed(struct bridge *b, const struct wa_incoming *in, int64_t row)
{
    const struct wa_media *m = &in->content->media;
    const char *status = first_status(&b->config, in->content);
    const struct store_media media = {
        .status = status,
        .mimetype = m->mimetype,
        .file_name = m->file_name,
        .length = m->length <= INT64_MAX ? (int64_t)m->length : 0,
        .width = m->width,
        .height = m->height,
        .seconds = m->seconds,
        .animated = m->animated,
        .note = m->note,
    };
    int rc = store_messages_add_media(b->messages, row, &media);
    /* Also when the row was there: a crash may have kept it and lost the keys. */
    if (rc == 0 && strcmp(status, STORE_MEDIA_WANTED) == 0) {
        int64_t wanted;
        rc = store_messages_find_media(b->messages, in->id, &wanted);
        if (rc == 0)
            return 0;
    }
    if (rc >= 0 && strcmp(status, STORE_MEDIA_WANTED) == 0)
        rc = save_keys(b, in, row);
    if (rc >= 0)
        b->media_at = 0;
    return rc < 0 ? rc : 0;
}

/* ---- hosts ---------------------------------------------------------------------------------- */

static bool host_is_good(struct bytes host)
{
    char url[HOST_SIZE + 10];
    if (host.n == 0 || host.n >= HOST_SIZE || memchr(host.p, '/', host.n) ||
        memchr(host.p, '?', host.n))
        return false;
    snprintf(url, sizeof(url), "https://%.*s/", (int)host.n, (const char *)host.p);
    return config_check_url(url) == NULL;
}

void bridge_media_hosts(struct bridge *b, const struct wa_event *ev)
{
    struct bridge_media *m = b->media;
    int64_t ttl_ms = ev->u.hosts.ttl_s * 1000;
    m->host_count = 0;
    for (size_t i = 0; i < ev->u.hosts.count; i++)
        if (host_is_good(ev->u.hosts.names[i]))
            bytes_copy_text(ev->u.hosts.names[i], m->hosts[m->host_count++], HOST_SIZE);
    m->hosts_until = clock_mono_ms() + (ttl_ms > 0 ? ttl_ms : HOSTS_DEFAULT_MS);
    b->media_at = 0;
}

static bool endpoint_is_tls(const struct bridge *b)
{
    return strncmp(b->config.endpoint, "wss:", 4) == 0;
}

/* Whether there are hosts now; else they are asked for. */
bool bridge_media_have_hosts(struct bridge *b, int64_t now)
{
    struct bridge_media *m = b->media;
    if (m->host_count > 0 && now < m->hosts_until)
        return true;
    if (now >= m->ask_at) {
        m->ask_at = now + ASK_AGAIN_MS;
        wa_session_ask_media_hosts(b->session);
        bridge_touch(b);
    }
    return false;
}

/* ---- one job -------------------------------------------------------------------------------- */

static int write_plain(struct job *j)
{
    int rc = volume_media_write(&j->file, buf_bytes(&j->plain), &j->err);
    j->disk = rc < 0;
    buf_clear(&j->plain);
    return rc;
}

static int on_data(void *ctx, struct bytes piece)
{
    struct job *j = ctx;
    int rc = wa_media_feed(j->reader, piece, &j->plain);
    return rc < 0 ? rc : write_plain(j);
}

static void on_done(void *ctx, const struct bridge_fetch_result *result)
{
    struct job *j = ctx;
    j->fetch = NULL;
    j->rc = result->rc;
    j->status = result->status;
    j->retry_after_s = result->retry_after_s;
    if (!j->disk)
        err_set(&j->err, result->rc, "%s", result->error);
    j->b->media_at = 0;
    bridge_touch(j->b);
}

struct bridge_fetch *bridge_media_fetch(struct bridge *b, const struct bridge_media_source *source,
                                        const struct bridge_fetch_events *events, struct err *err)
{
    static const struct bridge_fetch_header headers[] = {{"origin", "https://web.whatsapp.com"},
                                                         {"referer", "https://web.whatsapp.com/"}};
    const struct bridge_media *m = b->media;
    AUTO_BUF struct buf url;
    buf_init(&url, BRIDGE_FETCH_URL_MAX);
    buf_printf(&url, "%s://%s", endpoint_is_tls(b) ? "https" : "http",
               m->hosts[source->host % m->host_count]);
    if (wa_media_append_path(&url, source->type, bytes_text(source->path),
                             BYTES(source->sealed_sha256, WA_SHA256_LEN)) < 0) {
        err_set(err, ERR_INVALID, "its path cannot be used");
        return NULL;
    }
    const struct bridge_fetch_request request = {
        .url = buf_text(&url),
        .headers = headers,
        .header_count = ARRAY_LEN(headers),
        .body_max = source->body_max,
        .timeout_ms = FETCH_MS,
    };
    return bridge_fetch_start(b->loop, &request, events, err);
}

static void begin_fetch(struct bridge *b, struct job *j)
{
    const struct bridge_fetch_events events = {.ctx = j, .data = on_data, .done = on_done};
    const struct bridge_media_source source = {
        .type = j->record.type,
        .path = j->record.path,
        .sealed_sha256 = j->record.sealed_sha256,
        .host = (size_t)j->attempts,
        .body_max = (size_t)b->config.media_max_mb * 1048576 + SEALED_EXTRA,
    };
    struct err err;
    j->fetch = bridge_media_fetch(b, &source, &events, &err);
    if (!j->fetch) {
        j->rc = err.code == ERR_INVALID ? ERR_INVALID : ERR_SYSTEM;
        j->err = err;
    }
}

static void begin_job(struct bridge *b, struct job *j, const struct store_wanted *w)
{
    const struct wa_media_expected expected = {
        .type = j->record.type,
        .key = j->record.key,
        .sealed_sha256 = j->record.sealed_sha256,
        .sha256 = j->record.sha256,
        .length = j->record.length,
        .max = (uint64_t)b->config.media_max_mb * 1048576,
    };
    j->row = w->id;
    j->attempts = w->attempts;
    j->rc = j->status = 0;
    j->retry_after_s = 0;
    j->err = (struct err){0};
    volume_media_name(w->id, w->mimetype, j->name);
    j->reader = wa_media_open(&expected);
    j->disk = volume_media_create(&j->file, &b->volume, &j->err) < 0;
    if (j->disk)
        j->rc = ERR_SYSTEM;
    else
        begin_fetch(b, j);
}

/* ---- how a job ends ------------------------------------------------------------------------- */

static int commit(struct bridge *b, int rc)
{
    struct err err = {0};
    if (rc == ERR_STORE)
        err_set(&err, rc, "%s", store_messages_error(b->messages));
    if (rc >= 0 || rc == ERR_STATE)
        rc = store_messages_commit(b->messages, &err);
    if (rc >= 0)
        rc = store_keys_commit(b->keys, &err);
    if (rc >= 0)
        return 0;
    store_messages_rollback(b->messages);
    store_keys_rollback(b->keys);
    log_event(LOG_WARN, "media_not_recorded", LOG_STR("error", err.text));
    return rc;
}

static int over(struct bridge *b, int64_t row, const char *status, const char *file,
                const char *error)
{
    log_event(file ? LOG_DEBUG : LOG_INFO, "media", LOG_INT("row", row), LOG_STR("status", status),
              LOG_STR("error", error));
    int rc = store_messages_end_media(b->messages, row, status, file, error);
    if (rc >= 0 || rc == ERR_STATE)
        rc = forget(b, row);
    return commit(b, rc);
}

static int put_off(struct bridge *b, int64_t row, const char *why, int64_t ms, bool counts)
{
    return commit(
        b, store_messages_put_off_media(b->messages, row, why, clock_wall_ms() + ms, counts));
}

/* It was there once, says the message; the phone may have it still (protocol/07 section 5). */
static int ask_phone(struct bridge *b, struct job *j)
{
    if (j->record.asked || !b->session || !wa_session_connected(b->session))
        return over(b, j->row, STORE_MEDIA_EXPIRED, NULL, "the server has it no more");
    struct wa_media_again again = {
        .id = bytes_text(j->record.id), .key = j->record.key, .from_me = j->record.from_me};
    if (wa_jid_parse(&again.chat, bytes_text(j->record.chat)) < 0)
        return over(b, j->row, STORE_MEDIA_FAILED, NULL, "its keys cannot be read");
    if (j->record.author[0])
        (void)!wa_jid_parse(&again.author, bytes_text(j->record.author));
    j->record.asked = true;
    int rc = save(b, j->row, &j->record);
    if (rc >= 0)
        rc = put_off(b, j->row, "asked the phone", PHONE_MS, false);
    /* The request is in the output, which leaves with the next commit. */
    if (rc >= 0)
        wa_session_ask_media_again(b->session, &again);
    bridge_touch(b);
    return rc;
}

static int no_room(struct bridge *b, struct job *j)
{
    if (!b->media->disk_said) {
        log_event(LOG_ERROR, "media_not_stored", LOG_STR("error", j->err.text));
        bridge_status_error(b, "media_not_stored",
                            "%s. Free space on the volume; it is tried again.", j->err.text);
    }
    b->media->disk_said = true;
    return put_off(b, j->row, "cannot be written", DISK_AGAIN_MS, false);
}

static int try_again(struct bridge *b, struct job *j, const char *why)
{
    if (j->attempts + 1 >= TRIES)
        return over(b, j->row, STORE_MEDIA_FAILED, NULL, why);
    int64_t ms = (int64_t)TRY_AGAIN_MS << 2 * j->attempts;
    if (j->attempts < (int)b->media->host_count - 1)
        ms = 0; /* the next host at once */
    if (ms > TRY_AGAIN_MAX_MS)
        ms = TRY_AGAIN_MAX_MS;
    if (ms < j->retry_after_s * 1000)
        ms = j->retry_after_s * 1000;
    return put_off(b, j->row, why, ms, true);
}

/* The rest of the file, checked, under its name. */
static int complete(struct bridge *b, struct job *j)
{
    int rc = wa_media_end(j->reader, &j->plain);
    if (rc < 0)
        return over(b, j->row, rc == ERR_LIMIT ? STORE_MEDIA_TOO_LARGE : STORE_MEDIA_FAILED, NULL,
                    rc == ERR_LIMIT ? "larger than media.max_mb" : "it is damaged");
    if (write_plain(j) < 0 || volume_media_publish(&j->file, j->name, &j->err) < 0)
        return no_room(b, j);
    b->media->disk_said = false;
    bridge_recent_want(b);
    return over(b, j->row, STORE_MEDIA_DOWNLOADED, j->name, NULL);
}

static int conclude(struct bridge *b, struct job *j)
{
    char why[64];
    if (j->disk)
        return no_room(b, j);
    if (j->rc == 0 && j->status == 200)
        return complete(b, j);
    if (j->rc == ERR_LIMIT)
        return over(b, j->row, STORE_MEDIA_TOO_LARGE, NULL, "larger than media.max_mb");
    if (j->rc == ERR_INVALID)
        return over(b, j->row, STORE_MEDIA_FAILED, NULL, "its path cannot be used");
    if (j->rc == 0 && (j->status == 404 || j->status == 410))
        return ask_phone(b, j);
    if (j->rc == 0 && (j->status == 401 || j->status == 403))
        b->media->hosts_until = b->media->ask_at = 0;
    snprintf(why, sizeof(why), j->rc == 0 ? "HTTP %d" : "not reached (%d)",
             j->rc == 0 ? j->status : j->rc);
    return try_again(b, j, why);
}

/* The phone uploaded it again, or cannot. */
void bridge_media_again(struct bridge *b, const struct wa_event *ev)
{
    struct record r;
    int64_t row;
    uint32_t result = 0;
    struct bytes path;
    AUTO_BUF struct buf plain = {.max = WA_MEDIA_RETRY_MAX};
    int rc = store_messages_find_media(b->messages, ev->u.media_again.id, &row);
    if (rc == 1)
        rc = load(b, row, &r);
    if (rc == 1 && r.asked) {
        int opened =
            ev->u.media_again.error
                ? 0
                : wa_media_retry_open(&plain, r.key, ev->u.media_again.nonce, ev->u.media_again.id,
                                      ev->u.media_again.sealed, &path, &result);
        if (opened < 0) /* not from who knows the key */
            return;
        bool good = result == 1 && bytes_copy_text(path, r.path, sizeof(r.path));
        rc = good ? save(b, row, &r) : 0;
        if (rc >= 0)
            rc = store_messages_put_off_media(b->messages, row, good ? NULL : "not on the phone", 0,
                                              false);
    }
    if (rc == ERR_STORE)
        b->store_failed = true;
    b->media_at = 0;
}

/* ---- the round ------------------------------------------------------------------------------ */

/* 1 begun, 0 nothing (more) to do now, or negative. */
static int begin_next(struct bridge *b, struct job *free_job, int64_t now)
{
    struct store_wanted w;
    int64_t busy[JOBS];
    for (size_t i = 0; i < JOBS; i++)
        busy[i] = b->media->jobs[i].row;
    int rc = store_messages_next_media(b->messages, clock_wall_ms(), busy, JOBS, &w);
    if (rc == 0 && w.id) {
        int64_t left = w.due_at - clock_wall_ms();
        b->media_at = now + (left > 0 ? left : 1);
    }
    if (rc != 1)
        return rc;
    if (!bridge_media_have_hosts(b, now)) {
        b->media_at = now + ASK_AGAIN_MS;
        return 0;
    }
    rc = load(b, w.id, &free_job->record);
    if (rc == 0)
        rc = over(b, w.id, STORE_MEDIA_FAILED, NULL, "its keys are gone");
    else if (rc == 1)
        begin_job(b, free_job, &w);
    return rc < 0 ? rc : 1;
}

static int known(void *ctx, int64_t id, const char *name)
{
    const struct bridge *b = ctx;
    return store_messages_knows_file(b->messages, id, name);
}

static int gone(void *ctx, const char *name)
{
    struct bridge *b = ctx;
    return commit(b, store_messages_forget_file(b->messages, volume_media_id(name), name));
}

static void trim(struct bridge *b, int64_t now)
{
    const struct volume_media_keep keep = {.days = b->config.media_keep_days,
                                           .bytes = b->config.media_keep_mb * 1048576};
    const struct volume_media_events events = {.ctx = b, .known = known, .gone = gone};
    b->media->trim_at = now + TRIM_MS;
    size_t deleted = volume_media_trim(&b->volume, &keep, clock_wall_ms(), &events);
    if (deleted > 0)
        log_event(LOG_INFO, "media_deleted", LOG_INT("files", (int64_t)deleted));
}

void bridge_media_tend(struct bridge *b, int64_t now)
{
    struct bridge_media *m = b->media;
    if (store_messages_dirty(b->messages) || b->media_at > now)
        return;
    /* Records of the session go with its output, never with a group of ours. */
    if (b->session && store_keys_dirty(b->keys)) {
        bridge_touch(b);
        return;
    }
    b->media_at = CLOCK_NEVER;
    if (m->trim_at <= now)
        trim(b, now);
    for (size_t i = 0; i < JOBS; i++) {
        struct job *j = &m->jobs[i];
        if (j->row && !j->fetch) {
            conclude(b, j);
            end_job(j);
        }
    }
    bool online = b->session && wa_session_connected(b->session) && b->may_send;
    for (size_t i = 0; i < JOBS && online && b->config.media_download; i++)
        while (!m->jobs[i].row && begin_next(b, &m->jobs[i], now) == 1)
            if (m->jobs[i].row && !m->jobs[i].fetch) {
                conclude(b, &m->jobs[i]);
                end_job(&m->jobs[i]);
            }
    if (m->trim_at < b->media_at)
        b->media_at = m->trim_at;
    /* Last: it changes records, which are committed when all settles. */
    if (online)
        bridge_blob_tend(b, now);
}
