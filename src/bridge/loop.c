/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "bridge/lws.h"

#include <errno.h>
#include <fcntl.h>

#include "base/clock.h"
#include "base/log.h"
#include "bridge/trust.h"

#define FDS_MAX 24           /* event pipe, watches, a link and the one before it, fetches */
#define HEADERS_MAX 32768    /* bytes of an HTTP answer's headers; held while it is read */
#define NETWORK_TIMEOUT_S 20 /* protocol/01 section 1 */
#define PERIODIC_S 30        /* of libwebsockets' own checks */

static void log_line(int level, const char *line)
{
    (void)level;
    size_t n = strlen(line);
    while (n > 0 && line[n - 1] == '\n')
        n--;
    log_event(LOG_DEBUG, "libwebsockets", LOG_BYTES("text", BYTES(line, n)));
}

static int user_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                         size_t len)
{
    const struct bridge_lws_user *u = user;
    switch (reason) { /* for others, the user may be an object of OpenSSL */
    case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER:
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
    case LWS_CALLBACK_CLOSED_CLIENT_HTTP:
    case LWS_CALLBACK_WSI_DESTROY:
        return u ? u->callback(wsi, reason, user, in, len) : 0;
    default:
        return 0;
    }
}

static int watch_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                          size_t len)
{
    (void)user;
    (void)in;
    (void)len;
    if (reason == LWS_CALLBACK_RAW_RX_FILE) {
        const struct bridge_watch *w = lws_get_opaque_user_data(wsi);
        w->ready(w->ctx);
    }
    return 0;
}

static const struct lws_protocols protocols[] = {
    {.name = "wabridge", .callback = user_callback, .rx_buffer_size = BRIDGE_LWS_RX},
    {.name = BRIDGE_LWS_LINK, .callback = bridge_link_callback, .rx_buffer_size = BRIDGE_LWS_RX},
    {.name = BRIDGE_LWS_FETCH, .callback = bridge_fetch_callback, .rx_buffer_size = BRIDGE_LWS_RX},
    {.name = BRIDGE_LWS_WATCH, .callback = watch_callback},
    {0},
};

static void on_timer(lws_sorted_usec_list_t *timer)
{
    struct bridge_loop *loop = lws_container_of(timer, struct bridge_loop, timer);
    if (loop->wake)
        loop->wake(loop->ctx);
}

/*
 * Every 30 s libwebsockets 4.1 looks after listening sockets and daemons (sul_plat in its
 * unix-init.c). A client has neither, and the look alone wakes an idle process as often as its
 * keepalive does. The timer is the only one that a new context has so far ahead; it stands in one
 * list with ours.
 */
static void drop_idle_checks(struct bridge_loop *loop)
{
    lws_usec_t soon = lws_now_usecs() + PERIODIC_S / 2 * LWS_US_PER_SEC;
    lws_sul_schedule(loop->lws, 0, &loop->timer, on_timer, LWS_US_PER_SEC);
    lws_start_foreach_dll_safe(struct lws_dll2 *, at, next,
                               lws_dll2_get_head(loop->timer.list.owner))
    {
        lws_sorted_usec_list_t *timer = lws_container_of(at, lws_sorted_usec_list_t, list);
        if (timer->us > soon && timer->us <= soon + PERIODIC_S * LWS_US_PER_SEC)
            lws_sul_cancel(timer);
    }
    lws_end_foreach_dll_safe(at, next);
    lws_sul_cancel(&loop->timer);
}

int bridge_loop_open(struct bridge_loop **out, const struct bridge_loop_config *config,
                     struct err *err)
{
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN,
        .protocols = protocols,
        .options = LWS_SERVER_OPTION_JUST_USE_RAW_ORIGIN,
        .fd_limit_per_thread = FDS_MAX,
        .pt_serv_buf_size = BRIDGE_LWS_RX,
        .max_http_header_data = HEADERS_MAX,
        .timeout_secs = NETWORK_TIMEOUT_S,
        .connect_timeout_secs = NETWORK_TIMEOUT_S,
        .vhost_name = "wabridge",
        .gid = -1,
        .uid = -1,
    };
    if (config->tls)
        info.options |= LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
    if (config->tls && config->ca_file[0]) {
        info.client_ssl_ca_filepath = config->ca_file;
        info.options |= LWS_SERVER_OPTION_DISABLE_OS_CA_CERTS;
    } else if (config->tls) {
        bridge_trust_prefer_directory();
    }
    lws_set_log_level(LLL_ERR | LLL_WARN, log_line);
    struct bridge_loop *loop = err_calloc(1, sizeof(*loop));
    loop->wake = config->wake;
    loop->ctx = config->ctx;
    loop->tls = config->tls;
    loop->lws = lws_create_context(&info);
    if (!loop->lws) {
        free(loop);
        return err_set(err, ERR_SYSTEM, "the event loop could not be made%s%s",
                       config->ca_file[0] ? "; is this a readable PEM file: " : "",
                       config->ca_file);
    }
    drop_idle_checks(loop);
    loop->proxied = config->proxied;
    int rc = bridge_resolver_open(&loop->resolver, loop, err);
    if (rc < 0) {
        bridge_loop_close(loop);
        return rc;
    }
    *out = loop;
    return 0;
}

void bridge_loop_close(struct bridge_loop *loop)
{
    if (!loop)
        return;
    lws_sul_cancel(&loop->timer);
    lws_context_destroy(loop->lws);
    bridge_resolver_close(loop->resolver);
    free(loop);
}

int bridge_loop_watch(struct bridge_loop *loop, int fd, void (*ready)(void *ctx), void *ctx,
                      struct err *err)
{
    if (loop->watch_count == BRIDGE_LOOP_WATCHES)
        return err_set(err, ERR_LIMIT, "too many watched descriptors");
    struct bridge_watch *w = &loop->watches[loop->watch_count];
    *w = (struct bridge_watch){.fd = fcntl(fd, F_DUPFD_CLOEXEC, 3), .ready = ready, .ctx = ctx};
    if (w->fd < 0)
        return err_sys(err, ERR_SYSTEM, "a descriptor could not be duplicated");
    struct lws_vhost *vhost = lws_get_vhost_by_name(loop->lws, "wabridge");
    struct lws *wsi = lws_adopt_descriptor_vhost(vhost, LWS_ADOPT_RAW_FILE_DESC,
                                                 (lws_sock_file_fd_type){.filefd = w->fd},
                                                 BRIDGE_LWS_WATCH, NULL);
    if (!wsi)
        return err_set(err, ERR_SYSTEM, "a descriptor could not be watched");
    lws_set_opaque_user_data(wsi, w);
    loop->watch_count++;
    return 0;
}

void bridge_loop_wake_at(struct bridge_loop *loop, int64_t mono_ms)
{
    if (mono_ms == CLOCK_NEVER) {
        lws_sul_cancel(&loop->timer);
        return;
    }
    int64_t left = mono_ms - clock_mono_ms();
    lws_sul_schedule(loop->lws, 0, &loop->timer, on_timer, left > 0 ? left * LWS_US_PER_MS : 1);
}

void bridge_loop_run(struct bridge_loop *loop)
{
    loop->stopped = false;
    while (!loop->stopped && lws_service(loop->lws, 0) >= 0)
        continue;
}

void bridge_loop_stop(struct bridge_loop *loop)
{
    loop->stopped = true;
    /* Said from a timer, lws_service would first sleep until the next one. */
    lws_cancel_service(loop->lws);
}

void bridge_loop_drain(struct bridge_loop *loop, int64_t max_ms)
{
    int64_t until = clock_mono_ms() + max_ms;
    loop->wake = NULL;
    while (loop->links > 0 && clock_mono_ms() < until) {
        bridge_loop_wake_at(loop, until);
        if (lws_service(loop->lws, 0) < 0)
            break;
    }
}
