/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which system calls: a seccomp filter, by libseccomp (this file is its door). */
#define _GNU_SOURCE /* CLONE_… */
#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/err.h"
#include "bridge/confine.h"

/* Calls with any arguments. What is not here cannot be done: programs, processes, signals
 * to others, tracing, mounts, namespaces, new owners by path, links, servers, modules, clocks. */
static const int calls[] = {
    /* Bytes of what is open: files, sockets, the log. */
    SCMP_SYS(read),
    SCMP_SYS(readv),
    SCMP_SYS(pread64),
    SCMP_SYS(write),
    SCMP_SYS(writev),
    SCMP_SYS(pwrite64),
    SCMP_SYS(lseek),
    SCMP_SYS(close),
    SCMP_SYS(fcntl),
    /* Memory; what may become code is decided below. */
    SCMP_SYS(brk),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    /* Publishing, claiming, databases: Landlock says where. */
    SCMP_SYS(open),
    SCMP_SYS(openat),
    SCMP_SYS(stat),
    SCMP_SYS(lstat),
    SCMP_SYS(fstat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(statx),
    SCMP_SYS(statfs),
    SCMP_SYS(fstatfs),
    SCMP_SYS(access),
    SCMP_SYS(faccessat),
    SCMP_SYS(faccessat2),
    SCMP_SYS(readlink),
    SCMP_SYS(readlinkat),
    SCMP_SYS(getcwd),
    SCMP_SYS(getdents64),
    SCMP_SYS(mkdir),
    SCMP_SYS(mkdirat),
    SCMP_SYS(rmdir),
    SCMP_SYS(unlink),
    SCMP_SYS(unlinkat),
    SCMP_SYS(rename),
    SCMP_SYS(renameat),
    SCMP_SYS(renameat2),
    SCMP_SYS(ftruncate),
    SCMP_SYS(fallocate),
    SCMP_SYS(fsync),
    SCMP_SYS(fdatasync),
    SCMP_SYS(fchmod),
    /* SQLite, as root: -wal and -shm get the owner of the database. */
    SCMP_SYS(fchown),
    /* Noticing: the control directory, signals, the loop. */
    SCMP_SYS(inotify_init1),
    SCMP_SYS(inotify_add_watch),
    SCMP_SYS(inotify_rm_watch),
    SCMP_SYS(signalfd4),
    SCMP_SYS(eventfd2),
    SCMP_SYS(pipe2),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(epoll_create1),
    SCMP_SYS(epoll_ctl),
    SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait),
    /* The link and the name server; families and types are decided below. */
    SCMP_SYS(connect),
    SCMP_SYS(sendto),
    SCMP_SYS(sendmsg),
    SCMP_SYS(sendmmsg),
    SCMP_SYS(recvfrom),
    SCMP_SYS(recvmsg),
    SCMP_SYS(recvmmsg),
    SCMP_SYS(shutdown),
    SCMP_SYS(getsockopt),
    SCMP_SYS(setsockopt),
    SCMP_SYS(getsockname),
    SCMP_SYS(getpeername),
    /* Time and randomness. */
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_getres),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(time),
    SCMP_SYS(nanosleep),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(getrandom),
    /* Who we are, what the machine has: libc's sorting, SQLite and the metrics ask. */
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(getppid),
    SCMP_SYS(getuid),
    SCMP_SYS(geteuid),
    SCMP_SYS(getgid),
    SCMP_SYS(getegid),
    SCMP_SYS(uname),
    SCMP_SYS(sysinfo),
    SCMP_SYS(getrusage),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(sched_yield),
    /* Locks of libc, what a thread says first, signal handlers, the end. */
    SCMP_SYS(futex),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(rseq),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
};

/* Calls of which some arguments are harmless: each line is allowed. */
struct rule {
    int call;
    unsigned count;
    struct scmp_arg_cmp args[2];
};

#define TYPE_MASK 0xf /* without SOCK_CLOEXEC and SOCK_NONBLOCK */
#define SOCKET(family, type)                                                                       \
    .call = SCMP_SYS(socket), .count = 2,                                                          \
    .args = {SCMP_A0_64(SCMP_CMP_EQ, (family), 0),                                                 \
             SCMP_A1_64(SCMP_CMP_MASKED_EQ, TYPE_MASK, (type))}
#define ONE(name, arg) .call = SCMP_SYS(name), .count = 1, .args = {arg}
/* A thread as pthread_create makes it, and no namespace with it; which argument has the flags
 * depends on the architecture (clone(2)). clone3 hides them from a filter; libc then takes clone.
 */
#define THREAD_FLAGS (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD)
#define NAMESPACE_FLAGS                                                                            \
    (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID |  \
     CLONE_NEWNET)
#ifdef __s390x__
#define CLONE_FLAGS_ARG SCMP_A1_64
#else
#define CLONE_FLAGS_ARG SCMP_A0_64
#endif
#define NOT_CODE SCMP_A2_64(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)

static int add_calls(scmp_filter_ctx filter)
{
    for (size_t i = 0; i < ARRAY_LEN(calls); i++)
        if (seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0) != 0)
            return -1;
    return 0;
}

static int add_rules(scmp_filter_ctx filter)
{
    const struct rule rules[] = {
        {SOCKET(AF_INET, SOCK_STREAM)},
        {SOCKET(AF_INET, SOCK_DGRAM)},
        {SOCKET(AF_INET6, SOCK_STREAM)},
        {SOCKET(AF_INET6, SOCK_DGRAM)},
        {ONE(ioctl, SCMP_A1_64(SCMP_CMP_EQ, FIONREAD, 0))},
        {ONE(ioctl, SCMP_A1_64(SCMP_CMP_EQ, FIONBIO, 0))},
        /* Memory does not become code, but a module of the resolver may be mapped from its file. */
        {ONE(mprotect, NOT_CODE)},
        {ONE(mmap, NOT_CODE)},
        {.call = SCMP_SYS(mmap),
         .count = 2,
         .args = {SCMP_A2_64(SCMP_CMP_MASKED_EQ, PROT_WRITE | PROT_EXEC, PROT_EXEC),
                  SCMP_A3_64(SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS, 0)}},
        /* the resolver's */
        {ONE(clone,
             CLONE_FLAGS_ARG(SCMP_CMP_MASKED_EQ, THREAD_FLAGS | NAMESPACE_FLAGS, THREAD_FLAGS))},
        /* abort */
        {ONE(tgkill, SCMP_A0_64(SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0))},
        /* asking, not setting */
        {ONE(prlimit64, SCMP_A2_64(SCMP_CMP_EQ, 0, 0))},
    };
    for (size_t i = 0; i < ARRAY_LEN(rules); i++)
        if (seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, rules[i].call, rules[i].count,
                                   rules[i].args) != 0)
            return -1;
    return 0;
}

/* ENOSYS: a newer libc that tries a newer call then takes the one that is listed. */
int bridge_seccomp(void)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
    bool on =
        filter && add_calls(filter) == 0 && add_rules(filter) == 0 && seccomp_load(filter) == 0;
    if (filter)
        seccomp_release(filter);
    return on ? 0 : ERR_UNSUPPORTED;
}
