/* SPDX-License-Identifier: GPL-3.0-or-later */
#define _GNU_SOURCE /* unshare */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <linux/magic.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "testing.h"
#include "volume/control.h"
#include "volume/passkey.h"
#include "volume/qr.h"
#include "volume/state.h"
#include "volume/volume.h"

#define NOBODY 65534

/* ---- a volume to work in -----------------------------------------------------------------------
 */

static const char *base;
static char shared[64], secret[64];
static struct volume v;
static struct err err;

static void setup_paths(void)
{
    log_set_level(LOG_ERROR);
    base = testing_dir();
    snprintf(shared, sizeof(shared), "%s/volume", base);
    snprintf(secret, sizeof(secret), "%s/private", base);
}

static void setup_volume(void)
{
    setup_paths();
    int rc = volume_open(&v, shared, secret, &err);
    ck_assert_msg(rc == 0, "%s", err.text);
}

static void teardown_volume(void)
{
    volume_close(&v);
}

static const char *under(const char *dir, const char *name)
{
    static struct arena kept;
    return arena_text(&kept, "%s/%s", dir, name);
}

static const char *control(const char *name)
{
    return under(under(shared, "control"), name);
}

static unsigned mode_of(const char *path)
{
    struct stat st;
    ck_assert_msg(lstat(path, &st) == 0, "%s is missing", path);
    return (unsigned)st.st_mode & 07777u;
}

static bool exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    ck_assert_msg(fd >= 0, "%s: %s", path, strerror(errno));
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static char *read_file(const char *path, size_t *size)
{
    static char out[1 << 20];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ck_assert_msg(fd >= 0, "%s: %s", path, strerror(errno));
    size_t n = 0;
    ssize_t got;
    while ((got = read(fd, out + n, sizeof(out) - 1 - n)) > 0)
        n += (size_t)got;
    close(fd);
    out[n] = '\0';
    if (size)
        *size = n;
    return out;
}

static int count_entries(const char *path, const char *substring)
{
    char command[700];
    int n = -1;
    snprintf(command, sizeof(command), "ls -A '%s' | grep -c -e '%s'", path, substring);
    FILE *f = popen(command, "r");
    ck_assert(f != NULL && fscanf(f, "%d", &n) == 1);
    pclose(f);
    return n;
}

/* Runs fn in a child as an ordinary user; its result (0 to 255). -1 when that user cannot be taken.
 */
static int as_nobody(int (*fn)(void))
{
    if (geteuid() != 0)
        return -1;
    chmod(base, 0755);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        if (setgroups(0, NULL) != 0 || setresgid(NOBODY, NOBODY, NOBODY) != 0 ||
            setresuid(NOBODY, NOBODY, NOBODY) != 0)
            _exit(255);
        _exit(fn());
    }
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status));
    return WEXITSTATUS(status) == 255 ? -1 : WEXITSTATUS(status);
}

/* ---- the order of system calls, and their faults (linker --wrap) -------------------------------
 */

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_fstatfs(int fd, struct statfs *out);
int __wrap_fstatfs(int fd, struct statfs *out);
int __real_renameat(int from_fd, const char *from, int to_fd, const char *to);
int __wrap_renameat(int from_fd, const char *from, int to_fd, const char *to);

static char calls[64]; /* f: fsync of a file, d: of a directory, r: rename */
static int file_fault, directory_fault;
static unsigned file_system; /* what the kernel says it is */

int __wrap_fstatfs(int fd, struct statfs *out)
{
    int rc = __real_fstatfs(fd, out);
    out->f_type = (__fsword_t)file_system;
    return rc;
}

int __wrap_fsync(int fd)
{
    struct stat st;
    bool directory = fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
    int fault = directory ? directory_fault : file_fault;
    if (strlen(calls) < sizeof(calls) - 1)
        strcat(calls, directory ? "d" : "f");
    errno = fault;
    return fault ? -1 : __real_fsync(fd);
}

int __wrap_renameat(int from_fd, const char *from, int to_fd, const char *to)
{
    if (strlen(calls) < sizeof(calls) - 1)
        strcat(calls, "r");
    return __real_renameat(from_fd, from, to_fd, to);
}

/* ---- volume_open -------------------------------------------------------------------------------
 */

START_TEST(test_open_fresh_makes_tree_with_modes)
{
    umask(077);
    ck_assert_int_eq(volume_open(&v, shared, secret, &err), 0);
    ck_assert_uint_eq(mode_of(shared), 02750);
    ck_assert_uint_eq(mode_of(under(shared, "control")), 02770);
    ck_assert_uint_eq(mode_of(control("ack")), 02750);
    ck_assert_uint_eq(mode_of(under(shared, "outbox/new")), 02770);
    ck_assert_uint_eq(mode_of(under(shared, "outbox/done")), 02750);
    ck_assert_uint_eq(mode_of(under(shared, "outbox/failed")), 02750);
    ck_assert_uint_eq(mode_of(under(shared, "logs")), 02750);
    ck_assert_uint_eq(mode_of(secret), 0700);
    ck_assert_uint_eq(mode_of(under(secret, "lock")), 0600);
    ck_assert_int_eq(count_entries(shared, "^[.]"), 0);
    char path[1024];
    volume_file(&v, "messages.db", path);
    ck_assert_str_eq(path, under(shared, "messages.db"));
    volume_private_file(&v, "keys.db", path);
    ck_assert_str_eq(path, under(secret, "keys.db"));
    volume_close(&v);
}
END_TEST

START_TEST(test_open_existing_keeps_wider_mode_and_adds_what_is_missing)
{
    mkdir(shared, 0755);
    mkdir(under(shared, "control"), 0755);
    chmod(shared, 0755);
    ck_assert_int_eq(volume_open(&v, shared, secret, &err), 0);
    ck_assert_uint_eq(mode_of(shared), 02755);
    ck_assert_uint_eq(mode_of(under(shared, "control")), 02775);
    volume_close(&v);
}
END_TEST

START_TEST(test_open_held_volume_is_locked_and_names_pid)
{
    struct volume second;
    char pid[32];
    setup_volume();
    ck_assert_int_eq(volume_open(&second, shared, secret, &err), ERR_LOCKED);
    snprintf(pid, sizeof(pid), "process %d", getpid());
    ck_assert_ptr_nonnull(strstr(err.text, pid));
    ck_assert_ptr_nonnull(strstr(err.text, under(secret, "lock")));
    volume_close(&v);
    ck_assert_int_eq(volume_open(&second, shared, secret, &err), 0);
    volume_close(&second);
}
END_TEST

START_TEST(test_open_after_holder_was_killed_succeeds)
{
    int ready[2];
    char byte;
    ck_assert_int_eq(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        if (volume_open(&v, shared, secret, NULL) == 0 && write(ready[1], "x", 1) == 1)
            pause();
        _exit(1);
    }
    ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    ck_assert_int_eq(volume_open(&v, shared, secret, &err), ERR_LOCKED);
    kill(pid, SIGKILL);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    ck_assert_int_eq(volume_open(&v, shared, secret, &err), 0);
    volume_close(&v);
}
END_TEST

START_TEST(test_open_private_open_to_others_is_tightened)
{
    mkdir(secret, 0755);
    chmod(secret, 02755);
    ck_assert_int_eq(volume_open(&v, shared, secret, &err), 0);
    ck_assert_uint_eq(mode_of(secret), 0700);
    volume_close(&v);
}
END_TEST

START_TEST(test_open_private_of_other_owner_is_refused)
{
    mkdir(secret, 0777);
    if (chown(secret, 1234, 1234) != 0)
        return;
    ck_assert_int_eq(volume_open(&v, shared, secret, &err), ERR_SYSTEM);
    ck_assert_ptr_nonnull(strstr(err.text, "owner 1234:1234"));
    ck_assert_ptr_nonnull(strstr(err.text, "chown 0:"));
    ck_assert(!exists(shared));
}
END_TEST

START_TEST(test_open_same_directory_twice_is_refused_and_untouched)
{
    mkdir(shared, 0750);
    chmod(shared, 0755);
    ck_assert_int_eq(volume_open(&v, shared, shared, &err), ERR_SYSTEM);
    ck_assert_uint_eq(mode_of(shared), 0755);
    ck_assert_int_eq(symlink(shared, secret), 0);
    ck_assert_int_eq(volume_open(&v, shared, secret, &err), ERR_SYSTEM);
    ck_assert_uint_eq(mode_of(shared), 0755);
}
END_TEST

START_TEST(test_open_missing_parent_names_mkdir)
{
    ck_assert_int_eq(volume_open(&v, under(base, "a/b"), secret, &err), ERR_SYSTEM);
    ck_assert_ptr_nonnull(strstr(err.text, "mkdir -p"));
    ck_assert_int_eq(volume_open(&v, "", secret, &err), ERR_SYSTEM);
}
END_TEST

START_TEST(test_open_control_is_link_is_refused)
{
    mkdir(shared, 0750);
    mkdir(under(base, "elsewhere"), 0777);
    ck_assert_int_eq(symlink("../elsewhere", under(shared, "control")), 0);
    ck_assert_int_eq(volume_open(&v, shared, secret, &err), ERR_SYSTEM);
    ck_assert_ptr_nonnull(strstr(err.text, under(shared, "control")));
    ck_assert(!exists(under(base, "elsewhere/ack")));
}
END_TEST

static int open_says_chown(void)
{
    char want[600];
    if (volume_open(&v, shared, under(base, "p"), &err) != ERR_SYSTEM)
        return 1;
    snprintf(want, sizeof(want), "chown %d:%d %s", NOBODY, NOBODY, shared);
    return strstr(err.text, want) && strstr(err.text, "owner 0:0 mode 0755") ? 0 : 2;
}

START_TEST(test_open_unwritable_names_owner_and_chown)
{
    mkdir(shared, 0755);
    chmod(shared, 0755);
    mkdir(under(base, "p"), 0700);
    if (geteuid() != 0)
        return;
    ck_assert_int_eq(chown(under(base, "p"), NOBODY, NOBODY), 0);
    ck_assert_int_eq(as_nobody(open_says_chown), 0);
}
END_TEST

START_TEST(test_open_own_directory_without_write_bit_gets_it)
{
    mkdir(shared, 0755);
    chmod(shared, 0555);
    ck_assert_int_eq(volume_open(&v, shared, secret, &err), 0);
    ck_assert_uint_eq(mode_of(shared), 02755);
    volume_close(&v);
}
END_TEST

static int open_succeeds(void)
{
    return volume_open(&v, shared, under(base, "p"), &err) == 0 ? 0 : 1;
}

START_TEST(test_open_foreign_but_writable_directories_are_accepted)
{
    mkdir(shared, 0777);
    chmod(shared, 0777);
    mkdir(under(shared, "control"), 0777);
    chmod(under(shared, "control"), 0777);
    mkdir(under(base, "p"), 0700);
    if (geteuid() != 0 || chown(under(base, "p"), NOBODY, NOBODY) != 0)
        return;
    ck_assert_int_eq(as_nobody(open_succeeds), 0);
    ck_assert_uint_eq(mode_of(under(shared, "control")), 0777);
}
END_TEST

START_TEST(test_open_sweeps_stale_temporaries_only)
{
    setup_volume();
    volume_close(&v);
    const char *stale = ".state.json.tmp-12-0123456789abcdef";
    const char *kept[] = {".state.json.tmp-x-0123456789abcdef", ".state.json.tmp-12-0123",
                          "state.json.tmp-12-0123456789abcdef", ".notes"};
    write_file(under(shared, stale), "half");
    write_file(under(secret, stale), "half");
    write_file(under(under(shared, "control/ack"), stale), "half");
    write_file(under(under(shared, "outbox/done"), stale), "half");
    write_file(under(under(shared, "outbox/new"), stale), "a portal's");
    write_file(control(".stop.tmp-1-0123456789abcdef"), "being written by ctl");
    write_file(control(".stop.tmp-2-0123456789abcdef"), "an old one");
    struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    utimensat(AT_FDCWD, control(".stop.tmp-2-0123456789abcdef"), old, 0);
    for (size_t i = 0; i < ARRAY_LEN(kept); i++)
        write_file(under(shared, kept[i]), "");
    ck_assert_int_eq(volume_open(&v, shared, secret, &err), 0);
    ck_assert(!exists(under(shared, stale)) && !exists(under(secret, stale)));
    ck_assert(!exists(under(under(shared, "control/ack"), stale)));
    ck_assert(!exists(under(under(shared, "outbox/done"), stale)));
    ck_assert(exists(under(under(shared, "outbox/new"), stale)));
    ck_assert(exists(control(".stop.tmp-1-0123456789abcdef")));
    ck_assert(!exists(control(".stop.tmp-2-0123456789abcdef")));
    for (size_t i = 0; i < ARRAY_LEN(kept); i++)
        ck_assert_msg(exists(under(shared, kept[i])), "%s", kept[i]);
    volume_close(&v);
}
END_TEST

START_TEST(test_open_lock_is_fifo_is_refused_without_blocking)
{
    mkdir(secret, 0700);
    ck_assert_int_eq(mkfifo(under(secret, "lock"), 0600), 0);
    ck_assert_int_eq(volume_open(&v, shared, secret, &err), ERR_SYSTEM);
    ck_assert_ptr_nonnull(strstr(err.text, "not a regular file"));
}
END_TEST

START_TEST(test_close_zeroed_leaves_descriptor_zero_open)
{
    struct volume zeroed = {0};
    int before = fcntl(0, F_GETFD);
    volume_close(&zeroed);
    volume_close(NULL);
    ck_assert_int_eq(fcntl(0, F_GETFD), before);
}
END_TEST

/* ---- volume_publish ----------------------------------------------------------------------------
 */

START_TEST(test_publish_under_narrow_umask_is_readable_by_group)
{
    umask(077);
    ck_assert_int_eq(volume_publish(v.root_fd, "a.json", bytes_text("one"), true, &err), 0);
    ck_assert_uint_eq(mode_of(under(shared, "a.json")), 0640);
    ck_assert_str_eq(read_file(under(shared, "a.json"), NULL), "one");
    ck_assert_int_eq(volume_publish(v.root_fd, "a.json", BYTES_NONE, false, &err), 0);
    ck_assert_str_eq(read_file(under(shared, "a.json"), NULL), "");
    ck_assert_int_eq(count_entries(shared, "tmp"), 0);
}
END_TEST

START_TEST(test_publish_syncs_file_before_rename_and_when_durable_directory_after)
{
    calls[0] = '\0';
    ck_assert_int_eq(volume_publish(v.root_fd, "a", bytes_text("x"), true, &err), 0);
    ck_assert_str_eq(calls, "frd");
    calls[0] = '\0';
    ck_assert_int_eq(volume_publish(v.root_fd, "a", bytes_text("y"), false, &err), 0);
    ck_assert_str_eq(calls, "fr");
    for (size_t i = 0; i < 2; i++) { /* these write a file before its new name */
        file_system = i ? BTRFS_SUPER_MAGIC : EXT4_SUPER_MAGIC;
        calls[0] = '\0';
        ck_assert_int_eq(volume_publish(v.root_fd, "a", bytes_text("y"), false, &err), 0);
        ck_assert_str_eq(calls, "r");
        calls[0] = '\0';
        ck_assert_int_eq(volume_publish(v.root_fd, "a", bytes_text("x"), true, &err), 0);
        ck_assert_str_eq(calls, "frd");
    }
    calls[0] = '\0';
    ck_assert_int_eq(volume_unpublish(v.root_fd, "a", true, &err), 0);
    ck_assert_str_eq(calls, "d");
}
END_TEST

START_TEST(test_publish_sync_error_keeps_old_file)
{
    ck_assert_int_eq(volume_publish(v.root_fd, "a", bytes_text("old"), true, &err), 0);
    file_fault = EIO;
    ck_assert_int_eq(volume_publish(v.root_fd, "a", bytes_text("new"), true, &err), ERR_SYSTEM);
    ck_assert_str_eq(read_file(under(shared, "a"), NULL), "old");
    ck_assert_int_eq(count_entries(shared, "tmp"), 0);
    file_fault = 0;
    directory_fault = EINVAL;
    ck_assert_int_eq(volume_publish(v.root_fd, "a", bytes_text("new"), true, &err), 0);
    directory_fault = EIO;
    ck_assert_int_eq(volume_publish(v.root_fd, "a", bytes_text("new"), true, &err), ERR_SYSTEM);
}
END_TEST

START_TEST(test_publish_bad_name_is_refused)
{
    char long_name[300];
    memset(long_name, 'a', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';
    const char *bad[] = {"", ".", "..", "../x", "control/x", ".hidden", long_name};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        ck_assert_int_eq(volume_publish(v.root_fd, bad[i], bytes_text("x"), false, &err),
                         ERR_INVALID);
}
END_TEST

START_TEST(test_publish_over_link_replaces_the_link)
{
    write_file(under(base, "victim"), "intact");
    ck_assert_int_eq(symlink(under(base, "victim"), under(shared, "state.json")), 0);
    ck_assert_int_eq(volume_publish(v.root_fd, "state.json", bytes_text("new"), false, &err), 0);
    ck_assert_str_eq(read_file(under(base, "victim"), NULL), "intact");
    ck_assert_str_eq(read_file(under(shared, "state.json"), NULL), "new");
}
END_TEST

START_TEST(test_publish_short_of_room_keeps_old_file)
{
    const struct rlimit tight = {4096, RLIM_INFINITY};
    static const uint8_t large[8192];
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(volume_publish(v.root_fd, "a", bytes_text("old"), true, &err), 0);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &tight), 0);
    ck_assert_int_eq(volume_publish(v.root_fd, "a", BYTES_ARRAY(large), true, &err), ERR_SYSTEM);
    ck_assert_ptr_nonnull(strstr(err.text, "cannot publish a: "));
    ck_assert_str_eq(read_file(under(shared, "a"), NULL), "old");
    ck_assert_int_eq(count_entries(shared, "tmp"), 0);
}
END_TEST

START_TEST(test_publish_over_directory_fails_without_residue)
{
    mkdir(under(shared, "a"), 0700);
    ck_assert_int_eq(volume_publish(v.root_fd, "a", bytes_text("x"), true, &err), ERR_SYSTEM);
    ck_assert_int_eq(count_entries(shared, "tmp"), 0);
}
END_TEST

static bool small_tmpfs(const char *path, const char *options)
{
    mkdir(path, 0755);
    if (geteuid() != 0 || unshare(CLONE_NEWNS) != 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        return false;
    return mount("tmpfs", path, "tmpfs", 0, options) == 0;
}

static void fill_up(const char *path)
{
    static const uint8_t block[4096];
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    while (write(fd, block, sizeof(block)) > 0) {
    }
    ck_assert_int_eq(errno, ENOSPC);
    close(fd);
}

START_TEST(test_publish_on_full_disk_keeps_old_file_and_recovers)
{
    setup_paths();
    if (!small_tmpfs(shared, "size=128k"))
        return;
    ck_assert_int_eq(volume_open(&v, shared, secret, &err), 0);
    ck_assert_int_eq(volume_publish(v.root_fd, "a", bytes_text("old"), true, &err), 0);
    fill_up(under(shared, "logs/full"));
    ck_assert_int_eq(volume_publish(v.root_fd, "a", bytes_text("new"), true, &err), ERR_SYSTEM);
    ck_assert_str_eq(read_file(under(shared, "a"), NULL), "old");
    ck_assert_int_eq(count_entries(shared, "tmp"), 0);
    /* A restart on the full disk is no reason to stay away. */
    volume_close(&v);
    ck_assert_int_eq(volume_open(&v, shared, secret, &err), 0);
    unlink(under(shared, "logs/full"));
    ck_assert_int_eq(volume_publish(v.root_fd, "a", bytes_text("new"), true, &err), 0);
    ck_assert_str_eq(read_file(under(shared, "a"), NULL), "new");
    volume_close(&v);
    umount2(shared, MNT_DETACH);
}
END_TEST

START_TEST(test_open_without_a_free_inode_succeeds)
{
    setup_volume();
    volume_close(&v);
    char many[64];
    snprintf(many, sizeof(many), "%s/inodes", base);
    if (!small_tmpfs(many, "nr_inodes=9"))
        return;
    /* root, control, ack, outbox, new, done, failed, media, logs: the probes find no inode left. */
    ck_assert_int_eq(volume_open(&v, many, secret, &err), 0);
    volume_close(&v);
    umount2(many, MNT_DETACH);
}
END_TEST

START_TEST(test_publish_read_only_mount_names_remedy_and_keeps_file)
{
    setup_paths();
    if (!small_tmpfs(shared, "size=128k"))
        return;
    ck_assert_int_eq(volume_open(&v, shared, secret, &err), 0);
    ck_assert_int_eq(volume_publish(v.root_fd, "a", bytes_text("old"), true, &err), 0);
    ck_assert_int_eq(mount(NULL, shared, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
    ck_assert_int_eq(volume_publish(v.root_fd, "a", bytes_text("new"), true, &err), ERR_SYSTEM);
    ck_assert_str_eq(read_file(under(shared, "a"), NULL), "old");
    volume_close(&v);
    ck_assert_int_eq(volume_open(&v, shared, secret, &err), ERR_SYSTEM);
    ck_assert_ptr_nonnull(strstr(err.text, "mount it writable"));
    umount2(shared, MNT_DETACH);
}
END_TEST

static void publish_for_ever(void)
{
    static uint8_t content[65536];
    for (uint8_t i = 0;; i++) {
        memset(content, 'a' + i % 26, sizeof(content));
        if (volume_publish(v.root_fd, "a", BYTES_ARRAY(content), false, NULL) != 0)
            _exit(1);
    }
}

/* A reader sees whole files only, and so it stays when the writer is killed at any instant. */
START_TEST(test_publish_killed_writer_leaves_whole_file)
{
    ck_assert_int_eq(volume_publish(v.root_fd, "a", bytes_text(""), false, &err), 0);
    for (int round = 0; round < 20; round++) {
        pid_t pid = fork();
        if (pid == 0)
            publish_for_ever();
        for (int i = 0; i < 20; i++) {
            size_t n;
            const char *text = read_file(under(shared, "a"), &n);
            ck_assert(n == 0 || n == 65536);
            ck_assert(n == 0 || strspn(text, (char[]){text[0], '\0'}) == n);
        }
        kill(pid, SIGKILL);
        ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    }
    volume_close(&v);
    ck_assert_int_eq(volume_open(&v, shared, secret, &err), 0);
    ck_assert_int_eq(count_entries(shared, "tmp"), 0);
}
END_TEST

START_TEST(test_unpublish_missing_is_fine)
{
    ck_assert_int_eq(volume_unpublish(v.root_fd, "a", true, &err), 0);
    ck_assert_int_eq(volume_publish(v.root_fd, "a", bytes_text("x"), true, &err), 0);
    ck_assert_int_eq(volume_unpublish(v.root_fd, "a", true, &err), 0);
    ck_assert(!exists(under(shared, "a")));
    ck_assert_int_eq(volume_unpublish(v.root_fd, "control", true, &err), ERR_SYSTEM);
}
END_TEST

/* ---- state.json --------------------------------------------------------------------------------
 */

#define NOW INT64_C(1767323045678) /* 2026-01-02T03:04:05.678Z */

static struct volume_state minimal_state(void)
{
    return (struct volume_state){.status = "STARTING", .session_state = "NONE"};
}

static struct volume_state full_state(void)
{
    struct volume_state s = {
        .tenant_id = "acme",
        .boot_id = "6b0c0d35-6d0a-4b0e-a0a5-5b8d0d4a8e55",
        .status = "QR_PENDING",
        .session_state = "QR_READY",
        .session_since = NOW - 5000,
        .account = {"4915112345678:3@s.whatsapp.net", "123:3@lid", "A \"b\"\n\xff", "android"},
        .qr = {true, 7, NOW - 1000, NOW + 19000},
        .pairing_code = "ABCD1234",
        .heartbeat_interval_ms = 5000,
        .stale_after_ms = 15000,
        .last_seen_at = NOW - 1,
        .last_message_at = NOW - 2,
        .reconnect = {2, 10, NOW + 4000},
        .last_error = {"stream_error", "the server said 515", NOW - 9000},
        .last_command = {"reload", "r-1", "done", NOW - 3},
        .config = {"/etc/wabridge.yaml", NOW - 8000, 3},
        .queue_replies = 4,
        .queue_outbox = 5,
        .outbox_full = true,
        .process = {NOW - 10000, "0.1.0", "2.3000.1"},
        .exit = {true, 0, "stopped on request"},
        .seq = 41,
    };
    int64_t n = 100;
#define X(name) s.counters.name = n++;
    VOLUME_COUNTERS(X)
#undef X
    return s;
}

static json_t *written(const struct volume_state *s)
{
    struct buf out;
    json_error_t at;
    buf_init(&out, 1 << 20);
    ck_assert_int_eq(volume_state_write(s, NOW, &out), 0);
    json_t *j = json_loads(buf_text(&out), JSON_REJECT_DUPLICATES, &at);
    ck_assert_msg(j != NULL, "%s", at.text);
    buf_deinit(&out);
    return j;
}

static json_t *load_schema_of(const char *name)
{
    char path[1024];
    json_error_t at;
    const char *dir = getenv("DOCS_DIR");
    snprintf(path, sizeof(path), "%s/%s.schema.json", dir ? dir : "docs", name);
    json_t *j = json_load_file(path, JSON_REJECT_DUPLICATES, &at);
    ck_assert_msg(j != NULL, "%s: %s", path, at.text);
    return j;
}

static json_t *load_schema(void)
{
    return load_schema_of("state");
}

static const json_t *resolve(const json_t *root, const json_t *schema)
{
    const char *ref = json_string_value(json_object_get(schema, "$ref"));
    if (!ref)
        return schema;
    ck_assert_int_eq(strncmp(ref, "#/$defs/", 8), 0);
    const json_t *found = json_object_get(json_object_get(root, "$defs"), ref + 8);
    ck_assert_msg(found != NULL, "%s", ref);
    return found;
}

static const char *type_name(const json_t *value)
{
    static const char *const names[] = {
        [JSON_OBJECT] = "object",   [JSON_ARRAY] = "array", [JSON_STRING] = "string",
        [JSON_INTEGER] = "integer", [JSON_REAL] = "number", [JSON_TRUE] = "boolean",
        [JSON_FALSE] = "boolean",   [JSON_NULL] = "null",
    };
    return names[json_typeof(value)];
}

static bool type_allowed(const json_t *types, const json_t *value)
{
    size_t i;
    json_t *one;
    if (json_is_string(types))
        return strcmp(json_string_value(types), type_name(value)) == 0;
    json_array_foreach(types, i, one)
    {
        if (strcmp(json_string_value(one), type_name(value)) == 0)
            return true;
    }
    return false;
}

static bool enum_allowed(const json_t *allowed, const json_t *value)
{
    size_t i;
    json_t *one;
    json_array_foreach(allowed, i, one)
    {
        if (json_equal(one, value))
            return true;
    }
    return !allowed;
}

static void validate(const json_t *root, const json_t *schema, const json_t *value,
                     const char *where);

static void validate_object(const json_t *root, const json_t *schema, const json_t *value,
                            const char *where)
{
    const char *key;
    const json_t *required = json_object_get(schema, "required");
    const json_t *properties = json_object_get(schema, "properties");
    json_t *one;
    size_t i;
    json_array_foreach(required, i, one)
    {
        ck_assert_msg(json_object_get(value, json_string_value(one)) != NULL, "%s lacks %s", where,
                      json_string_value(one));
    }
    for (void *it = json_object_iter((json_t *)(uintptr_t)value); it;
         it = json_object_iter_next((json_t *)(uintptr_t)value, it)) {
        key = json_object_iter_key(it);
        const json_t *member = json_object_get(properties, key);
        ck_assert_msg(member != NULL, "%s.%s is not in the schema", where, key);
        validate(root, member, json_object_iter_value(it), key);
    }
}

static void validate(const json_t *root, const json_t *schema, const json_t *value,
                     const char *where)
{
    int64_t at;
    schema = resolve(root, schema);
    const json_t *fixed = json_object_get(schema, "const");
    const json_t *minimum = json_object_get(schema, "minimum");
    const json_t *maximum = json_object_get(schema, "maximum");
    ck_assert_msg(type_allowed(json_object_get(schema, "type"), value), "%s is of type %s", where,
                  type_name(value));
    ck_assert_msg(enum_allowed(json_object_get(schema, "enum"), value), "%s: value", where);
    ck_assert_msg(!fixed || json_equal(fixed, value), "%s: const", where);
    if (minimum && json_is_integer(value))
        ck_assert_msg(json_integer_value(value) >= json_integer_value(minimum), "%s", where);
    if (maximum && json_is_integer(value))
        ck_assert_msg(json_integer_value(value) <= json_integer_value(maximum), "%s", where);
    if (json_object_get(schema, "format") && json_is_string(value))
        ck_assert_msg(clock_parse(json_string_value(value), &at) == 0, "%s: no time", where);
    if (json_is_object(value))
        validate_object(root, schema, value, where);
}

START_TEST(test_state_write_full_document_matches_schema)
{
    struct volume_state s = full_state();
    json_t *schema = load_schema(), *document = written(&s);
    validate(schema, schema, document, "state");
    json_decref(document);
    json_decref(schema);
}
END_TEST

START_TEST(test_state_write_empty_document_matches_schema)
{
    struct volume_state s = minimal_state();
    json_t *schema = load_schema(), *document = written(&s);
    validate(schema, schema, document, "state");
    ck_assert(json_is_null(json_object_get(document, "exit")));
    ck_assert(json_is_null(json_object_get(document, "last_error")));
    ck_assert(json_is_null(json_object_get(json_object_get(document, "qr"), "png")));
    json_decref(document);
    json_decref(schema);
}
END_TEST

static int walk_schema(const json_t *schema, const char *name)
{
    int seen = 0;
    const char *key;
    json_t *member;
    json_t *properties = json_object_get(schema, "properties");
    ck_assert_uint_eq(json_array_size(json_object_get(schema, "required")),
                      json_object_size(properties));
    json_object_foreach(properties, key, member)
    {
        const char *text = json_string_value(json_object_get(member, "description"));
        ck_assert_msg(text && text[0], "%s.%s has no description", name, key);
        seen += 1;
        if (json_object_get(member, "properties"))
            seen += walk_schema(member, key);
    }
    return seen;
}

static json_t *passkey_written(const struct volume_passkey *p)
{
    struct buf out = {.max = 65536};
    ck_assert_int_eq(volume_passkey_write(p, &out), 0);
    json_t *j = json_loads(buf_text(&out), JSON_REJECT_DUPLICATES, NULL);
    ck_assert_msg(j != NULL, "%s", buf_text(&out));
    buf_deinit(&out);
    return j;
}

START_TEST(test_passkey_write_each_state_matches_schema)
{
    const char *options = "{\"challenge\":\"AAAA\"}";
    struct volume_passkey p = {.state = "PASSKEY_REQUIRED",
                               .phase = "await_assertion",
                               .request_id = "00ff",
                               .issued_at = NOW,
                               .expires_at = NOW + 585000,
                               .handoff_expires_at = NOW + 300000,
                               .public_key = bytes_text(options)};
    json_t *schema = load_schema_of("passkey"), *document = passkey_written(&p);
    json_t *want = json_loads(options, 0, NULL);
    ck_assert(json_equal(json_object_get(document, "public_key"), want));
    json_object_clear(json_object_get(document, "public_key")); /* whatever WhatsApp sends */
    validate(schema, schema, document, "passkey");
    ck_assert_str_eq(testing_text(document, "page"), VOLUME_PASSKEY_PAGE);
    json_decref(document);
    json_decref(want);
    p = (struct volume_passkey){.state = "PASSKEY_CONFIRM",
                                .phase = "await_owner",
                                .request_id = "00ff",
                                .issued_at = NOW,
                                .code = "MJVT-KKA6",
                                .confirm_required = true,
                                .error_code = "code_mismatch",
                                .error_detail = "no",
                                .error_at = NOW};
    document = passkey_written(&p);
    validate(schema, schema, document, "passkey");
    ck_assert(json_is_null(json_object_get(document, "public_key")));
    ck_assert(json_is_null(json_object_get(document, "expires_at")));
    json_decref(document);
    json_decref(schema);
}
END_TEST

START_TEST(test_state_schema_every_member_is_described_and_required)
{
    json_t *schema = load_schema();
    ck_assert_str_eq(json_string_value(json_object_get(schema, "$schema")),
                     "https://json-schema.org/draft/2020-12/schema");
    ck_assert_int_gt(walk_schema(schema, "state"), 60);
    json_decref(schema);
}
END_TEST

/* The values by hand, not by the code: where each member of the struct must arrive. */
START_TEST(test_state_write_values_arrive_where_they_belong)
{
    struct volume_state s = full_state();
    json_t *got = written(&s);
    json_t *want = json_pack(
        "{s:{s:s,s:s},s:{s:i,s:s,s:s,s:s,s:s},s:{s:i,s:s,s:i},s:{s:s,s:i,s:i},s:{s:i,s:i,s:b}}",
        "session", "state", "QR_READY", "since", "2026-01-02T03:04:00.678Z", "qr", "generation", 7,
        "png", "qr.png", "svg", "qr.svg", "issued_at", "2026-01-02T03:04:04.678Z", "expires_at",
        "2026-01-02T03:04:24.678Z", "reconnect", "attempt", 2, "next_at",
        "2026-01-02T03:04:09.678Z", "max_attempts", 10, "heartbeat", "at",
        "2026-01-02T03:04:05.678Z", "interval_ms", 5000, "stale_after_ms", 15000, "queues",
        "replies", 4, "outbox", 5, "outbox_full", true);
    const char *key;
    json_t *member;
    json_object_foreach(want, key, member)
    {
        ck_assert_msg(json_equal(member, json_object_get(got, key)), "%s", key);
    }
    ck_assert_int_eq(json_integer_value(json_object_get(got, "seq")), 41);
    json_t *counters = json_object_get(got, "counters");
    ck_assert_int_eq(json_integer_value(json_object_get(counters, "received")), 100);
    ck_assert_int_eq(json_integer_value(json_object_get(counters, "reconnects")), 112);
    ck_assert_str_eq(
        json_string_value(json_object_get(json_object_get(got, "account"), "push_name")),
        "A \"b\"\n\xef\xbf\xbd");
    json_decref(want);
    json_decref(got);
}
END_TEST

START_TEST(test_state_write_over_ceiling_is_limit)
{
    struct volume_state s = full_state();
    struct buf out;
    buf_init(&out, 500);
    ck_assert_int_eq(volume_state_write(&s, NOW, &out), ERR_LIMIT);
    buf_deinit(&out);
}
END_TEST

START_TEST(test_state_publish_seq_grows_and_survives_restart)
{
    struct volume_state s = full_state(), next = minimal_state();
    ck_assert_int_eq(volume_state_publish(&s, &v, NOW, true, &err), 0);
    ck_assert_int_eq(volume_state_publish(&s, &v, NOW, false, &err), 0);
    const char *text = read_file(under(shared, "state.json"), NULL);
    ck_assert_ptr_nonnull(strstr(text, "\n  \"seq\": 43,\n"));
    ck_assert_str_eq(text + strlen(text) - 3, "\n}\n");
    volume_state_restore(&next, &v);
    ck_assert_int_eq(next.seq, 43);
    ck_assert_int_eq(next.qr.generation, 7);
    ck_assert_str_eq(next.last_error.code, "stream_error");
    ck_assert_str_eq(next.last_error.message, "the server said 515");
    ck_assert_int_eq(next.last_error.at, NOW - 9000);
    ck_assert(!next.qr.live);
}
END_TEST

START_TEST(test_state_restore_without_usable_file_changes_nothing)
{
    const char *texts[] = {"",
                           "{",
                           "[]",
                           "\"x\"",
                           "{\"seq\":\"7\"}",
                           "{\"seq\":-3}",
                           "{\"seq\":9223372036854775807}",
                           "{\"last_error\":[]}"};
    struct volume_state s = minimal_state();
    volume_state_restore(&s, &v);
    ck_assert_int_eq(s.seq, 0);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        write_file(under(shared, "state.json"), texts[i]);
        volume_state_restore(&s, &v);
        ck_assert_int_eq(s.seq, 0);
        ck_assert_str_eq(s.last_error.code, "");
    }
    unlink(under(shared, "state.json"));
    ck_assert_int_eq(mkfifo(under(shared, "state.json"), 0600), 0);
    volume_state_restore(&s, &v);
    ck_assert_int_eq(s.seq, 0);
}
END_TEST

START_TEST(test_view_open_age_and_staleness)
{
    struct volume_view view;
    struct volume_state s = full_state();
    ck_assert_int_eq(volume_state_publish(&s, &v, NOW, true, &err), 0);
    ck_assert_int_eq(volume_view_open(&view, shared, NOW + 15000, &err), 0);
    ck_assert(!view.stale);
    ck_assert_int_eq(view.heartbeat_age_ms, 15000);
    ck_assert_str_eq(json_text(json_root(view.doc), "status", ""), "QR_PENDING");
    volume_view_close(&view);
    ck_assert_int_eq(volume_view_open(&view, shared, NOW + 15001, &err), 0);
    ck_assert(view.stale);
    volume_view_close(&view);
    ck_assert_int_eq(volume_view_open(&view, shared, NOW - 60000, &err), 0);
    ck_assert(!view.stale && view.heartbeat_age_ms == 0);
    volume_view_close(&view);
    volume_view_close(&view);
}
END_TEST

START_TEST(test_view_open_missing_is_not_found)
{
    struct volume_view view;
    ck_assert_int_eq(volume_view_open(&view, shared, NOW, &err), ERR_NOT_FOUND);
    ck_assert_int_eq(volume_view_open(&view, under(base, "none"), NOW, &err), ERR_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(err.text, "none/state.json"));
}
END_TEST

START_TEST(test_view_open_truncated_or_foreign_is_invalid)
{
    struct volume_view view;
    struct volume_state s = full_state();
    ck_assert_int_eq(volume_state_publish(&s, &v, NOW, true, &err), 0);
    size_t n;
    struct buf whole;
    const char *text = read_file(under(shared, "state.json"), &n);
    buf_init(&whole, 1 << 20);
    buf_append(&whole, BYTES(text, n));
    for (size_t i = 0; i + 2 < n; i++) {
        int fd = open(under(shared, "state.json"), O_WRONLY | O_TRUNC);
        ck_assert_int_eq(write(fd, whole.p, i), (ssize_t)i);
        close(fd);
        ck_assert_int_eq(volume_view_open(&view, shared, NOW, &err), ERR_INVALID);
        struct volume_state restored = minimal_state();
        volume_state_restore(&restored, &v);
        ck_assert_int_eq(restored.seq, 0);
    }
    write_file(under(shared, "state.json"), "{\"schema\":\"wabridge.state/2\"}");
    ck_assert_int_eq(volume_view_open(&view, shared, NOW, &err), ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "wabridge.state/2"));
    write_file(under(shared, "state.json"), "{\"schema\":\"wabridge.state/1\"}");
    ck_assert_int_eq(volume_view_open(&view, shared, NOW, &err), ERR_INVALID);
    unlink(under(shared, "state.json"));
    ck_assert_int_eq(mkfifo(under(shared, "state.json"), 0600), 0);
    ck_assert_int_eq(volume_view_open(&view, shared, NOW, &err), ERR_INVALID);
    buf_deinit(&whole);
}
END_TEST

/* ---- QR ----------------------------------------------------------------------------------------
 */

/* As long as a real one: reference, three keys in base64. */
#define PAYLOAD                                                                                    \
    "2@kP3vNnQ0yC5q1mJmF8sT0bYwXoR7dUeZ1hLgAaKc2VtS9iBfHjGxWzE4nMqPuOrDl6v5t3y8sCkQwNbI7eRfTg==,"  \
    "mU0nQ2kVb1JxYd3Wc4Rz5Sa6Pf7Og8Ih9Kj0Ll1Mq2E=,aB3cD4eF5gH6iJ7kL8mN9oP0qR1sT2uV3wX4yZ5aB6c=,"   \
    "Zz9Yy8Xx7Ww6Vv5Uu4Tt3Ss2Rr1Qq0Pp9Oo8Nn7Mm6L="

#define GRID_MAX 200

struct grid {
    int n;
    bool dark[GRID_MAX][GRID_MAX];
};

static bool have_zbar(void)
{
    return system("command -v zbarimg >/dev/null 2>&1") == 0;
}

static void assert_scans(const char *path, const char *payload)
{
    char command[700], got[4096];
    if (!have_zbar())
        return;
    snprintf(command, sizeof(command), "timeout 20 zbarimg --raw -q '%s' 2>/dev/null", path);
    FILE *f = popen(command, "r");
    ck_assert(f != NULL);
    size_t n = fread(got, 1, sizeof(got) - 1, f);
    got[n] = '\0';
    pclose(f);
    got[strcspn(got, "\n")] = '\0';
    ck_assert_str_eq(got, payload);
}

static void assert_grid_scans(const struct grid *g, const char *payload)
{
    const char *path = under(base, "grid.pgm");
    FILE *f = fopen(path, "w");
    ck_assert(f != NULL);
    fprintf(f, "P5\n%d %d\n255\n", g->n * 4, g->n * 4);
    for (int y = 0; y < g->n * 4; y++) {
        for (int x = 0; x < g->n * 4; x++)
            fputc(g->dark[y / 4][x / 4] ? 0 : 255, f);
    }
    fclose(f);
    assert_scans(path, payload);
}

static struct grid svg_grid(const char *svg)
{
    struct grid g = {0};
    int h, x, y, run, back, used;
    ck_assert_int_eq(sscanf(strstr(svg, "viewBox"), "viewBox=\"0 0 %d %d\"", &g.n, &h), 2);
    ck_assert(g.n == h && g.n < GRID_MAX);
    const char *p = strstr(svg, " d=\"") + 4;
    while (sscanf(p, "M%d %dh%dv1h-%dz%n", &x, &y, &run, &back, &used) == 4) {
        ck_assert(run == back && x + run <= g.n && y < g.n);
        for (int i = 0; i < run; i++)
            g.dark[y][x + i] = true;
        p += used;
    }
    ck_assert_str_eq(p, "\"/></svg>\n");
    return g;
}

static struct grid terminal_grid(const char *text)
{
    struct grid g = {0};
    int x = 0, y = 0;
    for (const char *p = text; *p;) {
        bool full = strncmp(p, "\u2588", 3) == 0, upper = strncmp(p, "\u2580", 3) == 0;
        bool lower = strncmp(p, "\u2584", 3) == 0;
        if (*p == '\n') {
            g.n = x;
            x = 0;
            y += 2;
            p++;
            continue;
        }
        ck_assert(full || upper || lower || *p == ' ');
        g.dark[y][x] = !full && !upper;
        g.dark[y + 1][x] = !full && !lower;
        x++;
        p += *p == ' ' ? 1 : 3;
    }
    return g;
}

START_TEST(test_qr_png_scans_back_to_payload)
{
    struct buf out;
    buf_init(&out, 1 << 20);
    ck_assert_int_eq(volume_qr_png(bytes_text(PAYLOAD), &out), 0);
    ck_assert_int_eq(memcmp(out.p, "\x89PNG\r\n\x1a\n", 8), 0);
    ck_assert_int_eq(volume_publish(v.root_fd, "test.png", buf_bytes(&out), false, &err), 0);
    assert_scans(under(shared, "test.png"), PAYLOAD);
    buf_deinit(&out);
}
END_TEST

START_TEST(test_qr_svg_scans_back_to_payload)
{
    struct buf out;
    buf_init(&out, 1 << 20);
    ck_assert_int_eq(volume_qr_svg(bytes_text(PAYLOAD), &out), 0);
    struct grid g = svg_grid(buf_text(&out));
    for (int i = 0; i < g.n * 4; i++)
        ck_assert(!g.dark[i % 4][i / 4] && !g.dark[i / 4][i % 4]);
    assert_grid_scans(&g, PAYLOAD);
    buf_deinit(&out);
}
END_TEST

START_TEST(test_qr_terminal_draws_the_same_modules)
{
    struct buf out, svg;
    buf_init(&out, 1 << 20);
    buf_init(&svg, 1 << 20);
    ck_assert_int_eq(volume_qr_terminal(bytes_text(PAYLOAD), &out), 0);
    ck_assert_int_eq(volume_qr_svg(bytes_text(PAYLOAD), &svg), 0);
    struct grid g = terminal_grid(buf_text(&out)), want = svg_grid(buf_text(&svg));
    ck_assert_int_eq(g.n, want.n);
    for (int y = 0; y < g.n; y++)
        ck_assert_int_eq(memcmp(g.dark[y], want.dark[y], (size_t)g.n), 0);
    assert_grid_scans(&g, PAYLOAD);
    buf_deinit(&svg);
    buf_deinit(&out);
}
END_TEST

START_TEST(test_qr_payload_out_of_range_is_refused)
{
    static int (*const makers[])(struct bytes, struct buf *) = {volume_qr_png, volume_qr_svg,
                                                                volume_qr_terminal};
    static uint8_t huge[3000];
    struct buf out, tight;
    for (size_t i = 0; i < ARRAY_LEN(makers); i++) {
        buf_init(&out, 1 << 20);
        buf_init(&tight, 100);
        ck_assert_int_eq(makers[i](BYTES_NONE, &out), ERR_INVALID);
        ck_assert_int_eq(makers[i](BYTES_ARRAY(huge), &out), ERR_LIMIT);
        ck_assert_int_eq(makers[i](BYTES(huge, 2954), &out), ERR_LIMIT);
        ck_assert_uint_eq(out.n, 0);
        ck_assert_int_eq(makers[i](BYTES(huge, 2953), &out), 0);
        ck_assert_int_eq(makers[i](bytes_text(PAYLOAD), &tight), ERR_LIMIT);
        buf_deinit(&out);
        buf_deinit(&tight);
    }
}
END_TEST

START_TEST(test_qr_publish_and_removal_sync_once_for_three)
{
    file_system = EXT4_SUPER_MAGIC;
    calls[0] = '\0';
    ck_assert_int_eq(volume_qr_publish(&v, bytes_text(PAYLOAD), &err), 0);
    ck_assert_str_eq(calls, "rrfrd");
    calls[0] = '\0';
    ck_assert_int_eq(volume_qr_remove(&v, &err), 0);
    ck_assert_str_eq(calls, "d");
}
END_TEST

START_TEST(test_qr_publish_and_remove_three_files)
{
    ck_assert_int_eq(volume_qr_publish(&v, bytes_text(PAYLOAD), &err), 0);
    ck_assert_str_eq(read_file(under(shared, "qr.txt"), NULL), PAYLOAD "\n");
    assert_scans(under(shared, "qr.png"), PAYLOAD);
    ck_assert(exists(under(shared, "qr.svg")));
    ck_assert_uint_eq(mode_of(under(shared, "qr.png")), 0640);
    ck_assert_int_eq(volume_qr_remove(&v, &err), 0);
    ck_assert_int_eq(count_entries(shared, "qr"), 0);
    ck_assert_int_eq(volume_qr_remove(&v, &err), 0);
    ck_assert_int_eq(volume_qr_publish(&v, BYTES_NONE, &err), ERR_INVALID);
}
END_TEST

/* ---- control/ ----------------------------------------------------------------------------------
 */

static struct volume_control *c;
static struct volume_control_request r;

static void setup_control(void)
{
    setup_volume();
    ck_assert_int_eq(volume_control_open(&c, &v, clock_wall_ms(), &err), 0);
}

static void teardown_control(void)
{
    volume_control_close(c);
    volume_close(&v);
}

static bool readable(int timeout_ms)
{
    struct pollfd p = {.fd = volume_control_fd(c), .events = POLLIN};
    return poll(&p, 1, timeout_ms) == 1;
}

static json_t *ack(const char *name)
{
    json_error_t at;
    json_t *j = json_load_file(under(control("ack"), name), 0, &at);
    ck_assert_msg(j != NULL, "ack/%s: %s", name, at.text);
    return j;
}

static void assert_ack(const char *name, const char *command, const char *id, const char *result)
{
    json_t *j = ack(name);
    int64_t at;
    ck_assert_uint_eq(json_object_size(j), 6);
    ck_assert_str_eq(testing_text(j, "command"), command);
    ck_assert_str_eq(testing_text(j, "result"), result);
    if (id)
        ck_assert_str_eq(testing_text(j, "id"), id);
    else
        ck_assert(json_is_null(json_object_get(j, "id")));
    ck_assert(json_object_get(j, "error") && json_object_get(j, "detail"));
    ck_assert_int_eq(clock_parse(testing_text(j, "at"), &at), 0);
    json_decref(j);
}

/* What is left in control/ besides ack. */
static int leftovers(void)
{
    return count_entries(under(shared, "control"), ".") - 1;
}

START_TEST(test_next_passkey_response_is_gone_before_it_is_acted_on)
{
    write_file(control(VOLUME_PASSKEY_RESPONSE), "{\"v\":1,\"id\":\"p-1\",\"action\":\"cancel\"}");
    ck_assert_int_eq(volume_control_next(c, &r), 1);
    ck_assert_int_eq((int)r.command, VOLUME_COMMAND_PASSKEY);
    ck_assert_int_eq(count_entries(under(shared, "control"), "passkey"), 0);
    ck_assert_str_eq(json_text(volume_control_content(c), "action", ""), "cancel");
    ck_assert_int_eq(volume_control_ack(c, &r, "done", NULL, NULL), 0);
    ck_assert(exists(under(under(shared, "control/ack"), "p-1.json")));
    write_file(control(VOLUME_PASSKEY_RESPONSE), "{\"v\":1,");
    ck_assert_int_eq(volume_control_next(c, &r), 1);
    ck_assert_ptr_null(volume_control_content(c));
    ck_assert_int_eq(volume_control_ack(c, &r, "refused", "response_malformed", NULL), 0);
    ck_assert(exists(under(under(shared, "control/ack"), "passkey-response.json")));
    ck_assert_int_eq(symlink("/etc/passwd", control(VOLUME_PASSKEY_RESPONSE)), 0);
    ck_assert_int_eq(volume_control_next(c, &r), 0);
    ck_assert_int_eq(count_entries(under(shared, "control"), "passkey"), 0);
}
END_TEST

START_TEST(test_next_touched_command_is_claimed_once_and_acked)
{
    ck_assert_int_eq(volume_control_next(c, &r), 0);
    write_file(control("reload"), "");
    ck_assert(readable(2000));
    ck_assert_int_eq(volume_control_next(c, &r), 1);
    ck_assert_int_eq(r.command, VOLUME_COMMAND_RELOAD);
    ck_assert_str_eq(r.name, "reload");
    ck_assert_str_eq(r.id, "");
    ck_assert(!exists(control("reload")));
    ck_assert(exists(control(r.claim)) && r.claim[0] == '.');
    struct volume_control_request again;
    ck_assert_int_eq(volume_control_next(c, &again), 0);
    ck_assert_int_eq(volume_control_ack(c, &r, "done", NULL, "log level applied"), 0);
    assert_ack("reload.json", "reload", NULL, "done");
    ck_assert_int_eq(leftovers(), 0);
}
END_TEST

START_TEST(test_next_every_command_is_known)
{
    static const char *const names[] = {"stop", "reload", "logout", "pair"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        write_file(control(names[i]), "");
        ck_assert_int_eq(volume_control_next(c, &r), 1);
        ck_assert_str_eq(r.name, names[i]);
        ck_assert_int_eq((int)r.command, (int)i);
        ck_assert_int_eq(volume_control_ack(c, &r, "failed", "why", NULL), 0);
    }
}
END_TEST

START_TEST(test_next_descriptor_is_quiet_when_nothing_is_left)
{
    write_file(control("stop"), "");
    write_file(control("junk"), "");
    ck_assert_int_eq(volume_control_next(c, &r), 1);
    ck_assert_int_eq(volume_control_ack(c, &r, "done", NULL, NULL), 0);
    int rounds = 0;
    while (readable(50) && rounds++ < 10)
        ck_assert_int_eq(volume_control_next(c, &r), 0);
    ck_assert_int_lt(rounds, 4);
    assert_ack("junk.json", "junk", NULL, "unknown command");
    ck_assert_int_eq(leftovers(), 0);
}
END_TEST

START_TEST(test_next_content_written_late_still_names_id)
{
    int fd = open(control("stop"), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    ck_assert_msg(!readable(50), "woken before the file was closed");
    ck_assert_int_gt(write(fd, "{\"id\":\"late\"}", 13), 0);
    close(fd);
    ck_assert(readable(2000));
    ck_assert_int_eq(volume_control_next(c, &r), 1);
    ck_assert_str_eq(r.id, "late");
}
END_TEST

START_TEST(test_next_renamed_into_place_names_id)
{
    write_file(control(".upload"), "{\"id\":\"Ab-1_2.3\",\"more\":[1]}");
    ck_assert_int_eq(volume_control_next(c, &r), 0);
    ck_assert(exists(control(".upload")));
    ck_assert_int_eq(rename(control(".upload"), control("pair")), 0);
    ck_assert(readable(2000));
    ck_assert_int_eq(volume_control_next(c, &r), 1);
    ck_assert_str_eq(r.id, "Ab-1_2.3");
    ck_assert_int_eq(volume_control_ack(c, &r, "refused", "not logged out", NULL), 0);
    assert_ack("Ab-1_2.3.json", "pair", "Ab-1_2.3", "refused");
}
END_TEST

START_TEST(test_next_content_without_id_is_a_bare_touch)
{
    const char *texts[] = {"stop now", "{",
                           "[1]",      "\"x\"",
                           "{}",       "{\"ID\":\"x\"}",
                           "\xff\xfe", "{\"id\":\"a\",\"id\":\"b\"}"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        write_file(control("stop"), texts[i]);
        ck_assert_msg(volume_control_next(c, &r) == 1, "%s", texts[i]);
        ck_assert_str_eq(r.id, "");
        ck_assert_int_eq(volume_control_ack(c, &r, "done", NULL, NULL), 0);
    }
    assert_ack("stop.json", "stop", NULL, "done");
}
END_TEST

START_TEST(test_next_chat_is_read_and_odd_content_is_told)
{
    static const struct {
        const char *text, *chat;
        bool odd;
    } cases[] = {
        {"", "", false},
        {"{}", "", false},
        {"{\"id\":\"x\"}", "", false},
        {"{\"chat\":\"4915112345678\"}", "4915112345678", false},
        {"{\"chat\":\"1@lid\",\"id\":\"x\"}", "1@lid", false},
        {"{\"chat\":", "", true},
        {"4915112345678", "", true},
        {"[]", "", true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        write_file(control("release"), cases[i].text);
        ck_assert_msg(volume_control_next(c, &r) == 1, "%s", cases[i].text);
        ck_assert_int_eq(r.command, VOLUME_COMMAND_RELEASE);
        ck_assert_str_eq(r.chat, cases[i].chat);
        ck_assert_msg(r.odd == cases[i].odd, "%s", cases[i].text);
        ck_assert_int_eq(volume_control_ack(c, &r, "done", NULL, NULL), 0);
    }
}
END_TEST

START_TEST(test_next_bad_chat_is_refused)
{
    char longest[200] = "{\"chat\":\"";
    memset(longest + 9, '1', 121);
    strcpy(longest + 9 + 121, "\"}");
    const char *texts[] = {"{\"chat\":\"\"}", "{\"chat\":7}", "{\"chat\":null}", longest};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        write_file(control("release"), texts[i]);
        ck_assert_msg(volume_control_next(c, &r) == 0, "%s", texts[i]);
        assert_ack("release.json", "release", NULL, "refused");
        ck_assert_int_eq(unlink(under(control("ack"), "release.json")), 0);
    }
}
END_TEST

START_TEST(test_next_bad_id_is_refused_by_name)
{
    char long_id[200], long_text[260];
    memset(long_id, 'a', 121);
    long_id[121] = '\0';
    snprintf(long_text, sizeof(long_text), "{\"id\":\"%s\"}", long_id);
    const char *texts[] = {
        "{\"id\":\"\"}", "{\"id\":\"../../etc\"}", "{\"id\":\"a b\"}",   "{\"id\":\".hidden\"}",
        "{\"id\":7}",    "{\"id\":\"\xc3\xa4\"}",  "{\"id\":\"a\\nb\"}", long_text};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        write_file(control("stop"), texts[i]);
        ck_assert_msg(volume_control_next(c, &r) == 0, "%s", texts[i]);
        assert_ack("stop.json", "stop", NULL, "refused");
        ck_assert_int_eq(unlink(under(control("ack"), "stop.json")), 0);
    }
    ck_assert_int_eq(leftovers(), 0);
    ck_assert_int_eq(count_entries(control("ack"), "."), 0);
    long_text[6 + 120 + 1] = '"';
    long_text[6 + 120 + 2] = '}';
    long_text[6 + 120 + 3] = '\0';
    write_file(control("stop"), long_text);
    ck_assert_int_eq(volume_control_next(c, &r), 1);
    ck_assert_uint_eq(strlen(r.id), 120);
    ck_assert_int_eq(volume_control_ack(c, &r, "done", NULL, NULL), 0);
    ck_assert_int_eq(count_entries(control("ack"), "^a*.json$"), 1);
}
END_TEST

static void reopen_control(int64_t started_at)
{
    volume_control_close(c);
    ck_assert_int_eq(volume_control_open(&c, &v, started_at, &err), 0);
}

START_TEST(test_next_file_older_than_start_is_stale)
{
    write_file(control("stop"), "{\"id\":\"old\"}");
    reopen_control(clock_wall_ms() + 1500);
    ck_assert_int_eq(volume_control_next(c, &r), 0);
    assert_ack("old.json", "stop", "old", "stale");
    ck_assert_int_eq(leftovers(), 0);
}
END_TEST

START_TEST(test_next_touch_right_after_start_is_never_stale)
{
    for (int i = 0; i < 200; i++) {
        reopen_control(clock_wall_ms());
        write_file(control("stop"), "");
        ck_assert_msg(volume_control_next(c, &r) == 1, "round %d", i);
        ck_assert_int_eq(volume_control_ack(c, &r, "done", NULL, NULL), 0);
    }
}
END_TEST

START_TEST(test_next_old_content_moved_in_now_is_fresh)
{
    struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    write_file(control(".x"), "");
    utimensat(AT_FDCWD, control(".x"), old, 0);
    ck_assert_int_eq(rename(control(".x"), control("stop")), 0);
    ck_assert_int_eq(volume_control_next(c, &r), 1);
}
END_TEST

START_TEST(test_next_time_in_the_future_is_acted_on)
{
    struct timespec future[2] = {{.tv_sec = 4000000000}, {.tv_sec = 4000000000}};
    write_file(control("stop"), "");
    utimensat(AT_FDCWD, control("stop"), future, 0);
    reopen_control(clock_wall_ms() + 60000);
    ck_assert_int_eq(volume_control_next(c, &r), 1);
}
END_TEST

START_TEST(test_open_control_claims_of_a_dead_process_are_stale)
{
    write_file(control("reload"), "{\"id\":\"lost\"}");
    ck_assert_int_eq(volume_control_next(c, &r), 1);
    write_file(control(".claimed-garbage"), "");
    mkdir(control(".claimed-0123456789abcdef-stop"), 0700);
    write_file(control(".claimed-0123456789abcdef-stop/x"), "");
    reopen_control(clock_wall_ms());
    assert_ack("lost.json", "reload", "lost", "stale");
    ck_assert(!exists(control(r.claim)));
    ck_assert(!exists(control(".claimed-garbage")));
    ck_assert_int_eq(count_entries(under(shared, "control"), "^.claimed"), 0);
    ck_assert_int_eq(volume_control_next(c, &r), 0);
}
END_TEST

static void assert_refused(const char *name)
{
    char file[300];
    snprintf(file, sizeof(file), "%s.json", name);
    ck_assert_int_eq(volume_control_next(c, &r), 0);
    assert_ack(file, name, NULL, "refused");
    ck_assert(!exists(control(name)));
}

START_TEST(test_next_links_are_refused_and_targets_untouched)
{
    write_file(under(base, "victim"), "{\"id\":\"leak\"}");
    ck_assert_int_eq(symlink(under(base, "victim"), control("stop")), 0);
    ck_assert_int_eq(symlink("/nonexistent", control("reload")), 0);
    assert_refused("stop");
    assert_refused("reload");
    ck_assert_str_eq(read_file(under(base, "victim"), NULL), "{\"id\":\"leak\"}");
    ck_assert(!exists(under(control("ack"), "leak.json")));
    ck_assert_int_eq(leftovers(), 0);
}
END_TEST

START_TEST(test_next_fifo_and_device_are_refused_without_blocking)
{
    ck_assert_int_eq(mkfifo(control("stop"), 0666), 0);
    assert_refused("stop");
    if (mknod(control("logout"), S_IFCHR | 0666, makedev(1, 5)) == 0)
        assert_refused("logout");
    ck_assert_int_eq(leftovers(), 0);
}
END_TEST

START_TEST(test_next_directories_are_refused_and_the_name_is_free_again)
{
    mkdir(control("stop"), 0777);
    assert_refused("stop");
    mkdir(control("stop"), 0777);
    write_file(control("stop/inside"), "kept");
    assert_refused("stop");
    ck_assert_int_eq(count_entries(under(shared, "control"), "^.refused"), 1);
    write_file(control("stop"), "");
    ck_assert_int_eq(volume_control_next(c, &r), 1);
}
END_TEST

START_TEST(test_next_giant_file_is_refused)
{
    static char large[65537];
    write_file(control("stop"), "");
    ck_assert_int_eq(truncate(control("stop"), 10 << 20), 0);
    assert_refused("stop");
    memset(large, ' ', sizeof(large) - 1);
    write_file(control("stop"), large);
    ck_assert_int_eq(volume_control_next(c, &r), 1);
    ck_assert_int_eq(leftovers(), 1);
}
END_TEST

START_TEST(test_next_strange_names_get_acks_inside_ack)
{
    char long_name[201];
    memset(long_name, 'n', 200);
    long_name[200] = '\0';
    write_file(control("new\nline \x01\xff"), "");
    write_file(control(long_name), "");
    write_file(control("-rf"), "{\"id\":\"dash\"}");
    ck_assert_int_eq(volume_control_next(c, &r), 0);
    ck_assert(exists(under(control("ack"), "new_line___.json")));
    ck_assert_int_eq(count_entries(control("ack"), "^n\\{63\\}.json$"), 1);
    assert_ack("dash.json", "-rf", "dash", "unknown command");
    ck_assert_int_eq(count_entries(control("ack"), "."), 3);
    ck_assert_int_eq(leftovers(), 0);
}
END_TEST

START_TEST(test_next_thousand_files_do_not_delay_a_command)
{
    char name[32];
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof(name), "junk-%d", i);
        write_file(control(name), "");
    }
    write_file(control("stop"), "");
    ck_assert_int_eq(volume_control_next(c, &r), 1);
    ck_assert_int_eq(r.command, VOLUME_COMMAND_STOP);
    ck_assert_int_eq(volume_control_ack(c, &r, "done", NULL, NULL), 0);
    int rounds = 0;
    while (leftovers() > 0) {
        ck_assert_msg(readable(2000), "%d files left and no event", leftovers());
        ck_assert_int_eq(volume_control_next(c, &r), 0);
        ck_assert_int_lt(++rounds, 40);
    }
    ck_assert_int_gt(rounds, 10);
    ck_assert_int_eq(count_entries(control("ack"), "json"), 100);
}
END_TEST

START_TEST(test_ack_oldest_are_pruned_and_strangers_kept)
{
    char name[32];
    struct timespec at[2] = {{.tv_sec = 0}, {.tv_sec = 0}};
    write_file(under(control("ack"), "README"), "");
    for (int i = 0; i < 150; i++) {
        snprintf(name, sizeof(name), "a%03d.json", i);
        write_file(under(control("ack"), name), "{}");
        at[0].tv_sec = at[1].tv_sec = 1000 + i;
        utimensat(AT_FDCWD, under(control("ack"), name), at, 0);
    }
    write_file(control("stop"), "");
    ck_assert_int_eq(volume_control_next(c, &r), 1);
    ck_assert_int_eq(volume_control_ack(c, &r, "done", NULL, NULL), 0);
    ck_assert_int_eq(count_entries(control("ack"), "json"), 100);
    ck_assert(!exists(under(control("ack"), "a050.json")));
    ck_assert(exists(under(control("ack"), "a051.json")));
    ck_assert(exists(under(control("ack"), "README")));
    assert_ack("stop.json", "stop", NULL, "done");
}
END_TEST

/* Alternating names, for the queue merges equal neighbours. */
static void overflow_queue(void)
{
    int limit = 16384;
    FILE *f = fopen("/proc/sys/fs/inotify/max_queued_events", "r");
    if (f) {
        ck_assert_int_eq(fscanf(f, "%d", &limit), 1);
        fclose(f);
    }
    for (int i = 0; i <= limit; i++)
        write_file(control(i % 2 ? ".a" : ".b"), "");
}

START_TEST(test_next_command_lost_in_queue_overflow_is_found)
{
    overflow_queue();
    write_file(control("stop"), "");
    ck_assert(readable(0));
    ck_assert_int_eq(volume_control_next(c, &r), 1);
    ck_assert_int_eq(r.command, VOLUME_COMMAND_STOP);
}
END_TEST

START_TEST(test_next_directory_moved_away_and_made_again_is_followed)
{
    ck_assert_int_eq(rename(under(shared, "control"), under(shared, "old")), 0);
    ck_assert(readable(2000));
    ck_assert_int_eq(volume_control_next(c, &r), 0);
    ck_assert_msg(!exists(under(shared, "control")), "made at once, in the way of `mv`");
    write_file(under(shared, "old/stop"), "");
    while (readable(20))
        ck_assert_int_eq(volume_control_next(c, &r), 0);
    mkdir(under(shared, "control"), 0770);
    ck_assert(readable(2000));
    ck_assert_int_eq(volume_control_next(c, &r), 0);
    ck_assert_uint_eq(mode_of(control("ack")), 02750);
    while (readable(20))
        ck_assert_int_eq(volume_control_next(c, &r), 0);
    write_file(control("reload"), "");
    ck_assert_msg(readable(2000), "the new directory is not watched");
    ck_assert_int_eq(volume_control_next(c, &r), 1);
    ck_assert_int_eq(r.command, VOLUME_COMMAND_RELOAD);
    ck_assert_int_eq(volume_control_ack(c, &r, "done", NULL, NULL), 0);
    assert_ack("reload.json", "reload", NULL, "done");
    ck_assert(exists(under(shared, "old/stop")));
}
END_TEST

START_TEST(test_next_directory_removed_and_made_again_is_followed)
{
    ck_assert_int_eq(rmdir(control("ack")), 0);
    ck_assert_int_eq(rmdir(under(shared, "control")), 0);
    mkdir(under(shared, "control"), 0770);
    write_file(control("stop"), "");
    ck_assert_int_eq(volume_control_next(c, &r), 1);
    ck_assert_int_eq(r.command, VOLUME_COMMAND_STOP);
}
END_TEST

START_TEST(test_next_directory_that_stays_away_is_made)
{
    ck_assert_int_eq(rename(under(shared, "control"), under(shared, "old")), 0);
    int64_t deadline = clock_mono_ms() + 3000;
    while (!exists(under(shared, "control")) && clock_mono_ms() < deadline) {
        ck_assert_int_eq(volume_control_next(c, &r), 0);
        readable(100);
    }
    ck_assert_uint_eq(mode_of(under(shared, "control")), 02770);
    write_file(control("stop"), "");
    ck_assert_int_eq(volume_control_next(c, &r), 1);
}
END_TEST

START_TEST(test_next_directory_replaced_by_link_is_not_followed)
{
    mkdir(under(base, "elsewhere"), 0777);
    write_file(under(base, "elsewhere/stop"), "");
    ck_assert_int_eq(rename(under(shared, "control"), under(shared, "old")), 0);
    ck_assert_int_eq(symlink(under(base, "elsewhere"), under(shared, "control")), 0);
    ck_assert_int_eq(volume_control_next(c, &r), 0);
    ck_assert_int_eq(volume_control_next(c, &r), 0);
    ck_assert(exists(under(base, "elsewhere/stop")));
    ck_assert(!exists(under(base, "elsewhere/ack")));
    /* Mended, it works again. */
    ck_assert_int_eq(unlink(under(shared, "control")), 0);
    ck_assert_int_eq(rename(under(shared, "old"), under(shared, "control")), 0);
    write_file(control("stop"), "");
    ck_assert_int_eq(volume_control_next(c, &r), 1);
}
END_TEST

START_TEST(test_ack_directory_replaced_is_followed)
{
    write_file(control("stop"), "");
    ck_assert_int_eq(volume_control_next(c, &r), 1);
    ck_assert_int_eq(rmdir(control("ack")), 0);
    ck_assert_int_eq(volume_control_ack(c, &r, "done", NULL, NULL), 0);
    assert_ack("stop.json", "stop", NULL, "done");
    ck_assert_int_eq(leftovers(), 0);
}
END_TEST

START_TEST(test_ack_that_cannot_be_written_still_removes_claim)
{
    const struct rlimit tight = {0, RLIM_INFINITY};
    write_file(control("stop"), "");
    ck_assert_int_eq(volume_control_next(c, &r), 1);
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &tight), 0);
    ck_assert_int_eq(volume_control_ack(c, &r, "done", NULL, NULL), ERR_SYSTEM);
    ck_assert(!exists(control(r.claim)));
}
END_TEST

/* A portal that takes its files back while we look: nothing is acted on twice, nothing breaks. */
START_TEST(test_next_file_removed_while_scanning_is_harmless)
{
    pid_t pid = fork();
    if (pid == 0) {
        for (;;) {
            int fd = open(control("stop"), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
            close(fd);
            unlink(control("stop"));
        }
    }
    int64_t deadline = clock_mono_ms() + 500;
    while (clock_mono_ms() < deadline) {
        if (volume_control_next(c, &r))
            volume_control_ack(c, &r, "done", NULL, NULL);
    }
    kill(pid, SIGKILL);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    while (volume_control_next(c, &r))
        volume_control_ack(c, &r, "done", NULL, NULL);
    ck_assert_int_eq(leftovers(), 0);
}
END_TEST

static int take_unreadable(void)
{
    struct volume own;
    struct volume_control *mine;
    if (volume_open(&own, shared, under(base, "p"), &err) != 0 ||
        volume_control_open(&mine, &own, clock_wall_ms() - 1000, &err) != 0)
        return 1;
    int got = volume_control_next(mine, &r);
    return got == 1 && r.command == VOLUME_COMMAND_STOP && r.id[0] == '\0' ? 0 : 2;
}

START_TEST(test_next_file_we_may_not_read_is_a_bare_touch)
{
    mkdir(shared, 0777);
    mkdir(under(base, "p"), 0700);
    if (geteuid() != 0 || chown(under(base, "p"), NOBODY, NOBODY) != 0 ||
        chown(shared, NOBODY, NOBODY) != 0)
        return;
    mkdir(under(shared, "control"), 0777);
    ck_assert_int_eq(chown(under(shared, "control"), NOBODY, NOBODY), 0);
    write_file(control("stop"), "{\"id\":\"secret\"}");
    chmod(control("stop"), 0600);
    ck_assert_int_eq(as_nobody(take_unreadable), 0);
}
END_TEST

static int work_without_inotify(void)
{
    struct volume own;
    struct volume_control *mine;
    for (int i = 0; i < 900 && inotify_init1(IN_CLOEXEC) >= 0; i++) {
    }
    if (inotify_init1(IN_CLOEXEC) >= 0)
        return 0;
    if (volume_open(&own, shared, under(base, "p"), &err) != 0 ||
        volume_control_open(&mine, &own, clock_wall_ms(), &err) != 0)
        return 1;
    if (volume_control_fd(mine) != -1)
        return 2;
    write_file(control("stop"), "");
    return volume_control_next(mine, &r) == 1 &&
                   volume_control_ack(mine, &r, "done", NULL, NULL) == 0
               ? 0
               : 3;
}

/* As another user, whose instances are counted apart from those of whoever runs the tests. */
START_TEST(test_open_control_without_inotify_instances_works_by_scans)
{
    mkdir(under(base, "p"), 0700);
    mkdir(shared, 0777);
    if (geteuid() != 0 || chown(under(base, "p"), NOBODY, NOBODY) != 0 ||
        chown(shared, NOBODY, NOBODY) != 0)
        return;
    ck_assert_int_eq(as_nobody(work_without_inotify), 0);
}
END_TEST

/* ---- volume_control_send -----------------------------------------------------------------------
 */

static void serve_one(void)
{
    struct pollfd p = {.fd = volume_control_fd(c), .events = POLLIN};
    while (poll(&p, 1, 3000) == 1) {
        if (volume_control_next(c, &r))
            _exit(volume_control_ack(c, &r, "done", NULL, "as asked") == 0 ? 0 : 1);
    }
    _exit(2);
}

START_TEST(test_send_answered_gives_ack_text)
{
    AUTO_BUF struct buf out;
    struct json_doc *doc;
    int status;
    buf_init(&out, 1 << 16);
    pid_t pid = fork();
    if (pid == 0)
        serve_one();
    int rc = volume_control_send(shared, "reload", NULL, 0, 3000, &out, &err);
    ck_assert_msg(rc == 0, "%s", err.text);
    ck_assert_int_eq(json_doc_open(&doc, buf_bytes(&out), &err), 0);
    ck_assert_str_eq(json_text(json_root(doc), "command", ""), "reload");
    ck_assert_str_eq(json_text(json_root(doc), "detail", ""), "as asked");
    ck_assert_int_eq(strncmp(json_text(json_root(doc), "id", ""), "ctl-", 4), 0);
    json_doc_close(doc);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    ck_assert_int_eq(leftovers(), 0);
}
END_TEST

static int64_t cpu_ms(const struct rusage *u)
{
    return (u->ru_utime.tv_sec + u->ru_stime.tv_sec) * 1000 +
           (u->ru_utime.tv_usec + u->ru_stime.tv_usec) / 1000;
}

START_TEST(test_send_unanswered_times_out_and_withdraws)
{
    AUTO_BUF struct buf out;
    struct rusage before, after;
    buf_init(&out, 1 << 16);
    getrusage(RUSAGE_SELF, &before);
    int64_t start = clock_mono_ms();
    ck_assert_int_eq(volume_control_send(shared, "stop", NULL, 0, 700, &out, &err), ERR_TIMEOUT);
    int64_t took = clock_mono_ms() - start;
    getrusage(RUSAGE_SELF, &after);
    ck_assert_int_ge(took, 700);
    ck_assert_int_lt(took, 2500);
    /* It slept. */
    ck_assert_int_lt(cpu_ms(&after) - cpu_ms(&before), 200);
    ck_assert_ptr_nonnull(strstr(err.text, "withdrawn"));
    ck_assert_int_eq(leftovers(), 0);
}
END_TEST

START_TEST(test_send_without_volume_is_system_error)
{
    AUTO_BUF struct buf out;
    buf_init(&out, 1 << 16);
    ck_assert_int_eq(volume_control_send(base, "stop", NULL, 0, 100, &out, &err), ERR_SYSTEM);
    ck_assert_ptr_nonnull(strstr(err.text, "control/ack"));
    ck_assert_int_eq(volume_control_send(shared, "../x", NULL, 0, 100, &out, &err), ERR_INVALID);
}
END_TEST

START_TEST(test_send_members_arrive_and_too_many_bytes_are_refused)
{
    AUTO_BUF struct buf out, large;
    int status;
    buf_init(&out, 1 << 16);
    buf_init(&large, 1 << 17);
    memset(buf_reserve(&large, 1 << 16), '1', 1 << 16);
    large.n = 1 << 16;
    const struct volume_control_member members[] = {
        {.name = "request_id", .text = "a\"b"},
        {.name = "credential", .json = bytes_text("{\"id\":[1,2]}")}};
    const struct volume_control_member over = {.name = "credential", .json = buf_bytes(&large)};
    pid_t pid = fork();
    if (pid == 0) {
        struct pollfd p = {.fd = volume_control_fd(c), .events = POLLIN};
        while (poll(&p, 1, 3000) == 1 && !volume_control_next(c, &r))
            ;
        const struct json_value *content = volume_control_content(c);
        bool same = strcmp(json_text(content, "request_id", ""), "a\"b") == 0 &&
                    json_value_is_object(json_get(content, "credential"));
        _exit(volume_control_ack(c, &r, "done", NULL, NULL) == 0 && same ? 0 : 1);
    }
    ck_assert_int_eq(volume_control_send(shared, VOLUME_PASSKEY_RESPONSE, members,
                                         ARRAY_LEN(members), 3000, &out, &err),
                     0);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    ck_assert_int_eq(
        volume_control_send(shared, VOLUME_PASSKEY_RESPONSE, &over, 1, 100, &out, &err), ERR_LIMIT);
    ck_assert_int_eq(leftovers(), 0);
}
END_TEST

/* ---- suite -------------------------------------------------------------------------------------
 */

static TCase *add_case(Suite *s, const char *name, SFun setup, SFun teardown)
{
    TCase *t = tcase_create(name);
    tcase_set_timeout(t, 30);
    tcase_add_checked_fixture(t, setup, teardown);
    suite_add_tcase(s, t);
    return t;
}

static void add_open(Suite *s)
{
    TCase *t = add_case(s, "open", setup_paths, NULL);
    tcase_add_test(t, test_open_fresh_makes_tree_with_modes);
    tcase_add_test(t, test_open_existing_keeps_wider_mode_and_adds_what_is_missing);
    tcase_add_test(t, test_open_held_volume_is_locked_and_names_pid);
    tcase_add_test(t, test_open_after_holder_was_killed_succeeds);
    tcase_add_test(t, test_open_private_open_to_others_is_tightened);
    tcase_add_test(t, test_open_private_of_other_owner_is_refused);
    tcase_add_test(t, test_open_same_directory_twice_is_refused_and_untouched);
    tcase_add_test(t, test_open_missing_parent_names_mkdir);
    tcase_add_test(t, test_open_control_is_link_is_refused);
    tcase_add_test(t, test_open_unwritable_names_owner_and_chown);
    tcase_add_test(t, test_open_own_directory_without_write_bit_gets_it);
    tcase_add_test(t, test_open_foreign_but_writable_directories_are_accepted);
    tcase_add_test(t, test_open_sweeps_stale_temporaries_only);
    tcase_add_test(t, test_open_lock_is_fifo_is_refused_without_blocking);
    tcase_add_test(t, test_open_without_a_free_inode_succeeds);
    tcase_add_test(t, test_close_zeroed_leaves_descriptor_zero_open);
    tcase_add_test(t, test_publish_on_full_disk_keeps_old_file_and_recovers);
    tcase_add_test(t, test_publish_read_only_mount_names_remedy_and_keeps_file);
    tcase_add_test(t, test_next_file_we_may_not_read_is_a_bare_touch);
    tcase_add_test(t, test_open_control_without_inotify_instances_works_by_scans);
}

static void add_publish(Suite *s)
{
    TCase *t = add_case(s, "publish", setup_volume, teardown_volume);
    tcase_add_test(t, test_publish_under_narrow_umask_is_readable_by_group);
    tcase_add_test(t, test_publish_syncs_file_before_rename_and_when_durable_directory_after);
    tcase_add_test(t, test_publish_sync_error_keeps_old_file);
    tcase_add_test(t, test_publish_bad_name_is_refused);
    tcase_add_test(t, test_publish_over_link_replaces_the_link);
    tcase_add_test(t, test_publish_short_of_room_keeps_old_file);
    tcase_add_test(t, test_publish_over_directory_fails_without_residue);
    tcase_add_test(t, test_publish_killed_writer_leaves_whole_file);
    tcase_add_test(t, test_unpublish_missing_is_fine);
}

static void add_state(Suite *s)
{
    TCase *t = add_case(s, "state", setup_volume, teardown_volume);
    tcase_add_test(t, test_state_write_full_document_matches_schema);
    tcase_add_test(t, test_state_write_empty_document_matches_schema);
    tcase_add_test(t, test_passkey_write_each_state_matches_schema);
    tcase_add_test(t, test_state_schema_every_member_is_described_and_required);
    tcase_add_test(t, test_state_write_values_arrive_where_they_belong);
    tcase_add_test(t, test_state_write_over_ceiling_is_limit);
    tcase_add_test(t, test_state_publish_seq_grows_and_survives_restart);
    tcase_add_test(t, test_state_restore_without_usable_file_changes_nothing);
    tcase_add_test(t, test_view_open_age_and_staleness);
    tcase_add_test(t, test_view_open_missing_is_not_found);
    tcase_add_test(t, test_view_open_truncated_or_foreign_is_invalid);
}

static void add_qr(Suite *s)
{
    TCase *t = add_case(s, "qr", setup_volume, teardown_volume);
    tcase_add_test(t, test_qr_png_scans_back_to_payload);
    tcase_add_test(t, test_qr_svg_scans_back_to_payload);
    tcase_add_test(t, test_qr_terminal_draws_the_same_modules);
    tcase_add_test(t, test_qr_payload_out_of_range_is_refused);
    tcase_add_test(t, test_qr_publish_and_removal_sync_once_for_three);
    tcase_add_test(t, test_qr_publish_and_remove_three_files);
}

static void add_control(Suite *s)
{
    TCase *t = add_case(s, "control", setup_control, teardown_control);
    tcase_add_test(t, test_next_passkey_response_is_gone_before_it_is_acted_on);
    tcase_add_test(t, test_next_touched_command_is_claimed_once_and_acked);
    tcase_add_test(t, test_next_every_command_is_known);
    tcase_add_test(t, test_next_descriptor_is_quiet_when_nothing_is_left);
    tcase_add_test(t, test_next_content_written_late_still_names_id);
    tcase_add_test(t, test_next_renamed_into_place_names_id);
    tcase_add_test(t, test_next_content_without_id_is_a_bare_touch);
    tcase_add_test(t, test_next_bad_id_is_refused_by_name);
    tcase_add_test(t, test_next_chat_is_read_and_odd_content_is_told);
    tcase_add_test(t, test_next_bad_chat_is_refused);
    tcase_add_test(t, test_next_file_older_than_start_is_stale);
    tcase_add_test(t, test_next_touch_right_after_start_is_never_stale);
    tcase_add_test(t, test_next_old_content_moved_in_now_is_fresh);
    tcase_add_test(t, test_next_time_in_the_future_is_acted_on);
    tcase_add_test(t, test_open_control_claims_of_a_dead_process_are_stale);
    tcase_add_test(t, test_ack_oldest_are_pruned_and_strangers_kept);
    tcase_add_test(t, test_ack_directory_replaced_is_followed);
    tcase_add_test(t, test_ack_that_cannot_be_written_still_removes_claim);
    tcase_add_test(t, test_send_answered_gives_ack_text);
    tcase_add_test(t, test_send_unanswered_times_out_and_withdraws);
    tcase_add_test(t, test_send_without_volume_is_system_error);
    tcase_add_test(t, test_send_members_arrive_and_too_many_bytes_are_refused);
}

static void add_hostile(Suite *s)
{
    TCase *t = add_case(s, "hostile", setup_control, teardown_control);
    tcase_add_test(t, test_next_links_are_refused_and_targets_untouched);
    tcase_add_test(t, test_next_fifo_and_device_are_refused_without_blocking);
    tcase_add_test(t, test_next_directories_are_refused_and_the_name_is_free_again);
    tcase_add_test(t, test_next_giant_file_is_refused);
    tcase_add_test(t, test_next_strange_names_get_acks_inside_ack);
    tcase_add_test(t, test_next_thousand_files_do_not_delay_a_command);
    tcase_add_test(t, test_next_command_lost_in_queue_overflow_is_found);
    tcase_add_test(t, test_next_directory_moved_away_and_made_again_is_followed);
    tcase_add_test(t, test_next_directory_removed_and_made_again_is_followed);
    tcase_add_test(t, test_next_directory_that_stays_away_is_made);
    tcase_add_test(t, test_next_directory_replaced_by_link_is_not_followed);
    tcase_add_test(t, test_next_file_removed_while_scanning_is_harmless);
}

int main(void)
{
    Suite *s = suite_create("volume");
    add_open(s);
    add_publish(s);
    add_state(s);
    add_qr(s);
    add_control(s);
    add_hostile(s);
    return testing_run(s);
}
