/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/err.h"

static int64_t read_us(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t clock_wall_ms(void)
{
    return read_us(CLOCK_REALTIME) / 1000;
}

int64_t clock_mono_ms(void)
{
    return clock_mono_us() / 1000;
}

int64_t clock_mono_us(void)
{
    return read_us(CLOCK_BOOTTIME);
}

/* Each line of the log and most fields of state.json have a time: not by printf. */
static char *digits(char *at, int width, int v, char behind)
{
    for (int i = width; i-- > 0; v /= 10)
        at[i] = (char)('0' + v % 10);
    at[width] = behind;
    return at + width + 1;
}

void clock_format(int64_t wall_ms, char out[CLOCK_TEXT_SIZE])
{
    const int64_t first = -62167219200000, last = 253402300799999;
    if (wall_ms < first)
        wall_ms = first;
    if (wall_ms > last)
        wall_ms = last;
    int64_t s = wall_ms / 1000;
    int ms = (int)(wall_ms % 1000);
    if (ms < 0) {
        ms += 1000;
        s -= 1;
    }
    struct tm tm;
    time_t t = (time_t)s;
    gmtime_r(&t, &tm);
    char *at = out;
    at = digits(at, 4, tm.tm_year + 1900, '-');
    at = digits(at, 2, tm.tm_mon + 1, '-');
    at = digits(at, 2, tm.tm_mday, 'T');
    at = digits(at, 2, tm.tm_hour, ':');
    at = digits(at, 2, tm.tm_min, ':');
    at = digits(at, 2, tm.tm_sec, '.');
    at = digits(at, 3, ms, 'Z');
    *at = '\0';
}

int clock_parse(const char *text, int64_t *wall_ms)
{
    struct tm tm = {0};
    int ms = 0, end = 0;
    if (strlen(text) != CLOCK_TEXT_SIZE - 1 ||
        sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
               &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &ms, &end) != 7 ||
        end != CLOCK_TEXT_SIZE - 1)
        return ERR_INVALID;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    *wall_ms = (int64_t)timegm(&tm) * 1000 + ms;
    return 0;
}
