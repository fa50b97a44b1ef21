/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sim/histogram.h"

/* The first power has one class for each microsecond; the next ones divide theirs in as many. */
static size_t class_of(uint64_t us)
{
    size_t shift = 0;
    while (us >> shift >= 2 * SIM_HISTOGRAM_STEPS)
        shift++;
    size_t power = us < SIM_HISTOGRAM_STEPS ? 0 : shift + 1;
    size_t step = us < SIM_HISTOGRAM_STEPS ? us : (us >> shift) - SIM_HISTOGRAM_STEPS;
    return power < SIM_HISTOGRAM_POWERS ? power * SIM_HISTOGRAM_STEPS + step
                                        : SIM_HISTOGRAM_POWERS * SIM_HISTOGRAM_STEPS - 1;
}

static uint64_t end_of(size_t i)
{
    size_t power = i / SIM_HISTOGRAM_STEPS, step = i % SIM_HISTOGRAM_STEPS;
    return power == 0 ? step : ((uint64_t)(SIM_HISTOGRAM_STEPS + step + 1) << (power - 1)) - 1;
}

void sim_histogram_add(struct sim_histogram *h, int64_t us)
{
    uint64_t v = us > 0 ? (uint64_t)us : 0;
    h->count++;
    h->classes[class_of(v)]++;
    if (v > h->max_us)
        h->max_us = v;
}

uint64_t sim_histogram_at(const struct sim_histogram *h, double share)
{
    uint64_t below = 0;
    for (size_t i = 0; i < ARRAY_LEN(h->classes); i++) {
        below += h->classes[i];
        if (below > 0 && (double)below >= share * (double)h->count)
            return i + 1 < ARRAY_LEN(h->classes) && end_of(i) < h->max_us ? end_of(i) : h->max_us;
    }
    return h->max_us;
}

void sim_histogram_write(const struct sim_histogram *h, const char *key, struct json_writer *w)
{
    json_open(w, key, '{');
    json_put_int(w, "count", (int64_t)h->count);
    json_put_int(w, "p50", (int64_t)sim_histogram_at(h, 0.5));
    json_put_int(w, "p90", (int64_t)sim_histogram_at(h, 0.9));
    json_put_int(w, "p99", (int64_t)sim_histogram_at(h, 0.99));
    json_put_int(w, "p999", (int64_t)sim_histogram_at(h, 0.999));
    json_put_int(w, "max", (int64_t)h->max_us);
    json_close(w, '}');
}
