/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A volume of the process's own, for the targets that read what a portal left there. */
#ifndef TESTS_FUZZ_VOLUME_H
#define TESTS_FUZZ_VOLUME_H

#include "base/log.h"
#include "fuzz.h"
#include "volume/volume.h"

/* Opened once, in memory where the machine has such a directory. */
static inline struct volume *fuzz_volume(void)
{
    static struct volume v;
    static char shared[64], private[64];
    struct err err;
    if (shared[0])
        return &v;
    snprintf(shared, sizeof(shared), "%s/wabridge-fuzz-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    snprintf(private, sizeof(private), "%s", shared);
    fuzz_require(mkdtemp(shared) && mkdtemp(private));
    log_set_level(LOG_ERROR);
    fuzz_require(volume_open(&v, shared, private, &err) == 0);
    return &v;
}

/* A file as the portal writes it. A name that no file can have writes nothing. */
static inline void fuzz_leave(int dir_fd, const char *name, struct bytes content)
{
    int fd = openat(dir_fd, name, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd < 0)
        return;
    fuzz_require(write(fd, content.p, content.n) == (ssize_t)content.n);
    close(fd);
}

#endif
