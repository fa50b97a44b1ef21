/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "bridge/lws.h"

#include <stdio.h>

#define CHUNK_MAX 65536 /* bytes of one WebSocket message */
#define KEEP_MAX 65536  /* bytes of send memory kept while idle */
#define CLOSE_TIMEOUT_S 2
#define ADDRESS_TIMEOUT_MS 6000 /* for one address while there are others */
#define ORIGIN "https://web.whatsapp.com"

struct bridge_link {
    struct bridge_lws_user user; /* first */
    struct bridge_loop *loop;
    struct lws *wsi; /* NULL also while there is none: the name, or between two addresses */
    struct bridge_link_events events;
    struct buf out; /* LWS_PRE bytes of headroom, then what waits */
    size_t sent;    /* of what waits */
    enum bridge_link_stage stage;
    bool connecting; /* inside lws_client_connect_via_info */
    bool given_back, closing;
    char why[192];

    /* what is dialled */
    bool tls;
    int port;
    char name[BRIDGE_HOST_SIZE], host[BRIDGE_HOST_SIZE + 8], path[512];
    struct bridge_question *question; /* NULL once answered */
    struct bridge_addresses addresses;
    size_t next; /* address to be tried */
    lws_sorted_usec_list_t timer;
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
    bridge_resolve_cancel(link->question);
    lws_sul_cancel(&link->timer);
    link->loop->links--;
    buf_deinit(&link->out);
    free(link);
}

/* There will be no connection (any more). */
static void link_over(struct bridge_link *link)
{
    struct bridge_link_events events = link->events;
    enum bridge_link_stage at = link->stage;
    bool tell = !link->given_back;
    char why[sizeof(link->why)];
    snprintf(why, sizeof(why), "%s",
             link->why[0]             ? link->why
             : at == BRIDGE_LINK_OPEN ? "the connection broke"
                                      : "no answer in time");
    link_free(link);
    if (tell)
        events.closed(events.ctx, at, why);
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
    if (n > 0 && waiting(link) == 0 && link->events.sent && !link->given_back)
        link->events.sent(link->events.ctx);
    return link->closing && waiting(link) == 0 ? finish(link) : 0;
}

bool bridge_link_is_sending(const struct bridge_link *link)
{
    return waiting(link) > 0;
}

void bridge_link_rest(struct bridge_link *link)
{
    if (waiting(link) == 0)
        buf_deinit(&link->out);
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
    if (link->stage == BRIDGE_LINK_OPEN)
        lws_callback_on_writable(link->wsi);
    return 0;
}

/* ---- dialling ------------------------------------------------------------------------------- */

static struct lws *connect_to(struct bridge_link *link, const char *address)
{
    struct lws_client_connect_info info = {
        .context = link->loop->lws,
        .address = address,
        .port = link->port,
        .ssl_connection = link->tls ? LCCSCF_USE_SSL : 0,
        .path = link->path,
        .host = link->host, /* also the name that the certificate must have, and SNI */
        .origin = ORIGIN,
        .ietf_version_or_minus_one = -1,
        .userdata = link,
        .local_protocol_name = BRIDGE_LWS_LINK,
        .alpn = "http/1.1",
        .pwsi = &link->wsi,
    };
    link->connecting = true;
    struct lws *wsi = lws_client_connect_via_info(&info);
    link->connecting = false;
    return wsi && link->wsi ? wsi : NULL;
}

static void give_up_address(lws_sorted_usec_list_t *timer)
{
    struct bridge_link *link = lws_container_of(timer, struct bridge_link, timer);
    say_why(link, "no answer in time");
    lws_set_timeout(link->wsi, PENDING_TIMEOUT_KILLED_BY_PARENT, LWS_TO_KILL_ASYNC);
}

/* Whether one of the addresses is being tried now. */
static bool try_next(struct bridge_link *link)
{
    while (link->next < link->addresses.count) {
        link->stage = BRIDGE_LINK_ADDRESS;
        link->why[0] = '\0';
        if (!connect_to(link, link->addresses.text[link->next++]))
            continue;
        if (link->next < link->addresses.count)
            lws_sul_schedule(link->loop->lws, 0, &link->timer, give_up_address,
                             ADDRESS_TIMEOUT_MS * LWS_US_PER_MS);
        return true;
    }
    return false;
}

static void on_turn(lws_sorted_usec_list_t *timer)
{
    struct bridge_link *link = lws_container_of(timer, struct bridge_link, timer);
    if (!try_next(link))
        link_over(link);
}

static void on_addresses(void *ctx, const struct bridge_addresses *found, const char *why)
{
    struct bridge_link *link = ctx;
    link->question = NULL;
    if (found)
        link->addresses = *found;
    else
        say_why(link, "%s: %s", link->name, why);
    if (!try_next(link))
        link_over(link);
}

static bool read_endpoint(struct bridge_link *link, char *endpoint)
{
    const char *scheme, *name, *rest;
    if (lws_parse_uri(endpoint, &scheme, &name, &link->port, &rest))
        return false;
    link->tls = strcmp(scheme, "wss") == 0;
    bool usual = link->port == (link->tls ? 443 : 80);
    snprintf(link->name, sizeof(link->name), "%s", name);
    snprintf(link->host, sizeof(link->host), usual ? "%s" : "%s:%d", link->name, link->port);
    snprintf(link->path, sizeof(link->path), "/%s", rest);
    return true;
}

static int start(struct bridge_link *link, const char *endpoint, struct err *err)
{
    AUTO_FREE char *copy = err_strdup(endpoint);
    if (!read_endpoint(link, copy))
        return err_set(err, ERR_INVALID, "it is no address");
    if (!link->loop->proxied)
        return bridge_resolve(link->loop->resolver, link->name, on_addresses, link, &link->question,
                              err);
    /* The proxy wants the name. */
    link->stage = BRIDGE_LINK_ADDRESS;
    if (connect_to(link, link->name))
        return 0;
    return err_set(err, ERR_SYSTEM, "%s", link->why[0] ? link->why : "the proxy was not reached");
}

static void on_destroyed(struct bridge_link *link)
{
    link->wsi = NULL;
    lws_sul_cancel(&link->timer);
    if (link->connecting)
        return;
    if (!link->given_back && link->stage != BRIDGE_LINK_OPEN && link->next < link->addresses.count)
        lws_sul_schedule(link->loop->lws, 0, &link->timer, on_turn, 1);
    else
        link_over(link);
}

/* Before it was open; libwebsockets' words, and the status when it was HTTP that failed. */
static void on_refused(struct bridge_link *link, struct lws *wsi, const char *text, size_t n)
{
    unsigned status = link->stage == BRIDGE_LINK_UPGRADE ? lws_http_client_http_response(wsi) : 0;
    bool tls = link->tls && text && (strstr(text, "SSL") || strstr(text, "tls"));
    if (link->stage == BRIDGE_LINK_ADDRESS && tls)
        link->stage = BRIDGE_LINK_TLS;
    if (status >= 200)
        say_why(link, "HTTP status %u instead of a WebSocket", status);
    else
        say_why(link, "%.*s", text ? (int)n : 9, text ? text : "no reason");
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
    link->stage = BRIDGE_LINK_OPEN;
    lws_sul_cancel(&link->timer);
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
        on_refused(link, wsi, in, len);
        return 0;
    case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER: /* TCP stands, and TLS */
        link->stage = BRIDGE_LINK_UPGRADE;
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

struct bridge_link *bridge_link_dial(struct bridge_loop *loop, const char *endpoint,
                                     const struct bridge_link_events *events, struct err *err)
{
    struct bridge_link *link = err_calloc(1, sizeof(*link));
    link->user.callback = bridge_link_callback;
    link->loop = loop;
    link->events = *events;
    buf_init(&link->out, BRIDGE_LINK_OUT_MAX);
    loop->links++;
    if (start(link, endpoint, err) == 0)
        return link;
    link_free(link);
    return NULL;
}

enum bridge_link_stage bridge_link_stage(const struct bridge_link *link)
{
    return link->stage;
}

void bridge_link_close(struct bridge_link *link)
{
    if (!link)
        return;
    if (link->stage != BRIDGE_LINK_OPEN) {
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
    if (link->wsi)
        lws_set_timeout(link->wsi, PENDING_TIMEOUT_KILLED_BY_PARENT, LWS_TO_KILL_ASYNC);
    else
        link_free(link);
}
