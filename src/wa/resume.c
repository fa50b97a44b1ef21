/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wa/resume.h"

#define KEY "server_key"
#define PLAIN "plain_dials"
#define ROUTING "routing_info"
#define TRIED "routing_tried"

#define KEY_RECORD_LEN (WA_KEY_LEN + WA_KEY_LEN + 8 + 8)

/* ---- records -------------------------------------------------------------------------------- */

/* 1 read into out, 0 absent or too long to be right, negative. */
static int get(const struct wa_host *host, const char *name, struct buf *out)
{
    int rc = host->get(host->ctx, WA_TABLE_DEVICE, name, out);
    return rc == ERR_LIMIT ? 0 : rc;
}

static int put(const struct wa_host *host, const char *name, struct bytes value)
{
    return host->put(host->ctx, WA_TABLE_DEVICE, name, value);
}

static int del(const struct wa_host *host, const char *name)
{
    return host->del(host->ctx, WA_TABLE_DEVICE, name);
}

static void append_time(struct buf *out, int64_t time_s)
{
    buf_append_be(out, 4, (uint32_t)((uint64_t)time_s >> 32));
    buf_append_be(out, 4, (uint32_t)time_s);
}

static bool read_time(struct reader *r, int64_t *out)
{
    uint32_t high, low;
    if (reader_be(r, 4, &high) || reader_be(r, 4, &low))
        return false;
    *out = (int64_t)((uint64_t)high << 32 | low);
    return *out >= 0;
}

static int load_key(struct wa_resume *r, const struct wa_host *host)
{
    struct wa_server_key *k = &r->server;
    struct bytes key, root;
    AUTO_BUF struct buf value;
    buf_init(&value, KEY_RECORD_LEN);
    int rc = get(host, KEY, &value);
    if (rc != 1 || value.n != KEY_RECORD_LEN)
        return rc < 0 ? rc : 0;
    struct reader in = reader_init(buf_bytes(&value));
    r->has_key = reader_take(&in, WA_KEY_LEN, &key) == 0 &&
                 reader_take(&in, WA_KEY_LEN, &root) == 0 && read_time(&in, &k->window.from_s) &&
                 read_time(&in, &k->window.until_s);
    if (r->has_key) {
        memcpy(k->key, key.p, WA_KEY_LEN);
        memcpy(k->root, root.p, WA_KEY_LEN);
    }
    return 0;
}

static int save_key(const struct wa_server_key *k, const struct wa_host *host)
{
    AUTO_BUF struct buf value;
    buf_init(&value, KEY_RECORD_LEN);
    buf_append(&value, BYTES_ARRAY(k->key));
    buf_append(&value, BYTES_ARRAY(k->root));
    append_time(&value, k->window.from_s);
    append_time(&value, k->window.until_s);
    return put(host, KEY, buf_bytes(&value));
}

static int load_marks(struct wa_resume *r, const struct wa_host *host)
{
    AUTO_BUF struct buf plain, tried;
    buf_init(&plain, 1);
    buf_init(&tried, 1);
    int rc = get(host, PLAIN, &plain);
    if (rc == 1 && plain.n == 1)
        r->plain_dials = plain.p[0];
    if (rc >= 0)
        rc = get(host, TRIED, &tried);
    r->routing_tried = rc == 1;
    return rc < 0 ? rc : 0;
}

static int load_routing(struct wa_resume *r, const struct wa_host *host)
{
    AUTO_BUF struct buf value;
    buf_init(&value, WA_ROUTING_MAX);
    int rc = get(host, ROUTING, &value);
    if (rc == 1 && value.n > 0) {
        memcpy(r->routing, value.p, value.n);
        r->routing_len = value.n;
    }
    return rc < 0 ? rc : 0;
}

/* ---- the marks ------------------------------------------------------------------------------ */

static int set_plain_dials(struct wa_resume *r, const struct wa_host *host, uint8_t n)
{
    if (r->plain_dials == n)
        return 0;
    r->plain_dials = n;
    return n ? put(host, PLAIN, BYTES(&n, 1)) : del(host, PLAIN);
}

static int set_tried(struct wa_resume *r, const struct wa_host *host, bool tried)
{
    if (r->routing_tried == tried)
        return 0;
    r->routing_tried = tried;
    return tried ? put(host, TRIED, BYTES("", 0)) : del(host, TRIED);
}

static int choose_key(struct wa_resume *r, const struct wa_host *host,
                      const uint8_t root[WA_KEY_LEN], int64_t now_s)
{
    const struct wa_cert_window *w = &r->server.window;
    if (!r->has_key || memcmp(r->server.root, root, WA_KEY_LEN) != 0 || now_s < w->from_s ||
        now_s > w->until_s)
        return 0;
    if (r->plain_dials > 0)
        return set_plain_dials(
            r, host,
            (uint8_t)((r->plain_dials < WA_RESUME_SKIPPED ? r->plain_dials : WA_RESUME_SKIPPED) -
                      1));
    r->use_key = true;
    return set_plain_dials(r, host, WA_RESUME_SKIPPED);
}

static int choose_routing(struct wa_resume *r, const struct wa_host *host)
{
    if (r->routing_len == 0)
        return 0;
    if (!r->routing_tried) {
        r->use_routing = true;
        return set_tried(r, host, true);
    }
    r->routing_len = 0;
    int rc = del(host, ROUTING);
    return rc < 0 ? rc : set_tried(r, host, false);
}

int wa_resume_begin(struct wa_resume *r, const struct wa_host *host, const uint8_t root[WA_KEY_LEN],
                    int64_t now_s)
{
    memset(r, 0, sizeof(*r));
    int rc = load_key(r, host);
    if (rc == 0)
        rc = load_marks(r, host);
    if (rc == 0)
        rc = load_routing(r, host);
    if (rc == 0)
        rc = choose_key(r, host, root, now_s);
    return rc < 0 ? rc : choose_routing(r, host);
}

int wa_resume_append_preface(const struct wa_resume *r, struct buf *out)
{
    size_t before = out->n;
    if (!r->use_routing)
        return 0;
    if (buf_append(out, BYTES(WA_RESUME_PREFACE, WA_RESUME_PREFACE_LEN)) ||
        buf_append_be(out, 3, (uint32_t)r->routing_len) ||
        buf_append(out, BYTES(r->routing, r->routing_len))) {
        out->n = before;
        return ERR_LIMIT;
    }
    return 0;
}

/* ---- what became of it ---------------------------------------------------------------------- */

static bool same_key(const struct wa_server_key *a, const struct wa_server_key *b)
{
    return memcmp(a->key, b->key, WA_KEY_LEN) == 0 && memcmp(a->root, b->root, WA_KEY_LEN) == 0 &&
           a->window.from_s == b->window.from_s && a->window.until_s == b->window.until_s;
}

int wa_resume_answered(struct wa_resume *r, const struct wa_host *host,
                       const struct wa_handshake_result *result)
{
    int rc = r->use_key ? set_plain_dials(r, host, 0) : 0;
    if (rc < 0 || result->way == WA_HANDSHAKE_IK ||
        (r->has_key && same_key(&r->server, &result->server)))
        return rc;
    r->server = result->server;
    r->has_key = true;
    return save_key(&r->server, host);
}

int wa_resume_refused(struct wa_resume *r, const struct wa_host *host)
{
    if (!r->use_key)
        return 0;
    r->has_key = false;
    int rc = del(host, KEY);
    return rc < 0 ? rc : set_plain_dials(r, host, 0);
}

int wa_resume_logged_in(struct wa_resume *r, const struct wa_host *host)
{
    return set_tried(r, host, false);
}

int wa_resume_route(struct wa_resume *r, const struct wa_host *host, struct bytes info)
{
    if (info.n == 0 || info.n > WA_ROUTING_MAX ||
        bytes_equal(info, BYTES(r->routing, r->routing_len)))
        return 0;
    memcpy(r->routing, info.p, info.n);
    r->routing_len = info.n;
    return put(host, ROUTING, info);
}
