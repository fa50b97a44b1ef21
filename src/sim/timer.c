/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/timer.h"

#include <stddef.h>

#include "base/clock.h"

void sim_timer_cancel(struct sim_timer *t)
{
    if (!t->at)
        return;
    *t->at = t->next;
    if (t->next)
        t->next->at = t->at;
    t->next = NULL;
    t->at = NULL;
}

void sim_timer_arm(struct sim_timers *ts, struct sim_timer *t, int64_t due_ms,
                   void (*fn)(void *arg), void *arg)
{
    struct sim_timer **at = &ts->first;

    sim_timer_cancel(t);
    while (*at && (*at)->due_ms <= due_ms)
        at = &(*at)->next;
    *t = (struct sim_timer){.next = *at, .at = at, .due_ms = due_ms, .fn = fn, .arg = arg};
    if (t->next)
        t->next->at = &t->next;
    *at = t;
}

int64_t sim_timers_next(const struct sim_timers *ts)
{
    return ts->first ? ts->first->due_ms : CLOCK_NEVER;
}

void sim_timers_run(struct sim_timers *ts, int64_t now_ms)
{
    struct sim_timers due = {.first = NULL};
    struct sim_timer **last = &ts->first;

    while (*last && (*last)->due_ms <= now_ms)
        last = &(*last)->next;
    if (last == &ts->first)
        return;
    due.first = ts->first;
    ts->first = *last;
    *last = NULL;
    if (ts->first)
        ts->first->at = &ts->first;
    due.first->at = &due.first;
    while (due.first) {
        struct sim_timer *t = due.first;

        sim_timer_cancel(t);
        t->fn(t->arg);
    }
}
