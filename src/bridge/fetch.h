/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One HTTP(S) GET over the loop, everything bounded: URL, headers, body, time. Redirects are not
 * followed. TLS trusts what the links trust (whatsapp.ca_file or the system).
 *
 * A body with Content-Length is whole when rc is 0. A chunked one that the peer cut off looks whole
 * (libwebsockets 4.1 does not tell the two ends apart): who reads it must know its end, by a hash
 * or a closing mark.
 */
#ifndef BRIDGE_FETCH_H
#define BRIDGE_FETCH_H

#include "base/buf.h"
#include "bridge/loop.h"

#define BRIDGE_FETCH_PARALLEL 4   /* of one loop; bridge_fetch_start says ERR_LIMIT beyond */
#define BRIDGE_FETCH_URL_MAX 2048 /* bytes */

struct bridge_fetch;

struct bridge_fetch_header {
    const char *name, *value; /* ASCII without line breaks */
};

struct bridge_fetch_request {
    const char *url; /* config_check_url; https:// only in a loop with tls */
    const struct bridge_fetch_header *headers;
    size_t header_count;
    size_t body_max;    /* bytes; an answer that is longer, or says so, fails with ERR_LIMIT */
    int64_t timeout_ms; /* for all of it */
};

struct bridge_fetch_result {
    /* 0: an answer came, whole (then status says which). Else ERR_TIMEOUT; ERR_SYSTEM not reached,
     * not trusted or broken off; ERR_PROTOCOL not HTTP or without a length; ERR_LIMIT too long; or
     * what `data` returned. */
    int rc;
    int status;            /* 100 to 599, 0 none came */
    const char *error;     /* for a log; "" when rc is 0 */
    struct bytes body;     /* of a 200 without `data`; other answers are not read */
    int64_t retry_after_s; /* 0 to 86400; 0 also when not said as a number */
};

/* None is called from within a function of this header, and none after done or cancel. */
struct bridge_fetch_events {
    void *ctx;
    /* Pieces of the body of a 200 in order, borrowed; negative refuses the rest. May be NULL: then
     * the body is collected. */
    int (*data)(void *ctx, struct bytes piece);
    /* Once, last; the fetch is gone then. result and what it points to is borrowed. */
    void (*done)(void *ctx, const struct bridge_fetch_result *result);
};

/*
 * An owned fetch, to be given back with cancel unless `done` came; or NULL with err: ERR_INVALID
 * (URL, header), ERR_UNSUPPORTED (https without tls), ERR_LIMIT, ERR_SYSTEM. Name and addresses are
 * tried as a link's. Everything in the request is borrowed for the call.
 */
struct bridge_fetch *bridge_fetch_start(struct bridge_loop *loop,
                                        const struct bridge_fetch_request *request,
                                        const struct bridge_fetch_events *events, struct err *err);
/* NULL does nothing. May be called from `data`. */
void bridge_fetch_cancel(struct bridge_fetch *fetch);

#endif
