/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "wire.h"

#include <stdlib.h>

#include "base/clock.h"
#include "bridge/link.h"
#include "bridge/loop.h"
#include "sim/client.h"
#include "sim/server.h"

#define READ_MAX 16384 /* bytes that the bridge's socket gives at once, as in bridge/lws.h */

struct bridge_loop {
    void (*wake)(void *ctx);
    void *ctx;
    int64_t wake_at;
    bool stopped;
};

struct bridge_link {
    struct bridge_link_events events;
    struct buf out;
    bool opened;
};

static struct {
    struct sim *sim;
    void (*script)(void);
    struct bridge_loop loop;
    struct bridge_link *link;
    struct sim_client *client;
    bool hung_up; /* the simulator closed it */
} wire;

/* ---- bridge/loop.h -------------------------------------------------------------------------- */

int bridge_loop_open(struct bridge_loop **out, const struct bridge_loop_config *config,
                     struct err *err)
{
    (void)err;
    wire.loop =
        (struct bridge_loop){.wake = config->wake, .ctx = config->ctx, .wake_at = CLOCK_NEVER};
    *out = &wire.loop;
    return 0;
}

void bridge_loop_close(struct bridge_loop *loop)
{
    (void)loop;
}

/* Nobody touches the control directory here, or signals. */
int bridge_loop_watch(struct bridge_loop *loop, int fd, void (*ready)(void *ctx), void *ctx,
                      struct err *err)
{
    (void)loop;
    (void)fd;
    (void)ready;
    (void)ctx;
    (void)err;
    return 0;
}

void bridge_loop_wake_at(struct bridge_loop *loop, int64_t mono_ms)
{
    loop->wake_at = mono_ms;
}

void bridge_loop_run(struct bridge_loop *loop)
{
    (void)loop;
    wire.script();
}

void bridge_loop_stop(struct bridge_loop *loop)
{
    loop->stopped = true;
}

void bridge_loop_drain(struct bridge_loop *loop, int64_t max_ms)
{
    (void)loop;
    (void)max_ms;
}

/* ---- bridge/link.h -------------------------------------------------------------------------- */

struct bridge_link *bridge_link_dial(struct bridge_loop *loop, const char *endpoint,
                                     const struct bridge_link_events *events, struct err *err)
{
    (void)loop;
    (void)endpoint;
    (void)err;
    wire.link = err_calloc(1, sizeof(*wire.link));
    wire.link->events = *events;
    buf_init(&wire.link->out, BRIDGE_LINK_OUT_MAX);
    return wire.link;
}

enum bridge_link_stage bridge_link_stage(const struct bridge_link *link)
{
    (void)link;
    return BRIDGE_LINK_OPEN;
}

int bridge_link_port(const char *endpoint)
{
    (void)endpoint;
    return 1;
}

bool bridge_link_is_sending(const struct bridge_link *link)
{
    return link->out.n > 0;
}

void bridge_link_rest(struct bridge_link *link)
{
    (void)link;
}

int bridge_link_send(struct bridge_link *link, struct buf *data)
{
    int rc = buf_append(&link->out, buf_bytes(data));
    buf_clear(data);
    return rc;
}

void bridge_link_abort(struct bridge_link *link)
{
    if (!link)
        return;
    if (link == wire.link)
        wire.link = NULL;
    buf_deinit(&link->out);
    free(link);
    wire.hung_up = true; /* for the simulator's side */
}

void bridge_link_close(struct bridge_link *link)
{
    bridge_link_abort(link);
}

/* ---- sim/server.h --------------------------------------------------------------------------- */

void sim_link_want_write(void *link)
{
    (void)link;
}

void sim_link_close(void *link)
{
    (void)link;
    wire.hung_up = true;
}

void sim_link_freeze(void *link)
{
    (void)link;
}

/* ---- the two sides -------------------------------------------------------------------------- */

__attribute__((noinline)) void bench_bridge_wakes(void)
{
    count_moment(clock_mono_ms());
    counting = true;
    wire.loop.wake(wire.loop.ctx);
    counting = false;
}

__attribute__((noinline)) void bench_bridge_hears(const uint8_t *p, unsigned long n)
{
    count_moment(clock_mono_ms());
    counting = true;
    wire.link->events.received(wire.link->events.ctx, BYTES(p, n));
    counting = false;
}

__attribute__((noinline)) static void bench_bridge_has_sent(void)
{
    counting = true;
    wire.link->events.sent(wire.link->events.ctx);
    counting = false;
}

static bool connect_sides(void)
{
    if (!wire.link || wire.link->opened)
        return false;
    wire.link->opened = true;
    wire.hung_up = false;
    wire.client = sim_client_open(wire.sim, &wire);
    wire.link->events.opened(wire.link->events.ctx);
    return true;
}

static bool disconnect_sides(void)
{
    struct bridge_link *link = wire.link;
    if (!wire.client || (!wire.hung_up && wire.client->phase != SIM_PHASE_CLOSING))
        return false;
    if (!wire.hung_up && wire.client->out.n > 0)
        return false;
    sim_client_free(wire.client);
    wire.client = NULL;
    wire.link = NULL;
    if (link) {
        link->events.closed(link->events.ctx, BRIDGE_LINK_OPEN, "closed by the server");
        buf_deinit(&link->out);
        free(link);
    }
    return true;
}

static bool wake(void)
{
    if (wire.loop.wake_at > clock_mono_ms() || wire.loop.stopped)
        return false;
    wire.loop.wake_at = CLOCK_NEVER;
    bench_bridge_wakes();
    return true;
}

static bool to_server(void)
{
    if (!wire.client || !wire.link || wire.link->out.n == 0)
        return false;
    sim_client_received(wire.client, buf_bytes(&wire.link->out));
    if (wire.link) {
        buf_clear(&wire.link->out);
        bench_bridge_has_sent();
    }
    return true;
}

static bool to_bridge(void)
{
    uint8_t piece[READ_MAX];
    struct buf *out = wire.client ? &wire.client->out : NULL;
    size_t n = out && out->n < READ_MAX ? out->n : READ_MAX;
    if (!out || !wire.link || out->n == 0)
        return false;
    memcpy(piece, out->p, n);
    buf_drop_front(out, n);
    sim_client_drained(wire.client);
    bench_bridge_hears(piece, n);
    return true;
}

static bool run_timers(void)
{
    if (sim_timers_next(&wire.sim->timers) > clock_mono_ms())
        return false;
    sim_timers_run(&wire.sim->timers, clock_mono_ms());
    return true;
}

/* ---- the script's ---------------------------------------------------------------------------- */

void wire_open(struct sim *sim, void (*script)(void))
{
    wire.sim = sim;
    wire.script = script;
}

void wire_settle(void)
{
    while (wake() || connect_sides() || to_server() || to_bridge() || run_timers() ||
           disconnect_sides())
        continue;
}

bool wire_until(bool (*reached)(void), int64_t max_ms)
{
    int64_t end = clock_mono_ms() + max_ms;
    for (;;) {
        wire_settle();
        int64_t now = clock_mono_ms(), next = sim_timers_next(&wire.sim->timers);
        if (reached())
            return true;
        if (wire.loop.wake_at < next)
            next = wire.loop.wake_at;
        if (next > end)
            return false;
        still_pass(next - now);
    }
}

void wire_cut(void)
{
    sim_client_kill(wire.client, "cut");
    wire_settle();
}
