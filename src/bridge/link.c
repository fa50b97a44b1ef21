/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "bridge/lws.h"

#include <stdio.h>

#define CHUNK_MAX 65536 /* bytes of one WebSocket message */
#define KEEP_MAX 65536  /* bytes of send memory kept while idle */
#define CLOSE_TIMEOUT_S 2
#define ORIGIN "https://web.whatsapp.com"

struct bridge_link {
    struct bridge_loop *loop;
    struct lws *wsi;
    struct bridge_link_events events; /* ctx NULL and no callbacks once given back */
    struct buf out;                   /* LWS_PRE bytes of headroom, then what waits */
    size_t sent;                      /* of what waits */
    bool dialling;                    /* inside bridge_link_dial */
    bool open, given_back, closing, destroyed;
    char why[128];
};

static void say_why(struct bridge_link *link, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void say_why(struct bridge_link *link, const char *fmt, ...)
{
    if (link->why[0])
        return;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(link->why, sizeof(link->why), fmt, ap);
    va_end(ap);
}

static void link_free(struct bridge_link *link)
{
    link->loop->links--;
    buf_deinit(&link->out);
    free(link);
}

static void on_destroyed(struct bridge_link *link)
{
    link->destroyed = true;
    link->wsi = NULL;
    if (link->dialling)
        return;
    struct bridge_link_events events = link->events;
    bool tell = !link->given_back;
    char why[sizeof(link->why)];
    snprintf(why, sizeof(why), "%s", link->why[0] ? link->why : "the connection broke");
    link_free(link);
    if (tell)
        events.closed(events.ctx, why);
}

/* ---- sending -------------------------------------------------------------------------------- */

static size_t waiting(const struct bridge_link *link)
{
    return link->out.n > LWS_PRE ? link->out.n - LWS_PRE - link->sent : 0;
}

static void all_sent(struct bridge_link *link)
{
    link->sent = 0;
    if (link->out.cap > KEEP_MAX)
        buf_deinit(&link->out);
    else
        buf_clear(&link->out);
}

static int finish(struct bridge_link *link)
{
    lws_close_reason(link->wsi, LWS_CLOSE_STATUS_NORMAL, NULL, 0);
    return -1;
}

static int on_writable(struct bridge_link *link)
{
    size_t n = waiting(link);
    if (n > CHUNK_MAX)
        n = CHUNK_MAX;
    /* The header goes into the bytes before, which were sent already or are headroom. */
    if (n > 0 && lws_write(link->wsi, link->out.p + LWS_PRE + link->sent, n, LWS_WRITE_BINARY) < 0)
        return -1;
    link->sent += n;
    if (waiting(link) > 0)
        lws_callback_on_writable(link->wsi);
    else if (n > 0)
        all_sent(link);
    return link->closing && waiting(link) == 0 ? finish(link) : 0;
}

int bridge_link_send(struct bridge_link *link, struct buf *data)
{
    if (data->n == 0)
        return 0;
    if (link->out.n == 0) {
        memset(buf_reserve(&link->out, LWS_PRE), 0, LWS_PRE);
        link->out.n = LWS_PRE;
    }
    int rc = buf_append(&link->out, buf_bytes(data));
    if (rc < 0)
        return rc;
    if (data->cap > KEEP_MAX)
        buf_deinit(data);
    else
        buf_clear(data);
    if (link->open)
        lws_callback_on_writable(link->wsi);
    return 0;
}

/* ---- callbacks of libwebsockets ------------------------------------------------------------- */

static int on_received(struct bridge_link *link, struct lws *wsi, const void *in, size_t len)
{
    if (!lws_frame_is_binary(wsi)) {
        say_why(link, "the server sent a text message");
        return -1;
    }
    if (!link->given_back)
        link->events.received(link->events.ctx, BYTES(in, len));
    return 0;
}

static int on_opened(struct bridge_link *link)
{
    link->open = true;
    if (link->given_back)
        return -1;
    link->events.opened(link->events.ctx);
    return 0;
}

static void on_peer_close(struct bridge_link *link, const uint8_t *in, size_t len)
{
    if (len >= 2)
        say_why(link, "the server closed the connection (code %u)", in[0] << 8 | in[1]);
    else
        say_why(link, "the server closed the connection");
}

int bridge_link_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                         size_t len)
{
    struct bridge_link *link = user;
    if (!link)
        return 0;
    switch (reason) {
    case LWS_CALLBACK_CLIENT_ESTABLISHED:
        return on_opened(link);
    case LWS_CALLBACK_CLIENT_RECEIVE:
        return on_received(link, wsi, in, len);
    case LWS_CALLBACK_CLIENT_WRITEABLE:
        return on_writable(link);
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
        on_peer_close(link, in, len);
        return 0;
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
        say_why(link, "%.*s", in ? (int)len : 9, in ? (const char *)in : "no reason");
        return 0;
    case LWS_CALLBACK_WSI_DESTROY:
        on_destroyed(link);
        return 0;
    default:
        return 0;
    }
}

/* ---- addresses ------------------------------------------------------------------------------ */

int bridge_link_port(const char *endpoint)
{
    const char *scheme, *address, *rest;
    int port;
    AUTO_FREE char *copy = err_strdup(endpoint);
    return lws_parse_uri(copy, &scheme, &address, &port, &rest) ? ERR_INVALID : port;
}

/* ---- life ----------------------------------------------------------------------------------- */

static struct lws *connect_to(struct bridge_link *link, char *endpoint)
{
    const char *scheme, *address, *rest;
    char path[512], host[300];
    int port;
    if (lws_parse_uri(endpoint, &scheme, &address, &port, &rest))
        return NULL;
    bool tls = strcmp(scheme, "wss") == 0;
    snprintf(path, sizeof(path), "/%s", rest);
    snprintf(host, sizeof(host), port == (tls ? 443 : 80) ? "%s" : "%s:%d", address, port);
    struct lws_client_connect_info info = {
        .context = link->loop->lws,
        .address = address,
        .port = port,
        .ssl_connection = tls ? LCCSCF_USE_SSL : 0,
        .path = path,
        .host = host,
        .origin = ORIGIN,
        .ietf_version_or_minus_one = -1,
        .userdata = link,
        .local_protocol_name = BRIDGE_LWS_LINK,
        .alpn = "http/1.1",
        .pwsi = &link->wsi,
    };
    return lws_client_connect_via_info(&info);
}

struct bridge_link *bridge_link_dial(struct bridge_loop *loop, const char *endpoint,
                                     const struct bridge_link_events *events, struct err *err)
{
    struct bridge_link *link = err_calloc(1, sizeof(*link));
    AUTO_FREE char *copy = err_strdup(endpoint);
    link->loop = loop;
    link->events = *events;
    buf_init(&link->out, BRIDGE_LINK_OUT_MAX);
    loop->links++;
    link->dialling = true;
    struct lws *wsi = connect_to(link, copy);
    link->dialling = false;
    if (wsi && !link->destroyed)
        return link;
    err_set(err, ERR_SYSTEM, "%s", link->why[0] ? link->why : "the server could not be dialled");
    link_free(link);
    return NULL;
}

void bridge_link_close(struct bridge_link *link)
{
    if (!link)
        return;
    if (!link->open) {
        bridge_link_abort(link);
        return;
    }
    link->given_back = link->closing = true;
    lws_set_timeout(link->wsi, PENDING_TIMEOUT_CLOSE_SEND, CLOSE_TIMEOUT_S);
    lws_callback_on_writable(link->wsi);
}

void bridge_link_abort(struct bridge_link *link)
{
    if (!link)
        return;
    link->given_back = true;
    lws_set_timeout(link->wsi, PENDING_TIMEOUT_KILLED_BY_PARENT, LWS_TO_KILL_ASYNC);
}
