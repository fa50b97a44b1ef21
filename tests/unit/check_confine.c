/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Forbidden things, tried from inside: each test forks, confines the child, and looks what it can
 * do. */
#define _GNU_SOURCE /* O_PATH, unshare */
#include "testing.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <netdb.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "bridge/confine.h"

static char volume[600], private_dir[600], config_dir[600], outside[600];

static void write_text(const char *dir, const char *name, const char *text)
{
    char path[700];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    ck_assert(f != NULL);
    fputs(text, f);
    fclose(f);
}

static void make_place(char out[600], const char *name)
{
    snprintf(out, 600, "%s/%s", testing_dir(), name);
    ck_assert_int_eq(mkdir(out, 0755), 0);
    write_text(out, "file", "text");
}

static void setup(void)
{
    make_place(volume, "volume");
    make_place(private_dir, "private");
    make_place(config_dir, "config");
    make_place(outside, "outside");
}

/* 0 when the thing was done, else errno. */
static int opens(const char *dir, const char *name, int flags)
{
    char path[700];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    int fd = open(path, flags, 0600);
    if (fd >= 0)
        close(fd);
    return fd >= 0 ? 0 : errno;
}

static int of(long rc)
{
    return rc >= 0 ? 0 : errno;
}

static int renames(const char *from_dir, const char *from, const char *to_dir, const char *to)
{
    char a[700], b[700];
    snprintf(a, sizeof(a), "%s/%s", from_dir, from);
    snprintf(b, sizeof(b), "%s/%s", to_dir, to);
    return of(rename(a, b));
}

static int connects(uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int why = of(fd < 0 ? fd : connect(fd, (struct sockaddr *)&a, sizeof(a)));
    close(fd);
    return why;
}

static int listens(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    int why = of(fd < 0 ? fd : bind(fd, (struct sockaddr *)&a, sizeof(a)));
    close(fd);
    return why;
}

static int maps(int prot, int flags, int fd)
{
    void *p = mmap(NULL, 4096, prot, flags, fd, 0);
    return p == MAP_FAILED ? errno : 0;
}

static int becomes_code(void)
{
    void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return of(mprotect(p, 4096, PROT_READ | PROT_EXEC));
}

/* In the child, where Check's messages do not arrive: a line on stderr, and the exit code counts.
 */
static int wrong;
static void want(const char *what, int want_errno, int got)
{
    if (got == want_errno)
        return;
    dprintf(STDERR_FILENO, "%s: wanted \"%s\", got \"%s\"\n", what, strerror(want_errno),
            strerror(got));
    wrong++;
}
#define WANT(e, expression) want(#expression, (e), (expression))

enum part { FILES = 1, CALLS = 2 };

static void confined(enum part parts, void (*tries)(void))
{
    struct bridge_confinement c = {
        .reads = {config_dir, "/no/such/path"}, .read_count = 2, .ports = {9}, .port_count = 1};
    int status;
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        c.volume_fd = open(volume, O_RDONLY | O_DIRECTORY);
        c.private_fd = open(private_dir, O_RDONLY | O_DIRECTORY);
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
            _exit(101);
        if ((parts & FILES) && bridge_landlock(&c) < 1)
            _exit(102);
        if ((parts & CALLS) && bridge_seccomp() != 0)
            _exit(103);
        tries();
        _exit(wrong);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFEXITED(status), "ended by signal %d", WTERMSIG(status));
    ck_assert_int_eq(WEXITSTATUS(status), 0);
}

static bool has_landlock(long version)
{
    return syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) >=
           version;
}

/* ---- files ---------------------------------------------------------------------------------- */

static void try_files(void)
{
    WANT(0, opens(volume, "file", O_RDWR));
    WANT(0, opens(volume, "new", O_WRONLY | O_CREAT | O_EXCL));
    WANT(0, opens(private_dir, "file", O_RDWR));
    WANT(0, renames(volume, "new", volume, "newer"));
    WANT(0, opens(config_dir, "file", O_RDONLY));
    WANT(EACCES, opens(config_dir, "file", O_WRONLY));
    WANT(EACCES, opens(config_dir, "new", O_WRONLY | O_CREAT));
    WANT(EACCES, opens(outside, "file", O_RDONLY));
    WANT(EACCES, opens(outside, "file", O_WRONLY));
    WANT(EACCES, opens(outside, "new", O_WRONLY | O_CREAT));
    WANT(EACCES, opens("/etc", "passwd", O_RDONLY));
    WANT(EACCES, opens("/proc", "1/environ", O_RDONLY));
    WANT(EACCES, opens("/dev", "null", O_WRONLY));
    WANT(EACCES, opens(outside, ".", O_RDONLY | O_DIRECTORY));
    WANT(EACCES, opens(volume, "link", O_RDONLY)); /* to outside/file */
    WANT(EACCES, opens(volume, "link", O_WRONLY | O_TRUNC));
    WANT(EACCES, renames(volume, "newer", outside, "moved"));
    WANT(EACCES, renames(outside, "file", volume, "stolen"));
    WANT(EACCES, of(execl("/bin/true", "true", NULL)));
    WANT(0, renames(volume, "link", volume, "claimed"));
    WANT(0, renames(volume, "fifo", volume, "claimed"));
}

START_TEST(test_landlock_files_only_at_work)
{
    char link[700], target[700];
    if (!has_landlock(2))
        return;
    setup();
    snprintf(link, sizeof(link), "%s/link", volume);
    snprintf(target, sizeof(target), "%s/file", outside);
    ck_assert_int_eq(symlink(target, link), 0);
    snprintf(link, sizeof(link), "%s/fifo", volume);
    ck_assert_int_eq(mkfifo(link, 0600), 0);
    confined(FILES, try_files);
}
END_TEST

static void try_network(void)
{
    WANT(ECONNREFUSED, connects(9));
    WANT(EACCES, connects(80));
    WANT(EACCES, listens());
}

START_TEST(test_landlock_network_only_named_ports_and_no_server)
{
    if (!has_landlock(4))
        return;
    setup();
    confined(FILES, try_network);
}
END_TEST

/* ---- calls ---------------------------------------------------------------------------------- */

static void *nothing(void *ctx)
{
    return ctx;
}

static void try_processes(void)
{
    pthread_t thread;
    char *argv[] = {NULL};
    WANT(ENOSYS, of(execve("/bin/true", argv, argv)));
    WANT(ENOSYS, of(syscall(SYS_execveat, AT_FDCWD, "/bin/true", argv, argv, 0)));
    WANT(ENOSYS, of(fork()));
    WANT(ENOSYS, of(vfork()));
    WANT(ENOSYS, of(syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL)));
    WANT(ENOSYS, of(syscall(SYS_clone3, NULL, 0)));
    WANT(0, pthread_create(&thread, NULL, nothing, NULL));
    WANT(0, pthread_join(thread, NULL));
    WANT(ENOSYS, of(kill(getppid(), 0)));
    WANT(ENOSYS, of(kill(-1, 0)));
    WANT(ENOSYS, of(syscall(SYS_tgkill, getppid(), getppid(), 0)));
    WANT(0, of(syscall(SYS_tgkill, getpid(), gettid(), 0)));
    WANT(ENOSYS, of(ptrace(PTRACE_TRACEME, 0, NULL, NULL)));
    WANT(ENOSYS, of(ptrace(PTRACE_ATTACH, getppid(), NULL, NULL)));
    WANT(ENOSYS, of(process_vm_readv(getppid(), NULL, 0, NULL, 0, 0)));
    WANT(ENOSYS, of(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)));
    WANT(ENOSYS, of(setuid(0)));
    WANT(ENOSYS, of(setgid(0)));
}

static void try_kernel(void)
{
    struct timeval tv = {0};
    struct rlimit_probe {
        uint64_t now, max;
    } limit = {0};
    WANT(ENOSYS, of(mount("none", volume, "tmpfs", 0, NULL)));
    WANT(ENOSYS, of(unshare(CLONE_NEWUSER)));
    WANT(ENOSYS, of(chroot(volume)));
    WANT(ENOSYS, of(chown(volume, 0, 0)));
    WANT(ENOSYS, of(chmod(volume, 0777)));
    WANT(ENOSYS, of(symlink("/etc/passwd", "link")));
    WANT(ENOSYS, of(link("/etc/passwd", "link")));
    WANT(ENOSYS, of(mkfifo("fifo", 0600)));
    WANT(ENOSYS, of(settimeofday(&tv, NULL)));
    WANT(ENOSYS, of(syscall(SYS_bpf, 0, NULL, 0)));
    WANT(ENOSYS, of(syscall(SYS_init_module, NULL, 0, "")));
    WANT(ENOSYS, of(syscall(SYS_perf_event_open, NULL, 0, 0, 0, 0)));
    WANT(ENOSYS, of(syscall(SYS_io_uring_setup, 1, NULL)));
    WANT(ENOSYS, of(syscall(SYS_memfd_create, "x", 0)));
    WANT(ENOSYS, of(syscall(SYS_keyctl, 0, 0, 0, 0, 0)));
    WANT(ENOSYS, of(syscall(SYS_open_by_handle_at, AT_FDCWD, NULL, 0)));
    WANT(ENOSYS, of(syscall(SYS_landlock_restrict_self, -1, 0)));
    WANT(0, of(syscall(SYS_prlimit64, 0, 4, NULL, &limit)));
    WANT(ENOSYS, of(syscall(SYS_prlimit64, 0, 4, &limit, NULL)));
}

static void try_sockets(void)
{
    int pair[2];
    WANT(0, of(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)));
    WANT(0, of(socket(AF_INET, SOCK_DGRAM, 0)));
    WANT(0, of(socket(AF_INET6, SOCK_STREAM, 0)));
    WANT(ENOSYS, of(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP)));
    WANT(ENOSYS, of(socket(AF_UNIX, SOCK_STREAM, 0)));
    WANT(ENOSYS, of(socket(AF_NETLINK, SOCK_RAW, 0)));
    WANT(ENOSYS, of(socket(AF_PACKET, SOCK_RAW, 0)));
    WANT(ENOSYS, of(socket(AF_VSOCK, SOCK_STREAM, 0)));
    WANT(ENOSYS, of(socket(AF_ALG, SOCK_SEQPACKET, 0)));
    WANT(ENOSYS, of(socketpair(AF_UNIX, SOCK_STREAM, 0, pair)));
    WANT(ENOSYS, listens());
    WANT(ENOSYS, of(listen(0, 1)));
    WANT(ENOSYS, of(accept(0, NULL, NULL)));
}

static void try_code(void)
{
    int lib = open("/proc/self/exe", O_RDONLY);
    WANT(0, maps(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1));
    WANT(ENOSYS, maps(PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1));
    WANT(ENOSYS, maps(PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1));
    WANT(ENOSYS, maps(PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE, lib));
    WANT(0, maps(PROT_READ | PROT_EXEC, MAP_PRIVATE, lib));
    WANT(ENOSYS, becomes_code());
}

/* A name is looked up as before, without the sockets that were taken away. */
static void try_resolver(void)
{
    struct addrinfo *found = NULL, hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    WANT(0, getaddrinfo("localhost", "80", &hints, &found));
}

START_TEST(test_seccomp_forbidden_calls_fail)
{
    static void (*const tries[])(void) = {try_processes, try_kernel, try_sockets, try_code,
                                          try_resolver};
    setup();
    confined(CALLS, tries[_i]);
}
END_TEST

START_TEST(test_seccomp_abort_still_aborts)
{
    int status;
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        if (bridge_seccomp() != 0)
            _exit(103);
        abort();
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFSIGNALED(status));
    ck_assert_int_eq(WTERMSIG(status), SIGABRT);
}
END_TEST

/* ---- all together --------------------------------------------------------------------------- */

START_TEST(test_confine_everything_is_on)
{
    int status;
    setup();
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        struct bridge_confinement c = {.volume_fd = open(volume, O_RDONLY | O_DIRECTORY),
                                       .private_fd = open(private_dir, O_RDONLY | O_DIRECTORY),
                                       .reads = {"/proc/self/status"},
                                       .read_count = 1};
        char text[8192];
        int proc = open("/proc/self/status", O_RDONLY);
        bridge_confine(&c);
        ssize_t n = pread(proc, text, sizeof(text) - 1, 0);
        text[n > 0 ? n : 0] = '\0';
        wrong += strstr(text, "NoNewPrivs:\t1") == NULL;
        wrong += strstr(text, "Seccomp:\t2") == NULL;
        wrong += of(fork()) != ENOSYS;
        wrong += has_landlock(1) && opens(outside, "file", O_RDONLY) != EACCES;
        _exit(wrong);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 0);
}
END_TEST

/* As on a kernel that does not know the call. */
static void forbid_landlock(void)
{
    struct sock_filter lines[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_landlock_create_ruleset, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {.len = ARRAY_LEN(lines), .filter = lines};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        _exit(104);
}

START_TEST(test_confine_kernel_without_landlock_says_so_and_goes_on)
{
    int status, log[2];
    char text[1024] = "";
    setup();
    ck_assert_int_eq(pipe(log), 0);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        struct bridge_confinement c = {.volume_fd = open(volume, O_RDONLY | O_DIRECTORY),
                                       .private_fd = open(private_dir, O_RDONLY | O_DIRECTORY)};
        forbid_landlock();
        dup2(log[1], STDERR_FILENO);
        bridge_confine(&c);
        _exit(of(fork()) != ENOSYS);
    }
    close(log[1]);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_gt(read(log[0], text, sizeof(text) - 1), 0);
    close(log[0]);
    ck_assert_msg(strstr(text, "confined_in_part") != NULL, "%s", text);
    ck_assert_msg(strstr(text, "\"landlock\":0,\"seccomp\":true") != NULL, "%s", text);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 0);
}
END_TEST

static int crash_confined(void)
{
    struct bridge_confinement c = {.volume_fd = open(volume, O_RDONLY | O_DIRECTORY),
                                   .private_fd = open(private_dir, O_RDONLY | O_DIRECTORY)};
    const struct rlimit any = {RLIM_INFINITY, RLIM_INFINITY};
    setrlimit(RLIMIT_CORE, &any);
    bridge_confine(&c);
    raise(SIGSEGV);
    return 0;
}

START_TEST(test_confine_crash_leaves_no_core)
{
    int status;
    setup();
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0)
        _exit(crash_confined());
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFSIGNALED(status));
    ck_assert(!WCOREDUMP(status));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("confine");
    TCase *tc = tcase_create("landlock");
    tcase_add_test(tc, test_landlock_files_only_at_work);
    tcase_add_test(tc, test_landlock_network_only_named_ports_and_no_server);
    suite_add_tcase(suite, tc);
    tc = tcase_create("seccomp");
    tcase_add_loop_test(tc, test_seccomp_forbidden_calls_fail, 0, 5);
    tcase_add_test(tc, test_seccomp_abort_still_aborts);
    suite_add_tcase(suite, tc);
    tc = tcase_create("confine");
    tcase_add_test(tc, test_confine_crash_leaves_no_core);
    tcase_add_test(tc, test_confine_everything_is_on);
    tcase_add_test(tc, test_confine_kernel_without_landlock_says_so_and_goes_on);
    suite_add_tcase(suite, tc);
    return testing_run(suite);
}
