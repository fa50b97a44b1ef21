/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One WebSocket connection to the server (protocol/01 section 1): bytes out, bytes in, in any cut.
 */
#ifndef BRIDGE_LINK_H
#define BRIDGE_LINK_H

#include "base/buf.h"
#include "bridge/loop.h"

#define BRIDGE_LINK_OUT_MAX (64u << 20) /* bytes that may wait for the socket */

struct bridge_link;

/* How far a link came. */
enum bridge_link_stage {
    BRIDGE_LINK_NAME,    /* the name is being resolved */
    BRIDGE_LINK_ADDRESS, /* TCP */
    BRIDGE_LINK_TLS,
    BRIDGE_LINK_UPGRADE, /* HTTP: the request for the WebSocket */
    BRIDGE_LINK_OPEN,
};

/* None is called from within a function of this header. */
struct bridge_link_events {
    void *ctx;
    void (*opened)(void *ctx);
    void (*received)(void *ctx, struct bytes data); /* borrowed */
    void (*sent)(void *ctx); /* all that waited is with the system; may be NULL */
    /* Also: never opened; `at` says how far it came. The link is gone then. */
    void (*closed)(void *ctx, enum bridge_link_stage at, const char *why);
};

/*
 * Dials ws:// or wss://: asks for the addresses of the name without holding up the loop, and tries
 * one after the other; an address that says nothing for some seconds is left for the next one. An
 * owned link, to be given back with close or abort unless `closed` came; or NULL with err. The
 * caller sets the time limit for all of it.
 */
struct bridge_link *bridge_link_dial(struct bridge_loop *loop, const char *endpoint,
                                     const struct bridge_link_events *events, struct err *err);
enum bridge_link_stage bridge_link_stage(const struct bridge_link *link);
/* The TCP port of an endpoint, 1 to 65535, or ERR_INVALID. */
int bridge_link_port(const char *endpoint);
/* Queues bytes for the wire and empties the buffer. ERR_LIMIT when the peer takes nothing for too
 * long. */
int bridge_link_send(struct bridge_link *link, struct buf *data);
/* Whether bytes wait to be sent; then `sent` follows, or `closed`. */
bool bridge_link_is_sending(const struct bridge_link *link);
/* Gives back the memory for sending when nothing waits there. */
void bridge_link_rest(struct bridge_link *link);
/* Sends what waits, closes with code 1000, and forgets the link: no event follows. Takes the link.
 */
void bridge_link_close(struct bridge_link *link);
/* The same without sending anything any more. */
void bridge_link_abort(struct bridge_link *link);

#endif
