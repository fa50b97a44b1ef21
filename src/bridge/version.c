/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which client version we say we are: whatsapp.version where it is set; else the newest of what is
 * compiled in and what WhatsApp's own web page named (protocol/01 section 8), which is kept with
 * the credentials and never goes back. The page is asked beside a dial when the last answer is old,
 * and when the server says that the version is refused, now or soon.
 */
#include "bridge/bridge_internal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "bridge/fetch.h"

#define RECORD "client_version" /* of WA_TABLE_DEVICE: "<revision> <fetched at, Unix ms>" */
#define FRESH_MS 86400000       /* so long an answer is good enough */
#define ASK_AGAIN_MS 3600000    /* after an answer that was none */
#define WHATSAPP "wss://web.whatsapp.com"
#define WHATSAPP_URL "https://web.whatsapp.com/sw.js"
#define BODY_MAX (4u << 20)
#define FETCH_TIMEOUT_MS 20000
/* Refused for good: a tenant of many dials some hours later, not all in the same minute. */
#define WAIT_MIN_MS 7200000
#define WAIT_SPREAD_MS 7200000

static bool is_pinned(const struct bridge *b)
{
    return b->config.wa_version[0] != '\0';
}

const char *bridge_version_url(const struct config *c)
{
    const char *rest = c->endpoint + sizeof(WHATSAPP) - 1;
    if (c->version_url[0])
        return strcmp(c->version_url, "none") == 0 ? NULL : c->version_url;
    if (strncmp(c->endpoint, WHATSAPP, sizeof(WHATSAPP) - 1) != 0 ||
        (*rest && !strchr(":/", *rest)))
        return NULL;
    return WHATSAPP_URL;
}

int bridge_version_use(struct bridge *b)
{
    struct wa_version *v = &b->session_config.version;
    struct wa_version newest = WA_VERSION_DEFAULT;
    if (b->version.known > newest.tertiary)
        newest.tertiary = b->version.known;
    *v = newest;
    int rc = is_pinned(b) ? wa_version_parse(v, bytes_text(b->config.wa_version)) : 0;
    wa_version_text(v, b->wa_version);
    return rc;
}

/* ---- what is kept --------------------------------------------------------------------------- */

void bridge_version_open(struct bridge *b)
{
    struct bridge_version *v = &b->version;
    struct buf text = {.max = 64};
    uint64_t revision;
    int64_t fetched_at;
    if (b->host.get(b->host.ctx, WA_TABLE_DEVICE, RECORD, &text) == 1 &&
        sscanf(buf_text(&text), "%" SCNu64 " %" SCNd64, &revision, &fetched_at) == 2 &&
        wa_version_is_revision(revision)) {
        v->known = (uint32_t)revision;
        v->fetched_at = fetched_at;
    }
    buf_deinit(&text);
    bridge_version_use(b);
}

int bridge_version_keep(struct bridge *b)
{
    char text[64];
    if (b->version.fetched_at == 0)
        return 0;
    size_t n = (size_t)snprintf(text, sizeof(text), "%" PRIu32 " %" PRId64, b->version.known,
                                b->version.fetched_at);
    return b->host.put(b->host.ctx, WA_TABLE_DEVICE, RECORD, BYTES(text, n));
}

/* In a group of its own. Not to be kept only costs another look after a restart. */
static void save(struct bridge *b)
{
    struct err err = {0};
    bridge_settle(b);
    int rc = bridge_version_keep(b);
    if (rc == 0)
        rc = store_keys_commit(b->keys, &err);
    if (rc == 0)
        return;
    log_event(LOG_INFO, "client_version_not_kept", LOG_STR("error", store_keys_error(b->keys)));
    store_keys_rollback(b->keys);
}

/* ---- the answer ----------------------------------------------------------------------------- */

static void take_revision(struct bridge *b, uint32_t revision)
{
    struct bridge_version *v = &b->version;
    uint32_t newest =
        WA_VERSION_DEFAULT.tertiary > v->known ? WA_VERSION_DEFAULT.tertiary : v->known;
    if (revision < newest) {
        log_event(LOG_INFO, "client_version_older", LOG_INT("offered", revision),
                  LOG_INT("known", newest));
        snprintf(v->trouble, sizeof(v->trouble), "it names an older one");
        return;
    }
    log_event(revision > newest ? LOG_INFO : LOG_DEBUG, "client_version",
              LOG_INT("revision", revision), LOG_INT("before", newest));
    v->known = revision;
    v->fetched_at = clock_wall_ms();
    bridge_version_use(b);
    bridge_status_want(b, BRIDGE_PUBLISH_LIGHT);
    save(b);
}

static void on_done(void *ctx, const struct bridge_fetch_result *r)
{
    struct bridge *b = ctx;
    struct bridge_version *v = &b->version;
    uint32_t revision = 0;
    v->fetch = NULL;
    v->trouble[0] = '\0';
    if (r->rc < 0)
        bytes_copy_text(bytes_text(r->error), v->trouble, sizeof(v->trouble));
    else if (r->status != 200)
        snprintf(v->trouble, sizeof(v->trouble), "it answered with status %d", r->status);
    else if (wa_version_find_revision(r->body, &revision) < 0)
        snprintf(v->trouble, sizeof(v->trouble), "its answer names no version");
    if (v->trouble[0])
        log_event(LOG_INFO, "client_version_unknown", LOG_STR("why", v->trouble));
    else
        take_revision(b, revision);
    v->decide_due = b->lifecycle == BRIDGE_UPDATING;
    bridge_touch(b);
}

static bool ask(struct bridge *b)
{
    static const struct bridge_fetch_header headers[] = {
        {"sec-fetch-site", "none"},
        {"user-agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
                       "Chrome/139.0.0.0 Safari/537.36"},
        {"accept", "*/*"},
    };
    struct bridge_version *v = &b->version;
    const struct bridge_fetch_request request = {.url = bridge_version_url(&b->config),
                                                 .headers = headers,
                                                 .header_count = ARRAY_LEN(headers),
                                                 .body_max = BODY_MAX,
                                                 .timeout_ms = FETCH_TIMEOUT_MS};
    const struct bridge_fetch_events events = {.ctx = b, .done = on_done};
    struct err err = {0};
    if (v->fetch)
        return true;
    if (!request.url || is_pinned(b))
        return false;
    v->asked_at = clock_mono_ms();
    v->fetch = bridge_fetch_start(b->loop, &request, &events, &err);
    if (v->fetch)
        return true;
    log_event(LOG_INFO, "client_version_unknown", LOG_STR("why", err.text));
    bytes_copy_text(bytes_text(err.text), v->trouble, sizeof(v->trouble));
    return false;
}

void bridge_version_refresh(struct bridge *b, bool expires)
{
    const struct bridge_version *v = &b->version;
    int64_t age = clock_wall_ms() - v->fetched_at;
    bool fresh = v->fetched_at > 0 && age >= 0 && age < FRESH_MS;
    bool asked = v->asked_at > 0 && clock_mono_ms() - v->asked_at < ASK_AGAIN_MS;
    if (!asked && (expires || !fresh))
        ask(b);
}

/* ---- refused -------------------------------------------------------------------------------- */

void bridge_version_refused(struct bridge *b)
{
    struct bridge_version *v = &b->version;
    char text[40];
    log_event(LOG_WARN, "client_version_refused",
              LOG_STR("version", wa_version_text(&v->said, text)));
    /* A source that names a newer one each time must not make us dial on and on. */
    bool look = !v->renewed && v->said.tertiary >= b->session_config.version.tertiary;
    v->trouble[0] = '\0';
    v->decide_due = !look || !ask(b);
    bridge_touch(b);
}

static void say_rejected(struct bridge *b, int64_t wait_ms)
{
    const struct bridge_version *v = &b->version;
    const char *url = bridge_version_url(&b->config);
    char version[40], at[CLOCK_TEXT_SIZE], why[CONFIG_TEXT_MAX + 200], advice[128];
    clock_format(clock_wall_ms() + wait_ms, at);
    snprintf(advice, sizeof(advice), "Set whatsapp.version to a newer one and reload");
    if (is_pinned(b)) {
        snprintf(why, sizeof(why), "it is the one of whatsapp.version");
        snprintf(advice, sizeof(advice), "Remove whatsapp.version, or set a newer one, and reload");
    } else if (v->renewed) {
        snprintf(why, sizeof(why), "though %s has just named it", url);
    } else if (!url) {
        snprintf(why, sizeof(why), "and no whatsapp.version_url says where a newer one is named");
    } else if (v->trouble[0]) {
        snprintf(why, sizeof(why), "and %s named no newer one: %s", url, v->trouble);
    } else {
        snprintf(why, sizeof(why), "and %s names no newer one", url);
    }
    bridge_status_error(b, wa_close_code(WA_CLOSE_VERSION),
                        "WhatsApp refuses client version %s, %s. Nothing is lost; tried again at "
                        "%s. %s.",
                        wa_version_text(&v->said, version), why, at, advice);
}

void bridge_version_decide(struct bridge *b)
{
    struct bridge_version *v = &b->version;
    uint32_t random;
    v->decide_due = false;
    if (b->lifecycle != BRIDGE_UPDATING)
        return;
    if (!v->renewed && b->session_config.version.tertiary > v->said.tertiary) {
        v->renewed = true;
        bridge_apply(b, BRIDGE_ON_NEWER);
        return;
    }
    b->host.random(b->host.ctx, (uint8_t *)&random, sizeof(random));
    b->wait_ms = WAIT_MIN_MS + (int64_t)(random % WAIT_SPREAD_MS);
    say_rejected(b, b->wait_ms);
    v->renewed = false;
    bridge_apply(b, BRIDGE_ON_NONE_NEWER);
}

void bridge_version_accepted(struct bridge *b)
{
    b->version.renewed = false;
}

void bridge_version_close(struct bridge *b)
{
    bridge_fetch_cancel(b->version.fetch);
    b->version.fetch = NULL;
}
