/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The event loop: one wake-up time, a few watched descriptors, the links of bridge/link.h and the
 * fetches of bridge/fetch.h. The three are the door to libwebsockets; its types stay behind it.
 */
#ifndef BRIDGE_LOOP_H
#define BRIDGE_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define BRIDGE_LOOP_WATCHES 8

struct bridge_loop;

struct bridge_loop_config {
    bool tls;            /* wss:// and https:// are wanted: load the trust store */
    const char *ca_file; /* PEM; "" for the system's; borrowed until open returns */
    bool proxied;        /* libwebsockets dials through http_proxy, which resolves the names */
    void (*wake)(void *ctx);
    void *ctx;
};

/* 0 and an owned loop, or ERR_SYSTEM. */
int bridge_loop_open(struct bridge_loop **out, const struct bridge_loop_config *config,
                     struct err *err);
/* Closes what is still open without a word to the peer. Owners give links and fetches back before.
 */
void bridge_loop_close(struct bridge_loop *loop);

/* Calls ready(ctx) whenever fd is readable. fd stays the caller's and must live as long as the
 * loop. */
int bridge_loop_watch(struct bridge_loop *loop, int fd, void (*ready)(void *ctx), void *ctx,
                      struct err *err);
/* The wake callback is due at this monotonic time, after the events at hand; CLOCK_NEVER for not at
 * all. Replaces the time given before; a wake-up uses it up. */
void bridge_loop_wake_at(struct bridge_loop *loop, int64_t mono_ms);

/* Serves until bridge_loop_stop. */
void bridge_loop_run(struct bridge_loop *loop);
void bridge_loop_stop(struct bridge_loop *loop);
/* Serves until the last link has closed, at most so long. The wake callback is not called any more.
 */
void bridge_loop_drain(struct bridge_loop *loop, int64_t max_ms);

#endif
