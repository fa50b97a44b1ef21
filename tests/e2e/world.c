/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A world of which a test decides, to be preloaded into a bridge (LD_PRELOAD):
 *
 *   WORLD_CLOCK=FILE  the wall clock is so many seconds ahead as the text in FILE says; written in
 *                     place (not replaced), also while the bridge runs
 *   WORLD_SPEED=N     the monotonic clock runs N times as fast; what sleeps in poll wakes as late
 * as ever, so give the bridge a short heartbeat WORLD_NAMES=FILE  lines "NAME ADDRESS…", or "NAME
 * hang": the resolver does not answer as long as the line is there; other names are the system's
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define CLOCK_TEXT 24

static const char *ahead_text;
static long speed = 1;

__attribute__((constructor)) static void init(void)
{
    const char *name = getenv("WORLD_CLOCK"), *factor = getenv("WORLD_SPEED");
    if (factor)
        speed = strtol(factor, NULL, 10);
    int fd = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    void *p = mmap(NULL, CLOCK_TEXT, PROT_READ, MAP_SHARED, fd, 0);
    if (p != MAP_FAILED)
        ahead_text = p;
    close(fd);
}

/* ---- the clock --------------------------------------------------------------------------------
 */

static time_t ahead(void)
{
    char copy[CLOCK_TEXT + 1] = "";
    if (!ahead_text)
        return 0;
    memcpy(copy, ahead_text, CLOCK_TEXT);
    return (time_t)strtoll(copy, NULL, 10);
}

int clock_gettime(clockid_t id, struct timespec *t)
{
    static int (*real)(clockid_t id, struct timespec * t);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
    int rc = real(id, t);
    if (rc == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
        t->tv_sec += ahead();
    if (rc == 0 && (id == CLOCK_MONOTONIC || id == CLOCK_BOOTTIME) && speed > 1) {
        long long ns = ((long long)t->tv_sec * 1000000000 + t->tv_nsec) * speed;
        *t = (struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = (long)(ns % 1000000000)};
    }
    return rc;
}

time_t time(time_t *out)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    if (out)
        *out = t.tv_sec;
    return t.tv_sec;
}

int gettimeofday(struct timeval *out, void *zone)
{
    struct timespec t;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &t);
    *out = (struct timeval){.tv_sec = t.tv_sec, .tv_usec = t.tv_nsec / 1000};
    return 0;
}

/* ---- names ------------------------------------------------------------------------------------
 */

/* What stands behind the name in the file, in a static buffer of the thread, or NULL. */
static char *line_of(const char *host)
{
    static __thread char line[512];
    const char *name = getenv("WORLD_NAMES");
    FILE *f = name && host ? fopen(name, "re") : NULL;
    size_t n = host ? strlen(host) : 0;
    bool found = false;
    while (f && !found && fgets(line, sizeof(line), f))
        found = strncmp(line, host, n) == 0 && line[n] == ' ';
    if (f)
        fclose(f);
    if (!found)
        return NULL;
    line[strcspn(line, "\n")] = '\0';
    return line + n + 1;
}

int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                struct addrinfo **out)
{
    static int (*real)(const char *host, const char *service, const struct addrinfo *hints,
                       struct addrinfo **out);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    char *line = line_of(host), *rest = NULL;
    if (!line)
        return real(host, service, hints, out);
    while (line && strcmp(line, "hang") == 0) {
        const struct timespec pause = {.tv_nsec = 20000000};
        nanosleep(&pause, NULL);
        line = line_of(host);
    }
    struct addrinfo **end = out;
    *out = NULL;
    for (char *a = strtok_r(line, " ", &rest); a; a = strtok_r(NULL, " ", &rest)) {
        if (real(a, service, hints, end) != 0)
            continue;
        while (*end)
            end = &(*end)->ai_next;
    }
    return *out ? 0 : EAI_NONAME;
}
