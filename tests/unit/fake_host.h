/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A host in memory: records in a list, randomness from a script or a counter, faults on demand. */
#ifndef TESTS_FAKE_HOST_H
#define TESTS_FAKE_HOST_H

#include "wa/host.h"

struct fake_record;

struct fake_host {
    struct wa_host host; /* hand this out */
    struct fake_record *records;
    struct bytes script[16]; /* answers to the next draws, each exactly as long as asked for */
    size_t script_count, script_next;
    uint64_t counter; /* the source of draws without script */
    size_t gets, puts, dels;
    int fail_get, fail_put, fail_del; /* the how-manieth call from now fails; 0 = none */
    int64_t now_ms;
};

void fake_host_init(struct fake_host *h);
void fake_host_deinit(struct fake_host *h);
void fake_host_script(struct fake_host *h, struct bytes draw);
/* Fails the test unless the script was used up. */
void fake_host_script_done(struct fake_host *h, const char *what);
/* Everything that is stored, in a fixed order; owned by the caller (buf_deinit). */
void fake_host_dump(const struct fake_host *h, struct buf *out);
bool fake_host_has(const struct fake_host *h, enum wa_table table, const char *key);
size_t fake_host_count(const struct fake_host *h, enum wa_table table);
/* Hands over every record. */
void fake_host_each(const struct fake_host *h,
                    void (*take)(void *ctx, enum wa_table table, const char *key,
                                 struct bytes value),
                    void *ctx);
void fake_host_put(struct fake_host *h, enum wa_table table, const char *key, struct bytes value);

#endif
