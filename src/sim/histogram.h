/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A histogram of durations in a fixed space: 32 classes for each power of two, so 3 % wide at most.
 */
#ifndef SIM_HISTOGRAM_H
#define SIM_HISTOGRAM_H

#include "base/json.h"

#define SIM_HISTOGRAM_STEPS 32 /* classes of one power of two */
#define SIM_HISTOGRAM_POWERS                                                                       \
    32 /* up to 2^36 microseconds, 19 hours; what is longer counts as that */

struct sim_histogram {
    uint64_t count, max_us;
    uint32_t classes[SIM_HISTOGRAM_POWERS * SIM_HISTOGRAM_STEPS];
};

void sim_histogram_add(struct sim_histogram *h, int64_t us);
/* The upper end of the class that this share (0 to 1) of all lies in or below; 0 when empty. */
uint64_t sim_histogram_at(const struct sim_histogram *h, double share);
/* Writes {"count","p50","p90","p99","p999","max"}, in microseconds. */
void sim_histogram_write(const struct sim_histogram *h, const char *key, struct json_writer *w);

#endif
