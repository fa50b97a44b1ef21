/* SPDX-License-Identifier: GPL-3.0-or-later */
/* OpenSSL has a type of the name that base/err.h gives to a code. */
#define ERR_STATE openssl_err_state
#include <libwebsockets.h>
#undef ERR_STATE

#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "sim/control.h"
#include "sim/media_http.h"
#include "sim/server.h"

#define PATH "/ws/chat"
#define ADDRESS "127.0.0.1"
#define RX_BYTES 65536

/* What libwebsockets 3.2 and later make of a timeout. */
enum { SERVE_WHAT_IS_THERE = -1, SERVE_AND_WAIT = 0 };

struct http;

struct sim_server {
    struct sim *sim;
    struct lws_context *context;
    struct lws_vhost *endpoint, *control;
    int timer_fd;
    int64_t wake_ms;      /* what the timer is set to */
    struct http *waiting; /* requests to run again */
    uint64_t activity;    /* up to which they were */
    bool stop;
};

/* One WebSocket connection. */
struct link {
    struct lws *wsi;
    struct sim_client *client;
    bool close_now, frozen;
    struct sim_media_http http; /* instead of a client */
};

/* One control connection; request is set up anew for each request on it. */
struct http {
    struct http *next; /* of the waiting ones */
    struct lws *wsi;
    struct sim_request request;
    bool open, started, is_waiting, headers_sent;
    size_t sent;
};

static struct sim_server *server_of(struct lws *wsi)
{
    return lws_context_user(lws_get_context(wsi));
}

/* ---- clients ------------------------------------------------------------------------------------
 */

void sim_link_want_write(void *link)
{
    struct link *l = link;

    if (!l->frozen)
        lws_callback_on_writable(l->wsi);
}

void sim_link_close(void *link)
{
    struct link *l = link;

    l->close_now = true;
    lws_set_timeout(l->wsi, PENDING_TIMEOUT_CLOSE_SEND, LWS_TO_KILL_ASYNC);
}

void sim_link_freeze(void *link)
{
    struct link *l = link;

    l->frozen = true;
    lws_rx_flow_control(l->wsi, 0);
}

static bool is_chat_path(struct lws *wsi)
{
    char path[64];

    return lws_hdr_copy(wsi, path, sizeof path, WSI_TOKEN_GET_URI) > 0 && strcmp(path, PATH) == 0;
}

/* A piece of what is waiting, as one message; the rest asks for another turn. */
static int write_link(struct link *l)
{
    struct sim_client *c = l->client;
    uint8_t message[LWS_PRE + SIM_HTTP_PIECE];
    size_t n = c->out.n < SIM_HTTP_PIECE ? c->out.n : SIM_HTTP_PIECE;

    if (l->close_now)
        return -1;
    if (l->frozen)
        return 0;
    if (n) {
        memcpy(message + LWS_PRE, c->out.p, n);
        if (lws_write(l->wsi, message + LWS_PRE, n, LWS_WRITE_BINARY) < (int)n)
            return -1;
        buf_drop_front(&c->out, n);
        c->sim->stats.bytes_out += n;
    }
    sim_client_drained(c);
    if (c->out.n)
        lws_callback_on_writable(l->wsi);
    else if (c->phase == SIM_PHASE_CLOSING)
        return -1;
    return 0;
}

static int read_link(struct link *l, struct bytes data)
{
    if (!lws_frame_is_binary(l->wsi)) {
        sim_client_kill(l->client, "a text message");
        return -1;
    }
    sim_client_received(l->client, data);
    return l->close_now ? -1 : 0;
}

static int on_link(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                   size_t len)
{
    struct link *l = user;

    switch (reason) {
    case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION:
        return is_chat_path(wsi) ? 0 : -1;
    case LWS_CALLBACK_ESTABLISHED:
        *l = (struct link){.wsi = wsi};
        l->client = sim_client_open(server_of(wsi)->sim, l);
        return 0;
    case LWS_CALLBACK_RECEIVE:
        return read_link(l, BYTES(in, len));
    case LWS_CALLBACK_SERVER_WRITEABLE:
        return write_link(l);
    case LWS_CALLBACK_CLOSED:
        if (l->client)
            sim_client_free(l->client);
        l->client = NULL;
        return 0;
    default:
        return sim_media_http(l ? &l->http : NULL, wsi, server_of(wsi)->sim, reason,
                              BYTES(in, len));
    }
}

/* ---- control ------------------------------------------------------------------------------------
 */

static void http_stop_waiting(struct sim_server *server, struct http *h)
{
    struct http **at = &server->waiting;

    if (!h->is_waiting)
        return;
    while (*at != h)
        at = &(*at)->next;
    *at = h->next;
    h->is_waiting = false;
}

static void http_reset(struct sim_server *server, struct http *h)
{
    http_stop_waiting(server, h);
    if (h->open)
        sim_request_deinit(&h->request);
    h->open = h->started = h->headers_sent = false;
    h->sent = 0;
}

static void copy_query(struct lws *wsi, char *out, size_t size)
{
    size_t n = 0;

    out[0] = '\0';
    for (int i = 0; n + 2 < size; i++) {
        int got = lws_hdr_copy_fragment(wsi, out + n + 1, (int)(size - n - 2),
                                        WSI_TOKEN_HTTP_URI_ARGS, i);

        if (got <= 0)
            break;
        out[n] = '&';
        n += (size_t)got + 1;
        out[n] = '\0';
    }
}

static void http_run(struct sim_server *server, struct http *h)
{
    h->started = true;
    if (sim_control(&h->request)) {
        http_stop_waiting(server, h);
        lws_callback_on_writable(h->wsi);
    } else if (!h->is_waiting) {
        h->is_waiting = true;
        h->next = server->waiting;
        server->waiting = h;
        lws_set_timeout(h->wsi, NO_PENDING_TIMEOUT, 0);
    }
}

static bool has_body(struct lws *wsi)
{
    char length[16];

    return lws_hdr_copy(wsi, length, sizeof length, WSI_TOKEN_HTTP_CONTENT_LENGTH) > 0 &&
           strcmp(length, "0") != 0;
}

static int http_begin(struct sim_server *server, struct http *h, struct lws *wsi)
{
    bool post = lws_hdr_total_length(wsi, WSI_TOKEN_POST_URI) > 0;

    http_reset(server, h);
    h->wsi = wsi;
    h->open = true;
    sim_request_init(&h->request, server->sim);
    memcpy(h->request.method, post ? "POST" : "GET", post ? 5 : 4);
    if (lws_hdr_copy(wsi, h->request.path, sizeof h->request.path,
                     post ? WSI_TOKEN_POST_URI : WSI_TOKEN_GET_URI) < 0)
        return -1;
    copy_query(wsi, h->request.query, sizeof h->request.query);
    if (!post || !has_body(wsi))
        http_run(server, h);
    return 0;
}

static int http_headers(struct http *h)
{
    uint8_t block[LWS_PRE + SIM_HTTP_HEADER], *start = block + LWS_PRE, *p = start;

    h->headers_sent = true;
    if (lws_add_http_common_headers(h->wsi, (unsigned int)h->request.status, "application/json",
                                    h->request.answer.n, &p, block + sizeof block) != 0 ||
        lws_finalize_write_http_header(h->wsi, start, &p, block + sizeof block) != 0)
        return -1;
    lws_callback_on_writable(h->wsi);
    return 0;
}

static int http_write(struct sim_server *server, struct http *h)
{
    uint8_t piece[LWS_PRE + SIM_HTTP_PIECE];
    size_t left, n;
    bool last;

    if (!h->open || h->request.status == 0 || h->is_waiting)
        return 0;
    if (!h->headers_sent)
        return http_headers(h);
    left = h->request.answer.n - h->sent;
    n = left < SIM_HTTP_PIECE ? left : SIM_HTTP_PIECE;
    last = n == left;
    memcpy(piece + LWS_PRE, h->request.answer.p + h->sent, n);
    if (lws_write(h->wsi, piece + LWS_PRE, n, last ? LWS_WRITE_HTTP_FINAL : LWS_WRITE_HTTP) <
        (int)n)
        return -1;
    h->sent += n;
    if (!last) {
        lws_callback_on_writable(h->wsi);
        return 0;
    }
    http_reset(server, h);
    return lws_http_transaction_completed(h->wsi) ? -1 : 0;
}

static int on_http(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                   size_t len)
{
    struct sim_server *server = server_of(wsi);
    struct http *h = user;

    switch (reason) {
    case LWS_CALLBACK_HTTP:
        return http_begin(server, h, wsi);
    case LWS_CALLBACK_HTTP_BODY:
        return h->open && buf_append(&h->request.body, BYTES(in, len)) == 0 ? 0 : -1;
    case LWS_CALLBACK_HTTP_BODY_COMPLETION:
        if (h->open && !h->started)
            http_run(server, h);
        return 0;
    case LWS_CALLBACK_HTTP_WRITEABLE:
        return http_write(server, h);
    case LWS_CALLBACK_CLOSED_HTTP:
        if (h)
            http_reset(server, h);
        return 0;
    case LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION: /* no WebSocket here */
        return -1;
    default:
        return 0;
    }
}

/* Requests that wait are run again when something happened or their time is over. */
static void run_waiting(struct sim_server *server)
{
    bool all = server->activity != server->sim->activity;
    struct http *next;

    server->activity = server->sim->activity;
    for (struct http *h = server->waiting; h; h = next) {
        next = h->next;
        if (all || clock_mono_ms() >= h->request.deadline_ms)
            http_run(server, h);
    }
}

/* ---- signals ------------------------------------------------------------------------------------
 */

static int on_signal(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                     size_t len)
{
    (void)user;
    (void)in;
    (void)len;
    if (reason == LWS_CALLBACK_RAW_RX_FILE)
        server_of(wsi)->stop = true;
    return 0;
}

static int on_timer(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                    size_t len)
{
    uint64_t times;

    (void)user;
    (void)in;
    (void)len;
    if (reason == LWS_CALLBACK_RAW_RX_FILE) {
        (void)!read(server_of(wsi)->timer_fd, &times, sizeof times);
        server_of(wsi)->wake_ms = 0;
    }
    return 0;
}

static const struct lws_protocols endpoint_protocols[] = {
    {.name = "chat",
     .callback = on_link,
     .per_session_data_size = sizeof(struct link),
     .rx_buffer_size = RX_BYTES},
    {.name = "signals", .callback = on_signal},
    {.name = "timer", .callback = on_timer},
    {.name = NULL},
};

static const struct lws_protocols control_protocols[] = {
    {.name = "control",
     .callback = on_http,
     .per_session_data_size = sizeof(struct http),
     .rx_buffer_size = RX_BYTES},
    {.name = NULL},
};

static int watch(struct sim_server *server, int fd, const char *protocol)
{
    if (fd < 0)
        return ERR_SYSTEM;
    return lws_adopt_descriptor_vhost(server->endpoint, LWS_ADOPT_RAW_FILE_DESC,
                                      (lws_sock_file_fd_type){.filefd = fd}, protocol, NULL)
               ? 0
               : ERR_SYSTEM;
}

static int watch_signals(struct sim_server *server)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    return watch(server, signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), "signals");
}

/* A timer of libwebsockets is polled for without pause when less than a millisecond is left. */
static int watch_timer(struct sim_server *server)
{
    server->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    return watch(server, server->timer_fd, "timer");
}

/* ---- life ---------------------------------------------------------------------------------------
 */

static struct lws_vhost *listen_on(struct sim_server *server, const char *name, int port,
                                   const struct lws_protocols *protocols)
{
    struct lws_context_creation_info info = {.port = port,
                                             .iface = ADDRESS,
                                             .protocols = protocols,
                                             .vhost_name = name,
                                             .keepalive_timeout = 60};

    return lws_create_vhost(server->context, &info);
}

static void log_line(int level, const char *line)
{
    struct bytes text = bytes_text(line);

    while (text.n && text.p[text.n - 1] == '\n')
        text.n--;
    log_event(level & LLL_ERR ? LOG_ERROR : LOG_WARN, "lws", LOG_BYTES("line", text));
}

int sim_server_open(struct sim_server **out, struct sim *s, int port, int control_port,
                    struct err *err)
{
    struct lws_context_creation_info info = {.options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS,
                                             .timeout_secs = 30,
                                             .pt_serv_buf_size = RX_BYTES};
    struct sim_server *server = err_calloc(1, sizeof *server);

    lws_set_log_level(LLL_ERR | LLL_WARN, log_line);
    server->sim = s;
    info.user = server;
    server->context = lws_create_context(&info);
    if (server->context) {
        server->endpoint = listen_on(server, "endpoint", port, endpoint_protocols);
        server->control = listen_on(server, "control", control_port, control_protocols);
    }
    if (!server->endpoint || !server->control || watch_signals(server) != 0 ||
        watch_timer(server) != 0) {
        sim_server_close(server);
        return err_set(err, ERR_SYSTEM, "cannot listen on " ADDRESS ", port %d and %d", port,
                       control_port);
    }
    snprintf(s->endpoint, sizeof s->endpoint, "ws://" ADDRESS ":%d" PATH,
             lws_get_vhost_listen_port(server->endpoint));
    snprintf(s->media_hosts[0], sizeof s->media_hosts[0], ADDRESS ":%d",
             lws_get_vhost_listen_port(server->endpoint));
    snprintf(s->control, sizeof s->control, "http://" ADDRESS ":%d",
             lws_get_vhost_listen_port(server->control));
    *out = server;
    return 0;
}

void sim_server_close(struct sim_server *server)
{
    if (!server)
        return;
    if (server->context)
        lws_context_destroy(server->context);
    free(server);
}

static int64_t next_wake(const struct sim_server *server)
{
    int64_t next = sim_timers_next(&server->sim->timers);

    for (const struct http *h = server->waiting; h; h = h->next)
        if (h->request.deadline_ms < next)
            next = h->request.deadline_ms;
    return next;
}

static int schedule_wake(struct sim_server *server, int64_t next)
{
    struct itimerspec spec = {0};

    if (next == server->wake_ms)
        return 0;
    if (next != CLOCK_NEVER)
        spec.it_value = (struct timespec){.tv_sec = next / 1000, .tv_nsec = next % 1000 * 1000000};
    server->wake_ms = next;
    return timerfd_settime(server->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL);
}

int sim_server_run(struct sim_server *server)
{
    while (!server->stop) {
        int64_t next = next_wake(server);
        bool due = next <= clock_mono_ms();

        if (!due && schedule_wake(server, next) != 0)
            return ERR_SYSTEM;
        if (lws_service(server->context, due ? SERVE_WHAT_IS_THERE : SERVE_AND_WAIT) < 0)
            return ERR_SYSTEM;
        sim_timers_run(&server->sim->timers, clock_mono_ms());
        run_waiting(server);
    }
    return 0;
}
