/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What loop.c, link.c and fetch.c share; the only places that see libwebsockets. */
#ifndef BRIDGE_LWS_H
#define BRIDGE_LWS_H

/* OpenSSL has a type of the name that base/err.h gives to a code. */
#define ERR_STATE openssl_err_state
#include <libwebsockets.h>
#undef ERR_STATE

#include "bridge/link.h"
#include "bridge/loop.h"
#include "bridge/resolve.h"

#define BRIDGE_LWS_LINK "wabridge-link"
#define BRIDGE_LWS_FETCH "wabridge-fetch"
#define BRIDGE_LWS_WATCH "wabridge-watch"
#define BRIDGE_LWS_RX 16384 /* bytes read from the socket at once */

/*
 * What libwebsockets is given as the user of a connection begins with it: of a dial that fails
 * before lws_client_connect_via_info returns, it tells the first protocol, whatever the name of the
 * one that was asked for.
 */
struct bridge_lws_user {
    lws_callback_function *callback;
};

struct bridge_watch {
    int fd; /* duplicate, closed by libwebsockets */
    void (*ready)(void *ctx);
    void *ctx;
};

struct bridge_loop {
    struct lws_context *lws;
    lws_sorted_usec_list_t timer;
    void (*wake)(void *ctx);
    void *ctx;
    struct bridge_watch watches[BRIDGE_LOOP_WATCHES];
    size_t watch_count;
    struct bridge_resolver *resolver;
    size_t links; /* not yet destroyed by libwebsockets */
    size_t fetches;
    bool proxied, tls, stopped;
};

int bridge_link_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                         size_t len);
int bridge_fetch_callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                          size_t len);

#endif
