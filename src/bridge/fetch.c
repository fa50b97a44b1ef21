/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "bridge/fetch.h"

#include <stdio.h>

#include "bridge/lws.h"
#include "config/check.h"

#define HEADERS_MAX 4096 /* bytes of the headers that we add */
#define PIECE_MAX 8192
#define RETRY_AFTER_MAX_S 86400

struct bridge_fetch {
    struct bridge_loop *loop;
    struct lws *wsi;
    struct bridge_fetch_events events;
    lws_sorted_usec_list_t deadline;
    struct buf headers; /* name ":" NUL value NUL, again and again, as lws_add_http_header wants */
    struct buf body;
    size_t taken, announced; /* bytes of the body: so far, and by its header */
    int64_t retry_after_s;
    int rc, status;
    bool starting; /* inside bridge_fetch_start */
    bool chunked;
    bool given_back, ended, whole;
    char why[128];
};

static void fail(struct bridge_fetch *f, int rc, const char *fmt, ...) PRINTF_LIKE(3, 4);
static void fail(struct bridge_fetch *f, int rc, const char *fmt, ...)
{
    if (f->rc < 0 || f->whole)
        return;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(f->why, sizeof(f->why), fmt, ap);
    va_end(ap);
    f->rc = rc;
}

static void fetch_free(struct bridge_fetch *f)
{
    f->loop->fetches--;
    lws_sul_cancel(&f->deadline);
    buf_deinit(&f->headers);
    buf_deinit(&f->body);
    free(f);
}

/* libwebsockets says the end in one of three ways; the first of them is heard. */
static void on_end(struct bridge_fetch *f, struct lws *wsi)
{
    f->ended = true;
    f->wsi = NULL;
    lws_set_wsi_user(wsi, NULL);
    if (f->starting)
        return;
    if (!f->whole)
        fail(f, ERR_SYSTEM, "the connection broke");
    const struct bridge_fetch_result result = {
        .rc = f->rc,
        .status = f->status,
        .error = f->why,
        .body = f->rc == 0 ? buf_bytes(&f->body) : BYTES_NONE,
        .retry_after_s = f->retry_after_s,
    };
    if (!f->given_back)
        f->events.done(f->events.ctx, &result);
    fetch_free(f);
}

static void kill_soon(struct bridge_fetch *f)
{
    if (f->wsi)
        lws_set_timeout(f->wsi, PENDING_TIMEOUT_KILLED_BY_PARENT, LWS_TO_KILL_ASYNC);
}

static void on_deadline(lws_sorted_usec_list_t *timer)
{
    struct bridge_fetch *f = lws_container_of(timer, struct bridge_fetch, deadline);
    fail(f, ERR_TIMEOUT, "no whole answer in time");
    kill_soon(f);
}

/* ---- the answer ----------------------------------------------------------------------------- */

static bool header_number(struct lws *wsi, enum lws_token_indexes token, uint64_t *out)
{
    char text[24];
    int n = lws_hdr_copy(wsi, text, sizeof(text), token);
    return n > 0 && bytes_to_u64(BYTES(text, (size_t)n), out);
}

static int on_length(struct bridge_fetch *f, struct lws *wsi)
{
    uint64_t length = 0;
    bool given = lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH) > 0;
    f->chunked = lws_hdr_total_length(wsi, WSI_TOKEN_HTTP_TRANSFER_ENCODING) > 0;
    if (!given && !f->chunked)
        fail(f, ERR_PROTOCOL, "the answer has no length");
    else if (given &&
             (!header_number(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH, &length) || length > f->body.max))
        fail(f, ERR_LIMIT, "the answer is longer than %zu bytes", f->body.max);
    f->announced = (size_t)length;
    return f->rc < 0 ? -1 : 0;
}

/* Only a 200 has a body that anybody wants; what else there is says all with its status. */
static int on_headers(struct bridge_fetch *f, struct lws *wsi)
{
    uint64_t number;
    f->status = (int)lws_http_client_http_response(wsi);
    if (header_number(wsi, WSI_TOKEN_HTTP_RETRY_AFTER, &number))
        f->retry_after_s = number < RETRY_AFTER_MAX_S ? (int64_t)number : RETRY_AFTER_MAX_S;
    if (f->status != 200) {
        f->whole = true;
        return -1;
    }
    return on_length(f, wsi);
}

static int on_piece(struct bridge_fetch *f, struct bytes piece)
{
    if (f->given_back || f->rc < 0)
        return -1;
    if (piece.n > f->body.max - f->taken) {
        fail(f, ERR_LIMIT, "the answer is longer than %zu bytes", f->body.max);
        return -1;
    }
    f->taken += piece.n;
    if (!f->events.data)
        return buf_append(&f->body, piece);
    int rc = f->events.data(f->events.ctx, piece);
    if (rc < 0)
        fail(f, rc, "the rest of the answer was refused");
    return rc < 0 ? -1 : 0;
}

static int read_body(struct lws *wsi)
{
    char buffer[LWS_PRE + PIECE_MAX], *at = buffer + LWS_PRE;
    int room = PIECE_MAX;
    return lws_http_client_read(wsi, &at, &room) < 0 ? -1 : 0;
}

static int add_headers(struct bridge_fetch *f, struct lws *wsi, void *in, size_t len)
{
    unsigned char **p = in, *end = *p + len;
    const char *at = buf_text(&f->headers), *stop = at + f->headers.n;
    while (at < stop) {
        const char *name = at, *value = name + strlen(name) + 1;
        at = value + strlen(value) + 1;
        if (lws_add_http_header_by_name(wsi, (const unsigned char *)name,
                                        (const unsigned char *)value, (int)strlen(value), p, end))
            return -1;
    }
    return 0;
}

/* Also said when the peer hangs up early. */
static int on_completed(struct bridge_fetch *f)
{
    f->whole = f->rc == 0 && (f->chunked || f->taken == f->announced);
    return -1; /* closes */
}

int bridge_fetch_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                          size_t len)
{
    struct bridge_fetch *f = user;
    if (!f)
        return 0;
    switch (reason) {
    case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER:
        return add_headers(f, wsi, in, len);
    case LWS_CALLBACK_ESTABLISHED_CLIENT_HTTP:
        return on_headers(f, wsi);
    case LWS_CALLBACK_RECEIVE_CLIENT_HTTP:
        return read_body(wsi);
    case LWS_CALLBACK_RECEIVE_CLIENT_HTTP_READ:
        return on_piece(f, BYTES(in, len));
    case LWS_CALLBACK_COMPLETED_CLIENT_HTTP:
        return on_completed(f);
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
        fail(f, ERR_SYSTEM, "%.*s", in ? (int)len : 9, in ? (const char *)in : "no reason");
        on_end(f, wsi);
        return 0;
    case LWS_CALLBACK_CLOSED_CLIENT_HTTP:
    case LWS_CALLBACK_WSI_DESTROY:
        on_end(f, wsi);
        return 0;
    default:
        return 0;
    }
}

/* ---- life ----------------------------------------------------------------------------------- */

static struct lws *connect_to(struct bridge_fetch *f, char *url)
{
    const char *scheme, *address, *rest;
    char path[BRIDGE_FETCH_URL_MAX + 2], host[300];
    int port;
    if (lws_parse_uri(url, &scheme, &address, &port, &rest))
        return NULL;
    bool tls = strcmp(scheme, "https") == 0;
    snprintf(path, sizeof(path), "/%s", rest);
    snprintf(host, sizeof(host), port == (tls ? 443 : 80) ? "%s" : "%s:%d", address, port);
    struct lws_client_connect_info info = {
        .context = f->loop->lws,
        .address = address,
        .port = port,
        .ssl_connection = (tls ? LCCSCF_USE_SSL : 0) | LCCSCF_HTTP_NO_FOLLOW_REDIRECT,
        .path = path,
        .host = host,
        .method = "GET",
        .userdata = f,
        .local_protocol_name = BRIDGE_LWS_FETCH,
        .alpn = "http/1.1",
    };
    return lws_client_connect_via_info(&info);
}

/* Printable ASCII: nothing that could begin another header or request. */
static bool header_is_plain(const char *text)
{
    for (const char *p = text; *p; p++)
        if (*p < ' ' || *p > '~')
            return false;
    return true;
}

static int take_headers(struct bridge_fetch *f, const struct bridge_fetch_request *r)
{
    for (size_t i = 0; i < r->header_count; i++) {
        const struct bridge_fetch_header *h = &r->headers[i];
        if (!header_is_plain(h->name) || !header_is_plain(h->value))
            return ERR_INVALID;
        buf_printf(&f->headers, "%s:", h->name);
        buf_append_u8(&f->headers, 0);
        buf_append(&f->headers, BYTES(h->value, strlen(h->value) + 1));
    }
    return f->headers.full ? ERR_INVALID : 0;
}

static int check(const struct bridge_loop *loop, const struct bridge_fetch_request *r,
                 struct err *err)
{
    const char *bad = config_check_url(r->url);
    if (bad)
        return err_set(err, ERR_INVALID, "the URL %s", bad);
    if (strlen(r->url) > BRIDGE_FETCH_URL_MAX)
        return err_set(err, ERR_INVALID, "the URL is too long");
    if (strncmp(r->url, "https:", 6) == 0 && !loop->tls)
        return err_set(err, ERR_UNSUPPORTED, "this loop has no TLS");
    if (loop->fetches >= BRIDGE_FETCH_PARALLEL)
        return err_set(err, ERR_LIMIT, "too many requests at once");
    return 0;
}

struct bridge_fetch *bridge_fetch_start(struct bridge_loop *loop,
                                        const struct bridge_fetch_request *request,
                                        const struct bridge_fetch_events *events, struct err *err)
{
    if (check(loop, request, err) < 0)
        return NULL;
    struct bridge_fetch *f = err_calloc(1, sizeof(*f));
    AUTO_FREE char *url = err_strdup(request->url);
    f->loop = loop;
    f->events = *events;
    buf_init(&f->headers, HEADERS_MAX);
    buf_init(&f->body, request->body_max);
    loop->fetches++;
    if (take_headers(f, request) < 0) {
        fetch_free(f);
        err_set(err, ERR_INVALID, "a header of the request cannot be sent");
        return NULL;
    }
    f->starting = true;
    struct lws *wsi = connect_to(f, url);
    f->starting = false;
    if (wsi && !f->ended) {
        f->wsi = wsi;
        lws_sul_schedule(loop->lws, 0, &f->deadline, on_deadline,
                         request->timeout_ms * LWS_US_PER_MS);
        return f;
    }
    err_set(err, ERR_SYSTEM, "%s", f->why[0] ? f->why : "the server could not be dialled");
    fetch_free(f);
    return NULL;
}

void bridge_fetch_cancel(struct bridge_fetch *fetch)
{
    if (!fetch)
        return;
    fetch->given_back = true;
    lws_sul_cancel(&fetch->deadline);
    kill_soon(fetch);
}
