/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Bytes as a file with a path, without a file system. */
#ifndef TESTS_FUZZ_FILE_H
#define TESTS_FUZZ_FILE_H

#define _GNU_SOURCE /* memfd_create */
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz.h"

/* Into path, which can be opened as long as the descriptor that is returned. */
static inline int fuzz_file(struct bytes text, char path[64])
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    fuzz_require(fd >= 0 && write(fd, text.p, text.n) == (ssize_t)text.n);
    snprintf(path, 64, "/proc/self/fd/%d", fd);
    return fd;
}

/* For config_load: nothing is set. */
static inline const char *fuzz_no_environment(const char *name)
{
    (void)name;
    return NULL;
}

#endif
