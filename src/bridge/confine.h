/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The process gives up what it does not need, once everything is open: no new privileges, no core
 * dump, files only where its work is (Landlock), only the calls of the loop (seccomp). What the
 * kernel or a container does not offer is said in the log and gone without. docs/security.md has
 * the tables for the operator.
 */
#ifndef BRIDGE_CONFINE_H
#define BRIDGE_CONFINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BRIDGE_CONFINE_READS 32
#define BRIDGE_CONFINE_PORTS 4

struct bridge_confinement {
    int volume_fd, private_fd; /* directories: files beneath are read, written, made, removed */
    const char *reads[BRIDGE_CONFINE_READS]; /* files or directories, read with what is beneath */
    size_t read_count;
    uint16_t ports[BRIDGE_CONFINE_PORTS]; /* TCP ports that may be connected to; none: any */
    size_t port_count;
};

/* All of it, for the rest of the life of the process; logs what is on. Nothing can undo it. */
void bridge_confine(const struct bridge_confinement *c);

/* The parts. Both need PR_SET_NO_NEW_PRIVS. landlock: the version of the kernel's interface that is
 * enforced, from 1, or ERR_UNSUPPORTED. Paths that do not exist are left out. */
int bridge_landlock(const struct bridge_confinement *c);
/* 0, or ERR_UNSUPPORTED. Unlisted calls fail with ENOSYS from then on. */
int bridge_seccomp(void);

#endif
