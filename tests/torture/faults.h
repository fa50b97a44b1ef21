/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A library that is preloaded into the bridge and does harm at a chosen operation. The bridge
 * itself has no test seam. Everything is chosen by environment variables; unset means no harm:
 *
 *   FAULTS_DIRS   "dir:dir", real paths: files below them are watched
 *   FAULTS_OPS    the letters of enum faults_op that count (all)
 *   FAULTS_KILL   SIGKILL at the n-th operation, FAULTS_WHEN: before (default), torn (half of a
 *                 write is done) or after it
 *   FAULTS_CUT    "1": the kill is a power cut: what was not synced is dropped or torn
 *   FAULTS_KEEP   for FAULTS_CUT: an empty directory on the file system of FAULTS_DIRS, for what
 * was replaced or removed FAULTS_SEED   of everything that is drawn FAULTS_FAIL   errno number;
 * with FAULTS_AT the n-th operation fails so, with FAULTS_WHILE every one as long as that file
 * exists FAULTS_SLOW   milliseconds that every sync takes longer FAULTS_ALLOC  the n-th allocation
 * gives NULL FAULTS_COUNT  file that is given the counts of operations and allocations at exit
 */
#ifndef TORTURE_FAULTS_H
#define TORTURE_FAULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum faults_op {
    FAULTS_WRITE = 'w',
    FAULTS_SYNC = 's',
    FAULTS_RENAME = 'r',
    FAULTS_UNLINK = 'u',
    FAULTS_TRUNCATE = 't',
    FAULTS_CREATE = 'o',
    FAULTS_SEND = 'n', /* any socket */
};

#define FAULTS_PATH 4096

/* ---- faults.c: what happens at an operation -------------------------------------------------- */
/* Path of a descriptor, or of name in a directory; false when it is not watched. */
bool faults_path_of(int fd, char out[FAULTS_PATH]);
bool faults_path_at(int dir_fd, const char *name, char out[FAULTS_PATH]);
/* Call before a watched operation: kills, or returns 0, or the errno that it must fail with. torn
 * (may be NULL) is set when half of it shall be done before faults_after. */
int faults_before(enum faults_op op, bool *torn);
void faults_after(void);
uint64_t faults_random(uint64_t below);

/* ---- power.c: what a power cut takes away ---------------------------------------------------- */
void power_init(const char *dirs, const char *keep);
bool power_on(void);
/* Before a write or a change of length takes place; n bytes at, or the new length. */
void power_write(int fd, const void *data, size_t n, off_t at);
void power_truncate(int fd, off_t length);
/* A sync of a file or directory has returned. */
void power_synced(int fd, const char *path);
/* A name was made; is about to be replaced or removed (to is NULL). */
void power_created(const char *path);
void power_moving(const char *from, const char *to);
/* Brings the disk into a state that a cut at this instant may leave. */
void power_cut(void);

#endif
