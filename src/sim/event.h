/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What happened, numbered, for tests to wait on: a ring of the last SIM_EVENTS_KEPT. */
#ifndef SIM_EVENT_H
#define SIM_EVENT_H

#include "base/json.h"
#include "sim/ring.h"

#define SIM_EVENTS_KEPT 65536

struct sim_event {
    int64_t seq, at_ms;
    const char *name; /* static */
    char device[96];  /* JID text; "" when there is none */
    char id[64];      /* of the message or stanza; "" */
    char detail[96];
};

/* id and detail may be cut; device, id and detail may be NULL. */
void sim_events_add(struct sim_ring *events, const char *name, const char *device, struct bytes id,
                    const char *detail);
/* Writes {"events":[…],"next":SEQ} with what came after a sequence number, at most 1000; returns
 * how many. */
size_t sim_events_write(const struct sim_ring *events, int64_t after, struct json_writer *w);

#endif
