/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The control interface (docs/simulator.md): what a request does, apart from HTTP. */
#ifndef SIM_CONTROL_H
#define SIM_CONTROL_H

#include "sim/scan.h"

#define SIM_BODY_MAX (1u << 20)
#define SIM_ANSWER_MAX (32u << 20)

struct sim_request {
    struct sim *sim;
    char method[8], path[256], query[512]; /* query: "a=1&b=2", not decoded */
    struct buf body, answer;
    int status;          /* HTTP status of the answer */
    char arg[32];        /* what stands for * in the path */
    bool waiting;        /* ran before and had nothing to say yet */
    int64_t deadline_ms; /* monotonic: when a waiting request is answered as it is */
    struct sim_scan *scan;
};

void sim_request_init(struct sim_request *r, struct sim *s);
void sim_request_deinit(struct sim_request *r);
/* Runs it: true when answer and status are ready; false when it waits and wants to be run again
 * after the simulator's activity grew or the deadline came. */
bool sim_control(struct sim_request *r);
/* Appends the ready JSON. */
void sim_control_ready(struct sim *s, struct buf *out);

#endif
