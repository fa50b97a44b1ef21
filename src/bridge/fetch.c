/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "bridge/fetch.h"

#include <stdio.h>

#include "bridge/lws.h"
#include "config/check.h"

#define HEADERS_MAX 4096 /* bytes of the headers that we add */
#define PIECE_MAX 8192
#define RETRY_AFTER_MAX_S 86400
#define ADDRESS_TIMEOUT_MS 6000 /* for one address while there are others */

struct bridge_fetch {
    struct bridge_lws_user user; /* first */
    struct bridge_loop *loop;
    struct lws *wsi; /* NULL also while there is none: the name, or between two addresses */
    struct bridge_fetch_events events;
    lws_sorted_usec_list_t deadline;
    struct buf headers; /* name ":" NUL value NUL, again and again, as lws_add_http_header wants */
    struct buf body;
    size_t taken, announced; /* bytes of the body: so far, and by its header */
    int64_t retry_after_s;
    int rc, status;
    bool connecting; /* inside lws_client_connect_via_info */
    bool asked;      /* the connection stands: no other address is tried */
    bool given_back, chunked, whole;
    char why[192];

    /* what is dialled */
    bool tls;
    int port;
    char name[BRIDGE_HOST_SIZE], host[BRIDGE_HOST_SIZE + 8], path[BRIDGE_FETCH_URL_MAX + 2];
    struct bridge_question *question; /* NULL once answered */
    struct bridge_addresses addresses;
    size_t next; /* address to be tried */
    lws_sorted_usec_list_t turn;
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
    bridge_resolve_cancel(f->question);
    lws_sul_cancel(&f->deadline);
    lws_sul_cancel(&f->turn);
    buf_deinit(&f->headers);
    buf_deinit(&f->body);
    free(f);
}

static void fetch_over(struct bridge_fetch *f)
{
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

/* Ends now or soon, whatever it waits for. */
static void end_soon(struct bridge_fetch *f)
{
    if (f->wsi)
        lws_set_timeout(f->wsi, PENDING_TIMEOUT_KILLED_BY_PARENT, LWS_TO_KILL_ASYNC);
    else
        fetch_over(f);
}

static void on_deadline(lws_sorted_usec_list_t *timer)
{
    struct bridge_fetch *f = lws_container_of(timer, struct bridge_fetch, deadline);
    fail(f, ERR_TIMEOUT, "no whole answer in time");
    f->next = f->addresses.count;
    end_soon(f);
}

/* ---- dialling ------------------------------------------------------------------------------- */

static bool connect_to(struct bridge_fetch *f, const char *address)
{
    struct lws_client_connect_info info = {
        .context = f->loop->lws,
        .address = address,
        .port = f->port,
        .ssl_connection = (f->tls ? LCCSCF_USE_SSL : 0) | LCCSCF_HTTP_NO_FOLLOW_REDIRECT,
        .path = f->path,
        .host = f->host, /* also the name that the certificate must have, and SNI */
        .method = "GET",
        .userdata = f,
        .local_protocol_name = BRIDGE_LWS_FETCH,
        .alpn = "http/1.1",
    };
    f->connecting = true;
    struct lws *wsi = lws_client_connect_via_info(&info);
    f->connecting = false;
    f->wsi = wsi;
    return wsi != NULL;
}

static void give_up_address(lws_sorted_usec_list_t *timer)
{
    struct bridge_fetch *f = lws_container_of(timer, struct bridge_fetch, turn);
    fail(f, ERR_SYSTEM, "no answer in time");
    end_soon(f);
}

/* Whether one of the addresses is being tried now. */
static bool try_next(struct bridge_fetch *f)
{
    while (f->next < f->addresses.count) {
        f->rc = 0;
        f->why[0] = '\0';
        if (!connect_to(f, f->addresses.text[f->next++])) {
            fail(f, ERR_SYSTEM, "the server could not be dialled");
            continue;
        }
        if (f->next < f->addresses.count)
            lws_sul_schedule(f->loop->lws, 0, &f->turn, give_up_address,
                             ADDRESS_TIMEOUT_MS * LWS_US_PER_MS);
        return true;
    }
    return false;
}

static void on_turn(lws_sorted_usec_list_t *timer)
{
    struct bridge_fetch *f = lws_container_of(timer, struct bridge_fetch, turn);
    if (!try_next(f))
        fetch_over(f);
}

static void on_addresses(void *ctx, const struct bridge_addresses *found, const char *why)
{
    struct bridge_fetch *f = ctx;
    f->question = NULL;
    if (found)
        f->addresses = *found;
    else
        fail(f, ERR_SYSTEM, "%s: %s", f->name, why);
    if (!try_next(f))
        fetch_over(f);
}

/* libwebsockets says the end in one of three ways; the first of them is heard. */
static void on_end(struct bridge_fetch *f, struct lws *wsi)
{
    lws_set_wsi_user(wsi, NULL);
    f->wsi = NULL;
    lws_sul_cancel(&f->turn);
    if (f->connecting)
        return;
    if (!f->given_back && !f->asked && f->next < f->addresses.count)
        lws_sul_schedule(f->loop->lws, 0, &f->turn, on_turn, 1);
    else
        fetch_over(f);
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
    case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER: /* TCP stands, and TLS */
        f->asked = true;
        lws_sul_cancel(&f->turn);
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

static int read_url(struct bridge_fetch *f, const char *url)
{
    const char *scheme, *name, *rest;
    AUTO_FREE char *copy = err_strdup(url);
    if (lws_parse_uri(copy, &scheme, &name, &f->port, &rest))
        return ERR_INVALID;
    f->tls = strcmp(scheme, "https") == 0;
    bool usual = f->port == (f->tls ? 443 : 80);
    snprintf(f->name, sizeof(f->name), "%s", name);
    snprintf(f->host, sizeof(f->host), usual ? "%s" : "%s:%d", f->name, f->port);
    snprintf(f->path, sizeof(f->path), "/%s", rest);
    return 0;
}

static int start(struct bridge_fetch *f, const struct bridge_fetch_request *request,
                 struct err *err)
{
    if (take_headers(f, request) < 0)
        return err_set(err, ERR_INVALID, "a header of the request cannot be sent");
    if (read_url(f, request->url) < 0)
        return err_set(err, ERR_INVALID, "the URL cannot be read");
    if (!f->loop->proxied)
        return bridge_resolve(f->loop->resolver, f->name, on_addresses, f, &f->question, err);
    /* The proxy wants the name. */
    return connect_to(f, f->name) ? 0 : err_set(err, ERR_SYSTEM, "the proxy was not reached");
}

struct bridge_fetch *bridge_fetch_start(struct bridge_loop *loop,
                                        const struct bridge_fetch_request *request,
                                        const struct bridge_fetch_events *events, struct err *err)
{
    if (check(loop, request, err) < 0)
        return NULL;
    struct bridge_fetch *f = err_calloc(1, sizeof(*f));
    f->user.callback = bridge_fetch_callback;
    f->loop = loop;
    f->events = *events;
    buf_init(&f->headers, HEADERS_MAX);
    buf_init(&f->body, request->body_max);
    loop->fetches++;
    if (start(f, request, err) == 0) {
        lws_sul_schedule(loop->lws, 0, &f->deadline, on_deadline,
                         request->timeout_ms * LWS_US_PER_MS);
        return f;
    }
    fetch_free(f);
    return NULL;
}

void bridge_fetch_cancel(struct bridge_fetch *fetch)
{
    if (!fetch)
        return;
    fetch->given_back = true;
    lws_sul_cancel(&fetch->deadline);
    end_soon(fetch);
}
