/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Stands in front of libc's allocations, writes and syncs, for the program and for every library it
 * uses, and counts them.
 */
#define _GNU_SOURCE
#include "wire.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

/* The names that glibc keeps for those who stand in front. */
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t count, size_t n);
void *__libc_realloc(void *p, size_t n);

bool counting;
static struct count counted;

struct count count_take(void)
{
    struct count taken = counted;
    counted = (struct count){0};
    return taken;
}

void count_moment(int64_t now)
{
    static int64_t last = -1;
    counted.moments += now != last;
    last = now;
}

static void allocated(size_t n)
{
    if (!counting)
        return;
    counted.allocations++;
    counted.allocated_bytes += n;
}

void *malloc(size_t n)
{
    allocated(n);
    return __libc_malloc(n);
}

void *calloc(size_t count, size_t n)
{
    allocated(count * n);
    return __libc_calloc(count, n);
}

void *realloc(void *p, size_t n)
{
    allocated(n);
    return __libc_realloc(p, n);
}

static ssize_t written(ssize_t n)
{
    if (counting && n > 0) {
        counted.writes++;
        counted.written_bytes += (uint64_t)n;
    }
    return n;
}

/* The real function of this name, looked up once. */
#define REAL(type, name, ...)                                                                      \
    static type (*real)(__VA_ARGS__);                                                              \
    if (!real)                                                                                     \
    real = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

ssize_t write(int fd, const void *p, size_t n)
{
    REAL(ssize_t, "write", int, const void *, size_t);
    return written(real(fd, p, n));
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
    REAL(ssize_t, "pwrite", int, const void *, size_t, off_t);
    return written(real(fd, p, n, at));
}

ssize_t pwrite64(int fd, const void *p, size_t n, off64_t at)
{
    REAL(ssize_t, "pwrite64", int, const void *, size_t, off64_t);
    return written(real(fd, p, n, at));
}

/* Not handed on: what a sync costs is the disk's, not the program's. */
int fsync(int fd)
{
    (void)fd;
    counted.syncs += counting;
    return 0;
}

int fdatasync(int fd)
{
    return fsync(fd);
}
