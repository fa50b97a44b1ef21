/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * until [-t SECONDS] FILE [STRING] -- COMMAND…
 *
 * Runs COMMAND and prints the milliseconds from just before its exec until FILE exists, or contains
 * STRING. Then ends it with SIGTERM and waits for it. The directory of FILE is watched, so no
 * polling blurs the time. What COMMAND prints goes to stderr. 0; 1 when the deadline (10 s) passed
 * or COMMAND ended before; 2 for wrong usage, which is also a FILE that is there already.
 */
#define _GNU_SOURCE /* memmem, pipe2 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FILE_LOOKED_AT_BYTES 65536
#define DEADLINE_S 10
#define END_MS 5000 /* for COMMAND to take SIGTERM */

struct goal {
    const char *file, *string; /* string NULL: existence is enough */
};

static int64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static bool reached(const struct goal *goal)
{
    static char text[FILE_LOOKED_AT_BYTES];
    int fd = open(goal->file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return false;
    ssize_t n = goal->string ? read(fd, text, sizeof(text)) : 0;
    close(fd);
    return !goal->string || (n > 0 && memmem(text, (size_t)n, goal->string, strlen(goal->string)));
}

/* A descriptor that is readable when something in the directory of the file may have changed it. */
static int watch(const char *file)
{
    char dir[PATH_MAX] = ".";
    const char *slash = strrchr(file, '/');
    if (slash)
        snprintf(dir, sizeof(dir), "%.*s", slash == file ? 1 : (int)(slash - file), file);
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (fd < 0 || inotify_add_watch(fd, dir, IN_MOVED_TO | IN_CREATE | IN_CLOSE_WRITE) < 0) {
        fprintf(stderr, "until: cannot watch %s: %s\n", dir, strerror(errno));
        exit(2);
    }
    return fd;
}

/* The child says when it is about to exec, so that the fork does not count. */
static pid_t start(char **command, int64_t *started_us)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        dup2(STDERR_FILENO, STDOUT_FILENO);
        int64_t at = now_us();
        if (write(ends[1], &at, sizeof(at)) == (ssize_t)sizeof(at))
            execvp(command[0], command);
        fprintf(stderr, "until: %s: %s\n", command[0], strerror(errno));
        _exit(127);
    }
    close(ends[1]);
    if (pid > 0 && read(ends[0], started_us, sizeof(*started_us)) != (ssize_t)sizeof(*started_us))
        *started_us = now_us();
    close(ends[0]);
    return pid;
}

static void drain(int fd)
{
    char events[4096];
    while (read(fd, events, sizeof(events)) > 0)
        continue;
}

/* The time at which it was seen, or -1: the deadline passed, or the child ended. */
static int64_t wait_until(const struct goal *goal, int watched, int child, int64_t deadline_us)
{
    struct pollfd fds[] = {{.fd = watched, .events = POLLIN}, {.fd = child, .events = POLLIN}};
    for (;;) {
        int64_t at = now_us();
        if (reached(goal))
            return at;
        if (at >= deadline_us || fds[1].revents)
            return -1;
        if (poll(fds, 2, (int)((deadline_us - at) / 1000 + 1)) < 0 && errno != EINTR)
            return -1;
        drain(watched);
    }
}

static void end(pid_t pid, int child)
{
    struct pollfd ended = {.fd = child, .events = POLLIN};
    kill(pid, SIGTERM);
    if (poll(&ended, 1, END_MS) == 0)
        kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static int run(const struct goal *goal, char **command, long deadline_s)
{
    int64_t started_us = 0;
    int watched = watch(goal->file);
    if (reached(goal)) {
        fprintf(stderr, "until: %s is there already\n", goal->file);
        return 2;
    }
    pid_t pid = start(command, &started_us);
    int child = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
    if (child < 0) {
        perror("until");
        return 1;
    }
    int64_t at = wait_until(goal, watched, child, started_us + deadline_s * 1000000);
    end(pid, child);
    if (at < 0) {
        fprintf(stderr, "until: %s did not come (%ld s)\n", goal->file, deadline_s);
        return 1;
    }
    printf("%.2f\n", (double)(at - started_us) / 1000);
    return 0;
}

static int usage(void)
{
    fputs("usage: until [-t SECONDS] FILE [STRING] -- COMMAND...\n", stderr);
    return 2;
}

int main(int argc, char **argv)
{
    long deadline_s = DEADLINE_S;
    char **arg = argv + 1;
    if (argc > 2 && strcmp(arg[0], "-t") == 0) {
        deadline_s = strtol(arg[1], NULL, 10);
        arg += 2;
    }
    int before = 0;
    while (arg[before] && strcmp(arg[before], "--") != 0)
        before++;
    if (before < 1 || before > 2 || !arg[before] || !arg[before + 1] || deadline_s < 1)
        return usage();
    const struct goal goal = {.file = arg[0], .string = before == 2 ? arg[1] : NULL};
    return run(&goal, arg + before + 1, deadline_s);
}
