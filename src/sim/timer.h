/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Timers of the simulator on the monotonic clock, kept sorted; the event loop asks for the first.
 */
#ifndef SIM_TIMER_H
#define SIM_TIMER_H

#include <stdint.h>

struct sim_timer {
    struct sim_timer *next, **at; /* at: the link that points here; NULL when not armed */
    int64_t due_ms;
    void (*fn)(void *arg);
    void *arg;
};

struct sim_timers {
    struct sim_timer *first;
};

/* Arms anew, also when it was armed. The timer is embedded in its owner, who cancels it. */
void sim_timer_arm(struct sim_timers *ts, struct sim_timer *t, int64_t due_ms,
                   void (*fn)(void *arg), void *arg);
void sim_timer_cancel(struct sim_timer *t);
/* When the first is due; CLOCK_NEVER. */
int64_t sim_timers_next(const struct sim_timers *ts);
/* Calls what is due at now_ms, each after it was disarmed; what they arm waits for the next call.
 */
void sim_timers_run(struct sim_timers *ts, int64_t now_ms);

#endif
