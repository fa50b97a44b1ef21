/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One WebSocket connection to the server (protocol/01 section 1): bytes out, bytes in, in any cut.
 */
#ifndef BRIDGE_LINK_H
#define BRIDGE_LINK_H

#include "base/buf.h"
#include "bridge/loop.h"

#define BRIDGE_LINK_OUT_MAX (64u << 20) /* bytes that may wait for the socket */

struct bridge_link;

/* None is called from within a function of this header. */
struct bridge_link_events {
    void *ctx;
    void (*opened)(void *ctx);
    void (*received)(void *ctx, struct bytes data); /* borrowed */
    void (*closed)(void *ctx, const char *why);     /* also: never opened. The link is gone then */
};

/*
 * Dials ws:// or wss://; the name is resolved before this returns (libwebsockets 4.1 asks the
 * resolver synchronously). An owned link, to be given back with close or abort unless `closed`
 * came; or NULL with err. The caller sets the time limit for opening.
 */
struct bridge_link *bridge_link_dial(struct bridge_loop *loop, const char *endpoint,
                                     const struct bridge_link_events *events, struct err *err);
/* The TCP port of an endpoint, 1 to 65535, or ERR_INVALID. */
int bridge_link_port(const char *endpoint);
/* Queues bytes for the wire and empties the buffer. ERR_LIMIT when the peer takes nothing for too
 * long. */
int bridge_link_send(struct bridge_link *link, struct buf *data);
/* Sends what waits, closes with code 1000, and forgets the link: no event follows. Takes the link.
 */
void bridge_link_close(struct bridge_link *link);
/* The same without sending anything any more. */
void bridge_link_abort(struct bridge_link *link);

#endif
