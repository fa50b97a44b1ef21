/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/event.h"

#include "base/clock.h"
#include "base/err.h"

#define AT_ONCE_MAX 1000

void sim_events_add(struct sim_ring *events, const char *name, const char *device, struct bytes id,
                    const char *detail)
{
    struct sim_event *ev = sim_ring_next(events);

    ev->at_ms = clock_wall_ms();
    ev->name = name;
    bytes_copy_text(bytes_text(device), ev->device, sizeof ev->device);
    bytes_copy_text(id, ev->id, sizeof ev->id);
    bytes_copy_text(bytes_text(detail), ev->detail, sizeof ev->detail);
    ev->seq = events->last;
}

static void write_one(const struct sim_event *ev, struct json_writer *w)
{
    json_open(w, NULL, '{');
    json_put_int(w, "seq", ev->seq);
    json_put_int(w, "at", ev->at_ms);
    json_put_text(w, "event", ev->name);
    json_put_text(w, "device", ev->device);
    json_put_bytes(w, "id", bytes_text(ev->id));
    json_put_bytes(w, "detail", bytes_text(ev->detail));
    json_close(w, '}');
}

size_t sim_events_write(const struct sim_ring *events, int64_t after, struct json_writer *w)
{
    const struct sim_event *ev;
    int64_t last = after;
    size_t n = 0;

    json_open(w, NULL, '{');
    json_open(w, "events", '[');
    for (; n < AT_ONCE_MAX && (ev = sim_ring_after(events, last)) != NULL; n++) {
        write_one(ev, w);
        last = ev->seq;
    }
    json_close(w, ']');
    json_put_int(w, "next", last);
    json_close(w, '}');
    return n;
}
