/* SPDX-License-Identifier: GPL-3.0-or-later */
#define _GNU_SOURCE
#include "faults.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

static struct {
    bool ready, killing_after;
    const char *dirs, *ops, *when, *lasting, *count_file;
    uint64_t kill_at, fail_at, alloc_at, slow_ms, seed;
    int fail;
    bool cut;
    uint64_t operations, allocations;
} faults;

static uint64_t number(const char *name)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : 0;
}

static const char *text(const char *name, const char *otherwise)
{
    const char *value = getenv(name);
    return value ? value : otherwise;
}

__attribute__((constructor)) static void init(void)
{
    faults.dirs = text("FAULTS_DIRS", "");
    faults.ops = text("FAULTS_OPS", "wsrution");
    faults.when = text("FAULTS_WHEN", "before");
    faults.lasting = text("FAULTS_WHILE", NULL);
    faults.count_file = text("FAULTS_COUNT", NULL);
    faults.kill_at = number("FAULTS_KILL");
    faults.fail_at = number("FAULTS_AT");
    faults.fail = (int)number("FAULTS_FAIL");
    faults.slow_ms = number("FAULTS_SLOW");
    faults.seed = number("FAULTS_SEED") * 2 + 1;
    faults.cut = number("FAULTS_CUT") == 1;
    if (faults.cut)
        power_init(faults.dirs, text("FAULTS_KEEP", ""));
    unsetenv("LD_PRELOAD");
    faults.alloc_at = number("FAULTS_ALLOC");
    faults.allocations = 0;
    faults.ready = true;
}

__attribute__((destructor)) static void fini(void)
{
    faults.ready = false;
    FILE *f = faults.count_file ? fopen(faults.count_file, "w") : NULL;
    if (!f)
        return;
    fprintf(f, "%llu %llu\n", (unsigned long long)faults.operations,
            (unsigned long long)faults.allocations);
    fclose(f);
}

/* splitmix64 */
uint64_t faults_random(uint64_t below)
{
    uint64_t z = faults.seed += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return below ? (z ^ (z >> 31)) % below : 0;
}

/* ---- which files ------------------------------------------------------------------------------
 */

static bool watched(const char *path)
{
    for (const char *at = faults.dirs; *at;) {
        size_t n = strcspn(at, ":");
        if (n && strncmp(path, at, n) == 0 && (path[n] == '/' || path[n] == '\0'))
            return true;
        at += n + (at[n] == ':');
    }
    return false;
}

bool faults_path_of(int fd, char out[FAULTS_PATH])
{
    char link[64];
    int saved = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = faults.ready ? readlink(link, out, FAULTS_PATH - 1) : -1;
    errno = saved;
    if (n <= 0)
        return false;
    out[n] = '\0';
    return watched(out);
}

bool faults_path_at(int dir_fd, const char *name, char out[FAULTS_PATH])
{
    if (!faults.ready)
        return false;
    if (name[0] == '/') {
        snprintf(out, FAULTS_PATH, "%s", name);
        return watched(out);
    }
    if (dir_fd == AT_FDCWD || !faults_path_of(dir_fd, out))
        return false;
    size_t n = strlen(out);
    snprintf(out + n, FAULTS_PATH - n, "/%s", name);
    return true;
}

/* ---- an operation ------------------------------------------------------------------------------
 */

static _Noreturn void die(void)
{
    faults.ready = false; /* what the cut does is no operation */
    if (faults.cut)
        power_cut();
    for (;;)
        kill(getpid(), SIGKILL);
}

int faults_before(enum faults_op op, bool *torn)
{
    if (torn)
        *torn = false;
    if (op == FAULTS_SYNC && faults.slow_ms) {
        struct timespec t = {(time_t)(faults.slow_ms / 1000),
                             (long)(faults.slow_ms % 1000) * 1000000};
        nanosleep(&t, NULL);
    }
    if (!strchr(faults.ops, op))
        return 0;
    uint64_t n = ++faults.operations;
    if (n == faults.kill_at) {
        faults.killing_after = true;
        if (strcmp(faults.when, "before") == 0)
            die();
        if (torn)
            *torn = strcmp(faults.when, "torn") == 0;
    }
    bool lasting = faults.lasting && access(faults.lasting, F_OK) == 0;
    return faults.fail && (lasting || n == faults.fail_at) ? faults.fail : 0;
}

void faults_after(void)
{
    if (faults.killing_after)
        die();
}

/* ---- calls that are taken over ------------------------------------------------------------------
 */

#define REAL(name) ((__typeof__(&name))real(#name))

static void *real(const char *name)
{
    void *p = dlsym(RTLD_NEXT, name);
    if (!p)
        abort();
    return p;
}

/* Evaluates to the result of `call`, unless the operation must fail. */
#define OPERATION(op, call)                                                                        \
    __extension__({                                                                                \
        int why_ = faults_before((op), NULL);                                                      \
        __typeof__(call) result_ = -1;                                                             \
        if (why_)                                                                                  \
            errno = why_;                                                                          \
        else                                                                                       \
            result_ = (call);                                                                      \
        int saved_ = errno;                                                                        \
        faults_after();                                                                            \
        errno = saved_;                                                                            \
        result_;                                                                                   \
    })

static ssize_t write_at(int fd, const void *data, size_t n, off_t at, bool positioned)
{
    char path[FAULTS_PATH];
    if (!faults_path_of(fd, path))
        return positioned ? REAL(pwrite)(fd, data, n, at) : REAL(write)(fd, data, n);
    bool torn;
    int why = faults_before(FAULTS_WRITE, &torn);
    if (why) {
        errno = why;
        return -1;
    }
    if (torn && n > 1)
        n /= 2;
    if (power_on())
        power_write(fd, data, n, positioned ? at : lseek(fd, 0, SEEK_CUR));
    ssize_t done = positioned ? REAL(pwrite)(fd, data, n, at) : REAL(write)(fd, data, n);
    faults_after();
    return done;
}

ssize_t write(int fd, const void *data, size_t n)
{
    return write_at(fd, data, n, 0, false);
}

ssize_t pwrite(int fd, const void *data, size_t n, off_t at)
{
    return write_at(fd, data, n, at, true);
}

ssize_t pwrite64(int fd, const void *data, size_t n, off64_t at)
{
    return write_at(fd, data, n, at, true);
}

static int sync_file(int fd, int (*sync)(int))
{
    char path[FAULTS_PATH];
    if (!faults_path_of(fd, path))
        return sync(fd);
    int rc = OPERATION(FAULTS_SYNC, __extension__({
                           int done_ = sync(fd);
                           if (done_ == 0 && power_on())
                               power_synced(fd, path);
                           done_;
                       }));
    return rc;
}

int fsync(int fd)
{
    return sync_file(fd, REAL(fsync));
}

int fdatasync(int fd)
{
    return sync_file(fd, REAL(fdatasync));
}

/* The modelled file system promises no order of its own. */
int fstatfs(int fd, struct statfs *out)
{
    int rc = REAL(fstatfs)(fd, out);
    if (rc == 0 && power_on())
        out->f_type = 0;
    return rc;
}

int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
    char a[FAULTS_PATH], b[FAULTS_PATH];
    if (!faults_path_at(from_fd, from, a) || !faults_path_at(to_fd, to, b))
        return REAL(renameat)(from_fd, from, to_fd, to);
    return OPERATION(FAULTS_RENAME, __extension__({
                         if (power_on())
                             power_moving(a, b);
                         REAL(renameat)(from_fd, from, to_fd, to);
                     }));
}

int rename(const char *from, const char *to)
{
    return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

int unlinkat(int dir_fd, const char *name, int flags)
{
    char path[FAULTS_PATH];
    if (!faults_path_at(dir_fd, name, path))
        return REAL(unlinkat)(dir_fd, name, flags);
    return OPERATION(FAULTS_UNLINK, __extension__({
                         if (power_on())
                             power_moving(path, NULL);
                         REAL(unlinkat)(dir_fd, name, flags);
                     }));
}

int unlink(const char *name)
{
    return unlinkat(AT_FDCWD, name, 0);
}

int ftruncate(int fd, off_t length)
{
    char path[FAULTS_PATH];
    if (!faults_path_of(fd, path))
        return REAL(ftruncate)(fd, length);
    return OPERATION(FAULTS_TRUNCATE, __extension__({
                         if (power_on())
                             power_truncate(fd, length);
                         REAL(ftruncate)(fd, length);
                     }));
}

int ftruncate64(int fd, off64_t length)
{
    return ftruncate(fd, length);
}

int openat(int dir_fd, const char *name, int flags, ...)
{
    char path[FAULTS_PATH];
    va_list ap;
    va_start(ap, flags);
    mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(ap, mode_t) : 0;
    va_end(ap);
    bool makes = (flags & O_CREAT) && faults_path_at(dir_fd, name, path) && access(path, F_OK) != 0;
    if (!makes)
        return REAL(openat)(dir_fd, name, flags, mode);
    return OPERATION(FAULTS_CREATE, __extension__({
                         int fd_ = REAL(openat)(dir_fd, name, flags, mode);
                         if (fd_ >= 0 && power_on())
                             power_created(path);
                         fd_;
                     }));
}

int open(const char *name, int flags, ...)
{
    va_list ap;
    va_start(ap, flags);
    mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(ap, mode_t) : 0;
    va_end(ap);
    return openat(AT_FDCWD, name, flags, mode);
}

int open64(const char *name, int flags, ...)
{
    va_list ap;
    va_start(ap, flags);
    mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(ap, mode_t) : 0;
    va_end(ap);
    return openat(AT_FDCWD, name, flags | O_LARGEFILE, mode);
}

ssize_t send(int fd, const void *data, size_t n, int flags)
{
    if (!faults.ready || faults.fail)
        return REAL(send)(fd, data, n, flags);
    return OPERATION(FAULTS_SEND, REAL(send)(fd, data, n, flags));
}

/* ---- memory
 * -------------------------------------------------------------------------------------- */

void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);

static bool no_memory(void)
{
    if (!faults.ready || ++faults.allocations != faults.alloc_at)
        return false;
    errno = ENOMEM;
    return true;
}

void *malloc(size_t n)
{
    return no_memory() ? NULL : __libc_malloc(n);
}

void *calloc(size_t count, size_t n)
{
    return no_memory() ? NULL : __libc_calloc(count, n);
}

void *realloc(void *p, size_t n)
{
    return no_memory() ? NULL : __libc_realloc(p, n);
}
