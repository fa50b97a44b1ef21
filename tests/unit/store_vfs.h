/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An SQLite VFS over the real one that counts syncs, fails on demand, and knows what a power cut
 * would leave of each file. It becomes the default VFS, so that the store uses it without knowing.
 */
#ifndef TESTS_STORE_VFS_H
#define TESTS_STORE_VFS_H

#include <stdbool.h>
#include <stddef.h>

struct store_vfs {
    unsigned long writes, syncs; /* so far */
    long fail_write, fail_sync;  /* the n-th from now fails; 0 never */
    int code;                    /* with this result */
    bool lasting;                /* and so does every one after it */
    int torn;                    /* so many sixteenths of the failing write reach the file */
    const char *watched;         /* directory whose syncs are remembered, or NULL */
    const char *image;           /* directory that gets a copy of each file at each of its syncs */
};
extern struct store_vfs store_vfs;

void store_vfs_install(void);
/* No faults from here on; counters at 0. */
void store_vfs_clear(void);
/* What is in the file (under watched) now is what was synced last: SQLite knew it by another name.
 */
void store_vfs_synced(const char *name);
/* Writes to directory `to` what a power cut now would leave of file name: of each sector either
 * what was synced last or what was written since. No -shm is left. */
void store_vfs_power_cut(const char *name, const char *to, unsigned *seed);

#endif
