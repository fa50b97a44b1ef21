/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A bridge and the simulator in one process, with a wire of memory between them, so that a workload
 * is the same sequence of instructions in every run: wire.c takes the place of bridge/loop.c,
 * bridge/link.c and sim/server.c (the linker prefers these to the members of the archives), still.c
 * and count.c stand in front of libc.
 */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#include <stdbool.h>
#include <stdint.h>

struct sim;

/* The simulator that the bridge will dial, and what runs in the place of its event loop. */
void wire_open(struct sim *sim, void (*script)(void));
/* Moves bytes and runs what is due, until nothing is due any more. */
void wire_settle(void);
/* The same, and lets time pass until the next timer whenever nothing is due, until reached() or for
 * this long. Whether it was reached. */
bool wire_until(bool (*reached)(void), int64_t max_ms);
/* Cuts the connection at the server's side. */
void wire_cut(void);

/* All that the bridge does after its start happens within these two, which are what callgrind and
 * count.c look at. */
void bench_bridge_wakes(void);
void bench_bridge_hears(const uint8_t *p, unsigned long n);

/* ---- still.c: time stands still but for this */
void still_pass(int64_t ms);

/* ---- count.c: what the process did while `counting` */
struct count {
    uint64_t syncs, writes, written_bytes, allocations, allocated_bytes;
    uint64_t moments; /* of the clock at which the bridge was awake */
};
extern bool counting;
void count_moment(int64_t now);
struct count count_take(void); /* since the last call */

#endif
